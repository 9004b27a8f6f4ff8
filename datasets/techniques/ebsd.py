"""EBSD: phase, orientation and quality at each point of a map, at loose points, and the patterns themselves.

Euler angles are Bunge's (phi1, Phi, phi2) in degrees, in the coordinate system of the file: vendors' systems differ, and
nothing here turns one into another. `phase` is 0 where nothing was indexed, else the number in the condition `phases`, from 1.
"""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import INTENSITY_UNITS, Technique, units_of

MEASURED = units_of("phase")
BESIDE = units_of("euler_1", "euler_2", "euler_3", "image_quality", "confidence_index", "fit", "band_contrast", "band_slope",
                  "bands", "mean_angular_deviation", "error_code", "detector_signal")
"""What most files have; a map reduced to its phases is still a map."""


def recognises_map(signal: Signal) -> bool:
    """Indexed points on a grid."""
    return signal.kind == "EBSD" and len(signal.axes) == 2


def recognises_points(signal: Signal) -> bool:
    """Indexed points on no grid."""
    return signal.kind == "EBSD" and len(signal.axes) == 1


def recognises_patterns(signal: Signal) -> bool:
    """Patterns of a detector, at each point."""
    return signal.kind == "EBSD patterns"


def example_map(rng: np.random.Generator) -> xr.Dataset:
    """Two grains of one phase, 1 µm per point, whose first angle differs by 30 degrees, with 0.5 degrees of noise."""
    y, x = 1000.0 * np.arange(8), 1000.0 * np.arange(12)
    grain = np.tile(np.where(x < 6000.0, 10.0, 40.0), (8, 1))
    angles = {f"euler_{i}": (("y", "x"), grain + 5.0 * i + rng.normal(0, 0.5, grain.shape), {"units": "deg"})
              for i in (1, 2, 3)}
    return xr.Dataset(
        {"phase": (("y", "x"), np.ones(grain.shape, np.int16), {"units": "1"}), **angles},
        {"y": ("y", y, {"units": "nm"}), "x": ("x", x, {"units": "nm"})},
        {"technique": "ebsd", "title": "example", "kind": "EBSD",
         "conditions": {"beam_energy_keV": 20.0, "phases": ["Lithium"]}})


def example_points(rng: np.random.Generator) -> xr.Dataset:
    """Twenty grains, each measured once."""
    angles = {f"euler_{i}": ("position", rng.uniform(0, 90, 20), {"units": "deg"}) for i in (1, 2, 3)}
    return xr.Dataset(
        {"phase": ("position", rng.integers(1, 3, 20).astype(np.int16), {"units": "1"}), **angles},
        {"position": ("position", np.arange(20.0), {"units": "1"})},
        {"technique": "ebsd_points", "title": "example", "kind": "EBSD", "conditions": {"beam_energy_keV": 20.0}})


def example_patterns(rng: np.random.Generator) -> xr.Dataset:
    """A bright band across a detector of 24 x 32 pixels, that moves down by one pixel with each of 2 x 3 points."""
    row = np.arange(24)[:, None]
    centre = 8.0 + np.arange(6).reshape(2, 3, 1, 1)
    expected = 40.0 + 60.0 * np.exp(-(((row - centre) / 2.0) ** 2)) * np.ones((1, 32))
    return xr.Dataset(
        {"intensity": (("y", "x", "detector_y", "detector_x"), rng.poisson(expected).astype(np.uint8), {"units": "arbitrary"})},
        {"y": ("y", 500.0 * np.arange(2), {"units": "nm"}), "x": ("x", 500.0 * np.arange(3), {"units": "nm"}),
         "detector_y": ("detector_y", np.arange(24.0), {"units": "pixel"}),
         "detector_x": ("detector_x", np.arange(32.0), {"units": "pixel"})},
        {"technique": "ebsd_patterns", "title": "example", "kind": "EBSD patterns", "conditions": {"beam_energy_keV": 20.0}})


EBSD = Technique(
    name="ebsd", title="Electron backscatter diffraction map", short="EBSD", family="emspec",
    dims=("y", "x"), quantities=MEASURED, optional=BESIDE, conditions=("beam_energy_keV", "phases"),
    recognises=recognises_map, example=example_map,
)
EBSD_POINTS = Technique(
    name="ebsd_points", title="Electron backscatter diffraction of single points", short="EBSD pts", family="emspec",
    dims=("position",), quantities=MEASURED, optional=BESIDE, conditions=("beam_energy_keV", "phases"),
    recognises=recognises_points, example=example_points,
)
EBSD_PATTERNS = Technique(
    name="ebsd_patterns", title="Electron backscatter diffraction patterns", short="EBSP", family="image",
    dims=("detector_y", "detector_x"), quantities={"intensity": INTENSITY_UNITS}, conditions=("beam_energy_keV",),
    recognises=recognises_patterns, example=example_patterns,
)
