"""How fast readers are, as ratios to a plainer or another program's reading of the same bytes within one run.

    python benchmarks/readers.py [--only WORD] [--rounds 20]

A row is a function that takes a folder and returns its `Row`s; add one and name it in ROWS. Both sides of a ratio run in turn,
round by round, files in the page cache; the best CPU time of each counts, since others on the machine disturb wall time most.
Exits with 1 if a row is above its limit.
"""

import argparse
import shutil
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fastnda
import numpy as np
import pandas as pd
import probe_readers
import tifffile
from galvani import BioLogic

from datasets.acquisition import read_acquisitions
from datasets.formats import open_file
from datasets.formats.cells import biologic
from datasets.writers import mrc

SIZE = 4096
"""Pixels along each side of the images: 32 MiB of uint16."""
REAL_CELLS = Path(__file__).parents[2] / "shared" / "data" / "echem"
SHORTEST_S = 0.015
"""Files that another program reads faster than this are left out: threads and clocks disturb them more than readers differ."""


@dataclass(frozen=True)
class Row:
    """One comparison: ours over theirs, which must not be above the limit."""

    name: str
    ratio: float
    limit: float
    detail: str = ""

    @property
    def holds(self) -> bool:
        return self.ratio <= self.limit


def fastest(*actions: Callable[[], object], rounds: int) -> tuple[float, ...]:
    """Best CPU seconds of each action; they take turns, and the first turn warms the caches."""
    best = [np.inf] * len(actions)
    for turn in range(rounds + 1):
        for i, action in enumerate(actions):
            start = time.process_time()
            action()
            if turn:
                best[i] = min(best[i], time.process_time() - start)
    return tuple(best)


def peak_bytes(action: Callable[[], object]) -> int:
    """Most memory that Python and numpy held at once during an action."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def image_against_memmap(path: Path, image: np.ndarray, data_offset: int, rounds: int) -> list[Row]:
    """Open and load an image, over copying the same bytes out of a memory map; and what it takes at most."""
    def ours() -> None:
        ds, = read_acquisitions(path)
        ds.load()

    def theirs() -> None:
        np.array(np.memmap(path, image.dtype, mode="r", offset=data_offset, shape=image.shape))

    ds, = read_acquisitions(path)
    assert np.array_equal(ds.intensity.to_numpy(), image)
    mine, plain = fastest(ours, theirs, rounds=rounds)
    kind = f"{path.suffix[1:]} {image.shape[0]}² {image.dtype}"
    return [Row(f"{kind}: read over memmap copy", mine / plain, 1.5, f"{1e3 * mine:.0f} over {1e3 * plain:.0f} ms"),
            Row(f"{kind}: peak memory over its pixels", peak_bytes(ours) / image.nbytes, 1.2)]


def tiff_image(folder: Path, rounds: int) -> list[Row]:
    image, path = _image(), folder / "image.tif"
    tifffile.imwrite(path, image)
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[0].dataoffsets[0]
    return image_against_memmap(path, image, offset, rounds)


def mrc_image(folder: Path, rounds: int) -> list[Row]:
    image = _image()
    path = mrc.write(folder / "image.mrc", image, pixel_size_nm=(0.1, 0.1))
    return image_against_memmap(path, image, 1024, rounds)


def biologic_table(folder: Path, rounds: int) -> list[Row]:
    """A long .mpr as our signal, over galvani's structured array as a table of columns, and over that array alone."""
    path = biologic.example(folder, points=1_000_000)

    def columns() -> None:
        pd.DataFrame(BioLogic.MPRfile(str(path)).data)

    mine, table, bare = fastest(lambda: open_file(path), columns, lambda: BioLogic.MPRfile(str(path)), rounds=rounds)
    return [Row("mpr 1e6 points: over galvani, as columns", mine / table, 1.0, f"{1e3 * mine:.0f} over {1e3 * table:.0f} ms"),
            Row("mpr 1e6 points: over galvani, as bytes", mine / bare, 1.0, f"{1e3 * mine:.0f} over {1e3 * bare:.0f} ms")]


def neware_archives(folder: Path, rounds: int) -> list[Row]:
    """Real .ndax files over fastnda's own reading; none where the real files are not to be had."""
    del folder
    rows = []
    for path in sorted(REAL_CELLS.glob("*.ndax")) if REAL_CELLS.is_dir() else []:
        mine, theirs = fastest(lambda p=path: open_file(p), lambda p=path: fastnda.read(p), rounds=min(rounds, 10))
        if theirs > SHORTEST_S:
            rows.append(Row(f"ndax {path.stem[:24]}: over fastnda", mine / theirs, 1.15,
                            f"{1e3 * mine:.0f} over {1e3 * theirs:.0f} ms"))
    return rows


def _image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 1 << 16, (SIZE, SIZE), np.uint16)


def atom_probe_ions(folder: Path, rounds: int) -> list[Row]:
    path = probe_readers.ions(folder)
    found = []
    for name, (ours, plain) in (("open 10 million ions / fromfile", probe_readers.opening_ions(path)),
                                ("read their columns / fromfile and columns", probe_readers.reading_ions(path))):
        fast, slow = fastest(ours, plain, rounds=min(rounds, 5))
        found.append(Row(f"pos: {name}", fast / slow, 2.0, f"{fast * 1e3:.0f} ms"))
    return found


def atom_probe_ranging(folder: Path, rounds: int) -> list[Row]:
    del folder
    ours, masks = probe_readers.ranging()
    same = np.array_equal(ours(), masks())
    fast, slow = fastest(ours, masks, rounds=min(rounds, 3))
    detail = f"{fast * 1e3:.0f} ms, " + ("the same ranges" if same else "OTHER RANGES")
    return [Row("ranging 10 million ions / 60 masks", fast / slow, 0.1, detail)]


def atom_probe_ranges(folder: Path, rounds: int) -> list[Row]:
    path = probe_readers.range_file(folder)
    (seconds,) = fastest(lambda: open_file(path), rounds=rounds)
    return [Row("rrng of 60 ranges / 5 ms", seconds / probe_readers.RRNG_SECONDS, 1.0, f"{seconds * 1e3:.2f} ms")]


def wsxm_scan(folder: Path, rounds: int) -> list[Row]:
    path = probe_readers.wsxm_image(folder)
    fast, slow = fastest(lambda: open_file(path), lambda: probe_readers.one_by_one(path), rounds=min(rounds, 5))
    return [Row("WSxM 512 x 512 / number by number", fast / slow, 0.1, f"{fast * 1e3:.2f} ms")]


ROWS: tuple[Callable[[Path, int], list[Row]], ...] = (
    tiff_image,
    mrc_image,
    atom_probe_ions,
    atom_probe_ranging,
    atom_probe_ranges,
    wsxm_scan,
    biologic_table,
    neware_archives,
)
"""Every comparison: takes an empty folder and the number of rounds."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="part of the name of a function in ROWS")
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    print(f"{'':44}{'ratio':>8}{'limit':>8}")
    failed = False
    for measure in (m for m in ROWS if given.only in m.__name__):
        folder = Path(tempfile.mkdtemp(prefix="bench-readers-"))
        try:
            rows = measure(folder, given.rounds)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        for row in rows:
            failed |= not row.holds
            print(f"{row.name:44}{row.ratio:8.2f}{row.limit:8.2f}  {'' if row.holds else 'ABOVE '}{row.detail}".rstrip())
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
