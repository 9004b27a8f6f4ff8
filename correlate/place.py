"""Places acquisitions in space: aligns the images and maps of each sample, and keeps every transform with its verdict."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import xarray as xr

from correlate.element_map import registration_image
from correlate.executor import Report, mapped
from correlate.study import TRANSFORM, Acquisition, Study
from datasets.errors import DatasetError
from datasets.provenance import own_version
from datasets.sheet import Pair
from datasets.techniques.tem_image import LATTICE_PIXEL_NM
from registration import Transform, align
from registration.transform import Model
from registration.warp import AnyTransform

IMAGES = ("stem_image", "sem_image", "tem_image")
MAPS = ("eels", "edx")
DERIVED = ("element_map",)
"""Maps that the instrument made of its spectra: they lie where the scan lies, and are not aligned on their own."""
FEWEST_PIXELS = 8
"""Along each side: below that an image has no pose to be found."""
LARGEST_FIELD_RATIO = 12.0
"""Default pairs are left out beyond this ratio of field widths: nothing of the smaller one is left to be found in the wider."""
LATTICE_FIELD_RATIO = 2.0
"""Fringes of a lattice say nothing of outlines: an image that resolves it is found only in a field of its own size.
Of twelve virtual ones in HAADF fields four and more times as wide none was found, at ten times the cost of a map."""
STAGE = ("stage_x_nm", "stage_y_nm")
RADIUS_95 = float(np.sqrt(-2 * np.log(0.05)))
"""95 % of a bivariate normal lie within this many standard deviations."""


@dataclass(frozen=True)
class Placed:
    """What became of one pair."""

    unit: str
    pair: Pair
    verdict: str
    status: str
    reasons: tuple[str, ...]
    error_nm: float
    done_before: bool = False


def align_study(study: Study, *, jobs: int | None = None, report: Report | None = None, again: bool = False,
                sample: str | None = None, executor: Executor | None = None) -> list[Placed]:
    """Align every pair of the plan that is new or whose images have changed."""
    by_sample = study.by_sample()
    pairs = [p for name in study.sheet.samples if sample in (None, name) for p in pairs_of(study, name, by_sample[name])]
    versions = {a.unit: a.version for acquisitions in by_sample.values() for a in acquisitions}
    fresh = [p for p in pairs if again or not _is_current(study, p, versions)]
    done = {_key(p): _recalled(study, p) for p in pairs if p not in fresh}
    if report and done:
        report(len(done), len(pairs), "unchanged")

    def counted(count: int, _: int, what: str) -> None:
        if report:
            report(len(done) + count, len(pairs), what)

    keys = [_key(p) for p in fresh]
    results = dict(mapped(align_pair, keys, str(study.root), jobs=jobs, report=counted, executor=executor))
    return [(done | results)[_key(p)] for p in pairs]


def pairs_of(study: Study, sample: str, acquisitions: Sequence[Acquisition]) -> list[Pair]:
    """The pairs a person asked for; else each map and image against the sample's widest image.

    What was recorded in one scan with an image is paired with that image and goes where it goes.
    """
    asked = [p for p in study.sheet.pairs if p.fixed.split("/")[0] == sample]
    if asked:
        return asked
    fields = [a for a in acquisitions if a.technique in (*IMAGES, *MAPS, *DERIVED) and _is_field(a)]
    reference = reference_of(fields)
    if reference is None:
        return []
    hosts = [reference, *(a for a in fields if a.technique in IMAGES), *(a for a in fields if a.technique in MAPS)]
    pairs = []
    for a in (a for a in fields if a.unit != reference.unit):
        host = next((h for h in hosts if _is_one_scan(h, a)), a)
        if host.unit != a.unit:
            pairs.append(Pair(host.unit, a.unit))
        elif a.technique not in DERIVED and _comparable(reference, a):
            pairs.append(Pair(reference.unit, a.unit))
    return pairs


def reference_of(fields: list[Acquisition]) -> Acquisition | None:
    """The widest image, scanning microscopes first: the frame in which a sample is shown."""
    images = [a for a in fields if a.technique in IMAGES and a.is_placed_in_space]
    return max(images, key=lambda a: (-IMAGES.index(a.technique), np.prod(a.extent_nm)), default=None)


def align_pair(key: tuple[str, str, str], root: str) -> Placed:
    """Align one pair of a study and publish the transform with its verdict; faults come back as a failed verdict."""
    pair = Pair(*key)
    study = Study(root)
    by_unit = {a.unit: a for a in study.acquisitions()}
    absent = [u for u in (pair.fixed, pair.moving) if u not in by_unit]
    if absent:
        return Placed("", pair, "failed", "rejected", (f"{' and '.join(absent)} is not in the study; import it first",), np.nan)
    fixed, moving = by_unit[pair.fixed], by_unit[pair.moving]
    record = _same_scan(pair, fixed, moving) if _is_one_scan(fixed, moving) and pair not in study.sheet.pairs else None
    record = record or _registered(study, pair, fixed, moving)
    ds = xr.Dataset(attrs={"alignment": record, "sample": fixed.sample, "title": f"{pair.moving} to {pair.fixed}",
                           "technique": "", "recipe": _recipe(pair), "synthetic": study.sheet.synthetic})
    unit = transform_unit(pair)
    study.store.publish(unit, ds, kind=TRANSFORM, parents={pair.fixed: fixed.version, pair.moving: moving.version})
    return Placed(unit, pair, record["verdict"], record["status"], tuple(record["reasons"]), _number(record["error_nm"]))


def transform_unit(pair: Pair) -> str:
    """Name of the store unit that holds the transform of a pair."""
    sample, moving = pair.moving.split("/", 1)
    return f"registration/{sample}/{moving}--{pair.fixed.split('/', 1)[1]}"


def field_image(ds: xr.Dataset) -> xr.DataArray:
    """A (y, x) image of an acquisition, fit for registration: frames are averaged, spectra are condensed.

    Raises
    ------
    DatasetError
        If the field is not calibrated in nm.
    """
    if ds.attrs["technique"] in MAPS:
        return registration_image(ds)
    image = ds[next(iter(ds.data_vars))]
    leading = [d for d in image.dims if d not in ("y", "x")]
    return image.mean(leading, keep_attrs=True) if leading else image


def _registered(study: Study, pair: Pair, fixed: Acquisition, moving: Acquisition) -> dict[str, Any]:
    base = {"moving": pair.moving, "fixed": pair.fixed, "model": pair.model, "method": "global search, then mutual information",
            "coarser_pixel_nm": max(fixed.pixel_nm, moving.pixel_nm)}
    uncalibrated = [a.unit for a in (fixed, moving) if not a.is_placed_in_space]
    if uncalibrated:
        reason = f"{' and '.join(uncalibrated)} has no pixel size; say it in the sheet (axes = ...)"
        return {**base, "status": "rejected", "verdict": "failed", "reasons": [reason], "error_nm": None, "metrics": {},
                "transform": None}
    try:
        images = [field_image(study.open(u)).load() for u in (pair.fixed, pair.moving)]
        found = align(images[0], images[1], model=cast(Model, pair.model))
    except DatasetError as error:
        return {**base, "status": "rejected", "verdict": "failed", "reasons": [str(error)], "error_nm": None, "metrics": {},
                "transform": None}
    transform = found.transform.renamed(pair.moving, pair.fixed)
    status = {"good": "accepted", "doubtful": "proposed"}.get(found.verdict, "rejected")
    return {**base, "status": status, "verdict": found.verdict, "reasons": list(found.reasons),
            "error_nm": _finite(error_95_nm(transform, images[1])), "metrics": dict(found.metrics),
            "transform": transform.to_dict()}


def _same_scan(pair: Pair, fixed: Acquisition, moving: Acquisition) -> dict[str, Any]:
    identity = Transform.identity(pair.moving, pair.fixed)
    return {"moving": pair.moving, "fixed": pair.fixed, "model": "identity", "method": "recorded in one scan",
            "coarser_pixel_nm": max(fixed.pixel_nm, moving.pixel_nm), "status": "accepted", "verdict": "good",
            "reasons": ["both signals were recorded in one scan, on one grid"], "error_nm": 0.0, "metrics": {},
            "transform": identity.to_dict()}


def error_95_nm(transform: AnyTransform, moving: xr.DataArray) -> float:
    """Radius that holds the true position with 95 % probability, nm: the largest over corners and centre of the field."""
    y, x = moving["y"].values, moving["x"].values
    points = np.array([[a, b] for a in (y[0], y[-1]) for b in (x[0], x[-1])] + [[y.mean(), x.mean()]])
    widest = np.linalg.eigvalsh(transform.covariance_at(points)).max()
    return RADIUS_95 * float(np.sqrt(max(widest, 0.0)))


def _is_field(a: Acquisition) -> bool:
    """An image or a map, not a line, a point or a tilt series; calibrated or not."""
    shape = dict(zip(a.dims, a.shape, strict=True))
    return "tilt" not in shape and all(shape.get(d, 0) >= FEWEST_PIXELS for d in ("y", "x"))


def _comparable(a: Acquisition, b: Acquisition) -> bool:
    if not (a.is_placed_in_space and b.is_placed_in_space):
        return True  # kept as a pair, so that the missing calibration is reported
    ratio = max(a.extent_nm) / max(b.extent_nm)
    most = LATTICE_FIELD_RATIO if min(a.pixel_nm, b.pixel_nm) < LATTICE_PIXEL_NM else LARGEST_FIELD_RATIO
    return 1 / most <= ratio <= most


def _is_one_scan(a: Acquisition, b: Acquisition) -> bool:
    """One file, one grid, and a stage that stood still: some files hold the images of several places.

    The stage is read again for each signal and jitters by nanometres; another place is at least half a field away.
    """
    return bool(a.path) and a.path == b.path and all(a.coords[d] == b.coords[d] for d in ("y", "x")) and all(
        abs(float(a.conditions[name]) - float(b.conditions[name])) <= 0.5 * max(a.extent_nm)
        for name in STAGE if name in a.conditions and name in b.conditions)


def _recipe(pair: Pair) -> dict[str, str]:
    return {"model": pair.model, "version": own_version()}


def _is_current(study: Study, pair: Pair, versions: Mapping[str, str]) -> bool:
    version = study.store.current(transform_unit(pair))
    if version is None or version.attrs.get("recipe") != _recipe(pair):
        return False
    return all(versions.get(unit) == of for unit, of in version.parents.items())


def _recalled(study: Study, pair: Pair) -> Placed:
    record = study.store.open(transform_unit(pair)).attrs["alignment"]
    return Placed(transform_unit(pair), pair, record["verdict"], record["status"], tuple(record["reasons"]),
                  _number(record["error_nm"]), done_before=True)


def _key(pair: Pair) -> tuple[str, str, str]:
    return pair.fixed, pair.moving, pair.model


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)
