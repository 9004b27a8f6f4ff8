"""Drift of a series of images: movies, energy stacks, tilt series, slices of a volume."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.ndimage as ndi
import xarray as xr
from numpy.typing import NDArray

from datasets.errors import DatasetError
from registration.lags import LAGS, shifts_over_lags
from registration.picture import DIMS
from registration.series import FEWEST, Series, read_series
from registration.shift_graph import Shifts, positions
from registration.template import Placed, Template
from registration.transform import Floats, Transform

COARSE, FINE = 256, 1024
"""Longest sides, in pixels, of the frames on which shifts are sought and refined."""
SWEEPS = 3
CLEAR = 6.5
"""A peak of this many standard deviations is no chance among the 10^5 places where it could be."""
FIRM = 12.0
"""Frames whose neighbours are not this clear at least are looked at together."""
PAIR_NOISE_PX = 0.5
MOST_TOGETHER = 32
BLURRED = 0.7
"""A frame that shows less than this part of its neighbours' fine structure is blurred."""
UNLIKE = 0.5
"""A frame that surely shows less than this part of what its neighbours show of the picture shows something else."""
SURE = 4.0
NEIGHBOURS = 21


def drift(images: xr.DataArray, dim: Hashable = "time", mask: xr.DataArray | NDArray[np.bool_] | None = None,
          lags: tuple[int, ...] = LAGS) -> xr.Dataset:
    """Where the specimen has moved to in every frame of a series, and which frames are of use.

    Shifts between frames over many lags (correlation weighted for noise, `lags.py`) are reconciled by robust least squares
    (`shift_graph.py`), then every frame is fitted to the picture that the others make together (`template.py`). Frames too weak
    to be recognised are summed with their neighbours, and positions of single frames interpolated. Contrast may change slowly
    along the series (staining, deposition, an energy ramp within one sign of contrast): pictures of distant frames then count
    for less.

    Parameters
    ----------
    images : (dim, y, x), y and x in nm
        May be lazy: three or more passes are made, and one frame at a time is loaded. Values that are not finite are left out.
    dim
        What counts the frames: `time`, `energy_loss`, `photon_energy`, `tilt`, `z` ...
    mask : (y, x)
        True where data are to be used. Mask what does not move with the specimen (dead pixels, a beam stop, dirt on the
        detector): it says that there was no drift.
    lags
        Distances, in frames, between frames that are compared. Shorten them when contrast changes quickly.

    Returns
    -------
    Dataset over `dim` with
    `shift` (dim, axis), nm: a feature at p in the series' own frame is seen at p + shift. The mean over frames that are
    kept is zero, so that the error of no single frame enters all others;
    `shift_std` (dim, axis), nm, and `shift_covariance` (dim, axis, other_axis), nm²: of the shift against that mean;
    `kept` (dim,) and `reason` (dim,): why a frame is of no use: `empty` or `unlike the others`, where the shift is
    NaN, or `blurred`;
    `sharpness` (dim,): part of the fine structure that is seen, relative to the frame's neighbours, and `sharpness_std`.

    Raises
    ------
    ImageError
        If the series is not calibrated in nm, or has fewer than three frames.
    DatasetError
        If no two frames show the same thing.

    Notes
    -----
    A slow change of the specimen that looks like a shift everywhere (a slanted wall met by successive slices) cannot be told
    from drift: slices of a volume need a fiducial or a known straight edge. A tilt series' own perspective is not modelled.
    """
    series = read_series(images, dim, mask)
    coarse, fine = series.binned(COARSE), series.binned(FINE)
    start, together, believed, showing = _start(coarse, lags)
    reason = np.where(np.isfinite(start).all(1), "", np.where(showing, "unlike the others", "empty")).astype(object)
    placed, sharp, sharp_std = _refined(fine.summed(together), start * coarse.block / fine.block, reason)
    kept = np.asarray(reason == "")
    if kept.sum() < 2:
        raise DatasetError(f"{images.name or 'series'}: {int(kept.sum())} of {len(kept)} frames show the same thing; "
                           "there is no drift to measure")
    pixels = placed.shift - placed.shift[kept].mean(0)
    covariance = _about_mean(placed.covariance, kept)
    if together > 1:
        pixels, covariance, kept, reason, sharp, sharp_std = _single_frames(
            series.length, together, pixels, covariance, kept, reason, sharp, sharp_std)
    nm2 = covariance * fine.step[:, None] * fine.step[None]
    return xr.Dataset({
        "shift": ((dim, "axis"), pixels * fine.step, {"units": "nm", "long_name": "shift of the specimen"}),
        "shift_std": ((dim, "axis"), np.sqrt(np.einsum("tii->ti", nm2)), {"units": "nm"}),
        "shift_covariance": ((dim, "axis", "other_axis"), nm2, {"units": "nm2"}),
        "kept": (dim, kept, {"units": "1"}),
        "reason": (dim, reason.astype(str), {"units": "1"}),
        "sharpness": (dim, sharp, {"units": "1", "long_name": "fine structure, relative to neighbouring frames"}),
        "sharpness_std": (dim, sharp_std, {"units": "1"}),
    }, {**({dim: images[dim]} if dim in images.coords else {}), "axis": list(DIMS), "other_axis": list(DIMS)}, {
        "pixel_nm": np.abs(series.step).tolist(), "lags": list(lags), "frames_together": together, "pairs_believed": believed,
        **({"frame": images.attrs["frame"]} if "frame" in images.attrs else {}),
    })


