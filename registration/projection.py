"""Place a projection (a TEM or TXM image) in a volume (a tomogram, FIB-SEM slices)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import scipy.fft as fft
import scipy.ndimage as ndi
import xarray as xr
from scipy.spatial.transform import Rotation

from registration.alignment import Alignment
from registration.picture import Picture, averaged, picture
from registration.quality import Verdict
from registration.transform import Floats, Transform, TransformError
from registration.volume import Volume, read_volume

SIDES = (32, 64, 96)
"""Longest sides of the volume, in voxels, on three levels."""
STEPS = (6, 6, 5)
KEPT = (4, 1)
HALVINGS = 4
TILES = 4
GOOD_VOXELS = 1.0
EXPLAINED = 0.3
"""Least part of the image's variance that the projection must explain."""


def align_projection(volume: xr.DataArray, image: xr.DataArray, prior: Transform, rotation_deg: float = 10.0) -> Alignment:
    """Find from where a projection looks through a volume.

    The image is taken for a quadratic in the sum of the volume's values along its z axis: the thickness and density that a
    TXM's logarithm shows, or the monotonic part of a dark-field signal. Diffraction contrast is no projection.

    Parameters
    ----------
    volume : (z, y, x), nm
        Zero, or any constant, outside the specimen: what surrounds the volume is taken to be as its border is.
    image : (y, x), nm
    prior : image -> volume, in 3D
        Takes (0, y, x) of the image to the volume; its z axis is the direction of the beam. Right to within about ten degrees
        and a sixth of the field.

    Returns
    -------
    Alignment with a rigid transform (0, y, x) -> volume. How deep the image lies along the beam is not seen: the prior's depth
    is kept, and the stated error along the beam is that of the volume's extent. `expected_error_voxels` is across the beam.

    Raises
    ------
    ImageError, TransformError
        If the images are not calibrated in nm, or the prior does not lead from the image to the volume in 3D.
    """
    body, flat = read_volume(volume, "volume"), picture(image, "image")
    source = str(image.attrs.get("frame") or prior.source)
    target = str(volume.attrs.get("frame") or prior.target)
    if prior.ndim != 3 or (prior.source, prior.target) != (source, target):
        raise TransformError(f"the prior maps {prior.source!r} to {prior.target!r} ({prior.ndim}D), "
                             f"expected {source!r} to {target!r} (3D)")
    turns = np.array([-0.6, 0, 0.6]) * np.deg2rad(rotation_deg) if rotation_deg > 2 else np.zeros(1)
    poses = [_moved(prior.matrix, body.centre, np.r_[np.zeros(3), t]) for t in product(turns, repeat=3)]
    size = float(body.extent.max())
    for level, side in enumerate(SIDES):
        pitch = max(size / side, body.voxel, flat.pixel)
        view = _View(body.at_footprint(pitch), averaged(flat, pitch), pitch)
        if level == 0:
            poses = [view.shifted(m) for m in poses]
        climbed = sorted((view.climbed(m, STEPS[level]) for m in poses), key=lambda p: p[1])
        poses = [m for m, _ in climbed[:KEPT[level] if level < 2 else 1]]
    explained, covariance = view.weighed(poses[0])
    transform = Transform(source, target, poses[0], "rigid", prior.inverse().apply(body.centre[None])[0], covariance)
    across = transform.linear[:, 1:]
    corners = np.column_stack([np.zeros(4), flat.corners()])
    seen = np.einsum("ia,nij,ja->n", across, transform.covariance_at(corners), across)
    metrics = {"explained": explained, "expected_error_voxels": float(np.sqrt(seen.mean()) / pitch)}
    reasons = []
    if explained < EXPLAINED:
        reasons.append(f"the projection explains {explained:.0%} of the image, at least {EXPLAINED:.0%} is asked")
    if metrics["expected_error_voxels"] > GOOD_VOXELS:
        reasons.append(f"the expected error across the beam is {metrics['expected_error_voxels']:.2g} voxels")
    verdict: Verdict = "failed" if explained < EXPLAINED / 3 else "doubtful" if reasons else "good"
    return Alignment(transform, verdict, tuple(reasons), metrics)


