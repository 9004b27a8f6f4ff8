"""Bring an image onto the pixels of another one, with what that costs stated."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from registration.picture import DIMS, ImageError, axis_faults
from registration.transform import Floats, Transform, TransformError

PER_PIXEL = 3
"""Samples along each pixel of the finer image when it is averaged over the area of a coarser one."""
BLOCK = 1 << 20
"""Target pixels treated at a time."""


def resample(moving: xr.DataArray, transform: Transform, like: xr.DataArray) -> xr.Dataset:
    """The moving image on the pixels of `like`.

    Where the pixels of `like` are larger, each value is the mean over the pixel's own area; where they are smaller,
    values are interpolated linearly, which adds pixels but no resolution: `attrs["resolution_nm"]` keeps the
    pixel of the moving image, and `attrs["resampling"]` says which of the two was done.

    Parameters
    ----------
    moving : (..., y, x), coordinates in nm
    transform : moving -> frame of `like`
    like : with coordinates y and x in nm
        Only its coordinates are used.

    Returns
    -------
    Dataset with
    the values (..., y, x) under the moving image's name or `values`; NaN where less than half of the pixel is seen;
    `inside` (y, x), where values are;
    `position_std` (y, x), nm: root mean square distance between where a value is put and where it belongs, NaN if unknown.

    Raises
    ------
    ImageError
        If either image is not calibrated in nm.
    TransformError
        If the transform does not lead from the moving image's frame to that of `like`.
    """
    for who, image in (("moving image", moving), ("target", like)):
        faults = [f for d in DIMS for f in (axis_faults(image, d, 2) if d in image.dims else [f"it has no dimension {d}"])]
        if faults:
            raise ImageError(f"{who}: " + "; ".join(faults))
    for frame, end in ((moving.attrs.get("frame"), transform.source), (like.attrs.get("frame"), transform.target)):
        if frame and frame != end:
            raise TransformError(f"the transform leads from {transform.source!r} to {transform.target!r}, "
                                 f"the images are in {moving.attrs.get('frame')!r} and {like.attrs.get('frame')!r}")
    if transform.ndim != 2:
        raise TransformError("an image is resampled by a transform in 2D")
    back = transform.inverse()
    moving = moving.transpose(..., *DIMS)
    origin, step = _grid(moving)
    start, target_step = _grid(like)
    ratio = np.abs(back.linear @ np.diag(target_step) / step[:, None]).sum(0).max()
    coarser = bool(ratio > 1 + 1e-6)
    shape = (like.sizes["y"], like.sizes["x"])
    source = np.asarray(moving.values, np.float64).reshape(-1, *moving.shape[-2:])
    per_side = PER_PIXEL * int(np.ceil(ratio)) if coarser else 1
    values, weight = _sampled(source, back, origin, step, start, target_step, shape, per_side)
    inside = weight >= 0.5
    values = np.where(inside, values, np.nan).reshape(*moving.shape[:-2], *shape)
    coords: dict[Any, Any] = {d: like[d] for d in DIMS} | {d: moving[d] for d in moving.dims[:-2] if d in moving.coords}
    name = str(moving.name or "values")
    finest = np.abs(target_step).max() if coarser else np.linalg.norm(transform.linear @ np.diag(step), axis=0).max()
    attrs = {**moving.attrs, "units": moving.attrs.get("units", "arbitrary"), "frame": transform.target,
             "resampling": "area mean" if coarser else "linear interpolation", "resolution_nm": float(finest)}
    return xr.Dataset({
        name: (moving.dims, values, attrs),
        "inside": (DIMS, inside, {"units": "1", "long_name": "seen by the moving image"}),
        "position_std": (DIMS, _position_std(transform, back, start, target_step, shape), {"units": "nm"}),
    }, coords)


def _grid(image: xr.DataArray) -> tuple[Floats, Floats]:
    """First position and signed step (2,), nm."""
    first = np.array([float(image[d].values[0]) for d in DIMS])
    last = np.array([float(image[d].values[-1]) for d in DIMS])
    return first, (last - first) / (np.array([image.sizes[d] for d in DIMS]) - 1)


def _sampled(source: Floats, back: Transform, origin: Floats, step: Floats, start: Floats, target_step: Floats,
             shape: tuple[int, int], per_side: int) -> tuple[Floats, Floats]:
    """Values (n, ny, nx) and the part (ny, nx) of each target pixel that holds data."""
    rows = max(1, BLOCK // shape[1])
    out, weight = np.empty((len(source), *shape)), np.empty(shape)
    for first in range(0, shape[0], rows):
        i, j = np.mgrid[first:min(first + rows, shape[0]), :shape[1]]
        total, count = np.zeros((len(source), *i.shape)), np.zeros(i.shape)
        parts = (np.arange(per_side) + 0.5) / per_side - 0.5
        for u in parts:
            for v in parts:
                p = start + np.stack([(i + u).ravel(), (j + v).ravel()], 1) * target_step
                at = (back.apply(p) - origin) / step
                a, b = _linear(source, at) if per_side == 1 else _nearest(source, at)
                total += a.reshape(total.shape)
                count += b.reshape(count.shape)
        with np.errstate(invalid="ignore", divide="ignore"):
            out[:, first:first + rows] = total / count
        weight[first:first + rows] = count / per_side**2
    return out, weight


def _nearest(source: Floats, at: Floats) -> tuple[Floats, Floats]:
    """Values times weight (n, m) and weight (m,) of the pixels that hold the points `at` (m, 2), in pixels."""
    size = np.array(source.shape[1:])
    index = np.rint(at).astype(int)
    seen = ((index >= 0) & (index < size)).all(1)
    index = np.clip(index, 0, size - 1)
    values = source[:, index[:, 0], index[:, 1]]
    seen &= np.isfinite(values).all(0)
    return np.where(seen, values, 0.0), np.asarray(seen, np.float64)


def _linear(source: Floats, at: Floats) -> tuple[Floats, Floats]:
    """Linear interpolation; a point within the outermost half pixel takes the nearest pixels' values."""
    size = np.array(source.shape[1:])
    seen = ((at >= -0.5) & (at <= size - 0.5)).all(1)
    at = np.clip(at, 0, size - 1)
    i = np.minimum(at.astype(int), size - 2)
    t = at - i
    values = np.zeros((len(source), len(at)))
    for a in (0, 1):
        for b in (0, 1):
            w = np.where(a, t[:, 0], 1 - t[:, 0]) * np.where(b, t[:, 1], 1 - t[:, 1])
            corner = source[:, i[:, 0] + a, i[:, 1] + b]
            values += np.where(w > 0, w * corner, 0)
    seen &= np.isfinite(values).all(0)
    return np.where(seen, values, 0.0), np.asarray(seen, np.float64)


def _position_std(transform: Transform, back: Transform, start: Floats, step: Floats, shape: tuple[int, int]) -> Floats:
    """Root mean square position error (ny, nx), nm: its square is a quadratic in position, so six points give it all."""
    if transform.covariance is None:
        return np.full(shape, np.nan)
    y, x = np.linspace(-1, 1, shape[0])[:, None], np.linspace(-1, 1, shape[1])[None]
    half = (np.array(shape) - 1) / 2
    knots = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1], [1, 1]], np.float64)
    there = start + half * step * (1 + knots)
    variance = np.einsum("nii->n", transform.covariance_at(back.apply(there)))
    terms = np.stack([np.ones(6), knots[:, 0], knots[:, 1], knots[:, 0] ** 2, knots[:, 1] ** 2, knots[:, 0] * knots[:, 1]], 1)
    c = np.linalg.solve(terms, variance)
    variance = np.maximum(c[0] + c[1] * y + c[2] * x + c[3] * y**2 + c[4] * x**2 + c[5] * y * x, 0)
    return np.asarray(np.sqrt(variance), np.float64)
