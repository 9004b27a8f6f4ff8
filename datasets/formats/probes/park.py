"""Park Systems scans (.tiff): the data stand in private tags of a TIFF whose own image is a thumbnail.

Tags: 50432 magic 0x0E031301, 50433 version, 50434 the numbers, 50435 a header. Layout as Gwyddion's psia module and
SurfaceTopography (MIT) document it: height = gain x (scale x number + offset), in `data_unit`; x and y in µm, of N pixels; the
first row is at the bottom. tifffile alone gives the thumbnail, which is no measurement.
"""

import struct
from pathlib import Path

import numpy as np
import tifffile

from datasets.errors import UnreadableFile
from datasets.formats.contiguous import left_over
from datasets.formats.probes.scan_image import Channel, scaled, signals
from datasets.formats.signal import Format, Signal
from datasets.formats.tiff_tags import PARK_MAGIC, is_park, opened

MAGIC = 0x0E031301
HEADER = struct.Struct("<I64s16sdIIIIdIdIIIdddddd16sddddd16siiiIII")
FIELDS = ("image_type", "channel", "mode", "low_pass", "auto_flatten", "ac_track", "columns", "rows", "angle", "sine_scan",
          "overscan", "forward", "upwards", "swapped", "width", "height", "x_offset", "y_offset", "scan_rate", "setpoint",
          "setpoint_unit", "tip_bias", "sample_bias", "gain", "scale", "offset", "unit", "lowest", "highest", "mean",
          "compression", "log_scale", "square")
REST = struct.Struct("<dd16s16s16sI")
NUMBERS = {0: "<i2", 1: "<i4", 2: "<f4"}
LINE_PROFILE = 1


def read(path: Path) -> tuple[Signal, ...]:
    """The map of a file.

    Raises
    ------
    UnreadableFile
        Naming the tag that is missing or does not fit.
    """
    with opened(path) as (tiff, said):
        tags = {number: tiff.pages[0].tags[number].value for number in range(PARK_MAGIC, PARK_MAGIC + 4)
                if number in tiff.pages[0].tags}
    head, block = (bytes(tags.get(number, b"")) if isinstance(tags.get(number), bytes) else b"" for number in
                   (PARK_MAGIC + 3, PARK_MAGIC + 2))
    if tags.get(PARK_MAGIC) != MAGIC or len(head) < HEADER.size:
        raise UnreadableFile(path, f"its magic is {tags.get(PARK_MAGIC)!r} and its header has {len(head)} bytes",
                             where=f"tags {PARK_MAGIC} and {PARK_MAGIC + 3}")
    about = {name: _text(value) if isinstance(value, bytes) else value
             for name, value in zip(FIELDS, HEADER.unpack_from(head), strict=True)}
    if about["image_type"] == LINE_PROFILE:
        raise UnreadableFile(path, "holds a line profile; only maps of Park are read")
    kind = 0
    if tags.get(PARK_MAGIC + 1, 0) != 0x1000001 and len(head) >= HEADER.size + REST.size:
        kind = REST.unpack_from(head, HEADER.size)[5]
    rows, columns = int(about["rows"]), int(about["columns"])
    dtype = np.dtype(NUMBERS.get(kind, "<i2"))
    if kind not in NUMBERS or rows * columns == 0 or rows * columns * dtype.itemsize > len(block):
        raise UnreadableFile(path, f"declares {rows} x {columns} numbers of kind {kind} and holds {len(block)} bytes of them",
                             where=f"tag {PARK_MAGIC + 2}")
    numbers = np.frombuffer(block, dtype, rows * columns).reshape(rows, columns)[::-1]
    gain, scale, offset = (float(about[key]) for key in ("gain", "scale", "offset"))
    data = scaled(numbers, gain * (scale or 1.0), gain * offset)
    pixel = (float(about["height"]) / rows, float(about["width"]) / columns)
    channel = Channel(str(about["channel"]), data, str(about["unit"]) or "um", pixel, "um", about["forward"] == 0)
    return signals(path, [channel], metadata=about, remarks=[*said, *left_over(len(block) - numbers.nbytes)])


def _text(raw: bytes) -> str:
    return raw.decode("utf-16-le", "replace").split("\0")[0].strip()


def recognises(head: bytes, path: Path) -> bool:
    """A TIFF with Park's private tags."""
    return head[:4] in (b"II*\0", b"MM\0*") and is_park(path)


def example(folder: Path) -> Path:
    """A slope of 16 rows and 24 columns, whose first row is at the bottom."""
    data = np.arange(16 * 24, dtype="<i2").reshape(16, 24)[::-1]
    wide = [text.encode("utf-16-le") for text in ("Z Height", "NCM", "um", "um")]
    head = HEADER.pack(0, wide[0], wide[1], 1.0, 0, 0, 24, 16, 0.0, 0, 0.0, 1, 1, 0, 0.24, 0.16, 0.0, 0.0, 1.0, 0.0, wide[2],
                       0.0, 0.0, 1e-3, 1.0, 0.0, wide[3], 0, 383, 191, 0, 0, 0)
    tags = [(PARK_MAGIC, "I", 1, MAGIC, True), (PARK_MAGIC + 1, "I", 1, 0x1000001, True),
            (PARK_MAGIC + 2, "B", data.nbytes, data.tobytes(), True), (PARK_MAGIC + 3, "B", len(head), head, True)]
    path = folder / "example.tiff"
    tifffile.imwrite(path, np.zeros((4, 6), np.uint8), extratags=tags, metadata=None)
    return path


PARK = Format(name="park tiff", suffixes=frozenset({".tiff", ".tif"}), recognises=recognises, read=read, version="1",
              example=example)
