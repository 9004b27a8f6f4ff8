"""What makes two acquisitions comparable, and the refusal to compare those that are not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import xarray as xr

MUST_AGREE: dict[str, float] = {
    "temperature_K": 5.0,
    "tilt_deg": 2.0,
    "cycle": 0.0,
    "potential_V": 0.05,
    "cell_temperature_K": 2.0,
    "washed": 0.0,
    "transfer": 0.0,
}
"""Condition -> largest difference at which two measurements of one specimen still speak of the same state.

Judgement, not measurement: cryogenic against room temperature, another cycle or a rinse changes the interphase; 5 K and
50 mV are the usual stability of a cryo holder and of a stopped cell. Text must be equal.
"""

DOSE_LIMIT_E_PER_A2: dict[str, float] = {"lithium metal": 1e5, "lithium salts": 1e4}
"""Accumulated electron dose above which mass loss was reported (300 kV, cryogenic; the order of magnitude quoted by the
review that this project starts from; the primary papers were not opened here)."""


@dataclass(frozen=True)
class Comparison:
    """Whether two acquisitions may be compared; `reasons` say why not, `unknown` what nobody recorded."""

    allowed: bool
    reasons: tuple[str, ...]
    unknown: tuple[str, ...]

    def __bool__(self) -> bool:
        return self.allowed


def comparable(a: xr.Dataset, b: xr.Dataset, *, accept: frozenset[str] = frozenset()) -> Comparison:
    """Whether a number from `a` may stand beside one from `b`.

    Parameters
    ----------
    a, b
        Acquisitions; their `attrs["conditions"]`, `attrs["sample"]` and `attrs["incomplete"]` are read.
    accept
        Conditions whose difference or absence the person accepts.
    """
    here, there = _conditions(a), _conditions(b)
    reasons = []
    if a.attrs.get("sample") != b.attrs.get("sample"):
        reasons.append(f"different samples: {a.attrs.get('sample')!r} and {b.attrs.get('sample')!r}")
    for name, tolerance in MUST_AGREE.items():
        if name in accept or name not in here or name not in there:
            continue
        if not _agree(here[name], there[name], tolerance):
            reasons.append(f"{name}: {here[name]} and {there[name]}")
    unknown = tuple(sorted({*a.attrs.get("incomplete", ()), *b.attrs.get("incomplete", ())} - accept))
    reasons += [f"{name} is not known" for name in unknown]
    return Comparison(not reasons, tuple(reasons), unknown)


def _conditions(ds: xr.Dataset) -> Mapping[str, Any]:
    found: Mapping[str, Any] = ds.attrs.get("conditions", {})
    return found


def _agree(a: Any, b: Any, tolerance: float) -> bool:
    if isinstance(a, int | float) and isinstance(b, int | float):
        return abs(float(a) - float(b)) <= tolerance
    return bool(a == b)
