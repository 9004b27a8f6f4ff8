"""Counts behind a rate: what Poisson statistics need and vendors divide away."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datasets.formats.signal import Field

RATE_UNITS = ("c/s", "cps", "counts/s", "count/s", "counts per second", "counts s-1", "c s-1", "1/s")
"""Spellings of counts per second."""

WHOLE = 2e-3
"""counts/s x dwell x scans may miss whole numbers by this much of a count, plus the digits that the file prints."""

RETRIEVED = "the file gives counts/s; counts = counts/s x dwell x scans, which are whole numbers"
NOT_RETRIEVED = ("the file gives counts/s from which whole counts cannot be had (processed, or dwell not stated): "
                 "Poisson statistics do not hold")


def counts_behind(rate: NDArray[np.float64], seconds: ArrayLike) -> tuple[dict[str, Field], str]:
    """`intensity` in counts and `count_rate` beside it, or `intensity` in counts/s where no whole counts come back.

    Parameters
    ----------
    rate : counts/s
    seconds : counting time per point, broadcast against `rate`; NaN or 0 where unknown

    Returns
    -------
    Fields, and the sentence that says which of the two it was.
    """
    live = np.asarray(seconds, dtype=np.float64)
    if live.size and np.isfinite(live).all() and (live > 0).all():
        with np.errstate(over="ignore", invalid="ignore"):
            counts = rate * live
            misses = np.nanmax(np.abs(counts - np.rint(counts)), initial=0.0)
            allowed = WHOLE + 1e-6 * np.nanmax(np.abs(counts), initial=0.0)
        if misses <= allowed < 0.25:
            return {"intensity": Field(np.rint(counts), "count"), "count_rate": Field(rate, "count/s")}, RETRIEVED
    return {"intensity": Field(rate, "count/s")}, NOT_RETRIEVED
