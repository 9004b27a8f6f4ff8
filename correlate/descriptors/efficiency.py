"""Coulombic efficiency of metal plating and stripping, from the instrument's own charge counter.

CE is defined by the electrode on which metal is plated, never by the words charge and discharge: CE_n = Q_strip,n / Q_plate,n.
Averages are sum(strip) / sum(plate), because metal left behind in one cycle may be stripped in the next and then lifts that
cycle above 100 %. In a reservoir protocol (a stock Q_T is plated, Q_c is cycled n times, then all is stripped as Q_S) the same
ratio is (n Q_c + Q_S) / (n Q_c + Q_T) (Adams et al., Adv. Energy Mater. 2018, 10.1002/aenm.201702097; source not checked).
"""

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from correlate.descriptors.descriptor import PERFORMANCE, SOURCE_NOT_CHECKED, Descriptor, Measurement, unknown

Floats = NDArray[np.float64]

OFFSET_OF_RANGE = 2e-4 / math.sqrt(3.0)
"""Standard deviation of a cycler's current offset, as a share of its current range: makers state limits of the order of
0.02 % of full scale (source not checked), taken as uniform. A gain error cancels in the ratio, an offset does not."""
IDLE_SHARE = 1e-3
"""Currents below this share of the largest count as rest."""
FULL_STRIP_V = 0.1
"""A strip that ends further than this from the metal's own potential has run out of metal; plating never goes that far."""
UNFINISHED_SHARE = 0.5
EQUAL_CHARGE, SAME_POLARISATION = 2e-3, 1.5
"""Two electrodes of one metal: charges back and forth agree to this share, and the potentials mirror each other this well."""
SHORT_COLLAPSE, SHORT_NOISE = 0.75, 4.0
"""A soft short shows in a plating overpotential below this share of that of the other cycles together with this many times
their jitter from point to point. Judgement; a steady fall alone may be fresh surface, jitter alone a loose contact."""

METHOD = ("stripped over plated charge from the counter where the current turns; current offset 0.02 % of range "
          f"propagated, gain cancels; {SOURCE_NOT_CHECKED}")


@dataclass(frozen=True, eq=False)
class HalfCycles:
    """Stretches of one direction of current, rests left out; all arrays are (half cycle,).

    sign : direction of the current
    charge : mAh, positive, by the instrument's counter
    duration : s during which current flowed
    potential_median, potential_end : V
    jitter : V, median change of potential from one saved point to the next
    """

    sign: Floats
    charge: Floats
    duration: Floats
    potential_median: Floats
    potential_end: Floats
    jitter: Floats


def log_ce(ce: float, ce_std: float) -> tuple[float, float]:
    """-log10(1 - CE) and its standard deviation ce_std / (ln 10 (1 - CE)); NaN where CE is not below 100 % by its own std.

    The std grows without bound towards 100 %: 0.1 % of CE is 0.0022 at 80 % and 0.087 at 99.5 %.
    """
    if not math.isfinite(ce) or ce >= 1.0 or 1.0 - ce <= ce_std:
        return math.nan, math.nan
    return -math.log10(1.0 - ce), ce_std / (math.log(10.0) * (1.0 - ce))


def half_cycles(ds: xr.Dataset) -> HalfCycles:
    """Charge of each half cycle: the counter where the current turns, less the counter where it turned before.

    The counter of a cycling acquisition runs on over the record and is signed like the current. Where the last point of a
    step was not saved, the turning point lies between two saved points: it is where the counter must have been, given the two
    currents and the charge counted between. No saved points are integrated.
    """
    # an instrument that is idle may record no current at all
    current = np.nan_to_num(_values(ds, "current"))
    time = ds["time"].to_numpy().astype(np.float64)
    charge = _values(ds, "charge")
    potential = _values(ds, "potential") if "potential" in ds else np.full(current.size, np.nan)
    size = np.abs(current)
    active = size > IDLE_SHARE * np.nanmax(size, initial=0.0)
    where = np.flatnonzero(active & np.isfinite(charge))
    if where.size == 0:
        return HalfCycles(*(np.empty(0) for _ in range(6)))
    direction = np.sign(current[where])
    edges = np.flatnonzero(np.diff(direction)) + 1
    parts = np.split(where, edges)
    sign = np.array([np.sign(current[part[0]]) for part in parts])
    turns = [(_turn(time, current, charge, int(part[0]) - 1), _turn(time, current, charge, int(part[-1]))) for part in parts]
    return HalfCycles(
        sign, np.abs(np.diff(turns, axis=1))[:, 0], np.array([_seconds(time, part) for part in parts]),
        np.array([np.median(potential[part]) for part in parts]), np.array([potential[part[-1]] for part in parts]),
        np.array([np.median(np.abs(np.diff(potential[part]))) if part.size > 2 else np.nan for part in parts]))


