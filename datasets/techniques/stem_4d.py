"""4D-STEM: a diffraction pattern at each position of a scanning beam."""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import INTENSITY_UNITS, Technique
from datasets.techniques.electron_signal import is_energy, is_reciprocal


def recognises(signal: Signal) -> bool:
    """Four axes, two of them of inverse length or on a detector, or a block of four that its file calls diffraction."""
    if signal.main.data.dtype.kind not in "iuf" or len(signal.axes) != 4 or any(map(is_energy, signal.axes)):
        return False
    names = {axis.name.lower() for axis in signal.axes}
    return signal.kind == "diffraction" or sum(map(is_reciprocal, signal.axes)) == 2 or {"dy", "dx"} <= names


def example(rng: np.random.Generator) -> xr.Dataset:
    """A disk of the direct beam that dims along x, 3 x 4 positions of 5 nm, 32 x 32 pixels of 0.5 1/nm."""
    k = 0.5 * (np.arange(32) - 16.0)
    disk = np.hypot(k[:, None], k[None, :]) < 3.0
    expected = disk * np.linspace(40.0, 20.0, 4)[:, None, None]
    counts = rng.poisson(np.broadcast_to(expected, (3, 4, 32, 32))).astype(np.uint16)
    return xr.Dataset(
        {"intensity": (("y", "x", "scattering_vector_y", "scattering_vector_x"), counts, {"units": "count"})},
        {"y": ("y", 5.0 * np.arange(3), {"units": "nm"}), "x": ("x", 5.0 * np.arange(4), {"units": "nm"}),
         "scattering_vector_y": ("scattering_vector_y", k, {"units": "1/nm"}),
         "scattering_vector_x": ("scattering_vector_x", k, {"units": "1/nm"})},
        {"technique": "stem_4d", "title": "example", "kind": "diffraction",
         "conditions": {"beam_energy_keV": 200.0, "camera_length_mm": 500.0}},
    )


STEM_4D = Technique(
    name="stem_4d", title="4D-STEM", short="4D-STEM", family="image",
    dims=("y", "x", "scattering_vector_y", "scattering_vector_x"), quantities={"intensity": INTENSITY_UNITS},
    conditions=("beam_energy_keV", "dose_e_per_A2", "temperature_K"),
    recognises=recognises, example=example,
)
