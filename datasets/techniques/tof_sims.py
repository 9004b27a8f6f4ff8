"""Time-of-flight secondary ion mass spectrometry: intensity of each ion while the surface is sputtered away.

A profile is against sputter level, with time and ion dose beside it. It has no depth: organic matter, salts and metals sputter
at different rates, so time becomes depth only by a crater that was measured or an interface that is known.
"""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import Technique
from datasets.terms import ARBITRARY


def recognises(signal: Signal) -> bool:
    """A depth profile of secondary ions."""
    return signal.kind == "ToF-SIMS" and any(axis.name.replace(" ", "_") == "sputter_level" for axis in signal.axes)


def example(rng: np.random.Generator) -> xr.Dataset:
    """Fluoride of an interphase over lithium, with Poisson noise."""
    time = 2.0 * np.arange(60)
    shapes = np.stack([5000 / (1 + np.exp((time - 60) / 8)), 3000 / (1 + np.exp((60 - time) / 8))], axis=1)
    counts = rng.poisson(shapes).astype(np.float64)
    return xr.Dataset(
        {"intensity": (("sputter_level", "channel"), counts, {"units": "count"})},
        {"sputter_level": ("sputter_level", np.arange(60.0), {"units": "1", "long_name": "sputter_level"}),
         "channel": ("channel", np.arange(2.0), {"units": "1", "long_name": "channel"}),
         "sputter_time": ("sputter_level", time, {"units": "s", "long_name": "sputter_time"}),
         "mass": ("channel", np.array([18.9984, 7.016]), {"units": "Da", "long_name": "mass"})},
        {"technique": "tof_sims", "kind": "ToF-SIMS", "title": "F- and Li-", "history": [], "warnings": [], "uncalibrated": [],
         "incomplete": [], "conditions": {"polarity": "negative"}, "vendor": {"ions": ["F-", "Li-"]}})


TOF_SIMS = Technique(
    name="tof_sims", title="ToF-SIMS depth profile", short="ToF-SIMS", family="ion",
    dims=("sputter_level", "channel"),
    quantities={"intensity": ("count", "count/s", ARBITRARY)},
    conditions=("polarity",), recognises=recognises, example=example,
)
