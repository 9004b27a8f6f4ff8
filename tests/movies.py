"""Series of frames whose drift is known, and the least error that anything could make of them."""

import numpy as np
import scipy.ndimage as ndi
import xarray as xr


def scene(rng, size, contrast=0.35):
    """Expected counts around 1, with structure of three sizes, the finest 1.5 pixels."""
    parts = (a * ndi.gaussian_filter(rng.standard_normal((size, size)), s) * s for a, s in ((0.5, 1.5), (1, 4), (1, 12)))
    f = sum(parts)
    return np.clip(1 + contrast * f / f.std(), 0.05, None)


def wander(rng, n, step=0.5):
    """A random walk (n, 2) in pixels, about its mean."""
    d = np.cumsum(rng.standard_normal((n, 2)) * step, 0)
    return d - d.mean(0)


def shifted(expected, by):
    """The scene moved by a part of a pixel, exactly, as far as it is band limited."""
    ky, kx = np.fft.fftfreq(expected.shape[0])[:, None], np.fft.fftfreq(expected.shape[1])[None]
    return np.fft.ifft2(np.fft.fft2(expected) * np.exp(-2j * np.pi * (ky * by[0] + kx * by[1]))).real


def movie(rng, expected, shifts, size, dose=1.0):
    """Counts of frames that see the middle of the scene, moved by `shifts` (n, 2) pixels."""
    o = (expected.shape[0] - size) // 2
    views = (shifted(expected, d)[o:o + size, o:o + size] for d in shifts)
    return np.stack([rng.poisson(np.clip(v, 0, None) * dose) for v in views]).astype(np.float32)


def bound(expected, size, dose=1.0):
    """Cramér-Rao bound (2,) of a shift from counts, in pixels: inverse of the sum of grad λ gradᵀ λ / λ."""
    o = (expected.shape[0] - size) // 2
    inner = slice(o, o + size)
    g = np.stack([a[inner, inner].ravel() for a in np.gradient(expected)])
    return np.sqrt(np.diag(np.linalg.inv((g / expected[inner, inner].ravel()) @ g.T * dose)))


def calibrated(frames, pixel_nm=0.5, dim="time", units="s", frame="movie"):
    """The series as the project holds it."""
    pixel_nm = np.broadcast_to(pixel_nm, 2)
    coords = {dim: (dim, np.arange(len(frames)) * 1.0, {"units": units})}
    coords |= {d: (d, np.arange(frames.shape[i + 1]) * pixel_nm[i], {"units": "nm"}) for i, d in enumerate("yx")}
    return xr.DataArray(frames, coords, (dim, "y", "x"), "counts", {"units": "count", "frame": frame})
