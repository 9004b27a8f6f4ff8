"""A picture whose map to the stage bends: drawn anew, tile by tile, on an even grid of the stage's frame."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline

from dashboards.figures.stage import edges
from dashboards.tiles import TILE, Raster
from registration.warp import AnyTransform

Floats = NDArray[np.float64]

FINER = 8
"""Pixels of the finest level along the side of one of the picture's own, so that even its pixels' outlines bend."""
SIDE = 48
"""Pieces by which each side of the rim is drawn."""
EVERY = 16
"""Pixels of a tile between places at which the map is asked; cubic splines between them are right to far below a pixel."""


@dataclass(frozen=True, eq=False)
class BentRaster:
    """A picture in levels as a Raster is, but in the frame of the stage.

    Every pixel has the value of the own pixel (of the level about as fine) that holds the place to which the map leads, so what
    is seen under the cursor is what a click there tells. Nothing is drawn before its tile is asked for.

    Parameters
    ----------
    own : in its own frame
    transform : own frame -> the stage's frame
    """

    own: Raster
    transform: AnyTransform
    levels: tuple[xr.DataArray, ...] = field(init=False)
    lossless = True
    partial = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", stage_levels(self.own.levels[0], self.transform))

    @property
    def limits(self) -> tuple[float, float]:
        """Values shown as black and as white."""
        return self.own.limits

    def block(self, level: int, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Values of a part of a level; NaN where the picture does not reach."""
        target, source = self.levels[level], self._as_fine_as(level)
        axes = [target[d].values[part] for d, part in (("y", rows), ("x", columns))]
        index, inside = [], np.ones([len(a) for a in axes], bool)
        for place, dim in zip(self._own_places(axes), ("y", "x"), strict=True):
            own = source[dim].values
            at = (place - own[0]) * ((len(own) - 1) / (own[-1] - own[0]))
            inside &= (at >= -0.5) & (at < len(own) - 0.5)
            index.append(np.clip(np.rint(at), 0, len(own) - 1).astype(int))
        out = np.full(inside.shape, np.nan, np.float32)
        if inside.any():
            (top, bottom), (left, right) = ((int(i[inside].min()), int(i[inside].max()) + 1) for i in index)
            values = np.asarray(source.isel(y=slice(top, bottom), x=slice(left, right)).values)
            out[inside] = values[index[0][inside] - top, index[1][inside] - left]
        return out

    @cached_property
    def _back(self) -> AnyTransform:
        return self.transform.inverse()

    def _own_places(self, axes: list[Floats]) -> tuple[Floats, Floats]:
        """(y, x) in the own frame of every pixel of a grid of the stage."""
        pitch = _pitch(self.levels[0])
        nodes = [np.linspace(a[0] - pitch, a[-1] + pitch, max(4, len(a) // EVERY + 1)) for a in axes]
        there = self._back.apply(np.stack(np.meshgrid(*nodes, indexing="ij"), -1).reshape(-1, 2))
        y, x = (RectBivariateSpline(*nodes, there[:, k].reshape(len(nodes[0]), -1))(*axes) for k in (0, 1))
        return y, x

    def _as_fine_as(self, level: int) -> xr.DataArray:
        """The coarsest level of the own picture that is no coarser than a level on the stage; the finest if none is."""
        pitch = _pitch(self.own.levels[0]) * 2**level / FINER
        return next((own for own in reversed(self.own.levels) if _pitch(own) <= 1.25 * pitch), self.own.levels[0])


def stage_levels(own: xr.DataArray, transform: AnyTransform) -> tuple[xr.DataArray, ...]:
    """Even grids (y, x) of the stage that hold a bent picture, without values: each twice as coarse as the one before."""
    rim = outline(own, transform)
    start, end = rim.min(0), rim.max(0)
    stretch = np.sqrt(np.abs(np.linalg.det(transform.linear_at(rim_of(own)))).mean())
    pitch = float(_pitch(own) * stretch / FINER)
    levels: list[xr.DataArray] = []
    while not levels or max(levels[-1].shape) > TILE:
        shape = np.maximum(np.ceil((end - start) / pitch), 2).astype(int)
        coords = {d: (d, start[a] + (np.arange(shape[a]) + 0.5) * pitch, {"units": "nm"}) for a, d in enumerate(("y", "x"))}
        levels.append(xr.DataArray(np.broadcast_to(np.float32(0), shape), coords, ("y", "x")))
        pitch *= 2
    return tuple(levels)


def outline(own: xr.DataArray, transform: AnyTransform) -> Floats:
    """(n, 2) places (y, x) on the stage of the rim of a picture."""
    return transform.apply(rim_of(own))


def rim_of(own: xr.DataArray) -> Floats:
    """(n, 2) places (y, x) along the outer edges of a picture's pixels, in its own frame."""
    y0, y1, x0, x1 = edges(own)
    t = np.linspace(0, 1, SIDE, endpoint=False)
    y, x, still = y0 + (y1 - y0) * t, x0 + (x1 - x0) * t, np.ones(SIDE)
    sides = ((y0 * still, x), (y, x1 * still), (y1 * still, x0 + x1 - x), (y0 + y1 - y, x0 * still))
    return np.concatenate([np.stack(side, 1) for side in sides])


def _pitch(image: xr.DataArray) -> float:
    """Side of a square as large as a pixel."""
    y0, y1, x0, x1 = edges(image)
    return float(np.sqrt(abs((y1 - y0) * (x1 - x0)) / image.size))
