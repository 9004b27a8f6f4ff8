"""Cycle: coulombic efficiency, potential and impedance of a sample's cell."""

from typing import Any

import numpy as np
import xarray as xr
from dash import Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate
from numpy.typing import NDArray

from correlate.descriptors.efficiency import coulombic_efficiency
from dashboards.figures.cycle import efficiency, nyquist, potential
from dashboards.figures.spectrum import blank
from dashboards.pages.shell import (
    PLOT,
    condition_list,
    empty,
    frame,
    measurement_list,
    sample_address,
    section,
    tag,
    unit_label,
    verdict,
)
from dashboards.source import Source
from datasets.techniques import TECHNIQUES

Floats = NDArray[np.float64]
AT_MOST_SWEEPS = 7


def page(source: Source, sample: str) -> Component:
    """The page of one sample's cell."""
    runs = [a for a in source.acquisitions(sample) if a.technique == "cycling"]
    sweeps = [a for a in source.acquisitions(sample) if a.technique == "eis"]
    stated = source.sheet.samples[sample]
    body: Component
    if not runs and not sweeps:
        body = empty(
            f"{sample} has no cycling data",
            "Neither a record of a cycler nor an impedance sweep of this sample is in the study.",
            "[[files]] in study.toml, then correlate import",
        )
    else:
        body = html.Div(
            [
                html.Div(
                    [
                        _efficiency_panel(source, [a.unit for a in runs]),
                        html.Div([_potential_panel([a.unit for a in runs]), _impedance_panel(bool(sweeps))], className="row"),
                    ],
                    className="plots",
                ),
                _numbers(source, sample),
                dcc.Store(id="cycle-sample", data=sample),
            ],
            className="cycling",
        )
    return frame(
        source.sheet,
        "Cycle",
        f"Cycling of {sample}",
        body,
        sample=sample,
        chips=[stated.group or stated.electrolyte, stated.metal],
    )


def register(app: Dash, source: Source) -> None:
    """The callbacks of the cycle page."""

    @app.callback(Output("ce-plot", "figure"), Input("run", "value"), Input("scheme", "data"), State("cycle-sample", "data"))
    def ce(unit: str | None, scheme: str | None, sample: str) -> dict[str, Any]:
        return efficiency_figure(source, sample, unit or "", dark=scheme == "dark")

    @app.callback(Output("potential-plot", "figure"), Input("run", "value"), Input("against", "value"), Input("scheme", "data"))
    def course(unit: str | None, against: str | None, scheme: str | None) -> dict[str, Any]:
        return potential_figure(source, unit or "", against or "time", dark=scheme == "dark")

    @app.callback(Output("nyquist-plot", "figure"), Input("cycle-sample", "data"), Input("scheme", "data"))
    def impedance(sample: str | None, scheme: str | None) -> dict[str, Any]:
        if sample not in source.sheet.samples:
            raise PreventUpdate
        return nyquist_figure(source, str(sample), dark=scheme == "dark")


def efficiency_of_run(source: Source, unit: str) -> xr.Dataset:
    """CE per cycle of one cycling record, remembered for its version."""
    a = source.acquisition(unit)
    version = a.version if a is not None else ""
    return source.once(f"ce {unit}", version, lambda: coulombic_efficiency(source.study.open(unit).load()))


def efficiency_figure(source: Source, sample: str, unit: str, *, dark: bool) -> dict[str, Any]:
    """CE per cycle of one record, with those of all other samples behind it."""
    runs = {a.unit: a for a in source.acquisitions() if a.technique == "cycling"}
    if unit not in runs:
        return blank(dark=dark, text="No cycling record")
    own = efficiency_of_run(source, unit)
    if own.attrs["reason"]:
        return blank(dark=dark, text=f"No efficiency: {own.attrs['reason']}")
    others: dict[str, tuple[Floats, Floats]] = {}
    for name, a in runs.items():
        if a.sample != sample and a.sample not in others:
            found = efficiency_of_run(source, name)
            if found.sizes.get("cycle", 0) > 1:
                others[a.sample] = (found["cycle"].values, found["ce"].values)
    return efficiency(own, others, dark=dark, key=sample)


