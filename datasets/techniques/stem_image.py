"""STEM images: what a detector counts while a focused beam scans (HAADF, BF, DF ...), single, in a time or tilt series."""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import INTENSITY_UNITS, Technique
from datasets.techniques.electron_signal import is_image, scanning_word


def recognises(signal: Signal) -> bool:
    """An image that its file calls STEM, or whose title or file name names a detector of a scanning beam."""
    return is_image(signal) and (signal.kind == "STEM" or (signal.kind == "" and bool(scanning_word(signal))))


def doubt(signal: Signal) -> str:
    """What was assumed: most formats of images do not say what made them."""
    return "" if signal.kind else (f"taken for a STEM image, since its name says {scanning_word(signal)!r}; "
                                   "say technique= if it is something else")


def example(rng: np.random.Generator) -> xr.Dataset:
    """A bright round particle of 12 nm on a dark support, 0.5 nm per pixel."""
    y, x = np.arange(40) * 0.5, np.arange(56) * 0.5
    inside = (y[:, None] - 10.0) ** 2 + (x[None, :] - 14.0) ** 2 < 36.0
    return xr.Dataset(
        {"intensity": (("y", "x"), rng.poisson(np.where(inside, 200.0, 20.0)).astype(np.uint16), {"units": "arbitrary"})},
        {"y": ("y", y, {"units": "nm"}), "x": ("x", x, {"units": "nm"})},
        {"technique": "stem_image", "title": "example", "kind": "STEM",
         "conditions": {"beam_energy_keV": 300.0, "detector": "HAADF"}},
    )


STEM_IMAGE = Technique(
    name="stem_image", title="STEM image", short="STEM", family="image",
    dims=("y", "x"), quantities={"intensity": INTENSITY_UNITS},
    conditions=("beam_energy_keV", "dose_e_per_A2", "temperature_K"),
    recognises=recognises, example=example, doubt=doubt,
)
