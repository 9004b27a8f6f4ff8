"""Cycling and impedance."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from dashboards.decimate import extremes
from dashboards.figures.labels import title
from dashboards.tokens import palette, template

Floats = NDArray[np.float64]
LOG_UP_TO = 0.9999
"""Efficiencies beyond this cannot stand on an axis that is logarithmic in the loss."""
TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999)


def loss_scale(ce: Floats) -> Floats:
    """-log10(1 - CE): equal steps for equal factors of loss."""
    return -np.log10(np.maximum(1 - np.asarray(ce, np.float64), 1 - LOG_UP_TO))


def efficiency(own: xr.Dataset, others: Mapping[str, tuple[Floats, Floats]], *, dark: bool, key: str = "") -> dict[str, Any]:
    """CE per cycle with two standard deviations; other samples (cycle, CE) thin behind it."""
    c = palette(dark=dark)
    cycle, ce, std = (own[name].values.astype(np.float64) for name in ("cycle", "ce", "ce_std"))
    everything = np.concatenate([ce, *(values for _, values in others.values())]) if others else ce
    logarithmic = bool(np.nanmax(everything) < LOG_UP_TO)
    scale = loss_scale if logarithmic else (lambda values: 100 * values)
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": x,
            "y": scale(y),
            "line": {"width": 1, "color": c["line-strong"]},
            "opacity": 0.6,
            "name": name,
            "hovertemplate": f"{name}, cycle %{{x:.0f}}<extra></extra>",
        }
        for name, (x, y) in others.items()
    ]
    up, down = (
        scale(np.minimum(ce + 2 * std, LOG_UP_TO if logarithmic else np.inf)) - scale(ce),
        scale(ce) - scale(ce - 2 * std),
    )
    data.append(
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": cycle,
            "y": scale(ce),
            "name": key,
            "marker": {"size": 6},
            "line": {"width": 1.8, "color": c["accent"]},
            "error_y": {"type": "data", "array": up, "arrayminus": down, "thickness": 1.2, "width": 0, "color": c["accent"]},
            "customdata": np.stack([100 * ce, 100 * std], 1),
            "hovertemplate": "cycle %{x:.0f}: %{customdata[0]:.3f} ± %{customdata[1]:.3f} %<extra></extra>",
        }
    )
    return {
        "data": data,
        "layout": {
            "template": template(dark=dark),
            "uirevision": key,
            "margin": {"l": 60, "r": 16, "t": 10, "b": 42},
            "xaxis": {"title": {"text": "Cycle"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": "Coulombic efficiency / %"}, **(_loss_axis(everything) if logarithmic else {})},
        },
    }


def potential(ds: xr.Dataset, against: str, *, dark: bool, key: str = "") -> dict[str, Any]:
    """Potential against time (h) or charge (mAh), at screen size with every extreme kept."""
    c = palette(dark=dark)
    y = ds["potential"].values.astype(np.float64)
    x = ds["time"].values / 3600 if against == "time" else ds["charge"].values
    kept = extremes(y)
    name = {"text": "Time / h"} if against == "time" else title("charge", "mAh")
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "x": np.asarray(x, np.float64)[kept],
                "y": y[kept],
                "line": {"width": 1.2, "color": c["image"]},
                "hovertemplate": "%{x:.4~g}, %{y:.4f} V<extra></extra>",
            }
        ],
        "layout": {
            "template": template(dark=dark),
            "uirevision": f"{key} {against}",
            "margin": {"l": 58, "r": 14, "t": 8, "b": 40},
            "xaxis": {"title": name},
            "yaxis": {"title": title("potential", "V"), "nticks": 6},
        },
    }


def nyquist(sweeps: Sequence[tuple[str, Floats, Floats, Floats]], *, dark: bool, key: str = "") -> dict[str, Any]:
    """-Im Z against Re Z in ohm, equal scales; sweeps are (label, frequency Hz, real, imaginary)."""
    c = palette(dark=dark)
    colours = [c[f] for f in ("image", "emspec", "ion", "probe", "xray", "vib", "echem")]
    data, notes = [], []
    for i, (label, frequency, real, imaginary) in enumerate(sweeps):
        colour = colours[i % len(colours)]
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": real,
                "y": -imaginary,
                "customdata": frequency,
                "name": label,
                "line": {"width": 1, "color": colour},
                "marker": {"size": 5, "symbol": "circle-open", "color": colour},
                "hovertemplate": "%{customdata:.3~s}Hz: %{x:.4~g} − i %{y:.4~g} Ω<extra></extra>",
            }
        )
        top = int(np.argmax(-imaginary))
        notes.append(
            {
                "x": float(real[top]),
                "y": float(-imaginary[top]),
                "text": label,
                "showarrow": False,
                "yanchor": "bottom",
                "yshift": 4,
                "font": {"color": colour, "size": 11},
            }
        )
    return {
        "data": data,
        "layout": {
            "template": template(dark=dark),
            "uirevision": key,
            "annotations": notes if len(sweeps) > 1 else [],
            "margin": {"l": 56, "r": 14, "t": 8, "b": 40},
            "xaxis": {"title": title("impedance_real", "ohm"), "constrain": "domain"},
            "yaxis": {"title": title("impedance_imaginary", "ohm"), "scaleanchor": "x", "constrain": "domain", "nticks": 5},
        },
    }


def _loss_axis(everything: Floats) -> dict[str, Any]:
    shown = loss_scale(everything[np.isfinite(everything)])
    low, high = float(shown.min()), float(shown.max())
    room = 0.08 * max(high - low, 0.1)
    inside = [t for t in TICKS if low - room <= loss_scale(np.array([t]))[0] <= high + room]
    ticks = inside if len(inside) > 1 else list(TICKS)
    return {
        "range": [low - room, high + room],
        "tickvals": [float(loss_scale(np.array([t]))[0]) for t in ticks],
        "ticktext": [f"{100 * t:g}" for t in ticks],
    }
