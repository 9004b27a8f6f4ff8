"""Gamry Framework text files (.DTA): impedance, and the records that stand beside it.

No vendor specification was open; this follows files of Framework 6 and 7. Lines of tab-separated items: "EXPLAIN", "TAG" with
the kind of experiment, then one line per setting (key, type, value, ..., label), notes (key NOTES, a count, that many lines),
and tables. A table is a line (name, "TABLE", sometimes the number of rows), a line of column names, a line of units, and rows,
all three beginning with a tab. Text is in the code page of the computer; decimals may be commas.

VFP600, the virtual front panel, writes its own name in place of EXPLAIN, and a table VFPCURVE of Voltage and Current without a
clock: its points follow each other at FREQ, the acquisition frequency in Hz.

ZCURVE is the impedance; Zimag is the true imaginary part. OCVCURVE is the potential before it, at open circuit, as is the
CURVE of CORPOT: current is zero by definition. Other CURVE tables hold T, Vf and Im; CURVE1, CURVE2 ... are cycles of one
experiment and are joined. A surface of 1 cm2 is also what Gamry fills in when nobody says, so it is taken with a warning.
Dates follow the computer: month/day/year with slashes, as on Gamry's own; where that cannot be told from day and month, a
warning says so.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats import near_names
from datasets.formats.cells.table_header import variable
from datasets.formats.last_line import cut_within
from datasets.formats.signal import Axis, Field, Format, Signal

MAGIC, FRONT_PANEL = b"EXPLAIN", b"VFP600"
FRONT_PANEL_CURVE = "VFPCURVE"
IMPEDANCE = "ZCURVE"
OPEN_CIRCUIT = "OCVCURVE"
CURVE = re.compile(r"CURVE\d+")
UNITS = {"s": "s", "Hz": "Hz", "ohm": "ohm", "V": "V", "V vs. Ref.": "V", "A": "ampere", "mA": "mA", "deg C": "degC", "C": "C",
         "°": "deg", "Â°": "deg", "?": "deg", "W": "W"}
DEFAULT_AREA_CM2 = 1.0
VOLTAMMETRY = ("CV", "LSV", "CVA", "POTENTIODYNAMIC", "LINPOLRES", "CYCPOL")
"""Tags of experiments that sweep the potential."""
NO_CURRENT = ("CORPOT",)
"""Tags of experiments at open circuit throughout."""


@dataclass(frozen=True, eq=False)
class _Table:
    name: str
    line: int
    columns: Mapping[str, tuple[NDArray[np.float64], str]]


def read(path: Path) -> tuple[Signal, ...]:
    """Impedance first, then the other tables of the file, each as one signal.

    Raises
    ------
    UnreadableFile
        Naming the line and what is wrong there.
    """
    text = path.read_bytes().decode("latin-1")
    lines = text.splitlines()
    warnings: list[str] = []
    settings, tables = _parse(path, lines, warnings)
    if not tables:
        raise UnreadableFile(path, "holds no table with rows", where=f"{len(lines)} lines")
    warnings += cut_within(text)
    conditions = _conditions(settings, warnings)
    found = []
    for table in sorted(_joined(tables), key=lambda t: t.name != IMPEDANCE):
        signal = _impedance if table.name == IMPEDANCE else _record
        found.append(signal(path, table, settings, conditions, tuple(warnings)))
    return tuple(found)


def _joined(tables: list[_Table]) -> list[_Table]:
    """Tables CURVE1, CURVE2 ... of like columns as one, with the number of the curve as `Cycle`; the others as they are."""
    curves = [table for table in tables if CURVE.fullmatch(table.name)]
    if len(curves) < 2 or len({(*table.columns,) for table in curves}) > 1:
        return tables
    columns = {name: (np.concatenate([table.columns[name][0] for table in curves]), unit)
               for name, (_, unit) in curves[0].columns.items()}
    sizes = [next(iter(table.columns.values()))[0].size for table in curves]
    columns["Cycle"] = (np.repeat(np.arange(1.0, len(curves) + 1), sizes), "#")
    return [_Table("CURVE", curves[0].line, columns), *(table for table in tables if table not in curves)]


def _parse(path: Path, lines: list[str], warnings: list[str]) -> tuple[dict[str, str], list[_Table]]:
    settings: dict[str, str] = {}
    tables: list[_Table] = []
    number = 0
    while number < len(lines):
        items = lines[number].rstrip().split("\t")
        number += 1
        if len(items) >= 2 and items[1] == "TABLE":
            table, number = _table(path, items[0], lines, number, warnings)
            tables += [table] if table is not None else []
        elif len(items) >= 3 and items[1] == "NOTES":
            count = int(items[2]) if items[2].isdigit() else 0
            settings[items[0]] = "\n".join(line.strip() for line in lines[number:number + count]).strip()
            number += min(count, len(lines) - number)
        elif items[0] == "TAG" and len(items) >= 2:
            settings["TAG"] = items[1]
        elif len(items) >= 3 and items[0]:
            settings[items[0]] = items[2]
        elif len(items) > 3 and not items[0] and tables and not np.isnan(_number_or_nan(items[2])):
            raise UnreadableFile(path, "a row of numbers stands outside any table: a row above it is damaged",
                                 where=f"line {number}")
        elif items[0].strip() not in ("", MAGIC.decode(), FRONT_PANEL.decode()) or len(items) > 1:
            warnings.append(f"line {number} is no setting and no row of a table: it is not read")
    return settings, tables


KNOWN = ("Pt", "T", "Time", "Vf", "Vu", "Vm", "Im", "Ach", "Sig", "Over", "IERange", "Temp", "Cycle", "Freq", "Zreal", "Zimag",
         "Zsig", "Zmod", "Zphz", "Idc", "Vdc", "Q", "Voltage", "Current")
"""Columns as Gamry's programs call them."""


