"""The strip below the stage: spectrum of the clicked pixel, and spectra that speak for an area."""

from typing import Any

import numpy as np
from dash import dcc, html
from dash.development.base_component import Component
from numpy.typing import NDArray

from correlate.study import Acquisition
from dashboards.figures.spectrum import area_spectrum, blank, point_spectrum
from dashboards.pages.shell import PLOT, full_label, unit_label
from dashboards.source import Source, is_image, is_spectrum_image, main_variable
from dashboards.view import View, own_position
from datasets.techniques import TECHNIQUES

Floats = NDArray[np.float64]
SPECTRAL_UNITS = ("eV", "keV", "1/cm", "Da")
"""An axis in one of them makes a curve a spectrum."""


def strip(view: View, own: list[Acquisition]) -> Component:
    """Panels for the spectra that a sample has."""
    spectral = [a for a in own if is_spectrum_image(a) and a.unit in view.matrices]
    areas = [a for a in own if is_area_spectrum(a)]
    panels = []
    if spectral:
        options = {a.unit: full_label(TECHNIQUES[a.technique], a.unit) for a in spectral}
        note = html.Span(id="spectrum-note", className="note")
        panels.append(_panel("Spectrum here", "spectrum-of", options, "point-spectrum", note))
    if areas:
        several = len({a.technique for a in areas}) > 1
        options = {a.unit: f"{TECHNIQUES[a.technique].short} {_region(a)}" if several else _region(a) for a in areas}
        what = "Spectra of the area" if several else f"{TECHNIQUES[areas[0].technique].short} of the area"
        panels.append(_panel(what, "area-of", options, "area-spectra"))
    return html.Div(panels, className="strip" if panels else "strip none")


def _panel(heading: str, choice: str, options: dict[str, str], plot: str, *more: Component) -> Component:
    chosen = dcc.RadioItems(id=choice, options=[{"label": text, "value": unit} for unit, text in options.items()],
                            value=next(iter(options)), className="choice", inline=True)
    return html.Section([html.Header([html.H2(heading), chosen, *more]),
                         dcc.Graph(id=plot, config=PLOT, figure=blank(dark=False), className="plot")])


def _region(a: Acquisition) -> str:
    return str(a.conditions.get("species") or a.title or unit_label(a.unit))


def is_area_spectrum(a: Acquisition) -> bool:
    """Whether the data are spectra without a place: they end in an energy-like axis and have no field."""
    on_a_spectral_axis = bool(a.dims) and a.coords.get(a.dims[-1], {}).get("units") in SPECTRAL_UNITS
    return on_a_spectral_axis and not is_image(a) and not is_spectrum_image(a)


def spectrum_figure(
    source: Source, view: View, point: Floats | None, unit: str | None, *, dark: bool
) -> tuple[dict[str, Any], str]:
    """Spectrum of a spectrum image at a point of the stage, and a sentence about it."""
    if unit not in view.matrices:
        return blank(dark=dark), ""
    if point is None:
        return blank(dark=dark, text="Click the image"), ""
    own, covariance = own_position(view, str(unit), point)
    found = source.spectrum_at(str(unit), own, covariance)
    a = source.acquisition(str(unit))
    if found is None or a is None:
        return blank(dark=dark, text="The point is outside this field"), ""
    figure = point_spectrum(
        found.axis, found.pixel, found.mean, found.n, found.units, TECHNIQUES[a.technique].family, dark=dark, key=str(unit)
    )
    return figure, f"row {found.index[0]}, column {found.index[1]}"


def area_figure(source: Source, unit: str | None, *, dark: bool) -> dict[str, Any]:
    """A spectrum that speaks for an area of the sample; of several, the first."""
    a = source.acquisition(unit or "")
    if a is None or not is_area_spectrum(a):
        return blank(dark=dark)
    data = main_variable(source.study.open(a.unit), a.technique)
    values = np.asarray(data.isel(dict.fromkeys(data.dims[:-1], 0)).values, np.float64)
    axis = data[str(data.dims[-1])]
    return area_spectrum(axis, values, str(data.attrs.get("units", "")), TECHNIQUES[a.technique].family, dark=dark, key=a.unit)
