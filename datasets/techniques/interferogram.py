"""Interferograms of infrared spectrometers: what the detector sees while the mirror moves, before any transform."""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import INTENSITY_UNITS, Technique
from datasets.units import compatible, spelled


def recognises(signal: Signal) -> bool:
    """A signal that the file calls an interferogram, against path difference."""
    named = signal.kind in ("interferogram", "nano-FTIR interferogram")
    return named and any(compatible(spelled(axis.units), "mm") for axis in signal.axes)


def example(rng: np.random.Generator) -> xr.Dataset:
    """A band of 400 1/cm about 2000 1/cm, sampled at every zero of a helium-neon laser (15798 1/cm)."""
    path_mm = (np.arange(1024) - 64) * 10.0 / 15798.0
    envelope = np.exp(-((np.pi * 0.1 * path_mm * 400) ** 2) / 4)
    detected = envelope * np.cos(2 * np.pi * 0.1 * path_mm * 2000) + rng.normal(0, 1e-3, path_mm.size)
    return xr.Dataset(
        {"intensity": ("optical_path_difference", detected, {"units": "V"})},
        {"optical_path_difference": ("optical_path_difference", path_mm,
                                     {"units": "mm", "long_name": "optical path difference"})},
        {"technique": "interferogram", "kind": "interferogram", "title": "example", "history": [], "warnings": [],
         "uncalibrated": [], "incomplete": [], "conditions": {}})


INTERFEROGRAM = Technique(
    name="interferogram", title="Infrared interferogram", short="IFG", family="vib",
    dims=("optical_path_difference",),
    quantities={"intensity": INTENSITY_UNITS},
    conditions=(), recognises=recognises, example=example,
)
