"""Neware cycler files (.ndax), read by fastnda.

An .ndax file is a zip archive: `data.ndc` (potential, current), `data_runInfo.ndc` (times and counters, more sparse),
`data_step.ndc` (cycle, step index and type of each step), `data_AUX_*.ndc` (auxiliary channels) and XML with the protocol. The
binary layout is not published; fastnda (BSD-3) decodes it and was held against Neware's own exports. What matters here:

- Cycles are as the cycler numbered them (`cycle_mode="raw"`). fastnda's default makes its own, which gave 160 instead of 150
  and 8 instead of 7 on real files; which steps form a cycle is a decision of the analysis.
- Time is the run's own clock: the date column of some files jumps back. `acquired` is the date of the first point.
- Between entries of `data_runInfo.ndc` fastnda fills the counters with current x time; the entry at the end of a step is the
  cycler's own. `step_charge` is that counter, which restarts with each step; `charge` adds it up over steps, so the difference
  of `charge` between the ends of two steps is the counter again.
- Auxiliary channels are matched to their names by order, which fastnda itself calls an assumption; one real file has 25 "V" in
  a channel that must be a temperature. They arrive under fastnda's names, with a warning.

Not read: the logs (data_log.ndc, data_es.ndc).
"""

import logging
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fastnda
import numpy as np
from fastnda.dicts import STEP_TYPE_MAP
from numpy.typing import NDArray
from polars.exceptions import PanicException

from datasets.errors import UnreadableFile
from datasets.formats.signal import Axis, Field, Format, Signal

ZIP = b"PK\x03\x04"
TABLE = "data.ndc"
MOST_INFLATION = 1100
"""Deflate cannot pack tighter than 1032 to 1: an archive that declares more is damaged or means harm."""
UNITS = {"V": "V", "mV": "mV", "mA": "mA", "degC": "degC", "mAh": "mAh", "mWh": "mWh", "s": "s", "%": "percent"}


def read(path: Path) -> tuple[Signal, ...]:
    """The run of one channel.

    Raises
    ------
    UnreadableFile
        If the archive is damaged or is none of Neware's.
    """
    _check_archive(path)
    with _remarks() as notes:
        try:
            table = fastnda.read(path, cycle_mode="raw", raw_categories=True)
        except (Exception, PanicException) as error:  # polars panics with an exception of its own kind
            what = " ".join(str(error).split())[:150]
            raise UnreadableFile(path, f"fastnda cannot decode it: {type(error).__name__}: {what}",
                                 todo="the file may be damaged") from error
    if table.height == 0:
        raise UnreadableFile(path, "holds no points", where=TABLE)
    columns: dict[str, NDArray[Any]] = {name: table[name].to_numpy() for name in table.columns}
    time = columns["total_time_s"].astype(np.float64)
    if not np.isfinite(time).all():
        raise UnreadableFile(path, "has times that are no numbers", where=f"point {int(np.argmin(np.isfinite(time)))}")
    fields = {"potential": Field(columns["voltage_V"], "V"), "current": Field(columns["current_mA"], "mA")}
    fields |= _charges(columns)
    for name, variable in (("cycle_count", "cycle_number"), ("step_count", "step_number"), ("step_index", "step_index"),
                           ("step_type", "step_type")):
        if name in columns:
            fields[variable] = Field(columns[name], "1")
    if "step_time_s" in columns:
        fields["step_time"] = Field(columns["step_time_s"], "s")
    extra = [name for name in columns if name.startswith("aux")]
    for name in extra:
        stem, _, unit = name.rpartition("_")
        fields[_variable(stem if unit in UNITS else name)] = Field(columns[name], UNITS.get(unit, "arbitrary"))
    if extra:
        notes.append(f"auxiliary channels {', '.join(extra)}: names and units are matched by order, and may be wrong")
    conditions: dict[str, Any] = {}
    if "unix_time_s" in columns and 0 < float(columns["unix_time_s"][0]) < 1e11:
        start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=float(columns["unix_time_s"][0]) - float(time[0]))
        conditions["acquired"] = start.isoformat(timespec="milliseconds")
    metadata = _metadata(path, notes)
    seen = set(columns.get("step_type", np.empty(0)).tolist())
    metadata["step_types"] = {str(code): str(name) for code, name in STEP_TYPE_MAP.items() if code in seen}
    return (Signal(str(metadata.get("title") or path.stem), (Axis("time", time, "s"),), fields, path, metadata, conditions,
                   "cycling", tuple(dict.fromkeys(notes))),)


