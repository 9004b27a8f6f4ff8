"""Landmarks in a CSV file that people write by hand or export from a viewer.

One row per place: `name` (may be absent), then its position in the moving and the fixed image, in nm (`moving_y_nm`,
`moving_x_nm`, `fixed_y_nm`, `fixed_x_nm`, with `_z_nm` for volumes) or in pixels counted from 0 at the middle of the first one
(`moving_y_px`, ...), which need the image to tell where that is. Columns may stand in any order; others are kept out.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import xarray as xr

from registration.landmarks import LandmarkError, Landmarks
from registration.picture import axis_faults
from registration.transform import AXES, Floats

SIDES = ("moving", "fixed")


def write_landmarks(path: Path, landmarks: Landmarks) -> None:
    """Write landmarks as CSV in nm, with every digit that `read_landmarks` needs to give them back bit for bit."""
    axes = AXES[-landmarks.ndim:]
    columns = {"name": list(landmarks.names)}
    columns |= {f"{side}_{axis}_nm": [repr(float(v)) for v in getattr(landmarks, side)[:, i]]
                for side in SIDES for i, axis in enumerate(axes)}
    pd.DataFrame(columns).to_csv(path, index=False)


def read_landmarks(path: Path, moving: xr.DataArray | None = None, fixed: xr.DataArray | None = None,
                   std_nm: float | None = None) -> Landmarks:
    """Read landmarks in nm, or in pixels of images given.

    Parameters
    ----------
    moving, fixed : with coordinates in nm
        Needed only for columns in pixels.
    std_nm
        Standard deviation of a landmark along each axis, if known; see `Landmarks`.

    Raises
    ------
    LandmarkError
        All faults of the file at once: missing columns, nm and pixels for one position, cells that are no numbers, pixels
        without an image to place them.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise LandmarkError(f"{path}: not a readable CSV file ({error})") from error
    table.columns = table.columns.str.strip()
    volume = any(c in table.columns for side in SIDES for c in (f"{side}_z_nm", f"{side}_z_px"))
    faults: list[str] = []
    sides = [_positions(table, side, AXES if volume else AXES[1:], image, faults)
             for side, image in zip(SIDES, (moving, fixed), strict=True)]
    if faults:
        raise LandmarkError(f"{path}: " + "; ".join(faults))
    names = tuple(n.strip() or str(i + 1) for i, n in enumerate(table["name"])) if "name" in table.columns else ()
    try:
        return Landmarks(sides[0], sides[1], names, std_nm)
    except LandmarkError as error:
        raise LandmarkError(f"{path}: {error}") from error


def _positions(table: pd.DataFrame, side: str, axes: tuple[str, ...], image: xr.DataArray | None, faults: list[str]) -> Floats:
    """(n, d) nm; what is wrong is added to `faults`."""
    out = np.full((len(table), len(axes)), np.nan)
    for i, axis in enumerate(axes):
        given = [unit for unit in ("nm", "px") if f"{side}_{axis}_{unit}" in table.columns]
        if len(given) != 1:
            faults.append(f"columns {side}_{axis}_nm and {side}_{axis}_px are both there; keep one" if given else
                          f"no column {side}_{axis}_nm or {side}_{axis}_px")
            continue
        column = f"{side}_{axis}_{given[0]}"
        values = pd.to_numeric(table[column].str.strip(), errors="coerce").to_numpy(np.float64)
        faults += [f"row {row + 2}: {column} is {table[column].iloc[row]!r}, expected a number"
                   for row in np.flatnonzero(~np.isfinite(values))]
        if given[0] == "px":
            values = _placed(values, column, axis, image, faults)
        out[:, i] = values
    return out


def _placed(pixels: Floats, column: str, axis: str, image: xr.DataArray | None, faults: list[str]) -> Floats:
    if image is None:
        faults.append(f"{column} needs the image that the pixels belong to")
        return pixels
    wrong = axis_faults(image, axis, 2) if axis in image.dims else [f"the image has no dimension {axis}"]
    faults += [f"{column}: {fault}" for fault in wrong]
    if wrong:
        return pixels
    at = image[axis].values.astype(np.float64)
    return cast(Floats, at[0] + pixels * (at[-1] - at[0]) / (len(at) - 1))
