"""Bruker spectrum images: RosettaSciIO's parser, fed only with bytes that were checked, band by band.

Its compiled parser trusts the file: a damaged one ends the whole program (segmentation fault), and a pixel whose counts exceed
twice the mean wraps around silently, since the width of the integers is guessed from the sum spectrum. Here the stream is
walked once, pixel by pixel, before anything is parsed: every position and size must lie inside, and the largest possible count
decides the integer. Since lines are then known, a map larger than memory is read in bands.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
from dask.delayed import delayed
from numpy.typing import NDArray
from rsciio.bruker import _api as bruker

from datasets.errors import UnreadableFile

da: Any = dask.array
"""Dask's functions are not typed."""

CONTAINER_HEAD = 0x118
"""Bytes before the first block of the container."""
FIRST_LINE = 0x1A0
"""Where the first line begins in a stream of spectra."""
PIXEL = struct.Struct("<IHHIHHHI")
"""x, channels of the map, channels of the pixel, unknown, packing, size, pulses, size of the packed data."""
PADDING = bytes(4096)
"""The compiled parser looks up to 1032 bytes past the data of a pixel."""
BAND_BYTES = 32 << 20
WALKED_PIXELS = 20_000
"""Above this number of pixels with packed counts, two bytes per count are assumed instead of looking at each."""


def read_bcf(path: Path, lazy: bool) -> list[dict[str, Any]]:
    """All images and all spectrum images of a file, as RosettaSciIO describes them."""
    reader = _CheckedReader(str(path))
    promised, found = reader.sfs_n_of_chunks * reader.chunksize + CONTAINER_HEAD, path.stat().st_size
    if found < promised:
        raise UnreadableFile(path, f"is truncated: the file has {found} bytes, its header promises {promised}",
                             todo="copy it again from the microscope")
    maps: list[dict[str, Any]] = bruker.bcf_hyperspectra(reader, index="all", downsample=1, lazy=lazy)
    images: list[dict[str, Any]] = bruker.bcf_images(reader)
    blank = int(reader.header.image.plane_count) - len(reader.header.image.images)
    if blank > 0:
        (images + maps)[0]["warnings"] = [f"{blank} images hold nothing but zeros and are left out: their detector was off"]
    return images + maps


class _CheckedReader(bruker.BCF_reader):  # type: ignore[misc]  # RosettaSciIO is not typed
    def parse_hypermap(self, index: int, downsample: int = 1, cutoff_at_kV: None = None, lazy: bool = False) -> Any:
        """Spectrum image (y, x, energy); dask bands of lines when lazy."""
        del downsample, cutoff_at_kV
        path, image = Path(self.filename), self.header.image
        shape = (int(image.height), int(image.width), int(self.header.spectra_data[index].data.size))
        stream = b"".join(self.get_file(f"EDSDatabase/SpectrumData{index}").get_iter_and_properties()[0])
        lines, largest = walk(path, stream, shape)
        guessed = np.dtype(self.header.estimate_map_depth(index=index, downsample=1, for_numpy=False))
        dtype = np.dtype(np.uint16 if guessed == np.uint8 else guessed) if largest is None else np.min_scalar_type(largest)
        step = max(1, BAND_BYTES // (shape[1] * shape[2] * dtype.itemsize)) if lazy else shape[0]
        bands = []
        for first in range(0, shape[0], step):
            n = min(step, shape[0] - first)
            block = stream[lines[min(first, len(lines) - 1)]:lines[min(first + n, len(lines) - 1)]]
            held = max(0, min(n, len(lines) - 1 - first))
            make = delayed(parsed) if lazy else parsed
            bands.append(make(block, held, (n, *shape[1:]), dtype))
        if not lazy:
            return bands[0]
        sizes = [min(step, shape[0] - first) for first in range(0, shape[0], step)]
        return da.concatenate([da.from_delayed(b, (n, *shape[1:]), dtype) for b, n in zip(bands, sizes, strict=True)])


def walk(path: Path, stream: bytes, shape: tuple[int, int, int]) -> tuple[list[int], int | None]:
    """Offset of each line, and of the end; and the largest count that any pixel can hold, None where that is not known.

    Raises
    ------
    UnreadableFile
        At the first pixel that lies outside the map or outside the stream.
    """
    lines: list[int] = []
    end, largest, packed, at = len(stream), 0, 0, FIRST_LINE

    def fault(what: str) -> UnreadableFile:
        return UnreadableFile(path, f"{what} in the spectrum image", where=f"line {len(lines)}, byte {at} of its stream",
                              todo="the file may be truncated or damaged")

    if end < FIRST_LINE:
        raise fault("there is no data")
    height, width = struct.unpack_from("<2I", stream)
    if height > shape[0] or width > shape[1]:
        raise fault(f"there are {height} lines of {width} pixels, {shape[0]} of {shape[1]} in the header,")
    for _ in range(height):
        lines.append(at)
        if at + 4 > end:
            raise fault("data end too soon")
        pixels, = struct.unpack_from("<I", stream, at)
        at += 4
        for _ in range(pixels):
            if at + PIXEL.size > end:
                raise fault("data end too soon")
            x, _, _, _, packing, _, pulses, size = PIXEL.unpack_from(stream, at)
            at += PIXEL.size
            needed = 2 * pulses if packing == 0 else 6 * ((pulses + 3) // 4) - 5 if packing == 1 and pulses else 4
            if x >= shape[1] or at + size > end or (packing < 2 and size < needed) or (packing > 1 and size < 4):
                raise fault("a pixel lies outside")
            if packing > 1:
                packed += 1
                if packed <= WALKED_PIXELS:
                    largest = max(largest, _largest_packed(stream, at, at + size - 4) + pulses)
                if pulses:
                    extra, = struct.unpack_from("<I", stream, at + size - 4)
                    if extra < 2 * pulses or at + size + extra > end:
                        raise fault("the pulses of a pixel lie outside")
                    at += extra
            else:
                largest = max(largest, pulses)
            at += size
    lines.append(at)
    return lines, None if packed > WALKED_PIXELS else largest


def _largest_packed(stream: bytes, at: int, end: int) -> int:
    largest = 0
    while at + 2 <= end:
        size, channels = stream[at], stream[at + 1]
        at += 2
        if size:
            gain = int.from_bytes(stream[at:at + min(size, 5)], "little")
            span = {1: 0x0F, 2: 0xFF, 4: 0xFFFF}.get(size, 0xFFFFFFFF)
            length = (channels + 1) // 2 if size == 1 else channels * size // 2
            values = stream[at + size:at + size + length]
            if size == 2 and values:
                span = max(values)
            elif size == 4 and len(values) > 1:
                span = int(np.frombuffer(values[:len(values) // 2 * 2], "<u2").max())
            largest = max(largest, gain + span)
            at += size + length
    return largest


def parsed(block: bytes, lines: int, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Spectra of consecutive lines, already checked; lines that were never acquired stay zero."""
    width = shape[1]
    head = struct.pack("<2I", lines, width) + bytes(FIRST_LINE - 8)
    parse = bruker.unbcf_fast.parse_to_numpy if bruker.fast_unbcf else bruker.py_parse_hypermap
    result: NDArray[Any] = parse(_Stream(head + block + PADDING), shape, dtype, downsample=1)
    return result


class _Stream:
    """What RosettaSciIO's parser reads from: one block that holds everything."""

    def __init__(self, block: bytes) -> None:
        self.block = block

    def get_iter_and_properties(self) -> tuple[Iterator[bytes], int, int]:
        return iter((self.block,)), len(self.block), 1
