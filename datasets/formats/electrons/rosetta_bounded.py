"""Keeps a reader of RosettaSciIO from asking for more bytes than its file has left: a damaged length would take all memory."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

_lock = Lock()


@contextmanager
def bounded(module: Any) -> Iterator[None]:
    """While inside, `open` and `numpy.fromfile` of a module read no further than the end of the file.

    Not for modules whose compiled functions are used meanwhile: these must find the real numpy.
    """
    with _lock:
        numpy = module.np
        module.open, module.np = _opened, _Numpy()
        try:
            yield
        finally:
            module.np = numpy
            del module.open


class _File(io.FileIO):
    """A file whose `read` makes no room for what is not there."""

    def read(self, size: int | None = -1, /) -> bytes:
        left = Path(str(self.name)).stat().st_size - self.tell()
        return super().read(-1 if size is None or size < 0 else min(size, max(left, 0)))


def _opened(name: str, mode: str = "rb") -> _File:
    del mode
    return _File(name)


class _Numpy:
    """numpy, but for one function."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def fromfile(file: Any, dtype: Any = float, count: int = -1) -> Any:
        """As numpy's, for an open file.

        Raises
        ------
        ValueError
            If the file has fewer values left.
        """
        left = Path(str(file.name)).stat().st_size - file.tell()
        promised = int(count) * np.dtype(dtype).itemsize
        if promised > left:
            raise ValueError(f"{promised} bytes are promised where {left} are left")
        return np.fromfile(file, dtype, int(count))
