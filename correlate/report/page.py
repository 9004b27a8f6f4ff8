"""Puts the sections of a study's report together and writes the page."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from correlate.executor import Report
from correlate.numbers import magnitude
from correlate.palette import FONT, type_variables, variables
from correlate.report.described import singles, tables, thickness_chart
from correlate.report.measured import Measured, measured
from correlate.report.modelled import Modelled, modelled
from correlate.report.registered import Figure, figures
from correlate.score import FOLDER, Score, has_truth, score
from correlate.study import Study
from correlate.table import sample_table
from datasets.durable import write_whole
from datasets.provenance import own_version
from datasets.sheet import FILE_NAME

REPORT_NAME = "report.html"
HEAD_BYTES = 4096
"""Within so many bytes the page says what it was made from."""


def write_report(study: Study, path: Path | None = None, report: Report | None = None, *, again: bool = False) -> Path:
    """Write everything that is known of a study as one HTML page that needs nothing else, and return where it is.

    Parameters
    ----------
    path : `report.html` in the study's folder unless given
    report : called with (done, total, what)
    again : write the page even if the one that is there was made from the same study
    """
    path = path or study.root / REPORT_NAME
    state = state_of(study)
    if not again and _is_current(path, state):
        if report:
            report(1, 1, "unchanged")
        return path
    write_whole(path, page(study, state, report).encode("utf-8"))
    return path


def page(study: Study, state: str = "", report: Report | None = None) -> str:
    """The page as text; `state` is what `state_of` says."""
    alignments, measurements = study.alignments(), study.measurements()
    table = sample_table(measurements, study.sheet)
    total, done = len(alignments) + 1, 0

    def tell(what: str) -> None:
        nonlocal done
        done += 1
        if report:
            report(done, total, what)

    truth = score(study) if has_truth(study) else None
    files, model = measured(study, table), modelled(study, measurements)
    drawn = figures(study, alignments, truth.pairs if truth else None, tell)
    text = _environment().get_template("report.html").render(
        study=study, sheet=study.sheet, state=state, version=own_version(),
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", light=variables(dark=False), dark=variables(dark=True),
        sizes=type_variables(), font=FONT, facts=headline(files, drawn, table, model, truth), files=files, figures=drawn,
        tables=tables(measurements, table), singles=singles(measurements), model=model, score=truth,
        thickness=thickness_chart(study, measurements, truth.values if truth else None))
    tell("written")
    return text


def headline(files: Measured, drawn: tuple[Figure, ...], table: pd.DataFrame, model: Modelled,
             truth: Score | None) -> list[tuple[str, str]]:
    """(number, what it counts): the answer first."""
    samples = sum(len(group.rows) for group in files.groups)
    facts = [(str(samples), "samples"), (str(files.acquisitions), f"acquisitions by {len(files.techniques)} techniques")]
    if drawn:
        facts.append((f"{sum(f.kind == 'ok' for f in drawn)} of {len(drawn)}", "registrations accepted"))
    for name, what in (("sei_thickness", "samples with a thickness of the SEI"),
                       ("ce_mean", "samples with a coulombic efficiency")):
        if name in table:
            facts.append((f"{int(table[name].notna().sum())} of {samples}", what))
    if not model.refused:
        facts.append((model.facts[0].where.partition(",")[0], f"skill of the model: {model.word}"))
    if truth is not None:
        judged = [check for check in truth.checks if check.passed is not None]
        facts.append((f"{sum(bool(c.passed) for c in judged)} of {len(judged)}", "checks against the truth hold"))
    return facts


def state_of(study: Study) -> str:
    """Changes when anything changes that the page shows: sheet, units of the store, truth, program."""
    rows = study.store.catalogue()
    units = sorted(zip(rows["unit"], rows["version"], strict=True)) if len(rows) else []
    truth = [[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in sorted((study.root / FOLDER).glob("*.json"))]
    sheet = (study.root / FILE_NAME).read_text(encoding="utf-8")
    said = json.dumps([own_version(), sheet, units, truth])
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def _is_current(path: Path, state: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return f'content="{state}"'.encode() in file.read(HEAD_BYTES)


def _environment() -> Environment:
    found = Environment(loader=PackageLoader("correlate"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                        lstrip_blocks=True)
    found.filters["magnitude"] = magnitude
    return found
