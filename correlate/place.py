"""Places acquisitions in space: aligns the images and maps of each sample, and keeps every transform with its verdict."""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from importlib.metadata import version as version_of
from typing import Any, cast

import numpy as np
import xarray as xr

from correlate.executor import Report, mapped
from correlate.field import field_image
from correlate.loops import adjust_sample
from correlate.marks import Marks, marks_of
from correlate.pairs import is_one_scan, planned_pairs, transform_unit
from correlate.steady import drift_unit, drift_version, steady_study
from correlate.study import TRANSFORM, Acquisition, Study
from correlate.study import by_sample as grouped
from datasets.errors import DatasetError
from datasets.provenance import own_version
from datasets.sheet import Pair
from registration import SearchBox, Transform, align
from registration.align import AnyModel
from registration.frames import STATUS_OF
from registration.transform import radius_95
from registration.warp import AnyTransform

SEED = 0
LIBRARIES = ("numpy", "scipy", "SimpleITK")
"""Whose versions a transform may depend on."""
PROBES = 5
"""Places a side of the moving field at which a bent map is asked for its error; of a straight one the corners are the worst."""


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
                sample: str | None = None, pairs: Collection[Pair] = (), model: str | None = None,
                executor: Executor | None = None) -> list[Placed]:
    """Align every pair of the plan that is new or whose images or landmarks have changed; then close the loops of each sample.

    Movies are freed from their drift first, and stand for their mean image.

    Parameters
    ----------
    sample : only this one
    pairs : only these, of the plan or not
    model : instead of the plan's
    again : redo also what has not changed; what a person decided is redone only where it is named in `pairs`
    """
    by_sample = study.by_sample()
    wanted = list(pairs) or planned_pairs(study, by_sample, sample)
    wanted = [replace(p, model=model) if model else p for p in wanted]
    steady_study(study, jobs=jobs, report=report, again=again, sample=sample, executor=executor)
    known = {a.unit: a for acquisitions in by_sample.values() for a in acquisitions}
    records = study.records()
    fresh = [p for p in wanted if _is_to_do(study, p, records.get(transform_unit(p)), known, again, bool(pairs))]
    asked = frozenset(_key(p) for p in pairs)
    results = dict(mapped(align_pair, [_key(p) for p in fresh], str(study.root), asked, jobs=jobs, report=report,
                          executor=executor, unchanged=len(wanted) - len(fresh)))
    for name, own in grouped(study.records()).items():
        adjust_sample(study, name, own)
    found = {str(r["unit"]): r for r in study.alignments().to_dict("records")}
    return [_told(p, found.get(transform_unit(p)), results.get(_key(p))) for p in wanted]


def align_pair(key: tuple[str, str, str], root: str, asked: frozenset[tuple[str, str, str]] = frozenset()) -> Placed:
    """Align one pair of a study and publish the transform with its verdict; faults come back as a failed verdict.

    A pair among those `asked` for is aligned by its images even where one scan recorded both.
    """
    pair = Pair(*key)
    study = Study(root)
    fixed, moving = study.acquisition(pair.fixed), study.acquisition(pair.moving)
    if fixed is None or moving is None:
        absent = " and ".join(u for u, a in ((pair.fixed, fixed), (pair.moving, moving)) if a is None)
        return Placed("", pair, "failed", "rejected", (f"{absent} is not in the study; import it first",), np.nan)
    marks = marks_of(study, pair)
    named = key in asked
    if is_one_scan(fixed, moving) and marks is None and not named and pair not in study.sheet.pairs:
        record = _same_scan(pair, fixed, moving)
    else:
        record = registered(study, pair, fixed, moving, marks)
    return publish(study, pair, record | {"asked": True} if named else record, fixed, moving, marks)


def publish(study: Study, pair: Pair, record: Mapping[str, Any], fixed: Acquisition, moving: Acquisition,
            marks: Marks | None) -> Placed:
    """Store what was found of a pair, with all that it was made from."""
    parents = _made_from(study, (fixed, moving), marks)
    inputs = {a.unit: {"version": a.version, "sha256": a.summary.get("source", {}).get("sha256")} for a in (moving, fixed)}
    versions = {"correlate-sei": own_version()} | {name: version_of(name) for name in LIBRARIES}
    whole = {**record, "inputs": inputs, "seed": SEED, "versions": versions}
    ds = xr.Dataset(attrs={"alignment": whole, "sample": fixed.sample, "title": f"{pair.moving} to {pair.fixed}",
                           "technique": "", "recipe": _recipe(pair), "synthetic": study.sheet.synthetic})
    unit = transform_unit(pair)
    study.store.publish(unit, ds, kind=TRANSFORM, parents=parents)
    return Placed(unit, pair, record["verdict"], record["status"], tuple(record["reasons"]), _number(record["error_nm"]))