def frame_transforms(found: xr.Dataset, source: str, target: str) -> list[Transform | None]:
    """Transforms that take each frame, named `source` with its number in braces, to the series' own frame `target`.

    `source` holds `{}`, as in `"movie/{}"`. None for frames that are not kept.
    """
    transforms: list[Transform | None] = []
    for t, kept in enumerate(found.kept.values):
        if not kept:
            transforms.append(None)
            continue
        transforms.append(Transform(source.format(t), target, np.c_[np.eye(2), -found["shift"].values[t]], "translation", None,
                                    found.shift_covariance.values[t]))
    return transforms


def mean_image(images: xr.DataArray, found: xr.Dataset, dim: Hashable = "time",
               frames: NDArray[np.bool_] | None = None) -> xr.Dataset:
    """Mean of the kept frames after their drift is taken out, on the pixels of the series.

    Every pixel is put, whole, to the nearest place, so counts stay counts and noise stays white; that costs a blur of
    1/sqrt(12) pixel, which drift spreads evenly.

    Parameters
    ----------
    images, found, dim : as given to and by `drift`
    frames : (dim,) bool
        Use only these of the kept frames.

    Returns
    -------
    Dataset with the mean (y, x) under the images' name or `values`, NaN where no frame looked; `<name>_std`, from the scatter
    between frames, NaN with fewer than two; `visits` (y, x), frames that saw a place.
    """
    series = read_series(images, dim)
    use = found.kept.values if frames is None else found.kept.values & np.asarray(frames, bool)
    total, squares, visits = (np.zeros(series.shape) for _ in range(3))
    for t in np.flatnonzero(use):
        frame = series[int(t)]
        move = np.rint(-found["shift"].values[t] / series.step).astype(int)
        here, there = zip(*(_overlap(n, m) for n, m in zip(series.shape, move, strict=True)), strict=True)
        values, weight = frame.values[here].astype(np.float64), frame.weight[here]
        total[there] += values
        squares[there] += values**2
        visits[there] += weight
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(visits > 0, total / visits, np.nan)
        variance = np.where(visits > 1, (squares / visits - mean**2) / (visits - 1), np.nan)
    name = str(images.name or "values")
    units = {"units": images.attrs.get("units", "arbitrary")}
    return xr.Dataset({name: (DIMS, mean, {**images.attrs, **units}),
                       f"{name}_std": (DIMS, np.sqrt(np.maximum(variance, 0)), units),
                       "visits": (DIMS, visits.astype(int), {"units": "1"})}, {d: images[d] for d in DIMS})


def _start(series: Series, lags: tuple[int, ...]) -> tuple[Floats, int, float, NDArray[np.bool_]]:
    """Positions (n, 2) in pixels from pairs of frames or of sums of neighbours, how many were summed, the part of pairs that
    was believed, and which frames show anything.
    """
    together = 1
    while True:
        summed = series.summed(together)
        pairs, showing = shifts_over_lags(summed, lags)
        clear = pairs.strength > CLEAR
        near = pairs.second - pairs.first == lags[0]
        if (near.any() and np.median(pairs.strength[near]) > FIRM) or together >= MOST_TOGETHER or summed.length < 2 * FEWEST:
            break
        together *= 2
    if not clear.any():
        raise DatasetError(f"{series.source.name or 'series'}: no two of {series.length} frames show the same thing, even when "
                           f"{together} at a time are summed; look at the frames, or mask what does not belong to the specimen")
    pairs = Shifts(pairs.first[clear], pairs.second[clear], pairs.shift[clear], pairs.strength[clear])
    at, believed = positions(summed.length, pairs, PAIR_NOISE_PX)
    return at, together, float(believed.mean()), showing


