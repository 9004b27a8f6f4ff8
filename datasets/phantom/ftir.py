"""Infrared spectrum of the electrode by attenuated total reflection: bands of SEI phases on a drifting instrument.

Absorbance grows with the amount of each phase in the film; the film is thinner than the depth of the evanescent wave, which
weights it by exp(-2 z / d_p). Bands are Gauss-Lorentz sums; water vapour and carbon dioxide of the purge change sign from
background to sample; strong bands saturate. Positions are general knowledge except LiOH (Jones, J. Chem. Phys. 22, 217
(1954), doi 10.1063/1.1740033, abstract): they serve this generator and are no reference.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.phantom.state import State

Float = npt.NDArray[np.float64]

BANDS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "Li2CO3": ((1437.0, 70.0, 1.0), (866.0, 14.0, 0.35)), "Na2CO3": ((1440.0, 75.0, 1.0), (880.0, 12.0, 0.35)),
    "CaCO3": ((1410.0, 90.0, 1.0), (874.0, 14.0, 0.35)), "LiOH": ((3678.0, 8.0, 0.5),), "NaOH": ((3637.0, 15.0, 0.5),),
    "K2SO4": ((1110.0, 60.0, 1.0),),
    "organic": ((1650.0, 35.0, 1.0), (1400.0, 30.0, 0.35), (1315.0, 35.0, 0.7), (1085.0, 30.0, 0.6), (823.0, 12.0, 0.35),
                (2960.0, 60.0, 0.15)),
}
"""Material -> (centre 1/cm, full width, strength relative to the carbonate band). Judgement. Salts without a band above
650 1/cm (LiF, Li2O and their like) are invisible, on purpose."""
ABSORBANCE_PER_NM = 1.5e-3
"""Peak absorbance of one nm of solid carbonate, three reflections. Judgement."""
WATER_LINES, CO2_CENTRE = 60, 2349.0
SATURATION = 6.0
CRYSTAL_INDEX, FILM_INDEX, INCIDENCE_DEG = 2.4, 1.5, 45.0


@dataclass(frozen=True)
class FtirRun:
    """Absorbance on rising wavenumber (both (wavenumber,)), and what is true.

    truth : `film_nm` of each material that absorbs (mean over the electrode, solid, weighted by the evanescent wave),
        `band_absorbance` at each band's centre, `invisible` materials
    """

    wavenumber_per_cm: Float
    absorbance: Float
    truth: Mapping[str, Any]
    nuisance: Mapping[str, Any]


def penetration_nm(wavenumber_per_cm: Float) -> Float:
    """Depth of the evanescent wave's amplitude, λ / (2π n1 sqrt(sin²θ - (n2/n1)²)); same shape."""
    angle = np.sin(np.deg2rad(INCIDENCE_DEG)) ** 2 - (FILM_INDEX / CRYSTAL_INDEX) ** 2
    return np.asarray(1e7 / (2 * np.pi * CRYSTAL_INDEX * np.asarray(wavenumber_per_cm) * np.sqrt(angle)))


def film_nm(state: State) -> dict[str, float]:
    """Equivalent solid thickness of each material of the SEI, seen through the real area of the electrode."""
    inner = state.inner_share * state.thickness_nm
    outer = (1 - state.inner_share) * state.thickness_nm
    solid = 1 - state.porosity
    names = sorted({*state.inner, *state.outer})
    return {name: solid * (inner * state.inner.get(name, 0.0) + outer * state.outer.get(name, 0.0)) for name in names}


def ftir(state: State, rng: np.random.Generator, *, first_per_cm: float = 650.0, last_per_cm: float = 4000.0,
         step_per_cm: float = 1.93) -> FtirRun:
    """One spectrum against the clean crystal."""
    x = np.arange(first_per_cm, last_per_cm, step_per_cm)
    film = film_nm(state)
    # rough deposits touch the crystal in places only
    contact = float(rng.uniform(0.3, 0.9))
    spectrum, heights, seen = np.zeros_like(x), {}, {}
    for name, nm in film.items():
        for centre, width, strength in BANDS.get(name.partition(":")[0], ()):
            moved = centre + float(rng.normal(0, 2.0))
            weight = float(np.exp(-nm / penetration_nm(np.array(centre))))
            height = contact * ABSORBANCE_PER_NM * strength * nm * weight
            spectrum += height * _gauss_lorentz(x, moved, width)
            heights[f"{name} {centre:g}"] = height
            seen[name] = nm
    spectrum = SATURATION * -np.expm1(-spectrum / SATURATION)
    water, co2 = float(rng.normal(0, 0.002)), float(rng.normal(0, 0.004))
    baseline = float(rng.normal(0, 0.004)) + float(rng.normal(0, 0.004)) * (x - 2000) / 2000
    wave = 0.001 * float(rng.uniform(0, 1)) * np.sin(2 * np.pi * x / float(rng.uniform(180, 500)))
    noise = float(rng.uniform(0.5e-4, 2e-4))
    measured = spectrum + water * _water(x) + co2 * _carbon_dioxide(x) + baseline + wave + rng.normal(0, noise, x.size)
    truth = {"film_nm": seen, "band_absorbance": heights, "invisible": sorted(set(film) - set(seen)),
             "sei_thickness_nm": state.thickness_nm}
    nuisance = {"contact": contact, "water": water, "carbon_dioxide": co2, "noise": noise}
    return FtirRun(x, measured, truth, nuisance)


def _gauss_lorentz(x: Float, centre: float, width: float, lorentzian: float = 0.4) -> Float:
    u = (x - centre) / (width / 2)
    return np.asarray((1 - lorentzian) * np.exp(-np.log(2) * u ** 2) + lorentzian / (1 + u ** 2))


def _water(x: Float) -> Float:
    """Rotational lines of water vapour near 1600 and 3750 1/cm: regular in place and strength, the same in every spectrum."""
    number = np.arange(WATER_LINES)
    places = np.concatenate([1350 + 550 * (0.618034 * number % 1), 3550 + 380 * (0.754878 * number % 1)])
    strength = 0.2 + 0.8 * (0.569840 * np.arange(places.size) % 1)
    return np.asarray(np.sum(strength[:, None] * np.exp(-((x - places[:, None]) / 3.0) ** 2), 0))


def _carbon_dioxide(x: Float) -> Float:
    """P and R branches that 4 1/cm of resolution does not separate into lines."""
    return np.asarray(np.exp(-((x - CO2_CENTRE + 18) / 14) ** 2) + 0.9 * np.exp(-((x - CO2_CENTRE - 14) / 10) ** 2))
