"""High-angle annular dark field: electrons scattered by screened nuclei, probe by probe."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from datasets.phantom.electrons import BOHR_NM, lorentz_factor, wavelength_nm
from datasets.phantom.materials import ATOMIC_NUMBER, material

PROBE_NM = 0.25
DARK = 0.6
ANGLES_MRAD = (50.0, 200.0)
EXPONENT = 1.8


def cross_section_nm2(atomic_number: int, beam_keV: float) -> float:
    """Elastic cross section into the annulus, 4πγ² Z^1.8 / (a0² k0⁴) (1/β1² - 1/β2²).

    Rutherford scattering with the exponent lowered for screening (Z^1.6 to Z^1.9 in practice; judgement).
    """
    k0 = 2 * np.pi / wavelength_nm(beam_keV)
    inner, outer = (angle * 1e-3 for angle in ANGLES_MRAD)
    return float(4 * np.pi * lorentz_factor(beam_keV) ** 2 * atomic_number ** EXPONENT / (BOHR_NM ** 2 * k0 ** 4)
                 * (1 / inner ** 2 - 1 / outer ** 2))


def expected_counts(solids: Mapping[str, NDArray[np.float32]], pixel_nm: float, electrons: float,
                    beam_keV: float) -> NDArray[np.float64]:
    """Mean counts (y, x) from projected thickness per material (nm)."""
    scattered: NDArray[np.float64] = np.zeros(next(iter(solids.values())).shape)
    for name, thickness in solids.items():
        per_nm = sum(n * cross_section_nm2(ATOMIC_NUMBER[el], beam_keV) for el, n in material(name).atoms_per_nm3.items())
        scattered += per_nm * thickness
    image = ndimage.gaussian_filter(1 - np.exp(-scattered), PROBE_NM / pixel_nm)
    return np.asarray(electrons * image + DARK)


def counts(expected: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint16]:
    """What the detector counts."""
    return np.asarray(np.minimum(rng.poisson(expected), 65535), dtype=np.uint16)