def _refined(series: Series, shift: Floats, reason: NDArray[np.object_]) -> tuple[Placed, Floats, Floats]:
    """Sweeps of fitting every frame to the picture of the others; frames found useless leave the picture and get a reason."""
    noise = None
    for _ in range(SWEEPS):
        template = Template(series, shift, np.asarray(reason == ""), noise)
        template.gather(shift)
        placed = template.place(shift)
        noise, shift = template.noise_model, placed.shift
        seen = placed.gain[:, 0]
        usual = _running_median(seen, np.asarray(reason == "") & np.isfinite(seen))
        lost = ~np.isfinite(shift).all(1) | (seen + SURE * placed.gain_std[:, 0] < UNLIKE * usual)
        sharp, sharp_std = _sharpness(placed, np.asarray(reason == "") & ~lost)
        blurred = sharp < np.minimum(BLURRED, 1 - SURE * sharp_std)
        open_ = np.isin(reason, ["", "blurred"])
        reason[open_] = np.where(lost, "unlike the others", np.where(blurred, "blurred", ""))[open_]
        if (reason == "").sum() < 2:
            break
    gone = ~np.isin(reason, ["", "blurred"])
    return replace(placed, shift=np.where(gone[:, None], np.nan, shift),
                   covariance=np.where(gone[:, None, None], np.nan, placed.covariance)), sharp, sharp_std


def _single_frames(n: int, together: int, shift: Floats, covariance: Floats, kept: NDArray[np.bool_],
                   reason: NDArray[np.object_], *others: Floats) -> tuple[Any, ...]:
    """Groups' results given to their frames: shifts interpolated, with half the way to the next group as further doubt."""
    group = np.minimum(np.arange(n) // together, len(kept) - 1)
    middle = (np.arange(len(kept)) + 0.5) * together - 0.5
    each = np.stack([np.interp(np.arange(n), middle[kept], shift[kept, i]) for i in (0, 1)], 1)
    way: Floats = np.asarray(np.gradient(shift[kept], axis=0), np.float64)
    doubt = np.stack([np.interp(np.arange(n), middle[kept], way[:, i] / 2) for i in (0, 1)], 1)
    wide = covariance[group] + doubt[:, :, None] ** 2 * np.eye(2)
    lost = np.isnan(shift[group, 0])
    return (np.where(lost[:, None], np.nan, each), wide, kept[group], reason[group], *(a[group] for a in others))


def _sharpness(placed: Placed, used: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Fine over coarse structure of each frame, relative to the running median of its neighbours."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = placed.gain[:, 1] / placed.gain[:, 0]
        std = np.hypot(placed.gain_std[:, 1], ratio * placed.gain_std[:, 0]) / np.abs(placed.gain[:, 0])
    seen = used & np.isfinite(ratio)
    usual = _running_median(ratio, seen)
    if seen.any():
        std = np.maximum(std, 1.4826 * np.median(np.abs(ratio - usual)[seen]))
    return ratio / usual, std / np.abs(usual)


def _running_median(values: Floats, used: NDArray[np.bool_]) -> Floats:
    """Median over the used neighbours of each frame."""
    index = np.flatnonzero(used)
    if not len(index):
        return np.full(len(values), np.nan)
    middle = ndi.median_filter(values[index], min(NEIGHBOURS, len(index) | 1), mode="nearest")
    return np.asarray(np.interp(np.arange(len(values)), index, middle), np.float64)


def _about_mean(covariance: Floats, kept: NDArray[np.bool_]) -> Floats:
    """Covariance of each shift against the mean of the kept ones, errors of different frames being independent."""
    n = int(kept.sum())
    share = kept[:, None, None] / n
    return np.asarray(covariance * (1 - 2 * share) + covariance[kept].sum(0) / n**2, np.float64)


def _overlap(n: int, move: int) -> tuple[slice, slice]:
    """Where pixels that stay inside after a move come from, and where they go."""
    return slice(max(0, -move), max(0, min(n, n - move))), slice(max(0, move), max(0, min(n, n + move)))
