"""One study on disk: its sheet, its store, and what has been made of them so far."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from correlate.table import sample_table
from datasets.errors import StudyError
from datasets.sheet import FILE_NAME, Sheet, read_sheet
from datasets.store import Store
from datasets.techniques import TECHNIQUES
from registration import FrameGraph, Transform

ACQUISITION, TRANSFORM, DESCRIPTORS, MODEL = "acquisition", "transform", "descriptors", "model"
MODEL_UNIT = "models/log_ce"
ACQUISITION_FIELDS = ("unit", "version", "sample", "technique", "title", "nbytes", "summary")
ALIGNMENT_COLUMNS = ("unit", "sample", "version", "moving", "fixed", "model", "status", "verdict", "reasons", "error_nm",
                     "coarser_pixel_nm", "method", "metrics", "transform")
MEASUREMENT_COLUMNS = ("sample", "unit", "version", "technique", "name", "title", "value", "std", "units", "method", "reason")


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

    def acquisitions(self, sample: str | None = None, technique: str | None = None) -> list[Acquisition]:
        """What has been imported, in the order of the sheet; nothing is opened."""
        found = [Acquisition(**{name: row[name] for name in ACQUISITION_FIELDS}) for row in self.rows(ACQUISITION)]
        order = {name: i for i, name in enumerate(self.sheet.samples)}
        return sorted((a for a in found if sample in (None, a.sample) and technique in (None, a.technique)),
                      key=lambda a: (order.get(a.sample, len(order)), a.unit))

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """The catalogue's rows of one kind."""
        return [{str(k): v for k, v in row.items()} for row in self.store.catalogue(kind).to_dict("records")]

    def open(self, unit: str) -> xr.Dataset:
        """The current version of an acquisition, lazily."""
        return self.store.open(unit)

    def alignments(self) -> pd.DataFrame:
        """One row per registration, columns ALIGNMENT_COLUMNS; `transform` is a dictionary, None where there is none."""
        rows = [{"unit": row["unit"], "sample": row["sample"], "version": row["version"],
                 **self.store.open(row["unit"]).attrs["alignment"]} for row in self.rows(TRANSFORM)]
        return pd.DataFrame(rows, columns=list(ALIGNMENT_COLUMNS))

    def frames(self, sample: str) -> FrameGraph:
        """The frames of a sample's acquisitions with all registrations between them; only accepted ones make paths."""
        graph = FrameGraph()
        table = self.alignments()
        for transform, status in table.loc[table["sample"] == sample, ["transform", "status"]].to_numpy():
            if transform is not None:
                graph.add(Transform.from_dict(transform), status=status)
        return graph

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

    def std_at_centre_nm(self, transform: Transform, unit: str) -> float:
        """Standard deviation of a transform at the centre of an acquisition's field, nm, larger of the two axes."""
        y, x = (self.open(unit)[d].values for d in ("y", "x"))
        centre = np.array([[0.5 * (y[0] + y[-1]), 0.5 * (x[0] + x[-1])]])
        return float(transform.std_at(centre).max())
