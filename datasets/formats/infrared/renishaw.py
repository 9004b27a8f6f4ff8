"""Renishaw WiRE spectra, series and maps (.wdf): Raman and photoluminescence.

Renishaw publishes no layout; this is that of Gwyddion's renishaw module and of py-wdf-reader (T. Tian, MIT), seen in files.
Blocks follow each other: name (4 bytes), number (u4), size with its 16 bytes of head (u8). All numbers are little-endian.

- WDF1 (512 bytes): points of a spectrum at 60, places reserved (u8) at 64, spectra measured (u8) at 72, lists of places at 92,
  version at 120, kind of scan at 128, of measurement (1 single, 2 series, 3 map) at 132, start and end (ticks of 100 ns since
  1601, UTC) at 136, wavenumber of the laser (f4, 1/cm) at 156, user at 208, title at 240.
- DATA: f4, spectra by points. A measurement that was stopped has fewer spectra than places.
- XLST: kind (u4), unit (u4), then f4 for each point, rising or falling.
- ORGN: for each list kind (u4, its highest bit means little), unit (u4), a name of 16 bytes, and f8, or ticks for times, for
  each place reserved. Kinds: 3 x, 4 y, 5 z, 9 temperature, 10 pressure, 11 time, 14 focus; checksums (16) and flags (17) are
  left out.

Maps are laid out by the places that ORGN states, so the order of the scan (rows, columns, to and fro) does not matter.
The video image (WHTL) and the treatments (WARP, MAP) are not read, and a warning says which results of WiRE are in the file.
"""

import mmap
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.infrared.places import leading_axes
from datasets.formats.signal import Axis, Field, Format, Signal

Floats = NDArray[np.float64]

MAGIC = b"WDF1"
HEAD, BLOCK = 512, 16
UNITS = {1: "1/cm", 2: "nm", 3: "nm", 4: "eV", 5: "um", 6: "count", 8: "mm", 9: "m", 10: "K", 11: "Pa", 12: "s", 13: "ms",
         19: "deg", 20: "rad", 21: "degC"}
