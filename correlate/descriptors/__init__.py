"""Every descriptor the platform knows, one line each."""

from correlate.descriptors.composition import EDX_COMPOSITION, EELS_COMPOSITION
from correlate.descriptors.descriptor import Descriptor, Measurement
from correlate.descriptors.efficiency import EFFICIENCY
from correlate.descriptors.impedance import IMPEDANCE
from correlate.descriptors.thickness import IMAGE_THICKNESS, MAP_THICKNESS
from correlate.descriptors.xps_composition import XPS_COMPOSITION

DESCRIPTORS: dict[str, Descriptor] = {d.name: d for d in (
    IMAGE_THICKNESS,
    MAP_THICKNESS,
    EELS_COMPOSITION,
    EDX_COMPOSITION,
    XPS_COMPOSITION,
    EFFICIENCY,
    IMPEDANCE,
)}


def role_of(name: str) -> str:
    """What a column of the sample table speaks of: structure, electrochemistry or performance; "" if no descriptor owns it."""
    return next((d.role for d in DESCRIPTORS.values() if d.speaks_of(name)), "")


__all__ = ["DESCRIPTORS", "Descriptor", "Measurement", "role_of"]
