"""The transform that places of a specimen, marked in two frames, determine; how uncertain it is; and which marks to doubt.

What is left over at the landmarks themselves (the fiducial registration error) says nothing about the error elsewhere
(Fitzpatrick 2009, 10.1117/12.813601; source not checked) and is not offered. What is stated: the scatter of a landmark about
its true place, the error at a landmark that was left out of the fit, and the expected error anywhere, by `std_at` of the
transform: for the affine model exactly, for the others to first order, the regression's covariance of a prediction
sigma² x (XᵀX)⁻¹ xᵀ (Potier et al., arXiv 2103.06256).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, fdtri

from datasets.errors import DatasetError
from registration.transform import MODELS, Floats, Model, Transform, affine_generators, model_generators, n_parameters

LEVEL = 0.95
"""Probability of the stated regions."""
FALSE_ALARM = 0.01
"""Chance that any landmark of a faultless set is suspected."""
MOST_SUBSETS = 500
"""Smallest subsets tried for a start that outliers cannot spoil: with 40 % of them, one of 500 affine subsets in 3D (the
largest ones, of four) is clean with a probability above 1 - 1e-20."""
FLAT = 1e-3
"""Landmarks whose extent along some direction is below this part of the largest one count as lying on a line or plane."""
EXACT = 1e-9
"""Landmarks that agree to this part of their extent agree exactly, up to rounding."""
MIRROR = 3.0
"""A mirrored fit must leave this many times less to be suggested."""


class LandmarkError(DatasetError):
    """Landmarks are incomplete, contradict one another or do not determine a transform."""


@dataclass(frozen=True, eq=False)
class Landmarks:
    """The same places marked in two frames: `moving` and `fixed` (n, d) nm, ordered y, x or z, y, x, with a name for each.

    `std_nm` is the standard deviation, along each axis, of the distance between a mark of the moving frame, once placed
    truly, and its counterpart; None where it is to be found from the landmarks' own scatter.

    Raises
    ------
    LandmarkError
        All faults at once: shapes that differ, numbers that are not finite, names that repeat.
    """

    moving: Floats
    fixed: Floats
    names: tuple[str, ...] = ()
    std_nm: float | None = None

    def __post_init__(self) -> None:
        moving, fixed = (np.array(a, np.float64) for a in (self.moving, self.fixed))
        if moving.ndim != 2 or moving.shape[1] not in (2, 3) or moving.shape != fixed.shape:
            raise LandmarkError(f"landmarks have the shapes {moving.shape} (moving) and {fixed.shape} (fixed), expected (n, 2) "
                                "or (n, 3) for both")
        names = self.names or tuple(str(i + 1) for i in range(len(moving)))
        faults = [f"landmark {name!r} has a position that is not finite"
                  for name, finite in zip(names, np.isfinite(np.c_[moving, fixed]).all(1), strict=False) if not finite]
        if len(names) != len(moving):
            faults.append(f"{len(names)} names for {len(moving)} landmarks")
        faults += [f"the name {n!r} occurs more than once" for n in dict.fromkeys(names) if names.count(n) > 1]
        if self.std_nm is not None and not (np.isfinite(self.std_nm) and self.std_nm > 0):
            faults.append(f"std_nm is {self.std_nm}, expected a positive number")
        if faults:
            raise LandmarkError("; ".join(faults))
        for key, value in (("moving", moving), ("fixed", fixed), ("names", tuple(names))):
            object.__setattr__(self, key, value)

    @property
    def ndim(self) -> int:
        return int(self.moving.shape[1])

    def __len__(self) -> int:
        return len(self.moving)

    def chosen(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Landmarks:
        """Some of the landmarks, by a mask or by indices."""
        index = np.arange(len(self))[which]
        return Landmarks(self.moving[index], self.fixed[index], tuple(self.names[i] for i in index), self.std_nm)


@dataclass(frozen=True, eq=False)
class LandmarkFit:
    """A transform from landmarks and what is known about its error.

    `localisation_nm` is the standard deviation of a landmark along each axis, corrected for what the fit absorbs; NaN where
    nothing is left over to tell. `left_out_nm` (n,) is the distance between a landmark and where the others alone put it,
    which includes its own localisation error; NaN where the others do not suffice. `used` (n,) says which landmarks made the
    fit; `suspects` names those that do not belong to the others, whether they were used or not. `remarks` say what limits
    the fit.
    """

    transform: Transform
    landmarks: Landmarks
    used: NDArray[np.bool_]
    localisation_nm: float
    left_out_nm: Floats
    suspects: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def target_error_nm(self) -> float:
        """Root mean square of `left_out_nm` over the landmarks used; NaN where fewer than two are known."""
        known = self.left_out_nm[self.used & np.isfinite(self.left_out_nm)]
        return float(np.sqrt((known**2).mean())) if len(known) > 1 else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; what is not known is null."""
        rows = zip(self.landmarks.names, self.landmarks.moving.tolist(), self.landmarks.fixed.tolist(), self.used.tolist(),
                   self.left_out_nm.tolist(), strict=True)
        return {"transform": self.transform.to_dict(), "localisation_nm": _known(self.localisation_nm),
                "target_error_nm": _known(self.target_error_nm), "suspects": list(self.suspects), "remarks": list(self.remarks),
                "landmarks": [{"name": n, "moving": m, "fixed": t, "used": u, "left_out_nm": _known(e)}
                              for n, m, t, u, e in rows]}


