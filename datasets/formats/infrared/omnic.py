"""Thermo OMNIC spectra (.spa), groups (.spg), time series (.srs) and maps (.map).

There is no published specification. The layout was found by taking files apart, beside what the readers of SpectroChemPy and
PyMca know of it; the tables behind series and maps (keys 300, 301) are in neither, which search for byte patterns instead.

Both "Spectral Data File" and "Spectral Exte File" have a title at byte 30, the number of keys at 294 (uint16), a time stamp at
296 (uint32, seconds from 31 December 1899 UTC) and from 304 on a table of keys: int16 key, then offset and length, int32 and
int32 in 16 bytes, or int64 and int32 in 22 bytes.

| key | what stands there |
| 2 | head: +4 points, +8 unit of x, +12 unit of y, +16 and +20 x at the ends, +32 peak of the interferogram, +36 scans, |
|   | +80 laser (1/cm), +84 sample spacing |
| 3 | float32 intensities of the head before it, the first at +16 in a Data file, at +20 in an Exte file (by CO2 of the air) |
| 4, 27 | comment, history |
| 102, 103 | interferograms of sample and background |
| 107 | title, and 256 bytes further on the time stamp of one spectrum |
| 147 | bitmap of the visible image |
| 300 | uint32 number of axes at +564, and each in 332 bytes from +568 on: uint32 which (0 wavenumber, 1 value, 2 time, 5 x,   |
|     | 6 y), int64 first and last in thousandths, float32 0.001, uint32 points |
| 301 | head as in 2, then, from byte uint32 at +40 of key 300 on, for each spectrum 16 bytes, its title in 84, float32 values |
| 325 | uint16, title in 64, float32 at +66 and +70: first and last time in minutes |

x units: 1 1/cm, 2 points, 3 nm, 4 um, 32 Raman 1/cm. y units: see UNITS.

Positions along an interferogram become path differences by the sample spacing over twice the laser's wavenumber, 0 at the peak.
Not understood: the rest; Gram-Schmidt and other traces of a series (keys 110 to 112), which are left out.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.signal import Axis, Field, Format, Signal

PLAIN, EXTENDED = b"Spectral Data File", b"Spectral Exte File"
START = datetime(1899, 12, 31, tzinfo=UTC)
UNITS = {11: ("reflectance", "percent"), 12: ("log_reflectance", "1"), 15: ("single_beam", "arbitrary"),
         16: ("transmittance", "percent"), 17: ("absorbance", "1"), 20: ("kubelka_munk", "1"), 21: ("reflectance", "1"),
         22: ("interferogram", "V"), 26: ("photoacoustic", "arbitrary"), 31: ("intensity", "arbitrary")}
"""Code -> quantity and unit; 12 is log(1/R)."""
AXIS_UNITS = {1: ("wavenumber", "1/cm"), 3: ("wavelength", "nm"), 4: ("wavelength", "um"), 32: ("raman shift", "1/cm")}
POINTS = 2
HEAD_BYTES, RECORD_BYTES = 140, 100
TIME, ACROSS, DOWN = 2, 5, 6


@dataclass(frozen=True)
class _Key:
    key: int
    offset: int
    length: int


@dataclass(frozen=True)
class _Head:
    points: int
    x_unit: int
    y_unit: int
    ends: tuple[float, float]
    peak: int
    scans: int
    laser: float
    spacing: int

    @property
    def quantity(self) -> tuple[str, str]:
        return UNITS.get(self.y_unit, ("intensity", "arbitrary"))


def read(path: Path) -> tuple[Signal, ...]:
    """Every spectrum with its interferograms; groups, series and maps as one signal if their axes agree.

    Raises
    ------
    UnreadableFile
        Naming the table or block that is missing or larger than the file.
    """
    raw = path.read_bytes()
    keys = _keys(path, raw)
    series = next((k for k in keys if k.key == 301), None)
    if raw.startswith(EXTENDED) and series is not None:
        return _series(path, raw, keys, series)
    heads = [_head(path, raw, k) for k in keys if k.key == 2]
    values = [k for k in keys if k.key == 3]
    if not heads or len(values) != len(heads):
        raise UnreadableFile(path, f"has {len(heads)} heads of spectra and {len(values)} blocks of values",
                             todo="the file may be truncated")
    data = [_floats(path, raw, k, head.points) for k, head in zip(values, heads, strict=True)]
    titles = [k for k in keys if k.key == 107]
    named = titles if len(titles) == len(heads) else []
    same = len({(h.points, h.x_unit, h.y_unit, h.ends) for h in heads}) == 1
    signals = ([_group(path, raw, keys, heads[0], data, named)] if len(heads) > 1 and same else
               [_single(path, raw, keys, head, values, named[i] if named else None)
                for i, (head, values) in enumerate(zip(heads, data, strict=True))])
    if len(heads) > 1 and not same:
        said = "the spectra of the group have different axes or quantities: they stay apart"
        signals = [replace(signal, warnings=(*signal.warnings, said)) for signal in signals]
    if longer := sum(k.length > 4 * head.points for k, head in zip(values, heads, strict=True)):
        said = f"{longer} blocks of values are longer than the points that their heads declare"
        signals = [replace(signal, warnings=(*signal.warnings, said)) for signal in signals]
    return tuple(signals) + _interferograms(path, raw, keys, heads[0])


def _keys(path: Path, raw: bytes) -> list[_Key]:
    if len(raw) < 304:
        raise UnreadableFile(path, "ends within its head", todo="the file may be truncated")
    count = struct.unpack_from("<H", raw, 294)[0]
    form, step = ("<hqi", 22) if raw.startswith(EXTENDED) else ("<hii", 16)
    if count == 0 or 304 + step * count > len(raw):
        raise UnreadableFile(path, f"declares {count} keys, which the file cannot hold", where="byte 294",
                             todo="the file may be truncated")
    keys = [_Key(*struct.unpack_from(form, raw, 304 + step * i)) for i in range(count)]
    for key in keys:
        if key.key in (2, 3, 300, 301, 325) and not 0 <= key.offset <= key.offset + max(key.length, 0) <= len(raw):
            raise UnreadableFile(path, f"key {key.key} points to byte {key.offset}, which the file does not have",
                                 todo="the file may be truncated")
    return keys


def _head(path: Path, raw: bytes, key: _Key) -> _Head:
    at = key.offset
    if at + HEAD_BYTES > len(raw):
        raise UnreadableFile(path, "ends within the head of a spectrum", where=f"byte {at}", todo="the file may be truncated")
    points = struct.unpack_from("<I", raw, at + 4)[0]
    ends = struct.unpack_from("<2f", raw, at + 16)
    peak, scans = struct.unpack_from("<2I", raw, at + 32)
    laser, spacing = struct.unpack_from("<2f", raw, at + 80)
    if points < 1 or not np.isfinite(ends).all():
        raise UnreadableFile(path, f"a spectrum of {points} points from {ends[0]:g} to {ends[1]:g}", where=f"byte {at}")
    spacing = int(spacing) if np.isfinite(spacing) and 1 <= spacing <= 64 else 0
    return _Head(points, raw[at + 8], raw[at + 12], ends, peak, scans, laser, spacing)


def _floats(path: Path, raw: bytes, key: _Key, points: int) -> NDArray[np.float32]:
    if key.length < 4 * points or key.offset < 0 or key.offset + key.length > len(raw):
        raise UnreadableFile(path, f"holds {key.length} bytes for {points} points", where=f"byte {key.offset}",
                             todo="the file may be truncated")
    return np.frombuffer(raw, "<f4", points, key.offset)


def _axis(head: _Head, rising: bool) -> Axis:
    if head.x_unit == POINTS:
        return _path_difference(head, head.points)
    name, unit = AXIS_UNITS.get(head.x_unit, ("x", ""))
    first, last = head.ends[::-1] if rising else head.ends
    return Axis(name, np.linspace(first, last, head.points), unit)


def _path_difference(head: _Head, points: int) -> Axis:
    steps = np.arange(points, dtype=np.float64)
    if head.spacing and np.isfinite(head.laser) and head.laser > 0:
        zero = head.peak if head.peak < points else 0
        return Axis("optical path difference", (steps - zero) * head.spacing / (2 * head.laser), "cm", {"point": (steps, "1")})
    return Axis("point", steps, "1")


def _single(path: Path, raw: bytes, keys: list[_Key], head: _Head, values: NDArray[np.float32], title: _Key | None) -> Signal:
    name, unit = head.quantity
    conditions = _conditions(raw, 296 if title is None else title.offset + 256)
    text = _text(raw, 30, 256) if title is None else _text(raw, title.offset, 256)
    return Signal(text or path.stem, (_axis(head, rising=False),), {name: Field(values, unit)}, path,
                  _metadata(raw, keys, head), conditions, _kind(head), _doubts(head, values))


def _group(path: Path, raw: bytes, keys: list[_Key], head: _Head, data: Sequence[NDArray[np.float32]],
           titles: list[_Key]) -> Signal:
    name, unit = head.quantity
    stack = np.stack(data)
    moments = [_moment(raw, t.offset + 256) for t in titles]
    conditions = _conditions(raw, titles[0].offset + 256 if titles else 296)
    steps = np.arange(len(data), dtype=np.float64)
    leading, order = Axis("spectrum", steps, "1"), list(range(len(data)))
    doubts = list(_doubts(head, stack))
    known = [m for m in moments if m is not None]
    if known and len(known) == len(data) and len(set(known)) > 1:
        order = sorted(order, key=lambda i: known[i])
        seconds = np.array([(known[i] - known[order[0]]).total_seconds() for i in order])
        unique = len(set(known)) == len(known)
        leading = Axis("time", seconds, "s") if unique else Axis("spectrum", steps, "1", {"elapsed": (seconds, "s")})
        conditions["acquired"] = known[order[0]].isoformat()
    if leading.name != "time":
        doubts.append("the spectra do not each have a time of their own: they are counted")
    metadata = _metadata(raw, keys, head)
    if titles:
        metadata["titles"] = [_text(raw, titles[i].offset, 256) for i in order]
    axes = (leading, _axis(head, rising=False))
    return Signal(_text(raw, 30, 256) or path.stem, axes, {name: Field(stack[order], unit)}, path, metadata, conditions,
                  _kind(head), tuple(doubts))


def _interferograms(path: Path, raw: bytes, keys: list[_Key], head: _Head) -> tuple[Signal, ...]:
    found = []
    for key in keys:
        if key.key not in (102, 103) or key.length < 8:
            continue
        values = _floats(path, raw, key, key.length // 4)
        title = f"{_text(raw, 30, 256) or path.stem}, interferogram of the {'sample' if key.key == 102 else 'background'}"
        found.append(Signal(title, (_path_difference(head, values.size),), {"interferogram": Field(values, "V")}, path, {},
                            _conditions(raw, 296), "interferogram"))
    return tuple(found)


def _series(path: Path, raw: bytes, keys: list[_Key], key: _Key) -> tuple[Signal, ...]:
    head = _head(path, raw, key)
    plan = next((k for k in keys if k.key == 300), None)
    start = struct.unpack_from("<I", raw, plan.offset + 40)[0] if plan is not None and plan.length >= 44 else 196
    record = RECORD_BYTES + 4 * head.points
    count, rest = divmod(key.length - start, record)
    if count < 1 or rest:
        raise UnreadableFile(path, f"{key.length} bytes are no whole number of spectra of {head.points} points",
                             where="key 301", todo="the file may be truncated")
    records = np.frombuffer(raw, np.dtype([("", "V16"), ("title", "S84"), ("values", "<f4", (head.points,))]), count,
                            key.offset + start)
    values = records["values"]
    leading, warnings = _leading(raw, plan, next((k for k in keys if k.key == 325), None), count)
    name, unit = head.quantity
    shape = (*(axis.size for axis in leading), head.points)
    metadata = _metadata(raw, keys, head)
    metadata["titles"] = [bytes(t).split(b"\0")[0].decode("latin-1") for t in (records["title"][0], records["title"][-1])]
    if any(k.key == 147 for k in keys):
        warnings.append("the visible image in the file is left out")
    plan_title = next((_text(raw, k.offset + 2, 64) for k in keys if k.key == 325), "")
    signals = [Signal(plan_title or path.stem, (*leading, _axis(head, rising=True)), {name: Field(values.reshape(shape), unit)},
                      path, metadata, _conditions(raw, 296), _kind(head), (*warnings, *_doubts(head, values)))]
    extra = [k for k in keys if k.key == 2][1:]
    blocks = [k for k in keys if k.key == 3]
    if len(extra) == len(blocks):
        for at, block in zip(extra, blocks, strict=True):
            background = _head(path, raw, at)
            name, unit = background.quantity
            data = _floats(path, raw, block, background.points)
            signals.append(Signal(f"{plan_title or path.stem}, background", (_axis(background, rising=True),),
                                  {name: Field(data, unit)}, path, {}, _conditions(raw, 296), _kind(background)))
    return tuple(signals)


def _leading(raw: bytes, plan: _Key | None, collection: _Key | None, count: int) -> tuple[tuple[Axis, ...], list[str]]:
    """Axes over which the spectra of a series run, from the plan of the file."""
    axes = _planned(raw, plan) if plan is not None else {}
    if DOWN in axes and ACROSS in axes and axes[ACROSS][2] * axes[DOWN][2] == count:
        return tuple(Axis(name, np.linspace(*axes[which]), "um") for name, which in (("y", DOWN), ("x", ACROSS))), []
    if TIME in axes and axes[TIME][2] == count:
        first, last, _ = axes[TIME]
        if collection is not None and collection.length >= 74:
            exact = struct.unpack_from("<2f", raw, collection.offset + 66)
            if np.allclose(exact, (first, last), atol=2e-3):  # the plan has thousandths only
                first, last = exact
        return (Axis("time", np.linspace(first, last, count) * 60, "s"),), []
    moved = [which for which, (_, _, size) in axes.items() if which not in (0, 1) and size == count]
    also = {"vendor_axis": (np.linspace(*axes[moved[0]]), "1")} if moved else {}
    said = "what the spectra differ in is not understood: they are counted"
    return (Axis("spectrum", np.arange(count, dtype=np.float64), "1", also),), [said]


def _planned(raw: bytes, plan: _Key) -> dict[int, tuple[float, float, int]]:
    """Axis -> first, last, points."""
    found: dict[int, tuple[float, float, int]] = {}
    if plan.length < 568:
        return found
    for k in range(min(struct.unpack_from("<I", raw, plan.offset + 564)[0], 16)):
        at = plan.offset + 568 + 332 * k
        if at + 28 > plan.offset + plan.length:
            break
        which, first, last, _, points = struct.unpack_from("<I2qfI", raw, at)
        found[which] = (first * 1e-3, last * 1e-3, points)
    return found


def _kind(head: _Head) -> str:
    if head.x_unit == POINTS or head.y_unit == 22:
        return "interferogram"
    return "FTIR" if head.x_unit == 1 else "Raman" if head.x_unit == 32 else ""


def _doubts(head: _Head, values: NDArray[np.float32]) -> tuple[str, ...]:
    said = []
    if head.y_unit not in UNITS:
        said.append(f"the quantity has the unknown code {head.y_unit}")
    if blank := int(np.isnan(values).sum()):
        said.append(f"{blank} values are blank")
    if head.quantity[0] == "absorbance" and (full := int((values == np.float32(6.0)).sum())):
        said.append(f"{full} values stand at 6.0, where OMNIC cuts off: nothing came through")
    return tuple(said)


def _conditions(raw: bytes, stamp: int) -> dict[str, Any]:
    moment = _moment(raw, stamp)
    return {"acquired": moment.isoformat()} if moment is not None else {}


def _moment(raw: bytes, at: int) -> datetime | None:
    if at + 4 > len(raw):
        return None
    seconds = struct.unpack_from("<I", raw, at)[0]
    return START + timedelta(seconds=seconds) if seconds > 2 ** 31 else None  # before 1968 no such instrument was


def _metadata(raw: bytes, keys: list[_Key], head: _Head) -> dict[str, Any]:
    found: dict[str, Any] = {"scans": head.scans, "laser_per_cm": float(head.laser) if np.isfinite(head.laser) else None,
                             "sample_spacing": head.spacing}
    for name, which in (("comment", 4), ("history", 27)):
        texts = [_text(raw, k.offset, k.length) for k in keys if k.key == which and 0 <= k.offset < len(raw)]
        if any(texts):
            found[name] = "\n".join(texts)[:2000]
    return found


def _text(raw: bytes, at: int, length: int) -> str:
    return raw[at:at + max(length, 0)].split(b"\0")[0].decode("latin-1").strip()


def recognises(head: bytes, path: Path) -> bool:
    """By the first words."""
    del path
    return head.startswith((PLAIN, EXTENDED))


def example(folder: Path) -> Path:
    """A group of two spectra of a line at 1440 1/cm, ten minutes apart."""
    x = np.arange(1480.0, 1399.0, -2.0)
    band = np.exp(-((x - 1440) / 15) ** 2).astype("<f4")
    blocks, table, at = b"", b"", 304 + 16 * 6
    for i, (height, seconds) in enumerate(((1.0, 3_900_000_000), (0.5, 3_900_000_600))):
        head = struct.pack("<IIIIff", 1, x.size, 1, 17, x[0], x[-1]).ljust(HEAD_BYTES, b"\0")
        for key, block in ((2, head), (107, f"spectrum {i}".encode().ljust(256, b"\0") + struct.pack("<I", seconds)),
                           (3, (height * band).astype("<f4").tobytes())):
            table += struct.pack("<hii6x", key, at + len(blocks), len(block))
            blocks += block
    start = PLAIN.ljust(30, b"\0") + b"example".ljust(258, b"\0") + struct.pack("<4H", 2, 0, 1, 6)
    path = folder / "example.spg"
    path.write_bytes(start + struct.pack("<II", 3_900_000_000, 0) + table + blocks)
    return path


OMNIC = Format(name="omnic", suffixes=frozenset({".spa", ".spg", ".srs", ".map"}), recognises=recognises, read=read,
               version="1", example=example)
