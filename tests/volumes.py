"""Virtual volumes of known pose: cells of different brightness between dark walls, seen through another contrast."""

import numpy as np
import scipy.ndimage as ndi
import xarray as xr
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation


def foam(rng, size, cells=300):
    """Cells of random grey between darker walls, (size, size, size), between 0 and 1."""
    centres, grey = rng.random((cells, 3)) * size, rng.random(cells)
    grid = np.stack(np.mgrid[:size, :size, :size], -1).reshape(-1, 3)
    d, i = cKDTree(centres).query(grid, k=2)
    wall = np.exp(-((d[:, 1] - d[:, 0]) ** 2))
    return ndi.gaussian_filter(((0.3 + 0.6 * grey[i[:, 0]]) * (1 - 0.5 * wall)).reshape(size, size, size), 0.7)


def rigid(rng, centre, shift, rotation_deg):
    """(3, 4) matrix that turns by up to `rotation_deg` about every axis through `centre` and shifts by up to `shift`."""
    turn = Rotation.from_rotvec(np.deg2rad(rng.uniform(-rotation_deg, rotation_deg, 3))).as_matrix()
    return np.c_[turn, centre - turn @ centre + rng.uniform(-shift, shift, 3)]


def seen_from(volume, matrix, shape, origin=(0.0, 0.0, 0.0)):
    """What lies at matrix p for the voxels p = origin + index of a grid; positions in voxels."""
    p = np.stack(np.mgrid[:shape[0], :shape[1], :shape[2]], -1).reshape(-1, 3) + origin
    return ndi.map_coordinates(volume, (p @ matrix[:, :3].T + matrix[:, 3]).T, order=1, mode="nearest").reshape(shape)


def calibrated(values, voxel_nm, frame, origin=None):
    dims = ("z", "y", "x")[-values.ndim:]
    origin = np.zeros(values.ndim) if origin is None else origin
    coords = {d: (d, origin[i] + np.arange(values.shape[i]) * voxel_nm, {"units": "nm"}) for i, d in enumerate(dims)}
    return xr.DataArray(values.astype(np.float32), coords, dims, attrs={"units": "1", "frame": frame})


def angle_deg(a, b):
    """Angle between two rotations."""
    return float(np.rad2deg(np.arccos(np.clip((np.trace(a.T @ b) - 1) / 2, -1, 1))))
