"""A cycler's table, of whatever maker and file, as the record of a run.

- **Time** is the run's own clock; where a program writes only the time within each step, steps are added up, and where it
  writes only dates, their differences.
- **Current** is signed. Programs that write its size only (Maccor) name the direction in the mode of the step.
- **Charge** runs on over the record and is signed like the current, from the cycler's counters; it is never an integral of
  the saved points. A counter that falls to less than half, or falls where the step changes, has restarted: what it had
  reached is kept. Any smaller fall is taken as it is.
- **Steps**: `step_number` counts 1, 2, 3 ... through the run wherever step, cycle or mode change; `step_index` is the line of
  the protocol, which repeats. `step_type` holds the words of the program as numbers, their meaning is in the metadata.
- A row without time, potential and current (a blank one, a line of units, a line of remarks) is no point and is left out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats import near_names
from datasets.formats.cells import clock
from datasets.formats.cells.cycler_dialects import DIALECTS, DIRECTIONS, KIND, PLAIN, Dialect
from datasets.formats.cells.table_header import name_and_unit, variable
from datasets.formats.signal import Axis, Field, Signal
from datasets.units import compatible, factor

Floats = NDArray[np.float64]
REQUIRED = ("potential", "current")
CLOCKS = ("time", "step_time", "date")
MOST_WORDS = 64
"""A column of text with at most so many different words is a mode or a status, and is kept."""
FEW_DATES = 200
FEWEST_MARKS = 3
NOW_AND_THEN = ("internal_resistance", "mode")
"""Columns that programs fill at some points only."""
NO_POINT = "rows that hold no point (blank ones, units, remarks) are left out"


@dataclass(frozen=True, eq=False)
class Table:
    """Columns by the labels of the program; `first_line` is the line or row of the first of them, `about` what stands above."""

    path: Path
    frame: pd.DataFrame
    title: str
    first_line: int = 2
    about: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    conditions: Mapping[str, Any] = field(default_factory=dict)


def matched(labels: list[str], dialect: Dialect) -> dict[str, str]:
    """Quantity -> label of the column that holds it, in a table of this dialect."""
    split = [(label, *name_and_unit(label)) for label in labels]
    found: dict[str, str] = {}
    for quantity, names in dialect.columns.items():
        for name in names:
            # "Step" is a number and "Step (Sec)" a time
            bare = quantity in ("time", "step_time") and name in dialect.columns.get("step_index", ())
            label = next((label for label, plain_name, unit in split if plain_name == name and label not in found.values()
                          and _fits(quantity, unit) and not (bare and unit == "")), None)
            if label is not None:
                found[quantity] = label
                break
    return found


def likeness(labels: list[str], above: str, dialect: Dialect) -> int:
    """How much a table looks like this dialect's; 0 where potential, current or every clock is missing, or nothing marks it."""
    found = matched(labels, dialect)
    if not all(name in found for name in REQUIRED) or not any(name in found for name in CLOCKS):
        return 0
    if dialect is PLAIN:  # nobody's: the units have to say what the columns are
        told = [name_and_unit(found[name])[1] for name in ("time", *REQUIRED) if name in found]
        return len(told) if len(told) == len(REQUIRED) + 1 and all(told) else 0
    names = {name_and_unit(label)[0] for label in labels}
    marks = sum(mark in names for mark in dialect.marks) + 3 * sum(word in above for word in dialect.preamble)
    return 10 * marks + len(found) if marks else 0


def dialect_like(labels: list[str], above: str = "") -> Dialect | None:
    """The dialect that a table looks like most; None where it is a record of a run in none of them."""
    best = max(DIALECTS, key=lambda dialect: likeness(labels, above, dialect))
    return best if likeness(labels, above, best) else None


def resembles(labels: list[str], dialect: Dialect) -> bool:
    """Whether a table is this dialect's without being a record of a run, as a table of one row per cycle."""
    names = {name_and_unit(label)[0] for label in labels}
    return sum(mark in names for mark in dialect.marks) >= FEWEST_MARKS and len(matched(labels, dialect)) > FEWEST_MARKS


def records(table: Table, dialect: Dialect) -> tuple[Signal, ...]:
    """One record per test, where a table holds several and says so in a column "Test_ID"."""
    label = next((label for label in table.frame.columns if name_and_unit(str(label))[0] == "test id"), None)
    if label is None or table.frame[label].nunique() < 2:
        return (record(table, dialect),)
    return tuple(record(replace(table, frame=rows.reset_index(drop=True), title=f"{table.title}, test {number}"), dialect)
                 for number, rows in table.frame.groupby(label, sort=True))


