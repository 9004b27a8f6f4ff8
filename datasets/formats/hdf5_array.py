"""Datasets of HDF5 that are read when they are used, with the file closed in between; and small values as plain Python."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile


class StoredArray:
    """A numeric dataset; indexing opens the file, reads and closes it, and names the file where that fails.

    Raises
    ------
    UnreadableFile
        If the dataset promises more than a file of this size can hold: HDF5 gives zeros for what was never written.
    """

    def __init__(self, path: Path, dataset: h5py.Dataset) -> None:
        self.path, self.name = path, dataset.name
        self.shape: tuple[int, ...] = dataset.shape
        self.dtype = np.dtype(dataset.dtype.newbyteorder("="))
        self.ndim = len(self.shape)
        self.chunks: tuple[int, ...] | None = dataset.chunks
        self.nbytes = int(np.prod(self.shape, dtype=np.float64)) * self.dtype.itemsize
        stored = dataset.id.get_storage_size()
        if dataset.chunks is None and dataset.compression is None and stored < self.nbytes:
            raise UnreadableFile(path, f"{self.name} holds {stored} bytes, its shape {self.shape} promises {self.nbytes}",
                                 todo="the file may be truncated or damaged")
        if self.nbytes > MOST_PER_BYTE * max(stored, 1 << 12):
            raise UnreadableFile(path, f"{self.name} promises {self.nbytes} bytes out of {stored}",
                                 todo="the file may be damaged, or was never filled")

    def __getitem__(self, key: Any) -> NDArray[Any]:
        try:
            with h5py.File(self.path, "r") as file:
                return np.asarray(file[self.name][key], dtype=self.dtype)
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            raise UnreadableFile(self.path, f"{self.name} cannot be read: {' '.join(str(error).split())[:200]}",
                                 todo="the file may be truncated or damaged") from error


MOST_PER_BYTE = 1100
"""Deflate makes at most 1032 bytes of one (zlib, "Maximum Compression Factor")."""


def is_numeric(item: Any) -> bool:
    """Whether an item is a dataset of numbers with at least one element."""
    return isinstance(item, h5py.Dataset) and item.dtype.kind in "biuf" and item.shape is not None and item.size > 0


def plain(item: Any) -> Any:
    """Value of a small dataset or an attribute: number, text or a list of them; None for what is large or has no such value."""
    value = item
    if isinstance(item, h5py.Dataset):
        if item.size is None or item.size > 64:
            return None
        value = item[()]
    if isinstance(value, np.ndarray):
        if value.dtype.names or value.size > 64:
            return None
        value = value.ravel().tolist()
        value = value[0] if len(value) == 1 else value
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip("\0 ")
    return value if isinstance(value, str | int | float | bool) else None


def number(group: Any, *names: str) -> float:
    """The first of some small datasets that is a finite number, 0 where none is."""
    for name in names:
        value = plain(group[name]) if name in group else None
        if isinstance(value, int | float) and np.isfinite(value):
            return float(value)
    return 0.0
