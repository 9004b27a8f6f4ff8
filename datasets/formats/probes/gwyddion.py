"""Gwyddion's own files (.gwy): height maps, volumes and curves in a tree of named things.

Source: Gwyddion user guide, "Gwyddion native format" (not open here; as gwyfile 0.3 (MIT) reads and writes it). After "GWYP" an
object: its class name, 4 bytes of size, components; a component is a name, one letter for its type (b, c, i, q, d, s, o; in
capitals for arrays, whose length comes first) and the value, little-endian. `/N/data` of class GwyDataField is a map of xres x
yres numbers over xreal x yreal in si_unit_xy, row 0 at the top; `/N/data/title` its title. GwyBrick is a volume.

Maps and volumes are read, masks as channels `mask`. Curves, spectra and profiles are named in a warning. A size that is not
positive leaves the map uncalibrated.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.probes.scan_image import Channel, signals
from datasets.formats.signal import Axis, Field, Format, Signal

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


def read(path: Path) -> tuple[Signal, ...]:
    """Every map and volume of a file.

    Raises
    ------
    UnreadableFile
        Naming the byte at which the tree breaks off.
    """
    raw = path.read_bytes()
    if raw.startswith(OLD_MAGIC):
        raise UnreadableFile(path, "is of the first Gwyddion format; open and save it with a Gwyddion of today")
    try:
        _, root, end = _object(raw, len(MAGIC), len(raw), 0)
    except _Ended as error:
        raise UnreadableFile(path, str(error), where=f"byte {error.place}", todo="the file is truncated or damaged") from None
    if end != len(raw):
        raise UnreadableFile(path, f"its tree ends at byte {end}, the file at {len(raw)}")
    channels = []
    volumes = []
    remarks = []
    metadata: dict[str, Any] = {}
    for name, value in root.items():
        if isinstance(value, tuple) and value[0] == "GwyDataField":
            channels.append(_map(path, name, value[1], root))
        elif isinstance(value, tuple) and value[0] == "GwyBrick":
            volumes.append(_volume(path, name, value[1], root))
        elif isinstance(value, tuple) and value[0] in ("GwySpectra", "GwyGraphModel", "GwySurface", "GwyLawn"):
            remarks.append(f"{name} is a {value[0]} and is not read")
        elif isinstance(value, tuple) and value[0] == "GwyContainer" and name.endswith("/meta"):
            metadata[name] = {k: v for k, v in value[1].items() if isinstance(v, str)}
    if not channels and not volumes:
        raise UnreadableFile(path, "holds no map and no volume", where="; ".join(remarks))
    maps = signals(path, channels, metadata=metadata, remarks=remarks) if channels else ()
    return (*maps, *volumes)


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


def _unit(field: dict[str, Any], name: str) -> str:
    unit = field.get(name)
    return str(unit[1].get("unitstr", "")) if isinstance(unit, tuple) else ""


def _map(path: Path, name: str, field: dict[str, Any], root: dict[str, Any]) -> Channel:
    shape = _shape(path, name, field, ("yres", "xres"))
    title = root.get(f"{name}/title", root.get(f"{name}/data/title", ""))
    lateral = _unit(field, "si_unit_xy")
    pixel = tuple(_positive(field.get(f"{axis}real")) / size for axis, size in zip("yx", shape, strict=True))
    origin = tuple(float(field.get(f"{axis}off", 0.0)) for axis in "yx")
    named = title if isinstance(title, str) and title else name.strip("/").replace("/", " ")
    label = "mask" if name.endswith("/mask") else named
    return Channel(label, field["data"].reshape(shape), _unit(field, "si_unit_z"), (pixel[0], pixel[1]), lateral,
                   origin=(origin[0], origin[1]))


def _volume(path: Path, name: str, brick: dict[str, Any], root: dict[str, Any]) -> Signal:
    shape = _shape(path, name, brick, ("zres", "yres", "xres"))
    axes = []
    for axis, size in zip("zyx", shape, strict=True):
        step, unit = _positive(brick.get(f"{axis}real")) / size, _unit(brick, f"si_unit_{axis}")
        axes.append(Axis.even(axis, size, step if np.isfinite(step) else 1.0, float(brick.get(f"{axis}off", 0.0)),
                              unit if np.isfinite(step) else ""))
    title = root.get(f"{name}/title", path.stem)
    return Signal(str(title), tuple(axes), {"data": Field(brick["data"].reshape(shape), _unit(brick, "si_unit_w"))}, path,
                  kind="AFM volume")


def _shape(path: Path, name: str, field: dict[str, Any], keys: tuple[str, ...]) -> tuple[int, ...]:
    shape = tuple(field.get(key, 0) for key in keys)
    data = field.get("data")
    if not isinstance(data, np.ndarray) or not all(isinstance(n, int) and n > 0 for n in shape) or (
            int(np.prod(shape, dtype=object)) != data.size):
        held = data.size if isinstance(data, np.ndarray) else "no"
        raise UnreadableFile(path, f"declares {' x '.join(map(str, shape))} numbers and holds {held}", where=name)
    return shape


def _positive(value: Any) -> float:
    return float(value) if isinstance(value, float) and 0 < value < float("inf") else float("nan")


def recognises(head: bytes, path: Path) -> bool:
    """By its first four bytes and the class of the outer object."""
    del path
    return head[:4] in (MAGIC, OLD_MAGIC) and head[4:17] == b"GwyContainer\0"


def example(folder: Path) -> Path:
    """A slope of 16 rows and 24 columns."""
    def text(name: str, value: str) -> bytes:
        return name.encode() + b"\0s" + value.encode() + b"\0"

    def thing(kind: str, body: bytes) -> bytes:
        return kind.encode() + b"\0" + struct.pack("<I", len(body)) + body

    data = np.arange(16 * 24, dtype="<f8") * 1e-9
    unit = thing("GwySIUnit", text("unitstr", "m"))
    field = (b"xres\0i" + struct.pack("<i", 24) + b"yres\0i" + struct.pack("<i", 16) + b"xreal\0d" + struct.pack("<d", 2.4e-7)
             + b"yreal\0d" + struct.pack("<d", 1.6e-7) + b"si_unit_xy\0o" + unit + b"si_unit_z\0o" + unit
             + b"data\0D" + struct.pack("<I", data.size) + data.tobytes())
    path = folder / "example.gwy"
    parts = b"/0/data\0o" + thing("GwyDataField", field) + text("/0/data/title", "Height")
    path.write_bytes(MAGIC + thing("GwyContainer", parts))
    return path


GWYDDION = Format(name="gwyddion", suffixes=frozenset({".gwy"}), recognises=recognises, read=read, version="1", example=example)
