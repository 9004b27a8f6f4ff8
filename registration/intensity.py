"""Align two images of one specimen by what they show: global search, mutual information, uncertainty, verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from registration.alignment import Alignment
from registration.candidate import Candidate
from registration.combination import APART
from registration.hybrid import CONTRADICTED, box_about, fit_widest, weighed_together
from registration.itk import MutualInformationError, Plan, climb_mutual_information
from registration.landmarks import LandmarkFit, Landmarks
from registration.picture import Masks, Picture, averaged, mirrored, picture
from registration.quality import GRID, blurred, judge, overlap_points, tolerance_px
from registration.search import ITERATIONS, PROMISING, WORK, Level, Scene, SearchBox, search
from registration.transform import MODELS, Floats, Model, Transform, TransformError, fits, model_generators, n_parameters
from registration.uncertainty import information_spread, settled

MOVING, FIXED = "moving", "fixed"
POINTS = 40000
"""Most points at which the final pose is weighed."""
WIDER = 1.45
"""Factor in scale searched at last where no box is given and nothing else explains the images: pixel sizes off by 30 %."""
RIVALS, APART_PART = 5, 0.06
"""Most other poses that are told, and by what part of the smaller field's side they differ from the pose at its corners."""
KEPT = 0.85
"""A climb by mutual information that keeps less of the evidence is undone."""


def align_images(fixed: xr.DataArray, moving: xr.DataArray, model: Model = "similarity", prior: Transform | None = None,
                 masks: Masks | None = None, landmarks: Landmarks | None = None, seed: int = 0, *,
                 box: SearchBox | None = None) -> Alignment:
    """The pose of one image in another; parameters, result and errors are those of `registration.align`."""
    if model not in MODELS:
        raise TransformError(f"unknown model {model!r}, expected one of {', '.join(MODELS)}")
    fixed_mask, moving_mask = masks or (None, None)
    a, b = picture(fixed, "fixed image", fixed_mask), picture(moving, "moving image", moving_mask)
    target, source = _frames(fixed, moving, prior)
    start = _start(a, b, prior, source, target)
    marks = None if landmarks is None else fit_widest(landmarks, model, source, target)
    if marks is not None:
        start = marks.transform
        box = box or box_about(marks, b, a)
    wider = None if box else _box(replace(SearchBox(), scale=WIDER), model)
    box = _box(box or SearchBox(), model)
    swapped = b.pixel * start.scale > a.pixel * (1 + 1e-9)
    reference, other = (b, a) if swapped else (a, b)
    guess = (start if swapped else start.inverse()).matrix
    flip = np.linalg.det(guess[:, :2]) < 0
    if flip:
        mirror = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 2 * other.centre[1]]])
        other, guess = mirrored(other), _after(mirror, guess)
    outcome = _pose(reference, other, guess, model, box, seed, wider)
    names = (target, source) if swapped else (source, target)  # other -> reference

    def placed(pose: Floats, covariance: Floats | None) -> Transform:
        found = _placed(*names, _after(mirror, pose) if flip else pose, outcome.model, covariance, reference)
        return found.inverse() if swapped else found

    candidates = tuple(Candidate(placed(pose, None), evidence) for pose, evidence in outcome.rivals)
    return replace(_judged(placed(outcome.matrix, outcome.covariance), a, b, outcome, marks), candidates=candidates)


@dataclass(frozen=True, eq=False)
class _Outcome:
    """Pose reference -> other, covariance of the correction about the reference's centre, and the numbers behind it."""

    matrix: Floats
    model: Model
    covariance: Floats
    metrics: dict[str, float]
    remarks: tuple[str, ...]
    rivals: tuple[tuple[Floats, float], ...] = ()


