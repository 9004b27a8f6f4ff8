"""TEM images: what a camera sees of a broad beam, single, in a time or tilt series."""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import INTENSITY_UNITS, Technique
from datasets.techniques.electron_signal import is_image, scanning_word

LATTICE_PIXEL_NM = 0.1
"""Finer pixels are taken to see the lattice, whose planes lie 0.2 nm and more apart: fringes, not outlines or thickness."""


def recognises(signal: Signal) -> bool:
    """An image that its file calls TEM, or one of which neither file nor name says anything else."""
    return is_image(signal) and (signal.kind == "TEM" or (signal.kind == "" and not scanning_word(signal)))


def doubt(signal: Signal) -> str:
    """What was assumed: most formats of images do not say what made them."""
    return "" if signal.kind else ("taken for a TEM image, since the file does not say what made it; "
                                   "say technique= if it is something else")


def example(rng: np.random.Generator) -> xr.Dataset:
    """A crystal lattice of 0.25 nm under shot noise, 0.02 nm per pixel."""
    y, x = np.arange(48) * 0.02, np.arange(64) * 0.02
    fringes = 40.0 * (1.0 + 0.4 * np.cos(2 * np.pi * x[None, :] / 0.25) * np.ones((48, 1)))
    return xr.Dataset(
        {"intensity": (("y", "x"), rng.poisson(fringes).astype(np.uint16), {"units": "count"})},
        {"y": ("y", y, {"units": "nm"}), "x": ("x", x, {"units": "nm"})},
        {"technique": "tem_image", "title": "example", "kind": "TEM", "conditions": {"beam_energy_keV": 300.0}},
    )


TEM_IMAGE = Technique(
    name="tem_image", title="TEM image", short="TEM", family="image",
    dims=("y", "x"), quantities={"intensity": INTENSITY_UNITS},
    conditions=("beam_energy_keV", "dose_e_per_A2", "temperature_K"),
    recognises=recognises, example=example, doubt=doubt,
)
