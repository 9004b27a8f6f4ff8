"""Charts of the report as inline SVG, coloured by the page's CSS variables: one drawing serves light, dark and print."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

WIDTH = 760
ROW, TOP, BOTTOM, RIGHT = 22, 26, 40, 16
LETTER = 6.6
"""Mean width of a letter of a row's name."""
MARKS = ("circle", "square", "diamond", "triangle", "hexagon")
FAMILIES = ("image", "emspec", "xray", "probe", "ion", "vib", "echem")
INTERVAL = 2.0
"""Standard deviations to each side of a value that a line spans."""


@dataclass(frozen=True)
class Mark:
    """A value with the interval in which it is believed to lie.

    family : colour, one of FAMILIES; hollow : drawn empty, for what is not resolved; truth : a tick beside it, NaN for none
    """

    value: float
    low: float
    high: float
    family: str
    title: str
    hollow: bool = False
    truth: float = math.nan


def stated(value: float, std: float, family: str, title: str, truth: float = math.nan) -> Mark:
    """A mark of INTERVAL standard deviations."""
    half = INTERVAL * std if math.isfinite(std) else 0.0
    return Mark(value, value - half, value + half, family, title, truth=truth)


def rows(marks: Mapping[str, Sequence[Mark]], axis: str, label: str, *, zero: bool = False, synthetic: bool = False) -> Markup:
    """One row per label, its marks side by side on a shared axis; `zero` draws the line from which values are counted."""
    ends = [v for own in marks.values() for m in own for v in (m.low, m.high, m.truth) if math.isfinite(v)]
    if not ends:
        return Markup("")
    low, high = min([*ends, 0.0]), max([*ends, 0.0])
    low, high = low - (0.02 * (high - low) if low < 0 else 0), high + 0.02 * (high - low)
    height = TOP + ROW * len(marks) + BOTTOM
    left = min(0.45 * WIDTH, 24 + LETTER * max(len(name) for name in marks))
    scale = (WIDTH - left - RIGHT) / (high - low or 1.0)

    def at(value: float) -> float:
        return left + scale * (value - low)

    bottom = TOP + ROW * len(marks)
    parts = [_grid(at, ticks(low, high), left, bottom), _axis_title(axis, (left + WIDTH - RIGHT) / 2, height - 6)]
    if zero:
        parts.append(_line(at(0), TOP, at(0), bottom, "zero"))
    for i, (name, own) in enumerate(marks.items()):
        middle = TOP + ROW * (i + 0.5)
        parts.append(_text(left - 10, middle + 4, name, "name", "end"))
        for k, mark in enumerate(own):
            y = middle + (k - (len(own) - 1) / 2) * min(6.0, (ROW - 6) / max(len(own), 1))
            parts.append(_interval(mark, at, y))
    return _svg(WIDTH, height, parts, label, synthetic)


def predictions(found: Sequence[Mapping[str, Any]], groups: Sequence[str], *, synthetic: bool = False) -> Markup:
    """Predicted against measured log CE of electrolytes left out, with 90 % intervals; hollow where the interval misses."""
    size, left, bottom = 480, 66, 48
    keys = ("observed", "predicted", "low", "high", "baseline")
    every = [float(p[k]) for p in found for k in keys if p[k] is not None]
    low, high = min(every), max(every)
    low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)
    scale = (size - left - 16) / (high - low or 1.0)

    def x(value: float) -> float:
        return left + scale * (value - low)

    def y(value: float) -> float:
        return size - bottom - scale * (value - low)

    parts = []
    for loss, text in loss_ticks(low, high):
        parts += [_line(x(low), y(loss), x(high), y(loss), "grid"), _text(left - 8, y(loss) + 4, text, "tick", "end"),
                  _line(x(loss), y(low), x(loss), y(low) + 4, "axis"), _text(x(loss), y(low) + 18, text, "tick", "middle")]
    middle = 0.5 * (low + high)
    parts += [_line(x(low), y(low), x(high), y(low), "axis"), _line(x(low), y(low), x(low), y(high), "axis"),
              _line(x(low), y(low), x(high), y(high), "equal"), _axis_title("measured CE / %", x(middle), size - 8),
              Markup('<g transform="translate(14 {:.1f}) rotate(-90)">{}</g>').format(
                  y(middle), _axis_title("predicted CE / %", 0, 4))]
    for p in found:
        px, py = x(float(p["observed"])), y(float(p["predicted"]))
        std = INTERVAL * float(p["observed_std"] or 0.0)
        title = f"{p['sample']}, {p['group']}: measured {100 * p['ce']:.2f} %, predicted {100 * p['ce_predicted']:.2f} %"
        parts += [_line(x(float(p["observed"]) - std), py, x(float(p["observed"]) + std), py, "bar"),
                  _line(px, y(float(p["low"])), px, y(float(p["high"])), "bar"),
                  _line(px - 5, y(float(p["baseline"])), px + 5, y(float(p["baseline"])), "base"),
                  glyph(list(groups).index(p["group"]), px, py, title, hollow=not p["inside"])]
    return _svg(size, size, parts, "Predicted against measured coulombic efficiency of electrolytes left out", synthetic)


