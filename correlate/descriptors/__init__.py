"""Every descriptor the platform knows, one line each."""

import xarray as xr

from correlate.descriptors.descriptor import Descriptor, Measurement
from correlate.descriptors.efficiency import EFFICIENCY

DESCRIPTORS: dict[str, Descriptor] = {d.name: d for d in (
    EFFICIENCY,
)}


def describe(ds: xr.Dataset) -> list[tuple[Descriptor, Measurement]]:
    """Every measurement that the registered descriptors make of an acquisition, in the registry's order."""
    return [(descriptor, measurement) for descriptor in DESCRIPTORS.values()
            if ds.attrs.get("technique") in descriptor.techniques for measurement in descriptor.measure(ds)]


def role_of(name: str) -> str:
    """What a column of the sample table speaks of: structure, electrochemistry or performance; "" if no descriptor owns it."""
    return next((d.role for d in DESCRIPTORS.values() if d.speaks_of(name)), "")


__all__ = ["DESCRIPTORS", "Descriptor", "Measurement", "describe", "role_of"]
