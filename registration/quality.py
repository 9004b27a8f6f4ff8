"""How far a pose can be trusted: its covariance from the images themselves, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from registration.picture import Image, Picture
from registration.transform import Floats, Model, Transform, affine_generators, model_generators

Verdict = Literal["good", "doubtful", "failed"]
GRID = 9
"""Points a side on which errors over the overlap are taken."""
TILES = 8
"""The overlap is cut into about this many tiles a side; they must be larger than the images' correlation length."""


@dataclass(frozen=True, eq=False)
class Spread:
    """Covariance (k, k) of a correction after the map other -> reference, about the reference's centre, and how it arose.

    `newton` is the step (k,) that the local quadratic model of the mutual information would still take. `firm` is false when
    that model has no maximum here, so that the covariance is the prior's.
    """

    covariance: Floats
    newton: Floats
    firm: bool


def pose_spread(reference: Picture, other: Picture, matrix: Floats, model: Model, prior_std: Floats, bins: int = 24,
                most: int = 40000) -> Spread:
    """Covariance of a pose found by mutual information, from the scatter of its gradient over tiles.

    The gradient of the mutual information is a sum over pixels; at the optimum it is zero in total, but not in each tile. If
    tiles are independent, the scatter of their gradients B and the curvature H of the whole give the covariance H⁻¹ B H⁻¹ of
    the optimum (the sandwich of Huber, 1967, and White, 10.2307/1912526; sources not checked), whatever the noise, and although
    neighbouring pixels are correlated. A broad Gaussian prior keeps directions that the images do not determine finite.

    Parameters
    ----------
    reference, other : as given to the climb
    matrix : (2, 3), reference -> other
    prior_std : (k,)
        Standard deviation of each parameter before looking.
    """
    rows, columns = reference.shape
    stride = max(1, int(np.ceil(np.sqrt(rows * columns / most))))
    i, j = np.mgrid[stride // 2:rows:stride, stride // 2:columns:stride]
    i, j = i.ravel(), j.ravel()
    points = reference.origin + np.stack([i, j], 1) * reference.step
    inside = other.valid_at(points @ matrix[:, :2].T + matrix[:, 2]) & (reference.mask[i, j] > 0.5)
    points, values = points[inside], reference.values[i[inside], j[inside]].astype(np.float64)
    expansion = model_generators(model, 2)
    k = expansion.shape[1]
    precision = np.diag(1 / prior_std**2)
    if len(points) < 64:
        return Spread(np.diag(prior_std**2), np.zeros(k), False)
    generators = affine_generators(points - reference.centre) @ expansion
    smooth = other.values.astype(np.float64)
    slopes = [ndi.gaussian_filter(smooth, 0.5, order=o) / s for o, s in zip(((1, 0), (0, 1)), other.step, strict=True)]
    low, high = np.quantile(other.values[other.mask > 0.5], [0.002, 0.998])
    width = (high - low) / (bins - 5) + 1e-12
    rank = _levels(values, bins)

    def gradients(change: Floats) -> Floats:
        """(n, k) gradient of n times the mutual information, per point, when the points are first moved by `change`."""
        at = ((points + generators @ change) @ matrix[:, :2].T + matrix[:, 2] - other.origin) / other.step
        here = ndi.map_coordinates(other.values, at.T, order=1, mode="nearest", output=np.float64)
        slope = np.stack([ndi.map_coordinates(s, at.T, order=1, mode="nearest") for s in slopes], 1)
        u = np.clip((here - low) / width + 2, 1.01, bins - 2.01)
        cell = np.floor(u).astype(int)
        t = u - cell
        weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], 1) / 6
        derivative = np.stack([-(1 - t) ** 2, 3 * t**2 - 4 * t, -3 * t**2 + 2 * t + 1, t**2], 1) / 2
        column = cell[:, None] + np.arange(-1, 3)
        flat = rank[:, None] * bins + column
        joint = np.bincount(flat.ravel(), weights.ravel(), bins * bins).reshape(bins, bins) + 1e-3
        ratio = np.log(joint / joint.sum(0))
        clipped = (u > 1.01) & (u < bins - 2.01)
        score = (derivative * ratio.ravel()[flat]).sum(1) / width * clipped
        return cast(Floats, np.einsum("n,nd,ndk->nk", score, slope @ matrix[:, :2], generators))

    rim = float(np.linalg.norm(points - reference.centre, axis=1).mean()) + 1e-9
    unit = 0.35 * reference.pixel * np.r_[1.0, 1.0, np.full(k - 2, 1 / rim)]
    steps = zip(unit, np.eye(k), strict=True)
    curvature = np.stack([(gradients(-h * e).sum(0) - gradients(h * e).sum(0)) / (2 * h) for h, e in steps])
    curvature = (curvature + curvature.T) / 2
    here = gradients(np.zeros(k))
    scatter = _tile_scatter(here, points, reference)
    scaled = curvature * np.outer(unit, unit)
    floor = precision * np.outer(unit, unit)
    eigenvalues = np.linalg.eigvalsh(scaled)
    firm = bool(eigenvalues[0] > 0)
    if not firm:
        w, v = np.linalg.eigh(scaled)
        scaled = (v * np.maximum(w, 0)) @ v.T
    inverse = np.linalg.inv(scaled + floor) * np.outer(unit, unit)
    covariance = inverse @ (scatter + precision) @ inverse
    return Spread((covariance + covariance.T) / 2, inverse @ here.sum(0), firm)


