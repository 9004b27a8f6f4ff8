"""The 95 % ellipse of a position whose covariance is known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from registration.transform import RADIUS_95

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ellipse:
    """Half axes in nm, `major` first, and the angle of the major axis from x towards y, rad."""

    major: float
    minor: float
    angle: float


def ellipse_95(covariance: Floats) -> Ellipse:
    """The ellipse that holds the true position with 95 % probability; covariance (2, 2) is ordered (y, x), nm²."""
    variances, axes = np.linalg.eigh(np.asarray(covariance, np.float64))
    minor, major = RADIUS_95 * np.sqrt(np.maximum(variances, 0))
    along = axes[:, 1]
    return Ellipse(float(major), float(minor), float(np.arctan2(along[0], along[1])))


def outline(centre: Floats, ellipse: Ellipse, n: int = 48) -> Floats:
    """(n, 2) points (y, x) in nm around the ellipse."""
    turn = np.linspace(0, 2 * np.pi, n, endpoint=False)
    u, v = ellipse.major * np.cos(turn), ellipse.minor * np.sin(turn)
    c, s = np.cos(ellipse.angle), np.sin(ellipse.angle)
    return np.stack([centre[0] + u * s + v * c, centre[1] + u * c - v * s], 1)


def holds(y: Floats, x: Floats, centre: Floats, covariance: Floats) -> NDArray[np.bool_]:
    """Which pixels of a grid, (n_y,) by (n_x,) nm, have their centre within the 95 % ellipse about `centre`."""
    offset = np.stack(np.meshgrid(y - centre[0], x - centre[1], indexing="ij"), -1)
    inverse = np.linalg.pinv(np.asarray(covariance, np.float64))
    inside: NDArray[np.bool_] = np.einsum("ijk,kl,ijl->ij", offset, inverse, offset) <= RADIUS_95**2
    return inside
