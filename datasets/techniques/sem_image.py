"""SEM and FIB images: secondary or backscattered electrons (or ions) from a surface."""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import INTENSITY_UNITS, Technique
from datasets.techniques.electron_signal import is_image


def recognises(signal: Signal) -> bool:
    """An image that its file says an SEM or a FIB made."""
    return is_image(signal) and signal.kind in ("SEM", "FIB")


def example(rng: np.random.Generator) -> xr.Dataset:
    """A rough surface of bright ridges, 5 nm per pixel."""
    y, x = np.arange(32) * 5.0, np.arange(48) * 5.0
    ridges = 90.0 + 40.0 * np.sin(2 * np.pi * (x[None, :] + 0.5 * y[:, None]) / 60.0)
    return xr.Dataset(
        {"intensity": (("y", "x"), np.clip(rng.normal(ridges, 6.0), 0, 255).astype(np.uint8), {"units": "arbitrary"})},
        {"y": ("y", y, {"units": "nm"}), "x": ("x", x, {"units": "nm"})},
        {"technique": "sem_image", "title": "example", "kind": "SEM", "conditions": {"beam_energy_keV": 5.0}},
    )


SEM_IMAGE = Technique(
    name="sem_image", title="SEM or FIB image", short="SEM", family="image",
    dims=("y", "x"), quantities={"intensity": INTENSITY_UNITS},
    conditions=("beam_energy_keV",),
    recognises=recognises, example=example,
)
