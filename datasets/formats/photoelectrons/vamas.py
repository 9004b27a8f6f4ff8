"""VAMAS / ISO 14976 surface chemical analysis files (.vms, and .npl of PHI MultiPak).

Specification: W. A. Dench, L. B. Hazell, M. P. Seah, Surf. Interface Anal. 13 (1988) 63-122, doi 10.1002/sia.740130202, which
became ISO 14976:1998. Neither text was open here: the grammar below was written from memory of the former, held against other
programs' documentation of it and against files of SPECS Prodigy, CasaXPS, Kratos ESCApe and PHI MultiPak.

A text file with one item a line. After the title line come institution, instrument, operator, experiment, comment lines,
experiment mode (MAP, MAPDP, MAPSV, MAPSVDP, NORM, SDP, SDPSV, SEM, NOEXP), scan mode (REGULAR, IRREGULAR, MAPPING), numbers of
regions and of map positions where the mode has them, experimental variables (label, unit), the inclusion (positive count) or
exclusion (negative count) list of block items, manually entered items, future upgrades, and the blocks. A block is a
fixed sequence of up to forty items (in order in iso14976.py beside this); the first block has all of them, later ones
leave out what the list says and then have the value of the first. A block ends with the count of ordinates, the minimum and
maximum of each corresponding variable, and the ordinates, interleaved. "end of experiment" closes the file.

How it is read here
- 1e37 means "not known" and becomes absence; so do -1 in dates and a photon energy of 0. An ordinate of 1e37 is NaN.
- REGULAR: the axis is start + i * increment. A negative increment (binding energy) is kept in file order. IRREGULAR: ordinate 0
  of each set is the axis. MAPPING, and modes MAPSV, MAPSVDP and SEM: the ordinates are a map, whose size follows from the
  linescan coordinates and whose pixel from the field of view.
- Each block is one signal, titled by species and transition, unless blocks agree in sample, region, axis and settings and
  differ in an experimental variable (a depth profile, a series) or in their map coordinates (MAP): then they are stacked.
- Counts stay counts: the first ordinate is `intensity` in counts where the file says counts, or where it says counts/s and
  counts/s x dwell x scans are whole numbers (PHI MultiPak); `count_rate` stands beside it wherever dwell x scans are known.
  Where counts/s does not come back to whole numbers, `intensity` is in counts/s and Poisson statistics are not to be had.
- The stated minimum and maximum are held against the ordinates, since nothing else in the file tells of a damaged number.
- The analyser's work function is a condition and is not applied to anything. CasaXPS' calibrations and fits are metadata.
- Not understood: coordinates of MAP where they are no full grid (kept as positions); future upgrade entries (kept as text).
"""

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.photoelectrons.casaxps import casaxps_notes
from datasets.formats.photoelectrons.counting import RATE_UNITS, counts_behind
from datasets.formats.photoelectrons.iso14976 import (
    ELECTRON_TECHNIQUES,
    LINESCANS,
    SPUTTERED,
    TITLE,
    WITH_COORDINATES,
    WITH_LINESCANS,
    Block,
    Header,
    parse,
)
from datasets.formats.signal import Axis, Field, Format, Signal

Floats = NDArray[np.float64]

COUNT_UNITS = ("d", "c", "count", "counts", "n", "")


def read(path: Path) -> tuple[Signal, ...]:
    """All blocks of a file, those of one depth profile, series or map stacked.

    Raises
    ------
    UnreadableFile
        Naming the line, what was expected there and what stands there.
    """
    header, blocks, complete = parse(path)
    notes = () if complete else ("the line 'end of experiment' is missing: the file may have lost blocks at its end",)
    groups: dict[Any, list[Block]] = defaultdict(list)
    for number, block in enumerate(blocks):
        groups[_region_key(block, header, number)].append(block)
    signals = []
    for group in groups.values():
        signals += [replace(s, warnings=s.warnings + notes) for s in _signals(path, header, group)]
    return tuple(signals)


def _region_key(block: Block, head: Header, number: int) -> Any:
    """Blocks of equal key are the same region measured again, and differ only in place, level or time."""
    if head.scan == "MAPPING" or head.mode in WITH_LINESCANS:
        return number
    items = block.items
    settings = ("technique", "source_label", "source_energy", "analyser_mode", "pass_energy_or_retard_ratio", "species",
                "transition", "abscissa_label", "abscissa_unit", "abscissa_start", "abscissa_increment", "signal_mode",
                "take_off_polar_angle")
    axis = block.ordinates[:, 0].tobytes() if head.scan == "IRREGULAR" else block.ordinates.shape[0]
    return block.sample, tuple(items.get(name) for name in settings), tuple(block.columns), axis


