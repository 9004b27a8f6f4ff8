"""SimpleITK's mutual information for volumes and single sections, wrapped: arrays and nm in, a matrix or a plain reason out.

ITK orders axes x, y, z; everything else here orders them z, y, x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk  # noqa: N813

from registration.transform import Floats, Model
from registration.volume import Volume

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
class Climb:
    """First and last step in nm, and how many samples and steps at most."""

    step: float
    smallest: float
    iterations: int = 80
    samples: int = 40000
    bins: int = 24


def climb_volume(reference: Volume, other: Volume, start: Floats, model: Model, plan: Climb, seed: int) -> tuple[Floats, float]:
    """Improve a pose by Mattes mutual information and regular steps, at one level.

    Parameters
    ----------
    reference : its voxels are the samples
        A single section is a volume of one slice. ITK's own smoothing needs four voxels along every axis, so smooth before.
    other : interpolated
    start : (3, 4)
        Maps positions (z, y, x) nm of the reference to the other; a correction of the given model is put before it.

    Returns
    -------
    matrix (3, 4) and the mutual information in nats (positive).

    Raises
    ------
    MutualInformationError
        If ITK gives up.
    """
    method, correction, base = _method(reference, other, start, model, plan, seed)
    # where every voxel is a sample, the metric heeds the global number of threads only, and sums depend on it
    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(THREADS)
    method.SetOptimizerAsRegularStepGradientDescent(plan.step, plan.smallest, plan.iterations, 0.6, 1e-12)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(correction, True)
    try:
        method.Execute(_image(reference), _image(other))
    except RuntimeError as error:
        raise MutualInformationError(_plain(str(error))) from error
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    matrix = corrected_pose(base, correction, reference.centre, float(np.linalg.norm(reference.extent)))
    return matrix, -float(method.GetMetricValue())


def _method(reference: Volume, other: Volume, start: Floats, model: Model, plan: Climb,
            seed: int) -> tuple[sitk.ImageRegistrationMethod, sitk.Transform, sitk.Transform]:
    base = sitk.AffineTransform(3)
    base.SetMatrix([float(v) for v in start[::-1, 2::-1].ravel()])
    base.SetTranslation([float(v) for v in start[::-1, 3]])
    kinds = {"translation": lambda: sitk.TranslationTransform(3), "rigid": sitk.Euler3DTransform,
             "similarity": sitk.Similarity3DTransform, "affine": lambda: sitk.AffineTransform(3)}
    correction = kinds[model]()
    if model != "translation":
        correction.SetCenter([float(v) for v in reference.centre[::-1]])
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(THREADS)
    method.SetMetricAsMattesMutualInformation(plan.bins)
    fraction = min(1.0, plan.samples / reference.values.size)
    if fraction < 1:
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(fraction, seed + 1)
    if not reference.mask.all():
        method.SetMetricFixedMask(_image(reference, mask=True))
    if not other.mask.all():
        method.SetMetricMovingMask(_image(other, mask=True))
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel([1])
    method.SetSmoothingSigmasPerLevel([0.0])
    method.SetMovingInitialTransform(base)
    return method, correction, base


def _image(volume: Volume, mask: bool = False) -> sitk.Image:
    image = sitk.GetImageFromArray(volume.mask.astype(np.uint8) if mask else volume.values)
    image.SetSpacing([float(v) for v in volume.step[::-1]])
    image.SetOrigin([float(v) for v in volume.origin[::-1]])
    return image


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


def _plain(message: str) -> str:
    lower = message.lower()
    for sign, reason in REASONS:
        if sign in lower:
            return reason
    return "the mutual information could not be climbed from this pose"
