"""The best shifts of every rotation and scale: all shifts are tried at once by FFT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import scipy.fft as sf
from numpy.typing import NDArray

from registration.channels import PAIRS
from registration.picture import Image
from registration.scene import OVERSAMPLING, Scene
from registration.transform import Floats

PER_POSE = 4
"""Shifts kept of every rotation and scale."""
CELL = 3
"""Of the lags, cut into squares of so many a side, each gives its best only."""
AT_ONCE, NULL = 4, 12
"""Rotations transformed together (more would take more memory), and the first ones, from which chance is learnt."""

Spectra = NDArray[np.complex64]


def coarse_poses(pair: Scene, parts: tuple[int | None, ...] = (None,)) -> list[tuple[Floats, Floats]]:
    """The best shifts of every rotation and scale: poses (n, 6) and their evidence (n,), best first.

    One such pair for each of `parts`: the whole reference (None), or its tiles of that colour (0 or 1).
    """
    lags = Lags.of(pair, CELL)
    references = [_Reference(pair, lags, part) for part in parts]
    n = pair.coarsest
    _, _, other, other_inside = pair.grid(n)
    table = np.zeros((3, (n * OVERSAMPLING)**2 + 1), np.complex64)
    table[0, :-1] = (other[0] + 1j * other[1]).ravel()
    table[1, :-1] = (other[2] + 1j * other[3]).ravel()
    table[2, :-1] = other_inside.ravel()
    angles, scales = pair.rotations().astype(np.float32), pair.scales()

    def turned(theta: Image, log_scale: float) -> Spectra:
        return cast(Spectra, np.conj(lags.spectra(_turned(table, theta, log_scale, n))))

    null = [turned(angles[first:first + AT_ONCE], scales[0]) for first in range(0, min(NULL, len(angles)), AT_ONCE)]
    for reference in references:
        reference.learn_null(null)
    found: list[list[tuple[Floats, Floats]]] = [[] for _ in parts]
    for log_scale in scales:
        for first in range(0, len(angles), AT_ONCE):
            theta = angles[first:first + AT_ONCE]
            spectra = turned(theta, log_scale)
            for reference, kept in zip(references, found, strict=True):
                which, shift, evidence = reference.best(spectra)
                poses = np.zeros((len(evidence), 6))
                poses[:, 0], poses[:, 1], poses[:, 2:4] = theta[which], log_scale, shift
                kept.append((poses, evidence))
    return [_sorted(*(np.concatenate(a) for a in zip(*kept, strict=True))) for kept in found]


@dataclass(frozen=True, eq=False)
class Lags:
    """Shifts `y` and `x` by whole steps of the coarse grid, of `pitch` nm, that the box allows about the start, and the `size`
    to which images are padded so that these do not wrap around.
    """

    y: NDArray[np.int_]
    x: NDArray[np.int_]
    pitch: float
    size: int

    @classmethod
    def of(cls, pair: Scene, cell: int = 1) -> Lags:
        """All shifts of the box; as many along each axis as whole cells hold."""
        pitch = pair.field_of_view / pair.coarsest
        middle = np.rint(pair.start[2:4] / pitch).astype(int)
        reach = max(int(pair.box.shift * pair.coarsest), cell // 2)
        half = (2 * reach + 1) // cell * cell // 2
        lags = np.arange(-half, -half + (2 * half + 1) // cell * cell)
        size = sf.next_fast_len(pair.coarsest + int(np.abs(middle).max()) + half, real=True)
        return cls(lags + middle[0], lags + middle[1], pitch, size)

    def spectra(self, images: Image) -> Spectra:
        """Half spectra of images (..., n, n) padded with zeros; rows of zeros are not transformed."""
        return cast(Spectra, sf.fft(sf.rfft(images, self.size, axis=-1), self.size, axis=-2))

    def correlations(self, products: Spectra) -> Image:
        """Correlations (..., y, x) of the half spectra `products`; only rows that are asked for are transformed back."""
        rows = sf.ifft(products, axis=-2, overwrite_x=True)[..., self.y % self.size, :]
        return cast(Image, sf.irfft(rows, self.size, axis=-1, overwrite_x=True)[..., self.x % self.size])


class _Reference:
    """The reference or a part of it, correlated with the other image turned and stretched."""

    def __init__(self, pair: Scene, lags: Lags, part: int | None) -> None:
        z, inside, _, other_inside = pair.grid(pair.coarsest)
        if part is not None:
            kept = pair.tiles(pair.coarsest) == part
            z, inside = z * kept, inside * kept
        self.lags = lags
        self.spectra = lags.spectra(np.concatenate([z, inside[None]]))
        self.least = pair.box.overlap * min(float(inside.sum()), float(other_inside.sum()) / OVERSAMPLING**2)
        self.variance = np.ones(5)

    def learn_null(self, turned: list[Spectra]) -> None:
        """Measure the variance of each correlation: the mean over shifts, of rotations in the middle."""
        means = []
        for spectra in turned:
            q, allowed = self._squares(spectra)
            means.append(np.abs(q).sum((2, 3)) / np.maximum(allowed.sum((1, 2)), 1))
        self.variance = np.median(np.concatenate(means, 1), 1) + 1e-12

    def best(self, turned: Spectra) -> tuple[NDArray[np.intp], Floats, Floats]:
        """The PER_POSE best cells of lags for every rotation: which rotation (n,), shift (n, 2) nm and evidence (n,)."""
        total = np.tensordot((1 / self.variance).astype(np.float32), self._squares(turned)[0], 1)
        down, across = len(self.lags.y) // CELL, len(self.lags.x) // CELL
        cells = total.reshape(-1, down, CELL, across, CELL).transpose(0, 1, 3, 2, 4).reshape(-1, down * across, CELL**2)
        where = cells.argmax(2)
        best = np.take_along_axis(cells, where[..., None], 2)[..., 0]
        chosen = np.argsort(-best, 1, kind="stable")[:, :PER_POSE]
        within = np.take_along_axis(where, chosen, 1)
        y, x = self.lags.y[chosen // across * CELL + within // CELL], self.lags.x[chosen % across * CELL + within % CELL]
        shift = np.stack([y.ravel(), x.ravel()], 1) * self.lags.pitch
        evidence = np.take_along_axis(best, chosen, 1).ravel().astype(np.float64)
        return np.repeat(np.arange(len(best)), chosen.shape[1]), shift, evidence

    def _squares(self, turned: Spectra) -> tuple[Image, NDArray[np.bool_]]:
        """Squared correlations times the overlap (5, rotations, y, x), that of orientation with its sign, and where enough
        overlaps; zero elsewhere.
        """
        fixed = self.spectra
        products = np.empty((6, *turned.shape[1:]), turned.dtype)
        for k, (i, j) in enumerate(PAIRS):
            products[k] = fixed[i] * turned[j]
        products[4] = fixed[2] * turned[2] + fixed[3] * turned[3]
        products[5] = fixed[4] * turned[4]
        correlation = self.lags.correlations(products)
        overlap = np.maximum(correlation[5], 1)
        allowed = overlap > self.least
        q = correlation[:5]
        q = q * np.abs(q) * (allowed / overlap)
        np.abs(q[:4], out=q[:4])
        return q, allowed


def turned_index(cos: NDArray[np.floating], sin: NDArray[np.floating], n: int) -> NDArray[np.int32]:
    """Where the points of an n² grid fall, turned and stretched, on a grid OVERSAMPLING times as fine, laid flat.

    `cos` and `sin` are those of the angle times the scale; what falls outside has the index behind the last.
    """
    m = n * OVERSAMPLING
    yy, xx = np.mgrid[:n, :n].astype(np.float32) - np.float32((n - 1) / 2)
    uy, ux = (np.rint((a + n / 2) * OVERSAMPLING - 0.5).astype(np.int32) for a in (cos * yy - sin * xx, sin * yy + cos * xx))
    return np.where((uy >= 0) & (ux >= 0) & (uy < m) & (ux < m), uy * m + ux, m * m)


def _turned(table: Spectra, theta: Image, log_scale: float, n: int) -> Image:
    """Channels and mask (5, rotations, n, n) of the other image as every rotation shows them."""
    cos, sin = (np.exp(log_scale) * f(theta).astype(np.float32)[:, None, None] for f in (np.cos, np.sin))
    index = turned_index(cos, sin, n)
    moved = np.empty((5, *index.shape), np.float32)
    g = np.take(table[0], index)
    moved[0], moved[1] = g.real, g.imag
    g = np.take(table[1], index) * np.exp(-2j * theta).astype(np.complex64)[:, None, None]
    moved[2], moved[3] = g.real, g.imag
    moved[4] = np.take(table[2].real, index)
    return moved


def _sorted(poses: Floats, evidence: Floats) -> tuple[Floats, Floats]:
    order = np.argsort(-evidence, kind="stable")
    return poses[order], evidence[order]
