"""Selected-area electron diffraction: kinematic spots of metal and crystallites, a beam stop, an inelastic background."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from datasets.phantom.electrons import wavelength_nm
from datasets.phantom.fields import Deposit
from datasets.phantom.hrtem import filament_orientation
from datasets.phantom.materials import lattice

Array = NDArray[np.float64]

MOST = 6000
"""Crystallites drawn one by one; more than that are represented by a sample of this size."""
SATURATION = 65535


@dataclass(frozen=True)
class Camera:
    """Pixels a side, 1/nm of one as the instrument believes, true magnification and ellipticity (relative), angle of the
    ellipse (rad), centre (pixels), half width of the beam stop (pixels).
    """

    pixels: int = 384
    pixel_per_nm: float = 0.06
    scale: float = 1.0
    ellipticity: float = 0.005
    angle: float = 0.0
    centre: tuple[float, float] = (191.5, 191.5)
    stop: float = 9.0


def expected_counts(deposit: Deposit, metal: str, metal_nm: float, around_u: float, aperture_nm: float, camera: Camera,
                    electrons: float, strain: float, beam_keV: float, rng: np.random.Generator) -> Array:
    """Mean counts (ky, kx) of an aperture of this diameter at `around_u` on the filament's axis.

    metal_nm : mean chord of metal in the aperture; electrons : that pass the aperture
    """
    grains = deposit.crystallites
    inside = np.flatnonzero(np.hypot(grains.centres[:, 0] - around_u, grains.centres[:, 1]) < aperture_nm / 2)
    chosen = rng.choice(inside, MOST, replace=False) if inside.size > MOST else inside
    weight = inside.size / max(chosen.size, 1)
    lam = wavelength_nm(beam_keV)
    pattern = np.zeros((camera.pixels, camera.pixels))
    for k, name in enumerate(grains.phases):
        these = chosen[grains.phase[chosen] == k]
        if not these.size:
            continue
        table = lattice(name, strain)
        turns = Rotation.from_quat(grains.quaternions[these]).as_matrix()
        g = np.einsum("nij,mj->nmi", turns, table.reflections)
        size = grains.diameter_nm[these][:, None]
        excited = np.sinc((g[..., 2] + lam * (g ** 2).sum(-1) / 2) * size) ** 2
        strength = weight * size ** 4 * table.amplitudes ** 2 * excited
        keep = excited > 0.05
        spots = _drawn(g[keep][:, :2], strength[keep], camera)
        pattern += ndimage.gaussian_filter(spots, max(0.5 / float(size.mean()) / camera.pixel_per_nm, 0.7))
    table = lattice(metal, strain)
    g = filament_orientation(deposit.spin).apply(table.reflections)
    thick = min(metal_nm, 40.0)
    excited = np.sinc((g[:, 2] + lam * (g ** 2).sum(1) / 2) * thick) ** 2
    pattern += ndimage.gaussian_filter(_drawn(g[:, :2], 0.3 * aperture_nm ** 2 * thick ** 2 * table.amplitudes ** 2 * excited,
                                              camera), 0.8)
    y, x = np.mgrid[:camera.pixels, :camera.pixels] - np.array(camera.centre)[:, None, None]
    k_per_nm = np.hypot(y, x) * camera.pixel_per_nm
    diffracted = 0.05 * electrons * pattern / max(pattern.sum(), 1e-9)
    background = np.exp(-k_per_nm / 1.2) + 0.02 * np.exp(-k_per_nm / 5)
    direct = np.exp(-0.5 * (k_per_nm / 0.08) ** 2)
    mean = diffracted + 0.25 * electrons * background / background.sum() + 0.6 * electrons * direct / direct.sum()
    behind = ((np.abs(x) < camera.stop) & (y > -camera.stop)) | (np.hypot(y, x) < 1.6 * camera.stop)
    return np.asarray(np.where(behind, 0.02 * np.minimum(mean, 50.0), mean))


def counts(expected: Array, rng: np.random.Generator) -> NDArray[np.uint16]:
    """What the camera reads: shot noise and saturation."""
    return np.asarray(np.minimum(rng.poisson(expected), SATURATION), dtype=np.uint16)


def _drawn(g: Array, strength: Array, camera: Camera) -> Array:
    """Spots on the camera's pixels: the pattern is elliptical, and the true camera length is not the nominal one."""
    c, s = np.cos(camera.angle), np.sin(camera.angle)
    turn = np.array([[c, -s], [s, c]])
    stretch = turn @ np.diag([1 + camera.ellipticity / 2, 1 - camera.ellipticity / 2]) @ turn.T * camera.scale
    # the pattern's y is the deposit's v, its x is u
    at = g[:, ::-1] @ stretch.T / camera.pixel_per_nm + np.array(camera.centre)
    pattern, _, _ = np.histogram2d(at[:, 0], at[:, 1], bins=camera.pixels, range=[(-0.5, camera.pixels - 0.5)] * 2,
                                   weights=strength)
    return np.asarray(pattern)
