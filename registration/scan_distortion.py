"""What a drifting stage and an unsteady scan did to two slow scans at right angles, and the image without it.

A scan line is recorded in milliseconds, a frame in seconds: each line is straight, but its origin is off by where the specimen
had gone meanwhile. Along its lines a scan knows the specimen's lengths, across them it does not; a second scan turned by 90°
knows just the others, so that both together have one answer (Ophus, Ciston & Nelson, Ultramicroscopy 162, 1 (2016),
10.1016/j.ultramic.2015.12.002; source not checked). There the origins are moved by trial; here they are those of least squares
between the two scans, whose normal matrix also tells how sure each one is.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import scipy.ndimage as ndi
import xarray as xr
from scipy.linalg import cho_factor, cho_solve

from registration.picture import DIMS, ImageError, Masks, Picture, picture
from registration.transform import Floats

SIGMAS_PX = (8.0, 4.0, 2.0, 1.0)
"""Smoothing from coarse to fine: it must reach as far as the lines are off, then let fine structure speak."""
LAST_PX = 0.7
"""Width at which one scan, put right, is compared with the other's lines in the end."""
STEPS = 6
MOST_LINES = 2600
"""Of both scans: their normal matrix is dense, and a few of 0.2 GiB are held at a time."""
LARGEST_PX = 1.0
"""Largest step of an origin, in units of the smoothing."""
WALK_PX = (0.02, 2.0)
"""Least and most standard deviation of the change of an origin from one line to the next."""
FLOOR_PX = 0.05
"""Standard deviation of what interpolation between pixels and lines that are not quite straight add."""
SPLAT_PX = 0.5
"""Width of the Gaussian by which pixels that are not on a grid are brought to one."""
FEWEST = 0.1
"""Of a pixel's usual number of neighbours: below that the corrected image has no value."""


def undistorted(row_scan: xr.DataArray, column_scan: xr.DataArray, masks: Masks | None = None) -> xr.Dataset:
    """The image that two slow scans at right angles agree on, and where each of their lines really began.

    Parameters
    ----------
    row_scan, column_scan : (y, x), coordinates in nm, on one grid
        Of one field with one contrast: in the first a line is a row, in the second a column, so a scan that the microscope
        turned by 90° is turned back first (`numpy.rot90`).
    masks : (row_scan, column_scan)
        True where data are to be used; either may be None.

    Returns
    -------
    Dataset with
    `image` (y, x): the mean of both scans with every line in its place, NaN where no line came;
    `row_shift` (y, axis) and `column_shift` (x, axis), nm: what must be added to the nominal positions (y, x) of a line's
    pixels; where the field as a whole lies cannot be known, and the mean over all lines of both scans is zero;
    `row_shift_std`, `column_shift_std`: their standard deviations (first order, white noise; a line that shows nothing is as
    unsure as the walk of its neighbours makes it).
    `attrs`: `residual_before` and `residual_after`, root mean square difference of the two scans, and `walk_px`, the standard
    deviation of the step from line to line that the scans themselves set.

    Raises
    ------
    ImageError
        If a scan is not calibrated in nm, the two are not on one grid or have more than MOST_LINES lines, or they agree no
        better with their lines moved.
    """
    first, second = masks or (None, None)
    a, b = picture(row_scan, "scan of rows", first), picture(column_scan, "scan of columns", second)
    near = 0.1 * float(a.step.min())
    if a.shape != b.shape or not np.allclose(a.step, b.step, rtol=1e-3) or np.abs(a.origin - b.origin).max() > near:
        raise ImageError(f"the scans are not on one grid: {a.shape} pixels of {_steps(a)} nm and {b.shape} of {_steps(b)} nm; "
                         "turn the second one back, or resample it")
    if sum(a.shape) > MOST_LINES:
        raise ImageError(f"the scans have {sum(a.shape)} lines together, and memory grows with their square; cut them into "
                         f"parts of {MOST_LINES} lines at most")
    fit = _Lines(a, b)
    before = fit.residual_rms()
    walk = fit.settle()
    after = fit.residual_rms()
    if after >= before:
        raise ImageError(f"the two scans agree no better with their lines moved ({after:.3g} against {before:.3g}); "
                         "do they show one field with one contrast?")
    rows, columns = fit.origins()
    row_std, column_std = fit.std()
    axis = ("axis", list(DIMS))
    coords = {d: (d, a.origin[i] + a.step[i] * np.arange(a.shape[i]), {"units": "nm"}) for i, d in enumerate(DIMS)}
    nm = {"units": "nm"}
    units = {"units": row_scan.attrs.get("units", "arbitrary")}
    return xr.Dataset(
        {"image": (DIMS, fit.corrected(), units),
         "row_shift": (("y", "axis"), rows * a.step, nm), "row_shift_std": (("y", "axis"), row_std * a.step, nm),
         "column_shift": (("x", "axis"), columns * a.step, nm), "column_shift_std": (("x", "axis"), column_std * a.step, nm)},
        {**coords, "axis": axis}, {"residual_before": before, "residual_after": after, "walk_px": walk})


