"""MATLAB matrices (.mat, level 5): each numeric array of a file, with nothing said about what it means.

Specification: MathWorks, "MAT-File Format" (not open here; from memory, held against scipy's reader, which is not used: a
damaged file of 300 bytes makes it allocate gigabytes). 128 bytes of head, of which the last two tell the byte order, then
elements: a tag of uint32 type and size, or both in four bytes for contents of up to four, contents, padding to eight bytes
(not after compressed ones). Type 15 holds another element packed by zlib, type 14 an array: elements for class and flags,
sizes, name, real and imaginary part, whose type may be smaller than the class.

Structures, cells, texts and sparse matrices are named in a warning. Files of version 7.3 are HDF5 and belong to other readers.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from datasets.errors import UnreadableFile
from datasets.formats.signal import Axis, Field, Format, Signal

HEAD_BYTES = 128
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
ARRAY, PACKED = 14, 15
MOST_NAMED = 20
COMPLEX = 0x0800
EXPANDED, BESIDE = 3, 100_000_000
"""A file may unpack to so many times its size, and so many bytes beside; what holds more is refused."""


def read(path: Path) -> tuple[Signal, ...]:
    """Every numeric array with more than one element.

    Raises
    ------
    UnreadableFile
        If an element is larger than what holds it, or there are no numbers.
    """
    raw = path.read_bytes()
    if len(raw) < HEAD_BYTES + 8:
        raise UnreadableFile(path, "ends within its head", todo="the file may be truncated")
    order = "<" if raw[126:128] == b"IM" else ">"
    budget = EXPANDED * len(raw) + BESIDE
    found: list[tuple[str, NDArray[Any]]] = []
    left: list[str] = []
    for kind, content in _elements(path, memoryview(raw)[HEAD_BYTES:], order, padded=False):
        if kind == PACKED:
            plain = _unpacked(path, content, budget)
            budget -= len(plain)
            inner = list(_elements(path, memoryview(plain), order, padded=True))
        else:
            inner = [(kind, content)]
            left += [f"an element of type {kind}"] if kind != ARRAY and len(left) < MOST_NAMED else []
        for which, body in inner:
            if which == ARRAY:
                name, array = _array(path, body, order)
                if array is None:
                    left.append(name or "an array")
                elif array.size > 1:
                    found.append((name, array))
    if not found:
        raise UnreadableFile(path, f"holds no numbers, but {', '.join(left) or 'nothing'}")
    warnings = (f"{', '.join(left)} of the file are no matrices of numbers and left out",) if left else ()
    return tuple(_signal(path, name, array, warnings) for name, array in found)


def _elements(path: Path, view: memoryview, order: str, padded: bool) -> Iterator[tuple[int, memoryview]]:
    at = 0
    while at + 8 <= len(view):
        kind, size = struct.unpack_from(f"{order}2I", view, at)
        if kind >> 16:  # both in four bytes
            yield kind & 0xFFFF, view[at + 4:at + 4 + min(kind >> 16, 4)]
            at += 8
            continue
        if at + 8 + size > len(view):
            raise UnreadableFile(path, f"an element declares {size} bytes, {len(view) - at - 8} are left",
                                 todo="the file may be truncated")
        yield kind, view[at + 8:at + 8 + size]
        at += 8 + size + (-size % 8 if padded or kind != PACKED else 0)
    if at < len(view) and not padded:
        raise UnreadableFile(path, f"ends {len(view) - at} bytes into an element", todo="the file may be truncated")


def _unpacked(path: Path, content: memoryview, most: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(content, most)
    except zlib.error as error:
        raise UnreadableFile(path, f"a packed array is damaged: {error}", todo="the file may be truncated") from error
    if not unpacker.eof:
        raise UnreadableFile(path, "a packed array is incomplete, or larger than its file can mean")
    return plain


def _array(path: Path, body: memoryview, order: str) -> tuple[str, NDArray[Any] | None]:
    parts = list(_elements(path, body, order, padded=True))
    if len(parts) < 3 or len(parts[0][1]) < 8:
        raise UnreadableFile(path, "an array has no class, sizes and name")
    flags = struct.unpack_from(f"{order}I", parts[0][1])[0]
    name = bytes(parts[2][1]).decode("latin-1")
    dtype = CLASSES.get(flags & 0xFF)
    if dtype is None:
        return name, None
    sizes = np.frombuffer(parts[1][1], f"{order}i4").tolist()
    values = [_numbers(path, name, part, order) for part in parts[3:5 if flags & COMPLEX else 4]]
    count = 1
    for size in sizes:
        count *= size
    if not sizes or min(sizes) < 0 or any(part.size != count for part in values) or len(values) != 1 + bool(flags & COMPLEX):
        raise UnreadableFile(path, f"{name!r} declares {' x '.join(map(str, sizes))} elements and holds "
                             f"{values[0].size if values else 0}", todo="the file may be truncated")
    with np.errstate(invalid="ignore"):
        array = values[0].astype(dtype) if len(values) == 1 else values[0] + 1j * values[1]
    return name, array.reshape(sizes, order="F")


def _numbers(path: Path, name: str, part: tuple[int, memoryview], order: str) -> NDArray[Any]:
    kind, content = part
    if kind not in STORED or len(content) % np.dtype(STORED[kind]).itemsize:
        raise UnreadableFile(path, f"{name!r} holds {len(content)} bytes of unknown type {kind}")
    return np.frombuffer(content, order + STORED[kind])


def _signal(path: Path, name: str, values: NDArray[Any], warnings: tuple[str, ...]) -> Signal:
    kept = values.squeeze()
    if kept.dtype.kind == "c":
        kept = np.abs(kept)
        warnings = (*warnings, "complex numbers: their magnitude is kept")
    names = ("frame", "position", "spectrum", "channel")
    if kept.ndim > len(names):
        raise UnreadableFile(path, f"{name} has {kept.ndim} dimensions")
    axes = tuple(Axis(n, np.arange(size, dtype=np.float64), "1")
                 for n, size in zip(names[len(names) - kept.ndim:], kept.shape, strict=True))
    field = Field(kept, "arbitrary")
    return Signal(name or path.stem, axes, {"intensity": field}, path, {"shape": list(values.shape)}, {}, "matrix", warnings)


def recognises(head: bytes, path: Path) -> bool:
    """By the text at the beginning and the mark of the byte order."""
    del path
    return head.startswith(b"MATLAB 5.0 MAT-file") and head[126:128] in (b"IM", b"MI")


def example(folder: Path) -> Path:
    """Two matrices, packed."""
    path = folder / "example.mat"
    savemat(str(path), {"spectra": np.arange(12.0).reshape(3, 4), "pure": np.eye(3)}, do_compression=True)
    return path


MATLAB = Format(name="matlab", suffixes=frozenset({".mat"}), recognises=recognises, read=read, version="1", example=example,
                uncounted=True)
