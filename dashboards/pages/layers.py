"""Layers of the stage and the panel that lists them."""

import numpy as np
from dash import dcc, html
from dash.development.base_component import Component

from correlate.study import Acquisition
from dashboards.bent import outline, stage_levels
from dashboards.figures.stage import Field, Layer, corners, edges
from dashboards.pages.shell import counted, error_text, full_label, icon, sample_address, tag, unit_label, verdict
from dashboards.source import Picture, Place, Source
from dashboards.tokens import COLORMAPS
from dashboards.view import View
from datasets.techniques import TECHNIQUES

FIRST_MAP = ("F", "O", "C", "Li", "Na")
"""The element map that is shown first, where there is one."""


def layers_of(source: Source, view: View) -> list[tuple[Picture, Layer]]:
    """Layers from bottom to top: images from the widest to the narrowest, then maps; one map is shown at first."""
    pictures = [p for p in source.pictures(view.sample) if p.unit in view.matrices]
    maps = [p for p in pictures if p.is_map]
    shown_map = next((p.key for element in (*FIRST_MAP, "") for p in maps if p.element == element), "")
    found = []
    for p in pictures:
        levels = source.raster(p.key).levels if p.is_stored else source.grid(p)
        label = f"{full_label(p.technique, p.unit)} {p.element}".strip()
        visible = not p.is_map or p.key == shown_map or (view.alone and p.kind == "whole")
        coloured = p.kind in ("element", "map")
        bend, key, rim = view.bend_of(p.unit), p.key, None
        if bend is not None:
            key, rim, levels = source.bent_key(p, bend), outline(levels[0], bend), stage_levels(levels[0], bend)
        layer = Layer(
            key, label, p.technique.family, levels, view.matrices[p.unit], colormap="viridis" if coloured else "gray",
            visible=visible, see_through=coloured and not view.alone, outline=rim,
        )
        found.append((p, layer))

    def height(entry: tuple[Picture, Layer]) -> tuple[bool, bool, float]:
        return entry[0].is_map, entry[0].kind != "whole", -_area(entry[1])

    return sorted(found, key=height)


def fields_of(layers: list[tuple[Picture, Layer]]) -> list[Field]:
    """Outlines of every acquisition on the stage."""
    found = {}
    for p, layer in layers:
        if p.unit not in found:
            found[p.unit] = Field(
                p.unit,
                full_label(p.technique, p.unit),
                p.technique.family,
                corners(*edges(layer.levels[0]), layer.matrix) if layer.outline is None else layer.outline,
            )
    return list(found.values())


def layer_panel(source: Source, view: View, layers: list[tuple[Picture, Layer]]) -> Component:
    """The list of layers, from top to bottom, and of what is not among them."""
    units = {p.unit: p.technique.name for p, _ in layers}
    several = {name for name in units.values() if list(units.values()).count(name) > 1}
    rows = [_layer_row(p, layer, view, several=p.technique.name in several) for p, layer in reversed(layers)]
    own = {a.unit: a for a in source.acquisitions(view.sample)}
    pictured = {p.unit for p in source.pictures(view.sample)}
    elsewhere = [u for u in sorted(pictured) if u not in view.matrices]
    parts = [html.Header(html.H2("Layers")), html.Ul(rows, className="layers")]
    if view.alone:
        parts.insert(
            1,
            html.Div(
                [
                    verdict("idle", "shown alone"),
                    html.P(_why_alone(view)),
                    dcc.Link("Back to the sample's frame", href=sample_address(view.sample), className="link"),
                ],
                className="alone-note",
            ),
        )
        elsewhere = [u for u in elsewhere if view.places.get(u) is None or view.places[u].transform is None]
    if elsewhere:
        parts.append(html.H3("Not placed", className="sub-head"))
        parts.append(html.Ul([_elsewhere_row(own[u], view.places.get(u)) for u in elsewhere], className="elsewhere"))
    wide = [a for a in own.values() if a.unit not in pictured]
    if wide:
        parts.append(html.H3("Not shown as layers", className="sub-head"))
        parts.append(
            html.Ul([html.Li([tag(t), html.Span(f"{n} ×" if n > 1 else "")]) for t, n in counted(wide)], className="wide")
        )
    return html.Aside(parts, className="panel", **{"aria-label": "Layers"})


