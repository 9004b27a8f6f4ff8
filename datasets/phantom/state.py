"""The latent state of a sample: laws from formulation, temperature and current to the interphase, and from there to CE.

The laws and their constants are those of docs/phantom.md: two activation energies are solved from reported thicknesses and
crystallite areas, the other coefficients are judgement. Nothing here is a fact about batteries.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from datasets.phantom.formulation import Formulation, formulation
from datasets.phantom.materials import material
from datasets.phantom.streams import stream

FARADAY = 96485.33212
GAS_CONSTANT = 8.314462618
ROOM_K = 293.15


@dataclass(frozen=True)
class Metal:
    """A plated metal: valence, molar volume (cm³/mol) and, at 20 °C, growth rate (nm/s), limiting thickness (nm),
    deposit diameter (nm) and isolated fraction. Molar volumes from molar mass and density; the rest is judgement.
    """

    symbol: str
    valence: int
    molar_volume: float
    growth_nm_per_s: float
    limit_nm: float
    diameter_nm: float
    isolated: float


METALS: dict[str, Metal] = {
    m.symbol: m for m in (
        Metal("Li", 1, 13.02, 5.0e-3, 8.0, 4000.0, 0.006), Metal("Na", 1, 23.78, 1.0e-2, 16.0, 6000.0, 0.006),
        Metal("K", 1, 45.94, 1.5e-2, 30.0, 8000.0, 0.010), Metal("Zn", 2, 9.16, 1.0e-2, 60.0, 3000.0, 0.004),
        Metal("Ca", 2, 26.20, 4.0e-3, 8.0, 4000.0, 0.010), Metal("Mg", 2, 14.00, 5.0e-4, 4.0, 9000.0, 0.002))}
ACTIVATION_J_PER_MOL = {"growth": 30.0e3, "limit": -15.2e3, "diameter": 14.0e3, "crystallite_area": 4.46e3}
"""`limit` turns 20 nm at 20 °C into 35 nm at 60 °C; `crystallite_area` 191 nm² at -40 °C into 306 nm² at 20 °C."""
CHARGE_KC_PER_CM3 = {"inorganic": 11.0, "organic": 2.2}
ELECTROLYTE_SD = {"growth": 0.25, "inorganic": 0.25, "diameter": 0.15, "log_ce": 0.12}
"""Spread of what a formulation's text does not say: on the structure (first three) and on CE without a trace in it."""
CELL_SD = {"growth": 0.10, "limit": 0.10, "inorganic": 0.25, "layered": 0.30, "porosity": 0.03, "toughness": 0.15, "cv": 0.03,
           "diameter": 0.15, "aspect": 0.20, "crystallite": 0.12, "isolated": 0.45, "soluble": 0.60}
"""Spread between cells of one electrolyte, in the natural logarithm or logit of the quantity (porosity and cv: as such)."""


@dataclass(frozen=True)
class Electrolyte:
    """An electrolyte of the study.

    layered, instability : offset of the layered index (logit) and exponent of growth over cycles
    growth, inorganic, diameter, log_ce : hidden effects, zero where nothing was drawn
    growth_offset, limit_offset : what calibrates an anchor system to a reported thickness
    """

    name: str
    metal: str
    text: str
    layered: float = 0.0
    instability: float = 0.0
    growth_offset: float = 0.0
    limit_offset: float = 0.0
    growth: float = 0.0
    inorganic: float = 0.0
    diameter: float = 0.0
    log_ce: float = 0.0


@dataclass(frozen=True)
class Protocol:
    """How a cell was run: temperature K, current density mA/cm², areal capacity mAh/cm², cycles before the specimen was
    taken, rest per cycle in hours, geometric area cm².
    """

    temperature_K: float = ROOM_K
    current_density: float = 1.0
    areal_capacity: float = 1.0
    cycles: int = 1
    rest_h: float = 1.0
    area_cm2: float = 1.0


