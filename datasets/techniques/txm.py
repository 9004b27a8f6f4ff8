"""X-ray microscopy: transmission of a surface or a film, full-field (TXM, nano-XCT), scanning (STXM) or by ptychography.

Images as the detector gave them. Flat and dark fields are acquisitions of their own, told by their titles; nothing is divided
and no optical density is taken here. Energies lie along `photon_energy`, angles along `tilt`, reconstructed slices along `z`.
"""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import INTENSITY_UNITS, Technique

KINDS = ("TXM", "STXM", "ptychography")


def recognises(signal: Signal) -> bool:
    """Images that their file says X-rays made."""
    return signal.kind in KINDS and len(signal.axes) >= 2


def example(rng: np.random.Generator) -> xr.Dataset:
    """A particle that absorbs above an edge at 8333 eV, three energies, 30 nm per pixel."""
    energy = np.array([8320.0, 8335.0, 8350.0])
    y, x = np.arange(24) * 30.0, np.arange(32) * 30.0
    inside = np.hypot(y[:, None] - 360, x[None, :] - 480) < 250
    transmission = np.exp(-np.array([0.2, 1.2, 1.0])[:, None, None] * inside)
    return xr.Dataset(
        {"intensity": (("photon_energy", "y", "x"), rng.poisson(2000 * transmission).astype(np.uint16), {"units": "count"})},
        {"photon_energy": ("photon_energy", energy, {"units": "eV"}), "y": ("y", y, {"units": "nm"}),
         "x": ("x", x, {"units": "nm"})},
        {"technique": "txm", "title": "example", "kind": "TXM", "conditions": {}},
    )


TXM = Technique(
    name="txm", title="X-ray microscopy", short="TXM", family="xray",
    dims=("y", "x"), quantities={"intensity": INTENSITY_UNITS}, conditions=(),
    recognises=recognises, example=example,
)
