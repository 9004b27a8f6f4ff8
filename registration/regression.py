"""Sharpen a pose by least squares, one image passed through its mean given what the other shows.

Of two techniques one often is a function of what the other shows: of its brightness (inverted, not monotonic, one phase only)
and of how steep it is there (edges). The *template* is the image that predicts the *target* better. At a pose that is nearly
right the mean of the target given brightness and slope of the template is learnt, whatever it is, and the pose is moved by
Gauss-Newton steps until what is left over no longer depends on it (correlation ratio; Roche et al., MICCAI 1998,
10.1007/BFb0056301; source not checked). Every pixel counts with the weight of its noise, which comes near to what the noise
allows, where a criterion of ranks or bins does not.

The mean is learnt from the same pixels as the pose. What it can follow by itself says nothing of the pose: where all slopes of
one brightness point the same way, as across parallel layers, a layer that is moved looks like one of another colour. So each
slope counts by what it differs from the mean slope of its class (Robinson, Econometrica 56, 931 (1988), 10.2307/1912705; source
not checked).

A template is never what the target is a function of, but that with noise, and smoothed against it. On outlines of all
directions what comes of it cancels; parallel layers are all moved the same way, alike in all tiles, and no scatter shows it.
It is found by doing it again: with twice the smoothing, and with the images in each other's place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from registration.picture import Image, Picture, averaged
from registration.quality import blurred
from registration.transform import Floats, Model, model_generators
from registration.uncertainty import FLAT, TILES, Spread, bounded, corrected, floor, tile_scatter

LEVELS, SLOPES = 64, 12
"""Classes of brightness, evenly spaced, and of its slope, spaced as a root: most pixels are flat."""
SMOOTHING = (1.0, 2.0)
"""Smoothing of the template that is tried, in its pixels: little keeps it sharp, much keeps noise out of its slope."""
AS_WELL = 2.5
"""The images change places where what is then left over is at most so many times as much."""
FINER, HALF = 0.7, 0.5
"""A template whose pixel is below the first part of the target's is averaged to the second part of it, and is also tried with
the blur of one pixel of the target."""
TAIL = 0.002
"""Part of the pixels at either end that share the outermost class."""
SPREAD = (1.0, 0.7)
"""Classes over which the mean is smoothed."""
SHADES, LEAST_SHARE = 16, 0.02
"""Classes of predicted value whose noise is measured apart (few counts scatter less than many), and the least variance of one
in units of the whole."""
SEEN = 500
"""Fewest pixels of the template that must fall on the target."""
STRIDES = ((2, 8), (1, 2))
"""Every which pixel along each axis is looked at, and for how many steps at most."""
SETTLED, LONGEST = 0.02, 2.0
"""Step at the rim, pixels, that ends the climb, and the longest one."""


@dataclass(frozen=True, eq=False)
class Regressed:
    """What least squares make of a pose, and the part of the target's variance that the template then explains."""

    spread: Spread
    explained: float


def regressed(reference: Picture, other: Picture, matrix: Floats, model: Model, prior_std: Floats,
              pixel: float) -> Regressed | None:
    """Improve a pose by the regression of one image on the other; None where too little of one falls on the other.

    Nothing keeps the pose in its own neighbourhood: compare the evidence before and after.

    Parameters
    ----------
    reference, other : square pixels
    matrix : (2, 3), reference -> other
        Right to within a few pixels.
    prior_std : (k,)
        Standard deviation of each parameter of a correction about the reference's centre before looking.
    pixel : nm
        Of the coarser image.

    Notes
    -----
    The pose is that of the lesser SMOOTHING. What twice as much moves it by is added to its error in full: the rest of the
    smoothing, down to none, may move it as far again. Where either image explains the other about as well, it is the mean of
    the poses with either as the template. Noise and smoothing of the template move them opposite ways (as the two lines of
    regression are turned), and half of their distance is added to the error.
    """
    fit = _best_fit(reference, other, matrix)
    if fit is None:
        return None
    best = _regressed(fit, reference, matrix, model, prior_std, pixel, STRIDES)
    if best is None or not best.spread.firm:
        return best
    matrix = best.spread.matrix

    def again(other_fit: _Fit) -> Spread | None:
        found = _regressed(other_fit, reference, matrix, model, prior_std, pixel, STRIDES[1:])
        return found.spread if found is not None and found.spread.firm else None

    sharp, smooth = (best.spread if fit.smoothing == s else again(fit.smoothed(s)) for s in SMOOTHING)
    spread = sharp or best.spread
    apart = np.zeros(len(prior_std))
    if sharp is not None and smooth is not None:
        apart = sharp.away(smooth.matrix, model, reference.centre)
    if not _finer(reference, other, matrix):
        turned = fit.turned()
        if 1 - turned.explained(matrix, STRIDES[0][0]) < AS_WELL * (1 - fit.explained(matrix, STRIDES[0][0])):
            back = again(turned)
            spread = spread if back is None else spread.mean(back, None, model, reference.extent, reference.centre)
    return replace(best, spread=replace(spread, covariance=spread.covariance + np.outer(apart, apart)))