def fit_landmarks(landmarks: Landmarks, model: Model = "similarity", source: str = "moving", target: str = "fixed", *,
                  robust: bool = True, mirrored: bool = False, seed: int = 0) -> LandmarkFit:
    """The transform moving -> fixed that lays landmarks over one another, in 2D or 3D.

    Parameters
    ----------
    model : `translation`, `rigid`, `similarity` or `affine`
    robust
        Leave out landmarks that do not belong to the rest: started from the smallest subset with the least median distance
        (Rousseeuw 1984, 10.1080/01621459.1984.10477105; source not checked), then least squares over all landmarks whose
        distance is no larger than chance allows. Without it all are used, and suspects are only named.
    mirrored
        Whether the frames are mirror images; matters for rigid and similarity, which else cannot turn one into the other.
    seed : int
        Of the subsets tried when there are more than 500.

    Returns
    -------
    LandmarkFit. The covariance of its transform is widened for few landmarks, so that a region of two (three) dimensions
    taken from it as if it were normal holds the truth with 95 %; None where the fit is exact and `std_nm` is not given.

    Raises
    ------
    LandmarkError
        If there are too few landmarks, or they lie on a line or plane that leaves the model open.
    """
    if model not in MODELS:
        raise LandmarkError(f"unknown model {model!r}, expected one of {', '.join(MODELS)}")
    _determine(landmarks, model)
    remarks: list[str] = []
    everything = np.ones(len(landmarks), bool)
    belongs = _consistent(landmarks, model, mirrored, np.random.default_rng(seed))
    used = belongs if robust else everything
    suspects = tuple(n for n, ok in zip(landmarks.names, belongs, strict=True) if not ok)
    inner = landmarks.chosen(used)
    matrix = _least_squares(inner.moving, inner.fixed, model, mirrored)
    scatter, dof = _scatter(inner.moving, inner.fixed, matrix, model)
    if model in ("rigid", "similarity") and len(inner) > inner.ndim:
        other = _least_squares(inner.moving, inner.fixed, model, not mirrored)
        less, _ = _scatter(inner.moving, inner.fixed, other, model)
        if less * MIRROR < scatter:
            remarks.append(f"mirrored={not mirrored} leaves {less:.3g} nm of scatter instead of {scatter:.3g} nm; "
                           "pass it if one of the images is flipped")
    covariance = None
    if landmarks.std_nm is not None:
        covariance = landmarks.std_nm**2 * _spread_of(inner.moving, matrix, model)
        if dof > 0 and scatter**2 * dof > landmarks.std_nm**2 * chdtri(dof, FALSE_ALARM):
            remarks.append(f"the landmarks scatter by {scatter:.3g} nm, more than the {landmarks.std_nm:.3g} nm stated")
    elif dof > 0:
        # a scatter known from few landmarks: the regions of the F distribution instead of the normal's
        wider = inner.ndim * fdtri(inner.ndim, dof, LEVEL) / chdtri(inner.ndim, 1 - LEVEL)
        covariance = scatter**2 * wider * _spread_of(inner.moving, matrix, model)
    else:
        remarks.append(f"{len(inner)} landmarks fit a {model} transform exactly, so their error is unknown; "
                       "mark more places or give std_nm")
    if suspects:
        what = "left out" if robust else "used although they do not belong to the others"
        remarks.append(f"{what}: {', '.join(suspects)}")
    transform = Transform(source, target, matrix, model, inner.moving.mean(0), covariance)
    return LandmarkFit(transform, landmarks, used, scatter if dof > 0 else float("nan"),
                       _left_out(landmarks, used, model, mirrored), suspects, tuple(remarks))


