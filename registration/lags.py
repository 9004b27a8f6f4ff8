"""Shifts between frames of a series over many lags, by cross-correlation weighted for its noise."""

from __future__ import annotations

from collections import deque
from typing import cast

import numpy as np
import scipy.fft as fft
from numpy.typing import NDArray

from registration.series import Frame, Series
from registration.shift_graph import Shifts
from registration.transform import Floats

Spectrum = NDArray[np.complex64]
LAGS = (1, 2, 3, 5, 8, 13, 21, 34)
TAPER = 0.25
"""Part of the field over which its borders fade, so that they do not correlate with one another."""
RINGS = 64


class Correlator:
    """Cross-correlation of frames, each Fourier component weighted as maximum likelihood asks.

    The weight is that of Hannan and Thomson (Knapp & Carter, IEEE Trans. ASSP 24, 320 (1976), 10.1109/TASSP.1976.1162830,
    table I; source not checked): with signal power S and noise power N per frame, S / (N (2 S + N)) on the cross-spectrum
    of power S. It tends to plain correlation where the signal is strong and to a matched filter where it is weak; dividing
    by the modulus (phase correlation) would give empty frequencies the same say as the others.
    """

    def __init__(self, series: Series) -> None:
        self.shape = series.shape
        self.size = tuple(int(fft.next_fast_len(n + n // 2, real=True)) for n in self.shape)
        self.window = np.outer(*(_tapered(n) for n in self.shape)).astype(np.float32)
        k = np.hypot(fft.fftfreq(self.size[0])[:, None], fft.rfftfreq(self.size[1])[None])
        self._ring = np.minimum((k / 0.5 * RINGS).astype(int), RINGS)
        self.weight = np.ones(k.shape, np.float32)
        self._spread = 1.0

    def learn(self, series: Series) -> None:
        """Take signal and noise power from the frames' mean power; the highest frequencies are taken for noise."""
        power, count = np.zeros(self.weight.shape), 0
        for frame in series:
            spectrum = self.spectrum(frame)
            if spectrum is not None:
                power += np.abs(spectrum) ** 2
                count += 1
        if not count:
            return
        per_ring = np.bincount(self._ring.ravel())
        ring = np.bincount(self._ring.ravel(), power.ravel() / count) / np.maximum(per_ring, 1)
        noise = float(np.median(ring[int(0.8 * RINGS):RINGS]))
        # a mean over frames and a ring still fluctuates; what does not stand out of it is no signal
        signal = ring - noise * (1 + 2 / np.sqrt(np.maximum(per_ring * count, 1)))
        signal = np.where(signal > 0, signal, 0)
        weight = signal / (noise * (2 * signal + noise) + 1e-30)
        weight[RINGS:] = 0
        if not weight.any():
            weight[1:RINGS // 4] = 1
        self.weight = weight[self._ring].astype(np.float32)
        self.weight[0, 0] = 0
        # variance of the surface by noise alone; every stored component but those of the first column stands for two
        scatter = self.weight**2 * (noise * (2 * signal + noise))[self._ring]
        self._spread = float(np.sqrt(2 * scatter.sum() - scatter[:, 0].sum())) / np.prod(self.size)

    def spectrum(self, frame: Frame) -> Spectrum | None:
        """Spectrum of the windowed frame about its mean; None if the frame is empty or the same everywhere."""
        weight = frame.weight * self.window
        total = float(weight.sum())
        if total < 0.1 * self.window.sum():
            return None
        flat = frame.values - float((weight * frame.values).sum()) / total
        values = flat * weight
        if not values.any():
            return None
        return cast(Spectrum, fft.rfft2(values, self.size))

    def shift(self, first: Spectrum, second: Spectrum) -> tuple[Floats, float]:
        """How much further the second frame shows everything, in pixels, and the peak in standard deviations of noise."""
        product = second * first.conj() * self.weight
        surface = fft.irfft2(product, self.size)
        reach = [min(n // 2, s // 2 - 1) for n, s in zip(self.shape, self.size, strict=True)]
        near = fft.fftshift(surface)
        middle = [s // 2 for s in self.size]
        near = near[middle[0] - reach[0]:middle[0] + reach[0] + 1, middle[1] - reach[1]:middle[1] + reach[1] + 1]
        i, j = np.unravel_index(int(near.argmax()), near.shape)
        at = np.array([i - reach[0], j - reach[1]], np.float64)
        return at + self._summit(product, at), float(near[i, j]) / max(self._spread, 1e-30)

    def _summit(self, product: Spectrum, at: Floats) -> Floats:
        """Offset from a whole-pixel maximum to the summit, by Newton steps on the band-limited surface itself."""
        ky = 2 * np.pi * fft.fftfreq(self.size[0])
        kx = 2 * np.pi * fft.rfftfreq(self.size[1])
        product = product.copy()
        product[:, 0] /= 2  # the half plane that is stored holds this column whole
        offset = np.zeros(2)
        for _ in range(3):
            turned = (np.exp(1j * ky * (at + offset)[0])[:, None] * product * np.exp(1j * kx * (at + offset)[1])[None])
            real, imaginary = turned.real, turned.imag
            by_y, by_x = real.sum(1), real.sum(0)
            slope = -np.array([ky @ imaginary.sum(1), kx @ imaginary.sum(0)])
            cross = ky @ real @ kx
            bend = -np.array([[ky**2 @ by_y, cross], [cross, kx**2 @ by_x]])
            if bend[0, 0] >= 0 or np.linalg.det(bend) <= 0:
                break
            step = -np.linalg.solve(bend, slope)
            if np.abs(offset + step).max() > 1:
                break
            offset = offset + step
        return offset


def shifts_over_lags(series: Series, lags: tuple[int, ...] = LAGS) -> tuple[Shifts, NDArray[np.bool_]]:
    """Shifts of all pairs of frames that are `lags` apart, in pixels of the series, and which frames show anything.

    Memory holds the spectra of as many frames as the longest lag.
    """
    correlator = Correlator(series)
    correlator.learn(series)
    longest = max(lag for lag in lags if lag == 1 or lag < series.length)
    recent: deque[Spectrum | None] = deque(maxlen=longest + 1)
    found: list[tuple[int, int, Floats, float]] = []
    something = np.zeros(series.length, bool)
    for j, frame in enumerate(series):
        spectrum = correlator.spectrum(frame)
        something[j] = spectrum is not None
        recent.append(spectrum)
        if spectrum is None:
            continue
        for lag in lags:
            other = recent[-1 - lag] if lag < len(recent) else None
            if other is not None:
                found.append((j - lag, j, *correlator.shift(other, spectrum)))
    first, second, shift, strength = zip(*found, strict=True) if found else ((), (), (), ())
    return Shifts(np.array(first, np.intp), np.array(second, np.intp), np.array(shift, np.float64).reshape(-1, 2),
                  np.array(strength, np.float64)), something


def _tapered(n: int) -> Floats:
    """(n,) one, falling as a half cosine to zero over TAPER of the length at both ends (Tukey's window); `scipy.signal` has it,
    but takes longer to import than all the rest.
    """
    from_end = np.minimum(np.arange(n), np.arange(n)[::-1])
    rise = 0.5 * (1 - np.cos(np.pi * from_end / (TAPER * max(n - 1, 1))))
    return np.asarray(np.where(from_end < TAPER * (n - 1), rise, 1.0), np.float64)
