"""Projected thickness of every material along the beam: what any transmitted electron meets."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from datasets.phantom.fields import Deposit
from datasets.phantom.state import State

Map = NDArray[np.float32]

SLABS = 40
GRIP = 0.3
"""Smallest width, nm, over which a slab that is cut obliquely fills."""


@dataclass(frozen=True)
class Projection:
    """Maps (u, v) of projected thickness in nm on a grid of spacing `step` that begins at `origin`.

    volumes : "metal", "inner", "outer" -> geometric thickness of metal and of the two layers, pores included
    solids : material -> thickness of compact solid; what scatters
    """

    origin: tuple[float, float]
    step: float
    volumes: Mapping[str, Map]
    solids: Mapping[str, Map]

    def at(self, u: NDArray[np.float64], v: NDArray[np.float64], width: float) -> "Projection":
        """The same maps seen at points (u, v), each averaged over a detector pixel of `width` nm."""
        over = int(np.clip(round(width / self.step), 1, 8))
        offsets = (np.arange(over) - (over - 1) / 2) * width / over
        names = [*self.volumes, *self.solids]
        stack = [*self.volumes.values(), *self.solids.values()]
        seen = [np.zeros(u.shape, np.float32) for _ in names]
        for du in offsets:
            for dv in offsets:
                where = np.stack([(u + du - self.origin[0]) / self.step, (v + dv - self.origin[1]) / self.step])
                for total, values in zip(seen, stack, strict=True):
                    total += ndimage.map_coordinates(values, where, order=1, mode="nearest", output=np.float32)
        for total in seen:
            total /= over ** 2
        split = len(self.volumes)
        return replace(self, volumes=dict(zip(names[:split], seen[:split], strict=True)),
                       solids=dict(zip(names[split:], seen[split:], strict=True)))


def project(deposit: Deposit, state: State) -> Projection:
    """Project the deposit along the beam, on pixels a 512th of the field wide, over all that any acquisition looks at."""
    step = deposit.step_u
    reach = 0.85 * deposit.field_nm
    u = np.arange(0.0, deposit.tip_nm + reach, step)
    v = np.arange(-reach, reach, step)
    volumes = {name: np.zeros((u.size, v.size), np.float32) for name in ("metal", "inner", "outer")}
    _project_stem(deposit, volumes, u, v)
    _project_tip(deposit, volumes, u, v)
    crystals = _crystal_chords(deposit, u, v)
    shell = volumes["inner"] + volumes["outer"]
    placed = np.zeros_like(shell)
    for chord in crystals.values():
        placed += chord
    # crystallites cannot displace more matrix than there is
    squeeze = np.minimum(1.0, 0.95 * shell / np.maximum(placed, 1e-6)).astype(np.float32)
    crystals = {name: chord * squeeze for name, chord in crystals.items()}
    placed *= squeeze
    solids = {state.metal: volumes["metal"], **crystals}
    for layer, phases, part in (("inner", state.inner, 1 - outer_part(state)), ("outer", state.outer, outer_part(state))):
        crystalline = part * float(placed.sum(dtype=np.float64)) / float(volumes[layer].sum(dtype=np.float64))
        matrix = np.maximum(volumes[layer] - np.float32(part) * placed, 0)
        for name, share in matrix_solid(phases, state.porosity, crystalline).items():
            thickness = (share * matrix).astype(np.float32)
            solids[name] = solids[name] + thickness if name in solids else thickness
    return _bent(Projection((0.0, float(v[0])), step, volumes, solids), deposit, u)


def outer_part(state: State) -> float:
    """Share of the crystallites' volume that lies in the outer layer, as their depths are drawn."""
    return 1 - float(state.inner_share ** (1 + 2 * state.layered))


def matrix_solid(phases: Mapping[str, float], porosity: float, crystalline: float) -> dict[str, float]:
    """Volume of each phase per volume of matrix, that is, of the layer without its crystallites.

    What of the inorganic solid the crystallites (share `crystalline` of the layer) do not hold is amorphous, so that
    the layer as a whole has the composition of the state.
    """
    inorganic = sum(share for name, share in phases.items() if not name.startswith("organic"))
    amorphous = max(0.0, 1 - crystalline / max(inorganic * (1 - porosity), 1e-9))
    return {name: share * (1 - porosity) * (1.0 if name.startswith("organic") else amorphous) / (1 - crystalline)
            for name, share in phases.items() if share > 0}


def _project_stem(deposit: Deposit, volumes: Mapping[str, Map], u: NDArray[np.float64], v: NDArray[np.float64]) -> None:
    """The straight part: radius and azimuth depend on (v, w) only, so whole columns of the fields are taken at once."""
    rows = int(np.searchsorted(u, deposit.tip_nm))
    index = np.minimum((u[:rows] / deposit.step_u).astype(int), deposit.metal.shape[0] - 1)
    metal, inner, total = (f.astype(np.float32)[index] for f in (deposit.metal, deposit.inner, deposit.total))
    half = _half_depth(deposit)
    thick = 2 * half / SLABS
    around = deposit.metal.shape[1]
    for w in -half + thick * (np.arange(SLABS) + 0.5):
        radius = np.hypot(v, w)
        near = np.flatnonzero(radius < half)
        column = (np.arctan2(w, v[near]) / (2 * np.pi) * around).astype(int) % around
        height = (radius[near] - deposit.radius_nm).astype(np.float32)
        grip = np.maximum(thick * np.abs(w) / np.maximum(radius[near], 1.0), GRIP).astype(np.float32)
        base = metal[:, column]
        filled = [_filled(base + layer, height, grip) * np.float32(thick)
                  for layer in (np.float32(0), inner[:, column], total[:, column])]
        where = slice(int(near[0]), int(near[-1]) + 1) if near.size else slice(0, 0)
        volumes["metal"][:rows, where] += filled[0]
        volumes["inner"][:rows, where] += filled[1] - filled[0]
        volumes["outer"][:rows, where] += filled[2] - filled[1]


