"""What was measured: samples by techniques, and what is wrong with the files or was assumed of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from correlate.numbers import with_error
from correlate.study import Acquisition, Study
from datasets.acquisition import read_acquisitions
from datasets.errors import DatasetError
from datasets.sheet import File, Sample
from datasets.technique import Technique
from datasets.techniques import TECHNIQUES
from datasets.terms import CONDITION_MEANING

NAMED = 12
"""Names that a list gives before it says how many more there are."""


@dataclass(frozen=True)
class Cell:
    """Acquisitions of one sample by one technique; `look` is "some", "unscaled" (no pixel size) or "none"."""

    text: str
    look: str
    says: str


@dataclass(frozen=True)
class Row:
    """One sample: its name, what is known of it, its coulombic efficiency, and a cell per technique."""

    sample: str
    conditions: str
    efficiency: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Group:
    """Samples of one electrolyte."""

    name: str
    electrolyte: str
    metals: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Finding:
    """Something said once of one or several acquisitions or files."""

    what: str
    where: str


@dataclass(frozen=True)
class Measured:
    """The first section: techniques are the columns, groups the rows; the lists below say what a reader must know."""

    techniques: tuple[Technique, ...]
    groups: tuple[Group, ...]
    acquisitions: int
    files: int
    faults: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    unscaled: str
    incomplete: tuple[Finding, ...]


def measured(study: Study, table: pd.DataFrame) -> Measured:
    """Everything the catalogue knows, without opening more than the acquisitions that carry warnings."""
    acquisitions = study.acquisitions()
    used = {a.technique for a in acquisitions}
    techniques = tuple(t for name, t in TECHNIQUES.items() if name in used)
    unscaled = [a.unit for a in acquisitions if has_no_scale(a)]
    return Measured(techniques, _groups(study, acquisitions, techniques, efficiencies(table)), len(acquisitions),
                    len(study.sheet.files), _faults(study, acquisitions), _warnings(study, acquisitions), named(unscaled),
                    _incomplete(acquisitions))


def has_no_scale(a: Acquisition) -> bool:
    """Whether it is an image or a map whose pixel size nobody gives."""
    return {"y", "x"} <= set(a.dims) and any(a.coords[d]["units"] != "nm" for d in ("y", "x") if d in a.coords)


def efficiencies(table: pd.DataFrame) -> dict[str, str]:
    """Sample -> CE with its standard deviation, in %."""
    if "ce_mean" not in table:
        return {}
    return {str(row["sample"]): with_error(100 * row["ce_mean"], 100 * row["ce_mean_std"], why="")
            for row in table.to_dict("records") if np.isfinite(row["ce_mean"])}


def named(names: Sequence[str]) -> str:
    """Names in a row, at most NAMED of them."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def gathered(pairs: Sequence[tuple[str, str]]) -> tuple[Finding, ...]:
    """(what, where) pairs, each `what` once with all its places; the commonest first."""
    found: dict[str, list[str]] = {}
    for what, where in pairs:
        if where not in found.setdefault(what, []):
            found[what].append(where)
    return tuple(Finding(what, named(places)) for what, places in sorted(found.items(), key=lambda item: -len(item[1])))


def _groups(study: Study, acquisitions: Sequence[Acquisition], techniques: Sequence[Technique],
            ce: Mapping[str, str]) -> tuple[Group, ...]:
    samples: dict[str, list[Sample]] = {}
    for sample in study.sheet.samples.values():
        samples.setdefault(sample.group or sample.electrolyte or "electrolyte not stated", []).append(sample)
    own = {name: [a for a in acquisitions if a.sample == name] for name in study.sheet.samples}
    return tuple(
        Group(name, members[0].electrolyte if members[0].electrolyte != name else "",
              ", ".join(sorted({s.metal for s in members if s.metal})),
              tuple(Row(s.name, _conditions(s), ce.get(s.name, ""),
                        tuple(_cell([a for a in own[s.name] if a.technique == t.name]) for t in techniques)) for s in members))
        for name, members in samples.items())


def _conditions(sample: Sample) -> str:
    short = {"cycle": "cycle {}", "cell_temperature_K": "{} K", "current_density_mA_cm2": "{} mA/cm²"}
    return ", ".join(text.format(f"{value:g}" if isinstance(value, int | float) else value)
                     for key, text in short.items() if (value := sample.conditions.get(key)) is not None)


def _cell(own: Sequence[Acquisition]) -> Cell:
    if not own:
        return Cell("·", "none", "not measured")
    says = ", ".join(f"{a.unit} ({' × '.join(map(str, a.shape))})" for a in own[:NAMED])
    if any(has_no_scale(a) for a in own):
        return Cell("no scale", "unscaled", f"no pixel size: {says}")
    return Cell(str(len(own)), "some", says)


def _faults(study: Study, acquisitions: Sequence[Acquisition]) -> tuple[Finding, ...]:
    held = {a.path for a in acquisitions}
    return tuple(Finding(why_absent(study, f), f.path) for f in study.sheet.files if f.path not in held)


def why_absent(study: Study, file: File) -> str:
    """Why a file of the sheet is not in the store: its fault as the reader states it, or that nobody imported it."""
    try:
        read_acquisitions(study.root / file.path, technique=file.technique or None, axes=file.axes)
    except DatasetError as error:
        return str(error)
    return "not imported yet"


def _warnings(study: Study, acquisitions: Sequence[Acquisition]) -> tuple[Finding, ...]:
    return gathered([(str(text), a.unit) for a in acquisitions if a.summary.get("warnings")
                     for text in study.open(a.unit).attrs["warnings"]])


def _incomplete(acquisitions: Sequence[Acquisition]) -> tuple[Finding, ...]:
    return gathered([(f"{TECHNIQUES[a.technique].short if a.technique in TECHNIQUES else a.technique}: "
                      f"{CONDITION_MEANING.get(name, name)} is not known ({name})", a.unit)
                     for a in acquisitions for name in a.summary.get("incomplete", ())])
