"""Spectra: of a clicked pixel, and of techniques that speak for an area."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from dashboards.decimate import extremes
from dashboards.figures.labels import FALLING, UNITS, title
from dashboards.tokens import palette, template

Floats = NDArray[np.float64]


def blank(*, dark: bool, text: str = "") -> dict[str, Any]:
    """An empty plot that says what it waits for."""
    axis = {"visible": False}
    note = [{"text": text, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "showarrow": False}] if text else []
    return {"data": [], "layout": {"template": template(dark=dark), "xaxis": axis, "yaxis": axis, "annotations": note}}


def point_spectrum(
    axis: xr.DataArray, pixel: Floats, mean: Floats, n: int, counts_unit: str, family: str, *, dark: bool, key: str = ""
) -> dict[str, Any]:
    """Spectrum of one pixel (thin, grey) and its mean over the n pixels of the ellipse (in the family's colour).

    `key` names what is shown: as long as it stays, so does the zoom.
    """
    c = palette(dark=dark)
    x = axis.values
    drawn = [_curve(x, pixel, c["ink-3"] if n > 1 else c[family], 1.1, "this pixel")]
    notes = [_corner_note("this pixel", c["ink-3"] if n > 1 else c[family], 0)]
    if n > 1:
        drawn.append(_curve(x, mean, c[family], 1.8, f"mean of {n} pixels"))
        notes.append(_corner_note(f"<b>mean in the ellipse, {n} px</b>", c[family], 1))
    counts = title(counts_unit) if counts_unit == "arbitrary" else {"text": UNITS.get(counts_unit, counts_unit)}
    return {
        "data": drawn,
        "layout": {
            "template": template(dark=dark),
            "uirevision": key,
            "annotations": notes,
            "margin": {"l": 58, "r": 14, "t": 8, "b": 38},
            "xaxis": {"title": title(str(axis.name), str(axis.attrs.get("units", ""))), "range": _range(x, str(axis.name))},
            "yaxis": {"title": counts, "nticks": 5, "rangemode": "tozero"},
        },
    }


def area_spectra(
    curves: Sequence[tuple[str, xr.DataArray, Floats]], family: str, *, dark: bool, key: str = ""
) -> dict[str, Any]:
    """Spectra (label, axis, values) of one kind, each scaled to its own range and set above the one before."""
    c = palette(dark=dark)
    data, notes = [], []
    dim = str(curves[0][1].name)
    for i, (label, axis, values) in enumerate(curves):
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        scaled = 0.9 * (values - low) / ((high - low) or 1.0) + i
        data.append(_curve(axis.values, scaled, c[family], 1.3, label))
        notes.append(
            {
                "xref": "paper",
                "x": 0.995,
                "y": i + 0.97,
                "text": label,
                "xanchor": "right",
                "yanchor": "top",
                "showarrow": False,
                "font": {"color": c["ink-2"], "size": 11},
            }
        )
    every = np.concatenate([axis.values for _, axis, _ in curves])
    return {
        "data": data,
        "layout": {
            "template": template(dark=dark),
            "uirevision": key,
            "annotations": notes,
            "margin": {"l": 14, "r": 14, "t": 8, "b": 38},
            "xaxis": {"title": title(dim, str(curves[0][1].attrs.get("units", ""))), "range": _range(every, dim)},
            "yaxis": {"visible": False, "range": [-0.05, len(curves) + 0.05]},
        },
    }


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
