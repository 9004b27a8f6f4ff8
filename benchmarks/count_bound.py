"""The least error of an affine pose that Poisson counts allow, were the scene and its contrast known (Cramér-Rao bound)."""

import numpy as np
from numpy.typing import NDArray

from registration.transform import affine_generators

Floats = NDArray[np.float64]


def affine_bound(expected: Floats, pixel: float, seen: NDArray[np.bool_], points: Floats) -> float:
    """Least root mean square error over `points` (n, 2), nm of the count map, of an unbiased estimate of all six parameters.

    Parameters
    ----------
    expected : (ny, nx)
        Mean count of each pixel, `pixel` nm wide.
    seen : (ny, nx)
        Pixels whose place the other image shows; the others tell nothing.

    Notes
    -----
    A count of mean m has the information (∂m)² / m (Kay, Fundamentals of Statistical Signal Processing, 1993; not checked).
    """
    y, x = np.nonzero(seen)
    slopes = np.stack([g[seen] for g in np.gradient(expected.astype(np.float64), pixel)], 1)
    changes = np.einsum("ni,nik->nk", slopes, affine_generators(np.stack([y, x], 1) * pixel))
    information = changes.T @ (changes / np.maximum(expected[seen], 1e-6)[:, None])
    moved = affine_generators(points)
    return float(np.sqrt(np.einsum("nik,kl,nil->n", moved, np.linalg.inv(information), moved).mean()))
