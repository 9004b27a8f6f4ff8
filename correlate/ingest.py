"""Raw files into the store: every file of the sheet becomes acquisitions, each raw byte read once, nothing done twice."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from correlate.executor import Report, mapped
from correlate.study import ACQUISITION, Study
from datasets.acquisition import read_acquisitions
from datasets.errors import DatasetError
from datasets.formats import format_of
from datasets.provenance import own_version, sha256_of, with_step
from datasets.sheet import File


@dataclass(frozen=True)
class Imported:
    """What became of one raw file: its units, or the one line that says why not."""

    path: str
    status: str  # "imported", "unchanged", "failed"
    units: tuple[str, ...] = ()
    message: str = ""
    warnings: tuple[str, ...] = ()
    nbytes: int = 0
    seconds: float = 0.0


def import_files(study: Study, *, jobs: int | None = None, report: Report | None = None, again: bool = False,
                 executor: Executor | None = None) -> list[Imported]:
    """Import every file of the sheet that is new or has changed; a bad file is reported and does not stop the others."""
    units = _units_by_path(study)
    paths = [file.path for file in study.sheet.files]
    fresh = [f.path for f in study.sheet.files if again or not _is_current(study, f, units.get(f.path, []))]
    known = set(paths) - set(fresh)
    results = {p: Imported(p, "unchanged", tuple(units[p])) for p in known}
    order = sorted(fresh, key=lambda p: -_size(study.root / p))  # long ones first, so that no core waits at the end
    results |= dict(mapped(import_file, order, str(study.root), jobs=jobs, report=report, executor=executor,
                           unchanged=len(known)))
    return [results[p] for p in paths]


def import_file(path: str, root: str) -> Imported:
    """Import one file of a study's sheet; faults come back as a result."""
    started = time.perf_counter()
    study = Study(root)
    file = next(f for f in study.sheet.files if f.path == path)
    raw = study.root / path
    try:
        state = raw_state(raw)
        fingerprint = entry_fingerprint(study, file)
        published = [
            _published(study, ds, unit, raw, {"entry": fingerprint, "raw": state, "path": path})
            for unit, ds in _acquisitions(study, file)]
    except DatasetError as error:
        return Imported(path, "failed", message=str(error), seconds=time.perf_counter() - started)
    warnings = tuple(dict.fromkeys(w for _, ds in published for w in ds.attrs["warnings"]))
    return Imported(path, "imported", tuple(unit for unit, _ in published), "", warnings, _size(raw),
                    time.perf_counter() - started)


def _acquisitions(study: Study, file: File) -> Iterator[tuple[str, xr.Dataset]]:
    sample = study.sheet.samples[file.sample]
    conditions = {**sample.conditions, **file.conditions}
    found = read_acquisitions(study.root / file.path, technique=file.technique or None, axes=file.axes, conditions=conditions)
    for ds in found:
        index = ds.attrs["source"]["signal"]
        if index in file.skip:
            continue
        ds = ds.assign_attrs(sample=file.sample, synthetic=study.sheet.synthetic)
        yield f"{file.acquisition}-{index}", with_step(ds, "imported", file=file.path)


def _published(study: Study, ds: xr.Dataset, unit: str, raw: Path, source: Mapping[str, Any]) -> tuple[str, xr.Dataset]:
    ds = ds.assign_attrs(source={**ds.attrs["source"], **source})
    study.store.publish(unit, ds, kind=ACQUISITION, raw=raw if raw.is_file() else None)  # a folder has no bytes of its own
    return unit, ds


def raw_state(raw: Path) -> dict[str, list[int]]:
    """Size and time of change of a raw file and its companions: enough to see that nothing was touched."""
    files: Sequence[Path] = (raw, *format_of(raw).companions(raw))
    return {f.name: [f.stat().st_size, f.stat().st_mtime_ns] for f in files if f.exists()}


def entry_fingerprint(study: Study, file: File) -> str:
    """Changes when anything changes that the sheet says of a file, or when the platform does."""
    sample = study.sheet.samples[file.sample]
    said = {"file": {**vars(file), "axes": dict(file.axes), "conditions": dict(file.conditions)},
            "sample": dict(sample.conditions), "synthetic": study.sheet.synthetic, "version": own_version()}
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _is_current(study: Study, file: File, units: Sequence[str]) -> bool:
    if not units:
        return False
    attrs = study.store.current(units[0]).attrs["source"]  # type: ignore[union-attr]
    if attrs.get("entry") != entry_fingerprint(study, file):
        return False
    raw = study.root / file.path
    try:
        return all(_is_untouched(raw.with_name(name), state[0], state[1], attrs.get("sha256", "") if name == raw.name else "")
                   for name, state in attrs["raw"].items())
    except OSError:
        return False


def _is_untouched(path: Path, size: int, changed_ns: int, sha256: str) -> bool:
    """Whether a file is as it was; where only its time differs, as after a copy, its content decides."""
    now = path.stat()
    if now.st_size != size:
        return False
    return now.st_mtime_ns == changed_ns or (bool(sha256) and path.is_file() and sha256_of(path) == sha256)


def _units_by_path(study: Study) -> dict[str, list[str]]:
    """Raw file -> the units that were made from it, in one look at the catalogue."""
    found: dict[str, list[str]] = {}
    for a in study.acquisitions():
        found.setdefault(a.path, []).append(a.unit)
    return found


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