def record(table: Table, dialect: Dialect) -> Signal:
    """The run as a signal of kind "cycling".

    Raises
    ------
    UnreadableFile
        If there is no point, or a time that is no number.
    """
    frame, notes = table.frame, list(table.notes)
    if dialect is PLAIN:
        notes.append("the program that wrote the table is not known: positive current is taken to charge")
    columns = matched([str(label) for label in frame.columns], dialect)
    for name in REQUIRED:
        if name not in columns:
            raise UnreadableFile(table.path, f"has no column of the {name}; found {', '.join(map(str, frame.columns[:30]))}",
                                 where=f"line {table.first_line - 1}")
    values = {name: _numbers(frame[label]) for name, label in columns.items() if name in KIND and name not in CLOCKS}
    for name in ("time", "step_time"):
        if name in columns:
            values[name] = clock.seconds(frame[columns[name]])
    words = frame[columns["mode"]] if "mode" in columns else None
    notes += _no_numbers(frame, columns)
    notes += _damaged_names(frame, columns, dialect)
    point = np.isfinite(values["potential"]) & np.isfinite(values["current"])
    blank = ~point & ~np.isfinite(values.get("time", values.get("step_time", np.full(len(frame), np.nan))))
    if blank.any() or not point.all():
        halves = ~blank & ~point
        notes += [f"{int(blank.sum())} {NO_POINT}"] if blank.any() else []
        notes += [f"{int(halves.sum())} rows lack potential or current and are left out"] if halves.any() else []
        frame = frame[point]
        values = {name: column[point] for name, column in values.items()}
        words = words[point] if words is not None else None
    notes += _missing(frame, columns)
    if not len(frame):
        raise UnreadableFile(table.path, "holds no points", where=f"line {table.first_line}")
    units = {name: name_and_unit(label)[1] for name, label in columns.items()}
    for name in list(values):
        unit = units[name] or dialect.units.get(name, KIND[name])
        values[name], units[name] = (values[name] if unit in ("clock", "s") else values[name] * factor(unit, "s"), "s") \
            if name in ("time", "step_time") else (values[name], unit)
    counters: dict[str, Floats] = {name: _numbers(frame[columns[name]])
                                   for name in ("cycle_number", "step_index") if name in columns}
    codes, meaning = _coded(words) if words is not None else (None, {})
    steps = _step_numbers(len(frame), counters, codes)
    moments = _moments(frame[columns["date"]], dialect, every="time" not in values) if "date" in columns else None
    time = _time(table, values, steps, moments, frame.index, notes)
    direction = _directions(words, values["current"])
    current = _signed(values["current"], words, direction, notes)
    fields = {"potential": Field(values["potential"], units["potential"]), "current": Field(current, units["current"])}
    charge = _charge(values, steps, np.where(current != 0, np.sign(current), direction), units)
    if charge is not None:
        fields["charge"] = charge
    else:
        notes.append("the table has no counter of charge, so there is no charge: it is not made up from the current")
    fields |= {name: Field(column, "1") for name, column in counters.items()}
    fields["step_number"] = Field(steps, "1")
    if codes is not None:
        fields["step_type"] = Field(codes, "1")
    for name in ("step_time", "charging_capacity", "discharging_capacity", "capacity", "charging_energy", "discharging_energy",
                 "energy_counter", "temperature", "internal_resistance", "power"):
        if name in values:
            fields[name] = Field(values[name], units[name])
    used = {columns[name] for name in columns if name not in ("record", "net_capacity")}
    fields |= _others(frame, used, set(fields), notes)
    conditions = dict(table.conditions)
    if moments is not None and (first := clock.first(moments)) is not None:
        conditions["acquired"] = (first - timedelta(seconds=float(time[0]))).isoformat(timespec="milliseconds")
    metadata = {**table.about, "program": dialect.name, "columns": [str(label) for label in frame.columns]}
    if meaning:
        metadata["step_types"] = meaning
    if not (np.diff(time) >= 0).all():
        notes.append("the clock runs backwards at some points")
    return Signal(table.title, (Axis("time", time, "s"),), fields, table.path, metadata, conditions, "cycling",
                  tuple(dict.fromkeys(notes)))


