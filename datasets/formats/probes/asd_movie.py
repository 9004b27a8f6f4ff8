"""High-speed AFM movies (.asd, RIBM).

Header of version 0, 1 or 2 (in version 0 its length leaves out the comment and the gap before it), then per channel all
frames: a header of its own and int16 levels of an analogue-digital converter. Layout as AFMReader (LGPL-3) documents it, held
against its figures. A level v of 4096 over U volts is -U v / 4096 (converter from 0 to U) or U - 2 U v / 4096 (from -U to U),
times the piezo's extension and gain for the topography (TP, nm), or minus the sensitivity of the scanner (ER) or of the phase
(PH). Sizes are of N pixels in nm, `frame_time` in ms. What the frames' own headers say (offset, tilt) is kept of each frame:
a moved frame shows another place.
"""

import mmap
import struct
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.contiguous import lazily
from datasets.formats.probes.scan_image import Channel, signals
from datasets.formats.signal import Axis, Format, Signal

RANGES = {1: (1.0, False), 2: (2.5, False), 3: (9.99, False), 4: (5.0, False), 0x10000: (1.0, True), 0x20000: (2.5, True),
          0x40000: (5.0, True)}
"""Code of the converter -> volts, and whether it is bipolar."""
LEVELS = 4096
AT_ONCE_BYTES, FRAMES_BYTES = 32 << 20, 16 << 20
"""Longer movies are read when their frames are used, so many bytes at a time."""
CHANNELS = {"TP": "topography", "ER": "error", "PH": "phase"}
V0 = struct.Struct("<i2s2s5i4h3fii?ih" "h6B2f5iih")
V0_NAMES = ("version", "channel1", "channel2", "header", "frame_header", "user", "comment_offset", "comment", "columns",
            "rows", "width", "height", "frame_time", "extension", "gain", "converter", "bits", "averaged", "window", None,
            "year", "month", "day", "hour", "minute", "second", "rounding", "max_x", "max_y", None, None, None, "frames_once",
            "frames", "afm", "file")
V1 = struct.Struct("<6i4s4s8i?i6i2i3fi12siii6f")
V1_NAMES = ("version", "header", "frame_header", "encoding", "user", "comment", "channel1", "channel2", "frames_once", "frames",
            "direction", "file", "columns", "rows", "width", "height", "averaged", "window", "year", "month", "day", "hour",
            "minute", "second", "rounding_x", "rounding_y", "frame_time", "scanner_sensitivity", "phase_sensitivity", "offset",
            None, "afm", "converter", "bits", "max_x", "max_y", "extension_x", "extension_y", "extension", "gain")
FRAME = np.dtype([("number", "<i4"), ("highest", "<i2"), ("lowest", "<i2"), ("x_offset", "<i2"), ("y_offset", "<i2"),
                  ("x_tilt", "<f4"), ("y_tilt", "<f4"), ("stimulated", "u1"), ("rest", "V11")])


