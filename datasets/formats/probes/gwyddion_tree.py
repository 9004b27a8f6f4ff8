"""The tree of named things that a Gwyddion file is.

Source: Gwyddion user guide, "Gwyddion native format". After "GWYP" an object: its class name, 4 bytes of size, components; a
component is a name, one letter for its type (b, c, i, q, d, s, o; in capitals for arrays, whose length comes first) and the
value, little-endian. A value of type o is the class name and its components.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import UnreadableFile

MAGIC = b"GWYP"
OLD_MAGIC = b"GWYO"
ATOMS = {b"b": "<?", b"c": "<b", b"i": "<i", b"q": "<q", b"d": "<d"}
ARRAYS = {b"C": "i1", b"I": "<i4", b"Q": "<i8", b"D": "<f8"}
DEEPEST = 40


class _Ended(ValueError):
    """The bytes end, or do not mean what they should, at `place`."""

    def __init__(self, what: str, place: int) -> None:
        super().__init__(what)
        self.place = place


def tree(path: Path, raw: bytes) -> dict[str, Any]:
    """Components of the outermost object.

    Raises
    ------
    UnreadableFile
        Naming the byte at which the tree breaks off.
    """
    if raw.startswith(OLD_MAGIC):
        raise UnreadableFile(path, "is of the first Gwyddion format; open and save it with a Gwyddion of today")
    try:
        _, root, end = _object(raw, len(MAGIC), len(raw), 0)
    except _Ended as error:
        raise UnreadableFile(path, str(error), where=f"byte {error.place}", todo="the file is truncated or damaged") from None
    if end != len(raw):
        raise UnreadableFile(path, f"its tree ends at byte {end}, the file at {len(raw)}")
    return root


def part(value: Any, kind: str) -> dict[str, Any]:
    """Components of a value of a class; none where it is of another."""
    return value[1] if isinstance(value, tuple) and value[0] == kind else {}


def unit_under(field: dict[str, Any], name: str) -> str:
    """Unit that stands under a name; "" where none does."""
    return str(part(field.get(name), "GwySIUnit").get("unitstr", ""))


def positive(value: Any) -> float:
    """A number above zero, else NaN."""
    return float(value) if isinstance(value, float) and 0 < value < float("inf") else float("nan")


def _object(raw: bytes, at: int, limit: int, depth: int) -> tuple[str, dict[str, Any], int]:
    kind, at = _text(raw, at, limit)
    size, at = _number(raw, at, limit, "<I")
    end = at + size
    if end > limit or depth > DEEPEST:
        raise _Ended(f"an object of class {kind[:40]!r} declares {size} bytes, {limit - at} are left", at)
    parts: dict[str, Any] = {}
    while at < end:
        name, at = _text(raw, at, end)
        letter, at = raw[at:at + 1], at + 1
        parts[name], at = _value(raw, at, end, letter, depth)
    return kind, parts, end


def _value(raw: bytes, at: int, limit: int, letter: bytes, depth: int) -> tuple[Any, int]:
    if letter == b"s":
        return _text(raw, at, limit)
    if letter in ATOMS:
        return _number(raw, at, limit, ATOMS[letter])
    if letter == b"o":
        kind, parts, at = _object(raw, at, limit, depth + 1)
        return (kind, parts), at
    if letter in ARRAYS:
        count, at = _number(raw, at, limit, "<I")
        dtype = np.dtype(ARRAYS[letter])
        if at + count * dtype.itemsize > limit:
            raise _Ended(f"an array declares {count} numbers, {limit - at} bytes are left", at)
        return np.frombuffer(raw, dtype, count, at), at + count * dtype.itemsize
    if letter in (b"S", b"O"):
        count, at = _number(raw, at, limit, "<I")
        if count > limit - at:
            raise _Ended(f"an array declares {count} parts, {limit - at} bytes are left", at)
        found = []
        for _ in range(count):
            one, at = _value(raw, at, limit, letter.lower(), depth)
            found.append(one)
        return found, at
    raise _Ended(f"a component has the type {letter!r}, which is none", at)


def _text(raw: bytes, at: int, limit: int) -> tuple[str, int]:
    end = raw.find(b"\0", at, limit)
    if end < 0:
        raise _Ended("a text has no end", at)
    return raw[at:end].decode("utf-8", "replace"), end + 1


def _number(raw: bytes, at: int, limit: int, form: str) -> tuple[Any, int]:
    size = struct.calcsize(form)
    if at + size > limit:
        raise _Ended("a number is cut off", at)
    return struct.unpack_from(form, raw, at)[0], at + size