def registered(study: Study, pair: Pair, fixed: Acquisition, moving: Acquisition, marks: Marks | None = None,
               prior: Transform | None = None, box: SearchBox | None = None) -> dict[str, Any]:
    """What the images and landmarks of a pair say of its transform; `prior` and `box` say where to look."""
    method = "landmarks, then the images" if marks and marks.landmarks else "global search, then least squares"
    base = {"moving": pair.moving, "fixed": pair.fixed, "model": pair.model, "method": method,
            "coarser_pixel_nm": max(fixed.pixel_nm, moving.pixel_nm)}
    failed = {**base, "status": "rejected", "verdict": "failed", "error_nm": None, "metrics": {}, "transform": None}
    uncalibrated = [a.unit for a in (fixed, moving) if not a.is_placed_in_space]
    if uncalibrated:
        reason = f"{' and '.join(uncalibrated)} has no pixel size; say it in the sheet (axes = ...)"
        return {**failed, "reasons": [reason]}
    try:
        images = [field_image(study, a).load() for a in (fixed, moving)]
        found = align(images[0], images[1], cast(AnyModel, pair.model), prior, None, marks.landmarks if marks else None, SEED,
                      box=box)
    except DatasetError as error:
        return {**failed, "reasons": [str(error)]}
    transform = found.transform.renamed(pair.moving, pair.fixed)
    rivals = [replace(c, transform=c.transform.renamed(pair.moving, pair.fixed)).to_dict() for c in found.candidates]
    reasons = [*found.reasons, *([marks.fault] if marks and marks.fault else [])]
    return {**base, "status": STATUS_OF[found.verdict], "verdict": found.verdict, "reasons": reasons,
            "error_nm": _finite(error_95_nm(transform, images[1])),
            "metrics": {name: _finite(value) for name, value in found.metrics.items()}, "transform": transform.to_dict(),
            "candidates": rivals,
            "trace": [replace(s, transform=s.transform.renamed(pair.moving, pair.fixed)).to_dict() for s in found.trace],
            "landmarks": len(marks.landmarks) if marks and marks.landmarks else 0,
            "seen": {unit: float(np.isfinite(image.values).mean())
                     for unit, image in zip((pair.fixed, pair.moving), images, strict=True)}}


def _same_scan(pair: Pair, fixed: Acquisition, moving: Acquisition) -> dict[str, Any]:
    identity = Transform.identity(pair.moving, pair.fixed)
    return {"moving": pair.moving, "fixed": pair.fixed, "model": "identity", "method": "recorded in one scan",
            "coarser_pixel_nm": max(fixed.pixel_nm, moving.pixel_nm), "status": "accepted", "verdict": "good",
            "reasons": ["both signals were recorded in one scan, on one grid"], "error_nm": 0.0, "metrics": {},
            "transform": identity.to_dict()}


def error_95_nm(transform: AnyTransform, moving: xr.DataArray) -> float:
    """Radius that holds the true position with 95 % probability, nm: the largest over the moving field."""
    axes = (np.linspace(float(moving[d].values[0]), float(moving[d].values[-1]), PROBES) for d in ("y", "x"))
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    return radius_95(transform.covariance_at(points))


def _recipe(pair: Pair) -> dict[str, str]:
    return {"model": pair.model, "version": own_version()}


def _made_from(study: Study, ends: Sequence[Acquisition], marks: Marks | None) -> dict[str, str]:
    """Unit -> version of all that the transform of a pair is made from."""
    drifts = {drift_unit(a.unit): version for a in ends if (version := drift_version(study, a))}
    return {a.unit: a.version for a in ends} | drifts | ({marks.unit: marks.version} if marks else {})


def _is_to_do(study: Study, pair: Pair, record: Mapping[str, Any] | None, known: Mapping[str, Acquisition], again: bool,
              named: bool) -> bool:
    """Whether a pair is new, was made from something else, or is to be made again."""
    version = study.store.current(transform_unit(pair))
    if record is None or version is None:
        return True
    ends = [known[u] for u in (pair.fixed, pair.moving) if u in known]
    if dict(version.parents) != _made_from(study, ends, marks_of(study, pair)):
        return True
    if record.get("decision") and not named:
        return False
    return again or version.attrs.get("recipe") != _recipe(pair)


def _told(pair: Pair, row: Mapping[Any, Any] | None, fresh: Placed | None) -> Placed:
    if row is None:
        assert fresh is not None
        return fresh
    return Placed(str(row["unit"]), pair, str(row["verdict"]), str(row["status"]), tuple(map(str, row["reasons"])),
                  _number(row["error_nm"]), done_before=fresh is None)


def _key(pair: Pair) -> tuple[str, str, str]:
    return pair.fixed, pair.moving, pair.model


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)
