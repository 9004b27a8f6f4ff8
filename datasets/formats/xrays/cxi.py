"""CXI, the coherent X-ray imaging format (.cxi, HDF5): reconstructed images and the diffraction patterns behind them.

Source: cxidb.org, "The CXI file format" 1.6 (not open here; as the NeXus definition NXcxi_ptycho, cdtools 0.3.2, xanespy and
PyNX's documentation describe it; no file was to be had). Everything is in SI units.

- `entry_N/image_M/data` is an image or a volume, complex where its phase was retrieved, `image_size` the length of its sides.
  COSMIC (ALS) keeps the pixel in nm under `process_1/Param/pixnm` and the sum of each pattern as `detector_1/STXM`.
- `entry_N/object/data` and `probe/data` of PyNX (mode, y, x), with `x_pixel_size`, `y_pixel_size` in m.
- `entry_N/data_M/data`, or else `instrument_1/detector_M/data` (position, y, x), are patterns; `translation` x, y, z of the
  sample stands beside them or in `sample_1/geometry_1`. Links of one dataset are read once.
- `instrument_1/source_1/energy` is that of a photon in J.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.hdf5_array import plain
from datasets.formats.hdf5_layout import told_by_groups
from datasets.formats.signal import Format, Signal
from datasets.formats.xrays.photon_energy import HIGHEST_EV, LOWEST_EV
from datasets.formats.xrays.ptychography import image, is_array, patterns

JOULE_PER_EV = 1.602176634e-19
NM_PER_M = 1e9
WORDS = ("experiment_identifier", "experiment_description", "program_name", "sample_1/name")


def read(path: Path) -> tuple[Signal, ...]:
    """Images, objects, probes and patterns of every entry.

    Raises
    ------
    UnreadableFile
        If there are none, or an array promises more than the file holds.
    """
    found: list[Signal] = []
    with h5py.File(path, "r") as file:
        for name in _numbered(file, "entry"):
            found += _entry(path, file[name], name)
    if not found:
        raise UnreadableFile(path, "holds neither an image nor patterns")
    return tuple(found)


def _entry(path: Path, entry: h5py.Group, name: str) -> Iterator[Signal]:
    about, conditions = _about(entry)
    title = str(plain(entry.get("title")) or plain(entry.get("sample_1/name")) or path.stem)
    seen: set[Any] = set()
    for inner in _numbered(entry, "image"):
        group = entry[inner]
        if is_array(item := group.get("data"), 2, 3):
            kind = "" if plain(group.get("data_space")) in ("fourier", "diffraction") else "ptychography"
            seen.add(h5py.h5o.get_info(item.id).addr)
            yield image(path, item, title, "z", _pixel_of_image(entry, group, item), kind,
                        {**about, "image": f"{name}/{inner}"}, conditions)
    for inner, kind in (("object", "ptychography"), ("probe", "ptychography probe")):
        group = entry.get(inner)
        if isinstance(group, h5py.Group) and is_array(item := group.get("data"), 2, 3):
            pixel = [_length_nm(group, f"{axis}_pixel_size") for axis in "yx"]
            yield image(path, item, f"{title} {inner}", "mode", pixel, kind, {**about, "image": f"{name}/{inner}"}, conditions)
    detectors = [entry[f"instrument_1/{inner}"] for inner in _numbered(entry.get("instrument_1"), "detector")]
    for group in (*(entry[inner] for inner in _numbered(entry, "data")), *detectors):
        item = group.get("data")
        if is_array(item, 3) and item.dtype.kind != "c" and h5py.h5o.get_info(item.id).addr not in seen:
            seen.add(h5py.h5o.get_info(item.id).addr)
            places = _places(group, entry.get("sample_1/geometry_1"), *detectors)
            yield patterns(path, [item], f"{title} patterns", places, about, conditions)
        if is_array(item := group.get("STXM"), 2):
            yield image(path, item, f"{title} STXM", "frame", (), "STXM", about, conditions)


def _about(entry: h5py.Group) -> tuple[dict[str, Any], dict[str, Any]]:
    about: dict[str, Any] = {key: value for key in WORDS if isinstance(value := plain(entry.get(key)), str)}
    detector = entry.get("instrument_1/detector_1")
    if isinstance(detector, h5py.Group):
        about |= {f"detector_{key}_m": value for key in ("distance", "x_pixel_size", "y_pixel_size")
                  if isinstance(value := plain(detector.get(key)), int | float)}
    conditions: dict[str, Any] = {}
    energy = plain(entry.get("instrument_1/source_1/energy"))
    if isinstance(energy, int | float):
        # COSMIC and some others write eV, which cannot be J: a photon has 1e-17 to 1e-14 J
        eV = float(energy) if LOWEST_EV <= energy <= HIGHEST_EV else float(energy) / JOULE_PER_EV
        if LOWEST_EV <= eV <= HIGHEST_EV:
            conditions["photon_energy_eV"] = eV
            about["photon_energy_source"] = "metadata"
    if isinstance(when := plain(entry.get("start_time")), str) and when:
        conditions["acquired"] = when
    return about, conditions


def _pixel_of_image(entry: h5py.Group, group: h5py.Group, item: h5py.Dataset) -> list[float]:
    """Pixel in nm along the axes of an image."""
    nm = plain(entry.get("process_1/Param/pixnm"))
    if isinstance(nm, int | float) and nm > 0:
        return [float(nm)] * 2
    size = plain(group.get("image_size"))
    if isinstance(size, list) and len(size) >= item.ndim and all(isinstance(one, int | float) for one in size[:item.ndim]):
        # x comes first in CXI, and last in the array
        return [one * NM_PER_M / count for one, count in zip(size[:item.ndim][::-1], item.shape, strict=True)]
    return [_length_nm(group, f"{axis}_pixel_size") for axis in "yx"]


def _length_nm(group: h5py.Group, name: str) -> float:
    value = plain(group.get(name))
    return float(value) * NM_PER_M if isinstance(value, int | float) and value > 0 else 0.0


def _places(*groups: Any) -> NDArray[np.float64] | None:
    """Y and x of the beam on the sample in nm: the sample moves, so the beam goes the other way."""
    for group in groups:
        item = group.get("translation") if isinstance(group, h5py.Group) else None
        if item is not None and is_array(item, 2) and item.shape[1] in (2, 3) and item.dtype.kind != "c":
            return np.asarray(-np.asarray(item[()], np.float64)[:, 1::-1] * NM_PER_M)
    return None


def _numbered(parent: Any, word: str) -> list[str]:
    """Groups of a name and a number, in their order."""
    if not isinstance(parent, h5py.Group):
        return []
    found = [name for name in parent if name.startswith(f"{word}_") and name.removeprefix(f"{word}_").isdigit()
             and isinstance(parent.get(name), h5py.Group)]
    return sorted(found, key=lambda name: int(name.removeprefix(f"{word}_")))


def recognises(head: bytes, path: Path) -> bool:
    """HDF5 that states a version of CXI, or names its groups as CXI does under the suffix of CXI."""
    return told_by_groups(head, path, is_cxi, False)


def is_cxi(file: h5py.File) -> bool:
    """Whether an open file says that it is CXI."""
    named = Path(file.filename).suffix.lower() == ".cxi"
    return bool(_numbered(file, "entry")) and ("cxi_version" in file or named)


def example(folder: Path) -> Path:
    """A complex image of 6 x 8 pixels of 5 nm, and its patterns at four places."""
    path = folder / "example.cxi"
    y, x = np.mgrid[:6, :8]
    with h5py.File(path, "w") as file:
        file["cxi_version"] = 160
        file["entry_1/image_1/data"] = (1 + x) * np.exp(0.1j * y)
        file["entry_1/image_1/image_size"] = [8 * 5e-9, 6 * 5e-9]
        file["entry_1/instrument_1/source_1/energy"] = 8333.0 * JOULE_PER_EV
        file["entry_1/instrument_1/detector_1/data"] = np.arange(4 * 5 * 7, dtype=np.uint16).reshape(4, 5, 7)
        file["entry_1/data_1/data"] = h5py.SoftLink("/entry_1/instrument_1/detector_1/data")
        file["entry_1/sample_1/geometry_1/translation"] = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [1, 2, 0]]) * 1e-7
    return path


CXI = Format(name="cxi", suffixes=frozenset({".cxi", ".h5", ".hdf5"}), recognises=recognises, read=read, version="1",
             example=example)
