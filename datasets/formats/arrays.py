"""Plain arrays in HDF5 and in numpy's .npy and .npz: what a script left, without a word on what it is.

Every array of numbers with two or more axes arrives; names say the rest: an array named as an element is its map, one named
as a detector is its image. Axes are calibrated only where HDF5 says so (dimension scales, or attributes of the dataset).
Arrays of Python objects are never loaded, since they are pickles.
"""

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.lib import format as npy

from datasets.errors import UnreadableFile
from datasets.formats.contiguous import contiguous, lazily
from datasets.formats.electrons.rosetta_metadata import SYMBOLS
from datasets.formats.hdf5_array import StoredArray, is_numeric, plain
from datasets.formats.hdf5_layout import told_by_groups
from datasets.formats.signal import Axis, Field, Format, Signal
from datasets.formats.zip_members import zip_members

AT_ONCE_BYTES = 64 << 20
NPY_MAGIC = b"\x93NUMPY"
NUMBERS = "biuf"
"""Kinds of numpy's types that are read."""
USUAL_AXES = {2: ("y", "x"), 3: ("frame", "y", "x")}
TABLE_SIDE = 4
"""An array with a side of no more than this is a list of positions, a matrix or the like and no picture."""
PER_FILE = 200
"""Arrays that are read of one file; more than this is a store of something else."""


def recognises_hdf5(head: bytes, path: Path) -> bool:
    """Any HDF5 with an array of numbers."""
    return told_by_groups(head, path, lambda file: next(_datasets(file), None) is not None, False)


def read_hdf5(path: Path) -> tuple[Signal, ...]:
    """Arrays of two and more axes, or those of one axis where there are no others."""
    with h5py.File(path, "r") as file:
        found = [item for _, item in zip(range(PER_FILE + 1), _datasets(file), strict=False)]
        chosen = [item for item in found if item.ndim > 1] or found
        warnings = [f"only the first {PER_FILE} arrays are read"] if len(found) > PER_FILE else []
        flat = [item.name.strip("/") for item in found if item.ndim == 1 and item not in chosen]
        if flat:
            warnings.append(f"arrays of one axis are kept in the file and not read: {', '.join(flat[:20])}")
        return tuple(_hdf5_signal(path, item, warnings) for item in chosen[:PER_FILE])


def recognises_numpy(head: bytes, path: Path) -> bool:
    """An array, or a zip of nothing but arrays."""
    if head[:6] == NPY_MAGIC:
        return True
    names = zip_members(head, path) or ()
    return bool(names) and all(name.endswith(".npy") for name in names) and "data.npy" not in names


def read_numpy(path: Path) -> tuple[Signal, ...]:
    """Every array of a file.

    Raises
    ------
    UnreadableFile
        If an array promises more than the file holds, or is of Python objects.
    """
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            shape, dtype, turned = _header(path, file, path.name)
            offset = file.tell()
        if dtype.kind not in NUMBERS:
            raise UnreadableFile(path, f"is an array of {dtype}, not of numbers")
        _require(path, path.name, shape, dtype, path.stat().st_size - offset)
        data = contiguous(path, dtype, shape[::-1], offset).transpose() if turned else contiguous(path, dtype, shape, offset)
        return (_signal(path, path.stem, data),)
    found, left = [], []
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist()[:PER_FILE]:
            with archive.open(entry) as member:
                shape, dtype, turned = _header(path, member, entry.filename)
                if dtype.kind not in NUMBERS:
                    left.append(f"{entry.filename} ({dtype})")
                    continue
                _require(path, entry.filename, shape, dtype, min(entry.file_size, 1100 * entry.compress_size + 4096))
                raw = member.read(int(np.prod(shape)) * dtype.itemsize)
            data = np.frombuffer(raw, dtype).reshape(shape, order="F" if turned else "C").astype(dtype.newbyteorder("="))
            if data.ndim and data.size:
                found.append(_signal(path, entry.filename.removesuffix(".npy"), data))
    if not found:
        raise UnreadableFile(path, f"holds no array of numbers; found {', '.join(left) or 'nothing'}")
    said = (f"arrays that are no numbers are not read: {', '.join(left)}",) if left else ()
    return tuple(replace(one, warnings=(*one.warnings, *said)) for one in found)


