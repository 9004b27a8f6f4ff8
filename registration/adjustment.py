"""All transforms of a sample made to agree: least squares over the edges of its graph of frames.

Walking around a loop of frames must end where it began. The smallest corrections, in units of the stated covariances, that
close every loop at once are an adjustment of condition equations (Mikhail & Ackermann, Observations and Least Squares, 1976;
source not checked): with B the change of the closures w per correction, v = -Σ Bᵀ (B Σ Bᵀ)⁺ w and Σ' = Σ - Σ Bᵀ (B Σ Bᵀ)⁺ B Σ.
No frame is singled out, exact edges stay exact, and a rigid edge stays rigid.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any, cast

import numpy as np
from scipy.linalg import block_diag, expm
from scipy.special import chdtrc

from registration.frames import Edge, FrameError, FrameGraph, Step, composed
from registration.transform import MODELS, Floats, Transform, model_generators, reduced_covariance
from registration.warp import AnyTransform

ROUNDS, CLOSED = 20, 1e-9
"""Most linearisations, and the closure, in units of its standard deviation, at which no further one is made."""
RANK = 1e-9
"""Closures whose variance is below this part of the largest one, once all are in units of their own, are implied by others."""
UNLIKELY = 1e-3
"""Probability below which a correction makes its edge suspected."""


class JointGraph(FrameGraph):
    """A graph some of whose edges were corrected together: along a path of them their errors are not independent.

    `numbers` are those of the corrected edges, `covariance` that of all their parameters in this order. Along a path that
    leads over other edges, too, its stretches of corrected edges are taken to be independent of one another.
    """

    def __init__(self, edges: Iterable[Edge], numbers: Sequence[int], covariance: Floats) -> None:
        super().__init__(edges)
        self.numbers, self.covariance = tuple(numbers), covariance

    @property
    def corrected(self) -> tuple[Transform, ...]:
        return tuple(cast(Transform, self.edges[n].transform) for n in self.numbers)

    def path(self, source: str, target: str) -> AnyTransform:
        """As `FrameGraph.path`, with the covariance of edges that err together."""
        steps = self._route(source, target)
        if not steps:
            return super().path(source, target)
        stretches = [(own, list(part)) for own, part in groupby(steps, key=lambda step: step[0] in self.numbers)]
        return composed([whole for own, part in stretches
                         for whole in ([self.joint(part)] if own else map(self._walked, part))])

    def joint(self, steps: Sequence[Step]) -> Transform:
        """The transform over corrected edges."""
        edges = self.corrected
        walk = [(self.numbers.index(n), forward) for n, forward in steps]
        whole = [edges[n] if forward else edges[n].inverse() for n, forward in walk]
        model = MODELS[max(MODELS.index(step.model) for step in whole)]
        matrix = _composed(edges, walk)
        centre, d = cast(Floats, whole[0].centre), len(matrix)
        change = _change(edges, walk, matrix[:, :d] @ centre + matrix[:, d])
        covariance = reduced_covariance(model, d, change @ self.covariance @ change.T)
        return Transform(whole[0].source, whole[-1].target, matrix, model, centre, covariance)

@dataclass(frozen=True, eq=False)
class Adjustment:
    """A graph whose loops close, and how far the stated uncertainties bear out what that took.

    `graph` has the edges of the given one with the corrected transforms and their smaller covariances. `chi2` is the squared
    size of all corrections in units of the stated covariances, near `freedom` when those are right, and `probability` how
    often chance alone gives as much; NaN without loops. `suspects` are (source, target) of edges whose own correction is
    larger than one in a thousand would be; the edges of a loop that shares none with another one are suspected together.
    `not_adjusted` are accepted edges that bend or state no uncertainty: they are left as they are and close no loop. A field
    has an error of its own at every place, which six corrections cannot spread; `FrameGraph.closure` tells whether it fits.
    """

    graph: JointGraph
    chi2: float
    freedom: int
    suspects: tuple[tuple[str, str], ...]
    not_adjusted: tuple[tuple[str, str], ...]

    @property
    def probability(self) -> float:
        return float(chdtrc(self.freedom, self.chi2)) if self.freedom else float("nan")

    def path(self, source: str, target: str) -> Transform:
        """The transform between two frames over corrected edges alone.

        Raises
        ------
        FrameError
            If no adjusted edges lead from one frame to the other.
        """
        edges = self.graph.corrected
        steps = _walk(edges, list(range(len(edges))), source, target)
        if steps is None:
            raise FrameError(f"no adjusted transforms lead from {source!r} to {target!r}")
        if not steps:
            return Transform.identity(source, target, edges[0].ndim)
        return self.graph.joint([(self.graph.numbers[n], forward) for n, forward in steps])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; `from_dict` gives back every number bit for bit."""
        return {"graph": self.graph.to_dict(), "numbers": list(self.graph.numbers),
                "covariance": self.graph.covariance.tolist(), "chi2": self.chi2, "freedom": self.freedom,
                "suspects": [list(ends) for ends in self.suspects],
                "not_adjusted": [list(ends) for ends in self.not_adjusted]}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Adjustment:
        """Read what `to_dict` wrote."""
        plain = FrameGraph.from_dict(saved["graph"])
        size = int(np.sqrt(sum(len(row) for row in saved["covariance"])))
        graph = JointGraph(plain.edges, saved["numbers"], np.array(saved["covariance"], np.float64).reshape(size, size))
        for name in plain.frames():
            graph.add_frame(name)
        return cls(graph, float(saved["chi2"]), int(saved["freedom"]), _ends(saved["suspects"]), _ends(saved["not_adjusted"]))


