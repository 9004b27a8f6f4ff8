"""The point card: what every technique knows of one place, and what is known of the whole sample."""


import numpy as np
from dash import html
from dash.development.base_component import Component
from numpy.typing import NDArray

from correlate.numbers import length, magnitude, with_error
from correlate.study import Acquisition
from dashboards.ellipse import ellipse_95
from dashboards.pages.shell import condition_list, counted, icon, measurement_list, section, tag, unit_label
from dashboards.source import Picture, Source, is_image, is_spectrum_image
from dashboards.view import View, is_inside, own_position
from datasets.technique import Technique
from datasets.techniques import TECHNIQUES

Floats = NDArray[np.float64]
HEADLINES = ("ce_mean", "sei_thickness")
"""Descriptors of the whole sample that stand on the card of every point."""


def card(source: Source, view: View, own: list[Acquisition]) -> Component:
    """The card as it stands before a click: the callbacks fill in what belongs to the point."""
    note = "Any place, any technique" if view.matrices else "There is no image to point at"
    head = html.Header(
        [
            html.Span(icon("crosshair"), className="pin"),
            html.Div([html.H2("Click the image", id="point-title"), html.Span(note, id="point-note")]),
        ]
    )
    where = html.Table(
        [
            html.Thead(
                html.Tr(
                    [
                        html.Th("Frame"),
                        html.Th("x", className="num"),
                        html.Th("y", className="num"),
                        html.Th("95 % half axes", className="num"),
                    ]
                )
            ),
            html.Tbody(id="where"),
        ]
    )
    parts = [head]
    if view.matrices:
        parts += [
            section("Where it is", where),
            section("What saw it", html.Ul(id="seen", className="seen"), note="± one standard deviation"),
        ]
    blind = [a for a in own if not is_image(a) and not is_spectrum_image(a)]
    if blind and view.matrices:
        names = ", ".join(t.short for t, _ in counted(blind))
        parts.append(
            section(
                "Not resolvable here",
                html.Div(
                    [
                        icon("blinds", "s"),
                        html.Div(
                            [
                                html.B(names),
                                html.Span(
                                    "one answer for the whole spot or cell; where in this field it came from is not recorded"
                                ),
                            ]
                        ),
                    ],
                    className="blind hatch",
                ),
            )
        )
    parts += [
        section("This sample", html.Dl(_descriptor_list(source, view.sample)), note="± one standard deviation"),
        section("Conditions", html.Dl(_conditions_list(source, view, own))),
    ]
    return html.Aside(parts, className="point", **{"aria-live": "polite", "aria-label": "Point card"})


def answers(source: Source, view: View, point: Floats) -> tuple[str, str, list[Component], list[Component]]:
    """Title, note, position in every frame, and what each technique saw, for a point of the stage."""
    rows: list[Component] = []
    seen: list[Component] = []
    count = 0
    for unit in view.matrices:
        a = source.acquisition(unit)
        if a is None:
            continue
        own, covariance = own_position(view, unit, point)
        inside = is_inside(a, own)
        count += inside
        rows.append(_where_row(view, unit, TECHNIQUES[a.technique], own, covariance, inside))
        if inside:
            values = [(p, source.value_at(p, own)) for p in source.pictures(view.sample) if p.unit == unit]
            seen += [_seen_row(p, *value) for p, value in values if value is not None]
    title = f"x {_position(point[1], view.unit)}, y {_position(point[0], view.unit)}"
    note = f"{unit_label(view.frame or '')} frame, seen by {count} acquisition{'' if count == 1 else 's'}"
    return title, note, rows, seen or [html.Li("No acquisition covers this place.", className="muted")]


def _where_row(view: View, unit: str, technique: Technique, own: Floats, covariance: Floats | None, inside: bool) -> Component:
    place = view.places.get(unit)
    if view.alone or (place is not None and place.status == "reference"):
        error = "own frame" if view.alone else "reference"
    elif covariance is None:
        error = "not known"
    else:
        e = ellipse_95(covariance)
        error = "same scan" if e.major == 0 else f"{length(e.major, digits=2)} × {length(e.minor, digits=2)}"
    cells = [_position(own[1], view.unit), _position(own[0], view.unit)] if inside else ["outside", ""]
    return html.Tr(
        [
            html.Td(tag(technique, unit_label(unit))),
            *[html.Td(text, className="num") for text in cells],
            html.Td(error, className="num"),
        ],
        className="" if inside else "muted",
    )


def _seen_row(p: Picture, value: float, std: float, unit: str) -> Component:
    units = {"count": "counts", "arbitrary": "", "1": ""}.get(unit, unit)
    if p.kind == "element":
        what, text = f"{p.element} at this pixel", with_error(value, std, units, why="")
    elif p.kind == "whole":
        what, text = "thickness t/λ" if unit == "1" else "all counts", magnitude(value, units)
    else:
        what, text = "grey value" if unit in ("arbitrary", "count") else "value", magnitude(value, units)
    return html.Li([tag(p.technique), html.Span(what), html.B(text)])


def _position(value: float, unit: str) -> str:
    return f"{value:.0f} px" if unit == "px" else length(value) if abs(value) >= 1 else f"{value:.1f} nm".replace("-", "−")


def _descriptor_list(source: Source, sample: str) -> list[Component]:
    table = source.measurements()
    rows = table[(table["sample"] == sample) & table["name"].isin(HEADLINES)].sort_values(["name", "unit"])
    absent = [html.Dt("SEI thickness, CE"), html.Dd(["not described yet: ", html.Code("correlate describe")])]
    return measurement_list(rows, by_acquisition=True) or absent


def _conditions_list(source: Source, view: View, own: list[Acquisition]) -> list[Component]:
    items = condition_list(source.sheet.samples[view.sample].conditions)
    for a in own:
        if a.unit in view.matrices:
            dose = a.conditions.get("dose_e_per_A2")
            text = magnitude(dose, "e⁻/Å²") if isinstance(dose, int | float) else "unknown"
            items += [html.Dt(["dose ", tag(TECHNIQUES[a.technique], unit_label(a.unit))]),
                      html.Dd(text, className="muted" if text == "unknown" else "")]
    return items or [html.Dt("nothing stated"), html.Dd("—")]
