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


def halved(values: NDArray[Any], axes: Sequence[int], dtype: np.dtype[Any], *, label: bool = False) -> NDArray[Any]:
    """One level coarser.

    Parameters
    ----------
    values : any shape
    axes
        Halved by the mean of neighbours; the last of an odd length stands alone. NaN is left out of the mean.
    dtype : of the result
    label
        Take the first of each block instead.
    """
    if label:
        picked: NDArray[Any] = values[tuple(slice(None, None, 2) if a in axes else slice(None) for a in range(values.ndim))]
        return picked
    if values.dtype.kind == "f" and np.isnan(np.min(values, initial=0)):
        return _nan_halved(values, axes, dtype)
    for axis in axes:
        first, second = _pairs(values, axis)
        total = np.add(first, second, dtype=dtype)
        total *= dtype.type(0.5)
        values = total
    return values


def _pairs(values: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    if values.shape[axis] % 2:
        last = values.take([-1], axis=axis)
        values = np.concatenate([values, last], axis=axis)
    cut = [slice(None)] * values.ndim
    first, second = list(cut), list(cut)
    first[axis], second[axis] = slice(0, None, 2), slice(1, None, 2)
    return values[tuple(first)], values[tuple(second)]


def _nan_halved(values: NDArray[Any], axes: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
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
        return np.rint(means).astype(dtype)
    return means.astype(dtype, copy=False)


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
