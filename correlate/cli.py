"""The command line, as far as it needs no browser; `dashboards.command` adds `serve` and `demo` and is what is installed.

Exit codes: 0 all is well; 1 done, but something needs a look (a file that could not be read, a damaged unit); 2 the input
cannot be used, with one line that says why; 130 interrupted.

A command imports what it runs when it runs: readers, ITK and scikit-learn take seconds, and `--help` needs none of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from correlate import pair_commands
from correlate.arguments import LOOK, Again, Jobs, StudyFolder
from correlate.console import INTERRUPTED, Commands, out, progress, say, size, table
from correlate.numbers import magnitude
from datasets.errors import StudyError
from datasets.terms import ALIGNMENT_MODELS

if TYPE_CHECKING:
    from correlate.describe import Described
    from correlate.ingest import Imported
    from correlate.place import Placed
    from correlate.steady import Steadied

app = typer.Typer(cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  rich_markup_mode="rich", help="Correlative data fusion for the interphases of metal electrodes.")


@app.command()
def phantom(folder: Annotated[Path, typer.Argument(metavar="DIR", help="where the study is made")],
            samples: Annotated[int, typer.Option(min=1, help="how many electrodes")] = 24,
            seed: Annotated[int, typer.Option(help="the same seed gives the same study")] = 1, jobs: Jobs = None) -> int:
    """Make a virtual study with known truth, as instrument files."""
    from datasets.phantom import make_study

    with progress("making a virtual study") as report:
        root = make_study(folder, samples=samples, seed=seed, jobs=jobs or 2, progress=report)
    say(f"{escape(str(root))}: {samples} synthetic samples; go on with: correlate import {escape(str(root))}")
    return 0


@app.command()
def init(folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="folder with instrument files, sorted or not")],
         jobs: Jobs = None) -> int:
    """Draft a study.toml by looking at the files below a folder."""
    return _drafted(folder, jobs)


@app.command()
def read(file: Annotated[Path, typer.Argument(metavar="FILE")],
         as_json: Annotated[bool, typer.Option("--json", help="print the figures as JSON, see docs/read-json.md")] = False,
         technique: Annotated[str | None, typer.Option(help="where the file does not tell")] = None,
         axes: Annotated[list[str] | None, typer.Option("--axis", metavar="DIM=STEP UNIT",
                                                        help="calibrate an axis, as --axis 'x=0.2 nm'")] = None) -> int:
    """Show what a file holds, as the readers understand it."""
    from correlate.summary import file_summary
    from correlate.survey import acquisition_lines

    found = file_summary(file, technique=technique, axes=dict(_axis_scale(text) for text in axes or ()))
    if as_json:
        out.file.write(json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        return 0
    for number, acquisition in enumerate(found):
        for line in acquisition_lines(number, acquisition):
            out.print(line)
    return 0


@app.command("import")
def import_(study: Annotated[Path, typer.Argument(metavar="STUDY", help="folder with a study.toml, or one to draft it for")],
            jobs: Jobs = None, again: Again = False) -> int:
    """Read every file of the sheet that is new or has changed into the store; without a sheet, draft one first."""
    from correlate.ingest import import_files
    from correlate.study import Study
    from datasets.sheet import FILE_NAME

    if study.is_dir() and not (study / FILE_NAME).exists():
        return _drafted(study, jobs)
    opened = Study(study)
    with progress("importing") as report:
        done = import_files(opened, jobs=jobs, report=report, again=again)
    return told_imports(done)


@app.command()
def align(study: StudyFolder, sample: Annotated[str | None, typer.Option(help="only this sample")] = None,
          pair: Annotated[list[str] | None, typer.Option(metavar="MOVING:FIXED", help="only these, of the plan or not")] = None,
          model: Annotated[str | None, typer.Option(help=f"instead of the sheet's: {', '.join(ALIGNMENT_MODELS)}")] = None,
          jobs: Jobs = None, again: Again = False) -> int:
    """Place the images and maps of each sample in one frame, with an error and a verdict for each pair."""
    from correlate.pairs import named_pair, planned_pairs
    from correlate.place import align_study
    from correlate.steady import steadied
    from correlate.study import Study

    opened = Study(study)
    if model is not None and model not in ALIGNMENT_MODELS:
        raise StudyError(f"unknown model {model!r}, expected one of {', '.join(ALIGNMENT_MODELS)}")
    if sample is not None:
        opened.require_sample(sample)
    plan = planned_pairs(opened, opened.by_sample()) if pair else []
    named = [named_pair(opened, text, plan) for text in pair or ()]
    with progress("aligning") as report:
        done = align_study(opened, jobs=jobs, report=report, again=again, sample=sample, pairs=named, model=model)
    told_drifts(steadied(opened, sample))
    return told_pairs(done)


app.add_typer(pair_commands.landmarks, name="landmarks")
for command in (pair_commands.accept, pair_commands.reject, pair_commands.candidates, pair_commands.frames):
    app.command()(command)


@app.command()
def describe(study: StudyFolder, jobs: Jobs = None, again: Again = False) -> int:
    """Measure every descriptor of every acquisition."""
    from correlate.describe import describe_study
    from correlate.study import Study

    with progress("describing") as report:
        done = describe_study(Study(study), jobs=jobs, report=report, again=again)
    return told_descriptions(done)


@app.command()
def fit(study: StudyFolder, again: Again = False) -> int:
    """Relate structure to coulombic efficiency, tried on electrolytes left out."""
    from correlate.fit import fit_study
    from correlate.study import Study

    with progress("fitting"):
        result = fit_study(Study(study), again=again)
    return told_model(result)


@app.command()
def report(study: StudyFolder, out_file: Annotated[Path | None, typer.Option("--out", metavar="FILE",
                                                                             help="STUDY/report.html unless given")] = None,
           again: Again = False) -> int:
    """Write one self-contained page: what was measured, where it lies, what it says; a virtual study against its truth."""
    from correlate.report import write_report
    from correlate.study import Study

    with progress("reporting") as tell:
        path = write_report(Study(study), out_file, tell, again=again)
    say(f"written: {escape(str(path))}")
    return 0


@app.command()
def status(study: StudyFolder) -> int:
    """Say what a study holds and what must be made again."""
    from correlate.study import Study
    from correlate.survey import study_lines

    for line in study_lines(Study(study)):
        out.print(line)
    return 0


@app.command()
def verify(study: StudyFolder) -> int:
    """Check every published byte against its checksum and name all that is damaged."""
    from datasets.store import Store

    store = Store(study)
    with progress("verifying") as report:
        found = store.verify(lambda fraction: report(round(100 * fraction), 100, "%"))
    damages = [d for d in found if not d.is_note]
    if found:
        table("", ("what", "unit", "version", "where and what to do"),
              [(d.what + (" (note)" if d.is_note else ""), d.unit, d.version, d.message) for d in found])
    notes = f", {len(found) - len(damages)} notes" if len(found) > len(damages) else ""
    say(f"{len(store.units())} units: " + (f"[bold red]{len(damages)} damages[/]" if damages else "[green]sound[/]") + notes)
    return LOOK if damages else 0


@app.command()
def history(study: StudyFolder, unit: Annotated[str | None, typer.Argument(help="one unit; all unless given")] = None) -> int:
    """List the versions of a unit with what each was made from, or the newest version of all units."""
    from datasets.store import Store

    store = Store(study)
    if unit is None:
        rows = [(v.unit, v.version, v.kind, v.created, size(v.nbytes)) for u in store.units() if (v := store.current(u))]
        table("", ("unit", "newest version", "kind", "made", "size"), rows, right=("size",))
        return 0
    versions = store.history(unit)
    if not versions:
        raise StudyError(f"{study}: no unit {unit!r}; `correlate history {study}` lists them")
    for version in versions:
        parents = ", ".join(f"{p} {v}" for p, v in version.parents.items()) or version.attrs.get("source", {}).get("path", "")
        made_from = f"  from {parents}" if parents else ""
        out.print(f"[bold]{version.version}[/]  {version.created}  {size(version.nbytes)}{made_from}")
        for step in version.attrs.get("history", []):
            out.print(f"    {escape(step_text(step))}")
    return 0


@app.command()
def gc(study: StudyFolder, keep: Annotated[int, typer.Option(min=1, help="versions of each unit to keep")] = 1,
       dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would go, remove nothing")] = False) -> int:
    """Remove versions that nothing needs and what interrupted writers left."""
    from datasets.store import Store

    removed = Store(study).gc(keep=keep, dry_run=dry_run)
    for name, version in removed.versions:
        out.print(f"{name} {version}")
    for path in removed.unfinished:
        out.print(path)
    count = len(removed.versions) + len(removed.unfinished)
    say(f"{'would remove' if dry_run else 'removed'} {count} things, {size(removed.nbytes)}")
    return 0


def step_text(step: Mapping[str, Any]) -> str:
    """One step of an acquisition's history: what was done, with which parameters."""
    parameters = ", ".join(f"{k} {v}" for k, v in step.get("parameters", {}).items())
    return f"{step['what']}" + (f": {parameters}" if parameters else "") + f" (correlate {step['version']})"


