"""AFM of the electrode: what a blunt tip and a bending scanner make of its surface.

The tip is a paraboloid that dilates the surface (Villarrubia, J. Res. NIST 102, 425 (1997), doi 10.6028/jres.102.030, source
not checked); the scanner adds bow, jumps between lines, scars, slow drift of height and noise. Magnitudes are judgement.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.phantom.fields import gaussian_field
from datasets.phantom.state import State

Float = npt.NDArray[np.float64]

WORN_SHARE, SCAR_SHARE = 0.1, 0.005
"""Share of scans with a worn tip; share of lines with a scar."""
CAP_HEIGHT = 0.15
"""Height of a deposit's cap in units of its radius: the deposits stand side by side and hide their flanks."""


@dataclass(frozen=True)
class AfmRun:
    """Trace and retrace (y, x) in nm, same orientation, and what is true.

    truth : `rms_roughness_nm` of the surface after removal of its plane, and through the tip; `tip_radius_nm`
    """

    height_nm: Float
    backward_nm: Float
    pixel_size_nm: tuple[float, float]
    line_time_s: float
    truth: Mapping[str, Any]
    nuisance: Mapping[str, Any]


def surface(state: State, rng: np.random.Generator, *, size: int = 192, pixel_nm: float = 8.0) -> Float:
    """Height (y, x) in nm of deposits side by side, rough as their metal and their SEI are."""
    field_nm = size * pixel_nm
    radius = state.deposit_diameter_nm / 2
    n = max(3, int(rng.poisson(1.5 * (field_nm + 2 * radius) ** 2 / (np.pi * radius ** 2))))
    centre = rng.uniform(-radius, field_nm + radius, (n, 2))
    radii = radius * np.exp(rng.normal(0, 0.15, n))
    axis = (np.arange(size) + 0.5) * pixel_nm
    height = np.zeros((size, size))
    for (y, x), r in zip(centre, radii, strict=True):
        inside = 1 - ((axis[:, None] - y) ** 2 + (axis[None, :] - x) ** 2) / r ** 2
        height = np.maximum(height, CAP_HEIGHT * r * np.clip(inside, 0, None))
    metal = state.roughness_nm * gaussian_field(rng, height.shape, (pixel_nm, pixel_nm), 40.0)
    film = state.thickness_nm * state.thickness_cv * gaussian_field(rng, height.shape, (pixel_nm, pixel_nm), 15.0)
    return np.asarray(height + metal + film)


def scan(surface_nm: Float, pixel_nm: float, rng: np.random.Generator, *, tip_radius_nm: float | None = None,
         line_time_s: float = 0.5, noise_nm: float = 0.1, clean: bool = False) -> AfmRun:
    """Scan a surface (y, x), nm, row by row.

    Parameters
    ----------
    tip_radius_nm : drawn when None, 5 to 20 nm, up to 60 when worn
    clean : leave out everything but the tip
    """
    worn = bool(rng.random() < WORN_SHARE)
    radius = float(rng.uniform(20, 60) if worn else rng.uniform(5, 20)) if tip_radius_nm is None else tip_radius_nm
    through = dilated(surface_nm, pixel_nm, radius)
    truth = {"rms_roughness_nm": rms(surface_nm), "rms_roughness_through_tip_nm": rms(through), "tip_radius_nm": radius}
    if clean:
        return AfmRun(through, through, (pixel_nm, pixel_nm), line_time_s, truth, {"worn": worn})
    ny, nx = through.shape
    y, x = np.meshgrid(np.linspace(-1, 1, ny), np.linspace(-1, 1, nx), indexing="ij")
    extent = nx * pixel_nm
    bow = 0.01 * extent * float(rng.normal(0, 0.5))
    tilt = 0.02 * extent * rng.normal(size=2)
    steps = np.cumsum(rng.normal(0, 0.02, ny)) + rng.normal(0, 0.15, ny)
    drift = float(rng.normal(0, 0.5)) / 60 * 2 * line_time_s * np.arange(ny)
    background = bow * (x ** 2 + 0.6 * y ** 2) + tilt[0] * y + tilt[1] * x + (steps + drift)[:, None]
    trace, retrace = (through + background + rng.normal(0, noise_nm, through.shape) for _ in range(2))
    scars = np.flatnonzero(rng.random(ny) < SCAR_SHARE)
    for row in scars:
        start = int(rng.integers(0, nx // 2))
        trace[row, start:start + int(rng.integers(nx // 8, nx // 2))] += float(rng.normal(0, 15))
    nuisance = {"worn": worn, "bow_nm": bow, "tilt_nm": tilt.tolist(), "scars": scars.tolist(), "noise_nm": noise_nm}
    return AfmRun(trace, retrace, (pixel_nm, pixel_nm), line_time_s, truth, nuisance)


def dilated(surface_nm: Float, pixel_nm: float, tip_radius_nm: float) -> Float:
    """The surface as a paraboloid of that radius at its apex feels it, same shape.

    The paraboloid reaches as far as it must to touch the deepest place between neighbours, at most 12 pixels.
    """
    relief = float(np.ptp(surface_nm))
    reach = int(np.clip(np.ceil(np.sqrt(2 * tip_radius_nm * relief) / pixel_nm), 1, 12))
    offset = np.arange(-reach, reach + 1) * pixel_nm
    # a paraboloid is the sum of two parabolas, so the dilation separates into rows and columns
    parabola = -offset ** 2 / (2 * tip_radius_nm)
    out = np.asarray(surface_nm, np.float64)
    for _ in range(2):
        padded = np.pad(out, ((reach, reach), (0, 0)), mode="edge")
        out = np.max([padded[k:k + out.shape[0]] + height for k, height in enumerate(parabola)], axis=0).T
    return np.asarray(out)


def rms(height_nm: Float) -> float:
    """Root mean square height after removal of the best plane."""
    ny, nx = height_nm.shape
    y, x = np.mgrid[:ny, :nx].reshape(2, -1).astype(float)
    basis = np.column_stack([np.ones(y.size), y, x])
    values = height_nm.ravel()
    fit = np.linalg.lstsq(basis, values, rcond=None)[0]
    return float(np.std(values - basis @ fit))
