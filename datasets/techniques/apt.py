"""Atom probe tomography: ions at their reconstructed places, each with its mass-to-charge ratio.

A table with one row per ion, in the order of evaporation. Which ion is of which element is not in it: that needs a set of
ranges, an acquisition of its own (`apt_ranges`), so that ions can be ranged anew without being written again.
The places are a model (see the reconstruction of the instrument's software), not a measurement like a stage position.
"""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import Technique, units_of


def recognises(signal: Signal) -> bool:
    """A table of ions that has places and masses."""
    return signal.kind == "APT" and {"x", "y", "z", "mass_to_charge"} <= signal.fields.keys()


def example(rng: np.random.Generator) -> xr.Dataset:
    """Lithium above lithium oxide in a needle of 10 nm radius."""
    n = 400
    z = -np.sort(rng.uniform(0, 40, n))
    radius, angle = 10 * np.sqrt(rng.uniform(0, 1, n)), rng.uniform(0, 2 * np.pi, n)
    mass = np.where(z > -20, 7.016, 23.011) + rng.normal(0, 0.01, n)
    columns = {"mass_to_charge": (mass, "Da"), "x": (radius * np.cos(angle), "nm"), "y": (radius * np.sin(angle), "nm"),
               "z": (z, "nm")}
    return xr.Dataset(
        {name: ("ion", values.astype(np.float32), {"units": unit}) for name, (values, unit) in columns.items()},
        {"ion": ("ion", np.arange(n, dtype=np.float64), {"units": "1"})},
        {"technique": "apt", "title": "Li on Li2O", "kind": "APT", "conditions": {"temperature_K": 50.0}},
    )


APT = Technique(
    name="apt", title="Atom probe tomography", short="APT", family="ion",
    dims=("ion",), quantities=units_of("mass_to_charge", "x", "y", "z"),
    optional=units_of("time_of_flight", "standing_voltage", "pulse_voltage", "hit_x", "hit_y", "pulses_since_event",
                      "ions_per_pulse"),
    conditions=("temperature_K",),
    recognises=recognises, example=example,
)
