"""A calibrated volume, or one section through it, made plain for registration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
import xarray as xr
from numpy.typing import NDArray

from registration.picture import Image, ImageError, Mask, axis_faults, picture
from registration.transform import Floats

DIMS = ("z", "y", "x")


@dataclass(frozen=True, eq=False)
class Volume:
    """Values (nz, ny, nx) at `origin` + index * `step`, nm ordered (z, y, x), steps positive; `mask` is false without data."""

    values: Image
    step: Floats
    origin: Floats
    mask: NDArray[np.bool_]

    @property
    def extent(self) -> Floats:
        """(3,) size with the voxels' own size, nm."""
        return np.asarray(np.array(self.values.shape) * self.step, np.float64)

    @property
    def centre(self) -> Floats:
        """(3,) middle, nm."""
        return np.asarray(self.origin + (np.array(self.values.shape) - 1) / 2 * self.step, np.float64)

    @property
    def voxel(self) -> float:
        """Longest edge of a voxel, nm."""
        return float(self.step.max())

    def corners(self) -> Floats:
        """(8, 3) corners, nm."""
        signs = np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1], indexing="ij"), -1).reshape(-1, 3)
        return np.asarray(self.centre + signs * self.extent / 2, np.float64)

    def at_footprint(self, pitch: float) -> Volume:
        """Smoothed and thinned to voxels of about `pitch` nm; an axis that is coarser already, or a slice, stays as it is."""
        factor = np.maximum(1, np.floor(pitch / self.step + 1e-6)).astype(int)
        factor = np.where(np.array(self.values.shape) < 8, 1, factor)
        if (factor == 1).all():
            return self
        sigma = np.where(factor > 1, 0.5 * factor, 0)
        seen = ndi.gaussian_filter(self.mask.astype(np.float32), sigma)
        total = ndi.gaussian_filter(np.where(self.mask, self.values, 0).astype(np.float32), sigma)
        values = np.divide(total, seen, out=np.zeros_like(total), where=seen > 1e-3)
        first = ((np.array(self.values.shape) - 1) % factor) // 2
        thin = tuple(slice(f, None, k) for f, k in zip(first, factor, strict=True))
        return Volume(np.ascontiguousarray(values[thin]), self.step * factor, self.origin + first * self.step,
                      np.ascontiguousarray(seen[thin] > 0.5))


def read_volume(image: xr.DataArray, who: str, mask: Mask | None = None) -> Volume:
    """Read a volume with dims z, y, x in nm; axes may run either way. Voxels that are not finite, or false in `mask`, are left
    out.

    Raises
    ------
    ImageError
        All faults at once.
    """
    if set(image.dims) != set(DIMS):
        raise ImageError(f"{who}: dims are {tuple(map(str, image.dims))}, expected z, y and x")
    image = image.transpose(*DIMS)
    faults = [fault for d in DIMS for fault in axis_faults(image, d)]
    mask = mask.transpose(*DIMS).values if isinstance(mask, xr.DataArray) else mask
    if mask is not None and np.shape(mask) != image.shape:
        faults.append(f"mask has shape {np.shape(mask)}, the volume {image.shape}")
    if image.dtype.kind not in "biuf":
        faults.append(f"values are {image.dtype}, expected real numbers")
    if faults:
        raise ImageError(f"{who}: " + "; ".join(faults))
    values = np.asarray(image.values, np.float32)
    good = np.isfinite(values) if mask is None else np.isfinite(values) & np.asarray(mask, bool)
    if good.mean() < 0.02:
        raise ImageError(f"{who}: only {good.mean():.0%} of the voxels hold data")
    ends = np.array([[float(image[d].values[i]) for d in DIMS] for i in (0, -1)])
    flips = tuple(slice(None, None, -1) if b < a else slice(None) for a, b in ends.T)
    plain = np.where(good, values, np.float32(np.median(values[good])))
    if plain.min() == plain.max():
        raise ImageError(f"{who}: every voxel has the value {float(plain.flat[0]):g}; there is nothing to align")
    step = np.abs(ends[1] - ends[0]) / (np.array(values.shape) - 1)
    return Volume(np.ascontiguousarray(plain[flips]), step, ends.min(0), np.ascontiguousarray(good[flips]))


def read_section(image: xr.DataArray, who: str, mask: Mask | None = None) -> Volume:
    """Read an image (y, x) in nm as a volume of one slice at z = 0 of its own frame."""
    flat = picture(image, who, mask)
    return Volume(flat.values[None], np.r_[flat.step.mean(), flat.step], np.r_[0.0, flat.origin], flat.mask[None] > 0.5)
