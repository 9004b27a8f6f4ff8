"""X-ray absorption spectra as bare columns of numbers: energy in eV, then absorption, as beamlines export.

Such a table says nothing of itself. It is taken for a spectrum only where its name does (xanes, nexafs, exafs, xas) and its
first column rises like the energy of photons; a warning says so. Lines that begin with # are a header and are kept.
"""

import re
from pathlib import Path

import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.last_line import cut_within
from datasets.formats.signal import Axis, Field, Format, Signal

IN_NAME = re.compile(r"(?:^|[^a-z])(xanes|nexafs|exafs|xas|xafs)(?![a-z])", re.IGNORECASE)
LOWEST_EV, HIGHEST_EV = 50.0, 200_000.0
SEPARATORS = re.compile(r"[,;\s]+")
FEWEST_POINTS = 3


def read(path: Path) -> tuple[Signal, ...]:
    """The spectrum, with every further column.

    Raises
    ------
    UnreadableFile
        Naming the line that has another number of columns or is no numbers.
    """
    header: list[str] = []
    astray = 0
    rows: list[list[float]] = []
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            header.append(line.strip())
            astray += bool(rows)
        elif line.strip():
            row = _numbers(line)
            if row is None or (rows and len(row) != len(rows[0])):
                raise UnreadableFile(path, f"expected {len(rows[0]) if rows else 'some'} numbers, found {line.strip()[:60]!r}",
                                     where=f"line {number}")
            rows.append(row)
    table = np.array(rows)
    energy = table[:, 0] if rows else np.empty(0)
    if energy.size < FEWEST_POINTS or table.shape[1] < 2 or not (np.diff(energy) > 0).all():
        raise UnreadableFile(path, f"holds {energy.size} points, or its energies do not rise", todo="the file may be damaged")
    fields = {"absorption" if i == 1 else f"column_{i + 1}": Field(table[:, i]) for i in range(1, table.shape[1])}
    warnings = ["taken for an absorption spectrum over eV by its name and its numbers: the file states nothing",
                *cut_within(text)]
    warnings += [f"{astray} lines of comment stand among the rows of numbers or below them"] if astray else []
    return (Signal(path.stem, (Axis("photon_energy", energy, "eV"),), fields, path, {"header": header}, {}, "XAS",
                   tuple(warnings)),)


def _numbers(line: str) -> list[float] | None:
    try:
        return [float(word) for word in SEPARATORS.split(line.strip()) if word]
    except ValueError:
        return None


def recognises(head: bytes, path: Path) -> bool:
    """A name that says so, and rising energies in the first lines."""
    if b"\0" in head or not IN_NAME.search(path.stem):
        return False
    lines = [line for line in head.decode("utf-8", "replace").lstrip("\ufeff").splitlines()[:8] if line.strip()]
    rows = [_numbers(line) for line in lines if not line.lstrip().startswith("#")]
    first = [row[0] for row in rows if row is not None and len(row) >= 2]
    plausible = all(LOWEST_EV < energy < HIGHEST_EV for energy in first) and first == sorted(first)
    return len(first) == len(rows) >= FEWEST_POINTS and plausible


def example(folder: Path) -> Path:
    """A step at 8333 eV."""
    path = folder / "example_xanes.csv"
    energy = 8300.0 + 5.0 * np.arange(20)
    path.write_text("".join(f"{e:.1f} {0.1 + (e > 8333):.3f}\n" for e in energy), encoding="ascii")
    return path


XAS_COLUMNS = Format(name="xas columns", suffixes=frozenset({".csv", ".txt", ".dat", ".xy"}), recognises=recognises, read=read,
                     version="1", text=True, example=example, uncounted=True)
