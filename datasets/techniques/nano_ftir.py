"""Near-field infrared spectroscopy (nano-FTIR): light scattered off the tip of a force microscope, by harmonics of its motion.

Higher harmonics are more local and weaker. Amplitude and phase become optical contrast only against a reference, which is a
step of its own.
"""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import Technique
from datasets.terms import ARBITRARY
from datasets.units import compatible, spelled


def recognises(signal: Signal) -> bool:
    """Near-field amplitudes on wavenumbers."""
    return (signal.kind == "nano-FTIR" and "near_field_amplitude" in signal.fields
            and any(compatible(spelled(axis.units), "1/cm") for axis in signal.axes))


def example(rng: np.random.Generator) -> xr.Dataset:
    """A carbonate's band in the phase of the second to fourth harmonic (position not checked against a source)."""
    wavenumber, harmonic = np.arange(1300.0, 1600.0, 4.0), np.array([2.0, 3.0, 4.0])
    band = np.exp(-((wavenumber - 1440) / 20) ** 2)
    amplitude = (1 / harmonic ** 2)[:, None] * (1 + 0.2 * band) + rng.normal(0, 1e-3, (3, wavenumber.size))
    dims = ("harmonic", "wavenumber")
    return xr.Dataset(
        {"near_field_amplitude": (dims, amplitude, {"units": ARBITRARY}),
         "near_field_phase": (dims, np.tile(0.3 * band, (3, 1)), {"units": "rad"})},
        {"harmonic": ("harmonic", harmonic, {"units": "1", "long_name": "harmonic"}),
         "wavenumber": ("wavenumber", wavenumber, {"units": "1/cm", "long_name": "wavenumber"})},
        {"technique": "nano_ftir", "kind": "nano-FTIR", "title": "carbonate", "history": [], "warnings": [], "uncalibrated": [],
         "incomplete": [], "conditions": {}})


NANO_FTIR = Technique(
    name="nano_ftir", title="Near-field infrared spectroscopy", short="nanoFTIR", family="vib",
    dims=("wavenumber",),
    quantities={"near_field_amplitude": (ARBITRARY,)},
    optional={"near_field_phase": ("rad",)},
    conditions=(), rename={"near_field_phase": "near_field_phase"}, recognises=recognises, example=example,
)
