"""Cyclic and linear sweep voltammetry: current while the potential is swept, against time.

The potential is what was set, the current what was measured: unlike in cycling there is no counter of charge by which an
efficiency is defined, and a "cycle" is one sweep there and back. `cycle_number` and `step_number` are as the instrument counts
them. The scan rate is the slope of the potential and is not repeated as a condition.
"""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import Technique, units_of


def recognises(signal: Signal) -> bool:
    """A sweep of the potential."""
    return signal.kind == "voltammetry"


def example(rng: np.random.Generator) -> xr.Dataset:
    """Two cycles at 10 mV/s from -0.2 to 0.6 V: a double layer of 1 mF and a reversible couple at 0.2 V, with 1 uA of noise."""
    rate, low, high = 0.01, -0.2, 0.6
    half = np.arange(low, high, 0.002)
    potential = np.tile(np.concatenate([half, half[::-1] + 0.002]), 2)
    direction = np.tile(np.repeat([1.0, -1.0], half.size), 2)
    peak = 0.5 * np.exp(-0.5 * ((potential - 0.2 - 0.03 * direction) / 0.05) ** 2)
    current = direction * (1e3 * 1e-3 * rate + peak) + rng.normal(0, 1e-3, potential.size)
    time = 0.2 * np.arange(1, potential.size + 1)
    cycle = np.repeat([1.0, 2.0], 2 * half.size)
    variables = {"current": (current, "mA"), "potential": (potential, "V"), "cycle_number": (cycle, "1")}
    return xr.Dataset(
        {name: ("time", values, {"units": unit}) for name, (values, unit) in variables.items()},
        {"time": ("time", time, {"units": "s", "long_name": "time"})},
        {"technique": "cv", "title": "reversible couple, 2 cycles", "history": [], "warnings": [], "uncalibrated": [],
         "incomplete": [], "conditions": {"electrode_area_cm2": 1.0, "cell_temperature_K": 298.0}})


CV = Technique(
    name="cv", title="Cyclic voltammetry", short="CV", family="echem",
    dims=("time",),
    quantities=units_of("current", "potential"),
    optional=units_of("charge", "counter_potential", "temperature", "cycle_number", "step_number"),
    conditions=("electrode_area_cm2", "cell_temperature_K"),
    rename={"current": "current", "potential": "potential"},
    recognises=recognises, example=example,
)
