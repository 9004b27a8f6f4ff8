"""Sample: the true-scale stage, its layers, and what every technique knows of a clicked point."""

from typing import Any

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from dashboards.figures.stage import Layer, empty_stage, stage_data, view_of
from dashboards.pages.layers import fields_of, layer_panel, layers_of
from dashboards.pages.point import answers, card
from dashboards.pages.shell import PLOT, empty, frame, icon, unit_label
from dashboards.pages.spectra import area_figure, spectrum_figure, strip
from dashboards.source import Picture, Source
from dashboards.view import View, marks, point_of, view_at


def page(source: Source, sample: str, at: str = "") -> Component:
    """The page of one sample; `at` names the acquisition to look at."""
    view = view_at(source, sample, at)
    stated = source.sheet.samples[sample]
    cycle = stated.conditions.get("cycle")
    chips = [stated.group or stated.electrolyte, f"cycle {cycle:g}" if isinstance(cycle, int | float) else "", stated.metal]
    own = source.acquisitions(sample)
    if not own:
        body: Component = empty(
            f"Nothing of {sample} has been imported",
            "Its files are in the study sheet, but not in the store.",
            f"correlate import {source.study.root.name}",
        )
        return frame(source.sheet, "Sample", f"Sample {sample}", body, sample=sample, chips=chips)
    layers = layers_of(source, view)
    body = html.Div(
        [
            layer_panel(source, view, layers),
            html.Div([_stage(view, layers, at), strip(view, own)], className="middle"),
            card(source, view, own),
            dcc.Store(id="view", data={"sample": view.sample, "at": at}),
        ],
        className="sample",
    )
    return frame(source.sheet, "Sample", f"Sample {sample}", body, sample=sample, chips=chips)


def register(app: Dash, source: Source) -> None:
    """The callbacks of the sample page."""
    # without an output they would not run when the page is put in
    app.clientside_callback(ClientsideFunction("stage", "open"), Output("stage-opened", "title"), Input("stage-data", "data"))
    app.clientside_callback(ClientsideFunction("stage", "mark"), Output("stage-marked", "title"), Input("stage-marks", "data"))

    @app.callback(
        Output("point", "data"),
        Output("stage-marks", "data"),
        Output("point-title", "children"),
        Output("point-note", "children"),
        Output("where", "children"),
        Output("seen", "children"),
        Input("stage", "clickData"),
        State("view", "data"),
        prevent_initial_call=True,
    )
    def clicked(click: dict[str, Any] | None, shown: dict[str, str]) -> tuple[Any, ...]:
        point = point_of(click)
        if point is None or shown["sample"] not in source.sheet.samples:
            raise PreventUpdate
        view = view_at(source, shown["sample"], shown["at"])
        return point.tolist(), marks(view, point), *answers(source, view, point)

    @app.callback(
        Output("point-spectrum", "figure"),
        Output("spectrum-note", "children"),
        Input("point", "data"),
        Input("spectrum-of", "value"),
        Input("scheme", "data"),
        State("view", "data"),
    )
    def spectrum(point: list[float] | None, unit: str | None, scheme: str | None, shown: dict[str, str]) -> tuple[Any, str]:
        if shown["sample"] not in source.sheet.samples:
            raise PreventUpdate
        view = view_at(source, shown["sample"], shown["at"])
        return spectrum_figure(source, view, None if point is None else np.array(point), unit, dark=scheme == "dark")

    @app.callback(Output("area-spectra", "figure"), Input("area-of", "value"), Input("scheme", "data"))
    def area(unit: str | None, scheme: str | None) -> dict[str, Any]:
        return area_figure(source, unit, dark=scheme == "dark")


def _stage(view: View, layers: list[tuple[Picture, Layer]], at: str) -> Component:
    if not layers:
        return html.Div(
            empty(
                "No image of this sample",
                "None of its acquisitions is an image or a map; its spectra and cycles are below and on the Cycle page.",
            ),
            className="stage-none",
        )
    fields = fields_of(layers)
    wanted = next((f.corners for f in fields if f.unit == at), None)
    if wanted is None:
        wanted = next((f.corners for f in fields if f.unit == view.frame), fields[0].corners)
    data = stage_data([layer for _, layer in layers], fields, view_of(wanted), view.unit)
    note = f"{unit_label(view.frame or '')} frame" + (", shown alone" if view.alone else "")
    hint = "Image; arrows move, plus and minus zoom, Enter asks what is known at the centre"
    return html.Section(
        [
            dcc.Store(id="stage-data", data=data),
            dcc.Store(id="stage-marks"),
            dcc.Store(id="point"),
            html.Div(
                dcc.Graph(id="stage", figure=empty_stage(), config={**PLOT, "scrollZoom": True, "doubleClick": False}),
                className="canvas",
            ),
            html.Div([html.B(id="scale-bar"), html.Span(id="scale-text")], className="scale"),
            html.Span(note, className="frame-note"),
            html.Div(
                [
                    _button("zoom-in", "plus", "Zoom in"),
                    _button("zoom-out", "minus", "Zoom out"),
                    _button("fit", "maximize", "Whole field"),
                ],
                className="zoom",
            ),
            html.Span("Click to ask what is known of a place", className="hint"),
            html.Span(id="stage-opened", hidden=True),
            html.Span(id="stage-marked", hidden=True),
        ],
        id="stage-focus",
        className="stage",
        tabIndex="0",
        **{"aria-label": hint, "role": "application"},
    )


def _button(act: str, name: str, label: str) -> Component:
    return html.Button(icon(name), className="ib", title=label, **{"aria-label": label, "data-act": act})
