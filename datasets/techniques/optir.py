"""Optical photothermal infrared spectroscopy: how much a visible beam is modulated while an infrared laser is absorbed.

The amplitude follows the absorption as the photothermal response of the place allows: spectra may be compared in shape, but
their heights only on the same material and focus.
"""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import Technique
from datasets.terms import ARBITRARY
from datasets.units import compatible, spelled


def recognises(signal: Signal) -> bool:
    """An O-PTIR signal on wavenumbers."""
    return signal.kind == "O-PTIR" and any(compatible(spelled(axis.units), "1/cm") for axis in signal.axes)


def example(rng: np.random.Generator) -> xr.Dataset:
    """A carbonate's band near 1440 1/cm at three places (position not checked against a source)."""
    wavenumber = np.arange(1300.0, 1600.0, 2.0)
    band = np.exp(-((wavenumber - 1440) / 20) ** 2)
    amplitude = np.array([[1.0], [0.6], [0.2]]) * band + rng.normal(0, 0.01, (3, wavenumber.size))
    return xr.Dataset(
        {"ptir_amplitude": (("position", "wavenumber"), amplitude, {"units": "mV"})},
        {"position": ("position", np.arange(3.0), {"units": "1", "long_name": "position"}),
         "wavenumber": ("wavenumber", wavenumber, {"units": "1/cm", "long_name": "wavenumber"})},
        {"technique": "optir", "kind": "O-PTIR", "title": "carbonate", "history": [], "warnings": [], "uncalibrated": [],
         "incomplete": [], "conditions": {}})


OPTIR = Technique(
    name="optir", title="Optical photothermal infrared spectroscopy", short="O-PTIR", family="vib",
    dims=("wavenumber",),
    quantities={"ptir_amplitude": ("mV", ARBITRARY)},
    optional={"phase_spectrum": ("rad", "deg")}, instead=("phase_spectrum",),
    conditions=(), rename={"phase_spectrum": "phase_spectrum"}, recognises=recognises, example=example,
)
