"""A needle of atom probe tomography laid onto its outline in an electron micrograph, by landmarks along its shank.

A reconstruction is stretched and bent by what is assumed of the field, and shows no contrast that a micrograph shares: its
outline is what both have in common. Landmarks at equal parts of the length go to `fit_landmarks` for an affine map or to
`thin_plate` for one that follows the shank; the inside is then as good as the spline between its two sides, not better.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from registration.landmarks import LandmarkError, Landmarks
from registration.transform import Floats

SLICES = 40
END_PERCENT, EDGE_PERCENT = 0.01, 0.5
"""Of all ions beyond either end, and of those of a slice beyond either edge that is looked at."""
ROUND_EDGE = 0.959
"""Where that edge lies in a round slice filled evenly, in units of its radius."""
LEAST_SLENDER = 1.5
FEWEST_IONS = 50
"""In a slice; below that its edges are not known."""


def silhouette(ions: ArrayLike, across: int = 2) -> Floats:
    """Outline (2 n, 2) of reconstructed ions as a beam would see them: down one side of the needle and up the other.

    Parameters
    ----------
    ions : (n, 3), nm, ordered (z, y, x)
        z along the needle.
    across : 1 or 2
        The axis that stays beside z: the beam goes along the other one.

    Returns
    -------
    Positions (z, y) or (z, x), nm.

    Raises
    ------
    LandmarkError
        If there are too few ions to know the edges of a slice.
    """
    p = np.asarray(ions, np.float64)
    if p.ndim != 2 or p.shape[1] != 3 or across not in (1, 2) or not np.isfinite(p).all():
        raise LandmarkError(f"ions have shape {p.shape}, expected finite positions (n, 3) ordered z, y, x, and across 1 or 2")
    if len(p) < SLICES * FEWEST_IONS:
        raise LandmarkError(f"{len(p)} ions, an outline needs at least {SLICES * FEWEST_IONS}")
    low, high = np.percentile(p[:, 0], [END_PERCENT, 100 - END_PERCENT])
    edges = np.linspace(low, high, SLICES + 1)
    sides = []
    for first, last in pairwise(edges):
        own = p[(p[:, 0] >= first) & (p[:, 0] <= last), across]
        if len(own) >= FEWEST_IONS:
            left, right = np.percentile(own, [EDGE_PERCENT, 100 - EDGE_PERCENT])
            half = (right - left) / 2 / ROUND_EDGE
            sides.append(((first + last) / 2, (left + right) / 2 - half, (left + right) / 2 + half))
    if len(sides) < SLICES // 2:
        raise LandmarkError(f"only {len(sides)} of {SLICES} slices along z hold {FEWEST_IONS} ions; is z along the needle?")
    z, left, right = np.array(sides).T
    ends = np.array([[z_end, (left[n] + right[n]) / 2] for z_end, n in ((low, 0), (high, -1))])
    return np.asarray(np.r_[ends[:1], np.c_[z, left], ends[1:], np.c_[z, right][::-1]], np.float64)


def needle_landmarks(moving: ArrayLike, fixed: ArrayLike, levels: int = 8, std_nm: float | None = None) -> Landmarks:
    """Landmarks at equal parts of the length along both sides of two outlines of one needle.

    Parameters
    ----------
    moving, fixed : (n, 2), nm
        Points around the needle in any order and orientation, in the plane of a `silhouette` and of a micrograph (y, x). Both
        must end at the same places: cut the micrograph's outline where the reconstruction begins and ends.
    levels : at least 2
        Places along the length.
    std_nm
        Standard deviation of an outline's position, if known; see `Landmarks`.

    Returns
    -------
    Landmarks `left 1`, `right 1` and so on from the tip, `tip` and `end` in the middle. Which side is left is as seen: outlines
    that are mirror images are told from each other by nothing here.

    Raises
    ------
    LandmarkError
        If an outline has too few points, is no needle (LEAST_SLENDER times as long as wide), or has no points on one side.
    """
    if levels < 2:
        raise LandmarkError(f"{levels} levels, at least 2 are needed")
    sides = [_levels(np.asarray(outline, np.float64), levels, who)
             for outline, who in ((moving, "moving"), (fixed, "fixed"))]
    names = ("tip", *(f"{side} {n + 1}" for n in range(levels) for side in ("left", "right")), "end")
    return Landmarks(sides[0], sides[1], names, std_nm)


def _levels(outline: Floats, levels: int, who: str) -> Floats:
    """(2 levels + 2, 2) positions: tip, left and right of each level, end."""
    if outline.ndim != 2 or outline.shape[1] != 2 or len(outline) < 4 * levels or not np.isfinite(outline).all():
        raise LandmarkError(f"the {who} outline has shape {outline.shape}, expected finite points (n, 2), n >= {4 * levels}")
    middle = outline.mean(0)
    axes = np.linalg.svd(outline - middle, full_matrices=False)[2]
    along, across = (outline - middle) @ axes[0], (outline - middle) @ axes[1]
    if np.ptp(along) < LEAST_SLENDER * np.ptp(across):
        raise LandmarkError(f"the {who} outline is no needle: it is not {LEAST_SLENDER:g} times as long as wide")
    half = np.ptp(along) / 8
    ends = [np.ptp(across[np.abs(along - end) < half]) for end in (along.min(), along.max())]
    if ends[0] > ends[1]:  # the tip is the thinner end
        axes, along, across = -axes, -along, -across
    if axes[0, 0] * axes[1, 1] - axes[0, 1] * axes[1, 0] < 0:
        axes[1], across = -axes[1], -across
    along = along - along.min()
    at = np.ptp(along) * (np.arange(levels) + 0.5) / levels
    line = np.polynomial.Polynomial.fit(along, across, 1)  # between the two sides of a straight needle
    found = []
    for sign in (-1, 1):
        own = sign * (across - line(along)) > 0
        if own.sum() < levels:
            raise LandmarkError(f"the {who} outline has only {int(own.sum())} points on one side")
        order = np.argsort(along[own])
        found.append(np.interp(at, along[own][order], across[own][order]))
    zero = along[np.argmin(along)] - (outline[np.argmin(along)] - middle) @ axes[0]
    places = [(0.0, line(0.0)), *((a, c) for n, a in enumerate(at) for c in (found[0][n], found[1][n])),
              (float(np.ptp(along)), line(float(np.ptp(along))))]
    return cast(Floats, middle + (np.array(places) - [zero, 0.0]) @ axes)