def adjusted(graph: FrameGraph) -> Adjustment:
    """Correct the accepted transforms of a graph so that every loop closes; others are kept as they are.

    Raises
    ------
    FrameError
        If frames of two and three dimensions are mixed, or the loops cannot be closed by small corrections.
    """
    accepted = [n for n, e in enumerate(graph.edges) if e.status == "accepted"]
    if len({graph.edges[n].transform.ndim for n in accepted}) > 1:
        raise FrameError("transforms in 2D and in 3D cannot be adjusted together")
    linear = [(n, t) for n in accepted if isinstance(t := graph.edges[n].transform, Transform) and t.covariance is not None]
    known, edges = [n for n, _ in linear], [t for _, t in linear]
    loops = _loops(edges)
    sigma = block_diag(*(e.covariance for e in edges)) if edges else np.zeros((0, 0))
    corrections = np.zeros(len(sigma))
    suspects: tuple[tuple[str, str], ...] = ()
    chi2, freedom, moved = 0.0, 0, edges
    if loops:
        moved, corrections, shared, chi2, freedom = _closed(edges, loops, sigma)
        suspects = tuple((e.source, e.target) for e, part in zip(edges, _parts(edges), strict=True)
                         if _size(corrections[part], shared[part, part]) < UNLIKELY)
        sigma = sigma - shared
        sigma = (sigma + sigma.T) / 2
        moved = [replace(e, covariance=sigma[part, part]) for e, part in zip(moved, _parts(edges), strict=True)]
    new = list(graph.edges)
    for n, transform in zip(known, moved, strict=True):
        new[n] = replace(graph.edges[n], transform=transform)
    whole = JointGraph(new, known, sigma)
    for name in graph.frames():
        whole.add_frame(name)
    left = tuple((e.transform.source, e.transform.target) for n in accepted if n not in known for e in [graph.edges[n]])
    return Adjustment(whole, chi2, freedom, suspects, left)


def looped(graph: FrameGraph) -> tuple[int, ...]:
    """Numbers of the edges that lie on a loop: accepted, linear and of a stated uncertainty, which an adjustment may change."""
    numbers = [n for n, e in enumerate(graph.edges)
               if e.status == "accepted" and isinstance(e.transform, Transform) and e.transform.covariance is not None]
    edges = [cast(Transform, graph.edges[n].transform) for n in numbers]
    return tuple(numbers[n] for n in sorted({n for loop in _loops(edges) for n, _ in loop}))


def _closed(edges: list[Transform], loops: list[list[Step]],
            sigma: Floats) -> tuple[list[Transform], Floats, Floats, float, int]:
    """Corrected edges, the corrections, what they take from the covariance, and their squared size and freedom."""
    corrections = np.zeros(len(sigma))
    moved = edges
    pivots = [edges[loop[0][0]].apply(cast(Floats, edges[loop[0][0]].centre)[None])[0] for loop in loops]
    slope = np.concatenate([_change(edges, loop, pivot) for loop, pivot in zip(loops, pivots, strict=True)])
    spread = slope @ sigma @ slope.T
    scale = np.sqrt(np.maximum(np.diag(spread), 0))
    scale[scale <= 1e-12 * scale.max(initial=0)] = np.inf  # rows that no correction can change
    weight = np.linalg.pinv(spread / np.outer(scale, scale), rcond=RANK, hermitian=True) / np.outer(scale, scale)
    gain = sigma @ slope.T @ weight
    freedom = int(np.linalg.matrix_rank(spread / np.outer(scale, scale), tol=RANK, hermitian=True))
    for _ in range(ROUNDS):
        open_by = np.concatenate([_closure(moved, loop, pivot) for loop, pivot in zip(loops, pivots, strict=True)])
        if not np.isfinite(open_by).all():
            break
        if np.abs(open_by / scale).max(initial=0) < CLOSED:
            chi2 = float(corrections @ np.linalg.pinv(sigma, hermitian=True) @ corrections)
            return moved, corrections, gain @ slope @ sigma, chi2, freedom
        corrections = gain @ (slope @ corrections - open_by)
        moved = [_moved(e, corrections[part]) for e, part in zip(edges, _parts(edges), strict=True)]
    frames = [dict.fromkeys(f for n, _ in loop for f in (edges[n].source, edges[n].target)) for loop in loops]
    raise FrameError(f"the transforms around {'; '.join(' - '.join(f) for f in frames)} are too far from closing for an "
                     "adjustment; reject the wrong one")


