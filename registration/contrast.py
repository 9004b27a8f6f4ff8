"""One image as another technique would show it: its contrast is applied to what is fine, then smoothed as the other image was.

A contrast that is not monotonic does not survive smoothing: the mean of a dark and a bright pixel is grey, and shows what grey
shows. So the image is split into shades first, each shade is smoothed, and the contrast is the sum of them that comes nearest
to the other image. That is linear, so it can be learnt from smoothed images that do not lie on each other yet.
"""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from registration.picture import Picture
from registration.transform import Floats

SHADES = 16
TAIL = 0.003
"""Part of the pixels at either end that share the outermost shade."""
RIDGE = 1e-4
"""Pull of each shade towards the mean of the other image, in units of the mean information about one."""


class Shades:
    """An image as the sum of hat functions of its value, each smoothed.

    Parameters
    ----------
    before, after
        Blur in pixels ahead of the split, which keeps noise from mixing the shades, and behind it.
    looked
        Pixels of the image that are kept.
    """

    def __init__(self, image: Picture, before: float, after: float, looked: tuple[slice, slice]) -> None:
        values = smoothed(image, image.values, before)
        chosen = values[image.mask > 0.5][::7]
        # half even, half by rank: neither an empty ground nor a few bright pixels may take all shades
        low, high = (float(v) for v in np.quantile(chosen, [TAIL, 1 - TAIL]))
        knots = (np.linspace(low, high, SHADES) + np.quantile(chosen, np.linspace(TAIL, 1 - TAIL, SHADES))) / 2
        place = np.interp(values, knots, np.arange(SHADES))
        self._parts: NDArray[np.float32] = np.stack([
            smoothed(image, np.maximum(1 - np.abs(place - k), 0), after)[looked].astype(np.float32) for k in range(SHADES)])

    def mean(self, at: Floats | NDArray[np.intp], target: Floats) -> Floats:
        """The image in the contrast of the target, whose values at `at` (2, n), in pixels kept, are given."""
        return np.asarray(np.tensordot(self._contrast(at, target)[0], self._parts, 1), np.float64)

    def explained(self, at: Floats | NDArray[np.intp], target: Floats) -> float:
        """Part of the target's variance that the image shows in the target's contrast (correlation ratio)."""
        contrast, seen = self._contrast(at, target)
        return float(1 - ((target - contrast @ seen) ** 2).mean() / max(float(target.var()), 1e-30))

    def _contrast(self, at: Floats | NDArray[np.intp], target: Floats) -> tuple[Floats, Floats]:
        """What each shade becomes, and the shades (SHADES, n) at the places."""
        if at.dtype.kind == "i":
            seen = self._parts[:, at[0], at[1]].astype(np.float64)
        else:
            seen = np.stack([ndi.map_coordinates(p, at, order=1, mode="nearest") for p in self._parts]).astype(np.float64)
        mean = float(target.mean())
        normal = seen @ seen.T
        pull = RIDGE * max(float(np.trace(normal)) / SHADES, 1e-30) * np.eye(SHADES)
        return np.asarray(np.linalg.solve(normal + pull, seen @ (target - mean)) + mean, np.float64), seen


def smoothed(image: Picture, given: NDArray[np.floating], sigma: float) -> Floats:
    """Gaussian mean of values on an image's pixels over those that hold data."""
    values: Floats = given.astype(np.float64)
    if sigma == 0:
        return values
    if image.mask.min() > 0.5:
        return np.asarray(ndi.gaussian_filter(values, sigma, mode="nearest"), np.float64)
    mask = image.mask.astype(np.float64)
    weight = ndi.gaussian_filter(mask, sigma, mode="nearest")
    total = ndi.gaussian_filter(values * mask, sigma, mode="nearest")
    fill = np.full_like(total, float(np.median(values)))
    return np.asarray(np.divide(total, weight, out=fill, where=weight > 1e-3), np.float64)
