"""Global search for the pose that relates two images of unlike contrast.

Four channels survive down-sampling whatever the contrast: ranked intensity, ranked texture energy (what fine grain turns into
at coarse scale), and the double-angle orientation of the gradient, blind to its sign. Each is whitened, so neither the sign
nor the mix of channels between two techniques need be known: the *evidence* of a pose is the sum of squared correlations over
pairs of channels in units of their variance over wrong poses. All shifts are tried at once by FFT for a grid of rotations
and scales; the best few are then refined and pruned from coarse to fine.

Double-angle normalised gradients: Haber & Modersitzki, 10.1007/11866763_89 (source not checked).
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import scipy.fft as sf
import scipy.ndimage as ndi
from numpy.typing import NDArray
from scipy.special import ndtri

from registration.picture import Image, Picture
from registration.transform import Floats

SECOND_DIFFERENCE = np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32) / 6
"""Immerkaer's noise kernel (Comput. Vis. Image Underst. 64, 300 (1996), 10.1006/cviu.1996.0060; source not checked)."""
PAIRS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Channel pairs of intensity (0) and texture energy (1); orientation is compared with itself."""
OVERSAMPLING = 2
"""The moved image is looked up on a grid this much finer than the reference's, instead of being interpolated."""
DEGREES_OF_FREEDOM = 6
"""Rotation, log scale, shift y, shift x, shear, aspect."""


@dataclass(frozen=True)
class SearchBox:
    """Where a pose may lie, about the prior.

    `rotation_deg` is the largest rotation either way (180 means any), `scale` the largest factor either way, `shift` the
    largest shift as a part of the larger field of view, and `overlap` the smallest part of the smaller field that both see.
    """

    rotation_deg: float = 180.0
    scale: float = 1.19
    shift: float = 0.5
    overlap: float = 0.3


@dataclass(frozen=True)
class Effort:
    """How hard to look: one attempt of the search."""

    rotation_step_deg: float = 7.5
    scale_step: float = 0.087
    sigma_intensity: float = 2.0
    sigma_energy: float = 2.0
    sigma_orientation: float = 4.5
    keep: tuple[int, int, int] = (36, 8, 2)
    points: tuple[int, int, int] = (2000, 5000, 16000)


FIRST = Effort()
FURTHER = (
    replace(FIRST, rotation_step_deg=4.0, scale_step=0.041, keep=(220, 24, 2), points=(4096, 12000, 16000)),
    replace(FIRST, sigma_intensity=3.0, sigma_energy=3.0),
)
"""Second plans, followed only while the evidence is weak: a finer grid for fine texture, wider smoothing for low counts."""

NOISE_WEIGHT = 3.0
HIGH_PASS = 28.0
EDGE = 6.0
COARSEST = 64
WORK = 512
LEAST_SIGMA = 0.6
"""Lengths in pixels of the work grid; WORK of them span the larger field of view. No smoothing is narrower than LEAST_SIGMA
pixels of the coarser image."""
SHEAR_STD = 0.01
ITERATIONS = (5, 6, 8)
PER_POSE = 4
CHANCE = 30.0
"""Evidence that the best of many wrong poses reaches by chance."""
ENOUGH, SURE, PROMISING, CONFIRMED, AGREEING = 60.0, 2.2, 1.3, 80.0, 0.035


# ------------------------------------------------------------------------------------------------------------ channels

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


# ------------------------------------------------------------------------------------------------------------- the pair