def least_landmarks(model: Model, ndim: int) -> int:
    """How many landmarks determine a model: two points fix a similarity in 2D, three in general position one in 3D."""
    return {"translation": 1, "rigid": ndim, "similarity": ndim, "affine": ndim + 1}[model]


def _determine(landmarks: Landmarks, model: Model) -> None:
    d, least = landmarks.ndim, least_landmarks(model, landmarks.ndim)
    if len(landmarks) < least:
        raise LandmarkError(f"{len(landmarks)} landmarks, a {model} transform in {d}D needs at least {least}")
    if not _spans(landmarks.moving, model) or not _spans(landmarks.fixed, model):
        where = "one place" if least == 2 else "a line" if least == 3 else "a plane"
        raise LandmarkError(f"the landmarks lie on {where}, which leaves a {model} transform open; mark places away from it")


def _spans(points: Floats, model: Model) -> NDArray[np.bool_]:
    """Whether sets of points (..., n, d) are spread over enough directions to determine a model."""
    n, d = points.shape[-2:]
    wanted = least_landmarks(model, d) - 1
    if n <= wanted:
        return np.zeros(points.shape[:-2], bool)
    if wanted == 0:
        return np.ones(points.shape[:-2], bool)
    spread = np.linalg.svd(points - points.mean(-2, keepdims=True), compute_uv=False)
    return (spread[..., wanted - 1] > FLAT * spread[..., 0]) & (spread[..., 0] > 0)


def _least_squares(moving: Floats, fixed: Floats, model: Model, mirrored: bool) -> Floats:
    """Matrices (..., d, d + 1) from sets of points (..., n, d); rigid and similarity by Umeyama, IEEE TPAMI 13, 376 (1991),
    10.1109/34.88573 (source not checked).
    """
    d = moving.shape[-1]
    a, b = moving.mean(-2, keepdims=True), fixed.mean(-2, keepdims=True)
    x, y = moving - a, fixed - b
    linear = np.broadcast_to(np.eye(d), (*moving.shape[:-2], d, d))
    if model == "affine":
        linear = np.swapaxes(np.linalg.pinv(x) @ y, -1, -2)
    elif model in ("rigid", "similarity"):
        u, s, vt = np.linalg.svd(np.swapaxes(y, -1, -2) @ x)
        sign = np.ones_like(s)
        sign[..., -1] = np.sign(np.linalg.det(u) * np.linalg.det(vt)) * (-1 if mirrored else 1)
        linear = (u * sign[..., None, :]) @ vt
        if model == "similarity":
            linear = linear * ((s * sign).sum(-1) / (x**2).sum((-2, -1)))[..., None, None]
    shift = np.swapaxes(b, -1, -2) - linear @ np.swapaxes(a, -1, -2)
    return np.concatenate([linear, shift], -1)


def _distances(moving: Floats, fixed: Floats, matrix: Floats) -> Floats:
    """(..., n, d) from where matrices (..., d, d + 1) put landmarks (n, d) to where they are marked."""
    return fixed - (moving @ np.swapaxes(matrix[..., :-1], -1, -2) + matrix[..., None, :, -1])


def _scatter(moving: Floats, fixed: Floats, matrix: Floats, model: Model) -> tuple[float, int]:
    """Standard deviation of a landmark along an axis, and the degrees of freedom that tell it."""
    dof = fixed.size - n_parameters(model, fixed.shape[1])
    return float(np.sqrt((_distances(moving, fixed, matrix)**2).sum() / max(dof, 1))), dof


def _spread_of(moving: Floats, matrix: Floats, model: Model) -> Floats:
    """Covariance (k, k) of the parameters about the landmarks' middle, in units of a landmark's variance along an axis."""
    d = moving.shape[1]
    g = affine_generators((moving - moving.mean(0)) @ matrix[:, :-1].T) @ model_generators(model, d)
    return cast(Floats, np.linalg.pinv(np.einsum("nik,nil->kl", g, g), hermitian=True))


