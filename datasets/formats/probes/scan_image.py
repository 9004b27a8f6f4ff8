"""Channels of a scanning probe microscope: named alike whatever the vendor, the height first, one signal per grid.

Vendors call the topography Height, Z, Z-Axis, Topography or TP, and mark the way back as Retrace, Backward or [bwd]. Here a
channel is its name in small letters, with `_retrace` on the way back; the best topography of a grid is `height`. "Best" is the
feedback signal on the way there, then the sensor's. A channel that no name and no unit tells apart is taken for the height,
with a warning. A pixel size is the distance of neighbouring pixels: where a format states the size of N pixels, that over N.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.formats.signal import Axis, Field, Signal
from datasets.terms import QUANTITY_UNIT
from datasets.units import compatible, spelled

HEIGHTS = ("height", "z", "z_axis", "topography", "topo", "tp", "z_height", "height_sensor", "measured_height",
           "height_measured", "height_measured_and_smoothed", "smoothed_measured_height", "capacitive_sensor_height",
           "strain_gauge_height", "z_sensor", "zsensor", "z_axis_sensor", "z_detector", "raw", "z_fwd", "surface", "data")
"""Names of a topography, the better ones first."""
RENAMED = {"current": "tip_current", "potential": "surface_potential", "deflection": "cantilever_deflection"}
"""Names that this project gives to other things; what else it uses gets `_channel`."""
OTHERS = re.compile(r"phase|ampl|defl|error|curr|adh|modul|pot|fric|lat|volt|freq|dissip|mag|force|bias|user|temp|stiff|"
                    r"deform|input|excit|slope|indent|intens|count|mask|lock|drive|qualit|oc_m|didv|di_dv|^[xy](_|$)",
                    re.IGNORECASE)
"""Names that are surely no topography."""
BACK = re.compile(r"[\s_(\[,]*\b(retrace|backward|bwd|back|rückwärts)\b[\s)\]]*", re.IGNORECASE)
THERE = re.compile(r"[\s_(\[,]*\b(trace|forward|fwd|vorwärts)\b[\s)\]]*", re.IGNORECASE)
UNITS = {"A": "ampere", "~m": "um", "µm": "um", "º": "deg", "°": "deg", "Deg": "deg", "degree": "deg", "log(Arb)": "",
         "Arb": "", "arb": "", "a.u.": "", "%": "percent"}


AXES = ("x", "y", "time")
ANGLES = ("deg", "rad", "mrad")


@dataclass(frozen=True)
class Channel:
    """One map as the file holds it, row 0 at the top of the picture.

    data : (y, x), or (time, y, x) with the axis `times`; numpy, or lazy where the file is large
    pixel : distance of neighbours in y and x, in `lateral`; 0 or "" where the file does not say
    """

    name: str
    data: Any
    units: str
    pixel: tuple[float, float]
    lateral: str
    retrace: bool = False
    times: Axis | None = None
    origin: tuple[float, float] = (0.0, 0.0)


def signals(path: Path, channels: Sequence[Channel], *, title: str = "", metadata: Mapping[str, Any] | None = None,
            conditions: Mapping[str, Any] | None = None, remarks: Sequence[str] = ()) -> tuple[Signal, ...]:
    """One signal for each grid that the channels lie on."""
    grids: dict[tuple[Any, ...], list[Channel]] = {}
    for channel in channels:
        grids.setdefault((channel.data.shape, channel.pixel, channel.lateral, channel.origin), []).append(channel)
    return tuple(_signal(path, found, title or path.stem, metadata or {}, conditions or {}, list(remarks))
                 for found in grids.values())


def _signal(path: Path, channels: list[Channel], title: str, metadata: Mapping[str, Any], conditions: Mapping[str, Any],
            remarks: list[str]) -> Signal:
    channels = [replace(c, units=unit_of(c.units), lateral=unit_of(c.lateral)) for c in channels]
    named = _named(channels)
    best = _best_height(named)
    if best is None and (loose := [n for n, c in named.items() if _may_be_length(c.units) and not OTHERS.search(n)]):
        best = loose[0]
        remarks.append(f"channel {named[best].name!r} is taken for the height: neither its name nor its unit says what it is")
    order = ([best] if best else []) + [name for name in named if name != best]
    fields = {_key(name, best, named[name].units): Field(named[name].data, named[name].units) for name in order}
    first = channels[0]
    empty = [name for name, channel in named.items()
             if isinstance(channel.data, np.ndarray) and channel.data.dtype.kind == "f" and np.isnan(channel.data).all()]
    if empty:
        remarks.append(f"{', '.join(empty)}: no pixel was measured")
    axes = [first.times] if first.times is not None else []
    for name, size, step, start in zip("yx", first.data.shape[-2:], first.pixel, first.origin, strict=True):
        known = np.isfinite(step) and step != 0
        axes.append(Axis.even(name, size, step if known else 1.0, start if known and np.isfinite(start) else 0.0,
                              first.lateral if known else ""))
        if not known:
            remarks.append(f"{name} has a pixel size of {step:g}: it is left uncalibrated")
    return Signal(title, tuple(axes), fields, path, metadata, conditions, "AFM" if best else "AFM channel", tuple(remarks))


def _key(name: str, best: str | None, unit: str) -> str:
    """Name of a variable: the best topography and its way back are `height`; names of other things are avoided."""
    base, back = name.removesuffix("_retrace"), "_retrace" if name.endswith("_retrace") else ""
    if best is not None and base == best.removesuffix("_retrace"):
        return "height" if name == best else f"height{back}"
    if base in AXES:
        return f"{base}_channel{back}"  # where the sensors say that the tip was
    if base == "height":
        return f"height_channel{back}"
    taken = base in QUANTITY_UNIT and (not compatible(unit, QUANTITY_UNIT[base]) or (
        unit in ANGLES and QUANTITY_UNIT[base] == "1"))  # an angle is a pure number to pint, and a crystal phase to nobody
    return RENAMED.get(base, f"{base}_channel" if taken else base) + back


def variable_name(name: str, *, retrace: bool = False) -> tuple[str, bool]:
    """A channel's name in small letters, and whether it is of the way back."""
    text = re.sub(r"(?<=[a-z0-9])(Retrace|Trace)", r" \1", name)
    back = retrace or bool(BACK.search(text))
    text = THERE.sub(" ", BACK.sub(" ", text)).strip()
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text)
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "channel", back


