"""Coarser levels of an image: each pixel the mean of 2 x 2 (in a volume 2 x 2 x 2) of the level before.

Labels are never averaged: a label stands for its block. OME-Zarr 0.5 metadata tells other programs where each pixel is
(https://ngff.openmicroscopy.org/0.5/, read for the fields `axes`, `datasets` and `coordinateTransformations`).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from datasets.terms import SPATIAL

TOP = 512
"""The coarsest level is the first that fits into a square of this many pixels."""
OME_VERSION = "0.5"
STRIP = 1 << 19
"""About this many bytes are averaged at a time."""


def pyramid_axes(variable: xr.Variable) -> tuple[int, ...]:
    """Array axes along which levels shrink: the trailing (z, y, x) or (y, x); none for what is not a picture."""
    dims = tuple(map(str, variable.dims))
    if variable.dtype.kind not in "iufb":
        return ()
    if dims[-3:] == SPATIAL:
        return tuple(range(len(dims) - 3, len(dims)))
    return tuple(range(len(dims) - 2, len(dims))) if dims[-2:] == ("y", "x") else ()


def level_shapes(shape: Sequence[int], axes: Sequence[int]) -> list[tuple[int, ...]]:
    """Shape of each level, the finest first; an odd length is rounded up, so no pixel is lost."""
    shapes = [tuple(shape)]
    while axes and max(shapes[-1][a] for a in axes) > TOP and math.prod(shape) > 0:
        shapes.append(tuple(math.ceil(n / 2) if a in axes else n for a, n in enumerate(shapes[-1])))
    return shapes


def is_label(variable: xr.Variable) -> bool:
    """Whether numbers are names: a mask, or flags in the sense of the CF conventions."""
    return bool(variable.dtype.kind == "b" or {"flag_values", "flag_masks", "flag_meanings"} & set(variable.attrs))


def level_dtype(variable: xr.Variable) -> np.dtype[Any]:
    """Type of the coarser levels: the image's own, but float32 for counts.

    A mean of few counts is not a whole number: rounding it would erase the contrast of a low-dose image.
    """
    native: np.dtype[Any] = variable.dtype.newbyteorder("=")
    if native.kind in "iu" and variable.attrs.get("units") == "count" and not is_label(variable):
        return np.dtype(np.float32)
    return native


def working_dtype(variable: xr.Variable) -> np.dtype[Any]:
    """Type in which means are carried from level to level without rounding: labels keep theirs."""
    native: np.dtype[Any] = variable.dtype.newbyteorder("=")
    if is_label(variable) or native.kind == "f":
        return native
    return np.dtype(np.float32 if native.itemsize <= 2 else np.float64)


def halve(values: NDArray[Any], axes: Sequence[int], out: NDArray[Any], *, label: bool = False) -> None:
    """Write one level coarser into `out`.

    Parameters
    ----------
    values : any shape
    axes
        Halved by the mean of neighbours; the last of an odd length stands alone. NaN is left out of the mean.
    out : the shape of `values`, with `axes` halved and rounded up
        Means are in its type.
    label
        Take the first of each block instead.
    """
    if label:
        out[...] = values[tuple(slice(None, None, 2) if a in axes else slice(None) for a in range(values.ndim))]
        return
    rows = axes[0]
    strip = max(1, STRIP // max(1, values.itemsize * math.prod(n for a, n in enumerate(values.shape) if a != rows)))
    for start in range(0, out.shape[rows], strip):  # strips that stay in the processor's cache
        before = [slice(None)] * values.ndim
        after = list(before)
        before[rows], after[rows] = slice(2 * start, 2 * (start + strip)), slice(start, start + strip)
        out[tuple(after)] = _means(values[tuple(before)], axes, out.dtype)


def _means(values: NDArray[Any], axes: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
    if values.dtype.kind == "f" and np.isnan(np.min(values, initial=0)):
        return _nan_means(values, axes, dtype)
    for axis in axes:
        values = np.add(*_pairs(values, axis), dtype=dtype)
    values *= dtype.type(0.5 ** len(axes))
    return values


def _pairs(values: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    if values.shape[axis] % 2:
        last = values.take([-1], axis=axis)
        values = np.concatenate([values, last], axis=axis)
    cut = [slice(None)] * values.ndim
    first, second = list(cut), list(cut)
    first[axis], second[axis] = slice(0, None, 2), slice(1, None, 2)
    return values[tuple(first)], values[tuple(second)]


def _nan_means(values: NDArray[Any], axes: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
    known = ~np.isnan(values)
    total, count = np.where(known, values, 0).astype(dtype), known.astype(dtype)
    for axis in axes:
        total = np.add(*_pairs(total, axis), dtype=dtype)
        count = np.add(*_pairs(count, axis), dtype=dtype)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / count, dtype=dtype)


def stored(means: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Means in the type of the stored level: rounded to the nearest whole number where that type is an integer."""
    if dtype.kind in "iu" and means.dtype.kind == "f":
        means = np.rint(means)
    kept: NDArray[Any] = means.astype(dtype, copy=False)
    return kept


