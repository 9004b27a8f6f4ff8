"""A long curve at screen size, with every extreme kept."""

import numpy as np
from numpy.typing import NDArray


def extremes(values: NDArray[np.float64], buckets: int = 1000) -> NDArray[np.intp]:
    """Indices, increasing, of the first, last, lowest and highest value of each of `buckets` equal stretches.

    A curve drawn through them covers the same pixels as the whole curve on a screen of `buckets` columns, so a single
    outlying point is never lost. Values that are not a number are never chosen as extremes.
    """
    n = len(values)
    if n <= 4 * buckets:
        return np.arange(n)
    edges = np.linspace(0, n, buckets + 1).astype(np.intp)
    size = int(np.diff(edges).max())
    index = np.minimum(edges[:-1, None] + np.arange(size), edges[1:, None] - 1)
    block = values[index]
    low = index[np.arange(buckets), np.where(np.isnan(block), np.inf, block).argmin(1)]
    high = index[np.arange(buckets), np.where(np.isnan(block), -np.inf, block).argmax(1)]
    return np.unique(np.concatenate([edges[:-1], edges[1:] - 1, low, high]))
