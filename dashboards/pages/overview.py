"""Overview: which sample was seen by which technique, how well it is placed, and what came of it."""

from collections.abc import Iterable
from math import isfinite, log10
from typing import Any

import pandas as pd
from dash import dcc, html
from dash.development.base_component import Component

from correlate.numbers import with_error
from correlate.study import Acquisition
from dashboards.pages.shell import empty, error_text, frame, icon, sample_address, tag, unit_label, verdict
from dashboards.source import Place, Source
from datasets.conditions import DOSE_LIMIT_E_PER_A2
from datasets.sheet import Sample
from datasets.technique import Technique
from datasets.techniques import TECHNIQUES

AT_MOST_LOOKS = 12
HEAD_PX, CELL_PX = 308, 56
"""Width of sample and outcome, and of a technique: with many of them the matrix scrolls sideways under its first column."""
FINE_NM, FAIR_NM = 40.0, 150.0
"""95 % errors up to which a cell is tinted strongly and less strongly."""
DOSE_FULL = DOSE_LIMIT_E_PER_A2["lithium metal"]


def page(source: Source) -> Component:
    """The evidence matrix with outcome, and what needs a look."""
    acquisitions = source.acquisitions()
    return frame(source.sheet, "Overview", "Evidence", _body(source, acquisitions))


def _body(source: Source, acquisitions: list[Acquisition]) -> Component:
    sheet = source.sheet
    if not sheet.samples:
        return empty("No samples yet", "The study sheet names no sample.", "correlate init FOLDER")
    if not acquisitions:
        return empty(
            "Nothing has been imported yet",
            f"The study sheet names {len(sheet.samples)} samples and {len(sheet.files)} files.",
            f"correlate import {source.study.root.name}",
        )
    used = {a.technique for a in acquisitions}
    techniques = [t for name, t in TECHNIQUES.items() if name in used]
    efficiencies = efficiency_of(source.table())
    span = _ce_span(efficiencies.values())
    rows: list[Component] = []
    for group, samples in _groups(sheet.samples.values()).items():
        rows.append(_group_row(group, samples, len(techniques) + 2))
        rows += [
            _sample_row(source, s, [a for a in acquisitions if a.sample == s.name], techniques, efficiencies, span)
            for s in samples
        ]
    matrix = html.Div(
        html.Table(
            [html.Thead(_head(techniques, span)), html.Tbody(rows)],
            className="matrix",
            style={"minWidth": f"{HEAD_PX + CELL_PX * len(techniques)}px"},
        ),
        className="card scroll",
    )
    looks = list(_needs_a_look(source, acquisitions))
    return html.Div(
        [
            html.Section(
                [
                    html.Div([html.H2("Evidence"), html.P(_summary(source, acquisitions, techniques))], className="page-head"),
                    matrix,
                    _legend(),
                ],
                className="left",
            ),
            html.Aside(
                html.Section(
                    [
                        html.Header(
                            [html.H2("Needs a look"), html.Span(str(len(looks)) if looks else "nothing", className="note")]
                        ),
                        html.Ul(looks[:AT_MOST_LOOKS]),
                        *(
                            [html.P(f"and {len(looks) - AT_MOST_LOOKS} more", className="note")]
                            if len(looks) > AT_MOST_LOOKS
                            else []
                        ),
                    ],
                    className="card looks",
                ),
                className="right",
            ),
        ],
        className="overview",
    )


