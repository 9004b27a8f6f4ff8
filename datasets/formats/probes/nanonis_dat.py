"""Nanonis spectra (.dat): current against bias, frequency shift against height and other sweeps at one point.

Known from files (those that come with nanonis-xarray 0.1.9, MIT): lines "key, tab, value" until [DATA], a line of column names,
one line of numbers for each step. The first column is what was swept. A name may bear the number of its sweep or that it is
their mean, [bwd] for the way back, which stands at the step of the way there, its unit in parentheses and [filt] for a filter:

    Current [00002] [bwd] (A)      Current [AVG] (A)      Bias (V) [filt]

Means and single sweeps are signals of their own, the latter along `sweep`. No technique here knows them.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.dates import acquired
from datasets.formats.last_line import cut_within
from datasets.formats.probes.scan_image import unit_of, variable_name
from datasets.formats.signal import Axis, Field, Format, Signal

MAGIC = b"Experiment\t"
DATA = "[DATA]"
AXES = ("x", "y", "z", "time", "frequency")
"""Names that dimensions have here; a column of that name gets `_channel`."""
COLUMN = re.compile(r"(?P<name>[^\[(]+?)\s*(?:\[(?P<sweep>\d{5}|AVG)\]\s*)?(?P<back>\[bwd\]\s*)?(?:\((?P<unit>[^)]*)\))?"
                    r"(?P<filtered>\s*\[filt\])?")


def read(path: Path) -> tuple[Signal, ...]:
    """Means and single sweeps of a file.

    Raises
    ------
    UnreadableFile
        Naming the line that has another number of columns, or what is missing.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.strip() == DATA), None)
    if start is None or start + 1 >= len(lines):
        raise UnreadableFile(path, f"has no section {DATA} with columns", todo="the file may be truncated")
    header = {key.strip(): value.strip() for key, mark, value in (line.partition("\t") for line in lines[:start]) if mark}
    names = [name for name in lines[start + 1].split("\t") if name.strip()]
    matches = [COLUMN.fullmatch(name.strip()) for name in names]
    if len(names) < 2 or (unknown := [name for name, match in zip(names, matches, strict=True) if match is None]):
        raise UnreadableFile(path, f"has columns {', '.join(names if len(names) < 2 else unknown)[:80]!r}",
                             where=f"line {start + 2}")
    table = _table(path, lines[start + 2:], len(names), start + 3)
    swept = matches[0]
    assert swept is not None  # as was seen above
    axis = Axis(variable_name(swept["name"])[0], table[:, 0], unit_of(swept["unit"] or ""))
    remarks = [*_counted(header, len(table)), *cut_within(text)]
    conditions = acquired(header.get("Date", ""), "%d.%m.%Y %H:%M:%S")
    return tuple(Signal(title, axes, fields, path, header, conditions, "Nanonis spectrum", (*remarks, *said))
                 for title, axes, fields, said in _signals(path.stem, axis, [m for m in matches[1:] if m], table[:, 1:]))


def _table(path: Path, lines: list[str], columns: int, first: int) -> NDArray[np.float64]:
    rows = []
    for number, line in enumerate(lines, first):
        if not line.strip():
            continue
        try:
            row = [float(cell) for cell in line.rstrip("\t\r ").split("\t")]
        except ValueError:
            row = []
        if len(row) != columns:
            raise UnreadableFile(path, f"expected {columns} numbers, found {line.strip()[:50]!r}", where=f"line {number}",
                                 todo="the file may be truncated")
        rows.append(row)
    if not rows:
        raise UnreadableFile(path, "has columns and no numbers", todo="the file may be truncated")
    return np.array(rows)


def _signals(title: str, axis: Axis, columns: list[re.Match[str]],
             table: NDArray[np.float64]) -> Iterator[tuple[str, tuple[Axis, ...], dict[str, Field], list[str]]]:
    """Title, axes, fields and remarks of the means and of the single sweeps."""
    means = [i for i, column in enumerate(columns) if not (column["sweep"] or "").isdigit()]
    if means:
        units = [unit_of(column["unit"] or "") for column in columns]
        yield title, (axis,), {_key(columns[i], axis.name): Field(table[:, i], units[i]) for i in means}, []
    sweeps = sorted({column["sweep"] for column in columns if (column["sweep"] or "").isdigit()})
    if not sweeps:
        return
    found: dict[str, dict[str, int]] = {}
    for i, column in enumerate(columns):
        if (column["sweep"] or "").isdigit():
            found.setdefault(_key(column, axis.name), {})[column["sweep"]] = i
    fields = {}
    for key, at in found.items():
        values = np.stack([table[:, at[sweep]] if sweep in at else np.full(len(table), np.nan) for sweep in sweeps])
        fields[key] = Field(values, unit_of(columns[next(iter(at.values()))]["unit"] or ""))
    short = [key for key, at in found.items() if len(at) < len(sweeps)]
    said = [f"{', '.join(short)}: not every one of {len(sweeps)} sweeps has it; it is NaN there"] if short else []
    yield f"{title} single sweeps", (Axis("sweep", np.array([float(sweep) for sweep in sweeps])), axis), fields, said


def _key(column: re.Match[str], axis: str) -> str:
    name = variable_name(column["name"])[0]
    name = f"{name}_channel" if name in (axis, *AXES) else name
    return name + "_retrace" * bool(column["back"]) + "_filtered" * bool(column["filtered"])


def _counted(header: dict[str, str], steps: int) -> list[str]:
    """A warning where the file has another number of steps than the experiment it names was to take."""
    experiment = header.get("Experiment", "").lower()
    planned = next((value for key, value in header.items() if key.lower() == f"{experiment}>num pixel"), "")
    return [f"{planned} steps were planned, {steps} are there"] if planned.isdigit() and int(planned) != steps else []


def recognises(head: bytes, path: Path) -> bool:
    """By its first word."""
    del path
    return head.startswith(MAGIC)


def example(folder: Path) -> Path:
    """Two sweeps of five steps, there and back, and their mean."""
    bias = np.linspace(-1, 1, 5)
    names = ["Bias calc (V)", *(f"Current {which}{back}(A)" for which in ("[AVG] ", "[00001] ", "[00002] ")
                                for back in ("", "[bwd] "))]
    rows = [[b, *(scale * b * 1e-9 for scale in (2, 4, 1, 3, 3, 5))] for b in bias]
    lines = ["Experiment\tbias spectroscopy\t", "Date\t14.09.2017 15:17:58\t", "Bias Spectroscopy>Num Pixel\t5\t", "", DATA,
             "\t".join(names), *("\t".join(f"{value:.6E}" for value in row) for row in rows)]
    path = folder / "example.dat"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


NANONIS_DAT = Format(name="nanonis dat", suffixes=frozenset({".dat"}), recognises=recognises, read=read, version="1",
                     example=example, text=True, uncounted=True)
