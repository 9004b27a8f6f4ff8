"""Zygo MetroPro surfaces (.dat): interferometers that measure the same topography as an AFM, over a wider field.

A big-endian header of 834 or 4096 bytes (format 1, 2 or 3), a block of intensities, then phases as int32. Layout as Gwyddion's
metropro module and SurfaceTopography (MIT) document it: height = phase x intf_scale_factor x obliquity x wavelength /
(4096, 32768 or 131072 by `phase_res`). Phases from 2147483640 on are points that were not measured. `lateral_res` is the
distance of pixels in m; 0 means that nobody calibrated it.
"""

import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.contiguous import left_over
from datasets.formats.probes.scan_image import Channel, signals
from datasets.formats.signal import Format, Signal

MAGICS = {b"\x88\x1b\x03\x6f": 1, b"\x88\x1b\x03\x70": 2, b"\x88\x1b\x03\x71": 3}
FIRST = struct.Struct(">4sHI")
INTENSITY = struct.Struct(">hhHHHhI")
PHASE = struct.Struct(">hhHHI")
SCALE = struct.Struct(">hfffff")
AT = {"intensity": 48, "phase": 64, "time": 76, "comment": 80, "scale": 162, "lateral": 184, "resolution": 218}
LEVELS = {0: 4096, 1: 32768, 2: 131072}
NOT_MEASURED = 2147483640


def read(path: Path) -> tuple[Signal, ...]:
    """The surface of a file, with the intensities where they lie on the same pixels.

    Raises
    ------
    UnreadableFile
        If the header is none that is known or phases are missing.
    """
    raw = path.read_bytes()
    if len(raw) < 834:
        raise UnreadableFile(path, f"ends after {len(raw)} bytes, inside its header")
    _, form, start = FIRST.unpack_from(raw)
    _, _, width, height, buckets, _, intensity_bytes = INTENSITY.unpack_from(raw, AT["intensity"])
    left, top, columns, rows, phase_bytes = PHASE.unpack_from(raw, AT["phase"])
    seconds, = struct.unpack_from(">i", raw, AT["time"])
    _, factor, wavelength, _, obliquity, magnification = SCALE.unpack_from(raw, AT["scale"])
    lateral, = struct.unpack_from(">f", raw, AT["lateral"])
    resolution, = struct.unpack_from(">h", raw, AT["resolution"])
    begin = start + intensity_bytes
    if resolution not in LEVELS or rows * columns == 0 or intensity_bytes != 2 * width * height * buckets:
        raise UnreadableFile(path, f"is of format {form}, {rows} x {columns} points, phase resolution {resolution}, "
                                   f"{intensity_bytes} bytes of intensities; it is damaged or of an unknown kind")
    if begin + 4 * rows * columns > len(raw):
        raise UnreadableFile(path, f"declares {rows} x {columns} points at byte {begin}, the file ends at byte {len(raw)}",
                             todo="the file is truncated; copy it again")
    phases = np.frombuffer(raw, ">i4", rows * columns, begin).reshape(rows, columns)
    with np.errstate(over="ignore", invalid="ignore"):
        heights = phases * (factor * obliquity * wavelength / LEVELS[resolution])
    lost = phases >= NOT_MEASURED
    heights[lost] = np.nan
    remarks = [f"{int(lost.sum())} points were not measured"] if lost.any() else []
    remarks += left_over(len(raw) - begin - 4 * rows * columns)
    if buckets:
        remarks.append(f"{buckets} images of {height} x {width} intensities are not read")
    about: dict[str, Any] = {"format": form, "origin": [top, left], "magnification": magnification, "wavelength_m": wavelength,
                             "comment": raw[AT["comment"]:AT["scale"]].split(b"\0")[0].decode("latin-1"),
                             "intensities": [buckets, height, width], "phase_bytes": phase_bytes}
    conditions = {"acquired": datetime.fromtimestamp(seconds, UTC).isoformat()} if seconds > 0 else {}
    return signals(path, [Channel("Height", heights, "m", (lateral, lateral), "m")], metadata=about, conditions=conditions,
                   remarks=remarks)


def recognises(head: bytes, path: Path) -> bool:
    """By its magic number and the format that belongs to it."""
    del path
    return head[:4] in MAGICS and len(head) >= 6 and int.from_bytes(head[4:6], "big") == MAGICS[head[:4]]


def example(folder: Path) -> Path:
    """A slope of 16 rows and 24 columns."""
    head = bytearray(834)
    FIRST.pack_into(head, 0, b"\x88\x1b\x03\x6f", 1, 834)
    PHASE.pack_into(head, AT["phase"], 0, 0, 24, 16, 4 * 16 * 24)
    SCALE.pack_into(head, AT["scale"], 0, 0.5, 6.33e-7, 0.1, 1.0, 10.0)
    struct.pack_into(">f", head, AT["lateral"], 1e-6)
    path = folder / "example.dat"
    path.write_bytes(bytes(head) + np.arange(16 * 24, dtype=">i4").tobytes())
    return path


METROPRO = Format(name="metropro", suffixes=frozenset({".dat"}), recognises=recognises, read=read, version="1", example=example)
