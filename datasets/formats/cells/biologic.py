"""BioLogic EC-Lab and BT-Lab binary files (.mpr).

The format is not published; this follows what galvani and yadg found out (both GPL-3.0-or-later). Galvani's tables of columns
are used. After a magic line of 52 bytes follow modules: "MODULE", a header (short name, long name, length, version, date; from
EC-Lab 11.50 on with a maximum length of 0xffffffff and one more number), and `length` bytes. "VMP Set" holds the settings,
"VMP data" the table, "VMP LOG" the clock, "VMP loop" the first rows of loops, "VMP ExtDev" analogue inputs.

Data module: number of points (u4), number of columns (u1), column numbers (u1 or u2), padding, then the points as packed
records. The table begins at byte 100 or 1007 (version 0), 405 (version 2) or 406 (version 3). Flag columns share one byte.
Settings: technique (byte 0), comment (7), electrode material (0x11e), electrolyte (0x1c0), surface in cm2 (0x211), reference
electrode (0x215): offsets as in yadg; texts have their length before them. Log: the start of the acquisition as days since
1899-12-30 at byte 585, or at 465, 469 or 473 as galvani has seen; local time, the zone is not stored.

Where column numbers have one byte (version 0 of some programs), a number that is not known is the low byte of one above 255,
and 174 beside Ewe is 430, Phase(Zwe-ce); as in yadg.

A column of unknown number: the record's size tells the sum of the unknown columns' sizes. If that decides each size, all is
read and the unknown column is kept by its number; if not, the columns before the first and after the last unknown one are read,
which is certain, and the rest is not. A warning says so.

Not understood: most of the settings, parameters of the technique among them; the meaning of `VMP ExtDev`.
"""

import math
import re
import struct
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from galvani import BioLogic
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.cells import eclab
from datasets.formats.signal import Format, Signal

MAGIC = b"BIO-LOGIC MODULAR FILE\x1a"
HEADER_BYTES = 52
MODULE, NEWER = b"MODULE", b"\xff\xff\xff\xff"
OLD_HEADER, NEW_HEADER = struct.Struct("<10s25xII8s"), struct.Struct("<10s25x4xII4x8s")
"""Short name, length, version, date; the newer one has a maximum length and one more number."""
MORE_COLUMNS = {295: ("I Range", "<u2"), 326: ("P/W", "<f4"), 379: ("Energy charge/W.h", "<f8"), 471: ("<Ece>/V", "<f4"),
                475: ("THD Ece/%", "<f4"), 478: ("NSD Ece/%", "<f4"), 481: ("NSR Ece/%", "<f4"), 503: ("|Ece h7|/V", "<f4")}
"""Columns that yadg knows and galvani does not."""
WRAP, WORKING_MEAN, WORKING = 256, 174, (6, 77)
TECHNIQUES = {0x04: "GCPL", 0x06: "CV", 0x0B: "OCV", 0x16: "MP", 0x18: "CA", 0x19: "CP", 0x1C: "WAIT", 0x1D: "PEIS",
              0x1E: "GEIS", 0x30: "CV", 0x32: "ZIR", 0x33: "CVA", 0x6C: "LSV", 0x75: "CoV", 0x76: "CoC", 0x77: "GCPL",
              0x7F: "MB", 0x88: "BCD"}
"""First byte of the settings -> technique, as in yadg; 0x88 from one file whose comment says so."""
UNKNOWN_TYPES = {8: "<f8", 4: "<f4", 2: "<u2", 1: "u1"}
OLE_EPOCH = datetime(1899, 12, 30)
OLE_OFFSETS = (585, 465, 469, 473)
OLE_DAYS = (32874.0, 73050.0)
"""1990 to 2100: what a start of an acquisition can be."""
TEXTS = {"comment": 0x07, "electrode_material": 0x11E, "electrolyte": 0x1C0, "reference_electrode": 0x215}
AREA_OFFSET = 0x211
MOST_UNKNOWN = 4


class Module(NamedTuple):
    """One module of the file; nothing is copied."""

    body: memoryview
    version: int
    date: bytes


def read(path: Path) -> tuple[Signal, ...]:
    """Record and impedance of an .mpr file.

    Raises
    ------
    UnreadableFile
        Naming the module and what is wrong with it.
    """
    modules = _modules(path)
    data = modules.get("VMP data")
    if data is None:
        raise UnreadableFile(path, f"has no module 'VMP data', only {', '.join(map(repr, modules)) or 'none'}")
    columns, notes = _table(path, data.body, data.version)
    settings = bytes(modules["VMP Set"].body) if "VMP Set" in modules else b""
    metadata = _settings(settings)
    started, remark = _started(modules)
    code = settings[0] if settings else 0
    metadata["technique"] = technique = TECHNIQUES.get(code, f"EC-Lab technique 0x{code:02x}")
    if "VMP ExtDev" in modules:
        metadata["external_device"] = True
    return eclab.signals(eclab.Record(path, columns, technique, started, metadata, _area(settings), (*notes, *remark)))


