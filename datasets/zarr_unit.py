"""One Dataset as one Zarr v3 folder: written in a single pass with its levels, and read without silent zeros."""

import json
import math
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore

from datasets.chunking import Layout, codecs, is_spectrum_image, layout
from datasets.durable import checksum, settled, sync_folder
from datasets.encoding import Pieces, array_metadata, chunk_files, group_metadata
from datasets.errors import DamagedStore, DatasetError, StoreError
from datasets.pyramid import (
    fits_ome,
    halve,
    is_label,
    level_coordinate,
    level_dtype,
    level_shapes,
    ome_metadata,
    pyramid_axes,
    working_dtype,
)
from datasets.streaming import Region, Source, regions, release

METADATA = "zarr.json"
NUMBERS = "iufcb"
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
    Path within the folder -> (sha256, size) of each file, as it was read back from the disk.

    Raises
    ------
    StoreError
        If other bytes come back from the disk than were written.
    """
    writer = _Writer(data, folder, progress)
    try:
        return writer.write(attrs)
    finally:
        writer.pool.shutdown(cancel_futures=True)
        writer.disk.shutdown(cancel_futures=True)
        writer.store.stop()


def open_unit(folder: Path, files: Mapping[str, Sequence[Any]], group: str | None = None,
              coords: Iterable[str] = ()) -> xr.Dataset:
    """Open a folder lazily, without dask.

    Parameters
    ----------
    files : path -> (sha256, size)
        What the folder must have.
    group
        A level, or the sums.
    coords
        What is a coordinate whatever CF says.

    Raises
    ------
    DamagedStore
        If the metadata are lost or altered. A chunk whose file is gone raises it when it is read, where Zarr alone would
        return zeros; an altered one fails its checksum.
    """
    ds = xr.open_zarr(PublishedFolder(folder, files), group=group, consolidated=group is None, chunks=None,
                      decode_timedelta=False)
    ds.attrs.pop("ome", None)
    text = {name: v.astype(object) for name, v in ds.variables.items() if isinstance(v.dtype, np.dtypes.StringDType)}
    ds = ds.set_coords([c for c in coords if c in ds.data_vars])
    opened: xr.Dataset = ds.assign({str(k): v for k, v in text.items()}) if text else ds
    return opened


class _RecordingFolder(LocalStore):
    """Remembers the checksum of what was handed to the disk: the witness of the read-back."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.written: dict[str, int] = {}
        self._busy = 0
        self._stopped = False
        self._turn = threading.Condition()

    async def set(self, key: str, value: Buffer) -> None:
        self._begin()
        try:
            self.written[key] = checksum(value.to_bytes())
            await super().set(key, value)
        finally:
            self._end()

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        await self.set(key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        self._begin()
        try:
            self.written[key] = checksum(value.to_bytes())
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

    def put(self, key: str, content: Pieces) -> int:
        """Write a file without Zarr, and return its checksum."""
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        crc = 0
        with path.open("wb", buffering=0) as file:
            for piece in content:
                crc = checksum(piece, crc)
                _write_all(file, piece)
        self.written[key] = crc
        return crc


class PublishedFolder(LocalStore):
    """A read-only folder that knows which files it must have, and what its metadata must be."""

    def __init__(self, root: Path, files: Mapping[str, Sequence[Any]]) -> None:
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
        if found is not None and key.endswith(METADATA) and sha256(found.to_bytes()).hexdigest() != self.files[key][0]:
            raise DamagedStore(f"{self.root / key} was altered: its sha256 is not the published one; a backup or a new import "
                               f"mends it")
        return found


class _Writer:
    def __init__(self, data: xr.Dataset, folder: Path, progress: Callable[[float], None]) -> None:
        self.data = data
        self.numbers = {str(n): v for n, v in data.variables.items() if v.dtype.kind in NUMBERS}
        self.store = _RecordingFolder(folder)
        self.disk = ThreadPoolExecutor(1)
        self.settling: dict[str, Future[tuple[str, int]]] = {}
        self.pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1))
        self.progress = progress
        self.total = max(1, sum(v.size * v.dtype.itemsize for v in self.numbers.values()))
        self.done = 0
        self.nodes: dict[str, dict[str, Any]] = {}
        self.paths: dict[str, list[str]] = {}

    def write(self, attrs: Callable[[], Mapping[str, Any]]) -> dict[str, tuple[str, int]]:
        self._write_rest(self.data.drop_vars(list(self.numbers)).reset_coords())
        for name, variable in self.numbers.items():
            self._write_levels(name, variable)
        self.progress(1.0)
        self._write_root(attrs())
        files = {key: self.settling[key].result() if key in self.settling else settled(self.store.root / key, crc)
                 for key, crc in self.store.written.items()}
        for path in sorted({self.store.root / parent for key in files for parent in Path(key).parents}):
            sync_folder(path)
        return files

    def _put(self, key: str, content: Pieces) -> None:
        """Hand a file to the disk; while the next is compressed, it is brought there and read back."""
        crc = self.store.put(key, content)
        self.settling[key] = self.disk.submit(settled, self.store.root / key, crc)

    def _write_rest(self, rest: xr.Dataset) -> None:
        """Text and times: small, and encoded by xarray, which knows how to read them again."""
        if not rest.variables:
            return
        rest = rest.drop_encoding().drop_attrs(deep=False)
        text = {}
        for n in [n for n, v in rest.variables.items() if v.dtype.kind in "UOT"]:
            text[str(n)] = rest.variables[n].astype(object)
            _check_text(str(n), text[str(n)])
        encoding: dict[Any, dict[str, Any]] = {}
        for name, variable in rest.variables.items():
            cut = layout(tuple(map(str, variable.dims)), variable.shape, variable.dtype.itemsize or 8)
            pieces = {"chunks": cut.chunks} if variable.ndim else {}
            encoding[name] = {"compressors": codecs(variable.dtype), "_FillValue": None, **pieces}
        rest.assign(text).to_zarr(self.store, mode="a", zarr_format=3, consolidated=False, encoding=encoding,
                                  write_empty_chunks=True)
        for key in list(self.store.written):
            node = key.removesuffix(METADATA).rstrip("/")
            if key.endswith(METADATA) and node:
                self.nodes[node] = json.loads((self.store.root / key).read_bytes())

    def _write_levels(self, name: str, variable: xr.Variable) -> None:
        """The variable in one pass over its values; each coarser level from the one before."""
        axes = () if name in self.data.coords else pyramid_axes(variable)
        shapes = level_shapes(variable.shape, axes)
        dims = tuple(map(str, variable.dims))
        label = is_label(variable)
        paths = [name] + [f"{LEVELS}/{k}/{name}" for k in range(1, len(shapes))]
        source: Source | NDArray[Any] = Source(variable)
        dtype = source.dtype
        total = _zero_sum(variable) if is_spectrum_image(dims) and name in self.data.data_vars else None
        for level, (path, shape) in enumerate(zip(paths, shapes, strict=True)):
            if level:
                self._level_coordinates(level, dims, shape, axes)
                dtype = level_dtype(variable)
            cut = self._array(path, dims, shape, dtype, variable.attrs)
            last = level == len(shapes) - 1
            coarser = None if last else _scratch(shapes[level + 1], working_dtype(variable), self.store.root)
            for region in regions(shape, cut.unit, dtype.itemsize):
                block = source.read(region) if isinstance(source, Source) else source[region]
                self._chunks(path, block, region, cut, dtype)
                if coarser is not None:
                    halve(block, axes, coarser[_half(region, axes)], label=label)
                    release(coarser)
                if level == 0:
                    self._advance(block.nbytes)
                    if total is not None:
                        total[region[:-1]] += block.sum(axis=-1, dtype=total.dtype)
                release(source.mapped if isinstance(source, Source) else source)
            if coarser is not None:
                source = coarser
        if total is not None:
            self._small(f"{SUMS}/{name}", xr.Variable(dims[:-1], total, variable.attrs))
        if axes:
            self.paths[name] = paths

    def _advance(self, nbytes: int) -> None:
        self.done += nbytes
        self.progress(min(1.0, self.done / self.total))

    def _level_coordinates(self, level: int, dims: tuple[str, ...], shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
        """A level is a Dataset of its own, with the coordinates of its pixels."""
        for axis, dim in enumerate(dims):
            path = f"{LEVELS}/{level}/{dim}"
            if path not in self.nodes and dim in self.data.coords and self.data[dim].dtype.kind in "iuf":
                coord = self.data[dim].variable
                values = level_coordinate(coord.values, level)[:shape[axis]] if axis in axes else coord.values
                self._small(path, xr.Variable((dim,), values, coord.attrs))

    def _small(self, path: str, variable: xr.Variable) -> None:
        """An array in memory."""
        dims, values = tuple(map(str, variable.dims)), np.asarray(variable.values)
        cut = self._array(path, dims, variable.shape, values.dtype, variable.attrs)
        for region in regions(variable.shape, cut.unit, values.itemsize):
            self._chunks(path, values[region], region, cut, values.dtype)

    def _array(self, path: str, dims: tuple[str, ...], shape: tuple[int, ...], dtype: np.dtype[Any],
               attrs: Mapping[str, Any]) -> Layout:
        cut = layout(dims, shape, dtype.itemsize)
        self._node(path, array_metadata(dims, shape, dtype, cut, plain(attrs, path)))
        return cut

    def _chunks(self, path: str, block: NDArray[Any], region: Region, cut: Layout, dtype: np.dtype[Any]) -> None:
        for key, content in chunk_files(block, region, cut, dtype, self.pool):
            self._put(f"{path}/{key}", content)

    def _node(self, path: str, metadata: dict[str, Any]) -> None:
        parent = path.rpartition("/")[0]
        if parent and parent not in self.nodes:
            self._node(parent, group_metadata({}))
        self.nodes[path] = metadata
        self._put(f"{path}/{METADATA}", _json(metadata))

    def _write_root(self, attrs: Mapping[str, Any]) -> None:
        """The root last, with the metadata of every node, so that opening reads one file."""
        own = dict(attrs)
        loose = [str(n) for n in self.data.coords if n not in self.data.dims and " " not in str(n)]
        if loose:
            own["coordinates"] = " ".join(loose)
        pictures = {n: p for n, p in self.paths.items() if fits_ome(self.numbers[n])}
        if pictures:
            own["ome"] = ome_metadata(self.numbers, self.numbers, pictures)
        order = {str(name): i for i, name in enumerate(self.data.variables)}
        members = {path: self.nodes[path] for path in sorted(self.nodes, key=lambda p: (order.get(p, len(order)), p))}
        consolidated = {"kind": "inline", "must_understand": False, "metadata": members}
        self._put(METADATA, _json({**group_metadata(own), "consolidated_metadata": consolidated}))


def _json(value: Any) -> Pieces:
    return [json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1).encode()]


def _write_all(file: FileIO, content: bytes) -> None:
    """The disk may take less than it is given at a time."""
    left = memoryview(content)
    while left:
        left = left[file.write(left):]


def _zero_sum(variable: xr.Variable) -> NDArray[Any]:
    return np.zeros(variable.shape[:-1], np.int64 if variable.dtype.kind in "iub" else np.float64)


def _half(region: Region, axes: tuple[int, ...]) -> Region:
    return tuple(slice(s.start // 2, (s.stop + 1) // 2) if a in axes else s for a, s in enumerate(region))


def _scratch(shape: tuple[int, ...], dtype: np.dtype[Any], folder: Path) -> NDArray[Any]:
    if math.prod(shape) * dtype.itemsize <= SCRATCH:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(dir=folder.parent) as file:  # has no name: the system removes it, even after a kill
        os.truncate(file.fileno(), math.prod(shape) * dtype.itemsize)
        return np.memmap(file, dtype=dtype, mode="r+", shape=shape)


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
