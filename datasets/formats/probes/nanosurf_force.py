"""Force curves inside a Nanosurf file: groups "Spec forward" and "Spec backward" along the height of the base.

Each line of a group is one curve; [DataSet-G:C] says for line k how many of its points were measured and over which heights
(`LineDim<k>Points`, `LineDim<k>Min`, `LineDim<k>Range`), since a curve ends at its set force. Both ways are stored along the
height, so the way back runs against time and is turned here (seen on a real file: the force is highest at the end of both).
The clock is the modulation time over its number of points. Where on the sample the curves of a map lie is not stated curve by
curve, only the grid; it is left in the metadata.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.formats.probes.force_curve import Curve

Floats = NDArray[np.floating[Any]]
Section = dict[str, str]
Group = list[tuple[Section, Floats]]
"""The channels of one way: what the file says of each, and its (curve, point) values."""

QUANTITY = re.compile(r"[DL]\[([-+.\deE]+)\]\*\[(.*)\]")


def way_of(about: Section) -> int | None:
    """0 there, 2 back, None for what is no force curve."""
    frame = about.get("Frame", "").lower()
    if not frame.startswith("spec ") or about.get("Dim0Unit") != "m":
        return None
    return 0 if "forward" in frame else 2 if "backward" in frame else None


def force_curves(sections: Mapping[str, Section], there: Group, back: Group) -> list[Curve]:
    """Approach and retract of every line that has points; empty where the file states no clock."""
    clock = sections.get(r"DataSet\Parameters\Spectroscopy", {})
    steps = {way: _quantity(clock, f"{word}ModTime", "s") / _quantity(clock, f"{word}ModDatapoints", "")
             for way, word in ((0, "Fw"), (2, "Bw"))}
    cantilever = sections.get(r"DataSet\Calibration\Cantilever", {})
    springs = [_quantity(cantilever, key, "N/m") for key in cantilever if key.startswith("Prop")]
    spring = next((value for value in springs if value > 0), float("nan"))
    if not there or not all(np.isfinite(steps[way]) and steps[way] > 0 for way, group in ((0, there), (2, back)) if group):
        return []
    curves = []
    for line in range(there[0][1].shape[0]):
        columns: dict[str, tuple[Floats, str]] = {}
        sizes = {way: _points(group, line) for way, group in ((0, there), (2, back)) if group}
        heights = [_heights(there, line, sizes[0]), *([_heights(back, line, sizes[2])[::-1]] if back else [])]
        columns["Z-Axis"] = (np.concatenate(heights), "m")
        for about, values in there:
            name, unit = about.get("Dim2Name", "channel"), about.get("Dim2Unit", "")
            other = next((v for a, v in back if (a.get("Dim2Name"), a.get("Dim2Unit", "")) == (name, unit)), None)
            if back and other is None:
                continue
            columns[name] = (np.concatenate([values[line, :sizes[0]],
                                             *([other[line, :sizes[2]][::-1]] if other is not None else [])]), unit)
        segment = np.concatenate([np.full(size, way, np.int8) for way, size in sizes.items()])
        time = np.concatenate([np.full(size, steps[way]) for way, size in sizes.items()]).cumsum()
        if time.size:
            curves.append(Curve(columns, time - time[0], segment, (float("nan"), float("nan")), spring))
    return curves


def _points(group: Group, line: int) -> int:
    about, values = group[0]
    stated = about.get(f"LineDim{line}Points", "")
    return min(int(stated), int(values.shape[1])) if stated.isdigit() else int(values.shape[1])


def _heights(group: Group, line: int, points: int) -> NDArray[np.float64]:
    about = group[0][0]
    low, span = (_float(about.get(f"LineDim{line}{word}", about.get(f"Dim0{word}", ""))) for word in ("Min", "Range"))
    return low + span * np.arange(points) / max(points - 1, 1)


def _quantity(section: Section, key: str, unit: str) -> float:
    match = QUANTITY.fullmatch(section.get(key, ""))
    return _float(match[1]) if match and match[2] == unit else float("nan")


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
