"""Search by how much of one image the other explains, where details are too faint for the evidence of channels to tell poses.

The other image's brightness is cut into classes of equal share. At a pose the reference's mean over each class explains a part
η of its variance (correlation ratio; Roche et al., MICCAI 1998, 10.1007/BFb0056301; source not checked); the score is
-overlap ln(1 - η), what Gaussian noise would make of it. All shifts of a grid of rotations and scales are tried by FFT, the
best few are sharpened by `regression.py`. A smooth contrast that a few counts leave is enough for it; parallel walls fool it as
they fool any such criterion, so it proposes a pose where none could be called good, and speaks for no verdict.
"""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndi

from registration.grid_search import Lags, turned_index
from registration.picture import Image, Picture, averaged
from registration.regression import sharpened
from registration.scene import OVERSAMPLING, Scene
from registration.transform import Floats, Model

CLASSES = 8
SMOOTHING = 1.0
"""Of both images, in steps of the coarse grid: a cell then holds the counts of its neighbours, too."""
TRIED, FINALISTS = 24, (4, 2)
"""Distinct poses of the coarse grid that are sharpened once, and how many of the best are sharpened again."""
FIRST_POINTS = 4
"""The first time on images of no more than so many pixels to a step of the coarse grid: most of these poses are wrong."""
SIDE = 24
"""Places a side of the reference at which the overlap is taken."""


def most_explained(pair: Scene, near: Picture, far: Picture, poses: Floats, model: Model, prior_std: Floats) -> Floats:
    """The pose (6,) that explains most, among those given (n, 6) and the best of the whole box, each sharpened."""
    tried = [(pair.affine(p), -1.0) for p in np.concatenate([poses, _best_of_box(pair, near, far)])]
    middle = pair.field_of_view / (FIRST_POINTS * pair.coarsest)
    coarse = averaged(near, middle), averaged(far, middle * float(np.exp(pair.start[1])))
    for images, count in zip((coarse, (near, far), (near, far)), (len(tried), *FINALISTS), strict=True):
        again = (_sharpened(pair, *images, matrix, model, prior_std, images is not coarse) for matrix, _ in tried[:count])
        tried = sorted(again, key=lambda found: -found[1])
    best, most = tried[0]
    return pair.pose(best) if most > 0 else poses[0]


def _sharpened(pair: Scene, near: Picture, far: Picture, matrix: Floats, model: Model,
               prior_std: Floats, every_pixel: bool) -> tuple[Floats, float]:
    """A pose after least squares, and its score; -1 where it left the box or the overlap that is asked for."""
    found = sharpened(near, far, matrix, model, prior_std, every_pixel)
    if found is None:
        return matrix, -1.0
    matrix, explained = found
    overlap = _overlap(near, far, matrix)
    if overlap < pair.box.overlap or pair.outside(pair.pose(matrix)[None])[0] > 0:
        return matrix, -1.0
    return matrix, float(-overlap * np.log(max(1 - explained, 1e-6)))


def _best_of_box(pair: Scene, near: Picture, far: Picture) -> Floats:
    """The best distinct poses (TRIED, 6) of the coarse grid."""
    n, m = pair.coarsest, pair.coarsest * OVERSAMPLING
    lags = Lags.of(pair)
    value, inside = _on_grid(near, pair.cr, n, lags.pitch)
    other, other_inside = _on_grid(far, pair.co, m, lags.pitch / OVERSAMPLING)
    value = value - value[inside > 0].mean()
    edges = np.quantile(other[other_inside > 0], np.linspace(0, 1, CLASSES + 1)[1:-1])
    label = np.where(other_inside > 0, np.searchsorted(edges, other), CLASSES).astype(np.int8)
    label = np.append(label.ravel(), np.int8(CLASSES))
    fixed = lags.spectra(np.stack([value * inside, inside, value**2 * inside])[:, None])
    least = pair.box.overlap * min(float(inside.sum()), float(other_inside.sum()) / OVERSAMPLING**2)
    found, scores = [], []
    for log_scale in pair.scales():
        for theta in pair.rotations():
            cos, sin = np.exp(log_scale) * np.cos(theta), np.exp(log_scale) * np.sin(theta)
            moved = label[turned_index(cos, sin, n)]
            shown = np.conj(lags.spectra((moved == np.arange(CLASSES, dtype=np.int8)[:, None, None]).astype(np.float32)))
            sums = lags.correlations(np.concatenate([fixed[0] * shown, fixed[1] * shown, fixed[2] * shown.sum(0)]))
            score = _score(sums[:CLASSES], sums[CLASSES:-1], sums[-1], least)
            i, j = np.unravel_index(int(score.argmax()), score.shape)
            found.append((float(theta), float(log_scale), lags.y[i] * lags.pitch, lags.x[j] * lags.pitch, 0.0, 0.0))
            scores.append(float(score[i, j]))
    poses, scored = np.array(found), np.array(scores)
    small = min(float(pair.reference.image.extent.min()), float(pair.other.image.extent.min()))
    return poses[pair.distinct(poses, scored, 0.06 * small, TRIED)]


def _score(sums: Image, counts: Image, squares: Image, least: float) -> Floats:
    """-overlap ln(1 - η) at every shift, from sums and counts of each class (classes, ny, nx) and the squares of all (ny, nx);
    0 where too little overlaps.
    """
    counts = np.maximum(counts, 1e-3)
    overlap = counts.sum(0)
    mean_squares = sums.sum(0) ** 2 / overlap
    whole = np.maximum(squares - mean_squares, 1e-6)
    between = (sums**2 / counts).sum(0) - mean_squares
    score = -overlap * np.log1p(-np.clip(between / whole, 0, 1 - 1e-6))
    return np.asarray(np.where(overlap > least, score, 0.0), np.float64)


def _on_grid(image: Picture, centre: Floats, n: int, pitch: float) -> tuple[Image, Image]:
    """Smoothed values (n, n) on a square grid of `pitch` nm about a centre, and 1 where there are any."""
    coarse = averaged(image, pitch)
    mask = (coarse.mask > 0.5).astype(np.float32)
    sigma = SMOOTHING * pitch / coarse.pixel
    weight = ndi.gaussian_filter(mask, sigma)
    smooth = ndi.gaussian_filter(coarse.values * mask, sigma) / np.maximum(weight, 1e-3)
    axes = [((np.arange(n) - (n - 1) / 2) * pitch + centre[i] - coarse.origin[i]) / coarse.step[i] for i in (0, 1)]
    at = np.stack(np.meshgrid(*axes, indexing="ij"))
    inside = ndi.map_coordinates(mask, at, order=0, cval=0.0) > 0.5
    return (ndi.map_coordinates(smooth, at, order=1, mode="nearest").astype(np.float32), inside.astype(np.float32))


def _overlap(near: Picture, far: Picture, matrix: Floats) -> float:
    """Part of the reference that falls on data of the other."""
    t = (np.arange(SIDE) + 0.5) / SIDE - 0.5
    p = near.centre + np.stack(np.meshgrid(t, t, indexing="ij"), -1).reshape(-1, 2) * near.extent
    return float((far.valid_at(p @ matrix[:, :2].T + matrix[:, 2]) & near.valid_at(p)).mean())