class _Lines:
    """Origins of all lines of both scans in pixels: (ny + nx, 2), rows first."""

    def __init__(self, rows: Picture, columns: Picture) -> None:
        self.rows, self.columns = (np.asarray(p.values, np.float64) for p in (rows, columns))
        self.seen = [np.asarray(p.mask > 0.5) for p in (rows, columns)]
        self.shape = rows.shape
        ny, nx = self.shape
        self.offsets = np.zeros((ny + nx, 2))
        self._grid = np.moveaxis(np.mgrid[:ny, :nx], 0, -1).astype(np.float64)
        self._walk = _walk_energy(ny, nx)
        self._factor: tuple[Floats, bool] | None = None

    def settle(self) -> float:
        """Least squares from coarse to fine; the standard deviation of the walk that the scans set."""
        stiffness = 1 / WALK_PX[1] ** 2
        for sigma in (*SIGMAS_PX, LAST_PX):
            smooth = [_smoothed(v, m, sigma) for v, m in zip((self.rows, self.columns), self.seen, strict=True)]
            for turn in range(STEPS):
                normal, right = self._normal(*smooth) if sigma > LAST_PX else self._line_by_line()
                energy = stiffness * self._walk
                flat = self.offsets.T.ravel()
                ridge = 1e-6 * float(np.trace(normal)) / len(normal) * np.eye(len(normal))
                self._factor = cho_factor(normal + energy + ridge)
                step = cho_solve(self._factor, right - energy @ flat)
                step *= min(1.0, LARGEST_PX * sigma / max(float(np.abs(step).max()), 1e-12))
                self.offsets = self.offsets + step.reshape(2, -1).T
                self.offsets -= self.offsets.mean(0)
                if turn % 3 == 0:
                    stiffness = self._rewarded(stiffness)
                if np.abs(step).max() < 0.005:
                    break
        return float(stiffness**-0.5)

    def _rewarded(self, stiffness: float) -> float:
        """The stiffness of the walk that the scans make most likely (evidence; MacKay, Neural Comput. 4, 415 (1992), source not
        checked), at most ten times more or less than the one at hand.
        """
        assert self._factor is not None
        flat = self.offsets.T.ravel()
        determined = len(flat) - stiffness * float(cho_solve(self._factor, self._walk).trace())
        wanted = max(determined, 1.0) / max(float(flat @ self._walk @ flat), 1e-12)
        wanted = float(np.clip(wanted, stiffness / 10, stiffness * 10))
        return float(np.clip(wanted, 1 / WALK_PX[1] ** 2, 1 / WALK_PX[0] ** 2))

    def origins(self) -> tuple[Floats, Floats]:
        return self.offsets[:self.shape[0]], self.offsets[self.shape[0]:]

    def std(self) -> tuple[Floats, Floats]:
        """Standard deviations (ny, 2) and (nx, 2) of the origins about their common mean, in pixels."""
        assert self._factor is not None
        n = len(self.offsets)
        centred = np.kron(np.eye(2), np.eye(n) - 1 / n)
        covariance = centred @ cho_solve(self._factor, centred)
        spread = np.sqrt(np.maximum(np.diag(covariance), 0) + FLOOR_PX**2).reshape(2, n).T
        return spread[:self.shape[0]], spread[self.shape[0]:]

    def residual_rms(self) -> float:
        """Root mean square difference of the scans as they lie now, not smoothed."""
        values, inside, _ = self._met(self.columns)
        return float(np.sqrt(((values - self.rows)[inside] ** 2).mean())) if inside.any() else float("inf")

    def corrected(self, scans: tuple[int, ...] = (0, 1), width_px: float = SPLAT_PX) -> Floats:
        """(ny, nx) mean of both scans, or of one, on the nominal grid; NaN where no line came."""
        total, weight = np.zeros(self.shape), np.zeros(self.shape)
        rows, columns = self.origins()
        both = ((self.rows, self.seen[0], rows[:, None]), (self.columns, self.seen[1], columns[None]))
        for values, seen, shift in (both[k] for k in scans):
            at = (self._grid + shift)[seen]
            low = np.floor(at).astype(int)
            part = at - low
            for dy in (0, 1):
                for dx in (0, 1):
                    index = low + np.array([dy, dx])
                    inside = ((index >= 0) & (index < self.shape)).all(1)
                    w = (np.abs(1 - dy - part[:, 0]) * np.abs(1 - dx - part[:, 1]))[inside]
                    flat = index[inside] @ (self.shape[1], 1)
                    total += np.bincount(flat, w * values[seen][inside], total.size).reshape(self.shape)
                    weight += np.bincount(flat, w, weight.size).reshape(self.shape)
        total, weight = (ndi.gaussian_filter(v, width_px, mode="constant") for v in (total, weight))
        return np.where(weight > FEWEST, total / np.maximum(weight, 1e-12), np.nan)

    def _met(self, image: Floats) -> tuple[Floats, np.ndarray, Floats]:
        """The column scan's `image` at what each pixel of the row scan shows, whether both show it, and the column there."""
        rows, columns = self.origins()
        place = self._grid + rows[:, None]
        column = place[..., 1]
        for _ in range(20):  # the column whose own shift leads to this place
            column = place[..., 1] - np.interp(column, np.arange(self.shape[1]), columns[:, 1])
        at = np.stack([place[..., 0] - np.interp(column, np.arange(self.shape[1]), columns[:, 0]), column])
        values = ndi.map_coordinates(image, at, order=3, mode="nearest")
        inside = ((at >= 0) & (at <= np.array(self.shape)[:, None, None] - 1)).all(0) & self.seen[0]
        inside &= ndi.map_coordinates(self.seen[1].astype(np.float64), at, order=1, mode="constant") > 0.99
        return values, inside, column

    def _normal(self, rows: Floats, columns: Floats) -> tuple[Floats, Floats]:
        """Normal matrix and right side of the origins, all y before all x, in units of the noise of the scans as recorded."""
        ny, nx = self.shape
        values, inside, column = self._met(columns)
        residual = np.where(inside, rows - values, 0.0)
        # the mean slope of both: that of a noisy image alone is too steep
        slopes = [np.where(inside, (p + q) / 2, 0.0) for p, q in zip(np.gradient(rows), np.gradient(values), strict=True)]
        noise = max(self.residual_rms() ** 2, 1e-30)
        nearest = np.clip(np.rint(column).astype(int), 0, nx - 1)
        line = np.arange(ny)[:, None]
        n = ny + nx
        normal, right = np.zeros((2 * n, 2 * n)), np.zeros(2 * n)
        for p in (0, 1):
            pull = residual * slopes[p] / noise
            right[p * n:p * n + ny] = pull.sum(1)
            right[p * n + ny:(p + 1) * n] = -np.bincount(nearest.ravel(), pull.ravel(), nx)
            for q in (0, 1):
                weight = slopes[p] * slopes[q] / noise
                block = normal[p * n:(p + 1) * n, q * n:(q + 1) * n]
                block[np.arange(ny), np.arange(ny)] = weight.sum(1)
                block[ny + np.arange(nx), ny + np.arange(nx)] = np.bincount(nearest.ravel(), weight.ravel(), nx)
                cross = np.bincount((line * nx + nearest).ravel(), weight.ravel(), ny * nx).reshape(ny, nx)
                block[:ny, ny:] = -cross
                block[ny:, :ny] = -cross.T
        return normal, right


    def _line_by_line(self) -> tuple[Floats, Floats]:
        """As `_normal`, with each line as it was recorded against the other scan with its own lines in their places.

        Smoothing a scan mixes lines that are off by different amounts; here nothing is smoothed before it is in its place.
        """
        ny, nx = self.shape
        n = ny + nx
        normal, right = np.zeros((2 * n, 2 * n)), np.zeros(2 * n)
        rows, columns = self.origins()
        pictures = [self.corrected((k,), LAST_PX) for k in (0, 1)]
        held = np.isfinite(pictures[0]) & np.isfinite(pictures[1])
        pictures = [np.where(held, p, np.nanmean(p)) for p in pictures]
        gradients = [np.array(np.gradient(p)) for p in pictures]
        for k, values, shift, lines in ((0, self.rows, rows[:, None], np.arange(ny)),
                                        (1, self.columns, columns[None], ny + np.arange(nx))):
            at = np.moveaxis(self._grid + shift, -1, 0)
            inside = self.seen[k] & (ndi.map_coordinates(held.astype(np.float64), at, order=1, mode="constant") > 0.99)
            residual = np.where(inside, values - ndi.map_coordinates(pictures[1 - k], at, order=3, mode="nearest"), 0.0)
            noise = max(float((residual[inside] ** 2).mean()), 1e-30)
            first, second = (np.where(inside, [ndi.map_coordinates(g, at, order=1, mode="nearest") for g in pair], 0.0)
                             for pair in gradients)
            slopes, along = (first + second) / 2, 1 - k  # a row runs along x, a column along y
            shared = np.einsum("pij,qij->pqij", first, second).sum(along + 2)
            shared = _positive((shared + shared.transpose(1, 0, 2)) / 2)
            # slopes of noise take part in the pull, but hold no line
            trust = min(1.0, float(np.einsum("ppl->", shared)) / max(float((slopes**2).sum()), 1e-30)) / noise
            for p in (0, 1):
                right[p * n + lines] = trust * (residual * slopes[p]).sum(along)
                for q in (0, 1):
                    normal[p * n + lines, q * n + lines] = trust * shared[p, q]
        return normal, right


