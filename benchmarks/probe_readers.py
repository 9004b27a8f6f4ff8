"""How fast files of scanning probes and atom probes are read and ions are ranged; rows of `readers.py`.

AFMReader is not in this environment: its way with WSxM, a `struct` call for each number, is done here.
"""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from datasets.formats import open_file
from datasets.formats.ions.apt_ions import POS
from datasets.ranging import UNRANGED, range_of
from datasets.writers import pos

IONS, WINDOWS = 10_000_000, 60
RRNG_SECONDS = 5e-3


def ions(folder: Path) -> Path:
    """Ten million ions of no particular needle."""
    path = folder / "ions.pos"
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        for _ in range(10):
            table = np.empty(IONS // 10, POS)
            for axis in "xyz":
                table[axis] = rng.normal(0, 20, table.size)
            table["mass_to_charge"] = rng.uniform(1, 100, table.size)
            table.tofile(file)
    return path


def opening_ions(path: Path) -> tuple[Callable[[], object], Callable[[], object]]:
    """Opening a run, its masses looked through for zeros, and reading its bytes with numpy."""
    return lambda: open_file(path), lambda: np.fromfile(path, ">f4")


def reading_ions(path: Path) -> tuple[Callable[[], object], Callable[[], object]]:
    """All four columns in native order, and the same by numpy."""
    def ours() -> None:
        for field in open_file(path)[0].fields.values():
            np.asarray(field.data)

    def plain() -> None:
        table = np.fromfile(path, ">f4").reshape(-1, 4)
        for column in table.T:
            column.astype("=f4")

    return ours, plain


def windows() -> tuple[np.ndarray, np.ndarray]:
    bounds = np.sort(np.random.default_rng(1).uniform(1, 100, 2 * WINDOWS)).reshape(WINDOWS, 2)
    return bounds[:, 0].copy(), bounds[:, 1].copy()


def ranging() -> tuple[Callable[[], np.ndarray], Callable[[], np.ndarray]]:
    """Ranges of ten million ions: ours, and one boolean mask for each window."""
    mass = np.random.default_rng(2).uniform(0, 110, IONS).astype(np.float32)
    starts, ends = windows()

    def masks() -> np.ndarray:
        found = np.full(mass.size, UNRANGED, np.int16)
        for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
            found[(mass >= start) & (mass < end)] = i
        return found

    return lambda: range_of(mass, starts, ends), masks


def range_file(folder: Path) -> Path:
    """Sixty ranges."""
    starts, ends = windows()
    return pos.write_ranges(folder / "sixty.rrng", [pos.Range(a, b, {"Li": 1}) for a, b in zip(starts, ends, strict=True)])


def wsxm_image(folder: Path) -> Path:
    """A scan of 512 x 512 whole numbers."""
    data = np.random.default_rng(3).integers(-5000, 5000, 512 * 512).astype("<i2")
    text = "\r\n".join(["WSxM file copyright WSxM solutions", "SxM Image file", "Image header size: 400", "[Control]", "",
                        "    X Amplitude: 500 nm", "    Y Amplitude: 500 nm", "", "[General Info]", "",
                        "    Image Data Type: short", "    Number of columns: 512", "    Number of rows: 512",
                        "    Z Amplitude: 59.7449 nm", "", "[Header end]", ""])
    path = folder / "scan.top"
    path.write_bytes(text.encode().ljust(400) + data.tobytes())
    return path


def one_by_one(path: Path) -> np.ndarray:
    """Heights number by number, as AFMReader 0.0.7 reads them."""
    with path.open("rb") as file:
        file.seek(400)
        rows = [[struct.unpack("<h", file.read(2))[0] for _ in range(512)] for _ in range(512)]
    return np.array(rows)