def level_coordinate(values: NDArray[Any], level: int) -> NDArray[np.float64]:
    """Centres of the pixels of a level, from the centres of the finest level's pixels.

    A pixel of level k covers 2^k pixels, and its centre is the mean of theirs; where the last one hangs over the edge,
    its centre continues the grid.
    """
    centres = np.asarray(values, dtype=np.float64)
    for _ in range(level):
        if centres.size % 2:
            step = centres[-1] - centres[-2] if centres.size > 1 else 0.0
            centres = np.append(centres, centres[-1] + step)
        centres = (centres[0::2] + centres[1::2]) / 2
    return centres


def fits_ome(variable: xr.Variable) -> bool:
    """Whether OME-Zarr can describe it: space last, before it at most one axis of time and then one of another kind."""
    leading = [d for d in map(str, variable.dims) if d not in SPATIAL]
    others = [d for d in leading if d != "time"]
    return len(others) <= 1 and leading == [d for d in leading if d == "time"] + others


def ome_metadata(variables: Mapping[str, xr.Variable], coords: Mapping[str, xr.Variable],
                 paths: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The `ome` attribute of a group: one multiscale image per variable, with the path of each level.

    Scale and translation are in nanometer where the axis is calibrated; otherwise the axis has no unit and counts
    pixels. The translation of a coarser level is shifted by half a pixel per level, since its first centre is the mean of
    two centres.
    """
    return {"version": OME_VERSION, "multiscales": [
        _multiscale(name, variables[name], coords, levels) for name, levels in paths.items()]}


def _multiscale(name: str, variable: xr.Variable, coords: Mapping[str, xr.Variable], levels: Sequence[str]) -> dict[str, Any]:
    dims = tuple(map(str, variable.dims))
    shrinking = pyramid_axes(variable)
    datasets = []
    for level, path in enumerate(levels):
        scale, translation = [], []
        for axis, dim in enumerate(dims):
            first, step = _grid(coords.get(dim))
            factor = 2.0**level if axis in shrinking else 1.0
            scale.append(step * factor)
            translation.append(first + step * (factor - 1) / 2)
        datasets.append({"path": path, "coordinateTransformations": [
            {"type": "scale", "scale": scale}, {"type": "translation", "translation": translation}]})
    return {"name": name, "axes": [_axis(dim, coords.get(dim)) for dim in dims], "datasets": datasets,
            "type": "strided pick" if is_label(variable) else "mean"}


def _grid(coord: xr.Variable | None) -> tuple[float, float]:
    """First value and step of an axis; 0 and 1 where it is no even grid of numbers, or falls."""
    if coord is None or coord.dtype.kind not in "iuf" or coord.ndim != 1 or coord.size == 0:
        return 0.0, 1.0
    values = np.asarray(coord.values, dtype=np.float64)
    step = float(values[-1] - values[0]) / (values.size - 1) if values.size > 1 else 1.0
    if step == 0 or not math.isfinite(step) or not math.isfinite(values[0]):
        return 0.0, 1.0
    return float(values[0]), step


def _axis(dim: str, coord: xr.Variable | None) -> dict[str, str]:
    if dim in SPATIAL:
        calibrated = coord is not None and coord.attrs.get("units") == "nm"
        return {"name": dim, "type": "space"} | ({"unit": "nanometer"} if calibrated else {})
    if dim == "time":
        return {"name": dim, "type": "time", "unit": "second"}
    return {"name": dim}
