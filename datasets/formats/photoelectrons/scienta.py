"""Scienta Omicron SES spectra: text (.txt) and Igor binary waves (.ibw).

There is no published specification; read off files of SES 1.2.5 and 1.3.1 and held against pynxtools-xps and igor2.

Text. "[Info]" (Number of Regions, Version), then for each region n "[Region n]" (name; name, size and values of each
dimension), "[Info n]" (Pass Energy, Excitation Energy, Energy Scale, Number of Sweeps, Step Time in ms, ...), "[Run Mode
Information n]" and "[Data n]": a row for each energy, the energy first, then one column for each value of dimension 2. A
third dimension has blocks "[Data n:1]", "[Data n:2]", ...

Igor. The wave's note is the same text from "[SES]" on, its units name the axis ("Binding Energy [eV]"), or are "eV" alone, when
Energy Scale says which energy it is. Waves without [SES] in their note are other instruments'.

Intensities are what the detector's camera sums up, scaled in ways that the file does not say (mode ADC; deglitched): arbitrary,
unless they are whole, which pulse counting gives. The excitation energy is the operator's and may be that of another lamp.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.dates import acquired
from datasets.formats.igor_wave import is_wave, read_wave
from datasets.formats.signal import Axis, Field, Format, Signal

Floats = NDArray[np.float64]

SECTION = re.compile(r"\[(Info|Region|Data|[A-Za-z ]+?)(?: (\d+)(?::(\d+))?)?\]\s*$")


@dataclass
class _Region:
    """Settings of one region and its numbers, one list of rows for each value of a third dimension."""

    settings: dict[str, str] = field(default_factory=dict)
    blocks: dict[int, list[list[float]]] = field(default_factory=dict)
    line: int = 0


def read_text(path: Path) -> tuple[Signal, ...]:
    """Every region of a text file.

    Raises
    ------
    UnreadableFile
        Naming the line or region and what is wrong there.
    """
    lines = path.read_bytes().decode("utf-8-sig", errors="replace").splitlines()
    header: dict[str, str] = {}
    regions: dict[int, _Region] = {}
    section, region, block = "", None, 0
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if match := SECTION.match(line):
            section = match[1]
            region = regions.setdefault(int(match[2]), _Region(line=number)) if match[2] else None
            block = int(match[3] or 1)
        elif section == "Data" and region is not None and line:
            try:
                region.blocks.setdefault(block, []).append([float(word) for word in line.split()])
            except ValueError:
                raise UnreadableFile(path, f"expected numbers, found {line[:40]!r}", where=f"line {number}") from None
        elif "=" in line:
            key, _, value = line.partition("=")
            (region.settings if region is not None else header)[key.strip()] = value.strip()
    declared = header.get("Number of Regions", "")
    if declared.isdigit() and int(declared) != len(regions):
        raise UnreadableFile(path, f"declares {declared} regions and holds {len(regions)}", todo="the file may be truncated")
    if not regions:
        raise UnreadableFile(path, "holds no region", todo="the file may be truncated")
    return tuple(_text_signal(path, header, number, region) for number, region in regions.items())


def _text_signal(path: Path, header: dict[str, str], number: int, region: _Region) -> Signal:
    where = f"region {number}, line {region.line}"
    tables = [np.array(rows) if len({len(row) for row in rows}) == 1 else None for rows in region.blocks.values()]
    whole = [table for table in tables if table is not None]
    if not whole or len(whole) < len(tables) or len({table.shape for table in whole}) > 1 or whole[0].shape[1] < 2:
        raise UnreadableFile(path, "its rows of data are of different lengths" if tables else "has no data", where=where,
                             todo="the file may be truncated")
    energy, columns = whole[0][:, 0], np.stack([table[:, 1:] for table in whole])
    stated = _dimension(region.settings, 1)
    if stated is not None and stated.size != energy.size:
        raise UnreadableFile(path, f"declares {stated.size} energies and holds {energy.size}", where=where,
                             todo="the file may be truncated")
    axes = []
    if columns.shape[0] > 1:
        axes.append(_extra_axis(region.settings, 3, columns.shape[0]))
    if columns.shape[2] > 1:
        axes.append(_extra_axis(region.settings, 2, columns.shape[2]))
    name = region.settings.get("Dimension 1 name", "")
    axes.append(Axis(_energy_name(name, region.settings), energy, "eV"))
    values = np.moveaxis(columns, 1, 2).reshape([axis.size for axis in axes])
    shown = {k: v for k, v in {**header, **region.settings}.items() if v and not re.fullmatch(r"Dimension \d scale", k)}
    return _finished(path, tuple(axes), values, region.settings, shown)


def _dimension(settings: dict[str, str], number: int) -> Floats | None:
    words = settings.get(f"Dimension {number} scale", "").split()
    try:
        return np.array([float(word) for word in words]) if words else None
    except ValueError:
        return None


def _extra_axis(settings: dict[str, str], number: int, size: int) -> Axis:
    """An angle, a place on the detector, or whatever was stepped through."""
    name = settings.get(f"Dimension {number} name", "")
    values = _dimension(settings, number)
    label, unit = _label(name)
    counted = "position" if number == 2 else "spectrum"
    if values is None or values.size != size:
        return Axis(counted, np.arange(size, dtype=np.float64), "1")
    also = {re.sub(r"\W+", "_", label.lower()) or "scale": (values, unit)}
    return Axis(counted, np.arange(size, dtype=np.float64), "1", also)


def _label(text: str) -> tuple[str, str]:
    match = re.fullmatch(r"(.*?)\s*\[(.*)\]", text.strip())
    return (match[1], match[2]) if match else (text.strip(), "")


def _energy_name(label: str, settings: dict[str, str]) -> str:
    for words in (label.lower(), settings.get("Energy Scale", "").lower()):
        for kind in ("binding", "kinetic"):
            if kind in words:
                return f"{kind} energy"
    return _label(label)[0].lower() or "energy"


def _finished(path: Path, axes: tuple[Axis, ...], values: Floats, settings: dict[str, str],
              shown: dict[str, Any]) -> Signal:
    if not np.isfinite(axes[-1].values).all():
        raise UnreadableFile(path, "its axis has values that are no numbers")
    pulses = settings.get("DetectorMode", "").lower().startswith("pulse")
    counted = pulses and np.array_equal(values, np.rint(values))
    warnings = () if counted else ("intensities have no stated unit: Poisson statistics are not to be had",)
    fields = {"intensity": Field(values, "count" if counted else "arbitrary")}
    title = settings.get("Region Name") or settings.get("Spectrum Name") or path.stem
    return Signal(title, axes, fields, path, shown, _conditions(settings, title), "XPS", warnings)


def _conditions(settings: dict[str, str], title: str) -> dict[str, Any]:
    found: dict[str, Any] = {"species": title}
    for key, name in (("Excitation Energy", "photon_energy_eV"), ("Pass Energy", "pass_energy_eV")):
        if (number := _number(settings.get(key, ""))) and number > 0:
            found[name] = number
    sweeps, step = _number(settings.get("Number of Sweeps", "")), _number(settings.get("Step Time", ""))
    if sweeps and step and sweeps > 0 and step > 0:
        found["dwell_time_s"] = sweeps * step / 1e3
    return found | acquired(f"{settings.get('Date', '')} {settings.get('Time', '')}", "%Y-%m-%d %H:%M:%S",
                            "%Y-%m-%d %I:%M:%S %p", "%m/%d/%Y %I:%M:%S %p", "%d.%m.%Y %H:%M:%S")


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?", text) else None


def read_igor(path: Path) -> tuple[Signal, ...]:
    """The spectrum, or the spectra over angle or position, of an Igor wave.

    Raises
    ------
    UnreadableFile
        If it is truncated, complex, or has no axis of energy.
    """
    wave = read_wave(path)
    settings = dict(line.partition("=")[::2] for line in wave.note.split("\n") if "=" in line)
    if wave.data.dtype.kind == "c":
        raise UnreadableFile(path, "holds complex numbers, which are no spectrum")
    # "Counts [a.u.]" is the unit of the data, "Binding Energy [eV]" that of the rows
    named = [_label(unit) if "[" in unit else ("", unit) for _, _, unit in wave.scales]
    axes = []
    for i, ((label, unit), (step, first, _), size) in enumerate(zip(named, wave.scales, wave.data.shape, strict=True)):
        values = first + step * np.arange(size)
        if i == 0:
            axes.append(Axis(_energy_name(label, settings), values, "eV"))
        elif size > 1:
            name = "position" if i == 1 else "spectrum"
            axes.append(Axis(name, np.arange(size, dtype=np.float64), "1",
                             {re.sub(r"\W+", "_", label.lower()).strip("_") or "scale": (values, unit or "1")}))
    data = wave.data.reshape([s for i, s in enumerate(wave.data.shape) if i == 0 or s > 1])
    values = np.ascontiguousarray(data.T, dtype=np.float64)
    shown = {k: v.strip() for k, v in settings.items() if v.strip()} | {"wave": wave.name, "data_unit": wave.data_unit}
    return (_finished(path, tuple(axes[::-1]), values, settings, shown),)


def recognises_text(head: bytes, path: Path) -> bool:
    """[Info] with a number of regions, then a region."""
    del path
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return start.startswith(b"[Info]") and b"Number of Regions=" in start


def recognises_igor(head: bytes, path: Path) -> bool:
    """A wave whose note begins with SES; the note stands behind the data, so the file is looked through."""
    if not is_wave(head):
        return False
    try:
        return b"[SES]" in path.read_bytes()
    except OSError:
        return False


def example_text(folder: Path) -> Path:
    """Two slices of a detector over a F 1s line."""
    energy = 695.0 - 0.5 * np.arange(41)
    counts = np.rint(200 + 800 * np.exp(-((energy - 685.0) / 0.8) ** 2))
    lines = ["[Info]", "Number of Regions=1", "Version=1.3.1", "", "[Region 1]", "Region Name=F 1s",
             "Dimension 1 name=Binding Energy [eV]", f"Dimension 1 size={energy.size}",
             "Dimension 1 scale=" + " ".join(f"{e:g}" for e in energy), "Dimension 2 name=Y-Scale [mm]", "Dimension 2 size=2",
             "Dimension 2 scale=-1 1", "", "[Info 1]", "Region Name=F 1s", "Pass Energy=50", "Number of Sweeps=2",
             "Excitation Energy=1486.6", "Energy Scale=Binding", "Step Time=250", "DetectorMode=Pulse Counting",
             "Date=2026-01-02", "Time=03:04:05", "", "[Data 1]",
             *(f" {e:g}  {c:g}  {c + 1:g}" for e, c in zip(energy, counts, strict=True)), ""]
    path = folder / "example.txt"
    path.write_text("\n".join(lines), encoding="ascii")
    return path


SCIENTA_TEXT = Format(name="scienta text", suffixes=frozenset({".txt"}), recognises=recognises_text, read=read_text,
                      version="1", text=True, example=example_text)
SCIENTA_IGOR = Format(name="scienta igor", suffixes=frozenset({".ibw"}), recognises=recognises_igor, read=read_igor,
                      version="1")
