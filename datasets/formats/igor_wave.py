"""Igor Pro binary waves (.ibw): one array with its scales, units, labels and note, whichever instrument wrote it.

Specification: WaveMetrics, Technical Note 003 "Igor Binary Format" (versions 2 and 5 of the file). Either byte order. The
checksum of the head is not tested: writers get it wrong. Text waves and waves of references to other waves are refused.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile

TYPES = {2: "f4", 4: "f8", 8: "i1", 16: "i2", 32: "i4", 128: "i8"}
COMPLEX, UNSIGNED = 1, 64
HEADS = {2: (16, 110), 5: (64, 320)}
"""Version -> bytes of the file's head and of the wave's."""
KIND_AT = {2: 16, 5: 80}
"""Version -> where the type of the numbers stands."""
HEAD_BYTES = {2: 126, 5: 384}
"""Version -> bytes of both heads, over which the checksum runs."""


@dataclass(frozen=True)
class Wave:
    """An array in Fortran's order made C's: `data[i, j]` is row i, column j; scales in the same order.

    scales : (step, first value, unit) of each dimension
    labels : for each dimension the names of its elements, "" where there are none
    """

    name: str
    data: NDArray[np.generic]
    scales: tuple[tuple[float, float, str], ...]
    data_unit: str
    note: str
    labels: tuple[tuple[str, ...], ...]


def is_wave(head: bytes) -> bool:
    """Version 2 or 5 in either byte order, whose head adds up to zero as its checksum makes it."""
    order = _order(head)
    if order is None:
        return False
    size = HEAD_BYTES[struct.unpack_from(f"{order}h", head)[0]]
    return len(head) >= size and int(np.frombuffer(head[:size], f"{order}i2").sum(dtype=np.int64)) & 0xFFFF == 0


def _order(head: bytes) -> str | None:
    if len(head) < 80:
        return None
    for order in "<>":
        version = struct.unpack_from(f"{order}h", head)[0]
        kind = struct.unpack_from(f"{order}h", head, KIND_AT[version])[0] if version in HEADS else -1
        if kind & ~(COMPLEX | UNSIGNED) in (*TYPES, 0) and kind >= 0:
            return order
    return None


def read_wave(path: Path) -> Wave:
    """The wave of a file.

    Raises
    ------
    UnreadableFile
        If it is truncated, or no numeric wave.
    """
    raw = path.read_bytes()
    order = _order(raw)
    if order is None:
        raise UnreadableFile(path, "is no Igor binary wave of version 2 or 5")
    version = struct.unpack_from(f"{order}h", raw)[0]
    start = sum(HEADS[version])
    if len(raw) < start:
        raise UnreadableFile(path, "ends within its head", todo="the file may be truncated")
    return _version_5(path, raw, order, start) if version == 5 else _version_2(path, raw, order, start)


def _version_5(path: Path, raw: bytes, order: str, start: int) -> Wave:
    lengths = struct.unpack_from(f"{order}7i", raw, 8)  # formula, note, unit of the data, units of four dimensions
    labels = struct.unpack_from(f"{order}4i", raw, 36)
    kind = struct.unpack_from(f"{order}h", raw, 80)[0]
    name = _text(raw[92:124])
    sizes = struct.unpack_from(f"{order}4i", raw, 132)
    steps, firsts = struct.unpack_from(f"{order}4d", raw, 148), struct.unpack_from(f"{order}4d", raw, 180)
    short_unit, short_dims = _text(raw[212:216]), [_text(raw[216 + 4 * i:220 + 4 * i]) for i in range(4)]
    shape = [n for n in sizes if n > 0]
    data, at = _values(path, raw, order, kind, shape, start)
    texts = []
    for length in lengths:
        texts.append(raw[at:at + max(length, 0)])
        at += max(length, 0)
    names = []
    for length, size in zip(labels, sizes, strict=True):
        parts = [_text(raw[i:i + 32]) for i in range(at, min(at + max(length, 0), len(raw)), 32)]
        names.append(tuple(parts[1:size + 1]) if size > 0 else ())
        at += max(length, 0)
    units = [_text(t) or s for t, s in zip(texts[3:7], short_dims, strict=True)]
    scales = tuple(zip(steps, firsts, units, strict=True))[:len(shape)]
    return Wave(name, data, scales, _text(texts[2]) or short_unit, _note(texts[1]), tuple(names[:len(shape)]))


def _version_2(path: Path, raw: bytes, order: str, start: int) -> Wave:
    size, note = struct.unpack_from(f"{order}ii", raw, 2)
    kind = struct.unpack_from(f"{order}h", raw, 16)[0]
    name = _text(raw[22:42])
    data_unit, unit = _text(raw[50:54]), _text(raw[54:58])
    points = struct.unpack_from(f"{order}i", raw, 58)[0]
    step, first = struct.unpack_from(f"{order}2d", raw, 64)
    data, _ = _values(path, raw, order, kind, [points], start)
    at = 16 + max(size, 0)  # the note follows the wave and 16 bytes of padding
    return Wave(name, data, ((step, first, unit),), data_unit, _note(raw[at:at + max(note, 0)]), ((),))


def _values(path: Path, raw: bytes, order: str, kind: int, shape: list[int], start: int) -> tuple[NDArray[np.generic], int]:
    code = TYPES.get(kind & ~(COMPLEX | UNSIGNED))
    if code is None:
        raise UnreadableFile(path, f"holds no numbers (type {kind}): text waves are not read")
    if kind & UNSIGNED:
        code = code.replace("i", "u")
    if kind & COMPLEX:
        code = {"f4": "c8", "f8": "c16"}.get(code, "")
        if not code:
            raise UnreadableFile(path, f"holds complex integers (type {kind})")
    dtype = np.dtype(order + code)
    points = 1
    for size in shape:
        points *= size
    if not shape or points * dtype.itemsize > len(raw) - start:
        raise UnreadableFile(path, f"declares {' x '.join(map(str, shape)) or 'no'} points, more than it holds",
                             todo="the file may be truncated")
    data = np.frombuffer(raw, dtype, points, start).reshape(shape[::-1]).T
    return data, start + points * dtype.itemsize


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("latin-1").strip()


def _note(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
