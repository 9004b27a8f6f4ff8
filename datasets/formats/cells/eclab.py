"""What the columns of BioLogic EC-Lab mean, in the binary (.mpr) and the text (.mpt) files alike.

Rows of impedance (frequency above 0) and rows of the ordinary record become signals of their own: within a sweep the current is
that of the excitation, which would look like charge and discharge. Sweeps are cut where the frequency turns back or the
instrument counts on; sweeps of the same frequencies are stacked along the time at which each began, others (an unfinished last
one) stay signals of their own.

- Re(Z) and -Im(Z) are stored; `impedance_imaginary` is the true imaginary part. Where only modulus and phase are stored, both
  parts follow from them.
- `charge` is (Q-Qo), which runs on over the whole record and is signed like the current; without it, the sum of the increments
  dQ. `half_cycle_charge` is the instrument's counter that restarts with each half cycle.
- Time counts from the start of the acquisition, not of this technique: `acquired` is the clock at time 0 for a record, and at
  the first point for impedance.
- EC-Lab computes some columns only when it writes text (galvani issue 114). Where <I> is among them it is dQ / dt here too,
  which is EC-Lab's own value to 2e-12 mA on a file that exists in both forms. The first point has no interval and is NaN.
- A surface of 0.001 cm2 or 0 is EC-Lab's default for "nobody said", and counts as not known.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.cells import spectra
from datasets.formats.cells.table_header import variable
from datasets.formats.signal import Axis, Field, Signal

POTENTIAL = ("Ewe/V", "<Ewe>/V", "<Ewe/V>", "Ecell/V", "<Ecell>/V")
CURRENT = ("I/mA", "<I>/mA")
NAMES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("charge", ("(Q-Qo)/mA.h",)),
    ("counter_potential", ("Ece/V", "<Ece>/V")),
    ("half_cycle_charge", ("Q charge/discharge/mA.h",)),
    ("charge_increment", ("dQ/mA.h", "dq/mA.h", "dQ/C")),
    ("energy", ("|Energy|/W.h",)),
    ("temperature", ("Temperature/°C",)),
    ("half_cycle", ("half cycle",)),
    ("cycle_number", ("cycle number", "z cycle")),
    ("step_number", ("Ns",)),
    ("control", ("control/V/mA", "control/V", "control/mA")),
)
"""Variable -> columns that may hold it, the first one found being taken."""
IMPEDANCE = ("freq/Hz", "Re(Z)/Ohm", "-Im(Z)/Ohm")
UNITS = {"V": "V", "mV": "mV", "mA": "mA", "A": "ampere", "s": "s", "Hz": "Hz", "deg": "deg", "Ohm": "ohm", "Ohm-1": "S",
         "W": "W", "W.h": "Wh", "mW.h": "mWh", "mA.h": "mAh", "A.h": "Ah", "C": "C", "F": "F", "µF": "uF", "nF": "nF",
         "µF-2": "1/uF**2", "%": "percent", "°C": "degC"}
"""EC-Lab's spelling of units; a bare A is an angstrom in microscopy, so the ampere is written out."""
DEFAULT_AREA_CM2 = 0.001
IMPEDANCE_TECHNIQUES = ("PEIS", "GEIS")
VOLTAMMETRY = ("CV", "CVA", "LSV", "Cyclic Voltammetry", "Linear Sweep Voltammetry")


@dataclass(frozen=True, eq=False)
class Record:
    """A table as EC-Lab has it: columns by their EC-Lab names, all (point,); `started` is the clock at time 0."""

    path: Path
    columns: Mapping[str, NDArray[Any]]
    technique: str
    started: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    area_cm2: float | None = None
    warnings: tuple[str, ...] = ()


def signals(record: Record) -> tuple[Signal, ...]:
    """Impedance and the ordinary record as signals; the kind after which the technique is named comes first."""
    columns = record.columns
    if "time/s" not in columns:
        raise UnreadableFile(record.path, f"has no column time/s; found {', '.join(columns)}")
    known = np.isfinite(columns["time/s"])
    if not known.all():
        raise UnreadableFile(record.path, "has times that are no numbers", where=f"point {int(np.argmin(known))}",
                             todo="the file may be damaged")
    points = columns["time/s"].size
    frequency = columns.get("freq/Hz")
    sweeping = frequency > 0 if frequency is not None else np.zeros(points, dtype=bool)
    with np.errstate(all="ignore"):  # numbers of a damaged file may overflow; they stay visible as they are
        found = _impedance(record, np.flatnonzero(sweeping)) if sweeping.any() else []
        rest = None if sweeping.all() else _record(record, sweeping)
    if rest is not None:
        found = [*found, rest] if record.technique in IMPEDANCE_TECHNIQUES else [rest, *found]
    return tuple(found)


