"""The same real pairs seen otherwise, and pairs of images that have nothing in common.

A variant is what another session might have recorded of the same places: the moving image turned by any angle and stretched
within the default box, one image of a part of the field, one on coarser pixels, grey values passed through another curve, a few
counts. Its truth is that of the pair, composed with what was done. Corners that turning leaves without data are 0, as in the
turned files, or NaN, as a microscope's software would mark them.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.ndimage as ndi
import xarray as xr
from real_images import ONE_SCAN, Pair, calibrated

STRETCH, LEAST_FIELD, COARSEST, COUNTS = 1.15, 0.6, 2.0, (300.0, 3000.0)
"""Largest factor in scale of the true pose either way, least part of the field that is kept, largest factor in pixel size, and
the range of counts of the brightest pixel."""
CURVES = {"as it is": 1.0, "inverted": -1.0, "gamma 0.6": 0.6, "gamma 1.6": 1.6}
LEFT = 8
"""Fewest points of known truth that a variant may leave."""
BETWEEN = (np.arange(3) - 1) / 3
"""Where a pixel is looked up along each axis, in pixels, so that its value is the mean over its area."""


@dataclass(frozen=True)
class Variant:
    """A pair made from another one, and what was done to it."""

    pair: Pair
    told: dict[str, float | str]


def variants(pair: Pair, count: int, seed: int) -> Iterator[Variant]:
    """`count` variants of a pair; each depends on its name, number and the seed alone."""
    for k in range(count):
        rng = np.random.default_rng([seed, zlib.crc32(pair.name.encode()), k])
        made = next(v for v in (variant(pair, rng) for _ in range(100)) if len(v.pair.points) >= LEFT)
        yield replace(made, pair=replace(made.pair, name=f"{pair.name} v{k}"))


def variant(pair: Pair, rng: np.random.Generator) -> Variant:
    """One draw; it holds those points of known truth that both images still show."""
    linear = np.linalg.lstsq(np.c_[pair.points, np.ones(len(pair.points))], pair.truth, rcond=None)[0][:2]
    scale = float(np.sqrt(abs(np.linalg.det(linear))))
    turn, stretch = rng.uniform(-np.pi, np.pi), np.exp(rng.uniform(-1, 1) * np.log(STRETCH)) / scale
    # positions of the new frame times this are those of the old one, about the middle of what is kept
    matrix = stretch * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    fields, pixels = [1.0, 1.0], [1.0, 1.0]
    fields[rng.integers(2)] = rng.uniform(LEAST_FIELD, 1)
    pixels[rng.integers(2)] = rng.uniform(1, COARSEST)
    curve, counts = str(rng.choice(list(CURVES))), float(np.exp(rng.uniform(*np.log(COUNTS))))
    empty = float(rng.choice([0.0, np.nan]))
    fixed, back = seen_from(pair.fixed, rng, np.eye(2), fields[0], pixels[0], empty)
    recorded = pair.moving.copy(data=counted(CURVES[curve], pair.moving.values, rng, counts))
    moving, there = seen_from(recorded, rng, matrix, fields[1], pixels[1], empty)
    points, truth = there(pair.points), back(pair.truth)
    kept = inside(moving, points) & inside(fixed, truth)
    told = {"turn_deg": float(np.rad2deg(turn)), "stretch": stretch * scale, "fixed_field": fields[0],
            "moving_field": fields[1], "fixed_pixel": pixels[0], "moving_pixel": pixels[1], "curve": curve, "counts": counts,
            "empty": empty}
    return Variant(replace(pair, fixed=fixed, moving=moving, points=points[kept], truth=truth[kept]), told)


def seen_from(image: xr.DataArray, rng: np.random.Generator, matrix: np.ndarray, field: float, pixel: float,
              empty: float) -> tuple[xr.DataArray, Callable[[np.ndarray], np.ndarray]]:
    """A part of an image, `field` of its area, in a new frame whose positions `matrix` takes to the old ones, on pixels of
    `pixel` nm; and the map of old positions to new ones. What was never recorded is `empty`.
    """
    shape = np.array(image.shape)
    size = shape * np.sqrt(field)
    middle = (shape - 1) / 2 + rng.uniform(-0.5, 0.5, 2) * (shape - size)
    n = np.maximum((size / (pixel * np.sqrt(abs(np.linalg.det(matrix)))) + 1e-9).astype(int), 16)
    axes = [(np.arange(k) - (k - 1) / 2) * pixel for k in n]
    total, known = np.zeros(n, np.float32), np.ones(n, bool)
    for dy in BETWEEN:
        for dx in BETWEEN:
            p = np.stack(np.meshgrid(axes[0] + dy * pixel, axes[1] + dx * pixel, indexing="ij"))
            at = np.tensordot(matrix, p, 1) + middle[:, None, None]
            total += ndi.map_coordinates(image.values, at, order=1, mode="nearest")
            known &= ((at >= -0.5) & (at <= (shape - 0.5)[:, None, None])).all(0)
    values = np.where(known, total / len(BETWEEN) ** 2, np.float32(empty)).astype(np.float32)
    back = np.linalg.inv(matrix)
    return (calibrated(values, str(image.attrs["frame"]), pixel, (float(axes[0][0]), float(axes[1][0]))),
            lambda old: (old - middle) @ back.T)


def counted(power: float, values: np.ndarray, rng: np.random.Generator, counts: float) -> np.ndarray:
    """Grey values between 0 and 255 after a curve (negative: inverted), as counts with `counts` at the brightest."""
    part = values / np.float32(255)
    expected = (1 - part if power < 0 else part**power) * counts
    return (rng.poisson(expected) * (255 / counts)).astype(np.float32)


def inside(image: xr.DataArray, points: np.ndarray) -> np.ndarray:
    """Which points (n, 2) lie on pixels that hold data."""
    low, step = (np.array([float(f(image[d].values)) for d in "yx"]) for f in (np.min, lambda a: a[1] - a[0]))
    index = np.rint((points - low) / step).astype(int)
    kept = ((index >= 0) & (index < image.shape)).all(1)
    y, x = np.clip(index, 0, np.array(image.shape) - 1).T
    return kept & np.isfinite(image.values[y, x])


def strangers(pairs: list[Pair], count: int, seed: int) -> Iterator[Pair]:
    """`count` different pairs of the fixed image of one pair and the moving one of another, which show no common place.

    Half of them are drawn within a kind, and both fields have one diagonal. What may show one place is left out: two slices of
    heads, two views of the rooms of the turned depth images, two maps of one scan.
    """
    rng = np.random.default_rng(seed)
    places = [(lambda p, k=kinds: p.modalities in k) for kinds in (("MR-PET", "PD-T1", "SPECT-CT"), (ONE_SCAN,))]
    places.append(lambda p: p.name.startswith("Optical-Depth"))
    apart = [(a, b) for a in pairs for b in pairs if a is not b and not any(of(a) and of(b) for of in places)]
    alike = [(a, b) for a, b in apart if a.modalities == b.modalities]
    unlike = [(a, b) for a, b in apart if a.modalities != b.modalities]
    for group, share in ((alike, count // 2), (unlike, count - count // 2)):
        for k in rng.choice(len(group), min(share, len(group)), replace=False):
            a, b = group[k]
            pixel = float(np.hypot(*a.fixed.shape) / np.hypot(*b.moving.shape))
            moving = calibrated(b.moving.values, "stranger", pixel)
            yield Pair("same kind" if group is alike else "other kind", f"{a.name} / {b.name}", a.fixed, moving,
                       np.empty((0, 2)), np.empty((0, 2)))
