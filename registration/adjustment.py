"""All transforms of a sample made to agree: least squares over the edges of its graph of frames.

Walking around a loop of frames must end where it began. The smallest corrections, in units of the stated covariances, that
close every loop at once are an adjustment of condition equations (Mikhail & Ackermann, Observations and Least Squares, 1976;
source not checked): with B the change of the closures w per correction, v = -Σ Bᵀ (B Σ Bᵀ)⁺ w and Σ' = Σ - Σ Bᵀ (B Σ Bᵀ)⁺ B Σ.
No frame is singled out, exact edges stay exact, and a rigid edge stays rigid.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import cast

import numpy as np
from scipy.linalg import block_diag, expm
from scipy.special import chdtrc

from registration.frames import Edge, FrameError, FrameGraph
from registration.transform import MODELS, Floats, Transform, model_generators, reduced_covariance

ROUNDS, CLOSED = 20, 1e-9
"""Most linearisations, and the closure, in units of its standard deviation, at which no further one is made."""
RANK = 1e-9
"""Closures whose variance is below this part of the largest one, once all are in units of their own, are implied by others."""
UNLIKELY = 1e-3
"""Probability below which a correction makes its edge suspected."""

Step = tuple[int, bool]
"""Number of an edge and whether it is walked from source to target."""


@dataclass(frozen=True, eq=False)
class Adjustment:
    """A graph whose loops close, and how far the stated uncertainties bear out what that took.

    `graph` has the edges of the given one with the corrected transforms and their smaller covariances. `chi2` is the squared
    size of all corrections in units of the stated covariances, near `freedom` when those are right, and `probability` how
    often chance alone gives as much; NaN without loops. `suspects` are (source, target) of edges whose own correction is
    larger than one in a thousand would be; the edges of a loop that shares none with another one are suspected together.
    `not_adjusted` are accepted edges without a stated uncertainty: they are left as they are and close no loop.
    """

    graph: FrameGraph
    chi2: float
    freedom: int
    suspects: tuple[tuple[str, str], ...]
    not_adjusted: tuple[tuple[str, str], ...]
    edges: tuple[Transform, ...]
    covariance: Floats

    @property
    def probability(self) -> float:
        return float(chdtrc(self.freedom, self.chi2)) if self.freedom else float("nan")

    def path(self, source: str, target: str) -> Transform:
        """The transform between two frames; unlike that of `graph.path`, its covariance knows that edges err together.

        Raises
        ------
        FrameError
            If no adjusted edges lead from one frame to the other.
        """
        steps = _walk(self.edges, list(range(len(self.edges))), source, target)
        if steps is None:
            raise FrameError(f"no adjusted transforms lead from {source!r} to {target!r}")
        if not steps:
            return Transform.identity(source, target, self.edges[0].ndim)
        model = MODELS[max(MODELS.index(self.edges[n].model) for n, _ in steps)]
        matrix = _composed(self.edges, steps)
        first = self.edges[steps[0][0]]
        centre = cast(Floats, first.centre)
        centre = centre if steps[0][1] else first.apply(centre[None])[0]
        d = first.ndim
        change = _change(self.edges, steps, matrix[:, :d] @ centre + matrix[:, d])
        covariance = reduced_covariance(model, d, change @ self.covariance @ change.T)
        return Transform(source, target, matrix, model, centre, covariance)


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
    known = [n for n in accepted if graph.edges[n].transform.covariance is not None]
    edges = [graph.edges[n].transform for n in known]
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
        new[n] = Edge(transform, "accepted", graph.edges[n].note)
    whole = FrameGraph(new)
    for name in graph.frames():
        whole.add_frame(name)
    left = tuple((t.source, t.target) for t in (graph.edges[n].transform for n in accepted) if t.covariance is None)
    return Adjustment(whole, chi2, freedom, suspects, left, tuple(moved), sigma)


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
