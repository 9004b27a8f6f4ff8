"""ToF-SIMS depth profile: secondary ions of a film that sputters unevenly, mixes, and is as rough as its thickness varies.

Organic matter sputters three times as fast as salts. The signal of each ion is its yield times a matrix factor times the
material at the surface, smeared by atomic mixing (exponential, 2 to 3 nm) and by the distribution of thicknesses over the
crater; counts are Poisson behind a dead time. Only time and ion dose are written, never a depth. Yields are judgement.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from datasets.phantom.state import State

Float = npt.NDArray[np.float64]

ORGANIC_RATE = 3.0
"""Sputter rate of organic matter over that of salts and metal."""
IONS: dict[str, tuple[float, tuple[str, ...]]] = {
    "C2HO-": (41.003, ("organic",)), "CO3-": (59.985, ("organic", "carbonate")), "F-": (18.998, ("fluoride",)),
    "O-": (15.995, ("oxide", "carbonate", "organic")), "OH-": (17.003, ("hydroxide", "organic")),
    "S-": (31.972, ("sulphide",)), "M-": (0.0, ("metal",)), "MF2-": (37.996, ("fluoride",)), "MO-": (15.995, ("oxide",)),
}
"""Negative ion -> mass (Da; of the part beside the metal for M...) and the classes of material that send it out."""
MASS = {"Li": 7.016, "Na": 22.990, "K": 38.964, "Zn": 63.929, "Ca": 39.963, "Mg": 23.985}
CLASS = {"CO3": "carbonate", "OH": "hydroxide", "SO4": "sulphide", "F": "fluoride", "S": "sulphide", "O": "oxide", "N": "oxide"}
PULSES = 2e4
"""Pulses of the analysis gun per sputter cycle; behind its dead time the detector counts one ion of a kind per pulse."""


@dataclass(frozen=True)
class SimsRun:
    """Counts of each ion (cycle,) beside sputter time and dose, and what is true.

    truth : `interface_time_s`, when half of the crater has reached metal; `sputter_rate_nm_per_s` of the film on average
    """

    counts: Mapping[str, npt.NDArray[np.int64]]
    masses_Da: Mapping[str, float]
    sputter_time_s: Float
    dose_ions: Float
    area_um2: float
    truth: Mapping[str, Any]
    nuisance: Mapping[str, Any]


def sims(state: State, rng: np.random.Generator, *, cycles: int = 120, area_um2: float = 1e4) -> SimsRun:
    """One profile in negative mode, from the surface into the metal."""
    salt_rate = float(rng.uniform(0.05, 0.15))
    inner, outer = (_rate(layer, salt_rate) for layer in (state.inner, state.outer))
    sigma = np.sqrt(np.log(1 + state.thickness_cv ** 2))
    spots = 61
    thickness = state.thickness_nm * np.exp(sigma * ndtri((np.arange(spots) + 0.5) / spots) - sigma ** 2 / 2)
    time_outer = (1 - state.inner_share) * thickness / outer
    time_inner = state.inner_share * thickness / inner
    arrival = time_outer + time_inner
    interface = float(np.median(arrival))
    time = np.linspace(0, 2.2 * interface, cycles)
    mixing = float(rng.uniform(2, 3)) / salt_rate
    classes = {name: _smeared(_surface(name, state, time, time_outer, arrival), time, mixing)
               for name in ("organic", "carbonate", "fluoride", "oxide", "hydroxide", "sulphide", "metal")}
    edge = float(rng.uniform(0, 0.03))
    counts, masses, yields = {}, {}, {}
    for ion, (mass, sources) in IONS.items():
        matrix = [10 ** float(rng.uniform(-1, 1)) for _ in sources]
        signal = np.sum([factor * classes[name] for factor, name in zip(matrix, sources, strict=True)], axis=0)
        if float(np.max(signal)) <= 0:
            continue
        # the crater's edge keeps sending what was at the surface
        signal = (1 - edge) * signal + edge * signal[0]
        strength = 10 ** float(rng.uniform(3.0, 4.3))
        label = ion.replace("M", state.metal, 1)
        expected = strength * signal / float(np.max(signal))
        per_pulse = expected / PULSES
        counts[label] = rng.poisson(-np.expm1(-per_pulse) * PULSES)
        masses[label] = mass + (MASS[state.metal] if ion.startswith("M") else 0.0)
        yields[label] = strength
    rate = state.thickness_nm / float(np.mean(arrival))
    truth = {"interface_time_s": interface, "sputter_rate_nm_per_s": rate, "sei_thickness_nm": state.thickness_nm}
    nuisance = {"mixing_nm": mixing * salt_rate, "crater_edge": edge, "salt_rate_nm_per_s": salt_rate, "yields": yields}
    dose = 6e9 * (time / max(float(time[1]), 1e-9) + 1)
    return SimsRun(counts, masses, time, dose, area_um2, truth, nuisance)


def kind_of(material_name: str) -> str:
    """Class of a material that sends out the same ions: organic, carbonate, fluoride, oxide, hydroxide or sulphide."""
    if material_name.startswith("organic"):
        return "organic"
    return next(kind for part, kind in CLASS.items() if part in material_name)


def _rate(layer: Mapping[str, float], salt_nm_per_s: float) -> float:
    """Sputter rate of a layer: the times that its parts take add up."""
    return salt_nm_per_s / sum(share / (ORGANIC_RATE if kind_of(name) == "organic" else 1.0) for name, share in layer.items())


def _surface(kind: str, state: State, time: Float, time_outer: Float, arrival: Float) -> Float:
    """Share of the crater's floor that is of a class, (cycle,)."""
    if kind == "metal":
        return np.asarray(np.mean(time[:, None] >= arrival, axis=1))
    outer, inner = (sum(share for name, share in layer.items() if kind_of(name) == kind)
                    for layer in (state.outer, state.inner))
    in_outer = time[:, None] < time_outer
    in_inner = ~in_outer & (time[:, None] < arrival)
    return np.asarray(outer * in_outer.mean(axis=1) + inner * in_inner.mean(axis=1))


def _smeared(signal: Float, time: Float, decay_s: float) -> Float:
    """What mixing makes of it: each layer is dragged along and decays exponentially."""
    step = float(time[1] - time[0])
    kernel = np.exp(-np.arange(time.size) * step / decay_s)
    kernel /= kernel.sum()
    before = np.full(time.size, signal[0])
    return np.asarray(np.convolve(np.r_[before, signal], kernel)[time.size:2 * time.size])
