"""What the virtual specimen is made of: atom densities, plasmons and lattices of metals, SEI phases and organic matter.

Atom densities of crystals follow from the cells in `datasets/reference/phases.json` (typed from memory there, with the
card or paper named per row: verify against a CIF before citing). Plasmon energies and widths are near handbook values for
the metals, LiF and the carbonates; the rest is judgement, as is all that is said of organic matter.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

ATOMIC_NUMBER = {"H": 1, "Li": 3, "C": 6, "N": 7, "O": 8, "F": 9, "Na": 11, "Mg": 12, "P": 15, "S": 16, "K": 19, "Ca": 20,
                 "Cu": 29, "Zn": 30}
AVOGADRO_PER_NM3 = 602.214
"""Atoms per nm³ of one mol per cm³."""


@dataclass(frozen=True)
class Material:
    """A homogeneous solid.

    atoms_per_nm3 : element -> number density
    plasmon_eV, plasmon_width_eV : centre and width of its Drude loss
    charge_kC_per_cm3 : charge bound in it, counted in electrons that reduced metal ions or electrolyte
    """

    name: str
    atoms_per_nm3: Mapping[str, float]
    plasmon_eV: float
    plasmon_width_eV: float
    charge_kC_per_cm3: float = 0.0

    @property
    def crystalline(self) -> bool:
        """Whether the table of phases holds its cell."""
        return self.name in phases()


@dataclass(frozen=True)
class Lattice:
    """Reflections of a crystal: vectors (n, 3) in 1/nm and amplitudes (n,) relative to the strongest."""

    reflections: NDArray[np.float64]
    amplitudes: NDArray[np.float64]


@cache
def phases() -> Mapping[str, Any]:
    """The reference table of crystal phases, by formula."""
    table: Mapping[str, Any] = json.loads(files("datasets").joinpath("reference/phases.json").read_text(encoding="utf-8"))
    return table


PLASMON_EV: dict[str, tuple[float, float]] = {
    "Li": (7.1, 2.2), "Na": (5.7, 0.6), "K": (3.7, 0.6), "Zn": (17.2, 9.0), "Ca": (8.8, 2.5), "Mg": (10.6, 0.7),
    "Li2O": (18.0, 8.0), "Li2CO3": (20.5, 11.0), "LiF": (24.6, 7.0), "LiOH": (19.5, 9.0), "Li3N": (16.5, 7.0),
    "Li2S": (16.0, 7.0), "Li3PO4": (21.5, 10.0), "Na2O": (15.0, 8.0), "Na2CO3": (19.0, 11.0), "NaF": (20.5, 7.0),
    "Na2S": (14.5, 7.0), "NaOH": (17.5, 9.0), "KF": (17.0, 7.0), "K2O": (13.0, 8.0), "K2SO4": (19.5, 11.0),
    "ZnO": (18.8, 9.0), "ZnF2": (22.0, 9.0), "CaF2": (22.5, 8.0), "CaCO3": (20.5, 11.0), "CaO": (18.5, 9.0),
    "MgO": (22.3, 6.0), "MgF2": (24.5, 8.0),
}
ELECTRONS: dict[str, float] = {
    "Li2O": 2, "Li2CO3": 2, "LiF": 1, "LiOH": 1, "Li3N": 3, "Li2S": 2, "Li3PO4": 3, "Na2O": 2, "Na2CO3": 2, "NaF": 1,
    "Na2S": 2, "NaOH": 1, "KF": 1, "K2O": 2, "K2SO4": 2, "ZnO": 2, "ZnF2": 2, "CaF2": 2, "CaCO3": 2, "CaO": 2, "MgO": 2,
    "MgF2": 2,
}
"""Charges per formula unit (one per monovalent ion bound)."""

ORGANIC: dict[str, tuple[float, Mapping[str, float], float]] = {
    "Li": (5.2, {"Li": 2, "C": 4, "O": 6, "H": 4}, 2), "Na": (5.9, {"Na": 2, "C": 4, "O": 6, "H": 4}, 2),
    "K": (5.3, {"K": 2, "C": 4, "O": 6, "H": 4}, 2), "Zn": (4.9, {"Zn": 1, "C": 4, "O": 6, "H": 4}, 2),
    "Ca": (4.7, {"Ca": 1, "C": 4, "O": 6, "H": 4}, 2), "Mg": (5.1, {"Mg": 1, "C": 4, "O": 6, "H": 4}, 2),
}
"""Metal -> formula units of its ethylene dicarbonate per nm³, the formula, and charges per unit. Judgement: 1.4 g/cm³ with
lithium, near 1.9 with heavier metals."""


@cache
def material(name: str) -> Material:
    """A crystal phase by formula, a metal by symbol, or "organic:<metal>" and "electrolyte:<metal>" for soft matter."""
    kind, _, metal = name.partition(":")
    if kind == "organic":
        units, formula, charges = ORGANIC[metal]
        return Material(name, {el: units * n for el, n in formula.items()}, 21.5, 14.0, _charge(units * charges))
    row = phases()[name]
    volume_nm3 = abs(float(np.linalg.det(direct_vectors(row["cell"]))))
    count = Counter(str(site[0]) for site in row["sites"])
    metal = next(iter(count))
    per_formula = _count_in_formula(name, metal)
    units = count[metal] / per_formula / volume_nm3
    plasmon, width = PLASMON_EV[name]
    return Material(name, {el: n / volume_nm3 for el, n in sorted(count.items())}, plasmon, width,
                    _charge(units * ELECTRONS.get(name, 0)))


def _charge(charges_per_nm3: float) -> float:
    return charges_per_nm3 / AVOGADRO_PER_NM3 * 96.48533


def _count_in_formula(formula: str, element: str) -> int:
    """Atoms of the first element in a simple formula such as Li2CO3."""
    digits = ""
    for char in formula.removeprefix(element):
        if not char.isdigit():
            break
        digits += char
    return int(digits or 1)


def direct_vectors(cell: list[float]) -> NDArray[np.float64]:
    """Rows are the cell's vectors in nm; `cell` is a, b, c in Å and the angles in degrees."""
    a, b, c = (length / 10 for length in cell[:3])
    alpha, beta, gamma = np.deg2rad(cell[3:])
    cx, cy = c * np.cos(beta), c * (np.cos(alpha) - np.cos(beta) * np.cos(gamma)) / np.sin(gamma)
    return np.array([[a, 0, 0], [b * np.cos(gamma), b * np.sin(gamma), 0], [cx, cy, np.sqrt(c * c - cx * cx - cy * cy)]])


@cache
def lattice(name: str, strain: float = 0.0, d_min_nm: float = 0.115) -> Lattice:
    """All reflections of a phase with spacing above `d_min_nm`, the cell stretched by `strain`.

    Amplitudes are square roots of the table's kinematic intensity per member of a family.
    """
    row = phases()[name]
    reciprocal = np.linalg.inv(direct_vectors(row["cell"])).T / (1 + strain)
    index = np.arange(-6, 7)
    hkl = np.stack(np.meshgrid(index, index, index, indexing="ij"), -1).reshape(-1, 3)
    vectors = hkl @ reciprocal
    length = np.linalg.norm(vectors, axis=1)
    found, strength = [], []
    for d_angstrom, _, intensity, multiplicity in row["lines"]:
        d = d_angstrom / 10 * (1 + strain)
        if d < d_min_nm or intensity is None:
            continue
        members = np.abs(length * d - 1) < 1e-3
        found.append(vectors[members])
        strength.append(np.full(int(members.sum()), np.sqrt(intensity / multiplicity)))
    amplitudes = np.concatenate(strength)
    return Lattice(np.concatenate(found), amplitudes / amplitudes.max())
