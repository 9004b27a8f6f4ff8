"""Search by how much of one image the other explains, where details are too faint for the evidence of channels to tell poses.

One image's brightness is cut into classes of equal share. At a pose the other's mean over each class explains a part η of its
variance (correlation ratio; Roche et al., MICCAI 1998, 10.1007/BFb0056301; source not checked); the score is
-overlap ln(1 - η), what Gaussian noise would make of it. Either image may be the one that explains: a sharp one tells what a
blurred one shows, and not the other way round. All shifts of a grid of rotations and scales are tried by FFT, the best few of
both ways are sharpened by `regression.py`. A smooth contrast that a few counts leave is enough for it. Parallel walls fool it:
it proposes poses where none could be called good, is weighed beside the evidence, and speaks for no verdict.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import scipy.ndimage as ndi

from registration.grid_search import Lags, turned_index
from registration.picture import Image, Picture, averaged
from registration.regression import explained_part, sharpened
from registration.scene import OVERSAMPLING, Scene
from registration.transform import Floats, Model

CLASSES = 8
SMOOTHING = 1.0
"""Of both images, in steps of the coarse grid: a cell then holds the counts of its neighbours, too."""
TRIED, FINALISTS = 16, (4, 2)
"""Distinct poses of the coarse grid, each way, that are sharpened once, and how many of the best of all are sharpened again."""
FIRST_POINTS = 4
"""The first time on images of no more than so many pixels to a step of the coarse grid: most of these poses are wrong."""
SIDE = 24
"""Places a side of the reference at which the overlap is taken."""


def most_explained(pair: Scene, near: Picture, far: Picture, poses: Floats, model: Model, prior_std: Floats) -> Floats:
    """Poses (n, 6) that explain most, best first, among those given (n, 6) and the best of the whole box, each sharpened; none
    where none is inside the box.
    """
    middle = pair.field_of_view / (FIRST_POINTS * pair.coarsest)
    coarse = averaged(near, middle), averaged(far, middle * float(np.exp(pair.start[1])))
    tried = [(pair.affine(p), -1.0) for p in np.concatenate([poses, _best_of_box(pair, near, far)])]
    tried = _ranked(_sharpened(pair, *coarse, m, model, prior_std, every_pixel=False) for m, _ in tried)[:FINALISTS[0]]
    for count in FINALISTS:
        again = [_sharpened(pair, near, far, m, model, prior_std, every_pixel=True) for m, _ in tried[:count]]
        tried = _ranked([*again, *tried[count:]])
    return np.array([pair.pose(matrix) for matrix, score in tried if score > 0]).reshape(-1, poses.shape[1])


def explained_score(pair: Scene, near: Picture, far: Picture, pose: Floats) -> float:
    """The score of a pose (6,) as it is; 0 where less overlaps than is asked for."""
    matrix = pair.affine(pose)
    overlap = _overlap(near, far, matrix)
    return _fitness(overlap, explained_part(near, far, matrix)) if overlap >= pair.box.overlap else 0.0


def _sharpened(pair: Scene, near: Picture, far: Picture, matrix: Floats, model: Model,
               prior_std: Floats, *, every_pixel: bool) -> tuple[Floats, float]:
    """A pose after least squares, and its score; -1 where it left the box or the overlap that is asked for."""
    found = sharpened(near, far, matrix, model, prior_std, every_pixel)
    if found is None:
        return matrix, -1.0
    matrix, explained = found
    overlap = _overlap(near, far, matrix)
    if overlap < pair.box.overlap or pair.outside(pair.pose(matrix)[None])[0] > 0:
        return matrix, -1.0
    return matrix, _fitness(overlap, explained)


def _ranked(found: Iterable[tuple[Floats, float]]) -> list[tuple[Floats, float]]:
    return sorted(found, key=lambda one: -one[1])


def _fitness(overlap: float, explained: float) -> float:
    return float(-overlap * np.log(np.clip(1 - explained, 1e-6, 1)))


def _best_of_box(pair: Scene, near: Picture, far: Picture) -> Floats:
    """The best distinct poses (up to 2 TRIED, 6) of the coarse grid: those where the other image explains the reference most,
    and those where it is the other way round.
    """
    n, m = pair.coarsest, pair.coarsest * OVERSAMPLING
    lags = Lags.of(pair)
    value, inside = _on_grid(near, pair.cr, n, lags.pitch)
    other, other_inside = _on_grid(far, pair.co, m, lags.pitch / OVERSAMPLING)
    explaining, explained = (lags.spectra(f(value, inside)) for f in (_classes, _moments))
    spread = [np.append(a, np.zeros((len(a), 1), np.float32), 1)  # what falls outside
              for a in (f(other, other_inside).reshape(-1, m * m) for f in (_classes, _moments))]
    least = pair.box.overlap * min(float(inside.sum()), float(other_inside.sum()) / OVERSAMPLING**2)
    found: tuple[list[tuple[float, ...]], list[tuple[float, ...]]] = ([], [])
    scores: tuple[list[float], list[float]] = ([], [])
    for log_scale in pair.scales():
        for theta in pair.rotations():
            index = turned_index(np.exp(log_scale) * np.cos(theta), np.exp(log_scale) * np.sin(theta), n)
            classes, moments = (np.conj(lags.spectra(a[:, index])) for a in spread)
            # of the squares only the sum over the classes is asked for
            products = (np.concatenate([explained[0] * classes, explained[1] * classes, explained[2:] * classes.sum(0)]),
                        np.concatenate([explaining * moments[0], explaining * moments[1], explaining.sum(0) * moments[2:]]))
            for way, product in enumerate(products):
                sums = lags.correlations(product)
                score = _score(sums[:CLASSES], sums[CLASSES:-1], sums[-1], least)
                i, j = np.unravel_index(int(score.argmax()), score.shape)
                found[way].append((float(theta), float(log_scale), lags.y[i] * lags.pitch, lags.x[j] * lags.pitch, 0.0, 0.0))
                scores[way].append(float(score[i, j]))
    small = min(float(pair.reference.image.extent.min()), float(pair.other.image.extent.min()))
    best = [poses[pair.distinct(poses, np.array(score), 0.06 * small, TRIED)]
            for poses, score in zip(map(np.array, found), scores, strict=True)]
    return np.concatenate(best)


def _classes(value: Image, inside: Image) -> Image:
    """Which pixels are of each class of brightness (CLASSES, n, n), as 0 and 1."""
    edges = np.quantile(value[inside > 0], np.linspace(0, 1, CLASSES + 1)[1:-1])
    label = np.where(inside > 0, np.searchsorted(edges, value), CLASSES)
    return np.asarray(label == np.arange(CLASSES)[:, None, None], np.float32)


def _moments(value: Image, inside: Image) -> Image:
    """Value about its mean, one, and its square (3, n, n) where there are any, else 0."""
    value = value - value[inside > 0].mean()
    return np.stack([value * inside, inside, value**2 * inside])


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
