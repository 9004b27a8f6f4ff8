"""Electrochemical impedance: complex impedance against frequency, one sweep or a series of sweeps in time.

`impedance_imaginary` is the true imaginary part, negative for a capacitor; vendors that store -Im(Z) are turned in the reader.
Frequencies stay in the order in which they were measured, as a rule falling.
"""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import Technique, units_of


def recognises(signal: Signal) -> bool:
    """A sweep of impedance."""
    return signal.kind == "EIS"


def example(rng: np.random.Generator) -> xr.Dataset:
    """Two depressed arcs, as of an interphase (20 ohm, 10 kHz) and a charge transfer (50 ohm, 10 Hz), with 0.5 % noise."""
    frequency = np.logspace(5, -1, 61)
    impedance = np.full(frequency.size, 5.0 + 0j)
    for resistance, apex_Hz, exponent in ((20.0, 1e4, 0.9), (50.0, 10.0, 0.85)):
        impedance = impedance + resistance / (1 + (1j * frequency / apex_Hz) ** exponent)
    noise = 0.005 * np.abs(impedance)
    real = impedance.real + noise * rng.normal(size=frequency.size)
    imaginary = impedance.imag + noise * rng.normal(size=frequency.size)
    return xr.Dataset(
        {"impedance_real": ("frequency", real, {"units": "ohm"}),
         "impedance_imaginary": ("frequency", imaginary, {"units": "ohm"})},
        {"frequency": ("frequency", frequency, {"units": "Hz", "long_name": "frequency"})},
        {"technique": "eis", "title": "two arcs", "history": [], "warnings": [], "uncalibrated": [], "incomplete": [],
         "conditions": {"electrode_area_cm2": 1.0, "cell_temperature_K": 298.0}})


EIS = Technique(
    name="eis", title="Electrochemical impedance spectroscopy", short="EIS", family="echem",
    dims=("frequency",),
    quantities=units_of("impedance_real", "impedance_imaginary"),
    optional=units_of("potential", "current"),
    conditions=("electrode_area_cm2", "cell_temperature_K"),
    recognises=recognises, example=example,
)
