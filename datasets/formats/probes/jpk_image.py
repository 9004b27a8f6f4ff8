"""JPK scans: .jpk and .jpk-qi-image (TIFF with private tags), .h5-jpk (HDF5, fast scans with many frames).

Known from files and from what Gwyddion, SurfaceTopography (MIT) and AFMReader (LGPL-3) found out.

- TIFF: the first image is a thumbnail that carries the grid (0x8040-0x8049: origin and lengths in m, angle, pixels) and the
  dates; each further image is a channel (0x8050 name, 0x8051 whether of the way back, 0x8052 name for people). What its numbers
  mean stands in slots of 48 tags each from 0x8090 (name, encoder unit, scaling "LinearScaling" with multiplier and offset);
  0x8081 names the default slot. Rows begin at the bottom unless the grid is reflected (0x8045). Lengths are those of N pixels.
- HDF5: `Measurement_NNN` with the grid in attributes, `Channel_NNN` with a table of (pixel, frame) and `net-encoder.scaling`.
  Frames begin at the milliseconds in `meta-data/start-times`. Rows over scan rate, which AFMReader takes for the frame time,
  leaves out the way back to the first row (2 % of a real film); it is the coordinate `nominal_time`.
- Two channels may have one name for people ("Height (measured)"): the second is numbered.
"""

from collections.abc import Mapping
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tifffile
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.contiguous import lazily, left_over
from datasets.formats.dates import acquired
from datasets.formats.hdf5_array import StoredArray
from datasets.formats.hdf5_layout import told_by_groups
from datasets.formats.probes.scan_image import Channel, scaled, signals
from datasets.formats.signal import Axis, Format, Signal
from datasets.formats.tiff_tags import is_jpk, opened
from datasets.provenance import jsonable

AT_ONCE_BYTES, FRAMES_BYTES = 32 << 20, 16 << 20
"""Longer movies are read when their frames are used, so many bytes at a time."""
GLOBAL = {0x8000: "program_version", 0x8003: "start", 0x8004: "name", 0x8005: "comment", 0x8006: "end", 0x8007: "sample",
          0x8011: "spring_constant", 0x8030: "feedback_mode", 0x8033: "setpoint", 0x8040: "x0", 0x8041: "y0", 0x8042: "width",
          0x8043: "height", 0x8044: "angle", 0x8045: "reflect", 0x8049: "scan_rate", 0x804B: "motion"}
MOST_CLOCK_BYTES, MOST_IMAGES = 1 << 20, 1000
SLOTS, DEFAULT_SLOT, FIRST_SLOT, SLOT_STRIDE, MOST_SLOTS = 0x8080, 0x8081, 0x8090, 0x30, 64


def read(path: Path) -> tuple[Signal, ...]:
    """Every channel of a TIFF scan.

    Raises
    ------
    UnreadableFile
        If an image is cut off or no channel has a scaling that is known.
    """
    with opened(path) as (tiff, said):
        pages = list(islice(iter(tiff.pages), MOST_IMAGES))  # a damaged list of images may have no end
        about = {name: tag for number, name in GLOBAL.items() if (tag := _tag(pages[0], number)) is not None}
        channels = []
        remarks: list[str] = []
        for number, page in enumerate(pages[1:], 1):
            if _tag(page, 0x8050) is None and _tag(page, 0x8052) is None:
                remarks.append(f"image {number} of the TIFF has no channel name and is not read")
                continue
            if prod(page.shape) * page.dtype.itemsize > path.stat().st_size:
                raise UnreadableFile(path, f"image {number} declares {page.shape} pixels, more than the file can hold")
            if page.compression == tifffile.COMPRESSION.NONE:
                remarks += left_over(sum(page.databytecounts) - page.nbytes)
            channels.append(_channel(page, about, remarks))
        remarks += said
    if not channels:
        raise UnreadableFile(path, "holds no channel, only a thumbnail")
    return signals(path, channels, metadata=jsonable(about), conditions=_conditions(str(about.get("start", ""))),
                   remarks=remarks)