def efficiency_of(table: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Sample -> (CE in %, std in %), of samples whose CE is known."""
    if "ce_mean" not in table:
        return {}
    std = table["ce_mean_std"] if "ce_mean_std" in table else pd.Series(float("nan"), index=table.index)
    found = zip(table["sample"], 100 * table["ce_mean"], 100 * std, strict=True)
    return {str(s): (float(v), float(e)) for s, v, e in found if isfinite(v)}


# the matrix


def _groups(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.group or sample.electrolyte or "electrolyte not stated", []).append(sample)
    return found


def _head(techniques: list[Technique], span: tuple[float, float]) -> Component:
    ticks = [html.I(f"{tick:g}", style={"left": f"{_share(tick, span):.1f}%"}) for tick in _ticks(span)]
    columns = [html.Th(html.B(t.short), className=f"tc f-{t.family}", title=t.title, scope="col") for t in techniques]
    return html.Tr(
        [
            html.Th("Sample", scope="col", className="id"),
            html.Th([html.Span("CE, %"), html.Div(ticks, className="ce-axis")], scope="col", className="ce-head"),
            *columns,
        ]
    )


def _group_row(group: str, samples: list[Sample], columns: int) -> Component:
    electrolyte = samples[0].electrolyte
    metals = ", ".join(sorted({s.metal for s in samples if s.metal}))
    return html.Tr(
        html.Th(
            [
                html.B(group),
                html.Span(electrolyte if electrolyte != group else ""),
                html.Em(f"{metals + ', ' if metals else ''}n = {len(samples)}"),
            ],
            colSpan=columns,
            scope="colgroup",
        ),
        className="group",
    )


def _sample_row(
    source: Source,
    sample: Sample,
    own: list[Acquisition],
    techniques: list[Technique],
    efficiencies: dict[str, tuple[float, float]],
    span: tuple[float, float],
) -> Component:
    _, places = source.places(sample.name)
    cells = [html.Td(_cell(sample.name, t, [a for a in own if a.technique == t.name], places)) for t in techniques]
    cycle = sample.conditions.get("cycle")
    name = [html.B(sample.name), html.Span(f"cycle {cycle:g}" if isinstance(cycle, int | float) else "")]
    return html.Tr(
        [
            html.Th(dcc.Link(name, href=sample_address(sample.name)), scope="row", className="id"),
            html.Td(_efficiency(efficiencies.get(sample.name), span)),
            *cells,
        ]
    )


def _cell(sample: str, technique: Technique, own: list[Acquisition], places: dict[str, Place]) -> Component:
    if not own:
        return html.Span("·", className="mc nil", title="not measured")
    best = min(own, key=lambda a: _rank(places.get(a.unit)))
    text, look, says = _what(best, places.get(best.unit))
    more = f" ×{len(own)}" if len(own) > 1 and look != "area" else ""
    title = f"{technique.title}: {says}" + (f"; {len(own)} acquisitions" if len(own) > 1 else "")
    if look == "area":
        text = f"{len(own)} ×" if len(own) > 1 else "✓"
    mark = [icon("octagon-x", "s")] if look == "bad" else []
    return dcc.Link(
        [*mark, html.B(text + more), html.S(_dose(best))],
        href=sample_address(sample, best.unit),
        title=title,
        className=f"mc {look} f-{technique.family}",
    )


def _rank(place: Place | None) -> tuple[int, float]:
    order = {"reference": 0, "placed": 1, "proposed": 2, "rejected": 3, "none": 4}
    return (order[place.status], place.error_nm if isfinite(place.error_nm) else 1e9) if place else (5, 0.0)


def _what(a: Acquisition, place: Place | None) -> tuple[str, str, str]:
    """(text, look, sentence) of a matrix cell."""
    if place is None:
        if {"y", "x"} <= set(a.dims):
            return "no scale", "alone", "the file states no pixel size, so it cannot be placed"
        return "", "area", "speaks for its whole area, not for a pixel"
    error = error_text(place.error_nm)
    if place.status == "reference":
        return "ref", "q3", "reference frame of the sample"
    if place.status == "placed":
        tint = "q3" if place.error_nm <= FINE_NM else "q2" if place.error_nm <= FAIR_NM else "q1"
        return error, tint, f"placed, 95 % error {error} nm"
    if place.status == "proposed":
        return f"{error}?", "proposed", "registration is doubtful: " + "; ".join(place.reasons)
    if place.status == "rejected":
        return "failed", "bad", "registration failed: " + "; ".join(place.reasons)
    return "alone", "alone", "measured, not registered to another field"


def _dose(a: Acquisition) -> list[Component]:
    dose = a.conditions.get("dose_e_per_A2")
    if not isinstance(dose, int | float) or dose <= 0:
        return []
    share = min(1.0, max(0.03, log10(max(dose, 1.0)) / log10(DOSE_FULL)))
    return [html.U(className="over" if dose > DOSE_FULL else "", style={"width": f"{100 * share:.0f}%"})]


# coulombic efficiency on a shared axis, logarithmic in the loss


def _ce_span(found: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Losses (100 - CE, %) at the left and right end of the axis."""
    losses = [max(100 - v, 0.01) for v, _ in found] or [1.0, 10.0]
    return 1.5 * max(losses), min(losses) / 1.5


def _share(ce: float, span: tuple[float, float]) -> float:
    left, right = log10(span[0]), log10(span[1])
    return min(100.0, max(0.0, 100 * (left - log10(max(100 - ce, 1e-3))) / (left - right)))


def _ticks(span: tuple[float, float]) -> list[float]:
    inside = [ce for ce in (0.0, 50.0, 80.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.8, 99.9) if span[1] < 100 - ce < span[0]]
    kept: list[float] = []
    for ce in inside:
        if not kept or _share(ce, span) - _share(kept[-1], span) > 22:
            kept.append(ce)
    return kept


def _efficiency(found: tuple[float, float] | None, span: tuple[float, float]) -> Component:
    if found is None:
        return html.Div([html.Span(className="ce-track"), html.Span("no CE", className="ce-value muted")], className="ce")
    value, std = found
    low, high = (_share(value + sign * 2 * (std if isfinite(std) else 0.0), span) for sign in (-1, 1))
    grid = [html.I(style={"left": f"{_share(tick, span):.1f}%"}) for tick in _ticks(span)]
    digits = with_error(value, std, "", why="").partition("\u00a0±\u00a0")
    return html.Div(
        [
            html.Span(
                [
                    *grid,
                    html.U(style={"left": f"{low:.1f}%", "width": f"{high - low:.1f}%"}),
                    html.B(style={"left": f"{_share(value, span):.1f}%"}),
                ],
                className="ce-track",
            ),
            html.Span([digits[0], html.Em(f"±{digits[2]}" if digits[2] else "")], className="ce-value"),
        ],
        className="ce",
        title=f"Coulombic efficiency {with_error(value, std, '%')}, one standard deviation; line: two",
    )


# words around it


def _summary(source: Source, acquisitions: list[Acquisition], techniques: list[Technique]) -> list[Any]:
    samples = {a.sample for a in acquisitions}
    found = [p for s in samples for p in source.places(s)[1].values()]
    tried = [p for p in found if p.status in ("placed", "proposed", "rejected")]
    placed = [p.error_nm for p in tried if p.status == "placed" and isfinite(p.error_nm)]
    text: list[Any] = [
        html.B(str(len(samples))),
        " samples, ",
        html.B(str(len(acquisitions))),
        f" acquisitions by {len(techniques)} techniques. ",
    ]
    if not tried:
        return [*text, "Nothing has been registered yet: ", html.Code("correlate align"), "."]
    text += [html.B(str(len(placed))), f" of {len(tried)} registrations are placed"]
    if not placed:
        return [*text, "."]
    median = error_text(float(pd.Series(placed).median()))
    return [*text, ", median error ", html.B(f"{median} nm"), " (95 %)."]


def _needs_a_look(source: Source, acquisitions: list[Acquisition]) -> Iterable[Component]:
    technique = {a.unit: TECHNIQUES.get(a.technique, TECHNIQUES["unknown"]) for a in acquisitions}
    for sample in source.sheet.samples:
        for unit, place in source.places(sample)[1].items():
            if place.status == "rejected":
                yield _look("bad", "failed", sample, unit, technique[unit], "; ".join(place.reasons) or "registration failed")
            elif place.status == "proposed":
                yield _look(
                    "idle",
                    "proposed",
                    sample,
                    unit,
                    technique[unit],
                    "; ".join(place.reasons) or "registration waits for a person",
                )
    for a in acquisitions:
        if a.technique == "unknown":
            yield _look("warn", "unknown", a.sample, a.unit, technique[a.unit], "no technique recognises this signal")
        elif not a.is_placed_in_space and {"y", "x"} <= set(a.dims):
            yield _look(
                "warn", "no scale", a.sample, a.unit, technique[a.unit], "the file states no pixel size; say axes in the sheet"
            )
    for unit, parents in source.stale().items():
        yield html.Li(
            [verdict("warn", "stale"), html.Div([html.B(unit), html.Span(f"{', '.join(parents)} has a newer version")])]
        )


def _look(kind: str, word: str, sample: str, unit: str, technique: Technique, why: str) -> Component:
    return html.Li(
        [
            verdict(kind, word),
            dcc.Link(
                [html.B([f"{sample} ", tag(technique, unit_label(unit))]), html.Span(why)], href=sample_address(sample, unit)
            ),
        ]
    )


def _legend() -> Component:
    def key(look: str, text: str, meaning: str, dose: str = "") -> Component:
        bar = [html.U(style={"width": dose})] if dose else []
        return html.Span([html.Span([html.B(text), html.S(bar)], className=f"mc f-image {look}"), meaning])

    return html.Div(
        [
            key("q3", "±31", "placed: 95 % error in nm; bar: dose up to 10⁵ e⁻/Å²", "62%"),
            key("proposed", "±38?", "doubtful"),
            key("bad", "failed", "not placed"),
            key("alone", "alone", "not registered"),
            key("area", "✓", "whole area"),
            html.Span([html.Span("·", className="mc nil"), "not measured"]),
        ],
        className="legend",
    )
