"""Arrays of numbers to the files of Zarr v3: metadata, and compressed chunks each with its checksum.

Zarr reads them all, but does not write them: its pipeline takes more than twice the CPU time of the compression proper, and
3 ms for each small array (docs/storage.md). The layout is that of the core specification and of the codecs `blosc`, `crc32c`
and `sharding_indexed` (https://zarr-specs.readthedocs.io/en/latest/v3/): the chunks of a shard one after the other, then
the offset and size of each as little-endian uint64, then the checksum of that index.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from typing import Any

import numpy as np
from numcodecs import Blosc
from numpy.typing import NDArray

from datasets.chunking import LEVEL, Layout
from datasets.durable import checksum
from datasets.pyramid import stored
from datasets.streaming import Region

Pieces = list[bytes]
"""The content of a file, in parts that need not be copied into one."""

ABSENT = 2**64 - 1
"""Offset and size of a chunk that lies wholly beyond the array's edge."""


def group_metadata(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """The `zarr.json` of a group."""
    return {"attributes": dict(attrs), "zarr_format": 3, "node_type": "group"}


def array_metadata(dims: tuple[str, ...], shape: tuple[int, ...], dtype: np.dtype[Any], cut: Layout,
                   attrs: Mapping[str, Any]) -> dict[str, Any]:
    """The `zarr.json` of an array; `attrs` are plain JSON."""
    crc = {"name": "crc32c"}
    whole = [{"name": "bytes", "configuration": {"endian": "little"}} if dtype.itemsize > 1 else {"name": "bytes"},
             {"name": "blosc", "configuration": {"typesize": dtype.itemsize, "cname": "zstd", "clevel": LEVEL,
                                                 "shuffle": "bitshuffle", "blocksize": 0}}, crc]
    index = [{"name": "bytes", "configuration": {"endian": "little"}}, crc]
    shards = [{"name": "sharding_indexed", "configuration": {
        "chunk_shape": list(cut.chunks), "codecs": whole, "index_codecs": index, "index_location": "end"}}]
    return {
        "shape": list(shape), "data_type": dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(cut.unit)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": _FILL.get(dtype.kind, 0), "codecs": shards if cut.shards else whole, "attributes": dict(attrs),
        "dimension_names": list(dims), "zarr_format": 3, "node_type": "array", "storage_transformers": [],
    }


_FILL: dict[str, Any] = {"f": "NaN", "c": ["NaN", "NaN"], "b": False}


def chunk_files(block: NDArray[Any], region: Region, cut: Layout, dtype: np.dtype[Any],
                pool: Executor) -> Iterator[tuple[str, Pieces]]:
    """The files of a region that is made of whole shards (or chunks, where there are no shards).

    Parameters
    ----------
    block
        Values of the region; they are rounded to `dtype`.
    region
        Its place in the array: starts at a multiple of `cut.unit`.
    pool
        Compresses several files at once.

    Yields
    ------
    Key within the array's folder, as `c/0/1`, and content in pieces.
    """
    grid = [range(s.start // u, math.ceil(s.stop / u)) for s, u in zip(region, cut.unit, strict=True)]
    places = list(itertools.product(*grid))

    def content(place: tuple[int, ...]) -> Pieces:
        starts = [i * u - s.start for i, u, s in zip(place, cut.unit, region, strict=True)]
        part = block[tuple(slice(a, a + u) for a, u in zip(starts, cut.unit, strict=True))]
        return _shard(part, cut, dtype) if cut.shards else _chunk(part, cut.chunks, dtype)

    for place, pieces in zip(places, pool.map(content, places), strict=True):
        yield "/".join(["c", *map(str, place)]), pieces


def _shard(part: NDArray[Any], cut: Layout, dtype: np.dtype[Any]) -> Pieces:
    counts = [u // c for u, c in zip(cut.unit, cut.chunks, strict=True)]
    present = [math.ceil(n / c) for n, c in zip(part.shape, cut.chunks, strict=True)]
    places = list(itertools.product(*map(range, present)))
    pieces = [part[tuple(slice(i * c, (i + 1) * c) for i, c in zip(place, cut.chunks, strict=True))] for place in places]
    contents = [_chunk(piece, cut.chunks, dtype) for piece in pieces]
    index = np.full((*counts, 2), ABSENT, "<u8")
    offset = 0
    for place, content in zip(places, contents, strict=True):
        size = sum(map(len, content))
        index[place] = offset, size
        offset += size
    return [*itertools.chain.from_iterable(contents), *_with_checksum(index.tobytes())]


def _chunk(values: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Pieces:
    """One chunk, which at the array's edge is filled up to its full shape."""
    whole = np.asarray(stored(values, dtype), order="C")
    if whole.shape != shape:
        whole = np.zeros(shape, dtype)
        whole[tuple(slice(0, n) for n in values.shape)] = stored(values, dtype)
    return _with_checksum(Blosc("zstd", LEVEL, Blosc.BITSHUFFLE).encode(whole))


def _with_checksum(content: bytes) -> Pieces:
    return [content, checksum(content).to_bytes(4, "little")]

