"""Curves of WSxM (.cur): force against distance, current against bias, tunes of a cantilever.

Text: a copyright line, "FZ curve file", "IV File" or "Generic curve file", a header as that of an image, then one line for each
point with x and y of every curve side by side. As AtomicJ and SciFiReaders (MIT) read them; no real file was to be had.
`Conversion Factor 00` and `Conversion Offset 00`, where they stand, turn y into their unit, with the other sign where
`Channel is inverted`. A curve states no clock, so it is not known when a point was taken; x stays beside y where the curves of
a file do not share it. Series of many curves in one binary file (.curves) are refused.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.dates import acquired
from datasets.formats.last_line import cut_within
from datasets.formats.probes.scan_image import number_and_unit, unit_of, variable_name
from datasets.formats.signal import Axis, Field, Signal

Header = Mapping[str, Mapping[str, str]]
NOT_A_NUMBER = re.compile(r"-?1\.#\w+")
"""As the library of its compiler writes it."""


def read_curves(path: Path, text: str, header: Header, dates: tuple[str, ...]) -> tuple[Signal, ...]:
    """Curves of the text behind a header.

    Raises
    ------
    UnreadableFile
        Naming the count that does not fit or the line that holds no numbers.
    """
    general = header.get("General Info", {})
    lines, points = (general.get(f"Number of {what}", "") for what in ("lines", "points"))
    if not re.fullmatch(r"[1-9]\d{0,3}", lines) or not re.fullmatch(r"[1-9]\d{0,6}", points):
        raise UnreadableFile(path, f"declares {lines!r} curves of {points!r} points", where="section [General Info]")
    table = _table(path, text, int(lines), int(points))
    x, y = table[:, 0::2].T, table[:, 1::2].T
    unit = unit_of(general.get("Y axis unit", ""))
    if factor := general.get("Conversion Factor 00"):
        per, unit = number_and_unit(factor)
        unit = unit_of(unit.split(" ")[-1])
        offset = number_and_unit(general.get("Conversion Offset 00", "0"))[0]
        sign = -1.0 if general.get("Channel is inverted", "").lower() == "yes" else 1.0
        y = (offset if np.isfinite(offset) else 0.0) + sign * per * y
    named = [variable_name(general.get(f"{axis} axis text", axis).partition("[")[0])[0] for axis in "XY"]
    if named[0] == named[1]:
        named[1] += "_y"
    along = unit_of(general.get("X axis unit", ""))
    shared = (x == x[0]).all() and np.unique(x[0]).size == x.shape[1]
    last = Axis(named[0], x[0], along) if shared else Axis("point", np.arange(float(x.shape[1])))
    fields = {named[1]: Field(y, unit), **({} if shared else {named[0]: Field(x, along)})}
    axes: tuple[Axis, ...] = (Axis("curve", np.arange(float(x.shape[0]))), last)
    if x.shape[0] == 1:
        axes, fields = (last,), {name: Field(field.data[0], field.units) for name, field in fields.items()}
    remarks = [] if shared else [f"the curves share no {named[0]}: it stands beside {named[1]}, point by point"]
    conditions = acquired(general.get("Acquisition time", ""), *dates)
    return (Signal(path.stem, axes, fields, path, {name: dict(body) for name, body in header.items()}, conditions, "WSxM curve",
                   (*remarks, *cut_within(text))),)


def _table(path: Path, text: str, lines: int, points: int) -> NDArray[np.float64]:
    rows = [line.split() for line in NOT_A_NUMBER.sub("nan", text).splitlines() if line.strip()]
    if len(rows) != points:
        raise UnreadableFile(path, f"declares {points} points and holds {len(rows)}", todo="the file may be truncated")
    wrong = next((number for number, row in enumerate(rows, 1) if len(row) != 2 * lines), 0)
    try:
        if wrong:
            raise ValueError
        return np.array(rows, dtype=np.float64)
    except ValueError:
        raise UnreadableFile(path, f"expected {2 * lines} numbers for each point",
                             where=f"point {wrong}" if wrong else "the table") from None
