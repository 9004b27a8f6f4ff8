"""Agilent and Molecular Imaging PicoView images (.mi).

Text lines with keys of 14 letters; `bufferLabel` begins the description of a channel; a line `data` says BINARY (int16),
BINARY_32 (int32) or ASCII, then the channels follow one after the other. A number spans `bufferRange` over half the range of
its type. Rows begin at the bottom, whatever `scanUp` says. Layout as Gwyddion's mifile and SurfaceTopography (MIT) document it.
Spectroscopy files are refused by name.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.contiguous import left_over
from datasets.formats.dates import acquired
from datasets.formats.probes.scan_image import Channel, number_and_unit, scaled, signals
from datasets.formats.signal import Format, Signal

KEY = 14
NUMBERS = {"BINARY": ("<i2", 2 ** 15), "BINARY_32": ("<i4", 2 ** 31), "": ("<i2", 2 ** 15)}
DATA = re.compile(rb"^data {10}(\w*)[ \t]*\r?\n", re.MULTILINE)


def read(path: Path) -> tuple[Signal, ...]:
    """Every channel of a file.

    Raises
    ------
    UnreadableFile
        Naming what is missing of the header or of the numbers.
    """
    raw = path.read_bytes()
    match = DATA.search(raw)
    if match is None:
        raise UnreadableFile(path, "the header has no end: the file is truncated or of another kind")
    header, buffers = _header(raw[:match.start()].decode("latin-1"))
    kind = match[1].decode("latin-1")
    if header.get("fileType") != "Image" or kind not in NUMBERS:
        raise UnreadableFile(path, f"is a PicoView file of type {header.get('fileType')!r} with data as {kind}; "
                                   "images with binary data are read")
    sizes = [header.get(key, "") for key in ("yPixels", "xPixels")]
    if not all(re.fullmatch(r"[1-9]\d{0,5}", size) for size in sizes):
        raise UnreadableFile(path, f"has {' x '.join(sizes)} pixels")
    rows, columns = map(int, sizes)
    dtype, span = NUMBERS[kind]
    each = rows * columns * np.dtype(dtype).itemsize
    if not buffers or match.end() + each * len(buffers) > len(raw):
        raise UnreadableFile(path, f"declares {len(buffers)} channels of {rows} x {columns} numbers and holds "
                                   f"{len(raw) - match.end()} bytes of them", todo="the file is truncated; copy it again")
    y, x = (number_and_unit(header.get(key, ""))[0] for key in ("yLength", "xLength"))
    channels = []
    for i, about in enumerate(buffers):
        data = np.frombuffer(raw, dtype, rows * columns, match.end() + i * each).reshape(rows, columns)[::-1]
        factor = number_and_unit(about.get("bufferRange", ""))[0] / span
        if not np.isfinite(factor):
            raise UnreadableFile(path, f"bufferRange is {about.get('bufferRange')!r}",
                                 where=f"channel {about['bufferLabel']!r}")
        back = about.get("trace", about.get("direction", "")).lower() == "retrace"
        channels.append(Channel(about["bufferLabel"], scaled(data, factor), about.get("bufferUnit", ""),
                                (y / rows, x / columns), "m", back))
    return signals(path, channels, metadata={**header, "buffers": buffers}, conditions=_conditions(header),
                   remarks=left_over(len(raw) - match.end() - each * len(buffers)))


def _header(text: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    header: dict[str, str] = {}
    buffers: list[dict[str, str]] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith(" "):
            continue
        key, value = line[:KEY].strip(), line[KEY:].strip()
        if key == "bufferLabel":
            buffers.append({key: value})
        elif buffers:
            buffers[-1].setdefault(key, value)
        else:
            header.setdefault(key, value)
    return header, buffers


def _conditions(header: dict[str, str]) -> dict[str, Any]:
    return acquired(header.get("dateAcquired", ""), "%a %b %d %H:%M:%S %Y")


def recognises(head: bytes, path: Path) -> bool:
    """By its first key."""
    del path
    return head.startswith(b"fileType      ") and b"\n" in head


def example(folder: Path) -> Path:
    """A slope of 16 rows and 24 columns."""
    data = np.arange(16 * 24, dtype="<i2").reshape(16, 24)[::-1]
    keys = [("fileType", "Image"), ("dateAcquired", "Tue Feb 18 15:00:51 2014"), ("xPixels", "24"), ("yPixels", "16"),
            ("xLength", "2.4e-07"), ("yLength", "1.6e-07"), ("scanUp", "TRUE"), ("bufferLabel", "Topography"),
            ("bufferRange", "32.768"), ("bufferUnit", "nm"), ("trace", "Trace"), ("data", "BINARY")]
    path = folder / "example.mi"
    path.write_bytes("".join(f"{key:14}{value}\n" for key, value in keys).encode() + data.tobytes())
    return path


AGILENT_MI = Format(name="agilent mi", suffixes=frozenset({".mi"}), recognises=recognises, read=read, version="1",
                    example=example)