def _table(path: Path, name: str, lines: list[str], number: int, warnings: list[str]) -> tuple[_Table | None, int]:
    """The table whose names stand in line `number` (counted from 0), and the line after it."""
    if number + 1 >= len(lines):
        raise UnreadableFile(path, f"ends within the head of table {name}: the file is truncated", where=f"line {len(lines)}")
    names, units = (lines[number + i].strip("\r\n").split("\t")[1:] for i in range(2))
    first = number + 2
    rows = []
    number = first
    while number < len(lines) and lines[number].startswith("\t"):
        items = lines[number].split("\t")[1:]
        if len(items) < len(names):
            raise UnreadableFile(path, f"table {name} has {len(names)} columns, this row has {len(items)}",
                                 where=f"line {number + 1}", todo="the file may be truncated")
        rows.append(items)
        number += 1
    if not rows:
        return None, number
    if any("".join(row[len(names):]).strip() for row in rows):
        warnings.append(f"rows of table {name} have more cells than its {len(names)} names: they may stand under wrong ones")
    warnings += near_names.said(near_names.lost_names(names, KNOWN))
    columns = {}
    for i, (column, unit) in enumerate(zip(names, units, strict=False)):
        try:
            values = np.array([_number(row[i]) for row in rows])
        except ValueError:
            if column in ("Over", "IERange", "Pt", ""):
                continue
            values = np.array([_number_or_nan(row[i]) for row in rows])
            warnings.append(f"column {column!r} of table {name} holds what is no number: it is NaN there")
            if np.isnan(values).any() and column in ("Freq", "Zreal", "Zimag", "T"):
                bad = first + int(np.argmax(np.isnan(values)))
                raise UnreadableFile(path, f"{column} of table {name} is {lines[bad].split(chr(9))[i + 1][:30]!r}, no number",
                                     where=f"line {bad + 1}") from None
        columns[column] = (values, unit.strip())
    return _Table(name, first - 1, columns), number


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def _number_or_nan(text: str) -> float:
    try:
        return _number(text)
    except ValueError:
        return float("nan")


def _impedance(path: Path, table: _Table, settings: Mapping[str, str], conditions: Mapping[str, Any],
               warnings: tuple[str, ...]) -> Signal:
    missing = [name for name in ("Freq", "Zreal", "Zimag") if name not in table.columns]
    if missing:
        raise UnreadableFile(path, f"table {table.name} has no column {', '.join(missing)}; found {', '.join(table.columns)}",
                             where=f"line {table.line}")
    known = {"Zreal": "impedance_real", "Zimag": "impedance_imaginary", "Vdc": "potential", "Idc": "current", "Time": "elapsed",
             "T": "elapsed", "Temp": "temperature"}
    return Signal(settings.get("TITLE", table.name), (Axis("frequency", table.columns["Freq"][0], "Hz"),),
                  _fields(table, known, {"Freq", "Pt"}), path, settings, conditions, "EIS", warnings)


