"""Neware cycler files (.ndax, .nda), read by fastnda.

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

An .nda file, of the older programs, is one binary table behind a header that begins with "NEWARE" and has the version of the
layout in byte 14. fastnda knows layouts 1 to 29, 129 and 130 and warns where it has seen no file of one; some have no cycle
numbers, and then fastnda's own arrive with a warning. fastnda looks at the suffix, so a file with another one is handed to it
under a link.

Not read: the logs (data_log.ndc, data_es.ndc).
"""

import logging
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

import fastnda
import numpy as np
from fastnda.dicts import STEP_TYPE_MAP
from numpy.typing import NDArray
from polars.exceptions import PanicException

from datasets.errors import UnreadableFile
from datasets.formats.signal import Axis, Field, Format, Signal
from datasets.formats.zip_members import ZIP, zip_members

NDA = b"NEWARE"
NEWEST_NARROW = 29
"""Above this version of .nda, places in the file have eight bytes."""
PROTOCOL = "Step.xml"
TABLE = "data.ndc"
MOST_INFLATION = 1100
"""Deflate cannot pack tighter than 1032 to 1: an archive that declares more is damaged or means harm."""
MOST_BEHIND = 128
"""Bytes; other tables, which some versions keep behind that of the points, are larger."""
UNITS = {"V": "V", "mV": "mV", "mA": "mA", "degC": "degC", "mAh": "mAh", "mWh": "mWh", "s": "s", "%": "percent"}


def read(path: Path) -> tuple[Signal, ...]:
    """The run of one channel.

    Raises
    ------
    UnreadableFile
        If the archive is damaged or is none of Neware's.
    """
    archive = _head(path).startswith(ZIP)
    metadata = _check_archive(path) if archive else {}
    with _remarks() as notes, _named(path, ".ndax" if archive else ".nda") as file:
        try:
            table = fastnda.read(file, cycle_mode="raw", raw_categories=True)
            if not archive:
                metadata = _plain(fastnda.read_metadata(file))
        except (Exception, PanicException) as error:  # polars panics with an exception of its own kind
            what = " ".join(str(error).split())[:150]
            raise UnreadableFile(path, f"fastnda cannot decode it: {type(error).__name__}: {what}",
                                 todo="the file may be damaged") from error
    if table.height == 0:
        raise UnreadableFile(path, "holds no points", where=TABLE if archive else "")
    if table.estimated_size() > MOST_INFLATION * path.stat().st_size:
        raise UnreadableFile(path, f"gives {table.height} points from {path.stat().st_size} bytes",
                             todo="the file may be damaged")
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
    notes += _gaps(columns)
    if not archive:
        notes += _cut_off(path)
    conditions: dict[str, Any] = {}
    if "unix_time_s" in columns and 0 < float(columns["unix_time_s"][0]) < 1e11:
        start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=float(columns["unix_time_s"][0]) - float(time[0]))
        conditions["acquired"] = start.isoformat(timespec="milliseconds")
    seen = set(np.unique(columns.get("step_type", np.empty(0))).tolist())
    metadata["step_types"] = {str(code): str(name) for code, name in STEP_TYPE_MAP.items() if code in seen}
    return (Signal(str(metadata.get("title") or path.stem), (Axis("time", time, "s"),), fields, path, metadata, conditions,
                   "cycling", tuple(dict.fromkeys(notes))),)


