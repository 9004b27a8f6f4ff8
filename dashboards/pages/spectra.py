"""The strip below the stage: spectrum of the clicked pixel, and spectra that speak for an area."""

from typing import Any

import numpy as np
from dash import dcc, html
from dash.development.base_component import Component
from numpy.typing import NDArray

from correlate.study import Acquisition
from dashboards.figures.spectrum import area_spectra, blank, point_spectrum
from dashboards.pages.shell import PLOT, counted, unit_label
from dashboards.source import Source, is_image, is_spectrum_image
from dashboards.view import View, own_position
from datasets.techniques import TECHNIQUES
from datasets.terms import SPATIAL

Floats = NDArray[np.float64]
NOT_SPECTRAL = (
    *SPATIAL, "time", "cycle", "frequency", "frame", "position", "channel", "tilt", "sputter_level", "spectrum", "ion",
    "scattering_vector_y", "scattering_vector_x", "detector_y", "detector_x",
)
AT_MOST_SPECTRA = 8


def strip(view: View, own: list[Acquisition]) -> Component:
    """Panels for the spectra that a sample has."""
    spectral = [a for a in own if is_spectrum_image(a) and a.unit in view.matrices]
    areas = [(t, n) for t, n in counted([a for a in own if is_area_spectrum(a)])]
    if not spectral and not areas:
        return html.Div(className="strip none")
    panels = []
    labels = {a.unit: f"{TECHNIQUES[a.technique].short} {unit_label(a.unit)}" for a in spectral}
    if spectral:
        choice = dcc.RadioItems(
            id="spectrum-of",
            options=[{"label": labels[a.unit], "value": a.unit} for a in spectral],
            value=spectral[0].unit,
            className="choice",
            inline=True,
        )
        panels.append(
            html.Section(
                [
                    html.Header([html.H2("Spectrum here"), choice, html.Span(id="spectrum-note", className="note")]),
                    dcc.Graph(id="point-spectrum", config=PLOT, figure=blank(dark=False), className="plot"),
                ]
            )
        )
    if areas:
        choice = dcc.RadioItems(
            id="area-of",
            options=[{"label": f"{t.short}, {n}", "value": t.name} for t, n in areas],
            value=areas[0][0].name,
            className="choice",
            inline=True,
        )
        panels.append(
            html.Section(
                [
                    html.Header([html.H2("Spectra of the area"), choice]),
                    dcc.Graph(id="area-spectra", config=PLOT, figure=blank(dark=False), className="plot"),
                ]
            )
        )
    return html.Div(panels, className="strip")


def is_area_spectrum(a: Acquisition) -> bool:
    """Whether the data are spectra without a place: they end in an energy-like axis and have no field."""
    return bool(a.dims) and a.dims[-1] not in NOT_SPECTRAL and not is_image(a) and not is_spectrum_image(a)


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


def area_figure(source: Source, sample: str, technique: str, *, dark: bool) -> dict[str, Any]:
    """Spectra of one technique that speak for an area of the sample."""
    own = [a for a in source.acquisitions(sample) if a.technique == technique and is_area_spectrum(a)]
    if not own:
        return blank(dark=dark)
    curves = []
    for a in own[:AT_MOST_SPECTRA]:
        ds = source.study.open(a.unit)
        data = ds[next(iter(ds.data_vars))]
        values = np.asarray(data.isel(dict.fromkeys(data.dims[:-1], 0)).values, np.float64)
        title = str(ds.attrs.get("conditions", {}).get("species") or ds.attrs.get("title") or unit_label(a.unit))
        curves.append((title, data[str(data.dims[-1])], values))
    widest = max(float(np.ptp(axis.values)) for _, axis, _ in curves)
    surveys = [c for c in curves if float(np.ptp(c[1].values)) > widest / 3]
    return area_spectra(
        curves if len(surveys) == len(curves) else surveys[:1] or curves,
        TECHNIQUES[technique].family,
        dark=dark,
        key=f"{sample} {technique}",
    )
