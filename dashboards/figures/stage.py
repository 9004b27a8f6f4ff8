"""The true-scale stage: layers, field boxes and marks in one frame, drawn by assets/stage.js."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from correlate.palette import COLOURS
from dashboards.tiles import TILE
from dashboards.tokens import COLORMAPS, ON_IMAGE

Floats = NDArray[np.float64]
MARGIN = 0.06
"""Of the field, left free around it at first sight."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One picture in the stage's frame.

    levels : finest first, (y, x) in nm (or pixels) of its own frame
    matrix : (2, 3), own (y, x) -> the stage's (y, x)
    outline : (n, 2) its rim (y, x) on the stage, where it bends; its levels are the stage's then
    """

    key: str
    label: str
    family: str
    levels: tuple[xr.DataArray, ...]
    matrix: Floats
    colormap: str
    visible: bool
    see_through: bool
    outline: Floats | None = None


@dataclass(frozen=True, eq=False)
class Field:
    """The outline of an acquisition, (n, 2) corners (y, x) in the stage's frame, four unless it bends."""

    unit: str
    label: str
    family: str
    corners: Floats


def edges(image: xr.DataArray) -> tuple[float, float, float, float]:
    """(y0, y1, x0, x1): outer edges of the pixels, half a pixel beyond the first and last centres."""
    found = []
    for axis in (image["y"].values, image["x"].values):
        half = 0.5 * (axis[-1] - axis[0]) / max(len(axis) - 1, 1) if len(axis) > 1 else 0.5
        found += [float(axis[0] - half), float(axis[-1] + half)]
    return found[0], found[1], found[2], found[3]


def corners(y0: float, y1: float, x0: float, x1: float, matrix: Floats) -> Floats:
    """(4, 2) corners (y, x) of a rectangle after an affine map (2, 3)."""
    own = np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]])
    mapped: Floats = own @ matrix[:, :2].T + matrix[:, 2]
    return mapped


def view_of(points: Floats) -> dict[str, float]:
    """Ranges that show points (n, 2), with some room around them."""
    (y0, x0), (y1, x1) = points.min(0), points.max(0)
    dy, dx = MARGIN * (y1 - y0), MARGIN * (x1 - x0)
    return {"x0": x0 - dx, "x1": x1 + dx, "y0": y0 - dy, "y1": y1 + dy}


def stage_data(layers: Iterable[Layer], fields: Iterable[Field], view: dict[str, float], unit: str) -> dict[str, Any]:
    """What assets/stage.js needs: layers from bottom to top, boxes, the first view, and the length unit ("nm" or "px").

    Matrices are in the order of SVG, (a, b, c, d, e, f) with X = a x + c y + e and Y = b x + d y + f.
    """
    return {
        "unit": unit,
        "view": view,
        "tile": TILE,
        "colormaps": COLORMAPS,
        "cursor": COLOURS["cursor"][0],
        "layers": [_layer(layer) for layer in layers],
        "fields": [
            {
                "unit": f.unit,
                "label": f.label,
                "colour": ON_IMAGE[f.family],
                "corners": [[float(x), float(y)] for y, x in f.corners],
            }
            for f in fields
        ],
    }


def empty_stage() -> dict[str, Any]:
    """The figure below the stage: no trace, equal scales, y downwards as in every image."""
    axis = {"visible": False, "showgrid": False, "zeroline": False, "fixedrange": False}
    return {
        "data": [],
        "layout": {
            "images": [],
            "shapes": [],
            "annotations": [],
            "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
            "dragmode": "pan",
            "hovermode": "closest",
            "clickanywhere": True,
            "uirevision": "stage",
            "showlegend": False,
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "xaxis": {**axis, "range": [0, 1], "constrain": "range"},
            "yaxis": {**axis, "range": [1, 0], "scaleanchor": "x", "scaleratio": 1, "constrain": "range"},
        },
    }


def _layer(layer: Layer) -> dict[str, Any]:
    (a, b, c), (d, e, f) = layer.matrix
    return {
        "key": layer.key,
        "label": layer.label,
        "colormap": layer.colormap,
        "visible": layer.visible,
        "seeThrough": layer.see_through,
        "matrix": [float(v) for v in (e, b, d, a, f, c)],
        "levels": [
            {
                "x": x0,
                "y": y0,
                "dx": (x1 - x0) / level.sizes["x"],
                "dy": (y1 - y0) / level.sizes["y"],
                "width": level.sizes["x"],
                "height": level.sizes["y"],
            }
            for level in layer.levels
            for y0, y1, x0, x1 in [edges(level)]
        ],
    }