def _levels(values: Floats, bins: int) -> NDArray[np.intp]:
    """Grey level of each value among `bins` equally filled ones, so that no value is alone in its level."""
    edges = np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1])
    return np.searchsorted(np.unique(edges), values, side="right")


def _tile_scatter(gradients: Floats, points: Floats, reference: Picture) -> Floats:
    """Covariance (k, k) of the summed gradient, from the sums over square tiles of the region seen."""
    low, high = points.min(0), points.max(0)
    side = max((high - low).max() / TILES, 4 * reference.pixel)
    cell = ((points - low) / side).astype(int)
    label = cell[:, 0] * (cell[:, 1].max() + 1) + cell[:, 1]
    sums = np.stack([np.bincount(label, g) for g in gradients.T], 1)
    count = np.bincount(label)
    sums = sums[count > 0] - np.outer(count[count > 0] / len(points), gradients.sum(0))
    n = len(sums)
    return sums.T @ sums * n / max(n - 1, 1)


def overlap_points(fixed: Picture, moving: Picture, transform: Transform, per_side: int = GRID) -> Floats:
    """Points (n, 2) nm of the moving frame, on an even grid, that fall where both images hold data."""
    t = (np.arange(per_side) + 0.5) / per_side - 0.5
    nested = np.prod(moving.extent) * transform.scale**2 <= np.prod(fixed.extent)
    small = moving if nested else fixed
    grid = small.centre + np.stack(np.meshgrid(t, t, indexing="ij"), -1).reshape(-1, 2) * small.extent
    points = grid if nested else transform.inverse().apply(grid)
    return points[moving.valid_at(points) & fixed.valid_at(transform.apply(points))]


def blurred(image: Picture, sigma: float) -> Image:
    """Values smoothed by a Gaussian of `sigma` nm that does not look at masked pixels."""
    s = sigma / image.step
    if (s < 0.2).all():
        return image.values
    if image.mask.min() >= 0.999:
        return cast(Image, ndi.gaussian_filter(image.values, s, truncate=3.0))
    weight = ndi.gaussian_filter(image.mask, s, truncate=3.0)
    mean = ndi.gaussian_filter(image.values * image.mask, s, truncate=3.0) / np.maximum(weight, 1e-3)
    return cast(Image, np.where(weight > 1e-2, mean, image.values).astype(np.float32))


def judge(metrics: Mapping[str, float]) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict on a pose and what speaks against it.

    `good` says that the error is below one pixel of the coarser image.
    """
    against: list[str] = []
    sure = metrics["margin"] >= 2.2 and metrics["evidence"] >= 60
    held = metrics["margin"] >= 1.3 and metrics["held_out"] >= 40 and metrics["evidence"] >= 60
    if not sure and not held:
        against.append(f"another pose explains the images almost as well (evidence {metrics['evidence']:.0f}, "
                       f"{metrics['margin']:.2f} times that of the runner-up)")
    if not metrics["expected_error_px"] <= 0.4:
        against.append(f"the pose is uncertain by {metrics['expected_error_px']:.2f} pixels of the coarser image")
    if metrics["overlap"] < 0.3:
        against.append(f"only {metrics['overlap']:.0%} of the smaller field of view is seen by both")
    if metrics["margin"] < 1.15 and not metrics["held_out"] > 0:
        return "failed", tuple(against)
    return ("doubtful", tuple(against)) if against else ("good", ())
