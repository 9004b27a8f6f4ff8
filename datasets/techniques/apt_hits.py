"""Atom probe before its reconstruction: when and where each ion hit the detector, and at what voltage it left."""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import Technique
from datasets.terms import ARBITRARY


def recognises(signal: Signal) -> bool:
    """A table of detector hits."""
    return signal.kind == "APT hits" and "time_of_flight" in signal.fields


def example(rng: np.random.Generator) -> xr.Dataset:
    """Lithium on a detector of 40 mm radius, flown 100 mm from 5 kV."""
    n = 200
    flight = 0.1 / np.sqrt(2 * 1.602176634e-19 * 5000 / (7.016 * 1.66053907e-27)) * 1e9
    columns = {"time_of_flight": (rng.normal(flight, 1.0, n), "ns"), "hit_x": (rng.uniform(-28, 28, n), "mm"),
               "hit_y": (rng.uniform(-28, 28, n), "mm"), "standing_voltage": (np.full(n, 5000.0), "V")}
    return xr.Dataset(
        {name: ("ion", values, {"units": unit}) for name, (values, unit) in columns.items()},
        {"ion": ("ion", np.arange(n, dtype=np.float64), {"units": "1"})},
        {"technique": "apt_hits", "title": "Li", "kind": "APT hits", "conditions": {"temperature_K": 50.0}},
    )


APT_HITS = Technique(
    name="apt_hits", title="Atom probe, detector hits", short="APT hits", family="ion",
    dims=("ion",), quantities={"time_of_flight": ("ns", ARBITRARY)},
    optional={"standing_voltage": ("V",), "pulse_voltage": ("V",), "hit_x": ("mm", ARBITRARY), "hit_y": ("mm", ARBITRARY)},
    conditions=("temperature_K",),
    recognises=recognises, example=example,
)