def _signals(path: Path, head: Header, group: Sequence[Block]) -> list[Signal]:
    if head.scan == "MAPPING" or head.mode in WITH_LINESCANS:
        return [_map_signal(path, head, block) for block in group]
    stack = _stacking(head, group) if len(group) > 1 else None
    if stack is None:
        return [_signal(path, head, [block], ()) for block in group]
    axes, order = stack
    return [_signal(path, head, [group[i] for i in order], axes)]


def _stacking(head: Header, group: Sequence[Block]) -> tuple[tuple[Axis, ...], list[int]] | None:
    """Leading axes over which blocks of one region stack, and the blocks' order; None if nothing tells them apart."""
    if head.mode in WITH_COORDINATES:
        places = [(b.items.get("y_coordinate"), b.items.get("x_coordinate")) for b in group]
        if len(set(places)) == len(places) and not any(v is None for place in places for v in place):
            return _places(head, group, places)
    varying = [i for i in range(len(head.variables)) if len({b.variables[i] for b in group}) > 1]
    values = [tuple(b.variables[i] for i in varying) for b in group]
    if not varying or len(set(values)) < len(values) or any(v is None for value in values for v in value):
        return None
    also = {_slug(head.variables[i][0]) or f"variable_{i}": (np.array([b.variables[i] for b in group], dtype=np.float64),
                                                            _plain_unit(head.variables[i][1])) for i in varying}
    label, unit = head.variables[varying[0]]
    words = label.lower()
    steps = np.arange(len(group), dtype=np.float64)
    if head.mode in SPUTTERED or re.search(r"etch|sputter|depth|level|mill", words):
        axis = Axis("sputter_level", steps, "1", also)
    elif re.search(r"\btime\b", words) and unit.lower() in ("s", "sec", "seconds"):
        axis = Axis("time", np.array([b.variables[varying[0]] for b in group], dtype=np.float64), "s")
    else:
        axis = Axis("spectrum", steps, "1", also)
    return (axis,), list(range(len(group)))


def _places(head: Header, group: Sequence[Block], places: Sequence[tuple[Any, Any]]) -> tuple[tuple[Axis, ...], list[int]]:
    """Coordinates are ordinal numbers from 1 in an array of which the header gives the size, the block the width in um."""
    rows, columns = sorted({y for y, _ in places}), sorted({x for _, x in places})
    if len(rows) * len(columns) == len(places):
        order = [places.index((y, x)) for y in rows for x in columns]
        _, across, down = head.positions or (0, 0, 0)
        return (_ordinals("y", rows, group[0].items.get("field_of_view_y"), down),
                _ordinals("x", columns, group[0].items.get("field_of_view_x"), across)), order
    also = {"y_coordinate": (np.array([y for y, _ in places]), "1"), "x_coordinate": (np.array([x for _, x in places]), "1")}
    return (Axis("position", np.arange(len(group), dtype=np.float64), "1", also),), list(range(len(group)))


def _ordinals(name: str, numbers: Sequence[float], field_of_view: float | None, size: int) -> Axis:
    values = np.array(numbers, dtype=np.float64)
    return Axis(name, (values - 1) * field_of_view / size, "um") if field_of_view and size > 0 else Axis(name, values)


def _signal(path: Path, head: Header, group: Sequence[Block], leading: tuple[Axis, ...]) -> Signal:
    first = group[0]
    shape = tuple(axis.size for axis in leading)
    ordinates = np.stack([block.ordinates for block in group]).reshape(*shape, *first.ordinates.shape)
    columns = list(enumerate(first.columns))
    warnings: list[str] = []
    if head.scan == "IRREGULAR":
        label, unit = columns.pop(0)[1]
        values = first.ordinates[:, 0]
    else:
        label, unit = str(first.items["abscissa_label"]), str(first.items["abscissa_unit"])
        start, step = first.items["abscissa_start"], first.items["abscissa_increment"]
        if start is None or not step:
            raise UnreadableFile(path, f"the axis of block {first.name!r} has no start or no increment",
                                 where=f"block at line {first.line}")
        values = start + step * np.arange(first.ordinates.shape[0])
    if not columns:
        raise UnreadableFile(path, f"block {first.name!r} holds an axis but no ordinates", where=f"block at line {first.line}")
    live = _live_time(group, shape)
    leading = _with_varying_live_time(leading, group, live)
    fields = _fields(first, columns, ordinates, live, warnings)
    kind = {"AES dir": "AES", "AES diff": "AES"}.get(first.technique, first.technique)
    axis = Axis(_axis_name(label, unit, kind, warnings), values, unit)
    if not np.isfinite(values).all():
        raise UnreadableFile(path, f"the axis of block {first.name!r} has values that are not known",
                             where=f"block at line {first.line}")
    conditions = _conditions(head, group, live)
    if kind == "XPS" and "kinetic" in axis.name and "photon_energy_eV" not in conditions:
        warnings.append("the file does not state the photon energy, so binding energies are not known; give technique 'xps' "
                        "and the condition photon_energy_eV")
    if axis.size < 2:
        warnings.append("one point only")
    if contradicting := [block.name for block in group if not _extremes_agree(block, columns[0][0])]:
        warnings.append(f"the ordinates do not reach the extremes that the file states for {', '.join(contradicting[:3])}: "
                        "a number may be damaged")
    return Signal(_title(first), (*leading, axis), fields, path, _metadata(head, group), conditions, kind, tuple(warnings))


