"""One deposit and its interphase: random fields on the metal surface, and the crystallites placed in the shell.

The deposit is a gently bent filament with a round tip. Its own coordinates are u along the axis, v across it in the plane
of the image, and w along the beam; the fields live on (u, θ), θ being the azimuth about the axis, and continue over the tip
with u counted along the meridian.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.phantom.state import State
from datasets.phantom.streams import stream

Array = NDArray[np.float64]

HURST = 0.8
CORRELATION_NM = 15.0
ROUGHNESS_CORRELATION_NM = 40.0
FILAMENT_NM = 50.0
"""Radius of a filament of a deposit of 4 µm."""
FIELD_SHARE = 0.6
"""Of the variance of thickness that one field shows; the rest lies between fields and moves the field's mean."""
TIP_U = 2.05
"""Where the tip lies along the deposit, in field widths."""


@dataclass(frozen=True)
class Crystallites:
    """Spheres in the shell: positions (n, 3) u, v, w in nm, diameters (n,), phase index (n,), orientations (n, 4)."""

    centres: Array
    diameter_nm: Array
    phase: NDArray[np.int64]
    quaternions: Array
    phases: tuple[str, ...]


@dataclass(frozen=True)
class Deposit:
    """A filament of metal with its SEI.

    field_nm : width of the widest image, chosen so that the whole filament is in view
    radius_nm, tip_nm : of the bare metal; u where its axis ends
    step_u, metal, inner, total : spacing along u and fields (u, θ) in nm: rise of the metal surface above the mean radius,
        thickness of the inner layer, thickness of the whole SEI
    bend_nm, bend_period_nm, bend_phase : sideways deviation of the axis
    """

    field_nm: float
    radius_nm: float
    tip_nm: float
    step_u: float
    metal: Array
    inner: Array
    total: Array
    crystallites: Crystallites
    bend_nm: float
    bend_period_nm: float
    bend_phase: float
    spin: float
    """Rotation of the metal's lattice about the axis, rad."""

    @property
    def mean_thickness_nm(self) -> float:
        return float(self.total[: self._end].mean())

    @property
    def thickness_spread_nm(self) -> float:
        return float(self.total[: self._end].std())

    @property
    def _end(self) -> int:
        return int(self.tip_nm / self.step_u)

    def deviation(self, u: Array) -> Array:
        """Sideways deviation of the axis at u, nm."""
        return self.bend_nm * np.sin(2 * np.pi * u / self.bend_period_nm + self.bend_phase)


def grow(state: State) -> Deposit:
    """The deposit that a state makes; draws from the streams (seed, sample, "field", ...) only."""
    rng = stream(state.seed, state.sample, "field", "shape")
    spread = state.thickness_cv
    mean = state.thickness_nm * float(np.exp(rng.normal(0, 0.5 * spread) - 0.125 * spread ** 2))
    # what lies on the grid are the finest filaments of the deposit; they are finer where the deposit is (judgement)
    fine = FILAMENT_NM * (state.deposit_diameter_nm / 4000.0) ** 0.35
    radius = float(np.clip(fine, 25.0, 120.0) * np.exp(rng.normal(0, 0.08)))
    field_nm = 2.6 * (radius + 1.25 * mean) + 20.0
    tip = TIP_U * field_nm
    step = field_nm / 512
    around = 512
    n_u = int(np.ceil((tip + np.pi * radius) / step)) + 8
    arc = 2 * np.pi * radius / around

    def draw(name: str, correlation: float) -> Array:
        return gaussian_field(stream(state.seed, state.sample, "field", name), (n_u, around), (step, arc), correlation)

    within = spread * np.sqrt(FIELD_SHARE)
    sigma = float(np.sqrt(np.log(1 + within ** 2)))
    # a thick film undulates on its own scale: no hairs of 15 nm on a film of 150 nm
    correlation = max(CORRELATION_NM, 0.75 * mean)
    total = mean * np.exp(sigma * draw("thickness", correlation) - sigma ** 2 / 2)
    share = np.clip(state.inner_share + 0.06 * draw("inner share", correlation), 0.02, 0.95)
    metal = state.roughness_nm * draw("roughness", ROUGHNESS_CORRELATION_NM)
    crystallites = place(state, radius, tip, step, metal, total, mean)
    bend = 0.02 * field_nm * float(rng.normal())
    return Deposit(field_nm, radius, tip, step, metal, share * total, total, crystallites, bend, 1.7 * field_nm,
                   float(rng.uniform(0, 2 * np.pi)), float(rng.integers(6) * np.pi / 3 + rng.normal(0, 0.006)))


def gaussian_field(rng: np.random.Generator, shape: tuple[int, int], step: tuple[float, float], correlation: float,
                   hurst: float = HURST) -> Array:
    """A periodic random field of mean 0 and variance 1 with spectrum (1 + (q ξ)²)^-(1 + H), ξ = `correlation`."""
    q2 = ((2 * np.pi * np.fft.fftfreq(shape[0], step[0]))[:, None] ** 2
          + (2 * np.pi * np.fft.rfftfreq(shape[1], step[1]))[None, :] ** 2)
    spectrum = np.fft.rfft2(rng.normal(size=shape)) * (1 + q2 * correlation ** 2) ** (-(1 + hurst) / 2)
    field = np.fft.irfft2(spectrum, s=shape)
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float64)


def place(state: State, radius: float, tip: float, step: float, metal: Array, total: Array, mean: float) -> Crystallites:
    """Crystallites by a Poisson process in the shell, kept where the shell holds them: truth is what was placed.

    The more layered, the more of them lie outside.
    """
    rng = stream(state.seed, state.sample, "field", "crystallites")
    names = tuple(name for name in state.inner if not name.startswith("organic"))
    weights = np.array([state.inner[name] for name in names])
    sigma = 0.3
    volume = np.pi / 6 * state.crystallite_nm ** 3 * np.exp(4.5 * sigma ** 2)
    shell = np.pi * ((radius + mean) ** 2 - radius ** 2) * tip + 2 / 3 * np.pi * ((radius + mean) ** 3 - radius ** 3)
    asked = state.crystalline_fraction * (1 - state.porosity) * shell / volume
    n = int(rng.poisson(min(asked, 120_000.0)))
    diameter = state.crystallite_nm * np.exp(rng.normal(0, sigma, n))
    # along the stem and over the tip, evenly per volume of shell; on the tip u counts the meridian
    along, theta = rng.uniform(0, 1, n) * (tip + radius), rng.uniform(0, 2 * np.pi, n)
    latitude = np.arcsin(np.clip((along - tip) / radius, 0, 1))
    u = np.minimum(along, tip) + radius * latitude
    i, k = (u / step).astype(int), (theta / (2 * np.pi) * metal.shape[1]).astype(int)
    depth = rng.beta(1 + 2 * state.layered, 1.0, n)
    phase = rng.choice(len(names), n, p=weights / weights.sum())
    turn = rng.normal(size=(n, 4))
    thickness = total[i, k]
    # the sphere lies between the metal and the outer surface
    rho = radius + metal[i, k] + diameter / 2 + depth * np.maximum(thickness - diameter, 0)
    keep = thickness > 0.8 * diameter
    across = rho * np.cos(latitude)
    centres = np.stack([np.minimum(along, tip) + rho * np.sin(latitude), across * np.cos(theta), across * np.sin(theta)], 1)
    turn /= np.linalg.norm(turn, axis=1, keepdims=True)
    return Crystallites(centres[keep], diameter[keep], phase[keep], turn[keep], names)
