"""Atomic fractions from XPS: areas of core levels above a Shirley background, over sensitivity, transmission and depth.

N ∝ A / (RSF · T(E) · λ(E)). Sensitivity factors are Scofield's cross sections relative to C 1s (table in datasets/reference,
with what was compared with what); λ grows as E^0.75, as TPP-2M has it for these energies (S. Tanuma, C. J. Powell and D. R.
Penn, Surf. Interface Anal. 1994, 21, 165; source not checked). T is the file's; where there is none, areas are left
uncorrected and the std says so. Charging moves a region without changing its area, so the region is found, not assumed.

The fractions are of the sampled depth as if it were homogeneous. An interphase is not: the outer nanometres, and whatever
was adsorbed on the way, count most.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from correlate.descriptors.composition import Amount, fractions
from correlate.descriptors.descriptor import SOURCE_NOT_CHECKED, Descriptor, Measurement, unknown
from correlate.element_map import reference

Floats = NDArray[np.float64]

SENSITIVITY_STD = {"compared": 0.10, "one": 0.12, "no": 0.20}
"""Relative error of a theoretical sensitivity factor on a real instrument (10 % is what is usually granted; judgement), and
more where fewer tables agree."""
TRANSMISSION_STD = 0.15
"""Relative error per element where the file states no transmission: it varies that much between these energies (judgement)."""
DEPTH_POWER = 0.75
DETECTION_SIGMA = 4.0
OVERLAP_SHARE = 0.10
"""In a survey, a level whose window reaches into another's (K 2p into C 1s) counts only if it holds more than this share of it:
carbonate and loss features of the other fill the window too."""
SURVEY_EV = 300.0
"""A spectrum at least this wide is a survey and holds several core levels."""
MARKER_SIGMA, MARKER_SHARE = 10.0, 0.05
"""Another element's strongest line counts as seen where it stands this far above counting noise and this share above the
straight line between the sides of its window, which the bends of a background do not reach (judgement)."""
SHIRLEY_STEPS = 30
LARGEST_SHIFT_EV = 6.0

NO_SOURCE = "photon_energy_eV not known, and attenuation depends on it"
NO_LEVEL = "no core level that has a sensitivity factor lies in the measured range"
METHOD = ("areas above a Shirley background over Scofield sensitivity, transmission and E^0.75 attenuation, as if homogeneous "
          f"in depth; {SOURCE_NOT_CHECKED}")
AREA_METHOD = ("area above a Shirley background over Scofield sensitivity, transmission and E^0.75 attenuation, per second; "
               f"{SOURCE_NOT_CHECKED}")


@dataclass(frozen=True)
class CoreLevel:
    """A row of the table of sensitivity factors; energies are binding energies in eV."""

    element: str
    name: str
    sensitivity: float
    position_eV: float
    low_eV: float
    high_eV: float
    std: float


@cache
def core_levels() -> tuple[CoreLevel, ...]:
    """Core levels of the reference table."""
    return tuple(CoreLevel(r["element"], f"{r['element']} {r['line']}", float(r["rsf"]), float(r["position_eV"]),
                           float(r["low_eV"]), float(r["high_eV"]), SENSITIVITY_STD[r["checked"]])
                 for r in reference("xps_sensitivity.csv"))


@dataclass(frozen=True)
class Overlap:
    """A level that another element's line covers, and the window in which that element shows its strongest line."""

    level: str
    covered_by: str
    marker: str
    low_eV: float
    high_eV: float


@cache
def overlaps() -> tuple[Overlap, ...]:
    """Overlaps of the reference table."""
    return tuple(Overlap(r["level"], r["covered_by"], r["marker"], float(r["marker_low_eV"]), float(r["marker_high_eV"]))
                 for r in reference("xps_overlaps.csv"))


def shirley(counts: Floats, ends: int = 4) -> Floats:
    """Background proportional to the signal at lower binding energy; `counts` on rising binding energy.

    Ends are means over `ends` channels. Where the iteration does not settle, as when the ends cross, the straight line is
    returned instead (D. A. Shirley, Phys. Rev. B 1972, 5, 4709; source not checked).
    """
    low, high = float(counts[:ends].mean()), float(counts[-ends:].mean())
    line = np.linspace(low, high, counts.size)
    if high <= low:
        return line
    background = line
    for _ in range(SHIRLEY_STEPS):
        above = counts - background
        area = np.concatenate([[0.0], np.cumsum(0.5 * (above[1:] + above[:-1]))])
        if area[-1] <= 0:
            return line
        update = low + (high - low) * area / area[-1]
        if np.abs(update - background).max() < 1e-4 * (high - low):
            return np.asarray(update)
        background = update
    return line


