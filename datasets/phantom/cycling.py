"""Galvanostatic cycling of plated metal: what flowed, what the electrode lost, and what a cycler wrote of it.

Three protocols: `per_cycle` (plate and strip on copper each cycle), `reservoir` (plate a reservoir, cycle part of it, strip
all: Adams et al., Adv. Energy Mater. 8, 1702097 (2018), doi 10.1002/aenm.201702097, abstract only) and `anode_free` (a full
cell without anode, whose charge is limited by the metal left). The Coulombic efficiency is an input: the state's, cycle by
cycle, with a scatter; the model keeps the charges exact and adds what a cycler adds. Constants are judgement unless marked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from datasets.phantom.impedance import circuit_of
from datasets.phantom.state import State

Protocol = Literal["per_cycle", "reservoir", "anode_free"]
Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

OFFSET_OF_RANGE, GAIN = 2e-4, 5e-4
"""Limits of error of the current: part of the full range, and part of the reading (usual specification of a cycler)."""
CE_SCATTER = 0.02
"""Standard deviation from cycle to cycle of log10 of the loss."""
SHORT_SHARE, COARSE_SHARE, COARSE_S = 0.05, 0.2, 5.0
"""Share of cells with a soft short; share of files that save at a regular interval only, never the end of a step."""
RESERVOIR_MULTIPLE, ANODE_FREE_MULTIPLE = 5.0, 3.0
"""Reservoir plated, and capacity of an anode-free cell, as multiples of the state's areal capacity."""
CUT_OFF_V = 1.0
FULL_CELL_V = (3.0, 4.3)


@dataclass(frozen=True)
class CyclingRun:
    """What the cycler recorded, (point,), and what is true.

    plating_electrode : "negative" where metal is plated by negative current (the working electrode is copper), "positive"
        where the working electrode is the cathode of a full cell
    current_range_mA : full scale of the range the current was measured in
    truth : `ce_per_cycle`, `ce_mean` (charge that could be stripped by charge plated over the whole run, so cycles count by
        their charge), `plated_mAh` and `stripped_mAh` as they flowed, `shorted_cycles`
    """

    protocol: Protocol
    time_s: Float
    potential_V: Float
    current_mA: Float
    charge_mAh: Float
    half_cycle: Int
    cycle: Int
    step: Int
    plating_electrode: str
    current_range_mA: float
    truth: Mapping[str, Any]
    nuisance: Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """One step of the protocol as it flows: charge plated (positive) or stripped (negative), mAh; 0 with seconds: rest."""

    charge_mAh: float
    cycle: int
    line: int
    seconds: float = 0.0
    ends_empty: bool = False
    short: bool = False
    first: bool = False


@dataclass
class _Recorder:
    """Collects the saved points of each step."""

    time: list[Float] = field(default_factory=list)
    charge: list[Float] = field(default_factory=list)
    potential: list[Float] = field(default_factory=list)
    current: list[Float] = field(default_factory=list)
    cycle: list[Int] = field(default_factory=list)
    line: list[Int] = field(default_factory=list)

    def add(self, time: Float, charge: Float, potential: Float, current_mA: float, step: Step) -> None:
        self.time.append(time)
        self.charge.append(charge)
        self.potential.append(potential)
        self.current.append(np.full(time.size, current_mA))
        self.cycle.append(np.full(time.size, step.cycle))
        self.line.append(np.full(time.size, step.line))


