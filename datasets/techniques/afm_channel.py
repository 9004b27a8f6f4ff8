"""Maps of a scanning probe microscope without a height: phase, current, potential, adhesion."""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import INTENSITY_UNITS, Technique
from datasets.techniques.afm import finish
from datasets.terms import ARBITRARY

UNITS = (ARBITRARY, "nm", "V", "mV", "deg", "rad", "A", "nA", "pA", "N", "nN", "Hz", "percent", "Pa", "N/m", "W", "F")
"""What such a map may be in; kept as the file states it."""


def recognises(signal: Signal) -> bool:
    """A map of a scanning probe microscope that has no height."""
    return signal.kind == "AFM channel"


def example(rng: np.random.Generator) -> xr.Dataset:
    """A phase of 20 degrees, 4 nm per pixel."""
    y, x = np.arange(32) * 4.0, np.arange(48) * 4.0
    return xr.Dataset(
        {"intensity": (("y", "x"), rng.normal(20.0, 1.0, (32, 48)), {"units": "deg"})},
        {"y": ("y", y, {"units": "nm"}), "x": ("x", x, {"units": "nm"})},
        {"technique": "afm_channel", "title": "example", "kind": "AFM channel", "conditions": {}},
    )


AFM_CHANNEL = Technique(
    name="afm_channel", title="Scanning probe map without height", short="SPM", family="probe",
    dims=("y", "x"), quantities={"intensity": (*UNITS, *(u for u in INTENSITY_UNITS if u not in UNITS))}, conditions=(),
    recognises=recognises, example=example, finish=finish,
)