def sharpened(reference: Picture, other: Picture, matrix: Floats, model: Model, prior_std: Floats,
              every_pixel: bool) -> tuple[Floats, float] | None:
    """Pose and part explained by the one fit that explains most: soon done, but blind to what its template does to the pose.
    Without `every_pixel` by every second one along each axis, which tells many poses apart at a third of the cost.
    """
    fit = _best_fit(reference, other, matrix)
    if fit is None:
        return None
    strides = STRIDES if every_pixel else STRIDES[:1]
    end = _climbed(fit, reference, matrix, model, *_units(reference, prior_std), strides)
    return end and (end[0], end[1].explained)


def _regressed(fit: _Fit, reference: Picture, matrix: Floats, model: Model, prior_std: Floats, pixel: float,
               strides: tuple[tuple[int, int], ...]) -> Regressed | None:
    """The pose that one fit leads to, with its errors.

    The covariance is that of an estimator with instruments, H⁻¹ B H⁻¹: H sums the products of the slopes that the template
    predicts with those that the target has, B is the scatter over tiles of their products with what is left over. The noise of
    one image knows nothing of the other's, so slopes made of noise do not count as knowledge: a straight edge does not hold a
    pose along itself, however noisy it is.
    """
    unit, precision = _units(reference, prior_std)
    end = _climbed(fit, reference, matrix, model, unit, precision, strides)
    if end is None:
        return None
    matrix, step = end
    w, v = np.linalg.eigh(step.borne_out)
    scatter = tile_scatter(step.pulls, step.offsets, TILES)
    covariance = bounded((v * np.maximum(w, 0)) @ v.T, scatter, precision) * np.outer(unit, unit)
    firm = bool(w[0] > FLAT * w[-1] > 0)
    rim = float(np.linalg.norm(reference.extent)) / np.sqrt(12)
    return Regressed(Spread(matrix, covariance + floor(model, pixel, rim), firm), step.explained)


def _units(reference: Picture, prior_std: Floats) -> tuple[Floats, Floats]:
    """Size (k,) of a correction by one pixel at the rim, and the precision (k, k) of the prior in these units."""
    rim = float(np.linalg.norm(reference.extent)) / np.sqrt(12)
    unit = reference.pixel * np.r_[1.0, 1.0, np.full(len(prior_std) - 2, 1 / rim)]
    return unit, np.diag((unit / prior_std) ** 2)


def _climbed(fit: _Fit, reference: Picture, matrix: Floats, model: Model, unit: Floats, precision: Floats,
             strides: tuple[tuple[int, int], ...]) -> tuple[Floats, _Step] | None:
    """Gauss-Newton steps to the pose at which what is left over no longer depends on it, and the last of them; at least one of
    every stride.
    """
    step, generators = None, model_generators(model, 2)
    for stride, most in strides:
        for _ in range(most):  # at least one, on all pixels at last: its errors are those stated
            step = fit.step(matrix, reference.centre, generators * unit, stride)
            if step is None:
                return None
            change = -np.linalg.solve(step.predicted + precision, step.slope)
            length = float(np.linalg.norm(change))
            change *= min(1.0, LONGEST / (length + 1e-30))
            matrix = corrected(matrix, generators @ (change * unit), reference.centre, model)
            if length < SETTLED:
                break
    assert step is not None
    return matrix, step


def explained_part(reference: Picture, other: Picture, matrix: Floats) -> float:
    """Part of the variance of one image that the other explains at a pose (2, 3) as it is; 0 where too little is seen."""
    fit = _best_fit(reference, other, matrix)
    return 0.0 if fit is None else fit.explained(matrix, STRIDES[0][0])


