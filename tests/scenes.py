"""Small specimens of known geometry, seen by two techniques from a known pose: for the tests and benchmarks of registration."""

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
import xarray as xr
from scipy.spatial import cKDTree

SIZE, PIXEL = 1400, 0.5
"""Pixels a side of a specimen, and their size in nm; its own frame has the origin in the middle."""


@dataclass(frozen=True)
class Specimen:
    """Maps of components between 0 and 1: `metal`, `shell` (all of the interphase) and `grains` (crystallites in it)."""

    metal: np.ndarray
    shell: np.ndarray
    grains: np.ndarray


def noise(rng, sigma, size=SIZE):
    """A smooth random field of unit variance, correlated over `sigma` pixels."""
    coarse = max(1, int(sigma / 4))
    n = size // coarse + 2
    a = ndi.gaussian_filter(rng.standard_normal((n, n)), sigma / coarse, mode="wrap")
    return ndi.zoom(a / a.std(), coarse, order=1)[:size, :size] if coarse > 1 else a[:size, :size] / a.std()


def outline(rng, rough):
    """A smooth periodic function of the angle, unit standard deviation times `rough`."""
    k = np.arange(1, 40)
    amplitude = rng.standard_normal((2, len(k))) / (1 + (k / 4) ** 1.3)
    angle = np.linspace(0, 2 * np.pi, 2048)
    r = amplitude[0] @ np.cos(np.outer(k, angle)) + amplitude[1] @ np.sin(np.outer(k, angle))
    return rough * r / r.std()


def grains_in(rng, region, count, radius):
    """Discs of random size scattered over a region."""
    where = np.argwhere(region)
    out = np.zeros(region.shape, np.float32)
    yy, xx = np.mgrid[-40:41, -40:41]
    for y, x in where[rng.integers(0, len(where), count)]:
        r = radius * np.exp(0.35 * rng.standard_normal()) / PIXEL
        disc = (yy**2 + xx**2 < r**2)
        a, b = max(y - 40, 0), max(x - 40, 0)
        c, d = min(y + 41, region.shape[0]), min(x + 41, region.shape[1])
        out[a:c, b:d] = np.maximum(out[a:c, b:d], disc[a - y + 40:c - y + 40, b - x + 40:d - x + 40])
    return out * region


def deposits(rng, count=1, radius_nm=130.0, thickness_nm=25.0, rough_nm=5.0, aspect=1.3):
    """Round or columnar deposits with a rough shell, in vacuum."""
    metal, shell = np.zeros((SIZE, SIZE), np.float32), np.zeros((SIZE, SIZE), np.float32)
    yy, xx = (np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2) * PIXEL
    for k in range(count):
        at = rng.uniform(-20, 20, 2) if k == 0 else rng.uniform(-280, 280, 2)
        tilt, stretch = rng.uniform(0, np.pi), np.sqrt(rng.uniform(1, aspect))
        u = ((yy - at[0]) * np.cos(tilt) + (xx - at[1]) * np.sin(tilt)) / stretch
        v = (-(yy - at[0]) * np.sin(tilt) + (xx - at[1]) * np.cos(tilt)) * stretch
        radius = radius_nm * np.exp(0.2 * rng.standard_normal())
        distance = np.hypot(u, v)
        index = ((np.arctan2(v, u) / (2 * np.pi)) % 1 * 2047).astype(int)
        inner = radius + outline(rng, rough_nm)[index]
        outer = inner + np.maximum(thickness_nm * np.exp(0.25 * outline(rng, 1.0))[index], 2)
        metal = np.maximum(metal, np.sqrt(np.maximum(1 - (distance / inner) ** 2, 0)).astype(np.float32))
        chord = np.sqrt(np.maximum(outer**2 - distance**2, 0)) - np.sqrt(np.maximum(inner**2 - distance**2, 0))
        shell = np.maximum(shell, (chord / (2 * np.sqrt(outer**2 - inner**2))).astype(np.float32))
    grains = grains_in(rng, shell > 0.15, 60 * count, 6.0)
    return Specimen(metal, shell, grains)


