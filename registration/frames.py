"""The frames of one sample and the transforms between them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Literal

import numpy as np

from datasets.errors import DatasetError
from registration.candidate import Candidate
from registration.quality import Verdict
from registration.saved import read_transform
from registration.transform import Floats, Transform
from registration.warp import AnyTransform

Step = tuple[int, bool]
"""Number of an edge and whether it is walked from source to target."""
Status = Literal["accepted", "proposed", "rejected"]
STATUSES: tuple[Status, ...] = ("accepted", "proposed", "rejected")
STATUS_OF: dict[Verdict, Status] = {"good": "accepted", "doubtful": "proposed", "failed": "rejected"}
"""What becomes of a transform by its verdict, until a person decides otherwise."""


class FrameError(DatasetError):
    """Two frames cannot be related."""


@dataclass(frozen=True)
class Edge:
    """One transform of the graph and what was decided about it; only accepted ones are used.

    `candidates` are rival poses of the same two frames that the images left possible, best first.
    """

    transform: AnyTransform
    status: Status = "accepted"
    note: str = ""
    candidates: tuple[Candidate, ...] = ()


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
    """Named frames and the transforms between them, linear or bent; several between two frames are allowed."""

    def __init__(self, edges: Iterable[Edge] = ()) -> None:
        self.edges: list[Edge] = []
        self._alone: list[str] = []
        for edge in edges:
            self.add(edge.transform, edge.status, edge.note, edge.candidates)

    def add_frame(self, name: str) -> None:
        """Make a frame known although nothing relates it to another yet."""
        if name not in self._alone:
            self._alone.append(name)

    def add(self, transform: AnyTransform, status: Status = "accepted", note: str = "",
            candidates: Iterable[Candidate] = ()) -> None:
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
        self.edges.append(Edge(transform, status, note, tuple(candidates)))

    def pick(self, source: str, target: str, number: int, note: str = "picked by a person") -> None:
        """Accept candidate `number` (from 0) of the newest transform from source to target, which is rejected.

        Nothing is lost: the rejected edge keeps its transform and all its candidates.

        Raises
        ------
        FrameError
            If there is no such transform or candidate.
        """
        found = [n for n, e in enumerate(self.edges) if (e.transform.source, e.transform.target) == (source, target)]
        if not found:
            raise FrameError(f"no transform from {source!r} to {target!r}; {source!r} is connected to "
                             f"{_listed(self.connected(source), source)}")
        edge = self.edges[found[-1]]
        if not 0 <= number < len(edge.candidates):
            raise FrameError(f"the transform from {source!r} to {target!r} has {len(edge.candidates)} candidates; "
                             f"there is no candidate {number}")
        self.edges[found[-1]] = replace(edge, status="rejected", note=f"candidate {number} was picked instead")
        self.add(edge.candidates[number].transform, "accepted", note)

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

    def path(self, source: str, target: str) -> AnyTransform:
        """The transform from one frame to another over accepted edges.

        The path with the fewest edges is taken, since every edge may be wrong in a way its covariance does not know; among
        equally short ones the one with the smallest stated variance of position.

        Raises
        ------
        FrameError
            If a frame is unknown or no accepted path exists; the message says which frames are connected.
        """
        steps = self._route(source, target)
        if not steps:
            return Transform.identity(source, target, self._ndim())
        return composed([self._walked(step) for step in steps])

    def _route(self, source: str, target: str) -> list[Step]:
        known = self.frames()
        unknown = [f for f in (source, target) if f not in known]
        if unknown:
            names = ", ".join(map(repr, known)) or "none"
            raise FrameError(f"unknown frame {', '.join(map(repr, unknown))}; known are {names}")
        tie = count()
        queue: list[tuple[int, float, int, str, list[Step]]] = [(0, 0.0, next(tie), source, [])]
        done: set[str] = set()
        while queue:
            edges, variance, _, name, so_far = heapq.heappop(queue)
            if name == target:
                return so_far
            if name in done:
                continue
            done.add(name)
            for other, steps in self._steps(name).items():
                for step in steps if other not in done else ():
                    more = variance + _variance(self._walked(step))
                    heapq.heappush(queue, (edges + 1, more, next(tie), other, [*so_far, step]))
        waiting = [e for e in self.edges
                   if e.status != "accepted" and {e.transform.source, e.transform.target} == {source, target}]
        why = f" ({waiting[-1].status}{': ' + waiting[-1].note if waiting[-1].note else ''})" if waiting else ""
        raise FrameError(f"no accepted path from {source!r} to {target!r}{why}; {source!r} is connected to "
                         f"{_listed(self.connected(source), source)}, {target!r} to {_listed(self.connected(target), target)}")

    def between(self, source: str, target: str) -> tuple[str, ...]:
        """The frames along the path from one frame to another, both included; errors as for `path`."""
        names = [source]
        for number, forward in self._route(source, target):
            edge = self.edges[number].transform
            names.append(edge.target if forward else edge.source)
        return tuple(names)

    def closure(self, frames: Iterable[str], points: Floats) -> Closure:
        """Walk around frames and back to the first one, by direct accepted edges, and see where points (n, d) nm end up.

        Raises
        ------
        FrameError
            If two neighbours of the loop are not directly related.
        """
        loop = tuple(frames)
        walk: list[AnyTransform] = []
        for here, there in zip(loop, (*loop[1:], loop[0]), strict=True):
            steps = self._steps(here).get(there)
            if not steps:
                raise FrameError(f"no accepted transform between {here!r} and {there!r}")
            walk.append(min(map(self._walked, steps), key=_variance))
        if not walk:
            raise FrameError("a loop of no frames")
        whole = composed(walk)
        residual = whole.apply(points) - points
        covariance = whole.covariance_at(points)
        if not np.isfinite(covariance).all() or (np.linalg.matrix_rank(covariance) < whole.ndim).any():
            return Closure(loop, residual, float("nan"))
        squares = np.einsum("ni,ni->n", residual, np.linalg.solve(covariance, residual[..., None])[..., 0])
        return Closure(loop, residual, float(squares.mean()) / whole.ndim)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"frames": self.frames(),
                "edges": [{"transform": e.transform.to_dict(), "status": e.status, "note": e.note,
                           "candidates": [c.to_dict() for c in e.candidates]} for e in self.edges]}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> FrameGraph:
        """Read what `to_dict` wrote."""
        graph = cls(Edge(read_transform(e["transform"]), e["status"], e.get("note", ""),
                         tuple(Candidate.from_dict(c) for c in e.get("candidates", ()))) for e in saved["edges"])
        for name in saved.get("frames", ()):
            graph.add_frame(name)
        return graph

    def _steps(self, frame: str) -> dict[str, list[Step]]:
        """Neighbour -> steps over accepted edges from this frame to it."""
        steps: dict[str, list[Step]] = {}
        for number, edge in enumerate(self.edges):
            ends = edge.transform.source, edge.transform.target
            if edge.status == "accepted" and frame in ends:
                forward = ends[0] == frame
                steps.setdefault(ends[forward], []).append((number, forward))
        return steps

    def _walked(self, step: Step) -> AnyTransform:
        number, forward = step
        transform = self.edges[number].transform
        return transform if forward else transform.inverse()

    def _ndim(self) -> int:
        return self.edges[0].transform.ndim if self.edges else 2


def composed(steps: Iterable[AnyTransform]) -> AnyTransform:
    """Transforms one after the other made one; their errors are taken to be independent."""
    first, *others = steps
    whole: AnyTransform = first
    for step in others:
        whole = whole.then(step)
    return whole


def _variance(step: AnyTransform) -> float:
    """Stated variance of position in the middle of a transform, in units of its own scale; infinite when unknown."""
    middle = step.middle[None]
    variance = float(np.trace(step.covariance_at(middle)[0]))
    area = float(abs(np.linalg.det(step.linear_at(middle)[0])) ** (2 / step.ndim))
    return variance / area if np.isfinite(variance) else float("inf")


def _listed(names: list[str], but: str) -> str:
    others = [repr(n) for n in names if n != but]
    return ", ".join(others) if others else "nothing"
