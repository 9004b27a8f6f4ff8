"""Maps that bend: a displacement field between two linear transforms, with a numerical inverse and stated uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from registration.transform import AXES, Floats, Transform, TransformError, std_of

TOLERANCE_NM = 1e-7
"""The inverse is iterated to this, relative to the largest displacement where that exceeds 1 nm."""
ITERATIONS = 60


class Field(Protocol):
    """A displacement (nm) at every position (nm), with its derivative and its covariance."""

    @property
    def ndim(self) -> int: ...

    def displacement(self, points: Floats) -> Floats:
        """(n, d) nm."""

    def gradient(self, points: Floats) -> Floats:
        """(n, d, d): element i, j is the derivative of component i along axis j."""

    def covariance_at(self, points: Floats) -> Floats:
        """(n, d, d) nm², NaN if nothing is known."""

    def knots(self) -> Floats:
        """Positions (n, d) dense enough to show any fold."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON with a `kind`."""


@dataclass(frozen=True, eq=False)
class GridField:
    """Displacements on an even grid: cubic B-spline coefficients (`order` 3) or values between which it is linear (`order` 1).

    Parameters
    ----------
    origin, step : (d,), nm
        Position of the first node and distance between nodes.
    values : (n_1, ..., n_d, d), nm
        Beyond the grid the field keeps its value at the border.
    covariance : (n_1, ..., n_d, d, d), nm²
        Of the displacement at each node; None when nothing is known.
    """

    origin: Floats
    step: Floats
    values: Floats
    order: int = 3
    covariance: Floats | None = None

    def __post_init__(self) -> None:
        for name in ("origin", "step", "values", "covariance"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64))
        d = self.values.ndim - 1
        if self.order not in (1, 3) or d not in (2, 3) or self.values.shape[-1] != d or min(self.values.shape[:-1]) < 4:
            raise TransformError(f"a displacement field has values of shape {self.values.shape} and order {self.order}, "
                                 "expected (ny, nx, 2) or (nz, ny, nx, 3), four nodes an axis at least, and order 1 or 3")
        if not np.isfinite(self.values).all() or (self.step <= 0).any():
            raise TransformError("a displacement field needs finite values and steps above zero")

    @property
    def ndim(self) -> int:
        return int(self.values.ndim) - 1

    def displacement(self, points: Floats) -> Floats:
        return self._sum(points, self.values, (self._basis,) * self.ndim)

    def gradient(self, points: Floats) -> Floats:
        columns = []
        for axis in range(self.ndim):
            kinds = [self._slope if a == axis else self._basis for a in range(self.ndim)]
            column = self._sum(points, self.values, tuple(kinds)) / self.step[axis]
            at = (points[:, axis] - self.origin[axis]) / self.step[axis]
            columns.append(np.where(((at >= 1) & (at <= self.values.shape[axis] - 2))[:, None], column, 0))
        return np.stack(columns, -1)

    def covariance_at(self, points: Floats) -> Floats:
        d = self.ndim
        if self.covariance is None:
            return np.full((len(points), d, d), np.nan)
        return self._sum(points, self.covariance, (_linear,) * d)

    def knots(self) -> Floats:
        fine = [self.origin[a] + self.step[a] * np.linspace(1, n - 2, 4 * (n - 3) + 1)
                for a, n in enumerate(self.values.shape[:-1])]
        return np.stack(np.meshgrid(*fine, indexing="ij"), -1).reshape(-1, self.ndim)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "grid", "order": self.order, "origin": self.origin.tolist(), "step": self.step.tolist(),
                "values": self.values.tolist(), "covariance": None if self.covariance is None else self.covariance.tolist()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> GridField:
        """Read what `to_dict` wrote."""
        return cls(np.array(saved["origin"]), np.array(saved["step"]), np.array(saved["values"]), saved["order"],
                   None if saved["covariance"] is None else np.array(saved["covariance"]))

    @property
    def _basis(self) -> Callable[[Floats], Floats]:
        return _cubic if self.order == 3 else _linear

    @property
    def _slope(self) -> Callable[[Floats], Floats]:
        return _cubic_slope if self.order == 3 else _linear_slope

    def _sum(self, points: Floats, nodes: Floats, bases: tuple[Callable[[Floats], Floats], ...]) -> Floats:
        """Sum over the nodes around each point."""
        size = np.array(self.values.shape[:-1])
        # a cubic needs one node more on each side
        at = np.clip((points - self.origin) / self.step, 1, size - 2)
        base = np.minimum(at.astype(int), size - 3)
        weights = [basis((at - base)[:, a]) for a, basis in enumerate(bases)]
        out = np.zeros((len(points), *nodes.shape[self.ndim:]))
        tail = (slice(None),) + (None,) * (out.ndim - 1)
        for corner in product(range(4), repeat=self.ndim):
            w = np.ones(len(points))
            for a, c in enumerate(corner):
                w = w * weights[a][:, c]
            out += w[tail] * nodes[tuple((base + np.array(corner) - 1).T)]
        return out


