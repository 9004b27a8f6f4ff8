"""What a technique promises of its data, and the check that holds it to that."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from datasets.errors import DatasetError, all_faults
from datasets.formats.signal import Signal
from datasets.terms import ARBITRARY, DIMENSION_UNIT, PIXEL, QUANTITY_UNIT, SPATIAL

INTENSITY_UNITS = ("count", "count/s", ARBITRARY, "1", "V")
"""Units that a detector's signal may have; only `count` allows Poisson statistics."""


@dataclass(frozen=True)
class Technique:
    """A kind of measurement.

    name : key on disk
    title : what a person reads
    short : name on badges, at most eight characters
    family : colour in the browser: image, emspec, xray, vib, ion, probe, echem
    dims : trailing dimensions, in array order; leading ones (time, tilt, position ...) are allowed
    quantities : variable -> units it may have, the first being the usual one; the first variable is the main one
    optional : the same for variables that need not be there
    conditions : without these a comparison would be unfair; an acquisition that lacks one is kept but marked incomplete
    recognises : whether a signal is of this technique; exactly one technique says yes
    example : a small true-to-life acquisition, for the contract tests
    instead : variables of which one may stand for the main one, as a reflectance where no absorbance was measured
    rename : field name of the reader -> variable name; the first field becomes the main quantity unless named here
    doubt : a sentence about what `recognises` assumed of a signal, "" where the file itself says what it is
    finish : adds what the technique knows and the file does not say, as binding energy from the measured kinetic energy;
        never alters a measured value
    """

    name: str
    title: str
    short: str
    family: str
    dims: tuple[str, ...]
    quantities: Mapping[str, tuple[str, ...]]
    conditions: tuple[str, ...]
    recognises: Callable[[Signal], bool]
    example: Callable[[np.random.Generator], xr.Dataset]
    optional: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    instead: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    finish: Callable[[xr.Dataset], xr.Dataset] = lambda ds: ds
    doubt: Callable[[Signal], str] = lambda signal: ""  # noqa: ARG005

    @property
    def quantity(self) -> str:
        """Name of the main variable."""
        return next(iter(self.quantities))

    def check(self, ds: xr.Dataset) -> xr.Dataset:
        """Return `ds` unchanged, or say all that is wrong with it at once."""
        found = ds.variables  # far faster than ds[name], which gathers the coordinates of each
        with all_faults(f"{self.name} {ds.attrs.get('title', '')!r}", DatasetError) as faults:
            for name, units in self.quantities.items():
                if name not in found and name == self.quantity and any(other in found for other in self.instead):
                    continue
                if name not in found:
                    faults.add(f"no variable {name!r}; found {list(ds.data_vars)}")
                    continue
                trailing = tuple(str(d) for d in found[name].dims[-len(self.dims):]) if self.dims else ()
                if trailing != self.dims:
                    faults.add(f"{name} has dims {found[name].dims}, expected ... {self.dims}")
                if found[name].attrs.get("units") not in units:
                    faults.add(f"{name} is in {found[name].attrs.get('units')!r}, expected one of {units}")
            for name in map(str, ds.data_vars):
                if "units" not in found[name].attrs:
                    faults.add(f"variable {name!r} has no units")
            for dim in map(str, ds.dims):
                fault = _axis_fault(dim, ds)
                if fault:
                    faults.add(fault)
            if ds.attrs.get("technique") != self.name:
                faults.add(f"attrs say technique {ds.attrs.get('technique')!r}")
        return ds

    def missing_conditions(self, conditions: Mapping[str, object]) -> list[str]:
        """Conditions that this technique needs for comparison and that are not known."""
        return [name for name in self.conditions if name not in conditions]


def _axis_fault(dim: str, ds: xr.Dataset) -> str:
    if dim not in ds.coords:
        return f"dimension {dim!r} has no coordinate"
    unit = ds.variables[dim].attrs.get("units")
    expected = DIMENSION_UNIT.get(dim)
    if expected is None:
        return f"dimension {dim!r} is not in the vocabulary"
    if unit == expected or (unit == PIXEL and (dim in SPATIAL or dim.startswith("scattering"))):
        return ""
    return f"{dim} is in {unit!r}, expected {expected!r}"


def units_of(*names: str) -> dict[str, tuple[str, ...]]:
    """Quantities in their canonical units, for techniques whose columns have one unit each."""
    return {name: (QUANTITY_UNIT[name],) for name in names}
