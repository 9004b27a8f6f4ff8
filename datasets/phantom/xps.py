"""XPS of an electrode: attenuated core levels over the whole distribution of SEI thickness, with their inelastic tails.

Stack, from the metal out: metal, inner layer, outer layer, adventitious carbon. A line i of layer k gives
I = rsf_i T(E_i) n_i lambda(E_i) cos(theta) (1 - exp(-d_k / (lambda cos theta))) exp(-d_above / (lambda cos theta)), averaged
over thicknesses of the state's log-normal distribution: one number per sample, never one per field. Every electron loses
energy on its way by Tougaard's cross section (S. Tougaard, Surf. Interface Anal. 25, 137 (1997), source not checked), so the
background is neither Shirley's nor a line. Sensitivity factors come from datasets/reference, perturbed per study, because
nobody's instrument has the table's. Attenuation length 2.7 nm at 1 keV, growing as E^0.75: judgement, near TPP-2M.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from datasets.phantom.materials import material
from datasets.phantom.state import State
from datasets.phantom.streams import stream
from datasets.writers.vamas import Block

Float = npt.NDArray[np.float64]

SOURCE_EV = 1486.68
ATTENUATION_NM, ATTENUATION_POWER = 2.7, 0.75
SENSITIVITY_SD, TRANSMISSION_POWER = 0.10, -0.7
"""Perturbation of the table of sensitivity factors per study; transmission of the analyser as a power of kinetic energy."""
TOUGAARD_B, TOUGAARD_C = 2866.0, 1643.0
"""Universal cross section B T / (C + T²)², in eV². From memory: the figures of the 1997 paper, not checked. Its integral,
B / 2C = 0.87, must stay below one, or an electron would lose energy more than once per path without end."""
SPLIT = {"S 2p": (1.18, 0.5), "P 2p": (0.87, 0.5), "K 2p": (2.80, 0.5), "Ca 2p": (3.55, 0.5), "Cl 2p": (1.60, 0.5)}
"""Doublet: distance (eV) and intensity of the weaker component relative to the stronger. Handbook values."""
AUGER = {"C": (263.0, 0.5), "O": (508.0, 0.8), "F": (655.0, 0.9), "Na": (989.0, 0.9)}
"""KLL lines: kinetic energy (eV) and area relative to the main line. Energies handbook, areas judgement."""

POSITION_EV: dict[str, dict[str, Sequence[tuple[float, float]]]] = {
    "Li": {"Li 1s": [(54.9, 1)]}, "Na": {"Na 1s": [(1071.6, 1)]}, "K": {"K 2p": [(294.7, 1)]},
    "Zn": {"Zn 2p3/2": [(1021.7, 1)]}, "Ca": {"Ca 2p": [(345.9, 1)]}, "Mg": {"Mg 2p": [(49.6, 1)]},
    "LiF": {"Li 1s": [(55.7, 1)], "F 1s": [(685.1, 1)]}, "Li2O": {"Li 1s": [(53.9, 1)], "O 1s": [(528.6, 1)]},
    "Li2CO3": {"Li 1s": [(55.2, 1)], "C 1s": [(289.7, 1)], "O 1s": [(531.5, 1)]},
    "LiOH": {"Li 1s": [(54.9, 1)], "O 1s": [(531.2, 1)]}, "Li3N": {"Li 1s": [(54.7, 1)], "N 1s": [(395.5, 1)]},
    "Li2S": {"Li 1s": [(54.8, 1)], "S 2p": [(160.6, 1)]},
    "Li3PO4": {"Li 1s": [(55.4, 1)], "O 1s": [(531.5, 1)], "P 2p": [(133.6, 1)]},
    "NaF": {"Na 1s": [(1071.3, 1)], "F 1s": [(684.5, 1)]}, "Na2O": {"Na 1s": [(1072.5, 1)], "O 1s": [(529.7, 1)]},
    "Na2CO3": {"Na 1s": [(1071.5, 1)], "C 1s": [(289.5, 1)], "O 1s": [(531.7, 1)]},
    "Na2S": {"Na 1s": [(1071.8, 1)], "S 2p": [(161.0, 1)]}, "NaOH": {"Na 1s": [(1072.6, 1)], "O 1s": [(532.8, 1)]},
    "KF": {"K 2p": [(292.8, 1)], "F 1s": [(683.9, 1)]}, "K2O": {"K 2p": [(292.5, 1)], "O 1s": [(529.0, 1)]},
    "K2SO4": {"K 2p": [(292.9, 1)], "O 1s": [(531.8, 1)], "S 2p": [(168.8, 1)]},
    "ZnO": {"Zn 2p3/2": [(1021.9, 1)], "O 1s": [(530.3, 1)]}, "ZnF2": {"Zn 2p3/2": [(1022.5, 1)], "F 1s": [(684.8, 1)]},
    "CaF2": {"Ca 2p": [(348.1, 1)], "F 1s": [(684.8, 1)]}, "CaO": {"Ca 2p": [(346.7, 1)], "O 1s": [(529.4, 1)]},
    "CaCO3": {"Ca 2p": [(347.2, 1)], "C 1s": [(289.7, 1)], "O 1s": [(531.4, 1)]},
    "MgO": {"Mg 2p": [(50.8, 1)], "O 1s": [(530.2, 1)]}, "MgF2": {"Mg 2p": [(50.9, 1)], "F 1s": [(685.6, 1)]},
    # dicarbonate: half of the carbon is CO3, half C-O; a third of the oxygen is C=O
    "organic": {"C 1s": [(286.8, 0.5), (290.1, 0.5)], "O 1s": [(532.0, 1 / 3), (533.4, 2 / 3)], "Li 1s": [(55.3, 1)],
                "Na 1s": [(1071.4, 1)], "K 2p": [(293.0, 1)], "Zn 2p3/2": [(1022.5, 1)], "Ca 2p": [(347.3, 1)],
                "Mg 2p": [(50.7, 1)]},
    "adventitious": {"C 1s": [(285.0, 0.85), (286.5, 0.15)], "O 1s": [(532.5, 1)]},
}
"""Material -> line -> components (binding energy in eV against adventitious carbon at 285.0, share). Mostly medians of NIST
SRD 20 records as collected in the project's reference tables; Li2O, Li2S, Li3N, organic and adventitious: general knowledge,
not checked. Charge references of the records differ by up to 2 eV."""
ADVENTITIOUS_PER_NM3 = {"C": 90.0, "O": 9.0}
METALS = ("Li", "Na", "K", "Zn", "Ca", "Mg")


@dataclass(frozen=True)
class Line:
    """A core level: element, its name ("F 1s"), relative sensitivity, extent of its region in binding energy (eV)."""

    element: str
    name: str
    sensitivity: float
    low_eV: float
    high_eV: float


@dataclass(frozen=True)
class Region:
    """One recorded spectrum: counts (energy,) on rising kinetic energy, and the analyser's transmission there, relative."""

    name: str
    species: str
    transition: str
    kinetic_energy_eV: Float
    counts: npt.NDArray[np.int64]
    transmission: Float
    dwell_s: float
    scans: int
    pass_energy_eV: float


