"""Structure against coulombic efficiency, and what a model made of it on electrolytes that it had not seen."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboards.figures.cycle import BARS, LOG_UP_TO, loss_axis, loss_scale
from dashboards.figures.labels import UNITS
from dashboards.tokens import FAMILIES, MARKERS, palette, template

Floats = NDArray[np.float64]
LEGEND = {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 11}, "itemsizing": "constant"}


def scatter(table: pd.DataFrame, name: str, title: str, unit: str, *, dark: bool) -> dict[str, Any]:
    """A descriptor against CE, one marker per sample with two standard deviations on both axes, one look per electrolyte."""
    rows = table[np.isfinite(table[name]) & np.isfinite(table["ce_mean"])]
    c = palette(dark=dark)
    ce, ce_std = (rows[column].to_numpy(float) for column in ("ce_mean", "ce_mean_std"))
    x, x_std = (rows[column].to_numpy(float) for column in (name, f"{name}_std"))
    logarithmic = bool(ce.size == 0 or ce.max() < LOG_UP_TO)
    scale = loss_scale if logarithmic else (lambda values: 100 * values)
    y, low, high = scale(ce), scale(ce - 2 * np.nan_to_num(ce_std)), scale(ce + 2 * np.nan_to_num(ce_std))
    data = []
    for group, look in looks(table["group"].astype(str), c).items():
        own = (rows["group"].astype(str) == group).to_numpy()
        if own.any():
            bars = {**BARS, "color": c["line-strong"], "thickness": 1}
            data.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": group,
                    "x": x[own],
                    "y": y[own],
                    "marker": {**look, "size": 10, "line": {"width": 1, "color": c["surface"]}},
                    "error_x": {**bars, "array": 2 * np.nan_to_num(x_std[own])},
                    "error_y": {**bars, "array": (high - y)[own], "arrayminus": (y - low)[own]},
                    "customdata": np.stack([rows["sample"].astype(str)[own], np.round(100 * ce[own], 3)], 1),
                    "hovertemplate": "%{customdata[0]}: %{x:.4~g}, CE %{customdata[1]} %<extra>%{fullData.name}</extra>",
                }
            )
    axis = loss_axis(np.concatenate([low, high])) if logarithmic and ce.size else {}
    shown_unit = UNITS.get(unit, unit)
    return {
        "data": data,
        "layout": {
            "template": template(dark=dark),
            "uirevision": name,
            "showlegend": True,
            "legend": LEGEND,
            "margin": {"l": 62, "r": 18, "t": 30, "b": 44},
            "xaxis": {"title": {"text": title if unit in ("", "1") else f"{title} / {shown_unit}"}},
            "yaxis": {"title": {"text": "Coulombic efficiency / %"}, **axis},
        },
    }


def predictions(found: Sequence[Mapping[str, Any]], groups: Sequence[str], *, dark: bool) -> dict[str, Any]:
    """Predicted against measured log CE of electrolytes left out; hollow where the measured value is outside the interval."""
    c = palette(dark=dark)
    data: list[dict[str, Any]] = []
    every = [p[key] for p in found for key in ("observed", "predicted", "low", "high") if p[key] is not None]
    span = [float(min(every)), float(max(every))]
    data.append(
        {
            "type": "scatter",
            "mode": "lines",
            "x": span,
            "y": span,
            "hoverinfo": "skip",
            "showlegend": False,
            "line": {"width": 1, "dash": "dot", "color": c["ink-3"]},
        }
    )
    for group, look in looks(pd.Series(list(groups)), c).items():
        own = [p for p in found if p["group"] == group]
        if own:
            value = {
                key: np.array([p[key] for p in own], np.float64)
                for key in ("observed", "observed_std", "predicted", "low", "high")
            }
            fills = [look["color"] if p["inside"] else c["surface"] for p in own]
            data.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": group,
                    "x": value["observed"],
                    "y": value["predicted"],
                    "marker": {**look, "color": fills, "size": 8, "line": {"width": 1.6, "color": look["color"]}},
                    "error_x": {**BARS, "array": 2 * np.nan_to_num(value["observed_std"]), "color": c["line-strong"]},
                    "error_y": {
                        **BARS,
                        "array": value["high"] - value["predicted"],
                        "arrayminus": value["predicted"] - value["low"],
                        "color": c["line-strong"],
                    },
                    "customdata": [[p["sample"], 100 * p["ce"], 100 * p["ce_predicted"]] for p in own],
                    "hovertemplate": "%{customdata[0]}: measured %{customdata[1]:.2f} %, predicted %{customdata[2]:.2f} %"
                    "<extra>%{fullData.name}</extra>",
                }
            )
    axis = loss_axis(np.array(every, np.float64))
    return {
        "data": data,
        "layout": {
            "template": template(dark=dark),
            "uirevision": "predictions",
            "margin": {"l": 58, "r": 12, "t": 8, "b": 40},
            "xaxis": {"title": {"text": "measured CE / %"}, **loss_axis(np.array([p["observed"] for p in found], np.float64))},
            "yaxis": {"title": {"text": "predicted CE / %"}, **axis},
        },
    }


def importances(found: Sequence[Mapping[str, Any]], titles: Mapping[str, str], *, dark: bool) -> dict[str, Any]:
    """Importance per descriptor with its 90 % interval, largest on top; hollow unless the whole interval is above zero."""
    c = palette(dark=dark)
    rows = list(found)[::-1]
    value, low, high = (np.array([row[key] for row in rows], np.float64) for key in ("value", "low", "high"))
    names = [titles.get(str(row["name"]), str(row["name"])) for row in rows]
    clear = low > 0
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "x": value,
                "y": names,
                "showlegend": False,
                "marker": {
                    "size": 8,
                    "color": [c["ink"] if ok else c["surface"] for ok in clear],
                    "line": {"width": 1.6, "color": c["ink"]},
                },
                "error_x": {**BARS, "array": high - value, "arrayminus": value - low, "color": c["ink-3"]},
                "hovertemplate": "%{y}: %{x:.3~g}<extra></extra>",
            }
        ],
        "layout": {
            "template": template(dark=dark),
            "uirevision": "importances",
            "margin": {"l": 8, "r": 14, "t": 8, "b": 40},
            "xaxis": {
                "title": {"text": "growth of error"},
                "nticks": 5,
                "tickangle": 0,
                "zeroline": True,
                "zerolinecolor": c["line-strong"],
            },
            "yaxis": {"automargin": True, "showgrid": True, "showline": False, "ticks": "", "tickfont": {"size": 11}},
        },
    }


def looks(groups: pd.Series, colours: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Marker and colour of each electrolyte, in the order of the study; the same on every plot."""
    names = list(dict.fromkeys(groups))
    return {
        name: {"symbol": MARKERS[i % len(MARKERS)], "color": colours[FAMILIES[i % len(FAMILIES)]]}
        for i, name in enumerate(names)
    }
