"""Horiba LabSpec text exports (.txt): a Raman spectrum, or many in one table.

No specification; read off exports of LabSpec 5 and 6. Lines "#name=<tab>value" state how it was measured; AxisType[n] and
AxisUnit[n] say what the axes are, 0 the intensity, 1 the spectrum. A single spectrum has two columns. Many spectra have one
table: its first row holds the axis behind as many empty cells as each further row has coordinates before its intensities. One
coordinate is a time, a depth, or counts the points, as AxisType[2] says. Two are places, but no header says in which order:
they are kept under numbers and a warning says so. Decimal signs may be commas. The name of the sample may be anything.
"""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.signal import Axis, Field, Format, Signal

LINE = re.compile(r"#([^=]+)=\t?(.*)")
UNITS = {"1/cm": "1/cm", "cm-1": "1/cm", "nm": "nm", "eV": "eV", "s": "s", "µm": "um", "um": "um", "°C": "degC", "Cnt": "count",
         "Cnt/sec": "count/s", "cnt": "count"}
DATES = ("%d.%m.%Y %H:%M:%S", "%d/%m/%y %H:%M:%S", "%d.%m.%Y %H:%M", "%d/%m/%Y %H:%M:%S")
Header = dict[str, str]


def read(path: Path) -> tuple[Signal, ...]:
    """The spectra of the table.

    Raises
    ------
    UnreadableFile
        Naming the line that has another number of columns or is no numbers.
    """
    header, rows = _lines(path)
    first, *others = rows
    leading: tuple[Axis, ...] = ()
    remarks: list[str] = []
    coordinates = len(first[1]) - len([cell for cell in first[1] if cell])
    unit = UNITS.get(header.get("AxisUnit[1]", ""), "")
    if coordinates == 0 and len(first[1]) == 2:
        table = np.array([_numbers(path, number, cells, 2) for number, cells in rows])
        axis, values = table[:, 0], table[:, 1]
    elif coordinates in (1, 2) and others:
        axis = np.array(_numbers(path, first[0], first[1][coordinates:], len(first[1]) - coordinates))
        table = np.array([_numbers(path, number, cells, len(first[1])) for number, cells in others])
        values = table[:, coordinates:]
        lead, remarks = _leading(header, table[:, :coordinates])
        leading = (lead,)
    else:
        raise UnreadableFile(path, f"has a first row of {len(first[1])} columns, {coordinates} of them empty",
                             where=f"line {first[0]}")
    raman = unit == "1/cm"
    intensity = UNITS.get(header.get("AxisUnit[0]", ""), "arbitrary")
    name = "raman shift" if raman else "wavelength" if unit == "nm" else "x"
    return (Signal(header.get("Title") or path.stem, (*leading, Axis(name, axis, unit)),
                   {"intensity": Field(values, intensity)}, path, dict(header), _conditions(header), "Raman" if raman else "",
                   tuple(remarks)),)


def _lines(path: Path) -> tuple[Header, list[tuple[int, list[str]]]]:
    header: Header = {}
    rows = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        if match := LINE.match(line):
            header.setdefault(match[1].strip(), match[2].strip())
        elif line.strip():
            rows.append((number, line.rstrip("\r\n").split("\t")))
    if not rows:
        raise UnreadableFile(path, "has a header and no numbers", todo="the file is truncated")
    return header, rows


def _text(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _numbers(path: Path, number: int, cells: list[str], count: int) -> list[float]:
    while cells and not cells[-1].strip() and len(cells) > count:
        cells = cells[:-1]
    try:
        if len(cells) == count:
            return [float(cell.replace(",", ".")) for cell in cells]
    except ValueError:
        pass
    raise UnreadableFile(path, f"expected {count} numbers, found {' '.join(cells)[:50]!r}", where=f"line {number}",
                         todo="the file may be truncated")


def _leading(header: Header, columns: NDArray[np.float64]) -> tuple[Axis, list[str]]:
    kind, unit = (header.get(f"Axis{word}[2]", "") for word in ("Type", "Unit"))
    if columns.shape[1] == 1 and kind.lower().startswith("time"):
        return Axis("time", columns[:, 0], UNITS.get(unit, unit or "s")), []
    numbers = np.arange(len(columns), dtype=np.float64)
    if columns.shape[1] == 1:
        named = {} if np.array_equal(columns[:, 0], numbers + 1) else {
            re.sub(r"[^a-z0-9]+", "_", kind.lower()).strip("_") or "place": (columns[:, 0], UNITS.get(unit, unit))}
        return Axis("spectrum", numbers, "1", named), []
    places = {f"place_{i + 1}": (columns[:, i], UNITS.get(unit, unit)) for i in range(2)}
    return Axis("spectrum", numbers, "1", places), [
        "the file does not say which of its two places is x: they are place_1 and place_2"]


def _conditions(header: Header) -> dict[str, Any]:
    for text in (header.get("Acquired", ""), header.get("Date", "")):
        for form in DATES:
            try:
                return {"acquired": datetime.strptime(text, form).isoformat()}
            except ValueError:
                continue
    return {}


def recognises(head: bytes, path: Path) -> bool:
    """A header whose lines name LabSpec's settings."""
    del path
    return head.lstrip(b"\xef\xbb\xbf").startswith(b"#") and b"=\t" in head and (
        b"#AxisType[" in head or (b"#Grating=" in head and (b"#Laser" in head or b"#Exposition=" in head or b"#Acq" in head)))


def example(folder: Path) -> Path:
    """Two spectra in time, of a line at 1090 1/cm."""
    shift = np.arange(1000.0, 1200.0, 5.0)
    rows = ["\t" + "\t".join(f"{v:g}" for v in shift)]
    for time, height in ((0.0, 80.0), (2.5, 90.0)):
        rows.append(f"{time:g}\t" + "\t".join(f"{v:.4g}" for v in 10 + height * np.exp(-((shift - 1090) / 6) ** 2)))
    head = ["#Acq. time (s)=\t2", "#Accumulations=\t1", "#Laser (nm)=\t532", "#Grating=\t600 gr/mm", "#Title=\tcarbonate",
            "#Acquired=\t17.05.2023 11:16:52", "#AxisType[0]=Intens", "#AxisUnit[0]=Cnt", "#AxisType[1]=Spectr",
            "#AxisUnit[1]=1/cm", "#AxisType[2]=Time", "#AxisUnit[2]=s"]
    path = folder / "example.txt"
    path.write_text("\n".join([*head, *rows, ""]), encoding="utf-8")
    return path


LABSPEC = Format(name="labspec text", suffixes=frozenset({".txt"}), recognises=recognises, read=read, version="1", text=True,
                 example=example, uncounted=True)
