"""Place volumes and single sections in a volume, from a prior, by mutual information."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import xarray as xr
from scipy.spatial.transform import Rotation

from registration.alignment import Alignment
from registration.itk_volume import Climb, MutualInformationError, climb_volume
from registration.picture import Masks
from registration.quality import Verdict
from registration.transform import Floats, Model, Transform, TransformError, model_generators
from registration.volume import Volume, read_section, read_volume

SIDES = (48, 96, 256)
"""Longest sides, in voxels, of what is looked at on three levels."""
SAMPLES = (5000, 20000, 60000)
KEPT = (4, 2)
"""Starts that go on to the next level."""
OVERLAP = 0.3
DISTINCT_VOXELS = 4.0
"""Poses further apart than this, on the first level, are different answers."""
MARGIN = 1.15
"""Mutual information of the best pose over that of the best different one."""
GROUPS = 8
FLOOR_VOXELS = 0.035
"""Standard deviation of each shift, and of what each other parameter moves at half of the rim, that interpolation adds: what is
left of the errors of 14 sections and 9 volumes of known pose beside their jackknife, which by itself is 0.5 to 0.8 of them."""
GOOD_VOXELS = 1.0
"""A pose is good when its error is below a voxel of the coarser image. The jackknife looks at the middle level, so it errs on
the large side for volumes that are much finer than that."""


def align_volumes(fixed: xr.DataArray, moving: xr.DataArray, model: Model = "affine", prior: Transform | None = None,
                  masks: Masks | None = None, rotation_deg: float = 20.0, seed: int = 0) -> Alignment:
    """Find the transform that takes positions of the moving volume to the frame of the fixed one.

    Parameters
    ----------
    fixed, moving : (z, y, x), coordinates in nm
    prior : moving -> fixed
        Right to within a tenth of the field; without it the centres are laid over each other.
    masks : (fixed, moving)
        True where data are to be used; either may be None.
    rotation_deg
        The prior's rotation may be off by this about every axis.

    Returns
    -------
    Alignment. A pose that could not be found has the verdict `failed`; its metrics are `mutual_information` (nat), `margin`
    over the best different pose, `overlap`, `expected_error_voxels`.

    Raises
    ------
    ImageError, TransformError
        If the volumes are not calibrated in nm, or the prior does not lead from one to the other.
    """
    fixed_mask, moving_mask = masks or (None, None)
    near, far = read_volume(fixed, "fixed volume", fixed_mask), read_volume(moving, "moving volume", moving_mask)
    source, target = _names(moving, fixed, prior, "moving", "fixed")
    start = prior or _centred(far, source, near, target)
    number = 2 * int(np.ceil(rotation_deg / 15)) + 1 if rotation_deg > 5 else 1
    turns = np.linspace(-1, 1, number) * rotation_deg * (1 - 1 / number)
    found = _search(near, far, start.inverse().matrix, model, turns, (0.0,), seed)
    return _alignment(found, target, source, model, near, inverted=True)


def align_section(volume: xr.DataArray, section: xr.DataArray, prior: Transform | None, model: Model = "rigid",
                  masks: Masks | None = None, rotation_deg: float = 10.0, depth_voxels: float = 10.0,
                  seed: int = 0) -> Alignment:
    """Find where a section lies in a volume.

    Parameters
    ----------
    volume : (z, y, x), nm
    section : (y, x), nm
        At z = 0 of its own frame. Its contrast may be another than the volume's.
    prior : section -> volume, in 3D
        Right to within about ten voxels and ten degrees; from twice as far half of the sections are lost. Without it the
        section lies through the middle of the volume, along its z.
    model
        `rigid`, or `similarity` or `affine` where the pixel size is in doubt; a plane says nothing of the scale across itself.
    masks : (volume, section)
        True where data are to be used; either may be None.

    Returns
    -------
    Alignment whose transform takes (0, y, x) of the section to (z, y, x) of the volume.

    Raises
    ------
    ImageError, TransformError
        If the images are not calibrated in nm, or the prior does not lead from the section to the volume in 3D.
    """
    volume_mask, section_mask = masks or (None, None)
    body, flat = read_volume(volume, "volume", volume_mask), read_section(section, "section", section_mask)
    source, target = _names(section, volume, prior, "section", "volume")
    turns = np.array([-0.6, 0, 0.6]) * rotation_deg if rotation_deg > 5 else np.zeros(1)
    depths = tuple(np.array([-0.6, 0, 0.6]) * depth_voxels * body.voxel)
    start = prior or _centred(flat, source, body, target)
    found = _search(flat, body, start.matrix, model, turns, depths, seed)
    return _alignment(found, source, target, model, flat, inverted=False)


@dataclass(frozen=True, eq=False)
class _Found:
    """Pose reference -> other, covariance of its parameters, and what speaks for it."""

    matrix: Floats
    covariance: Floats | None
    metrics: dict[str, float]
    reasons: tuple[str, ...]
    voxel: float


def _search(near: Volume, far: Volume, guess: Floats, model: Model, turns: Floats, depths: tuple[float, ...],
            seed: int) -> _Found:
    """Climb from a grid of turned starts, from coarse to fine; the best few by mutual information go on."""
    size = float(max(near.extent.max(), far.extent.max()))
    finest = max(float(near.step[1:].max()), far.voxel)
    # smooth at first however few the voxels: walls a voxel thick draw a pose from no further than themselves
    pitches = [max(finest * least, size / side) for side, least in zip(SIDES, (2, 1, 1), strict=True)]
    starts = [_turned(guess, near.centre, t, d) for t in product(turns, repeat=3) for d in depths]
    starts.sort(key=lambda m: _distance(near, m, guess))
    poses, voxel, why = [(m, 0.0) for m in starts], pitches[0], ""
    rivals: list[tuple[Floats, float]] = []
    for level, (pitch, samples) in enumerate(zip(pitches, SAMPLES, strict=True)):
        a, b = near.at_footprint(pitch), far.at_footprint(pitch)
        kind: Model = model if level == 2 or model == "translation" else "rigid"
        step, last = (1.0, 0.05) if level == 0 else (0.5, 0.01)
        plan = Climb(step * pitch, last * pitch, (40, 60, 80)[level], samples, 24 if level else 16)
        climbed = []
        for matrix, _ in poses:
            try:
                m, value = climb_volume(a, b, matrix, kind, plan, seed)
            except MutualInformationError as error:
                why = str(error)
                continue
            if _overlap(a, b, m) >= OVERLAP:
                climbed.append((m, value))
        if not climbed:
            return _Found(guess, None, {}, (why or "no pose leaves enough overlap",), finest)
        climbed.sort(key=lambda p: -p[1])
        if level == 0:
            rivals, voxel = climbed, pitch
        poses = _distinct(near, climbed, pitch)[:KEPT[level] if level < 2 else 1]
    best, information = poses[0]
    others = [v for m, v in rivals if _distance(near, m, best) > DISTINCT_VOXELS * voxel]
    here = max((v for m, v in rivals if _distance(near, m, best) <= DISTINCT_VOXELS * voxel), default=0.0)
    margin = here / max(others) if others else float("inf")
    covariance = _covariance(near.at_footprint(pitches[1]), far.at_footprint(pitches[1]), best, model, pitches[1], seed)
    metrics = {"mutual_information": information, "margin": margin, "overlap": _overlap(near, far, best)}
    return _Found(best, covariance, metrics, (), finest)


def _covariance(near: Volume, far: Volume, matrix: Floats, model: Model, pitch: float, seed: int) -> Floats | None:
    """Jackknife over blocks of the reference, each left out once (Künsch, Ann. Stat. 17, 1217 (1989); source not checked)."""
    plan = Climb(0.1 * pitch, 0.005 * pitch, 25, SAMPLES[1])
    blocks = _blocks(near)
    pivot = matrix[:, :3] @ near.centre + matrix[:, 3]
    back = np.linalg.pinv(model_generators(model, 3))
    changes = []
    for k in range(GROUPS):
        part = Volume(near.values, near.step, near.origin, near.mask & (blocks != k))
        try:
            other, _ = climb_volume(part, far, matrix, model, plan, seed)
        except MutualInformationError:
            continue
        linear = other[:, :3] @ np.linalg.inv(matrix[:, :3])
        move = linear @ (pivot - matrix[:, 3]) + other[:, 3] - pivot
        changes.append(back @ np.r_[move, (linear - np.eye(3)).ravel()])
    if len(changes) < GROUPS // 2:
        return None
    e = np.array(changes)
    scatter = (e - e.mean(0)).T @ (e - e.mean(0)) * (len(e) - 1) / len(e)
    reach = float(np.linalg.norm(near.extent)) / 4
    floor = FLOOR_VOXELS * pitch * np.r_[np.ones(3), np.full(e.shape[1] - 3, 1 / reach)]
    return np.asarray(scatter + np.diag(floor**2), np.float64)


def _alignment(found: _Found, source: str, target: str, model: Model, near: Volume, inverted: bool) -> Alignment:
    """Put the pose into words; `source` and `target` are those of the pose found."""
    centre = near.centre
    transform = Transform(source, target, found.matrix, model if found.metrics else "affine", centre, found.covariance)
    if inverted:
        transform = transform.inverse()
    metrics, reasons = dict(found.metrics), list(found.reasons)
    verdict: Verdict = "failed"
    if metrics:
        forward = transform.inverse() if inverted else transform
        rms = float(np.sqrt(np.mean(np.einsum("nii->n", forward.covariance_at(near.corners())))))
        metrics["expected_error_voxels"] = rms / found.voxel
        if not metrics["margin"] > MARGIN:
            reasons.append(f"another pose shares almost as much information (margin {metrics['margin']:.2f}, "
                           f"{MARGIN} is asked)")
        if not metrics["expected_error_voxels"] <= GOOD_VOXELS:
            reasons.append(f"the expected error at the corners is {metrics['expected_error_voxels']:.2g} voxels, "
                           f"at most {GOOD_VOXELS} is asked")
        verdict = "doubtful" if reasons else "good"
    return Alignment(transform, verdict, tuple(reasons), metrics)


def _centred(moving: Volume, source: str, fixed: Volume, target: str) -> Transform:
    """The middles laid over each other."""
    return Transform.of(source, target, np.eye(3), fixed.centre - moving.centre, "translation", moving.centre)


def _names(moving: xr.DataArray, fixed: xr.DataArray, prior: Transform | None, source: str, target: str) -> tuple[str, str]:
    source = str(moving.attrs.get("frame") or (prior.source if prior else source))
    target = str(fixed.attrs.get("frame") or (prior.target if prior else target))
    if prior is not None and (prior.ndim != 3 or (prior.source, prior.target) != (source, target)):
        raise TransformError(f"the prior maps {prior.source!r} to {prior.target!r} ({prior.ndim}D), "
                             f"expected {source!r} to {target!r} (3D)")
    return source, target


def _turned(matrix: Floats, centre: Floats, angles_deg: tuple[float, ...], depth: float) -> Floats:
    """The pose after turning the reference about its centre and moving it along its own z."""
    turn = Rotation.from_rotvec(np.deg2rad(angles_deg)).as_matrix()[::-1, ::-1]
    linear: Floats = matrix[:, :3] @ turn
    shift: Floats = matrix[:, :3] @ (centre - turn @ centre + [depth, 0, 0]) + matrix[:, 3]
    return np.asarray(np.c_[linear, shift], np.float64)


def _distance(near: Volume, a: Floats, b: Floats) -> float:
    """Root mean square distance between where two poses put the reference's corners, nm."""
    p = near.corners()
    return float(np.sqrt((((p @ (a - b)[:, :3].T) + (a - b)[:, 3]) ** 2).sum(1).mean()))


