"""Where a number comes from: hash of the raw file, reader and version, and the steps since."""

import hashlib
import math
import os
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from datasets.errors import FileError

DISTRIBUTION = "correlate-sei"
BLOCK = 1 << 17


@lru_cache(maxsize=1)
def own_version() -> str:
    """Version of this platform, "0+unknown" when it runs from a folder that was never installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "0+unknown"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, read once in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


class RawHash:
    """SHA-256 of a file that follows the reading of the same file, so that its pages are read from the disk once.

    Parameters
    ----------
    path
        Read to its end, whatever part of it became data.

    Raises
    ------
    FileError
        When the file changes while it is read: the data would not be those of the hash.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._digest = hashlib.sha256()
        self._read = 0
        with self.path.open("rb") as file:
            self._before = _state(file.fileno())

    def advance(self, fraction: float) -> None:
        """Hash on to this fraction of the file; called as often as one likes, with rising fractions."""
        self._to(int(min(max(fraction, 0.0), 1.0) * self._before[0]))

    def hexdigest(self) -> str:
        """The hash of the whole file, in hexadecimal."""
        self._to(self._before[0])
        with self.path.open("rb") as file:
            if _state(file.fileno()) != self._before:
                raise FileError(self.path, "changed while it was read", todo="wait until it is complete and import it again")
        return self._digest.hexdigest()

    def _to(self, end: int) -> None:
        if end <= self._read:
            return
        with self.path.open("rb") as file:
            file.seek(self._read)
            while self._read < end:
                block = file.read(min(BLOCK, end - self._read))
                if not block:
                    raise FileError(self.path, "became shorter while it was read", todo="import it again")
                self._digest.update(block)
                self._read += len(block)


def _state(handle: int) -> tuple[int, int, int]:
    """Size, inode and time of last change."""
    status = os.fstat(handle)
    return status.st_size, status.st_ino, status.st_mtime_ns


def with_step(ds: xr.Dataset, what: str, **parameters: Any) -> xr.Dataset:
    """Append one step to the history of an acquisition: what was done, by which version, with which parameters."""
    step = {"what": what, "version": own_version(), "parameters": parameters}
    return ds.assign_attrs(history=[*ds.attrs.get("history", []), step])


def jsonable(value: Any) -> Any:
    """Vendor metadata as plain JSON: numpy scalars become numbers, bytes text, NaN null, long arrays their description."""
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist()) if value.size <= 64 else f"array {value.shape} {value.dtype}"
    if isinstance(value, list | tuple | set | frozenset):
        items = list(value)
        return [jsonable(v) for v in items[:256]] + ([f"... {len(items) - 256} more"] if len(items) > 256 else [])
    if isinstance(value, np.generic):
        plain = value.item()
        if isinstance(plain, np.generic):  # of 80 bits or more: Python has no number so long
            plain = complex(plain) if isinstance(plain, np.complexfloating) else float(plain)
        return jsonable(plain)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return value[:256].decode("utf-8", errors="replace")
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)
