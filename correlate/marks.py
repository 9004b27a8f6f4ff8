"""Landmarks of a study: the places that a person marked in both images of a pair, as pictures and a table out, as a unit in."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from PIL import Image as Pillow

from correlate.pairs import landmark_unit, pair_name
from correlate.study import LANDMARKS, Acquisition, Study
from datasets.durable import write_whole
from datasets.errors import Faults, StudyError
from datasets.provenance import with_step
from datasets.sheet import Pair
from registration.hybrid import fit_widest
from registration.landmark_file import SIDES, read_landmarks
from registration.landmarks import LandmarkError, LandmarkFit, Landmarks
from registration.transform import Floats

TABLE = "landmarks.csv"
DIMS = ("y", "x")
SAME_GRID = 1e-9
"""Part by which positions may differ where an image was imported again."""


@dataclass(frozen=True)
class Marks:
    """What a study holds of a pair: `landmarks` from moving to fixed, or None where they cannot be used, and the `fault`."""

    unit: str
    version: str
    landmarks: Landmarks | None
    fault: str = ""


def marks_of(study: Study, pair: Pair) -> Marks | None:
    """The landmarks of a pair, marked this way round or the other; None where nobody marked any."""
    for unit, swapped in ((landmark_unit(pair), False), (landmark_unit(Pair(pair.moving, pair.fixed)), True)):
        version = study.store.current(unit)
        if version is None:
            continue
        if not version.attrs.get("count"):
            return Marks(unit, version.version, None)
        moved = [end for end in (pair.moving, pair.fixed)
                 if not _same_grid(version.attrs["grids"].get(end, {}), study.acquisition(end))]
        if moved:
            return Marks(unit, version.version, None, f"the landmarks were marked when the pixels of {' and '.join(moved)} lay "
                                                      "elsewhere and were not used; export and import them again")
        ds = study.store.open(unit).load()
        moving, fixed = (ds[side].values for side in (SIDES[::-1] if swapped else SIDES))
        names = tuple(str(n) for n in ds["landmark"].values)
        return Marks(unit, version.version, Landmarks(moving, fixed, names, version.attrs.get("std_nm")))
    return None


def export_landmarks(study: Study, pair: Pair, images: Mapping[str, xr.DataArray], folder: Path) -> Path:
    """Write both images as PNG, pixel for pixel, and the table of landmarks so far, in pixels of these pictures.

    Parameters
    ----------
    images : unit -> (y, x), of both ends of the pair

    Returns
    -------
    The table, to be filled in and imported.

    Raises
    ------
    StudyError
        If the table is there already: somebody may have filled it in.
    """
    path = folder / TABLE
    if path.exists():
        raise StudyError(f"{path} is there already; import it, or move it away")
    marks = marks_of(study, pair)
    columns: dict[str, Any] = {"name": list(marks.landmarks.names) if marks and marks.landmarks else []}
    folder.mkdir(parents=True, exist_ok=True)
    for side, unit in zip(SIDES, (pair.moving, pair.fixed), strict=True):
        image = images[unit]
        Pillow.fromarray(_grey(image)).save(folder / f"{side}.png")
        there = getattr(marks.landmarks, side) if marks and marks.landmarks else np.zeros((0, 2))
        for i, d in enumerate(DIMS):
            first, step = _first_and_step(image[d].values)
            columns[f"{side}_{d}_px"] = [repr(float(v)) for v in (there[:, i] - first) / step]
    write_whole(path, pd.DataFrame(columns).to_csv(index=False).encode())
    return path


def import_landmarks(study: Study, pair: Pair, path: Path, std_nm: float | None = None) -> LandmarkFit | None:
    """Check the landmarks of a CSV file and store them for a pair, in place of those that were there.

    Parameters
    ----------
    path
        As `export_landmarks` writes it, or with positions in nm; see `registration/landmark_file.py`.
    std_nm
        Standard deviation of a mark along each axis, where it is known.

    Returns
    -------
    What they say by themselves; None where the table is empty, by which the landmarks that were there are withdrawn.

    Raises
    ------
    StudyError, LandmarkError
        All faults at once: an image without pixel size, cells that are no numbers, places outside an image, landmarks that do
        not determine even a shift. Nothing is stored then.
    """
    faults = Faults(str(path))
    ends = {side: study.acquisition(unit) for side, unit in zip(SIDES, (pair.moving, pair.fixed), strict=True)}
    for a in ends.values():
        if a is None or not a.is_placed_in_space:
            faults.add(f"{a.unit if a else 'an image'} has no pixel size, so that nothing can be placed in it; say it in the "
                       "sheet (axes = ...)")
    faults.raise_if_any(StudyError)
    fields = {side: _field(a) for side, a in ends.items() if a is not None}
    marks = read_landmarks(path, fields["moving"], fields["fixed"], std_nm)
    if marks.ndim != 2:
        raise LandmarkError(f"{path}: has positions in z, but {pair.moving} and {pair.fixed} are images")
    before = study.store.current(landmark_unit(pair))
    if not len(marks):
        if before is None or not before.attrs.get("count"):
            raise LandmarkError(f"{path}: holds no landmark; add a row for every place that shows in both images")
        _publish(study, pair, marks, path, std_nm)
        return None
    for side, field in fields.items():
        for name, at in zip(marks.names, getattr(marks, side), strict=True):
            if not _inside(field, at):
                faults.add(f"landmark {name!r} at y {at[0]:.6g}, x {at[1]:.6g} nm lies outside the {side} image, "
                           f"{' and '.join(f'{d} {_range(field, d)}' for d in DIMS)} nm")
    faults.raise_if_any(LandmarkError)
    try:
        fit = fit_widest(marks, "affine", pair.moving, pair.fixed)
    except LandmarkError as error:
        raise LandmarkError(f"{path}: {error}") from error
    _publish(study, pair, marks, path, std_nm)
    return fit


def default_folder(study: Study, pair: Pair) -> Path:
    """Where the pictures and the table of a pair are written unless a person says so."""
    return study.root / "landmarks" / pair_name(pair)


def _publish(study: Study, pair: Pair, marks: Landmarks, path: Path, std_nm: float | None) -> None:
    ends = [a for unit in (pair.moving, pair.fixed) if (a := study.acquisition(unit)) is not None]
    positions = {side: (("landmark", "axis"), getattr(marks, side), {"units": "nm"}) for side in SIDES}
    attrs = {"sample": ends[0].sample, "title": f"landmarks of {pair.moving} and {pair.fixed}", "technique": "",
             "moving": pair.moving, "fixed": pair.fixed, "count": len(marks), "std_nm": std_nm,
             "grids": {a.unit: _grid(a) for a in ends}, "synthetic": study.sheet.synthetic, "source": {"path": str(path)}}
    ds = xr.Dataset(positions, {"landmark": list(marks.names), "axis": list(DIMS)}, attrs)
    study.store.publish(landmark_unit(pair), with_step(ds, "marked by a person", file=path.name), kind=LANDMARKS,
                        parents={a.unit: a.version for a in ends}, raw=path)


def _grid(a: Acquisition) -> dict[str, dict[str, float]]:
    return {d: {key: a.coords[d][key] for key in ("first", "last", "n")} for d in DIMS}


def _same_grid(saved: Mapping[str, Mapping[str, float]], a: Acquisition | None) -> bool:
    if a is None or not a.is_placed_in_space:
        return False
    now = _grid(a)
    extent = max(a.extent_nm)
    return all(saved.get(d, {}).get("n") == now[d]["n"] and
               all(abs(saved[d][key] - now[d][key]) <= SAME_GRID * extent for key in ("first", "last")) for d in DIMS)


def _field(a: Acquisition) -> xr.DataArray:
    """The pixels of an acquisition without their values: an axis is all that a position needs."""
    axes = {d: (d, np.linspace(a.coords[d]["first"], a.coords[d]["last"], a.coords[d]["n"]), {"units": "nm"}) for d in DIMS}
    return xr.DataArray(np.broadcast_to(np.float32(0), [a.coords[d]["n"] for d in DIMS]), axes, DIMS)


def _inside(field: xr.DataArray, at: Floats) -> bool:
    """Whether a position lies on a pixel."""
    for d, value in zip(DIMS, at, strict=True):
        first, step = _first_and_step(field[d].values)
        if not -0.5 <= (value - first) / step <= field.sizes[d] - 0.5:
            return False
    return True


def _range(field: xr.DataArray, d: str) -> str:
    low, high = sorted((float(field[d].values[0]), float(field[d].values[-1])))
    return f"{low:.6g} to {high:.6g}"


def _first_and_step(axis: Floats) -> tuple[float, float]:
    return float(axis[0]), float(axis[-1] - axis[0]) / (len(axis) - 1)


def _grey(image: xr.DataArray) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(y, x) brightness of 8 bits, the darkest and brightest half percent cut."""
    values = np.asarray(image.values, np.float64)
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [0.5, 99.5]) if finite.size else (0.0, 1.0)
    shown = np.nan_to_num(np.clip((values - low) / max(float(high - low), 1e-300), 0, 1))
    return np.asarray(np.round(255 * shown), np.uint8)