@dataclass(frozen=True, eq=False)
class Scene:
    """Two images on common grids: what the search looks at.

    A pose is six numbers (rotation, log scale, shift y, shift x, shear, aspect) that map a position p of the reference to
    q = A (p - cr - shift) + co of the other image, with cr and co the centres of the fields of view, in nm.
    """

    reference: Channels
    other: Channels
    field_of_view: float
    coarsest: int
    start: Floats
    box: SearchBox
    effort: Effort
    grids: dict[int, tuple[Image, Image, Image, Image]] = field(default_factory=dict)

    @property
    def cr(self) -> Floats:
        return self.reference.image.centre

    @property
    def co(self) -> Floats:
        return self.other.image.centre

    def grid(self, n: int) -> tuple[Image, Image, Image, Image]:
        """Whitened channels and mask of the reference on n² points, and of the other image on (2 n)² points."""
        if n not in self.grids:
            finest = 4 * self.coarsest
            pitch = self.field_of_view / finest
            edge = EDGE * self.field_of_view / WORK
            near, far = (min(edge, 0.06 * c.image.extent.min()) for c in (self.reference, self.other))
            a = self.reference.on_grid(self.cr, finest, pitch, near)
            b = self.other.on_grid(self.co, OVERSAMPLING * finest, pitch / OVERSAMPLING, far)
            size = finest
            while size >= self.coarsest:
                self.grids[size] = (*_whitened(*a), *_whitened(*b))
                a, b = (_halved(*z) for z in (a, b))
                size //= 2
        return self.grids[n]

    def affine(self, pose: Floats) -> Floats:
        """(2, 3) matrix reference -> other of one pose."""
        linear, shift = (a[0] for a in _linear_parts(pose[None]))
        return np.column_stack([linear, self.co - linear @ (self.cr + shift)])

    def pose(self, matrix: Floats) -> Floats:
        """Six numbers of a (2, 3) matrix reference -> other."""
        linear, b = matrix[:, :2], matrix[:, 2]
        u, s, vt = np.linalg.svd(linear)
        turn, stretch = u @ vt, vt.T @ np.diag(s) @ vt
        scale = np.trace(stretch) / 2
        stretch = stretch / scale
        shift = np.linalg.solve(linear, self.co - b) - self.cr
        shear, aspect = stretch[0, 1], (stretch[0, 0] - stretch[1, 1]) / 2
        return np.array([np.arctan2(turn[1, 0], turn[0, 0]), np.log(scale), *shift, shear, aspect])

    def corners(self, poses: Floats) -> Floats:
        """(n, 4, 2): where poses put the corners of the smaller field of view; distances between poses are taken there."""
        linear, shift = _linear_parts(np.atleast_2d(poses))
        small = min(self.reference.image, self.other.image, key=lambda i: float(np.prod(i.extent)))
        if small is self.reference.image:
            return cast(Floats, np.einsum("nij,nkj->nki", linear, small.corners()[None] - self.cr - shift[:, None]))
        back = np.linalg.inv(linear)
        return cast(Floats, np.einsum("nij,kj->nki", back, small.corners() - self.co) + shift[:, None])

    def distances(self, a: Floats, b: Floats) -> Floats:
        """Mean distance (n,) between the corners put by poses a (n, 6) and b (6,), nm."""
        return cast(Floats, np.linalg.norm(self.corners(a) - self.corners(b), axis=2).mean(1))

    def distinct(self, poses: Floats, evidence: Floats, tolerance: float, count: int) -> NDArray[np.intp]:
        """Indices of the best poses that differ by more than `tolerance` nm at the corners."""
        corners = self.corners(poses)
        chosen: list[int] = []
        for i in np.argsort(-evidence, kind="stable"):
            if all(np.linalg.norm(corners[i] - corners[j], axis=1).mean() > tolerance for j in chosen):
                chosen.append(int(i))
            if len(chosen) == count:
                break
        return np.array(chosen, np.intp)

    def tiles(self, n: int, per_side: int = 6) -> NDArray[np.int_]:
        """A chessboard of 0 and 1 over the reference's field of view, on its n² grid."""
        part = (np.arange(n) - (n - 1) / 2) * self.field_of_view / n
        y, x = (np.floor((part / e + 0.5) * per_side).astype(int) for e in self.reference.image.extent)
        return cast(NDArray[np.int_], (y[:, None] + x[None]) % 2)

    def scales(self) -> Floats:
        """Logarithms of the scales to try, the prior's own first."""
        reach = np.log(self.box.scale)
        n = max(0, round(reach / self.effort.scale_step))
        steps = np.linspace(-reach, reach, 2 * n + 1) if n else np.zeros(1)
        return cast(Floats, steps[np.argsort(np.abs(steps), kind="stable")] + self.start[1])

    def rotations(self) -> Floats:
        """Angles to try, rad."""
        step = self.effort.rotation_step_deg
        if self.box.rotation_deg >= 180 - step / 2:
            n = int(np.ceil(360 / step))
            return cast(Floats, np.deg2rad(np.arange(n) * 360 / n) + self.start[0])
        n = int(np.ceil(self.box.rotation_deg / step))
        return cast(Floats, np.deg2rad(np.linspace(-self.box.rotation_deg, self.box.rotation_deg, 2 * n + 1)) + self.start[0])

    def outside(self, poses: Floats) -> Floats:
        """How far poses lie outside the box, as a penalty on the evidence: zero inside."""
        turn = np.abs((poses[:, 0] - self.start[0] + np.pi) % (2 * np.pi) - np.pi) - np.deg2rad(self.box.rotation_deg)
        size = np.abs(poses[:, 1] - self.start[1]) - np.log(self.box.scale)
        return cast(Floats, (np.maximum(turn, 0) / 0.02) ** 2 + (np.maximum(size, 0) / 0.01) ** 2)