def read(path: Path) -> tuple[Signal, ...]:
    """Every channel of a movie, (time, y, x).

    Raises
    ------
    UnreadableFile
        If the header is none that is known, or frames are missing.
    """
    with path.open("rb") as file:
        raw = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    about = _header(path, raw)
    rows, columns, frames, start = (int(about[key]) for key in ("rows", "columns", "frames", "header"))
    listed = [name for key in ("channel1", "channel2") if (name := str(about[key]))]
    size = int(about["frame_header"]) + 2 * rows * columns
    if min(rows, columns, frames, start) <= 0 or about["frame_header"] < FRAME.itemsize or about["converter"] not in RANGES:
        raise UnreadableFile(path, f"declares {frames} frames of {rows} x {columns} pixels, a header of {start} bytes, "
                                   f"converter {about['converter']:#x}")
    held = (len(raw) - start) // size
    if held < frames * len(listed):
        raise UnreadableFile(path, f"declares {frames} frames of {len(listed)} channels and holds {max(held, 0)}",
                             todo="the file is truncated; copy it again")
    frame_s = float(about["frame_time"]) / 1e3
    channels = []
    for i, name in enumerate(listed):
        at = start + i * frames * size
        levels: NDArray[Any] = np.ndarray((frames, rows, columns), "<i2", raw, at + int(about["frame_header"]),
                                          (size, 2 * columns, 2))
        own: NDArray[Any] = np.ndarray((frames,), FRAME, raw, at, (size,))
        also = {key: (own[key].astype(np.float64), "") for key in ("x_offset", "y_offset", "x_tilt", "y_tilt", "stimulated")}
        times = Axis("time", np.arange(frames) * (frame_s if np.isfinite(frame_s) and frame_s > 0 else 1.0), "s", also)
        pixel = (about["height"] / rows, about["width"] / columns)
        data: Any = _Heights(levels, name, about)
        data = data[:] if levels.nbytes <= AT_ONCE_BYTES else lazily(data, (max(1, FRAMES_BYTES // size), rows, columns))
        channels.append(Channel(CHANNELS.get(name, name), data, "nm" if name == "TP" else
                                "deg" if name == "PH" else "", pixel, "nm", times=times))
    remarks = [] if frame_s > 0 else ["the file states no frame time: frames are a second apart"]
    metadata = {key: value for key, value in about.items() if not isinstance(value, bytes)}
    return signals(path, channels, metadata=metadata, conditions=_conditions(about), remarks=remarks)


def _header(path: Path, raw: mmap.mmap) -> dict[str, Any]:
    version = struct.unpack_from("<i", raw)[0] if len(raw) >= 4 else -1
    form, names = (V0, V0_NAMES) if version == 0 else (V1, V1_NAMES)
    if len(raw) < form.size + 12 or version not in (0, 1, 2):
        raise UnreadableFile(path, f"is a movie of version {version} with {len(raw)} bytes; versions 0, 1 and 2 are read")
    about = {name: value for name, value in zip(names, form.unpack_from(raw), strict=True) if name}
    if version == 0:
        at = V0.size + max(int(about["user"]), 0)
        if at + 8 > len(raw):
            raise UnreadableFile(path, "its header is cut off", where=f"byte {at}")
        about["header"] += max(int(about["comment_offset"]), 0) + max(int(about["comment"]), 0)
        about["scanner_sensitivity"], about["phase_sensitivity"] = struct.unpack_from("<ff", raw, at)
    for key in ("channel1", "channel2"):
        text = bytes(about[key]).decode("latin-1").replace("\0", "").strip()
        about[key] = text if text.isalnum() else ""
    return about


class _Heights:
    """The levels of a channel in its unit, computed for what is asked for."""

    def __init__(self, levels: NDArray[Any], name: str, about: Mapping[str, Any]) -> None:
        volts, bipolar = RANGES[about["converter"]]
        factor = {"TP": float(about["extension"]) * float(about["gain"]), "ER": -float(about["scanner_sensitivity"]),
                  "PH": -float(about["phase_sensitivity"])}.get(name, 1.0)
        self.levels, self.shape, self.ndim, self.dtype = levels, levels.shape, levels.ndim, np.dtype(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            self.step = np.float32((-2 if bipolar else -1) * volts / LEVELS * factor)
            self.zero = np.float32(volts * factor if bipolar else 0.0)

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(self.levels[key] * self.step + self.zero, np.float32)


def _conditions(about: Mapping[str, Any]) -> dict[str, Any]:
    try:
        year, month, day, hour, minute, second = (int(about[k]) for k in ("year", "month", "day", "hour", "minute", "second"))
        return {"acquired": datetime(year, month, day, hour, minute, second).isoformat()}
    except ValueError:
        return {}


def recognises(head: bytes, path: Path) -> bool:
    """A version of 0, 1 or 2 and a channel TP, ER or PH where that version keeps it."""
    del path
    if len(head) < V1.size:
        return False
    version = int.from_bytes(head[:4], "little")
    if version == 0:
        return head[4:6] in (b"TP", b"ER", b"PH")
    return version in (1, 2) and head[24:28].replace(b"\0", b"") in (b"TP", b"ER", b"PH")


def example(folder: Path) -> Path:
    """Three frames of a slope, version 1."""
    levels = np.arange(3 * 16 * 24, dtype="<i2").reshape(3, 16, 24)
    values = {"version": 1, "header": V1.size, "frame_header": FRAME.itemsize, "channel1": b"TP", "channel2": b"",
              "frames": 3, "columns": 24, "rows": 16, "width": 240, "height": 160, "year": 2026, "month": 1, "day": 12,
              "frame_time": 500.0, "converter": 0x40000, "bits": 12, "extension": 10.0, "gain": 2.0}
    head = V1.pack(*(values.get(name or "", b"" if name is None else 0) for name in V1_NAMES))
    path = folder / "example.asd"
    with path.open("wb") as file:
        file.write(head)
        for number, frame in enumerate(levels):
            own = np.zeros(1, FRAME)
            own["number"] = number
            file.write(own.tobytes() + frame.tobytes())
    return path


ASD_MOVIE = Format(name="asd", suffixes=frozenset({".asd"}), recognises=recognises, read=read, version="2", example=example)
