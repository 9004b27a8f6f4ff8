"""Energy-dispersive X-ray spectra: at a point, along a line, or at each pixel of a map."""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import INTENSITY_UNITS, Technique
from datasets.techniques.electron_signal import MODES, energy_axis
from datasets.units import spelled


def recognises(signal: Signal) -> bool:
    """A spectrum that its file calls EDS or EDX, or one over an X-ray energy, or over a plain energy in keV."""
    axis = energy_axis(signal)
    if axis is None:
        return False
    name = axis.name.lower().replace("_", " ").replace("-", " ")
    over_x_rays = name in ("x ray energy", "xray energy") or (name in ("energy", "") and spelled(axis.units) == "keV")
    return signal.kind.startswith(("EDS", "EDX")) or (signal.kind in MODES and over_x_rays)


def doubt(signal: Signal) -> str:
    """What was assumed: some formats name the axis, not the measurement."""
    return "" if signal.kind.startswith(("EDS", "EDX")) else ("taken for EDX, since its energy axis is of X-rays; "
                                                              "say technique= if it is something else")


def example(rng: np.random.Generator) -> xr.Dataset:
    """A map of 5 x 7 spectra, 0 to 5.11 keV: oxygen K (0.525 keV) and fluorine K (0.677 keV), fluorine rising along x."""
    energy = 0.01 * np.arange(512)
    oxygen, fluorine = (np.exp(-0.5 * ((energy - centre_keV) / 0.035) ** 2) for centre_keV in (0.525, 0.677))
    expected = 0.2 * np.exp(-energy) + 3.0 * oxygen + 4.0 * np.linspace(0.0, 1.0, 7)[:, None] * fluorine
    counts = rng.poisson(np.broadcast_to(expected, (5, 7, 512))).astype(np.uint8)
    return xr.Dataset(
        {"intensity": (("y", "x", "xray_energy"), counts, {"units": "count"})},
        {"y": ("y", 2.0 * np.arange(5), {"units": "nm"}), "x": ("x", 2.0 * np.arange(7), {"units": "nm"}),
         "xray_energy": ("xray_energy", energy, {"units": "keV"})},
        {"technique": "edx", "title": "example", "kind": "EDS_TEM",
         "conditions": {"beam_energy_keV": 200.0, "elements": ["O", "F"]}},
    )


EDX = Technique(
    name="edx", title="Energy-dispersive X-ray spectroscopy", short="EDX", family="emspec",
    dims=("xray_energy",), quantities={"intensity": INTENSITY_UNITS},
    conditions=("beam_energy_keV", "dose_e_per_A2", "temperature_K"),
    recognises=recognises, example=example, doubt=doubt,
)
