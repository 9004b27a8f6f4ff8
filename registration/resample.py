"""Bring an image or a volume onto the pixels of another one, with what that costs stated."""

from __future__ import annotations

from itertools import combinations_with_replacement, product
from typing import Any

import numpy as np
import scipy.ndimage as ndi
import xarray as xr

from registration.picture import ImageError, axis_faults
from registration.transform import AXES, Floats, Transform, TransformError
from registration.warp import AnyTransform

PER_PIXEL = 3
"""Samples along each pixel of the finer image when it is averaged over the area of a coarser one."""
PER_VOXEL = 2
BLOCK = 1 << 20
"""Target pixels treated at a time."""
KNOTS = 17
"""Places along each axis at which a bent map is asked how much it stretches and how sure it is."""


def resample(moving: xr.DataArray, transform: AnyTransform, like: xr.DataArray,
             std: xr.DataArray | None = None) -> xr.Dataset:
    """The moving image on the pixels of `like`; both may be volumes.

    Where the pixels of `like` are larger, each value is the mean over the pixel's own area; where they are smaller,
    values are interpolated linearly, which adds pixels but no resolution: `attrs["resolution_nm"]` keeps the
    pixel of the moving image, and `attrs["resampling"]` says which of the two was done.

    Parameters
    ----------
    moving : (..., y, x), or (..., z, y, x) for a transform in 3D, coordinates in nm
    transform : moving -> frame of `like`
        Linear or bent (a `Warp` or a `Chain`).
    like : with coordinates y and x (and z) in nm
        Only its coordinates are used.
    std : same dims as `moving`
        Standard deviation of its values, pixels being independent.

    Returns
    -------
    Dataset with
    the values (..., y, x) under the moving image's name or `values`; NaN where less than half of the pixel is seen;
    `<name>_std`, if `std` is given: that of each pixel by itself; interpolated neighbours share their noise;
    `inside` (y, x), where values are;
    `position_std` (y, x), nm: root mean square distance between where a value is put and where it belongs, NaN if unknown.

    Raises
    ------
    ImageError
        If either image is not calibrated in nm, or `std` has other dims than the image.
    TransformError
        If the transform does not lead from the moving image's frame to that of `like`.
    """
    dims = AXES[-transform.ndim:]
    for who, image in (("moving image", moving), ("target", like)):
        faults = [f for d in dims for f in (axis_faults(image, d, 2) if d in image.dims else [f"it has no dimension {d}"])]
        if faults:
            raise ImageError(f"{who}: " + "; ".join(faults))
    for frame, end in ((moving.attrs.get("frame"), transform.source), (like.attrs.get("frame"), transform.target)):
        if frame and frame != end:
            raise TransformError(f"the transform leads from {transform.source!r} to {transform.target!r}, "
                                 f"the images are in {moving.attrs.get('frame')!r} and {like.attrs.get('frame')!r}")
    if transform.ndim == 2 and "z" in moving.dims and "z" in like.dims:
        raise TransformError("an image is resampled by a transform in 2D, a volume by one in 3D")
    if std is not None and (set(std.dims) != set(moving.dims) or dict(std.sizes) != dict(moving.sizes)):
        raise ImageError(f"the standard deviations have dims {dict(std.sizes)}, the moving image {dict(moving.sizes)}")
    back = transform.inverse()
    moving = moving.transpose(..., *dims)
    origin, step = _grid(moving, dims)
    start, target_step = _grid(like, dims)
    shape = tuple(like.sizes[d] for d in dims)
    there = start + (np.array(shape) - 1) * target_step * _lattice(transform.ndim)
    stretch = _stretch(back, there) * target_step / step[:, None]
    ratio = float(np.abs(stretch).sum(1).max())
    coarser = bool(ratio > 1 + 1e-6)
    lead = moving.shape[:-len(dims)]
    source = np.asarray(moving.values, np.float64).reshape(-1, *moving.shape[len(lead):])
    per_side = (PER_PIXEL if transform.ndim == 2 else PER_VOXEL) * int(np.ceil(ratio)) if coarser else 1
    values, weight = _sampled(source, back, origin, step, start, target_step, shape, per_side)
    inside = weight >= 0.5
    coords: dict[Any, Any] = {d: like[d] for d in dims} | {d: moving[d] for d in moving.dims[:len(lead)] if d in moving.coords}
    name = str(moving.name or "values")
    forward = np.linalg.inv(_stretch(back, there))
    finest = np.abs(target_step).max() if coarser else np.linalg.norm(forward * step, axis=1).max()
    attrs = {**moving.attrs, "units": moving.attrs.get("units", "arbitrary"), "frame": transform.target,
             "resampling": "area mean" if coarser else "linear interpolation", "resolution_nm": float(finest)}
    variables = {name: (moving.dims, np.where(inside, values, np.nan).reshape(*lead, *shape), attrs)}
    if std is not None:
        variance = np.asarray(std.transpose(*moving.dims).values, np.float64).reshape(source.shape) ** 2
        variance = np.where(np.isfinite(source), variance, np.nan)
        spread, _ = _sampled(variance, back, origin, step, start, target_step, shape, per_side, squared=True)
        if coarser:
            # the mean of as many independent pixels as the seen part of the target pixel covers
            pixels = np.maximum(np.abs(np.linalg.det(stretch)).mean() * weight, 1)
            spread = spread / pixels
        variables[f"{name}_std"] = (moving.dims, np.sqrt(np.where(inside, spread, np.nan)).reshape(*lead, *shape),
                                    {"units": attrs["units"]})
    return xr.Dataset({
        **variables,
        "inside": (dims, inside, {"units": "1", "long_name": "seen by the moving image"}),
        "position_std": (dims, _position_std(transform, back, start, target_step, shape), {"units": "nm"}),
    }, coords)


