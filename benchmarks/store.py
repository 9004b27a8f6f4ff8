"""What the store costs, as ratios within one run, since the machine may be busy.

    python benchmarks/store.py [--size 8192] [--units 2000]

publish   CPU time of `Store.publish` (levels, read-back, hash of the raw file and of every stored file) over that of writing
          the same array through plain Zarr with the same codec, chunks and shards; and the same of the wall time, where
          the plain files are brought to the disk, too
open      one acquisition among many, over one among twenty
tile      CPU time of a 512² window of the stored image
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
import zarr

from datasets.chunking import codecs, layout
from datasets.manifest import Reference, digest
from datasets.store import Store

REPEATS = 5


def cpu(action: Callable[[], object]) -> float:
    return times(action)[0]


def times(action: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall seconds."""
    start = time.process_time(), time.perf_counter()
    action()
    return time.process_time() - start[0], time.perf_counter() - start[1]


def publish(folder: Path, size: int, dtype: str, units: str) -> tuple[float, float, float, float, float]:
    """Ratio of the best CPU times, extremes of the ratio over pairs of runs, ratio of the best wall times, MiB per CPU second.

    The best of several runs is the one that others on the machine disturbed least.
    """
    raw = folder / "raw.bin"
    rng = np.random.default_rng(0)
    (2000 + 45 * rng.standard_normal((size, size), dtype=np.float32)).astype(dtype).tofile(raw)
    data = np.memmap(raw, dtype, mode="r", shape=(size, size))
    axis = 0.5 * np.arange(size)
    ds = xr.Dataset({"intensity": (("y", "x"), data, {"units": units})}, {d: (d, axis, {"units": "nm"}) for d in "yx"})
    cut = layout(("y", "x"), data.shape, data.itemsize)

    def plain() -> None:
        shutil.rmtree(folder / "plain.zarr", ignore_errors=True)
        array = zarr.create_array(folder / "plain.zarr", shape=data.shape, dtype=data.dtype, chunks=cut.chunks,
                                  shards=cut.shards, compressors=codecs(data.dtype), config={"write_empty_chunks": True})
        array[...] = data

    def synced() -> None:
        plain()
        for path in (folder / "plain.zarr").rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())

    def whole() -> None:
        shutil.rmtree(folder / "study", ignore_errors=True)
        Store(folder / "study", create=True).publish("u", ds, kind="acquisition", raw=raw)

    plain()
    whole()
    runs = [(cpu(plain), times(synced)[1], times(whole)) for _ in range(REPEATS)]
    ratios = [w[0] / p for p, _, w in runs]
    best = min(w[0] for _, _, w in runs)
    wall = min(w[1] for _, _, w in runs) / min(s for _, s, _ in runs)
    return (best / min(p for p, _, _ in runs), min(ratios), max(ratios), wall,
            data.nbytes / 2**20 / best)


def tiles(store: Store, size: int) -> tuple[float, float, float]:
    """Milliseconds of CPU of a window of the open image (aligned to chunks, and anywhere), and with opening it."""
    rng = np.random.default_rng(1)
    image = store.open("u").intensity

    def window(corner: np.ndarray) -> None:
        image[corner[0]:corner[0] + 512, corner[1]:corner[1] + 512].to_numpy()

    aligned = [cpu(partial(window, c)) for c in 512 * rng.integers(size // 512, size=(40, 2))]
    anywhere = [cpu(partial(window, c)) for c in rng.integers(size - 512, size=(40, 2))]
    opened = [cpu(lambda: store.open("u").intensity[512:1024, 512:1024].to_numpy()) for _ in range(20)]
    return tuple(1e3 * statistics.median(t) for t in (aligned, anywhere, opened))  # type: ignore[return-value]


def study_of(folder: Path, units: int) -> Store:
    """A study of many acquisitions: one is published, the others are its copies under other names."""
    store = Store(folder, create=True)
    axis = 0.5 * np.arange(256)
    image = xr.Dataset({"intensity": (("y", "x"), np.ones((256, 256), "u2"), {"units": "count"})},
                       {d: (d, axis, {"units": "nm"}) for d in "yx"}, {"sample": "A0", "technique": "stem_image"})
    version = store.publish("A0/haadf-0", image, kind="acquisition").version
    objects = folder / "objects"
    manifest = json.loads((objects / "A0/haadf-0" / f"{version}.json").read_bytes())
    for i in range(1, units):
        unit = f"A{i // 10}/haadf-{i}"
        shutil.copytree(objects / "A0/haadf-0", objects / unit)
        content = json.dumps({**manifest, "unit": unit}).encode()
        (objects / unit / f"{version}.json").write_bytes(content)
        (folder / "refs" / f"A{i // 10}").mkdir(exist_ok=True)
        (folder / "refs" / f"{unit}.json").write_bytes(Reference(unit, ((version, digest(content)),)).to_bytes())
    store.catalogue()
    return store


def opening(store: Store, units: int) -> tuple[float, float]:
    """Milliseconds of CPU to make a Store and open one unit, and to read the catalogue."""
    names = [f"A{i // 10}/haadf-{i}" for i in np.random.default_rng(2).integers(1, units, 30)]
    opened = [cpu(lambda name=name: Store(store.root).open(name)) for name in names]
    listed = [cpu(lambda: Store(store.root).catalogue()) for _ in range(7)]
    return 1e3 * statistics.median(opened), 1e3 * statistics.median(listed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=8192)
    parser.add_argument("--units", type=int, default=2000)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-store-"))
    try:
        print(f"{'publish':32}{'CPU ratio':>10}{'range':>12}{'wall ratio':>12}{'MiB/CPU s':>11}")
        for dtype, units in (("float32", "arbitrary"), ("uint16", "count"), ("uint16", "arbitrary")):
            ratio, low, high, wall, speed = publish(folder, given.size, dtype, units)
            print(f"{f'{given.size}² {dtype}, {units}':32}{ratio:10.2f}{f'{low:.2f}-{high:.2f}':>12}{wall:12.2f}{speed:11.0f}")
        aligned, anywhere, opened = tiles(Store(folder / "study"), given.size)
        print(f"512² tile of {given.size}²: {aligned:.1f} CPU ms on chunk borders, {anywhere:.1f} anywhere, "
              f"{opened:.1f} with opening")
        few, few_listed = opening(study_of(folder / "few", 20), 20)
        many, many_listed = opening(study_of(folder / "many", given.units), given.units)
        print(f"open one of {given.units}: {many:.1f} CPU ms, one of 20: {few:.1f}, ratio {many / few:.2f}")
        print(f"catalogue of {given.units}: {many_listed:.1f} CPU ms, of 20: {few_listed:.1f}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
