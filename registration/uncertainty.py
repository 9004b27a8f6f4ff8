"""How far a pose may be off, found from the images themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm
from scipy.special import chdtri, fdtri

from registration.evidence import Level
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
        apart = np.array([self.away(rival, model, centre) for rival in rivals])
        return self if len(rivals) < 2 else replace(self, covariance=self.covariance + apart.T @ apart / len(rivals))

    def against(self, second: Floats, model: Model, centre: Floats) -> Spread:
        """The spread when another criterion, with other faults, puts the top at `second` (2, 3): half the distance is added."""
        half = self.away(second, model, centre) / 2
        return replace(self, covariance=self.covariance + np.outer(half, half))

    def mean(self, second: Spread, shared: Floats | None, model: Model, extent: Floats, centre: Floats) -> Spread:
        """The mean of two criteria's poses, weighted by their expected errors over a field of view of `extent` nm but for the
        covariance that both share; `shared` None says that their noise is one and the same, and the mean has it all.

        What they differ by is part of its error, as the weighted scatter of two values about their mean: a quarter of the
        squared distance between equals, and less where one of them knows much better.
        """
        alike = 0.0 if shared is None else replace(self, covariance=shared).error(model, extent) ** 2
        one, two = (max(s.error(model, extent) ** 2 - alike, 0.01 * alike) for s in (self, second))
        weight = one / (one + two)
        step = self.away(second.matrix, model, centre)
        covariance = (1 - weight) * self.covariance + weight * second.covariance
        if shared is not None:
            covariance -= weight * (1 - weight) * (self.covariance + second.covariance - 2 * shared)
        matrix = corrected(self.matrix, model_generators(model, 2) @ (weight * step), centre, model)
        return Spread(matrix, covariance + weight * (1 - weight) * np.outer(step, step), second.firm)

    def away(self, other: Floats, model: Model, centre: Floats) -> Floats:
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
        matrix, hessian, slopes, voices, firm = _parabola(level, matrix, model, unit, precision)
        if firm:
            break
    n = len(slopes)
    scatter = slopes.T @ slopes * (n - 1) / n * few_tiles(slopes) + voices.T @ voices
    covariance = bounded(hessian, scatter, precision) * np.outer(unit, unit)
    return Spread(matrix, covariance + floor(model, pixel, rim), firm)


def _parabola(level: Level, matrix: Floats, model: Model, unit: Floats,
              precision: Floats) -> tuple[Floats, Floats, Floats, Floats, bool]:
    """Follow the parabola through poses that differ by `unit` (k,): the pose (2, 3), the curvature (k, k) there, the slopes
    (tiles, k) when one tile is left out, about their mean, those (5, k) of each correlation by itself, and whether the
    curvature is that of a maximum.
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
    q, _ = level.correlations(np.stack([pair.pose(moved(e)) for e in around[:2 * k]]))
    each = q**2 / level.variance
    voices = (each[:k] - each[k:]).T / 4
    return matrix, hessian, slopes - slopes.mean(0), voices - voices.mean(0), firm


def _moved(matrix: Floats, full: Floats, centre: Floats) -> Floats:
    """The pose (2, 3) after a change of the reference's positions by shift and linear part `full` (6,) about a centre."""
    change = np.eye(2) + full[2:].reshape(2, 2)
    inner = np.column_stack([change, centre - change @ centre + full[:2]])
    return np.column_stack([matrix[:, :2] @ inner[:, :2], matrix[:, :2] @ inner[:, 2] + matrix[:, 2]])


def corrected(matrix: Floats, change: Floats, centre: Floats, model: Model) -> Floats:
    """The pose (2, 3) after a correction (6,) of the reference's positions about a centre."""
    turn = change[2:].reshape(2, 2)
    inner = np.eye(2) + turn if model == "affine" else expm(turn)
    linear = matrix[:, :2] @ inner
    return cast(Floats, np.c_[linear, matrix[:, :2] @ (centre + change[:2]) + matrix[:, 2] - linear @ centre])


def _broad_curvature(drop: Callable[[Floats], float], direction: Floats, least: float) -> float:
    """Curvature along a direction in which the top is flat or rough: from the first step that loses what counts, else 0."""
    for step in BROAD:
        lost = drop(step * direction)
        if lost > LOSS:
            return max(lost / step**2, least)
    return 0.0


def bounded(curvature: Floats, scatter: Floats, precision: Floats) -> Floats:
    """Covariance (k, k) from curvature and scatter of the slope, never wider than the prior."""
    scatter = scatter + 1e-6 * np.trace(scatter) * np.eye(len(scatter))
    information = curvature @ np.linalg.solve(scatter, curvature) + precision
    covariance: Floats = np.linalg.inv(information).astype(np.float64)
    return (covariance + covariance.T) / 2


def floor(model: Model, pixel: float, rim: float) -> Floats:
    """Covariance (k, k) of what tiles cannot show."""
    k = model_generators(model, 2).shape[1]
    return np.diag((FLOOR[model] * pixel * np.r_[1.0, 1.0, np.full(k - 2, 1 / rim)]) ** 2)


def tile_scatter(slopes: NDArray[Any], offsets: NDArray[Any], per_side: int) -> Floats:
    """Covariance (k, k) of the sum of slopes (k, n) of points at offsets (2, n), from sums over square tiles: right whatever
    the noise and although neighbours are correlated, as long as tiles are not (the sandwich of Huber, 1967, and White,
    10.2307/1912526; sources not checked).
    """
    low, high = offsets.min(1), offsets.max(1)
    side = float((high - low).max()) * (1 + 1e-6) / per_side
    row, column = ((offsets - low[:, None]) / side).astype(np.int32)
    label = row * per_side + column
    count = np.bincount(label)
    sums = np.stack([np.bincount(label, s) for s in slopes], 1)
    sums = (sums - np.outer(count / count.sum(), sums.sum(0)))[count > 0]
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
