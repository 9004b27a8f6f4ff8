"""Impedance of the interphase: resistances and capacitances that follow from the SEI's thickness, porosity and area.

Circuit: inductance + R_s + R_SEI || CPE + R_ct || CPE + Warburg [+ a contact artefact R || CPE]. In a third of the cells the
two arcs have nearly the same time constant and cannot be told apart: "not identifiable" is then the right answer.
Judgement throughout, within wide literature ranges: SEI conductivity 1e-8 to 1e-6 S/cm at 20 °C with 50 to 65 kJ/mol,
relative permittivity 10, double layer 5 to 20 µF per cm² of real area.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.phantom.state import GAS_CONSTANT, ROOM_K, State

EPSILON_0_F_PER_CM = 8.8541878128e-14
RELATIVE_PERMITTIVITY = 10.0
CHARGE_TRANSFER_OHM_CM2 = 60.0
"""Of real area, at 20 °C and solvating strength 0.5. Judgement."""
MERGED_SHARE, CONTACT_SHARE = 0.3, 0.1
"""Share of cells whose arcs merge; share with a contact artefact."""

Complex = npt.NDArray[np.complex128]
Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Circuit:
    """Values of the equivalent circuit; ohm, farad, henry; `q` of a CPE in S s^alpha; `warburg` in ohm s^-0.5.

    The contact artefact is absent when its resistance is 0.
    """

    r_s: float
    r_sei: float
    q_sei: float
    alpha_sei: float
    r_ct: float
    q_ct: float
    alpha_ct: float
    warburg: float
    inductance: float = 0.0
    r_contact: float = 0.0
    q_contact: float = 1e-6

    def impedance(self, frequency_Hz: Float) -> Complex:
        """Complex impedance (frequency,), ohm; the imaginary part of a capacitor is negative."""
        s = np.asarray(2j * np.pi * frequency_Hz, np.complex128)
        z = (self.r_s + s * self.inductance + _arc(s, self.r_sei, self.q_sei, self.alpha_sei)
             + _arc(s, self.r_ct, self.q_ct, self.alpha_ct) + self.warburg * np.sqrt(2 / s))
        return np.asarray(z + _arc(s, self.r_contact, self.q_contact, 0.9), np.complex128)

    @property
    def time_constants_s(self) -> tuple[float, float]:
        """(R q)^(1/alpha) of the SEI arc and of the charge-transfer arc."""
        return (self.r_sei * self.q_sei) ** (1 / self.alpha_sei), (self.r_ct * self.q_ct) ** (1 / self.alpha_ct)


@dataclass(frozen=True)
class ImpedanceRun:
    """What the instrument recorded, (frequency,) in the order measured, and what is true.

    truth : the circuit's values, `identifiable` (whether the arcs can be separated) and `sei_thickness_nm`
    """

    frequency_Hz: Float
    impedance_ohm: Complex
    time_s: Float
    truth: Mapping[str, Any]
    nuisance: Mapping[str, Any]


def impedance(state: State, rng: np.random.Generator, *, highest_Hz: float = 1e6, lowest_Hz: float = 0.05,
              points_per_decade: int = 8) -> ImpedanceRun:
    """A spectrum from high to low frequency with proportional noise and lead inductance."""
    merged, contact = bool(rng.random() < MERGED_SHARE), bool(rng.random() < CONTACT_SHARE)
    circuit = circuit_of(state, rng, merged=merged, contact=contact)
    decades = np.log10(highest_Hz / lowest_Hz)
    frequency = np.logspace(np.log10(highest_Hz), np.log10(lowest_Hz), round(decades * points_per_decade) + 1)
    exact = circuit.impedance(frequency)
    noise = float(rng.uniform(0.001, 0.004))
    scale = noise * np.abs(exact) + 2e-3
    measured = exact + scale * (rng.normal(size=exact.size) + 1j * rng.normal(size=exact.size))
    # a lock-in waits for some periods at each frequency
    time = np.cumsum(np.maximum(0.5, 3 / frequency))
    truth = {**vars(circuit), "identifiable": not merged, "sei_thickness_nm": state.thickness_nm}
    nuisance = {"relative_noise": noise, "contact_artefact": contact, "inductance_H": circuit.inductance}
    return ImpedanceRun(frequency, measured, time, truth, nuisance)


def circuit_of(state: State, rng: np.random.Generator, *, merged: bool = False, contact: bool = False) -> Circuit:
    """The circuit of a cell's plated electrode.

    `merged` gives the charge transfer the time constant of the SEI, within a factor of 1.5.
    """
    area, real = state.protocol.area_cm2, state.protocol.area_cm2 * state.real_area
    r_s = float(np.exp(rng.normal(np.log(6.0 - 3.0 * state.formulation.concentration), 0.2))) / area
    conductivity = 10 ** float(rng.uniform(-8, -6)) * _arrhenius(float(rng.uniform(50e3, 65e3)), state)
    thickness_cm = state.thickness_nm * 1e-7
    # pores conduct no lithium: Bruggeman exponent 1.5
    r_sei = thickness_cm / (conductivity * (1 - state.porosity) ** 1.5 * real)
    c_sei = EPSILON_0_F_PER_CM * RELATIVE_PERMITTIVITY * real / thickness_cm
    alpha_sei, alpha_ct = float(rng.uniform(0.85, 0.97)), float(rng.uniform(0.75, 0.92))
    r_ct = (CHARGE_TRANSFER_OHM_CM2 * float(np.exp(1.0 * (state.formulation.solvating - 0.5) + rng.normal(0, 0.4)))
            / (_arrhenius(55e3, state) * real))
    c_ct = 1e-6 * float(rng.uniform(5, 20)) * real
    if merged:
        c_ct = r_sei * c_sei / r_ct * float(np.exp(rng.uniform(-np.log(1.5), np.log(1.5))))
    warburg = float(np.exp(rng.normal(np.log(4.0), 0.3))) / area
    return Circuit(r_s, r_sei, _cpe(c_sei, r_sei, alpha_sei), alpha_sei, r_ct, _cpe(c_ct, r_ct, alpha_ct), alpha_ct, warburg,
                   inductance=float(rng.uniform(0.1e-6, 0.6e-6)),
                   r_contact=float(rng.uniform(2, 10)) / area if contact else 0.0, q_contact=1e-7)


def _arc(s: Complex, resistance: float, q: float, alpha: float) -> Complex:
    return np.asarray(resistance / (1 + resistance * q * s ** alpha), np.complex128)


def _cpe(capacitance: float, resistance: float, alpha: float) -> float:
    """Value q of the CPE whose arc peaks where R and this capacitance would: Brug's relation without R_s.

    Source: Hsu and Mansfeld, Corrosion 57, 747 (2001), doi 10.5006/1.3280607 (not opened here).
    """
    return float(capacitance ** alpha * resistance ** (alpha - 1))


def _arrhenius(activation_J_per_mol: float, state: State) -> float:
    return float(np.exp(-activation_J_per_mol / GAS_CONSTANT * (1 / state.protocol.temperature_K - 1 / ROOM_K)))