def _check_archive(path: Path) -> dict[str, Any]:
    """What the archive says of the test, if it is one of Neware's that can hold what it declares."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            declared = sum(member.file_size for member in members)
            if declared > MOST_INFLATION * path.stat().st_size:
                raise UnreadableFile(path, f"declares {declared} bytes inside an archive of {path.stat().st_size}",
                                     where="directory at its end")
            if max((member.compress_size for member in members), default=0) > path.stat().st_size:
                raise UnreadableFile(path, "declares a member larger than the file", where="directory at its end")
            if TABLE not in archive.namelist():
                raise UnreadableFile(path, f"has no {TABLE}; found {', '.join(m.filename for m in members[:5])}")
            return _protocol(archive)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        if isinstance(error, UnreadableFile):
            raise
        raise UnreadableFile(path, f"is a damaged zip archive: {error}", where="directory at its end",
                             todo="copy the file again") from error


def _protocol(archive: zipfile.ZipFile) -> dict[str, Any]:
    """Remark, head and steps of the protocol; a fault here must not cost the data."""
    try:
        config = ElementTree.fromstring(archive.read(PROTOCOL).decode("gb18030",
                                                                      errors="ignore").partition("?>")[2]).find("config")
    except (KeyError, ElementTree.ParseError, zipfile.BadZipFile, ValueError, zlib.error):
        return {}
    tree = _branches(config) if config is not None else {}
    found = {key: item["Value"] for key, item in tree.get("Head_Info", {}).items() if isinstance(item,
                                                                                                 dict) and "Value" in item}
    return {"title": found.get("Remark", ""), "head": found, "protocol": tree.get("Step_Info")}


def _branches(element: ElementTree.Element) -> dict[str, Any]:
    """Attributes and children of an element; children of one name become a list."""
    found: dict[str, Any] = dict(element.attrib)
    for child in element:
        branch = _branches(child)
        if child.tag not in found:
            found[child.tag] = branch
        elif isinstance(found[child.tag], list):
            found[child.tag].append(branch)
        else:
            found[child.tag] = [found[child.tag], branch]
    return found


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(NDA))


def _cut_off(path: Path) -> list[str]:
    """Whether the header of an .nda promises more bytes of points than the file has, or a few less."""
    with path.open("rb") as file:
        header = file.read(128)
    newer = header[14] > NEWEST_NARROW
    at, width = (82, 8) if newer else (64, 4)
    begin, length = (int.from_bytes(header[at + i * width:at + (i + 1) * width], "little") for i in range(2))
    size = path.stat().st_size
    if begin + length > size:
        return [f"the header promises points up to byte {begin + length} and the file ends at byte {size}: it may be cut off"]
    if 0 < size - begin - length <= MOST_BEHIND:
        return [f"{size - begin - length} bytes stand behind the points that the header promises: a point may be lost"]
    return []


def _gaps(columns: Mapping[str, NDArray[Any]]) -> list[str]:
    """Whether the numbers that the cycler gave its points run on without a gap, from 1."""
    index = columns.get("index", np.empty(0))
    if not np.array_equal(index, np.arange(1, index.size + 1, dtype=index.dtype)):
        return [f"the points are not numbered 1, 2, 3 ... ({index[0]} to {index[-1]}, {index.size} of them): some may be lost"]
    return []


@contextmanager
def _named(path: Path, suffix: str) -> Iterator[Path]:
    """The file under a name with the suffix by which fastnda tells its formats."""
    if path.suffix.lower() == suffix:
        yield path
        return
    with TemporaryDirectory() as folder:
        link = Path(folder) / f"file{suffix}"
        link.symlink_to(path.resolve())
        yield link


def _plain(about: Mapping[str, Any]) -> dict[str, Any]:
    """What an .nda says of the test, without empty texts."""
    found = {name: value for name, value in about.items() if value not in ("", None)}
    return {"title": str(found.get("remarks") or found.get("barcode") or ""), **found}


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
    steps = columns.get("step_count")
    ends = np.flatnonzero(steps[1:] != steps[:-1]) + 1 if steps is not None else np.empty(0, np.intp)
    for name, total, unit in (("capacity_mAh", "charge", "mAh"), ("energy_mWh", "energy", "mWh")):
        if name not in columns:
            continue
        counter = columns[name]
        if steps is not None:
            passed = np.concatenate([[0.0], np.cumsum(counter[ends - 1], dtype=np.float64)])
            length = np.diff(np.concatenate([[0], ends, [counter.size]]))
            fields[total] = Field(np.repeat(passed, length) + counter, unit)
        fields[f"step_{total}"] = Field(counter, unit)
    return fields


def _variable(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower().replace("?", "unknown")).strip("_")


def recognises(head: bytes, path: Path) -> bool:
    """By the first word, or a zip archive with the table of a run; one whose directory is damaged is taken by its name."""
    if head.startswith(NDA):
        return True
    names = zip_members(head, path)
    return path.suffix.lower() == ".ndax" if names is None else TABLE in names


def example(folder: Path) -> Path:
    """Twelve points of a constant current of 1 mA in layout 8 of .nda: current in 0.01 mA, charge in 0.01 mA s."""
    table = np.zeros(12, [("identifier", "<u1"), ("index", "<u4"), ("cycle", "<u4"), ("step", "<u1"), ("type", "<u1"),
                          ("time", "<u4"), ("voltage", "<i4"), ("current", "<i4"), ("pad", "V8"), ("charge", "<i8"),
                          ("energy", "<i8"), ("clock", "<u8"), ("sum", "<u4")])
    seconds = 3 * np.arange(12)
    table["index"], table["cycle"], table["step"], table["type"] = np.arange(1, 13), 1, 1, 1
    table["time"], table["voltage"], table["current"] = seconds, 1000, 100
    table["charge"], table["clock"] = 100 * seconds, 1769169600 + seconds
    header = bytearray(2304)
    header[:6], header[14] = NDA, 8
    header[16:20] = (1024).to_bytes(4, "little")
    header[64:72] = len(header).to_bytes(4, "little") + table.nbytes.to_bytes(4, "little")
    header[1024 + 26:1024 + 30] = (100).to_bytes(4, "little")
    path = folder / "example.nda"
    path.write_bytes(bytes(header) + table.tobytes())
    return path


NEWARE = Format(name="neware ndax", suffixes=frozenset({".ndax", ".nda"}), recognises=recognises, read=read, version="2",
                example=example)