def cycling(state: State, rng: np.random.Generator, *, protocol: Protocol = "per_cycle", cycles: int = 30,
            every_s: float = 60.0, rest_s: float | None = None) -> CyclingRun:
    """Run a cell and record it.

    Parameters
    ----------
    cycles : at most as many as the state knows
    every_s : interval of saved points, besides those where the potential moves and at the ends of steps
    rest_s : rest after each plating; the protocol's own when None. What it costs is in the state's efficiency already.
    """
    ce = true_ce(state, rng, cycles)
    area = state.protocol.area_cm2
    set_mA = state.protocol.current_density * area
    current_range = _range_mA(set_mA)
    offset_mA, gain = current_range * OFFSET_OF_RANGE * rng.uniform(-1, 1), GAIN * rng.uniform(-1, 1)
    shorted = _shorted(rng, cycles) if protocol == "per_cycle" else ()
    coarse = bool(rng.random() < COARSE_SHARE)
    shunt = float(rng.uniform(0.01, 0.15)) if shorted else 0.0
    rest = 3600 * state.protocol.rest_h if rest_s is None else rest_s
    # the cycler regulates what it reads: the current that flows is off by gain and offset, each sign its own way
    plating_mA, stripping_mA = _flowing(set_mA, gain, offset_mA, protocol)
    steps = _steps(protocol, state, ce, rest, (plating_mA / set_mA, stripping_mA / set_mA), shorted, shunt)
    resistance = _resistance_ohm(state, rng)
    plating_sign = 1.0 if protocol == "anode_free" else -1.0
    record, now, counted = _Recorder(), 0.0, 0.0
    for step in steps:
        flowing = plating_mA if step.charge_mAh > 0 else stripping_mA
        seconds = step.seconds or 3600 * abs(step.charge_mAh) / flowing
        time = np.arange(COARSE_S, seconds, COARSE_S) if coarse else _saved(seconds, every_s)
        reading = plating_sign * float(np.sign(step.charge_mAh)) * set_mA
        potential = _potential(step, time / seconds, seconds, set_mA * 1e-3 * resistance, protocol, rng)
        record.add(now + time, counted + reading * time / 3600, potential, reading, step)
        now, counted = now + seconds, counted + reading * seconds / 3600
    clock = float(rng.normal(0, 1e-4))
    time, current = np.concatenate(record.time), np.concatenate(record.current)
    potential = np.concatenate(record.potential) + rng.normal(0, 2e-4, time.size)
    plated = [s.charge_mAh for s in steps if s.charge_mAh > 0]
    stripped = [-s.charge_mAh for s in steps if s.charge_mAh < 0]
    # a short feeds the stripping step from the other electrode: the metal's own efficiency does not change
    ce = ce[:len(plated)]
    truth = {"protocol": protocol, "ce_per_cycle": ce.tolist(), "ce_mean": float(np.average(ce, weights=plated)),
             "plated_mAh": [float(v) for v in plated], "stripped_mAh": [float(v) for v in stripped],
             "shorted_cycles": [int(v) for v in shorted], "resistance_ohm": resistance}
    nuisance = {"offset_mA": float(offset_mA), "gain": float(gain), "clock_drift": clock, "current_range_mA": current_range,
                "saves_ends_of_steps": not coarse, "every_s": COARSE_S if coarse else every_s, "soft_short": bool(shorted)}
    return CyclingRun(protocol, time * (1 + clock), potential, current, np.concatenate(record.charge) * (1 + clock),
                      _half_cycles(current), np.concatenate(record.cycle), np.concatenate(record.line),
                      "positive" if protocol == "anode_free" else "negative", current_range, truth, nuisance)


def true_ce(state: State, rng: np.random.Generator, cycles: int) -> Float:
    """Coulombic efficiency of each cycle, (cycle,): the state's, its loss scattered from cycle to cycle.

    Raises
    ------
    ValueError
        If more cycles are wanted than the state knows.
    """
    if cycles > len(state.ce_per_cycle):
        raise ValueError(f"{state.sample}: {cycles} cycles wanted, the state knows {len(state.ce_per_cycle)}")
    loss = 1 - np.asarray(state.ce_per_cycle[:cycles])
    return np.asarray(1 - np.clip(loss * 10 ** rng.normal(0, CE_SCATTER, cycles), 1e-6, 0.95))


def _range_mA(current_mA: float) -> float:
    """The smallest of a cycler's ranges (1, 2, 5, 10, ... mA) that holds the current."""
    decade = 10.0 ** np.floor(np.log10(current_mA))
    return float(next(step * decade for step in (1, 2, 5, 10) if step * decade >= current_mA * (1 - 1e-9)))


def _shorted(rng: np.random.Generator, cycles: int) -> tuple[int, ...]:
    if rng.random() >= SHORT_SHARE or cycles < 8:
        return ()
    first = int(rng.integers(4, cycles - 3))
    return tuple(range(first, min(cycles, first + int(rng.integers(1, 5)))))


def _flowing(set_mA: float, gain: float, offset_mA: float, protocol: Protocol) -> tuple[float, float]:
    """Magnitudes of the current that really flows while plating and while stripping."""
    oxidising, reducing = set_mA / (1 + gain) - offset_mA, set_mA / (1 + gain) + offset_mA
    return (oxidising, reducing) if protocol == "anode_free" else (reducing, oxidising)


