"""How signals of electron microscopes are told apart: by the unit of their axes first, then by what the file says it is."""

import re

from datasets.formats.signal import Axis, Signal
from datasets.units import compatible, is_calibrated, spelled

SCANNING_DETECTORS = frozenset({"stem", "haadf", "adf", "laadf", "maadf", "abf", "bf", "df", "df2", "df4", "dpc", "idpc"})
"""Words in a title or a file name that name a detector of a scanning beam."""

VOLUMES = frozenset({"volume", "FIB-SEM"})
"""Words for a block of space."""

MODES = frozenset({"", "TEM", "STEM", "SEM", "FIB"})
"""Words for what the beam did; they leave open what was recorded."""


def is_image(signal: Signal) -> bool:
    """Whether a signal is a picture of a plane, or a series of them in time: two lateral axes, in nm or not calibrated."""
    return _is_lateral(signal) and not is_tilted(signal) and len(lengths(signal)) < 3


def is_tilt_series(signal: Signal) -> bool:
    """Whether a signal is a series of pictures at several angles."""
    return _is_lateral(signal) and is_tilted(signal) and signal.kind in MODES


def is_volume(signal: Signal) -> bool:
    """Whether a signal fills space: three lengths, or a word of the file that says so."""
    return _is_lateral(signal) and not is_tilted(signal) and len(signal.axes) >= 3 and (
        signal.kind in VOLUMES or (signal.kind in MODES and len(lengths(signal)) >= 3))


def lengths(signal: Signal) -> list[Axis]:
    """Axes in nm, µm or another length."""
    return [axis for axis in signal.axes if compatible(spelled(axis.units), "nm")]


def is_tilted(signal: Signal) -> bool:
    """Whether one axis is an angle with more than one value."""
    return any(compatible(spelled(axis.units), "deg") and axis.size > 1 for axis in signal.axes)


def _is_lateral(signal: Signal) -> bool:
    if signal.main.data.dtype.kind not in "iuf" or not 2 <= len(signal.axes) <= 4:
        return False
    if any(is_energy(axis) or is_reciprocal(axis) for axis in signal.axes):
        return False
    found = lengths(signal)
    blank = [axis for axis in signal.axes if not is_calibrated(axis.units)]
    return len(found) >= 2 or len(found) + len(blank) >= 2


def is_energy(axis: Axis) -> bool:
    """Whether an axis is in eV, keV or another unit of energy."""
    return compatible(spelled(axis.units), "eV")


def is_reciprocal(axis: Axis) -> bool:
    """Whether an axis is in 1/nm, 1/Å or another inverse length."""
    return compatible(spelled(axis.units), "1/nm")


def scanning_word(signal: Signal) -> str:
    """The word in title or file name that names a scanning detector, "" if there is none."""
    for text in (signal.title, signal.source.stem):
        for word in re.split(r"[^A-Za-z0-9]+", text):
            if word.lower() in SCANNING_DETECTORS:
                return word
    return ""


def energy_axis(signal: Signal) -> Axis | None:
    """The one energy axis of a spectrum or spectrum image; None where there is none or there are several."""
    found = [axis for axis in signal.axes if is_energy(axis)]
    return found[0] if len(found) == 1 else None
