"""Gwyddion's own files (.gwy): height maps, volumes and curves in a tree of named things (`gwyddion_tree`).

Source: Gwyddion user guide, "Gwyddion native format" (as gwyfile 0.3 (MIT) reads and writes it). `/N/data`, a GwyDataField,
is a map of xres x yres numbers over xreal x yreal in si_unit_xy, row 0 at the top; `/N/data/title` its title. GwyBrick is a
volume; `gwyddion_curves` reads graphs, spectra, scattered points and maps of curves.

Masks are channels `mask`. A size that is not positive leaves the map uncalibrated.
"""

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.probes.gwyddion_curves import KINDS, beside_maps
from datasets.formats.probes.gwyddion_tree import MAGIC, OLD_MAGIC, positive, tree, unit_under
from datasets.formats.probes.scan_image import Channel, signals
from datasets.formats.signal import Axis, Field, Format, Signal

NO_DATA = ("GwyContainer", "GwySelection", "GwyStringList", "GwySIUnit", "GwyRGBA")
"""Classes that say how data are shown and worked on."""


def read(path: Path) -> tuple[Signal, ...]:
    """Every map, volume and set of curves of a file.

    Raises
    ------
    UnreadableFile
        Naming the byte at which the tree breaks off, or what does not fit.
    """
    root = tree(path, path.read_bytes())
    channels = []
    others: list[Signal] = []
    remarks: list[str] = []
    metadata: dict[str, Any] = {}
    for name, value in root.items():
        if isinstance(value, tuple) and value[0] == "GwyDataField":
            channels.append(_map(path, name, value[1], root))
        elif isinstance(value, tuple) and value[0] == "GwyBrick":
            others.append(_volume(path, name, value[1], root))
        elif isinstance(value, tuple) and value[0] in KINDS:
            others += beside_maps(path, name, value[0], value[1], root)
        elif isinstance(value, tuple) and value[0] == "GwyContainer" and name.endswith("/meta"):
            metadata[name] = {k: v for k, v in value[1].items() if isinstance(v, str)}
        elif isinstance(value, tuple) and not value[0].startswith(NO_DATA):
            remarks.append(f"{name} is a {value[0]} and is not read")
    if not channels and not others:
        raise UnreadableFile(path, "holds no map, no volume and no curve")
    maps = signals(path, channels, metadata=metadata) if channels else ()
    return tuple(replace(signal, warnings=(*signal.warnings, *remarks)) for signal in (*maps, *others))


def _map(path: Path, name: str, field: dict[str, Any], root: dict[str, Any]) -> Channel:
    shape = _shape(path, name, field, ("yres", "xres"))
    title = root.get(f"{name}/title", root.get(f"{name}/data/title", ""))
    lateral = unit_under(field, "si_unit_xy")
    pixel = tuple(positive(field.get(f"{axis}real")) / size for axis, size in zip("yx", shape, strict=True))
    origin = tuple(float(field.get(f"{axis}off", 0.0)) for axis in "yx")
    named = title if isinstance(title, str) and title else name.strip("/").replace("/", " ")
    label = "mask" if name.endswith("/mask") else named
    return Channel(label, field["data"].reshape(shape), unit_under(field, "si_unit_z"), (pixel[0], pixel[1]), lateral,
                   origin=(origin[0], origin[1]))


def _volume(path: Path, name: str, brick: dict[str, Any], root: dict[str, Any]) -> Signal:
    shape = _shape(path, name, brick, ("zres", "yres", "xres"))
    axes = []
    for axis, size in zip("zyx", shape, strict=True):
        step, unit = positive(brick.get(f"{axis}real")) / size, unit_under(brick, f"si_unit_{axis}")
        axes.append(Axis.even(axis, size, step if np.isfinite(step) else 1.0, float(brick.get(f"{axis}off", 0.0)),
                              unit if np.isfinite(step) else ""))
    title = root.get(f"{name}/title", path.stem)
    return Signal(str(title), tuple(axes), {"data": Field(brick["data"].reshape(shape), unit_under(brick, "si_unit_w"))}, path,
                  kind="AFM volume")


def _shape(path: Path, name: str, field: dict[str, Any], keys: tuple[str, ...]) -> tuple[int, ...]:
    shape = tuple(field.get(key, 0) for key in keys)
    data = field.get("data")
    if not isinstance(data, np.ndarray) or not all(isinstance(n, int) and n > 0 for n in shape) or (
            int(np.prod(shape, dtype=object)) != data.size):
        held = data.size if isinstance(data, np.ndarray) else "no"
        raise UnreadableFile(path, f"declares {' x '.join(map(str, shape))} numbers and holds {held}", where=name)
    return shape


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


GWYDDION = Format(name="gwyddion", suffixes=frozenset({".gwy"}), recognises=recognises, read=read, version="2", example=example)
