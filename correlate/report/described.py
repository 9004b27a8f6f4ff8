"""What the descriptors say: a table per kind with unit and method, what is not known and why, and thickness as a chart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from correlate.descriptors import DESCRIPTORS
from correlate.numbers import with_error
from correlate.report.charts import Mark, rows, stated
from correlate.report.measured import Finding, gathered
from correlate.study import Study
from correlate.table import AREA, described
from datasets.techniques import TECHNIQUES

THICKNESS = "sei_thickness"
FRACTION = "_fraction_"
SIGN = {"ohm": "Ω", "1": ""}


@dataclass(frozen=True)
class Column:
    """Heading and unit of one descriptor."""

    title: str
    unit: str


@dataclass(frozen=True)
class Table:
    """Descriptors of one kind: `cells` per sample, `methods` and what is missing or doubtful below."""

    title: str
    columns: tuple[Column, ...]
    cells: tuple[tuple[str, tuple[str, ...]], ...]
    methods: tuple[Finding, ...]
    unknown: tuple[Finding, ...]
    reservations: tuple[Finding, ...]


@dataclass(frozen=True)
class Single:
    """One measurement of one acquisition."""

    sample: str
    unit: str
    title: str
    value: str
    method: str
    reason: str


def tables(measurements: pd.DataFrame, table: pd.DataFrame) -> tuple[Table, ...]:
    """One table per kind of descriptor, in the order of the registry."""
    titles = list(dict.fromkeys(d.title for d in DESCRIPTORS.values()))
    found = []
    for title in titles:
        of_kind = [d for d in DESCRIPTORS.values() if d.title == title]
        names = [str(c) for c in table.columns if f"{c}_std" in table and any(d.speaks_of(str(c)) for d in of_kind)]
        own = measurements[[any(d.speaks_of(str(n)) for d in of_kind) for n in measurements["name"]]]
        if len(own):
            found.append(_table(title, names, own, table))
    return tuple(found)


def singles(measurements: pd.DataFrame) -> tuple[Single, ...]:
    """Every measurement of every acquisition."""
    return tuple(Single(str(row["sample"]), str(row["unit"]), str(row["title"]), _cell(row["name"], row["value"], row["std"],
                        row["units"], with_unit=True), str(row["method"]), str(row["reason"]))
                 for row in measurements.to_dict("records"))


def thickness_chart(study: Study, measurements: pd.DataFrame, truth: pd.DataFrame | None) -> Markup:
    """Thickness of every sample by every technique; a tick is what an ideal observer would see, `truth` a `Score`'s values."""
    own = measurements[(measurements["name"] == THICKNESS) & np.isfinite(measurements["value"].astype(float))]
    if own.empty:
        return Markup("")
    true: dict[str, float] = {}
    if truth is not None:
        known = truth[truth["name"] == THICKNESS]
        true = dict(zip(known["unit"].astype(str), known["truth"].astype(float), strict=True))
    marks: dict[str, list[Mark]] = {name: [] for name in study.sheet.samples if (own["sample"] == name).any()}
    for row in own.to_dict("records"):
        technique = TECHNIQUES.get(str(row["technique"]), TECHNIQUES["unknown"])
        says = f"{row['unit']}: {with_error(row['value'], row['std'], 'nm')}"
        marks[str(row["sample"])].append(
            stated(float(row["value"]), float(row["std"]), FAMILY.get(technique.name, technique.family), says,
                   true.get(str(row["unit"]), float("nan"))))
    return rows(marks, "SEI thickness, projected / nm", "SEI thickness of every sample by every technique",
                synthetic=study.sheet.synthetic)


FAMILY = {"eels": "xray"}
"""Techniques that the thickness chart tells apart although they share a family."""


def shown(name: str, units: str) -> tuple[float, str]:
    """Factor and unit by which a descriptor is shown: fractions in atomic per cent, efficiencies in per cent."""
    if FRACTION in name:
        return 100.0, "at%"
    if name.startswith("ce_"):
        return 100.0, "%"
    return 1.0, SIGN.get(units, units)


def _table(title: str, names: Sequence[str], own: pd.DataFrame, table: pd.DataFrame) -> Table:
    columns = []
    for name in names:
        label, units = described(own, name)
        heading = name.rpartition(FRACTION)[2] if FRACTION in name else _short(label, title)
        columns.append(Column(heading, shown(name, units)[1]))
    known = table[np.isfinite(table[list(names)].to_numpy(dtype=float)).any(axis=1)] if names else table[:0]
    cells = tuple((str(row["sample"]), tuple(_cell(n, row[n], row[f"{n}_std"], _units(own, n)) for n in names))
                  for row in known.to_dict("records"))
    missing = ~np.isfinite(own["value"].to_numpy(dtype=float))
    doubtful = ~missing & (own["reason"].astype(str) != "")
    return Table(title, tuple(columns), cells, _methods(own[~missing]), _reasons(own[missing]), _reasons(own[doubtful]))


def _short(label: str, title: str) -> str:
    """A heading without what the title of its table says already."""
    kind = title.partition(",")[0]
    rest = label.removeprefix(f"{kind}, ")
    return rest[:1].upper() + rest[1:]


def _cell(name: Any, value: Any, std: Any, units: Any, *, with_unit: bool = False) -> str:
    factor, unit = shown(str(name), str(units))
    return with_error(factor * float(value), factor * float(std), unit if with_unit else "", why="")


def _units(own: pd.DataFrame, name: str) -> str:
    return described(own, name)[1]


def _methods(own: pd.DataFrame) -> tuple[Finding, ...]:
    """What is common to all descriptions of a method, with the number of values; details of single values come after ';'."""
    heads = own["method"].map(lambda method: str(method).partition(";")[0])
    return tuple(Finding(str(head), f"{count} values") for head, count in heads.value_counts().items())


def _reasons(own: pd.DataFrame) -> tuple[Finding, ...]:
    return gathered([(f"{_group_title(row)}: {row['reason']}", str(row["unit"])) for row in own.to_dict("records")])


def _group_title(row: Mapping[Any, Any]) -> str:
    name = str(row["name"])
    return str(row["title"]) if not name.startswith(AREA) else f"{name.removeprefix(AREA)} area by XPS"
