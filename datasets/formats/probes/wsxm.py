"""WSxM images (.top, .stp, .tom ...) and curves (.cur), Nanotec and others.

Text lines: copyright, "SxM Image file", the size of the header in bytes, sections in brackets until [Header end]; then rows of
short, integer, float or double numbers, little-endian, rotated by half a turn. Known from files and from what Gwyddion and
SurfaceTopography (MIT) found out.

- Whole numbers span `Z Amplitude` between `Minimum` and `Maximum`: height = number x amplitude / (maximum - minimum), which
  keeps the height of the scan above the instrument's zero. AFMReader drops the decimals of the amplitude and the zero with it.
- Floating-point numbers are in the unit of `Z Amplitude`.
- Amplitudes of x and y are the size of N pixels.
- Curves have a header of the same form and their numbers as text (`wsxm_curve`).
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.dates import acquired
from datasets.formats.probes.scan_image import Channel, number_and_unit, scaled, signals
from datasets.formats.probes.wsxm_curve import read_curves
from datasets.formats.signal import Format, Signal

MAGIC = b"WSxM file copyright"
NUMBERS = {"short": "<i2", "integer": "<i4", "long": "<i4", "float": "<f4", "double": "<f8"}
CURVES = re.compile(r"(FZ curve|IV|Generic curve) file", re.IGNORECASE)
MOST_HEADER_BYTES = 1 << 20
DATES = ("%d/%m/%Y, %H:%M:%S.%f", "%d/%m/%Y, %H:%M:%S", "%d/%m/%Y %H:%M:%S")


def read(path: Path) -> tuple[Signal, ...]:
    """The image of a file, or its curves.

    Raises
    ------
    UnreadableFile
        Naming what the header lacks or how many bytes are missing.
    """
    raw = path.read_bytes()
    match = re.search(rb"Image header size:\s*(\d{1,7})", raw[:512])
    lines = raw[:512].splitlines()
    what = lines[1][:40].decode("latin-1").strip() if len(lines) > 1 else "nothing"
    curves = CURVES.fullmatch(what)
    if match is None or not (curves or "Image file" in what):
        raise UnreadableFile(path, f"is {what!r}, neither an image nor a curve of WSxM")
    start = int(match[1])
    if start > min(len(raw), MOST_HEADER_BYTES):
        raise UnreadableFile(path, f"declares a header of {start} bytes and has {len(raw)}", todo="the file is truncated")
    header = _header(raw[:start].decode("latin-1"))
    if path.suffix.lower() == ".curves" or raw.count(b"Image header size:") > 1:
        raise UnreadableFile(path, "is a series of curves; only single curves (.cur) and images of WSxM are read")
    if curves:
        return read_curves(path, raw[start:].decode("latin-1"), header, DATES)
    general = header.get("General Info", {})
    data, remarks = _heights(path, raw, start, header)
    x, unit = number_and_unit(header.get("Control", {}).get("X Amplitude", ""))
    y, unit_y = number_and_unit(header.get("Control", {}).get("Y Amplitude", f"{x} {unit}"))
    if unit_y != unit:
        remarks.append(f"x is in {unit!r} and y in {unit_y!r}: the size of y is taken as that of x")
        y = x
    rows, columns = data.shape
    channel = Channel(general.get("Acquisition channel", "Topography"), data, number_and_unit(general["Z Amplitude"])[1],
                      (y / rows, x / columns), unit,
                      general.get("X scanning direction", "").lower() == "backward")
    return signals(path, [channel], metadata=header, conditions=acquired(general.get("Acquisition time", ""), *DATES),
                   remarks=remarks)


def _header(text: str) -> dict[str, dict[str, str]]:
    sections: dict[str, dict[str, str]] = {}
    here: dict[str, str] = {}
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            here = sections.setdefault(line[1:-1], {})
        elif ": " in line or line.endswith(":"):
            key, _, value = line.partition(":")
            here.setdefault(key.strip(), value.strip())
    return sections


def _heights(path: Path, raw: bytes, start: int, header: dict[str, dict[str, str]]) -> tuple[NDArray[Any], list[str]]:
    general, other = header.get("General Info", {}), header.get("Miscellaneous", {})
    kind = general.get("Image Data Type", "short").lower()
    sizes = [general.get(f"Number of {what}", "") for what in ("rows", "columns")]
    amplitude = number_and_unit(general.get("Z Amplitude", ""))[0]
    if kind not in NUMBERS or not all(re.fullmatch(r"[1-9]\d{0,6}", size) for size in sizes) or not np.isfinite(amplitude):
        raise UnreadableFile(path, f"has {' x '.join(sizes)} numbers of type {kind!r}, Z amplitude "
                                   f"{general.get('Z Amplitude')!r}", where="section [General Info]")
    rows, columns = map(int, sizes)
    dtype = np.dtype(NUMBERS[kind])
    if rows * columns * dtype.itemsize > len(raw) - start:
        raise UnreadableFile(path, f"declares {rows} x {columns} numbers of {dtype.itemsize} bytes, the file holds "
                                   f"{len(raw) - start} bytes of them", todo="the file is truncated; copy it again")
    numbers = np.frombuffer(raw, dtype, rows * columns, start).reshape(rows, columns)[::-1, ::-1]
    if dtype.kind == "f":
        return numbers.astype(dtype.newbyteorder("=")), []
    low, high = int(numbers.min()), int(numbers.max())
    stated = [number_and_unit(other.get(word, ""))[0] for word in ("Minimum", "Maximum")]
    remarks = []
    span = stated[1] - stated[0]
    if not np.isfinite(span) or span <= 0 or abs(span - (high - low)) > 1:
        if np.isfinite(span) and span != high - low:
            remarks.append(f"the header says that its numbers run from {stated[0]:g} to {stated[1]:g}, they run from {low} to "
                           f"{high}: these span the Z amplitude")
        span = float(high - low)
    return scaled(numbers, amplitude / span if span else 1.0), remarks


def recognises(head: bytes, path: Path) -> bool:
    """By its copyright line."""
    del path
    return head.startswith(MAGIC)


def example(folder: Path) -> Path:
    """A slope of 16 rows and 24 columns."""
    data = np.arange(16 * 24, dtype="<i2")[::-1]
    body = ["[Control]", "", "    X Amplitude: 240 nm", "    Y Amplitude: 160 nm", "", "[General Info]", "",
            "    Acquisition channel: Topography", "    Image Data Type: short", "    Number of columns: 24",
            "    Number of rows: 16", "    Z Amplitude: 38.3 nm", "", "[Miscellaneous]", "", "    Maximum: 383",
            "    Minimum: 0", "", "[Header end]", ""]
    size = 0
    text = ""
    for _ in range(2):
        text = "\r\n".join(["WSxM file copyright WSxM solutions", "SxM Image file", f"Image header size: {size:4d}", *body])
        size = len(text)
    path = folder / "example.top"
    path.write_bytes(text.encode("latin-1") + data.tobytes())
    return path


WSXM = Format(name="wsxm", suffixes=frozenset({".top", ".stp", ".tom", ".cur"}), recognises=recognises, read=read, version="2",
              example=example)