def area_or_none(area_cm2: float | None) -> float | None:
    """The electrode's area, None where it is EC-Lab's default or no sensible number."""
    if area_cm2 is None or not 1e-6 < area_cm2 < 1e4 or abs(area_cm2 - DEFAULT_AREA_CM2) < 1e-7:
        return None
    return round(float(area_cm2), 6)


def _record(record: Record, sweeping: NDArray[np.bool_]) -> Signal:
    """The rows that are not impedance, without the columns that only impedance fills."""
    columns = dict(record.columns)
    if sweeping.any():
        resting = ~sweeping
        columns = {name: rest for name, values in columns.items()
                   if (rest := values[resting]).any() or not values[sweeping].any()}
    warnings = list(record.warnings)
    used = {"time/s", "freq/Hz"}
    fields: dict[str, Field] = {}
    if name := _first(POTENTIAL, columns):
        fields["potential"] = Field(columns[name], "V")
        used.add(name)
    name = _first(CURRENT, columns)
    fields["current"] = Field(columns[name] if name else _derived_current(record, warnings)[~sweeping], "mA")
    used.add(name)
    charge, used_charge = _charge(columns)
    if charge is not None:
        fields["charge"] = Field(charge, "mAh")
        used |= used_charge
    fields |= _others(columns, used)
    kind = "voltammetry" if record.technique in VOLTAMMETRY else "cycling"
    if "potential" not in fields:
        kind = "record"
        warnings.append("the file has no potential of the working electrode")
    time = Axis("time", columns["time/s"], "s")
    if not (np.diff(time.values) >= 0).all():
        warnings.append("the clock runs backwards at some points")
    if "error" in fields and fields["error"].data.any():
        warnings.append(f"the instrument flags an error at {int(fields['error'].data.sum())} points")
    return Signal(record.technique, (time,), fields, record.path, record.metadata, _conditions(record, 0.0), kind,
                  tuple(warnings))


def _derived_current(record: Record, warnings: list[str]) -> NDArray[np.float64]:
    """Mean current of each interval from the increments of charge, as EC-Lab has it; zero at open circuit, else NaN."""
    seconds = record.columns["time/s"].astype(np.float64)
    for name, factor in (("dQ/mA.h", 3600.0), ("dq/mA.h", 3600.0), ("dQ/C", 1e3)):
        if name in record.columns:
            interval = np.diff(seconds, prepend=np.nan)
            interval[~(interval > 0)] = np.nan
            warnings.append("the file does not store the current: it is dQ / dt here, as EC-Lab computes <I>")
            return factor * record.columns[name].astype(np.float64) / interval
    if record.technique == "OCV":
        warnings.append("open circuit: no current flows by definition, and the file stores none")
        return np.zeros(seconds.size)
    warnings.append("the file has no current")
    return np.full(seconds.size, np.nan)


def _charge(columns: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any] | None, set[str]]:
    if "(Q-Qo)/mA.h" in columns:
        return columns["(Q-Qo)/mA.h"], {"(Q-Qo)/mA.h"}
    if "(Q-Qo)/C" in columns:
        return columns["(Q-Qo)/C"].astype(np.float64) / 3.6, {"(Q-Qo)/C"}
    for name, factor in (("dQ/mA.h", 1.0), ("dq/mA.h", 1.0), ("dQ/C", 1 / 3.6)):
        if name in columns:
            return np.cumsum(columns[name].astype(np.float64)) * factor, set()
    return None, set()


def _impedance(record: Record, rows: NDArray[np.intp]) -> list[Signal]:
    columns = record.columns
    groups: list[list[NDArray[np.intp]]] = []
    for sweep in _sweeps(columns, rows):
        same = next((g for g in groups if len(g[0]) == len(sweep)
                     and (columns["freq/Hz"][g[0]] == columns["freq/Hz"][sweep]).all()), None)
        if same is None:
            groups.append([sweep])
        else:
            same.append(sweep)
    whole = max((group[0] for group in groups), key=len)
    if len(groups) > 1:
        record = replace(record, warnings=(*record.warnings, spectra.APART))
    return [_sweep_signal(record, group, columns["freq/Hz"][whole]) for group in groups]


