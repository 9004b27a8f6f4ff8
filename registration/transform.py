"""Maps from one named frame to another, in nm, that know how uncertain they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeVar, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datasets.errors import DatasetError

Floats = NDArray[np.float64]
Model = Literal["translation", "rigid", "similarity", "affine"]
MODELS: tuple[Model, ...] = ("translation", "rigid", "similarity", "affine")
"""From the least to the most general; the composition of two transforms belongs to the more general of theirs."""

AXES = ("z", "y", "x")
CONDITION_LIMIT = 1e8
"""A linear part whose singular values span more than this maps an area onto a line."""
MODEL_TOLERANCE = 1e-6
RADIUS_95 = float(np.sqrt(-2 * np.log(0.05)))
"""95 % of a bivariate normal lie within this many standard deviations (2.45)."""


class TransformError(DatasetError):
    """A transform cannot exist, or cannot be combined as asked."""


class Bent(Protocol):
    """A map that is not linear, which knows how a linear one in front of it joins it."""

    def preceded_by(self, other: Transform, /) -> Any: ...


B = TypeVar("B", bound=Bent)


@dataclass(frozen=True, eq=False)
class Transform:
    """A linear map and a shift from frame `source` to frame `target`, with the covariance of its parameters.

    Parameters
    ----------
    source, target : frame names
    matrix : (d, d + 1)
        Acts on column vectors of nm ordered (y, x) or (z, y, x); the last column is the shift in nm.
    model
        What the parameters are: `translation`, `rigid`, `similarity` or `affine`. A mirror image is allowed.
    centre : (d,), nm in the source frame
        Point about which the parameters are taken; at it shift and rotation are usually least correlated.
    covariance : (k, k)
        Covariance of the parameters, or None when nothing is known; zeros mean exact. The parameters e are small changes
        made *after* the map: a point whose image is q moves by t + W (q - q0), with q0 the image of the centre, t the
        first d parameters (nm) and W made of the rest: antisymmetric (rad) for rigid, plus a multiple of the identity
        for similarity, free in row order for affine.

    Raises
    ------
    TransformError
        All faults at once: shapes, numbers that are not finite, a singular matrix, a matrix that is not of the model,
        a covariance that is not symmetric or has a negative variance.
    """

    source: str
    target: str
    matrix: Floats
    model: Model = "affine"
    centre: Floats | None = None
    covariance: Floats | None = None

    def __post_init__(self) -> None:
        matrix = _frozen(self.matrix)
        object.__setattr__(self, "matrix", matrix)
        if matrix.ndim != 2 or matrix.shape[0] not in (2, 3) or matrix.shape[1] != matrix.shape[0] + 1:
            raise TransformError(f"{self._name()}: matrix has shape {matrix.shape}, expected (2, 3) or (3, 4)")
        object.__setattr__(self, "centre", _frozen(np.zeros(self.ndim) if self.centre is None else self.centre))
        if self.covariance is not None:
            object.__setattr__(self, "covariance", _frozen(self.covariance))
        faults = self._faults()
        if faults:
            raise TransformError(f"{self._name()}: " + "; ".join(faults))

    @classmethod
    def identity(cls, source: str, target: str, ndim: int = 2, model: Model = "translation") -> Transform:
        """The map that keeps every position, known exactly."""
        exact = np.zeros((n_parameters(model, ndim),) * 2)
        return cls.of(source, target, np.eye(ndim), np.zeros(ndim), model, covariance=exact)

    @classmethod
    def of(cls, source: str, target: str, linear: ArrayLike, shift: ArrayLike, model: Model = "affine",
           centre: ArrayLike | None = None, covariance: ArrayLike | None = None) -> Transform:
        """The map p -> linear (p - centre) + centre + shift, with `centre` (nm, source frame) the origin unless given."""
        a, b = np.asarray(linear, np.float64), np.asarray(shift, np.float64)
        c = np.zeros(len(b)) if centre is None else np.asarray(centre, np.float64)
        return cls(source, target, np.c_[a, c + b - a @ c], model, c,
                   None if covariance is None else np.asarray(covariance, np.float64))

    @property
    def ndim(self) -> int:
        return int(self.matrix.shape[0])

    @property
    def linear(self) -> Floats:
        """(d, d) linear part."""
        return self.matrix[:, :-1]

    @property
    def shift(self) -> Floats:
        """(d,) image of the origin of the source frame, nm."""
        return self.matrix[:, -1]

    @property
    def scale(self) -> float:
        """Mean linear magnification, the d-th root of the ratio of areas or volumes."""
        return float(np.abs(np.linalg.det(self.linear)) ** (1 / self.ndim))

    @property
    def rotation_deg(self) -> float:
        """Angle of the rotation closest to a 2D linear part, degrees, positive from y towards x."""
        if self.ndim != 2:
            raise TransformError(f"{self._name()}: one angle describes a rotation in 2D only")
        a = self.linear
        return float(np.degrees(np.arctan2(a[1, 0] - a[0, 1], a[0, 0] + a[1, 1])))

    @property
    def middle(self) -> Floats:
        """(d,) nm in the source frame: where it is known best."""
        return cast(Floats, self.centre)

    def linear_at(self, points: ArrayLike) -> Floats:
        """(n, d, d) derivative of the map at points (n, d): the same everywhere."""
        return np.broadcast_to(self.linear, (len(self._points(points)), self.ndim, self.ndim))

    def apply(self, points: ArrayLike) -> Floats:
        """Positions (n, d) in nm of the source frame -> positions (n, d) in nm of the target frame."""
        p = self._points(points)
        return p @ self.linear.T + self.shift

    def covariance_at(self, points: ArrayLike) -> Floats:
        """Covariance (n, d, d), nm² in the target frame, of the images of points (n, d); NaN when nothing is known."""
        p = self._points(points)
        if self.covariance is None:
            return np.full((len(p), self.ndim, self.ndim), np.nan)
        g = self._generators(self.apply(p))
        return cast(Floats, np.einsum("nik,kl,njl->nij", g, self.covariance, g))

    def std_at(self, points: ArrayLike) -> Floats:
        """Standard deviation (n, d), nm along the target's axes, of the images of points (n, d); NaN if unknown."""
        return std_of(self.covariance_at(points))

    def perturbed(self, parameters: ArrayLike) -> Transform:
        """The map, as an affine one, after a small change (k,) of its parameters."""
        full = model_generators(self.model, self.ndim) @ np.asarray(parameters, np.float64)
        d = self.ndim
        after = np.eye(d) + full[d:].reshape(d, d)
        pivot = self.apply(cast(Floats, self.centre)[None])[0]
        shift = after @ (self.shift - pivot) + pivot + full[:d]
        return replace(self, matrix=np.c_[after @ self.linear, shift], model="affine", covariance=None)

    def inverse(self) -> Transform:
        """The map from target to source, with its covariance (first order)."""
        back: Floats = np.linalg.inv(self.linear).astype(np.float64)
        centre = self.apply(cast(Floats, self.centre)[None])[0]
        covariance = None
        if self.covariance is not None:
            full = carried_covariance(-back, self._full_covariance(), back, np.zeros(self.ndim))
            covariance = reduced_covariance(self.model, self.ndim, full)
        return Transform(self.target, self.source, np.c_[back, -back @ self.shift], self.model, centre, covariance)

    @overload
    def then(self, other: Transform) -> Transform: ...

    @overload
    def then(self, other: B) -> B: ...

    def then(self, other: Transform | B) -> Transform | B:
        """The map followed by another; covariances add up where the second one starts from (first order, independent).

        What is not linear says itself what becomes of a linear map in front of it.

        Raises
        ------
        TransformError
            If the other does not start in the frame where this one ends.
        """
        if not isinstance(other, Transform):
            return cast(B, other.preceded_by(self))
        if other.source != self.target or other.ndim != self.ndim:
            raise TransformError(f"{self._name()} cannot be followed by {other._name()}: the first ends in "
                                 f"{self.target!r} ({self.ndim}D), the second starts in {other.source!r} ({other.ndim}D)")
        model = MODELS[max(MODELS.index(self.model), MODELS.index(other.model))]
        linear = other.linear @ self.linear
        matrix = np.c_[linear, other.linear @ self.shift + other.shift]
        covariance = None
        if self.covariance is not None and other.covariance is not None:
            pivot = matrix[:, :-1] @ cast(Floats, self.centre) + matrix[:, -1]
            theirs = other.apply(cast(Floats, other.centre)[None])[0]
            first = carried_covariance(other.linear, self._full_covariance(), other.linear, np.zeros(self.ndim))
            second = carried_covariance(np.eye(self.ndim), other._full_covariance(), np.eye(self.ndim), pivot - theirs)
            covariance = reduced_covariance(model, self.ndim, first + second)
        return Transform(self.source, other.target, matrix, model, self.centre, covariance)

    def renamed(self, source: str | None = None, target: str | None = None) -> Transform:
        """The same map between frames of other names."""
        return replace(self, source=source or self.source, target=target or self.target)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; `from_dict` gives back every number bit for bit."""
        return {
            "source": self.source, "target": self.target, "model": self.model,
            "axes": list(AXES[-self.ndim:]), "units": "nm", "matrix": self.matrix.tolist(),
            "centre": cast(Floats, self.centre).tolist(),
            "covariance": None if self.covariance is None else self.covariance.tolist(),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Transform:
        """Read what `to_dict` wrote.

        Raises
        ------
        TransformError
            If keys are missing, or units and axes are not ours.
        """
        missing = [key for key in ("source", "target", "model", "matrix") if key not in saved]
        if missing:
            raise TransformError(f"a saved transform lacks {', '.join(missing)}")
        if saved.get("units", "nm") != "nm":
            raise TransformError(f"a saved transform is in {saved['units']!r}, expected nm")
        matrix = np.array(saved["matrix"], np.float64)
        axes = list(saved.get("axes", AXES[-len(matrix):]))
        if axes != list(AXES[-len(matrix):]):
            raise TransformError(f"a saved transform has the axes {axes}, expected {list(AXES[-len(matrix):])}")
        covariance, centre = saved.get("covariance"), saved.get("centre")
        return cls(saved["source"], saved["target"], matrix, saved["model"],
                   None if centre is None else np.array(centre, np.float64),
                   None if covariance is None else np.array(covariance, np.float64))

    def _name(self) -> str:
        return f"transform {self.source!r} -> {self.target!r}"

    def _points(self, points: ArrayLike) -> Floats:
        p = np.asarray(points, np.float64)
        if p.ndim != 2 or p.shape[1] != self.ndim:
            raise TransformError(f"{self._name()}: points have shape {p.shape}, expected (n, {self.ndim}) in nm, "
                                 f"ordered {', '.join(AXES[-self.ndim:])}")
        return p

    def _generators(self, images: Floats) -> Floats:
        """(n, d, k): how each parameter moves the image q of a point."""
        pivot = self.apply(cast(Floats, self.centre)[None])[0]
        return affine_generators(images - pivot) @ model_generators(self.model, self.ndim)

    def _full_covariance(self) -> Floats:
        e = model_generators(self.model, self.ndim)
        return e @ cast(Floats, self.covariance) @ e.T

    def _faults(self) -> list[str]:
        faults = []
        if self.model not in MODELS:
            return [f"unknown model {self.model!r}, expected one of {', '.join(MODELS)}"]
        if not np.isfinite(self.matrix).all():
            return ["matrix holds numbers that are not finite"]
        centre = cast(Floats, self.centre)
        if centre.shape != (self.ndim,) or not np.isfinite(centre).all():
            faults.append(f"centre is {centre.tolist()}, expected {self.ndim} finite numbers")
        spread = np.linalg.svd(self.linear, compute_uv=False)
        if spread[-1] * CONDITION_LIMIT <= spread[0]:
            faults.append(f"the matrix is singular (singular values {', '.join(f'{s:.3g}' for s in spread)})")
        else:
            faults += _model_faults(self.model, self.linear)
        if self.covariance is not None:
            faults += _covariance_faults(self.covariance, n_parameters(self.model, self.ndim))
        return faults


def std_of(covariances: Floats) -> Floats:
    """Standard deviations (n, d) along the axes, of covariances (n, d, d)."""
    return cast(Floats, np.sqrt(np.maximum(np.einsum("nii->ni", covariances), 0)))


def radius_95(covariances: Floats) -> float:
    """Radius that holds the true position with 95 % probability in two dimensions: the largest of covariances (n, 2, 2)."""
    return RADIUS_95 * float(np.sqrt(max(np.linalg.eigvalsh(covariances).max(), 0.0)))


def n_parameters(model: Model, ndim: int) -> int:
    """Number of free parameters of a model in 2D or 3D."""
    rotations = ndim * (ndim - 1) // 2
    return {"translation": ndim, "rigid": ndim + rotations, "similarity": ndim + rotations + 1,
            "affine": ndim + ndim * ndim}[model]


def model_generators(model: Model, ndim: int) -> Floats:
    """(d + d², k): the parameters of a model as parameters of an affine change."""
    full = ndim + ndim * ndim
    if model == "affine":
        return np.eye(full)
    columns = [np.eye(full)[i] for i in range(ndim)]
    if model in ("rigid", "similarity"):
        for i in range(ndim):
            for j in range(i + 1, ndim):
                turn = np.zeros((ndim, ndim))
                turn[j, i], turn[i, j] = 1, -1
                columns.append(np.r_[np.zeros(ndim), turn.ravel()])
    if model == "similarity":
        columns.append(np.r_[np.zeros(ndim), np.eye(ndim).ravel()])
    return np.stack(columns, 1)


def affine_generators(offsets: Floats) -> Floats:
    """(n, d, d + d²): displacement t + W r of points at offsets r (n, d), per element of t and of W in row order."""
    n, d = offsets.shape
    g = np.zeros((n, d, d + d * d))
    for i in range(d):
        g[:, i, i] = 1
        g[:, i, d + i * d:d + (i + 1) * d] = offsets
    return g


def carried_covariance(left: Floats, covariance: Floats, through: Floats, move: Floats) -> Floats:
    """Covariance of (t, W) after q -> left: the change becomes left t, left W through^-1, about a pivot shifted by `move`."""
    d = len(left)
    inverse = np.linalg.inv(through)
    jacobian = np.zeros((d + d * d,) * 2)
    linear = np.kron(left, inverse.T)
    jacobian[d:, d:] = linear
    jacobian[:d, :d] = left
    jacobian[:d, d:] = np.kron(np.eye(d), move) @ linear
    return jacobian @ covariance @ jacobian.T


def reduced_covariance(model: Model, ndim: int, covariance: Floats) -> Floats:
    """Covariance of a model's own parameters from that of the affine change that they span."""
    back = np.linalg.pinv(model_generators(model, ndim))
    reduced = back @ covariance @ back.T
    return (reduced + reduced.T) / 2