def coulombic_efficiency(ds: xr.Dataset) -> xr.Dataset:
    """Efficiency of each plating and stripping pair.

    Parameters
    ----------
    ds : cycling acquisition with current (mA), charge (mAh), potential (V) on time (s)

    Returns
    -------
    ce, ce_std, plated, plated_std, stripped, stripped_std on cycle. `attrs["convention"]` says how the direction of plating
    was known, `attrs["protocol"]` is "cycles" or "reservoir", `attrs["reason"]` why CE is not defined (then cycle is empty),
    `attrs["flags"]` lists cycles above 100 % and signs of shorts, `attrs["shorted"]` the shorted ones. Values above 100 % are
    kept.
    """
    missing = [name for name in ("current", "charge") if name not in ds]
    if missing:
        return _undefined(f"the file has no {' and no '.join(missing)}")
    if ds["current"].ndim != 1:
        return _undefined("a series of records, of which none is singled out")
    halves = half_cycles(ds)
    plating, convention = _plating_sign(ds, halves)
    if plating == 0.0:
        return _undefined(convention)
    first = int(np.argmax(halves.sign == plating)) if (halves.sign == plating).any() else halves.sign.size
    plate = np.arange(first, halves.sign.size - 1, 2)
    plate = plate[np.isfinite(halves.charge[plate]) & np.isfinite(halves.charge[plate + 1])]
    unfinished = _is_cut_short(ds, halves, plate)
    if unfinished:
        plate = plate[:-1]
    if plate.size == 0:
        return _undefined("no plating that is followed by stripping")
    strip = plate + 1
    q_plate, q_strip = halves.charge[plate], halves.charge[strip]
    if (q_plate <= 0).any():
        return _undefined("the charge counter does not move while current flows")
    offset_mA = OFFSET_OF_RANGE * current_range(ds)
    if stripped_by_protocol(halves, plate):
        return _undefined("every strip takes what was plated and ends no further from the metal's potential than plating did: "
                          "the protocol sets the charge and metal never runs out, so the ratio of charges is no efficiency")
    plated_std = offset_mA * halves.duration[plate] / 3600.0
    stripped_std = offset_mA * halves.duration[strip] / 3600.0
    ce = q_strip / q_plate
    ce_std = (stripped_std + ce * plated_std) / q_plate
    protocol = "reservoir" if _is_reservoir(q_plate, q_strip) else "cycles"
    flags = _flags(halves, plate, ce, ce_std, protocol)
    if unfinished:
        flags.append("the record ends within the last strip, which is left out")
    cycle = np.arange(1.0, ce.size + 1)
    variables = {"ce": (ce, "1"), "ce_std": (ce_std, "1"), "plated": (q_plate, "mAh"), "plated_std": (plated_std, "mAh"),
                 "stripped": (q_strip, "mAh"), "stripped_std": (stripped_std, "mAh")}
    return xr.Dataset(
        {name: ("cycle", values, {"units": unit}) for name, (values, unit) in variables.items()},
        {"cycle": ("cycle", cycle, {"units": "1"})},
        {"convention": convention, "protocol": protocol, "flags": flags, "reason": "",
         "shorted": (shorted_cycles(halves, plate) + 1).tolist() if protocol != "reservoir" else []})


def average_efficiency(cycles: xr.Dataset) -> tuple[float, float]:
    """sum(strip) / sum(plate) and its std; the offset is one and the same in all cycles, so its effects add linearly.

    Shorted cycles are left out.
    """
    kept = ~np.isin(cycles["cycle"], cycles.attrs["shorted"])
    cycles = cycles.isel(cycle=kept)
    plated, stripped = float(cycles["plated"].sum()), float(cycles["stripped"].sum())
    ce = stripped / plated
    return ce, float(cycles["stripped_std"].sum() + ce * cycles["plated_std"].sum()) / plated


def current_range(ds: xr.Dataset) -> float:
    """Range of the instrument in mA: as the vendor states it, else the decade above the largest current."""
    vendor = ds.attrs.get("vendor", {})
    stated = vendor.get("current_range_mA") if isinstance(vendor, dict) else None
    if isinstance(stated, int | float) and stated > 0:
        return float(stated)
    largest = float(np.nanmax(np.abs(_values(ds, "current")), initial=0.0))
    return 10.0 ** math.ceil(math.log10(largest) - 1e-9) if largest > 0 else 0.0


