"""Relative amounts of elements from the summed EELS or EDX spectrum of an acquisition.

EELS: N ∝ net counts / σ(β, Δ), with hydrogenic cross sections of K shells (R. F. Egerton, Ultramicroscopy 1979, 4, 169,
10.1016/S0304-3991(79)90021-6, the "SIGMAK" model; written from general knowledge, source not checked). Their error of about
20 % per element outweighs counting on any good spectrum. Plural scattering moves intensity out of all windows alike and cancels
in ratios to first order; edges other than K are mapped, but not quantified.
EDX: Cliff and Lorimer (J. Microsc. 1975, 103, 203; source not checked) in the thin-film limit, N ∝ counts / (Q ω ε), with
k-factors *calculated* from a Bethe cross section and the yields of the table: 15 % per element, more below 1 keV, where the
window and the yield are poorly known. Standards would halve this.

Fractions are of the elements listed in the method, not of the specimen: hydrogen is never seen, lithium not by X-rays.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from correlate.background import power_law
from correlate.descriptors.descriptor import SOURCE_NOT_CHECKED, Descriptor, Measurement, unknown
from correlate.element_map import (
    Edge,
    NotMapped,
    edge_of,
    edx_filter,
    expected_elements,
    line_of,
    lines_present,
    summed_spectrum,
)
from datasets.errors import DatasetError

Floats = NDArray[np.float64]

CROSS_SECTION_STD = 0.20
"""Relative error of a hydrogenic K-shell cross section: 10 to 15 % are usually stated (source not checked), and white lines,
which the hydrogenic atom lacks, come on top."""
LITHIUM_SCALE, LITHIUM_STD = 0.45, 0.50
"""Lithium is no hydrogenic ion: the model puts 1.4 electrons of oscillator strength into the 50 eV behind the edge, where
photoabsorption (about 2.5 Mb at the threshold; from general knowledge, source not checked) leaves about 0.6. Besides, the edge
lies on the tail of the plasmons, which is no power law. Lithium is therefore given as a ratio, not among the fractions."""
K_FACTOR_STD, SOFT_K_FACTOR_STD = 0.15, 0.25
"""Relative error of calculated k-factors above and below 1 keV."""
DETECTION_SIGMA = 3.0
OVERLAID_SIGMA = 5.0
"""Noise does not make counts this negative: the model of background and neighbours is wrong there."""
WINDOW_AREA_KEV3 = 0.018
"""Absorption of the detector's front, exp(-a / E³), so that half of carbon K passes: the order of a thin polymer window or a
windowless detector with its dead layer (judgement; inside `SOFT_K_FACTOR_STD`)."""

RYDBERG_EV, ELECTRON_REST_KEV, BOHR_NM = 13.606, 510.99895, 0.0529177
ATOMIC_NUMBER = {"Li": 3, "B": 5, "C": 6, "N": 7, "O": 8, "F": 9, "Na": 11, "Mg": 12, "Al": 13, "Si": 14, "P": 15, "S": 16}

EELS_METHOD = ("net counts in the summed spectrum over hydrogenic K-shell cross sections (20 %, lithium 50 %), background by "
               f"power law in windows of two widths; {SOURCE_NOT_CHECKED}")
EDX_METHOD = ("Cliff-Lorimer, thin film, calculated k-factors (15 %, below 1 keV 25 %), line fitted beside its neighbours in "
              f"the summed spectrum; {SOURCE_NOT_CHECKED}")


@dataclass(frozen=True)
class Amount:
    """Something proportional to the number of atoms of one element, with its variance split by origin.

    noise : std from counting and background; model : relative std of the factor that turned counts into atoms
    """

    value: float
    noise: float
    model: float


def fractions(amounts: Mapping[str, Amount]) -> dict[str, tuple[float, float]]:
    """Atomic fractions and their std, from independent amounts: f = n / Σ n, so an error of one moves all.

    Negative amounts, which noise makes of absent elements, are kept in the value and do not lower the sum.
    """
    names = list(amounts)
    n = np.array([amounts[k].value for k in names])
    std = np.hypot([amounts[k].noise for k in names], np.abs(n) * [amounts[k].model for k in names])
    total = float(np.maximum(n, 0.0).sum())
    if total <= 0:
        return dict.fromkeys(names, (math.nan, math.nan))
    f = n / total
    jacobian = (np.eye(n.size) - f[:, None] * (n > 0)) / total
    return {name: (float(a), float(s)) for name, a, s in zip(names, f, np.sqrt(jacobian**2 @ std**2), strict=True)}


def eels_amounts(ds: xr.Dataset) -> tuple[dict[str, Amount], dict[str, str]]:
    """Amount of each element with a usable K edge, and the reasons why others have none.

    Raises
    ------
    DatasetError
        If the beam energy or the collection angle is not known: cross sections depend on both.
    """
    known = ds.attrs.get("conditions", {})
    missing = [name for name in ("beam_energy_keV", "collection_mrad") if not isinstance(known.get(name), int | float)]
    if missing:
        raise DatasetError(f"{' and '.join(missing)} not known, and cross sections depend on it: say it in the study sheet")
    spectrum = summed_spectrum(ds)
    energy, counts = spectrum["energy_loss"].to_numpy().astype(np.float64), spectrum.to_numpy()
    found, reasons = {}, {}
    for element in expected_elements(ds):
        try:
            edge = edge_of(ds, element)
            if not edge.name.endswith(" K"):
                raise NotMapped(f"{edge.name}: only K edges are quantified")
        except NotMapped as error:
            reasons[element] = str(error)
            continue
        net, noise = _net_counts(counts, energy, edge)
        upper = min(edge.signal[1], float(energy[-1]))
        sigma = k_cross_section(ATOMIC_NUMBER[element], edge.energy, upper - edge.energy, float(known["beam_energy_keV"]),
                                float(known["collection_mrad"]))
        sigma *= LITHIUM_SCALE if element == "Li" else 1.0
        found[element] = Amount(net / sigma, noise / sigma, LITHIUM_STD if element == "Li" else CROSS_SECTION_STD)
    return found, reasons


def edx_amounts(ds: xr.Dataset) -> tuple[dict[str, Amount], dict[str, str]]:
    """Amount of each element with a usable K line, and the reasons why others have none.

    Raises
    ------
    DatasetError
        If the beam energy is not known.
    """
    beam = ds.attrs.get("conditions", {}).get("beam_energy_keV")
    if not isinstance(beam, int | float) or beam <= 0:
        raise DatasetError("beam_energy_keV not known, and k-factors depend on it: say it in the study sheet")
    spectrum = summed_spectrum(ds)
    energy, counts = spectrum["xray_energy"].to_numpy().astype(np.float64), spectrum.to_numpy()
    present = lines_present(spectrum)
    expected = frozenset(expected_elements(ds)) | present
    found, reasons = {}, {}
    for element in expected_elements(ds):
        try:
            line = line_of(ds, element, present)
        except NotMapped as error:
            reasons[element] = str(error)
            continue
        chosen, weights = edx_filter(energy, counts, line, expected)
        net = float(counts[chosen] @ weights)
        noise = math.sqrt(float(np.maximum(counts[chosen], 1.0) @ weights**2))
        sensitivity = x_ray_sensitivity(line.energy_keV, line.edge_keV, line.fluorescence, float(beam))
        model = SOFT_K_FACTOR_STD if line.energy_keV < 1.0 else K_FACTOR_STD
        found[element] = Amount(net / sensitivity, noise / sensitivity, model)
    return found, reasons


def k_cross_section(number: int, onset_eV: float, window_eV: float, beam_keV: float, collection_mrad: float) -> float:
    """Hydrogenic partial cross section of a K shell, nm² (two electrons), for losses from onset to onset + window.

    The double integral of the generalised oscillator strength over loss and momentum transfer, relativistic kinematics.
    """
    gamma = 1.0 + beam_keV / ELECTRON_REST_KEV
    t_eV = 500.0 * ELECTRON_REST_KEV * (1.0 - gamma**-2)
    effective = number - 0.5
    loss = np.linspace(onset_eV, onset_eV + window_eV, 41)
    p0 = t_eV / RYDBERG_EV / (1.0 - 2e-3 * t_eV / ELECTRON_REST_KEV)
    q_min = loss**2 / (4 * RYDBERG_EV * t_eV)
    p1 = np.maximum(p0 - loss / RYDBERG_EV * (gamma - loss / (2e3 * ELECTRON_REST_KEV)), 1e-9)
    q_max = q_min + 4 * np.sqrt(p0 * p1) * math.sin(collection_mrad / 2000.0) ** 2
    log_q = np.log(q_min)[:, None] + np.linspace(0, 1, 41) * np.log(q_max / q_min)[:, None]
    strength = _oscillator_strength(loss[:, None], np.exp(log_q), effective)
    per_loss = np.trapezoid(strength, log_q, axis=1) * 4 * math.pi * BOHR_NM**2 * RYDBERG_EV**2 / (loss * t_eV)
    return float(np.trapezoid(per_loss, loss))


def x_ray_sensitivity(line_keV: float, edge_keV: float, fluorescence: float, beam_keV: float) -> float:
    """Counts per atom in arbitrary units: Bethe's ionisation cross section, yield and window.

    Q ∝ ln(0.65 U) / (E0 Ec) with relativistic corrections left out, since they hardly differ between K shells.
    """
    ionisation = math.log(0.65 * beam_keV / edge_keV) / (beam_keV * edge_keV)
    return ionisation * fluorescence * math.exp(-WINDOW_AREA_KEV3 / line_keV**3)


def measure_eels(ds: xr.Dataset) -> tuple[Measurement, ...]:
    """Fraction of each element among those with a usable K edge."""
    return _measured(ds, "eels", "EELS", EELS_METHOD)


def measure_edx(ds: xr.Dataset) -> tuple[Measurement, ...]:
    """Fraction of each element among those with a usable K line."""
    return _measured(ds, "edx", "EDX", EDX_METHOD)


def lithium_ratio(amounts: Mapping[str, Amount]) -> tuple[float, float]:
    """Lithium atoms per atom of all other elements, and its std."""
    lithium = amounts["Li"]
    others = sum(max(a.value, 0.0) for e, a in amounts.items() if e != "Li")
    if others <= 0:
        return math.nan, math.nan
    noise = math.hypot(lithium.noise, lithium.model * lithium.value) / others
    variance = sum(a.noise**2 + (a.model * a.value) ** 2 for e, a in amounts.items() if e != "Li")
    ratio = lithium.value / others
    return ratio, math.hypot(noise, ratio * math.sqrt(variance) / others)


def _lithium(amounts: Mapping[str, Amount], reason: str) -> Measurement:
    name, title = "eels_lithium_ratio", "Lithium per other atoms by EELS"
    if "Li" not in amounts:
        return unknown(name, "1", EELS_METHOD, reason or "lithium is not among the elements", title)
    value, std = lithium_ratio(amounts)
    if not math.isfinite(value):
        return unknown(name, "1", EELS_METHOD, "no other element stands out of the noise", title)
    seen = amounts["Li"].value > DETECTION_SIGMA * amounts["Li"].noise
    weak = "" if seen else f"not detected: below {DETECTION_SIGMA:g} sigma"
    return Measurement(name, value, std, "1", f"{EELS_METHOD}; per {', '.join(e for e in amounts if e != 'Li')}", weak, title)


def _measured(ds: xr.Dataset, short: str, title: str, method: str) -> tuple[Measurement, ...]:
    names = expected_elements(ds)
    try:
        amounts, reasons = eels_amounts(ds) if short == "eels" else edx_amounts(ds)
    except DatasetError as error:
        return tuple(unknown(f"{short}_fraction_{e}", "1", method, str(error), f"{e} fraction by {title}") for e in names)
    if short == "eels" and "Li" in names:
        ratio = [_lithium(amounts, reasons.get("Li", ""))]
        names = tuple(e for e in names if e != "Li")
        amounts = {e: a for e, a in amounts.items() if e != "Li"}
    else:
        ratio = []
    overlaid = {e: a.value / a.noise for e, a in amounts.items() if a.value < -OVERLAID_SIGMA * a.noise}
    reasons = reasons | {e: f"its counts lie {-sigma:.0f} sigma below the background, which therefore holds something else: "
                            "a line that is not tabulated, or the detector" for e, sigma in overlaid.items()}
    amounts = {e: a for e, a in amounts.items() if e not in overlaid}
    seen = [e for e, a in amounts.items() if a.value > DETECTION_SIGMA * a.noise]
    found: list[Measurement] = []
    shares = fractions(amounts) if len(seen) > 1 else {}
    among = f"{method}; among {', '.join(amounts)}"
    for element in names:
        name, label = f"{short}_fraction_{element}", f"{element} fraction by {title}"
        if element in reasons:
            found.append(unknown(name, "1", method, reasons[element], label))
        elif not shares:
            why = f"only {seen[0]} stands out of the noise" if seen else "no element stands out of the noise"
            found.append(unknown(name, "1", method, f"{why}, so there is nothing to compare", label))
        else:
            value, std = shares[element]
            weak = "" if element in seen else f"not detected: below {DETECTION_SIGMA:g} sigma"
            found.append(Measurement(name, value, std, "1", among, weak, label))
    return (*found, *ratio)


def _net_counts(counts: Floats, energy: Floats, edge: Edge) -> tuple[float, float]:
    """Net counts of an edge and their std; two widths of the background window tell how far its law may be trusted."""
    after = (energy >= edge.signal[0]) & (energy <= edge.signal[1])
    start, stop = edge.background
    total = float(counts[after].sum())
    estimates = []
    for low in (start, 0.5 * (start + stop)):
        before = (energy >= low) & (energy <= stop)
        if before.sum() < 4 or counts[before].sum() <= 0:
            continue
        background, std = power_law(counts[None, before], energy[before]).integral(energy[after])
        estimates.append((total - float(background[0]), float(std[0])))
    if not estimates:
        return 0.0, math.sqrt(max(total, 1.0))
    law = abs(estimates[0][0] - estimates[-1][0])
    return estimates[0][0], math.sqrt(max(total, 1.0) + estimates[0][1] ** 2 + law**2)


def _oscillator_strength(loss: Floats, q: Floats, effective: float) -> Floats:
    """Hydrogenic generalised oscillator strength per eV of two K electrons; q = (momentum transfer times Bohr radius)²."""
    scaled = q / effective**2
    kh2 = loss / (RYDBERG_EV * effective**2) - 1.0
    k = np.maximum(np.sqrt(np.abs(kh2)), 0.1)
    bound = kh2 < 0
    angle = np.arctan2(2 * k, scaled - kh2 + 1.0)
    free = np.exp(-2.0 / k * angle) / (1.0 - np.exp(-2.0 * math.pi / k))
    ratio = np.maximum(scaled + 1.0 - kh2 + 2 * k, 1e-12) / np.maximum(scaled + 1.0 - kh2 - 2 * k, 1e-12)
    below = np.exp(-np.log(ratio) / k)
    a = ((scaled - kh2 + 1.0) ** 2 + 4.0 * kh2) ** 3
    return np.asarray(256.0 * loss / (RYDBERG_EV * effective**4) * np.where(bound, below, free)
                      * (scaled + kh2 / 3.0 + 1.0 / 3.0) / (np.maximum(a, 1e-12) * RYDBERG_EV))


EELS_COMPOSITION = Descriptor(
    name="eels_composition", title="Element fraction by EELS", unit="1", techniques=("eels",), method=EELS_METHOD,
    measure=measure_eels, names=("eels_fraction_*", "eels_lithium_ratio"))
EDX_COMPOSITION = Descriptor(
    name="edx_composition", title="Element fraction by EDX", unit="1", techniques=("edx",), method=EDX_METHOD,
    measure=measure_edx, names=("edx_fraction_*",))