def _modules(path: Path) -> dict[str, Module]:
    raw = path.read_bytes()
    if not raw.startswith(MAGIC) or len(raw) <= HEADER_BYTES:
        raise UnreadableFile(path, f"ends after {len(raw)} bytes, before its first module")
    view = memoryview(raw)
    modules: dict[str, Module] = {}
    place = HEADER_BYTES
    while place < len(raw):
        if raw[place:place + 6] != MODULE:
            raise UnreadableFile(path, "expected the start of a module and found other bytes", where=f"byte {place}")
        head = place + 6
        layout = NEW_HEADER if raw[head + 35:head + 39] == NEWER else OLD_HEADER
        body = head + layout.size
        name, length, version, date = layout.unpack(raw[head:body].ljust(layout.size, b"\0"))
        if body + length > len(raw):
            raise UnreadableFile(path, f"the module at byte {place} is cut off: the file ends at byte {len(raw)}",
                                 where=f"after {', '.join(modules) or 'the header'}", todo="copy the file again")
        modules.setdefault(name.decode("latin-1").strip(), Module(view[body:body + length], version, date))
        place = body + length
    return modules


def _table(path: Path, body: memoryview, version: int) -> tuple[dict[str, NDArray[Any]], list[str]]:
    where = f"module 'VMP data', version {version}"
    if len(body) < 7:
        raise UnreadableFile(path, "the table is empty", where=where)
    points, count = struct.unpack_from("<IB", body)
    if version == 0:
        wide = body[5] == 0
        start, width, first = (1007, 2, 6) if wide else (100, 1, 5)
    elif version in (2, 3):
        start, width, first = (405 if version == 2 else 406), 2, 5
    else:
        raise UnreadableFile(path, f"has a table of version {version}; versions 0, 2 and 3 are known", where=where)
    if len(body) < start or first + width * count > start:
        raise UnreadableFile(path, f"the table declares {count} columns and has {len(body)} bytes", where=where)
    numbers = [int(n) for n in np.frombuffer(body, "<u2" if width == 2 else "u1", count, first)]
    size = len(body) - start
    if points == 0 or count == 0:
        raise UnreadableFile(path, f"holds {points} points of {count} columns", where=where)
    if size % points:
        raise UnreadableFile(path, f"declares {points} points, which do not divide its {size} bytes of data", where=where)
    dtype, flags, notes = _record_type(path, tuple(numbers), size // points, where, narrow=width == 1)
    table = np.frombuffer(body, dtype, points, start)
    columns: dict[str, NDArray[Any]] = {str(name): table[name] for name in dtype.names or () if name != "flags"}
    for name, mask in flags.items():
        shift = (mask & -mask).bit_length() - 1
        columns[name] = (table["flags"] & np.uint8(mask)) >> np.uint8(shift)
    return columns, notes


@lru_cache(maxsize=256)
def _layout(numbers: tuple[int, ...], *, narrow: bool) -> tuple[list[tuple[str, str]], dict[str, int]]:
    """Name and type of each stored column, and flag -> mask within the byte of flags; "" is the type of an unknown column."""
    layout: list[tuple[str, str]] = []
    flags: dict[str, int] = {}
    for number in numbers:
        if number in BioLogic.VMPdata_colID_flag_map:
            name, mask, _ = BioLogic.VMPdata_colID_flag_map[number]
            flags[name] = int(mask)
            name, kind = "flags", "u1"
            if any(known == name for known, _ in layout):
                continue
        else:
            if narrow and number == WORKING_MEAN and any(n in numbers for n in WORKING):
                number += WRAP
            known = _known(number) or (_known(number + WRAP) if narrow else None)
            name, kind = known or (f"unknown_colID_{number}", "")
        taken = sum(re.fullmatch(re.escape(name) + r"( \d+)?", other) is not None for other, _ in layout)
        layout.append((f"{name} {taken + 1}" if taken else name, kind))
    return layout, flags


def _known(number: int) -> tuple[str, str] | None:
    return BioLogic.VMPdata_colID_dtype_map.get(number) or MORE_COLUMNS.get(number)


def _record_type(path: Path, numbers: tuple[int, ...], size: int, where: str, *,
                 narrow: bool) -> tuple[np.dtype[Any], dict[str, int], list[str]]:
    """Layout of one point of `size` bytes; unknown columns get the sizes that make it fit, where only one choice does."""
    layout, flags = _layout(numbers, narrow=narrow)
    layout = list(layout)
    names = [name for name, _ in layout]
    unknown = [i for i, (_, kind) in enumerate(layout) if not kind]
    sizes: list[int | None] = [np.dtype(kind).itemsize if kind else None for _, kind in layout]
    left = size - sum(s or 0 for s in sizes)
    told = ", ".join(names[i].removeprefix("unknown_colID_") for i in unknown)
    if not unknown and left:
        raise UnreadableFile(path, f"a point has {size} bytes, its {len(numbers)} columns need {size - left}", where=where)
    if left < len(unknown) or len(set(names)) < len(names):
        raise UnreadableFile(path, f"the columns of unknown number {told} leave no room for the known ones", where=where)
    notes = [f"column number {told} is not known; it is kept by its number"] if unknown else []
    options = [c for c in product(UNKNOWN_TYPES, repeat=len(unknown)) if sum(c) == left] if len(unknown) <= MOST_UNKNOWN else []
    if unknown and len(options) != 1:
        notes = [f"columns number {told} are not known and their sizes cannot be told: the columns from the first to the last "
                 "of them are left out"]
        known = [*range(unknown[0]), *range(unknown[-1] + 1, len(names))]
    else:
        for i, bytes_ in zip(unknown, options[0] if unknown else (), strict=True):
            sizes[i] = bytes_
            layout[i] = (names[i], UNKNOWN_TYPES[bytes_])
        known = list(range(len(names)))
    offsets = {i: sum(s or 0 for s in sizes[:i]) if not unknown or i < unknown[0] or len(options) == 1
               else size - sum(s or 0 for s in sizes[i:]) for i in known}
    dtype = np.dtype({"names": [names[i] for i in known], "formats": [layout[i][1] for i in known],
                      "offsets": [offsets[i] for i in known], "itemsize": size})
    return dtype, flags if "flags" in (dtype.names or ()) else {}, notes


def _settings(settings: bytes) -> dict[str, Any]:
    found = {name: text for name, offset in TEXTS.items() if (text := _text(settings, offset))}
    return {name: text for name, text in found.items() if text != "(unspecified)"}


def _text(block: bytes, offset: int) -> str:
    """Text with its length before it; "" unless it is all printable."""
    if offset >= len(block):
        return ""
    raw = block[offset + 1:offset + 1 + block[offset]]
    text = " ".join(raw.decode("cp1252", errors="replace").split())
    return text if len(raw) == block[offset] and text.isprintable() else ""


def _area(settings: bytes) -> float | None:
    if len(settings) < AREA_OFFSET + 4:
        return None
    (area,) = struct.unpack_from("<f", settings, AREA_OFFSET)
    return float(area) if math.isfinite(area) else None


def _started(modules: Mapping[str, Module]) -> tuple[datetime | None, list[str]]:
    """Clock at time 0, from the log; the date of the settings says which of the possible places holds it."""
    log = modules.get("VMP LOG")
    try:
        date = BioLogic.parse_BioLogic_date(modules["VMP Set"].date)
    except (KeyError, ValueError, UnicodeDecodeError):
        date = None
    moments = []
    for offset in OLE_OFFSETS if log is not None else ():
        if log is not None and len(log.body) >= offset + 8:
            (days,) = struct.unpack_from("<d", log.body, offset)
            if OLE_DAYS[0] < days < OLE_DAYS[1]:
                moments.append(OLE_EPOCH + timedelta(milliseconds=round(days * 86400e3)))
    agreeing = [moment for moment in moments if date is None or moment.date() == date]
    if agreeing:
        return agreeing[0], []
    if moments:
        return None, [f"the log says that the acquisition started at {moments[0]}, the settings say {date}: neither is used"]
    return None, ["the file does not say at which time the acquisition started" + (f", only the day: {date}" if date else "")]


def recognises(head: bytes, path: Path) -> bool:
    """By the magic line."""
    del path
    return head.startswith(MAGIC)


def example(folder: Path, points: int = 16) -> Path:
    """Points of a constant current, written by hand."""
    table = np.zeros(points, [("flags", "u1"), ("t", "<f8"), ("E", "<f4"), ("I", "<f4"), ("q", "<f8")])
    table["flags"], table["t"], table["E"] = 1, 10.0 * np.arange(points), 0.1
    table["I"], table["q"] = 1.0, table["t"] / 3600
    numbers = (1, 4, 6, 76, 13)
    data = struct.pack(f"<IB{len(numbers)}H", table.size, len(numbers), *numbers).ljust(405, b"\0") + b"\1" + table.tobytes()
    log = bytearray(600)
    struct.pack_into("<d", log, OLE_OFFSETS[0], 46000.5)
    path = folder / "example.mpr"
    with path.open("wb") as file:
        file.write(MAGIC.ljust(48) + b"\0\0\0\0")
        for name, version, body in ((b"VMP Set", 0, bytes([0x04]).ljust(1000, b"\0")), (b"VMP data", 3, data),
                                    (b"VMP LOG", 0, bytes(log))):
            head = struct.pack("<10s25sII8s", name.ljust(10), name.ljust(25), len(body), version, b"12/09/25")
            file.write(b"MODULE" + head + body)
    return path


BIOLOGIC = Format(name="biologic mpr", suffixes=frozenset({".mpr"}), recognises=recognises, read=read, version="1",
                  example=example)