def measure(ds: xr.Dataset) -> tuple[Measurement, ...]:
    """CE averaged over the run, of the first and of the last cycle, its spread, and log CE of the average."""
    cycles = coulombic_efficiency(ds)
    if cycles.attrs["reason"]:
        return tuple(unknown(name, "1", METHOD, cycles.attrs["reason"], title) for name, title in TITLES.items())
    method = f"{METHOD}; {cycles.attrs['convention']}; protocol: {cycles.attrs['protocol']}"
    flags = "; ".join(cycles.attrs["flags"])
    shorted = cycles.attrs["shorted"]
    if shorted:
        method += f"; {len(shorted)} shorted cycles left out"
    if 2 * len(shorted) > cycles.sizes["cycle"] or cycles.sizes["cycle"] in shorted:
        reason = f"{flags}, and the cell did not recover"
        return tuple(unknown(name, "1", method, reason, title) for name, title in TITLES.items())
    mean, mean_std = average_efficiency(cycles)
    log, log_std = log_ce(mean, mean_std)
    found = [Measurement("ce_mean", mean, mean_std, "1", method, flags, TITLES["ce_mean"])]
    if math.isfinite(log):
        found.append(Measurement("log_ce", log, log_std, "1", method, flags, TITLES["log_ce"]))
    else:
        near = f"within its own error ({100 * mean_std:.2f} %) of 100 %" if mean < 1.0 else "not below 100 %"
        reason = f"CE is {100 * mean:.3f} %, {near}, so -log10(1 - CE) has no meaning"
        found.append(unknown("log_ce", "1", method, reason, TITLES["log_ce"]))
    if cycles.attrs["protocol"] == "reservoir":
        reason = "a reservoir protocol strips what it plated in each cycle; only the average is defined"
        return (*found, *(unknown(n, "1", method, reason, TITLES[n]) for n in ("ce_first", "ce_last", "ce_spread")))
    ce, ce_std = cycles["ce"].to_numpy(), cycles["ce_std"].to_numpy()
    found += [Measurement(name, float(ce[i]), float(ce_std[i]), "1", method, flags, TITLES[name])
              for name, i in (("ce_first", 0), ("ce_last", -1))]
    if ce.size > 2:
        spread = float(np.std(ce, ddof=1))
        found.append(Measurement("ce_spread", spread, spread / math.sqrt(2.0 * (ce.size - 1)), "1", method, flags,
                                 TITLES["ce_spread"]))
    else:
        found.append(unknown("ce_spread", "1", method, f"{ce.size} cycles are too few for a spread", TITLES["ce_spread"]))
    return tuple(found)


def _values(ds: xr.Dataset, name: str) -> Floats:
    return np.asarray(ds[name].to_numpy(), dtype=np.float64)


def _turn(time: Floats, current: Floats, charge: Floats, before: int) -> float:
    """Counter at the change of current between the saved points `before` and the next; mAh."""
    if before < 0:
        # a counter begins at zero, unless the record is the continuation of another
        return 0.0 if abs(charge[0]) <= 2 * abs(current[0]) * time[0] / 3600 else float(charge[0])
    after = before + 1
    if after >= charge.size or not np.isfinite(charge[[before, after]]).all():
        return float(charge[before])
    step = current[before] - current[after]
    if abs(step) < 1e-12:
        return float(charge[before])
    gap = time[after] - time[before]
    since = (3600.0 * (charge[after] - charge[before]) - current[after] * gap) / step
    return float(charge[before] + current[before] * np.clip(since, 0.0, gap) / 3600.0)


def _seconds(time: Floats, part: NDArray[np.intp]) -> float:
    """Time under current, counted from the point before the stretch, since the first saved point may come late."""
    start = part[0] - 1 if part[0] > 0 else part[0]
    return float(time[part[-1]] - time[start]) if part.size > 1 or part[0] > 0 else 0.0


def _plating_sign(ds: xr.Dataset, halves: HalfCycles) -> tuple[float, str]:
    """Sign of the current that plates metal and how it is known; 0 and the reason where it is not."""
    stated = ds.attrs.get("conditions", {}).get("plating_electrode")
    if stated in ("negative", "positive"):
        return (-1.0 if stated == "negative" else 1.0), f"plating current is {stated}, as the conditions state"
    if stated is not None:
        return 0.0, f"condition plating_electrode is {stated!r}, expected 'negative' or 'positive'"
    if halves.sign.size < 2:
        return 0.0, "fewer than two half cycles"
    if not np.isfinite(halves.potential_median).all():
        return 0.0, "which direction plates metal is not known: say plating_electrode in the conditions"
    for sign, word in ((-1.0, "negative"), (1.0, "positive")):
        plate, strip = halves.sign == sign, halves.sign == -sign
        if not plate.any() or not strip.any():
            continue
        plates_beyond_zero = (sign * halves.potential_median[plate] > 0).mean() > 0.8
        stays_near = np.median(np.abs(halves.potential_end[plate])) < np.median(np.abs(halves.potential_end[strip])) / 2
        runs_out = (-sign * halves.potential_end[strip] > FULL_STRIP_V).any()
        if plates_beyond_zero and stays_near and runs_out and halves.sign[0] == sign:
            return sign, (f"plating taken as the {word} current: the run begins with it, the potential then lies beyond that "
                          "of the metal, and the opposite current runs out of metal")
    low, high = float(np.min(halves.potential_end)), float(np.max(halves.potential_end))
    return 0.0, (f"no plating electrode known (potentials at the ends of half cycles {low:.2f} to {high:.2f} V look like no "
                 "metal on a bare collector): say plating_electrode in the conditions")


