"""XAFS Data Interchange (.xdi): one X-ray absorption spectrum as text, with what its columns are.

Source: XDI specification 1.0 and its dictionary, github.com/XraySpectroscopy/XAS-Data-Interchange; not open here, written
from memory and held against the file that comes with xraylarch. Lines begin with #: the first states the version, "#
Family.name: value" is metadata, "# Column.N: name unit" names the columns, "# ///" begins a comment of the person, "# ---"
ends the header. Energies are in eV unless the column states keV; a column of angles needs `Mono.d_spacing`, E = hc / (2 d
sin(angle)).

Absorption is the first column that the dictionary calls one (`mutrans`, `mufluor`, `murefer`, `normtrans`, `normfluor`, `mu`,
`norm`); else it is ln(i0 / itrans), or ifluor / i0, which are the dictionary's definitions. All columns stand beside it.
"""

import re
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.signal import Axis, Field, Format, Signal

Floats = NDArray[np.float64]

HC_EV_ANGSTROM = 12398.419843320026
"""Exact in the SI of 2019: h c / e."""
LINE = re.compile(r"#\s*([A-Za-z]\w*)\.([^\s:]+)\s*:\s*(.*)")
ABSORPTION = ("mutrans", "mufluor", "mu", "xmu", "normtrans", "normfluor", "norm", "murefer", "normrefer")


def read(path: Path) -> tuple[Signal, ...]:
    """The spectrum with all columns.

    Raises
    ------
    UnreadableFile
        Naming the line that is no row of numbers, or the column that is missing.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    about: dict[str, str] = {}
    rows: list[list[float]] = []
    astray = 0
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            astray += bool(rows)
            if match := LINE.match(line):
                about[f"{match[1].lower()}.{match[2].lower()}"] = match[3].strip()
        elif line.strip():
            rows.append(_row(path, number, line, len(rows[0]) if rows else 0))
    if not rows:
        raise UnreadableFile(path, "holds no numbers", todo="the file may be truncated")
    table = np.array(rows)
    stated = [about.get(f"column.{i + 1}", f"column_{i + 1}").split() or [f"column_{i + 1}"] for i in range(table.shape[1])]
    columns = {words[0].lower(): (table[:, i], " ".join(words[1:])) for i, words in enumerate(stated)}
    energy, name = _energy(path, columns, about)
    values, how = _absorption(path, columns, name)
    fields = {"absorption": Field(values)} | {
        column: Field(data) for column, (data, _) in columns.items() if column not in (name, how, "absorption")}
    element, edge = about.get("element.symbol", ""), about.get("element.edge", "")
    title = " ".join(part for part in (about.get("sample.name", ""), element, edge) if part) or path.stem
    conditions = {"acquired": when} if (when := _moment(about.get("scan.start_time", ""))) else {}
    axis = Axis("photon_energy", energy, "eV")
    warnings = (f"{astray} lines of comment stand among the rows of numbers or below them",) if astray else ()
    return (Signal(title, (axis,), fields, path, {**about, "absorption": how}, conditions, "XAS", warnings),)


def _row(path: Path, number: int, line: str, count: int) -> list[float]:
    try:
        row = [float(cell) for cell in re.split(r"[\s,]+", line.strip()) if cell]
    except ValueError:
        row = []
    if len(row) < 2 or (count and len(row) != count):
        raise UnreadableFile(path, f"expected {count or 'at least 2'} numbers, found {line.strip()[:50]!r}",
                             where=f"line {number}", todo="the file may be truncated")
    return row


def _energy(path: Path, columns: dict[str, tuple[Floats, str]], about: dict[str, str]) -> tuple[Floats, str]:
    if "energy" in columns:
        values, unit = columns["energy"]
        return values * (1000.0 if unit.lower() == "kev" else 1.0), "energy"
    match = re.match(r"[\d.eE+-]+", about.get("mono.d_spacing", ""))
    if "angle" in columns and match and float(match[0]) > 0:
        values, unit = columns["angle"]
        angle = values if unit.lower().startswith("rad") else np.deg2rad(values)
        return HC_EV_ANGSTROM / (2 * float(match[0]) * np.sin(angle)), "angle"
    raise UnreadableFile(path, f"has no column of energies, but {', '.join(columns)}")


def _absorption(path: Path, columns: dict[str, tuple[Floats, str]], energy: str) -> tuple[Floats, str]:
    """The absorption, and the column or the formula that it is."""
    for name in ABSORPTION:
        if name in columns:
            return columns[name][0], name
    i0 = columns.get("i0", (np.empty(0), ""))[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        if i0.size and "itrans" in columns:
            return np.log(i0 / columns["itrans"][0]), "ln(i0 / itrans)"
        if i0.size and "ifluor" in columns:
            return columns["ifluor"][0] / i0, "ifluor / i0"
    other = next((name for name in columns if name != energy), None)
    if len(columns) == 2 and other is not None:
        return columns[other][0], other
    raise UnreadableFile(path, f"has no column of absorption, but {', '.join(columns)}")


def _moment(text: str) -> str:
    try:
        return datetime.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        return ""


def recognises(head: bytes, path: Path) -> bool:
    """By the version in the first line."""
    del path
    return re.match(rb"#\s*XDI/\d", head) is not None


def example(folder: Path) -> Path:
    """A step at 8333 eV, in transmission."""
    energy = 8300.0 + 5.0 * np.arange(20)
    rows = [f" {e:.1f} 1000.0 {1000 * np.exp(-0.1 - (e > 8333)):.4f}" for e in energy]
    head = ["# XDI/1.0 example", "# Column.1: energy eV", "# Column.2: i0", "# Column.3: itrans", "# Element.symbol: Ni",
            "# Element.edge: K", "# Mono.d_spacing: 3.13553", "# Scan.start_time: 2001-06-26T22:27:31",
            "# ///", "# a step", "#----"]
    path = folder / "example.xdi"
    path.write_text("\n".join([*head, *rows, ""]), encoding="ascii")
    return path


XDI = Format(name="xdi", suffixes=frozenset({".xdi"}), recognises=recognises, read=read, version="1", text=True,
             example=example,
             uncounted=True)
