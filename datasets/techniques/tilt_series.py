"""Tilt series: pictures of one place at several angles of the stage, the input of a tomogram."""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import INTENSITY_UNITS, Technique
from datasets.techniques.electron_signal import is_tilt_series


def recognises(signal: Signal) -> bool:
    """Pictures along an angle, by electrons of any kind."""
    return is_tilt_series(signal)


def example(rng: np.random.Generator) -> xr.Dataset:
    """A point 20 nm above the tilt axis (along y) and in its middle, from -60 to 60 degrees: it moves as a sine."""
    tilt, y, x = np.arange(-60.0, 61.0, 10.0), 2.0 * np.arange(24), 2.0 * np.arange(40)
    at = 40.0 + 20.0 * np.sin(np.deg2rad(tilt))
    spot = np.exp(-((x - at[:, None]) ** 2) / 18.0)[:, None, :] * np.exp(-((y - 24.0) ** 2) / 18.0)[None, :, None]
    return xr.Dataset(
        {"intensity": (("tilt", "y", "x"), rng.poisson(5.0 + 200.0 * spot).astype(np.uint16), {"units": "arbitrary"})},
        {"tilt": ("tilt", tilt, {"units": "deg"}), "y": ("y", y, {"units": "nm"}), "x": ("x", x, {"units": "nm"})},
        {"technique": "tilt_series", "title": "example", "kind": "STEM", "conditions": {"beam_energy_keV": 300.0}})


TILT_SERIES = Technique(
    name="tilt_series", title="Tilt series", short="Tilts", family="image",
    dims=("tilt", "y", "x"), quantities={"intensity": INTENSITY_UNITS},
    conditions=("beam_energy_keV", "dose_e_per_A2", "temperature_K"),
    recognises=recognises, example=example,
)
