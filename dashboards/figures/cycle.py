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
FEWEST_TICKS = 3
BARS: dict[str, Any] = {"type": "data", "thickness": 1.2, "width": 0}


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
    shown, low, high = scale(ce), scale(ce - 2 * std), scale(ce + 2 * std)
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
    data.append(
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": cycle,
            "y": shown,
            "name": key,
            "marker": {"size": 6},
            "line": {"width": 1.8, "color": c["accent"]},
            "error_y": {**BARS, "array": high - shown, "arrayminus": shown - low, "color": c["accent"]},
            "customdata": np.stack([100 * ce, 100 * std], 1),
            "hovertemplate": "cycle %{x:.0f}: %{customdata[0]:.3f} ± %{customdata[1]:.3f} %<extra></extra>",
        }
    )
    axis = loss_axis(np.concatenate([scale(everything), low, high])) if logarithmic else {}
    return {
        "data": data,
        "layout": {
            "template": template(dark=dark),
            "uirevision": key,
            "margin": {"l": 60, "r": 16, "t": 10, "b": 42},
            "xaxis": {"title": {"text": "Cycle"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": "Coulombic efficiency / %"}, **axis},
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


def loss_axis(shown: Floats) -> dict[str, Any]:
    """Range and ticks of an axis that holds the scaled values `shown`; ticks are round efficiencies."""
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    room = max(0.06 * (high - low), 0.01)
    low, high = low - room, high + room
    for mantissas in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), tuple(np.arange(1, 10, 0.5)), tuple(np.arange(1, 10, 0.1))):
        losses = sorted({float(m) * 10.0**k for k in range(-5, 1) for m in mantissas if m * 10.0**k <= 1}, reverse=True)
        ticks = [loss for loss in losses if low <= -np.log10(loss) <= high]
        if len(ticks) >= FEWEST_TICKS:
            break
    return {
        "range": [low, high],
        "tickvals": [float(-np.log10(loss)) for loss in ticks],
        "ticktext": [f"{100 * (1 - loss):.6g}" for loss in ticks],
    }