X, Y, Z, TEMPERATURE, PRESSURE, TIME, FOCUS = 3, 4, 5, 9, 10, 11, 14
LISTS = {Z: "stage_z", TEMPERATURE: "stage_temperature", PRESSURE: "pressure", FOCUS: "focus"}
SILENT = (16, 17)
RAMAN_SHIFT, COUNTS = 1, 6
SERIES, MAP = 2, 3
GRID = ("y", "x")
UNREAD = {b"WHTL": "the visible image", b"MAP ": "maps that WiRE made of the spectra"}
TICKS_PER_SECOND = 10_000_000
EPOCH = datetime(1601, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class _Head:
    points: int
    reserved: int
    spectra: int
    lists: int
    measurement: int
    start: int
    laser: float
    unit: int
    title: str
    metadata: dict[str, Any]


def read(path: Path) -> tuple[Signal, ...]:
    """All spectra of a file.

    Raises
    ------
    UnreadableFile
        Naming the block that is missing or shorter than it declares.
    """
    with path.open("rb") as file:
        raw = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # a map may be larger than memory
    head = _head(path, raw)
    blocks, names, cut = _blocks(path, raw)
    at = _block(path, blocks, b"DATA", 4 * head.points * head.spectra)
    values = np.frombuffer(raw, "<f4", head.points * head.spectra, at).reshape(head.spectra, head.points)
    at = _block(path, blocks, b"XLST", 8 + 4 * head.points)
    unit, = struct.unpack_from("<I", raw, at + 4)
    shift = np.frombuffer(raw, "<f4", head.points, at + 8).astype(np.float64)
    if not np.isfinite(shift).all():
        raise UnreadableFile(path, "its axis has values that are no numbers", where="block XLST")
    warnings = [f"the file ends inside its block {cut}: what else it held is lost"] if cut else []
    warnings += [f"{what} in the file is left out" for name, what in UNREAD.items() if name in names]
    if head.spectra < head.reserved:
        warnings.append(f"{head.spectra} of {head.reserved} spectra were measured: the acquisition was stopped")
    if blocks[b"XLST"][1] != 8 + 4 * head.points:
        warnings.append(f"its axis has room for {(blocks[b'XLST'][1] - 8) // 4} points, its header declares {head.points}")
    if blocks[b"DATA"][1] not in (4 * head.points * head.spectra, 4 * head.points * head.reserved):
        warnings.append(f"its data have room for {blocks[b'DATA'][1] // (4 * head.points)} spectra, its header declares "
                        f"{head.spectra} of {head.reserved}")
    leading, order = _leading(_lists(path, raw, blocks, head), head.spectra)
    if head.measurement == MAP and len(leading) < len(GRID):
        warnings.append("it is called a map, and its places are on no grid")
    if head.measurement == SERIES and not any(axis.name == "time" for axis in leading):
        warnings.append("it is called a series, and states no rising times")
    if not np.array_equal(order, np.arange(head.spectra)):
        values = values[order]
    data = values.reshape(*(axis.size for axis in leading), head.points)
    raman = unit == RAMAN_SHIFT
    axis = Axis("raman shift" if raman else "wavelength", shift, UNITS.get(unit, ""))
    conditions: dict[str, Any] = {"acquired": when} if (when := _moment(head.start)) else {}
    field = Field(data, "count" if head.unit == COUNTS else "arbitrary")
    return (Signal(head.title or path.stem, (*leading, axis), {"intensity": field}, path, head.metadata, conditions,
                   "Raman" if raman else "", tuple(warnings)),)


def _head(path: Path, raw: mmap.mmap) -> _Head:
    if len(raw) < HEAD:
        raise UnreadableFile(path, f"is {len(raw)} bytes, shorter than its header", todo="the file is truncated")
    points, reserved, spectra = struct.unpack_from("<IQQ", raw, 60)
    lists, = struct.unpack_from("<I", raw, 92)
    measurement, start = struct.unpack_from("<IQ", raw, 132)
    unit, laser = struct.unpack_from("<If", raw, 152)
    if points < 1 or spectra < 1 or 4 * points * spectra > len(raw) or spectra > reserved:
        raise UnreadableFile(path, f"declares {spectra} spectra of {points} points, {len(raw)} bytes are there",
                             where="block WDF1", todo="the file may be truncated, or nothing was measured")
    title, user = (raw[a:b].split(b"\0")[0].decode("utf-8", "replace").strip() for a, b in ((240, 400), (208, 240)))
    about: dict[str, Any] = {"title": title, "user": user, "scan_type": struct.unpack_from("<I", raw, 128)[0],
                             "measurement_type": measurement, "application": raw[96:120].split(b"\0")[0].decode("latin-1"),
                             "version": list(struct.unpack_from("<4H", raw, 120)),
                             "accumulations": struct.unpack_from("<I", raw, 80)[0]}
    if np.isfinite(laser) and laser > 0:
        about |= {"laser_wavenumber_per_cm": laser, "laser_wavelength_nm": 1e7 / laser}
    return _Head(points, reserved, spectra, lists, measurement, start, laser, unit, title, about)


def _blocks(path: Path, raw: mmap.mmap) -> tuple[dict[bytes, tuple[int, int]], set[bytes], str]:
    """Where the content of the first block of each name begins, and its size; all names; the block that is cut off, if any."""
    found: dict[bytes, tuple[int, int]] = {}
    at, name = 0, b""
    while at + BLOCK <= len(raw):
        name = raw[at:at + 4]
        size, = struct.unpack_from("<Q", raw, at + 8)
        if size < BLOCK:
            raise UnreadableFile(path, f"has a block {name!r} of {size} bytes", where=f"byte {at}",
                                 todo="the file may be damaged")
        found.setdefault(name, (at + BLOCK, size - BLOCK))
        at += size
    return found, set(found), name.decode("latin-1") if at > len(raw) else ""


def _block(path: Path, blocks: dict[bytes, tuple[int, int]], name: bytes, needed: int) -> int:
    if name not in blocks:
        raise UnreadableFile(path, f"has no block {name.decode()}", todo="the file may be truncated")
    at, size = blocks[name]
    end = path.stat().st_size
    if size < needed or at + needed > end:
        raise UnreadableFile(path, f"needs {needed} bytes, {max(0, min(size, end - at))} are there",
                             where=f"block {name.decode()}", todo="the file may be truncated")
    return at


def _lists(path: Path, raw: mmap.mmap, blocks: dict[bytes, tuple[int, int]], head: _Head) -> dict[int, tuple[Floats, str]]:
    """Kind -> a value for each spectrum, and its unit; ticks become seconds from the first."""
    if b"ORGN" not in blocks or head.lists == 0:
        return {}
    each = 24 + 8 * head.reserved
    at = _block(path, blocks, b"ORGN", 4 + each * head.lists)
    found = {}
    for start in range(at + 4, at + 4 + each * head.lists, each):
        kind, unit = struct.unpack_from("<II", raw, start)
        kind &= 0x7FFFFFFF
        if kind == TIME:
            ticks = np.frombuffer(raw, "<i8", head.spectra, start + 24)
            found[kind] = ((ticks - ticks[0]).astype(np.float64) / TICKS_PER_SECOND, "s")
        elif kind not in SILENT:
            found[kind] = (np.frombuffer(raw, "<f8", head.spectra, start + 24).astype(np.float64), UNITS.get(unit, ""))
    return found


def _leading(lists: dict[int, tuple[Floats, str]], count: int) -> tuple[tuple[Axis, ...], NDArray[np.intp]]:
    """A grid, places, or the time of a series; what else is known of each spectrum stands beside it."""
    if count == 1:
        return (), np.arange(1)
    beside = {name: lists[kind] for kind, name in LISTS.items() if kind in lists and np.ptp(lists[kind][0]) > 0}
    places = [lists.get(kind, (np.full(count, np.nan), "um")) for kind in (X, Y)]
    if all(unit == "um" and np.isfinite(values).all() for values, unit in places) and any(np.ptp(v) > 0 for v, _ in places):
        axes, order = leading_axes(np.stack([values for values, _ in places], axis=1))
        if len(axes) == 1:
            axes = (Axis(axes[0].name, axes[0].values, axes[0].units, {**axes[0].also, **beside}),)
        return axes, order
    times = lists.get(TIME, (np.empty(0), ""))[0]
    if times.size and (np.diff(times) > 0).all():
        return (Axis("time", times, "s", beside),), np.arange(count)
    return (Axis("spectrum", np.arange(count, dtype=np.float64), "1", beside),), np.arange(count)


def _moment(ticks: int) -> str:
    """UTC, to the second; "" for what is no date of this century or the last."""
    try:
        moment = EPOCH + timedelta(microseconds=ticks // 10)
    except OverflowError:
        return ""
    return moment.isoformat(timespec="seconds") if 1980 <= moment.year < 2200 else ""


def recognises(head: bytes, path: Path) -> bool:
    """By the name of the first block and its size."""
    del path
    return head[:4] == MAGIC and len(head) >= BLOCK and struct.unpack_from("<Q", head, 8)[0] == HEAD


def example(folder: Path) -> Path:
    """A map of 2 rows and 3 columns, scanned to and fro; a line at 1090 1/cm grows along x."""
    shift = np.arange(1000.0, 1200.0, 4.0)
    xs, ys = np.array([0.0, 1.0, 2.0, 2.0, 1.0, 0.0]), np.array([0.0, 0.0, 0.0, 5.0, 5.0, 5.0])
    data = 100 + 50 * (1 + xs[:, None]) * np.exp(-((shift - 1090) / 6) ** 2)
    return write(folder / "example.wdf", shift, data, {X: (xs, 5), Y: (ys, 5)}, measurement=3)


def write(path: Path, shift: NDArray[Any], data: NDArray[Any], lists: dict[int, tuple[NDArray[Any], int]], *,
          measurement: int = 1, reserved: int = 0) -> Path:
    """A file of the blocks that are read here; `lists` has values and the number of their unit."""
    count, points = data.shape
    places = max(reserved, count)
    head = bytearray(HEAD)
    head[:4] = MAGIC
    struct.pack_into("<IQ", head, 4, 1, HEAD)
    struct.pack_into("<IQQ", head, 60, points, places, count)
    struct.pack_into("<IIII", head, 80, 1, 1, points, len(lists))
    head[96:100] = b"WiRE"
    struct.pack_into("<IQ", head, 132, measurement, 131394053000000000)
    struct.pack_into("<If", head, 152, COUNTS, 18797.0)
    head[240:249] = b"carbonate"
    origin = struct.pack("<I", len(lists))
    for kind, (values, unit) in lists.items():
        whole: NDArray[Any] = np.zeros(places, "<i8" if kind == TIME else "<f8")
        whole[:count] = values
        origin += struct.pack("<II16s", kind | 0x80000000, unit, b"") + whole.tobytes()
    blocks = [(b"DATA", data.astype("<f4").tobytes()),
              (b"XLST", struct.pack("<II", 1, RAMAN_SHIFT) + shift.astype("<f4").tobytes()), (b"ORGN", origin)]
    path.write_bytes(bytes(head) + b"".join(name + struct.pack("<IQ", 0, BLOCK + len(body)) + body for name, body in blocks))
    return path


RENISHAW = Format(name="renishaw wdf", suffixes=frozenset({".wdf"}), recognises=recognises, read=read, version="1",
                  example=example)
