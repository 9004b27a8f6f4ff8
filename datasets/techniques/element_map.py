"""Element maps made by an instrument's own software: net counts or fractions of one element, already processed."""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import INTENSITY_UNITS, Technique


def recognises(signal: Signal) -> bool:
    """An image that its file calls an element map."""
    return signal.kind == "element map" and len(signal.axes) >= 2


def example(rng: np.random.Generator) -> xr.Dataset:
    """Net counts that rise along x, 2 nm per pixel."""
    y, x = np.arange(16) * 2.0, np.arange(24) * 2.0
    counts = rng.poisson(np.linspace(0.5, 6.0, 24)[None, :] * np.ones((16, 1)))
    return xr.Dataset(
        {"intensity": (("y", "x"), counts.astype(np.float32), {"units": "arbitrary"})},
        {"y": ("y", y, {"units": "nm"}), "x": ("x", x, {"units": "nm"})},
        {"technique": "element_map", "title": "Li", "kind": "element map", "conditions": {"beam_energy_keV": 200.0}},
    )


ELEMENT_MAP = Technique(
    name="element_map", title="Element map of the instrument", short="Map", family="emspec",
    dims=("y", "x"), quantities={"intensity": INTENSITY_UNITS},
    conditions=("beam_energy_keV",),
    recognises=recognises, example=example,
)
