"""Ranges of an atom probe's mass spectrum: from where to where an ion of which atoms is taken to lie.

A table with one row per range: bounds, volume of the ion, colour (0xRRGGBB) and one column `atoms_X` of counts per element.
The text of formulae and names stands in the vendor's metadata, in the order of the rows. A set of ranges is a person's
decision about one spectrum; the ions it is used on are another acquisition.
"""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import Technique, units_of


def recognises(signal: Signal) -> bool:
    """A table of ranges."""
    return signal.kind == "APT ranges"


def example(rng: np.random.Generator) -> xr.Dataset:
    """Lithium, its oxide and oxygen."""
    del rng
    columns = {"range_start": ([6.9, 22.9, 15.9], "Da"), "range_end": ([7.1, 23.1, 16.1], "Da"),
               "volume": ([0.0216, 0.03, 0.0288], "nm^3"), "atoms_Li": ([1, 1, 0], "1"), "atoms_O": ([0, 1, 1], "1")}
    return xr.Dataset(
        {name: ("range", np.asarray(values), {"units": unit}) for name, (values, unit) in columns.items()},
        {"range": ("range", np.arange(3.0), {"units": "1"})},
        {"technique": "apt_ranges", "title": "Li, LiO, O", "kind": "APT ranges", "conditions": {"elements": ["Li", "O"]}},
    )


APT_RANGES = Technique(
    name="apt_ranges", title="Ranges of an atom probe spectrum", short="Ranges", family="ion",
    dims=("range",), quantities=units_of("range_start", "range_end"), optional=units_of("volume", "colour"), conditions=(),
    recognises=recognises, example=example,
)
