"""How far a pose may be off, found from the images themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray
from scipy.special import chdtri, fdtri

from registration.picture import Picture
from registration.search import Level
from registration.transform import Floats, Model, affine_generators, model_generators

TILES = 8
"""The reference is cut into this many tiles a side; they must be larger than the images' correlation length."""
STEP, CLIMBS = 0.3, 4
"""Half width of the parabola through the evidence, pixels of the coarser image at the rim, and how often it is followed."""
WIDER = (1, 2, 4)
"""Half widths tried, in these units, until the parabola has a maximum: a broad top is rough at the scale of a pixel."""
BROAD, LOSS, FLAT = (2.0, 4.0, 8.0, 16.0), 2.0, 1e-3
"""Steps tried along a direction whose curvature is below FLAT of the largest one, and the evidence, in which one standard
deviation is 1, that a step must lose."""
LEAST_FREEDOM = 3.0
"""Degrees of freedom below which the F distribution says no more than that nothing is known."""
FLOOR: dict[Model, float] = {"translation": 0.05, "rigid": 0.05, "similarity": 0.05, "affine": 0.02}
"""Error that tiles cannot show, pixels of the coarser image: row jitter, and distortion that the model lacks."""


@dataclass(frozen=True, eq=False)
class Spread:
    """A pose (2, 3), reference -> other, and the covariance (k, k) of a correction after its inverse, with parameters about the
    reference's centre.

    `firm` is false where the criterion has no maximum along some parameter, which then is as uncertain as the prior.
    """

    matrix: Floats
    covariance: Floats
    firm: bool

    def error(self, model: Model, extent: Floats) -> float:
        """Expected root mean square error over a field of view of `extent` nm about the reference's centre, nm."""
        t = (np.arange(5) + 0.5) / 5 - 0.5
        offsets = np.stack(np.meshgrid(t, t, indexing="ij"), -1).reshape(-1, 2) * extent
        g = affine_generators(offsets) @ model_generators(model, 2)
        return float(np.sqrt(np.einsum("nik,kl,nil->n", g, self.covariance, g).mean()))

    def among(self, rivals: list[Floats], model: Model, centre: Floats) -> Spread:
        """The spread when the pose may as well be one of `rivals` (2, 3): a circle may be turned at will, and then how sharp
        one chance maximum is says nothing of the rotation.
        """
        apart = np.array([self._away(rival, model, centre) for rival in rivals])
        return self if len(rivals) < 2 else replace(self, covariance=self.covariance + apart.T @ apart / len(rivals))

    def against(self, second: Floats, model: Model, centre: Floats) -> Spread:
        """The spread when another criterion, with other faults, puts the top at `second` (2, 3): half the distance is added."""
        half = self._away(second, model, centre) / 2
        return replace(self, covariance=self.covariance + np.outer(half, half))

    def _away(self, other: Floats, model: Model, centre: Floats) -> Floats:
        """Parameters (k,) of the correction that makes this pose another one (2, 3)."""
        back = np.linalg.inv(self.matrix[:, :2])
        change = back @ other[:, :2] - np.eye(2)
        shift = back @ (other[:, :2] @ centre + other[:, 2] - self.matrix[:, 2]) - centre
        return np.asarray(np.linalg.pinv(model_generators(model, 2)) @ np.r_[shift, change.ravel()], np.float64)


def settled(level: Level, matrix: Floats, model: Model, prior_std: Floats, pixel: float) -> Spread:
    """Climb to the top of the evidence by the parabola through neighbouring poses, and find how far it may be off.

    The evidence is a function of sums over pixels. Leaving out one tile of the reference at a time moves its top; the scatter
    of those tops is the jackknife covariance (Efron & Stein 1981, 10.1214/aos/1176345462; source not checked), right whatever
    the noise and although neighbouring pixels are correlated, as long as tiles are not. With H the curvature, B the jackknife
    scatter of the slope and P the prior's precision it reads (H B⁻¹ H + P)⁻¹, so that what the images do not determine stays as
    uncertain as the prior. FLOOR pixels of distortion that the model lacks are added: no statistics over tiles can see them.

    Parameters
    ----------
    matrix : (2, 3), reference -> other
    prior_std : (k,)
        Standard deviation of each parameter before looking.
    pixel : nm
        Of the coarser image.
    """
    k = model_generators(model, 2).shape[1]
    reach = level.points - level.points.mean(1, keepdims=True)
    rim = float(np.sqrt((reach**2).sum(0).mean()))
    step = max(level.pitch, STEP * pixel)
    for wider in WIDER:
        unit = wider * step * np.r_[1.0, 1.0, np.full(k - 2, 1 / rim)]
        precision = np.diag((unit / prior_std) ** 2)
        matrix, hessian, slopes, firm = _parabola(level, matrix, model, unit, precision)
        if firm:
            break
    n = len(slopes)
    scatter = slopes.T @ slopes * (n - 1) / n * few_tiles(slopes)
    covariance = _bounded(hessian, scatter, precision) * np.outer(unit, unit)
    return Spread(matrix, covariance + _floor(model, pixel, rim), firm)


