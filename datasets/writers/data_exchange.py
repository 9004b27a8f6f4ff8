"""Data Exchange HDF5: full-field X-ray microscopy stacks over energy or angle, with flat and dark fields.

Source: De Carlo et al., J. Synchrotron Rad. 21, 1224 (2014), doi 10.1107/S160057751401604X (not opened here).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from datasets.writers import SYNTHETIC


def write(path: str | Path, counts: npt.NDArray[Any], *, white: npt.NDArray[Any], dark: npt.NDArray[Any],
          energy_eV: npt.NDArray[np.float64] | None = None, angle_deg: npt.NDArray[np.float64] | None = None,
          pixel_size_nm: tuple[float, float] | None, exposure_s: float | None = None, sample: str = "",
          extra: Mapping[str, float | str] | None = None) -> Path:
    """Write a stack.

    Parameters
    ----------
    counts : (energy or angle, y, x)
    white, dark : (frame, y, x) images without sample and without beam
    energy_eV, angle_deg : coordinate of the first axis, one of them
    extra : scalars for the group `measurement/instrument`, units in the key
    """
    path = Path(path)
    with h5py.File(path, "w") as file:
        file["implements"] = "exchange:measurement:process"
        exchange = file.create_group("exchange")
        stacks = (("data", counts), ("data_white", white), ("data_dark", dark))
        for name, stack in stacks:
            block = exchange.create_dataset(name, data=stack, chunks=(1, *stack.shape[1:]), compression="gzip",
                                            compression_opts=1)
            block.attrs["units"] = "counts"
        exchange["data"].attrs["axes"] = "energy:y:x" if energy_eV is not None else "theta:y:x"
        for name, values, unit in (("energy", energy_eV, "eV"), ("theta", angle_deg, "degrees")):
            if values is not None:
                exchange.create_dataset(name, data=values).attrs["units"] = unit
        exchange["title"] = f"{sample} ({SYNTHETIC})".strip()
        measurement = file.create_group("measurement")
        measurement.create_group("sample")["name"] = sample
        instrument = measurement.create_group("instrument")
        detector = instrument.create_group("detector")
        if pixel_size_nm is not None:
            for name, size in (("y_actual_pixel_size", pixel_size_nm[0]), ("x_actual_pixel_size", pixel_size_nm[1])):
                detector.create_dataset(name, data=size).attrs["units"] = "nm"
        if exposure_s is not None:
            detector.create_dataset("exposure_time", data=exposure_s).attrs["units"] = "s"
        for name, value in (extra or {}).items():
            instrument[name] = value
    return path