def legend_glyph(index: int) -> Markup:
    """The mark of the electrolyte of this number, for a legend."""
    return Markup('<svg class="glyph" viewBox="-7 -7 14 14" width="14" height="14" aria-hidden="true">{}</svg>').format(
        glyph(index, 0, 0, ""))


def glyph(index: int, x: float, y: float, title: str, *, hollow: bool = False) -> Markup:
    """A marker that tells electrolytes apart by shape first, by colour second."""
    shape, family = MARKS[index % len(MARKS)], FAMILIES[index % len(FAMILIES)]
    look = f"mark f-{family}" + (" hollow" if hollow else "")
    sides = {"square": 4, "diamond": 4, "triangle": 3, "hexagon": 6}.get(shape)
    says = Markup("<title>{}</title>").format(title) if title else Markup("")
    if sides is None:
        return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="4.6">{}</circle>').format(look, x, y, says)
    turn = math.pi / 4 if shape == "square" else 0.0
    points = [(x + 5.6 * math.sin(turn + 2 * math.pi * k / sides), y - 5.6 * math.cos(turn + 2 * math.pi * k / sides))
              for k in range(sides)]
    return Markup('<polygon class="{}" points="{}">{}</polygon>').format(
        look, " ".join(f"{a:.1f},{b:.1f}" for a, b in points), says)


def ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round values between two ends, at most so many: steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(m * power for m in (1, 2, 5, 10, 20) if (high - low) / (m * power) <= most)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def loss_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Round efficiencies on an axis of -log10(1 - CE) between two ends: (position, text in %)."""
    found: list[tuple[float, str]] = []
    for mantissas in ((1.0,), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0), tuple(1 + 0.1 * k for k in range(90))):
        losses = sorted({m * 10.0**k for k in range(-6, 2) for m in mantissas}, reverse=True)
        found = [(-math.log10(loss), f"{100 * (1 - loss):.6g}") for loss in losses if low <= -math.log10(loss) <= high]
        if len(found) >= 3:
            break
    return found


def _grid(at: Callable[[float], float], values: Sequence[float], left: float, bottom: float) -> Markup:
    parts = [_line(left, bottom, WIDTH - RIGHT, bottom, "axis")]
    for value in values:
        parts += [_line(at(value), TOP, at(value), bottom, "grid"),
                  _text(at(value), bottom + 16, f"{value:.6g}".replace("-", "\u2212"), "tick", "middle")]
    return Markup("").join(parts)


def _interval(mark: Mark, at: Callable[[float], float], y: float) -> Markup:
    look = f"f-{mark.family}" + (" hollow" if mark.hollow else "")
    tick = _line(at(mark.truth), y - 5, at(mark.truth), y + 5, "truth") if math.isfinite(mark.truth) else Markup("")
    bar = Markup('<line class="interval {}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(
        look, at(mark.low), y, at(mark.high), y)
    dot = Markup('<circle class="mark {}" cx="{:.1f}" cy="{:.1f}" r="3.4"><title>{}</title></circle>').format(
        look, at(mark.value), y, mark.title)
    return bar + tick + dot


def _line(x1: float, y1: float, x2: float, y2: float, look: str) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(look, x1, y1, x2, y2)


def _text(x: float, y: float, text: str, look: str, anchor: str = "start") -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(look, x, y, anchor, text)


def _axis_title(text: str, x: float, y: float) -> Markup:
    return _text(x, y, text, "axis-title", "middle")


def _svg(width: float, height: float, parts: Sequence[Markup], label: str, synthetic: bool) -> Markup:
    mark = _text(width - RIGHT, 14, "synthetic", "synthetic", "end") if synthetic else Markup("")
    return Markup('<svg class="chart" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}" style="max-width:{:.0f}px">'
                  "{}{}</svg>").format(width, height, label, width, Markup("").join(parts), mark)