def _extremes_agree(block: Block, column: int) -> bool:
    """Whether minimum and maximum are those that the block states; CasaXPS leaves 0 and 1 there."""
    lowest, highest = block.extremes[column]
    values = block.ordinates[:, column]
    if lowest is None or highest is None or (lowest, highest) in ((0.0, 1.0), (0.0, 0.0)) or np.isnan(values).any():
        return True
    return bool(np.allclose([lowest, highest], [values.min(), values.max()], rtol=1e-4, atol=1e-6))


def _map_signal(path: Path, head: Header, block: Block) -> Signal:
    """A block whose ordinates are a map; positions run along the linescans."""
    items = block.items
    corners = [items.get(name) for name in LINESCANS]
    points = block.ordinates.shape[0]
    warnings: list[str] = []
    axes: tuple[Axis, ...] = (Axis("position", np.arange(points, dtype=np.float64), "1"),)
    if all(isinstance(c, float) for c in corners):
        start_x, start_y, finish_x, _, _, last_y = (float(c or 0) for c in corners)
        columns, rows = int(abs(finish_x - start_x)) + 1, int(abs(last_y - start_y)) + 1
        if columns * rows == points:
            axes = tuple(_map_axis(name, start, end, items.get(f"field_of_view_{name}"), size) for name, start, end, size in (
                ("y", start_y, last_y, rows), ("x", start_x, finish_x, columns)))
    if len(axes) == 1:
        warnings.append("the linescan coordinates do not say the shape of the map: its points are kept as positions")
    shape = tuple(axis.size for axis in axes)
    ordinates = block.ordinates.reshape(*shape, -1)
    fields = _fields(block, list(enumerate(block.columns)), ordinates, _live_time([block], ()), warnings)
    return Signal(_title(block), axes, fields, path, _metadata(head, [block]), _conditions(head, [block], np.array(math.nan)),
                  "image" if block.technique == "XPS" else block.technique, tuple(warnings))


def _map_axis(name: str, start: float, end: float, field_of_view: float | None, size: int) -> Axis:
    """Coordinates count pixels from 1; the field of view (um) spans the frame, of which the map may be a part.

    The frame's size in pixels is not in the block, so the pixel is only known where the map fills the frame from 1 on.
    """
    step = 1.0 if end >= start else -1.0
    pixels = start + step * np.arange(size)
    if field_of_view and min(start, end) == 1.0:
        return Axis(name, (pixels - 1) * field_of_view / size, "um")
    return Axis(name, pixels)


def _live_time(group: Sequence[Block], shape: tuple[int, ...]) -> Floats:
    """Seconds of counting per point of each block, () or the shape of the leading axes; NaN where unknown."""
    seconds = [(b.items.get("collection_time") or math.nan) * (b.items.get("scans") or math.nan) for b in group]
    return np.array(seconds, dtype=np.float64).reshape(shape)


def _with_varying_live_time(leading: tuple[Axis, ...], group: Sequence[Block], live: Floats) -> tuple[Axis, ...]:
    """Per-level facts that differ between levels stand beside the level."""
    if len(leading) != 1:
        return leading
    also = dict(leading[0].also)
    if np.isfinite(live).all() and np.ptp(live) > 0:
        also["dwell_time"] = (live, "s")
    moments = [_acquired(block) for block in group]
    if all(moments) and len(set(moments)) > 1:
        start = datetime.fromisoformat(str(moments[0]))
        also["elapsed"] = (np.array([(datetime.fromisoformat(str(m)) - start).total_seconds() for m in moments]), "s")
    return (replace(leading[0], also=also),)


