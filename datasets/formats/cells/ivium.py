"""Ivium files (.idf, .ids): records and spectra of impedance as text between control bytes.

After some control bytes stand lines "name=value" ("Version=", "Method=", "Title=", "starttime="), then "primary_data", the
number of columns, the number of rows and the rows, parted by blanks, decimals as on the computer. An .ids file holds several
such data sets, each beginning with its own "Title=". The method says what the columns are:

- impedance ("Impedance" and its kin): real part, true imaginary part / ohm, frequency / Hz;
- transients and mixed mode: time / s, current / A, potential / V;
- sweeps (cyclic and linear voltammetry): potential / V, current / A, and a third column that is not understood. Without a
  clock these are no record of a known technique; they arrive with a warning.

A third column that changes by a steady factor is a frequency, whatever the method is called. Sources: pyimpspec and ivium
readers of galv (GPL-3.0-or-later, BSD-2); no real file was to be had. `starttime` is day/month/year or, with AM and PM,
month/day/year; where that cannot be told the date is not used.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.cells import clock, spectra
from datasets.formats.cells.text_table import is_number
from datasets.formats.last_line import NO_END
from datasets.formats.signal import Axis, Field, Format, Signal

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
DATA = "primary_data"
FEWEST = 5
SWEEPS = re.compile(r"(?i)volt|linear ?sweep|lsv")
TRANSIENTS = re.compile(r"(?i)transient|mixed|chrono|potential ?step|cd|amperometry|ocp")


def read(path: Path) -> tuple[Signal, ...]:
    """Each data set of the file.

    Raises
    ------
    UnreadableFile
        Naming the line and what is wrong there.
    """
    text = path.read_bytes().decode("latin-1")
    lines = [CONTROL.sub("", line).strip() for line in text.split("\n")]
    found: list[Signal] = []
    settings: dict[str, str] = {}
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        name, separator, value = line.partition("=")
        if DATA in line:
            table, number = _table(path, lines, number)
            said = _contradictions(lines, number, table.shape)
            found += [replace(signal, warnings=(*signal.warnings, *said))
                      for signal in _signals(path, table, dict(settings), number)]
        elif separator and len(name) < 80:
            if name == "Title" and found:
                settings = {}
            settings[name] = value.strip()
    if not found:
        raise UnreadableFile(path, f"has no table {DATA!r}", where=f"{len(lines)} lines", todo="the file may be truncated")
    return tuple(found)


def _table(path: Path, lines: list[str], number: int) -> tuple[NDArray[np.float64], int]:
    """The rows whose size stands in lines `number` and the next, counted from 0, and the line after them; (row, column)."""
    if number + 1 >= len(lines) or not (lines[number].isdigit() and lines[number + 1].isdigit()):
        raise UnreadableFile(path, "does not say how many columns and rows the table has", where=f"line {number + 1}")
    columns, rows = int(lines[number]), int(lines[number + 1])
    body = lines[number + 2:number + 2 + rows]
    if len(body) < rows or not 2 <= columns <= 64 or rows == 0:
        raise UnreadableFile(path, f"declares {rows} rows of {columns} columns and has {len(body)} lines left",
                             where=f"line {number + 1}", todo="the file may be truncated")
    table = np.empty((rows, columns))
    for i, line in enumerate(body):
        cells = line.replace(",", ".").split()
        try:
            table[i] = [float(cell) for cell in cells[:columns]]
        except ValueError:
            raise UnreadableFile(path, f"{line[:40]!r} is no row of {columns} numbers",
                                 where=f"line {number + 3 + i}") from None
    return table, number + 2 + rows


def _contradictions(lines: list[str], end: int, shape: tuple[int, ...]) -> list[str]:
    """Where the lines say other than the declared size of a table that ends before line `end`, counted from 0."""
    if end == len(lines):  # the last row has no end of line
        return [NO_END]
    said = []
    if any(len(line.split()) > shape[1] for line in lines[end - shape[0]:end]):
        said.append(f"rows have more than the {shape[1]} columns that the table declares")
    following = lines[end].split()
    if len(following) >= shape[1] and all(map(is_number, following)):
        said.append(f"more rows follow than the {shape[0]} that the table declares")
    return said


def _signals(path: Path, table: NDArray[np.float64], settings: dict[str, str], line: int) -> tuple[Signal, ...]:
    if table.shape[1] < 3:
        raise UnreadableFile(path, f"has a table of {table.shape[1]} columns, expected 3", where=f"line {line}")
    title = settings.get("Title") or path.stem
    method = settings.get("Method", "") + settings.get("Technique", "")
    conditions = {}
    start = settings.get("starttime", "")
    if moment := clock.moment(start, False if re.search(r"(?i)[ap]m$", start) else None):
        conditions["acquired"] = moment.isoformat()
    third = table[:, 2]
    more = {f"column_{i + 1}": Field(table[:, i], "arbitrary") for i in range(3, table.shape[1])}
    if re.search(r"(?i)impedance|eis|freq", method) or _steady(third):
        return spectra.signals(path, title, third, table[:, 0] + 1j * table[:, 1], more, settings, conditions)
    if SWEEPS.search(method):
        fields = {"potential": Field(table[:, 0], "V"), "current": Field(table[:, 1], "ampere"),
                  "column_3": Field(third, "arbitrary"), **more}
        points = Axis("position", np.arange(len(table), dtype=np.float64), "1")
        note = "the file has no clock: the points of the sweep are counted, and the scan rate stands in the settings"
        return (Signal(title, (points,), fields, path, settings, conditions, "record", (note,)),)
    notes = () if TRANSIENTS.search(method) else (
        f"the method {method or 'of the file'!r} is not known: columns are taken as time, "
        "current and potential",)
    fields = {"potential": Field(third, "V"), "current": Field(table[:, 1], "ampere"), **more}
    return (Signal(title, (Axis("time", table[:, 0], "s"),), fields, path, settings, conditions, "cycling", notes),)


def _steady(values: NDArray[np.float64]) -> bool:
    """Whether values rise or fall by a steady factor, as only frequencies do."""
    if values.size < FEWEST or not (values > 0).all():
        return False
    steps = np.diff(np.log(values))
    usual = float(np.median(steps))
    return abs(usual) > 0.01 and bool((np.abs(steps - usual) < 0.25 * abs(usual)).mean() > 0.8)


def recognises(head: bytes, path: Path) -> bool:
    """By settings and the name of the table, behind or between control bytes."""
    del path
    marks = (b"Version=", b"Title=", b"Technique=", b"starttime=")
    decisive = sum(mark in head for mark in (b"Method=", DATA.encode()))
    return decisive > 0 and decisive + sum(mark in head for mark in marks) > 2


def example(folder: Path) -> Path:
    """10 ohm in series with 10 uF, eleven frequencies."""
    rows = [f"{10:.6E} {-1 / (2e-5 * np.pi * f):.6E} {f:.6E}" for f in 10 ** (4 - np.arange(11) / 2)]
    lines = ["Version=11", "Method=Impedance", "Title=resistor and capacitor", "starttime=23/01/2026 12:00:00", DATA, "3",
             "11", *rows]
    path = folder / "example.idf"
    path.write_bytes(bytes(16) + b"\xfb\0\0\0\r\0" + ("\r\n".join(lines) + "\r\n").encode("latin-1"))
    return path


IVIUM = Format(name="ivium idf", suffixes=frozenset({".idf", ".ids"}), recognises=recognises, read=read, version="1", text=True,
               example=example)
