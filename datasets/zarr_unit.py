"""One Dataset as one Zarr v3 folder: written in a single pass with its levels, and read without silent zeros."""

import asyncio
import hashlib
import json
import math
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore

from datasets.chunking import Layout, codecs, is_spectrum_image, layout
from datasets.errors import DamagedStore, DatasetError, StoreError
from datasets.pyramid import (
    halved,
    is_label,
    level_coordinate,
    level_dtype,
    level_shapes,
    ome_metadata,
    pyramid_axes,
    stored,
    working_dtype,
)
from datasets.streaming import Source, regions, size_of

METADATA = "zarr.json"
LEVELS = "levels"
SUMS = "sums"
SCRATCH = 64 << 20
"""A level up to this size is kept in memory until it is halved again; a larger one in an unnamed file."""


def write_unit(data: xr.Dataset, folder: Path, progress: Callable[[float], None],
               attrs: Callable[[], Mapping[str, Any]]) -> dict[str, tuple[str, int]]:
    """Write a Dataset with its image levels into an empty folder.

    Parameters
    ----------
    data
        Values are read once, block by block.
    progress
        Called with the fraction of the values that were consumed, which rises from 0 to 1.
    attrs
        Called once when all values are consumed; what it returns becomes the attributes of the root.

    Returns
    -------
    Path within the folder -> (sha256, size) of each file as it was handed to the disk.
    """
    writer = _Writer(data, folder, progress)
    try:
        return writer.write(attrs)
    except BaseException:
        writer.store.stop()
        raise


def open_unit(folder: Path, files: Iterable[str], group: str | None = None) -> xr.Dataset:
    """Open a folder lazily, without dask; `files` are those it must have.

    A chunk whose file is gone raises DamagedStore when it is read: Zarr alone would return zeros.
    """
    ds = xr.open_zarr(PublishedFolder(folder, frozenset(files)), group=group, consolidated=group is None, chunks=None,
                      decode_timedelta=False)
    ds.attrs.pop("ome", None)
    text = {name: v.astype(object) for name, v in ds.variables.items() if isinstance(v.dtype, np.dtypes.StringDType)}
    opened: xr.Dataset = ds.assign({str(k): v for k, v in text.items()}) if text else ds
    return opened