def unit_of(text: str) -> str:
    """A unit as this project spells it; "" for one that says nothing."""
    text = text.strip().strip("\0")
    return spelled(UNITS.get(text, text))


def _named(channels: Sequence[Channel]) -> dict[str, Channel]:
    named: dict[str, Channel] = {}
    for channel in channels:
        base, back = variable_name(channel.name, retrace=channel.retrace)
        name = f"{base}_retrace" if back else base
        unique, number = name, 2
        while unique in named:
            unique, number = f"{name}_{number}", number + 1
        named[unique] = channel
    return named


def _best_height(named: Mapping[str, Channel]) -> str | None:
    for ending in ("", "_retrace"):
        for name in HEIGHTS:
            if name + ending in named and _may_be_length(named[name + ending].units) and (
                    named[name + ending].units or name not in ("raw", "data")):
                return name + ending
    return None


def _may_be_length(unit: str) -> bool:
    return unit == "" or compatible(unit, "nm")


def scaled(raw: NDArray[Any], factor: float, offset: float = 0.0) -> NDArray[np.floating]:
    """Numbers x factor + offset; float32 where that holds every value of the raw numbers, else float64."""
    small = raw.dtype.itemsize <= 2 or raw.dtype == np.float32
    with np.errstate(over="ignore", invalid="ignore"):
        if small and offset == 0.0:
            return np.asarray(raw * np.float32(factor), np.float32)
        return np.asarray(raw, np.float64) * factor + offset


def number_and_unit(text: str) -> tuple[float, str]:
    """"20.5 nm" as (20.5, "nm"); a text without a number is NaN."""
    match = re.match(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*)", text)
    return (float(match[1]), match[2].strip()) if match else (float("nan"), "")