def _channel(page: Any, about: Mapping[str, Any], remarks: list[str]) -> Channel:
    name = str(_tag(page, 0x8052) or _tag(page, 0x8050))
    slots = {}
    for i in range(min(int(_tag(page, SLOTS) or 0), MOST_SLOTS)):
        at = FIRST_SLOT + i * SLOT_STRIDE
        slots[str(_tag(page, at))] = {key: _tag(page, at + step) for key, step in
                                      (("unit", 0x12), ("type", 0x13), ("multiply", 0x14), ("offset", 0x15))}
    slot = slots.get(str(_tag(page, DEFAULT_SLOT)), {})
    raw = _pixels(page)
    if slot.get("type") == "LinearScaling" and isinstance(slot.get("multiply"), float):
        data, unit = scaled(raw, slot["multiply"], float(slot.get("offset") or 0.0)), str(slot.get("unit") or "")
    else:
        data, unit = raw, ""
        if slot.get("type") not in (None, "NullScaling"):
            remarks.append(f"channel {name!r} has the scaling {slot.get('type')!r}, which is not known: "
                           "its numbers are as stored")
    if not _tag(page, 0x8045) and not about.get("reflect"):
        data = data[::-1]
    rows, columns = raw.shape[:2]
    pixel = (float(about.get("height", 0.0)) / rows, float(about.get("width", 0.0)) / columns)
    return Channel(name, data, unit, pixel, "m", bool(_tag(page, 0x8051)))


def _pixels(page: Any) -> NDArray[Any]:
    path = Path(page.parent.filehandle.path)
    try:
        return np.asarray(page.asarray())
    except Exception as error:  # tifffile raises what the damage makes it meet
        raise UnreadableFile(path, f"image {page.index} cannot be read: {' '.join(str(error).split())[:120]}",
                             todo="the file is truncated or damaged") from error


def _tag(page: Any, number: int) -> Any:
    tag = page.tags.get(number)
    value = tag.value if tag is not None else None
    return value.strip("\0 ") if isinstance(value, str) else value


def read_hdf5(path: Path) -> tuple[Signal, ...]:
    """Every channel of an HDF5 scan, (time, y, x).

    Raises
    ------
    UnreadableFile
        If a channel's table does not fit the grid.
    """
    found: list[Signal] = []
    with h5py.File(path, "r") as file:
        for name, group in file.items():
            if not name.startswith("Measurement_") or not isinstance(group, h5py.Group):
                continue
            about = {key: _plain(value) for key, value in group.attrs.items()}
            started = group.get("meta-data/start-times")
            clock = started[()].ravel() if isinstance(started, h5py.Dataset) and started.nbytes < MOST_CLOCK_BYTES else None
            channels = [_frames(path, about, channel, clock) for key, channel in group.items()
                        if key.startswith("Channel_") and isinstance(channel, h5py.Group)]
            metadata = {key: value for key, value in about.items() if not key.startswith("environment.")}
            found += signals(path, channels, metadata=jsonable(metadata),
                             conditions=_conditions(str(about.get("start-time", ""))))
    if not found:
        raise UnreadableFile(path, "holds no measurement with channels")
    return tuple(found)