def area_of(energy: Floats, counts: Floats, noise: Floats, level: CoreLevel, shift_eV: float) -> tuple[float, float]:
    """Net area (count · eV) of a core level and its std, counting noise and choice of background together; NaN if not covered.

    Parameters
    ----------
    energy : (channel,), eV, rising; counts, noise : (channel,), with the variance of each channel
    shift_eV : apparent minus true binding energy
    """
    inside = (energy >= level.low_eV + shift_eV) & (energy <= level.high_eV + shift_eV)
    step = float(np.median(np.diff(energy)))
    if inside.sum() < 8 or energy[inside][-1] - energy[inside][0] < 0.8 * (level.high_eV - level.low_eV):
        return math.nan, math.nan
    values = counts[inside]
    ends = max(2, min(6, values.size // 6))
    curved = float((values - shirley(values, ends)).sum()) * step
    straight = float((values - np.linspace(values[:ends].mean(), values[-ends:].mean(), values.size)).sum()) * step
    per_end = noise[inside][:ends].mean() / ends, noise[inside][-ends:].mean() / ends
    variance = float(noise[inside].sum()) + values.size**2 / 4 * float(sum(per_end))
    return curved, math.hypot(math.sqrt(variance) * step, 0.5 * (curved - straight))


def charge_shift(energy: Floats, counts: Floats, levels: tuple[CoreLevel, ...]) -> float:
    """Shift (eV) of a whole spectrum by charging, from its strongest core levels; only used to place windows.

    The shift at which the windows of all levels together hold the most net area.
    """
    step = float(np.median(np.diff(energy)))
    best, found = -math.inf, 0.0
    for shift in np.arange(-LARGEST_SHIFT_EV, LARGEST_SHIFT_EV + 0.01, max(0.25, step)):
        total = 0.0
        for level in levels:
            inside = (energy >= level.low_eV + shift) & (energy <= level.high_eV + shift)
            if inside.sum() > 8:
                values = counts[inside]
                net = values - np.linspace(values[:2].mean(), values[-2:].mean(), values.size)
                total += float(net.sum()) / math.sqrt(max(float(values.sum()), 1.0))
        total -= 1e-3 * abs(shift) * abs(total)
        if total > best:
            best, found = total, float(shift)
    return found


def covered(energy: Floats, counts: Floats, noise: Floats, shift_eV: float) -> dict[str, str]:
    """Levels that cannot be told from another element's line, since that element shows in the same spectrum: level -> why."""
    found: dict[str, str] = {}
    for overlap in overlaps():
        inside = (energy >= overlap.low_eV + shift_eV) & (energy <= overlap.high_eV + shift_eV)
        if inside.sum() < 6 or energy[0] > overlap.low_eV + shift_eV or energy[-1] < overlap.high_eV + shift_eV:
            continue
        values = counts[inside]
        line = np.linspace(values[:2].mean(), values[-2:].mean(), values.size)
        excess, sigma = float((values - line).sum()), math.sqrt(float(noise[inside].sum()) * 2)
        if excess > MARKER_SIGMA * sigma and excess > MARKER_SHARE * float(line.sum()):
            found.setdefault(overlap.level, f"{overlap.level} is covered by {overlap.covered_by}, since {overlap.marker} shows")
    return found


def amounts(ds: xr.Dataset) -> tuple[dict[str, Amount], str]:
    """Amount of each element in one XPS spectrum, and what was assumed of the transmission.

    A survey gives all elements whose core level it covers and no line of another element that shows; a region gives its own.
    """
    found, assumed, _ = _amounts(ds)
    return found, assumed


def _amounts(ds: xr.Dataset) -> tuple[dict[str, Amount], str, dict[str, str]]:
    """The same, and the levels that are covered with the reason."""
    energy, counts, noise, transmission, assumed = _spectrum(ds)
    wide = energy[-1] - energy[0] >= SURVEY_EV
    levels = tuple(v for v in core_levels() if energy[0] <= v.position_eV <= energy[-1])
    species = str(ds.attrs.get("conditions", {}).get("species", ""))
    named = tuple(v for v in levels if _same(v.name, species))
    if not wide:
        levels = named or levels
    shift = charge_shift(energy, counts, levels) if wide else _region_shift(energy, counts, levels)
    source = ds.attrs.get("conditions", {}).get("photon_energy_eV")
    if not isinstance(source, int | float):
        return {}, NO_SOURCE, {}
    names = {level.name for level in levels}
    hidden = {name: why for name, why in covered(energy, counts, noise, shift).items() if name in names}
    found: dict[str, Amount] = {}
    for level in (v for v in levels if v.name not in hidden):
        area, std = area_of(energy, counts, noise, level, shift)
        kinetic = float(source) - level.position_eV
        if not math.isfinite(area) or kinetic <= 0:
            continue
        passed = float(np.interp(level.position_eV + shift, energy, transmission))
        factor = level.sensitivity * passed * (kinetic / 1e3) ** DEPTH_POWER
        model = level.std if not assumed else math.hypot(level.std, TRANSMISSION_STD)
        if level.element not in found or found[level.element].noise > std / factor:
            found[level.element] = Amount(area / factor, std / factor, 0.0 if level.name == "C 1s" and not assumed else model)
    return (_without_ghosts(found) if wide else found), assumed, hidden


def _without_ghosts(found: dict[str, Amount]) -> dict[str, Amount]:
    levels = {v.element: v for v in core_levels()}
    ghosts = {weak for weak in found for strong in found if weak != strong
              and levels[weak].low_eV < levels[strong].high_eV and levels[strong].low_eV < levels[weak].high_eV
              and found[weak].value < OVERLAP_SHARE * found[strong].value}
    return {element: amount for element, amount in found.items() if element not in ghosts}


def measure(ds: xr.Dataset) -> tuple[Measurement, ...]:
    """Of a survey: the fraction of each element seen. Of a region: its area per sensitivity, to compare in a table."""
    if ds["intensity"].ndim != 1:
        return (unknown("xps_fraction", "1", METHOD, "a series or map of spectra, of which none is singled out"),)
    energy = ds["binding_energy"].to_numpy()
    if energy.size < 8 or not np.isfinite(energy).all() or not float(np.abs(ds["intensity"]).sum()) > 0:
        return (unknown("xps_fraction", "1", METHOD, "an empty spectrum"),)
    found, assumed, hidden = _amounts(ds)
    if not found:
        reason = NO_SOURCE if assumed == NO_SOURCE else "; ".join(hidden.values()) or NO_LEVEL
        return (unknown("xps_fraction", "1", METHOD, reason),)
    method = f"{METHOD}; {assumed}" if assumed else METHOD
    if float(np.ptp(energy)) < SURVEY_EV:
        return tuple(_area(element, amount, assumed) for element, amount in found.items())
    seen = {e: a for e, a in found.items() if a.value > DETECTION_SIGMA * a.noise}
    if len(seen) < 2:
        return (unknown("xps_fraction", "1", method, "fewer than two elements stand out of the noise"),)
    left_out = tuple(unknown(f"xps_fraction_{level.split()[0]}", "1", method, why, f"{level.split()[0]} fraction by XPS")
                     for level, why in hidden.items())
    return left_out + tuple(Measurement(f"xps_fraction_{element}", value, std, "1",
                                        f"{method}; among {', '.join(seen)}; from a survey", title=f"{element} fraction by XPS")
                            for element, (value, std) in fractions(seen).items())


def _area(element: str, amount: Amount, assumed: str) -> Measurement:
    std = math.hypot(amount.noise, amount.model * amount.value)
    method = f"{AREA_METHOD}; {assumed}" if assumed else AREA_METHOD
    return Measurement(f"xps_area_{element}", amount.value, std, "arbitrary", method, title=f"{element} area by XPS")


def _spectrum(ds: xr.Dataset) -> tuple[Floats, Floats, Floats, Floats, str]:
    """Rising binding energy, counts per second, their variance, transmission, and what was assumed of it."""
    order = np.argsort(ds["binding_energy"].to_numpy())
    energy = ds["binding_energy"].to_numpy().astype(np.float64)[order]
    raw = ds["intensity"].to_numpy().astype(np.float64)[order]
    counted = ds["intensity"].attrs.get("units") == "count"
    seconds = 1.0
    if "count_rate" in ds and counted:
        rate = float(ds["count_rate"].sum())
        seconds = float(raw.sum()) / rate if rate > 0 else 1.0
    # intensities that are no counts: the scatter between neighbours stands in for Poisson's law
    quantum = 1.0 if counted else float(np.median(np.diff(raw) ** 2) / 0.91) / max(float(np.median(raw)), 1e-30)
    variance = np.maximum(raw, 1.0 if counted else 0.0) * quantum
    known = "transmission" in ds and bool((ds["transmission"] > 0).all())
    transmission = ds["transmission"].to_numpy().astype(np.float64)[order] if known else np.ones(energy.size)
    assumed = "" if known else "no transmission in the file, taken as even (15 %)"
    return energy, raw / seconds, variance / seconds**2, transmission, assumed


def _region_shift(energy: Floats, counts: Floats, levels: tuple[CoreLevel, ...]) -> float:
    """Shift that puts the window of the level on the peak of a region; regions are wider than the window by a few eV."""
    if len(levels) != 1:
        return 0.0
    level = levels[0]
    slack = (energy[-1] - energy[0]) - (level.high_eV - level.low_eV)
    lowest, highest = energy[0] - level.low_eV, energy[-1] - level.high_eV
    if slack <= 0:
        return float(0.5 * (lowest + highest))
    best, found = -math.inf, float(np.clip(0.0, lowest, highest))
    for shift in np.linspace(lowest, highest, 25):
        inside = (energy >= level.low_eV + shift - 1e-9) & (energy <= level.high_eV + shift + 1e-9)
        values = counts[inside]
        net = float((values - np.linspace(values[:3].mean(), values[-3:].mean(), values.size)).sum())
        if net > best * (1 + 1e-6 * np.sign(best)):
            best, found = net, float(shift)
    return found


def _same(name: str, species: str) -> bool:
    tidy = "".join(species.split()).lower()
    return bool(tidy) and ("".join(name.split()).lower().startswith(tidy) or tidy.startswith("".join(name.split()).lower()))


XPS_COMPOSITION = Descriptor(
    name="xps_composition", title="Element fraction by XPS", unit="1", techniques=("xps",), method=METHOD, measure=measure,
    names=("xps_fraction", "xps_fraction_*", "xps_area_*"))
