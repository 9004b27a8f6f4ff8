"""Where the spectra of a map were measured: on a grid, or at places of their own."""

import numpy as np
from numpy.typing import NDArray

from datasets.formats.signal import Axis

SAME_UM = 3
"""Decimals of a micrometre that tell places apart."""


def leading_axes(places: NDArray[np.float64]) -> tuple[tuple[Axis, ...], NDArray[np.intp]]:
    """A grid of y and x if the places fill one, else positions; and the order of the places in it.

    places : (place, 2), x and y in um, NaN where not known
    """
    count = len(places)
    if count == 1:
        return (), np.arange(1)
    if np.isfinite(places).all():
        xs, ys = (np.unique(np.round(places[:, i], SAME_UM)) for i in (0, 1))
        if xs.size * ys.size == count and min(xs.size, ys.size) > 1:
            column = np.searchsorted(xs, np.round(places[:, 0], SAME_UM))
            row = np.searchsorted(ys, np.round(places[:, 1], SAME_UM))
            at = row * xs.size + column
            if np.unique(at).size == count:
                return (Axis("y", ys, "um"), Axis("x", xs, "um")), np.argsort(at)
        also = {f"stage_{name}": (places[:, i] * 1e3, "nm") for i, name in enumerate("xy")}
    else:
        also = {}
    return (Axis("position", np.arange(count, dtype=np.float64), "1", also),), np.arange(count)
