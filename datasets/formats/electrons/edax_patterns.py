"""EBSD patterns of EDAX OIM: `.up1` (8 bits) and `.up2` (16 bits).

Layout as kikuchipy 0.13 and PyEBSDIndex read it (no vendor document was opened): version, width and height of a pattern and
where the first begins, four numbers of 32 bits; from version 3 on one byte, columns and rows of the map, whether its grid is
hexagonal, and both steps in µm. Version 2 is known to neither. The depth stands in the suffix alone.
"""

import struct
from pathlib import Path

import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.contiguous import Contiguous
from datasets.formats.electrons.ebsd_map import Points, signals_of
from datasets.formats.signal import Format, Signal

DEPTHS = {".up1": "<u1", ".up2": "<u2"}
FIRST_HEADER, MAP_HEADER = struct.Struct("<4I"), struct.Struct("<x2I?2d")
MOST_PIXELS = 1 << 14


def recognises(head: bytes, path: Path) -> bool:
    """The suffix, and sizes of a pattern that may be."""
    if path.suffix.lower() not in DEPTHS or len(head) < FIRST_HEADER.size:
        return False
    version, width, height, offset = FIRST_HEADER.unpack_from(head)
    return bool(0 < version < 100 and 0 < width < MOST_PIXELS and 0 < height < MOST_PIXELS and offset >= FIRST_HEADER.size)


def read(path: Path) -> tuple[Signal, ...]:
    """The patterns: on their map, or one after another where the file does not say the map.

    Raises
    ------
    UnreadableFile
        If the version is 2, or the file holds fewer patterns than the map has points.
    """
    with path.open("rb") as file:
        head = file.read(FIRST_HEADER.size + MAP_HEADER.size)
    version, width, height, offset = FIRST_HEADER.unpack_from(head)
    if version == 2:
        raise UnreadableFile(path, "is of version 2 of this format, whose layout is not known", where="first 4 bytes",
                             todo="export the patterns as HDF5")
    dtype = np.dtype(DEPTHS[path.suffix.lower()])
    held = max(0, path.stat().st_size - offset) // (width * height * dtype.itemsize)
    columns, rows, hexagonal, step_x, step_y = 0, 0, False, 0.0, 0.0
    if version > 2 and len(head) == FIRST_HEADER.size + MAP_HEADER.size:
        columns, rows, hexagonal, step_x, step_y = MAP_HEADER.unpack_from(head, FIRST_HEADER.size)
    gridded = not hexagonal and columns * rows > 0
    promised = columns * rows if gridded else held
    if held < promised or not held:
        raise UnreadableFile(path, f"is truncated: it holds {held} patterns of {width} x {height}, "
                                   f"its header promises {promised}")
    patterns = Contiguous(path, dtype, (promised, height, width), offset)
    remarks = [f"a hexagonal grid of {columns} x {rows} points, {step_x:.6g} x {step_y:.6g} µm"] if hexagonal else []
    if gridded and held > promised:
        remarks.append(f"{held - promised} patterns follow behind the {promised} of the map and are not read")
    row, column = np.divmod(np.arange(promised), columns) if gridded else (np.full(promised, np.nan),) * 2
    usable = all(np.isfinite(step) and step > 0 for step in (step_x, step_y))
    scale_y, scale_x = (step_y, step_x) if usable else (1.0, 1.0)
    points = Points(column * scale_x, row * scale_y, "um" if usable else "", {}, (scale_y, scale_x),
                    (rows, columns) if gridded else None, patterns, metadata={"version": version}, warnings=tuple(remarks))
    return signals_of(path, path.stem, points)


def example(folder: Path) -> Path:
    """3 x 4 patterns of 10 x 8 pixels, steps of 2 and 1 µm."""
    path = folder / "example.up2"
    patterns = np.random.default_rng(0).integers(0, 1 << 16, (12, 10, 8), np.uint16)
    offset = FIRST_HEADER.size + MAP_HEADER.size
    path.write_bytes(FIRST_HEADER.pack(3, 8, 10, offset) + MAP_HEADER.pack(4, 3, False, 1.0, 2.0) + patterns.tobytes())
    return path


EDAX_PATTERNS = Format(name="edax patterns", suffixes=frozenset(DEPTHS), recognises=recognises, read=read, version="1",
                       example=example)