def _closure(edges: Sequence[Transform], loop: list[Step], pivot: Floats) -> Floats:
    """(d + d²,) by how much the walk around a loop moves the pivot, and its linear part less the identity."""
    matrix = _composed(edges, loop)
    d = len(matrix)
    return cast(Floats, np.r_[matrix[:, :d] @ pivot + matrix[:, d] - pivot, (matrix[:, :d] - np.eye(d)).ravel()])


def _change(edges: Sequence[Transform], steps: list[Step], pivot: Floats) -> Floats:
    """(d + d², K) how parameters of all edges move the end of a walk: the shift of `pivot` and the linear part."""
    d = edges[0].ndim
    parts = _parts(edges)
    out = np.zeros((d + d * d, parts[-1].stop))
    after = np.c_[np.eye(d), np.zeros(d)]
    for number, forward in reversed(steps):
        edge = edges[number]
        # a change made after the edge acts before what follows it; walked backwards it acts, undone, before the edge itself
        if not forward:
            after = _after(after, edge.inverse().matrix)
        linear, back = after[:, :d], np.linalg.inv(after[:, :d])
        generators = model_generators(edge.model, d)
        seat = back @ (pivot - after[:, d]) - edge.apply(cast(Floats, edge.centre)[None])[0]
        for k, g in enumerate(generators.T):
            turn = g[d:].reshape(d, d)
            column = np.r_[linear @ (g[:d] + turn @ seat), (linear @ turn @ back).ravel()]
            out[:, parts[number].start + k] += column if forward else -column
        if forward:
            after = _after(after, edge.matrix)
    return out


def _composed(edges: Sequence[Transform], steps: list[Step]) -> Floats:
    """(d, d + 1) matrix of a walk."""
    d = edges[0].ndim
    matrix: Floats = np.c_[np.eye(d), np.zeros(d)]
    for number, forward in steps:
        matrix = _after((edges[number] if forward else edges[number].inverse()).matrix, matrix)
    return matrix


def _after(second: Floats, first: Floats) -> Floats:
    d = len(first)
    return cast(Floats, np.c_[second[:, :d] @ first[:, :d], second[:, :d] @ first[:, d] + second[:, d]])


def _moved(edge: Transform, parameters: Floats) -> Transform:
    """The edge after a change of its parameters that keeps its model exactly."""
    d = edge.ndim
    full = model_generators(edge.model, d) @ parameters
    turn = full[d:].reshape(d, d)
    linear = np.eye(d) + turn if edge.model == "affine" else expm(turn)
    pivot = edge.apply(cast(Floats, edge.centre)[None])[0]
    return replace(edge, matrix=_after(np.c_[linear, pivot + full[:d] - linear @ pivot], edge.matrix))


def _parts(edges: Sequence[Transform]) -> list[slice]:
    """Where the parameters of each edge stand among those of all."""
    ends = np.cumsum([0, *(model_generators(e.model, e.ndim).shape[1] for e in edges)])
    return [slice(int(a), int(b)) for a, b in pairwise(ends)]


def _ends(saved: Iterable[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((source, target) for source, target in saved)


def _size(correction: Floats, covariance: Floats) -> float:
    """How often chance alone gives a correction as large."""
    scale = np.sqrt(np.maximum(np.diag(covariance), 0))
    scale[scale <= 0] = np.inf
    normal = covariance / np.outer(scale, scale)
    rank = int(np.linalg.matrix_rank(normal, tol=1e-6, hermitian=True))
    if rank == 0:
        return 1.0
    z = correction / scale
    return float(chdtrc(rank, z @ np.linalg.pinv(normal, rcond=1e-6, hermitian=True) @ z))


def _loops(edges: list[Transform]) -> list[list[Step]]:
    """A basis of loops: each edge that closes one, followed by the way back over edges before it."""
    tree: list[int] = []
    loops: list[list[Step]] = []
    for n, edge in enumerate(edges):
        back = _walk(edges, tree, edge.target, edge.source)
        if back is None:
            tree.append(n)
        else:
            loops.append([(n, True), *back])
    return loops


def _walk(edges: Sequence[Transform], usable: list[int], source: str, target: str) -> list[Step] | None:
    """The shortest way between two frames over usable edges."""
    queue: deque[tuple[str, list[Step]]] = deque([(source, [])])
    seen = {source}
    while queue:
        here, steps = queue.popleft()
        if here == target:
            return steps
        for n in usable:
            for start, end, forward in ((edges[n].source, edges[n].target, True), (edges[n].target, edges[n].source, False)):
                if start == here and end not in seen:
                    seen.add(end)
                    queue.append((end, [*steps, (n, forward)]))
    return None
