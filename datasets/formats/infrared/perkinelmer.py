"""PerkinElmer infrared spectra (.sp) and Spotlight images (.fsm): blocks behind the letters PEPE.

There is no published specification; read off a Spotlight 400 image, beside what specio (BSD-3) and orange-spectroscopy know of
.sp. "PEPE", a description of 40 bytes, then blocks: uint16 identity, int32 size, contents.

Images (.fsm) have a flat row of blocks: 5100 (text with its length before it; float64 steps of x, y and z, first and last z,
two numbers not used here, first x, y and z; int32 points along x, y and z; the units of y, x, z and of the values as texts),
5104 (settings), and 5105, the float32 spectrum of each pixel, x fastest. Spectra (.sp) nest: 120 and 122 hold others, among
them 35698 first and last x, 35699 extremes, 35700 step, 35701 points, 35703 and 35704 labels, 35708 the values as float64. In
both, a value has its own type before it: 29987 text, 29981 two float64, 29979 float64, 29995 int32, 29974 bytes.

The unit of the values decides the quantity: A absorbance, %T transmittance, %R reflectance, EGY single beam.
Not understood: the rest of the settings, which are kept as texts in their order.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.signal import Axis, Field, Format, Signal

MAGIC = b"PEPE"
HEAD_BYTES = 44
PLAN, SETTINGS, PIXEL = 5100, 5104, 5105
ENDS, EXTREMES, STEP, POINTS, X_LABEL, Y_LABEL, VALUES = 35698, 35699, 35700, 35701, 35703, 35704, 35708
TEXT, TWO_DOUBLES, DOUBLE, INTEGER, BYTES = 29987, 29981, 29979, 29995, 29974
NESTS = (120, 122)
MOST_BLOCKS = 4_000_000
QUANTITIES = {"a": ("absorbance", "1"), "abs": ("absorbance", "1"), "absorbance": ("absorbance", "1"),
              "%t": ("transmittance", "percent"), "t": ("transmittance", "1"), "%r": ("reflectance", "percent"),
              "r": ("reflectance", "1"), "egy": ("single_beam", "arbitrary"),
              "km": ("kubelka_munk", "1"), "log(1/r)": ("log_reflectance", "1")}
WAVENUMBER = ("cm-1", "1/cm", "wavenumber", "cm\u207b\u00b9")


@dataclass(frozen=True)
class _Plan:
    """Geometry of an image."""

    name: str
    step: tuple[float, float, float]
    ends: tuple[float, float]
    first: tuple[float, float]
    points: tuple[int, int, int]
    units: tuple[str, ...]


def read(path: Path) -> tuple[Signal, ...]:
    """The image or spectrum of a file.

    Raises
    ------
    UnreadableFile
        Naming the block that is missing or larger than the file.
    """
    raw = path.read_bytes()
    blocks = list(_blocks(path, raw, HEAD_BYTES, len(raw)))
    if any(identity == PLAN for identity, _ in blocks):
        return (_image(path, raw, blocks),)
    return (_spectrum(path, raw, blocks),)


def _blocks(path: Path, raw: bytes, at: int, end: int) -> Iterator[tuple[int, memoryview]]:
    view = memoryview(raw)
    for _ in range(MOST_BLOCKS):
        if at + 6 > end:
            return
        identity, size = struct.unpack_from("<Hi", raw, at)
        if size < 0 or at + 6 + size > end:
            raise UnreadableFile(path, f"block {identity} declares {size} bytes at byte {at}, which the file does not have",
                                 todo="the file may be truncated")
        yield identity, view[at + 6:at + 6 + size]
        at += 6 + size
    raise UnreadableFile(path, f"holds more than {MOST_BLOCKS} blocks")


def _image(path: Path, raw: bytes, blocks: list[tuple[int, memoryview]]) -> Signal:
    plan = _plan(path, bytes(next(block for identity, block in blocks if identity == PLAN)))
    across, down, deep = plan.points
    pixels = [block for identity, block in blocks if identity == PIXEL]
    if min(plan.points) < 1 or any(len(pixel) != 4 * deep for pixel in pixels) or not pixels:
        raise UnreadableFile(path, f"declares {across} x {down} spectra of {deep} points and holds {len(pixels)} of "
                             f"{len(pixels[0]) // 4 if pixels else 0}", todo="the file may be truncated")
    warnings = []
    if not len(pixels) <= across * down <= 4 * len(pixels) + 64:
        raise UnreadableFile(path, f"declares {across} x {down} spectra and holds {len(pixels)}",
                             todo="the file may be truncated")
    values = np.full((down * across, deep), np.nan, dtype=np.float32)
    for i, pixel in enumerate(pixels):
        values[i] = np.frombuffer(pixel, "<f4")
    if missing := across * down - len(pixels):
        warnings.append(f"{missing} of {across * down} spectra are missing: their pixels are NaN")
    y_unit, x_unit, z_unit, unit = ((*plan.units, "", "", "", "")[i] for i in range(4))
    axes = (Axis("y", plan.first[1] + plan.step[1] * np.arange(down), _length(y_unit)),
            Axis("x", plan.first[0] + plan.step[0] * np.arange(across), _length(x_unit)),
            Axis("wavenumber", plan.ends[0] + plan.step[2] * np.arange(deep),
                 "1/cm" if z_unit.lower() in WAVENUMBER else z_unit))
    last = float(axes[2].values[-1])
    if abs(last - plan.ends[1]) > abs(plan.step[2]):
        raise UnreadableFile(path, f"{deep} points in steps of {plan.step[2]:g} from {plan.ends[0]:g} end at {last:g}, "
                             f"not at {plan.ends[1]:g}", where="block 5100")
    name, field_unit = _quantity(unit, warnings)
    field = Field(values.reshape(down, across, deep), field_unit)
    settings = [text for identity, block in blocks if identity == SETTINGS for text in _texts(bytes(block))]
    metadata = {"description": _description(raw), "name": plan.name, "units": list(plan.units), "settings": settings[:80]}
    return Signal(path.stem, axes, {name: field}, path, metadata, {}, "FTIR", tuple(warnings))


def _plan(path: Path, raw: bytes) -> _Plan:
    form = struct.Struct("<10d3i")
    length = struct.unpack_from("<h", raw)[0] if len(raw) >= 2 else -1
    if length < 0 or 2 + length + form.size + 2 > len(raw):
        raise UnreadableFile(path, "ends within its geometry", where="block 5100", todo="the file may be truncated")
    numbers = form.unpack_from(raw, 2 + length)
    if not np.isfinite(numbers[:10]).all() or not numbers[2]:
        raise UnreadableFile(path, "its geometry holds values that are no numbers", where="block 5100")
    at, units = 2 + length + form.size, []
    while at + 2 <= len(raw):
        size = struct.unpack_from("<h", raw, at)[0]
        if size < 0 or at + 2 + size > len(raw):
            break
        units.append(raw[at + 2:at + 2 + size].decode("latin-1"))
        at += 2 + size
    return _Plan(raw[2:2 + length].decode("latin-1"), numbers[:3], numbers[3:5], numbers[7:9], numbers[10:13], tuple(units))


def _length(label: str) -> str:
    return "um" if "micro" in label.lower() else "mm" if "milli" in label.lower() else ""


def _quantity(unit: str, warnings: list[str]) -> tuple[str, str]:
    found = QUANTITIES.get(unit.strip().lower())
    if found is None:
        warnings.append(f"the unit of the values is {unit!r}, which is not known: taken for a single beam")
    return found or ("single_beam", "arbitrary")


def _spectrum(path: Path, raw: bytes, blocks: list[tuple[int, memoryview]]) -> Signal:
    members: dict[int, Any] = {}
    settings: list[str] = []
    waiting = list(blocks)
    while waiting:
        identity, block = waiting.pop(0)
        if identity in NESTS:
            waiting = [*_nested(path, bytes(block)), *waiting]
        elif (value := _value(bytes(block))) is not None:
            members.setdefault(identity, value)
            settings += [value] if isinstance(value, str) and value else []
    values = members.get(VALUES)
    ends, points = members.get(ENDS), members.get(POINTS)
    if not isinstance(values, bytes) or not isinstance(ends, tuple) or len(values) % 8 or len(values) < 16:
        raise UnreadableFile(path, "holds no spectrum with its axis", todo="the file may be truncated")
    data = np.frombuffer(values, "<f8")
    if isinstance(points, int) and points != data.size:
        raise UnreadableFile(path, f"declares {points} points and holds {data.size}", todo="the file may be truncated")
    if not np.isfinite(ends).all():
        raise UnreadableFile(path, "the ends of its axis are no numbers")
    warnings: list[str] = []
    extremes = members.get(EXTREMES)
    if isinstance(extremes, tuple) and np.isfinite(data).all() and not np.allclose(
            sorted(extremes), [data.min(), data.max()], rtol=1e-6, atol=1e-9 * max(1.0, float(np.abs(data).max()))):
        warnings.append("the values do not have the extremes that the file states: a number may be damaged")
    name, unit = _quantity(str(members.get(Y_LABEL, "")), warnings)
    x_label = str(members.get(X_LABEL, "cm-1"))
    first, last = (float(end) for end in ends)
    axis = Axis("wavenumber" if x_label.lower() in WAVENUMBER else "wavelength", np.linspace(first, last, data.size),
                "1/cm" if x_label.lower() in WAVENUMBER else x_label)
    metadata = {"description": _description(raw), "settings": settings[:80]}
    return Signal(path.stem, (axis,), {name: Field(data, unit)}, path, metadata, {}, "FTIR", tuple(warnings))


def _nested(path: Path, raw: bytes) -> list[tuple[int, memoryview]]:
    """Blocks within a block, which begins with some bytes of its own."""
    for start in (0, 2, 4, 6, 8):
        try:
            return list(_blocks(path, raw, start, len(raw)))
        except UnreadableFile:
            continue
    return []


def _value(raw: bytes) -> Any:
    if len(raw) < 4:
        return None
    kind = struct.unpack_from("<H", raw)[0]
    if kind == TEXT:
        length = struct.unpack_from("<H", raw, 2)[0]
        return raw[4:4 + length].decode("latin-1").strip("\0 ") if 4 + length <= len(raw) else None
    if kind == TWO_DOUBLES and len(raw) >= 18:
        return struct.unpack_from("<2d", raw, 2)
    if kind == DOUBLE and len(raw) >= 10:
        return struct.unpack_from("<d", raw, 2)[0]
    if kind == INTEGER and len(raw) >= 6:
        return struct.unpack_from("<i", raw, 2)[0]
    if kind == BYTES and len(raw) >= 6:
        length = struct.unpack_from("<i", raw, 2)[0]
        return raw[6:6 + length] if 0 <= length <= len(raw) - 6 else None
    return None


def _texts(raw: bytes) -> list[str]:
    """Texts of the settings in their order: "#u", int16 length, characters."""
    found = []
    for match in re.finditer(rb"#u(..)", raw, flags=re.DOTALL):
        length = struct.unpack("<H", match[1])[0]
        text = raw[match.end():match.end() + length]
        if len(text) == length and text.isascii() and text.strip():
            found.append(text.decode("ascii").strip())
    return found


def _description(raw: bytes) -> str:
    return raw[4:HEAD_BYTES].split(b"\0")[0].decode("latin-1").strip()


def recognises(head: bytes, path: Path) -> bool:
    """By the first four bytes."""
    del path
    return head.startswith(MAGIC)


def example(folder: Path) -> Path:
    """An image of 2 x 3 pixels, each with its own height of a band."""
    x = 1480.0 - 2.0 * np.arange(41)
    band = np.exp(-((x - 1440) / 15) ** 2)
    plan = struct.pack("<h5s10d", 5, b"Image", 6.25, 6.25, -2.0, x[0], x[-1], 0.0, 0.0, 10.0, 20.0, 0.0)
    plan += struct.pack("<3i", 3, 2, x.size)
    for text in (b"Y - micrometers", b"X - micrometers", b"cm-1", b"A"):
        plan += struct.pack("<h", len(text)) + text
    blocks = [(PLAN, plan), *((PIXEL, ((i + 1) * band).astype("<f4").tobytes()) for i in range(6))]
    path = folder / "example.fsm"
    body = b"".join(struct.pack("<Hi", identity, len(block)) + block for identity, block in blocks)
    path.write_bytes(MAGIC + b"DataSet - 4DConst3DInterval".ljust(40, b"\0") + body)
    return path


PERKINELMER = Format(name="perkinelmer", suffixes=frozenset({".sp", ".fsm"}), recognises=recognises, read=read, version="1",
                     example=example)