def _fits(quantity: str, unit: str) -> bool:
    kind = KIND.get(quantity)
    if quantity in ("time", "step_time"):
        return unit in ("", "clock") or compatible(unit, "s")
    if kind is None:
        return unit in ("", "1") or (quantity == "date" and unit == "clock")
    return unit == "" or compatible(unit, kind) or (kind == "Ah" and compatible(unit, "coulomb")) or (
        kind == "Wh" and compatible(unit, "J"))


def _numbers(column: pd.Series) -> Floats:
    if column.dtype.kind in "biuf":
        return column.to_numpy(dtype=np.float64)
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, copy=True)


def _damaged_names(frame: pd.DataFrame, columns: Mapping[str, str], dialect: Dialect) -> list[str]:
    """A warning where a quantity is missing and a column is called almost as it."""
    missing = [name for quantity, names in dialect.columns.items() if quantity not in columns for name in names]
    others = [str(label) for label in frame.columns if label not in columns.values()]
    lost = near_names.lost_names([name_and_unit(label)[0] for label in others], missing)
    return near_names.said({label: lost[name] for label in others if (name := name_and_unit(label)[0]) in lost})


def _no_numbers(frame: pd.DataFrame, columns: Mapping[str, str]) -> list[str]:
    """A warning where a column of numbers has other cells, which become NaN."""
    found = []
    for name, label in columns.items():
        if name in KIND and name not in CLOCKS and frame[label].dtype.kind not in "biuf":
            lost = int((frame[label].notna() & pd.to_numeric(frame[label], errors="coerce").isna()).sum())
            found += [f"column {label!r} has {lost} cells that are no numbers"] if lost else []
    return found


def _missing(frame: pd.DataFrame, columns: Mapping[str, str]) -> list[str]:
    """A warning where few points lack a number that most have: their cells may have lost their places."""
    empty = {label: int(frame[label].isna().sum()) for name, label in columns.items() if name not in NOW_AND_THEN}
    return [f"column {label!r} is empty at {count} of {len(frame)} points" for label, count in empty.items()
            if 0 < count < len(frame) / 2]


def _moments(dates: pd.Series, dialect: Dialect, *, every: bool) -> Floats | None:
    """Dates in seconds: all of them, or the first and enough others to tell day and month apart."""
    if not every and len(dates) > FEW_DATES:
        dates = dates.iloc[np.linspace(0, len(dates) - 1, FEW_DATES).astype(int)]
    return clock.moments(dates, dialect.day_first)


def _coded(words: pd.Series) -> tuple[NDArray[np.int16], dict[str, str]]:
    """Words as numbers from 0 in the order in which they appear, and what each number means."""
    codes, names = pd.factorize(words.astype(str).str.strip())
    return codes.astype(np.int16), {str(i): str(name) for i, name in enumerate(names[:MOST_WORDS])}


def _step_numbers(size: int, counters: Mapping[str, Floats], codes: NDArray[np.int16] | None) -> NDArray[np.int64]:
    changed = np.zeros(size, dtype=bool)
    for column in (*counters.values(), *(() if codes is None or "step_index" in counters else (codes,))):
        changed[1:] |= np.diff(column) != 0
    return 1 + np.cumsum(changed)


def _time(table: Table, values: Mapping[str, Floats], steps: NDArray[np.int64], moments: Floats | None, rows: pd.Index,
          notes: list[str]) -> Floats:
    if "time" in values and np.isfinite(values["time"]).any():
        time = values["time"]
    elif moments is not None and np.isfinite(moments).all() and ("step_time" not in values or (moments % 1 != 0).any()):
        time = moments - moments[0]
        notes.append("the time is that of the dates; it starts with the first point")
    elif "step_time" in values:
        within = values["step_time"]
        begins = np.flatnonzero((np.diff(steps) != 0) | (np.diff(within) < 0)) + 1
        passed: Floats = np.concatenate([[0.0], np.cumsum(within[begins - 1])])
        time = within + np.repeat(passed, np.diff(np.concatenate([[0], begins, [within.size]])))
        notes.append("the file has the time within each step only: the steps are added up")
    else:
        raise UnreadableFile(table.path, "has no clock that can be read", where=f"line {table.first_line}")
    if not np.isfinite(time).all():
        row = int(rows[int(np.argmin(np.isfinite(time)))])
        raise UnreadableFile(table.path, "the time is no number", where=f"line {table.first_line + row}")
    return time


