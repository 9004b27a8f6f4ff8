"""EBSD points to maps: places measured points on their grid, or keeps them as points where they have none.

Every EBSD format is a list of points with an orientation, a phase and figures of quality; some keep the pattern of each.
`phase` is one convention for all of them: 0 where nothing was indexed, else the number of the phase in the file's list, from 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.formats.contiguous import lazily
from datasets.formats.signal import Axis, Field, Signal
from datasets.units import converted, is_calibrated

TOLERANCE = 0.3
"""Of a step: a point further from every node of the grid than this is on no grid. Positions are printed with few digits."""
SPARSEST = 0.25
"""A grid of which less than this part was measured is no map."""
LARGEST_AT_ONCE = 64 << 20
"""Patterns up to this many bytes are read at once."""


@dataclass(frozen=True)
class Points:
    """Measured points, in the order of the file.

    x, y : in `unit`
    columns : name -> one value per point, the first being `phase`
    step : (y, x), in `unit`; 0 where the file does not say
    cells : (rows, columns) as the file promises them, None where it does not
    patterns : (point, detector_y, detector_x), lazy, or None
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    unit: str
    columns: Mapping[str, Field]
    step: tuple[float, float] = (0.0, 0.0)
    cells: tuple[int, int] | None = None
    patterns: Any = None
    conditions: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def signals_of(path: Path, title: str, points: Points) -> tuple[Signal, ...]:
    """The patterns, if any, and the map."""
    remarks = list(points.warnings)
    if points.cells and points.x.size != points.cells[0] * points.cells[1]:
        remarks.append(f"the header promises {points.cells[0]} x {points.cells[1]} points, the file has {points.x.size}: "
                       "it is cropped or truncated")
    grid = _grid(points)
    if grid is None:
        known = is_calibrated(points.unit) and bool(np.isfinite(points.x).any())
        remarks.append("the points are on no rectangular grid: they are kept as points" if known else
                       "the file does not say where the points are: they are kept one after another")
        place = Axis("position", np.arange(points.x.size, dtype=np.float64),
                     also={name: (converted(values, points.unit, "nm"), "nm")
                           for name, values in (("x", points.x), ("y", points.y)) if known})
        axes: tuple[Axis, ...] = (place,)
    else:
        axes = (Axis.even("y", grid.rows, grid.step[0], grid.origin[0], points.unit),
                Axis.even("x", grid.columns, grid.step[1], grid.origin[1], points.unit))
        missing = grid.rows * grid.columns - points.x.size
        if missing:
            remarks.append(f"{missing} of {grid.rows} x {grid.columns} points of the grid were not measured: they are NaN, "
                           "and phase 0")
    signal = partial(Signal, title, source=path, metadata=points.metadata, conditions=points.conditions,
                     warnings=tuple(remarks))
    found = []
    if points.patterns is not None:
        data = _placed_patterns(points.patterns, grid)
        detector = tuple(Axis.even(name, size, 1.0) for name, size in zip(("detector_y", "detector_x"), data.shape[-2:],
                                                                          strict=True))
        found.append(signal((*axes, *detector), {"data": Field(data)}, kind="EBSD patterns"))
    if points.columns:
        fields = {name: Field(_placed(name, one.data, grid), one.units) for name, one in points.columns.items()}
        found.append(signal(axes, fields, kind="EBSD"))
    return tuple(found)


@dataclass(frozen=True)
class _Grid:
    rows: int
    columns: int
    origin: tuple[float, float]
    step: tuple[float, float]
    node: NDArray[np.int64]

    @property
    def in_order(self) -> bool:
        return self.node.size == self.rows * self.columns and bool((np.diff(self.node) == 1).all())


def _grid(points: Points) -> _Grid | None:
    if points.x.size == 0 or not (np.isfinite(points.x).all() and np.isfinite(points.y).all()):
        return None
    y, x = (_lattice(values, step) for values, step in ((points.y, points.step[0]), (points.x, points.step[1])))
    if y is None or x is None:
        return None
    rows, columns = int(y[0].max()) + 1, int(x[0].max()) + 1
    node = y[0] * columns + x[0]
    if rows * columns * SPARSEST > points.x.size or np.unique(node).size != node.size:
        return None
    return _Grid(rows, columns, (y[1], x[1]), (y[2], x[2]), node)


def _lattice(values: NDArray[np.float64], step: float) -> tuple[NDArray[np.int64], float, float] | None:
    """Index of each value, value of index 0 and step; None where the values are not even."""
    first = float(values.min())
    if not (np.isfinite(step) and step > 0):
        different = np.unique(values)
        step = float(np.median(np.diff(different))) if different.size > 1 else 1.0
    index = np.rint((values - first) / step)
    if index.max() > values.size or np.abs(values - first - index * step).max() > TOLERANCE * step:
        return None
    return index.astype(np.int64), first, step


def _placed(name: str, values: NDArray[Any], grid: _Grid | None) -> NDArray[Any]:
    if grid is None:
        return values
    if grid.in_order:
        return values.reshape(grid.rows, grid.columns)
    whole = grid.node.size == grid.rows * grid.columns
    fill: float = 0 if whole or name == "phase" else np.nan
    dtype = values.dtype if whole or name == "phase" or values.dtype.kind == "f" else np.dtype(np.float32)
    placed = np.full(grid.rows * grid.columns, fill, dtype)
    placed[grid.node] = values
    return placed.reshape(grid.rows, grid.columns)


def _placed_patterns(patterns: Any, grid: _Grid | None) -> Any:
    """Patterns on their grid; those that were not measured are 0."""
    count, *size = patterns.shape
    nbytes = int(np.prod(patterns.shape)) * patterns.dtype.itemsize
    chunks = (max(1, (16 << 20) * count // max(nbytes, 1)), *size)
    array = patterns[...] if nbytes <= LARGEST_AT_ONCE else lazily(patterns, chunks)
    if grid is None:
        return array
    if not grid.in_order:
        order = np.full(grid.rows * grid.columns, count, np.int64)
        order[grid.node] = np.arange(count)
        blank = np.zeros((1, *size), patterns.dtype)
        array = np.concatenate([array, blank])[order]
    return array.reshape(grid.rows, grid.columns, *size)