@dataclass(frozen=True, eq=False)
class Warp:
    """`before`, then p -> p + field(p), then `after`; or the inverse of that where `inverted`.

    Linear transforms in front of it and behind it become part of it; two warps in a row make a `Chain`.

    Raises
    ------
    TransformError
        If the parts do not meet, or the field folds (a Jacobian that is not positive).
    """

    before: Transform
    field: Field
    after: Transform
    inverted: bool = False

    def __post_init__(self) -> None:
        if self.before.target != self.after.source or not self.before.ndim == self.field.ndim == self.after.ndim:
            raise TransformError(f"{self._name()}: its parts do not meet ({self.before.target!r}, {self.before.ndim}D; "
                                 f"field {self.field.ndim}D; {self.after.source!r}, {self.after.ndim}D)")
        least = least_jacobian(self.field)
        if least <= 0:
            raise TransformError(f"{self._name()}: the field folds (least Jacobian {least:.3g}); a specimen does not")

    @property
    def source(self) -> str:
        return self.after.target if self.inverted else self.before.source

    @property
    def target(self) -> str:
        return self.before.source if self.inverted else self.after.target

    @property
    def ndim(self) -> int:
        return self.before.ndim

    @property
    def model(self) -> str:
        return "warp"

    def apply(self, points: ArrayLike) -> Floats:
        """Positions (n, d) in nm of the source frame -> positions (n, d) in nm of the target frame."""
        if self.inverted:
            return self.before.inverse().apply(self._undone(self.after.inverse().apply(points)))
        middle = self.before.apply(points)
        return self.after.apply(middle + self.field.displacement(middle))

    def covariance_at(self, points: ArrayLike) -> Floats:
        """Covariance (n, d, d), nm² in the target frame, of the images of points (n, d); NaN when nothing is known."""
        start = self.apply(points) if self.inverted else np.asarray(points, np.float64)
        middle = self.before.apply(start)
        bend = np.eye(self.ndim) + self.field.gradient(middle)
        there = middle + self.field.displacement(middle)
        moved = bend @ self.before.covariance_at(start) @ bend.transpose(0, 2, 1) + self.field.covariance_at(middle)
        whole = self.after.linear @ moved @ self.after.linear.T + self.after.covariance_at(there)
        if not self.inverted:
            return np.asarray(whole, np.float64)
        back = np.linalg.inv(self.after.linear @ bend @ self.before.linear)
        return np.asarray(back @ whole @ back.transpose(0, 2, 1), np.float64)

    def std_at(self, points: ArrayLike) -> Floats:
        """Standard deviation (n, d), nm along the target's axes, of the images of points (n, d); NaN if unknown."""
        return std_of(self.covariance_at(points))

    def linear_at(self, points: ArrayLike) -> Floats:
        """(n, d, d) derivative of the map: how areas and directions change at points (n, d)."""
        start = self.apply(points) if self.inverted else np.asarray(points, np.float64)
        bend = np.eye(self.ndim) + self.field.gradient(self.before.apply(start))
        forward = self.after.linear @ bend @ self.before.linear
        return np.asarray(np.linalg.inv(forward) if self.inverted else forward, np.float64)

    def inverse(self) -> Warp:
        """The map from target to source, by iteration."""
        return replace(self, inverted=not self.inverted)

    def renamed(self, source: str, target: str) -> Warp:
        """The same map between frames of other names."""
        if self.inverted:
            return replace(self, before=self.before.renamed(source=target), after=self.after.renamed(target=source))
        return replace(self, before=self.before.renamed(source=source), after=self.after.renamed(target=target))

    @property
    def middle(self) -> Floats:
        """(d,) nm in the source frame: the middle of the field."""
        start = self.before.inverse().apply(self.field.knots().mean(0, keepdims=True))
        return np.asarray((self.inverse().apply(start) if self.inverted else start)[0], np.float64)

    @overload
    def then(self, other: Transform) -> Warp: ...

    @overload
    def then(self, other: Warp | Chain) -> Chain: ...

    def then(self, other: AnyTransform) -> Warp | Chain:
        """The map followed by another."""
        if not isinstance(other, Transform):
            return other.preceded_by(self)
        if self.inverted:
            return replace(self, before=other.inverse().then(self.before))
        return replace(self, after=self.after.then(other))

    @overload
    def preceded_by(self, other: Transform) -> Warp: ...

    @overload
    def preceded_by(self, other: Warp | Chain) -> Chain: ...

    def preceded_by(self, other: AnyTransform) -> Warp | Chain:
        """Another map followed by this one."""
        if not isinstance(other, Transform):
            return Chain((*_links(other), self))
        if self.inverted:
            return replace(self, after=self.after.then(other.inverse()))
        return replace(self, before=other.then(self.before))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; `read_transform` (saved.py) gives back every number bit for bit."""
        return {"model": "warp", "source": self.source, "target": self.target, "axes": list(AXES[-self.ndim:]), "units": "nm",
                "before": self.before.to_dict(), "field": self.field.to_dict(), "after": self.after.to_dict(),
                "inverted": self.inverted}

    def _name(self) -> str:
        return f"warp {self.source!r} -> {self.target!r}"

    def _undone(self, images: Floats) -> Floats:
        """Solve q + field(q) = image for q by Newton steps."""
        at = images - self.field.displacement(images)
        scale = max(1.0, float(np.abs(images - at).max(initial=0)))
        for _ in range(ITERATIONS):
            miss = at + self.field.displacement(at) - images
            if np.abs(miss).max(initial=0) < TOLERANCE_NM * scale:
                return at
            bend = np.eye(self.ndim) + self.field.gradient(at)
            at = at - np.linalg.solve(bend, miss[..., None])[..., 0]
        raise TransformError(f"{self._name()}: the inverse was not found within {ITERATIONS} steps; the field is too steep")


@dataclass(frozen=True, eq=False)
class Chain:
    """Warps one after the other: two fields do not merge into one. Linear maps between them are part of either.

    Raises
    ------
    TransformError
        If a link does not start where the one before it ends.
    """

    links: tuple[Warp, ...]

    def __post_init__(self) -> None:
        for first, second in pairwise(self.links):
            if first.target != second.source or first.ndim != second.ndim:
                raise TransformError(f"warp {first.source!r} -> {first.target!r} ({first.ndim}D) cannot be followed by warp "
                                     f"{second.source!r} -> {second.target!r} ({second.ndim}D)")

    @property
    def source(self) -> str:
        return self.links[0].source

    @property
    def target(self) -> str:
        return self.links[-1].target

    @property
    def ndim(self) -> int:
        return self.links[0].ndim

    @property
    def model(self) -> str:
        return "chain"

    @property
    def middle(self) -> Floats:
        """(d,) nm in the source frame: the middle of the first field."""
        return self.links[0].middle

    def apply(self, points: ArrayLike) -> Floats:
        """Positions (n, d) in nm of the source frame -> positions (n, d) in nm of the target frame."""
        at = np.asarray(points, np.float64)
        for link in self.links:
            at = link.apply(at)
        return at

    def covariance_at(self, points: ArrayLike) -> Floats:
        """Covariance (n, d, d), nm² in the target frame, of the images of points (n, d): the error of each link, carried
        through the links behind it (first order, independent); NaN when nothing is known.
        """
        at = np.asarray(points, np.float64)
        whole = np.zeros((len(at), self.ndim, self.ndim))
        for link in self.links:
            bend = link.linear_at(at)
            whole = bend @ whole @ bend.transpose(0, 2, 1) + link.covariance_at(at)
            at = link.apply(at)
        return whole

    def std_at(self, points: ArrayLike) -> Floats:
        """Standard deviation (n, d), nm along the target's axes, of the images of points (n, d); NaN if unknown."""
        return std_of(self.covariance_at(points))

    def linear_at(self, points: ArrayLike) -> Floats:
        """(n, d, d) derivative of the map at points (n, d)."""
        at = np.asarray(points, np.float64)
        whole = np.broadcast_to(np.eye(self.ndim), (len(at), self.ndim, self.ndim))
        for link in self.links:
            whole = link.linear_at(at) @ whole
            at = link.apply(at)
        return np.asarray(whole, np.float64)

    def renamed(self, source: str, target: str) -> Chain:
        """The same map between frames of other names."""
        first = self.links[0].renamed(source, self.links[0].target)
        last = self.links[-1].renamed(self.links[-1].source, target)
        return Chain((first, *self.links[1:-1], last))

    def inverse(self) -> Chain:
        """The map from target to source."""
        return Chain(tuple(link.inverse() for link in reversed(self.links)))

    def then(self, other: AnyTransform) -> Chain:
        """The map followed by another."""
        if isinstance(other, Transform):
            return Chain((*self.links[:-1], self.links[-1].then(other)))
        return Chain((*self.links, *_links(other)))

    def preceded_by(self, other: AnyTransform) -> Chain:
        """Another map followed by this one."""
        if isinstance(other, Transform):
            return Chain((self.links[0].preceded_by(other), *self.links[1:]))
        return Chain((*_links(other), *self.links))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; `read_transform` (saved.py) gives back every number bit for bit."""
        return {"model": "chain", "source": self.source, "target": self.target, "links": [w.to_dict() for w in self.links]}


AnyTransform = Transform | Warp | Chain
"""What may lie between two frames."""


def _links(bent: Warp | Chain) -> tuple[Warp, ...]:
    return bent.links if isinstance(bent, Chain) else (bent,)


def least_jacobian(field: Field) -> float:
    """Smallest determinant of the derivative of p + field(p) at the field's knots; a fold makes it negative."""
    return float(np.linalg.det(np.eye(field.ndim) + field.gradient(field.knots())).min())


def _cubic(t: Floats) -> Floats:
    """Weights (n, 4) of the cubic B-spline."""
    s = 1 - t
    return np.stack([s**3, 3 * t**3 - 6 * t**2 + 4, 3 * s**3 - 6 * s**2 + 4, t**3], 1) / 6


def _cubic_slope(t: Floats) -> Floats:
    s = 1 - t
    return np.stack([-(s**2), 3 * t**2 - 4 * t, 4 * s - 3 * s**2, t**2], 1) / 2


def _linear(t: Floats) -> Floats:
    zero = np.zeros_like(t)
    return np.stack([zero, 1 - t, t, zero], 1)


def _linear_slope(t: NDArray[np.float64]) -> Floats:
    one, zero = np.ones_like(t), np.zeros_like(t)
    return np.stack([zero, -one, one, zero], 1)