def _frames(path: Path, about: Mapping[str, Any], group: h5py.Group, clock: NDArray[Any] | None) -> Channel:
    tables = [item for key, item in group.items() if isinstance(item, h5py.Dataset) and key != "thumbnail" and item.ndim == 2]
    columns, rows = (int(about.get(f"position-pattern.grid.{n}length", 0)) for n in "ij")
    if not tables or tables[0].shape[0] != rows * columns or rows * columns == 0:
        raise UnreadableFile(path, f"has {tables[0].shape[0] if tables else 'no'} pixels on a grid of {rows} x {columns}",
                             where=str(group.name))
    table = tables[0]
    if table.nbytes > 1024 * path.stat().st_size:
        raise UnreadableFile(path, f"declares {table.nbytes} bytes, more than the file can hold", where=str(group.name))
    own = {key: _plain(value) for key, value in group.attrs.items()}
    turned = own.get("position-pattern.grid.reflect", about.get("position-pattern.grid.reflect")) != "true"
    movie = _Movie(StoredArray(path, table), (rows, columns), float(own.get("net-encoder.scaling.multiplier", 1.0)),
                   float(own.get("net-encoder.scaling.offset", 0.0)), turned)
    data = movie[:] if table.nbytes <= AT_ONCE_BYTES else lazily(
        movie, (max(1, FRAMES_BYTES // (rows * columns * movie.dtype.itemsize)), rows, columns))
    extent = [float(about.get(f"position-pattern.grid.{n}length", 0.0)) for n in "vu"]
    rate = float(about.get("timing-settings.scanRate", 0.0))
    nominal = np.arange(data.shape[0]) * (rows / rate if rate > 0 else 1.0)
    known = clock is not None and clock.size == nominal.size
    recorded = (clock - clock[0]) / 1e3 if clock is not None and known else nominal
    times = Axis("time", recorded, "s", {"nominal_time": (nominal, "s")})
    return Channel(str(own.get("channel.name", group.name)), data, str(own.get("net-encoder.scaling.unit.unit", "")),
                   (extent[0] / rows, extent[1] / columns), str(about.get("position-pattern.grid.unit.unit", "m")),
                   own.get("retrace") == "true", times)


class _Movie:
    """A table of (pixel, frame) as (frame, row, column), in the channel's unit; frames are read when they are asked for."""

    def __init__(self, stored: StoredArray, grid: tuple[int, int], factor: float, offset: float, turned: bool) -> None:
        self.stored, self.grid, self.factor, self.offset, self.turned = stored, grid, factor, offset, turned
        self.shape, self.ndim = (stored.shape[1], *grid), 3
        self.dtype = scaled(np.empty(0, stored.dtype), factor, offset).dtype

    def __getitem__(self, key: Any) -> NDArray[Any]:
        frames, *rest = key if isinstance(key, tuple) else (key,)
        numbers = self.stored[:, frames].T.reshape(-1, *self.grid)
        values = scaled(numbers[:, ::-1] if self.turned else numbers, self.factor, self.offset)
        return values[(slice(None), *rest)]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value


def _conditions(text: str) -> dict[str, Any]:
    """A date such as "2025-05-28 14:41:58.548 +0100"."""
    return acquired(text.strip().replace("GMT", "+0000"), "%Y-%m-%d %H:%M:%S.%f %z", "%Y-%m-%d %H:%M:%S %z",
                    "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S")


def recognises(head: bytes, path: Path) -> bool:
    """A TIFF with JPK's private tags."""
    return head[:4] in (b"II*\0", b"MM\0*") and is_jpk(path)


def recognises_hdf5(head: bytes, path: Path) -> bool:
    """HDF5 whose root says so."""
    return told_by_groups(head, path, lambda file: str(_plain(file.attrs.get("file-format-info", ""))) == "JPK SCAN", False)


def example(folder: Path) -> Path:
    """A slope of 16 rows and 24 columns, whose first row is at the bottom."""
    data = np.arange(16 * 24, dtype=np.uint16).reshape(16, 24)
    path = folder / "example.jpk"
    grid = [(0x8000, "s", 0, "6.1.1", True), (0x8003, "s", 0, "2026-01-12 09:57:48.000 +0100", True),
            *((tag, "d", 1, value, True) for tag, value in ((0x8040, 0.0), (0x8041, 0.0), (0x8042, 2.4e-7), (0x8043, 1.6e-7)))]
    about = [(0x8050, "s", 0, "height", True), (0x8051, "i", 1, 0, True), (0x8052, "s", 0, "Height", True),
             (SLOTS, "i", 1, 1, True), (DEFAULT_SLOT, "s", 0, "calibrated", True), (FIRST_SLOT, "s", 0, "calibrated", True),
             (FIRST_SLOT + 0x12, "s", 0, "m", True), (FIRST_SLOT + 0x13, "s", 0, "LinearScaling", True),
             (FIRST_SLOT + 0x14, "d", 1, 1e-9, True), (FIRST_SLOT + 0x15, "d", 1, 0.0, True)]
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(data[::4, ::4].astype(np.uint8), extratags=grid, metadata=None)
        tiff.write(data[::-1], extratags=about, metadata=None)
    return path


def example_hdf5(folder: Path) -> Path:
    """Three frames of a slope."""
    path = folder / "example.h5-jpk"
    with h5py.File(path, "w") as file:
        file.attrs["file-format-info"] = np.bytes_(b"JPK SCAN")
        group = file.create_group("Measurement_000")
        for key, value in (("ilength", 24), ("jlength", 16), ("ulength", 2.4e-7), ("vlength", 1.6e-7)):
            group.attrs[f"position-pattern.grid.{key}"] = value
        group.attrs["timing-settings.scanRate"] = 16.0
        channel = group.create_group("Channel_000")
        channel.attrs["channel.name"], channel.attrs["retrace"] = np.bytes_(b"height"), np.bytes_(b"false")
        channel.attrs["net-encoder.scaling.multiplier"] = 1e-9
        channel.attrs["net-encoder.scaling.unit.unit"] = np.bytes_(b"m")
        channel["Height"] = np.arange(3 * 16 * 24, dtype=np.int32).reshape(3, -1).T
    return path


JPK_IMAGE: tuple[Format, ...] = (
    Format(name="jpk", suffixes=frozenset({".jpk", ".jpk-qi-image"}), recognises=recognises, read=read, version="1",
           example=example),
    Format(name="jpk hdf5", suffixes=frozenset({".h5-jpk"}), recognises=recognises_hdf5, read=read_hdf5, version="1",
           example=example_hdf5),
)