def _why_alone(view: View) -> str:
    place = view.places.get(view.frame or "")
    if place is None:
        return "Its pixels are not calibrated, so it cannot be placed. Say axes = … in the study sheet."
    if place.status == "none":
        return "It has not been registered to the reference frame."
    word = {"proposed": "Its registration is doubtful", "rejected": "Its registration failed"}.get(
        place.status, "It is shown in its own frame"
    )
    return f"{word}: {'; '.join(place.reasons)}" if place.reasons else f"{word}."


def _layer_row(p: Picture, layer: Layer, view: View, *, several: bool) -> Component:
    def slider(name: str, label: str, value: int) -> Component:
        return html.Label([label, dcc.Input(type="range", min=0, max=100, step=1, value=value)], className=name)

    eye = html.Button(
        [icon("eye", "s on"), icon("eye-off", "s off")], className="eye",
        **{"aria-label": f"Show {layer.label}", "aria-pressed": str(layer.visible).lower(), "data-act": "eye"})
    swatch = html.Button(
        className="colormap", title=layer.colormap,
        style={"background": f"linear-gradient(90deg, {', '.join(COLORMAPS[layer.colormap])})"},
        **{"aria-label": f"Colours of {layer.label}: {layer.colormap}", "data-act": "colormap"})
    adjust = html.Button(
        icon("sliders-horizontal", "s"), className="adjust", title="Opacity and limits",
        **{"aria-label": f"Opacity and limits of {layer.label}", "aria-expanded": "false", "data-act": "adjust"})
    names = [html.B(p.element)] if p.element else []
    if not p.is_map or several:  # which of several files; of one, the technique says it
        names.append(html.Span(unit_label(p.unit), className="muted") if p.element else html.B(unit_label(p.unit)))
    names += [html.Span(text, className="muted") for text in ("whole" if p.kind == "whole" else "", p.note) if text]
    title = "95 % error of its registration"
    if view.bend_of(p.unit) is not None:
        title += "; it bends, and is drawn so"
    error = html.Span(_error(view.places.get(p.unit)), className="note", title=title)
    return html.Li([
        html.Div([eye, html.Div([tag(p.technique), *names], className="names", title=p.unit), error, swatch, adjust],
                 className="line"),
        html.Div([slider("opacity", "Opacity", 92 if layer.see_through else 100),
                  slider("black", "Black", 15 if layer.see_through else 0), slider("white", "White", 100)],
                 className="sliders"),
    ], className="" if layer.visible else "off", **{"data-layer": layer.key})


def _error(place: Place | None) -> str:
    if place is None or place.transform is None:
        return ""
    if place.status == "reference":
        return "ref"
    return f"{error_text(place.error_nm)} nm"


def _elsewhere_row(a: Acquisition, place: Place | None) -> Component:
    kind, word = {"proposed": ("idle", "proposed"), "rejected": ("bad", "failed"), "none": ("idle", "alone")}.get(
        place.status if place else "", ("warn", "no scale")
    )
    why = "; ".join(place.reasons) if place else "the file states no pixel size"
    return html.Li(
        dcc.Link(
            [tag(TECHNIQUES.get(a.technique, TECHNIQUES["unknown"]), unit_label(a.unit)), verdict(kind, word, why)],
            href=sample_address(a.sample, a.unit),
            title=why,
        )
    )


def _area(layer: Layer) -> float:
    y0, y1, x0, x1 = edges(layer.levels[0])
    return float(abs((y1 - y0) * (x1 - x0) * np.linalg.det(layer.matrix[:, :2])))
