"""Spectra: of a clicked pixel, and of techniques that speak for an area."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from dashboards.decimate import extremes
from dashboards.figures.labels import FALLING, UNITS, title
from dashboards.tokens import palette, template

Floats = NDArray[np.float64]
DWARFS = 100.0
"""Peak over median from which a linear axis would show the peak alone."""


def blank(*, dark: bool, text: str = "") -> dict[str, Any]:
    """An empty plot that says what it waits for."""
    axis = {"visible": False}
    note = [{"text": text, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "showarrow": False}] if text else []
    return {"data": [], "layout": {"template": template(dark=dark), "xaxis": axis, "yaxis": axis, "annotations": note}}


def point_spectrum(axis: xr.DataArray, pixel: Floats, mean: Floats, n: int, units: str, family: str, *, dark: bool,
                   key: str = "") -> dict[str, Any]:
    """Spectrum of one pixel (thin, grey) and its mean over the n pixels of the ellipse (in the family's colour).

    `key` names what is shown: as long as it stays, so does the zoom.
    """
    c = palette(dark=dark)
    drawn = [_curve(axis.values, pixel, c["ink-3"] if n > 1 else c[family], 1.1, "this pixel")]
    notes = [_corner_note("this pixel", c["ink-3"] if n > 1 else c[family], 0)]
    if n > 1:
        drawn.append(_curve(axis.values, mean, c[family], 1.8, f"mean of {n} pixels"))
        notes.append(_corner_note(f"<b>mean in the ellipse, {n} px</b>", c[family], 1))
    return _figure(axis, drawn, notes, units, dark=dark, key=key)


def area_spectrum(axis: xr.DataArray, values: Floats, units: str, family: str, *, dark: bool, key: str = "") -> dict[str, Any]:
    """A spectrum that speaks for an area."""
    drawn = [_curve(axis.values, values, palette(dark=dark)[family], 1.4, key)]
    return _figure(axis, drawn, [], units, dark=dark, key=key)


def _figure(axis: xr.DataArray, drawn: list[dict[str, Any]], notes: list[dict[str, Any]], units: str, *, dark: bool,
            key: str) -> dict[str, Any]:
    name = str(axis.name)
    counts = {"text": "intensity" if units == "arbitrary" else UNITS.get(units, units)}
    return {"data": drawn, "layout": {
        "template": template(dark=dark), "uirevision": key, "annotations": notes, "margin": {"l": 58, "r": 14, "t": 8, "b": 38},
        "xaxis": {"title": title(name, str(axis.attrs.get("units", ""))), "range": _range(axis.values, name)},
        "yaxis": {"title": counts, **_intensity_axis(drawn[0]["y"])}}}


def _intensity_axis(values: Floats) -> dict[str, Any]:
    """Linear from zero; logarithmic where one peak, as the zero-loss peak, would hide all else."""
    middle, high = float(np.median(values)), float(np.max(values))
    if middle > 0 and high > DWARFS * middle:
        low = float(np.percentile(values[values > 0], 1))
        return {"type": "log", "range": [np.log10(low / 1.5), np.log10(high * 1.5)], "dtick": 1}
    return {"nticks": 5, "rangemode": "tozero"}


def _curve(x: Floats, y: Floats, colour: str, width: float, name: str) -> dict[str, Any]:
    kept = extremes(np.asarray(y, np.float64))
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x[kept],
        "y": y[kept],
        "line": {"width": width, "color": colour},
        "name": name,
        "hovertemplate": "%{x:.5~g}, %{y:.4~g}<extra>%{fullData.name}</extra>",
    }


def _range(x: Floats, dim: str) -> list[float]:
    low, high = float(np.min(x)), float(np.max(x))
    return [high, low] if dim in FALLING else [low, high]


def _corner_note(text: str, colour: str, rank: int) -> dict[str, Any]:
    return {
        "xref": "paper",
        "yref": "paper",
        "x": 0.99,
        "y": 0.98 - 0.1 * rank,
        "xanchor": "right",
        "yanchor": "top",
        "text": text,
        "showarrow": False,
        "font": {"color": colour, "size": 11},
    }
