"""Tomograms: volumes that were reconstructed from projections by electrons."""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import INTENSITY_UNITS, Technique
from datasets.techniques.electron_signal import is_volume


def recognises(signal: Signal) -> bool:
    """A volume that no ion or electron beam cut into slices."""
    return is_volume(signal) and signal.kind not in ("SEM", "FIB", "FIB-SEM")


def example(rng: np.random.Generator) -> xr.Dataset:
    """A ball of 12 nm in noise, 2 nm per voxel."""
    z, y, x = (2.0 * np.arange(size) for size in (12, 14, 16))
    ball = (z[:, None, None] - 12.0) ** 2 + (y[None, :, None] - 14.0) ** 2 + (x[None, None, :] - 16.0) ** 2 < 36.0
    return xr.Dataset(
        {"intensity": (("z", "y", "x"), (ball + rng.normal(0, 0.1, ball.shape)).astype(np.float32), {"units": "arbitrary"})},
        {name: (name, values, {"units": "nm"}) for name, values in (("z", z), ("y", y), ("x", x))},
        {"technique": "tomogram", "title": "example", "kind": "volume", "conditions": {"beam_energy_keV": 300.0}})


TOMOGRAM = Technique(
    name="tomogram", title="Tomogram", short="Tomo", family="image",
    dims=("z", "y", "x"), quantities={"intensity": INTENSITY_UNITS},
    conditions=("beam_energy_keV", "dose_e_per_A2", "temperature_K"),
    recognises=recognises, example=example,
)