def _steps(protocol: Protocol, state: State, ce: Float, rest_s: float, off: tuple[float, float], shorted: tuple[int, ...],
           shunt: float) -> list[Step]:
    """The steps with the charges that flow. A step that ends by time has its charge off by a factor (plating, stripping)."""
    unit = state.protocol.areal_capacity * state.protocol.area_cm2
    steps: list[Step] = []
    rest = [Step(0.0, 0, 1, seconds=rest_s)] if rest_s > 0 else []

    def add(charge: float, cycle: int, line: int, *, empty: bool = False) -> None:
        hurt = cycle in shorted
        if charge < 0 and hurt:
            charge *= 1 + shunt
        steps.append(Step(charge, cycle, line, ends_empty=empty, short=hurt, first=not steps))
        if charge > 0:
            steps.extend(Step(0.0, cycle, 1, seconds=r.seconds) for r in rest)

    if protocol == "per_cycle":
        for n, efficiency in enumerate(ce):
            add(unit * off[0], n, 0)
            add(-unit * off[0] * efficiency, n, 2, empty=True)
    elif protocol == "reservoir":
        _reservoir(add, unit, ce, off)
    else:
        left = ANODE_FREE_MULTIPLE * unit
        for n, efficiency in enumerate(ce):
            if left < 0.2 * ANODE_FREE_MULTIPLE * unit:
                break
            add(left, n, 0, empty=True)
            left *= efficiency
            add(-left, n, 2, empty=True)
    return steps


def _reservoir(add: Any, unit: float, ce: Float, off: tuple[float, float]) -> None:
    """Plate the reservoir, take and give back one unit per cycle, strip all: n + 1 platings of known efficiency."""
    big = RESERVOIR_MULTIPLE * unit * off[0]
    add(big, 0, 0)
    left = float(big * ce[0])
    for n in range(1, len(ce)):
        taken = min(unit * off[1], left)
        add(-taken, n - 1, 2, empty=taken == left)
        left -= taken
        add(unit * off[0], n, 3)
        left += float(unit * off[0] * ce[n])
    add(-left, len(ce) - 1, 4, empty=True)


def _resistance_ohm(state: State, rng: np.random.Generator) -> float:
    """Of the whole cell at low frequency: it sets the plateaus."""
    circuit = circuit_of(state, rng)
    return circuit.r_s + min(circuit.r_sei, 300 / state.protocol.area_cm2) + circuit.r_ct


def _saved(seconds: float, every_s: float) -> Float:
    """Times of saved points within a step: regular, denser where the potential moves, and its end."""
    dense = np.geomspace(1.0, max(min(0.3 * seconds, 4 * every_s), 1.1), 10)
    grid = np.concatenate([np.arange(every_s, seconds, every_s), dense, seconds - dense])
    return np.append(np.unique(np.round(grid[(grid > 0) & (grid < seconds - 0.01)], 3)), seconds)


def _potential(step: Step, part: Float, seconds: float, drop_V: float, protocol: Protocol, rng: np.random.Generator) -> Float:
    """Potential of the working electrode during a step; `part` runs from 0 to 1, `drop_V` is current times resistance."""
    t = part * seconds
    if step.charge_mAh == 0:
        level = 4.25 if protocol == "anode_free" else 0.0
        relaxed = np.exp(-np.sqrt(t / 60))
        return np.asarray(level - (0.0 if protocol == "anode_free" else drop_V) * relaxed)
    if protocol == "anode_free":
        low, high = FULL_CELL_V
        filling = part if step.charge_mAh > 0 else 1 - part
        shape = 3.65 + 0.45 * filling + 0.08 * np.tanh((filling - 0.15) / 0.1) - 0.12
        polarised = shape + np.sign(step.charge_mAh) * drop_V
        edge = np.exp(-(1 - part) / 0.008)
        return np.asarray(polarised + (np.where(step.charge_mAh > 0, high, low) - polarised) * edge)
    if step.charge_mAh > 0:
        # charging the double layer, nucleation dip, then the plateau, smaller as fresh metal makes area
        dip = (0.08 if step.first else 0.03) * np.exp(-part / 0.02)
        start = (0.9 if step.ends_empty or step.first else 0.4) * np.exp(-t / 4)
        potential = -drop_V * (1 + 0.15 * np.exp(-part / 0.2)) - dip + start
    else:
        # an arc while dead metal hinders the transport, and the rise to the cut-off when the metal is used up
        potential = drop_V * (1 + 0.25 * np.sin(np.pi * np.clip(part, 0, 1)) ** 2)
        if step.ends_empty:
            potential = potential + (CUT_OFF_V - drop_V) * np.exp(-(1 - part) / 0.006)
    if step.short:
        potential = potential * 0.6 + rng.normal(0, 0.004 + 0.1 * drop_V, part.size)
    return np.asarray(potential)


def _half_cycles(current: Float) -> Int:
    """Counted up where the sign of the current changes; a rest belongs to the half cycle before it."""
    sign = np.sign(current)
    known = np.maximum.accumulate(np.where(sign != 0, np.arange(sign.size), 0))
    return np.asarray(np.cumsum(np.r_[0, np.abs(np.diff(sign[known])) > 0]), np.int64)
