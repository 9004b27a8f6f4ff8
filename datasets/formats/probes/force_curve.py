"""Force curves: deflection and height of a cantilever against time, approach, pause and retract one after the other.

Curves whose channels and clocks agree lie along `position`; shorter ones end in NaN, and in a segment of -1. Others are signals
of their own. Deflection becomes force with the spring
constant and the sensitivity only where the file states them; nothing is baselined and no contact point is sought.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.formats.probes.scan_image import unit_of, variable_name
from datasets.formats.signal import Axis, Field, Signal

HEIGHTS = ("height", "raw", "z_snsr", "zsnsr", "measured_height", "strain_gauge_height", "capacitive_sensor_height",
           "z_axis")
AXES = ("time", "position")
DEFLECTIONS = ("v_deflection", "defl", "deflection", "deflv")


@dataclass(frozen=True)
class Curve:
    """One curve.

    columns : name as the file calls it -> (point,) values and unit
    time : (point,), s from the first point
    segment : (point,) 0 approach, 1 pause, 2 retract
    place : x, y of the curve in m, NaN where unknown
    spring_N_per_m, sensitivity_m_per_V : NaN where unknown
    """

    columns: Mapping[str, tuple[NDArray[Any], str]]
    time: NDArray[np.float64]
    segment: NDArray[np.int8]
    place: tuple[float, float]
    spring_N_per_m: float = float("nan")
    sensitivity_m_per_V: float = float("nan")


def curve_signals(path: Path, curves: Sequence[Curve], *, metadata: Mapping[str, Any], conditions: Mapping[str, Any],
                  remarks: Sequence[str] = ()) -> tuple[Signal, ...]:
    """One signal for all curves that have the same channels and the same clock."""
    groups: dict[tuple[Any, ...], list[Curve]] = {}
    for curve in curves:
        units = tuple((name, unit) for name, (_, unit) in curve.columns.items())
        groups.setdefault((units, f"{_step(curve):.6e}"), []).append(curve)
    return tuple(_signal(path, group, metadata, conditions, list(remarks)) for group in groups.values())


def _step(curve: Curve) -> float:
    return float(curve.time[-1] / (curve.time.size - 1)) if curve.time.size > 1 else 0.0


def _padded(values: NDArray[Any], size: int, filler: float) -> NDArray[Any]:
    return np.concatenate([values, np.full(size - values.size, filler, values.dtype)]) if values.size < size else values


def _signal(path: Path, curves: list[Curve], metadata: Mapping[str, Any], conditions: Mapping[str, Any],
            remarks: list[str]) -> Signal:
    first = max(curves, key=lambda curve: curve.time.size)
    size, many = first.time.size, len(curves) > 1
    if short := sum(curve.time.size < size for curve in curves):
        remarks.append(f"{short} of {len(curves)} curves are shorter than {size} points: they end in NaN")

    def stack(parts: Sequence[NDArray[Any]], filler: float = np.nan) -> NDArray[Any]:
        return np.stack([_padded(part, size, filler) for part in parts]) if many else parts[0]

    named = {variable_name(name)[0]: name for name in first.columns}
    deflection = next((name for name in DEFLECTIONS if name in named), None)
    fields: dict[str, Field] = {}
    if deflection:
        values, unit = stack([c.columns[named[deflection]][0] for c in curves]), unit_of(first.columns[named[deflection]][1])
        springs = np.array([c.spring_N_per_m for c in curves])
        if unit == "N" and np.isfinite(springs).all() and (springs > 0).all():
            fields["deflection"] = Field(values / (springs[:, None] if many else springs[0]), "m")
            fields["force"] = Field(values, "N")
        elif unit == "m" and np.isfinite(springs).all():
            fields["deflection"] = Field(values, "m")
            fields["force"] = Field(values * (springs[:, None] if many else springs[0]), "N")
        else:
            fields["deflection"] = Field(values, unit)
            remarks.append("the file states no spring constant: there is no force")
    heights = [name for name in HEIGHTS if name in named]
    for name in sorted(named, key=lambda n: (n not in heights[:1], list(named).index(n))):
        if name != deflection:
            column, unit = named[name], unit_of(first.columns[named[name]][1])
            key = "height" if name in heights[:1] else f"{name}_channel" if name in AXES else name
            fields[key] = Field(stack([c.columns[column][0] for c in curves]), unit)
    fields["segment"] = Field(stack([c.segment for c in curves], -1), "1")
    axes = [Axis("time", first.time, "s")]
    if many:
        places = np.array([c.place for c in curves]) * 1e9
        known = {} if np.isnan(places).all() else {"position_x": (places[:, 0], "nm"), "position_y": (places[:, 1], "nm")}
        axes.insert(0, Axis("position", np.arange(len(curves), dtype=np.float64), "", known))
    about = {**metadata, "spring_constant_N_per_m": [c.spring_N_per_m for c in curves][:1000],
             "sensitivity_m_per_V": [c.sensitivity_m_per_V for c in curves][:1000]}
    about = {k: [None if isinstance(x, float) and np.isnan(x) else x for x in v] if isinstance(v, list) else v
             for k, v in about.items()}
    return Signal(path.stem, tuple(axes), fields, path, about, conditions, "AFM force", tuple(remarks))
