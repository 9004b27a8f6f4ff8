"""FIB-SEM volumes: slices that a focused ion beam cut, one after another, each imaged by electrons."""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import INTENSITY_UNITS, Technique
from datasets.techniques.electron_signal import is_volume


def recognises(signal: Signal) -> bool:
    """A volume of an instrument that cuts slices."""
    return is_volume(signal) and signal.kind in ("SEM", "FIB", "FIB-SEM")


def example(rng: np.random.Generator) -> xr.Dataset:
    """A pore (dark) that runs through eight slices of 10 nm, 5 nm per pixel."""
    z, y, x = 10.0 * np.arange(8), 5.0 * np.arange(20), 5.0 * np.arange(24)
    pore = (y[None, :, None] - 50.0) ** 2 + (x[None, None, :] - 30.0 - 4.0 * np.arange(8)[:, None, None]) ** 2 < 400.0
    grey = np.clip(rng.normal(np.where(pore, 40.0, 150.0), 6.0), 0, 255).astype(np.uint8)
    return xr.Dataset(
        {"intensity": (("z", "y", "x"), grey, {"units": "arbitrary"})},
        {name: (name, values, {"units": "nm"}) for name, values in (("z", z), ("y", y), ("x", x))},
        {"technique": "fib_sem", "title": "example", "kind": "FIB-SEM", "conditions": {"beam_energy_keV": 2.0}})


FIB_SEM = Technique(
    name="fib_sem", title="FIB-SEM volume", short="FIB-SEM", family="image",
    dims=("z", "y", "x"), quantities={"intensity": INTENSITY_UNITS},
    conditions=("beam_energy_keV",),
    recognises=recognises, example=example,
)
