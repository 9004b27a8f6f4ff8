"""Atom probe of a needle with metal below and SEI on top: detected ions, reconstructed with wrong parameters.

What is kept is a cylinder about the needle's axis, as wide as the wanted number of ions fills, through the SEI and into metal.
The detector sees a fraction of the atoms, whatever the element. Salts and organic matter leave as molecular ions; some lithium
migrates along the field before it leaves. The reconstruction has a wrong field factor, image compression and efficiency, so
depth and width are off by factors, and magnification jumps at the interface. All magnitudes are judgement but the
efficiency (0.37 to 0.8 by instrument, handbook).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.phantom.materials import material
from datasets.phantom.state import State
from datasets.writers.pos import Range

Float = npt.NDArray[np.float64]

MASS_DA = {"H": 1.008, "Li": 7.016, "C": 12.0, "N": 14.003, "O": 15.995, "F": 18.998, "Na": 22.990, "Mg": 23.985, "P": 30.974,
           "S": 31.972, "K": 38.964, "Ca": 39.963, "Zn": 63.929}
MOLECULES: dict[str, tuple[tuple[str, str], ...]] = {
    "O": (("Li", "O"), ("Na", "O")), "F": (("Li", "F"), ("Na", "F")), "C": (("C", "O"),)}
"""Element -> pairs in which it can leave with a neighbour."""
MOLECULAR_SHARE = 0.3
BACKGROUND_SHARE = 0.02
TAIL_SHARE, TAIL_DA = 0.25, 0.03
WINDOW_DA = (0.08, 0.22)


@dataclass(frozen=True)
class AptRun:
    """Ions in the order detected: positions (ion, 3) as x, y, z in nm, z downwards into the needle, mass-to-charge (ion,).

    truth : `sei_atomic_fractions` of the atoms that left the SEI, hydrogen left out; `interface_depth_nm` in the needle
    """

    position_nm: npt.NDArray[np.float32]
    mass_to_charge_Da: npt.NDArray[np.float32]
    ranges: tuple[Range, ...]
    truth: Mapping[str, Any]
    nuisance: Mapping[str, Any]


def apt(state: State, rng: np.random.Generator, *, ions: int = 300_000, radius_nm: float = 40.0,
        into_metal_nm: float = 15.0) -> AptRun:
    """One needle whose axis is the surface normal.

    Parameters
    ----------
    ions : as many, unless the cylinder that holds them is wider than the field of view (0.6 of the needle's radius)
    radius_nm : radius of the needle's cap
    """
    sigma = np.sqrt(np.log(1 + state.thickness_cv ** 2))
    film = float(state.thickness_nm * np.exp(sigma * rng.normal() - sigma ** 2 / 2))
    efficiency = float(rng.uniform(0.37, 0.8))
    layers = [_atoms(state.outer, 1 - state.porosity), _atoms(state.inner, 1 - state.porosity), _atoms({state.metal: 1.0}, 1.0)]
    bottoms = np.array([(1 - state.inner_share) * film, film, np.inf])
    grid = np.linspace(0, film + into_metal_nm, 4001)
    density = np.array([sum(atoms.values()) for atoms in layers])[np.searchsorted(bottoms, grid[1:], side="right")]
    column = np.concatenate([[0.0], np.cumsum(efficiency * density * np.diff(grid))])
    field_nm = min(0.6 * radius_nm, float(np.sqrt(ions / (np.pi * column[-1]))))
    count = int(np.pi * field_nm ** 2 * column[-1])
    depth = np.interp(np.sort(rng.random(count)) * column[-1], column, grid)
    layer = np.searchsorted(bottoms, depth, side="right")
    elements = sorted({el for atoms in layers for el in atoms})
    index = np.zeros(count, np.int64)
    for k, atoms in enumerate(layers):
        here = layer == k
        share = np.array([atoms.get(el, 0.0) for el in elements])
        index[here] = rng.choice(len(elements), int(here.sum()), p=share / share.sum())
    names = np.array(elements)[index]
    migrating = (names == "Li") & (layer < 2) & (rng.random(count) < 0.3)
    shown = np.maximum(depth - np.where(migrating, rng.exponential(3.5, count), 0.0), 0.0)
    truth = {"sei_atomic_fractions": _fractions(names[layer < 2]), "interface_depth_nm": film, "metal": state.metal}
    mass = _masses(names, rng)
    position, factors = _reconstructed(shown, layer, radius_nm, field_nm, rng)
    nuisance = {"efficiency": efficiency, "field_nm": field_nm, "migrating_share": float(migrating.mean()), **factors}
    return AptRun(position.astype(np.float32), mass.astype(np.float32), ranges_of(elements), truth, nuisance)


def ranges_of(elements: list[str]) -> tuple[Range, ...]:
    """Windows of single ions and of the molecules that these elements make."""
    pairs = [pair for el in elements for pair in MOLECULES.get(el, ()) if set(pair) <= set(elements)]
    windows = [((el,), 0.02) for el in elements] + [(pair, 0.04) for pair in pairs]
    found = []
    for atoms, volume_nm3 in windows:
        mass = sum(MASS_DA[el] for el in atoms)
        found.append(Range(mass - WINDOW_DA[0], mass + WINDOW_DA[1], dict.fromkeys(atoms, 1), volume_nm3))
    return tuple(sorted(found, key=lambda r: r.low_Da))


def _atoms(layer: Mapping[str, float], solid: float) -> dict[str, float]:
    """Atoms per nm³ of each element."""
    out: dict[str, float] = {}
    for name, share in layer.items():
        for el, n in material(name).atoms_per_nm3.items():
            out[el] = out.get(el, 0.0) + solid * share * n
    return out


def _fractions(names: npt.NDArray[np.str_]) -> dict[str, float]:
    found, counts = np.unique(names[names != "H"], return_counts=True)
    return {str(el): float(n / counts.sum()) for el, n in zip(found, counts, strict=True)}


def _masses(names: npt.NDArray[np.str_], rng: np.random.Generator) -> Float:
    """Mass-to-charge of each ion: peaks with a tail to the right, molecules, and a background even in time of flight."""
    mass = np.array([MASS_DA[str(el)] for el in np.unique(names)])[np.unique(names, return_inverse=True)[1]]
    for element, pairs in MOLECULES.items():
        for pair in pairs:
            other = next((el for el in pair if el != element), element)
            if other in names:
                joined = (names == element) & (rng.random(names.size) < MOLECULAR_SHARE / len(pairs))
                mass = np.where(joined, mass + MASS_DA[other], mass)
    n = mass.size
    tail = rng.random(n) < TAIL_SHARE
    mass = mass * (1 + rng.normal(0, 1 / 2355.0, n)) + np.where(tail, rng.exponential(TAIL_DA, n) * np.sqrt(mass / 10), 0)
    background = rng.random(n) < BACKGROUND_SHARE
    return np.asarray(np.where(background, 80.0 * rng.random(n) ** 2, mass))


def _reconstructed(depth: Float, layer: npt.NDArray[np.int64], radius_nm: float, field_nm: float,
                   rng: np.random.Generator) -> tuple[Float, dict[str, float]]:
    """Positions as the software places them: the lateral scale is off, depth by its square, magnification by the layer."""
    lateral = float(np.exp(rng.normal(0, 0.10)))
    depth_scale = float(np.exp(rng.normal(0, 0.10))) / lateral ** 2
    jump = float(rng.uniform(0.8, 1.2))
    n = depth.size
    half = field_nm * np.sqrt(rng.random(n))
    angle = rng.uniform(0, 2 * np.pi, n)
    magnified = half * np.where(layer < 2, jump, 1.0) * lateral
    # the software thinks the cap rounder than it is: flat layers come back curved
    cap = 0.3 * (radius_nm - np.sqrt(radius_nm ** 2 - half ** 2))
    position = np.stack([magnified * np.cos(angle), magnified * np.sin(angle), depth_scale * (depth + cap)], axis=1)
    return position, {"lateral_scale": lateral, "depth_scale": depth_scale, "magnification_jump": jump}
