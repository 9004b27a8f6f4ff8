"""Gwyddion native files (.gwy): height maps with lateral size, units and metadata.

Source: Gwyddion user guide, "Gwyddion native format" (gwyddion.net; not opened here, layout as gwyfile 0.3 writes it).
"""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.writers import SYNTHETIC

Item = tuple[str, bytes, bytes]
"""Name, one-letter type and serialised value of a component."""


def write(path: str | Path, channels: Mapping[str, npt.NDArray[Any]], *, pixel_size_nm: tuple[float, float] | None,
          offset_nm: tuple[float, float] = (0.0, 0.0), metadata: Mapping[str, str] | None = None) -> Path:
    """Write height maps.

    Parameters
    ----------
    channels : title -> (y, x) heights, nm
    pixel_size_nm : (y, x), or None for a map without lateral calibration (size 1 x 1, no unit, as Gwyddion imports it)
    offset_nm : (y, x) position of the upper left corner
    metadata : shown by Gwyddion's metadata browser, values with their units: {"Scan angle": "12 deg"}
    """
    items: list[Item] = []
    note = {"Note": SYNTHETIC, **(metadata or {})}
    for number, (title, height_nm) in enumerate(channels.items()):
        items += [_object(f"/{number}/data", "GwyDataField", _field(height_nm, pixel_size_nm, offset_nm)),
                  _string(f"/{number}/data/title", title),
                  _object(f"/{number}/meta", "GwyContainer", [_string(key, value) for key, value in note.items()])]
    path = Path(path)
    path.write_bytes(b"GWYP" + _serialised("GwyContainer", items))
    return path


def _field(height_nm: npt.NDArray[Any], pixel_size_nm: tuple[float, float] | None,
           offset_nm: tuple[float, float]) -> list[Item]:
    ny, nx = height_nm.shape
    real_y, real_x = (1.0, 1.0) if pixel_size_nm is None else (ny * pixel_size_nm[0] * 1e-9, nx * pixel_size_nm[1] * 1e-9)
    values = np.ascontiguousarray(height_nm * 1e-9, "<f8")
    lateral = "" if pixel_size_nm is None else "m"
    return [("xres", b"i", struct.pack("<i", nx)), ("yres", b"i", struct.pack("<i", ny)),
            ("xreal", b"d", struct.pack("<d", real_x)), ("yreal", b"d", struct.pack("<d", real_y)),
            ("xoff", b"d", struct.pack("<d", offset_nm[1] * 1e-9)), ("yoff", b"d", struct.pack("<d", offset_nm[0] * 1e-9)),
            _object("si_unit_xy", "GwySIUnit", [_string("unitstr", lateral)]),
            _object("si_unit_z", "GwySIUnit", [_string("unitstr", "m")]),
            ("data", b"D", struct.pack("<I", values.size) + values.tobytes())]


def _object(name: str, kind: str, items: list[Item]) -> Item:
    return name, b"o", _serialised(kind, items)


def _string(name: str, text: str) -> Item:
    return name, b"s", text.encode() + b"\0"


def _serialised(kind: str, items: list[Item]) -> bytes:
    body = b"".join(name.encode() + b"\0" + letter + value for name, letter, value in items)
    return kind.encode() + b"\0" + struct.pack("<I", len(body)) + body
