"""SPECS analysers: text of Prodigy and SpecsLab (.xy), and SpecsLab's CORBA XML (.xml).

There is no published specification; both were read off files of Prodigy 4.100 and SpecsLab 2.81, beside pynxtools-xps.

Text. Comment lines (the prefix is the first word of the file, "#" by default) hold "Key: value": export settings, then for each
group and region its settings; "Cycle: c, Curve: v, Scan: s[, Channel: d]" begins a block of numbers, whose columns are
named by "ColumnLabels". Blocks of one region on one axis are stacked. Counts are taken back from rates where they are whole.

XML. `RegionGroup > RegionData > region, analyzer_info > detectors, cycles > scans > counts`. The n channeltrons of the detector
take turns in `counts` (fastest index). Each recorded mcd_head + values_per_curve + mcd_tail energies, of which number mcd_head
is `kinetic_energy`; channeltron d saw what lies shift_d x pass_energy above the nominal energy. `intensity` is the sum of the
channeltrons, each moved by the nearest whole step to where it looked; that uses head and tail to their ends exactly.
`channel_sum` is the sum without that move, as pynxtools-xps 0.6.3 gives it: on the survey of the test file it smears lines over
8 eV (there the axis is also 1 eV off, by a "+ 1" without a reason, and 0.04 % too wide a step).

Not understood: kinetic_energy_base (a warning where it is not 0); compact cycles, y_curves and xy_curves (a warning).
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.dates import date_of
from datasets.formats.photoelectrons.counting import RATE_UNITS, counts_behind
from datasets.formats.signal import Axis, Field, Format, Signal

Floats = NDArray[np.float64]

BLOCK = re.compile(r"Cycle:\s*(\d+)(?:,\s*Curve:\s*(\d+))?(?:,\s*Scan:\s*(\d+))?(?:,\s*Channel:\s*(\d+))?$")
FIRST_LINE = re.compile(rb"\s*(\S*?)\s*Created by:\s+SpecsLab")
TRANSMISSION_MODE = "FixedAnalyzerTransmission"


@dataclass
class _Block:
    """Numbers of one scan with the settings in force."""

    line: int
    settings: dict[str, str]
    place: tuple[int, ...]
    labels: tuple[str, ...]
    rows: list[list[float]] = field(default_factory=list)

    @property
    def region(self) -> tuple[str, str, str]:
        return tuple(self.settings.get(key, "") for key in ("Group", "Region", "Spectrum ID"))  # type: ignore[return-value]


def read_text(path: Path) -> tuple[Signal, ...]:
    """Every region, its cycles, curves, scans and channels stacked where their axes agree.

    Raises
    ------
    UnreadableFile
        Naming the line and what stands there.
    """
    text = path.read_bytes().decode("utf-8", errors="replace")
    blocks = _text_blocks(path, text)
    export = blocks[0].settings if blocks else {}
    stacks: dict[Any, list[_Block]] = defaultdict(list)
    for block in blocks:
        values = np.array(block.rows)
        stacks[(block.region, block.labels, values.shape, values[:, 0].tobytes())].append(block)
    if not stacks:
        raise UnreadableFile(path, "holds settings and no numbers", todo="the file may be truncated")
    shared = Counter(region for region, *_ in stacks)
    cut = OPEN_END * text.rstrip().splitlines()[-1].lstrip().startswith(_prefix(text))
    return tuple(_text_signal(path, export, stack, cut + PARTED * (shared[stack[0].region] > 1)) for stack in stacks.values())


def _prefix(text: str) -> str:
    """What comment lines begin with."""
    return (FIRST_LINE.match(text[:200].encode()) or [b"", b"#"])[1].decode() or "#"


def _text_blocks(path: Path, text: str) -> list[_Block]:
    prefix = _prefix(text)
    settings: dict[str, str] = {}
    blocks: list[_Block] = []
    place: tuple[int, ...] = (0, 0, 0, 0)
    labels: tuple[str, ...] = ()
    fresh = True
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line.startswith(prefix):
            fresh = True
            key, colon, value = (part.strip() for part in line.removeprefix(prefix).strip().partition(":"))
            if match := BLOCK.match(line.removeprefix(prefix).strip()):
                place = tuple(int(n or 0) for n in match.groups())
            elif key == "ColumnLabels":
                labels = tuple(value.split())
            elif colon:
                if key == "Group":
                    settings = {k: v for k, v in settings.items() if k in EXPORT}
                elif key == "Region":
                    settings = {k: v for k, v in settings.items() if k in (*EXPORT, "Group")}
                settings[key] = value
        elif line:
            try:
                numbers = [float(word) for word in re.split(r"[\s,;]+", line)]
            except ValueError:
                raise UnreadableFile(path, f"expected numbers, found {line[:40]!r}", where=f"line {number}") from None
            if fresh:
                blocks.append(_Block(number, dict(settings), place, labels))
                fresh = False
            if blocks[-1].rows and len(numbers) != len(blocks[-1].rows[0]):
                raise UnreadableFile(path, f"{len(numbers)} columns follow {len(blocks[-1].rows[0])}", where=f"line {number}",
                                     todo="the file may be truncated")
            blocks[-1].rows.append(numbers)
    return blocks


OPEN_END = ["the file ends with settings that have no numbers: it may be truncated"]
PARTED = ["scans of this region differ in their energies or columns: they are given apart"]
EXPORT = ("Energy Axis", "Count Rate", "Separate Scan Data", "Separate Channel Data", "Created by", "Time Zone Format")
"""Settings that hold for the whole file."""


def _text_signal(path: Path, export: dict[str, str], stack: list[_Block], warnings: list[str]) -> Signal:
    first = stack[0]
    settings = first.settings
    table = np.array([block.rows for block in stack])
    if table.shape[-1] < 2:
        raise UnreadableFile(path, "one column only: no spectrum", where=f"line {first.line}")
    declared = _number(settings, "Values/Curve")
    if declared is not None and declared != table.shape[1]:
        warnings.append(f"the file declares {declared:g} values and holds {table.shape[1]}: it may be truncated")
    leading, order = _leading([block.place for block in stack])
    table = table[order]
    shape = tuple(axis.size for axis in leading)
    names = first.labels if len(first.labels) == table.shape[-1] else ("energy", *("counts/s",), *(
        f"column_{i}" for i in range(2, table.shape[-1])))
    energy = table[0, :, 0]
    fields, how = _fields(names[1:], [table[..., i].reshape(*shape, energy.size) for i in range(1, table.shape[-1])],
                          _live_s(settings, export))
    if how:
        warnings.append(how)
    axis = _axis(export.get("Energy Axis", ""), names[0], energy)
    kind = settings.get("Analysis Method", "")
    metadata = {**{k: v for k, v in settings.items() if v}, **({"Curves": len(stack)} if len(stack) > 1 else {})}
    title = settings.get("Region") or path.stem
    return Signal(title, (*leading, axis), fields, path, metadata, _conditions(settings, title, _live_s(settings, export)),
                  "XPS" if "XPS" in kind.upper() else kind, tuple(warnings))


def _axis(scale: str, label: str, energy: Floats) -> Axis:
    words = scale.lower()
    name = "binding energy" if "binding" in words else "kinetic energy" if "kinetic" in words else label.replace("_", " ")
    return Axis(name, energy, "eV" if "energy" in name else "")


def _leading(places: list[tuple[int, ...]]) -> tuple[tuple[Axis, ...], list[int]]:
    """Axes over which blocks stack: cycles, then curves, scans and channels; a plain list where they fill no grid."""
    if len(places) == 1:
        return (), [0]
    levels = [sorted({place[i] for place in places}) for i in range(4)]
    order = sorted(range(len(places)), key=lambda i: places[i])
    names = ("cycle", "position", "spectrum", "channel")
    if len(set(places)) == len(places) == np.prod([len(level) for level in levels]):
        return tuple(Axis(name, np.array(level, dtype=np.float64), "1")
                     for name, level in zip(names, levels, strict=True) if len(level) > 1), order
    return (Axis("spectrum", np.arange(len(places), dtype=np.float64), "1"),), list(range(len(places)))


def _fields(labels: tuple[str, ...], columns: list[Floats], live_s: float) -> tuple[dict[str, Field], str]:
    fields: dict[str, Field] = {}
    how = ""
    for rank, (label, values) in enumerate(zip(labels, columns, strict=True)):
        if rank == 0 and label.lower() in RATE_UNITS:
            fields, how = counts_behind(values, live_s)
        elif rank == 0:
            fields["intensity"] = Field(values, "count" if label.lower().startswith("count") else "arbitrary")
        else:
            name = re.sub(r"\W+", "_", label.lower()).strip("_") or "column"
            name = "transmission" if "transmission" in name else name
            while name in fields:
                name += "_2"
            fields[name] = Field(values, "1" if name == "transmission" else "arbitrary")
    return fields, how


def _live_s(settings: dict[str, str], export: dict[str, str]) -> float:
    """Counting time per point of what one block holds."""
    dwell = _number(settings, "Dwell Time")
    scans = 1.0 if export.get("Separate Scan Data", "").lower() == "yes" else _number(settings, "Number of Scans")
    return dwell * scans if dwell and scans else float("nan")


def _number(settings: dict[str, str], key: str) -> float | None:
    try:
        return float(settings[key])
    except (KeyError, ValueError):
        return None


def _conditions(settings: dict[str, str], title: str, live_s: float) -> dict[str, Any]:
    found: dict[str, Any] = {"species": title}
    for key, name in (("Excitation Energy", "photon_energy_eV"), ("Eff. Workfunction", "work_function_eV")):
        if number := _number(settings, key):
            found[name] = number
    if settings.get("Scan Mode") == TRANSMISSION_MODE and (energy := _number(settings, "Pass Energy")):
        found["pass_energy_eV"] = energy
    if np.isfinite(live_s):
        found["dwell_time_s"] = live_s
    words = settings.get("Acquisition Date", "")
    moment = date_of(words.removesuffix(" UTC"), "%m/%d/%y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S")
    if moment is not None:
        found["acquired"] = (moment.replace(tzinfo=UTC) if words.endswith("UTC") else moment).isoformat()
    return found


def read_xml(path: Path) -> tuple[Signal, ...]:
    """Every region with its cycles and scans, the channeltrons aligned and summed.

    Raises
    ------
    UnreadableFile
        Naming what is missing or contradicts the rest of the file.
    """
    data = path.read_bytes()
    if b"<!ENTITY" in data:
        raise UnreadableFile(path, "defines XML entities, which no instrument does")
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise UnreadableFile(path, f"is no well-formed XML: {error}", todo="the file may be truncated") from error
    groups = [e for e in root.iter("struct") if e.get("type_name") == "RegionGroup"]
    signals = [_xml_signal(path, _text_of(group, "name"), region)
               for group in groups for region in group.iter("struct") if region.get("type_name") == "RegionData"]
    if not signals:
        raise UnreadableFile(path, "holds no region of an analyser")
    return tuple(signals)


def _xml_signal(path: Path, group: str, region: ElementTree.Element) -> Signal:
    title = _text_of(region, "name") or path.stem
    where = f"region {title!r}"
    definition, analyser = _child(path, region, "region", where), _child(path, region, "analyzer_info", where)
    numbers = {e.get("name", ""): _float(path, e, where) for e in definition if e.tag in ("double", "ulong")}
    head, tail = (int(_float(path, e, where)) for e in (_child(path, region, "mcd_head", where),
                                                        _child(path, region, "mcd_tail", where)))
    shifts = [_float(path, _child(path, d, "shift", where), where) for d in analyser.iter("struct")
              if d.get("type_name") == "Detector"] or [0.0]
    values, curves = int(numbers.get("values_per_curve", 0)), max(int(numbers.get("curves_per_scan", 1)), 1)
    warnings = []
    scans, warned = _scans(path, region, where)
    warnings += warned
    counts = np.array(scans)
    expected = curves * (head + values + tail) * len(shifts)
    if values < 1 or head < 0 or tail < 0 or counts.ndim != 2 or counts.shape[1] != expected:
        raise UnreadableFile(path, f"a scan holds {counts.shape[-1]} counts, expected {len(shifts)} channels x "
                             f"{curves * (head + values + tail)}", where=where)
    counts = counts.reshape(len(scans), curves, head + values + tail, len(shifts))
    mode = _text_of(_child(path, definition, "scan_mode", where), "name")
    step, energy = numbers.get("scan_delta", 0.0), numbers.get("pass_energy", 0.0)
    plain = counts[:, :, head:head + values].sum(axis=-1)
    total = plain
    if mode == TRANSMISSION_MODE and step > 0:
        moves = [round(shift * energy / step) for shift in shifts]
        if all(head - move >= 0 and head - move + values <= counts.shape[2] for move in moves):
            total = sum(counts[:, :, head - move:head - move + values, d] for d, move in enumerate(moves))
        else:
            warnings.append("the channels looked further away than the scan reaches: they are summed as they are")
    elif len(shifts) > 1:
        warnings.append(f"scan mode {mode}: the channels are summed without regard to the energies that they looked at")
    if numbers.get("kinetic_energy_base"):
        warnings.append(f"kinetic_energy_base is {numbers['kinetic_energy_base']:g} eV: not understood and not used")
    if not counts.any():
        warnings.append("all counts are zero: the scan may have been aborted")
    axis = (Axis("kinetic energy", numbers.get("kinetic_energy", np.nan) + step * np.arange(values), "eV") if step > 0
            else Axis("time", numbers.get("dwell_time", 1.0) * np.arange(values), "s"))
    leading = tuple(Axis(name, np.arange(size, dtype=np.float64), "1")
                    for name, size in (("spectrum", len(scans)), ("position", curves)) if size > 1)
    shape = (*(a.size for a in leading), values)
    live = numbers.get("dwell_time", float("nan"))
    fields = {"intensity": Field(np.asarray(total, dtype=np.float64).reshape(shape), "count")}
    if live > 0:
        fields["count_rate"] = Field(fields["intensity"].data / live, "count/s")
    else:
        warnings.append("the file does not say how long it counted: there is no rate")
    if len(shifts) > 1:
        fields["channel_sum"] = Field(plain.astype(np.float64).reshape(shape), "count")
    transmission = next((e for e in region if e.get("name") == "transmission"), None)
    through = _many(path, transmission, where) if transmission is not None else np.empty(0)
    if through.size == values:
        fields["transmission"] = Field(np.broadcast_to(through, shape).copy(), "1")
    settings = {"Excitation Energy": str(numbers.get("excitation_energy", "")), "Scan Mode": mode, "Pass Energy": str(energy),
                "Eff. Workfunction": str(numbers.get("effective_workfunction", ""))}
    conditions = _conditions(settings, title, live)
    if moment := next((e.text for e in region.iter("ulong") if e.get("name") == "time"), None):
        conditions["acquired"] = datetime.fromtimestamp(int(moment) % 2 ** 32, UTC).isoformat()
    metadata = {"group": group, "region": {e.get("name", ""): e.text or "" for e in definition if e.text and e.text.strip()},
                "detector_shifts": shifts, "mcd_head": head, "mcd_tail": tail, "scans": len(scans)}
    return Signal(title, (*leading, axis), fields, path, metadata, conditions,
                  "XPS" if _text_of(definition, "analysis_method").upper() == "XPS" else "", tuple(warnings))


def _scans(path: Path, region: ElementTree.Element, where: str) -> tuple[list[Floats], list[str]]:
    found, warnings = [], []
    for cycle in (e for e in region.iter("struct") if e.get("type_name") == "Cycle"):
        for sequence in cycle:
            if sequence.get("name") in ("y_curves", "xy_curves") and len(sequence):
                warnings.append(f"{sequence.get('name')} of a cycle are left out")
            if sequence.get("name") != "scans":
                continue
            scans = [_many(path, _child(path, scan, "counts", where), where) for scan in sequence]
            if sequence.get("length", "") not in ("", str(len(scans))):
                warnings.append(f"the file declares {sequence.get('length')} scans and holds {len(scans)}")
            found += scans
    if any(e.get("name") == "compact_cycles" and len(e) for e in region):
        warnings.append("compact cycles are left out")
    if not found or len({scan.size for scan in found}) > 1:
        raise UnreadableFile(path, "holds no scan" if not found else "its scans are of different lengths", where=where)
    return found, warnings


def _many(path: Path, element: ElementTree.Element, where: str) -> Floats:
    try:
        return np.array([float(word) for part in element for word in (part.text or "").split()], dtype=np.float64)
    except ValueError as error:
        raise UnreadableFile(path, f"{element.get('name')}: {error}", where=where) from None


def _child(path: Path, element: ElementTree.Element, name: str, where: str) -> ElementTree.Element:
    found = next((e for e in element if e.get("name") == name), None)
    if found is None:
        raise UnreadableFile(path, f"has no {name!r}", where=where)
    return found


def _text_of(element: ElementTree.Element, name: str) -> str:
    return next((e.text or "" for e in element if e.get("name") == name), "").strip()


def _float(path: Path, element: ElementTree.Element, where: str) -> float:
    try:
        return float(element.text or "")
    except ValueError:
        raise UnreadableFile(path, f"{element.get('name')} is {element.text!r}, no number", where=where) from None


def recognises_text(head: bytes, path: Path) -> bool:
    """By the first line."""
    del path
    return FIRST_LINE.match(head.removeprefix(b"\xef\xbb\xbf")) is not None


def recognises_xml(head: bytes, path: Path) -> bool:
    """XML of SPECS' serializer."""
    del path
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    return start.startswith(b"<?xml") and (b"XMLSerializer" in head or b"specs.de/Serializer" in head)