def told_imports(done: list[Imported], *, notes: bool = True) -> int:
    """Print what became of each file that needs a word, and the sum; without `notes`, only how many there are."""
    failed = [d for d in done if d.status == "failed"]
    for d in failed:
        say(f"[bold red]not read[/] {escape(d.path)}: {escape(d.message)}")
    warned = [d for d in done if d.warnings]
    for d in warned if notes else ():
        for warning in d.warnings:
            say(f"[yellow]note[/] {escape(d.path)}: {escape(warning)}")
    fresh = [d for d in done if d.status == "imported"]
    seconds = sum(d.seconds for d in fresh)
    volume = sum(d.nbytes for d in fresh)
    rate = f" ({size(volume)} raw, {size(volume / seconds)}/s per process)" if seconds else ""
    say(f"{len(fresh)} files imported{rate}, {len(done) - len(fresh) - len(failed)} unchanged, {len(failed)} not read, "
        f"{len(warned)} with notes")
    return LOOK if failed else 0


def told_pairs(done: list[Placed], *, listed: bool = True) -> int:
    """Print the verdict on every pair, and the sum."""
    from registration.frames import STATUS_OF

    marks = {"good": "good", "doubtful": "doubtful: look at it", "failed": "failed: not used"}
    decided = {"accepted": "accepted by a person", "rejected": "rejected by a person"}
    usual = {str(verdict): status for verdict, status in STATUS_OF.items()}
    rows = [(p.pair.moving, p.pair.fixed,
             marks.get(p.verdict, p.verdict) if usual.get(p.verdict) == p.status else f"{p.verdict}, {decided.get(p.status)}",
             magnitude(p.error_nm, "nm"), "; ".join(p.reasons)) for p in done]
    if listed:
        table("", ("moving", "fixed", "verdict", "95 % error", "why"), rows, right=("95 % error",))
    counts = {v: sum(p.verdict == v for p in done) for v in ("good", "doubtful", "failed")}
    say(f"{len(done)} pairs: " + ", ".join(f"{n} {v}" for v, n in counts.items()))
    return 0


