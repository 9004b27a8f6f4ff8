"""Bend one image onto another where both show enough to say how, and leave the rest as the affine map has it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
import scipy.ndimage as ndi
import xarray as xr
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from registration.contrast import Shades, smoothed
from registration.picture import Masks, Picture, averaged, picture
from registration.transform import Floats, Transform, TransformError
from registration.warp import GridField, Warp, least_jacobian

Mask = NDArray[np.bool_]
Varies = Literal["area", "rows", "columns"]
WORK = 1024
SIGMAS_PX = (6.0, 3.0, 1.5, 0.8)
"""Smoothing, from coarse to fine: it must reach as far as the field moves, then let fine structure speak."""
STRIDES = (4, 2, 1, 1)
"""What is smooth needs to be looked at on every fourth pixel only."""
STEPS = 5
BLURS_PX = ((0.7, True), (0.0, True), (0.7, False), (1.4, False))
"""Blur of the predicting image before its contrast is applied, and whether the other image is taken to have it as well."""
DIRECTED, SHARPENED = (0, 2), 2
"""Levels of smoothing at which it is chosen which image predicts, and how blurred."""
LEARNT = 30000
"""Most pixels from which a contrast is learnt."""
TILES = 12
"""Tiles along a side; fields fitted to one half of them, as on a chessboard, are judged on the other."""
ENOUGH = 4.2
"""Standard errors by which held-out tiles must agree better after bending than before."""
LEAST_TEXTURED = 0.1
SURE = 3.0
BLOCKS = 4
"""Blocks along the side of a cell, over which neighbouring scores may agree."""
TELLING_PX = 0.3
"""A cell shows texture where its own pixels would place it to better than this."""
LARGEST_PX = 1.5
"""Largest step of a coefficient, in units of the smoothing."""
AMPLITUDE_PX = (1.0, 10.0)
"""Standard deviation of the field before looking: at first, and at most."""
RANGE_CELLS = 4.0
"""Distance over which the field forgets itself: that far from any texture it falls back to the start, and its error to its
amplitude."""
MODEL_PX = 0.1
"""Standard deviation of what the control grid and a contrast that is the same everywhere cannot follow."""


@dataclass(frozen=True, eq=False)
class Deformed:
    """What bending gave.

    `transform` is a Warp where `accepted`, else the linear start, unchanged; `reasons` say why. `texture` (y, x) tells, at
    the middles of the cells of the control grid, where the images themselves hold the field; elsewhere it goes
    smoothly back to the start, and `std_at` is accordingly wide. `metrics`: `held_out` (relative fall of the squared residual
    in held-out tiles), `held_out_z` (in its standard errors over tiles), `rms_px` (of the field), `least_jacobian`, `textured`
    (part).
    """

    transform: Transform | Warp
    accepted: bool
    reasons: tuple[str, ...]
    texture: xr.DataArray
    metrics: dict[str, float]


def deform(fixed: xr.DataArray, moving: xr.DataArray, start: Transform, masks: Masks | None = None,
           cells: int = 10, varies: Varies = "area") -> Deformed:
    """Refine a linear alignment by a cubic B-spline field.

    The image that predicts the other better is shown in the other's contrast (see `contrast.py`), which may be inverted or not
    monotonic (correlation ratio; Roche et al., MICCAI 1998, source not checked). Least squares with a
    smooth prior whose amplitude the images set (evidence; MacKay, Neural Comput. 4, 415 (1992), source not checked);
    no random numbers, one order of sums: the same input gives the same field bit for bit.

    Parameters
    ----------
    fixed, moving : (y, x), coordinates in nm
    start : moving -> fixed
        Right to within a few pixels everywhere; see `align`.
    masks : (fixed, moving)
        True where data are to be used; either may be None.
    cells
        Cells of the control grid along the longer side.
    varies
        `area`, or what moves a scan line as a whole: `rows` when the displacement depends on y of the *fixed* image only, as in
        a scan so slow along y that the specimen drifts meanwhile, `columns` for x. Give the slow scan as the fixed image and
        a fast one as the moving image; the inverse of the result takes the slow scan to the fast one.

    Returns
    -------
    Deformed. The start itself is returned where held-out tiles do not agree clearly better, or the field would fold.

    Raises
    ------
    ImageError, TransformError
        If the images are not calibrated in nm, or the start does not lead from one to the other's frame in 2D.
    """
    if start.ndim != 2:
        raise TransformError("an image is bent by a field in 2D")
    fixed_mask, moving_mask = masks or (None, None)
    near, far = picture(fixed, "fixed image", fixed_mask), picture(moving, "moving image", moving_mask)
    pitch = max(far.pixel * start.scale, near.extent.max() / WORK)
    near = averaged(near, pitch)
    if near.pixel > far.pixel * start.scale:
        far = averaged(far, near.pixel / start.scale)
    fit = _Fit(near, far, start.inverse(), cells, varies)
    board = fit.chessboard()
    whole, *parts = fit.climbed(fit.everywhere, fit.everywhere & board, fit.everywhere & ~board)
    before, after = np.zeros(TILES**2), np.zeros(TILES**2)
    for part, held in zip(parts, (fit.everywhere & ~board, fit.everywhere & board), strict=True):
        for sums, coefficients in ((before, np.zeros_like(part.coefficients)), (after, part.coefficients)):
            sums += np.bincount(fit.tile.ravel(), (fit.residual(coefficients) ** 2 * held).ravel(), TILES**2)
    seen = np.bincount(fit.tile.ravel(), fit.everywhere.ravel(), TILES**2) > 0.2 * fit.tile.size / TILES**2
    gain = (before - after)[seen]
    z = float(gain.mean() / (gain.std(ddof=1) / np.sqrt(len(gain)))) if len(gain) > 3 and gain.std() > 0 else 0.0
    field = fit.field(whole)
    least = least_jacobian(field)
    texture = fit.texture(whole)
    metrics = {"held_out": float(gain.sum() / max(before[seen].sum(), 1e-30)), "held_out_z": z,
               "rms_px": float(np.sqrt((field.displacement(field.knots()) ** 2).sum(1).mean()) / near.pixel),
               "least_jacobian": least, "textured": float(texture.mean())}
    reasons = []
    if z < ENOUGH:
        reasons.append(f"held-out tiles agree no better after bending ({z:.1f} standard errors, {ENOUGH:g} are asked)")
    if metrics["textured"] < LEAST_TEXTURED:
        reasons.append(f"the images show common texture in {metrics['textured']:.0%} of the field only")
    if least <= 0:
        reasons.append("the field folds")
    if reasons:
        return Deformed(start, False, tuple(reasons), texture, metrics)
    still = Transform.identity(start.target, start.target + "*")
    back = replace(start.inverse(), covariance=np.zeros((6, 6)), model="affine").renamed(source=start.target + "*")
    return Deformed(Warp(still, field, back).inverse(), True, (), texture, metrics)


@dataclass(frozen=True, eq=False)
class _Solution:
    """Coefficients (ny, nx, 2) in pixels and the covariance (2n, 2n) of all of them."""

    coefficients: Floats
    covariance: Floats


@dataclass(frozen=True, eq=False)
class _Linear:
    """Residual (moving minus fixed) and the slopes that a further displacement changes it by, zero where not `inside`, and the
    image that is predicted; all on the pixels looked at.
    """

    residual: Floats
    gy: Floats
    gx: Floats
    inside: Mask
    other: Floats


class _Fit:
    """Least squares for a B-spline field on the pixels of the fixed image; displacements in its pixels."""

    def __init__(self, near: Picture, far: Picture, back: Transform, cells: int, varies: Varies) -> None:
        self.near, self.far, self.back = near, far, back
        self.cell = max(STRIDES) * max(1, int(np.ceil(max(near.shape) / cells / max(STRIDES))))
        self.count = tuple(int(np.ceil(n / self.cell)) for n in near.shape)
        self.nodes = (self.count[0] + 3, self.count[1] + 3)
        t = (np.arange(self.cell) + 0.5) / self.cell
        s = 1 - t
        self.basis = np.stack([s**3, 3 * t**3 - 6 * t**2 + 4, 3 * s**3 - 6 * s**2 + 4, t**3], 1) / 6
        self.decay = np.sqrt(8) / (RANGE_CELLS * self.cell)
        self.free = _free(self.nodes, varies)
        self.prior = self.free.T @ _prior(self.nodes, self.cell, self.decay) @ self.free
        index = [np.minimum(np.arange(n) * TILES // n, TILES - 1) for n in near.shape]
        self.tile = index[0][:, None] * TILES + index[1][None]
        self._ratio = float(near.step.mean() * back.scale / far.step.mean())
        self._grid = np.moveaxis(np.mgrid[:near.shape[0], :near.shape[1]], 0, -1).astype(np.float64)
        self.moving_predicts, self._blur = True, BLURS_PX[0]
        self._at(-1)
        seen = self._warped(np.zeros((*self.nodes, 2)))[1]
        self.everywhere: Mask = seen & (near.mask > 0.5)

    def chessboard(self) -> Mask:
        return cast(Mask, (self.tile // TILES + self.tile % TILES) % 2 == 0)

    def climbed(self, *uses: Mask) -> list[_Solution]:
        """A field for each set of pixels in use, from coarse to fine; the first decides which image predicts the other."""
        climbs = [_Climb(self, use) for use in uses]
        for level in range(len(SIGMAS_PX)):
            self._at(level)
            self._learn(climbs[0].u, level)
            for climb in climbs:
                climb.climb()
        return [climb.solution() for climb in climbs]

    def residual(self, u: Floats) -> Floats:
        """What is left between the images, at the finest smoothing, with one contrast for all pixels."""
        return self._linearised(u, self.everywhere).residual

    def field(self, solution: _Solution) -> GridField:
        """The field in nm, with the covariance of its value at each node."""
        n = int(np.prod(self.nodes))
        blend = np.array([1, 4, 1]) / 6
        spread = np.empty((*self.nodes, 2, 2))
        index = np.arange(n).reshape(self.nodes)
        for i in range(self.nodes[0]):
            for j in range(self.nodes[1]):
                a, b = np.clip([i - 1, i, i + 1], 0, self.nodes[0] - 1), np.clip([j - 1, j, j + 1], 0, self.nodes[1] - 1)
                k, w = index[np.ix_(a, b)].ravel(), np.outer(blend, blend).ravel()
                for p in (0, 1):
                    for q in (0, 1):
                        spread[i, j, p, q] = w @ solution.covariance[np.ix_(k + p * n, k + q * n)] @ w
        step = self.near.step * self.cell
        # node 1 stands at the outer edge of the first pixel
        origin = self.near.origin - self.near.step / 2 - step
        scale = self.near.step
        spread = (spread + MODEL_PX**2 * np.eye(2)) * np.outer(scale, scale)
        return GridField(origin, step, solution.coefficients * scale, 3, spread)

    def texture(self, solution: _Solution) -> xr.DataArray:
        """Cells that their own pixels, by what both images show there, would place to better than TELLING_PX."""
        self._at(-1)
        near = self._linearised(solution.coefficients, self.everywhere)
        yy, yx, xx = (a / self._noise(near) for a in self._common(near)[0])
        told = (yy + xx) / 2 - np.hypot((yy - xx) / 2, yx) > TELLING_PX**-2
        at = [self.near.origin[a] + self.near.step[a] * ((np.arange(self.count[a]) + 0.5) * self.cell - 0.5) for a in (0, 1)]
        return xr.DataArray(told, {d: (d, at[a], {"units": "nm"}) for a, d in enumerate("yx")}, ("y", "x"), "texture",
                            {"units": "1", "long_name": "the images hold the field here"})

    def _common(self, near: _Linear) -> tuple[tuple[Floats, ...], Floats]:
        """Per cell: products of slopes that both images have (noise drops out), and the same of one image with itself."""
        gy, gx = near.gy, near.gx
        oy, ox = (np.where(near.inside, g, 0) for g in np.gradient(near.other, self._stride))
        both = tuple(self._by_cell(a) for a in (gy * oy, (gy * ox + gx * oy) / 2, gx * ox))
        return both, self._by_cell(gy**2 + gx**2)

    def _shared(self, near: _Linear) -> Floats:
        """Weight of pixels: the part of their cell's squared slopes that both images show. Slopes of noise pull at nothing."""
        both, own = self._common(near)
        # slopes of noise agree by chance as far as independent patches of the smoothing's size do
        patches = self._by_cell(near.inside.astype(np.float64)) * self._stride**2 / (4 * np.pi * self._sigma**2)
        chance = np.minimum(SURE / np.sqrt(np.maximum(patches, 1)), 0.9)
        part = np.clip(((both[0] + both[2]) / np.maximum(own, 1e-30) - chance) / (1 - chance), 0, 1)
        ny, nx = self._fixed.shape
        return np.where(near.inside, np.kron(part, np.ones((self.cell // self._stride,) * 2))[:ny, :nx], 0)

    def _by_cell(self, image: Floats) -> Floats:
        """Sums over the cells of the control grid."""
        (my, mx), c = self.count, self.cell // self._stride
        return np.asarray(self._padded(image).reshape(my, c, mx, c).sum((1, 3)), np.float64)

    def _padded(self, image: Floats) -> Floats:
        out = np.zeros((self.count[0] * self.cell // self._stride, self.count[1] * self.cell // self._stride))
        out[:image.shape[0], :image.shape[1]] = image
        return out

    def _at(self, level: int) -> None:
        """Smooth both images alike, in the fixed image's pixels, and choose the pixels to look at."""
        self._sigma, self._stride = SIGMAS_PX[level], STRIDES[level]
        self._looked = (slice(None, None, self._stride),) * 2
        self._fixed = smoothed(self.near, self.near.values, self._sigma)[self._looked]
        self._moving = ndi.spline_filter(smoothed(self.far, self.far.values, self._sigma * self._ratio))
        self._basis = self.basis[::self._stride]
        self._by = [_basis_matrix(self._basis, n, m) for n, m in zip(self._fixed.shape, self.nodes, strict=True)]

    def _learn(self, u: Floats, level: int) -> None:
        """What the predicting image shows at the present smoothing. Which image that is, and how blurred, is chosen at some
        levels: what explains most, the predicting image's own noise counted against it.
        """
        if level not in DIRECTED:
            self._shades = self._split(self.moving_predicts, self._blur)
            return
        values, seen, at = self._warped(u)
        inside = seen & self.everywhere[self._looked]
        clear = {True: 1 - _noise_part(values, inside), False: 1 - _noise_part(self._fixed, inside)}
        best = -1.0
        for blur in BLURS_PX[:None if level == SHARPENED else 1]:
            for moving_predicts in (True, False) if blur == BLURS_PX[0] else (self.moving_predicts,):
                shades = self._split(moving_predicts, blur)
                places, use = self._learnt_from(inside, at, moving_predicts)
                worth = clear[moving_predicts] * shades.explained(places, (self._fixed if moving_predicts else values)[use])
                if worth > best:
                    best, self.moving_predicts, self._shades, self._blur = worth, moving_predicts, shades, blur

    def _split(self, moving: bool, blur: tuple[float, bool]) -> Shades:
        before, shared = blur
        after = np.sqrt(max(self._sigma**2 - before**2, 0)) if shared else self._sigma
        if moving:
            return Shades(self.far, before * self._ratio, after * self._ratio, (slice(None),) * 2)
        return Shades(self.near, before, after, self._looked)

    def _learnt_from(self, inside: Mask, at: Floats, moving_predicts: bool) -> tuple[Any, Any]:
        """Places (2, n) on the predicting image's grid, and the pixels looked at that show the same."""
        use = np.unravel_index(np.flatnonzero(inside)[::max(1, int(inside.sum()) // LEARNT)], inside.shape)
        return (np.stack([a[use] for a in at]) if moving_predicts else np.array(use)), use

    def _there(self, u: Floats) -> Floats:
        """Where in the moving image, (2, ny, nx) in its pixels, the fixed image's pixels are shown."""
        q = self.near.origin + (self._grid[self._looked] + self._dense(u)) * self.near.step
        p = (self.back.apply(q.reshape(-1, 2)) - self.far.origin) / self.far.step
        return p.T.reshape(2, *self._fixed.shape)

    def _warped(self, u: Floats) -> tuple[Floats, Mask, Floats]:
        """The moving image on the fixed image's pixels after displacing them by the field, where it has data, and where in it
        they lie, (2, ny, nx).
        """
        at = self._there(u)
        values = ndi.map_coordinates(self._moving, at, order=3, mode="nearest", prefilter=False)
        size = np.array(self.far.shape)[:, None, None]
        seen = np.asarray(((at >= 0) & (at <= size - 1)).all(0))
        if self.far.mask.min() < 0.5:
            seen &= ndi.map_coordinates(self.far.mask, at, order=1, mode="nearest") > 0.5
        return values, seen, at

    def _linearised(self, u: Floats, part: Mask) -> _Linear:
        """The least squares problem about a field, on a part of the pixels."""
        values, seen, at = self._warped(u)
        inside = seen & part[self._looked]
        zero = np.zeros_like(values)
        if not inside.any():
            return _Linear(zero, zero, zero, inside, zero)
        places, use = self._learnt_from(inside, at, self.moving_predicts)
        if self.moving_predicts:
            mean = ndi.spline_filter(self._shades.mean(places, self._fixed[use]))
            shown, other = ndi.map_coordinates(mean, at, order=3, mode="nearest", prefilter=False), self._fixed
            residual = other - shown
        else:
            shown, other = self._shades.mean(places, values[use]), values
            residual = shown - other
        gy, gx = np.gradient(shown, self._stride)
        residual = np.where(inside, residual - residual[inside].mean(), 0)
        return _Linear(residual, np.where(inside, gy, 0), np.where(inside, gx, 0), inside, other)

    def _noise(self, near: _Linear, at_least: int = 0) -> float:
        """Variance of what is left over that independent pixels would need to scatter the scores as much as they do over
        blocks, at least so many pixels wide: neighbours agree over what was smoothed away and what the contrasts do not share.
        """
        block = max(4, int(4 * self._sigma / self._stride), at_least // self._stride)
        ny, nx = (n // block for n in near.residual.shape)
        ratio = 0.0
        for slope in (near.gy, near.gx):
            score = (near.residual * slope)[:ny * block, :nx * block]
            sums = score.reshape(ny, block, nx, block).sum((1, 3))
            ratio += 0.5 * float((sums**2).sum()) / max(float((score**2).sum()), 1e-30)
        return max(float((near.residual[near.inside] ** 2).mean()), 1e-12) * max(1.0, ratio)

    def _dense(self, u: Floats) -> Floats:
        """The field (ny, nx, 2) on all pixels."""
        return np.asarray(np.stack([self._by[0] @ u[..., k] @ self._by[1].T for k in (0, 1)], -1), np.float64)

    def _normal(self, near: _Linear, weight: Floats) -> tuple[Floats, Floats]:
        """Normal matrix and right side, cell by cell: all pixels of a cell share the same sixteen basis functions."""
        c, (my, mx), (ny, nx) = self.cell // self._stride, self.count, self.nodes
        phi = np.einsum("ia,jb->ijab", self._basis, self._basis).reshape(c * c, 16)
        pairs = np.einsum("pa,pb->pab", phi, phi).reshape(c * c, 256)

        def cells(image: Floats) -> Floats:
            return self._padded(weight * image).reshape(my, c, mx, c).transpose(0, 2, 1, 3).reshape(my * mx, c * c)

        i, j = np.divmod(np.arange(my * mx), mx)
        local = ((i[:, None, None] + np.arange(4)[:, None]) * nx + j[:, None, None] + np.arange(4)).reshape(-1, 16)
        n = ny * nx
        where = (local[:, :, None] * n + local[:, None, :]).ravel()
        gy, gx = near.gy, near.gx
        blocks = [np.bincount(where, (cells(w) @ pairs).ravel(), n * n).reshape(n, n) for w in (gy * gy, gy * gx, gx * gx)]
        right = [np.bincount(local.ravel(), (cells(near.residual * g) @ phi).ravel(), n) for g in (gy, gx)]
        return np.block([[blocks[0], blocks[1]], [blocks[1], blocks[2]]]), np.concatenate(right)


class _Climb:
    """Gauss-Newton for one set of pixels."""

    def __init__(self, fit: _Fit, use: Mask) -> None:
        self.fit, self.use = fit, use
        self.u = np.zeros((*fit.nodes, 2))
        self.flat = np.zeros(fit.free.shape[1])
        self.stiffness, self.loosest = (1 / (4 * np.pi * (fit.decay * a) ** 2) for a in AMPLITUDE_PX)
        self.normal = np.zeros((0, 0))

    def climb(self) -> None:
        """Up to STEPS steps at the present smoothing."""
        fit, n = self.fit, len(self.flat)
        for _ in range(STEPS):
            near = fit._linearised(self.u, self.use)
            weight = fit._shared(near) if fit._sigma < 2 else near.inside.astype(np.float64)
            noise = fit._noise(near)
            normal, right = (fit.free.T @ a for a in fit._normal(near, weight / noise))
            normal = normal @ fit.free
            self.normal = normal * (noise / fit._noise(near, fit.cell // BLOCKS))
            factor = cho_factor(normal + self.stiffness * fit.prior + 1e-9 * np.trace(normal) / n * np.eye(n))
            step = cho_solve(factor, right - self.stiffness * fit.prior @ self.flat)
            # each by itself: what nothing holds at a corner must not slow down the rest
            step = np.clip(step, -LARGEST_PX * fit._sigma, LARGEST_PX * fit._sigma)
            self.flat = self.flat + step
            self.u = np.stack(np.split(fit.free @ self.flat, 2), -1).reshape(*fit.nodes, 2)
            determined = n - self.stiffness * float((cho_solve(factor, np.eye(n)) * fit.prior).sum())
            energy = float(self.flat @ fit.prior @ self.flat)
            wanted = max(determined, 1.0) / max(energy, 1e-12)
            self.stiffness = max(float(np.clip(wanted, self.stiffness / 10, self.stiffness * 10)), self.loosest)
            if np.abs(step).max() < 0.02:
                break

    def solution(self) -> _Solution:
        n = len(self.flat)
        factor = cho_factor(self.normal + self.stiffness * self.fit.prior + 1e-9 * np.trace(self.normal) / n * np.eye(n))
        return _Solution(self.u, self.fit.free @ cho_solve(factor, np.eye(n)) @ self.fit.free.T)


def _noise_part(values: Floats, use: Mask) -> float:
    """Part of the variance that is noise, from how far a pixel lies from the mean of its four neighbours."""
    if not use.any():
        return 1.0
    off = values - ndi.convolve(values, np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]) / 4, mode="nearest")
    return float(min(1.0, 0.8 * float((off[use] ** 2).mean()) / max(float(values[use].var()), 1e-30)))


def _basis_matrix(basis: Floats, pixels: int, nodes: int) -> Floats:
    """(pixels, nodes) values of the B-splines along one axis."""
    cell = len(basis)
    matrix = np.zeros((pixels, nodes))
    rows = np.arange(pixels)
    for k in range(4):
        matrix[rows, rows // cell + k] = basis[rows % cell, k]
    return matrix


def _prior(nodes: tuple[int, int], cell: int, decay: float) -> Floats:
    """Inverse covariance (2n, 2n) of both components, but for a factor: that of a Matérn field of smoothness 1.

    The energy is the integral of ((decay² - Laplacian) u)²; with the factor f its standard deviation is
    1 / (decay sqrt(4 pi f)), and its correlation has fallen to a tenth at sqrt(8) / decay (Lindgren, Rue & Lindström,
    J. R. Stat. Soc. B 73, 423 (2011), 10.1111/j.1467-9868.2011.00777.x, section 2; source not checked).
    """
    (y0, y1, y2), (x0, x1, x2) = ([_gram(m, order, cell) for order in range(3)] for m in nodes)
    bending = np.kron(y2, x0) + 2 * np.kron(y1, x1) + np.kron(y0, x2)
    slope = np.kron(y1, x0) + np.kron(y0, x1)
    return np.kron(np.eye(2), bending + 2 * decay**2 * slope + decay**4 * np.kron(y0, x0))


def _gram(nodes: int, order: int, cell: int) -> Floats:
    """Integrals, in pixels, of products of the order-th derivatives of cubic B-splines."""
    # Gauss-Legendre with four points is exact for the sixth degree
    x, w = np.polynomial.legendre.leggauss(4)
    t = (x + 1) / 2
    s = 1 - t
    b = {0: np.stack([s**3, 3 * t**3 - 6 * t**2 + 4, 3 * s**3 - 6 * s**2 + 4, t**3]) / 6,
         1: np.stack([-(s**2), 3 * t**2 - 4 * t, 4 * s - 3 * s**2, t**2]) / 2,
         2: np.stack([s, 3 * t - 2, 3 * s - 2, t])}[order]
    local = (b * w / 2) @ b.T * cell ** (1 - 2 * order)
    gram = np.zeros((nodes, nodes))
    for k in range(nodes - 3):
        gram[k:k + 4, k:k + 4] += local
    return gram


def _free(nodes: tuple[int, int], varies: Varies) -> Floats:
    """(2n, m): all coefficients from the free ones; B-splines add up to one, so equal coefficients are a constant."""
    ny, nx = nodes
    one = {"area": np.eye(ny * nx), "rows": np.kron(np.eye(ny), np.ones((nx, 1))),
           "columns": np.kron(np.ones((ny, 1)), np.eye(nx))}[varies]
    return np.kron(np.eye(2), one)
