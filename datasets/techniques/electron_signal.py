"""How signals of electron microscopes are told apart: by the unit of their axes first, then by what the file says it is."""

import re

from datasets.formats.signal import Axis, Signal
from datasets.units import compatible, is_calibrated, spelled

SCANNING_DETECTORS = frozenset({"stem", "haadf", "adf", "laadf", "maadf", "abf", "bf", "df", "df2", "df4", "dpc", "idpc"})
"""Words in a title or a file name that name a detector of a scanning beam."""

MODES = frozenset({"", "TEM", "STEM", "SEM", "FIB"})
"""Words for what the beam did; they leave open what was recorded."""


def is_image(signal: Signal) -> bool:
    """Whether a signal is a picture of a plane, or a series of them: two lateral axes, in nm or not calibrated at all."""
    if signal.main.data.dtype.kind not in "iuf" or not 2 <= len(signal.axes) <= 4:
        return False
    if any(is_energy(axis) or is_reciprocal(axis) for axis in signal.axes):
        return False
    lengths = [axis for axis in signal.axes if compatible(spelled(axis.units), "nm")]
    blank = [axis for axis in signal.axes if not is_calibrated(axis.units)]
    return len(lengths) >= 2 or len(lengths) + len(blank) >= 2


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
