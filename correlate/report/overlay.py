"""Small pictures of a registration: the fixed image in grey, and where the moving one lies on it, in two colours."""

import math
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from PIL import Image as Pillow

from registration import Landmarks, Transform, resample
from registration.warp import AnyTransform

Floats = NDArray[np.float64]

LONGEST_PX = 320
QUALITY = 82
MARGIN = 0.15
"""Of the moving field's size, shown around it where the fixed field is much wider."""
MUCH_WIDER = 3.0
BENT_SIDE = 12
"""Pieces by which a side of a bent field is drawn."""
FIXED_TINT = np.array([0.28, 0.62, 1.0])
MOVING_TINT = np.array([1.0, 0.52, 0.12])
"""Blue and orange, told apart by every kind of colour vision; where both images are bright their sum is near white."""
DARKEST, BRIGHTEST = 1.0, 99.5
"""Percentiles between which an image is shown."""


@dataclass(frozen=True)
class Picture:
    """A JPEG picture with what an SVG needs to draw on it.

    outline : rim (x, y) of the moving field, in pixels of the picture; empty where there is none
    pixel_nm : side of a pixel, NaN where the image is not calibrated
    marks : where each landmark is marked in the fixed image, and where the transform puts its mark in the moving one, (x, y)
    """

    jpeg: bytes
    width: int
    height: int
    pixel_nm: float
    outline: tuple[tuple[float, float], ...] = ()
    marks: tuple[tuple[tuple[float, float], tuple[float, float]], ...] = ()


def overlay(fixed: xr.DataArray, moving: xr.DataArray, transform: AnyTransform, marks: Landmarks | None = None) -> Picture:
    """The moving image on the fixed one: blue where only the fixed one is bright, orange where only the moving one is.

    Parameters
    ----------
    fixed, moving : (y, x), nm
    transform : frame of `moving` -> frame of `fixed`
    marks : landmarks of the two
    """
    rim = transform.apply(_rim(moving, 1 if isinstance(transform, Transform) else BENT_SIDE))
    like = _window(fixed, rim)
    step = float(like["x"][1] - like["x"][0])
    still = Transform.identity(transform.target, transform.target)
    grey = _shown(_on(fixed, still, like, step))
    seen = _on(moving, transform, like, step)
    colours = np.repeat((0.9 * grey)[..., None], 3, axis=-1)
    inside = np.isfinite(seen)
    mixed = grey[..., None] * FIXED_TINT + _shown(seen)[..., None] * MOVING_TINT
    colours[inside] = mixed[inside]
    origin = np.array([float(like["y"][0]), float(like["x"][0])])

    def drawn(places: Floats) -> tuple[tuple[float, float], ...]:
        return tuple((float(x), float(y)) for y, x in (places - origin) / step + 0.5)

    pairs = () if marks is None else tuple(zip(drawn(marks.fixed), drawn(transform.apply(marks.moving)), strict=True))
    return Picture(_jpeg(colours), like.sizes["x"], like.sizes["y"], step, drawn(rim), pairs)


def thumbnail(image: xr.DataArray, longest_px: int = LONGEST_PX // 2) -> Picture:
    """An image alone, in grey, calibrated or not."""
    factor = max(1, math.ceil(max(image.shape) / longest_px))
    calibrated = image["x"].attrs.get("units") == "nm" and image.sizes["x"] > 1
    step = factor * abs(float(image["x"][1] - image["x"][0])) if calibrated else np.nan
    grey = _shown(np.asarray(coarsened(image, factor).values, np.float64))
    return Picture(_jpeg(np.repeat(grey[..., None], 3, axis=-1)), grey.shape[1], grey.shape[0], step)


def coarsened(image: xr.DataArray, factor: int) -> xr.DataArray:
    """Means over blocks of factor x factor pixels; what is left over at the far edges is cut off."""
    if factor <= 1:
        return image
    small: xr.DataArray = image.coarsen({"y": factor, "x": factor}, boundary="trim").mean()
    return small.assign_coords({d: small[d].assign_attrs(image[d].attrs) for d in ("y", "x")}).assign_attrs(image.attrs)


def _window(fixed: xr.DataArray, corners: Floats) -> xr.DataArray:
    """Square pixels over the fixed field, or over the part of it around the moving field where that is much smaller."""
    low, high = ((np.array([float(f(fixed[d])) for d in ("y", "x")])) for f in (np.min, np.max))
    inner = np.maximum(corners.min(0), low), np.minimum(corners.max(0), high)
    if (inner[1] > inner[0]).all() and MUCH_WIDER * (corners.max(0) - corners.min(0)).max() < (high - low).max():
        room = MARGIN * (corners.max(0) - corners.min(0))
        low, high = np.maximum(low, inner[0] - room), np.minimum(high, inner[1] + room)
    step = float((high - low).max()) / (LONGEST_PX - 1)
    n = np.maximum(2, np.floor((high - low) / step).astype(int) + 1)
    axes = {d: (d, low[i] + step * np.arange(n[i]), {"units": "nm"}) for i, d in enumerate(("y", "x"))}
    return xr.DataArray(np.zeros(n, np.float32), axes, ("y", "x"))


def _on(image: xr.DataArray, transform: AnyTransform, like: xr.DataArray, step: float) -> Floats:
    """Values on the pixels of `like`; fine images are averaged first, for `resample` pays for every point it averages."""
    own = min(abs(float(image[d][1] - image[d][0])) for d in ("y", "x"))
    middle = np.array([[float(like[d].mean()) for d in ("y", "x")]])
    reach = step * float(np.abs(transform.inverse().linear_at(middle)[0]).sum(0).max())
    small = coarsened(image, max(1, math.ceil(reach / own - 1e-6)))
    plain = xr.DataArray(np.asarray(small.values, np.float64), {d: small[d] for d in ("y", "x")}, ("y", "x"))
    return np.asarray(resample(plain, transform, like)["values"].values, np.float64)


def _shown(values: Floats) -> Floats:
    """Brightness from 0 to 1; black where there is nothing."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.zeros_like(values)
    low, high = np.percentile(finite, [DARKEST, BRIGHTEST])
    return np.asarray(np.nan_to_num(np.clip((values - low) / max(high - low, 1e-12), 0, 1)), np.float64)


def _jpeg(colours: Floats) -> bytes:
    buffer = BytesIO()
    pixels = np.round(255 * np.clip(colours, 0, 1)).astype(np.uint8)
    Pillow.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return buffer.getvalue()


def _rim(image: xr.DataArray, parts: int) -> Floats:
    """Points (4 parts, 2) in order around the field, nm, ordered (y, x): the corners, and `parts` - 1 between them."""
    (top, bottom), (left, right) = ((float(image[d][0]), float(image[d][-1])) for d in ("y", "x"))
    corners = np.array([[top, left], [top, right], [bottom, right], [bottom, left]])
    along = np.arange(parts)[:, None] / parts
    sides = [a + along * (b - a) for a, b in zip(corners, np.roll(corners, -1, 0), strict=True)]
    return np.concatenate(sides)
