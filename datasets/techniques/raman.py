"""Raman spectra against the shift from the exciting line."""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import INTENSITY_UNITS, Technique
from datasets.units import compatible, spelled


def recognises(signal: Signal) -> bool:
    """A Raman spectrum on wavenumbers."""
    return signal.kind == "Raman" and any(compatible(spelled(axis.units), "1/cm") for axis in signal.axes)


def example(rng: np.random.Generator) -> xr.Dataset:
    """A line near 1090 1/cm, as of lithium carbonate (position not checked against a source), over fluorescence."""
    shift = np.arange(200.0, 1400.0, 2.0)
    counts = rng.poisson(300 + 0.1 * shift + 900 * np.exp(-((shift - 1090) / 6) ** 2)).astype(np.float64)
    return xr.Dataset(
        {"intensity": ("raman_shift", counts, {"units": "count"})},
        {"raman_shift": ("raman_shift", shift, {"units": "1/cm", "long_name": "raman shift"})},
        {"technique": "raman", "kind": "Raman", "title": "carbonate", "history": [], "warnings": [], "uncalibrated": [],
         "incomplete": [], "conditions": {}})


RAMAN = Technique(
    name="raman", title="Raman spectroscopy", short="Raman", family="vib",
    dims=("raman_shift",),
    quantities={"intensity": INTENSITY_UNITS},
    conditions=(), recognises=recognises, example=example,
)
