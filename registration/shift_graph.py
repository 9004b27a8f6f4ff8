"""Positions of frames from shifts measured between pairs of them, some of which are wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve

from registration.transform import Floats

TUKEY = 4.685
"""Residuals beyond this many standard deviations count for nothing (95 % efficiency for normal errors)."""
ROUNDS = 30


@dataclass(frozen=True, eq=False)
class Shifts:
    """Pair k: frame `second[k]` shows everything `shift[k]` (2,) further than frame `first[k]`; `strength[k]` says how clearly
    the pair spoke and orders the pairs.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    shift: Floats
    strength: Floats


def positions(n: int, pairs: Shifts, noise: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Least-squares positions (n, 2) that explain the shifts between pairs, and which pairs were believed.

    Least absolute residuals first, which a minority of wrong pairs cannot bend, then least squares with Tukey's biweight, so
    that pairs which contradict the rest are left out. The mean of the positions is zero.

    Parameters
    ----------
    n : number of frames
    pairs : measured shifts, weighted by the square of their strength
    noise
        Standard deviation of a right shift, in its own unit; the residuals' own spread is used where that is larger.

    Returns
    -------
    positions : (n, 2)
        NaN for frames that no chain of believed pairs ties to the largest group.
    believed : (m,) bool
    """
    weight = (pairs.strength / max(pairs.strength.max(initial=0), 1e-12)) ** 2
    at = _least_squares(n, pairs, weight)
    for _ in range(ROUNDS):
        at = _least_squares(n, pairs, weight / np.maximum(_residual(pairs, at), noise))
    spread = noise
    for _ in range(ROUNDS):
        residual = _residual(pairs, at)
        # the length of a vector with normal components has the median 1.177 sigma
        spread = max(noise, float(np.nanmedian(residual)) / 1.177)
        before, at = at, _least_squares(n, pairs, weight * np.clip(1 - (residual / (TUKEY * spread)) ** 2, 0, None) ** 2)
        if np.nanmax(np.abs(at - before), initial=0) < 1e-3 * noise:
            break
    return at, _residual(pairs, at) < TUKEY * spread


def _residual(pairs: Shifts, at: Floats) -> Floats:
    return np.asarray(np.linalg.norm(at[pairs.second] - at[pairs.first] - pairs.shift, axis=1), np.float64)


def _least_squares(n: int, pairs: Shifts, weight: Floats) -> Floats:
    """Solve the graph's Laplacian for the largest group of frames that weighted pairs connect; the others are NaN."""
    used = np.nan_to_num(weight) > 1e-9
    i, j, w = pairs.first[used], pairs.second[used], weight[used]
    group = _largest(coo_array((w, (i, j)), (n, n)).tocsr())
    at = np.full((n, 2), np.nan)
    at[group] = 0
    if len(group) > 1:
        index = np.full(n, -1)
        index[group] = np.arange(len(group))
        kept = (index[i] >= 0) & (index[j] >= 0)
        i, j, w, shift = index[i[kept]], index[j[kept]], w[kept], pairs.shift[used][kept]
        m = len(group)
        laplacian = coo_array((np.r_[w, w, -w, -w], (np.r_[i, j, i, j], np.r_[i, j, j, i])), (m, m)).tocsc()
        right = np.zeros((m, 2))
        np.add.at(right, j, w[:, None] * shift)
        np.add.at(right, i, -w[:, None] * shift)
        at[group[1:]] = np.reshape(spsolve(laplacian[1:, 1:], right[1:]), (m - 1, 2))
    return cast(Floats, at - np.nanmean(at, 0))


def _largest(graph: csr_array) -> NDArray[np.intp]:
    """Frames of the largest connected group."""
    _, label = connected_components(graph, directed=False)
    return np.flatnonzero(label == np.bincount(label).argmax())
