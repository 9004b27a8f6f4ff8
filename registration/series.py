"""The frames of a series, one at a time: never more in memory than the one being looked at."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from registration.picture import DIMS, Image, ImageError, axis_faults
from registration.transform import Floats

FEWEST = 3
"""Two frames have no third to say which of them is wrong."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Values (ny, nx), zero where there is no data, and the weight (ny, nx) of each pixel, 0 to 1."""

    values: Image
    weight: Image


@dataclass(frozen=True, eq=False)
class Series:
    """Frames along one dimension, read when asked for and averaged over blocks of `block` x `block` pixels.

    `step` (2,) nm is signed and that of the averaged pixels; `together` neighbours are summed to one frame.
    """

    source: xr.DataArray
    dim: Hashable
    block: int
    step: Floats
    mask: NDArray[np.bool_] | None = None
    together: int = 1

    @property
    def length(self) -> int:
        return int(self.source.sizes[self.dim]) // self.together

    @property
    def shape(self) -> tuple[int, int]:
        return self.source.sizes["y"] // self.block, self.source.sizes["x"] // self.block

    def __getitem__(self, index: int) -> Frame:
        first = self._single(index * self.together)
        values, weight = first.values, first.weight
        for i in range(index * self.together + 1, (index + 1) * self.together):
            other = self._single(i)
            values, weight = values + other.values, np.minimum(weight, other.weight)
        return first if self.together == 1 else Frame(np.where(weight > 0, values, np.float32(0)), weight)

    def __iter__(self) -> Iterator[Frame]:
        return (self[i] for i in range(self.length))

    def binned(self, largest: int) -> Series:
        """The same frames on as few pixels as leave no side longer than `largest`; small frames are returned as they are."""
        block = max(1, int(np.ceil(max(self.shape) / largest)))
        return replace(self, block=self.block * block, step=self.step * block)

    def summed(self, together: int) -> Series:
        """Neighbours summed in groups; frames that fill no group are left out."""
        return replace(self, together=together)

    def _single(self, index: int) -> Frame:
        raw = np.asarray(self.source.isel({self.dim: index}).values, np.float32)
        good = np.isfinite(raw) if self.mask is None else np.isfinite(raw) & self.mask
        values, weight = np.where(good, raw, np.float32(0)), good.astype(np.float32)
        if self.block > 1:
            total, weight = (_block_means(a, self.block) for a in (values, weight))
            values = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
        return Frame(values, weight)


def read_series(images: xr.DataArray, dim: Hashable, mask: xr.DataArray | NDArray[np.bool_] | None = None) -> Series:
    """Read a series with dims `dim`, y and x, the latter two in nm; nothing is loaded yet.

    Raises
    ------
    ImageError
        All faults at once: other dims, too few frames, axes that are not in nm or uneven, values that are no real numbers, a
        mask of another shape.
    """
    who = str(images.name or "series")
    if set(images.dims) != {dim, *DIMS}:
        raise ImageError(f"{who}: dims are {tuple(map(str, images.dims))}, expected {dim}, y and x; "
                         f"say which dimension counts the frames with dim=")
    images = images.transpose(dim, *DIMS)
    faults = [fault for d in DIMS for fault in axis_faults(images, d)]
    if images.sizes[dim] < FEWEST:
        faults.append(f"{dim} has {images.sizes[dim]} frames, at least {FEWEST} are needed")
    if images.dtype.kind not in "biuf":
        faults.append(f"values are {images.dtype}, expected real numbers")
    chosen = None
    if mask is not None:
        chosen = np.asarray(mask.transpose(*DIMS).values if isinstance(mask, xr.DataArray) else mask).astype(bool)
        if chosen.shape != images.shape[1:]:
            faults.append(f"mask has shape {chosen.shape}, the frames {images.shape[1:]}")
    if faults:
        raise ImageError(f"{who}: " + "; ".join(faults))
    ends = np.array([[float(images[d].values[i]) for d in DIMS] for i in (0, -1)])
    step = (ends[1] - ends[0]) / (np.array(images.shape[1:]) - 1)
    return Series(images, dim, 1, step, chosen)


def _block_means(a: Image, block: int) -> Image:
    ny, nx = (n // block for n in a.shape)
    return np.asarray(a[:ny * block, :nx * block].reshape(ny, block, nx, block).mean((1, 3), dtype=np.float32))
