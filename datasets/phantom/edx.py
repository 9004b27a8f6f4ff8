"""Energy-dispersive X-ray spectrum images: characteristic lines, bremsstrahlung, a detector, shot noise.

Lithium has no line that the detector sees, on purpose: it hardly has one in reality.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.phantom.materials import ATOMIC_NUMBER, material

Array = NDArray[np.float64]

LINE_KEV: dict[str, float] = {"C": 0.277, "N": 0.392, "O": 0.525, "F": 0.677, "Na": 1.041, "Mg": 1.254, "P": 2.013, "S": 2.307,
                              "K": 3.314, "Ca": 3.691, "Cu": 8.046, "Zn": 8.637}
"""K alpha lines, keV."""
FANO, PAIR_EV = 0.12, 3.65
RESOLUTION_EV = 130.0
"""Full width at half maximum at Mn K alpha (5.895 keV)."""


@dataclass(frozen=True)
class Detector:
    """beam keV, solid angle sr, channels of width keV from the first, thickness of the dead layer in keV³ of absorption, and
    share of stray copper in the whole signal.
    """

    beam_keV: float = 300.0
    solid_angle_sr: float = 0.9
    channels: int = 1024
    channel_keV: float = 0.01
    first_keV: float = 0.0
    absorption_keV3: float = 0.018
    stray_copper: float = 0.03

    @property
    def energy_keV(self) -> Array:
        return np.asarray(self.first_keV + self.channel_keV * np.arange(self.channels), dtype=np.float64)


def yield_per_electron_nm(element: str, detector: Detector) -> float:
    """Counts per electron, per nm of path and per atom in a nm³: N = n t σ_ion ω ε Ω / 4π.

    Bethe's ionisation cross section with two electrons and b = 0.9, c = 1; fluorescence yield Z⁴ / (10⁶ + Z⁴) (Wentzel).
    """
    line, z = LINE_KEV[element], ATOMIC_NUMBER[element]
    ionisation_nm2 = 6.51e-6 * 2 * 0.9 / (detector.beam_keV * line) * np.log(detector.beam_keV / line)
    fluorescence = z ** 4 / (1e6 + z ** 4)
    return float(ionisation_nm2 * fluorescence * efficiency(np.array(line), detector) * detector.solid_angle_sr / (4 * np.pi))


def efficiency(energy_keV: Array, detector: Detector) -> Array:
    """Share of X-rays that pass the detector's front; soft ones are absorbed as 1 / E³."""
    soft: Array = np.exp(-detector.absorption_keV3 / np.maximum(energy_keV, 0.05) ** 3)
    return soft


def expected_counts(solids: Mapping[str, NDArray[np.float32]], electrons: float, detector: Detector,
                    sensitivity: Mapping[str, float] | None = None) -> NDArray[np.float32]:
    """Mean counts (y, x, energy) from projected thickness per material (nm).

    sensitivity : element -> factor by which this instrument's counts differ from the textbook's; 1 where absent
    """
    factor = sensitivity or {}
    energy = detector.energy_keV
    column: dict[str, NDArray[np.float32]] = {}
    for name, thickness in solids.items():
        for element, density in material(name).atoms_per_nm3.items():
            column[element] = column.get(element, np.float32(0)) + np.float32(density) * thickness
    shape = next(iter(solids.values())).shape
    rows, shapes = [], []
    heavy = np.zeros(shape, np.float32)
    for element, atoms in column.items():
        heavy += np.float32(ATOMIC_NUMBER[element] ** 2) * atoms
        if element in LINE_KEV:
            rows.append(np.float32(electrons * factor.get(element, 1.0) * yield_per_electron_nm(element, detector)) * atoms)
            shapes.append(line_shape(LINE_KEV[element], energy))
    signal = sum(rows, np.zeros(shape, np.float32))
    rows.append(np.full(shape, max(float(signal.mean()), 1e-6) * detector.stray_copper, np.float32))
    shapes.append(line_shape(LINE_KEV["Cu"], energy))
    kramers = np.where(energy > 0.05, (detector.beam_keV - energy) / np.maximum(energy, 0.05), 0) * efficiency(energy, detector)
    # Kramers' law for the shape; its height, relative to the lines of light elements, is judgement
    rows.append(np.float32(electrons * 6e-18 * detector.solid_angle_sr) * heavy)
    shapes.append(kramers * detector.channel_keV / 0.01)
    mean: NDArray[np.float32] = np.einsum("kyx,ke->yxe", np.stack(rows), np.stack(shapes).astype(np.float32), optimize=True)
    return mean


def counts(expected: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint16]:
    """What the detector counts; 8 bits a channel where that is enough, as maps are stored."""
    drawn = rng.poisson(expected)
    return drawn.astype(np.uint8 if drawn.max() < 256 else np.uint16)


def line_shape(line_keV: float, energy: Array) -> Array:
    """A Gaussian of unit sum whose width follows FWHM² = noise² + 5.545 F ε E."""
    noise2 = RESOLUTION_EV ** 2 - 5.545 * FANO * PAIR_EV * 5895
    width = np.sqrt(noise2 + 5.545 * FANO * PAIR_EV * line_keV * 1e3) / 2.3548 / 1e3
    height = (energy[1] - energy[0]) / (width * np.sqrt(2 * np.pi))
    return np.asarray(height * np.exp(-0.5 * ((energy - line_keV) / width) ** 2))
