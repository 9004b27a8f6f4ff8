"""Gwyddion Simple Field (.gsf): one image; NeaSPEC's microscope exports its channels so, among others.

Specification: Gwyddion user guide, "Gwyddion Simple Field 1.0 file format". A magic line, "Name = value" lines in UTF-8,
zeros up to a multiple of four bytes (one to four of them), then YRes rows of XRes float32, little-endian, the first row at
the top. XReal and YReal are the size of the whole field in XYUnits, XOffset and YOffset the place of its upper left corner.

A field in a length is height; others keep their unit. Gwyddion takes 1 m for a size that is not stated; here it is unknown.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.signal import Axis, Field, Format, Signal
from datasets.formats.text_number import finite
from datasets.units import compatible, spelled

MAGIC = b"Gwyddion Simple Field 1.0\n"
MOST_HEAD = 1 << 20


def read(path: Path) -> tuple[Signal, ...]:
    """The field.

    Raises
    ------
    UnreadableFile
        If the head is not closed, or the field is larger than the file.
    """
    raw = path.read_bytes()
    end = raw.find(b"\0", 0, MOST_HEAD)
    if end < 0:
        raise UnreadableFile(path, "the head has no end", todo="the file may be truncated")
    found: dict[str, Any] = {}
    for line in raw[len(MAGIC):end].decode("utf-8", errors="replace").splitlines():
        key, equals, value = line.partition("=")
        if equals:
            found[key.strip()] = value.strip()
    sizes = [int(found.get(key, "")) if re.fullmatch(r"\d{1,9}", found.get(key, "")) else 0 for key in ("YRes", "XRes")]
    start = (end // 4 + 1) * 4
    if min(sizes) < 1 or start + 4 * sizes[0] * sizes[1] > len(raw):
        raise UnreadableFile(path, f"declares {sizes[0]} x {sizes[1]} pixels, more than it holds",
                             todo="the file may be truncated")
    values = np.frombuffer(raw, "<f4", sizes[0] * sizes[1], start).reshape(sizes)
    axes = tuple(_axis(found, name, size) for name, size in zip("YX", sizes, strict=True))
    unit = spelled(found.get("ZUnits", ""))
    name = "height" if unit and compatible(unit, "nm") else "intensity"
    warnings = [f"{int((~np.isfinite(values)).sum())} pixels are no numbers"] if not np.isfinite(values).all() else []
    if rest := len(raw) - start - values.nbytes:
        warnings.append(f"{rest} bytes behind the field are not understood: the sizes in the head may be damaged")
    title = found.get("Title") or path.stem
    kind = "AFM" if name == "height" else "AFM channel"
    return (Signal(title, axes, {name: Field(values, unit or "arbitrary")}, path, found, {}, kind, tuple(warnings)),)


def _axis(found: dict[str, Any], name: str, size: int) -> Axis:
    extent, offset = (finite(found.get(f"{name}{word}", "")) for word in ("Real", "Offset"))
    unit = str(found.get("XYUnits", ""))
    if extent is None or extent <= 0 or not unit:
        return Axis(name.lower(), np.arange(size, dtype=np.float64))
    return Axis(name.lower(), (offset or 0.0) + (np.arange(size) + 0.5) * extent / size, unit)


def recognises(head: bytes, path: Path) -> bool:
    """By the first line."""
    del path
    return head.startswith(MAGIC)


def example(folder: Path) -> Path:
    """A slope of 2 x 3 pixels, 30 nm wide."""
    values = np.arange(6, dtype="<f4").reshape(2, 3) * 1e-9
    head = MAGIC + b"XRes = 3\nYRes = 2\nXReal = 3e-08\nYReal = 2e-08\nXYUnits = m\nZUnits = m\nTitle = Topography\n"
    path = folder / "example.gsf"
    path.write_bytes(head + b"\0" * (4 - len(head) % 4) + values.tobytes())
    return path


GSF = Format(name="gwyddion simple field", suffixes=frozenset({".gsf"}), recognises=recognises, read=read, version="1",
             example=example)
