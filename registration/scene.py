"""Two images on common grids, and the poses that relate them.

The channels of each image are whitened, so neither the sign nor the mix of channels between two techniques need be known.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from registration.channels import Channels
from registration.picture import Image, Picture
from registration.search_box import Effort, SearchBox
from registration.transform import Floats

OVERSAMPLING = 2
"""The moved image is looked up on a grid this much finer than the reference's, instead of being interpolated."""
DEGREES_OF_FREEDOM = 6
"""Rotation, log scale, shift y, shift x, shear, aspect."""
EDGE = 6.0
COARSEST = 64
WORK = 512
"""Lengths in pixels of the work grid; WORK of them span the larger field of view."""


@dataclass(frozen=True, eq=False)
class Scene:
    """Two images on common grids: what the search looks at.

    A pose is six numbers (rotation, log scale, shift y, shift x, shear, aspect) that map a position p of the reference to
    q = A (p - cr - shift) + co of the other image, with cr and co the centres of the fields of view, in nm.
    """

    reference: Channels
    other: Channels
    field_of_view: float
    coarsest: int
    start: Floats
    box: SearchBox
    effort: Effort
    grids: dict[int, tuple[Image, Image, Image, Image]] = field(default_factory=dict)

    @property
    def cr(self) -> Floats:
        return self.reference.image.centre

    @property
    def co(self) -> Floats:
        return self.other.image.centre

    def grid(self, n: int) -> tuple[Image, Image, Image, Image]:
        """Whitened channels and mask of the reference on n² points, and of the other image on (2 n)² points."""
        if n not in self.grids:
            finest = 4 * self.coarsest
            pitch = self.field_of_view / finest
            edge = EDGE * self.field_of_view / WORK
            near, far = (min(edge, 0.06 * c.image.extent.min()) for c in (self.reference, self.other))
            a = self.reference.on_grid(self.cr, finest, pitch, near)
            b = self.other.on_grid(self.co, OVERSAMPLING * finest, pitch / OVERSAMPLING, far)
            size = finest
            while size >= self.coarsest:
                self.grids[size] = (*_whitened(*a), *_whitened(*b))
                a, b = (_halved(*z) for z in (a, b))
                size //= 2
        return self.grids[n]

    def affine(self, pose: Floats) -> Floats:
        """(2, 3) matrix reference -> other of one pose."""
        linear, shift = (a[0] for a in linear_parts(pose[None]))
        return np.column_stack([linear, self.co - linear @ (self.cr + shift)])

    def pose(self, matrix: Floats) -> Floats:
        """Six numbers of a (2, 3) matrix reference -> other."""
        linear, b = matrix[:, :2], matrix[:, 2]
        u, s, vt = np.linalg.svd(linear)
        turn, stretch = u @ vt, vt.T @ np.diag(s) @ vt
        scale = np.trace(stretch) / 2
        stretch = stretch / scale
        shift = np.linalg.solve(linear, self.co - b) - self.cr
        shear, aspect = stretch[0, 1], (stretch[0, 0] - stretch[1, 1]) / 2
        return np.array([np.arctan2(turn[1, 0], turn[0, 0]), np.log(scale), *shift, shear, aspect])

    def corners(self, poses: Floats) -> Floats:
        """(n, 4, 2): where poses put the corners of the smaller field of view; distances between poses are taken there."""
        linear, shift = linear_parts(np.atleast_2d(poses))
        small = min(self.reference.image, self.other.image, key=lambda i: float(np.prod(i.extent)))
        if small is self.reference.image:
            return cast(Floats, np.einsum("nij,nkj->nki", linear, small.corners()[None] - self.cr - shift[:, None]))
        back = np.linalg.inv(linear)
        return cast(Floats, np.einsum("nij,kj->nki", back, small.corners() - self.co) + shift[:, None])

    def distances(self, a: Floats, b: Floats) -> Floats:
        """Mean distance (n,) between the corners put by poses a (n, 6) and b (6,), nm."""
        return cast(Floats, np.linalg.norm(self.corners(a) - self.corners(b), axis=2).mean(1))

    def distinct(self, poses: Floats, evidence: Floats, tolerance: float, count: int) -> NDArray[np.intp]:
        """Indices of the best poses that differ by more than `tolerance` nm at the corners."""
        corners = self.corners(poses)
        left = np.argsort(-evidence, kind="stable")
        chosen: list[int] = []
        while len(left) and len(chosen) < count:
            chosen.append(int(left[0]))
            apart = np.linalg.norm(corners[left] - corners[left[0]], axis=2).mean(1)
            left = left[apart > tolerance]
        return np.array(chosen, np.intp)

    def tiles(self, n: int, per_side: int = 6) -> NDArray[np.int_]:
        """A chessboard of 0 and 1 over the reference's field of view, on its n² grid."""
        part = (np.arange(n) - (n - 1) / 2) * self.field_of_view / n
        y, x = (np.floor((part / e + 0.5) * per_side).astype(int) for e in self.reference.image.extent)
        return cast(NDArray[np.int_], (y[:, None] + x[None]) % 2)

    def scales(self) -> Floats:
        """Logarithms of the scales to try, the prior's own first."""
        reach = np.log(self.box.scale)
        n = max(0, round(reach / self.effort.scale_step))
        steps = np.linspace(-reach, reach, 2 * n + 1) if n else np.zeros(1)
        return cast(Floats, steps[np.argsort(np.abs(steps), kind="stable")] + self.start[1])

    def rotations(self) -> Floats:
        """Angles to try, rad."""
        step = self.effort.rotation_step_deg
        if self.box.rotation_deg >= 180 - step / 2:
            n = int(np.ceil(360 / step))
            return cast(Floats, np.deg2rad(np.arange(n) * 360 / n) + self.start[0])
        n = int(np.ceil(self.box.rotation_deg / step))
        return cast(Floats, np.deg2rad(np.linspace(-self.box.rotation_deg, self.box.rotation_deg, 2 * n + 1)) + self.start[0])

    def outside(self, poses: Floats) -> Floats:
        """How far poses lie outside the box, as a penalty on the evidence: zero inside."""
        turn = np.abs((poses[:, 0] - self.start[0] + np.pi) % (2 * np.pi) - np.pi) - np.deg2rad(self.box.rotation_deg)
        size = np.abs(poses[:, 1] - self.start[1]) - np.log(self.box.scale)
        return cast(Floats, (np.maximum(turn, 0) / 0.02) ** 2 + (np.maximum(size, 0) / 0.01) ** 2)


