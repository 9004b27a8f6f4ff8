"""One virtual sample as every technique meets it: its state, one deposit on the grid, and where that lies."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.phantom.edx import LINE_KEV
from datasets.phantom.eels import EDGES
from datasets.phantom.fields import Deposit, grow
from datasets.phantom.geometry import Placement, View, placed
from datasets.phantom.materials import material
from datasets.phantom.observer import projected_thickness
from datasets.phantom.projection import Projection, project
from datasets.phantom.state import State, decoys
from datasets.phantom.streams import stream


@dataclass(frozen=True)
class Specimen:
    """A sample of the virtual study; `projection` is what a transmitted electron meets."""

    state: State
    deposit: Deposit
    placement: Placement
    projection: Projection

    def draw(self, technique: str, purpose: str) -> np.random.Generator:
        """The random stream of one purpose of one technique on this sample."""
        return stream(self.state.seed, self.state.sample, technique, purpose)

    def seen_by(self, view: View) -> Projection:
        """The projection averaged over the pixels of a view."""
        u, v = self.placement.deposit_coordinates(*view.sample_points())
        return self.projection.at(u, v, view.true_pixel_nm())

    def truth(self) -> dict[str, Any]:
        """What is true of the sample and of the field on the grid; plain JSON."""
        state, deposit = self.state, self.deposit
        whole = {name: float(t.sum()) for name, t in self.projection.solids.items()}
        shell = {name: t for name, t in whole.items() if name != state.metal}
        crystals = sum(float(np.sum(np.pi / 6 * deposit.crystallites.diameter_nm[deposit.crystallites.phase == k] ** 3))
                       for k in range(len(deposit.crystallites.phases)))
        layers = self.projection.volumes["inner"], self.projection.volumes["outer"]
        volume = sum(float(layer.sum(dtype=np.float64)) for layer in layers) * self.projection.step ** 2
        return {
            **state.to_dict(), "group": state.electrolyte.name, "electrolyte_text": state.electrolyte.text,
            "dead_metal_fraction": state.losses["isolated"], "decoys": decoys(state),
            "field": {
                "thickness_nm": deposit.mean_thickness_nm, "thickness_spread_nm": deposit.thickness_spread_nm,
                "inner_share": float(np.mean(deposit.inner / deposit.total)), "roughness_nm": float(deposit.metal.std()),
                "filament_radius_nm": deposit.radius_nm, "width_nm": deposit.field_nm,
                "crystallites": int(deposit.crystallites.phase.size),
                "crystallite_nm": float(deposit.crystallites.diameter_nm.mean()) if deposit.crystallites.phase.size else None,
                "crystallinity": crystals / volume,
                "solid_volume_fractions": {name: t / sum(shell.values()) for name, t in sorted(shell.items())},
                "atomic_fractions": element_fractions(
                    {k: t for k, t in self.projection.solids.items() if k != state.metal}, exclude=("H",))}}


def make_specimen(state: State) -> Specimen:
    """Grow the deposit of a state and project it."""
    deposit = grow(state)
    return Specimen(state, deposit, placed(stream(state.seed, state.sample, "geometry", "placement")), project(deposit, state))


def element_fractions(solids: dict[str, NDArray[np.float32]], exclude: tuple[str, ...] = (),
                      only: frozenset[str] | None = None) -> dict[str, float]:
    """Atomic fractions of projected solids, summed over the field; sums to one."""
    atoms: dict[str, float] = {}
    for name, thickness in solids.items():
        total = float(thickness.sum(dtype=np.float64))
        for element, density in material(name).atoms_per_nm3.items():
            if element not in exclude and (only is None or element in only):
                atoms[element] = atoms.get(element, 0.0) + total * density
    norm = sum(atoms.values())
    return {element: atoms[element] / norm for element in sorted(atoms)} if norm else {}


def observed(specimen: Specimen, seen: Projection, view: View, technique: str) -> dict[str, Any]:
    """What an ideal observer of this view sees: thickness along the outline and element fractions."""
    outline = projected_thickness(seen.volumes["metal"], seen.volumes["inner"] + seen.volumes["outer"], view.true_pixel_nm())
    truth: dict[str, Any] = {"sei_thickness_nm": outline.thickness_nm, "sei_thickness_spread_nm": outline.spread_nm,
                             "positions": outline.positions}
    visible = {"edx": frozenset(LINE_KEV), "eels": frozenset(EDGES)}.get(technique)
    solids = dict(seen.solids)
    shell = {name: t for name, t in solids.items() if name != specimen.state.metal}
    truth["element_fractions"] = element_fractions(solids, ("H",), visible)
    truth["sei_element_fractions"] = element_fractions(shell, ("H",), visible)
    return truth
