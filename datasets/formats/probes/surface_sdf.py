"""Surface data files (.sdf), ISO 25178-71: the exchange format of areal surface texture.

"aISO-1.0" begins a text file (keys, "*", the numbers, "*", remarks), "bISO-1.0" a binary one (81 bytes of header, the numbers).
Also 2.0 and BCR-1.0 are read. All lengths are in m; heights are numbers x Zscale; Xscale is the distance of points. A point
that was not measured is BAD in text, NaN or the lowest number of its type (the highest of unsigned ones) in binary files.
Written from the reader of SurfaceTopography (MIT) and held against it; the standard was not open.
"""

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.contiguous import left_over
from datasets.formats.probes.scan_image import Channel, number_and_unit, signals
from datasets.formats.signal import Format, Signal

MAGIC = re.compile(rb"[ab](ISO-[12]\.0|BCR-1\.0)")
HEADER = struct.Struct("<8s10s12s12sHHddddBBB")
NAMES = ("magic", "ManufacID", "CreateDate", "ModDate", "NumPoints", "NumProfiles", "Xscale", "Yscale", "Zscale", "Zresolution",
         "Compression", "DataType", "CheckType")
NUMBERS = {0: "u1", 1: "<u2", 2: "<u4", 3: "<f4", 4: "i1", 5: "<i2", 6: "<i4", 7: "<f8"}
NOT_MEASURED = {1: 2**16 - 1, 2: 2**32 - 1, 5: -(2**15), 6: -(2**31)}
MOST_POINTS = 1 << 31


def read(path: Path) -> tuple[Signal, ...]:
    """The surface of a file.

    Raises
    ------
    UnreadableFile
        Naming the key that is wrong, or how many numbers are missing.
    """
    raw = path.read_bytes()
    about, data, remarks = _text(path, raw) if raw[:1] == b"a" else _binary(path, raw)
    lost = int(np.isnan(data).sum())
    channel = Channel("Height", data * float(about["Zscale"]), "m", (float(about["Yscale"]), float(about["Xscale"])), "m")
    return signals(path, [channel], metadata=about, remarks=[*remarks, *([f"{lost} points were not measured"] if lost else [])])


def _text(path: Path, raw: bytes) -> tuple[dict[str, Any], NDArray[np.float64], list[str]]:
    head, _, rest = raw.decode("latin-1").partition("*")
    about: dict[str, Any] = {}
    for line in head.splitlines()[1:]:
        key, equals, value = line.partition("=")
        if equals:
            number, unit = number_and_unit(value)
            about[key.strip()] = number if np.isfinite(number) and not unit else value.strip()
    rows, columns = _size(path, about)
    words = rest.partition("*")[0].split()
    if len(words) != rows * columns:
        raise UnreadableFile(path, f"declares {rows} x {columns} points and holds {len(words)}",
                             todo="the file may be truncated")
    try:
        values = np.array([float("nan") if word.upper() == "BAD" else float(word) for word in words])
    except ValueError as error:
        raise UnreadableFile(path, f"expected heights: {error}") from None
    return about, values.reshape(rows, columns), []


def _binary(path: Path, raw: bytes) -> tuple[dict[str, Any], NDArray[np.float64], list[str]]:
    if len(raw) < HEADER.size:
        raise UnreadableFile(path, f"ends after {len(raw)} bytes, inside its header")
    about = {name: value.decode("latin-1").strip("\0 ") if isinstance(value, bytes) else value
             for name, value in zip(NAMES, HEADER.unpack_from(raw), strict=True)}
    rows, columns = _size(path, about)
    kind = int(about["DataType"])
    if kind not in NUMBERS or about["Compression"] != 0:
        raise UnreadableFile(path, f"holds numbers of type {kind}, compression {about['Compression']}; types 0 to 7 without "
                                   "compression are read")
    dtype = np.dtype(NUMBERS[kind])
    if HEADER.size + rows * columns * dtype.itemsize > len(raw):
        raise UnreadableFile(path, f"declares {rows} x {columns} points of {dtype.itemsize} bytes and holds "
                                   f"{len(raw) - HEADER.size} bytes of them", todo="the file is truncated; copy it again")
    numbers = np.frombuffer(raw, dtype, rows * columns, HEADER.size).reshape(rows, columns)
    values = numbers.astype(np.float64)
    if kind in NOT_MEASURED:
        values[numbers == NOT_MEASURED[kind]] = np.nan
    return about, values, left_over(len(raw) - HEADER.size - numbers.nbytes)


def _size(path: Path, about: dict[str, Any]) -> tuple[int, int]:
    wrong = [key for key in ("NumPoints", "NumProfiles", "Xscale", "Yscale", "Zscale")
             if not isinstance(about.get(key), (int, float)) or not 0 < abs(about[key]) < 1e30]
    if wrong or about["NumPoints"] * about["NumProfiles"] > MOST_POINTS:
        raise UnreadableFile(path, f"{', '.join(f'{key} is {about.get(key)!r}' for key in wrong) or 'too many points'}")
    return int(about["NumProfiles"]), int(about["NumPoints"])


def recognises(head: bytes, path: Path) -> bool:
    """By its version."""
    del path
    return bool(MAGIC.match(head)) and (head[:1] == b"b" or b"NumPoints" in head)


def example(folder: Path) -> Path:
    """A slope of 16 rows and 24 columns."""
    about = (b"bISO-1.0", b"tests", b"", b"", 24, 16, 1e-8, 1e-8, 1e-9, 1e-9, 0, 5, 0)
    path = folder / "example.sdf"
    path.write_bytes(HEADER.pack(*about) + np.arange(16 * 24, dtype="<i2").tobytes())
    return path


SURFACE_SDF = Format(name="sdf", suffixes=frozenset({".sdf"}), recognises=recognises, read=read, version="1", example=example)
