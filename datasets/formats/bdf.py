"""Battery Data Format (.bdf.csv): records of cyclers as a table whose column names hold the units.

Source: the column names of battery-data-format (Battery Data Alliance, Apache-2.0) as its converters write them; the schema
itself was not open here. Both spellings are read: labels ("Test Time / s", "Voltage / V") and machine-readable names
("test_time_second", "voltage_volt"). There is no header, so nothing is known of instrument, date or surface.

Positive current charges. The two counters of charge (charging, discharging) restart at each cycle or step in some files and run
on in others: a counter that falls has restarted, and what it had reached is added, so `charge` = charging - discharging runs on
either way. Without counters there is no `charge`: it is not made up from current and time.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.signal import Axis, Field, Format, Signal

MACHINE_UNITS = {"second": "s", "volt": "V", "ampere": "ampere", "ah": "Ah", "wh": "Wh", "celsius": "degC", "degc": "degC",
                 "ohm": "ohm", "watt": "W", "pascal": "pascal"}
LABEL_UNITS = {"s": "s", "V": "V", "A": "ampere", "mA": "mA", "Ah": "Ah", "mAh": "mAh", "Wh": "Wh", "degC": "degC", "1": "1",
               "ohm": "ohm", "W": "W", "Pa": "pascal"}
NAMES = {"voltage": "potential", "current": "current", "cycle_count": "cycle_number", "cycle_index": "cycle_number",
         "step_count": "step_number", "step_index": "step_index", "ambient_temperature": "temperature",
         "unix_time": "unix_time", "internal_resistance": "internal_resistance"}
COUNTERS = ("charging_capacity", "discharging_capacity")


def read(path: Path) -> tuple[Signal, ...]:
    """The record.

    Raises
    ------
    UnreadableFile
        Naming the line or column and what is wrong there.
    """
    try:
        table = pd.read_csv(path, encoding="utf-8-sig")
    except (ValueError, UnicodeDecodeError) as error:
        raise UnreadableFile(path, f"is no table: {' '.join(str(error).split())[:150]}") from error
    columns: dict[str, tuple[NDArray[np.float64], str]] = {}
    notes = []
    for label in table.columns:
        name, unit = _name_and_unit(str(label))
        values = pd.to_numeric(table[label], errors="coerce").to_numpy(dtype=np.float64)
        if name in columns:
            notes.append(f"a second column {label!r} is left out")
        elif np.isnan(values).all() and table[label].notna().any():
            notes.append(f"column {label!r} holds text and is left out")
        else:
            columns[name] = (values, unit)
    missing = [name for name in ("test_time", "voltage", "current") if name not in columns]
    if missing:
        raise UnreadableFile(path, f"has no column {', '.join(missing)}; found {', '.join(map(str, table.columns))}",
                             where="line 1")
    time, unit = columns.pop("test_time")
    if time.size == 0 or np.isnan(time).any():
        where = f"line {int(np.argmax(np.isnan(time))) + 2}" if time.size else "line 2"
        raise UnreadableFile(path, "the test time is no number" if time.size else "has no points", where=where)
    fields = {"potential": Field(*columns.pop("voltage")), "current": Field(*columns.pop("current"))}
    if all(name in columns for name in COUNTERS):
        charging, discharging = (columns[name] for name in COUNTERS)
        fields["charge"] = Field(_running(charging[0]) - _running(discharging[0]), charging[1])
    else:
        notes.append("the file has no counters of charge, so there is no charge: it is not made up from the current")
    if "step_count" not in columns and "step_index" in columns:
        columns["step_count"] = (_counted(columns["step_index"][0]), "1")
    fields |= {NAMES.get(name, name): Field(values, u) for name, (values, u) in columns.items()}
    title = path.name.removesuffix(".csv").removesuffix(".bdf")
    metadata = {"columns": [str(c) for c in table.columns]}
    return (Signal(title, (Axis("time", time, unit),), fields, path, metadata, {}, "cycling", tuple(notes)),)


def _name_and_unit(label: str) -> tuple[str, str]:
    """Both "Test Time / s" and "test_time_second" are test_time in s."""
    name, separator, unit = label.rpartition(" / ")
    if separator:
        return _slug(name), LABEL_UNITS.get(unit.strip(), "arbitrary")
    stem, _, last = _slug(label).rpartition("_")
    return (stem, MACHINE_UNITS[last]) if stem and last in MACHINE_UNITS else (_slug(label), "1")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _running(counter: NDArray[np.float64]) -> NDArray[np.float64]:
    """A counter that never restarts: what it had reached is added wherever it falls."""
    fell = np.diff(counter) < 0
    before: NDArray[np.float64] = np.concatenate([[0.0], np.cumsum(np.where(fell, counter[:-1], 0.0))])
    return counter + before


def _counted(index: NDArray[np.float64]) -> NDArray[np.float64]:
    """1, 2, 3 ... for each stretch of equal step index, which repeats from cycle to cycle."""
    changes: NDArray[np.float64] = np.concatenate([[1.0], 1.0 + np.cumsum(np.diff(index) != 0)])
    return changes


def recognises(head: bytes, path: Path) -> bool:
    """A csv whose first line names a test time in one of the two spellings."""
    del path
    first = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].lower()
    return b"," in first and (b"test_time_second" in first or b"test time / s" in first)


def example(folder: Path) -> Path:
    """Five points of a constant current."""
    path = folder / "example.bdf.csv"
    lines = ["Test Time / s,Voltage / V,Current / A,Cycle Count / 1,Step Index / 1,"
             "Charging Capacity / Ah,Discharging Capacity / Ah"]
    lines += [f"{t},{0.1},{0.001},1,1,{t / 3.6e6:.9g},0" for t in range(0, 50, 10)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


BDF = Format(name="battery data format", suffixes=frozenset({".csv"}), recognises=recognises, read=read, version="1",
             example=example)
