"""Measures every descriptor of every acquisition: one table per sample in the store."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from correlate.descriptors import DESCRIPTORS
from correlate.descriptors.descriptor import Descriptor, Measurement
from correlate.executor import Report, mapped
from correlate.study import DESCRIPTORS as KIND
from correlate.study import MEASUREMENT_COLUMNS, Acquisition, Study
from datasets.errors import DatasetError
from datasets.provenance import own_version


@dataclass(frozen=True)
class Described:
    """How many numbers one sample gave, and how many could not be known."""

    sample: str
    known: int
    unknown: int
    done_before: bool = False


def describe_study(study: Study, *, jobs: int | None = None, report: Report | None = None, again: bool = False,
                   executor: Executor | None = None) -> list[Described]:
    """Describe every sample whose acquisitions are new or have changed."""
    by_sample = study.by_sample()
    samples = [s for s in study.sheet.samples if by_sample[s]]
    fresh = [s for s in samples if again or not _is_current(study, s, by_sample[s])]
    done = {s: _recalled(study, s) for s in samples if s not in fresh}
    results = dict(mapped(describe_sample, fresh, str(study.root), jobs=jobs, report=report, executor=executor,
                          unchanged=len(done)))
    return [(done | results)[s] for s in samples]


def describe_sample(sample: str, root: str) -> Described:
    """Measure all descriptors of one sample and publish them as one table."""
    study = Study(root)
    acquisitions = study.acquisitions(sample)
    rows = [row for a in acquisitions for row in measured(study.open(a.unit), a)]
    table = pd.DataFrame(rows, columns=list(MEASUREMENT_COLUMNS))
    study.store.publish(descriptor_unit(sample), as_dataset(table, sample, study.sheet.synthetic), kind=KIND,
                        parents={a.unit: a.version for a in acquisitions})
    return _counted(sample, table)


def measured(ds: xr.Dataset, acquisition: Acquisition) -> list[dict[str, object]]:
    """All measurements of one acquisition as table rows; a descriptor that refuses gives a NaN with its reason."""
    rows: list[dict[str, object]] = []
    for descriptor in DESCRIPTORS.values():
        if acquisition.technique not in descriptor.techniques:
            continue
        rows.extend(
            {"sample": acquisition.sample, "unit": acquisition.unit, "version": acquisition.version,
             "technique": acquisition.technique, "name": m.name, "title": m.title or descriptor.title,
             "value": m.value, "std": m.std, "units": m.unit, "method": m.method, "reason": m.reason}
            for m in _measurements(descriptor, ds))
    return rows


def _measurements(descriptor: Descriptor, ds: xr.Dataset) -> Sequence[Measurement]:
    try:
        return descriptor.measure(ds)
    except DatasetError as error:
        return (Measurement(descriptor.name, np.nan, np.nan, descriptor.unit, descriptor.method, reason=str(error)),)


def as_dataset(table: pd.DataFrame, sample: str, synthetic: bool) -> xr.Dataset:
    """A table of measurements as a dataset on one dimension `measurement`."""
    columns = {}
    for name in MEASUREMENT_COLUMNS:
        numeric = name in ("value", "std")
        values = table[name].to_numpy(dtype=np.float64 if numeric else object)
        columns[name] = ("measurement", values if numeric else np.asarray([str(v) for v in values], dtype=np.str_),
                         {"units": "given per row" if numeric else "1"})
    attrs = {"technique": "", "title": f"descriptors of {sample}", "sample": sample, "synthetic": synthetic,
             "recipe": {"version": own_version()}}
    return xr.Dataset(columns, attrs=attrs)


def descriptor_unit(sample: str) -> str:
    """Name of the store unit that holds the descriptors of a sample."""
    return f"descriptors/{sample}"


def _is_current(study: Study, sample: str, acquisitions: Sequence[Acquisition]) -> bool:
    version = study.store.current(descriptor_unit(sample))
    now = {a.unit: a.version for a in acquisitions}
    return version is not None and dict(version.parents) == now and version.attrs.get("recipe") == {"version": own_version()}


def _recalled(study: Study, sample: str) -> Described:
    found = study.store.open(descriptor_unit(sample))
    known = int(np.isfinite(found["value"].values).sum())
    return Described(sample, known, int(found.sizes["measurement"]) - known, done_before=True)


def _counted(sample: str, table: pd.DataFrame) -> Described:
    known = int(np.isfinite(table["value"].to_numpy(dtype=np.float64)).sum())
    return Described(sample, known, len(table) - known)
