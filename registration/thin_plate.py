"""Thin-plate spline: the smoothest map that takes landmarks to landmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import pdist

from registration.transform import Floats, Transform, TransformError
from registration.warp import Warp


@dataclass(frozen=True, eq=False)
class ThinPlateField:
    """Affine part and a sum of kernels at landmarks `at` (n, d), nm: r² log r in 2D, r in 3D.

    `weights` (n, d), `affine` (d + 1, d), in nm over positions divided by `scale`; `variance` (nm²) of one landmark's
    coordinate, or None; `spread` (n + d + 1, n + d + 1) carries it to any position.
    """

    at: Floats
    weights: Floats
    affine: Floats
    scale: float
    variance: float | None = None
    spread: Floats | None = None

    @property
    def ndim(self) -> int:
        return int(self.at.shape[1])

    def displacement(self, points: Floats) -> Floats:
        return np.asarray(self._terms(points) @ np.vstack([self.weights, self.affine]), np.float64)

    def gradient(self, points: Floats) -> Floats:
        offset = (points[:, None] - self.at[None]) / self.scale
        r2 = np.maximum((offset**2).sum(-1), 1e-30)
        slope = (np.log(r2) + 1) if self.ndim == 2 else -1 / np.sqrt(r2)
        bend = np.einsum("nk,nkj,ki->nij", slope, offset, self.weights)
        return np.asarray((bend + self.affine[1:].T) / self.scale, np.float64)

    def covariance_at(self, points: Floats) -> Floats:
        eye = np.eye(self.ndim)
        if self.variance is None or self.spread is None:
            return np.full((len(points), *eye.shape), np.nan)
        terms = self._terms(points)
        return np.asarray(np.einsum("ni,ij,nj->n", terms, self.spread, terms)[:, None, None] * self.variance * eye, np.float64)

    def knots(self) -> Floats:
        low, high = self.at.min(0), self.at.max(0)
        axes = [np.linspace(a, b, 25 if self.ndim == 2 else 13) for a, b in zip(low, high, strict=True)]
        return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, self.ndim)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "thin_plate", "at": self.at.tolist(), "weights": self.weights.tolist(), "affine": self.affine.tolist(),
                "scale": self.scale, "variance": self.variance,
                "spread": None if self.spread is None else self.spread.tolist()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> ThinPlateField:
        """Read what `to_dict` wrote."""
        return cls(np.array(saved["at"]), np.array(saved["weights"]), np.array(saved["affine"]), saved["scale"],
                   saved["variance"], None if saved["spread"] is None else np.array(saved["spread"]))

    def _terms(self, points: Floats) -> Floats:
        return np.hstack([_kernel(points, self.at, self.scale), np.ones((len(points), 1)), points / self.scale])


def thin_plate(source_points: ArrayLike, target_points: ArrayLike, source: str, target: str,
               landmark_std_nm: float | None = None) -> Warp:
    """The thin-plate spline through pairs of landmarks (Bookstein, IEEE PAMI 11, 567 (1989), 10.1109/34.24792; source not
    checked), or near them where their error is given.

    Parameters
    ----------
    source_points, target_points : (n, d), nm
        At least d + 2 pairs that do not lie on one line or plane.
    landmark_std_nm
        Standard deviation of a landmark's coordinate, both images together. The spline then bends only as far as the landmarks'
        leave-one-out errors reward, and its error is known; without it landmarks are met exactly and `std_at` is NaN.

    Returns
    -------
    Warp from source to target. Outside the landmarks it is extrapolated: look at `std_at`.

    Raises
    ------
    TransformError
        Too few landmarks, two in one place, all on a line or plane, or landmarks that cross over (a fold).
    """
    p, q = np.asarray(source_points, np.float64), np.asarray(target_points, np.float64)
    if p.shape != q.shape or p.ndim != 2 or p.shape[1] not in (2, 3) or len(p) < p.shape[1] + 2:
        raise TransformError(f"landmarks of {source!r} and {target!r} have shapes {p.shape} and {q.shape}, expected both "
                             "(n, 2) with n >= 4 or (n, 3) with n >= 5")
    if not (np.isfinite(p).all() and np.isfinite(q).all()):
        raise TransformError(f"landmarks of {source!r} and {target!r} hold numbers that are not finite")
    d = p.shape[1]
    scale = float(np.sqrt(((p - p.mean(0)) ** 2).sum(1).mean()))
    distance = pdist(p)
    spread = np.linalg.svd(p - p.mean(0), compute_uv=False)
    if scale == 0 or distance.min() < 1e-6 * scale or spread[-1] < 1e-3 * spread[0]:
        raise TransformError(f"landmarks of {source!r}: two lie in one place, or all lie on one line or plane; spread them out")
    stiffness = 0.0 if landmark_std_nm is None else _rewarded_stiffness(p, q)
    solve = _solver(p, scale, stiffness)
    coefficients = solve @ (q - p)
    field = ThinPlateField(p, coefficients[:len(p)], coefficients[len(p):], scale,
                           None if landmark_std_nm is None else landmark_std_nm**2,
                           None if landmark_std_nm is None else solve @ solve.T)
    return Warp(Transform.identity(source, source + "*", d), field, Transform.identity(source + "*", target, d))


def leave_one_out(source_points: ArrayLike, target_points: ArrayLike, stiffness: float = 0.0) -> Floats:
    """Errors (n, d), nm, of the spline through all other landmarks at each one: what it is worth, unlike its zero residual."""
    p, q = np.asarray(source_points, np.float64), np.asarray(target_points, np.float64)
    scale = float(np.sqrt(((p - p.mean(0)) ** 2).sum(1).mean()))
    terms = np.hstack([_kernel(p, p, scale), np.ones((len(p), 1)), p / scale])
    out = np.empty_like(p)
    for i in range(len(p)):
        others = np.arange(len(p)) != i
        coefficients = _solver(p[others], scale, stiffness) @ (q - p)[others]
        row = np.r_[terms[i, :len(p)][others], terms[i, len(p):]]
        out[i] = row @ coefficients - (q - p)[i]
    return out


def _rewarded_stiffness(p: Floats, q: Floats) -> float:
    """The stiffness, out of decades from none to nearly affine, with the least leave-one-out error."""
    if len(p) < p.shape[1] + 3:
        return 1e4
    tried = np.r_[0.0, 10.0 ** np.arange(-4, 5)]
    worth = [float((leave_one_out(p, q, float(s)) ** 2).sum()) for s in tried]
    return float(tried[int(np.argmin(worth))])


def _solver(p: Floats, scale: float, stiffness: float) -> Floats:
    """(n + d + 1, n): coefficients as a linear function of the landmarks' displacements."""
    n, d = p.shape
    basis = np.hstack([np.ones((n, 1)), p / scale])
    system = np.zeros((n + d + 1, n + d + 1))
    system[:n, :n] = _kernel(p, p, scale) + stiffness * np.eye(n)
    system[:n, n:], system[n:, :n] = basis, basis.T
    return np.asarray(np.linalg.solve(system, np.eye(n + d + 1)[:, :n]), np.float64)


def _kernel(points: Floats, at: Floats, scale: float) -> Floats:
    r2 = (((points[:, None] - at[None]) / scale) ** 2).sum(-1)
    if points.shape[1] == 3:
        return np.asarray(-np.sqrt(r2), np.float64)
    return np.asarray(r2 * np.log(np.maximum(r2, 1e-300)) / 2, np.float64)