def scene(reference: Picture, other: Picture, unit: float, start: Floats, box: SearchBox, effort: Effort) -> Scene:
    """Compute the channels of two images; `start` is the (2, 3) prior pose, reference -> other."""
    scale = float(np.sqrt(abs(np.linalg.det(start[:, :2]))))
    pixel = max(reference.pixel, other.pixel / scale)
    fov = float(max(reference.extent.max(), other.extent.max()))
    smaller = float(min(reference.extent.min(), other.extent.min()))
    coarsest = COARSEST * int(np.clip(round(fov / smaller), 1, 3))
    channels = Channels(reference, unit, pixel, effort), Channels(other, unit * scale, pixel * scale, effort)
    first = Scene(*channels, fov, coarsest, np.zeros(DEGREES_OF_FREEDOM), box, effort)
    return replace(first, start=first.pose(start), grids={})


def _halved(values: Image, mask: Image) -> tuple[Image, Image]:
    n = len(mask) // 2
    return values.reshape(4, n, 2, n, 2).mean((2, 4)), mask.reshape(n, 2, n, 2).mean((1, 3))


def _whitened(values: Image, mask: Image) -> tuple[Image, Image]:
    """Channels of zero mean; intensity and energy uncorrelated and of unit variance, orientation of unit mean square."""
    good = (mask > 0.9).astype(np.float32)
    count = float(good.sum())
    if count < 4:
        return np.zeros_like(values), np.zeros_like(mask)
    x = values * (good / np.maximum(mask, 0.9))
    x -= (x.sum((1, 2), dtype=np.float64) / count).astype(np.float32)[:, None, None]
    x *= good
    square = np.einsum("kyx,kyx->k", x, x) / count
    x[:2] /= np.sqrt(square[:2])[:, None, None] + np.float32(1e-9)
    x[2:] /= np.sqrt(square[2:].mean()) + np.float32(1e-9)
    np.clip(x[:2], -4, 4, out=x[:2])
    w, v = np.linalg.eigh(np.tensordot(x[:2], x[:2], ((1, 2), (1, 2))).astype(np.float64) / count + 1e-3 * np.eye(2))
    x[:2] = np.tensordot(((v / np.sqrt(w)) @ v.T).astype(np.float32), x[:2], 1)
    return cast(Image, x), good


