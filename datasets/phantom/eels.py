"""Electron energy-loss spectrum images: Drude plasmons with plural scattering, core losses, shot noise.

The background under an edge is the tail of the plasmons and of the edges before it, scattered several times: it is curved,
and no power law was put in. A power-law fit is therefore a model here as it is on real spectra.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.phantom.electrons import BOHR_NM, REST_ENERGY_KEV, RYDBERG_EV, lorentz_factor
from datasets.phantom.materials import ATOMIC_NUMBER, Material, material

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Edge:
    """A core loss: onset eV, electrons in the shell, decay exponent of its oscillator strength, white line eV and share."""

    onset_eV: float
    electrons: int
    decay: float
    white_line_eV: float
    white_line_share: float


EDGES: dict[str, tuple[Edge, ...]] = {
    "Li": (Edge(55.0, 2, 2.0, 58.5, 0.25),), "C": (Edge(284.0, 2, 2.6, 290.0, 0.25),), "N": (Edge(401.0, 2, 2.7, 406.0, 0.25),),
    "O": (Edge(532.0, 2, 2.8, 538.0, 0.25),), "F": (Edge(685.0, 2, 2.8, 692.0, 0.25),),
    "Na": (Edge(31.0, 6, 2.2, 34.0, 0.15),), "Mg": (Edge(51.0, 6, 2.2, 55.0, 0.15),), "P": (Edge(132.0, 6, 2.3, 138.0, 0.15),),
    "S": (Edge(165.0, 6, 2.3, 172.0, 0.15),), "K": (Edge(294.0, 6, 2.4, 297.0, 0.5),), "Ca": (Edge(346.0, 6, 2.4, 349.0, 0.5),)}
"""Element -> edges below 800 eV: K edges of the light elements, L2,3 of the others. Onsets are handbook values; strengths and
shapes are judgement (an oscillator strength of one per electron, falling as a power of the loss)."""
LI_METAL_ONSET_EV = 54.7


@dataclass(frozen=True)
class Optics:
    """beam keV, collection semi-angle mrad, zero-loss width eV, channel eV, channels, loss of the first channel eV, and the
    share of the electrons that the camera records.
    """

    beam_keV: float = 300.0
    collection_mrad: float = 10.0
    zero_loss_eV: float = 1.0
    channel_eV: float = 0.8
    channels: int = 1024
    first_eV: float = -24.0
    efficiency: float = 0.6

    @property
    def energy_eV(self) -> Array:
        return np.asarray(self.first_eV + self.channel_eV * np.arange(self.channels), dtype=np.float64)

    @property
    def half_mv2_eV(self) -> float:
        """Kinetic energy m v² / 2, which sets the characteristic angle θ_E = E / (2 γ T)."""
        return 0.5 * REST_ENERGY_KEV * 1e3 * (1 - 1 / lorentz_factor(self.beam_keV) ** 2)


def expected_counts(solids: Mapping[str, NDArray[np.float32]], electrons: float, optics: Optics,
                    sensitivity: Mapping[str, float] | None = None) -> Array:
    """Mean counts (y, x, energy) from projected thickness per material (nm).

    `sensitivity` multiplies the cross section of an element's edges, 1 where absent: no table is quite right.
    Plural scattering is exact in Fourier space: the spectrum is the zero-loss peak convolved with
    exp(Σ t_k / λ_k (s_k - 1)), and each core loss is convolved with all of it.
    """
    factor = sensitivity or {}
    energy = optics.energy_eV
    zero = round(-optics.first_eV / optics.channel_eV)
    peak = np.exp(-0.5 * (energy / (optics.zero_loss_eV / 2.3548)) ** 2)
    shape = next(iter(solids.values())).shape
    plural = np.zeros((*shape, optics.channels // 2 + 1), np.complex64)
    core = np.ones_like(plural)
    for name, thickness in solids.items():
        solid = material(name)
        loss = single_loss(solid, energy, optics)
        per_nm = (np.fft.rfft(np.roll(loss / loss.sum(), -zero)) - 1) / inelastic_mean_free_path_nm(solid, optics)
        metallic = len(solid.atoms_per_nm3) == 1
        edges = np.zeros_like(energy)
        for element, density in solid.atoms_per_nm3.items():
            if element in EDGES:
                strength = density * factor.get(element, 1.0)
                edges += strength * cross_section_nm2_per_eV(element, energy, optics, metallic=metallic)
        per_nm_core = np.fft.rfft(np.roll(edges * optics.channel_eV, -zero))
        plural += thickness[..., None] * per_nm.astype(np.complex64)
        core += thickness[..., None] * per_nm_core.astype(np.complex64)
    spectrum = np.exp(plural)
    spectrum *= core
    spectrum *= np.fft.rfft(np.roll(peak / peak.sum(), -zero)).astype(np.complex64)
    counts = np.roll(np.fft.irfft(spectrum, optics.channels, axis=-1), zero, axis=-1)
    return np.clip(counts, 0, None) * (electrons * optics.efficiency)


def counts(expected: Array, rng: np.random.Generator, *, drift_channels: float = 0.5,
           ripple: float = 0.01) -> NDArray[np.uint32]:
    """What the camera records: gain ripple, an energy that wanders from pixel to pixel by whole channels, shot noise."""
    gain = 1 + ripple * rng.normal(size=expected.shape[-1])
    drawn = rng.poisson(expected * gain).astype(np.uint32)
    wander = np.rint(rng.normal(0, drift_channels, expected.shape[:2])).astype(int)
    channel = (np.arange(expected.shape[-1]) - wander[..., None]) % expected.shape[-1]
    return np.take_along_axis(drawn, channel, -1)


def single_loss(solid: Material, energy: Array, optics: Optics) -> Array:
    """Shape of one plasmon loss: Drude E Ep² Γ / ((E² - Ep²)² + (E Γ)²) times the angular factor."""
    centre, width = solid.plasmon_eV, solid.plasmon_width_eV
    drude = energy * centre ** 2 * width / ((energy ** 2 - centre ** 2) ** 2 + (energy * width) ** 2)
    return np.where(energy > 1, drude * _angular(energy, optics), 0.0)


def inelastic_mean_free_path_nm(solid: Material, optics: Optics) -> float:
    """Malis, Cheng and Egerton, J. Electron Microsc. Tech. 8, 193 (1988), doi 10.1002/jemt.1060080206 (not opened here)."""
    atoms = solid.atoms_per_nm3.items()
    z_eff = (sum(n * ATOMIC_NUMBER[el] ** 1.3 for el, n in atoms) / sum(n * ATOMIC_NUMBER[el] ** 0.3 for el, n in atoms))
    mean_loss = 7.6 * z_eff ** 0.36
    kv = optics.beam_keV
    relativistic = (1 + kv / 1022) / (1 + kv / 511) ** 2
    return float(106 * relativistic * kv / (mean_loss * np.log(2 * optics.collection_mrad * kv / mean_loss)))


def cross_section_nm2_per_eV(element: str, energy: Array, optics: Optics, *, metallic: bool = False) -> Array:
    """dσ/dE = 4π a0² R² / (E T) df/dE ln(1 + (β/θ_E)²), with a power law for df/dE and a white line on top."""
    total = np.zeros_like(energy)
    for edge in EDGES[element]:
        onset = LI_METAL_ONSET_EV if metallic and element == "Li" else edge.onset_eV
        above = energy > onset
        strength = np.where(above, edge.electrons * (edge.decay - 1) / onset
                            * (np.maximum(energy, onset) / onset) ** -edge.decay, 0.0)
        strength += (edge.white_line_share * edge.electrons * np.exp(-0.5 * ((energy - edge.white_line_eV) / 2.5) ** 2)
                     / (2.5 * np.sqrt(2 * np.pi)))
        total += 4 * np.pi * BOHR_NM ** 2 * RYDBERG_EV ** 2 / (np.maximum(energy, 5) * optics.half_mv2_eV) * strength
    return total * _angular(energy, optics)


def _angular(energy: Array, optics: Optics) -> Array:
    theta = np.maximum(energy, 0.1) / (2 * lorentz_factor(optics.beam_keV) * optics.half_mv2_eV)
    return np.where(energy > 0, np.log1p((optics.collection_mrad * 1e-3 / theta) ** 2), 0.0)
