"""Colours and figure templates of the browser: one source for the style sheet and for plotly.

`css()` is kept as assets/0_tokens.css; a test holds the two together.
"""

from typing import Any

from correlate.palette import COLOURS, FONT, type_variables, variables

ON_IMAGE: dict[str, str] = {
    "image": "#8CBBFF", "emspec": "#FF9A6B", "xray": "#D5B0EC", "vib": "#EEE24E", "ion": "#93F0CB", "probe": "#F39BCC",
    "echem": "#C6CED8",
}
"""Family -> tint of field boxes and labels over an image, the same in both schemes since the stage is always dark."""

COLORMAPS: dict[str, list[str]] = {
    "gray": ["#000000", "#FFFFFF"],
    "viridis": ["#440154", "#482878", "#3E4A89", "#31688E", "#26828E", "#1F9E89", "#35B779", "#6DCD59", "#B4DE2C", "#FDE725"],
    "cividis": ["#00224E", "#123570", "#3B496C", "#575D6D", "#707173", "#8A8678", "#A59C74", "#C3B369", "#E1CC55", "#FEE838"],
    "inferno": ["#000004", "#1B0C41", "#4A0C6B", "#781C6D", "#A52C60", "#CF4446", "#ED6925", "#FB9B06", "#F7D13D", "#FCFFA4"],
}
"""Even stops of the maps that a layer may have: grey for intensity, the others for quantities (matplotlib's, CC0)."""

FAMILIES = tuple(ON_IMAGE)
MARKERS = ("circle", "square", "diamond", "triangle-up", "hexagon", "cross", "star", "triangle-down", "pentagon", "x")
"""Electrolytes are told apart by marker and label; colour only repeats it."""


def css() -> str:
    """The tokens as CSS variables: light at the root, dark below data-scheme=dark."""
    return (f"/* Written from correlate/palette.py; change the colours there. */\n"
            f":root {{\n  color-scheme: light;\n{variables(dark=False)}\n{type_variables()}\n}}\n\n"
            f"[data-scheme=dark] {{\n  color-scheme: dark;\n{variables(dark=True)}\n}}\n")


def palette(*, dark: bool) -> dict[str, str]:
    """Token -> colour in one scheme; the families of techniques stand both as "t-image" and as "image"."""
    colours = {name: pair[dark] for name, pair in COLOURS.items()}
    return colours | {family: colours[f"t-{family}"] for family in FAMILIES}


def template(*, dark: bool) -> dict[str, Any]:
    """Plotly template of one scheme. Plotly knows no CSS variables, so figures are drawn anew when the scheme changes."""
    c = palette(dark=dark)
    text = {"size": 11, "color": c["ink-2"]}
    axis = {"showline": True, "linecolor": c["line-strong"], "linewidth": 1, "ticks": "outside", "ticklen": 4,
            "tickcolor": c["line-strong"], "gridcolor": c["line"], "gridwidth": 1, "zeroline": False,
            "title": {"standoff": 6, "font": text}, "tickfont": text, "exponentformat": "power", "minexponent": 4}
    return {"layout": {
        "font": {"family": FONT, **text}, "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 56, "r": 12, "t": 10, "b": 40}, "xaxis": {**axis, "showgrid": False}, "yaxis": axis,
        "showlegend": False, "hovermode": "closest", "dragmode": "pan", "separators": ".\u2009",
        "colorway": [c[f"t-{family}"] for family in FAMILIES],
        "hoverlabel": {"bgcolor": c["surface"], "bordercolor": c["line-strong"],
                       "font": {"family": FONT, "size": 12, "color": c["ink"]}},
        "annotationdefaults": {"font": text, "showarrow": False},
        "shapedefaults": {"line": {"color": c["ink-3"], "width": 1}},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": c["ink-3"], "activecolor": c["accent"]},
    }}
