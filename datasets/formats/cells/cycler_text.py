"""Text tables of cyclers: Arbin, Maccor, Landt, Neware, Basytec, Novonix, Digatron, PEC and Ivium, as csv, txt or dat.

Which program wrote a table is told by its column names and by what stands above them; what the names mean is in
`cycler_dialects`, what becomes of the columns in `cycler`, how text is taken apart in
`text_table`. Lines "name: value" above the table become metadata; the start of the test and the surface are
taken from them.

Neware's older programs write three tables into each other: a line per cycle, below it a line per step that begins with one
empty cell, below that the points with two; the names of all three stand above. Cycle, step and mode are taken from the outer
lines.

Not read: tables of one row per step or per cycle, which have no clock.
"""

import re
from functools import lru_cache, partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from datasets.errors import UnreadableFile
from datasets.formats.cells import clock, cycler
from datasets.formats.cells.cycler_dialects import DIALECTS, NEWARE, PLAIN, Dialect
from datasets.formats.cells.table_header import name_and_unit, unit_of
from datasets.formats.cells.text_table import SEPARATORS, cells_of, encoding_of, head_lines, is_number, read_table
from datasets.formats.signal import Format, Signal

HEAD_BYTES = 512 << 10
MOST_CELLS = 400
"""No line of column names has more cells; a damaged one may have any number."""
NUMBER = re.compile(r"[-+]?[\d.,]+([eE][-+]?\d+)?%?")
STARTED = ("start of test", "started", "start time", "date of test", "test start", "start datetime")
AREA = re.compile(r"(?i)\barea\b.*\bcm")


class Header(NamedTuple):
    """Where the column names of a table stand, counted from 0, and how its cells are parted."""

    likeness: int
    line: int
    labels: tuple[str, ...]
    separator: str


def read(path: Path, dialect: Dialect) -> tuple[Signal, ...]:
    """The run.

    Raises
    ------
    UnreadableFile
        Naming the line or column and what is wrong there.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    header = _header(head, dialect)
    if header is None:
        raise UnreadableFile(path, f"is of {dialect.name}, but has no line of column names with potential, current and time",
                             where=f"the first {len(head)} bytes")
    lines = head_lines(head)
    above = lines[:header.line]
    labels = [label or f"column {i + 1}" for i, label in enumerate(header.labels)]
    while len(labels) > 1 and not header.labels[len(labels) - 1]:
        labels.pop()
    layered = dialect is NEWARE and header.labels[:2] == ("", "")
    if layered:
        wide = max(len(cells_of(line, header.separator)) for line in lines[max(0, header.line - 2):header.line + 4])
        labels += [f"column {i + 1}" for i in range(len(labels), wide)]
    first = header.line
    if len(lines) > first + 1 and (units := _units(lines[first + 1], header.separator)):
        labels = [f"{label} ({unit})" if unit and not name_and_unit(label)[1] else label
                  for label, unit in zip_longest(labels, units[:len(labels)], fillvalue="")]
        first += 1
    encoding = encoding_of(head, whole=path.stat().st_size <= len(head))
    frame, notes = read_table(path, first, labels, header.separator, encoding)
    if astray := sum(map(partial(_is_row, header=header), above)):
        notes.append(f"{astray} rows of numbers stand above the column names and are not read: the file may be damaged")
    if layered:
        frame = _unfolded(frame)
    about = cycler.stated([line for line in above if len(line) < 2000])
    table = cycler.Table(path, frame, path.stem, first + 2, about, tuple(notes), _conditions(about, dialect))
    return cycler.records(table, dialect)


def _units(line: str, separator: str) -> list[str]:
    """The units of a line of nothing else below the names, as Digatron writes it; none where it is anything else."""
    units = [cell.strip("[](){} ") for cell in cells_of(line, separator)]
    known = [bool(unit_of(unit)) for unit in units if unit]
    return units if len(known) > 1 and all(known) and not any(is_number(unit) for unit in units) else []


def _is_row(line: str, header: Header) -> bool:
    """Whether a line above the column names has as many cells as they, most of them numbers."""
    cells = cells_of(line, header.separator)
    return len(cells) == len(header.labels) and 2 * sum(map(is_number, cells)) > len(cells)


def _unfolded(frame: pd.DataFrame) -> pd.DataFrame:
    """Points of Neware's three tables in each other, with the cycle, step and mode of the lines above each."""
    cycle, step, third = (frame.iloc[:, i] for i in range(3))
    is_step = cycle.isna() & step.notna()
    points = cycle.isna() & step.isna()
    outer = pd.DataFrame({"Cycle ID": pd.to_numeric(cycle, errors="coerce").ffill(),
                          "Step ID": pd.to_numeric(step.where(is_step), errors="coerce").ffill(),
                          "Step Name": third.where(is_step).ffill()})
    inner = frame.iloc[:, 2:].loc[:, [not str(label).startswith("column ") for label in frame.columns[2:]]]
    return pd.concat([outer[points], inner[points]], axis=1)


