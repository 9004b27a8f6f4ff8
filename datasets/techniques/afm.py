"""Atomic force and other scanning probe microscopy: the height of a surface, and what else was recorded on the same pixels.

`height` is the topography as the instrument gives it: not levelled, zero where the instrument has it. Maps of the way back end
in `_retrace`. Lengths are in nm. A height whose unit nobody stated is kept in arbitrary units. Movies lie along `time`.
"""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import Technique
from datasets.terms import ARBITRARY
from datasets.units import compatible, converted


def recognises(signal: Signal) -> bool:
    """A map that has a height."""
    return signal.kind == "AFM" and "height" in signal.fields


def finish(ds: xr.Dataset) -> xr.Dataset:
    """Lengths in nm, whichever channel they are of."""
    lengths = {str(name): v for name, v in ds.data_vars.items()
               if v.attrs.get("units") != "nm" and compatible(str(v.attrs.get("units")), "nm")}
    return ds.assign({name: v.copy(data=converted(v.to_numpy(), v.attrs["units"], "nm")).assign_attrs(units="nm")
                      for name, v in lengths.items()})


def example(rng: np.random.Generator) -> xr.Dataset:
    """Ridges of 10 nm on a tilted surface, 4 nm per pixel."""
    y, x = np.arange(32) * 4.0, np.arange(48) * 4.0
    height = 0.05 * y[:, None] + 5.0 * np.sin(2 * np.pi * x[None, :] / 60.0) + rng.normal(0, 0.1, (32, 48))
    return xr.Dataset(
        {"height": (("y", "x"), height, {"units": "nm"}),
         "phase": (("y", "x"), rng.normal(20.0, 1.0, (32, 48)), {"units": "deg"})},
        {"y": ("y", y, {"units": "nm"}), "x": ("x", x, {"units": "nm"})},
        {"technique": "afm", "title": "example", "kind": "AFM", "conditions": {}},
    )


AFM = Technique(
    name="afm", title="Atomic force microscopy", short="AFM", family="probe",
    dims=("y", "x"), quantities={"height": ("nm", ARBITRARY)}, conditions=(),
    recognises=recognises, example=example, finish=finish,
)
