"""The frames of one sample and the transforms between them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

import numpy as np

from datasets.errors import DatasetError
from registration.transform import Floats, Transform

Status = Literal["accepted", "proposed", "rejected"]
STATUSES: tuple[Status, ...] = ("accepted", "proposed", "rejected")


class FrameError(DatasetError):
    """Two frames cannot be related."""


@dataclass(frozen=True)
class Edge:
    """One transform of the graph and what was decided about it; only accepted ones are used."""

    transform: Transform
    status: Status = "accepted"
    note: str = ""


@dataclass(frozen=True)
class Closure:
    """What is left after walking around a loop of frames: zero if all its transforms are right.

    `residual` is (n, d) nm at the points asked for; `chi2` is its squared size in units of the stated covariance,
    averaged over points and axes, near 1 when the stated uncertainties are right; NaN where nothing is stated.
    """

    frames: tuple[str, ...]
    residual: Floats
    chi2: float


class FrameGraph:
    """Named frames and the transforms between them; several rival transforms between two frames are allowed."""

    def __init__(self, edges: Iterable[Edge] = ()) -> None:
        self.edges: list[Edge] = []
        self._alone: list[str] = []
        for edge in edges:
            self.add(edge.transform, edge.status, edge.note)

    def add_frame(self, name: str) -> None:
        """Make a frame known although nothing relates it to another yet."""
        if name not in self._alone:
            self._alone.append(name)

    def add(self, transform: Transform, status: Status = "accepted", note: str = "") -> None:
        """Add one transform.

        Raises
        ------
        FrameError
            If it maps a frame to itself, or the status is none of accepted, proposed and rejected.
        """
        if status not in STATUSES:
            raise FrameError(f"status {status!r} is none of {', '.join(STATUSES)}")
        if transform.source == transform.target:
            raise FrameError(f"a transform maps frame {transform.source!r} to itself")
        self.edges.append(Edge(transform, status, note))

    def frames(self) -> list[str]:
        """All frames, in the order they became known."""
        names = [n for e in self.edges for n in (e.transform.source, e.transform.target)]
        return list(dict.fromkeys([*self._alone, *names]))

    def connected(self, frame: str) -> list[str]:
        """The frames that accepted transforms relate to this one, itself included."""
        found = [frame]
        for name in found:
            found += [n for n in self._steps(name) if n not in found]
        return sorted(found)

    def path(self, source: str, target: str) -> Transform:
        """The transform from one frame to another over accepted edges.

        The path with the fewest edges is taken, since every edge may be wrong in a way its covariance does not know; among
        equally short ones the one with the smallest stated variance of position.

        Raises
        ------
        FrameError
            If a frame is unknown or no accepted path exists; the message says which frames are connected.
        """
        known = self.frames()
        unknown = [f for f in (source, target) if f not in known]
        if unknown:
            names = ", ".join(map(repr, known)) or "none"
            raise FrameError(f"unknown frame {', '.join(map(repr, unknown))}; known are {names}")
        if source == target:
            return Transform.identity(source, target, self._ndim())
        tie = count()
        queue: list[tuple[int, float, int, str, Transform | None]] = [(0, 0.0, next(tie), source, None)]
        done: set[str] = set()
        while queue:
            edges, variance, _, name, so_far = heapq.heappop(queue)
            if name == target and so_far is not None:
                return so_far
            if name in done:
                continue
            done.add(name)
            for other, steps in self._steps(name).items():
                if other in done:
                    continue
                for step in steps:
                    whole = step if so_far is None else so_far.then(step)
                    heapq.heappush(queue, (edges + 1, variance + _variance(step), next(tie), other, whole))
        waiting = [e for e in self.edges
                   if e.status != "accepted" and {e.transform.source, e.transform.target} == {source, target}]
        why = f" ({waiting[-1].status}{': ' + waiting[-1].note if waiting[-1].note else ''})" if waiting else ""
        raise FrameError(f"no accepted path from {source!r} to {target!r}{why}; {source!r} is connected to "
                         f"{_listed(self.connected(source), source)}, {target!r} to {_listed(self.connected(target), target)}")

    def closure(self, frames: Iterable[str], points: Floats) -> Closure:
        """Walk around frames and back to the first one, by direct accepted edges, and see where points (n, d) nm end up.

        Raises
        ------
        FrameError
            If two neighbours of the loop are not directly related.
        """
        loop = tuple(frames)
        whole: Transform | None = None
        for here, there in zip(loop, (*loop[1:], loop[0]), strict=True):
            steps = self._steps(here).get(there)
            if not steps:
                raise FrameError(f"no accepted transform between {here!r} and {there!r}")
            step = min(steps, key=_variance)
            whole = step if whole is None else whole.then(step)
        if whole is None:
            raise FrameError("a loop of no frames")
        residual = whole.apply(points) - points
        covariance = whole.covariance_at(points)
        if not np.isfinite(covariance).all() or (np.linalg.matrix_rank(covariance) < whole.ndim).any():
            return Closure(loop, residual, float("nan"))
        squares = np.einsum("ni,ni->n", residual, np.linalg.solve(covariance, residual[..., None])[..., 0])
        return Closure(loop, residual, float(squares.mean()) / whole.ndim)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"frames": self.frames(),
                "edges": [{"transform": e.transform.to_dict(), "status": e.status, "note": e.note} for e in self.edges]}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> FrameGraph:
        """Read what `to_dict` wrote."""
        graph = cls(Edge(Transform.from_dict(e["transform"]), e["status"], e.get("note", "")) for e in saved["edges"])
        for name in saved.get("frames", ()):
            graph.add_frame(name)
        return graph

    def _steps(self, frame: str) -> dict[str, list[Transform]]:
        """Neighbour -> accepted transforms from this frame to it."""
        steps: dict[str, list[Transform]] = {}
        for edge in self.edges:
            if edge.status == "accepted" and frame in (edge.transform.source, edge.transform.target):
                step = edge.transform if edge.transform.source == frame else edge.transform.inverse()
                steps.setdefault(step.target, []).append(step)
        return steps

    def _ndim(self) -> int:
        return self.edges[0].transform.ndim if self.edges else 2


def _variance(step: Transform) -> float:
    """Stated variance of position at the centre of a transform, in units of its own scale; infinite when unknown."""
    if step.covariance is None:
        return float("inf")
    return float(np.trace(step.covariance[:step.ndim, :step.ndim])) / step.scale**2


def _listed(names: list[str], but: str) -> str:
    others = [repr(n) for n in names if n != but]
    return ", ".join(others) if others else "nothing"
