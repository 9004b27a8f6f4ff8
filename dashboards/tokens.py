"""Colours, type and figure templates: one source for the style sheet and for plotly.

`css()` is kept as assets/0_tokens.css; a test holds the two together. Every text colour has a contrast of at least 4.5:1 on
page, surface and raised, `line-strong` at least 3:1, in both schemes.
"""

from typing import Any

COLOURS: dict[str, tuple[str, str]] = {
    "page": ("#F4F5F7", "#0E1115"),
    "surface": ("#FFFFFF", "#161A20"),
    "raised": ("#F7F8FA", "#1D222A"),
    "line": ("#E1E5EA", "#2A3039"),
    "line-strong": ("#7F8997", "#647080"),
    "ink": ("#15191F", "#E8ECF1"),
    "ink-2": ("#434C59", "#B4BDC9"),
    "ink-3": ("#626C7A", "#8E98A6"),
    "accent": ("#0B6B75", "#4CC9D6"),
    "accent-soft": ("#E2F2F3", "#102E34"),
    "stage": ("#15181C", "#0A0C0F"),
    "cursor": ("#FFD23F", "#FFD23F"),
    "ok": ("#12604A", "#57D1A8"),
    "ok-soft": ("#E1F3EC", "#113128"),
    "warn": ("#955C06", "#F2B64B"),
    "warn-soft": ("#FDF0DA", "#37280D"),
    "bad": ("#8A1A0E", "#FF8A7A"),
    "bad-soft": ("#FCE6E4", "#3C1A17"),
    "idle-soft": ("#ECEFF2", "#232932"),
    "t-image": ("#176BCB", "#5C9BF5"),
    "t-emspec": ("#94290A", "#F0764E"),
    "t-xray": ("#5B2490", "#B08CC8"),
    "t-vib": ("#716D06", "#EEE24E"),
    "t-ion": ("#07574A", "#93F0CB"),
    "t-probe": ("#AD3587", "#F39BCC"),
    "t-echem": ("#434C59", "#B4BDC9"),
}
"""Name -> (light, dark). Chrome is neutral; the accent means focus, selection or link; `cursor` lies on images only;
`t-` are the families of techniques."""

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
TYPE_PX = {"micro": 10.5, "xs": 11, "sm": 12, "md": 13, "lg": 15, "xl": 18, "hero": 26}
FONT = "InterVariable, Inter, system-ui, sans-serif"
MARKERS = ("circle", "square", "diamond", "triangle-up", "hexagon", "cross", "star", "triangle-down", "pentagon", "x")
"""Electrolytes are told apart by marker and label; colour only repeats it."""


def css() -> str:
    """The tokens as CSS variables: light at the root, dark below data-scheme=dark."""
    def block(scheme: int) -> str:
        return "\n".join(f"  --{name}: {pair[scheme]};" for name, pair in COLOURS.items())

    sizes = "\n".join(f"  --fs-{name}: {px}px;" for name, px in TYPE_PX.items())
    return (f"/* Written from dashboards/tokens.py; change the colours there. */\n"
            f":root {{\n  color-scheme: light;\n{block(0)}\n{sizes}\n}}\n\n"
            f"[data-scheme=dark] {{\n  color-scheme: dark;\n{block(1)}\n}}\n")


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
