"""Landmarks beside intensities: where to search, what confirms a pose, and what to believe when the two disagree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from registration.alignment import Alignment
from registration.combination import APART, combined
from registration.landmarks import LandmarkError, LandmarkFit, Landmarks, fit_landmarks
from registration.picture import Picture
from registration.search_box import SearchBox
from registration.transform import MODELS, Model, Transform

REACH = 4.0
"""Standard deviations about the landmarks' pose in which the images are searched."""
CONTRADICTED = "the images contradict the landmarks, which are returned"
LEAST_BOX = SearchBox(rotation_deg=2.0, scale=1.02, shift=0.04)


def fit_widest(landmarks: Landmarks, model: Model, source: str, target: str, ndim: int = 2) -> LandmarkFit:
    """The fit of the model, or of the widest narrower one that so many landmarks determine.

    Raises
    ------
    LandmarkError
        If they do not even determine a shift, or are not a `Landmarks` in so many dimensions.
    """
    if not isinstance(landmarks, Landmarks) or landmarks.ndim != ndim:
        order = "(y, x)" if ndim == 2 else "(z, y, x)"
        raise LandmarkError(f"landmarks beside {'images' if ndim == 2 else 'volumes'} are a Landmarks object with positions "
                            f"{order} in nm")
    fits, fault = [], None
    for candidate in MODELS[:MODELS.index(model) + 1][::-1]:
        try:
            fits.append(fit_landmarks(landmarks, candidate, source, target))
        except LandmarkError as error:
            fault = fault or error
    if not fits:
        raise LandmarkError(str(fault))
    return next((f for f in fits if f.transform.covariance is not None), fits[0])


def box_about(fit: LandmarkFit, moving: Picture, fixed: Picture) -> SearchBox:
    """The poses that landmarks leave open; any of the default ones where they do not state their error."""
    transform = fit.transform
    if transform.covariance is None or transform.model == "translation":
        return SearchBox()
    middle, rim = (float(np.linalg.norm(transform.std_at(p), axis=1).max()) for p in (moving.centre[None], moving.corners()))
    radius = float(np.linalg.norm(moving.corners()[0] - moving.centre)) * transform.scale
    turn = REACH * float(np.sqrt(max(rim**2 - middle**2, 0.0))) / radius
    shift = REACH * middle / float(max(fixed.extent.max(), moving.extent.max() * transform.scale))
    least, most = LEAST_BOX, SearchBox()
    return SearchBox(min(max(least.rotation_deg, float(np.rad2deg(turn))), most.rotation_deg),
                     min(max(least.scale, 1 + turn), most.scale), min(max(least.shift, shift), most.shift))


def weighed_together(found: Transform, fit: LandmarkFit) -> tuple[Transform, float]:
    """The transform that both support, and the probability that chance sets them so far apart; NaN where the landmarks state no
    error of the same model, so that they can only have started the search.
    """
    marks = fit.transform
    if marks.covariance is None or found.covariance is None or marks.model != found.model:
        return found, float("nan")
    both = combined(found, marks)
    return (both.transform if both.probability >= APART else marks), both.probability


def judged_together(found: Alignment, fit: LandmarkFit) -> Alignment:
    """An alignment from images and a fit of landmarks made one; the landmarks, as doubtful, where the two contradict."""
    assert isinstance(found.transform, Transform)
    transform, probability = weighed_together(found.transform, fit)
    metrics = found.metrics | {"landmark_probability": probability, "landmark_nm": fit.localisation_nm}
    reasons = (*found.reasons, *(f"landmarks: {r}" for r in fit.remarks))
    if probability < APART:
        return replace(found, transform=transform, verdict="doubtful", reasons=(CONTRADICTED, *reasons), metrics=metrics)
    return replace(found, transform=transform, reasons=reasons, metrics=metrics)
