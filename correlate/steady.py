"""Takes the drift out of movies: keeps the shift of every frame, and the mean image without it."""

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from correlate.executor import Report, mapped
from correlate.study import Acquisition, Study
from datasets.errors import DatasetError
from datasets.provenance import own_version
from registration.drift import drift, mean_image
from registration.series import FEWEST

DRIFT = "drift"
"""Kind of the store units made here."""
FILMED = ("stem_image", "sem_image", "tem_image", "afm")
COUNTED = ("time", "frame")
"""Techniques whose images may be frames of a movie, and what counts these. Slices, tilts and energies show another thing each,
and a slow change of contrast, or a detector's own pattern under raw X-ray frames, looks like drift (docs/registration.md): the
drift of such series is a person's to ask for, with `registration.drift`."""
STEADY_IMAGE = "steady"
"""Name of the mean image; its standard error is `steady_std`."""


@dataclass(frozen=True)
class Steadied:
    """What became of one series: how far it drifted, how sure that is, and how many frames were of use."""

    unit: str
    frames: int
    kept: int
    travel_nm: float
    std_nm: float
    reason: str = ""
    done_before: bool = False


def steady_study(study: Study, *, jobs: int | None = None, report: Report | None = None, again: bool = False,
                 sample: str | None = None, executor: Executor | None = None) -> list[Steadied]:
    """Measure the drift of every series that is new or has changed."""
    series = [a for a in study.acquisitions(sample) if counted_along(a)]
    fresh = [a.unit for a in series if again or drift_version(study, a) is None]
    done = {a.unit: _recalled(study, a.unit) for a in series if a.unit not in fresh}
    results = dict(mapped(steady_unit, fresh, str(study.root), jobs=jobs, report=report, executor=executor,
                          unchanged=len(done)))
    return [(done | results)[a.unit] for a in series]


def steady_unit(unit: str, root: str) -> Steadied:
    """Measure the drift of one series and publish shifts and mean image; a series that shows nothing says so instead."""
    study = Study(root)
    version = study.store.current(unit)
    ds = study.open(unit)
    images = _images(ds)
    dim = str(images.dims[0])
    try:
        found = drift(images, dim)
    except DatasetError as error:
        found = xr.Dataset()
        record: dict[str, Any] = {"frames": int(images.sizes[dim]), "kept": 0, "travel_nm": None, "std_nm": None,
                                  "reason": str(error)}
    else:
        record = _record(found)
        steady = mean_image(images.rename(STEADY_IMAGE), found, dim)
        found = xr.merge([found.drop_vars("kept"), steady.drop_vars("visits")], combine_attrs="drop")
    attrs = {DRIFT: record, "sample": unit.split("/")[0], "title": f"drift of {unit}", "technique": "",
             "recipe": _recipe(), "synthetic": study.sheet.synthetic}
    study.store.publish(drift_unit(unit), found.assign_attrs(attrs), kind=DRIFT,
                        parents={unit: version.version} if version else {})
    return _told(unit, record)


def drift_unit(unit: str) -> str:
    """Name of the store unit that holds the drift of a series."""
    return f"{DRIFT}/{unit}"


def counted_along(a: Acquisition) -> str | None:
    """The dimension that counts the frames of a series of images of one place; None for what is no such series."""
    filmed = a.technique in FILMED and a.is_placed_in_space and len(a.dims) == 3 and set(a.dims[1:]) == {"y", "x"}
    return a.dims[0] if filmed and a.dims[0] in COUNTED and a.shape[0] >= FEWEST else None


def steadied(study: Study, sample: str | None = None) -> list[Steadied]:
    """What is known of the drift of every series; nothing is measured."""
    return [_recalled(study, a.unit) for a in study.acquisitions(sample) if drift_version(study, a)]


def drift_version(study: Study, a: Acquisition) -> str | None:
    """The version of the drift unit that belongs to this version of an acquisition; None where there is none."""
    version = study.store.current(drift_unit(a.unit)) if counted_along(a) else None
    if version is None or dict(version.parents) != {a.unit: a.version} or version.attrs.get("recipe") != _recipe():
        return None
    return version.version


def steady_image(study: Study, a: Acquisition) -> xr.DataArray | None:
    """The mean image (y, x) of a series without its drift; None where there is none of this version, or no drift was found."""
    if drift_version(study, a) is None:
        return None
    return study.store.open(drift_unit(a.unit)).get(STEADY_IMAGE)


def _images(ds: xr.Dataset) -> xr.DataArray:
    return ds[next(iter(ds.data_vars))]


def _record(found: xr.Dataset) -> dict[str, Any]:
    kept = found["kept"].values
    shift, std = found["shift"].values[kept], found["shift_std"].values[kept]
    lost = {str(r): int((found["reason"] == r).sum()) for r in np.unique(found["reason"].values) if r}
    return {"frames": len(kept), "kept": int(kept.sum()), "travel_nm": float(np.linalg.norm(np.ptp(shift, axis=0))),
            "std_nm": float(np.median(np.linalg.norm(std, axis=1))),
            "reason": ", ".join(f"{n} {why}" for why, n in lost.items())}


def _recipe() -> dict[str, str]:
    return {"version": own_version()}


def _recalled(study: Study, unit: str) -> Steadied:
    return _told(unit, study.store.open(drift_unit(unit)).attrs[DRIFT], done_before=True)


def _told(unit: str, record: dict[str, Any], *, done_before: bool = False) -> Steadied:
    travel, std = (np.nan if record[k] is None else float(record[k]) for k in ("travel_nm", "std_nm"))
    return Steadied(unit, record["frames"], record["kept"], travel, std, record["reason"], done_before)