def _pose(reference: Picture, other: Picture, guess: Floats, model: Model, box: SearchBox, seed: int,
          wider: SearchBox | None) -> _Outcome:
    scale = float(np.sqrt(abs(np.linalg.det(guess[:, :2]))))
    fov = float(max(reference.extent.max(), other.extent.max() / scale))
    unit = max(fov / WORK, reference.pixel / 4)
    near, far = averaged(reference, unit), averaged(other, unit * scale)
    found = search(near, far, unit, guess, box, seed, wider)
    pair = found.pair
    fine = Level(pair, 4 * pair.coarsest, POINTS, np.random.default_rng(seed + 1))
    middle = Level(pair, 2 * pair.coarsest, pair.effort.points[1], np.random.default_rng(seed + 2))
    for level in (fine, middle):
        level.learn_null(np.random.default_rng(seed + 3))
    dims = 6 if model == "affine" else 4
    poses, _ = fine.refined(found.poses[:pair.effort.keep[2]], 0.375 * pair.field_of_view / pair.coarsest, ITERATIONS[2], dims)
    poses = np.stack([_constrained(p, pair.start, model) for p in poses])
    both = fine.evidence(poses) + middle.evidence(poses)
    prior = _prior_std(model, pair.box, pair)
    best = settled(fine, pair.affine(poses[both.argmax()]), model, prior, reference.pixel)
    remarks: list[str] = []
    climbed = _climb(near, far, best.matrix, model, seed)
    mutual, moved = float("nan"), float("nan")
    if isinstance(climbed, str):
        remarks.append(climbed)
    else:
        trial, mutual, pictures = climbed
        at = np.stack([pair.pose(best.matrix), pair.pose(trial)])
        moved = float(pair.distances(at[1:], at[0])[0])
        before, after = fine.seen_from(at).evidence(at)
        second = information_spread(*pictures, trial, model, prior, reference.pixel)
        seen = np.minimum(reference.extent, other.extent / scale)
        if after < KEPT * before:
            remarks.append("the mutual information led away from the evidence and was not followed")
        elif second.firm and second.error(model, seen) < best.error(model, seen):
            best = second.against(best.matrix, model, pair.cr)
        else:
            best = best.against(second.matrix, model, pair.cr)
    rivals = found.poses[found.evidence > found.evidence[0] / PROMISING]
    best = best.among([pair.affine(_constrained(p, pair.start, model)) for p in rivals], model, pair.cr)
    if not best.firm:
        remarks.append("the images do not determine every parameter of the pose")
    metrics = {
        "evidence": float(fine.evidence(pair.pose(best.matrix)[None])[0]), "margin": found.margin,
        "held_out": found.held_out, "attempts": float(found.attempts),
        "mutual_information": mutual, "moved_px": moved / reference.pixel, "evidence_middle": float(found.evidence[0]),
    }
    apart = pair.distances(found.poses, pair.pose(best.matrix)) > APART_PART * float(
        min(reference.extent.min(), other.extent.min() / scale))
    others = [(pair.affine(_constrained(p, pair.start, model)), float(e))
              for p, e in zip(found.poses[apart], found.evidence[apart], strict=True)]
    return _Outcome(best.matrix, model, best.covariance, metrics, tuple(remarks), tuple(others[:RIVALS]))


def _climb(near: Picture, far: Picture, matrix: Floats, model: Model,
           seed: int) -> tuple[Floats, float, tuple[Picture, Picture]] | str:
    """Improve a pose by mutual information; a reason in words where that fails."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    pictures = _footprints(near, far, scale, _representation(near, far, matrix))
    count = near.values.size
    shrink = (2, 1) if min(near.shape) >= 96 else (1,)
    plan = Plan(shrink, tuple([10000, 40000][-len(shrink):]), step=0.5 * near.pixel, smallest=0.01 * near.pixel,
                bins=32 if count > 20000 else 24 if count > 5000 else 16)
    try:
        return *climb_mutual_information(*pictures, matrix, model, plan, seed), pictures
    except MutualInformationError as error:
        return str(error)


def _footprints(near: Picture, far: Picture, scale: float, representation: tuple[int, int]) -> tuple[Picture, Picture]:
    """Both images at the reference's footprint, as intensity (0) or size of its gradient (1)."""
    pixel = near.pixel
    box = max(0.0, pixel**2 - (far.pixel / scale) ** 2) / 12
    return (replace(near, values=_shown(near, 0.7 * pixel, representation[0])),
            replace(far, values=_shown(far, scale * float(np.sqrt(0.49 * pixel**2 + box)), representation[1])))


def _shown(image: Picture, sigma: float, kind: int) -> NDArray[np.float32]:
    if kind == 0:
        return blurred(image, sigma)
    smooth = blurred(image, max(1.7 * sigma, 0.6 * image.pixel))
    gy, gx = np.gradient(smooth, *image.step)
    return cast(NDArray[np.float32], np.hypot(gy, gx).astype(np.float32))