def fits(model: Model, linear: Floats) -> bool:
    """Whether a linear part (d, d) belongs to a model."""
    return not _model_faults(model, linear)


def _model_faults(model: Model, linear: Floats) -> list[str]:
    gram = linear @ linear.T
    size = np.trace(gram) / len(gram)
    wrong = {
        "translation": np.abs(linear - np.eye(len(linear))).max(),
        "rigid": np.abs(gram - np.eye(len(gram))).max(),
        "similarity": np.abs(gram / size - np.eye(len(gram))).max(),
        "affine": 0.0,
    }[model]
    return [f"the matrix is no {model} (off by {wrong:.2g})"] if wrong > MODEL_TOLERANCE else []


def _covariance_faults(covariance: Floats, k: int) -> list[str]:
    if covariance.shape != (k, k):
        return [f"covariance has shape {covariance.shape}, expected {(k, k)}"]
    if not np.isfinite(covariance).all():
        return ["covariance holds numbers that are not finite; say None when nothing is known"]
    scale = np.sqrt(np.maximum(np.diag(covariance), 0))
    unit = np.outer(scale, scale)
    if (np.abs(covariance - covariance.T) > 1e-9 * unit.max(initial=0) + 1e-300).any():
        return ["covariance is not symmetric"]
    normal = np.divide(covariance, unit, out=np.zeros_like(covariance), where=unit > 0)
    if (np.diag(covariance) < 0).any() or np.linalg.eigvalsh((normal + normal.T) / 2)[0] < -1e-6 * k:
        return ["covariance has a negative variance"]
    return []


def _frozen(values: ArrayLike | Sequence[float]) -> Floats:
    array = np.array(values, np.float64)
    array.setflags(write=False)
    return array