def _distinct(near: Volume, poses: list[tuple[Floats, float]], apart: float) -> list[tuple[Floats, float]]:
    """The best pose of every group that ended in the same place."""
    kept: list[tuple[Floats, float]] = []
    for pose in poses:
        if all(_distance(near, pose[0], other[0]) > apart for other in kept):
            kept.append(pose)
    return kept


def _overlap(near: Volume, far: Volume, matrix: Floats) -> float:
    """Part of the reference that the pose puts inside the other."""
    axes = [o + s * np.linspace(0, n - 1, min(n, 12))
            for o, s, n in zip(near.origin, near.step, near.values.shape, strict=True)]
    p = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3) @ matrix[:, :3].T + matrix[:, 3]
    return float((np.abs(p - far.centre) <= far.extent / 2).all(1).mean())


def _blocks(volume: Volume) -> Floats:
    """Number of the block, 0 to GROUPS - 1, of every voxel: octants, or the 4 x 2 tiles of a section."""
    shape = volume.values.shape
    parts = (2, 2, 2) if shape[0] > 1 else (1, 4, 2)
    index = [np.minimum(np.arange(n) * k // n, k - 1) for n, k in zip(shape, parts, strict=True)]
    return np.asarray((index[0][:, None, None] * parts[1] + index[1][None, :, None]) * parts[2] + index[2][None, None])
