"""NeaSPEC near-field spectra and interferograms as text: the old table (.nea) and the present one (.txt).

There is no published specification; read off an old file, beside what pySNOM and orange-spectroscopy know of the present ones.

Old: "Row Column Run Channel" and then the points of that channel, one line each. Present: comment lines ("# www.neaspec.com",
"# Scan Area (X, Y, Z):", a unit, numbers, ...), then a table of columns: Row, Column, perhaps Run, then Omega, Depth or
Index, which number the points, and the channels. Channels O0A, O0P, O1A ... are amplitude and phase of the optical signal,
demodulated at the harmonics of the tip; M is the position of the interferometer's mirror in m, Z the height, Wavenumber the
axis of a spectrum.

How it is read here
- Harmonics become the axis `harmonic`, amplitude and phase two variables over it; runs, rows and columns are axes where there
  are several. Rows and columns are in um where the file gives the scan area, else pixels.
- With Wavenumber it is a spectrum; with M an interferogram against twice M, averaged over runs, the path difference. Each run
  has its own M, by up to half a micrometre; those, Z and all other columns come as a signal of their own.
- Mechanical amplitudes and phases (M0A, ...) are a third signal.
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.last_line import cut_within
from datasets.formats.signal import Axis, Field, Format, Signal

Floats = NDArray[np.float64]
PLACES = ("Row", "Column", "Run")
COUNTERS = ("Omega", "Depth", "Index")
CHANNEL = re.compile(r"([OM])(\d+)([AP])")
OLD_HEAD = b"Row\tColumn\tRun\tChannel"


def read(path: Path) -> tuple[Signal, ...]:
    """Optical signals first, then what else was recorded.

    Raises
    ------
    UnreadableFile
        Naming the line that is damaged or the places that are missing.
    """
    text = path.read_bytes().decode("utf-8-sig", errors="replace")
    lines = text.splitlines()
    notes = _notes(lines)
    body = [(i, line) for i, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if not body:
        raise UnreadableFile(path, "holds a head and no table", todo="the file may be truncated")
    names = [cell.strip() for cell in body[0][1].split("\t")]
    old = names[:4] == ["Row", "Column", "Run", "Channel"]
    if old:
        return _signals(path, *_old_table(path, body[1:]), notes, tuple(cut_within(text)))
    places, channels, lost = _table(path, names, body[1:])
    remarks = cut_within(text)
    if lost:
        remarks.append(f"{lost} rows without a place are left out")
    declared, held = _declared(notes), len(places) * next(iter(channels.values())).shape[1] if channels else 0
    if declared and held % declared:  # several runs may repeat the grid
        remarks.append(f"declares {declared} points and holds {held}: the file may be cut off")
    return _signals(path, places, channels, notes, tuple(remarks))


def _notes(lines: Sequence[str]) -> dict[str, list[str]]:
    found = {}
    for line in lines:
        if line.startswith("#") and ":" in line:
            cells = [cell.strip() for cell in line.lstrip("# ").split("\t")]
            found[cells[0].rstrip(":").strip()] = [cell for cell in cells[1:] if cell]
    return found


def _declared(notes: dict[str, list[str]]) -> int:
    """Places times points that the head states ("Pixel Area (X, Y, Z): [px] 2 1 41"); 0 where it does not."""
    area = next((values for key, values in notes.items() if key.startswith("Pixel Area")), [])
    sizes = [int(size) for size in (text.replace(",", "") for text in area) if size.isdigit()]
    return math.prod(sizes) if len(sizes) == 3 else 0


def _old_table(path: Path, body: Sequence[tuple[int, str]]) -> tuple[Floats, dict[str, Floats]]:
    """Places (place, 3), and each channel (place, point)."""
    rows: dict[str, dict[tuple[float, ...], list[float]]] = {}
    for number, line in body:
        cells = [cell for cell in line.split("\t") if cell.strip()]
        try:
            place, values = tuple(float(cell) for cell in cells[:3]), [float(cell) for cell in cells[4:]]
        except ValueError:
            raise UnreadableFile(path, f"expected numbers, found {line[:40]!r}", where=f"line {number}") from None
        if len(cells) < 5:
            raise UnreadableFile(path, f"expected a place, a channel and its points, found {line[:40]!r}",
                                 where=f"line {number}", todo="the file may be truncated")
        rows.setdefault(cells[3].strip(), {})[place] = values
    if not rows:
        raise UnreadableFile(path, "holds no channel", todo="the file may be truncated")
    places = sorted(next(iter(rows.values())))
    sizes = {len(values) for found in rows.values() for values in found.values()}
    if len(sizes) > 1 or any(sorted(found) != places for found in rows.values()):
        raise UnreadableFile(path, "its channels have different places or numbers of points", todo="the file may be truncated")
    return np.array(places), {name: np.array([found[p] for p in places]) for name, found in rows.items()}


def _table(path: Path, names: list[str], body: Sequence[tuple[int, str]]) -> tuple[Floats, dict[str, Floats], int]:
    """As above, and the number of rows that say no place, which the program writes at times."""
    width = len(names) - (names[-1] == "")
    rows, lost = [], 0
    for number, line in body:
        cells = line.rstrip("\r\n").split("\t")[:width]
        if len(cells) == width and not all(re.fullmatch(r"\s*\d+(?:\.0*)?\s*", cell) for cell in cells[:2]):
            lost += 1
            continue
        try:
            rows.append([float(cell) if cell.strip() else np.nan for cell in cells])
        except ValueError:
            raise UnreadableFile(path, f"expected numbers, found {line[:40]!r}", where=f"line {number}") from None
        if len(cells) != width:
            raise UnreadableFile(path, f"{len(cells)} columns, expected {width}", where=f"line {number}",
                                 todo="the file may be truncated")
    if not rows:
        raise UnreadableFile(path, "holds no row that says its place", todo="the file may be truncated")
    table = dict(zip(names, np.array(rows).T, strict=False))
    missing = [name for name in PLACES[:2] if name not in table]
    if missing:
        raise UnreadableFile(path, f"has no column {' or '.join(missing)}")
    place = np.stack([table.get(name, np.zeros(len(rows))) for name in PLACES], axis=1)
    unique, of = np.unique(place, axis=0, return_inverse=True)
    points, rest = divmod(len(place), len(unique))
    if rest or np.isnan(place).any() or (np.bincount(of.ravel(), minlength=len(unique)) != points).any():
        raise UnreadableFile(path, f"{len(place)} rows are no equal numbers of points at {len(unique)} places",
                             todo="the file may be truncated")
    counter = next((table[name] for name in COUNTERS if name in table), np.arange(len(place), dtype=np.float64))
    order = np.lexsort((counter, of.ravel()))
    channels = {name: values[order].reshape(len(unique), points) for name, values in table.items()
                if name and name not in (*PLACES, *COUNTERS)}
    return unique, channels, lost


def _signals(path: Path, places: Floats, channels: Mapping[str, Floats], notes: dict[str, list[str]],
             warnings: tuple[str, ...]) -> tuple[Signal, ...]:
    leading = _leading(path, places, notes)
    axis, kind, taken = _axis(path, channels)
    metadata: dict[str, Any] = {"notes": {key: " ".join(values)[:200] for key, values in notes.items()}}
    conditions = {"acquired": when} if (when := _acquired(notes)) else {}
    signals = []
    for letter, title in (("O", "near field"), ("M", "tip")):
        found = {(int(m[2]), m[3]): values for name, values in channels.items()
                 if (m := CHANNEL.fullmatch(name)) and m[1] == letter}
        for harmonics, letters in _groups(found):
            harmonic = Axis("harmonic", np.array(harmonics, dtype=np.float64), "1")
            shape = (len(harmonics), *(a.size for a in leading), axis.size)
            fields = {{"A": "near_field_amplitude", "P": "near_field_phase"}[part]: Field(
                np.stack([found[h, part] for h in harmonics]).reshape(shape), {"A": "arbitrary", "P": "rad"}[part])
                for part in letters}
            signals.append(Signal(f"{path.stem}, {title}", (harmonic, *leading, axis), fields, path, metadata, conditions,
                                  kind if letter == "O" else "", warnings))
    others = {name: values for name, values in channels.items() if not CHANNEL.fullmatch(name) and name not in taken}
    if others:
        fields = {name: Field(values.reshape(*(a.size for a in leading), axis.size), "m" if name in ("M", "Z") else "arbitrary")
                  for name, values in others.items()}
        signals.append(Signal(f"{path.stem}, beside", (*leading, axis), fields, path, metadata, conditions, "", warnings))
    if not signals:
        raise UnreadableFile(path, "holds no channel")
    return tuple(signals)


def _acquired(notes: dict[str, list[str]]) -> str:
    """ISO 8601; months come first, as in "05/19/2024 16:59:10"."""
    for text in notes.get("Date", []):
        try:
            return datetime.strptime(text, "%m/%d/%Y %H:%M:%S").isoformat()
        except ValueError:
            continue
    return ""


def _groups(found: Mapping[tuple[int, str], Floats]) -> list[tuple[list[int], str]]:
    """Harmonics that have both amplitude and phase, then those that have one of them."""
    numbers = sorted({number for number, _ in found})
    have = {n: "".join(part for part in "AP" if (n, part) in found) for n in numbers}
    return [([n for n in numbers if have[n] == parts], parts) for parts in ("AP", "A", "P") if parts in have.values()]


def _leading(path: Path, places: Floats, notes: dict[str, list[str]]) -> tuple[Axis, ...]:
    """Rows, columns and runs, of which there are several; places are sorted by row, column, run."""
    levels = [np.unique(places[:, i]) for i in range(3)]
    if len(places) != levels[0].size * levels[1].size * levels[2].size:
        raise UnreadableFile(path, f"{len(places)} places are no grid of {' x '.join(str(level.size) for level in levels)}",
                             todo="the file may be truncated")
    area = next((values for key, values in notes.items() if key.startswith("Scan Area")), [])
    numbers = [float(n.replace(",", "")) for n in area if re.fullmatch(r"[\d.,]+", n)]
    unit = next((u for u in area if "m]" in u), "").strip("[]")
    axes = []
    for name, level, which in (("y", levels[0], 1), ("x", levels[1], 0)):
        if level.size > 1:
            known = unit and which < len(numbers) and numbers[which] > 0
            axes.append(Axis(name, level * numbers[which] / level.size if known else level, unit if known else ""))
    if levels[2].size > 1:
        axes.append(Axis("spectrum", levels[2], "1"))
    return tuple(axes)


def _axis(path: Path, channels: Mapping[str, Floats]) -> tuple[Axis, str, tuple[str, ...]]:
    size = next(iter(channels.values())).shape[1]
    for name, label, unit in (("Wavenumber", "wavenumber", "1/cm"), ("Wavelength", "wavelength", "um")):
        if name in channels:
            if not np.isfinite(channels[name]).all() or not np.allclose(channels[name], channels[name][0]):
                raise UnreadableFile(path, f"the places have different axes of {label}")
            return Axis(label, channels[name][0], unit), "nano-FTIR", (name,)
    mirror = channels.get("M")
    if mirror is not None and np.isfinite(mirror).all() and np.ptp(mirror) > 0:
        mean = mirror.mean(axis=0)
        axis = Axis("optical path difference", 2 * mean, "m", {"mirror_position": (mean * 1e6, "um")})
        return axis, "nano-FTIR interferogram", ()
    return Axis("point", np.arange(size, dtype=np.float64), "1"), "", ()


def recognises(head: bytes, path: Path) -> bool:
    """The head of the old table, or NeaSPEC's comment and the names of its first columns."""
    del path
    start = head.removeprefix(b"\xef\xbb\xbf")
    if start.startswith((OLD_HEAD, b"# www.neaspec.com")):
        return True
    return start.startswith(b"#") and re.search(rb"^Row\tColumn\t", start, flags=re.MULTILINE) is not None


def example(folder: Path) -> Path:
    """A spectrum of two harmonics at two places of a row."""
    wavenumber = np.linspace(1400.0, 1480.0, 41)
    band = np.exp(-((wavenumber - 1440) / 15) ** 2)
    lines = ["# www.neaspec.com", "# Date:\t \t01/31/2026 03:04:05", "# Scan Area (X, Y, Z):\t[µm]\t2.0\t0.0\t0.0",
             "# Pixel Area (X, Y, Z):\t[px]\t2\t1\t41", "Row\tColumn\tOmega\tWavenumber\tO2A\tO2P\tO3A\tO3P\t"]
    lines += [f"0\t{column}\t{i}\t{w:.6f}\t{(column + 1) * 2 * b:.6f}\t{b:.6f}\t{(column + 1) * b:.6f}\t{b / 2:.6f}\t"
              for column in (0, 1) for i, (w, b) in enumerate(zip(wavenumber, band, strict=True))]
    path = folder / "example.txt"
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


NEASPEC = Format(name="neaspec", suffixes=frozenset({".nea", ".txt"}), recognises=recognises, read=read, version="1", text=True,
                 example=example)