def potential_figure(source: Source, unit: str, against: str, *, dark: bool) -> dict[str, Any]:
    """Potential of one record against time or charge."""
    a = source.acquisition(unit)
    if a is None or a.technique != "cycling":
        return blank(dark=dark, text="No cycling record")
    ds = source.study.open(unit)
    if against == "charge" and "charge" not in ds:
        return blank(dark=dark, text="The file has no counter of charge")
    return potential(ds, "charge" if against == "charge" else "time", dark=dark, key=unit)


def nyquist_figure(source: Source, sample: str, *, dark: bool) -> dict[str, Any]:
    """Impedance sweeps of a sample."""
    found = []
    for a in source.acquisitions(sample):
        if a.technique == "eis":
            ds = source.study.open(a.unit)
            lead = dict.fromkeys(ds["impedance_real"].dims[:-1], 0)
            real, imaginary = (
                np.asarray(ds[name].isel(lead).values, np.float64) for name in ("impedance_real", "impedance_imaginary")
            )
            found.append((unit_label(a.unit), np.asarray(ds["frequency"].values, np.float64), real, imaginary))
    return (
        nyquist(found[:AT_MOST_SWEEPS], dark=dark, key=sample)
        if found
        else blank(dark=dark, text="No impedance of this sample")
    )


def _efficiency_panel(source: Source, units: list[str]) -> Component:
    if not units:
        return html.Section(
            empty("No cycling record", "Without one there is no coulombic efficiency for this sample."), className="pane"
        )
    choice = dcc.RadioItems(
        id="run", options=[{"label": unit_label(u), "value": u} for u in units], value=units[0], className="choice", inline=True
    )
    flags = [f for u in units for f in efficiency_of_run(source, u).attrs.get("flags", [])]
    return html.Section(
        [
            html.Header(
                [
                    html.H2("Coulombic efficiency"),
                    html.Span("bars: two standard deviations; grey: other samples", className="note"),
                    html.Span(className="grow"),
                    *([verdict("warn", f"{len(flags)} flags", "; ".join(flags))] if flags else []),
                    choice,
                ]
            ),
            dcc.Graph(id="ce-plot", config=PLOT, figure=blank(dark=False), className="plot"),
        ],
        className="pane",
    )


def _potential_panel(units: list[str]) -> Component:
    if not units:
        return html.Section(className="pane")
    choice = dcc.RadioItems(
        id="against",
        options=[{"label": "Time", "value": "time"}, {"label": "Charge", "value": "charge"}],
        value="time",
        className="choice",
        inline=True,
    )
    return html.Section(
        [
            html.Header([html.H2("Potential"), html.Span(className="grow"), choice]),
            dcc.Graph(id="potential-plot", config=PLOT, figure=blank(dark=False), className="plot"),
        ],
        className="pane",
    )


def _impedance_panel(known: bool) -> Component:
    inside: list[Any] = [html.Header([html.H2("Impedance"), html.Span("Nyquist", className="note")])]
    inside.append(
        dcc.Graph(id="nyquist-plot", config=PLOT, figure=blank(dark=False), className="plot")
        if known
        else empty("No impedance", "No sweep of this sample is in the study.")
    )
    return html.Section(inside, className="pane")


def _numbers(source: Source, sample: str) -> Component:
    table = source.measurements()
    rows = table[(table["sample"] == sample) & table["technique"].isin(["cycling", "eis"])]
    found = measurement_list(rows, by_acquisition=False)
    stated = source.sheet.samples[sample]
    conditions = condition_list({"electrolyte": stated.electrolyte or "not stated", **stated.conditions})
    described = html.Dl(found) if found else html.P(["Not described yet: ", html.Code("correlate describe")], className="note")
    microscopy = [
        t for n, t in TECHNIQUES.items() if t.family != "echem" and any(a.technique == n for a in source.acquisitions(sample))
    ]
    return html.Aside(
        [
            html.Header(html.H2(sample)),
            section("What came of it", described, note="± one standard deviation"),
            section("Conditions", html.Dl(conditions)),
            section("Seen by", html.Div([tag(t) for t in microscopy], className="tags")),
            dcc.Link(f"Open {sample} in Sample", href=sample_address(sample), className="button"),
        ],
        className="point",
    )