def _positive(matrices: Floats) -> Floats:
    """Symmetric (2, 2, n) with negative eigenvalues, which only noise gives, set to zero."""
    values, vectors = np.linalg.eigh(np.moveaxis(matrices, -1, 0))
    positive = np.moveaxis(vectors * np.maximum(values, 0)[:, None] @ vectors.transpose(0, 2, 1), 0, -1)
    return np.asarray(positive, np.float64)


def _walk_energy(ny: int, nx: int) -> Floats:
    """(2n, 2n): the sum of squared changes from line to line, of both scans and both components."""
    def chain(count: int) -> Floats:
        ends = np.diag(np.r_[1.0, np.zeros(count - 2), 1.0])
        return np.asarray(2 * np.eye(count) - np.eye(count, k=1) - np.eye(count, k=-1) - ends, np.float64)

    n = ny + nx
    one = np.zeros((n, n))
    one[:ny, :ny], one[ny:, ny:] = chain(ny), chain(nx)
    return cast(Floats, np.kron(np.eye(2), one))


def _smoothed(values: Floats, seen: np.ndarray, sigma: float) -> Floats:
    """Gaussian mean over the pixels that hold data."""
    weight = ndi.gaussian_filter(seen.astype(np.float64), sigma, mode="nearest")
    total = ndi.gaussian_filter(np.where(seen, values, 0.0), sigma, mode="nearest")
    fill = np.full_like(total, float(values[seen].mean()))
    return np.asarray(np.divide(total, weight, out=fill, where=weight > 1e-3), np.float64)


def _steps(image: Picture) -> str:
    return " x ".join(f"{s:.4g}" for s in image.step)