def scene(reference: Picture, other: Picture, unit: float, start: Floats, box: SearchBox, effort: Effort) -> Scene:
    """Compute the channels of two images; `start` is the (2, 3) prior pose, reference -> other."""
    scale = float(np.sqrt(abs(np.linalg.det(start[:, :2]))))
    pixel = max(reference.pixel, other.pixel / scale)
    fov = float(max(reference.extent.max(), other.extent.max()))
    smaller = float(min(reference.extent.min(), other.extent.min()))
    coarsest = COARSEST * int(np.clip(round(fov / smaller), 1, 3))
    channels = Channels(reference, unit, pixel, effort), Channels(other, unit * scale, pixel * scale, effort)
    first = Scene(*channels, fov, coarsest, np.zeros(DEGREES_OF_FREEDOM), box, effort)
    return replace(first, start=first.pose(start), grids={})


def _halved(values: Image, mask: Image) -> tuple[Image, Image]:
    n = len(mask) // 2
    return values.reshape(4, n, 2, n, 2).mean((2, 4)), mask.reshape(n, 2, n, 2).mean((1, 3))


def _whitened(values: Image, mask: Image) -> tuple[Image, Image]:
    """Channels of zero mean; intensity and energy uncorrelated and of unit variance, orientation of unit mean square."""
    good = (mask > 0.9).astype(np.float32)
    count = float(good.sum())
    if count < 4:
        return np.zeros_like(values), np.zeros_like(mask)
    x = values * (good / np.maximum(mask, 0.9))
    x -= (x.sum((1, 2), dtype=np.float64) / count).astype(np.float32)[:, None, None]
    x *= good
    square = np.einsum("kyx,kyx->k", x, x) / count
    x[:2] /= np.sqrt(square[:2])[:, None, None] + np.float32(1e-9)
    x[2:] /= np.sqrt(square[2:].mean()) + np.float32(1e-9)
    np.clip(x[:2], -4, 4, out=x[:2])
    w, v = np.linalg.eigh(np.tensordot(x[:2], x[:2], ((1, 2), (1, 2))).astype(np.float64) / count + 1e-3 * np.eye(2))
    x[:2] = np.tensordot(((v / np.sqrt(w)) @ v.T).astype(np.float32), x[:2], 1)
    return cast(Image, x), good


def linear_parts(poses: Floats) -> tuple[Floats, Floats]:
    """(n, 2, 2) linear parts and (n, 2) shifts of poses (n, 6)."""
    cos, sin = np.cos(poses[:, 0]), np.sin(poses[:, 0])
    turn = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    h, e = poses[:, 4], poses[:, 5]
    stretch = np.stack([np.stack([1 + e, h], -1), np.stack([h, 1 - e], -1)], -2)
    return np.exp(poses[:, 1])[:, None, None] * turn @ stretch, poses[:, 2:4]