def _is_reservoir(plated: Floats, stripped: Floats) -> bool:
    """A stock is plated first, equal charges go back and forth, and the last strip takes the stock away."""
    if plated.size < 3:
        return False
    back, forth = stripped[:-1], plated[1:]
    equal = np.abs(back / forth - 1.0) < 2e-3
    return bool(equal[-2:].all() and equal.mean() > 0.5 and plated[:2].max() > 1.05 * forth[-1]
                and stripped[-1] > 1.05 * back[-1])


def _flags(halves: HalfCycles, plate: NDArray[np.intp], ce: Floats, ce_std: Floats, protocol: str) -> list[str]:
    flags = []
    over = np.flatnonzero(ce > 1.0 + 2.0 * ce_std)
    if over.size and protocol == "cycles":
        flags.append(f"CE above 100 % in cycle {', '.join(str(i + 1) for i in over[:5])}{' ...' if over.size > 5 else ''}")
    shorted = shorted_cycles(halves, plate)
    if shorted.size:
        flags.append(f"soft short in cycle {', '.join(str(i + 1) for i in shorted[:5])}{' ...' if shorted.size > 5 else ''}: "
                     "the overpotential fell and became restless")
    return flags


def shorted_cycles(halves: HalfCycles, plate: NDArray[np.intp]) -> NDArray[np.intp]:
    """Cycles, from 0, whose plating overpotential is small and restless beside that of the others."""
    polarisation, jitter = np.abs(halves.potential_median[plate]), halves.jitter[plate]
    if plate.size < 4 or not (np.isfinite(polarisation).all() and np.isfinite(jitter).all()):
        return np.empty(0, dtype=np.intp)
    usual, restless = float(np.median(polarisation)), max(float(np.median(jitter)), 1e-5)
    return np.flatnonzero((polarisation < SHORT_COLLAPSE * usual) & (jitter > SHORT_NOISE * restless))


def _is_cut_short(ds: xr.Dataset, halves: HalfCycles, plate: NDArray[np.intp]) -> bool:
    """Whether the record ends under current in a strip of less than half the usual charge."""
    if plate.size < 3 or plate[-1] + 1 != halves.sign.size - 1:
        return False
    current = np.abs(np.nan_to_num(_values(ds, "current")))
    flows = current[-1] > IDLE_SHARE * current.max()
    return bool(flows and halves.charge[plate[-1] + 1] < UNFINISHED_SHARE * np.median(halves.charge[plate + 1]))


def stripped_by_protocol(halves: HalfCycles, plate: NDArray[np.intp]) -> bool:
    """Whether equal charges go back and forth about zero volt, as between two electrodes of the same metal."""
    q, end = halves.charge, halves.potential_end
    equal = np.abs(q[plate + 1] / q[plate] - 1.0) < EQUAL_CHARGE
    mirrored = (end[plate] * end[plate + 1] < 0) & (np.abs(end[plate + 1]) < SAME_POLARISATION * np.abs(end[plate]))
    return bool(equal.all() and mirrored.all())


def _undefined(reason: str) -> xr.Dataset:
    empty = ("cycle", np.empty(0), {"units": "1"})
    return xr.Dataset(dict.fromkeys(("ce", "ce_std", "plated", "plated_std", "stripped", "stripped_std"), empty),
                      {"cycle": empty}, {"convention": "", "protocol": "", "flags": [], "reason": reason, "shorted": []})


TITLES = {"ce_mean": "Coulombic efficiency, average", "log_ce": "−log10(1 − CE)",
          "ce_first": "Coulombic efficiency, first cycle", "ce_last": "Coulombic efficiency, last cycle",
          "ce_spread": "Coulombic efficiency, spread over cycles"}

EFFICIENCY = Descriptor(
    name="efficiency", title="Coulombic efficiency", unit="1", techniques=("cycling",), method=METHOD, measure=measure,
    names=tuple(TITLES), role=PERFORMANCE)
