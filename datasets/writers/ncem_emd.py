"""NCEM (Berkeley) EMD 0.2 in HDF5: images, spectrum images, any labelled block.

Source: https://emdatasets.com/format (not opened here; checked by reading back with RosettaSciIO and ncempy). A block
written (y, x, energy) comes back from RosettaSciIO as (energy, x, y) with names and units intact: match axes by name.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from datasets.writers import SYNTHETIC


def write(path: str | Path, data: npt.NDArray[Any], dims: Sequence[tuple[str, str, npt.NDArray[np.float64]]], *,
          name: str = "signal", beam_energy_keV: float | None = None, sample: str = "",
          microscope: Mapping[str, float | str] | None = None, comments: Mapping[str, str] | None = None) -> Path:
    """Write one labelled block.

    Parameters
    ----------
    data : any shape
    dims
        One (name, unit, coordinate) per axis of `data`, in order; unit "" for an axis without calibration. The
        coordinate is written whole, so its unit is the one stated: "nm", "eV", "keV".
    microscope
        Further attributes of the microscope group, with their unit in the key: "dwell_time_s".

    Raises
    ------
    ValueError
        If a coordinate does not have the length of its axis.
    """
    lengths = tuple(len(values) for _, _, values in dims)
    if lengths != data.shape:
        raise ValueError(f"{Path(path).name}: coordinates of lengths {lengths} for data of shape {data.shape}")
    path = Path(path)
    with h5py.File(path, "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
        group = file.create_group(f"data/{name}")
        group.attrs["emd_group_type"] = 1
        chunks = (1, *data.shape[1:]) if data.ndim == 3 else None
        group.create_dataset("data", data=data, chunks=chunks or True, compression="gzip", compression_opts=1, shuffle=True)
        for i, (label, unit, values) in enumerate(dims, start=1):
            dim = group.create_dataset(f"dim{i}", data=np.asarray(values, np.float64))
            dim.attrs["name"], dim.attrs["units"] = label, unit
        voltage = {} if beam_energy_keV is None else {"voltage": 1000 * beam_energy_keV}
        about: dict[str, Mapping[str, float | str]] = {
            "microscope": {**voltage, **(microscope or {})},
            "sample": {"name": sample}, "user": {"name": "virtual"}, "comments": {"note": SYNTHETIC, **(comments or {})},
        }
        for key, attributes in about.items():
            file.create_group(key).attrs.update(dict(attributes))
    return path
