"""Vendors' spellings of units to one canonical spelling, and conversion; the only user of pint."""

from functools import lru_cache
from tokenize import TokenError

import numpy as np
import pint
from numpy.typing import ArrayLike, NDArray

from datasets.errors import DatasetError
from datasets.terms import PIXEL

_registry: pint.UnitRegistry[float] = pint.UnitRegistry()

SPELLING: dict[str, str] = {
    "n_m": "nm", "µm": "um", "μm": "um", "u_m": "um", "micron": "um", "microns": "um", "[n_m]": "nm",
    "A": "angstrom", "Å": "angstrom", "Ang": "angstrom", "p_m": "pm",
    "1 / nm": "1/nm", "nm^-1": "1/nm", "nm-1": "1/nm", "1/A": "1/angstrom", "1/Å": "1/angstrom", "Å^-1": "1/angstrom",
    "cm-1": "1/cm", "cm^-1": "1/cm", "1/CM": "1/cm",
    "degree": "deg", "degrees": "deg", "°": "deg",
    "seconds": "s", "sec": "s", "e_V": "eV", "ev": "eV", "kev": "keV", "KeV": "keV", "EV": "eV",
    "Ohm": "ohm", "Ω": "ohm", "mA.h": "mAh", "mA·h": "mAh",
    "counts": "count", "c/s": "count/s", "cps": "count/s", "°C": "degC",
}
"""Spelling found in real files -> the project's spelling."""

UNCALIBRATED = frozenset({"", "[]", "px", "pixel", "pixels", "points", "none", "undefined", "<undefined>"})
"""Spellings that say nothing about length, energy or time."""

_BARE_UNCALIBRATED = frozenset(unit.strip("[] ") for unit in UNCALIBRATED)

_PLAIN: dict[str, tuple[str, float]] = {"mAh": ("mA*hour", 1.0), "mWh": ("mW*hour", 1.0), "Ah": ("A*hour", 1.0)}


def spelled(unit: object) -> str:
    """The project's spelling of a vendor's unit; "" where the vendor states none."""
    return _spelled("" if unit is None else str(unit))


@lru_cache(maxsize=512)
def _spelled(unit: str) -> str:
    text = unit.strip()
    if text.lower().strip("[] ") in _BARE_UNCALIBRATED:
        return ""
    return SPELLING.get(text, text)


def is_calibrated(unit: object) -> bool:
    """Whether the unit is a physical one."""
    return spelled(unit) != ""


@lru_cache(maxsize=512)
def compatible(unit: str, other: str) -> bool:
    """Whether two units measure the same thing; unknown spellings are compatible with nothing but themselves."""
    if unit == other:
        return True
    if PIXEL in (unit, other) or "" in (unit, other):
        return False
    try:
        return bool(_unit(unit).is_compatible_with(_unit(other)))
    except (pint.errors.PintError, AssertionError, ValueError, TypeError, TokenError):
        return False


def converted(values: ArrayLike, unit: object, wanted: str) -> NDArray[np.float64]:
    """Values of `unit` in the canonical unit `wanted`, as float64.

    Raises
    ------
    DatasetError
        If the two units do not measure the same thing.
    """
    with np.errstate(invalid="ignore"):  # a signalling NaN of a damaged file is a NaN
        numbers = np.asarray(values, dtype=np.float64)
    source = spelled(unit)
    if source == wanted:
        return numbers
    if not compatible(source, wanted):
        raise DatasetError(f"cannot convert {source or 'no unit'!r} to {wanted!r}")
    if wanted == "degC" or source == "degC":
        return np.asarray(_registry.Quantity(numbers, _unit(source)).to(_unit(wanted)).magnitude)
    with np.errstate(over="ignore", invalid="ignore"):  # a damaged number stays one; it is not a warning about this code
        return numbers * factor(source, wanted)


@lru_cache(maxsize=512)
def factor(unit: str, wanted: str) -> float:
    """Multiply by this to go from `unit` to `wanted`; both are proportional units."""
    return float(_registry.Quantity(1.0, _unit(unit)).to(_unit(wanted)).magnitude)


def _unit(text: str) -> pint.Unit:
    return _registry.Unit(_PLAIN[text][0] if text in _PLAIN else text)