def _header(path: Path, file: Any, name: str) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    """Shape, type, and whether the first axis is the fastest."""
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    try:
        shape, fortran, dtype = read(file)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, EOFError) as error:
        # a damaged header may be nested so deeply that the parser of literals gives up
        raise UnreadableFile(path, f"{name} has a header that cannot be read: {type(error).__name__}",
                             todo="it may be damaged") from None
    return shape, dtype, fortran and len(shape) > 1


def _require(path: Path, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], available: int) -> None:
    promised = float(np.prod(shape, dtype=np.float64)) * dtype.itemsize
    if promised > available or min(shape, default=1) < 0:
        raise UnreadableFile(path, f"{name} promises {promised:.6g} bytes, the file has {available} of it",
                             todo="it may be truncated or damaged")


def _datasets(group: Any, depth: int = 0) -> Iterator[Any]:
    for name in group:
        item = group.get(name)
        if is_numeric(item) and item.ndim > 0 and item.size > 1:
            yield item
        elif isinstance(item, h5py.Group) and depth < 8:
            yield from _datasets(item, depth + 1)


def _hdf5_signal(path: Path, item: Any, warnings: list[str]) -> Signal:
    array = StoredArray(path, item)
    data: Any = array[...] if array.nbytes <= AT_ONCE_BYTES else lazily(array)
    about = {str(key): value for key in item.attrs if (value := plain(item.attrs[key])) is not None}
    scales = [_scale(item, i) for i in range(item.ndim)]
    return _signal(path, item.name.strip("/"), data, scales, about, tuple(warnings))


def _scale(item: Any, dimension: int) -> Axis | None:
    """The dimension scale of an axis, if one is attached."""
    for scale in item.dims[dimension].values():
        if is_numeric(scale) and scale.shape == (item.shape[dimension],):
            units = plain(scale.attrs.get("units"))
            name = scale.name.rpartition("/")[2]
            return Axis(name, np.asarray(scale[()], np.float64), units if isinstance(units, str) else "")
    return None


def _signal(path: Path, name: str, data: Any, scales: list[Axis | None] | None = None, about: dict[str, Any] | None = None,
            warnings: tuple[str, ...] = ()) -> Signal:
    own = name.rpartition("/")[2]
    usual = USUAL_AXES.get(data.ndim, ("",) * data.ndim)
    if data.ndim == 3 and data.shape[-1] in (3, 4) and data.dtype == np.uint8:
        usual = ("y", "x", "channel")
    axes = tuple(scale or Axis.even(axis, size, 1.0)
                 for scale, axis, size in zip(scales or [None] * data.ndim, usual, data.shape, strict=True))
    kind = "element map" if own in SYMBOLS and data.ndim == 2 else ""
    tabular = data.ndim > 1 and usual[-1] != "channel" and min(data.shape[-2:]) <= TABLE_SIDE and not any(scales or ())
    kind = kind or ("table" if tabular else "")
    unit = (about or {}).get("units", "")
    return Signal(name or path.stem, axes, {"data": Field(data, unit if isinstance(unit, str) else "")}, path, about or {},
                  {"elements": [own]} if kind == "element map" else {}, kind, warnings)


def hdf5_example(folder: Path) -> Path:
    """An image and a map of one element, as after a fusion."""
    path, rng = folder / "example.h5", np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file["HAADF"], file["Li"] = rng.random((6, 8), np.float32), rng.random((6, 8), np.float32)
    return path


def numpy_example(folder: Path) -> Path:
    """An image and a map of one element."""
    path, rng = folder / "example.npz", np.random.default_rng(0)
    np.savez_compressed(path, HAADF=rng.random((6, 8), np.float32), Li=rng.random((6, 8), np.float32))
    return path


ARRAYS: tuple[Format, ...] = (
    Format(name="hdf5", suffixes=frozenset({".h5", ".hdf5", ".hdf"}), recognises=recognises_hdf5, read=read_hdf5, version="1",
           example=hdf5_example, fallback=True),
    Format(name="numpy", suffixes=frozenset({".npz", ".npy"}), recognises=recognises_numpy, read=read_numpy, version="1",
           example=numpy_example),
)