def _grid(image: xr.DataArray, dims: tuple[str, ...]) -> tuple[Floats, Floats]:
    """First position and signed step (d,), nm."""
    first = np.array([float(image[d].values[0]) for d in dims])
    last = np.array([float(image[d].values[-1]) for d in dims])
    return first, (last - first) / (np.array([image.sizes[d] for d in dims]) - 1)


def _lattice(ndim: int, count: int = KNOTS) -> Floats:
    """(n, d) places between 0 and 1."""
    return np.stack(np.meshgrid(*[np.linspace(0, 1, count)] * ndim, indexing="ij"), -1).reshape(-1, ndim)


def _stretch(transform: AnyTransform, points: Floats) -> Floats:
    """(n, d, d), n = 1 for a linear map: how it stretches at points."""
    return transform.linear_at(points[:1] if isinstance(transform, Transform) else points)


def _sampled(source: Floats, back: AnyTransform, origin: Floats, step: Floats, start: Floats, target_step: Floats,
             shape: tuple[int, ...], per_side: int, squared: bool = False) -> tuple[Floats, Floats]:
    """Values (n, *shape) and the part (*shape) of each target pixel that holds data."""
    rows = max(1, BLOCK // int(np.prod(shape[1:])))
    out, weight = np.empty((len(source), *shape)), np.empty(shape)
    for first in range(0, shape[0], rows):
        last = min(first + rows, shape[0])
        index = np.moveaxis(np.mgrid[(slice(first, last), *(slice(n) for n in shape[1:]))], 0, -1)
        total, count = np.zeros((len(source), *index.shape[:-1])), np.zeros(index.shape[:-1])
        parts = (np.arange(per_side) + 0.5) / per_side - 0.5
        for off in product(parts, repeat=len(shape)):
            p = start + (index + off).reshape(-1, len(shape)) * target_step
            at = (back.apply(p) - origin) / step
            a, b = _linear(source, at, squared) if per_side == 1 else _nearest(source, at)
            total += a.reshape(total.shape)
            count += b.reshape(count.shape)
        with np.errstate(invalid="ignore", divide="ignore"):
            out[:, first:last] = total / count
        weight[first:last] = count / per_side ** len(shape)
    return out, weight


def _nearest(source: Floats, at: Floats) -> tuple[Floats, Floats]:
    """Values times weight (n, m) and weight (m,) of the pixels that hold the points `at` (m, d), in pixels."""
    size = np.array(source.shape[1:])
    index = np.rint(at).astype(int)
    seen = ((index >= 0) & (index < size)).all(1)
    index = np.clip(index, 0, size - 1)
    values = source[(slice(None), *index.T)]
    seen &= np.isfinite(values).all(0)
    return np.where(seen, values, 0.0), np.asarray(seen, np.float64)


def _linear(source: Floats, at: Floats, squared: bool = False) -> tuple[Floats, Floats]:
    """Linear interpolation, with `squared` weights for variances; a point within the outermost half pixel takes the nearest
    pixels' values.
    """
    size = np.array(source.shape[1:])
    seen = ((at >= -0.5) & (at <= size - 0.5)).all(1)
    at = np.clip(at, 0, size - 1)
    i = np.minimum(at.astype(int), size - 2)
    t = at - i
    values = np.zeros((len(source), len(at)))
    for corner in product((0, 1), repeat=len(size)):
        w = np.where(corner, t, 1 - t).prod(1)
        value = source[(slice(None), *(i + corner).T)]
        values += np.where(w > 0, (w**2 if squared else w) * value, 0)
    seen &= np.isfinite(values).all(0)
    return np.where(seen, values, 0.0), np.asarray(seen, np.float64)


def _position_std(transform: AnyTransform, back: AnyTransform, start: Floats, step: Floats,
                  shape: tuple[int, ...]) -> Floats:
    """Root mean square position error (*shape), nm."""
    if isinstance(transform, Transform) and transform.covariance is None:
        return np.full(shape, np.nan)
    half = (np.array(shape) - 1) / 2 * step
    count = 3 if isinstance(transform, Transform) else KNOTS
    knots = 2 * _lattice(len(shape), count) - 1
    variance = np.einsum("nii->n", transform.covariance_at(back.apply(start + half * (1 + knots))))
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij", sparse=True)
    if not isinstance(transform, Transform):
        places = np.broadcast_arrays(*((a + 1) / 2 * (count - 1) for a in axes))
        spread = ndi.map_coordinates(variance.reshape((count,) * len(shape)), np.array(places), order=1)
        return np.asarray(np.sqrt(np.maximum(spread, 0)), np.float64)
    # the square is a quadratic in position, so a few places give it all
    pairs = [(None, None), *((None, i) for i in range(len(shape))), *combinations_with_replacement(range(len(shape)), 2)]

    def term(x: Any, pair: tuple[int | None, int | None]) -> Any:
        return (1 if pair[0] is None else x[pair[0]]) * (1 if pair[1] is None else x[pair[1]])

    columns = np.stack([np.broadcast_to(term(list(knots.T), p), len(knots)) for p in pairs], 1)
    weights = np.linalg.lstsq(columns, variance, rcond=None)[0]
    whole = sum((w * term(axes, p) for w, p in zip(weights, pairs, strict=True)), np.zeros(shape))
    return np.asarray(np.sqrt(np.maximum(whole, 0)), np.float64)