def example_text(folder: Path) -> Path:
    """Two scans of F 1s in counts per second."""
    energy = 695.0 - 0.5 * np.arange(41)
    lines = ["# Created by:        SpecsLab Prodigy, Version 4.100", "#   Energy Axis:  Binding Energy",
             "#   Separate Scan Data:  yes", "#", "# Group:  1 example", "#", "# Region:  F 1s", "# Analysis Method:  XPS",
             "# Scan Mode:  FixedAnalyzerTransmission", "# Values/Curve:  41", "# Dwell Time:  0.5",
             "# Excitation Energy:  1486.6", "# Pass Energy:  20", "# Eff. Workfunction:  4.5"]
    for scan in (0, 1):
        counts = np.rint(200 + 800 * np.exp(-((energy - 685.0) / 0.8) ** 2)) + scan
        lines += ["", f"# Cycle: 0, Curve: 0, Scan: {scan}", "# ColumnLabels:  energy counts/s", "#",
                  *(f"{e:g}  {c / 0.5:g}" for e, c in zip(energy, counts, strict=True))]
    path = folder / "example.xy"
    path.write_text("\n".join([*lines, ""]), encoding="ascii")
    return path


def example_xml(folder: Path) -> Path:
    """One scan by two channeltrons that look one step below and above: each saw the same line at its own place."""
    head, values, step, pass_energy = 1, 9, 0.5, 20.0
    line = np.array([0, 0, 0, 0, 4, 9, 4, 0, 0, 0, 0])
    counts = np.stack([np.roll(line, 1), np.roll(line, -1)], axis=-1).ravel()
    detectors = "".join(f'<struct type_name="Detector"><double name="shift">{s}</double></struct>'
                        for s in (-step / pass_energy, step / pass_energy))
    path = folder / "example.xml"
    path.write_text(f"""<?xml version="1.0"?>
<!-- CORBA XML document created by XMLSerializer2 1.6 -->
<any version="1.6"><sequence><struct type_name="RegionGroup"><string name="name">g</string><sequence name="regions">
<struct type_name="RegionData"><string name="name">F 1s</string><struct name="region" type_name="RegionDef">
<string name="analysis_method">XPS</string><struct name="scan_mode"><string name="name">{TRANSMISSION_MODE}</string></struct>
<ulong name="curves_per_scan">1</ulong><ulong name="values_per_curve">{values}</ulong><double name="dwell_time">0.5</double>
<double name="scan_delta">{step}</double><double name="excitation_energy">1486.6</double>
<double name="kinetic_energy">800</double><double name="pass_energy">{pass_energy}</double></struct>
<ulong name="mcd_head">{head}</ulong><ulong name="mcd_tail">1</ulong><struct name="analyzer_info"><sequence name="detectors">
{detectors}</sequence></struct><sequence name="cycles"><struct type_name="Cycle"><sequence length="1" name="scans">
<struct type_name="ScanData"><sequence name="counts"><ulong>{" ".join(map(str, counts))}</ulong></sequence></struct>
</sequence></struct></sequence></struct></sequence></struct></sequence></any>
""", encoding="ascii")
    return path


SPECS_TEXT = Format(name="specs xy", suffixes=frozenset({".xy"}), recognises=recognises_text, read=read_text, version="1",
                    text=True, example=example_text)
SPECS_XML = Format(name="specs xml", suffixes=frozenset({".xml"}), recognises=recognises_xml, read=read_xml, version="1",
                   text=True, example=example_xml)
