"""TopoStats results (.topostats, HDF5): the flattened height of a scan, and beside it the scan before flattening.

As TopoStats 2 writes it: `topostats_file_version`, `image` in nm, `pixel_to_nm_scaling`; from version 0.2 on `image` is
flattened and `image_original` is not, and there are groups of grains, traces and statistics. Those are results of an analysis,
not a measurement: a warning names them.
"""

from pathlib import Path

import h5py
import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.hdf5_array import StoredArray, is_numeric, plain
from datasets.formats.hdf5_layout import told_by_groups
from datasets.formats.probes.scan_image import Channel, signals
from datasets.formats.signal import Format, Signal

VERSION, HEIGHT, BEFORE, SCALE = "topostats_file_version", "image", "image_original", "pixel_to_nm_scaling"
KNOWN = (VERSION, HEIGHT, BEFORE, SCALE, "filename", "img_path")


def read(path: Path) -> tuple[Signal, ...]:
    """The heights of a scan.

    Raises
    ------
    UnreadableFile
        If there is no image.
    """
    with h5py.File(path, "r") as file:
        images = {name: item for name in (HEIGHT, BEFORE) if is_numeric(item := file.get(name)) and item.ndim == 2}
        if HEIGHT not in images:
            raise UnreadableFile(path, "holds no image")
        scale = plain(file.get(SCALE)) if isinstance(file.get(SCALE), h5py.Dataset) else None
        step = float(scale) if isinstance(scale, int | float) and np.isfinite(scale) and scale > 0 else 0.0
        title = plain(file["filename"]) if isinstance(file.get("filename"), h5py.Dataset) else None
        about = {name: value for name in (VERSION, "img_path") if isinstance(file.get(name), h5py.Dataset)
                 and isinstance(value := plain(file[name]), str | int | float)}
        channels = [Channel("height" if name == HEIGHT else "height before flattening", StoredArray(path, item)[()], "nm",
                            (step, step), "nm") for name, item in images.items()]
        left = sorted(name for name in file if name not in KNOWN)
    remarks = [f"results of an analysis in the file are left out: {', '.join(left)}"] if left else []
    if BEFORE in images:
        remarks.insert(0, "the height was flattened by TopoStats; the scan before that stands beside it")
    return signals(path, channels, title=title if isinstance(title, str) else "", metadata=about, remarks=remarks)


def recognises(head: bytes, path: Path) -> bool:
    """HDF5 that states the version of TopoStats' layout."""
    return told_by_groups(head, path, lambda file: VERSION in file and HEIGHT in file, False)


def example(folder: Path) -> Path:
    """A slope of 16 rows and 24 columns, 2 nm a pixel."""
    path = folder / "example.topostats"
    with h5py.File(path, "w") as file:
        file[HEIGHT] = np.arange(16 * 24.0).reshape(16, 24)
        file[BEFORE] = 100 + np.arange(16 * 24.0).reshape(16, 24)
        file[SCALE], file[VERSION], file["filename"] = 2.0, 0.2, "slope"
        file["grain_masks/above"] = np.zeros((16, 24), np.int32)
    return path


TOPOSTATS = Format(name="topostats", suffixes=frozenset({".topostats"}), recognises=recognises, read=read, version="1",
                   example=example)
