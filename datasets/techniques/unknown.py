"""A signal that no technique recognises: kept whole and marked, so that nothing is dropped silently."""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import INTENSITY_UNITS, Technique


def recognises(signal: Signal) -> bool:
    """Never: `read_acquisitions` falls back to this technique when all others decline."""
    del signal
    return False


def example(rng: np.random.Generator) -> xr.Dataset:
    """Sixteen numbers of no known meaning."""
    return xr.Dataset(
        {"intensity": (("channel",), rng.normal(size=16), {"units": "arbitrary"})},
        {"channel": ("channel", np.arange(16.0), {"units": "1"})},
        {"technique": "unknown", "title": "example"},
    )


UNKNOWN = Technique(
    name="unknown", title="Signal of unknown technique", short="?", family="echem",
    dims=(), quantities={"intensity": INTENSITY_UNITS}, conditions=(),
    recognises=recognises, example=example,
)
