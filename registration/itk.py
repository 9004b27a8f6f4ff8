"""SimpleITK's mutual information, wrapped: arrays and nm in, a matrix or a plain reason out.

ITK orders axes x, y; everything else here orders them y, x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk  # noqa: N813

from registration.picture import Image, Picture
from registration.transform import Floats, Model

THREADS = 1
"""Sums over threads depend on their number: fixed, so that the same input gives the same transform bit for bit."""
REASONS = (
    ("all samples map outside", "no sample of one image falls on the other"),
    ("too many samples", "too few samples of one image fall on the other"),
    ("joint pdf", "the images share no grey values where they overlap"),
    ("zero-valued", "the images share no grey values where they overlap"),
    ("image information", "an image is too small for the pyramid"),
)


class MutualInformationError(RuntimeError):
    """ITK could not improve a pose; the message is a reason a person understands."""


@dataclass(frozen=True)
class Plan:
    """How to climb: shrink factors and samples per level, first step and last step in nm."""

    shrink: tuple[int, ...] = (2, 1)
    samples: tuple[int, ...] = (30000, 60000)
    step: float = 1.0
    smallest: float = 0.02
    iterations: int = 60
    bins: int = 32


def climb_mutual_information(reference: Picture, other: Picture, start: Floats, model: Model, plan: Plan,
                             seed: int) -> tuple[Floats, float]:
    """Improve a pose by Mattes mutual information and regular steps (Mattes et al., IEEE TMI 22, 120 (2003),
    10.1109/TMI.2003.809072; source not checked).

    Parameters
    ----------
    reference : its pixels are the samples
    other : interpolated; smooth it to the footprint of the reference first
    start : (2, 3)
        Maps positions (y, x) nm of the reference to the other image. A correction of the given model is put before it, so
        a mirror or a known distortion in `start` is kept.
    seed : int
        Of the random choice of samples.

    Returns
    -------
    matrix (2, 3) and the mutual information in nats (positive).

    Raises
    ------
    MutualInformationError
        If ITK gives up.
    """
    fixed, moving = _itk_image(reference.values, reference), _itk_image(other.values, other)
    base = sitk.AffineTransform(2)
    base.SetMatrix([float(v) for v in start[::-1, 1::-1].ravel()])
    base.SetTranslation([float(v) for v in start[::-1, 2]])
    correction = _correction(model)
    if model != "translation":
        correction.SetCenter([float(v) for v in reference.centre[::-1]])
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(THREADS)
    method.SetMetricAsMattesMutualInformation(plan.bins)
    count = fixed.GetNumberOfPixels()
    fractions = [min(1.0, n * s * s / count) for s, n in zip(plan.shrink, plan.samples, strict=True)]
    if min(fractions) < 1:
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentagePerLevel(fractions, seed + 1)
    if reference.mask.min() < 0.5:
        method.SetMetricFixedMask(_itk_image((reference.mask > 0.5).astype(np.uint8), reference))
    if other.mask.min() < 0.5:
        method.SetMetricMovingMask(_itk_image((other.mask > 0.5).astype(np.uint8), other))
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(plan.step, plan.smallest, plan.iterations, 0.6, 1e-12)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(list(plan.shrink))
    method.SetSmoothingSigmasPerLevel([0.5 * s * reference.pixel if s > 1 else 0.0 for s in plan.shrink])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetMovingInitialTransform(base)
    method.SetInitialTransform(correction, True)
    try:
        method.Execute(fixed, moving)
    except RuntimeError as error:
        raise MutualInformationError(_plain(str(error))) from error
    matrix = corrected_pose(base, correction, reference.centre, float(np.linalg.norm(reference.extent)))
    return matrix, -float(method.GetMetricValue())


def corrected_pose(base: sitk.Transform, correction: sitk.Transform, centre: Floats, size_nm: float) -> Floats:
    """Matrix (d, d + 1), in numpy's order of axes, of a correction followed by the pose that it corrects.

    Read off where ITK puts the centre of the reference and points a field's size away from it along each axis.
    """
    probe = np.vstack([np.zeros(centre.size), np.eye(centre.size) * size_nm]) + centre
    images = np.array([base.TransformPoint(correction.TransformPoint(p.tolist())) for p in probe[:, ::-1]])[:, ::-1]
    linear = np.linalg.solve(probe[1:] - probe[0], images[1:] - images[0]).T
    matrix: Floats = np.c_[linear, images[0] - linear @ probe[0]]
    if not np.isfinite(matrix).all():
        raise MutualInformationError("the mutual information led to no finite pose")
    return matrix


def _correction(model: Model) -> sitk.Transform:
    return {"translation": sitk.TranslationTransform, "affine": sitk.AffineTransform}[model](2) if model in (
        "translation", "affine") else {"rigid": sitk.Euler2DTransform, "similarity": sitk.Similarity2DTransform}[model]()


def _itk_image(values: Image | np.ndarray, like: Picture) -> sitk.Image:
    image = sitk.GetImageFromArray(values)
    image.SetSpacing([float(v) for v in like.step[::-1]])
    image.SetOrigin([float(v) for v in like.origin[::-1]])
    return image


def _plain(message: str) -> str:
    lower = message.lower()
    for sign, reason in REASONS:
        if sign in lower:
            return reason
    return "the mutual information could not be climbed from this pose"
