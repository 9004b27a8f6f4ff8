"""Data point tables (.dpt): two bare columns that OPUS and others write, wavenumber and what was recorded there.

The suffix is all that says what the numbers are. That x is a wavenumber in 1/cm is taken from it and from the numbers, with a
warning; what y is (absorbance, transmittance, single beam ...) stays open: the table arrives as `unknown` until a person says
`technique = "ftir"`, which takes it for absorbance. Of an interferogram x counts the points of the mirror from 0. Columns are
parted by a tab, a semicolon, blanks or a comma; only before the last of these is a comma in a number a decimal sign. Lines that
begin with # or ; are remarks and are kept.
"""

import re
from pathlib import Path

import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.last_line import cut_within
from datasets.formats.signal import Axis, Field, Format, Signal

REMARK = ("#", ";")
LOWEST_PER_CM, HIGHEST_PER_CM = 1.0, 50_000.0
FEWEST_POINTS = 3


def read(path: Path) -> tuple[Signal, ...]:
    """The table.

    Raises
    ------
    UnreadableFile
        Naming the line that holds no two numbers, or that x neither rises nor falls throughout.
    """
    text = path.read_text(encoding="latin-1")
    remarks = [line.strip() for line in text.splitlines() if line.lstrip().startswith(REMARK)]
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith(REMARK):
            pair = _pair(line)
            if pair is None:
                raise UnreadableFile(path, f"expected two numbers, found {line.strip()[:50]!r}", where=f"line {number}",
                                     todo="the file may be truncated")
            rows.append(pair)
    table = np.array(rows, dtype=np.float64).reshape(-1, 2)
    x, y = table.T
    steps = np.diff(x)
    if len(rows) < FEWEST_POINTS or not ((steps > 0).all() or (steps < 0).all()):
        raise UnreadableFile(path, f"holds {len(rows)} points, or its first column neither rises nor falls throughout",
                             todo="the file may be damaged")
    counted = x[0] == 0 and bool((steps == 1).all())
    possible = x.min() >= LOWEST_PER_CM and x.max() <= HIGHEST_PER_CM
    axis = Axis("wavenumber", x, "1/cm") if possible and not counted else Axis("point", x)
    said = ["the first column is taken for wavenumbers in 1/cm by the suffix: the file states nothing"] if axis.units else [
        "the first column counts points, as of an interferogram: the file states nothing"]
    ended = text.rstrip().splitlines()[-1].lstrip().startswith(REMARK)
    return (Signal(path.stem, (axis,), {"data": Field(y)}, path, {"remarks": remarks}, {}, "data point table",
                   (*said, *([] if ended else cut_within(text)))),)


def _pair(line: str) -> tuple[float, float] | None:
    """Two numbers, parted by a tab, a semicolon or blanks (then a comma is a decimal sign), else by a comma."""
    cells = re.split(r"\s*[\t;]\s*|[ ]+", line.strip())
    cells = [cell.replace(",", ".") for cell in cells] if len(cells) == 2 and not cells[0].endswith(",") else line.split(",")
    try:
        first, second = (float(cell) for cell in cells)
    except ValueError:
        return None
    return first, second


def recognises(head: bytes, path: Path) -> bool:
    """By the suffix, and two numbers in each of the first lines."""
    if path.suffix.lower() != ".dpt" or b"\0" in head:
        return False
    lines = [line for line in head.decode("latin-1").splitlines()[:8] if line.strip() and not line.lstrip().startswith(REMARK)]
    return len(lines) >= FEWEST_POINTS and all(_pair(line) is not None for line in lines)


def example(folder: Path) -> Path:
    """A band at 1600 1/cm, wavenumbers falling."""
    x = np.arange(1700.0, 1500.0, -10.0)
    path = folder / "example.dpt"
    path.write_text("".join(f"{a:.5f}\t{np.exp(-((a - 1600) / 20) ** 2):.5f}\n" for a in x), encoding="ascii")
    return path


POINT_TABLE = Format(name="data point table", suffixes=frozenset({".dpt"}), recognises=recognises, read=read, version="1",
                     example=example, text=True, uncounted=True)