def interface(rng, thickness_nm=40.0, rough_nm=8.0):
    """Metal on one side, vacuum on the other, a rough interphase with crystallites between."""
    xx = np.broadcast_to((np.arange(SIZE) - (SIZE - 1) / 2) * PIXEL, (SIZE, SIZE))
    edge = ndi.gaussian_filter1d(rng.standard_normal(SIZE), 40)
    edge = rough_nm * edge / edge.std()
    outer = ndi.gaussian_filter1d(rng.standard_normal(SIZE), 25)
    outer = edge + np.maximum(thickness_nm * (1 + 0.25 * outer / outer.std()), 4)
    metal = 1 / (1 + np.exp(np.clip((xx - edge[:, None]) / 2, -30, 30)))
    shell = np.clip((outer[:, None] - xx) / 3, 0, 1) * (1 - metal)
    metal = metal * (1 + 0.1 * noise(rng, 15))
    return Specimen(metal.astype(np.float32), shell.astype(np.float32), grains_in(rng, shell > 0.5, 500, 6.0))


def polycrystal(rng, count=700):
    """Grains of many orientations with dark pores and boundaries."""
    p = rng.random((count, 2)) * SIZE
    grey, pore = rng.random(count), rng.random(count) < 0.2
    yy, xx = np.mgrid[:SIZE:2, :SIZE:2]
    d, i = cKDTree(p).query(np.c_[yy.ravel(), xx.ravel()], k=2)
    label, rim = i[:, 0].reshape(yy.shape), (d[:, 1] - d[:, 0]).reshape(yy.shape)
    a = np.where(pore[label], 0.05, 0.35 + 0.5 * grey[label]) * (1 - 0.6 * np.exp(-((rim / 5) ** 2)))
    a = ndi.zoom(a, 2, order=1).astype(np.float32)
    return Specimen(a, np.exp(-(((a - 0.55) / 0.15) ** 2)).astype(np.float32), (a > 0.7).astype(np.float32))


def texture(rng, correlation_nm=2.5):
    """Fine grain everywhere and nothing else."""
    a = np.clip(0.5 + 0.2 * noise(rng, correlation_nm / PIXEL) + 0.1 * noise(rng, 20), 0, 1).astype(np.float32)
    return Specimen(a, np.exp(-(((a - 0.55) / 0.15) ** 2)).astype(np.float32), (a > 0.7).astype(np.float32))


KINDS = {"deposit": deposits, "deposits": lambda rng: deposits(rng, 6, 70.0), "interface": interface,
         "polycrystal": polycrystal, "texture": texture}


def dark_field(s):
    """What scatters to high angles: crystallites over shell over metal, as for lithium."""
    return 0.45 * s.metal + 0.55 * s.shell + 0.35 * s.grains


def view(scene, rng, shape, pixel_nm, matrix, *, counts=None, read=0.0):
    """Values of an image whose pixel centres p (nm, own frame, origin at the first pixel) lie at matrix p of the specimen.

    `counts` is the mean count of a pixel that sees 1; without it white noise of `read` is added.
    """
    pixel_nm = np.broadcast_to(np.asarray(pixel_nm, float), 2)
    blurred = ndi.uniform_filter(scene, np.maximum(pixel_nm / PIXEL, 1).round().astype(int) | 1)
    y, x = np.mgrid[:shape[0], :shape[1]]
    p = np.stack([y.ravel() * pixel_nm[0], x.ravel() * pixel_nm[1]], 1) @ matrix[:, :2].T + matrix[:, 2]
    at = p.T / PIXEL + (SIZE - 1) / 2
    a = ndi.map_coordinates(blurred, at, order=1, mode="constant", cval=float(np.median(blurred[::9, ::9]))).reshape(shape)
    seen = rng.poisson(np.maximum(a, 0) * counts) if counts else a + read * rng.standard_normal(shape)
    return seen.astype(np.float32)


