"""One study on disk: its sheet, its store, and what has been made of them so far."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from correlate.table import sample_table
from datasets.errors import StudyError
from datasets.sheet import FILE_NAME, Sheet, read_sheet
from datasets.store import Store
from datasets.techniques import TECHNIQUES
from registration import Adjustment, FrameGraph
from registration.candidate import Candidate
from registration.saved import read_transform

ACQUISITION, TRANSFORM, DESCRIPTORS, MODEL = "acquisition", "transform", "descriptors", "model"
LANDMARKS, ADJUSTMENT = "landmarks", "adjustment"
MODEL_UNIT = "models/log_ce"
ACQUISITION_FIELDS = ("unit", "version", "sample", "technique", "title", "nbytes", "summary")
ALIGNMENT_COLUMNS = ("unit", "sample", "version", "moving", "fixed", "model", "status", "verdict", "reasons", "error_nm",
                     "coarser_pixel_nm", "method", "metrics", "transform", "candidates", "landmarks", "decision", "loop")
MEASUREMENT_COLUMNS = ("sample", "unit", "version", "technique", "name", "title", "value", "std", "units", "method", "reason")
Records = Mapping[str, dict[str, Any]]
"""Unit of a transform -> what was found of its pair."""


@dataclass(frozen=True)
class Acquisition:
    """A row of the catalogue: what is known of an acquisition without opening it."""

    unit: str
    version: str
    sample: str
    technique: str
    title: str
    nbytes: int
    summary: Mapping[str, Any]

    @property
    def main(self) -> Mapping[str, Any]:
        """Dims, shape, dtype and units of the technique's main variable."""
        variables: Mapping[str, Mapping[str, Any]] = self.summary["variables"]
        technique = TECHNIQUES.get(self.technique, TECHNIQUES["unknown"])
        return variables.get(technique.quantity) or next(iter(variables.values()))

    @property
    def dims(self) -> tuple[str, ...]:
        return tuple(self.main["dims"])

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.main["shape"])

    @property
    def coords(self) -> Mapping[str, Mapping[str, Any]]:
        found: Mapping[str, Mapping[str, Any]] = self.summary["coords"]
        return found

    @property
    def conditions(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.summary.get("conditions", {})
        return found

    @property
    def path(self) -> str:
        """The raw file it was imported from, as the study sheet names it; "" where it came from no file."""
        source: Mapping[str, Any] = self.summary.get("source", {})
        return str(source.get("path", ""))

    @property
    def is_placed_in_space(self) -> bool:
        """Whether it has y and x axes in nm, with more than one pixel along each."""
        return all(d in self.coords and self.coords[d]["units"] == "nm" and self.coords[d]["n"] > 1 for d in ("y", "x"))

    @property
    def extent_nm(self) -> tuple[float, float]:
        """Height and width of the field, pixel edges included; (0, 0) where it has none."""
        if not self.is_placed_in_space:
            return 0.0, 0.0
        y, x = (abs(float(self.coords[d]["step"])) * int(self.coords[d]["n"]) for d in ("y", "x"))
        return y, x

    @property
    def pixel_nm(self) -> float:
        """The coarser of the two pixel sizes; NaN where it has none."""
        return max(abs(float(self.coords[d]["step"])) for d in ("y", "x")) if self.is_placed_in_space else float("nan")


class Study:
    """Opens a study folder; everything is read when asked for, nothing is changed.

    Raises
    ------
    StudyError
        If the folder has no readable study sheet.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise StudyError(f"{self.root}: there is no such folder")
        self.sheet: Sheet = read_sheet(self.root / FILE_NAME)

    @cached_property
    def store(self) -> Store:
        return Store(self.root, create=True)

    def require_sample(self, name: str) -> None:
        """Refuse a sample that the sheet does not have.

        Raises
        ------
        StudyError
            With those that it has.
        """
        if name not in self.sheet.samples:
            raise StudyError(f"{self.root}: no sample {name!r}; the sheet has {', '.join(self.sheet.samples)}")

    def acquisitions(self, sample: str | None = None, technique: str | None = None) -> list[Acquisition]:
        """What has been imported, in the order of the sheet; nothing is opened."""
        found = [Acquisition(**{name: row[name] for name in ACQUISITION_FIELDS}) for row in self.rows(ACQUISITION)]
        order = {name: i for i, name in enumerate(self.sheet.samples)}
        return sorted((a for a in found if sample in (None, a.sample) and technique in (None, a.technique)),
                      key=lambda a: (order.get(a.sample, len(order)), a.unit))

    def acquisition(self, unit: str) -> Acquisition | None:
        """What is known of one acquisition; None where it was not imported."""
        version = self.store.current(unit)
        if version is None or version.kind != ACQUISITION:
            return None
        said = {name: str(version.attrs.get(name, "")) for name in ("sample", "technique", "title")}
        return Acquisition(unit=unit, version=version.version, nbytes=version.nbytes, summary=version.summary, **said)

    def by_sample(self) -> dict[str, list[Acquisition]]:
        """Sample of the sheet -> its acquisitions, in one look at the catalogue."""
        found: dict[str, list[Acquisition]] = {name: [] for name in self.sheet.samples}
        for a in self.acquisitions():
            found.setdefault(a.sample, []).append(a)
        return found

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """The catalogue's rows of one kind."""
        return [{str(k): v for k, v in row.items()} for row in self.store.catalogue(kind).to_dict("records")]

    def open(self, unit: str) -> xr.Dataset:
        """The current version of an acquisition, lazily."""
        return self.store.open(unit)

    def alignments(self) -> pd.DataFrame:
        """One row per registration, columns ALIGNMENT_COLUMNS; `transform` is a dictionary, None where there is none.

        Where registrations form loops, their transform and error are the adjusted ones, and what a loop speaks against is
        doubtful: `loop` says so.
        """
        found = self.records()
        loops = {sample: self.adjustment(sample, own) or {} for sample, own in by_sample(found).items()}
        rows = [record | loops[str(record["sample"])].get("found", {}).get(unit, {}) for unit, record in found.items()]
        for row in rows:
            row["reasons"] = [*row["reasons"], *([row["loop"]] if row.get("loop") else [])]
        whole = [dict.fromkeys(ALIGNMENT_COLUMNS) | row for row in rows]
        return pd.DataFrame(whole, columns=list(ALIGNMENT_COLUMNS), dtype=object)

    def records(self, sample: str | None = None) -> dict[str, dict[str, Any]]:
        """Unit -> what was found of a pair of images, by itself, with its `unit`, `sample` and `version`."""
        rows = [row for row in self.rows(TRANSFORM) if sample in (None, row["sample"])]
        return {row["unit"]: {**self._attrs(row["unit"])["alignment"], "unit": row["unit"], "sample": row["sample"],
                              "version": row["version"]} for row in rows}

    def marked(self) -> list[Mapping[str, Any]]:
        """What the units of landmarks say of themselves, among it `moving` and `fixed`."""
        return [attrs for row in self.rows(LANDMARKS) if (attrs := self._attrs(row["unit"])).get("count")]

    def adjustment(self, sample: str, records: Records | None = None) -> dict[str, Any] | None:
        """What the loops of a sample gave: `adjustment` (of `registration.Adjustment`) and `found`, unit -> what it changes.

        None where there are none, or a registration is newer. `records` are those of the sample, where they are at hand.
        """
        version = self.store.current(adjustment_unit(sample))
        if version is None:
            return None
        own = self.records(sample) if records is None else records
        if dict(version.parents) != {u: r["version"] for u, r in own.items()}:
            return None
        result: dict[str, Any] = version.attrs["loops"]
        return result

    def frames(self, sample: str) -> FrameGraph:
        """The frames of a sample's acquisitions with all registrations between them; only accepted ones make paths."""
        records = self.records(sample)
        loops = self.adjustment(sample, records)
        if loops is not None:
            return Adjustment.from_dict(loops["adjustment"]).graph
        return graph_of(records.values())

    def measurements(self) -> pd.DataFrame:
        """Every descriptor value of every acquisition: one row each, columns MEASUREMENT_COLUMNS."""
        tables = [self.store.open(row["unit"]).load().to_dataframe().reset_index(drop=True) for row in self.rows(DESCRIPTORS)]
        filled = [t for t in tables if len(t)]
        if not filled:
            return pd.DataFrame({c: pd.Series(dtype=float if c in ("value", "std") else str) for c in MEASUREMENT_COLUMNS})
        return pd.concat(filled, ignore_index=True)[list(MEASUREMENT_COLUMNS)]

    def table(self) -> pd.DataFrame:
        """One row per sample of the sheet, two columns (value, `_std`) per descriptor."""
        return sample_table(self.measurements(), self.sheet)

    def model(self) -> dict[str, Any] | None:
        """The result of the last `fit`, or None."""
        if self.store.current(MODEL_UNIT) is None:
            return None
        result: dict[str, Any] = self.store.open(MODEL_UNIT).attrs["result"]
        return result

    def _attrs(self, unit: str) -> Mapping[str, Any]:
        """Attributes of a unit's current version, from its manifest: its data are not opened."""
        version = self.store.current(unit)
        return version.attrs if version is not None else {}


def by_sample(records: Records) -> dict[str, dict[str, dict[str, Any]]]:
    """Sample -> its records."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for unit, record in records.items():
        found.setdefault(str(record["sample"]), {})[unit] = record
    return found


def adjustment_unit(sample: str) -> str:
    """Name of the store unit that holds what the loops of a sample gave."""
    return f"adjustment/{sample}"


def graph_of(records: Iterable[Mapping[str, Any]]) -> FrameGraph:
    """A graph with an edge for every record that has a transform, in their order."""
    graph = FrameGraph()
    for record in records:
        if record["transform"] is not None:
            rivals = tuple(Candidate.from_dict(c) for c in record.get("candidates") or ())
            graph.add(read_transform(record["transform"]), record["status"], "; ".join(record["reasons"]), rivals)
    return graph
