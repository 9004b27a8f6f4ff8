"""How an array is cut on disk, and the codecs of each piece: every chain ends in a checksum.

Measured (docs/storage.md): blosc-zstd-3 with bitshuffle is the fastest of the small ones, for integers and for floats of
measured data; without the last codec a flipped bit is silent in 23 of 25 trials.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from zarr.codecs import BloscCname, BloscCodec, BloscShuffle, Crc32cCodec

from datasets.terms import SPATIAL

LEVEL = 3

SMALL = 1 << 20
"""Up to this many bytes an array is one chunk."""
CHUNK = 4 << 20
"""No chunk is larger."""
SHARD = 64 << 20
"""No shard is larger, so that one always fits into memory beside the block it is written from."""
FRAME = 256 << 10
"""Frames of a stack share a chunk up to this size; larger ones are read one by one."""

PLANES = (("y", "x"), ("scattering_vector_y", "scattering_vector_x"), ("detector_y", "detector_x"))
"""Pairs of trailing dimensions that a person looks at as a picture."""


@dataclass(frozen=True)
class Layout:
    """Shape of a chunk, and of the shard (one file) that holds several; no shards for small arrays."""

    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None

    @property
    def unit(self) -> tuple[int, ...]:
        """Shape of what is written at once: the shard, or the chunk where there are none."""
        return self.shards or self.chunks


def layout(dims: tuple[str, ...], shape: tuple[int, ...], itemsize: int) -> Layout:
    """How to cut an array.

    Images in 512² chunks and 2048² shards, volumes in 64³ and 256³, spectrum images in chunks of 32² spectra,
    stacked spectra and time series in chunks of 1 MiB; up to 1 MiB nothing is cut.
    """
    full = tuple(max(1, n) for n in shape)
    if itemsize * math.prod(full) <= SMALL:
        return Layout(full, None)
    chunks, shard_cap = _wanted(dims, full, itemsize)
    shards = list(chunks)
    for axis in reversed(range(len(full))):
        while shards[axis] < min(full[axis], shard_cap[axis]) and 2 * itemsize * math.prod(shards) <= SHARD:
            shards[axis] *= 2
        shards[axis] = min(shards[axis], chunks[axis] * math.ceil(full[axis] / chunks[axis]))
    return Layout(chunks, tuple(shards) if tuple(shards) != chunks else None)


def _wanted(dims: tuple[str, ...], full: tuple[int, ...], itemsize: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Chunk shape, and the length at which a shard stops to grow along each axis."""
    chunks = [1] * len(full)
    if dims[-3:] == SPATIAL:
        chunks[-3:] = [min(64, n) for n in full[-3:]]
        return tuple(chunks), (*_grow_freely(full[:-3]), 256, 256, 256)
    if dims[-2:] in PLANES:
        chunks[-2:] = [min(512, n) for n in full[-2:]]
        _grow(chunks, full, range(len(full) - 2), itemsize, FRAME, full)
        return tuple(chunks), (*_grow_freely(full[:-2]), 2048, 2048)
    chunks[-1] = min(full[-1], CHUNK // itemsize if len(full) > 1 else SMALL // itemsize)
    if is_spectrum_image(dims):
        _grow(chunks, full, (len(full) - 2, len(full) - 3), itemsize, CHUNK, (*full[:-3], 32, 32, full[-1]))
        return tuple(chunks), (*_grow_freely(full[:-3]), 256, 256, full[-1])
    _grow(chunks, full, range(len(full) - 1), itemsize, SMALL, full)
    return tuple(chunks), _grow_freely(full)


def is_spectrum_image(dims: tuple[str, ...]) -> bool:
    """Whether each pixel of a map holds one spectrum."""
    return len(dims) >= 3 and dims[-3:-1] == ("y", "x")


def _grow_freely(full: tuple[int, ...]) -> tuple[int, ...]:
    return full


def _grow(chunks: list[int], full: tuple[int, ...], axes: range | tuple[int, ...], itemsize: int, limit: int,
          cap: tuple[int, ...]) -> None:
    """Double the chunk along `axes` in turn, the last first, while it stays within `limit` bytes."""
    turn = sorted(axes, reverse=True)
    growing = True
    while growing:
        growing = False
        for axis in turn:
            if chunks[axis] < min(full[axis], cap[axis]) and 2 * itemsize * math.prod(chunks) <= limit:
                chunks[axis] = min(2 * chunks[axis], full[axis])
                growing = True


def codecs(dtype: np.dtype[Any]) -> list[BloscCodec | Crc32cCodec]:
    """Compression of a chunk, and last its checksum."""
    return [BloscCodec(typesize=max(1, dtype.itemsize), cname=BloscCname.zstd, clevel=LEVEL, shuffle=BloscShuffle.bitshuffle),
            Crc32cCodec()]
