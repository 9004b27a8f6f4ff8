"""X-ray absorption spectra: absorption against the energy of the photons, over an edge; not normalised here."""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import Technique
from datasets.terms import ARBITRARY


def recognises(signal: Signal) -> bool:
    """A spectrum over photon energies."""
    return signal.kind == "XAS"


def example(rng: np.random.Generator) -> xr.Dataset:
    """A nickel K edge at 8333 eV with its white line."""
    energy = 8300.0 + np.arange(81.0)
    absorption = 0.4 + 1 / (1 + np.exp(-(energy - 8340) / 2)) + 0.6 * np.exp(-((energy - 8350) / 4) ** 2)
    return xr.Dataset(
        {"absorption": ("photon_energy", absorption + rng.normal(0, 0.005, 81), {"units": ARBITRARY})},
        {"photon_energy": ("photon_energy", energy, {"units": "eV"})},
        {"technique": "xas", "title": "Ni K", "kind": "XAS", "conditions": {}},
    )


XAS = Technique(
    name="xas", title="X-ray absorption spectrum", short="XAS", family="xray",
    dims=("photon_energy",), quantities={"absorption": (ARBITRARY, "1")}, conditions=(),
    recognises=recognises, example=example,
)
