"""X-ray microscopy over absorption edges: transmission through projected thickness, with flat and dark fields.

Cross section per atom above a K edge: hydrogenic, 2 x 6.3e-4 nm² / Z² (Z² 13.6 eV / E)³, an eighth of it below the edge, plus
a white line: judgement, right within a factor of two. Lithium metal shows only by what is missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.special import expit

from datasets.phantom.materials import ATOMIC_NUMBER, material

Float = npt.NDArray[np.float64]

K_EDGE_EV = {"C": 284.2, "N": 409.9, "O": 543.1, "F": 696.7, "Na": 1070.8, "Mg": 1303.0, "P": 2145.5, "S": 2472.0, "K": 3608.4,
             "Ca": 4038.5, "Cu": 8979.0, "Zn": 9659.0}
"""Binding energies of the 1s electrons (X-ray Data Booklet, from memory)."""
BELOW_EDGE = 0.125
WHITE_LINE_EV, WHITE_LINE = 4.0, 0.8
POINT_SPREAD_NM = 30.0


@dataclass(frozen=True)
class TxmRun:
    """Counts (energy, y, x), white and dark frames, and what is true.

    truth : `column_atoms_per_nm2` of each element, mean over the field; `edge` element
    """

    counts: npt.NDArray[np.uint16]
    white: npt.NDArray[np.uint16]
    dark: npt.NDArray[np.uint16]
    energy_eV: Float
    pixel_size_nm: tuple[float, float]
    truth: Mapping[str, Any]
    nuisance: Mapping[str, Any]


def cross_section_nm2(element: str, energy_eV: Float) -> Float:
    """Absorption per atom, (energy,), nm²; hydrogen and lithium are taken as transparent."""
    if element not in K_EDGE_EV:
        return np.zeros_like(energy_eV)
    z, edge = ATOMIC_NUMBER[element], K_EDGE_EV[element]
    smooth = 2 * 6.3e-4 / z ** 2 * (z ** 2 * 13.6 / energy_eV) ** 3
    step = BELOW_EDGE + (1 - BELOW_EDGE) * expit((energy_eV - edge) / 0.8)
    line = WHITE_LINE * np.exp(-((energy_eV - edge - WHITE_LINE_EV) / 2.5) ** 2)
    return np.asarray(smooth * (step + line))


def edge_scan(element: str, points: int = 24) -> Float:
    """Energies (energy,) about a K edge, denser at the edge."""
    edge = K_EDGE_EV[element]
    return np.asarray(edge + np.concatenate([np.linspace(-25, -6, points // 4), np.linspace(-5, 12, points // 2),
                                             np.linspace(14, 45, points - points // 4 - points // 2)]))


def transmitted(solids: Mapping[str, npt.NDArray[Any]], energy_eV: Float) -> Float:
    """Transmission (energy, y, x) through projected thickness per material (y, x), nm, without the microscope's blur."""
    density: dict[str, Float] = {}
    for name, thickness in solids.items():
        for element, n in material(name).atoms_per_nm3.items():
            density[element] = density.get(element, np.zeros(thickness.shape)) + n * thickness
    depth: Float = np.zeros((energy_eV.size, *next(iter(solids.values())).shape))
    for element, column in density.items():
        depth += cross_section_nm2(element, energy_eV)[:, None, None] * column
    return np.asarray(np.exp(-depth))


def txm(solids: Mapping[str, npt.NDArray[Any]], pixel_nm: float, element: str, rng: np.random.Generator, *,
        photons: float = 4000.0, points: int = 24) -> TxmRun:
    """A stack over the K edge of an element.

    Parameters
    ----------
    solids : material -> (y, x) projected thickness, nm
    photons : counts of a pixel in the flat field at the first energy
    """
    energy = edge_scan(element, points)
    clear = transmitted(solids, energy)
    blurred = ndimage.gaussian_filter(clear, (0, POINT_SPREAD_NM / 2.355 / pixel_nm, POINT_SPREAD_NM / 2.355 / pixel_nm))
    shape = clear.shape[1:]
    illumination = ndimage.gaussian_filter(rng.normal(size=shape), 8)
    flat = photons * (1 + 0.1 * illumination / illumination.std())
    beam = np.exp(-float(rng.uniform(0, 0.1)) * np.linspace(0, 1, energy.size))
    path = np.cumsum(rng.normal(0, 0.3, (energy.size, 2)), 0)
    moved = np.stack([ndimage.shift(image, step, order=1, mode="nearest") for image, step in zip(blurred, path, strict=True)])
    dark_level = 20.0
    counts = rng.poisson(np.clip(moved, 0, None) * flat * beam[:, None, None] + dark_level)
    white = rng.poisson(flat + dark_level, (3, *shape))
    dark = rng.poisson(dark_level, (3, *shape))
    column: dict[str, float] = {}
    for name, thickness in solids.items():
        for el, n in material(name).atoms_per_nm3.items():
            column[el] = column.get(el, 0.0) + n * float(np.mean(thickness))
    truth = {"column_atoms_per_nm2": column, "edge": element, "edge_eV": K_EDGE_EV[element]}
    nuisance = {"shift_px": path.tolist(), "beam_decay": float(beam[-1]), "dark_level": dark_level}
    frames = (np.minimum(stack, 65535).astype(np.uint16) for stack in (counts, white, dark))
    return TxmRun(next(frames), next(frames), next(frames), energy, (pixel_nm, pixel_nm), truth, nuisance)
