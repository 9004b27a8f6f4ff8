"""Positions of the frames of a series against the picture that all the others make together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np
import scipy.fft as fft
import scipy.ndimage as ndi
from numpy.typing import NDArray
from scipy.optimize import nnls

from registration.series import Frame, Series
from registration.transform import Floats

Spectrum = NDArray[np.complex64]
SEGMENTS = 6
"""A series is cut into at most this many stretches of time, each with a picture of its own, so that slow changes of
contrast are followed; memory holds two canvases of each."""
MARGIN = 4
LARGEST_STEP = 1.0
"""A frame moves at most this many pixels in one sweep."""
SMOOTH = 2.0
"""Powers are averaged over this many Fourier pixels (standard deviation): speckle in them would let noise through."""
FLOOR = 0.1
"""No pixel is believed to be quieter than this part of the mean, however dark."""


@dataclass(frozen=True, eq=False)
class Placed:
    """Where frames lie and what each of them says, in pixels.

    `shift` (n, 2); `covariance` (n, 2, 2) of each against the picture of the others; `gain` (n, 2): how strongly coarse and
    fine structure of the picture are seen in a frame, near 1; `gain_std` (n, 2).
    """

    shift: Floats
    covariance: Floats
    gain: Floats
    gain_std: Floats


class Template:
    """Running pictures of a series on one canvas, in Fourier space, from which every frame's own part can be taken out.

    Frame t, pixel r, shows what the canvas shows at r - shift[t] + margin. The picture is a Wiener filtered mean (signal and
    noise power from its even and odd frames), so that slopes are not those of noise; a frame never meets itself in it, since
    that would hold it where it is.
    """

    def __init__(self, series: Series, shift: Floats, used: NDArray[np.bool_],
                 noise_model: tuple[float, float] | None = None) -> None:
        self.series, self.used = series, used
        self.noise_model = noise_model or (1.0, 0.0)
        low, high = np.nanmin(shift[used], 0), np.nanmax(shift[used], 0)
        self.offset = np.ceil(high) + MARGIN
        extent = np.array(series.shape) + np.ceil(high) - np.floor(low) + 2 * MARGIN
        self.size = tuple(int(fft.next_fast_len(int(n), real=True)) for n in extent)
        self.ky = (2 * np.pi * fft.fftfreq(self.size[0])).astype(np.float32)
        self.kx = (2 * np.pi * fft.rfftfreq(self.size[1])).astype(np.float32)
        length = series.length
        self.segments = int(np.clip(int(used.sum()) // 12, 1, SEGMENTS))
        self.segment = np.minimum(np.arange(length) * self.segments // length, self.segments - 1)
        first = next(iter(series))
        self._whole = bool((first.weight == 1).all()) and series.mask is None
        self._box = self._padded(np.ones(series.shape, np.float32))
        self.level = np.array([_mean(frame) for frame in series], np.float32)

    def gather(self, shift: Floats) -> None:
        """Read all used frames once and sum them up where `shift` (n, 2) says that they lie."""
        parts = (self.segments, 2, self.size[0], self.size[1] // 2 + 1)
        sums, seen = np.zeros(parts, np.complex64), np.zeros(parts, np.complex64)
        for t in np.flatnonzero(self.used):
            frame = self.series[int(t)]
            at = self.segment[t], t % 2
            spectrum, cover = self._placed(frame, int(t), shift[t])
            sums[at] += spectrum
            seen[at] += cover
        self.sums = np.stack([[self._back(p) for p in s] for s in sums])
        self.seen = np.stack([[self._back(p) for p in s] for s in seen])
        self._learn()

    def place(self, shift: Floats) -> Placed:
        """Move every frame to where it fits the picture of the others best (one Gauss-Newton step, reading all frames once)."""
        n = self.series.length
        new, covariance = shift.copy(), np.full((n, 2, 2), np.nan)
        gain, gain_std = np.full((n, 2), np.nan), np.full((n, 2), np.nan)
        squares, levels = [], []
        for t in range(n):
            if not np.isfinite(shift[t]).all():
                continue
            frame = self.series[t]
            spectrum, cover = self._placed(frame, int(t), shift[t])
            picture = self._without(t, spectrum, cover)
            value, gy, gx, trust = self._seen_by_frame(picture, self._support, shift[t])
            weight = frame.weight * np.clip((trust - 0.8) / 0.15, 0, 1)
            noise = self._noise(value, self.level[t])
            design = np.stack([np.ones_like(value), value, gy, gx]).reshape(4, -1)
            w = (weight / noise).ravel()
            normal = (design * w) @ design.T
            data = (frame.values - self.level[t]).ravel()
            if not np.isfinite(normal).all() or np.linalg.cond(normal) > 1e12:
                new[t] = np.nan
                continue
            fit = np.linalg.solve(normal, design @ (w * data))
            residual = data - fit @ design
            chi2 = float((w * residual**2).sum()) / max(float(weight.sum()) - 4, 1)
            inverse = np.linalg.inv(normal) * max(chi2, 1.0)
            strength = fit[1] if abs(fit[1]) > 0.05 else np.copysign(0.05, fit[1])
            # the canvas shows r - shift: a picture that must move by +u means a shift that is larger by u
            step = -fit[2:] / strength / self.true_slope
            length = float(np.abs(step).max())
            new[t] = shift[t] + step * min(1.0, LARGEST_STEP / max(length, 1e-12))
            covariance[t] = inverse[2:, 2:] / strength**2 / np.outer(self.true_slope, self.true_slope)
            gain[t], gain_std[t] = self._gains(spectrum, picture, weight, float(noise.mean()))
            if self.used[t]:
                inner = weight.ravel() > 0.9
                levels.append((fit @ design)[inner][::7] + self.level[t])
                squares.append((residual[inner] ** 2)[::7])
        self._learn_noise(np.concatenate(levels), np.concatenate(squares))
        return Placed(new, covariance, gain, gain_std)

    def _padded(self, a: NDArray[np.float32]) -> Spectrum:
        return cast(Spectrum, fft.rfft2(a, self.size))

    def _back(self, spectrum: Spectrum) -> NDArray[np.float32]:
        return cast(NDArray[np.float32], fft.irfft2(spectrum, self.size).astype(np.float32))

    def _phase(self, by: Floats) -> Spectrum:
        """Factor that moves a picture by `by` pixels."""
        return np.asarray(np.exp(-1j * self.ky * by[0])[:, None] * np.exp(-1j * self.kx * by[1])[None], np.complex64)

    def _placed(self, frame: Frame, t: int, shift: Floats) -> tuple[Spectrum, Spectrum]:
        """A frame about its own level, and the pixels it covers, on the canvas."""
        phase = self._phase(self.offset - shift)
        cover = self._box if self._whole else self._padded(frame.weight)
        return self._padded((frame.values - self.level[t]) * frame.weight) * phase, cover * phase

    def _learn(self) -> None:
        """Signal and noise power of the picture, how fast it changes, and the weights of the stretches of time."""
        sums, seen = self.sums.sum(0), self.seen.sum(0)
        frames = float(self.used.sum())
        both = seen.sum(0)
        self._cover = np.clip((both / frames - 0.05) / 0.1, 0, 1).astype(np.float32)
        support = self._cover * (np.minimum(seen[0], seen[1]) > 0.01 * frames)
        halves = [self._padded(np.divide(s, c, out=np.zeros_like(s), where=support > 0) * support)
                  for s, c in zip(sums, seen, strict=True)]
        cross = (halves[0] * halves[1].conj()).real
        noise = np.abs(halves[0] - halves[1]) ** 2 / 4
        self.signal, self.noise = self._significant(cross, noise), self._smooth(noise) + 1e-30
        self._support = self._padded(support)
        self._mix(support)
        self._learn_slopes(support)
        k2 = self.ky[:, None] ** 2 + self.kx[None] ** 2
        order = np.argsort(k2.ravel())
        slope = np.cumsum((self.signal * self.signal / (self.signal + self.noise) * k2).ravel()[order])
        self._middle = float(k2.ravel()[order][int(np.searchsorted(slope, slope[-1] / 2))]) if slope[-1] > 0 else 1.0
        self._k2 = k2

    def _learn_slopes(self, support: NDArray[np.float32]) -> None:
        """Part (2,) of the picture's squared slopes that is the specimen's and not noise: what the halves have in common."""
        halves = [np.divide(s, c, out=np.zeros_like(s), where=support > 0) * support
                  for s, c in zip(self.sums.sum(0), self.seen.sum(0), strict=True)]
        noise = self._noise((halves[0] + halves[1]) / 2, float(self.level[self.used].mean()))
        true = np.ones(2)
        for axis, k in enumerate((self.ky[:, None], self.kx[None])):
            a, b = (self._back(cast(Spectrum, self._filtered(h) * (1j * k))) for h in halves)
            whole = float((((a + b) / 2) ** 2 * support / noise).sum())
            true[axis] = float((a * b * support / noise).sum()) / max(whole, 1e-30)
        self.true_slope = np.clip(true, 0.1, 1)

    def _mix(self, support: NDArray[np.float32]) -> None:
        """Learn how pictures of stretches of time differ: i and j correlate as r^|i - j|, with r from neighbours."""
        m = self.segments
        self._alike, self._unclear = 1.0, 1.0
        band = self.signal > self.noise
        if not band.any():
            return
        self._unclear = float(self.noise[band].sum() * m / self.signal[band].sum())
        if m == 1:
            return
        pictures = [[self._padded(np.divide(s, c, out=np.zeros_like(s), where=c > 0.5) * support)[band]
                     for s, c in zip(self.sums[j], self.seen[j], strict=True)] for j in range(m)]
        own = np.array([float((a * b.conj()).real.sum()) for a, b in pictures])
        both = [float(((a[0] + a[1]) * (b[0] + b[1]).conj()).real.sum()) / 4 for a, b in pairwise(pictures)]
        ratio = np.array(both) / np.sqrt(np.clip(own[:-1] * own[1:], 1e-30, None))
        doubt = ratio.std(ddof=1) / np.sqrt(m - 1) if m > 2 else 0.05
        if ratio.mean() < 1 - 3 * doubt - 0.002:
            self._alike = float(np.clip(ratio.mean(), 0.3, 1))

    def _weights(self, t: int) -> tuple[NDArray[np.float32], float]:
        """Weights (segments,) of the best linear prediction of the picture at frame t, and the part of all frames that they
        amount to; equal weights where nothing changes.
        """
        m = self.segments
        here = (t + 0.5) * m / self.series.length - 0.5
        places = np.arange(m)
        alike = self._alike ** np.abs(np.subtract.outer(places, places))
        w = np.linalg.solve(alike + self._unclear * np.eye(m), self._alike ** np.abs(places - here))
        w = np.clip(w, 0, None)
        return (w / w.max()).astype(np.float32), float(w.sum() ** 2 / (w**2).sum() / m)

    def _smooth(self, power: NDArray[np.floating]) -> NDArray[np.float32]:
        """Local mean over the plane of Fourier space, of which only half is stored."""
        centred = fft.fftshift(power, axes=0)
        smooth = ndi.gaussian_filter(centred.astype(np.float32), SMOOTH, mode=("wrap", "reflect"))
        return cast(NDArray[np.float32], fft.ifftshift(smooth, axes=0))

    def _significant(self, cross: NDArray[np.floating], noise: NDArray[np.floating]) -> NDArray[np.float32]:
        """Signal power where it stands out of its own scatter locally; elsewhere the mean over its ring, where that does."""
        local, floor = self._smooth(cross), self._smooth(noise)
        scatter = floor / np.sqrt(4 * np.pi * SMOOTH**2)
        k = np.hypot(self.ky[:, None], self.kx[None]) / (2 * np.pi)
        ring = np.minimum((k * max(self.size)).astype(int), max(self.size) // 2)
        count = np.bincount(ring.ravel())
        mean, spread = (np.bincount(ring.ravel(), a.ravel()) / count for a in (cross, noise))
        mean = np.where(mean > 3 * spread / np.sqrt(count), mean, 0)
        return cast(NDArray[np.float32], np.where(local > 5 * scatter, local, np.minimum(mean[ring], np.maximum(local, 0))))

    def _without(self, t: int, spectrum: Spectrum, cover: Spectrum) -> Spectrum:
        """Filtered picture for frame t, without the frame itself."""
        mix, part = self._weights(t)
        total, seen = (np.einsum("m,mpyx->yx", mix, a) for a in (self.sums, self.seen))
        if self.used[t]:
            total = total - mix[self.segment[t]] * self._back(spectrum)
            seen = seen - mix[self.segment[t]] * self._back(cover)
        mean = np.divide(total, seen, out=np.zeros_like(total), where=(seen > 0.5) & (self._cover > 0)) * self._cover
        return self._filtered(mean, part)

    def _filtered(self, picture: NDArray[np.float32], part: float = 1.0) -> Spectrum:
        """Wiener filter for a picture made of a part of all frames."""
        return cast(Spectrum, self._padded(picture) * (self.signal / (self.signal + self.noise / part)))

    def _seen_by_frame(self, picture: Spectrum, support: Spectrum, shift: Floats) -> list[NDArray[np.float32]]:
        """Value, slope along y and x, and how well the canvas is covered, at the pixels of a frame."""
        phase = self._phase(shift - self.offset)
        here = picture * phase
        ny, nx = self.series.shape
        slopes = (here, here * (1j * self.ky)[:, None], here * (1j * self.kx)[None], support * phase)
        return [self._back(cast(Spectrum, s))[:ny, :nx] for s in slopes]

    def _gains(self, spectrum: Spectrum, picture: Spectrum, weight: NDArray[np.float32],
               noise: float) -> tuple[Floats, Floats]:
        """How strongly a frame shows the coarse and the fine half of the picture's slopes."""
        product, power = (spectrum * picture.conj()).real, np.abs(picture) ** 2
        pixels = float(weight.sum())
        part = pixels / max(float(self._cover.sum()), 1)
        gain, std = np.full(2, np.nan), np.full(2, np.nan)
        for i, band in enumerate((self._k2 <= self._middle, self._k2 > self._middle)):
            energy = float(power[band].sum()) * part
            if energy > 0:
                gain[i] = float(product[band].sum()) / energy
                std[i] = np.sqrt(noise * pixels * float(power[band].sum()) / 2) / energy
        return gain, std

    def _noise(self, value: NDArray[np.floating], level: float) -> Floats:
        """Variance of pixels whose expected values are `value` above the frame's level."""
        a, b = self.noise_model
        mean = max(a + b * level, 1e-12)
        return np.asarray(np.maximum(a + b * (value + level), FLOOR * mean), np.float64)

    def _learn_noise(self, value: Floats, square: Floats) -> None:
        """Variance of a pixel as a line in its value, a + b value with a, b >= 0: holds for counts, gain and read noise."""
        edges = np.quantile(value, np.linspace(0, 1, 17))
        where = np.clip(np.searchsorted(edges, value) - 1, 0, 15)
        count = np.bincount(where, minlength=16)
        seen = count > 20
        if seen.sum() < 2:
            return
        x, y = (np.bincount(where, a, 16)[seen] / count[seen] for a in (value, square))
        design = np.stack([np.ones_like(x), x], 1) / y[:, None]
        (a, b), _ = nnls(design, np.ones_like(y))
        if a + b * float(value.mean()) > 0:
            self.noise_model = (float(a), float(b))


def _mean(frame: Frame) -> float:
    return float((frame.values * frame.weight).sum()) / max(float(frame.weight.sum()), 1e-9)