@dataclass(frozen=True, eq=False)
class _Step:
    """The least squares problem at one pose: information (k, k) as the template predicts it and as the target bears it out,
    slope (k,) of half the squared residual, what each of n pixels adds to it (k, n) and its offset (2, n) from the centre, and
    the part of the target's variance that is explained.
    """

    predicted: Floats
    borne_out: Floats
    slope: Floats
    pulls: Image
    offsets: Image
    explained: float


@dataclass(frozen=True, eq=False)
class _Fit:
    """One image as a function of the other: the `classes` of the template's pixels after `smoothing` by so many of them, and
    the blur in its pixels that makes it as smooth as the target. `forward` says that the template is the reference.
    """

    template: Picture
    target: Picture
    forward: bool
    classes: NDArray[np.int32]
    smoothing: float
    blur: float

    def smoothed(self, smoothing: float) -> _Fit:
        """The same with another smoothing of the template."""
        return replace(self, smoothing=smoothing, classes=_classes(self.template, smoothing * self.template.pixel))

    def turned(self) -> _Fit:
        """The target as the template of the other, smoothed as little as any."""
        return replace(self, template=self.target, target=self.template, forward=not self.forward).smoothed(SMOOTHING[0])

    def explained(self, matrix: Floats, stride: int) -> float:
        """Part of the target's variance that the template explains at a pose; -1 where too little is seen."""
        _, values, seen = self._looked_up(matrix, stride)
        if seen.sum() * stride**2 < SEEN:
            return -1.0
        left = (values - self._mean(values[seen], seen, stride)[::stride, ::stride])[seen]
        return 1 - float((left**2).mean() / (values[seen].var() + 1e-30))

    def step(self, matrix: Floats, centre: Floats, generators: Floats, stride: int) -> _Step | None:
        """The problem for a correction of the reference's positions about its centre by `generators` (6, k); None if too little
        is seen.
        """
        positions, values, seen = self._looked_up(matrix, stride)
        if seen.sum() * stride**2 < SEEN:
            return None
        mean = self._mean(values[seen], seen, stride)
        left = (values - mean[::stride, ::stride])[seen]
        weight = _weights(mean[::stride, ::stride][seen], left)
        reach = positions[:, seen] - centre[:, None].astype(np.float32)

        def slopes(image: Image, spacing: Floats, every: int) -> Image:
            """(k, n) change of the image's value at the pixels when the reference's positions are corrected."""
            along = (np.gradient(image, s, axis=i) for i, s in enumerate(spacing))
            gradient = np.stack([a[::every, ::every][seen] for a in along]).astype(np.float32)
            if not self.forward:
                gradient = -matrix[:, :2].T.astype(np.float32) @ gradient
            full = np.concatenate([gradient, gradient[0] * reach, gradient[1] * reach])
            return cast(Image, generators.T.astype(np.float32) @ full)

        foreseen = slopes(mean, self.template.step, stride)
        for slope in foreseen:  # what the mean of the class would follow by itself
            slope -= self._mean(slope, seen, stride)[::stride, ::stride][seen]
        weighted = foreseen * weight
        actual = slopes(values, self.template.step * stride, 1) if stride == 1 else foreseen
        borne_out = (weighted @ actual.T).astype(np.float64)
        explained = 1 - float((left**2).mean() / (values[seen].var() + 1e-30))
        return _Step((weighted @ foreseen.T).astype(np.float64), (borne_out + borne_out.T) / 2,
                     (weighted @ left).astype(np.float64), weighted * left, reach, explained)

    def _looked_up(self, matrix: Floats, stride: int) -> tuple[Image, Image, NDArray[np.bool_]]:
        """Positions (2, ny, nx) nm of the template's pixels in the reference's frame, the target's values there, and where both
        hold data.
        """
        template, target = self.template, self.target
        y, x = (template.origin[i] + np.arange(0, template.shape[i], stride) * template.step[i] for i in (0, 1))
        there = matrix if self.forward else _inverse(matrix)
        moved = there[:, 0, None, None] * y[:, None] + there[:, 1, None, None] * x + there[:, 2, None, None]
        at = (moved - target.origin[:, None, None]) / target.step[:, None, None]
        ny, nx = target.shape
        seen = (at[0] >= 1) & (at[0] <= ny - 2) & (at[1] >= 1) & (at[1] <= nx - 2)
        if template.mask.min() < 0.5:
            seen &= template.mask[::stride, ::stride] > 0.5
        if target.mask.min() < 0.5:
            seen &= ndi.map_coordinates(target.mask, at, order=1, output=np.float32) > 0.99
        values = ndi.map_coordinates(target.values, at, order=1, mode="nearest", output=np.float32)
        here = np.stack(np.broadcast_arrays(y[:, None], x)) if self.forward else moved
        return here.astype(np.float32), values, seen

    def _mean(self, shown: Image, seen: NDArray[np.bool_], stride: int) -> Image:
        """The mean, given the class, of what is shown at the pixels that are seen, on all pixels of the template."""
        chosen = self.classes[::stride, ::stride][seen]
        count, total = (ndi.gaussian_filter(np.bincount(chosen, w, LEVELS * SLOPES).reshape(LEVELS, SLOPES).astype(np.float64),
                                            SPREAD, mode="constant", truncate=3.0) for w in (None, shown))
        table = (total + shown.mean(dtype=np.float64)) / (count + 1)
        mean = table.astype(np.float32).ravel()[self.classes]
        if self.blur:
            mean = ndi.gaussian_filter(mean, self.blur, truncate=3.0)
            x = mean[::stride, ::stride][seen]
            gain = float(np.cov(x, shown)[0, 1] / (x.var(dtype=np.float64) + 1e-30))
            mean = (np.float32(gain) * mean + np.float32(shown.mean() - gain * x.mean())).astype(np.float32)
        return cast(Image, mean)


