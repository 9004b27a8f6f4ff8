"""Commands about single registrations: landmarks out and in, a person's decision, and frames for other programs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from correlate.arguments import LOOK, PairOf, StudyFolder, Why
from correlate.console import out, say, table
from correlate.numbers import magnitude
from datasets.errors import StudyError

if TYPE_CHECKING:
    from correlate.study import Study
    from datasets.sheet import Pair

landmarks = typer.Typer(no_args_is_help=True, rich_markup_mode="rich",
                        help="Places that a person marks in both images of a pair.")


@landmarks.command("export")
def export(study: StudyFolder, pair: PairOf, folder: Annotated[Path | None, typer.Option(
        "--out", metavar="DIR", help="STUDY/landmarks/... unless given")] = None) -> int:
    """Write both images as PNG and a CSV to fill in with the pixels of places that show in both."""
    from correlate.field import field_image
    from correlate.marks import default_folder, export_landmarks
    from correlate.study import Study

    opened = Study(study)
    chosen = _pair(opened, pair)
    ends = [a for unit in (chosen.moving, chosen.fixed) if (a := opened.acquisition(unit)) is not None]
    images = {a.unit: field_image(opened, a).load() for a in ends}
    path = export_landmarks(opened, chosen, images, folder or default_folder(opened, chosen))
    say(f"written: {escape(str(path))}; a row for every place: its pixel (row, column, counted from 0) in moving.png "
        f"({escape(chosen.moving)}) and in fixed.png ({escape(chosen.fixed)})")
    say(f"then: correlate landmarks import {escape(str(study))} {escape(chosen.moving)}:{escape(chosen.fixed)} "
        f"{escape(str(path))}")
    return 0


@landmarks.command("import")
def import_(study: StudyFolder, pair: PairOf, file: Annotated[Path, typer.Argument(metavar="CSV")],
            std_nm: Annotated[float | None, typer.Option("--std-nm", help="standard deviation of a mark, if known")] = None
            ) -> int:
    """Check the landmarks of a CSV and keep them; the next `align` uses them for this pair and redoes only it."""
    from correlate.marks import import_landmarks
    from correlate.study import Study

    opened = Study(study)
    chosen = _pair(opened, pair)
    fit = import_landmarks(opened, chosen, file, std_nm)
    if fit is None:
        say(f"the landmarks of {escape(chosen.moving)} and {escape(chosen.fixed)} are withdrawn")
        return 0
    scatter = f", scattering by {magnitude(fit.localisation_nm, 'nm', digits=2)}" if fit.localisation_nm > 0 else ""
    say(f"{len(fit.landmarks)} landmarks kept; by themselves they give a {fit.transform.model} transform{scatter}")
    for remark in fit.remarks:
        say(f"[yellow]note[/] {escape(remark)}")
    say(f"then: correlate align {escape(str(study))}")
    return LOOK if fit.suspects else 0


def accept(study: StudyFolder, pair: PairOf,
           candidate: Annotated[int | None, typer.Option(min=1, help="a rival pose, as `candidates` numbers it")] = None,
           why: Why = "") -> int:
    """Use a registration that was called doubtful, or a rival pose of it, from now on."""
    from correlate.decide import accept as accept_pair
    from correlate.study import Study

    opened = Study(study)
    done = accept_pair(opened, _pair(opened, pair), candidate, why)
    error = f", 95 % error {magnitude(done.error_nm, 'nm')}"
    say(f"{escape(done.pair.moving)} to {escape(done.pair.fixed)} is used from now on (by the images: {done.verdict}{error})")
    return 0


def reject(study: StudyFolder, pair: PairOf, why: Why = "") -> int:
    """Use a registration no more, whatever its verdict."""
    from correlate.decide import reject as reject_pair
    from correlate.study import Study

    opened = Study(study)
    done = reject_pair(opened, _pair(opened, pair), why)
    say(f"{escape(done.pair.moving)} to {escape(done.pair.fixed)} is not used from now on")
    return 0


def candidates(study: StudyFolder, pair: PairOf) -> int:
    """List the rival poses of a registration, to be picked by `accept --candidate`."""
    from correlate.study import Study

    opened = Study(study)
    chosen = _pair(opened, pair)
    record = next((r for r in opened.records().values() if (r["moving"], r["fixed"]) == (chosen.moving, chosen.fixed)), None)
    if record is None:
        raise StudyError(f"{chosen.moving} to {chosen.fixed} was not aligned yet")
    poses = [(0, record["metrics"].get("evidence_middle"), record["transform"]),
             *((n, c["evidence"], c["transform"]) for n, c in enumerate(record.get("candidates") or (), 1))]
    rows = []
    for number, evidence, transform in poses:
        if transform is None or "matrix" not in transform:
            continue
        (a, b, c), (d, e, f) = transform["matrix"]
        turn, scale = _turn_and_scale((a, b), (d, e))
        rows.append((number or "found", "" if evidence is None else f"{evidence:.1f}", f"{turn:.1f}°", f"{scale:.3f}",
                     f"{c:.4g}, {f:.4g} nm"))
    table("", ("pose", "evidence", "turned by", "scale", "shift y, x"), rows, right=("evidence", "turned by", "scale"))
    return 0


def frames(study: StudyFolder, sample: Annotated[str | None, typer.Option(help="only this sample")] = None,
           ngff: Annotated[Path | None, typer.Option("--ngff", metavar="DIR", help="write OME-NGFF, DIR/SAMPLE.zarr")] = None
           ) -> int:
    """Show how each image reaches its sample's reference frame; write the transforms for other programs."""
    from correlate.framed import framed, write_ngff
    from correlate.study import Study

    opened = Study(study)
    known = opened.sheet.samples
    if sample is not None:
        opened.require_sample(sample)
    rows = [(f.unit, f.reference, ", ".join(f.through) or ("itself" if f.unit == f.reference else ""),
             magnitude(f.std_nm, "nm"), f.why) for name in ([sample] if sample else known) for f in framed(opened, name)]
    table("", ("image", "reference", "by way of", "error (1σ)", "why not"), rows, right=("error (1σ)",))
    for name in ([sample] if sample else known) if ngff else ():
        assert ngff is not None
        if sample or any(e.status == "accepted" for e in opened.frames(name).edges):
            out.print(str(write_ngff(opened, name, ngff)))
    return 0


def _pair(study: Study, text: str) -> Pair:
    from correlate.pairs import named_pair, planned_pairs

    return named_pair(study, text, planned_pairs(study, study.by_sample()))


def _turn_and_scale(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    """Angle (degrees, from y towards x) and linear magnification of a matrix of two rows."""
    (a, b), (d, e) = first, second
    return math.degrees(math.atan2(d - b, a + e)), math.sqrt(abs(a * e - b * d))
