"""Relate: structure against coulombic efficiency, and whether a model holds for an electrolyte that it has not seen."""

from typing import Any

import numpy as np
from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from correlate.descriptors import role_of
from correlate.descriptors.descriptor import STRUCTURE
from correlate.models.verdict import judged
from correlate.numbers import magnitude
from correlate.table import described
from dashboards.figures.relate import importances, predictions, scatter
from dashboards.figures.spectrum import blank
from dashboards.pages.shell import PLOT, empty, frame, section, verdict
from dashboards.source import Source

HEADING = "Structure and coulombic efficiency"
LEAST_POINTS = 2
AT_MOST_LEFT_OUT = 8


def page(source: Source) -> Component:
    """A descriptor against CE, and the validation of the model."""
    names = descriptors_of(source)
    if not names:
        body: Component = empty(
            "Nothing to relate yet",
            "No sample has both a coulombic efficiency and a structure descriptor.",
            f"correlate describe {source.study.root.name}",
        )
        return frame(source.sheet, "Relate", HEADING, body)
    body = html.Div([_descriptor_panel(source, names), _plots(source), _validation(source)], className="relate")
    return frame(source.sheet, "Relate", HEADING, body)


def register(app: Dash, source: Source) -> None:
    """The callbacks of the page."""

    @app.callback(
        Output("relate-plot", "figure"),
        Output("relate-title", "children"),
        Output("relate-note", "children"),
        Input("descriptor", "value"),
        Input("scheme", "data"),
    )
    def relation(name: str | None, scheme: str | None) -> tuple[dict[str, Any], str, str]:
        return relation_figure(source, name or "", dark=scheme == "dark")

    @app.callback(
        Output("prediction-plot", "figure"),
        Output("importance-plot", "figure"),
        Input("scheme", "data"),
        Input("descriptor", "id"),
    )
    def model(scheme: str | None, _: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return model_figures(source, dark=scheme == "dark")


def descriptors_of(source: Source) -> list[str]:
    """Structure descriptors known, together with CE, for at least two samples; those of most samples first."""
    table = source.table()
    if "ce_mean" not in table:
        return []
    known = np.isfinite(table["ce_mean"].to_numpy(float))
    counts = {
        str(n): int((np.isfinite(table[n].to_numpy(float)) & known).sum())
        for n in table.columns
        if role_of(str(n)) == STRUCTURE and f"{n}_std" in table
    }
    return sorted((n for n, count in counts.items() if count >= LEAST_POINTS), key=lambda n: -counts[n])


def relation_figure(source: Source, name: str, *, dark: bool) -> tuple[dict[str, Any], str, str]:
    """Scatter of one descriptor, its heading, and a sentence that claims no cause."""
    if name not in descriptors_of(source):
        return blank(dark=dark), HEADING, ""
    table = source.table()
    rows = table[np.isfinite(table[name]) & np.isfinite(table["ce_mean"])]
    title, unit = described(source.measurements(), name)
    groups = rows["group"].nunique()
    note = (
        f"n = {len(rows)} samples of {groups} electrolyte{'' if groups == 1 else 's'}; bars are two standard deviations. "
        "Samples of one electrolyte share more than their structure."
    )
    return scatter(table, name, title, unit, dark=dark), f"{title} and coulombic efficiency", note


def model_figures(source: Source, *, dark: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Predicted against measured, and importances; empty plots that say so where there is no model."""
    found = source.model()
    if not found or "refused" in found:
        return blank(dark=dark, text="No model"), blank(dark=dark, text="No model")
    groups = list(dict.fromkeys(source.table()["group"].astype(str)))
    titles = {str(entry["name"]): described(source.measurements(), str(entry["name"]))[0] for entry in found["importances"]}
    return predictions(found["predictions"], groups, dark=dark), importances(found["importances"], titles, dark=dark)


def _descriptor_panel(source: Source, names: list[str]) -> Component:
    table = source.table()
    known = np.isfinite(table["ce_mean"].to_numpy(float))
    options = []
    for name in names:
        n = int((np.isfinite(table[name].to_numpy(float)) & known).sum())
        title = described(source.measurements(), name)[0]
        options.append(
            {"label": html.Span([html.B(title), html.Span(f"{n} of {len(table)}")], className="pick"), "value": name}
        )
    return html.Aside(
        [
            html.Header([html.H2("Descriptors"), html.Span("with a CE", className="note")]),
            dcc.RadioItems(id="descriptor", options=options, value=names[0], className="picks"),
        ],
        className="panel",
        **{"aria-label": "Descriptors"},
    )


def _plots(source: Source) -> Component:
    graph = {"config": PLOT, "figure": blank(dark=False), "className": "plot"}
    top = html.Section(
        [
            html.Header([html.H2(HEADING, id="relate-title"), html.Span(id="relate-note", className="note wrap")]),
            dcc.Graph(id="relate-plot", **graph),
        ],
        className="pane",
    )
    left = html.Section(
        [
            html.Header([html.H2("Unseen electrolytes"), html.Span("hollow: outside its interval", className="note")]),
            dcc.Graph(id="prediction-plot", **graph),
        ],
        className="pane",
    )
    right = html.Section(
        [
            html.Header([html.H2("What the model uses"), html.Span("hollow: may be nothing", className="note")]),
            dcc.Graph(id="importance-plot", **graph),
        ],
        className="pane",
    )
    del source
    return html.Div([top, html.Div([left, right], className="row")], className="plots")


def _validation(source: Source) -> Component:
    found = source.model()
    if found is None:
        return html.Aside(
            empty(
                "No model yet",
                "A model is learned from the table of descriptors and tried on electrolytes that it has not seen.",
                f"correlate fit {source.study.root.name}",
            ),
            className="point",
        )
    if "refused" in found:
        return html.Aside(
            [
                html.Header([html.H2("Does it hold?"), verdict("idle", "no model")]),
                html.Div(html.P(str(found["refused"])), className="refused hatch"),
            ],
            className="point",
        )
    kind, word, sentence = judged(found)
    scores = html.Table(
        [
            html.Thead(
                html.Tr([html.Th("error, decades of loss"), html.Th("RMS", className="num"), html.Th("mean", className="num")])
            ),
            html.Tbody([_score_row("this model", found["scores"]), _score_row("mean of the others", found["baseline"])]),
        ]
    )
    coverage, scrambled = found["coverage"], found["scrambled"]
    chosen = ", ".join(sorted(set(map(str, found["chosen"].values()))))
    parts = [
        html.Header([html.H2("Does it hold?"), verdict(kind, word)]),
        html.P(sentence, className="sentence"),
        section("Leave one electrolyte out", scores, note=f"{found['samples']} samples, {found['groups']} electrolytes"),
        section(
            "Checks",
            html.Dl(
                [
                    html.Dt(f"{100 * coverage['nominal']:.0f} % intervals hold"),
                    html.Dd(html.B(f"{100 * coverage['measured']:.0f} %")),
                    html.Dt(f"p, by {scrambled['times']:.0f} shuffles of CE"),
                    html.Dd(html.B(_chance(scrambled))),
                    html.Dt("estimator chosen inside"),
                    html.Dd(chosen),
                ]
            ),
        ),
    ]
    if found["left_out"]:
        lines = [
            html.Li([html.B(described(source.measurements(), name)[0]), html.Span(why)])
            for name, why in list(found["left_out"].items())[:AT_MOST_LEFT_OUT]
        ]
        parts.append(section("Left out", html.Ul(lines, className="left-out"), note=str(len(found["left_out"]))))
    if found["warnings"]:
        parts.append(section("Warnings", html.Ul([html.Li(text) for text in found["warnings"]])))
    return html.Aside(parts, className="point")


def _score_row(name: str, scores: dict[str, float]) -> Component:
    return html.Tr(
        [html.Td(name), html.Td(magnitude(scores["rmse"]), className="num"), html.Td(magnitude(scores["mae"]), className="num")]
    )


def _chance(scrambled: dict[str, Any]) -> str:
    p = scrambled.get("p_value")
    return "not tried" if p is None else f"{p:.2f}"
