"""Points of impedance, in the order in which they were measured, as sweeps.

A sweep ends where the frequency turns back. Sweeps over the same frequencies are stacked, along the time at which each began
where that is known, else along their count; others stay signals of their own. `impedance_imaginary` is the true imaginary
part; files that store -Im(Z) are turned by their readers.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.signal import Axis, Field, Signal

Floats = NDArray[np.float64]
TURN = 0.5
"""A step back by more than half an e-fold is a new sweep, not jitter."""
DOUBTFUL_SHARE = 0.6
APART = "the file holds sweeps over different frequencies: each kind is an acquisition of its own"


def cuts(frequency: Floats) -> NDArray[np.bool_]:
    """Whether a new sweep begins after each point but the last; frequencies are positive."""
    steps = np.diff(np.log(frequency))
    moving = steps[steps != 0]
    direction = np.sign(np.median(moving)) if moving.size else 0.0
    return np.asarray(direction * steps < -TURN)


def signals(path: Path, title: str, frequency: Floats, impedance: NDArray[np.complex128], others: Mapping[str, Field],
            metadata: Mapping[str, Any], conditions: Mapping[str, Any], warnings: tuple[str, ...] = ()) -> tuple[Signal, ...]:
    """The sweeps of a list of points; all arrays are (point,), frequency in Hz, impedance in ohm.

    Raises
    ------
    UnreadableFile
        If there is no point, or a frequency that is none.
    """
    if frequency.size == 0:
        raise UnreadableFile(path, "holds no points of impedance")
    good = np.isfinite(frequency) & (frequency > 0)
    if not good.all():
        raise UnreadableFile(path, f"has the frequency {frequency[~good][0]:g} Hz", where=f"point {int(np.argmin(good)) + 1}")
    sweeps = np.split(np.arange(frequency.size), np.flatnonzero(cuts(frequency)) + 1)
    groups: list[list[NDArray[np.intp]]] = []
    for sweep in sweeps:
        same = next((g for g in groups if np.array_equal(frequency[g[0]], frequency[sweep])), None)
        if same is None:
            groups.append([sweep])
        else:
            same.append(sweep)
    if len(groups) > 1:
        warnings = (*warnings, APART)
    return tuple(_stacked(path, title, group, frequency, impedance, others, metadata, conditions, warnings) for group in groups)


def _stacked(path: Path, title: str, group: list[NDArray[np.intp]], frequency: Floats, impedance: NDArray[np.complex128],
             others: Mapping[str, Field], metadata: Mapping[str, Any], conditions: Mapping[str, Any],
             warnings: tuple[str, ...]) -> Signal:
    several = len(group) > 1
    where = np.stack(group) if several else group[0]
    axes: tuple[Axis, ...] = (Axis("frequency", frequency[group[0]], "Hz"),)
    if several:
        begun = np.asarray(others["elapsed"].data)[where][:, 0] if "elapsed" in others else np.empty(0)
        count = np.arange(1.0, len(group) + 1)
        timed = begun.size > 0 and bool((np.diff(begun) > 0).all())
        axes = (Axis("time", begun, "s", {"sweep": (count, "1")}) if timed else Axis("spectrum", count, "1"), *axes)
    fields = {"impedance_real": Field(impedance.real[where], "ohm"), "impedance_imaginary": Field(impedance.imag[where], "ohm"),
              **{name: Field(np.asarray(field.data)[where], field.units) for name, field in others.items()}}
    return Signal(title, axes, fields, path, metadata, conditions, "EIS", warnings)


def doubt_of_sign(impedance: NDArray[np.complex128]) -> tuple[str, ...]:
    """A warning where most of an impedance looks inductive, for files that do not say which sign they store."""
    known = impedance.imag[np.isfinite(impedance.imag)]
    if known.size and (known > 0).mean() > DOUBTFUL_SHARE:
        return ("most imaginary parts are positive, as of an inductor: the file may store -Im(Z) without saying so",)
    return ()
