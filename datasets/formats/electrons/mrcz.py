"""MRCZ: MRC whose images are packed by blosc, one after the other (.mrcz).

Source: McLeod et al., J. Struct. Biol. 201, 252 (2018), doi 10.1016/j.jsb.2017.11.012 (not open here), and mrcz 0.6 (BSD). The
header is that of MRC, its mode that of MRC plus 1000 times the number of the compressor; behind the extended header each image
is a blosc chunk of its own, whose head says version, bytes unpacked and bytes packed (at 0, 4 and 12). The chunks are unpacked
into an MRC file that exists only while it is read, by the reader of MRC; everything is loaded. numcodecs unpacks them; chunks
of blosc2 (version 5), which it cannot, are refused.
"""

import struct
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numcodecs import blosc

from datasets.errors import FileError, UnreadableFile
from datasets.formats.electrons.mrc_header import PER_COMPRESSOR, is_packed, packed_frame_bytes
from datasets.formats.electrons.rosetta import read as read_rosetta
from datasets.formats.electrons.rosetta_examples import mrc_example
from datasets.formats.electrons.rosetta_mrc import read_mrc
from datasets.formats.signal import Field, Format, Signal

HEADER_BYTES, CHUNK_BYTES = 1024, 16
NEWEST_CHUNK = 2
MOST_BYTES = 1 << 30


def read(path: Path) -> tuple[Signal, ...]:
    """All signals of the MRC file inside, in memory.

    Raises
    ------
    UnreadableFile
        If a chunk is damaged, missing or of blosc2, or more than 1 GiB would be unpacked.
    """
    with path.open("rb") as file, tempfile.TemporaryDirectory(prefix="unpacked-") as folder:
        inside = Path(folder) / f"{path.stem}.mrc"
        with inside.open("wb") as plain:
            _unpack(path, file, plain)
        try:
            found = read_rosetta("mrc", read_mrc, inside)
        except FileError as error:
            raise UnreadableFile(path, f"holds an MRC file that cannot be read: {error}") from error
        return tuple(replace(one, source=path, fields={key: _loaded(field) for key, field in one.fields.items()})
                     for one in found)


def _loaded(field: Field) -> Field:
    """An array that does not depend on the file that is gone."""
    return field if type(field.data) is np.ndarray else replace(field, data=np.array(field.data))


def _unpack(path: Path, file: BinaryIO, plain: BinaryIO) -> None:
    header = bytearray(file.read(HEADER_BYTES))
    columns, rows, images, mode = struct.unpack_from("<4i", header)
    extended, = struct.unpack_from("<i", header, 92)
    frame = packed_frame_bytes(columns, rows, mode % PER_COMPRESSOR)
    if frame * images > MOST_BYTES:
        raise UnreadableFile(path, f"unpacks to {frame * images} bytes, more than {MOST_BYTES >> 30} GiB",
                             todo="unpack it first")
    struct.pack_into("<i", header, 12, mode % PER_COMPRESSOR)
    plain.write(header)
    plain.write(file.read(extended))
    for number in range(images):
        where = f"image {number + 1} of {images}"
        head = file.read(CHUNK_BYTES)
        if len(head) < CHUNK_BYTES:
            raise UnreadableFile(path, "the file ends before it", where=where, todo="the file is truncated; copy it again")
        unpacked, _, packed = struct.unpack_from("<3I", head, 4)
        if head[0] > NEWEST_CHUNK:
            raise UnreadableFile(path, f"is packed by blosc2 (version {head[0]}), which is not read", where=where,
                                 todo="save it with the blosc of before")
        if unpacked != frame or packed < CHUNK_BYTES:
            raise UnreadableFile(path, f"is a chunk of {packed} bytes for {unpacked}, the image has {frame}", where=where,
                                 todo="the file may be damaged")
        if file.tell() - CHUNK_BYTES + packed > path.stat().st_size:
            raise UnreadableFile(path, "the file ends within it", where=where, todo="the file is truncated; copy it again")
        try:
            plain.write(blosc.decompress(head + file.read(packed - CHUNK_BYTES)))
        except (RuntimeError, ValueError) as error:
            raise UnreadableFile(path, f"cannot be unpacked: {' '.join(str(error).split())[:120]}", where=where,
                                 todo="the file may be damaged") from error
    if file.read(1):
        plain.write(b"\0")  # the reader of MRC says that something is left over


def packed(path: Path, compressor: int = 6, name: str = "zstd") -> bytes:
    """The bytes of an MRC file of real numbers as MRCZ."""
    raw = path.read_bytes()
    columns, rows, images, mode = struct.unpack_from("<4i", raw)
    start = HEADER_BYTES + struct.unpack_from("<i", raw, 92)[0]
    head = bytearray(raw[:start])
    struct.pack_into("<i", head, 12, mode + PER_COMPRESSOR * compressor)
    frame = packed_frame_bytes(columns, rows, mode)
    parts: list[Any] = [blosc.compress(raw[start + i * frame:start + (i + 1) * frame], name.encode(), 1, blosc.BITSHUFFLE, 0)
                        for i in range(images)]
    return bytes(head) + b"".join(parts)


def example(folder: Path) -> Path:
    """The example of MRC, packed."""
    plain = mrc_example(folder)
    path = plain.with_suffix(".mrcz")
    path.write_bytes(packed(plain))
    plain.unlink()
    return path


MRCZ = Format(name="mrcz", suffixes=frozenset({".mrcz"}), recognises=is_packed, read=read, version="1", example=example)