def calibrated(values, pixel_nm, frame, origin=(0.0, 0.0)):
    """The image as the project holds it."""
    pixel_nm = np.broadcast_to(np.asarray(pixel_nm, float), 2)
    coords = {d: (d, origin[i] + np.arange(values.shape[i]) * pixel_nm[i], {"units": "nm"}) for i, d in enumerate("yx")}
    return xr.DataArray(values, coords, ("y", "x"), attrs={"units": "count", "frame": frame})


def pose(shape, pixel_nm, at=(0.0, 0.0), rotation_deg=0.0, scale=1.0, shear=0.0):
    """(2, 3) matrix from an image's own frame (origin at its first pixel) to the specimen; its middle comes to lie at `at`."""
    t = np.deg2rad(rotation_deg)
    linear = scale * np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]) @ np.array([[1, shear], [0, 1]])
    middle = (np.array(shape) - 1) / 2 * np.broadcast_to(np.asarray(pixel_nm, float), 2)
    return np.c_[linear, np.asarray(at) - linear @ middle]


def between(fixed, moving):
    """(2, 3) matrix moving -> fixed of two images whose (2, 3) matrices to the specimen are given."""
    back = np.linalg.inv(fixed[:, :2])
    return np.c_[back @ moving[:, :2], back @ (moving[:, 2] - fixed[:, 2])]


@dataclass(frozen=True)
class Pair:
    """Two images and the (2, 3) matrix moving -> fixed; None where they show no common place."""

    fixed: xr.DataArray
    moving: xr.DataArray
    truth: np.ndarray | None
    pixel_nm: float

    def overlap(self, side):
        """Points (side², 2) of a grid over the moving image, where they truly lie, and which of them the fixed image shows."""
        y, x = (np.linspace(float(self.moving[d][0]), float(self.moving[d][-1]), side) for d in "yx")
        p = np.stack(np.meshgrid(y, x, indexing="ij"), -1).reshape(-1, 2)
        q = p @ self.truth[:, :2].T + self.truth[:, 2]
        low, high = ([float(f(self.fixed[d])) for d in "yx"] for f in (np.min, np.max))
        return p, q, ((q >= low) & (q <= high)).all(1)

    def error_px(self, transform):
        """Root mean square error over the overlap, in pixels of the coarser image."""
        g, q, inside = self.overlap(9)
        if not inside.any():
            return float("inf")
        return float(np.sqrt(((transform.apply(g[inside]) - q[inside]) ** 2).sum(1).mean()) / self.pixel_nm)


def microscope_pair(rng, kind, element="shell", *, overlapping=True):
    """A dark-field image and a coarse, noisy element map of the same specimen, as one session at a microscope gives them."""
    s = KINDS[kind](rng)
    pixel = rng.uniform(0.55, 0.9)
    fixed_pose = pose((512, 512), pixel, rng.uniform(-60, 60, 2), rng.uniform(-3, 3))
    field = rng.uniform(0.5, 1.1) * 512 * pixel
    n = int(rng.integers(48, 97))
    step = field / n
    turn, scale, shear = rng.uniform(-15, 15), 1 + rng.uniform(-0.03, 0.03), rng.uniform(-0.002, 0.002)
    at = fixed_pose[:, :2] @ np.full(2, 255.5 * pixel) + fixed_pose[:, 2] + rng.uniform(-0.12, 0.12, 2) * 512 * pixel
    moving_pose = pose((n, n), step, at, turn, scale, shear)
    if not overlapping:
        s2 = KINDS[kind](rng)
    counts = np.exp(rng.uniform(np.log(1.5), np.log(40)))
    map_of = {"shell": s.shell + s.grains, "grains": 0.15 * s.shell + s.grains, "metal": s.metal} if overlapping else {
        "shell": s2.shell + s2.grains, "grains": 0.15 * s2.shell + s2.grains, "metal": s2.metal}
    fixed = view(dark_field(s) + 0.03, rng, (512, 512), pixel, fixed_pose, counts=15)
    moving = view(map_of[element] + 0.05, rng, (n, n), step, moving_pose, counts=counts)
    return Pair(calibrated(fixed, pixel, "haadf"), calibrated(moving, step, "edx"),
                between(fixed_pose, moving_pose) if overlapping else None, step)