def _fields(block: Block, columns: Sequence[tuple[int, tuple[str, str]]], ordinates: Floats, live: Floats,
            warnings: list[str]) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    for rank, (index, (label, unit)) in enumerate(columns):
        values = np.ascontiguousarray(ordinates[..., index])
        if rank == 0:
            fields |= _intensity(block, label, unit, values, live, warnings)
            continue
        name = "transmission" if "transmission" in label.lower() else _slug(label) or f"ordinate_{index}"
        while name in fields:
            name += "_2"
        fields[name] = Field(values, _plain_unit(unit))
    return fields


def _intensity(block: Block, label: str, unit: str, values: Floats, live: Floats, warnings: list[str]) -> dict[str, Field]:
    seconds = live[..., None] if live.ndim else live
    timed = bool(np.isfinite(live).all() and (live > 0).all())
    if np.isnan(values).any():
        warnings.append(f"{int(np.isnan(values).sum())} ordinates are not known (1e37)")
    levels = values.reshape(-1, values.shape[-1]) if values.ndim > 1 and live.ndim else values.reshape(1, -1)
    zero = int((levels == 0).all(axis=-1).sum())
    if zero:
        warnings.append(f"all ordinates are zero{f' in {zero} of {len(levels)} blocks' if len(levels) > 1 else ''}: "
                        "the scan may have been aborted")
    rate = unit.lower().strip() in RATE_UNITS or any(word in label.lower() for word in ("cps", "counts/s", "counts per"))
    if rate:
        fields, how = counts_behind(values, seconds)
        warnings.append(how)
        return fields
    counted = unit.lower().strip() in COUNT_UNITS and "analog" not in str(block.items.get("signal_mode", "")).lower()
    if not counted:
        return {"intensity": Field(values, "arbitrary")}
    if not np.array_equal(values, np.rint(values), equal_nan=True):
        warnings.append("counts are not whole numbers: summed, corrected or scaled before they were saved, so Poisson "
                        "statistics hold only roughly")
    fields = {"intensity": Field(values, "count")}
    if timed:
        fields["count_rate"] = Field(values / seconds, "count/s")
    return fields


def _axis_name(label: str, unit: str, kind: str, warnings: list[str]) -> str:
    words = label.lower()
    if "binding" in words or words in ("be", "b.e."):
        return "binding energy"
    if "kinetic" in words or words in ("ke", "k.e."):
        return "kinetic energy"
    if kind == "XPS" and unit.strip().lower() == "ev":
        warnings.append(f"the axis {label!r} does not say kinetic or binding energy; say technique 'xps' if it is binding")
    return words


def _conditions(head: Header, group: Sequence[Block], live: Floats) -> dict[str, Any]:
    first, items = group[0], group[0].items
    found: dict[str, Any] = {}
    if (energy := items.get("source_energy")) and energy > 0:
        found["photon_energy_eV"] = energy
    if str(items.get("analyser_mode", "")).upper() in ("FAT", "CAE") and (energy := items.get("pass_energy_or_retard_ratio")):
        found["pass_energy_eV"] = energy
    if (function := items.get("work_function")) is not None and first.technique in ELECTRON_TECHNIQUES:
        found["work_function_eV"] = function
    if (angle := _emission_angle(items)) is not None:
        found["emission_angle_deg"] = angle
    if live.size and np.isfinite(live).all() and np.ptp(live) == 0:
        found["dwell_time_s"] = float(live.flat[0])
    found["species"] = _title(first)
    if acquired := _acquired(first):
        found["acquired"] = acquired
    for (label, _), value in zip(head.variables, first.variables, strict=True):
        place = re.fullmatch(r"position\s*_?([xy])\s*\[mm\]", label.strip(), flags=re.IGNORECASE)
        if place and value is not None and len(group) == 1:
            found[f"stage_{place[1].lower()}_nm"] = value * 1e6
    return found


def _emission_angle(items: dict[str, Any]) -> float | None:
    """Angle between analyser axis and surface normal; both are given by polar angle and azimuth in the frame of the stage."""
    polar, azimuth = items.get("take_off_polar_angle"), items.get("take_off_azimuth")
    tilt, tilt_azimuth = items.get("tilt_polar_angle"), items.get("tilt_azimuth")
    if polar is None or tilt is None or (tilt and polar and (azimuth is None or tilt_azimuth is None)):
        return None
    turn = math.radians((azimuth or 0.0) - (tilt_azimuth or 0.0))
    a, b = math.radians(polar), math.radians(tilt)
    cosine = math.cos(a) * math.cos(b) + math.sin(a) * math.sin(b) * math.cos(turn)
    return round(math.degrees(math.acos(max(-1.0, min(1.0, cosine)))), 3)