def _linear_parts(poses: Floats) -> tuple[Floats, Floats]:
    """(n, 2, 2) linear parts and (n, 2) shifts of poses (n, 6)."""
    cos, sin = np.cos(poses[:, 0]), np.sin(poses[:, 0])
    turn = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    h, e = poses[:, 4], poses[:, 5]
    stretch = np.stack([np.stack([1 + e, h], -1), np.stack([h, 1 - e], -1)], -2)
    return np.exp(poses[:, 1])[:, None, None] * turn @ stretch, poses[:, 2:4]


# --------------------------------------------------------------------------------------------------------- coarse: FFT

def coarse_poses(pair: Scene, part: int | None = None) -> tuple[Floats, Floats]:
    """The best shifts of every rotation and scale: poses (n, 6) and their evidence (n,), best first."""
    n = pair.coarsest
    pitch = pair.field_of_view / n
    z, inside, other, other_inside = pair.grid(n)
    if part is not None:
        kept = pair.tiles(n) == part
        z, inside = z * kept, inside * kept
    middle = np.rint(pair.start[2:4] / pitch).astype(int)
    reach = int(pair.box.shift * n)
    block = 3
    half = (2 * reach + 1) // block * block // 2
    blocks = (2 * half + 1) // block
    lags = np.arange(-half, -half + blocks * block)
    size = sf.next_fast_len(n + int(np.abs(middle).max()) + half + 1, real=True)
    lag_y, lag_x = lags + middle[0], lags + middle[1]
    fixed = sf.rfft2(np.concatenate([z, inside[None]]), (size, size))
    m = n * OVERSAMPLING
    table = np.zeros((3, m * m + 1), np.complex64)
    table[0, :-1] = (other[0] + 1j * other[1]).ravel()
    table[1, :-1] = (other[2] + 1j * other[3]).ravel()
    table[2, :-1] = other_inside.ravel()
    area = min(float(inside.sum()), float(other_inside.sum()) / OVERSAMPLING**2)
    angles = pair.rotations()
    variance: Floats | None = None
    poses, evidence = [], []
    for log_scale in pair.scales():
        s = np.exp(log_scale)
        for first in range(0, len(angles), 12):
            theta = angles[first:first + 12].astype(np.float32)
            cos, sin = (s * f(theta).astype(np.float32)[:, None, None] for f in (np.cos, np.sin))
            index = turned_index(cos, sin, n)
            moved = np.empty((5, *index.shape), np.float32)
            g = np.take(table[0], index)
            moved[0], moved[1] = g.real, g.imag
            g = np.take(table[1], index) * np.exp(-2j * theta).astype(np.complex64)[:, None, None]
            moved[2], moved[3] = g.real, g.imag
            moved[4] = np.take(table[2].real, index)
            spectra = np.conj(sf.rfft2(moved, (size, size)))
            product = np.empty((6, *spectra.shape[1:]), spectra.dtype)
            for k, (i, j) in enumerate(PAIRS):
                product[k] = fixed[i] * spectra[j]
            product[4] = fixed[2] * spectra[2] + fixed[3] * spectra[3]
            product[5] = fixed[4] * spectra[4]
            correlation = sf.irfft2(product, (size, size))[:, :, lag_y % size][:, :, :, lag_x % size]
            overlap = np.maximum(correlation[5], 1)
            allowed = overlap > pair.box.overlap * area
            q = correlation[:5]
            q = q * np.abs(q) * (allowed / overlap)
            np.abs(q[:4], out=q[:4])
            if variance is None:
                variance = np.median(np.abs(q).sum((2, 3)) / np.maximum(allowed.sum((1, 2)), 1), 1) + 1e-12
            total = np.tensordot((1 / variance).astype(np.float32), q, 1)
            cells = total.reshape(len(theta), blocks, block, blocks, block).transpose(0, 1, 3, 2, 4)
            cells = cells.reshape(len(theta), blocks**2, block**2)
            where = cells.argmax(2)
            best = np.take_along_axis(cells, where[..., None], 2)[..., 0]
            for a in range(len(theta)):
                for c in np.argsort(-best[a], kind="stable")[:PER_POSE]:
                    dy = lag_y[c // blocks * block + where[a, c] // block]
                    dx = lag_x[c % blocks * block + where[a, c] % block]
                    poses.append((float(theta[a]), float(log_scale), dy * pitch, dx * pitch, 0.0, 0.0))
                    evidence.append(float(best[a, c]))
    order = np.argsort(-np.array(evidence), kind="stable")
    return np.array(poses)[order], np.array(evidence)[order]


def turned_index(cos: NDArray[np.floating], sin: NDArray[np.floating], n: int) -> NDArray[np.int32]:
    """Where the points of an n² grid fall, turned and stretched, on a grid OVERSAMPLING times as fine, laid flat.

    `cos` and `sin` are those of the angle times the scale; what falls outside has the index behind the last.
    """
    m = n * OVERSAMPLING
    yy, xx = np.mgrid[:n, :n].astype(np.float32) - np.float32((n - 1) / 2)
    uy, ux = (np.rint((a + n / 2) * OVERSAMPLING - 0.5).astype(np.int32) for a in (cos * yy - sin * xx, sin * yy + cos * xx))
    return np.where((uy >= 0) & (ux >= 0) & (uy < m) & (ux < m), uy * m + ux, m * m)


# --------------------------------------------------------------------------------------------- fine: look-ups at points

class Level:
    """The evidence of many poses at once, on random points of one grid."""

    def __init__(self, pair: Scene, n: int, points: int, rng: np.random.Generator, part: int | None = None) -> None:
        self.pair, self.n = pair, n
        self.pitch = pair.field_of_view / n
        z, inside, other, other_inside = pair.grid(n)
        if part is not None:
            inside = inside * (pair.tiles(n) == part)
        index = np.flatnonzero(inside)
        if len(index) > points:
            index = np.sort(rng.choice(index, points, replace=False))
        fixed = z.reshape(4, -1)[:, index]
        middle = (n - 1) / 2
        self.sums = np.concatenate([fixed, fixed**2, np.ones((1, len(index)), np.float32)]).astype(np.float32)
        self.points = np.stack([(index // n - middle) * self.pitch, (index % n - middle) * self.pitch]).astype(np.float32)
        self.side = n * OVERSAMPLING
        self.table = np.zeros((self.side**2 + 1, 8), np.float32)
        self.table[:-1, :4] = other.reshape(4, -1).T
        self.table[:-1, 4] = other_inside.ravel()
        self.table[:-1, 5:7] = self.table[:-1, :2] ** 2
        self.table[:-1, 7] = (self.table[:-1, 2:4] ** 2).sum(1)
        part_seen = min(1.0, float(other_inside.sum()) / OVERSAMPLING**2 / max(float(inside.sum()), 1.0))
        self.least = pair.box.overlap * len(index) * part_seen
        self.variance = np.ones(5)

    def learn_null(self, rng: np.random.Generator, poses: int = 96) -> None:
        """Measure the variance of each correlation over random poses, the same ones whatever the box."""
        start = self.pair.start
        reach = 0.4 * self.pair.field_of_view
        p = np.zeros((poses, DEGREES_OF_FREEDOM))
        p[:, 0] = rng.uniform(-np.pi, np.pi, poses)
        p[:, 1] = start[1] + rng.uniform(-0.175, 0.175, poses)
        p[:, 2:4] = start[2:4] + rng.uniform(-reach, reach, (poses, 2))
        q, overlap = self.correlations(p)
        enough = overlap > self.least
        self.variance = np.maximum((q[enough] ** 2).mean(0), 1e-6) if enough.sum() > 10 else np.ones(5)

    def correlations(self, poses: Floats) -> tuple[Floats, Floats]:
        """Correlation coefficients times the square root of the overlap (n, 5), and the points in the overlap (n,)."""
        found, overlaps = [], []
        step = max(1, int(6e4 // self.points.shape[1]))
        for first in range(0, len(poses), step):
            theta, seen = self._looked_up(poses[first:first + step])
            q, overlap = _coefficients(theta, np.asarray(self.sums @ seen, np.float64))
            found.append(q)
            overlaps.append(overlap)
        return np.concatenate(found), np.concatenate(overlaps)

    def without_each_tile(self, poses: Floats, per_side: int) -> Floats:
        """Evidence (n, 1 + tiles) of poses on all points, and with the points of one square tile of the reference left out."""
        low, high = self.points.min(1), self.points.max(1)
        side = (high - low).max() * (1 + 1e-6) / per_side
        cell = ((self.points - low[:, None]) / side).astype(int)
        label = cell[0] * per_side + cell[1]
        order = np.argsort(label, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(label[order]) > 0])
        parts = [order[i:j] for i, j in zip(starts, [*starts[1:], len(order)], strict=True)]
        sums = [self.sums[:, part] for part in parts]
        out = np.empty((len(poses), 1 + len(parts)))
        for i, pose in enumerate(poses):
            theta, seen = self._looked_up(pose[None])
            tiles = np.stack([a @ seen[0, part] for a, part in zip(sums, parts, strict=True)]).astype(np.float64)
            s = np.concatenate([tiles.sum(0)[None], tiles.sum(0) - tiles])
            q, _ = _coefficients(np.repeat(theta, len(s)), s)
            out[i] = self._total(q, np.repeat(pose[None], len(s), 0))
        return out

    def seen_from(self, poses: Floats) -> Level:
        """The level with only those points that every one of the poses puts inside the other image.

        Evidence grows with the overlap, which would draw a free pose towards more of it; among these poses it cannot.
        """
        kept = np.ones(self.points.shape[1], bool)
        for pose in poses:
            kept &= self._looked_up(pose[None])[1][0, :, 4] > 0
        level = copy(self)
        level.points, level.sums = self.points[:, kept], self.sums[:, kept]
        level.least = min(self.least, 0.5 * float(kept.sum()))
        return level

    def _looked_up(self, poses: Floats) -> tuple[Floats, Image]:
        """Rotation (n,) of poses and (n, points, 8) at the points: the other image's channels, whether it holds data, and the
        squares of intensity, of energy and of both parts of orientation.
        """
        linear, shift = _linear_parts(poses)
        theta = np.arctan2(linear[:, 1, 0] - linear[:, 0, 1], linear[:, 0, 0] + linear[:, 1, 1])
        linear = linear * OVERSAMPLING / self.pitch
        offset = (self.side / 2 - np.einsum("nij,nj->ni", linear, shift)).astype(np.float32)
        at = linear.astype(np.float32).reshape(-1, 2) @ self.points + offset.reshape(-1, 1)
        cell = np.floor(at).astype(np.int32).reshape(len(poses), 2, self.points.shape[1])
        uy, ux = cell[:, 0], cell[:, 1]
        seen = (uy >= 0) & (ux >= 0) & (uy < self.side) & (ux < self.side)
        return theta, np.take(self.table, np.where(seen, uy * self.side + ux, self.side**2), axis=0)

    def _total(self, q: Floats, poses: Floats) -> Floats:
        s = q * q / self.variance
        s[:, 4] *= np.sign(q[:, 4])
        return cast(Floats, s.sum(1) - ((poses[:, 4:] / SHEAR_STD) ** 2).sum(1) - self.pair.outside(poses))

    def evidence(self, poses: Floats) -> Floats:
        """Evidence (n,) of poses (n, 6): -1 where too little overlaps; shear and leaving the box cost."""
        q, overlap = self.correlations(poses)
        return np.where(overlap > self.least, self._total(q, poses), -1.0)

    def refined(self, poses: Floats, step: float, iterations: int, dims: int) -> tuple[Floats, Floats]:
        """Climb from every pose along each parameter by parabolas; `step` is in nm at the rim and shrinks every round."""
        poses, n = poses.copy(), len(poses)
        best = self.evidence(poses)
        rim = self.pair.field_of_view * 0.4
        units = np.array([1 / rim, 1 / rim, 1, 1, 1 / rim, 1 / rim])[:dims]
        steps = np.full(n, float(step))
        k = np.arange(dims)
        for _ in range(iterations):
            h = steps[:, None] * units[None]
            around = np.repeat(poses[:, None], 2 * dims, 1)
            around[:, k, k] += h
            around[:, dims + k, k] -= h
            t = self.evidence(around.reshape(-1, DEGREES_OF_FREEDOM)).reshape(n, 2 * dims)
            up, down = t[:, :dims], t[:, dims:]
            bend = 2 * best[:, None] - up - down
            curved = bend > 1e-6 * np.abs(best[:, None])
            jump = np.where(curved, 0.5 * (up - down) / np.where(bend == 0, 1, bend), np.sign(up - down))
            trial = poses.copy()
            trial[:, :dims] += np.clip(jump, -1, 1) * h
            value = self.evidence(trial)
            single, which = t.max(1), t.argmax(1)
            trial = np.where((value >= single)[:, None], trial, around[np.arange(n), which])
            value = np.maximum(value, single)
            better = value > best
            poses, best = np.where(better[:, None], trial, poses), np.where(better, value, best)
            steps *= np.where(better, 0.7, 0.5)
        return poses, best


def _coefficients(theta: Floats, s: Floats) -> tuple[Floats, Floats]:
    """Correlations times the root of the overlap (n, 5) and the overlap (n,), from sums of products (n, 9, 8) over points."""
    overlap = np.maximum(s[:, 8, 4], 1)
    other_sum, fixed_sum, fixed_squares, squares = s[:, 8, :4], s[:, :4, 4], s[:, 4:8, 4], s[:, 8, 5:]
    products = s[:, :4, :4] - fixed_sum[:, :, None] * other_sum[:, None] / overlap[:, None, None]
    vf = np.maximum(fixed_squares - fixed_sum**2 / overlap[:, None], 1e-3)
    means = other_sum**2 / overlap[:, None]
    vo = np.maximum(squares - np.column_stack([means[:, :2], means[:, 2] + means[:, 3]]), 1e-3)
    orientation = np.cos(2 * theta) * (products[:, 2, 2] + products[:, 3, 3]) + np.sin(2 * theta) * (
        products[:, 2, 3] - products[:, 3, 2])
    r = [products[:, i, j] / np.sqrt(vf[:, i] * vo[:, j]) for i, j in PAIRS]
    r.append(orientation / np.sqrt((vf[:, 2] + vf[:, 3]) * vo[:, 2]))
    return np.stack(r, 1) * np.sqrt(overlap)[:, None], overlap


# ------------------------------------------------------------------------------------------------------------ the search

@dataclass(frozen=True, eq=False)
class Finding:
    """What a search found: distinct poses, best first, their evidence at the middle level, and how sure it is.

    `margin` is the evidence of the best pose over that of the best distinct other one; `held_out` the evidence on one half
    of the tiles of the pose found on the other half alone, where both agree, and NaN when that was not asked.
    """

    pair: Scene
    poses: Floats
    evidence: Floats
    margin: float
    held_out: float
    attempts: int


def search(reference: Picture, other: Picture, unit: float, start: Floats, box: SearchBox, seed: int,
           wider: SearchBox | None = None) -> Finding:
    """Look for the pose in the whole box; `start`, (2, 3), reference -> other, is its centre and always a candidate.

    `wider` is where to look once more if the evidence stays weak.
    """
    rng = np.random.default_rng(seed)
    best: Finding | None = None
    plans = [(effort, box) for effort in (FIRST, *FURTHER)] + ([(FIRST, wider)] if wider else [])
    for attempt, (effort, region) in enumerate(plans):
        pair = scene(reference, other, unit, start, region, effort)
        poses, evidence, middle = _descend(pair, rng)
        if best is None or evidence[0] > best.evidence[0]:
            best = Finding(pair, poses, evidence, margin(evidence), float("nan"), attempt + 1)
        if best.evidence[0] > ENOUGH and best.margin > SURE:
            break
        if best.margin >= PROMISING and attempt in (0, len(FURTHER), len(plans) - 1):
            best = replace(best, held_out=agreement(best.pair, best.poses[0], middle.variance, rng))
            if best.held_out >= CONFIRMED:
                break
    assert best is not None
    return best


def _descend(pair: Scene, rng: np.random.Generator) -> tuple[Floats, Floats, Level]:
    """From all poses of the coarse grid to a few distinct ones refined at the middle level, which is returned too."""
    keep, points, fov = pair.effort.keep, pair.effort.points, pair.field_of_view
    small = min(float(pair.reference.image.extent.min()), float(pair.other.image.extent.min()))
    poses, evidence = (a[:20 * keep[0]] for a in coarse_poses(pair))
    poses = np.r_[poses[pair.distinct(poses, evidence, 0.04 * small, keep[0])], pair.start[None]]
    level = Level(pair, pair.coarsest, points[0], rng)
    level.learn_null(rng)
    pitch = fov / pair.coarsest
    poses, evidence = level.refined(poses, 1.5 * pitch, ITERATIONS[0], 4)
    chosen = pair.distinct(poses, evidence, 0.023 * small, keep[1])
    level = Level(pair, 2 * pair.coarsest, points[1], rng)
    level.learn_null(rng)
    poses, evidence = level.refined(poses[chosen], 0.75 * pitch, ITERATIONS[1], 4)
    chosen = pair.distinct(poses, evidence, 0.06 * small, keep[1])
    return poses[chosen], evidence[chosen], level


def margin(evidence: Floats) -> float:
    """Evidence of the best of distinct poses over that of the second, which counts at least as chance would give."""
    best, second = (*np.sort(evidence)[::-1][:2], 0.0)[:2]
    return float(best / max(second, CHANCE)) if best > 0 else 1.0


def agreement(pair: Scene, pose: Floats, variance: Floats, rng: np.random.Generator) -> float:
    """Search on one half of the reference's tiles (a chessboard) and weigh that pose on the other half, both ways.

    Returns the better held-out evidence of the halves whose own pose agrees with `pose`, 0 if neither does.
    """
    held = [0.0]
    small = min(float(pair.reference.image.extent.min()), float(pair.other.image.extent.min()))
    pitch = pair.field_of_view / pair.coarsest
    points = pair.effort.points
    for part in (0, 1):
        poses, evidence = (a[:240] for a in coarse_poses(pair, part))
        poses = poses[pair.distinct(poses, evidence, 0.04 * small, 12)]
        level = Level(pair, pair.coarsest, points[0], rng, part)
        level.learn_null(rng)
        poses, evidence = level.refined(poses, 1.5 * pitch, ITERATIONS[0], 4)
        level = Level(pair, 2 * pair.coarsest, points[1], rng, part)
        level.variance = variance
        poses, evidence = level.refined(poses[pair.distinct(poses, evidence, 0.023 * small, 4)], 0.75 * pitch, ITERATIONS[1], 4)
        own = poses[evidence.argmax()][None]
        if pair.distances(own, pose)[0] < AGREEING * small:
            judge = Level(pair, 2 * pair.coarsest, points[1], rng, 1 - part)
            judge.variance = variance
            held.append(float(judge.evidence(own)[0]))
    return max(held)