def _best_fit(reference: Picture, other: Picture, matrix: Floats) -> _Fit | None:
    """The template, its smoothing and its blur that explain most at a pose; None where too little is seen of either."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    finer = _finer(reference, other, matrix)
    if finer:
        other = averaged(other, HALF * scale * reference.pixel)
    blurs = (0.0, scale * reference.pixel / other.pixel) if finer else (0.0,)
    sides = [(other, reference, False)] if finer else [(reference, other, True), (other, reference, False)]
    best, most = None, -1.0
    for smoothing in SMOOTHING:
        for template, target, forward in sides:
            classes = _classes(template, smoothing * template.pixel)
            for blur in blurs:
                fit = _Fit(template, target, forward, classes, smoothing, blur)
                explained = fit.explained(matrix, STRIDES[0][0])
                if explained > most:
                    best, most = fit, explained
        if best is not None:  # the better side is told by the first smoothing already
            sides = [(best.template, best.target, best.forward)]
    return best


def _finer(reference: Picture, other: Picture, matrix: Floats) -> bool:
    """Whether the other's pixels are so much finer that it is the template."""
    return other.pixel < FINER * float(np.sqrt(abs(np.linalg.det(matrix[:, :2])))) * reference.pixel


def _classes(template: Picture, sigma: float) -> NDArray[np.int32]:
    """Class of brightness and slope of every pixel."""
    smooth = blurred(template, sigma)
    slope = np.sqrt(np.hypot(*np.gradient(smooth)))
    kept = template.mask > 0.5

    def level(a: Image, low: float, high: float, count: int) -> NDArray[np.int32]:
        return cast(NDArray[np.int32], np.clip((a - low) * (count / (high - low + 1e-30)), 0, count - 1).astype(np.int32))

    low, high = np.quantile(smooth[kept][::7], [TAIL, 1 - TAIL])
    steepest = float(np.quantile(slope[kept][::7], 1 - TAIL))
    return level(smooth, low, high, LEVELS) * SLOPES + level(slope, 0.0, steepest, SLOPES)


def _weights(mean: Image, left: Image) -> Image:
    """One over the variance of what is left over, by predicted value."""
    low, high = float(mean.min()), float(mean.max())
    shade = np.minimum((mean - low) * (SHADES / (high - low + 1e-30)), SHADES - 1).astype(np.int32)
    count, total = np.bincount(shade, minlength=SHADES), np.bincount(shade, left**2, SHADES)
    whole = float(total.sum() / count.sum()) + 1e-30
    variance = ndi.gaussian_filter1d((total + 50 * whole) / (count + 50), 0.7, mode="nearest")
    return cast(Image, (1 / np.maximum(variance, LEAST_SHARE * whole)).astype(np.float32)[shade])


def _inverse(matrix: Floats) -> Floats:
    back = np.linalg.inv(matrix[:, :2])
    return cast(Floats, np.c_[back, -back @ matrix[:, 2]])