@dataclass(frozen=True)
class State:
    """All that is true of one sample; lengths in nm, fractions of 1.

    thickness_nm, thickness_cv : mean of the SEI along the interface and its relative spread
    inner_share : of the thickness that the inner layer takes
    layered : 0 mosaic, 1 layered
    inorganic_fraction : of the volume of the solid; crystalline_fraction : of it that is placed as crystallites
    inner, outer : layer -> volume fraction of each phase of the solid, organic matter included; each sums to one
    atomic_fractions, inner_atomic_fractions, outer_atomic_fractions : without hydrogen; each sums to one
    real_area : surface of the deposits per geometric area
    renewed : share of the SEI that forms anew in a cycle
    losses : share of the plated charge lost to sei, isolated, corrosion, soluble in the cycle in which the specimen was
        taken; 1 - ce is their sum
    sei_charge_kC_per_cm3 : charge bound in the porous SEI
    isolated_metal_nm3_per_nm2 : volume of dead metal left per cycle and geometric area
    ce_per_cycle : Coulombic efficiency of cycle 1, 2, ... of the cell
    """

    sample: str
    seed: int
    electrolyte: Electrolyte
    formulation: Formulation
    protocol: Protocol
    metal: str
    valence: int
    growth_nm_per_s: float
    limit_nm: float
    thickness_nm: float
    thickness_cv: float
    layered: float
    inner_share: float
    inorganic_fraction: float
    crystalline_fraction: float
    porosity: float
    toughness: float
    roughness_nm: float
    deposit_diameter_nm: float
    aspect: float
    crystallite_nm: float
    morphology: str
    real_area: float
    renewed: float
    inner: Mapping[str, float]
    outer: Mapping[str, float]
    atomic_fractions: Mapping[str, float]
    inner_atomic_fractions: Mapping[str, float]
    outer_atomic_fractions: Mapping[str, float]
    sei_charge_kC_per_cm3: float
    isolated_metal_nm3_per_nm2: float
    losses: Mapping[str, float]
    ce: float
    ce_per_cycle: tuple[float, ...]

    @property
    def log_ce(self) -> float:
        """-log10(1 - CE): one more for each nine."""
        return float(-np.log10(1 - self.ce))

    @property
    def contact_s(self) -> float:
        """Seconds per cycle in which metal meets electrolyte while the SEI grows: plating and rest."""
        return _contact_s(self.protocol)

    @property
    def plated_C_per_cm2(self) -> float:
        return 3.6 * self.protocol.areal_capacity

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, full float precision."""
        return {**asdict(self), "ce_per_cycle": list(self.ce_per_cycle), "log_ce": self.log_ce}


def hidden_effects(electrolyte: Electrolyte, seed: int) -> Electrolyte:
    """The electrolyte with its hidden effects drawn; the same for every sample of one study."""
    rng = stream(seed, "electrolyte", electrolyte.name, "hidden effects")
    drawn = {name: float(rng.normal(0, sd)) for name, sd in ELECTROLYTE_SD.items()}
    return Electrolyte(**{**asdict(electrolyte), **drawn})


def latent_state(sample: str, electrolyte: Electrolyte, protocol: Protocol, seed: int, *, cycles: int = 30,
                 noise: float = 1.0) -> State:
    """The state that an electrolyte, a protocol and chance give one cell.

    Parameters
    ----------
    sample, seed : name the random streams
    cycles : how many cycles the cell was run for its Coulombic efficiency
    noise : multiplies the spread between cells; 0 for the laws alone
    """
    rng = stream(seed, sample, "state", "cell")
    cell = {name: noise * sd * float(rng.normal()) for name, sd in CELL_SD.items()}
    mix, metal = formulation(electrolyte.text), METALS[electrolyte.metal]
    f, s, p, c = mix.fluorine_source, mix.solvating, mix.film_former, mix.concentration
    t, warm = protocol.temperature_K, protocol.temperature_K - ROOM_K
    growth = metal.growth_nm_per_s * arrhenius("growth", t) * float(np.exp(
        1.2 * (s - 0.5) - 0.9 * (f - 0.5) - 0.8 * p + electrolyte.growth_offset + electrolyte.growth + cell["growth"]))
    limit = metal.limit_nm * arrhenius("limit", t) * float(np.exp(
        -0.5 * (f - 0.5) - 0.4 * c + electrolyte.limit_offset + cell["limit"]))
    contact = _contact_s(protocol)
    thickness = grown_nm(growth, limit, contact) * protocol.cycles ** electrolyte.instability
    inorganic = _logistic(-0.9 + 2.2 * f + 1.2 * c - 1.2 * s + electrolyte.inorganic + cell["inorganic"])
    layered = _logistic(electrolyte.layered + 0.06 * warm + cell["layered"])
    porosity = float(np.clip(0.28 - 0.18 * p - 0.15 * inorganic + 0.06 * (metal.symbol in ("K", "Ca")) + cell["porosity"],
                             0.01, 0.6))
    toughness = _logistic(-0.6 + 1.6 * p + 1.2 * inorganic + 0.03 * warm - 2.5 * porosity + cell["toughness"])
    cv = float(np.clip(0.38 - 0.22 * toughness + 0.1 * porosity + cell["cv"], 0.05, 0.8))
    j = protocol.current_density
    diameter = metal.diameter_nm * j ** -0.3 * arrhenius("diameter", t) * float(np.exp(
        1.6 * (toughness - 0.5) - 1.6 * (s - 0.5) + electrolyte.diameter + cell["diameter"]))
    log_aspect = float(np.clip(1.9 - 2.4 * toughness + 0.35 * np.log(j) + 0.8 * (s - 0.5) + cell["aspect"], 0, 4))
    crystallite = 2 * float(np.sqrt(306 * arrhenius("crystallite_area", t) / np.pi)) * float(np.exp(cell["crystallite"]))
    crystallite *= 0.30 if metal.symbol == "Li" else 1.0

    plated = 3.6 * protocol.areal_capacity
    metal_cm3_per_cm2 = plated * metal.molar_volume / (metal.valence * FARADAY)
    real_area = 4 * metal_cm3_per_cm2 / (diameter * 1e-7) * (1 + 0.15 * log_aspect)
    charge = (CHARGE_KC_PER_CM3["inorganic"] * inorganic + CHARGE_KC_PER_CM3["organic"] * (1 - inorganic)) * (1 - porosity)
    renewed = 1 - float(np.exp(-(0.02 + (1 - toughness) ** 2 + 0.15 * cv)))
    constant = {
        "isolated": metal.isolated * float(np.exp(1.1 * log_aspect + 1.5 * (cv - 0.25) - 1.8 * (toughness - 0.5)
                                                  + 0.3 * np.log(j) + cell["isolated"])),
        "corrosion": real_area * porosity * 1.2e-3 * float(np.exp(1.2 * (s - 0.5))) * protocol.rest_h / plated,
        "soluble": 5e-3 * float(np.exp(3.0 * (s - 0.5) - 1.5 * c + cell["soluble"]))}

    def losses_of(cycle: int) -> dict[str, float]:
        fresh = grown_nm(growth, limit, contact)
        added = grown_nm(growth, limit, cycle * contact) - grown_nm(growth, limit, (cycle - 1) * contact)
        sei = real_area * charge * 1e3 * 1e-7 * (renewed * fresh + (1 - renewed) * added) / plated
        return _with_direct_effect({"sei": sei, **constant}, electrolyte.log_ce)

    losses = losses_of(protocol.cycles + 5)
    inner_share = 0.15 + 0.45 * layered
    inner, outer = layer_phases(mix, metal.symbol, inorganic, layered, inner_share)
    whole = {name: inner_share * inner.get(name, 0.0) + (1 - inner_share) * outer.get(name, 0.0)
             for name in sorted({*inner, *outer})}
    return State(
        sample=sample, seed=seed, electrolyte=electrolyte, formulation=mix, protocol=protocol, metal=metal.symbol,
        valence=metal.valence, growth_nm_per_s=growth, limit_nm=limit, thickness_nm=thickness, thickness_cv=cv,
        layered=layered, inner_share=inner_share, inorganic_fraction=inorganic, crystalline_fraction=0.55 * inorganic,
        porosity=porosity, toughness=toughness, roughness_nm=1.5, deposit_diameter_nm=diameter,
        aspect=float(np.exp(log_aspect)), crystallite_nm=crystallite, morphology=_morphology(float(np.exp(log_aspect))),
        real_area=real_area, renewed=renewed, inner=inner, outer=outer, atomic_fractions=atomic_fractions(whole),
        inner_atomic_fractions=atomic_fractions(inner), outer_atomic_fractions=atomic_fractions(outer),
        sei_charge_kC_per_cm3=charge, isolated_metal_nm3_per_nm2=losses["isolated"] * metal_cm3_per_cm2 * 1e7,
        losses=losses, ce=1 - sum(losses.values()),
        ce_per_cycle=tuple(1 - sum(losses_of(cycle).values()) for cycle in range(1, cycles + 1)))


def decoys(state: State) -> dict[str, float]:
    """Numbers that a lab keeps beside a cell and that cause nothing: what a model should not name as a driver.

    Two of them are correlated with a cause: `permittivity_label` with the solvating strength, `colour_index` with the
    logarithm of the thickness (0.8 each over a study of many electrolytes).
    """
    rng = stream(state.seed, state.sample, "state", "decoys")
    common = stream(state.seed, "electrolyte", state.electrolyte.name, "decoys")
    return {
        "conductivity_mS_per_cm": float(np.exp(common.normal(2.0, 0.4))),
        "viscosity_mPa_s": float(np.exp(common.normal(0.8, 0.5))),
        "substrate_roughness_nm": float(np.exp(rng.normal(4.0, 0.4))),
        "batch_day": float(rng.integers(1, 120)),
        "permittivity_label": 10 + 40 * state.formulation.solvating + float(common.normal(0, 5)),
        "colour_index": float(np.log(state.thickness_nm)) + float(rng.normal(0, 0.6))}


def arrhenius(what: str, temperature_K: float) -> float:
    """Factor relative to 20 °C."""
    return float(np.exp(-ACTIVATION_J_PER_MOL[what] / GAS_CONSTANT * (1 / temperature_K - 1 / ROOM_K)))


def grown_nm(growth_nm_per_s: float, limit_nm: float, seconds: float) -> float:
    """Thickness after dL/dt = k / (1 + L/L*): limited by the reaction below L*, by diffusion above."""
    return limit_nm * (float(np.sqrt(1 + 2 * growth_nm_per_s * seconds / limit_nm)) - 1)


def layer_phases(mix: Formulation, metal: str, inorganic: float, layered: float,
                 inner_share: float) -> tuple[dict[str, float], dict[str, float]]:
    """Volume fractions of the phases in the inner and in the outer layer; together they hold `inorganic`.

    The more layered, the more of the inorganic matter lies outside, over an organic inner layer.
    """
    weights = phase_weights(mix, metal)
    outside = min(max(0.97, inorganic), inorganic * (1 + 0.6 * layered), inorganic / (1 - inner_share))
    inside = (inorganic - (1 - inner_share) * outside) / inner_share
    layers = []
    for share in (inside, outside):
        phases = {name: share * weight for name, weight in weights.items()}
        layers.append({**phases, f"organic:{metal}": 1 - sum(phases.values())})
    return layers[0], layers[1]


def phase_weights(mix: Formulation, metal: str) -> dict[str, float]:
    """Shares of the inorganic phases that this formulation makes; they sum to one."""
    f, carbonate = mix.fluorine_source, 1.0 if mix.carbonate else 0.35
    nitrogen, sulphur = "N" in mix.salt_elements, "S" in mix.salt_elements
    raw = {
        "Li": {"LiF": 0.05 + 0.75 * f * f, "Li2O": 0.35, "Li2CO3": 0.45 * carbonate, "LiOH": 0.05,
               "Li3N": 0.15 * nitrogen, "Li2S": 0.10 * sulphur},
        "Na": {"NaF": 0.05 + 0.75 * f * f, "Na2O": 0.25, "Na2CO3": 0.50 * carbonate, "Na2S": 0.10 * sulphur},
        "K": {"KF": 0.05 + 0.75 * f * f, "K2O": 0.30, "K2SO4": 0.20 * sulphur},
        "Zn": {"ZnF2": 0.05 + 0.6 * f * f, "ZnO": 0.5},
        "Ca": {"CaF2": 0.05 + 0.6 * f * f, "CaCO3": 0.4 * carbonate, "CaO": 0.3},
        "Mg": {"MgF2": 0.05 + 0.6 * f * f, "MgO": 0.5}}[metal]
    total = sum(raw.values())
    return {name: weight / total for name, weight in raw.items() if weight > 0}


def atomic_fractions(volume_fractions: Mapping[str, float]) -> dict[str, float]:
    """Atomic fractions, hydrogen left out, of a mixture of phases given by volume."""
    atoms: dict[str, float] = {}
    for name, share in volume_fractions.items():
        for element, density in material(name).atoms_per_nm3.items():
            if element != "H":
                atoms[element] = atoms.get(element, 0.0) + share * density
    total = sum(atoms.values())
    return {element: atoms[element] / total for element in sorted(atoms)}


def anchored(electrolyte: Electrolyte, thickness_nm: float, protocol: Protocol) -> Electrolyte:
    """The electrolyte with its growth offset solved so that a reported thickness is met without noise: a calibration."""
    state = latent_state("anchor", electrolyte, protocol, 0, cycles=1, noise=0)
    first = thickness_nm / protocol.cycles ** electrolyte.instability
    wanted = (first + first ** 2 / (2 * state.limit_nm)) / state.contact_s
    offset = electrolyte.growth_offset + float(np.log(wanted / state.growth_nm_per_s))
    return Electrolyte(**{**asdict(electrolyte), "growth_offset": offset})


def _with_direct_effect(losses: dict[str, float], log_ce: float) -> dict[str, float]:
    """An effect on log CE that leaves no structure: by-products that dissolve take it up, and never become negative."""
    extra = (10.0 ** -log_ce - 1) * sum(losses.values())
    return {**losses, "soluble": max(0.05 * losses["soluble"], losses["soluble"] + extra)}


def _contact_s(protocol: Protocol) -> float:
    return 3600 * (protocol.areal_capacity / protocol.current_density + protocol.rest_h)


def _morphology(aspect: float) -> str:
    if aspect > 3:
        return "whisker"
    return "column" if aspect > 1.5 else "sphere"


def _logistic(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))