def _conditions(about: dict[str, str], dialect: Dialect) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in about.items():
        if name.lower() in STARTED and "acquired" not in found and (moment := clock.moment(value, dialect.day_first)):
            if ":" in value:
                found["acquired"] = moment.isoformat()
        elif AREA.search(name) and re.fullmatch(r"[\d.,]+", value):
            area = float(value.replace(",", "."))
            if 1e-6 < area < 1e4 and area != 1.0:
                found["electrode_area_cm2"] = area
    return found


@lru_cache(maxsize=8)
def _header(head: bytes, dialect: Dialect) -> Header | None:
    """The line of the head that looks most like column names of this dialect."""
    best: Header | None = None
    lines = head_lines(head)
    for number, line in enumerate(lines):
        for separator in SEPARATORS:
            if not 2 <= line.count(separator) <= MOST_CELLS:
                continue
            labels = tuple(cells_of(line, separator))
            if sum(bool(NUMBER.fullmatch(label)) for label in labels) > len(labels) // 3:
                continue
            likeness = cycler.likeness(list(labels), "\n".join(lines[:number]), dialect)
            if likeness > (best.likeness if best else 0):
                best = Header(likeness, number, labels, separator)
    return best


@lru_cache(maxsize=64)
def dialect_of(head: bytes) -> Dialect | None:
    """Which program wrote a text, by its first bytes."""
    lines = head_lines(head)
    if not lines:
        return None
    found = [(header.likeness, dialect) for dialect in DIALECTS if (header := _header(head, dialect)) is not None]
    if found:
        return max(found, key=lambda item: item[0])[1]
    for separator in SEPARATORS:
        for line in lines:
            cells = cells_of(line, separator) if 2 <= line.count(separator) <= MOST_CELLS else []
            if close := [d for d in DIALECTS if cells and cycler.resembles(cells, d)]:
                return close[0]
    text = "\n".join(lines)
    return next((d for d in DIALECTS if len(d.preamble) > 1 and all(word in text for word in d.preamble)), None)


def recognises(head: bytes, path: Path, dialect: Dialect) -> bool:
    """By the column names, or the lines above them."""
    del path
    return dialect_of(head) is dialect


def example(folder: Path, dialect: Dialect) -> Path:
    """Twelve points of a constant current of 1 mA, as the program would write them."""
    *head, row = dialect.sample
    rows = [row.format(n=i + 1, t=float(t), h=t / 3600, ah=t / 3.6e6, mah=t / 3600) for i, t in enumerate(range(0, 36, 3))]
    path = folder / f"example.{'csv' if ',' in row else 'txt'}"
    path.write_bytes(("\r\n".join([*(line for part in head for line in part.format().split("\n")), *rows]) + "\r\n").encode())
    return path


SUFFIXES = frozenset({".csv", ".txt", ".dat"})
CYCLER_TEXT: tuple[Format, ...] = tuple(
    Format(name=f"{d.name} text", suffixes=SUFFIXES, recognises=partial(recognises, dialect=d), read=partial(read, dialect=d),
           version="1", text=True, example=partial(example, dialect=d), fallback=d is PLAIN,
           uncounted=True) for d in DIALECTS)
