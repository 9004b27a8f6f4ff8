"""The main job from nothing to a report, on the built-in virtual study; every stage resumes, and nothing is done twice."""

import time
from pathlib import Path

from rich.markup import escape

from correlate.cli import told_descriptions, told_imports, told_model, told_pairs
from correlate.console import duration, progress, say
from correlate.describe import describe_study
from correlate.fit import fit_study
from correlate.ingest import import_files
from correlate.place import align_study
from correlate.report import write_report
from correlate.score import score
from correlate.study import Study
from datasets.phantom import make_study


def run_demo(folder: Path, *, samples: int = 24, seed: int = 1, jobs: int | None = None) -> Study:
    """Make, import, align, describe, fit and report a virtual study; returns it, ready to be browsed."""
    started = time.perf_counter()
    with progress("1 of 6  making a virtual study") as report:
        make_study(folder, samples=samples, seed=seed, jobs=jobs or 2, progress=report)
    study = Study(folder)
    with progress("2 of 6  importing instrument files") as report:
        imported = import_files(study, jobs=jobs, report=report)
    told_imports(imported, notes=False)
    with progress("3 of 6  aligning images and maps") as report:
        placed = align_study(study, jobs=jobs, report=report)
    told_pairs(placed, listed=False)
    with progress("4 of 6  describing") as report:
        described = describe_study(study, jobs=jobs, report=report)
    told_descriptions(described)
    with progress("5 of 6  fitting structure to coulombic efficiency"):
        result = fit_study(study)
    told_model(result)
    with progress("6 of 6  reporting") as report:
        page = write_report(study, report=report)
    say(f"report: {escape(str(page.resolve()))}")
    say("against the truth:")
    for line in score(study).lines():
        say(f"  {escape(line)}")
    say(f"all stages done in {duration(time.perf_counter() - started)}; every number is synthetic")
    return study