def _project_tip(deposit: Deposit, volumes: Mapping[str, Map], u: NDArray[np.float64], v: NDArray[np.float64]) -> None:
    """The round end: distance is counted from the end of the axis, u along the meridian."""
    half = _half_depth(deposit)
    first, last = int(np.searchsorted(u, deposit.tip_nm)), int(np.searchsorted(u, deposit.tip_nm + half))
    wide = np.flatnonzero(np.abs(v) < half)
    beyond, across = np.meshgrid(u[first:last] - deposit.tip_nm, v[wide], indexing="ij")
    thick = 2 * half / SLABS
    around = deposit.metal.shape[1]
    for w in -half + thick * (np.arange(SLABS) + 0.5):
        away = np.hypot(across, w)
        radius = np.hypot(away, beyond)
        along = deposit.tip_nm + deposit.radius_nm * np.arctan2(beyond, away)
        row = np.minimum((along / deposit.step_u).astype(int), deposit.metal.shape[0] - 1)
        column = (np.arctan2(w, across) / (2 * np.pi) * around).astype(int) % around
        height = radius - deposit.radius_nm
        grip = np.maximum(thick * np.abs(w) / np.maximum(radius, 1.0), GRIP)
        base = deposit.metal[row, column]
        filled = [_filled(base + layer, height, grip) * thick
                  for layer in (np.zeros_like(base), deposit.inner[row, column], deposit.total[row, column])]
        where = (slice(first, last), slice(int(wide[0]), int(wide[-1]) + 1))
        volumes["metal"][where] += filled[0].astype(np.float32)
        volumes["inner"][where] += (filled[1] - filled[0]).astype(np.float32)
        volumes["outer"][where] += (filled[2] - filled[1]).astype(np.float32)


def _half_depth(deposit: Deposit) -> float:
    return float(deposit.radius_nm + deposit.metal.max() + deposit.total.max()) + 1.0


def _filled(edge: NDArray[np.floating], height: NDArray[np.floating], grip: NDArray[np.floating]) -> NDArray[np.floating]:
    """Share of a slab below an edge: partial volume of a slab that the surface cuts obliquely."""
    share: NDArray[np.floating] = np.clip(0.5 + (edge - height) / grip, 0, 1)
    return share


def _crystal_chords(deposit: Deposit, u: NDArray[np.float64], v: NDArray[np.float64]) -> dict[str, Map]:
    """Projected thickness of the crystallites of each phase; those of similar size are drawn together."""
    grains, step = deposit.crystallites, deposit.step_u
    maps = {name: np.zeros(u.size * v.size, np.float32) for name in grains.phases}
    reach = np.ceil(grains.diameter_nm / 2 / step).astype(int) + 1
    for size in np.unique(reach):
        window = np.arange(-size, size + 1)
        block = max(1, 400_000 // window.size ** 2)
        for k, name in enumerate(grains.phases):
            chosen = np.flatnonzero((reach == size) & (grains.phase == k))
            for some in np.split(chosen, np.arange(block, chosen.size, block)):
                iu, iv = (np.rint((grains.centres[some, a] - origin) / step).astype(int)
                          for a, origin in ((0, u[0]), (1, v[0])))
                rows, columns = iu[:, None] + window, iv[:, None] + window
                du = u[0] + rows * step - grains.centres[some, 0, None]
                dv = v[0] + columns * step - grains.centres[some, 1, None]
                square = (grains.diameter_nm[some] / 2)[:, None, None] ** 2 - du[:, :, None] ** 2 - dv[:, None, :] ** 2
                inside = ((rows >= 0) & (rows < u.size))[:, :, None] & ((columns >= 0) & (columns < v.size))[:, None, :]
                hit = inside & (square > 0)
                flat = (rows[:, :, None] * v.size + columns[:, None, :])[hit]
                maps[name] += np.bincount(flat, 2 * np.sqrt(square[hit]), u.size * v.size).astype(np.float32)
    return {name: values.reshape(u.size, v.size) for name, values in maps.items()}


def _bent(straight: Projection, deposit: Deposit, u: NDArray[np.float64]) -> Projection:
    """Shift every row sideways by the deviation of the axis: gentle enough that thickness across stays what it was."""
    shift = deposit.deviation(u) / straight.step

    def bend(values: Map) -> Map:
        rows, columns = np.mgrid[:values.shape[0], :values.shape[1]].astype(np.float32)
        return np.asarray(ndimage.map_coordinates(values, [rows, columns - shift[:, None].astype(np.float32)], order=1,
                                                  mode="constant", output=np.float32))

    return replace(straight, volumes={k: bend(m) for k, m in straight.volumes.items()},
                   solids={k: bend(m) for k, m in straight.solids.items()})
