"""Align two images of one specimen by what they show: global search, least squares, uncertainty, verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from registration.alignment import Alignment
from registration.candidate import Candidate
from registration.combination import APART
from registration.evidence import Level
from registration.explained import explained_score, most_explained
from registration.hybrid import CONTRADICTED, box_about, fit_widest, weighed_together
from registration.landmarks import LandmarkFit, Landmarks
from registration.picture import Masks, Picture, averaged, mirrored, picture
from registration.quality import GRID, judge, overlap_points, tolerance_px
from registration.regression import regressed
from registration.scene import WORK, Scene
from registration.search import CONFIRMED, ENOUGH, ITERATIONS, PROMISING, SURE, nearby, search
from registration.search_box import SearchBox
from registration.trace import Stage
from registration.transform import Floats, Model, Transform, TransformError, fits, model_generators, n_parameters
from registration.uncertainty import floor, settled

MOVING, FIXED = "moving", "fixed"
POINTS = 30000
"""Most points at which the final pose is weighed."""
WIDER = 1.45
"""Factor in scale searched at last where no box is given and nothing else explains the images: pixel sizes off by 30 %."""
RIVALS, APART_PART = 5, 0.06
"""Most other poses that are told, and by what part of the smaller field's side they differ from the pose at its corners."""
KEPT = 0.85
"""Least squares that keep less of the evidence are undone."""


def align_images(fixed: xr.DataArray, moving: xr.DataArray, model: Model = "similarity", prior: Transform | None = None,
                 masks: Masks | None = None, landmarks: Landmarks | None = None, seed: int = 0, *,
                 box: SearchBox | None = None) -> Alignment:
    """The pose of one image in another; parameters, result and errors are those of `registration.align`."""
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
    return replace(_judged(placed(outcome.matrix, outcome.covariance), a, b, outcome, marks), candidates=candidates,
                   trace=tuple(Stage(name, of, value, placed(pose, None)) for name, of, pose, value in outcome.trace))


@dataclass(frozen=True, eq=False)
class _Outcome:
    """Pose reference -> other, covariance of the correction about the reference's centre, and the numbers behind it."""

    matrix: Floats
    model: Model
    covariance: Floats
    metrics: dict[str, float]
    remarks: tuple[str, ...]
    rivals: tuple[tuple[Floats, float], ...] = ()
    trace: tuple[tuple[str, str, Floats, float], ...] = ()


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
    prior = _prior_std(model, pair.box, pair)
    told_apart = (found.margin > SURE and found.evidence[0] > ENOUGH) or found.held_out >= CONFIRMED
    start = found.poses[:1 if found.margin > SURE else pair.effort.keep[2]]
    poses = start if told_apart else found.contenders
    if found.margin <= SURE:
        around = nearby(middle, poses[0], np.random.default_rng(seed + 4))
        poses = np.concatenate([poses, around[middle.evidence(around).argmax()][None]])
    poses, _ = fine.refined(poses, 0.375 * pair.field_of_view / pair.coarsest, ITERATIONS[2], dims)
    if not told_apart:
        poses = np.concatenate([poses, most_explained(pair, near, far, start, model, prior)])
    poses = np.stack([_constrained(p, pair.start, model) for p in poses])
    both = fine.evidence(poses) + middle.evidence(poses)
    if not told_apart:  # all that may be explained weighs as much as the evidence that is asked for at both levels
        score = np.array([explained_score(pair, near, far, p) for p in poses])
        both = both / (2 * ENOUGH) + score / max(score.max(), 1e-9)
    best = settled(fine, pair.affine(poses[both.argmax()]), model, prior, reference.pixel)
    remarks: list[str] = []
    stages = [(name, "evidence", pair.affine(_constrained(pair.pose(pose), pair.start, model)), value)
              for name, pose, value in found.trace]

    def seen_as(name: str, matrix: Floats) -> tuple[str, str, Floats, float]:
        return name, "evidence", matrix, float(fine.evidence(pair.pose(matrix)[None])[0])

    stages += [seen_as("fine level", pair.affine(poses[both.argmax()])), seen_as("top of the evidence", best.matrix)]
    second = regressed(near, far, best.matrix, model, prior, reference.pixel)
    explained, moved = float("nan"), float("nan")
    if second is None:
        remarks.append("too little of one image falls on the other to compare what they show")
    else:
        at = np.stack([pair.pose(best.matrix), pair.pose(second.spread.matrix)])
        stages.append(("least squares", "explained", second.spread.matrix, second.explained))
        moved, explained = float(pair.distances(at[1:], at[0])[0]), second.explained
        before, after = fine.seen_from(at).evidence(at)
        seen = np.minimum(reference.extent, other.extent / scale)
        if after < KEPT * before:
            remarks.append("least squares led away from the evidence and were not followed")
        elif second.spread.firm:
            shared = floor(model, reference.pixel, float(np.linalg.norm(reference.extent)) / np.sqrt(12))
            best = best.mean(second.spread, shared, model, seen, pair.cr)
        else:
            best = best.against(second.spread.matrix, model, pair.cr)
    rivals = found.poses[found.evidence > found.evidence[0] / PROMISING]
    best = best.among([pair.affine(_constrained(p, pair.start, model)) for p in rivals], model, pair.cr)
    if not best.firm:
        remarks.append("the images do not determine every parameter of the pose")
    metrics = {
        "evidence": float(fine.evidence(pair.pose(best.matrix)[None])[0]), "margin": found.margin,
        "held_out": found.held_out, "attempts": float(found.attempts),
        "explained": explained, "moved_px": moved / reference.pixel, "evidence_middle": float(found.evidence[0]),
    }
    apart = pair.distances(found.poses, pair.pose(best.matrix)) > APART_PART * float(
        min(reference.extent.min(), other.extent.min() / scale))
    others = [(pair.affine(_constrained(p, pair.start, model)), float(e))
              for p, e in zip(found.poses[apart], found.evidence[apart], strict=True)]
    return _Outcome(best.matrix, model, best.covariance, metrics, tuple(remarks), tuple(others[:RIVALS]),
                    (*stages, seen_as("result", best.matrix)))


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
