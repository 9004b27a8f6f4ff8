"""A calibrated image made plain for registration: numbers, pixel size, place and what may be looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import scipy.ndimage as ndi
import xarray as xr
from numpy.typing import NDArray

from datasets.errors import DatasetError
from registration.transform import Floats

Image = NDArray[np.float32]
Mask = xr.DataArray | NDArray[np.bool_]
Masks = tuple[Mask | None, Mask | None]
"""Of the fixed and the moving image: true where data are to be used."""
DIMS = ("y", "x")
UNIFORM = 1e-3
"""Steps of an axis may differ by this much of a step; a file that rounds positions to 3 digits still passes."""
STRIP = 16
"""Rows of an averaged image made at a time: an image of 8192² pixels is never held twice."""
SMALLEST = 8
"""Fewer pixels than this along an axis hold no pose."""
BORDER, LEFT, SOLID, SCATTERED = 0.02, 0.2, 2, 0.1
"""A region that touches the border, in which every pixel has the lowest value of the image, is padding if it covers more than
BORDER of the image, is solid (survives erosion by SOLID pixels), leaves at least LEFT of the image to look at, and no more
than SCATTERED of what it leaves has that value too: a map of few counts has many zeros elsewhere, and they are measurements,
as is the background of a few particles."""


class ImageError(DatasetError):
    """An image cannot be placed: axes, units or values are not what registration needs."""


@dataclass(frozen=True, eq=False)
class Picture:
    """Values (ny, nx) at positions `origin` + index * `step`, nm ordered (y, x), steps positive; `mask` is the weight of a
    pixel between 0 (no data) and 1.
    """

    values: Image
    step: Floats
    origin: Floats
    mask: Image

    @property
    def shape(self) -> tuple[int, int]:
        return cast(tuple[int, int], self.values.shape)

    @property
    def extent(self) -> Floats:
        """(2,) size of the field of view with the pixels' own size, nm."""
        return np.array(self.shape) * self.step

    @property
    def centre(self) -> Floats:
        """(2,) middle of the field of view, nm."""
        return self.origin + (np.array(self.shape) - 1) / 2 * self.step

    @property
    def pixel(self) -> float:
        """Side of the square that the coarser axis spans, nm."""
        return float(self.step.max())

    def corners(self) -> Floats:
        """(4, 2) corners of the field of view, nm."""
        signs = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
        return self.centre + signs * self.extent / 2

    def contains(self, points: Floats) -> NDArray[np.bool_]:
        """Whether points (n, 2) nm lie inside the field of view."""
        return cast(NDArray[np.bool_], (np.abs(points - self.centre) <= self.extent / 2).all(1))

    def valid_at(self, points: Floats) -> NDArray[np.bool_]:
        """Whether points (n, 2) nm lie on pixels that hold data."""
        inside = self.contains(points)
        index = np.clip(np.rint((points - self.origin) / self.step).astype(int), 0, np.array(self.shape) - 1)
        return cast(NDArray[np.bool_], inside & (self.mask[index[:, 0], index[:, 1]] > 0.5))


def picture(image: xr.DataArray, who: str, mask: Mask | None = None) -> Picture:
    """Read an image with dims y and x in nm; axes may run either way and pixels need not be square.

    Pixels that are not finite, or false in `mask`, are left out; without a mask also padding, see `padding`.

    Raises
    ------
    ImageError
        All faults at once: missing or further dims, no coordinates, units other than nm, uneven steps, too few pixels,
        no values, a mask of another shape.
    """
    faults: list[str] = []
    if set(image.dims) != set(DIMS):
        raise ImageError(f"{who}: dims are {tuple(map(str, image.dims))}, expected y and x; "
                         f"reduce a spectrum image to one image first")
    image = image.transpose(*DIMS)
    for dim in DIMS:
        faults += axis_faults(image, dim)
    if faults:
        raise ImageError(f"{who}: " + "; ".join(faults))
    values = np.asarray(image.values)
    if values.dtype.kind not in "biuf":
        raise ImageError(f"{who}: values are {values.dtype}, expected real numbers")
    good: NDArray[np.bool_] = np.isfinite(values)
    if mask is not None:
        chosen = np.asarray(mask.transpose(*DIMS).values if isinstance(mask, xr.DataArray) else mask)
        if chosen.shape != values.shape:
            raise ImageError(f"{who}: mask has shape {chosen.shape}, the image {values.shape}")
        good &= chosen.astype(bool)
    else:
        good &= ~padding(values, good)
    flips = tuple(slice(None, None, -1) if image[d].values[-1] < image[d].values[0] else slice(None) for d in DIMS)
    y, x = (np.sort(image[d].values.astype(np.float64)) for d in DIMS)
    values, good = values[flips], good[flips]
    if good.mean() < 0.02:
        raise ImageError(f"{who}: only {good.mean():.0%} of the pixels hold data")
    low, high = _range(values, good)
    if low == high:
        raise ImageError(f"{who}: every pixel has the value {low:g}; there is nothing to align")
    step = np.array([(a[-1] - a[0]) / (len(a) - 1) for a in (y, x)])
    if good.all():  # no copy of an image that may fill much of the memory
        return Picture(values.astype(np.float32, copy=False), step, np.array([y[0], x[0]]),
                       np.broadcast_to(np.float32(1), values.shape))
    plain = np.where(good, values, np.median(values[good])).astype(np.float32)
    return Picture(plain, step, np.array([y[0], x[0]]), good.astype(np.float32))


