"""The frame of every page: rail, top bar, and the small pieces that all pages share."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any
from urllib.parse import quote

import pandas as pd
from dash import dcc, html
from dash.development.base_component import Component

from correlate.numbers import with_error
from correlate.study import Acquisition
from datasets.sheet import Sheet
from datasets.technique import Technique
from datasets.techniques import TECHNIQUES
from datasets.terms import CONDITION_MEANING

Child = Any
PAGES = (
    ("Overview", "/", "layout-grid"),
    ("Sample", "/sample", "layers"),
    ("Cycle", "/cycle", "battery-charging"),
    ("Relate", "/relate", "chart-scatter"),
)
UNIT_OF_SUFFIX = {
    "_mA_cm2": "mA cm⁻²", "_mAh_cm2": "mAh cm⁻²", "_e_per_A2": "e⁻/Å²", "_cm2": "cm²", "_keV": "keV", "_eV": "eV",
    "_mrad": "mrad", "_mm": "mm", "_nm": "nm", "_pA": "pA", "_deg": "°", "_K": "K", "_V": "V", "_s": "s",
}
"""End of a condition's name -> its unit, longest first."""
FINEST_NM = 9.95
VERDICT_ICON = {"ok": "circle-check", "warn": "triangle-alert", "bad": "octagon-x", "idle": "circle-dashed"}
PLOT = {"displayModeBar": False, "responsive": True}


def frame(
    sheet: Sheet, page: str, heading: str, body: Child, *, sample: str | None = None, chips: Sequence[str] = ()
) -> Component:
    """Rail, top bar and body of one page; `sample` adds the picker and keeps the sample when the page changes."""
    links = [_rail_link(name, _address(path, sample), icon_name, on=name == page) for name, path, icon_name in PAGES]
    crumb: list[Child] = [html.Span(sheet.title, className="sub", title=sheet.title), html.Span("/", className="sep")]
    if sample is None:
        crumb.append(html.B(heading))
    else:
        crumb.append(
            dcc.Dropdown(
                id="sample-picker",
                options=[{"label": s, "value": s} for s in sheet.samples],
                value=sample,
                clearable=False,
                className="picker",
            )
        )
        crumb += [html.Span(text, className="chip", title=text) for text in chips if text]
    marks = (
        [
            html.Span(
                [icon("flask-conical", "s"), "synthetic"],
                className="verdict v-warn",
                title="Made by the virtual specimen, not measured",
            )
        ]
        if sheet.synthetic
        else []
    )
    return html.Div(
        [
            html.Nav(
                [html.Span(html.I(className="mark", **{"aria-hidden": "true"}), className="logo"), *links],
                className="rail",
                **{"aria-label": "Pages"},
            ),
            html.Header(
                [
                    html.Div(crumb, className="crumb"),
                    *marks,
                    html.Span(className="grow"),
                    html.Button(
                        [icon("moon", "dark-off"), icon("sun", "dark-on")],
                        id="scheme-button",
                        className="ib",
                        **{"aria-label": "Light or dark"},
                    ),
                ],
                className="top",
            ),
            html.Main([html.H1(heading, className="unseen"), body]),
        ],
        className="shell",
    )


def icon(name: str, cls: str = "") -> Component:
    """A Lucide icon in the colour of the text."""
    return html.I(className=f"ico i-{name} {cls}".strip(), **{"aria-hidden": "true"})


def tag(technique: Technique, text: str = "") -> Component:
    """A coloured bar with the technique's short name: the same mark everywhere."""
    return html.Span(text or technique.short, className=f"tech f-{technique.family}", title=technique.title)


def verdict(kind: str, word: str, title: str = "") -> Component:
    """Icon and word; `kind` is ok, warn, bad or idle."""
    return html.Span([icon(VERDICT_ICON[kind], "s"), word], className=f"verdict v-{kind}", title=title)


def section(title: str, *children: Child, note: str = "", cls: str = "") -> Component:
    """A titled part of a side panel."""
    return html.Section([html.H3([title, html.Em(note)] if note else title), *children], className=f"sec {cls}".strip())


def empty(title: str, why: str, act: str = "") -> Component:
    """What stands where there is nothing: what it would be, why it is not there, and the next act."""
    return html.Div([html.B(title), html.P(why), *([html.Code(act)] if act else [])], className="empty hatch")


def measurement_list(rows: pd.DataFrame, *, by_acquisition: bool) -> list[Component]:
    """Terms and values of a description list; a value that is not known stands with its reason.

    `by_acquisition` adds the mark of the acquisition that each value comes from.
    """
    found: list[Component] = []
    for row in rows.to_dict("records"):
        percent = row["units"] == "1" and str(row["name"]).startswith("ce_")
        scale, unit = (100.0, "%") if percent else (1.0, str(row["units"]))
        known = isfinite(row["value"])
        technique = TECHNIQUES.get(str(row["technique"]), TECHNIQUES["unknown"])
        mark = [" ", tag(technique, unit_label(str(row["unit"])))] if by_acquisition else []
        text = with_error(scale * row["value"], scale * row["std"], unit, why="") if known else "—"
        found.append(html.Dt([str(row["title"]), *mark], title=str(row["method"])))
        found.append(html.Dd(html.B(text), title=str(row["reason"])))
        if not known:
            found.append(html.Dd(str(row["reason"]), className="why"))
    return found


def condition_list(conditions: Mapping[str, Any]) -> list[Component]:
    """Terms and values of the conditions that a person or a file stated; the unit moves from the name to the value."""
    found: list[Component] = []
    for name, value in conditions.items():
        suffix = next((s for s in UNIT_OF_SUFFIX if name.endswith(s)), "")
        number = f"{value:.4g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
        text = f"{number}\u00a0{UNIT_OF_SUFFIX[suffix]}" if suffix else number
        found += [html.Dt(name.removesuffix(suffix).replace("_", " "), title=CONDITION_MEANING.get(name, "")), html.Dd(text)]
    return found


def error_text(nm: float) -> str:
    """A 95 % error on a badge: one decimal below 10 nm, "?" where it is not known."""
    return f"±{nm:.1f}" if nm < FINEST_NM else f"±{nm:.0f}" if isfinite(nm) else "± ?"


def full_label(technique: Technique, unit: str) -> str:
    """Short name of the technique and the acquisition's own, said once where they are the same."""
    own = unit_label(unit)
    return technique.short if own.lower() == technique.short.lower() else f"{technique.short} {own}"


def sample_address(sample: str, unit: str = "") -> str:
    """Address of the sample page, zoomed to an acquisition if one is named."""
    return f"/sample/{quote(sample)}" + (f"?at={quote(unit, safe='')}" if unit else "")


def unit_label(unit: str) -> str:
    """The part of an acquisition's name that a person reads: the file stem and, beyond the first signal, its number."""
    stem, _, number = unit.split("/", 1)[-1].rpartition("-")
    return stem if number == "0" else f"{stem} {number}"


def counted(acquisitions: list[Acquisition]) -> list[tuple[Technique, int]]:
    """Each technique among acquisitions with how often it occurs, in the registry's order."""
    names = [a.technique for a in acquisitions]
    return [(t, names.count(name)) for name, t in TECHNIQUES.items() if name in names]


def _address(path: str, sample: str | None) -> str:
    return f"{path}/{quote(sample)}" if sample and path in ("/sample", "/cycle") else path


def _rail_link(name: str, address: str, icon_name: str, *, on: bool) -> Component:
    return dcc.Link([icon(icon_name, "l"), html.Span(name)], href=address, className="on" if on else "")
