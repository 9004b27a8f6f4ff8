"""Arrays that lie in one piece in a file: read when they are used, a part at a time."""

import mmap
import os
from math import prod
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
from numpy.typing import DTypeLike, NDArray

from datasets.errors import UnreadableFile

da: Any = dask.array
"""Dask's functions are not typed."""


AT_ONCE_BYTES = 128 << 20
"""Arrays up to this size are read at once: dask copies what it computes twice more, and makes no chunk smaller than this."""

BLOCK_BYTES = 32 << 20
"""Larger arrays are read in blocks of about this size."""


def left_over(rest: int) -> list[str]:
    """A warning where a file holds more bytes than its header declares."""
    return [f"{rest} bytes behind what the header declares are not read: its sizes may be damaged"] if rest > 0 else []


class Contiguous:
    """An array of a file; indexing reads what is asked for, into memory and into this machine's byte order.

    The file is opened anew each time, so nothing stays open, and a copy is returned, so nothing depends on the file later.

    Parameters
    ----------
    dtype : as stored
    offset : byte at which the array begins
    """

    def __init__(self, path: Path, dtype: DTypeLike, shape: tuple[int, ...], offset: int) -> None:
        self.path, self.shape, self.offset = path, shape, offset
        self.stored = np.dtype(dtype)
        self.dtype = self.stored.newbyteorder("=")
        self.ndim = len(shape)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        stored = np.memmap(self.path, self.stored, "r", self.offset, self.shape)
        return np.array(stored[key], dtype=self.dtype)


def contiguous(path: Path, dtype: DTypeLike, shape: tuple[int, ...], offset: int) -> Any:
    """The array at a place in a file: numpy, or dask where it is large."""
    array = Contiguous(path, dtype, shape, offset)
    count = prod(shape)
    if count * array.dtype.itemsize > AT_ONCE_BYTES:
        return lazily(array)
    return _whole(array, count)


def _whole(array: Contiguous, count: int) -> NDArray[Any]:
    """All of it, copied once out of the file's own pages: the kernel takes a fifth longer to copy them into new ones.

    Raises
    ------
    UnreadableFile
        If the file ends before the array does.
    """
    if not count:
        return np.empty(array.shape, array.dtype)
    promised = count * array.stored.itemsize
    with array.path.open("rb", buffering=0) as file:
        held = max(0, os.fstat(file.fileno()).st_size - array.offset)
        if held < promised:
            raise UnreadableFile(array.path, f"is truncated: {held} of the {promised} bytes of its array are there",
                                 where=f"byte {array.offset + held}")
        with mmap.mmap(file.fileno(), array.offset + promised, access=mmap.ACCESS_READ) as pages:
            # no name is left that would keep the pages from being closed
            return np.frombuffer(pages, array.stored, count, array.offset).reshape(array.shape).astype(array.dtype)


def bands(shape: tuple[int, ...], itemsize: int, grain: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """Blocks of about BLOCK_BYTES that follow each other in the file, in whole multiples of `grain`.

    Dask's own are cubes, each of which touches all of a stack.
    """
    block = list(grain or (1,) * len(shape))
    for axis in reversed(range(len(shape))):
        room = max(1, BLOCK_BYTES // max(1, itemsize * prod(block)))
        block[axis] = max(1, min(shape[axis], block[axis] * room))
        if block[axis] < shape[axis]:
            break
    return tuple(block)


def lazily(array: Any, chunks: Any = None) -> Any:
    """A dask array over anything with shape, dtype and slicing, in bands where no chunks are given.

    Without a name of its own: dask would hash all the data to find one, which takes longer than reading them.
    """
    chunks = chunks or bands(array.shape, array.dtype.itemsize, getattr(array, "chunks", None))
    empty = np.empty((0,) * len(array.shape), array.dtype)
    return da.from_array(array, chunks=chunks, name=False, asarray=False, meta=empty)
