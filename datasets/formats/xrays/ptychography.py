"""Ptychography: complex images as modulus and phase, and the diffraction patterns that they were reconstructed from.

A pattern is no image of the specimen: patterns arrive as `unknown`, one for each position, the places of the beam beside them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dask.array
import h5py
import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.contiguous import lazily
from datasets.formats.hdf5_array import StoredArray
from datasets.formats.signal import Axis, Field, Signal

da: Any = dask.array
"""Dask's functions are not typed."""
AT_ONCE_BYTES = 16 << 20
COMPLEX = "the image is complex: intensity is its modulus, phase_shift its phase"


def is_array(item: Any, *dimensions: int) -> bool:
    """Whether an item is a dataset of numbers, complex ones too, of so many dimensions."""
    return isinstance(item, h5py.Dataset) and item.dtype.kind in "biufc" and item.shape is not None and item.size > 0 and (
        item.ndim in dimensions)


def image(path: Path, item: h5py.Dataset, title: str, leading: str, pixel_nm: Sequence[float], kind: str,
          about: Mapping[str, Any], conditions: Mapping[str, Any], unit: str = "") -> Signal:
    """An image, or a stack of them along the axis `leading`.

    Parameters
    ----------
    pixel_nm : of the last axes; those without a positive number stay uncalibrated
    """
    data = StoredArray(path, item)[()]
    if item.ndim == 3 and data.shape[0] == 1:
        data = data[0]
    fields = {"data": Field(data, unit)}
    remarks: tuple[str, ...] = ()
    if data.dtype.kind == "c":
        fields, remarks = {"data": Field(np.abs(data)), "phase_shift": Field(np.angle(data), "rad")}, (COMPLEX,)
    names = [leading, "y", "x"][3 - data.ndim:]
    steps = [0.0] * (data.ndim - len(pixel_nm)) + list(pixel_nm)[-data.ndim:]
    axes = [Axis.even(name, size, step, 0.0, "nm") if np.isfinite(step) and step > 0 else Axis.even(name, size, 1.0)
            for name, size, step in zip(names, data.shape, steps, strict=True)]
    return Signal(title, tuple(axes), fields, path, about, conditions, kind, remarks)


def patterns(path: Path, items: Sequence[h5py.Dataset], title: str, places_nm: NDArray[np.float64] | None,
             about: Mapping[str, Any], conditions: Mapping[str, Any], remarks: Sequence[str] = ()) -> Signal:
    """Diffraction patterns of one or more datasets (position, y, x), read when they are used.

    Parameters
    ----------
    places_nm : (position, 2) y and x of the beam
    """
    shapes = {item.shape[1:] for item in items}
    if len(shapes) != 1:
        raise UnreadableFile(path, f"its patterns have {len(shapes)} different sizes")
    stored = [StoredArray(path, item) for item in items]
    count = sum(array.shape[0] for array in stored)
    if sum(array.nbytes for array in stored) <= AT_ONCE_BYTES:
        data: Any = np.concatenate([array[()] for array in stored])
    else:
        data = da.concatenate([lazily(array) for array in stored])
    said = list(remarks)
    if places_nm is not None and len(places_nm) != count:
        said.append(f"{len(places_nm)} places are stated for {count} patterns: they are not used")
        places_nm = None
    also = {} if places_nm is None else {"position_y": (places_nm[:, 0], "nm"), "position_x": (places_nm[:, 1], "nm")}
    size = shapes.pop()
    axes = (Axis("position", np.arange(float(count)), "", also), Axis.even("detector_y", size[0], 1.0),
            Axis.even("detector_x", size[1], 1.0))
    return Signal(title, axes, {"data": Field(data)}, path, about, conditions, "X-ray diffraction patterns", tuple(said))