def _sweeps(columns: Mapping[str, NDArray[Any]], rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Rows of each sweep: cut where rows are interrupted, the instrument counts on, or the frequency turns back."""
    frequency = columns["freq/Hz"][rows].astype(np.float64)
    cut = np.diff(rows) > 1
    for name in ("cycle number", "z cycle", "Ns"):
        if name in columns:
            cut |= np.diff(columns[name][rows].astype(np.float64)) != 0
    cut |= spectra.cuts(frequency)
    return np.split(rows, np.flatnonzero(cut) + 1)


def _sweep_signal(record: Record, sweeps: Sequence[NDArray[np.intp]], whole: NDArray[Any]) -> Signal:
    """Sweeps of equal frequencies; `whole` is the longest list of frequencies in the file."""
    several = len(sweeps) > 1
    where = np.stack(sweeps) if several else sweeps[0]
    first, last = int(where.flat[0]), int(where.flat[-1]) + 1
    if last - first == where.size:  # rows in one piece need no picking
        columns = {name: values[first:last].reshape(where.shape) for name, values in record.columns.items()}
    else:
        columns = {name: values[where] for name, values in record.columns.items()}
    warnings = list(record.warnings)
    fields: dict[str, Field] = {}
    if "Re(Z)/Ohm" in columns and "-Im(Z)/Ohm" in columns:
        fields["impedance_real"] = Field(columns["Re(Z)/Ohm"], "ohm")
        fields["impedance_imaginary"] = Field(-columns["-Im(Z)/Ohm"], "ohm")
    elif "|Z|/Ohm" in columns and "Phase(Z)/deg" in columns:
        modulus, phase = columns["|Z|/Ohm"].astype(np.float64), np.deg2rad(columns["Phase(Z)/deg"].astype(np.float64))
        fields["impedance_real"] = Field(modulus * np.cos(phase), "ohm")
        fields["impedance_imaginary"] = Field(modulus * np.sin(phase), "ohm")
        warnings.append("real and imaginary part follow from modulus and phase, which is what the file stores")
    else:
        raise UnreadableFile(record.path, "has frequencies, but no impedance of the working electrode")
    used = {*IMPEDANCE, "time/s"}
    for name, options, unit in (("potential", POTENTIAL, "V"), ("current", CURRENT, "mA")):
        if column := _first(options, columns):
            fields[name] = Field(columns[column], unit)
            used.add(column)
    fields["elapsed"] = Field(columns["time/s"], "s")
    fields |= _others(columns, used)
    frequency = Axis("frequency", record.columns["freq/Hz"][sweeps[0]].astype(np.float64), "Hz")
    title = record.technique
    if several:
        starts = columns["time/s"][:, 0]
        axes: tuple[Axis, ...] = (Axis("time", starts, "s", {"sweep": (np.arange(1.0, len(sweeps) + 1), "1")}), frequency)
    else:
        axes = (frequency,)
        if len(sweeps[0]) < whole.size and np.array_equal(whole[:len(sweeps[0])], record.columns["freq/Hz"][sweeps[0]]):
            title = f"{title}, unfinished sweep"
            warnings.append(f"the sweep ends after {len(sweeps[0])} of {whole.size} frequencies")
    conditions = _conditions(record, float(record.columns["time/s"][sweeps[0][0]]))
    return Signal(title, axes, fields, record.path, record.metadata, conditions, "EIS", tuple(warnings))


def _conditions(record: Record, after_s: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if record.started is not None:
        with suppress(OverflowError):
            found["acquired"] = (record.started + timedelta(seconds=after_s)).isoformat(timespec="milliseconds")
    if (area := area_or_none(record.area_cm2)) is not None:
        found["electrode_area_cm2"] = area
    return found


def _others(columns: Mapping[str, NDArray[Any]], used: set[str]) -> dict[str, Field]:
    """All columns that are not yet used, by known or by spelled-out names: nothing is dropped."""
    fields: dict[str, Field] = {}
    left = [name for name in columns if name not in used]
    for quantity, options in NAMES:
        if column := _first(options, left):
            fields[quantity] = Field(columns[column], _unit(column))
            left.remove(column)
    for column in left:
        name = variable(_words(column), _unit(column), fields)
        fields[name] = Field(columns[column], _unit(column))
    return fields


def _first(options: Sequence[str], columns: Mapping[str, Any] | Sequence[str]) -> str:
    return next((name for name in options if name in columns), "")


@lru_cache(maxsize=1024)
def _unit(column: str) -> str:
    name, _, suffix = column.strip(">").rpartition("/")
    if name.endswith("/V"):  # control/V/mA is one or the other
        return "arbitrary"
    return UNITS.get(re.sub(r"\s+\d+$", "", suffix), "1") if name else "1"


@lru_cache(maxsize=1024)
def _words(column: str) -> str:
    """A column's name in words: "-Im(Zce)/Ohm" is minus Im(Zce), "|Z|/Ohm" is z modulus, "<Ece>/V" is ece mean."""
    name, _, suffix = column.rpartition("/")
    bare = name if name and re.sub(r"\s+\d+$", "", suffix) in UNITS else column
    bare = re.sub(r"\|(.*?)\|", r"\1 modulus", bare)
    bare = re.sub(r"<(.*?)>", r"\1 mean", bare)
    return bare.replace("-Im", "minus Im")
