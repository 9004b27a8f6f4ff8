"""PalmSens sessions (.pssession): JSON in UTF-16, as PSTrace and MultiTrace write it.

"Measurements" is a list; each has a title, the method as text ("METHOD_ID=eis"), a "TimeStamp" by the computer's clock and a
"UTCTimeStamp" in units of 1e-7 s since the year 1, and a "DataSet" whose "Values" are arrays: "ArrayType" says what (0 time,
1 potential, 2 current, 5 frequency, 6 phase, 7 real part, 8 minus the imaginary part, 9 and 34 amplitudes), "Unit" in which
unit, "DataValues" hold the numbers as {"V": number, ...}. That array 8 is -Im(Z) follows from array 6, its positive phase, on
a capacitive spectrum. Several arrays of one type are scans one after the other. "EISDataList" repeats the spectra, one per
scan.

Not read: "Curves" (what is drawn, already smoothed or cut), fits and peaks. A method whose arrays have no clock arrives with
its points counted.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.cells import spectra
from datasets.formats.cells.table_header import variable
from datasets.formats.cells.text_table import encoding_of
from datasets.formats.signal import Axis, Field, Format, Signal

MARK = "PalmSens.DataFiles.SessionFile"
ARRAYS = {0: "time", 1: "potential", 2: "current", 5: "frequency", 6: "phase", 7: "real", 8: "minus_imaginary", 10: "modulus",
          11: "admittance_modulus", 12: "admittance_real", 13: "admittance_imaginary"}
UNITS = {"MicroAmpere": "uA", "Ampere": "ampere", "MilliAmpere": "mA", "NanoAmpere": "nA", "Volt": "V", "MilliVolt": "mV",
         "Time": "s", "Hertz": "Hz", "ZRe": "ohm", "ZIm": "ohm", "Z": "ohm", "Phase": "deg", "MicroCoulomb": "uC",
         "Coulomb": "coulomb", "Farad": "F", "FahradReal": "F", "FahradImaginary": "F", "Y": "S", "YRe": "S", "YIm": "S"}
SWEEPS = ("cv", "lsv", "fcv", "acv", "dpv", "swv", "npv")
EPOCH = datetime(1, 1, 1, tzinfo=UTC)
Floats = NDArray[np.float64]


def read(path: Path) -> tuple[Signal, ...]:
    """Each measurement of the session.

    Raises
    ------
    UnreadableFile
        If the session is damaged or holds no data.
    """
    raw = path.read_bytes()
    text = raw.decode(encoding_of(raw), errors="replace").strip("\ufeff\x00 \r\n")
    try:
        session = json.loads(text, object_hook=_number)
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(path, f"is damaged JSON: {' '.join(str(error).split())[:120]}",
                             todo="the file may be truncated") from error
    measurements = session.get("Measurements") if isinstance(session, dict) else None
    if not isinstance(measurements, list) or not measurements:
        raise UnreadableFile(path, "holds no measurements")
    found: list[Signal] = []
    for number, measurement in enumerate(measurements):
        if not isinstance(measurement, dict) or not isinstance(measurement.get("DataSet"), dict):
            raise UnreadableFile(path, "has a measurement without data", where=f"measurement {number + 1}")
        found += _measurement(path, number, measurement)
    return tuple(found)


def _number(item: dict[str, Any]) -> Any:
    """A point as its value alone, so that a session needs no more memory than its text."""
    value = item.get("V")
    return float(value) if isinstance(value, int | float) and "Type" not in item else item


def _measurement(path: Path, number: int, measurement: Mapping[str, Any]) -> tuple[Signal, ...]:
    where = f"measurement {number + 1}"
    values = measurement["DataSet"].get("Values")
    arrays = [array for array in values if isinstance(array, dict)] if isinstance(values, list) else []
    columns: dict[str, list[Floats]] = {}
    types: dict[str, Any] = {}
    units: dict[str, str] = {}
    for array in arrays:
        number_of_type = array.get("ArrayType")
        name = ARRAYS.get(number_of_type, "") if isinstance(number_of_type, int) else ""
        name = name or variable(str(array.get("Description", "column")), "arbitrary")
        while types.setdefault(name, number_of_type) != number_of_type:
            name += "_2"
        points = array.get("DataValues")
        if not isinstance(points, list) or not all(isinstance(point, float) for point in points):
            raise UnreadableFile(path, f"the array {name!r} holds other things than numbers", where=where)
        columns.setdefault(name, []).append(np.array(points, dtype=np.float64))
        unit = array.get("Unit")
        kind = str(unit.get("Type", "")).rpartition(".")[2] if isinstance(unit, dict) else ""
        units[name] = UNITS.get(kind, "arbitrary")
    method = str(measurement.get("Method", ""))
    technique = (re.search(r"METHOD_ID=(\w+)", method) or ["", ""])[1].lower()
    title = str(measurement.get("Title") or path.stem)
    metadata = {**{k: v for k, v in measurement.items() if isinstance(v, str | int | float | bool) and k != "Method"},
                "method": dict(re.findall(r"^(\w+)=(.*?)\r?$", method, re.MULTILINE))}
    conditions = _conditions(measurement)
    if "frequency" in columns:
        return _impedance(path, title, columns, units, metadata, conditions, measurement, where)
    return _record(path, title, columns, units, metadata, conditions, technique, where)


def _impedance(path: Path, title: str, columns: Mapping[str, list[Floats]], units: Mapping[str, str], metadata: Mapping[str,
                                                                                                                        Any],
               conditions: Mapping[str, Any], measurement: Mapping[str, Any], where: str) -> tuple[Signal, ...]:
    frequency = np.concatenate(columns["frequency"])
    parts = [np.concatenate(columns[name]) for name in ("real", "minus_imaginary") if name in columns]
    if len(parts) < 2 or any(part.size != frequency.size for part in parts):
        raise UnreadableFile(path, f"has {frequency.size} frequencies and {[part.size for part in parts]} parts of impedance",
                             where=where)
    others, lost = {}, []
    for name, pieces in columns.items():
        column = np.concatenate(pieces)
        if name in ("frequency", "real", "minus_imaginary"):
            continue
        if column.size == frequency.size:
            others["elapsed" if name == "time" else name] = Field(column, units[name])
        else:
            lost.append(f"{name} ({column.size})")
    notes = [f"columns of another size than the {frequency.size} frequencies are left out: {', '.join(lost)}"] if lost else []
    listed = measurement.get("EISDataList")
    sizes = [_size(item) for item in listed] if isinstance(listed, list) else []
    if sizes and sum(sizes) != frequency.size:
        notes.append(f"the list of drawn spectra has {sum(sizes)} points, the measurement {frequency.size}: those of the "
                     "measurement are read")
    return spectra.signals(path, title, frequency, parts[0] - 1j * parts[1], others, metadata, conditions, tuple(notes))


def _size(item: Any) -> int:
    values = item.get("DataSet", {}).get("Values", []) if isinstance(item, dict) and isinstance(item.get("DataSet"),
                                                                                                dict) else []
    return next((len(v["DataValues"]) for v in values if isinstance(v, dict) and v.get("ArrayType") == 5
                 and isinstance(v.get("DataValues"), list)), 0)


def _record(path: Path, title: str, columns: Mapping[str, list[Floats]], units: Mapping[str, str], metadata: Mapping[str, Any],
            conditions: Mapping[str, Any], technique: str, where: str) -> tuple[Signal, ...]:
    joined = {name: np.concatenate(pieces) for name, pieces in columns.items()}
    size = max((column.size for column in joined.values()), default=0)
    if size == 0:
        raise UnreadableFile(path, "holds no points", where=where)
    fields: dict[str, Field] = {name: Field(joined[name], units[name]) for name in ("potential", "current") if name in joined
              and joined[name].size == size}
    fields |= {name: Field(column, units[name]) for name, column in joined.items()
               if column.size == size and name not in fields and name != "time"}
    lost = [name for name, column in joined.items() if column.size != size]
    notes = [f"columns of another size than {size} points are left out: {', '.join(lost)}"] if lost else []
    scans = columns.get("current", columns.get("potential", []))
    if len(scans) > 1 and sum(scan.size for scan in scans) == size:
        fields["cycle_number"] = Field(np.repeat(np.arange(1.0, len(scans) + 1), [scan.size for scan in scans]), "1")
    if not fields:
        raise UnreadableFile(path, "holds a clock and nothing else", where=where)
    if "time" in joined and joined["time"].size == size:
        kind = "voltammetry" if technique in SWEEPS else "cycling"
        kind = kind if {"potential", "current"} <= set(fields) else "record"
        axis = Axis("time", joined["time"], "s")
    else:
        notes.append("the measurement has no clock: its points are counted")
        kind, axis = "record", Axis("position", np.arange(size, dtype=np.float64), "1")
    return (Signal(title, (axis,), fields, path, metadata, conditions, kind, tuple(notes)),)


def _conditions(measurement: Mapping[str, Any]) -> dict[str, Any]:
    ticks = measurement.get("UTCTimeStamp")
    if isinstance(ticks, int) and 0 < ticks < 3_000_000_000_000_000_000:
        return {"acquired": (EPOCH + timedelta(microseconds=ticks // 10)).isoformat(timespec="milliseconds")}
    return {}


def recognises(head: bytes, path: Path) -> bool:
    """By the type at the beginning, in either code page."""
    del path
    return MARK.encode("utf-16-le") in head[:256] or MARK.encode() in head[:256]


def example(folder: Path) -> Path:
    """10 ohm in series with 10 uF, eleven frequencies."""
    frequency = 10 ** (4 - np.arange(11) / 2)
    arrays: Sequence[tuple[int, str, NDArray[Any]]] = (
        (5, "Hertz", frequency), (7, "ZRe", np.full(11, 10.0)), (8, "ZIm", 1 / (2e-5 * np.pi * frequency)))
    values = [{"Type": "PalmSens.Data.DataArray", "ArrayType": kind, "Description": unit,
               "Unit": {"Type": f"PalmSens.Units.{unit}"}, "DataValues": [{"V": float(v)} for v in array]}
              for kind, unit, array in arrays]
    session = {"Type": MARK, "CoreVersion": "5.9", "Measurements": [
        {"Title": "resistor and capacitor", "UTCTimeStamp": 639047664000000000, "Method": "METHOD_ID=eis\r\n",
         "DataSet": {"Type": "PalmSens.Data.DataSetEIS", "Values": values}}]}
    path = folder / "example.pssession"
    path.write_bytes(b"\xff\xfe" + json.dumps(session).encode("utf-16-le"))
    return path


PALMSENS = Format(name="palmsens session", suffixes=frozenset({".pssession"}), recognises=recognises, read=read, version="1",
                  example=example)
