"""A table of fitted photoelectron lines: where each component lies, how wide it is, its area, its share of all atoms.

One row per component, in the order of the program that fitted them; the names stand in the vendor's metadata. It is what a
person concluded from spectra by a background, line shapes and sensitivity factors, not a measurement.
"""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import Technique
from datasets.terms import ARBITRARY


def recognises(signal: Signal) -> bool:
    """A table of results."""
    return signal.kind == "XPS results"


def example(rng: np.random.Generator) -> xr.Dataset:
    """LiF and a fluorophosphate in F 1s (positions not checked against a source)."""
    del rng
    columns = {"area": ([4000.0, 1500.0], ARBITRARY), "line_position": ([685.05, 687.0], "eV"),
               "line_width": ([1.6, 1.8], "eV"), "normalised_area": ([900.0, 340.0], ARBITRARY),
               "atomic_share": ([72.6, 27.4], "percent")}
    return xr.Dataset(
        {name: ("position", np.asarray(values), {"units": unit}) for name, (values, unit) in columns.items()},
        {"position": ("position", np.arange(2.0), {"units": "1"})},
        {"technique": "xps_quantification", "title": "F 1s", "kind": "XPS results", "conditions": {}},
    )


XPS_QUANTIFICATION = Technique(
    name="xps_quantification", title="Fitted photoelectron lines", short="XPS fit", family="xray",
    dims=("position",), quantities={"area": (ARBITRARY,)},
    optional={"line_position": ("eV",), "line_width": ("eV",), "normalised_area": (ARBITRARY,), "atomic_share": ("percent",)},
    conditions=(), recognises=recognises, example=example,
)
