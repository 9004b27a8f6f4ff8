"""What an ideal observer of a projection sees: the thickness of the SEI along the outline of the metal, without noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Outline:
    """Thickness along the visible interface: mean and spread over `positions` places, nm; NaN where there are none."""

    thickness_nm: float
    spread_nm: float
    positions: int


def projected_thickness(metal: NDArray[np.floating], shell: NDArray[np.floating], pixel_nm: float) -> Outline:
    """Distance between the edges of the projected SEI, along the normals of the metal's outline.

    Parameters
    ----------
    metal, shell : (y, x), nm
        Noise-free projected thickness of metal and of SEI.
    pixel_nm : side of a pixel

    Notes
    -----
    The inner edge is where the chord of metal first exceeds one pixel; the outer edge is where, beyond the shell's maximum
    along the normal, its projected thickness falls through half of that maximum. Normals are those of the outline smoothed
    over 4 nm or two pixels, whichever is more.
    """
    metal, shell = np.asarray(metal, dtype=float), np.asarray(shell, dtype=float)
    mask = metal > pixel_nm
    if not mask.any() or mask.all():
        return Outline(np.nan, np.nan, 0)
    distance = ndimage.distance_transform_edt(~mask) - ndimage.distance_transform_edt(mask)
    smooth = ndimage.gaussian_filter(distance, max(4.0 / pixel_nm, 2.0))
    slope = np.stack(np.gradient(smooth))
    step = 0.25
    found: list[float] = []
    for contour in measure.find_contours(metal, pixel_nm):
        normal = np.stack([ndimage.map_coordinates(part, contour.T, order=1) for part in slope], 1)
        length = np.linalg.norm(normal, axis=1)
        good = length > 0.2
        contour, normal = contour[good], normal[good] / length[good, None]
        reach = np.arange(-2.0, max(metal.shape), step)
        for start, direction in zip(contour[::2], normal[::2], strict=True):
            path = start[:, None] + direction[:, None] * reach
            within = np.all((path >= 0) & (path <= np.array(metal.shape)[:, None] - 1), axis=0)
            stop = int(np.argmin(within)) if not within.all() else within.size
            profile = ndimage.map_coordinates(shell, path[:, :stop], order=1)
            if profile.size < 4 or profile[-1] > 0.05 * profile.max():
                continue  # the outer edge lies outside the field
            top = int(np.argmax(profile))
            above = np.flatnonzero(profile[top:] >= 0.5 * profile[top])[-1] + top
            if above + 1 >= profile.size:
                continue
            part = (profile[above] - 0.5 * profile[top]) / (profile[above] - profile[above + 1])
            found.append((reach[above] + part * step) * pixel_nm)
    if len(found) < 8:
        return Outline(np.nan, np.nan, len(found))
    return Outline(float(np.mean(found)), float(np.std(found)), len(found))