def _check_archive(path: Path) -> None:
    if path.suffix.lower() != ".ndax":
        raise UnreadableFile(path, "is a Neware archive, but does not end in .ndax", todo="rename it")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UnreadableFile(path, f"is a damaged zip archive: {error}", where="directory at its end",
                             todo="copy the file again") from error
    declared = sum(member.file_size for member in members)
    if declared > MOST_INFLATION * path.stat().st_size:
        raise UnreadableFile(path, f"declares {declared} bytes inside an archive of {path.stat().st_size}",
                             where="directory at its end")
    if TABLE not in {member.filename for member in members}:
        raise UnreadableFile(path, f"has no {TABLE}; found {', '.join(m.filename for m in members[:5])}")


@contextmanager
def _remarks() -> Iterator[list[str]]:
    """Collect what fastnda logs and warns of, so that it reaches the person with the data and not the terminal."""
    notes: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            notes.append(" ".join(record.getMessage().split()))

    logger = logging.getLogger("fastnda")
    collector, propagate = Collector(logging.WARNING), logger.propagate
    logger.addHandler(collector)
    logger.propagate = False
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield notes
        notes += [" ".join(str(w.message).split()) for w in caught]
    finally:
        logger.removeHandler(collector)
        logger.propagate = propagate


def _charges(columns: dict[str, NDArray[Any]]) -> dict[str, Field]:
    """`charge` and `energy` run on, signed like the current; the counters of the steps are beside them."""
    fields: dict[str, Field] = {}
    for name, total, unit in (("capacity_mAh", "charge", "mAh"), ("energy_mWh", "energy", "mWh")):
        if name not in columns:
            continue
        counter = columns[name].astype(np.float64)
        if "step_count" in columns:
            ends = np.flatnonzero(np.diff(columns["step_count"])) + 1
            passed = np.concatenate([[0.0], np.cumsum(counter[ends - 1])])
            length = np.diff(np.concatenate([[0], ends, [counter.size]]))
            fields[total] = Field(counter + np.repeat(passed, length), unit)
        fields[f"step_{total}"] = Field(columns[name], unit)
    return fields


def _metadata(path: Path, notes: list[str]) -> dict[str, Any]:
    """Remark, part number and protocol; a fault here must not cost the data."""
    try:
        with _remarks() as remarks:
            about = fastnda.read_metadata(path)
    except (Exception, PanicException) as error:
        notes.append(f"the metadata cannot be read: {type(error).__name__}")
        return {}
    notes += remarks
    step = about.get("Step")
    head = step.get("Head_Info") if isinstance(step, dict) else None
    found = {key: item["Value"] for key, item in (head or {}).items() if isinstance(item, dict) and "Value" in item}
    protocol = step.get("Step_Info") if isinstance(step, dict) else None
    return {"title": found.get("Remark", ""), "head": found, "protocol": protocol}


def _variable(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower().replace("?", "unknown")).strip("_")


def recognises(head: bytes, path: Path) -> bool:
    """A zip archive with the table of a Neware run; one whose directory is damaged is taken by its name."""
    if not head.startswith(ZIP):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return TABLE in archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return path.suffix.lower() == ".ndax"


NEWARE = Format(name="neware ndax", suffixes=frozenset({".ndax"}), recognises=recognises, read=read, version="1")