def told_drifts(done: list[Steadied]) -> None:
    """Print how far every movie drifted."""
    for s in done:
        far = "no drift found" if math.isnan(s.travel_nm) else (
            f"drifted by {magnitude(s.travel_nm, 'nm')}, each frame known to {magnitude(s.std_nm, 'nm', digits=2)}")
        say(f"{escape(s.unit)}: {far}; {s.kept} of {s.frames} frames used" + (f" ({escape(s.reason)})" if s.reason else ""))


def told_descriptions(done: list[Described]) -> int:
    """Print how many numbers were measured and how many could not be."""
    known, unknown = sum(d.known for d in done), sum(d.unknown for d in done)
    say(f"{known} values of {len(done)} samples; {unknown} could not be known, each with its reason (see the report)")
    return 0


def told_model(result: dict[str, object]) -> int:
    """Print how well the model did on electrolytes it had not seen, or why there is none."""
    if "refused" in result:
        say(f"no model: {escape(str(result['refused']))}")
        return 0
    skill, coverage = result["skill"], result["coverage"]
    assert isinstance(skill, dict)
    assert isinstance(coverage, dict)
    say(f"log CE of unseen electrolytes: skill {skill['value']:.2f} over their mean (90 %: {skill['low']:.2f} to "
        f"{skill['high']:.2f}), from {result['samples']} samples of {result['groups']} electrolytes; {coverage['nominal']:.0%} "
        f"intervals held {coverage['measured']:.0%}")
    return 0


def _drafted(folder: Path, jobs: int | None) -> int:
    from correlate.draft import draft_study, write_draft
    from datasets.errors import printable

    try:
        with progress("looking at files") as report:
            draft = draft_study(folder, jobs=jobs, report=report)
    except KeyboardInterrupt:
        say("[yellow]interrupted[/]: nothing was written; the same command looks at the files anew")
        return INTERRUPTED
    path = write_draft(draft, folder)
    for item in draft.left_out:
        say(f"[yellow]left out[/] {escape(printable(item.path))}: {escape(printable(item.why))}")
    say(f"{escape(str(path))}: {len(draft.sheet.files)} files of {len(draft.sheet.samples)} samples, "
        f"{len(draft.left_out)} left out, {len(draft.passed)} passed over")
    say(f"it holds guesses: read it, correct it, then: correlate import {escape(str(folder))}")
    return 0


def _axis_scale(text: str) -> tuple[str, tuple[float, str]]:
    dim, _, scale = text.partition("=")
    step, _, unit = scale.strip().partition(" ")
    try:
        return dim.strip(), (float(step), unit.strip())
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not DIM=STEP UNIT, as 'x=0.2 nm'") from error

