"""Digital Surf surfaces (.sur, .pro), through RosettaSciIO.

RosettaSciIO 0.15 reads maps, series of maps, compressed ones and spectral maps; SurfaceTopography and surfalize refuse the unit
"a.u." of some. The size of the numbers that a header promises is checked here before anything is allocated.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np
from rsciio import __version__, digitalsurf

from datasets.errors import UnreadableFile
from datasets.formats.electrons.rosetta_bounded import bounded
from datasets.formats.probes.scan_image import Channel, signals, unit_of
from datasets.formats.signal import Axis, Field, Format, Signal
from datasets.units import compatible

MAGICS = (b"DIGITAL SURF", b"DSCOMPRESSED")
HEADER_BYTES = 512
BITS_AT, SHAPE_AT, COMMENT_AT = 98, 108, 314
MOST_INFLATION = 1100
"""Deflate cannot pack tighter than 1032 to 1."""


def read(path: Path) -> tuple[Signal, ...]:
    """Every surface of a file.

    Raises
    ------
    UnreadableFile
        If the file is shorter than its header promises.
    """
    raw = path.read_bytes()[:HEADER_BYTES]
    size = path.stat().st_size
    if len(raw) < HEADER_BYTES:
        raise UnreadableFile(path, f"ends after {size} bytes, inside its header")
    bits, = struct.unpack_from("<h", raw, BITS_AT)
    columns, rows, points = struct.unpack_from("<iiI", raw, SHAPE_AT)
    promised = points * bits // 8
    packed = raw.startswith(MAGICS[1])
    if bits not in (16, 32) or min(columns, rows) <= 0 or promised > size * (MOST_INFLATION if packed else 1):
        raise UnreadableFile(path, f"declares {rows} x {columns} points of {bits} bits, {promised} bytes, and holds {size}",
                             todo="the file may be truncated")
    found: list[Signal] = []
    channels = []
    for one in _surfaces(path):
        data = np.asarray(one["data"])
        axes = sorted(one["axes"], key=lambda axis: axis["index_in_array"])
        about = one["metadata"].get("Signal", {})
        title = str(one["metadata"].get("General", {}).get("title") or path.stem)
        unit = str(about.get("quantity", "")).rpartition("(")[2].rstrip(")")
        lateral = [unit_of(str(axis.get("units") or "")) for axis in axes]
        if data.ndim == 2 and data.dtype.kind in "iuf" and lateral[0] == lateral[1] and compatible(lateral[0], "nm"):
            name = str(about.get("quantity", "Height")).partition("(")[0].strip() or "Height"
            channels.append(Channel(name, data, unit, (float(axes[0]["scale"]), float(axes[1]["scale"])), lateral[0],
                                    origin=(float(axes[0]["offset"]), float(axes[1]["offset"]))))
            continue
        described = tuple(_axis(axis, n) for axis, n in zip(axes, data.shape, strict=False))
        if data.dtype.names or len(described) != data.ndim:
            raise UnreadableFile(path, f"{title!r} holds a picture of {data.dtype}, which is no surface")
        found.append(Signal(title, described, {"data": Field(data, unit_of(unit))}, path, kind="surface"))
    maps = signals(path, channels) if channels else ()
    return (*maps, *found)


def _surfaces(path: Path) -> list[dict[str, Any]]:
    try:
        with bounded(digitalsurf._api):
            return list(digitalsurf.file_reader(str(path)))
    except Exception as error:  # its reader raises what the damage makes it meet
        raise UnreadableFile(path, f"its surfaces cannot be read: {' '.join(str(error).split())[:120] or type(error).__name__}",
                             todo="the file is truncated or damaged") from error


def _axis(axis: dict[str, Any], size: int) -> Axis:
    unit = unit_of(str(axis.get("units") or ""))
    return Axis.even(str(axis.get("name") or ""), size, float(axis["scale"]), float(axis["offset"]), unit)


def recognises(head: bytes, path: Path) -> bool:
    """By its first twelve letters."""
    del path
    return head[:12] in MAGICS


def example(folder: Path) -> Path:
    """A slope of 16 rows and 24 columns."""
    axes = [{"name": name, "units": "nm", "scale": 10.0, "offset": 0.0, "size": size, "index_in_array": i, "navigate": False,
             "_type": "UniformDataAxis"} for i, (name, size) in enumerate((("Y", 16), ("X", 24)))]
    signal = {"data": np.arange(16 * 24, dtype=np.int16).reshape(16, 24), "axes": axes, "original_metadata": {},
              "metadata": {"General": {"title": "example"}, "Signal": {"quantity": "Height (nm)", "signal_type": ""}}}
    path = folder / "example.sur"
    digitalsurf.file_writer(str(path), signal)
    return path


ROSETTA_SURFACE = Format(name="digital surf", suffixes=frozenset({".sur", ".pro"}), recognises=recognises, read=read,
                         version=f"rosettasciio {__version__}", example=example)