def _representation(near: Picture, far: Picture, matrix: Floats, most: int = 40000) -> tuple[int, int]:
    """Which of intensity or gradient of either image share most information at a pose; plain intensities get a bonus."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    stride = max(1, int(np.ceil(np.sqrt(near.values.size / most))))
    i, j = (g.ravel() for g in np.mgrid[0:near.shape[0]:stride, 0:near.shape[1]:stride])
    q = (near.origin + np.stack([i, j], 1) * near.step) @ matrix[:, :2].T + matrix[:, 2]
    inside = far.valid_at(q) & (near.mask[i, j] > 0.5)
    if inside.sum() < 64:
        return 0, 0
    i, j = i[inside], j[inside]
    u, v = np.clip(np.rint((q[inside] - far.origin) / far.step).astype(int), 0, np.array(far.shape) - 1).T
    shared = {}
    for kinds in ((0, 0), (1, 0), (0, 1)):
        x, y = _footprints(near, far, scale, kinds)
        shared[kinds] = _mutual_information(x.values[i, j], y.values[u, v]) * (1.0 if kinds == (0, 0) else 0.9)
    return max(shared, key=lambda k: shared[k])


def _mutual_information(x: NDArray[np.floating], y: NDArray[np.floating]) -> float:
    """Mutual information of two lists of values, nat, from a histogram."""
    bins = int(np.clip(len(x) ** (1 / 3), 6, 24))

    def levels(a: NDArray[np.floating]) -> NDArray[np.intp]:
        low, high = np.quantile(a, [0.005, 0.995])
        level: NDArray[np.intp] = np.clip(((a - low) / (high - low + 1e-12) * bins).astype(np.intp), 0, bins - 1)
        return level

    joint = np.bincount(levels(x) * bins + levels(y), minlength=bins * bins).reshape(bins, bins) / len(x)
    expected = joint.sum(1)[:, None] * joint.sum(0)[None]
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / expected[seen])).sum())


def _constrained(pose: Floats, start: Floats, model: Model) -> Floats:
    """The pose with what the model does not free held at the start."""
    free = {"translation": (2, 3), "rigid": (0, 2, 3), "similarity": (0, 1, 2, 3), "affine": (0, 1, 2, 3, 4, 5)}[model]
    out = start.copy()
    out[list(free)] = pose[list(free)]
    return out


def _prior_std(model: Model, box: SearchBox, pair: Scene) -> Floats:
    """Standard deviation (k,) of a correction's parameters before looking: the box as even distributions."""
    shift = box.shift * pair.field_of_view / np.sqrt(3)
    turn, size = np.deg2rad(max(box.rotation_deg, 0.1)) / np.sqrt(3), max(np.log(box.scale), 0.002) / np.sqrt(3)
    if model == "affine":
        return np.array([shift, shift, *[float(np.hypot(turn, size))] * 4])
    return np.array([shift, shift, turn, size][:n_parameters(model, 2)])


def _box(box: SearchBox, model: Model) -> SearchBox:
    if model in ("translation", "rigid"):
        box = replace(box, scale=1.0)
    return replace(box, rotation_deg=0.0) if model == "translation" else box


def _frames(fixed: xr.DataArray, moving: xr.DataArray, prior: Transform | None) -> tuple[str, str]:
    target = str(fixed.attrs.get("frame") or (prior.target if prior else FIXED))
    source = str(moving.attrs.get("frame") or (prior.source if prior else MOVING))
    if target == source:
        raise TransformError(f"both images are in frame {source!r}; name their frames apart in attrs['frame']")
    return target, source


def _start(fixed: Picture, moving: Picture, prior: Transform | None, source: str, target: str) -> Transform:
    """The prior, or the fields' centres laid over each other."""
    if prior is None:
        return Transform.of(source, target, np.eye(2), fixed.centre - moving.centre, "translation", moving.centre)
    if prior.ndim != 2 or (prior.source, prior.target) != (source, target):
        raise TransformError(f"the prior maps {prior.source!r} to {prior.target!r} ({prior.ndim}D), "
                             f"expected {source!r} to {target!r} (2D)")
    return prior


def _after(second: Floats, first: Floats) -> Floats:
    """(2, 3) matrix of one map followed by another."""
    return np.column_stack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]])


def _placed(source: str, target: str, matrix: Floats, model: Model, covariance: Floats | None,
            reference: Picture) -> Transform:
    """The transform other -> reference from `matrix`, reference -> other, with parameters about the middle of the reference.

    A correction of a narrow model to a prior with shear makes an affine transform.
    """
    back: Floats = np.linalg.inv(matrix[:, :2]).astype(np.float64)
    whole = np.c_[back, -back @ matrix[:, 2]]
    centre = matrix[:, :2] @ reference.centre + matrix[:, 2]
    if not fits(model, back):
        wide: Model = "similarity" if fits("similarity", back) else "affine"
        carry = np.linalg.pinv(model_generators(wide, 2)) @ model_generators(model, 2)
        model, covariance = wide, None if covariance is None else carry @ covariance @ carry.T
    return Transform(source, target, whole, model, centre, covariance)


def _judged(transform: Transform, fixed: Picture, moving: Picture, outcome: _Outcome, marks: LandmarkFit | None) -> Alignment:
    told: dict[str, float] = {}
    remarks = outcome.remarks
    if marks is not None:
        transform, probability = weighed_together(transform, marks)
        told = {"landmark_probability": probability, "landmark_nm": marks.localisation_nm}
        remarks = (*remarks, *(f"landmarks: {r}" for r in marks.remarks))
        if probability < APART:
            remarks = (CONTRADICTED, *remarks)
    points = overlap_points(fixed, moving, transform)
    rms = float(np.sqrt(np.mean(np.einsum("nii->n", transform.covariance_at(points))))) if len(points) else float("inf")
    pixel = max(fixed.pixel, moving.pixel * transform.scale)
    metrics = {**outcome.metrics, **told, "overlap": len(points) / GRID**2, "expected_error_nm": rms,
               "expected_error_px": rms / pixel, "pixel_nm": pixel, "tolerance_px": tolerance_px(fixed, moving, transform)}
    verdict, reasons = judge(metrics)
    return Alignment(transform, verdict, (*reasons, *remarks), metrics)
