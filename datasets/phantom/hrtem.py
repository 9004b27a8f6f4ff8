"""High-resolution TEM at low dose: lattice fringes of metal and crystallites through a contrast transfer function."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from datasets.phantom.electrons import interaction_rad_per_V_nm, wavelength_nm
from datasets.phantom.fields import Deposit
from datasets.phantom.geometry import Placement, View
from datasets.phantom.materials import lattice
from datasets.phantom.projection import Projection

Array = NDArray[np.float64]

COARSE = 8
"""Thickness is projected on every eighth pixel: it varies over nanometres."""
POTENTIAL_V = 4.0
ENOUGH = 0.25
"""Smallest sinc of excitation error times size at which a reflection is drawn."""


@dataclass(frozen=True)
class Lens:
    """beam keV, defocus nm (negative under focus), spherical aberration nm, focal spread nm, information limit nm."""

    beam_keV: float = 300.0
    defocus_nm: float = -12.0
    spherical_nm: float = 1.0e4
    focal_spread_nm: float = 3.0
    blur_nm: float = 0.035

    def transfer(self, g2: Array) -> Array:
        """The sine of the aberration function times the envelopes, at squared spatial frequencies in 1/nm²."""
        lam = wavelength_nm(self.beam_keV)
        chi = np.pi * lam * g2 * (self.defocus_nm + 0.5 * self.spherical_nm * lam ** 2 * g2)
        temporal = np.exp(-0.5 * (np.pi * lam * self.focal_spread_nm * g2) ** 2)
        return np.asarray(np.sin(chi) * temporal * np.exp(-2 * (np.pi * self.blur_nm) ** 2 * g2))

    def displacement_nm(self, g: Array) -> Array:
        """How far a fringe set with vector g (2,) is displaced from its crystal (delocalisation)."""
        lam = wavelength_nm(self.beam_keV)
        return np.asarray(lam * (self.defocus_nm + self.spherical_nm * lam ** 2 * float(g @ g)) * g)


def expected_intensity(deposit: Deposit, projection: Projection, metal: str, placement: Placement, view: View, lens: Lens,
                       strain: float, rng: np.random.Generator) -> tuple[Array, list[dict[str, float | str]]]:
    """Mean intensity relative to the beam (y, x), and the reflections drawn: phase, spacing nm, diameter nm, place y, x nm.

    Each crystallite adds a plane wave per excited reflection inside its own disc, displaced by the lens; the metal is one
    crystal. Dynamical scattering is left out (a tanh limits the metal).
    """
    y, x = view.sample_points()
    u, v = placement.deposit_coordinates(y, x)
    thick = _coarse_thickness(projection, u, v, view.true_pixel_nm())
    lam, sigma = wavelength_nm(lens.beam_keV), interaction_rad_per_V_nm(lens.beam_keV)
    fringes = np.zeros(view.shape)
    table = lattice(metal, strain)
    turn = filament_orientation(deposit.spin)
    limited = np.minimum(thick["metal"], 25.0)
    for g, amplitude in zip(turn.apply(table.reflections), table.amplitudes, strict=True):
        g2 = float(g[:2] @ g[:2])
        if g[0] >= 0 and abs(g[2] + lam * (g @ g) / 2) < 0.08:
            strength = 2 * np.tanh(sigma * 0.6 * amplitude * limited) * float(lens.transfer(np.array(g2)))
            fringes += strength * np.cos(2 * np.pi * (g[0] * u + g[1] * v))
    drawn: list[dict[str, float | str]] = []
    window = _Window(u, v)
    grains = deposit.crystallites
    centres = grains.centres[:, :2] + np.array([[0.0, 1.0]]) * deposit.deviation(grains.centres[:, 0])[:, None]
    for k in np.flatnonzero(window.near(centres, grains.diameter_nm / 2 + 2)):
        table = lattice(grains.phases[grains.phase[k]], strain)
        size = float(grains.diameter_nm[k])
        vectors = Rotation.from_quat(grains.quaternions[k]).apply(table.reflections)
        excitation = np.sinc((vectors[:, 2] + lam * (vectors ** 2).sum(1) / 2) * size)
        for g, amplitude, excited in zip(vectors, table.amplitudes, excitation, strict=True):
            if g[0] < 0 or abs(excited) < ENOUGH:
                continue
            where = centres[k] + lens.displacement_nm(g[:2])
            hit = window.around(where, size / 2 + 0.1)
            if hit is None:
                continue
            inside = (size / 2) ** 2 - (u[hit] - where[0]) ** 2 - (v[hit] - where[1]) ** 2
            chord = 2 * np.sqrt(np.clip(inside, 0, None))
            strength = 2 * sigma * POTENTIAL_V * amplitude * excited * float(lens.transfer(np.array(g[:2] @ g[:2])))
            fringes[hit] += strength * chord * np.cos(2 * np.pi * (g[0] * u[hit] + g[1] * v[hit]))
            py, px = placement.sample_point(float(where[0]), float(where[1]))
            drawn.append({"phase": grains.phases[grains.phase[k]], "d_nm": 1 / float(np.linalg.norm(g)), "diameter_nm": size,
                          "strength": abs(strength) * size, "y_nm": py, "x_nm": px})
    total = thick["metal"] + thick["shell"]
    texture = _amorphous(view, lens, rng)
    absorbed = np.exp(-thick["metal"] / 900 - thick["shell"] / 350)
    return absorbed * np.clip(1 + 0.012 * np.sqrt(total) * texture + fringes * np.exp(-total / 400), 0.02, None), drawn


def movie(expected: Array, dose_e_per_A2: float, pixel_nm: float, rng: np.random.Generator, *, frames: int = 5,
          drift_nm: float = 0.015) -> tuple[NDArray[np.uint16], Array]:
    """Counts (frame, y, x) and the drift (frame, 2) in nm, whose mean is zero."""
    path = np.cumsum(rng.normal(0, drift_nm, (frames, 2)), 0)
    path -= path.mean(0)
    spectrum = np.fft.rfft2(expected)
    fy, fx = np.fft.fftfreq(expected.shape[0])[:, None], np.fft.rfftfreq(expected.shape[1])[None, :]
    per_pixel = dose_e_per_A2 * (10 * pixel_nm) ** 2 / frames
    stack = []
    for dy, dx in path / pixel_nm:
        moved = np.fft.irfft2(spectrum * np.exp(-2j * np.pi * (fy * dy + fx * dx)), s=expected.shape)
        stack.append(rng.poisson(per_pixel * np.clip(moved, 0.01, None)).astype(np.uint16))
    return np.stack(stack), path


def filament_orientation(spin: float) -> Rotation:
    """Lattice of the metal: <111> along the filament's axis, then turned by `spin`; zero has [1-10] along the beam."""
    axis = np.array([1.0, 1.0, 1.0]) / np.sqrt(3)
    beam = np.array([1.0, -1.0, 0.0]) / np.sqrt(2)
    onto = Rotation.from_matrix(np.stack([axis, np.cross(beam, axis), beam]))
    return Rotation.from_rotvec([spin, 0.0, 0.0]) * onto


