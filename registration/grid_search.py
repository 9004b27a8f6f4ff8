"""The best shifts of every rotation and scale: all shifts are tried at once by FFT."""

from __future__ import annotations

import numpy as np
import scipy.fft as sf
from numpy.typing import NDArray

from registration.channels import PAIRS
from registration.scene import OVERSAMPLING, Scene
from registration.transform import Floats

PER_POSE = 4
"""Shifts kept of every rotation and scale."""


def coarse_poses(pair: Scene, part: int | None = None) -> tuple[Floats, Floats]:
    """The best shifts of every rotation and scale: poses (n, 6) and their evidence (n,), best first."""
    n = pair.coarsest
    pitch = pair.field_of_view / n
    z, inside, other, other_inside = pair.grid(n)
    if part is not None:
        kept = pair.tiles(n) == part
        z, inside = z * kept, inside * kept
    middle = np.rint(pair.start[2:4] / pitch).astype(int)
    reach = int(pair.box.shift * n)
    block = 3
    half = (2 * reach + 1) // block * block // 2
    blocks = (2 * half + 1) // block
    lags = np.arange(-half, -half + blocks * block)
    size = sf.next_fast_len(n + int(np.abs(middle).max()) + half + 1, real=True)
    lag_y, lag_x = lags + middle[0], lags + middle[1]
    fixed = sf.rfft2(np.concatenate([z, inside[None]]), (size, size))
    m = n * OVERSAMPLING
    table = np.zeros((3, m * m + 1), np.complex64)
    table[0, :-1] = (other[0] + 1j * other[1]).ravel()
    table[1, :-1] = (other[2] + 1j * other[3]).ravel()
    table[2, :-1] = other_inside.ravel()
    area = min(float(inside.sum()), float(other_inside.sum()) / OVERSAMPLING**2)
    angles = pair.rotations()
    variance: Floats | None = None
    poses, evidence = [], []
    for log_scale in pair.scales():
        s = np.exp(log_scale)
        for first in range(0, len(angles), 12):
            theta = angles[first:first + 12].astype(np.float32)
            cos, sin = (s * f(theta).astype(np.float32)[:, None, None] for f in (np.cos, np.sin))
            index = turned_index(cos, sin, n)
            moved = np.empty((5, *index.shape), np.float32)
            g = np.take(table[0], index)
            moved[0], moved[1] = g.real, g.imag
            g = np.take(table[1], index) * np.exp(-2j * theta).astype(np.complex64)[:, None, None]
            moved[2], moved[3] = g.real, g.imag
            moved[4] = np.take(table[2].real, index)
            spectra = np.conj(sf.rfft2(moved, (size, size)))
            product = np.empty((6, *spectra.shape[1:]), spectra.dtype)
            for k, (i, j) in enumerate(PAIRS):
                product[k] = fixed[i] * spectra[j]
            product[4] = fixed[2] * spectra[2] + fixed[3] * spectra[3]
            product[5] = fixed[4] * spectra[4]
            correlation = sf.irfft2(product, (size, size))[:, :, lag_y % size][:, :, :, lag_x % size]
            overlap = np.maximum(correlation[5], 1)
            allowed = overlap > pair.box.overlap * area
            q = correlation[:5]
            q = q * np.abs(q) * (allowed / overlap)
            np.abs(q[:4], out=q[:4])
            if variance is None:
                variance = np.median(np.abs(q).sum((2, 3)) / np.maximum(allowed.sum((1, 2)), 1), 1) + 1e-12
            total = np.tensordot((1 / variance).astype(np.float32), q, 1)
            cells = total.reshape(len(theta), blocks, block, blocks, block).transpose(0, 1, 3, 2, 4)
            cells = cells.reshape(len(theta), blocks**2, block**2)
            where = cells.argmax(2)
            best = np.take_along_axis(cells, where[..., None], 2)[..., 0]
            for a in range(len(theta)):
                for c in np.argsort(-best[a], kind="stable")[:PER_POSE]:
                    dy = lag_y[c // blocks * block + where[a, c] // block]
                    dx = lag_x[c % blocks * block + where[a, c] % block]
                    poses.append((float(theta[a]), float(log_scale), dy * pitch, dx * pitch, 0.0, 0.0))
                    evidence.append(float(best[a, c]))
    order = np.argsort(-np.array(evidence), kind="stable")
    return np.array(poses)[order], np.array(evidence)[order]


def turned_index(cos: NDArray[np.floating], sin: NDArray[np.floating], n: int) -> NDArray[np.int32]:
    """Where the points of an n² grid fall, turned and stretched, on a grid OVERSAMPLING times as fine, laid flat.

    `cos` and `sin` are those of the angle times the scale; what falls outside has the index behind the last.
    """
    m = n * OVERSAMPLING
    yy, xx = np.mgrid[:n, :n].astype(np.float32) - np.float32((n - 1) / 2)
    uy, ux = (np.rint((a + n / 2) * OVERSAMPLING - 0.5).astype(np.int32) for a in (cos * yy - sin * xx, sin * yy + cos * xx))
    return np.where((uy >= 0) & (ux >= 0) & (uy < m) & (ux < m), uy * m + ux, m * m)
