"""MATLAB matrices (.mat, level 5): each numeric array of a file, with nothing said about what it means.

Read by scipy, which keeps to MathWorks' "MAT-File Format". Structures, cells, texts and functions are named in a warning.
Files of version 7.3 are HDF5 and belong to other readers.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat, savemat, whosmat

from datasets.errors import UnreadableFile
from datasets.formats.signal import Axis, Field, Format, Signal

HEAD = re.compile(rb"MATLAB 5\.0 MAT-file")
NUMERIC = frozenset({"double", "single", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "logical"})
EXPANDED, BESIDE = 8, 150_000_000
"""A file may unpack to so many times its size, and so many bytes beside; what declares more is taken for damaged."""


def read(path: Path) -> tuple[Signal, ...]:
    """Every numeric array with more than one element.

    Raises
    ------
    UnreadableFile
        If the file declares more than it can hold, or holds no numbers.
    """
    declared = whosmat(str(path))
    wanted = [(name, shape) for name, shape, kind in declared if kind in NUMERIC and np.prod(shape, dtype=np.float64) > 1]
    left = [name for name, _, kind in declared if kind not in NUMERIC]
    if 8 * sum(np.prod(shape, dtype=np.float64) for _, shape in wanted) > EXPANDED * path.stat().st_size + BESIDE:
        raise UnreadableFile(path, f"declares arrays of {wanted[0][1]}, more than it can hold", todo="the file may be damaged")
    if not wanted:
        raise UnreadableFile(path, f"holds no numbers, but {', '.join(left) or 'nothing'}")
    arrays = loadmat(str(path), variable_names=[name for name, _ in wanted])
    warnings = (f"{', '.join(left)} of the file are no numbers and left out",) if left else ()
    return tuple(_signal(path, name, np.asarray(arrays[name]), warnings) for name, _ in wanted)


def _signal(path: Path, name: str, values: NDArray[Any], warnings: tuple[str, ...]) -> Signal:
    kept = values.squeeze()
    kept = np.abs(kept) if kept.dtype.kind == "c" else kept
    if kept.dtype.kind != values.dtype.kind:
        warnings = (*warnings, "complex numbers: their magnitude is kept")
    names = ("frame", "position", "spectrum", "channel")
    if kept.ndim > len(names):
        raise UnreadableFile(path, f"{name} has {kept.ndim} dimensions")
    axes = tuple(Axis(n, np.arange(size, dtype=np.float64), "1")
                 for n, size in zip(names[len(names) - kept.ndim:], kept.shape, strict=True))
    field = Field(kept, "arbitrary")
    return Signal(name, axes, {"intensity": field}, path, {"shape": list(values.shape)}, {}, "matrix", warnings)


def recognises(head: bytes, path: Path) -> bool:
    """By the text at the beginning; level 4 has none and is not read."""
    del path
    return HEAD.match(head) is not None


def example(folder: Path) -> Path:
    """Two matrices."""
    path = folder / "example.mat"
    savemat(str(path), {"spectra": np.arange(12.0).reshape(3, 4), "pure": np.eye(3)})
    return path


MATLAB = Format(name="matlab", suffixes=frozenset({".mat"}), recognises=recognises, read=read, version="1", example=example)
