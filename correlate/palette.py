"""Colours and type of everything a person looks at: one source for the report and for the browser.

Every text colour has a contrast of at least 4.5:1 on page, surface and raised, `line-strong` at least 3:1, in both schemes.
"""

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

TYPE_PX = {"micro": 10.5, "xs": 11, "sm": 12, "md": 13, "lg": 15, "xl": 18, "hero": 26}
FONT = "InterVariable, Inter, system-ui, sans-serif"


def variables(*, dark: bool) -> str:
    """The colours of one scheme as CSS variables, one a line."""
    return "\n".join(f"  --{name}: {pair[dark]};" for name, pair in COLOURS.items())


def type_variables() -> str:
    """The sizes of type as CSS variables, one a line."""
    return "\n".join(f"  --fs-{name}: {px}px;" for name, px in TYPE_PX.items())
