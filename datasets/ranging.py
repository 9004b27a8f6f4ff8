"""Which ion is what: each ion of an atom probe run is given the range of the mass spectrum that it falls into.

Ranges are half-open, start <= mass < end, so that ranges may touch and no ion belongs to two. Bounds are float64 and masses
float32: each bound is replaced by the smallest float32 not below it, for which both comparisons give the same answer as in
exact arithmetic. Positive floats sort like their bits, so the leading bits of a mass look its range up in a table; only in the
few cells that a bound divides is the mass itself compared.
"""

from itertools import pairwise

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from datasets.errors import DatasetError, all_faults

UNRANGED = -1
LOST_BITS = 10
"""Bits of a float32 that the table leaves out: cells are 2**-13 of the mass wide, 3 mDa at 27 Da."""
BLOCK_IONS = 1 << 16
"""Ions ranged at a time: block and table then stay in the processor's cache."""


def ranged(ions: xr.Dataset, ranges: xr.Dataset) -> xr.DataArray:
    """Row of `ranges` that each ion belongs to, -1 for those in none; one int16 per ion.

    Parameters
    ----------
    ions : technique apt
    ranges : technique apt_ranges

    Raises
    ------
    DatasetError
        If ranges overlap: an ion there would be of two kinds.
    """
    starts, ends = (ranges[name].to_numpy() for name in ("range_start", "range_end"))
    rows: xr.DataArray = xr.apply_ufunc(range_of, ions["mass_to_charge"], kwargs={"starts": starts, "ends": ends},
                                        dask="parallelized", output_dtypes=[np.int16])
    return rows.rename("range").assign_attrs(units="1", unranged=UNRANGED)


def range_of(mass: NDArray[np.floating], starts: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.int16]:
    """Index of the range with starts[i] <= mass < ends[i], -1 where there is none; masses in Da, any order of ranges.

    Raises
    ------
    DatasetError
        Naming all ranges that overlap, are empty or are negative.
    """
    edges, labels = _edges(np.asarray(starts, np.float64), np.asarray(ends, np.float64))
    mass = np.asarray(mass)
    if mass.dtype != np.float32:
        return labels[np.searchsorted(edges, mass, side="right")] if edges.size else np.full(mass.shape, UNRANGED, np.int16)
    found = np.full(mass.size, UNRANGED, np.int16)
    if edges.size:
        edges32 = _not_below(edges)
        table, first = _table(edges32, labels)
        flat = np.ascontiguousarray(mass).reshape(-1)
        for start in range(0, flat.size, BLOCK_IONS):
            _look_up(flat[start:start + BLOCK_IONS], table, first, edges32, labels, found[start:start + BLOCK_IONS])
    return found.reshape(mass.shape)


def _edges(starts: NDArray[np.float64], ends: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int16]]:
    """Sorted bounds, and the label of each interval between them; one more label than bounds."""
    order = np.argsort(starts, kind="stable")
    with all_faults("ranges", DatasetError) as faults:
        for i in order:
            if not (0 <= starts[i] < ends[i] < np.inf):
                faults.add(f"range {i} from {starts[i]:g} to {ends[i]:g} Da is empty or negative")
        for i, j in pairwise(order):
            if starts[j] < ends[i]:
                faults.add(f"ranges {i} ({starts[i]:g}-{ends[i]:g} Da) and {j} ({starts[j]:g}-{ends[j]:g} Da) overlap")
    edges = np.column_stack([starts[order], ends[order]]).reshape(-1)
    labels = np.full(edges.size + 1, UNRANGED, np.int16)
    labels[1::2] = order
    return edges, labels


def _not_below(edges: NDArray[np.float64]) -> NDArray[np.float32]:
    near = edges.astype(np.float32)
    return np.where(near.astype(np.float64) < edges, np.nextafter(near, np.float32(np.inf)), near)


AMBIGUOUS = -2


def _table(edges: NDArray[np.float32], labels: NDArray[np.int16]) -> tuple[NDArray[np.int16], int]:
    """Label of every cell of leading bits from before the first bound to after the last, AMBIGUOUS where a bound divides it."""
    cells = (edges.view(np.int32) >> LOST_BITS).astype(np.int64)
    first, size = int(cells[0]) - 1, int(cells[-1] - cells[0]) + 3
    starts = ((np.arange(size, dtype=np.int64) + first) << LOST_BITS).astype(np.int32).view(np.float32)
    table = labels[np.searchsorted(edges, starts, side="right")]
    divided = edges.view(np.int32) & ((1 << LOST_BITS) - 1) != 0
    table[cells[divided] - first] = AMBIGUOUS
    table[[0, -1]] = UNRANGED
    return table, first


def _look_up(mass: NDArray[np.float32], table: NDArray[np.int16], first: int, edges: NDArray[np.float32],
             labels: NDArray[np.int16], found: NDArray[np.int16]) -> None:
    cell = mass.view(np.int32) >> LOST_BITS
    cell -= first  # negative masses have the sign bit set and end below the table, NaN and infinity above
    np.take(table, cell, mode="clip", out=found)
    doubtful = np.flatnonzero(found == AMBIGUOUS)
    if doubtful.size:
        found[doubtful] = labels[np.searchsorted(edges, mass[doubtful], side="right")]