def _parabola(level: Level, matrix: Floats, model: Model, unit: Floats,
              precision: Floats) -> tuple[Floats, Floats, Floats, bool]:
    """Follow the parabola through poses that differ by `unit` (k,): the pose (2, 3), the curvature (k, k) there, the slopes
    (tiles, k) when one tile is left out, about their mean, and whether the curvature is that of a maximum.
    """
    pair, generators, k = level.pair, model_generators(model, 2), len(unit)
    pairs = [(i, j) for i in range(k) for j in range(i)]
    # all steps are equally long: a top that is sharper than a parabola flattens alike along every one of them
    across = np.array([np.eye(k)[i] + np.eye(k)[j] for i, j in pairs]).reshape(-1, k) / np.sqrt(2)
    around = np.concatenate([np.eye(k), -np.eye(k), across, -across])

    def moved(by: Floats) -> Floats:
        return _moved(matrix, generators @ (by * unit), pair.cr)

    level = level.seen_from(np.stack([pair.pose(moved(2 * e)) for e in around[:2 * k]]))
    best = float(level.evidence(pair.pose(matrix)[None])[0])
    for _ in range(CLIMBS):
        t = level.evidence(np.stack([pair.pose(moved(e)) for e in around]))
        slope = (t[:k] - t[k:2 * k]) / 4
        bend = np.diag(best - (t[:k] + t[k:2 * k]) / 2)
        for n, (i, j) in enumerate(pairs):
            both = best - (t[2 * k + n] + t[2 * k + len(pairs) + n]) / 2
            bend[i, j] = bend[j, i] = both - (bend[i, i] + bend[j, j]) / 2
        w, v = np.linalg.eigh(bend)
        firm = bool(w[0] > FLAT * w[-1] > 0)
        hessian = (v * np.maximum(w, 0)) @ v.T
        jump = np.clip(np.linalg.solve(hessian + precision, slope), -2, 2)
        value = float(level.evidence(pair.pose(moved(jump))[None])[0])
        if value <= best:
            break
        matrix, best = moved(jump), value
    if not firm:
        def drop(by: Floats) -> float:
            return float(best - level.evidence(np.stack([pair.pose(moved(by)), pair.pose(moved(-by))])).mean())
        w, v = np.linalg.eigh(bend)
        least = FLAT * w[-1]
        w = np.array([value if value > least else _broad_curvature(drop, v[:, i], least) for i, value in enumerate(w)])
        firm, hessian = bool((w > 0).all()), (v * np.maximum(w, 0)) @ v.T
    left_out = level.without_each_tile(np.stack([pair.pose(moved(e)) for e in around[:2 * k]]), TILES)[:, 1:]
    slopes = (left_out[:k] - left_out[k:]).T / 4
    return matrix, hessian, slopes - slopes.mean(0), firm


def _moved(matrix: Floats, full: Floats, centre: Floats) -> Floats:
    """The pose (2, 3) after a change of the reference's positions by shift and linear part `full` (6,) about a centre."""
    change = np.eye(2) + full[2:].reshape(2, 2)
    inner = np.column_stack([change, centre - change @ centre + full[:2]])
    return np.column_stack([matrix[:, :2] @ inner[:, :2], matrix[:, :2] @ inner[:, 2] + matrix[:, 2]])


def _broad_curvature(drop: Callable[[Floats], float], direction: Floats, least: float) -> float:
    """Curvature along a direction in which the top is flat or rough: from the first step that loses what counts, else 0."""
    for step in BROAD:
        lost = drop(step * direction)
        if lost > LOSS:
            return max(lost / step**2, least)
    return 0.0


def information_spread(reference: Picture, other: Picture, matrix: Floats, model: Model, prior_std: Floats, pixel: float,
                       bins: int = 24, most: int = 40000) -> Spread:
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
    if len(points) < 64:
        return Spread(matrix, np.diag(prior_std**2), False)
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
    w, v = np.linalg.eigh(scaled)
    bounded = _bounded((v * np.maximum(w, 0)) @ v.T, scatter * np.outer(unit, unit), np.diag((unit / prior_std) ** 2))
    return Spread(matrix, bounded * np.outer(unit, unit) + _floor(model, pixel, rim), bool(w[0] > 0))


def _bounded(curvature: Floats, scatter: Floats, precision: Floats) -> Floats:
    """Covariance (k, k) from curvature and scatter of the slope, never wider than the prior."""
    scatter = scatter + 1e-6 * np.trace(scatter) * np.eye(len(scatter))
    information = curvature @ np.linalg.solve(scatter, curvature) + precision
    covariance: Floats = np.linalg.inv(information).astype(np.float64)
    return (covariance + covariance.T) / 2


def _floor(model: Model, pixel: float, rim: float) -> Floats:
    """Covariance (k, k) of what tiles cannot show."""
    k = model_generators(model, 2).shape[1]
    return np.diag((FLOOR[model] * pixel * np.r_[1.0, 1.0, np.full(k - 2, 1 / rim)]) ** 2)


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
    return sums.T @ sums * n / max(n - 1, 1) * few_tiles(sums)


def few_tiles(slopes: NDArray[Any]) -> float:
    """Factor (1 and up) on a covariance found from the scatter of tiles (n, k), so that regions taken from it as if it were
    normal hold the truth with 95 % although few tiles count: only eight of 64 see a straight interface.

    The degrees of freedom are those of a variance that a sum of unequal squares gives (Satterthwaite 1946, 10.2307/3002019;
    source not checked), and the regions in two dimensions those of the F distribution.
    """
    n, k = slopes.shape
    w, v = np.linalg.eigh(slopes.T @ slopes)
    size = ((slopes @ v / np.sqrt(np.maximum(w, 1e-9 * w[-1] + 1e-300)))**2).sum(1)
    dof = float(np.clip((k + 2) / k * size.sum()**2 / ((size**2).sum() + 1e-300), LEAST_FREEDOM, max(n - 1, LEAST_FREEDOM)))
    return float(2 * fdtri(2, dof, 0.95) / chdtri(2, 0.05))
