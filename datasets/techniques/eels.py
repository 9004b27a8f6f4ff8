"""Electron energy-loss spectra: at a point, along a line, or at each pixel of a map."""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import INTENSITY_UNITS, Technique
from datasets.techniques.electron_signal import MODES, energy_axis
from datasets.units import spelled


def recognises(signal: Signal) -> bool:
    """A spectrum that its file calls EELS, one over an energy loss, or one over an energy in eV of an unnamed kind."""
    axis = energy_axis(signal)
    if axis is None or signal.kind not in ("EELS", *MODES):
        return False
    name = axis.name.lower().replace("_", " ")
    return signal.kind == "EELS" or "loss" in name or name == "eloss" or (name == "energy" and spelled(axis.units) == "eV")


def doubt(signal: Signal) -> str:
    """What was assumed: some formats name the axis, not the measurement."""
    return "" if signal.kind == "EELS" else ("taken for EELS, since its energy axis is in eV; "
                                             "say technique= if it is something else")


def example(rng: np.random.Generator) -> xr.Dataset:
    """A map of 6 x 8 spectra, 40 to 120 eV: lithium K (54.7 eV) on a power law, lithium rising along x."""
    energy = 40.0 + 0.25 * np.arange(320)
    edge = np.where(energy > 54.7, 60.0 * np.exp(-(energy - 54.7) / 12.0), 0.0)
    lithium = np.linspace(0.0, 1.0, 8)
    expected = 4e2 * (energy / 40.0) ** -3.0 + lithium[:, None] * edge
    counts = rng.poisson(np.broadcast_to(expected, (6, 8, 320))).astype(np.uint16)
    return xr.Dataset(
        {"intensity": (("y", "x", "energy_loss"), counts, {"units": "count"})},
        {"y": ("y", 2.0 * np.arange(6), {"units": "nm"}), "x": ("x", 2.0 * np.arange(8), {"units": "nm"}),
         "energy_loss": ("energy_loss", energy, {"units": "eV"})},
        {"technique": "eels", "title": "example", "kind": "EELS",
         "conditions": {"beam_energy_keV": 300.0, "convergence_mrad": 20.0, "collection_mrad": 40.0}},
    )


EELS = Technique(
    name="eels", title="Electron energy-loss spectroscopy", short="EELS", family="emspec",
    dims=("energy_loss",), quantities={"intensity": INTENSITY_UNITS},
    conditions=("beam_energy_keV", "convergence_mrad", "collection_mrad", "dose_e_per_A2", "temperature_K"),
    recognises=recognises, example=example, doubt=doubt,
)
