"""What an image shows that survives a change of contrast.

Four channels survive down-sampling whatever the contrast: ranked intensity, ranked texture energy (what fine grain turns into
at coarse scale), and the double-angle orientation of the gradient, blind to its sign.

Double-angle normalised gradients: Haber & Modersitzki, 10.1007/11866763_89 (source not checked).
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray
from scipy.special import ndtri

from registration.picture import Image, Picture
from registration.search_box import Effort
from registration.transform import Floats

SECOND_DIFFERENCE = np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32) / 6
"""Immerkaer's noise kernel (Comput. Vis. Image Underst. 64, 300 (1996), 10.1006/cviu.1996.0060; source not checked)."""
PAIRS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Channel pairs of intensity (0) and texture energy (1); orientation is compared with itself."""
NOISE_WEIGHT = 3.0
HIGH_PASS = 28.0
LEAST_SIGMA = 0.6
"""HIGH_PASS is in pixels of the work grid. No smoothing is narrower than LEAST_SIGMA pixels of the coarser image."""


class Channels:
    """The four channels of one image on its own pixels.

    `coarser` is the pixel of the coarser image of the pair, nm. A finer image is smoothed to that footprint on top of what both
    get: otherwise all it shows is a little narrower, and the best pose a little too large or too small.
    """

    def __init__(self, image: Picture, unit: float, coarser: float, effort: Effort) -> None:
        values, mask = image.values, (image.mask > 0.5).astype(np.float32)
        self.image = image
        self.pixel = image.pixel
        pixels = unit / self.pixel
        footprint = max(coarser**2 - self.pixel**2, 0.0) / 12

        def reach(sigma: float) -> float:
            return float(np.sqrt(max(sigma * unit, LEAST_SIGMA * coarser) ** 2 + footprint)) / self.pixel

        noise = _noise_std(values, mask)
        if mask.min() < 1:
            values = np.where(mask > 0, values, np.median(values[mask > 0])).astype(np.float32)
        intensity = _ranked(_smooth(values, reach(effort.sigma_intensity)), mask)
        gy, gx = _gradient(values, reach(effort.sigma_energy))
        energy = _ranked(gy * gy + gx * gx, mask)
        t = reach(effort.sigma_orientation)
        gy, gx = _gradient(values, t)
        expected = (NOISE_WEIGHT * noise / np.sqrt(8 * np.pi) / t**2) ** 2 + 1e-20
        weight = 1 / (gy * gy + gx * gx + expected)
        if mask.min() < 1:
            mask = ndi.minimum_filter(mask, 2 * int(np.ceil(1.5 * reach(effort.sigma_energy))) + 1)
        intensity -= _background(intensity, mask, HIGH_PASS * pixels)
        energy -= _background(energy, mask, HIGH_PASS * pixels)
        self.maps: Image = np.stack([intensity, energy, (gy * gy - gx * gx) * weight, 2 * gy * gx * weight]).astype(np.float32)
        self.mask: Image = mask

    def on_grid(self, centre: Floats, n: int, pitch: float, edge: float) -> tuple[Image, Image]:
        """Channels (4, n, n) times mask, and mask (n, n), on a square grid of `pitch` nm about a centre."""
        h, w = self.mask.shape
        y, x = (((np.arange(n) - (n - 1) / 2) * pitch + centre[i] - self.image.origin[i]) / self.pixel for i in (0, 1))
        e = edge / self.pixel - 0.5
        inside = ((y >= e) & (y <= h - 1 - e))[:, None] & ((x >= e) & (x <= w - 1 - e))[None]
        (r, u), (c, v) = _linear(y, h), _linear(x, w)

        def sampled(a: Image) -> Image:
            rows = a[r] * (1 - u)[:, None] + a[r + 1] * u[:, None]
            return cast(Image, rows[:, c] * (1 - v) + rows[:, c + 1] * v)

        blur = 0.5 * pitch / self.pixel
        mask = sampled(self.mask) * inside
        return np.stack([sampled(_smooth(a, blur if blur >= 0.9 else 0.0)) for a in self.maps]) * mask, mask


def _smooth(a: NDArray[Any], sigma: float) -> Image:
    return cast(Image, ndi.gaussian_filter(a, sigma, truncate=3.0)) if sigma > 0.2 else a


def _gradient(a: Image, sigma: float) -> tuple[Image, Image]:
    return (ndi.gaussian_filter(a, sigma, order=(1, 0), truncate=3.0),
            ndi.gaussian_filter(a, sigma, order=(0, 1), truncate=3.0))


def _noise_std(a: Image, mask: Image) -> float:
    """Standard deviation of white noise, from second differences."""
    return float(np.median(np.abs(ndi.convolve(a, SECOND_DIFFERENCE))[mask > 0][::3])) / 0.6745


def _ranked(a: Image, mask: Image, knots: int = 256) -> Image:
    """Monotone map of the values inside the mask to a standard normal: blind to gamma, and tames outliers."""
    values = np.sort(a[mask > 0][:: 5 if mask.size > 20000 else 1])
    q = np.linspace(0, len(values) - 1, min(knots, len(values))).astype(int)
    rising = np.r_[True, np.diff(values[q]) > 0]
    ranks: Image = np.interp(a, values[q][rising], ndtri((q + 0.5) / len(values))[rising]).astype(np.float32)
    return ranks


def _background(a: Image, mask: Image, sigma: float) -> Image:
    """Mean over a Gaussian neighbourhood inside the mask, computed on pixels binned to about a quarter of sigma."""
    h, w = a.shape
    k = max(1, int(sigma / 4))
    rows, columns = -(-h // k), -(-w // k)

    def binned(z: Image) -> Image:
        padded = np.pad(z, ((0, rows * k - h), (0, columns * k - w)))
        return cast(Image, padded.reshape(rows, k, columns, k).mean((1, 3)))

    low = _smooth(binned(a * mask), sigma / k) / np.maximum(_smooth(binned(mask), sigma / k), 1e-3)
    if min(rows, columns) < 2:
        return np.full(a.shape, low.mean(), np.float32)
    (i, t), (j, u) = (_linear((np.arange(n) + 0.5) / k - 0.5, m) for n, m in ((h, rows), (w, columns)))
    r = low[i] * (1 - t)[:, None] + low[i + 1] * t[:, None]
    return (r[:, j] * (1 - u) + r[:, j + 1] * u).astype(np.float32)


def _linear(at: Floats, n: int) -> tuple[NDArray[np.intp], Image]:
    """Lower neighbour and weight of the upper one, for linear interpolation among n samples, held at the ends."""
    i = np.clip(np.floor(at).astype(np.intp), 0, n - 2)
    return i, np.clip(at - i, 0, 1).astype(np.float32)