@dataclass(frozen=True)
class XpsRun:
    """All spectra of one spot.

    truth : `atomic_fractions` that the noise-free peak areas give with the instrument's true sensitivity factors, hydrogen
        left out and the sample taken as homogeneous in depth (which it is not: the outer nanometres count most);
        `peak_areas`, `sensitivity` per line; `sei_atomic_fractions` of the SEI itself
    """

    regions: tuple[Region, ...]
    source_energy_eV: float
    emission_deg: float
    truth: Mapping[str, Any]
    nuisance: Mapping[str, Any]


@dataclass(frozen=True)
class Layer:
    """A layer of the stack: atoms per nm³ of each (material, element), and thickness (quadrature point,) nm."""

    atoms: Mapping[tuple[str, str], float]
    thickness_nm: Float


@cache
def lines(seed: int | None = None) -> tuple[Line, ...]:
    """Core levels of the reference table; with a seed, the sensitivity factors of that study's instrument."""
    text = files("datasets").joinpath("reference/xps_sensitivity.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(row for row in text.splitlines() if not row.startswith("#"))
    found = []
    for row in rows:
        name = f"{row['element']} {row['line']}"
        factor = 1.0 if seed is None else float(np.exp(stream(seed, "xps", "sensitivity", name).normal(0, SENSITIVITY_SD)))
        factor = 1.0 if name == "C 1s" else factor
        found.append(Line(row["element"], name, float(row["rsf"]) * factor, float(row["low_eV"]), float(row["high_eV"])))
    return tuple(found)


def attenuation_nm(kinetic_energy_eV: npt.ArrayLike) -> Float:
    """Effective attenuation length; same shape."""
    return np.asarray(ATTENUATION_NM * (np.asarray(kinetic_energy_eV) / 1000) ** ATTENUATION_POWER)


def transmission(kinetic_energy_eV: npt.ArrayLike) -> Float:
    """Of the analyser at constant pass energy, relative to 1 keV; same shape."""
    return np.asarray((np.asarray(kinetic_energy_eV) / 1000) ** TRANSMISSION_POWER)


def sei_stack(state: State, *, adventitious_nm: float = 0.8, points: int = 41) -> list[Layer]:
    """Layers from the outside in, the metal last, at quantiles of the thickness distribution.

    Thickness is log-normal with the state's mean and relative spread; the metal is infinitely thick.
    """
    sigma = np.sqrt(np.log(1 + state.thickness_cv ** 2))
    quantile = (np.arange(points) + 0.5) / points
    thickness = state.thickness_nm * np.exp(sigma * ndtri(quantile) - sigma ** 2 / 2)
    solid = 1 - state.porosity

    def atoms(phases: Mapping[str, float]) -> dict[tuple[str, str], float]:
        return {(name, el): solid * share * density for name, share in phases.items()
                for el, density in material(name).atoms_per_nm3.items() if el != "H"}

    metal = {(state.metal, el): n for el, n in material(state.metal).atoms_per_nm3.items()}
    carbon = {("adventitious", el): n for el, n in ADVENTITIOUS_PER_NM3.items()}
    return [Layer(carbon, np.full(points, adventitious_nm)), Layer(atoms(state.outer), (1 - state.inner_share) * thickness),
            Layer(atoms(state.inner), state.inner_share * thickness), Layer(metal, np.full(points, np.inf))]


def emitted(stack: Sequence[Layer], table: Sequence[Line], *, emission_deg: float = 0.0,
            source_eV: float = SOURCE_EV) -> dict[tuple[str, str], float]:
    """Peak areas (relative) of each (material, line) that leave the sample, transmission included.

    Parameters
    ----------
    stack : layers from the outside in
    emission_deg : angle to the surface normal
    """
    areas: dict[tuple[str, str], float] = {}
    for line in table:
        kinetic = source_eV - (line.low_eV + line.high_eV) / 2
        depth = float(attenuation_nm(kinetic) * np.cos(np.deg2rad(emission_deg)))
        above = np.zeros_like(stack[0].thickness_nm)
        for layer in stack:
            share = float(np.mean(np.exp(-above / depth) * -np.expm1(-layer.thickness_nm / depth)))
            for (name, element), density in layer.atoms.items():
                if element == line.element:
                    area = line.sensitivity * float(transmission(kinetic)) * density * depth * share
                    areas[name, line.name] = areas.get((name, line.name), 0.0) + area
            above = above + layer.thickness_nm
    return areas


def atomic_fractions(areas: Mapping[tuple[str, str], float], table: Sequence[Line], *,
                     source_eV: float = SOURCE_EV) -> dict[str, float]:
    """What peak areas say of a sample homogeneous in depth: area / (sensitivity T lambda), normalised; sums to one."""
    total: dict[str, float] = {}
    for line in table:
        kinetic = source_eV - (line.low_eV + line.high_eV) / 2
        area = sum(value for (_, name), value in areas.items() if name == line.name)
        if area > 0:
            total[line.element] = area / (line.sensitivity * float(transmission(kinetic)) * float(attenuation_nm(kinetic)))
    norm = sum(total.values())
    return {element: value / norm for element, value in sorted(total.items())}


def xps(state: State, rng: np.random.Generator, *, emission_deg: float = 0.0, source_eV: float = SOURCE_EV, scans: int = 10,
        peak_counts: float = 2e4) -> XpsRun:
    """A survey and the core levels of every element present.

    Parameters
    ----------
    peak_counts : counts at the top of the strongest core level
    """
    table = lines(state.seed)
    adventitious = float(rng.uniform(0.4, 1.2))
    stack = sei_stack(state, adventitious_nm=adventitious)
    areas = emitted(stack, table, emission_deg=emission_deg, source_eV=source_eV)
    shift, tail = float(rng.normal(0, 1.5)), float(rng.uniform(0.8, 1.08))
    offsets = {name: float(rng.normal(0, 0.2)) for name in sorted({name for name, _ in areas})}
    width = float(rng.uniform(1.2, 1.7))
    binding = np.arange(0.0, 1250.0, 0.05)
    primary = _primary(binding, areas, table, offsets, shift, width, source_eV)
    spectrum = _with_losses(primary, binding[1] - binding[0], tail)
    # secondary electrons rise towards low kinetic energy
    spectrum = spectrum + 0.004 * primary.max() * (1 + (binding / 700) ** 2)
    present = [line for line in table if any(name == line.name for _, name in areas)]
    scale = peak_counts / float(np.max(spectrum))
    regions = [_record(binding, 4 * scale * spectrum, "survey", "survey", "", (0.0, 1200.0), 1.0, scans, 80.0, source_eV, rng)]
    for line in present:
        margin = 2.0
        extent = (line.low_eV + shift - margin, line.high_eV + shift + margin)
        element, transition = line.name.split(" ", 1)
        regions.append(_record(binding, scale * spectrum, line.name, element, transition, extent, 0.1, scans, 20.0, source_eV,
                               rng))
    per_line = {line.name: sum(v for (_, name), v in areas.items() if name == line.name) for line in present}
    truth = {"atomic_fractions": atomic_fractions(areas, table, source_eV=source_eV), "peak_areas": per_line,
             "sensitivity": {line.name: line.sensitivity for line in present},
             "sei_atomic_fractions": dict(state.atomic_fractions), "sei_thickness_nm": state.thickness_nm,
             "caveat": "fractions as if homogeneous in depth; adventitious carbon included"}
    nuisance = {"charge_shift_eV": shift, "differential_shift_eV": offsets, "adventitious_nm": adventitious,
                "loss_scale": tail, "width_eV": width}
    return XpsRun(tuple(regions), source_eV, emission_deg, truth, nuisance)


def blocks(run: XpsRun) -> list[Block]:
    """The spectra as blocks of a VAMAS file."""
    return [Block(region.name, region.species, region.transition, float(region.kinetic_energy_eV[0]),
                  float(np.mean(np.diff(region.kinetic_energy_eV))), region.counts, region.dwell_s, region.scans,
                  region.pass_energy_eV, region.transmission) for region in run.regions]


def _primary(binding: Float, areas: Mapping[tuple[str, str], float], table: Sequence[Line], offsets: Mapping[str, float],
             shift: float, width: float, source_eV: float) -> Float:
    """Spectrum without losses, per eV, on a rising axis of apparent binding energy."""
    out = np.zeros_like(binding)
    main: dict[str, float] = {}
    for (name, line), area in areas.items():
        kind = name.partition(":")[0]
        narrow = 0.65 if name in METALS else 1.0
        gap, ratio = SPLIT.get(line, (0.0, 0.0))
        for position, share in POSITION_EV[kind][line]:
            centre = position + shift + offsets[name]
            for at, part in ((centre, 1 / (1 + ratio)), (centre + gap, ratio / (1 + ratio))):
                if part:
                    _add_peak(out, binding, at, width * narrow, area * share * part)
        element = next(entry.element for entry in table if entry.name == line)
        main[element] = main.get(element, 0.0) + area
    for element, (kinetic, relative) in AUGER.items():
        if element in main:
            _add_peak(out, binding, source_eV - kinetic + shift, 8.0, relative * main[element])
    return out


def _add_peak(out: Float, binding: Float, centre: float, fwhm: float, area: float, lorentzian: float = 0.3) -> None:
    """Add a pseudo-Voigt of given area, within 40 widths."""
    lo, hi = np.searchsorted(binding, (centre - 40 * fwhm, centre + 40 * fwhm))
    x = binding[lo:hi] - centre
    half = fwhm / 2
    gauss = np.exp(-np.log(2) * (x / half) ** 2) * np.sqrt(np.log(2) / np.pi) / half
    lorentz = half / np.pi / (x ** 2 + half ** 2)
    out[lo:hi] += area * ((1 - lorentzian) * gauss + lorentzian * lorentz)


def _with_losses(primary: Float, step_eV: float, scale: float) -> Float:
    """The spectrum after inelastic losses: measured = primary + K * measured, solved in Fourier space."""
    n = 2 * primary.size
    loss = step_eV * np.arange(primary.size)
    kernel = scale * TOUGAARD_B * loss / (TOUGAARD_C + loss ** 2) ** 2 * step_eV
    return np.asarray(np.fft.irfft(np.fft.rfft(primary, n) / (1 - np.fft.rfft(kernel, n)), n)[:primary.size])


def _record(binding: Float, rate: Float, name: str, species: str, transition: str, extent: tuple[float, float], step_eV: float,
            scans: int, pass_energy_eV: float, source_eV: float, rng: np.random.Generator) -> Region:
    """Poisson counts on a regular axis of kinetic energy that rises."""
    low, high = max(extent[0], 0.0), extent[1]
    axis = low + step_eV * np.arange(round((high - low) / step_eV) + 1)
    kinetic = np.asarray((source_eV - axis)[::-1], np.float64)
    counts = rng.poisson(np.clip(np.interp(axis, binding, rate), 0, None))[::-1]
    return Region(name, species, transition, kinetic, counts.astype(np.int64), transmission(kinetic), 0.1, scans,
                  pass_energy_eV)