@dataclass(frozen=True, eq=False)
class _View:
    """A volume and an image on the same footprint, and how poses are weighed between them."""

    body: Volume
    image: Picture
    pitch: float

    def projected(self, matrix: Floats) -> Floats:
        """Sum of the volume along the image's z axis, (ny, nx), in units of one step of `pitch`."""
        half = float(np.linalg.norm(self.body.extent)) / 2
        depth = float((np.linalg.inv(matrix[:, :3]) @ (self.body.centre - matrix[:, 3]))[0])
        z = depth + np.arange(-half, half + self.pitch, self.pitch)
        ny, nx = self.image.shape
        y = self.image.origin[0] + self.image.step[0] * np.arange(ny)
        x = self.image.origin[1] + self.image.step[1] * np.arange(nx)
        rays = [matrix[i, 0] * z[:, None, None] + matrix[i, 1] * y[:, None] + matrix[i, 2] * x + matrix[i, 3] for i in range(3)]
        at = np.stack([(r - o) / s for r, o, s in zip(rays, self.body.origin, self.body.step, strict=True)])
        border = float(np.median(self.body.values[[0, -1]]))
        return np.asarray(ndi.map_coordinates(self.body.values - border, at, order=1, mode="constant").sum(0), np.float64)

    def shifted(self, matrix: Floats) -> Floats:
        """The pose after the shift across the beam at which projection and image correlate best."""
        p = self.projected(matrix)
        a, b = (v - v.mean() for v in (self.image.values, p))
        size = [2 * n for n in a.shape]
        surface = fft.irfft2(fft.rfft2(a, size) * fft.rfft2(b, size).conj(), size)
        i, j = np.unravel_index(int(np.abs(surface).argmax()), surface.shape)
        step = np.array([(i + size[0] // 2) % size[0] - size[0] // 2, (j + size[1] // 2) % size[1] - size[1] // 2])
        limit = np.array(a.shape) / 6
        step = np.clip(step, -limit, limit)
        # what the projection shows must move by +step in the image, so the image's points lie -step further in the volume
        return np.asarray(np.c_[matrix[:, :3], matrix[:, 3] - matrix[:, 1:3] @ (step * self.image.step)], np.float64)

    def climbed(self, matrix: Floats, steps: int) -> tuple[Floats, float]:
        """Gauss-Newton over three rotations and two shifts; the pose and what is left of the image's variance."""
        left, residual, design = self._linearised(matrix)
        for _ in range(steps):
            change = np.asarray(np.linalg.lstsq(design, residual, rcond=None)[0][-5:], np.float64)
            for _ in range(HALVINGS):
                trial = self._after(matrix, change)
                fit = self._linearised(trial)
                if fit[0] < left:
                    break
                change = change / 2
            else:
                break
            small = np.abs(change).max() < 0.01
            matrix, (left, residual, design) = trial, fit
            if small:
                break
        return matrix, left

    def weighed(self, matrix: Floats) -> tuple[float, Floats]:
        """Part of the variance explained, and the covariance (6, 6) of the pose's parameters from the scores of tiles."""
        left, residual, design = self._linearised(matrix)
        ny, nx = self.image.shape
        tile = (np.arange(ny) * TILES // ny)[:, None] * TILES + np.arange(nx) * TILES // nx
        scores = np.stack([(design * residual[:, None])[tile.ravel() == k].sum(0) for k in range(TILES**2)])
        back = np.linalg.pinv(design.T @ design)
        small = (back @ scores.T @ scores @ back)[-5:, -5:]
        unit = self._units(matrix)
        depth = np.outer(matrix[:, 0], matrix[:, 0]) * float(self.body.extent.max()) ** 2 / 12
        whole = unit @ (small + 0.05**2 * np.eye(5)) @ unit.T
        whole[:3, :3] += depth
        return 1 - left, np.asarray(whole, np.float64)

    def _units(self, matrix: Floats) -> Floats:
        """(6, 5): one unit of each parameter, about a voxel at the volume's rim, as shift in nm and rotation in rad."""
        unit = np.zeros((6, 5))
        unit[:3, :2] = matrix[:, 1:3] * self.pitch
        unit[3:, 2:] = np.eye(3) * 2 * self.pitch / float(self.body.extent.max())
        return unit

    def _after(self, matrix: Floats, change: Floats) -> Floats:
        return _moved(matrix, self.body.centre, self._units(matrix) @ change)

    def _linearised(self, matrix: Floats) -> tuple[float, Floats, Floats]:
        """Part of the variance left, the residual, and the columns that a step may use: 1, P, P² and five changes of P."""
        p = self.projected(matrix)
        scale = max(float(np.abs(p).max()), 1e-12)
        base = np.stack([np.ones(p.size), p.ravel() / scale, (p.ravel() / scale) ** 2], 1)
        weight = self.image.mask.ravel().astype(np.float64)
        data = self.image.values.ravel().astype(np.float64)
        coefficients = np.linalg.lstsq(base * weight[:, None], data * weight, rcond=None)[0]
        residual = (data - base @ coefficients) * weight
        slope = (coefficients[1] + 2 * coefficients[2] * base[:, 1]) / scale
        changes = [(self.projected(self._after(matrix, 0.5 * e)) - p).ravel() / 0.5 * slope for e in np.eye(5)]
        design = np.column_stack([base, *changes]) * weight[:, None]
        whole = float(((data - data.mean()) ** 2 * weight).sum())
        return float((residual**2).sum()) / max(whole, 1e-30), residual, design


def _moved(matrix: Floats, pivot: Floats, change: Floats) -> Floats:
    """The pose followed by a shift (3) and a rotation (3 angles, rad, in the order of the generators) about `pivot`."""
    t, (a, b, c) = change[:3], change[3:]
    # the rotation vector whose matrix is, to first order, the sum of the generators of `transform.model_generators`
    w = Rotation.from_rotvec([c, -b, a]).as_matrix()
    return np.asarray(np.c_[w @ matrix[:, :3], w @ (matrix[:, 3] - pivot) + pivot + t], np.float64)
