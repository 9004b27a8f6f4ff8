"""The evidence of poses, looked up at points, and the climb to its top.

The *evidence* of a pose is the sum of squared correlations over pairs of channels in units of their variance over wrong poses.
"""

from __future__ import annotations

from copy import copy
from typing import cast

import numpy as np

from registration.channels import PAIRS
from registration.picture import Image
from registration.scene import DEGREES_OF_FREEDOM, OVERSAMPLING, Scene, linear_parts
from registration.transform import Floats

SHEAR_STD = 0.01


class Level:
    """The evidence of many poses at once, on random points of one grid."""

    def __init__(self, pair: Scene, n: int, points: int, rng: np.random.Generator, part: int | None = None) -> None:
        self.pair, self.n = pair, n
        self.pitch = pair.field_of_view / n
        z, inside, other, other_inside = pair.grid(n)
        if part is not None:
            inside = inside * (pair.tiles(n) == part)
        index = np.flatnonzero(inside)
        if len(index) > points:
            index = np.sort(rng.choice(index, points, replace=False))
        fixed = z.reshape(4, -1)[:, index]
        middle = (n - 1) / 2
        self.sums = np.concatenate([fixed, fixed**2, np.ones((1, len(index)), np.float32)]).astype(np.float32)
        self.points = np.stack([(index // n - middle) * self.pitch, (index % n - middle) * self.pitch]).astype(np.float32)
        self.side = n * OVERSAMPLING
        self.table = np.zeros((self.side**2 + 1, 8), np.float32)
        self.table[:-1, :4] = other.reshape(4, -1).T
        self.table[:-1, 4] = other_inside.ravel()
        self.table[:-1, 5:7] = self.table[:-1, :2] ** 2
        self.table[:-1, 7] = (self.table[:-1, 2:4] ** 2).sum(1)
        part_seen = min(1.0, float(other_inside.sum()) / OVERSAMPLING**2 / max(float(inside.sum()), 1.0))
        self.least = pair.box.overlap * len(index) * part_seen
        self.variance = np.ones(5)

    def learn_null(self, rng: np.random.Generator, poses: int = 96) -> None:
        """Measure the variance of each correlation over random poses, the same ones whatever the box."""
        start = self.pair.start
        reach = 0.4 * self.pair.field_of_view
        p = np.zeros((poses, DEGREES_OF_FREEDOM))
        p[:, 0] = rng.uniform(-np.pi, np.pi, poses)
        p[:, 1] = start[1] + rng.uniform(-0.175, 0.175, poses)
        p[:, 2:4] = start[2:4] + rng.uniform(-reach, reach, (poses, 2))
        q, overlap = self.correlations(p)
        enough = overlap > self.least
        self.variance = np.maximum((q[enough] ** 2).mean(0), 1e-6) if enough.sum() > 10 else np.ones(5)

    def correlations(self, poses: Floats) -> tuple[Floats, Floats]:
        """Correlation coefficients times the square root of the overlap (n, 5), and the points in the overlap (n,)."""
        found, overlaps = [], []
        step = max(1, int(6e4 // self.points.shape[1]))
        for first in range(0, len(poses), step):
            theta, seen = self._looked_up(poses[first:first + step])
            q, overlap = _coefficients(theta, np.asarray(self.sums @ seen, np.float64))
            found.append(q)
            overlaps.append(overlap)
        return np.concatenate(found), np.concatenate(overlaps)

    def without_each_tile(self, poses: Floats, per_side: int) -> Floats:
        """Evidence (n, 1 + tiles) of poses on all points, and with the points of one square tile of the reference left out."""
        low, high = self.points.min(1), self.points.max(1)
        side = (high - low).max() * (1 + 1e-6) / per_side
        cell = ((self.points - low[:, None]) / side).astype(int)
        label = cell[0] * per_side + cell[1]
        order = np.argsort(label, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(label[order]) > 0])
        parts = [order[i:j] for i, j in zip(starts, [*starts[1:], len(order)], strict=True)]
        sums = [self.sums[:, part] for part in parts]
        out = np.empty((len(poses), 1 + len(parts)))
        for i, pose in enumerate(poses):
            theta, seen = self._looked_up(pose[None])
            tiles = np.stack([a @ seen[0, part] for a, part in zip(sums, parts, strict=True)]).astype(np.float64)
            s = np.concatenate([tiles.sum(0)[None], tiles.sum(0) - tiles])
            q, _ = _coefficients(np.repeat(theta, len(s)), s)
            out[i] = self._total(q, np.repeat(pose[None], len(s), 0))
        return out

    def seen_from(self, poses: Floats) -> Level:
        """The level with only those points that every one of the poses puts inside the other image.

        Evidence grows with the overlap, which would draw a free pose towards more of it; among these poses it cannot.
        """
        kept = np.ones(self.points.shape[1], bool)
        for pose in poses:
            kept &= self._looked_up(pose[None])[1][0, :, 4] > 0
        level = copy(self)
        level.points, level.sums = self.points[:, kept], self.sums[:, kept]
        level.least = min(self.least, 0.5 * float(kept.sum()))
        return level

    def _looked_up(self, poses: Floats) -> tuple[Floats, Image]:
        """Rotation (n,) of poses and (n, points, 8) at the points: the other image's channels, whether it holds data, and the
        squares of intensity, of energy and of both parts of orientation.
        """
        linear, shift = linear_parts(poses)
        theta = np.arctan2(linear[:, 1, 0] - linear[:, 0, 1], linear[:, 0, 0] + linear[:, 1, 1])
        linear = linear * OVERSAMPLING / self.pitch
        offset = (self.side / 2 - np.einsum("nij,nj->ni", linear, shift)).astype(np.float32)
        at = linear.astype(np.float32).reshape(-1, 2) @ self.points + offset.reshape(-1, 1)
        cell = np.floor(at).astype(np.int32).reshape(len(poses), 2, self.points.shape[1])
        uy, ux = cell[:, 0], cell[:, 1]
        seen = (uy >= 0) & (ux >= 0) & (uy < self.side) & (ux < self.side)
        return theta, np.take(self.table, np.where(seen, uy * self.side + ux, self.side**2), axis=0)

    def _total(self, q: Floats, poses: Floats) -> Floats:
        s = q * q / self.variance
        s[:, 4] *= np.sign(q[:, 4])
        return cast(Floats, s.sum(1) - ((poses[:, 4:] / SHEAR_STD) ** 2).sum(1) - self.pair.outside(poses))

    def evidence(self, poses: Floats) -> Floats:
        """Evidence (n,) of poses (n, 6): -1 where too little overlaps; shear and leaving the box cost."""
        q, overlap = self.correlations(poses)
        return np.where(overlap > self.least, self._total(q, poses), -1.0)

    def refined(self, poses: Floats, step: float, iterations: int, dims: int) -> tuple[Floats, Floats]:
        """Climb from every pose along each parameter by parabolas; `step` is in nm at the rim and shrinks every round."""
        poses, n = poses.copy(), len(poses)
        best = self.evidence(poses)
        rim = self.pair.field_of_view * 0.4
        units = np.array([1 / rim, 1 / rim, 1, 1, 1 / rim, 1 / rim])[:dims]
        steps = np.full(n, float(step))
        k = np.arange(dims)
        for _ in range(iterations):
            h = steps[:, None] * units[None]
            around = np.repeat(poses[:, None], 2 * dims, 1)
            around[:, k, k] += h
            around[:, dims + k, k] -= h
            t = self.evidence(around.reshape(-1, DEGREES_OF_FREEDOM)).reshape(n, 2 * dims)
            up, down = t[:, :dims], t[:, dims:]
            bend = 2 * best[:, None] - up - down
            curved = bend > 1e-6 * np.abs(best[:, None])
            jump = np.where(curved, 0.5 * (up - down) / np.where(bend == 0, 1, bend), np.sign(up - down))
            trial = poses.copy()
            trial[:, :dims] += np.clip(jump, -1, 1) * h
            value = self.evidence(trial)
            single, which = t.max(1), t.argmax(1)
            trial = np.where((value >= single)[:, None], trial, around[np.arange(n), which])
            value = np.maximum(value, single)
            better = value > best
            poses, best = np.where(better[:, None], trial, poses), np.where(better, value, best)
            steps *= np.where(better, 0.7, 0.5)
        return poses, best


def _coefficients(theta: Floats, s: Floats) -> tuple[Floats, Floats]:
    """Correlations times the root of the overlap (n, 5) and the overlap (n,), from sums of products (n, 9, 8) over points."""
    overlap = np.maximum(s[:, 8, 4], 1)
    other_sum, fixed_sum, fixed_squares, squares = s[:, 8, :4], s[:, :4, 4], s[:, 4:8, 4], s[:, 8, 5:]
    products = s[:, :4, :4] - fixed_sum[:, :, None] * other_sum[:, None] / overlap[:, None, None]
    vf = np.maximum(fixed_squares - fixed_sum**2 / overlap[:, None], 1e-3)
    means = other_sum**2 / overlap[:, None]
    vo = np.maximum(squares - np.column_stack([means[:, :2], means[:, 2] + means[:, 3]]), 1e-3)
    orientation = np.cos(2 * theta) * (products[:, 2, 2] + products[:, 3, 3]) + np.sin(2 * theta) * (
        products[:, 2, 3] - products[:, 3, 2])
    r = [products[:, i, j] / np.sqrt(vf[:, i] * vo[:, j]) for i, j in PAIRS]
    r.append(orientation / np.sqrt((vf[:, 2] + vf[:, 3]) * vo[:, 2]))
    return np.stack(r, 1) * np.sqrt(overlap)[:, None], overlap