def _record(path: Path, table: _Table, settings: Mapping[str, str], conditions: Mapping[str, Any],
            warnings: tuple[str, ...]) -> Signal:
    if table.name == FRONT_PANEL_CURVE and (rate := _number_or_nan(settings.get("FREQ", ""))) > 0 and np.isfinite(rate):
        points = np.arange(next(iter(table.columns.values()))[0].size)
        fields = _fields(table, {"Voltage": "potential", "Current": "current"}, {"Pt"})
        return Signal(settings.get("TITLE", path.stem), (Axis("time", points / rate, "s"),), fields, path, settings, conditions,
                      "cycling" if {"potential", "current"} <= fields.keys() else "record", warnings)
    if "T" not in table.columns:
        size = next(iter(table.columns.values()))[0].size
        return Signal(table.name, (Axis("position", np.arange(size, dtype=np.float64), "1"),),
                      _fields(table, {}, {"Pt"}), path, settings, conditions, "", warnings)
    known = {"Vf": "potential", "Im": "current", "Temp": "temperature", "Cycle": "cycle_number"}
    fields = _fields(table, known, {"T", "Pt"})
    tag = settings.get("TAG", "").upper()
    kind = "voltammetry" if tag in VOLTAMMETRY and table.name != OPEN_CIRCUIT else "cycling"
    kind = kind if "potential" in fields else "record"
    title = settings.get("TITLE", table.name)
    if table.name == OPEN_CIRCUIT or tag in NO_CURRENT:
        title = f"{title}, open circuit before" if table.name == OPEN_CIRCUIT else title
        if "current" not in fields and "potential" in fields:
            none = Field(np.zeros(table.columns["T"][0].size), "mA")
            fields = {"potential": fields.pop("potential"), "current": none, **fields}
            warnings = (*warnings, "open circuit: no current flows by definition, and the file stores none")
    elif "current" not in fields:
        kind = "record"
    if "temperature" in fields and (absent := np.asarray(fields["temperature"].data) < -273.15).any():
        if absent.all():
            del fields["temperature"]  # -327.67 is Gamry's word for "no sensor"
        else:
            warnings = (*warnings, f"the temperature was measured at {int((~absent).sum())} of {absent.size} points only")
    return Signal(title, (Axis("time", table.columns["T"][0], "s"),), fields, path, settings, conditions, kind, warnings)


def _fields(table: _Table, known: Mapping[str, str], used: set[str]) -> dict[str, Field]:
    """Known columns first and in the order of `known`, then all others by their own names."""
    fields: dict[str, Field] = {}
    for name in [*[n for n in known if n in table.columns], *[n for n in table.columns if n not in known]]:
        if name in used:
            continue
        values, unit = table.columns[name]
        unit = UNITS.get(unit, "1")
        if name:
            fields[known.get(name) or variable(name, unit, fields)] = Field(values, unit)
    return fields


def _conditions(settings: Mapping[str, str], warnings: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    area = _number_or_nan(settings.get("AREA", ""))
    if 1e-6 < area < 1e4:
        found["electrode_area_cm2"] = area
        if area == DEFAULT_AREA_CM2:
            warnings.append("the surface is 1 cm2, which is also what Gamry fills in when nobody says")
    if acquired := _acquired(settings.get("DATE", ""), settings.get("TIME", ""), warnings):
        found["acquired"] = acquired
    return found


def _acquired(date: str, time: str, warnings: list[str]) -> str:
    parts = re.fullmatch(r"(\d{1,4})([/.\-])(\d{1,2})\2(\d{1,4})", date.strip())
    if not parts:
        return ""
    first, second, third = int(parts[1]), int(parts[3]), int(parts[4])
    if len(parts[1]) == 4:
        year, month, day = first, second, third
    elif second > 12 or (parts[2] == "/" and first <= 12):
        year, month, day = third, first, second
        if parts[2] == "/" and first != second and second <= 12:
            warnings.append(f"the date {date} is read as month/day/year")
    elif first > 12 or first == second:
        year, month, day = third, second, first
    else:
        warnings.append(f"the date {date} may be day-month or month-day: it is not used")
        return ""
    clock = re.match(r"(\d{1,2}):(\d{2}):(\d{2})", time.strip())
    try:
        moment = datetime(year, month, day)
        if clock:
            moment = moment.replace(hour=int(clock[1]), minute=int(clock[2]), second=int(clock[3]))
    except ValueError:
        return ""
    return moment.isoformat() if clock else moment.date().isoformat()


def recognises(head: bytes, path: Path) -> bool:
    """By the first word and the tag after it."""
    del path
    return head.lstrip(b"\xef\xbb\xbf").startswith((MAGIC, FRONT_PANEL)) and b"TAG\t" in head[:200]


def example(folder: Path) -> Path:
    """A resistor of 10 ohm in series with a capacitor, eleven frequencies."""
    rows = []
    for i in range(11):
        frequency = 10 ** (4 - i / 2)
        rows.append(f"\t{i}\t{i}\t{frequency:.6g}\t10\t{-1 / (2e-5 * 3.14159265 * frequency):.6g}")
    head = ["EXPLAIN", "TAG\tEISPOT", "TITLE\tLABEL\tresistor and capacitor\tTest &Identifier", "DATE\tLABEL\t1/23/2026\tDate",
            "TIME\tLABEL\t12:00:00\tTime", "AREA\tQUANT\t1.27000E+000\t&Area (cm^2)", "ZCURVE\tTABLE",
            "\tPt\tTime\tFreq\tZreal\tZimag", "\t#\ts\tHz\tohm\tohm"]
    path = folder / "example.DTA"
    path.write_bytes(("\r\n".join([*head, *rows]) + "\r\n").encode("latin-1"))
    return path


GAMRY = Format(name="gamry dta", suffixes=frozenset({".dta"}), recognises=recognises, read=read, version="1", text=True,
               example=example,
               uncounted=True)
