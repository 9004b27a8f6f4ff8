"""What a descriptor is: a function from one acquisition to numbers that carry unit, uncertainty, method and, if absent, why."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

import xarray as xr

SOURCE_NOT_CHECKED = "source not checked"
"""Stands in a method whose literature source was not opened while it was written."""

STRUCTURE, ELECTROCHEMISTRY, PERFORMANCE = "structure", "electrochemistry", "performance"
ROLES = (STRUCTURE, ELECTROCHEMISTRY, PERFORMANCE)
"""What a descriptor speaks of: the interphase itself, the cell's electrical response, or the outcome that models predict."""


@dataclass(frozen=True)
class Measurement:
    """One number about one acquisition.

    name : column of the sample table
    value : NaN where it cannot be known; then `reason` says why
    std : one standard deviation, same unit; NaN only where the value is NaN
    unit : canonical unit, "1" for a ratio
    method : how, with source or "source not checked"
    reason : empty where the value is known without reservation
    title : what a person reads; the descriptor's title where empty
    """

    name: str
    value: float
    std: float
    unit: str
    method: str
    reason: str = ""
    title: str = ""

    @property
    def known(self) -> bool:
        return math.isfinite(self.value)


@dataclass(frozen=True)
class Descriptor:
    """A way to turn an acquisition into measurements.

    name : key in the registry
    title : what a person reads
    unit : unit of all its measurements
    techniques : of which acquisitions it speaks
    method : one sentence with the source, or "source not checked"
    measure : acquisition -> measurements; never raises on an acquisition that keeps its technique's promise
    names : patterns of the names that it gives its measurements
    role : one of ROLES; only `structure` may enter a model of performance
    """

    name: str
    title: str
    unit: str
    techniques: tuple[str, ...]
    method: str
    measure: Callable[[xr.Dataset], tuple[Measurement, ...]]
    names: tuple[str, ...]
    role: str = STRUCTURE

    def speaks_of(self, name: str) -> bool:
        """Whether a measurement of this name is one of its own."""
        return any(fnmatchcase(name, pattern) for pattern in self.names)


def unknown(name: str, unit: str, method: str, reason: str, title: str = "") -> Measurement:
    """A measurement that could not be made, with the reason in one sentence."""
    return Measurement(name, math.nan, math.nan, unit, method, reason, title)


def sentences(parts: Iterable[str]) -> str:
    """Reasons joined into one line; empty parts are left out."""
    return "; ".join(part for part in parts if part)
