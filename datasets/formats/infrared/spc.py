"""Galactic / Thermo GRAMS spectra (.spc), new (4B, 4C) and old (4D) layout, single and multiple.

Specification: Galactic Industries, "Universal Data Format Specification" (GSPC_UDF, 1997); not open here, written from memory
of it and held against SpectroChemPy. Byte 0 holds flags, byte 1 the version: 4B little-endian, 4C big-endian, 4D old.

| flag | meaning |
| 01 | values are int16, not int32 |
| 04 | several spectra; 20 labels of the axes in the head; |
| 80 | x values are stored; 40 each spectrum has its own, and a directory if "points" is an offset |

Head of 512 bytes: exponent at 3, points at 4, float64 first and last x at 8, spectra at 24, types of x, y, z at 28 to 30,
date at 32 (year << 20, month << 16, day << 11, hour << 6, minute), comment at 88 in 130, labels at 218 in 30, offset of the
log at 248, z increment at 312, planes at 316. Each spectrum has 32 bytes: exponent at 1, float32 z at 4, points at 16. Values
are float32 for an exponent of -128, else integers x 2^(exponent - 32), or - 16 for int16. The old head has 256 bytes, of
which the last 32 are the first spectrum's; its int32 have their halves swapped.

z is time where its type says so. What "percent" is percent of stands nowhere: it is taken for transmittance, with a warning.
Not read: four-dimensional files (planes), and the log's binary part.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.signal import Axis, Field, Format, Signal

Floats = NDArray[np.float64]

NEW, BIG, OLD = 0x4B, 0x4C, 0x4D
INT16, MULTI, LABELS, OWN_X, X_VALUES = 0x01, 0x04, 0x20, 0x40, 0x80
HEAD, OLD_HEAD, SUB = 512, 224, 32
FLOAT = -128
X_TYPES = {1: ("wavenumber", "1/cm"), 2: ("wavelength", "um"), 3: ("wavelength", "nm"), 4: ("time", "s"), 5: ("time", "min"),
           6: ("frequency", "Hz"), 7: ("frequency", "kHz"), 8: ("frequency", "MHz"), 9: ("mass to charge", "Da"),
           11: ("time", "day"), 12: ("time", "year"), 13: ("raman shift", "1/cm"), 14: ("energy", "eV"),
           19: ("temperature", "degF"), 20: ("temperature", "degC"), 21: ("temperature", "K"), 22: ("point", ""),
           23: ("time", "ms"), 24: ("time", "us"), 25: ("time", "ns"), 26: ("frequency", "GHz"), 27: ("wavelength", "cm"),
           28: ("wavelength", "m"), 29: ("wavelength", "mm"), 30: ("time", "hour")}
Y_TYPES = {1: ("interferogram", "arbitrary"), 2: ("absorbance", "1"), 3: ("kubelka_munk", "1"), 4: ("counts", "count"),
           5: ("potential", "V"), 9: ("potential", "mV"), 10: ("log_reflectance", "1"), 11: ("transmittance", "percent"),
           128: ("transmittance", "1"), 129: ("reflectance", "1"), 130: ("single_beam", "arbitrary"),
           131: ("emission", "arbitrary")}
PERCENT = 11
RAMAN = 11
"""Kind of experiment."""


@dataclass(frozen=True)
class _Head:
    version: int
    flags: int
    experiment: int
    exponent: int
    points: int
    ends: tuple[float, float]
    spectra: int
    types: tuple[int, int, int]
    z_step: float
    planes: int
    size: int
    acquired: str
    log_at: int
    metadata: dict[str, Any]

    @property
    def order(self) -> str:
        return ">" if self.version == BIG else "<"


@dataclass(frozen=True)
class _Spectrum:
    z: float
    x: Floats
    y: Floats


def read(path: Path) -> tuple[Signal, ...]:
    """All spectra, as one signal where they have the same axis.

    Raises
    ------
    UnreadableFile
        Naming what the head declares and the file does not hold.
    """
    raw = path.read_bytes()
    head = _head(path, raw)
    warnings = ["planes of a fourth dimension are counted with the spectra"] if head.planes > 1 else []
    spectra, end = _spectra(path, raw, head, warnings)
    if head.types[1] == PERCENT:
        warnings.append("values are in percent, of what the file does not say: taken for transmittance")
    if (rest := (head.log_at if end <= head.log_at <= len(raw) else len(raw)) - end) >= 4:
        warnings.append(f"{rest} bytes behind the last spectrum are not understood")
    same = all(s.x.size == spectra[0].x.size and np.array_equal(s.x, spectra[0].x) for s in spectra)
    groups = [spectra] if same else [[s] for s in spectra]
    return tuple(_signal(path, head, group, tuple(warnings)) for group in groups)


def _head(path: Path, raw: bytes) -> _Head:
    if len(raw) < 256:
        raise UnreadableFile(path, "ends within its head", todo="the file may be truncated")
    return _old_head(raw) if raw[1] == OLD else _new_head(path, raw)


def _new_head(path: Path, raw: bytes) -> _Head:
    if len(raw) < HEAD:
        raise UnreadableFile(path, "ends within its head", todo="the file may be truncated")
    order = ">" if raw[1] == BIG else "<"
    numbers = struct.unpack_from(f"{order}3BbI2dI4BI", raw)
    flags, version, experiment, exponent, points, first, last, count, x, y, z, _, date = numbers
    acquired = _date(date >> 20, date >> 16 & 15, date >> 11 & 31, date >> 6 & 31, date & 63)
    labels = [_text(part) for part in raw[218:248].split(b"\0")[:3]] if flags & LABELS else []
    log_at = struct.unpack_from(f"{order}I", raw, 248)[0]
    z_step, planes = struct.unpack_from(f"{order}fI", raw, 312)
    metadata = {"source": _text(raw[45:54]), "resolution": _text(raw[36:45]), "comment": _text(raw[88:218]), "labels": labels,
                "log": _log(raw, order, log_at), "experiment": experiment}
    return _Head(version, flags, experiment, exponent, points, (first, last), max(count, 1) if flags & MULTI else 1, (x, y, z),
                 z_step, planes, HEAD, acquired, log_at, {k: v for k, v in metadata.items() if v})


def _old_head(raw: bytes) -> _Head:
    flags, version, exponent, points, first, last, x, y, year, month, day, hour, minute = struct.unpack_from("<2Bh3f2Bh4B", raw)
    acquired = _date(year & 0xFFF, month, day, hour, minute)
    metadata = {"resolution": _text(raw[24:32]), "comment": _text(raw[64:194])}
    count = 0 if flags & MULTI else 1  # as many as the file holds
    size = int(points) if np.isfinite(points) and 0 < points < 2 ** 31 else 0
    exponent = FLOAT if exponent == 128 else exponent
    return _Head(version, flags, 0, exponent, size, (first, last), count, (x, y, (year >> 12) & 15), 0.0, 0, OLD_HEAD, acquired,
                 0, {k: v for k, v in metadata.items() if v})


def _date(year: int, month: int, day: int, hour: int, minute: int) -> str:
    try:
        return datetime(year, month, day, hour, minute).isoformat() if year else ""
    except ValueError:
        return ""


def _log(raw: bytes, order: str, at: int) -> str:
    if not HEAD <= at <= len(raw) - 16:
        return ""
    size, _, text = struct.unpack_from(f"{order}3I", raw, at)
    return raw[at + text:at + size].rstrip(b"\0").decode("latin-1").strip()[:4000] if text < size else ""


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("latin-1").strip()


def _spectra(path: Path, raw: bytes, head: _Head, warnings: list[str]) -> tuple[list[_Spectrum], int]:
    """The spectra, and where the last of them ends."""
    if head.flags & X_VALUES and head.flags & OWN_X:
        return _with_own_x(path, raw, head, warnings)
    at = head.size
    if not np.isfinite(head.ends).all() or head.points < 1:
        raise UnreadableFile(path, f"declares {head.points} points from {head.ends[0]:g} to {head.ends[1]:g}", where="head")
    if head.flags & X_VALUES:
        x = _floats(path, raw, at, head.points, head.order)
        at += 4 * head.points
    else:
        if 2 * head.points > len(raw):
            raise UnreadableFile(path, f"declares {head.points} points, more than it holds", where="head",
                                 todo="the file may be truncated")
        x = np.linspace(*head.ends, head.points)
    spectra: list[_Spectrum] = []
    step = SUB + head.points * (2 if head.flags & INT16 else 4)
    if head.spectra * step > len(raw):
        raise UnreadableFile(path, f"declares {head.spectra} spectra of {head.points} points, more than it holds", where="head",
                             todo="the file may be truncated")
    while len(spectra) < head.spectra or (head.spectra == 0 and at + step <= len(raw)):
        z, exponent, _ = _sub(path, raw, at, head)
        y = _values(path, raw, at + SUB, head.points, exponent if head.flags & MULTI else head.exponent, head)
        spectra.append(_Spectrum(z, x, y))
        at += step
    if not spectra:
        raise UnreadableFile(path, "holds no whole spectrum", todo="the file may be truncated")
    return spectra, at


def _with_own_x(path: Path, raw: bytes, head: _Head, warnings: list[str]) -> tuple[list[_Spectrum], int]:
    places: list[tuple[int, int]] = []
    if head.points >= HEAD and head.points + 12 * head.spectra <= len(raw):
        places = [struct.unpack_from(f"{head.order}2I", raw, head.points + 12 * i) for i in range(head.spectra)]
    at, spectra = HEAD, []
    for i in range(head.spectra):
        at = places[i][0] if places else at
        z, exponent, points = _sub(path, raw, at, head)
        width = 6 if head.flags & INT16 else 8
        points = points or (places[i][1] - SUB) // width if places else points
        size = SUB + points * width
        if places and places[i][1] != size:
            warnings.append(f"spectrum {i + 1} declares {points} points, which are {size} bytes; "
                            f"the directory says {places[i][1]}")
        x = _floats(path, raw, at + SUB, points, head.order)
        spectra.append(_Spectrum(z, x, _values(path, raw, at + SUB + 4 * points, points, exponent, head)))
        at += size
    return spectra, max(at, head.points + 12 * head.spectra) if places else at


def _sub(path: Path, raw: bytes, at: int, head: _Head) -> tuple[float, int, int]:
    if at + SUB > len(raw):
        raise UnreadableFile(path, f"ends before a spectrum at byte {at}", todo="the file may be truncated")
    exponent, z, points = struct.unpack_from(f"{head.order}xbxxf8xI", raw, at)
    return z, exponent, points


def _floats(path: Path, raw: bytes, at: int, points: int, order: str) -> Floats:
    if points < 1 or at + 4 * points > len(raw):
        raise UnreadableFile(path, f"declares {points} points at byte {at}, which it does not have",
                             todo="the file may be truncated")
    return np.frombuffer(raw, f"{order}f4", points, at).astype(np.float64)


def _values(path: Path, raw: bytes, at: int, points: int, exponent: int, head: _Head) -> Floats:
    if exponent == FLOAT:
        return _floats(path, raw, at, points, head.order)
    width = 2 if head.flags & INT16 else 4
    if points < 1 or at + width * points > len(raw):
        raise UnreadableFile(path, f"declares {points} points at byte {at}, which it does not have",
                             todo="the file may be truncated")
    if head.version == OLD and width == 4:
        halves = np.frombuffer(raw, "<u2", 2 * points, at).reshape(points, 2).astype(np.uint32)
        values = (halves[:, 0] << 16 | halves[:, 1]).astype(np.int32)
    else:
        values = np.frombuffer(raw, f"{head.order}i{width}", points, at)
    return values.astype(np.float64) * 2.0 ** (exponent - 8 * width)


def _signal(path: Path, head: _Head, spectra: Sequence[_Spectrum], warnings: tuple[str, ...]) -> Signal:
    x_name, x_unit = X_TYPES.get(head.types[0], ("x", ""))
    name, unit = Y_TYPES.get(head.types[1], ("intensity", "arbitrary"))
    leading: tuple[Axis, ...] = ()
    values = np.stack([s.y for s in spectra]) if len(spectra) > 1 else spectra[0].y
    if not np.isfinite(spectra[0].x).all():
        raise UnreadableFile(path, "its x axis has values that are no numbers")
    if len(spectra) > 1:
        leading = (_leading(head, np.array([s.z for s in spectra])),)
    said = list(warnings)
    kind = "FTIR" if x_unit == "1/cm" else ""
    if x_name == "raman shift" or head.experiment == RAMAN:
        kind = "Raman"
    if name == "interferogram":
        kind = "interferogram"
        said.append(f"the file puts an interferogram on an axis of {x_name}: its path differences are not known")
    conditions = {"acquired": head.acquired} if head.acquired else {}
    title = str(head.metadata.get("comment", "")).splitlines()[0][:80] if head.metadata.get("comment") else path.stem
    return Signal(title, (*leading, Axis(x_name, spectra[0].x, x_unit)), {name: Field(values, unit)}, path, head.metadata,
                  conditions, kind, tuple(said))


def _leading(head: _Head, z: Floats) -> Axis:
    name, unit = X_TYPES.get(head.types[2], ("z", "1"))
    if not np.isfinite(z).all() or not np.ptp(z):
        step = head.z_step if np.isfinite(head.z_step) else 0.0
        z = step * np.arange(z.size, dtype=np.float64)
    if name == "time" and np.ptp(z) > 0:
        return Axis("time", z, unit)
    return Axis("spectrum", np.arange(z.size, dtype=np.float64), "1", {name: (z, unit or "1")} if np.ptp(z) > 0 else {})


def recognises(head: bytes, path: Path) -> bool:
    """Two bytes are no evidence, so the numbers of the head must make sense too."""
    del path
    if len(head) < 256 or head[1] not in (NEW, BIG, OLD):
        return False
    if head[1] == OLD:
        points, first, last = struct.unpack_from("<3f", head, 4)
        return bool(1 <= points < 1e8 and points == int(points) and np.isfinite([first, last]).all() and head[16] <= 30
                    and 1 <= head[20] <= 12 and 1 <= head[21] <= 31)
    order = ">" if head[1] == BIG else "<"
    points, first, last, spectra = struct.unpack_from(f"{order}I2dI", head, 4)
    plain = bool(np.isfinite([first, last]).all() and max(abs(first), abs(last)) < 1e12)
    known = {*range(31), 255}
    return bool(plain and spectra < 1e7 and (points > 0 or head[0] & OWN_X) and head[28] in known and head[30] in known
                and head[2] <= 14)


def example(folder: Path) -> Path:
    """Three spectra of a growing line, as int32 with exponents, ten seconds apart."""
    x = np.linspace(1480.0, 1400.0, 41)
    band = np.exp(-((x - 1440) / 15) ** 2)
    head = bytearray(HEAD)
    date = 2026 << 20 | 1 << 16 | 2 << 11
    struct.pack_into("<3BbI2dI4BI", head, 0, MULTI, NEW, 4, 4, x.size, x[0], x[-1], 3, 1, 2, 4, 0, date)
    body = b""
    for i in range(3):
        body += struct.pack("<BbHfffII", 0, 4, i, 10.0 * i, 10.0 * i, 0.0, 0, 0).ljust(SUB, b"\0")
        body += np.rint((i + 1) * band * 2.0 ** 28).astype("<i4").tobytes()
    path = folder / "example.spc"
    path.write_bytes(bytes(head) + body)
    return path


SPC = Format(name="spc", suffixes=frozenset({".spc"}), recognises=recognises, read=read, version="1", example=example)