class _RecordingFolder(LocalStore):
    """Remembers what was handed to the disk, so that the manifest needs no second look and the read-back has a witness."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.written: dict[str, tuple[str, int]] = {}
        self._busy = 0
        self._stopped = False
        self._turn = threading.Condition()

    async def set(self, key: str, value: Buffer) -> None:
        self._begin()
        try:
            await asyncio.to_thread(self._record, key, value.as_buffer_like())
            await super().set(key, value)
        finally:
            self._end()

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        await self.set(key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        self._begin()
        try:
            self._record(key, value.as_buffer_like())
            super().set_sync(key, value)
        finally:
            self._end()

    def stop(self) -> None:
        """Let no further file be written, and wait for those under way.

        Zarr writes in threads of its own: after an interrupt they would go on, and make anew the folder that is removed.
        """
        with self._turn:
            self._stopped = True
            self._turn.wait_for(lambda: self._busy == 0)

    def _begin(self) -> None:
        with self._turn:
            if self._stopped:
                raise StoreError(f"{self.root}: writing was stopped")
            self._busy += 1

    def _end(self) -> None:
        with self._turn:
            self._busy -= 1
            self._turn.notify_all()

    def put(self, key: str, content: bytes) -> None:
        """Write a small file without Zarr."""
        self._record(key, content)
        (self.root / key).write_bytes(content)

    def _record(self, key: str, content: Any) -> None:
        self.written[key] = (hashlib.sha256(content).hexdigest(), memoryview(content).nbytes)


class PublishedFolder(LocalStore):
    """A read-only folder that knows which files it must have."""

    def __init__(self, root: Path, files: frozenset[str]) -> None:
        super().__init__(root, read_only=True)
        self.files = files

    def with_read_only(self, read_only: bool = False) -> "PublishedFolder":
        if not read_only:
            raise DatasetError(f"{self.root} is a published version, which is never written again")
        return self

    async def get(self, key: str, prototype: BufferPrototype | None = None,
                  byte_range: ByteRequest | None = None) -> Buffer | None:
        return self._required(key, await super().get(key, prototype, byte_range))

    def get_sync(self, key: str, *, prototype: BufferPrototype | None = None,
                 byte_range: ByteRequest | None = None) -> Buffer | None:
        return self._required(key, super().get_sync(key, prototype=prototype, byte_range=byte_range))

    async def get_partial_values(self, prototype: BufferPrototype,
                                 key_ranges: Iterable[tuple[str, ByteRequest | None]]) -> list[Buffer | None]:
        wanted = list(key_ranges)
        found = await super().get_partial_values(prototype, wanted)
        return [self._required(key, buffer) for (key, _), buffer in zip(wanted, found, strict=True)]

    def _required(self, key: str, found: Buffer | None) -> Buffer | None:
        if found is None and key in self.files:
            raise DamagedStore(f"{self.root / key} is lost: these data cannot be read; "
                               f"`correlate verify` names all that is damaged, a backup or a new import mends it")
        return found


class _Writer:
    def __init__(self, data: xr.Dataset, folder: Path, progress: Callable[[float], None]) -> None:
        self.data = data
        self.streamed = {str(n): v.variable for n, v in data.data_vars.items() if v.dtype.kind in "iufcb" and v.ndim > 0}
        self.folder = folder
        self.store = _RecordingFolder(folder)
        self.group = zarr.create_group(self.store, zarr_format=3)
        self.progress = progress
        self.total = max(1, sum(v.size * v.dtype.itemsize for v in self.streamed.values()))
        self.done = 0
        self.paths: dict[str, list[str]] = {}
        self.levels: dict[int, set[str]] = {}

    def write(self, attrs: Callable[[], Mapping[str, Any]]) -> dict[str, tuple[str, int]]:
        rest = self.data.drop_vars(list(self.streamed)).drop_attrs(deep=False)
        self._write_rest(rest, None)
        for name, variable in self.streamed.items():
            self._write_levels(name, variable)
        self.progress(1.0)
        root = dict(attrs())
        pictures = {n: p for n, p in self.paths.items() if _fits_ome(self.streamed[n])}
        if pictures:
            coords = {str(n): c.variable for n, c in self.data.coords.items()}
            root["ome"] = ome_metadata(self.streamed, coords, pictures)
        self._consolidate(root)
        return self.store.written

    def _write_rest(self, rest: xr.Dataset, group: str | None) -> None:
        """Coordinates, text and scalars: small, and encoded by xarray, which knows how to read them again."""
        plain = rest.drop_encoding()
        text = {n: v.astype(object) for n, v in plain.variables.items() if v.dtype.kind in "UOT"}
        for name, variable in text.items():
            _check_text(str(name), variable)
        plain = plain.assign({str(k): v for k, v in text.items()}) if text else plain
        encoding: dict[Any, dict[str, Any]] = {}
        for name, variable in plain.variables.items():
            itemsize = variable.dtype.itemsize or 8
            cut = layout(tuple(map(str, variable.dims)), variable.shape, itemsize)
            encoding[name] = {"compressors": codecs(variable.dtype), "_FillValue": None, **_pieces(cut, variable.ndim)}
        plain.to_zarr(self.store, group=group, mode="a", zarr_format=3, consolidated=False, encoding=encoding,
                      write_empty_chunks=True)

    def _write_levels(self, name: str, variable: xr.Variable) -> None:
        """The variable in one pass over its values; each coarser level from the one before."""
        axes = pyramid_axes(variable)
        shapes = level_shapes(variable.shape, axes)
        dims = tuple(map(str, variable.dims))
        label = is_label(variable)
        working, kept = working_dtype(variable), level_dtype(variable)
        paths = [name] + [f"{LEVELS}/{k}/{name}" for k in range(1, len(shapes))]
        source: Source | NDArray[Any] = Source(variable)
        dtype = variable.dtype.newbyteorder("=")
        for level, (path, shape) in enumerate(zip(paths, shapes, strict=True)):
            if level:
                self._level_group(level, dims, shape, axes)
            target, cut = self._array(path, dims, shape, dtype, variable.attrs)
            last = level == len(shapes) - 1
            coarser = None if last else _scratch(shapes[level + 1], working, self.folder)
            total = self._sum_of(variable) if level == 0 and is_spectrum_image(dims) else None
            for region in regions(shape, cut.unit, max(dtype.itemsize, working.itemsize if axes else 1)):
                if isinstance(source, Source):
                    block = source.read(region)
                    target[region] = block
                    self._advance(region, dtype)
                else:
                    block = source[region]
                    target[region] = stored(block, kept)
                if coarser is not None:
                    coarser[_half(region, axes)] = halved(block, axes, working, label=label)
                if total is not None:
                    total[region[:-1]] += block.sum(axis=-1, dtype=total.dtype)
            if total is not None:
                self._write_sum(name, variable, total)
            if coarser is not None:
                source, dtype = coarser, kept
        if axes:
            self.paths[name] = paths

    def _advance(self, region: tuple[slice, ...], dtype: np.dtype[Any]) -> None:
        self.done += size_of(region) * dtype.itemsize
        self.progress(min(1.0, self.done / self.total))

    def _array(self, path: str, dims: tuple[str, ...], shape: tuple[int, ...], dtype: np.dtype[Any],
               attrs: Mapping[str, Any]) -> tuple[Any, Layout]:
        cut = layout(dims, shape, dtype.itemsize)
        array = self.group.create_array(
            path, shape=shape, dtype=dtype, chunks=cut.chunks, shards=cut.shards, compressors=codecs(dtype),
            fill_value=math.nan if dtype.kind in "fc" else 0, dimension_names=dims, attributes=plain(attrs, path),
            config={"write_empty_chunks": True})
        return array, cut

    def _level_group(self, level: int, dims: tuple[str, ...], shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
        """A level is a Dataset of its own, with the coordinates of its pixels."""
        path = f"{LEVELS}/{level}"
        have = set(self.levels.setdefault(level, set()))
        coords = {}
        for axis, dim in enumerate(dims):
            if dim in self.data.coords and dim not in have:
                coord = self.data[dim].variable
                values = level_coordinate(coord.values, level)[:shape[axis]] if axis in axes else coord.values
                coords[dim] = xr.Variable((dim,), values, coord.attrs)
        self.levels[level].update(coords)
        if coords:
            self._write_rest(xr.Dataset(coords=coords), path)

    def _sum_of(self, variable: xr.Variable) -> NDArray[Any]:
        kind = np.dtype(np.int64 if variable.dtype.kind in "iub" else np.float64)
        return np.zeros(variable.shape[:-1], kind)

    def _write_sum(self, name: str, variable: xr.Variable, total: NDArray[Any]) -> None:
        dims = tuple(map(str, variable.dims))
        target, _ = self._array(f"{SUMS}/{name}", dims[:-1], total.shape, total.dtype, variable.attrs)
        target[...] = total

    def _consolidate(self, attrs: Mapping[str, Any]) -> None:
        """Put the metadata of every node into the root's, so that opening reads one file."""
        nodes = sorted(k.removesuffix("/" + METADATA) for k in self.store.written if k.endswith("/" + METADATA))
        members = {node: json.loads((self.folder / node / METADATA).read_bytes()) for node in nodes}
        root = {"attributes": dict(attrs), "zarr_format": 3, "node_type": "group",
                "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": members}}
        own = json.loads((self.folder / METADATA).read_bytes()).get("attributes", {})
        root["attributes"] = {**root["attributes"], **own}
        self.store.put(METADATA, json.dumps(root, ensure_ascii=False, allow_nan=False, indent=1).encode())