def _coarse_thickness(projection: Projection, u: Array, v: Array, pixel_nm: float) -> dict[str, Array]:
    few = (slice(COARSE // 2, None, COARSE), slice(COARSE // 2, None, COARSE))
    seen = projection.at(u[few], v[few], pixel_nm * COARSE).volumes

    def fine(values: NDArray[np.float32]) -> Array:
        wide = ndimage.zoom(values, COARSE, order=1, mode="nearest", grid_mode=True)
        return np.asarray(wide[:u.shape[0], :u.shape[1]], dtype=np.float64)

    return {"metal": fine(seen["metal"]), "shell": fine(seen["inner"] + seen["outer"])}


def _amorphous(view: View, lens: Lens, rng: np.random.Generator) -> Array:
    """Texture of disordered matter as this lens shows it, variance 1."""
    ny, nx = view.shape
    q2 = np.fft.fftfreq(ny, view.pixel_nm)[:, None] ** 2 + np.fft.rfftfreq(nx, view.pixel_nm)[None, :] ** 2
    spectrum = np.fft.rfft2(rng.normal(size=view.shape)) * lens.transfer(q2) / (1 + q2 / 9)
    texture = np.fft.irfft2(spectrum, s=view.shape)
    return np.asarray(texture / texture.std())


class _Window:
    """Finds the pixels near a point of the deposit's plane; holds the inverse of the affine pixel grid."""

    def __init__(self, u: Array, v: Array) -> None:
        steps = np.array([[u[1, 0] - u[0, 0], u[0, 1] - u[0, 0]], [v[1, 0] - v[0, 0], v[0, 1] - v[0, 0]]])
        self.inverse, self.origin, self.shape = np.linalg.inv(steps), np.array([u[0, 0], v[0, 0]]), u.shape
        self.pixel = float(np.hypot(*steps[:, 0]))

    def near(self, points: Array, reach: Array) -> NDArray[np.bool_]:
        place = (points - self.origin) @ self.inverse.T
        reach_px = (reach / self.pixel)[:, None]
        return np.asarray(np.all((place > -reach_px) & (place < np.array(self.shape) + reach_px), axis=1))

    def around(self, point: Array, reach: float) -> tuple[slice, slice] | None:
        place = self.inverse @ (point - self.origin)
        half = reach / self.pixel + 1
        low = np.maximum(np.floor(place - half), 0).astype(int)
        high = np.minimum(np.ceil(place + half) + 1, self.shape).astype(int)
        if (low >= high).any():
            return None
        return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))