def _acquired(block: Block) -> str:
    """ISO 8601, with as much of date, time and zone as the block knows."""
    parts = [block.items.get(name) for name in ("year", "month", "day", "hour", "minute", "second")]
    ahead = block.items.get("hours_ahead_of_gmt")
    whole = [int(p) if p is not None and p >= 0 else None for p in parts]
    try:
        if any(p is None for p in whole[:3]):
            return ""
        year, month, day = (int(p or 0) for p in whole[:3])
        if any(p is None for p in whole[3:]):
            return datetime(year, month, day).date().isoformat()
        zone = timezone(timedelta(hours=ahead)) if ahead is not None and abs(ahead) <= 14 else None
        hour, minute, second = (int(p or 0) for p in whole[3:])
        return datetime(year, month, day, hour, minute, second, tzinfo=zone).isoformat()
    except (ValueError, OverflowError):
        return ""


def _title(block: Block) -> str:
    species, transition = str(block.items.get("species", "")), str(block.items.get("transition", ""))
    vague = species.strip(" -").lower() in ("", "none", "not specified", "not known")
    return block.name if vague else f"{species} {transition}".strip()


def _metadata(head: Header, group: Sequence[Block]) -> dict[str, Any]:
    first = group[0]
    experiment = {"institution": head.institution, "instrument": head.instrument, "operator": head.operator,
                  "experiment": head.experiment, "mode": head.mode, "scan": head.scan, "comments": head.comments,
                  "upgrade": head.upgrade}
    block = {**first.items, "identifier": first.name, "sample": first.sample, "comments": first.comments,
             "upgrade": first.upgrade, "ordinates": [list(column) for column in first.columns],
             "parameters": {label: value if unit.strip().lower() in ("d", "") else f"{value} {unit}"
                            for label, unit, value in first.parameters},
             "variables": {label: value for (label, _), value in zip(head.variables, first.variables, strict=True)}}
    found: dict[str, Any] = {"experiment": {k: v for k, v in experiment.items() if v not in ("", [])},
                             "block": {k: v for k, v in block.items() if v not in ("", [], {}, None)}}
    if len(group) > 1:
        found["blocks"] = [b.name for b in group]
    if notes := casaxps_notes([line for b in group for line in b.comments]):
        found["casaxps"] = notes
    return found


def _plain_unit(unit: str) -> str:
    """`d` is the standard's word for "dimensionless"."""
    return "1" if unit.strip().lower() in ("d", "") else unit.strip()


def _slug(label: str) -> str:
    """A label as a variable name: "Etch Time [s]" is etch_time."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"\[.*?\]", "", label.lower())).strip("_")


def recognises(head: bytes, path: Path) -> bool:
    """By the title line, which Kratos puts after blank lines; `.vms` is also a virtual slide format and an INI type."""
    del path
    return head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n \t\0")[:46].lower() == TITLE[:46].lower().encode()


def example(folder: Path) -> Path:
    """A small F 1s region by hand: 20 eV in steps of 0.5 eV, two ordinates."""
    counts = [200 + round(800 * math.exp(-((685.0 - (695.0 - 0.5 * i)) / 0.8) ** 2)) for i in range(41)]
    block = ["F 1s", "example", "2026", "1", "2", "3", "4", "5", "0", "0", "XPS", "Al", "1486.6", "100", "1e+37", "1e+37",
             "54.7", "0", "FAT", "20", "1", "4.5", "0", "1e+37", "1e+37", "0", "0", "F", "1s", "-1", "Kinetic Energy", "eV",
             "791.6", "0.5", "2", "counts", "d", "transmission", "d", "pulse counting", "0.1", "5", "0", "0", "0", "0", "0"]
    ordinates = [text for count in counts for text in (str(count), "1")]
    head = [TITLE, "example", "example", "example", "example", "0", "NORM", "REGULAR", "1", "0", "0", "0", "0", "0", "1"]
    lines = [*head, *block, str(len(ordinates)), str(min(counts)), str(max(counts)), "1", "1", *ordinates, "end of experiment"]
    path = folder / "example.vms"
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode())
    return path


VAMAS = Format(name="vamas", suffixes=frozenset({".vms", ".npl"}), recognises=recognises, read=read, version="1",
               example=example)
