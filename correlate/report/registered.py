"""Registrations as pictures: each pair with its verdict, its error, and for the virtual study the true one."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from markupsafe import Markup

from correlate.field import field_image, flattened
from correlate.marks import marks_of
from correlate.numbers import length, magnitude
from correlate.pairs import IMAGES
from correlate.report.charts import ticks
from correlate.report.overlay import LONGEST_PX, Picture, overlay, thumbnail
from correlate.steady import counted_along
from correlate.study import Acquisition, Study
from datasets.sheet import Pair
from datasets.techniques import TECHNIQUES
from registration.saved import read_transform

KIND = {"good": "ok", "doubtful": "warn", "failed": "bad"}
WORD = {"good": "accepted", "doubtful": "proposed", "failed": "not placed"}
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Figure:
    """One pair: `kind` is ok, warn or bad; `pictures` is an overlay, or both images apart where there is no pose to show."""

    sample: str
    title: str
    kind: str
    word: str
    error: str
    true_error: str
    reasons: tuple[str, ...]
    pictures: tuple[Markup, ...]


def figures(study: Study, alignments: pd.DataFrame, truth: pd.DataFrame | None, tell: Tell) -> tuple[Figure, ...]:
    """A figure per registration, in the order of the samples; `truth` is the table of pairs of a `Score`."""
    acquisitions = {a.unit: a for a in study.acquisitions()}
    true = {str(row["unit"]): row for row in truth.to_dict("records")} if truth is not None else {}
    order = {name: i for i, name in enumerate(study.sheet.samples)}
    kept: dict[str, xr.DataArray] = {}  # the fixed image of a sample serves all its pairs
    found = []
    for row in sorted(alignments.to_dict("records"), key=lambda r: (order.get(r["sample"], len(order)), r["unit"])):
        fixed, moving = (acquisitions.get(str(row[end])) for end in ("fixed", "moving"))
        if fixed is not None and moving is not None:
            if fixed.unit not in kept:
                kept = {fixed.unit: shown_image(study, fixed)}
            found.append(_figure(study, row, fixed, moving, kept[fixed.unit], true.get(str(row["unit"]))))
        tell(f"overlay {row['moving']}")
    return tuple(found)


def shown_image(study: Study, a: Acquisition) -> xr.DataArray:
    """The (y, x) image by which an acquisition was registered, from a coarser level where a picture needs no more."""
    if a.technique not in IMAGES or counted_along(a):
        return field_image(study, a).load()
    levels = study.store.levels(a.unit)
    image = next((level for level in reversed(levels) if max(level.shape[-2:]) >= 2 * LONGEST_PX), levels[0])
    return flattened(image).load()


def _figure(study: Study, row: Mapping[Any, Any], fixed: Acquisition, moving: Acquisition, still: xr.DataArray,
            true: Mapping[Any, Any] | None) -> Figure:
    synthetic = study.sheet.synthetic
    names = [TECHNIQUES[a.technique].short if a.technique in TECHNIQUES else a.technique for a in (moving, fixed)]
    moved = shown_image(study, moving)
    verdict, status = str(row["verdict"]), str(row["status"])
    apart = row["transform"] is None or (verdict == "failed" and status != "accepted")
    marks = marks_of(study, Pair(fixed.unit, moving.unit)) if row["landmarks"] else None
    pictures = ([thumbnail(still), thumbnail(moved)] if apart else
                [overlay(still, moved, read_transform(row["transform"]), marks.landmarks if marks else None)])
    labels = [""] if len(pictures) == 1 else [names[1], names[0]]
    title = f"{names[0]} on {names[1]}"
    drawn = tuple(drawing(p, f"{row['sample']}: {label or title}", dashed=status != "accepted", synthetic=synthetic,
                          label=label) for p, label in zip(pictures, labels, strict=True))
    reasons = tuple(str(r) for r in row["reasons"])
    facts = ["bent" if "matrix" not in (row["transform"] or {"matrix": 0}) else "",
             f"{row['landmarks']} landmarks" if row["landmarks"] else ""]
    return Figure(str(row["sample"]), title, *_standing(row), "" if apart else ", ".join(filter(None, [_error(row), *facts])),
                  _true_error(true), (*_decision(row), *reasons), drawn)


def _standing(row: Mapping[Any, Any]) -> tuple[str, str]:
    """Kind and word of a registration: what the images say, unless a person has decided."""
    if row["decision"]:
        return ("ok", "accepted by a person") if row["status"] == "accepted" else ("bad", "rejected by a person")
    verdict = str(row["verdict"])
    return KIND.get(verdict, "bad"), WORD.get(verdict, verdict)


def _decision(row: Mapping[Any, Any]) -> tuple[str, ...]:
    if not row["decision"]:
        return ()
    why = f": {row['decision']['why']}" if row["decision"]["why"] else ""
    return (f"{row['status']} by {row['decision']['by']}{why}; the images say {row['verdict']}",)


def drawing(picture: Picture, says: str, *, dashed: bool, synthetic: bool, label: str) -> Markup:
    """A picture as SVG with the outline of the moving field, a scale bar and a label."""
    data = base64.b64encode(picture.jpeg).decode("ascii")
    longest = LONGEST_PX if picture.outline else LONGEST_PX // 2  # so that letters have one size in all pictures
    scale = longest / max(picture.width, picture.height)
    w, h = round(scale * picture.width), round(scale * picture.height)
    parts = [Markup('<image width="{}" height="{}" href="data:image/jpeg;base64,{}"/>').format(w, h, data)]
    if picture.outline:
        points = " ".join(f"{scale * x:.1f},{scale * y:.1f}" for x, y in picture.outline)
        look = "outline dashed" if dashed else "outline"
        parts.append(Markup('<polygon class="halo" points="{0}"/><polygon class="{1}" points="{0}"/>').format(points, look))
    for (x, y), (u, v) in picture.marks:
        parts.append(Markup('<line class="miss" x1="{0:.1f}" y1="{1:.1f}" x2="{2:.1f}" y2="{3:.1f}"/>'
                            '<circle class="mark" cx="{0:.1f}" cy="{1:.1f}" r="3.5"/>').format(
                                scale * x, scale * y, scale * u, scale * v))
    if np.isfinite(picture.pixel_nm):
        pixel_nm = picture.pixel_nm / scale
        nm = ticks(0.0, 0.4 * w * pixel_nm, 2)[-1]
        bar, right = nm / pixel_nm, w - 8
        parts.append(Markup('<line class="scale-halo" x1="{0:.1f}" y1="{2}" x2="{1:.1f}" y2="{2}"/>'
                            '<line class="scale" x1="{0:.1f}" y1="{2}" x2="{1:.1f}" y2="{2}"/>'
                            '<text class="on" x="{1:.1f}" y="{3}" text-anchor="end">{4}</text>').format(
                                right - bar, right, h - 8, h - 14, f"{nm:g}\u00a0nm" if nm < 1e3 else length(nm)))
    if label:
        parts.append(Markup('<text class="on" x="7" y="16">{}</text>').format(label))
    if synthetic:
        parts.append(Markup('<text class="on" x="7" y="{}">synthetic</text>').format(h - 8))
    return Markup('<svg class="picture" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        w, h, says, Markup("").join(parts))


def _error(row: Mapping[Any, Any]) -> str:
    if row["error_nm"] is None:
        return "error not known"
    nm = float(row["error_nm"])
    if nm == 0:
        return str(row["method"])
    return f"±{magnitude(nm, 'nm', digits=2)}, {magnitude(nm / float(row['coarser_pixel_nm']), 'pixel', digits=2)}"


def _true_error(true: Mapping[Any, Any] | None) -> str:
    if true is None:
        return ""
    if not true["common"]:
        return "truly another place" if np.isfinite(true["overlap"]) else ""
    if not np.isfinite(true["error_px"]):
        return "no pose to compare"
    what = "the refused pose was off by" if true["verdict"] == "failed" else "true error"
    return f"{what} {magnitude(true['error_nm'], 'nm', digits=2)}, {magnitude(true['error_px'], 'pixel', digits=2)}"