def _fits_ome(variable: xr.Variable) -> bool:
    """OME-Zarr knows two or three axes of space, and before them one of time and one other."""
    leading = [d for d in map(str, variable.dims) if d not in ("z", "y", "x")]
    return len([d for d in leading if d != "time"]) <= 1 and leading[:1] + leading[1:] == sorted(
        leading, key=lambda d: d != "time")


def _half(region: tuple[slice, ...], axes: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(s.start // 2, (s.stop + 1) // 2) if a in axes else s for a, s in enumerate(region))


def _scratch(shape: tuple[int, ...], dtype: np.dtype[Any], folder: Path) -> NDArray[Any]:
    if math.prod(shape) * dtype.itemsize <= SCRATCH:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(dir=folder.parent) as file:
        os.truncate(file.fileno(), math.prod(shape) * dtype.itemsize)
        return np.memmap(file, dtype=dtype, mode="r+", shape=shape)


def _pieces(cut: Layout, ndim: int) -> dict[str, Any]:
    if ndim == 0:
        return {}
    return {"chunks": cut.chunks, "shards": cut.shards} if cut.shards else {"chunks": cut.chunks}


def _check_text(name: str, variable: xr.Variable) -> None:
    odd = next((x for x in np.ravel(variable.values) if not isinstance(x, str)), None)
    if odd is not None:
        raise DatasetError(f"variable {name!r} holds {odd!r} ({type(odd).__name__}) among its text; the store keeps numbers, "
                           f"times, truth values and text: write \"\" where a text is missing")


def plain(value: Any, where: str) -> Any:
    """Attributes as JSON: numpy scalars become numbers, arrays lists, NaN and infinity null.

    Raises
    ------
    DatasetError
        If something is none of these; the message says where it is.
    """
    if isinstance(value, Mapping):
        return {str(k): plain(v, f"{where}[{str(k)!r}]") for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v, f"{where}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, np.ndarray):
        return plain(value.tolist(), where)
    if isinstance(value, np.generic):
        return plain(value.item(), where)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    raise DatasetError(f"attribute {where} is {value!r} ({type(value).__name__}); attributes are numbers, text, lists and "
                       f"dictionaries of these")