def _directions(words: pd.Series | None, current: Floats) -> Floats:
    """Direction of the current at each point as the mode says; where it says nothing, that of the last current that flowed."""
    sign = np.sign(current)
    if words is not None:
        said = {word: _direction(str(word)) for word in words.unique()}
        stated = words.map(said).to_numpy(dtype=np.float64)
        if not (current < 0).any() and (stated == -1).any():  # the size says nothing: a mode without a direction keeps the last
            sign = np.zeros(current.size)
        sign = np.where(np.isfinite(stated) & (stated != 0), stated, sign)
    known = np.maximum.accumulate(np.where(sign != 0, np.arange(sign.size), 0))
    return np.asarray(sign[known], dtype=np.float64)


def _direction(word: str) -> float:
    return float(DIRECTIONS.get(re.sub(r"[\W_]+", " ", word.lower()).strip(), np.nan))


def _signed(current: Floats, words: pd.Series | None, direction: Floats, notes: list[str]) -> Floats:
    """The current with its sign; a program that writes its size only has no negative current in any discharge."""
    if words is None or (current < 0).any():
        return current
    backwards = np.array([_direction(str(word)) == -1 for word in words.unique()])
    if not backwards.any() or not ((direction < 0) & (current > 0)).any():
        return current
    notes.append("the program writes the size of the current only: its sign is that of the step's mode")
    return np.where(direction < 0, -current, current)


def _charge(values: Mapping[str, Floats], steps: NDArray[np.int64], direction: Floats, units: Mapping[str,
                                                                                                      str]) -> Field | None:
    """The counters of a run as one that runs on, signed like the current."""
    if "net_capacity" in values:
        return Field(values["net_capacity"], units["net_capacity"])
    if "charging_capacity" in values and "discharging_capacity" in values:
        unit = units["charging_capacity"]
        back = factor(units["discharging_capacity"], unit)
        return Field(np.cumsum(increments(values["charging_capacity"], steps))
                     - back * np.cumsum(increments(values["discharging_capacity"], steps)), unit)
    if "capacity" in values:
        counter = values["capacity"]
        signed = (counter < 0).any()
        passed = increments(counter, steps)
        return Field(np.cumsum(passed if signed else direction * passed), units["capacity"])
    return None


def increments(counter: Floats, steps: NDArray[np.int64]) -> Floats:
    """What a counter gained at each point; a counter that restarted gained what it shows."""
    counter = np.nan_to_num(counter)
    gained = np.diff(counter, prepend=0.0)
    size = np.abs(counter)
    falls = np.diff(size, prepend=0.0) < 0
    turned = np.diff(np.sign(counter), prepend=0.0) != 0
    new_step = np.diff(steps, prepend=steps[:1]) != 0
    halved = size <= 0.5 * np.concatenate([[0.0], size[:-1]])
    restarted = (falls & (halved | new_step)) | (turned & new_step)
    return np.where(restarted, counter, gained)


def _others(frame: pd.DataFrame, used: set[str], taken: set[str], notes: list[str]) -> dict[str, Field]:
    """All other columns of numbers, and of few words, under names of their own; nothing is dropped without a word."""
    fields: dict[str, Field] = {}
    left = []
    for label in frame.columns:
        if str(label) in used:
            continue
        column = frame[label]
        numbers = _numbers(column)
        if not np.isfinite(numbers).any():
            if column.notna().any() and not clock.looks_like_dates(column):
                left.append(str(label))
            continue
        if lost := int((column.notna() & np.isnan(numbers)).sum()):
            notes.append(f"column {str(label)!r} has {lost} cells that are no numbers")
        name, unit = name_and_unit(str(label))
        if unit in ("", "clock"):
            unit = "1" if column.dtype.kind in "iu" else "arbitrary"
        fields[variable(name, unit, taken | fields.keys())] = Field(numbers, unit)
    if left:
        notes.append(f"columns of words are left out: {', '.join(left[:10])}")
    return fields


def stated(lines: list[str]) -> dict[str, str]:
    """The "name: value" and "name,value" lines above a table."""
    about: dict[str, str] = {}
    for line in lines:
        name, separator, value = line.lstrip("~#").partition(":")
        if not separator:
            name, separator, value = line.partition(",")
        if separator and name.strip() and value.strip(" ,;\t\"") and len(name) < 60:
            about[name.strip().strip('"')] = value.strip(" ,;\t\"")[:500]
    return about
