"""Reading an array piece by piece, each piece once: larger than memory, from numpy, memory maps, dask or a store."""

import itertools
import math
import mmap
from collections.abc import Iterator

import numpy as np
import xarray as xr
from numpy.typing import NDArray

BAND = 32 << 20
"""About this many bytes are held at once."""
LARGEST_BLOCK = 256 << 20
"""A dask block up to this size is computed once and kept until used; a larger one is sliced, which memory maps allow."""

MOST_HELD = 512 << 20
"""Blocks that are kept until used may take this much together; beyond it they are sliced."""

Region = tuple[slice, ...]


def regions(shape: tuple[int, ...], unit: tuple[int, ...], itemsize: int, limit: int = BAND) -> Iterator[Region]:
    """Cut an array, in file order, into whole multiples of `unit` of about `limit` bytes; every element is in one."""
    step = list(unit)
    for axis in reversed(range(len(shape))):
        room = max(1, limit // max(1, itemsize * math.prod(step)))
        step[axis] = min(unit[axis] * room, unit[axis] * math.ceil(max(1, shape[axis]) / unit[axis]))
    starts = [range(0, n, s) for n, s in zip(shape, step, strict=True)]
    for corner in itertools.product(*starts):
        yield tuple(slice(c, min(c + s, n)) for c, s, n in zip(corner, step, shape, strict=True))


def size_of(region: Region) -> int:
    """Number of elements in a region."""
    return math.prod(s.stop - s.start for s in region)


def release(values: object) -> None:
    """Give back the memory of a mapped file; its pages stay in the system's cache as long as there is room.

    Without it, a process that walks through a file seems to hold all of it. A private copy (mode "c") is left alone: its
    changes would be lost.
    """
    shared = False
    while isinstance(values, np.ndarray):
        shared = shared or getattr(values, "mode", None) in ("r", "r+", "w+")
        values = values.base
    if shared and isinstance(values, mmap.mmap):
        values.madvise(mmap.MADV_DONTNEED)


class Source:
    """An array to be consumed by regions that together cover it once.

    A block of a dask array is computed when a region first needs it, and dropped when the last of it is consumed, so
    no block is computed (and no byte of its file read) twice.
    """

    def __init__(self, variable: xr.Variable) -> None:
        self.variable = variable
        self.dtype = variable.dtype.newbyteorder("=")
        self.mapped: object = None
        self._held: dict[tuple[int, ...], tuple[NDArray[np.generic], int]] = {}
        self._sliced: bool | None = None

    def read(self, region: Region) -> NDArray[np.generic]:
        """The values of one region, in native byte order."""
        chunks = self.variable.chunks
        if self._sliced is None:
            self._sliced = chunks is None or self._largest_block(chunks) > LARGEST_BLOCK or (
                self._held_together(region, chunks) > MOST_HELD)
        if chunks is None or self._sliced:
            values = self.mapped = _values(self.variable[region])
        else:
            values = self._assembled(region, chunks)
        return values.astype(self.dtype, copy=False)

    def _largest_block(self, chunks: tuple[tuple[int, ...], ...]) -> int:
        return int(self.variable.dtype.itemsize) * math.prod(max(c) for c in chunks)

    def _held_together(self, region: Region, chunks: tuple[tuple[int, ...], ...]) -> int:
        """Bytes of the blocks that regions like this one leave half used, at most: a slab across the first axis that is cut."""
        blocks, step = [max(c) for c in chunks], [s.stop - s.start for s in region]
        cut = next((i for i, n in enumerate(self.variable.shape) if step[i] < n), 0)
        slab = (*blocks[:cut], min(self.variable.shape[cut], blocks[cut] + step[cut]), *self.variable.shape[cut + 1:])
        return int(self.variable.dtype.itemsize * math.prod(slab))

    def _assembled(self, region: Region, chunks: tuple[tuple[int, ...], ...]) -> NDArray[np.generic]:
        out = np.empty([s.stop - s.start for s in region], self.variable.dtype)
        edges = [np.concatenate([[0], np.cumsum(c)]) for c in chunks]
        spans = []
        for part, edge in zip(region, edges, strict=True):
            first = int(np.searchsorted(edge, part.start, side="right")) - 1
            last = int(np.searchsorted(edge, part.stop, side="left"))
            spans.append(range(first, last))
        for index in itertools.product(*spans):
            place = tuple(slice(int(e[i]), int(e[i + 1])) for e, i in zip(edges, index, strict=True))
            common = tuple(slice(max(p.start, r.start), min(p.stop, r.stop)) for p, r in zip(place, region, strict=True))
            block, left = self._held.pop(index, (None, size_of(place)))
            if block is None:
                block = _values(self.variable[place])
            out[_within(common, region)] = block[_within(common, place)]
            left -= size_of(common)
            if left > 0:
                self._held[index] = (block, left)
        return out


def _within(part: Region, whole: Region) -> Region:
    return tuple(slice(p.start - w.start, p.stop - w.start) for p, w in zip(part, whole, strict=True))


def _values(variable: xr.Variable) -> NDArray[np.generic]:
    data = variable.data
    if hasattr(data, "todense"):
        data = data.todense()
    return np.asarray(data)
