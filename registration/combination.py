"""Two independent transforms between the same frames made one, weighted by what each is sure of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from scipy.linalg import expm
from scipy.special import chdtrc

from registration.transform import (
    MODELS,
    Floats,
    Transform,
    TransformError,
    carried_covariance,
    model_generators,
    reduced_covariance,
)

APART = 1e-3
"""Probability below which two transforms contradict one another."""


@dataclass(frozen=True, eq=False)
class Combination:
    """The weighted mean, and the `probability` that chance alone sets two transforms with the stated errors so far apart."""

    transform: Transform
    probability: float


def combined(first: Transform, second: Transform) -> Combination:
    """The mean of two transforms, weighted by the inverse of their covariances (first order).

    A parameter that the model of one lacks is as exact as that model says: combine transforms of one model unless a rigid one
    is meant to keep the scale.

    Raises
    ------
    TransformError
        If they lead between different frames or one of them states no covariance.
    """
    if (first.source, first.target, first.ndim) != (second.source, second.target, second.ndim):
        raise TransformError(f"a transform {first.source!r} -> {first.target!r} ({first.ndim}D) cannot be combined with one "
                             f"{second.source!r} -> {second.target!r} ({second.ndim}D)")
    if first.covariance is None or second.covariance is None:
        raise TransformError("a transform without a covariance has no weight; it cannot be combined with another one")
    d = first.ndim
    model = MODELS[max(MODELS.index(first.model), MODELS.index(second.model))]
    pivot, theirs = (t.apply(cast(Floats, t.centre)[None])[0] for t in (first, second))
    generators = model_generators(model, d)
    one = _within(first, first.covariance, generators)
    full = model_generators(second.model, d) @ second.covariance @ model_generators(second.model, d).T
    other = reduced_covariance(model, d, carried_covariance(np.eye(d), full, np.eye(d), pivot - theirs))
    change = second.linear @ np.linalg.inv(first.linear)
    shift = change @ (pivot - first.shift) + second.shift - pivot
    apart = np.linalg.pinv(generators) @ np.r_[shift, (change - np.eye(d)).ravel()]
    scale = np.sqrt(np.maximum(np.diag(one + other), 0))
    scale[scale <= 0] = np.inf
    weight = np.linalg.pinv((one + other) / np.outer(scale, scale), rcond=1e-12, hermitian=True) / np.outer(scale, scale)
    covariance = one - one @ weight @ one
    step = generators @ (one @ weight @ apart)
    turn = step[d:].reshape(d, d)
    linear = np.eye(d) + turn if model == "affine" else expm(turn)
    matrix = np.c_[linear @ first.linear, linear @ (first.shift - pivot) + pivot + step[:d]]
    transform = replace(first, matrix=matrix, model=model, covariance=(covariance + covariance.T) / 2)
    return Combination(transform, float(chdtrc(int(np.isfinite(scale).sum()), apart @ weight @ apart)))


def _within(transform: Transform, covariance: Floats, generators: Floats) -> Floats:
    """Covariance of a transform among the parameters of a wider model."""
    carry = np.linalg.pinv(generators) @ model_generators(transform.model, transform.ndim)
    return carry @ covariance @ carry.T