def _consistent(landmarks: Landmarks, model: Model, mirrored: bool, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which landmarks belong together; all of them where there are too few to tell."""
    n, d, least = len(landmarks), landmarks.ndim, least_landmarks(model, landmarks.ndim)
    moving, fixed = landmarks.moving, landmarks.fixed
    everything = np.ones(n, bool)
    if d * (n - 1) - n_parameters(model, d) < d:
        return everything
    subsets = _subsets(n, least, rng)
    subsets = subsets[_spans(moving[subsets], model) & _spans(fixed[subsets], model)]
    if len(subsets) == 0:
        return everything
    trials = _least_squares(moving[subsets], fixed[subsets], model, mirrored)
    squares = (_distances(moving, fixed, trials)**2).sum(-1)
    middle = np.sort(squares, 1)[:, (n + least) // 2]
    best = int(middle.argmin())
    # the median of a normal scatter, widened for few landmarks as by Rousseeuw & Leroy (1987; source not checked)
    sigma = landmarks.std_nm or float(np.sqrt(middle[best] / chdtri(d, 0.5))) * (1 + 5 / (n - least))
    belongs: NDArray[np.bool_] = squares[best] <= chdtri(d, 0.025) * max(sigma, EXACT * float(np.ptp(fixed)))**2
    for _ in range(20):
        if not (belongs.sum() >= least and _spans(moving[belongs], model) and _spans(fixed[belongs], model)):
            return everything
        grown = _within_chance(landmarks, belongs, model, mirrored)
        if (grown == belongs).all():
            break
        belongs = grown
    return belongs


def _within_chance(landmarks: Landmarks, belongs: NDArray[np.bool_], model: Model, mirrored: bool) -> NDArray[np.bool_]:
    """Which landmarks lie no farther from where the others of the set put them than chance allows."""
    n, d, known = len(landmarks), landmarks.ndim, landmarks.std_nm
    chance = 1 - FALSE_ALARM / n
    kept = belongs.copy()
    for i, (moving, fixed) in enumerate(_without(landmarks, belongs, model)):
        if len(moving) == 0:
            continue
        matrix = _least_squares(moving, fixed, model, mirrored)
        scatter, dof = _scatter(moving, fixed, matrix, model)
        if known is None and dof <= 0:
            continue
        sigma = max(known or scatter, EXACT * float(np.ptp(fixed)))
        here = landmarks.moving[i:i + 1]
        off = _distances(here, landmarks.fixed[i:i + 1], matrix)[0]
        g = (affine_generators((here - moving.mean(0)) @ matrix[:, :-1].T) @ model_generators(model, d))[0]
        expected = np.eye(d) + g @ _spread_of(moving, matrix, model) @ g.T
        square = float(off @ np.linalg.solve(expected, off)) / sigma**2
        kept[i] = square <= (chdtri(d, 1 - chance) if known else d * fdtri(d, dof, chance))
    return kept


def _without(landmarks: Landmarks, used: NDArray[np.bool_], model: Model) -> Iterator[tuple[Floats, Floats]]:
    """For each landmark the others of a set, moving and fixed; none where those do not determine the model."""
    for i in range(len(landmarks)):
        others = used & (np.arange(len(landmarks)) != i)
        moving, fixed = landmarks.moving[others], landmarks.fixed[others]
        enough = _spans(moving, model) and _spans(fixed, model)
        yield (moving, fixed) if enough else (moving[:0], fixed[:0])


def _subsets(n: int, size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    if comb(n, size) <= MOST_SUBSETS:
        return np.array(list(combinations(range(n), size)), np.intp)
    return np.stack([rng.choice(n, size, replace=False) for _ in range(MOST_SUBSETS)])


def _left_out(landmarks: Landmarks, used: NDArray[np.bool_], model: Model, mirrored: bool) -> Floats:
    """Distance (n,) between each landmark and where the others of the fit put it; NaN where those do not suffice."""
    out = np.full(len(landmarks), np.nan)
    for i, (moving, fixed) in enumerate(_without(landmarks, used, model)):
        if len(moving):
            matrix = _least_squares(moving, fixed, model, mirrored)
            out[i] = np.linalg.norm(_distances(landmarks.moving[i:i + 1], landmarks.fixed[i:i + 1], matrix))
    return out


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None

