"""What of a specimen's motion in a series is deformation: a result, once the drift is taken out."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import xarray as xr

from datasets.errors import DatasetError
from registration.deformable import deform
from registration.drift import mean_image
from registration.picture import DIMS
from registration.transform import Floats, Transform
from registration.warp import Warp

NODES = 16
SURE = 2.0
"""A displacement whose rms is below this many of its standard deviations is none: a shift by a part of a pixel that is left
over from the drift improves held-out tiles too."""


def deformation(images: xr.DataArray, found: xr.Dataset, dim: Hashable = "time", stretches: int = 6,
                cells: int = 8) -> xr.Dataset:
    """How the specimen has bent, stretch of time by stretch of time, against the first one.

    The kept frames of each stretch are averaged after their drift is taken out, and the averages bent onto the first. The mean
    displacement that is left is drift by definition (the drift is measured against all frames, the deformation against the
    first) and is taken out as well: a deformation moves no specimen as a whole.

    Parameters
    ----------
    images, dim : as given to `drift`
    found : what `drift` gave
    stretches
        Into so many parts of equal length the series is cut; more follow faster changes, with noisier averages.
    cells
        Of the control grid along the longer side of the image.

    Returns
    -------
    Dataset with
    `displacement` (stretch, y, x, axis), nm: where what the first stretch shows at (y, x) has moved to, zero in the mean;
    zero where `moved` is false;
    `displacement_std`, same dims, nm;
    `strain` (stretch, y, x, axis, other_axis), 1: symmetric part of its gradient;
    `area_change` (stretch, y, x), 1: relative growth of area;
    `textured` (stretch, y, x): where the images themselves hold the displacement;
    `moved` (stretch,): whether held-out tiles agree better with a deformation than without, and it exceeds its error;
    and the coordinate `dim` (stretch,), the mean of the frames' own where it is numeric.

    Raises
    ------
    DatasetError
        If a stretch has no kept frame.
    """
    length = images.sizes[dim]
    part = np.arange(length) * stretches // length
    kept = found.kept.values
    missing = [k for k in range(stretches) if not kept[part == k].any()]
    if stretches < 2 or missing:
        raise DatasetError(f"{images.name or 'series'}: stretch {missing or stretches} of {stretches} has no frame that is "
                           "kept; ask for fewer stretches (two at least)")
    name = str(images.name or "values")
    means = [mean_image(images, found, dim, part == k)[name].assign_attrs(frame=f"stretch {k}") for k in range(stretches)]
    axes = [np.linspace(float(images[d][0]), float(images[d][-1]), NODES + 2)[1:-1] for d in DIMS]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    shape = (stretches, NODES, NODES)
    displacement, std = np.zeros((*shape, 2)), np.full((*shape, 2), np.nan)
    gradient = np.zeros((*shape, 2, 2))
    textured, moved = np.zeros(shape, bool), np.zeros(stretches, bool)
    std[0] = 0
    for k in range(1, stretches):
        still = Transform.of(f"stretch {k}", "stretch 0", np.eye(2), [0, 0], "translation")
        result = deform(means[0], means[k], still, cells=cells)
        near = [np.abs(result.texture[d].values[:, None] - points[:, a]).argmin(0) for a, d in enumerate(DIMS)]
        told = result.texture.values[near[0], near[1]]
        textured[k] = told.reshape(NODES, NODES)
        if isinstance(result.transform, Warp):
            back = result.transform.inverse()
            move: Floats = back.apply(points) - points
            move = move - move[told].mean(0)
            error = back.std_at(points)
            moved[k] = ((move / error)[told] ** 2).mean() > SURE**2
            std[k] = error.reshape(NODES, NODES, 2)
            if moved[k]:
                displacement[k] = move.reshape(NODES, NODES, 2)
                gradient[k] = (back.linear_at(points) - np.eye(2)).reshape(NODES, NODES, 2, 2)
    at = np.asarray(images[dim].values) if dim in images.coords else np.arange(length)
    coords = {d: (d, axes[a], {"units": "nm"}) for a, d in enumerate(DIMS)}
    if at.dtype.kind in "iuf":
        coords[str(dim)] = ("stretch", np.array([at[(part == k) & kept].mean() for k in range(stretches)]),
                            dict(images[dim].attrs) if dim in images.coords else {"units": "1"})
    grid = ("stretch", *DIMS)
    return xr.Dataset({
        "displacement": ((*grid, "axis"), displacement, {"units": "nm"}),
        "displacement_std": ((*grid, "axis"), std, {"units": "nm"}),
        "strain": ((*grid, "axis", "other_axis"), (gradient + np.swapaxes(gradient, -1, -2)) / 2, {"units": "1"}),
        "area_change": (grid, np.linalg.det(np.eye(2) + gradient) - 1, {"units": "1"}),
        "textured": (grid, textured, {"units": "1"}),
        "moved": ("stretch", moved, {"units": "1"}),
    }, {**coords, "axis": list(DIMS), "other_axis": list(DIMS)})