def padding(values: NDArray[Any], good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where an image was filled up at its border; nowhere where that would leave too little, see BORDER."""
    nowhere = np.zeros(values.shape, bool)
    if not good.any():
        return nowhere
    flat = good & (values == _range(values, good)[0])
    if flat.mean() < BORDER:
        return nowhere
    solid = ndi.binary_erosion(flat, iterations=SOLID, border_value=1)
    rim = nowhere.copy()
    rim[[0, -1]], rim[:, [0, -1]] = solid[[0, -1]], solid[:, [0, -1]]
    # grown back within the flat pixels only
    region = ndi.binary_dilation(ndi.binary_propagation(rim, mask=solid), iterations=SOLID, mask=flat)
    left = good & ~region
    if region.mean() < BORDER or left.mean() < LEFT or (flat & left).sum() > SCATTERED * left.sum():
        return nowhere
    return cast(NDArray[np.bool_], region)


def _range(values: NDArray[Any], good: NDArray[np.bool_]) -> tuple[float, float]:
    """Lowest and highest of the good values."""
    chosen = values if good.all() else values[good]
    return float(chosen.min()), float(chosen.max())


def averaged(image: Picture, pitch: float) -> Picture:
    """The image on square pixels of at least `pitch` nm: each new pixel is the mean over its own area, so nothing aliases.

    An image whose pixels are already square and larger is returned as it is; a wider axis sets the size of both.
    """
    size = max(pitch, image.pixel)
    if np.allclose(image.step, size, rtol=1e-6):
        return image
    n = np.maximum(SMALLEST // 2, (image.extent / size + 1e-6).astype(int))
    start = image.centre - n * size / 2
    down, across = ((start[i] + np.arange(n[i] + 1) * size - image.origin[i]) / image.step[i] + 0.5 for i in (0, 1))
    values, mask = np.empty(n, np.float32), np.empty(n, np.float32)
    for first in range(0, n[0], STRIP):
        edges = down[first:first + STRIP + 1]
        low = int(np.clip(np.floor(edges[0]), 0, image.shape[0] - 1))
        high = int(np.clip(np.ceil(edges[-1]), low + 1, image.shape[0]))
        weight = image.mask[low:high]
        for whole, part in ((values, image.values[low:high] * weight), (mask, weight)):
            whole[first:first + STRIP] = _area_means(_area_means(part, edges - low, 0), across, 1)
    mean = np.divide(values, mask, out=np.full_like(values, np.median(values)), where=mask > 1e-3)
    return Picture(mean, np.array([size, size]), start + size / 2, mask)


def mirrored(image: Picture) -> Picture:
    """The image with x running the other way about its own centre."""
    return replace(image, values=image.values[:, ::-1].copy(), mask=image.mask[:, ::-1].copy())


def _area_means(a: NDArray[np.floating], edges: Floats, axis: int) -> Floats:
    """Mean of `a`, pixel i covering i to i + 1, between neighbouring edges; what lies outside counts as zero."""
    moved = np.moveaxis(a, axis, 0).astype(np.float64)
    total = np.concatenate([np.zeros((1, moved.shape[1])), np.cumsum(moved, 0)])
    at = np.clip(edges, 0, len(moved))
    i = np.minimum(at.astype(int), len(moved) - 1)
    t = (at - i)[:, None]
    return cast(Floats, np.moveaxis(np.diff(total[i] * (1 - t) + total[i + 1] * t, axis=0) / np.diff(edges)[:, None], 0, axis))


def axis_faults(image: xr.DataArray, dim: str, smallest: int = SMALLEST) -> list[str]:
    """What keeps an axis from placing pixels in nm; empty if nothing."""
    if image.sizes[dim] < smallest:
        return [f"{dim} has {image.sizes[dim]} pixels, at least {smallest} are needed"]
    if dim not in image.coords:
        return [f"{dim} has no coordinate; calibrate the image"]
    units = image[dim].attrs.get("units", "")
    if units != "nm":
        return [f"{dim} is in {units or 'no unit'!r}, expected 'nm'; calibrate the image (an uncalibrated pixel is not 1 nm)"]
    steps = np.diff(image[dim].values.astype(np.float64))
    uneven = np.abs(steps - steps.mean()).max()
    if not np.isfinite(steps).all() or steps[0] == 0 or uneven > UNIFORM * abs(steps.mean()) * len(steps) ** 0.5:
        return [f"{dim} is not evenly spaced (steps {steps.min():.4g} to {steps.max():.4g} nm)"]
    return []
