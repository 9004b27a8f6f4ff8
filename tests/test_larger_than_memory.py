"""Files ten times larger than the memory a process may have are imported whole, a part at a time.

The files are sparse: nothing of them is on the disk but a header and a last value, and all else is zeros.
"""

import os
import struct
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import datasets
from datasets.formats.electrons import edax_patterns
from datasets.formats.electrons.rosetta_examples import blockfile_example
from datasets.writers import mrc

SIZE, LIMIT = 5 << 30, 512 << 20
"""Bytes of a file, and of memory that the process that imports it may have."""

IMPORT = """
import resource, sys
from pathlib import Path
from datasets.acquisition import read_acquisitions
from datasets.store import Store
resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[3]),) * 2)
path = Path(sys.argv[1])
ds, = read_acquisitions(path)
store = Store(sys.argv[2], create=True)
store.publish("a/b", ds, kind="acquisition", raw=path)
values = store.open("a/b")[next(iter(ds.data_vars))]
print(values.nbytes, float(values[(-1,) * (values.ndim - 2)].max()))
"""


def ended(path: Path, size: int, last: bytes) -> Path:
    """Make a file as long as its header promises, with these bytes at its end."""
    with path.open("r+b") as file:
        file.truncate(size)
        file.seek(size - len(last))
        file.write(last)
    return path


def image_stack(folder: Path, *, volume: bool = False) -> Path:
    path = mrc.write(folder / "a.mrc", np.zeros((1, 2048, 2048), np.uint16), pixel_size_nm=(0.1, 0.1),
                     z_step_nm=0.1 if volume else None)
    images = SIZE // (2 * 2048 * 2048)
    with path.open("r+b") as file:
        for at in (8, 36):
            file.seek(at)
            file.write(struct.pack("<i", images))
        if volume:
            file.seek(48)
            file.write(struct.pack("<f", images))
    return ended(path, 1024 + 2 * 2048 * 2048 * images, b"\7\0")


def diffraction(folder: Path) -> Path:
    small, side, pixels = blockfile_example(folder), 287, 256
    head = bytearray(small.read_bytes())
    offset, = struct.unpack("<I", head[12:16])
    head[20:22], head[24:28] = struct.pack("<H", pixels), struct.pack("<2H", side, side)
    path = folder / "large.blo"
    path.write_bytes(head[:offset])
    return ended(path, offset + side * side * (pixels * pixels + 6), b"\7")


def patterns(folder: Path) -> Path:
    side, width, height = 188, 320, 240
    path = folder / "a.up2"
    path.write_bytes(edax_patterns.FIRST_HEADER.pack(3, width, height, 42)
                     + edax_patterns.MAP_HEADER.pack(side, side, False, 1.0, 1.0))
    return ended(path, 42 + 2 * side * side * width * height, b"\7\0")


def hdf5(folder: Path) -> Path:
    path = folder / "a.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("stack", (SIZE >> 23, 2048, 2048), np.uint16, chunks=(4, 256, 256), compression="gzip",
                                   compression_opts=1)
        for first in range(0, data.shape[0], 4):
            data[first:first + 4] = 0
        data[-1, -1, -1] = 7
    return path


@pytest.mark.slow
@pytest.mark.parametrize("written", [image_stack, lambda f: image_stack(f, volume=True), diffraction, patterns, hdf5],
                         ids=["mrc stack", "mrc volume", "4D blockfile", "EBSD patterns", "compressed HDF5"])
def test_a_file_ten_times_larger_than_memory_is_imported(tmp_path, written):
    path = written(tmp_path)
    root = Path(datasets.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", IMPORT, str(path), str(tmp_path / "store"), str(LIMIT)], capture_output=True,
                          text=True, env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}, check=False)
    assert done.returncode == 0, done.stderr[-600:]
    nbytes, last = done.stdout.split()
    assert int(nbytes) >= 10 * LIMIT
    assert float(last) == 7.0
