"""Selected-area electron diffraction: a pattern on a camera, or a series of them."""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import INTENSITY_UNITS, Technique
from datasets.techniques.electron_signal import is_energy, is_reciprocal


def recognises(signal: Signal) -> bool:
    """A real pattern with two axes of inverse length, or one that its file calls diffraction; up to one axis of a series."""
    if signal.main.data.dtype.kind not in "iuf" or not 2 <= len(signal.axes) <= 3 or any(map(is_energy, signal.axes)):
        return False
    reciprocal = sum(map(is_reciprocal, signal.axes))
    return reciprocal == 2 or (signal.kind == "diffraction" and reciprocal in (0, 2))


def example(rng: np.random.Generator) -> xr.Dataset:
    """Rings of lithium fluoride (0.2325 and 0.2014 nm) around a direct beam, 0.1 1/nm per pixel."""
    k = 0.1 * (np.arange(128) - 64.0)
    radius = np.hypot(k[:, None], k[None, :])
    expected = 2.0 + 500.0 * np.exp(-((radius / 0.2) ** 2))
    for d_nm, height in ((0.2325, 30.0), (0.2014, 50.0)):
        expected += height * np.exp(-(((radius - 1.0 / d_nm) / 0.1) ** 2))
    return xr.Dataset(
        {"intensity": (("scattering_vector_y", "scattering_vector_x"), rng.poisson(expected).astype(np.uint16),
                       {"units": "count"})},
        {"scattering_vector_y": ("scattering_vector_y", k, {"units": "1/nm"}),
         "scattering_vector_x": ("scattering_vector_x", k, {"units": "1/nm"})},
        {"technique": "saed", "title": "example", "kind": "diffraction",
         "conditions": {"beam_energy_keV": 200.0, "camera_length_mm": 500.0}},
    )


SAED = Technique(
    name="saed", title="Selected-area electron diffraction", short="SAED", family="image",
    dims=("scattering_vector_y", "scattering_vector_x"), quantities={"intensity": INTENSITY_UNITS},
    conditions=("beam_energy_keV", "dose_e_per_A2", "temperature_K"),
    recognises=recognises, example=example,
)
