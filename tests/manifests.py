"""Figures that a MANIFEST states of a file, as other programs gave them, held against what is read here.

A figure is written as it stands in the MANIFEST, so its digits say how well it is known: a value agrees if it rounds to it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from datasets.acquisition import read_acquisitions

Read = Callable[[list[xr.Dataset]], float]
"""A number of the acquisitions of one file."""


@dataclass(frozen=True)
class Figure:
    """One number of a file: as the MANIFEST writes it, and how it is had from what is read."""

    text: str
    what: str
    read: Read


def rows(manifest: Path) -> dict[str, str]:
    """File -> what the MANIFEST says of it; nothing where the files are not to be had."""
    if not manifest.is_file():
        return {}
    names, *lines = [line.split("\t") for line in manifest.read_text(encoding="utf-8").splitlines()]
    at = [names.index("content"), names.index("read_by")]
    return {line[0]: " | ".join(line[i] for i in at) for line in lines}


def parameters(figures: dict[str, list[Figure]]) -> list:
    """Every figure as a test of its own."""
    return [pytest.param(file, figure, id=f"{file}: {figure.what} {figure.text}")
            for file, of in figures.items() for figure in of]


def check(folder: Path, said: str, file: str, figure: Figure) -> None:
    """Hold one figure against what is read; half of its last digit is how well it is known."""
    assert figure.text in said, "the figure is not the MANIFEST's"
    found = figure.read(_read(folder / file))
    decimals = len(figure.text.lower().partition("e")[0].partition(".")[2])
    power = int(figure.text.lower().partition("e")[2] or 0)
    half_digit = 0.5001 * 10.0 ** (power - decimals)
    assert found == pytest.approx(float(figure.text), rel=0, abs=half_digit), figure.what


@cache
def _read(path: Path) -> list[xr.Dataset]:
    return read_acquisitions(path)


def count(text: str, dim: str, of: int = 0) -> Figure:
    return Figure(text, f"{dim} of {of}", lambda found: found[of].sizes[dim])


def first(text: str, coord: str, of: int = 0, unit: float = 1.0) -> Figure:
    return Figure(text, f"first {coord} of {of}", lambda found: float(found[of][coord][0]) / unit)


def last(text: str, coord: str, of: int = 0, unit: float = 1.0) -> Figure:
    return Figure(text, f"last {coord} of {of}", lambda found: float(found[of][coord][-1]) / unit)


def step(text: str, coord: str, of: int = 0, unit: float = 1.0) -> Figure:
    """Distance of neighbours on average, with its sign."""
    return Figure(text, f"step of {coord} of {of}",
                  lambda found: float(found[of][coord][-1] - found[of][coord][0]) / (found[of][coord].size - 1) / unit)


def field(text: str, coord: str, of: int = 0, unit: float = 1.0) -> Figure:
    """N steps, which is what N pixels cover."""
    one = step(text, coord, of, unit)
    return Figure(text, f"field along {coord} of {of}", lambda found: one.read(found) * found[of].sizes[coord])


def lowest(text: str, variable: str, of: int = 0, unit: float = 1.0) -> Figure:
    return Figure(text, f"lowest {variable} of {of}", lambda found: float(found[of][variable].min()) / unit)


def highest(text: str, variable: str, of: int = 0, unit: float = 1.0) -> Figure:
    return Figure(text, f"highest {variable} of {of}", lambda found: float(found[of][variable].max()) / unit)


def at(text: str, variable: str, index: tuple[int, ...], of: int = 0, unit: float = 1.0) -> Figure:
    return Figure(text, f"{variable}{list(index)} of {of}", lambda found: float(found[of][variable].values[index]) / unit)


def where_highest(text: str, variable: str, coord: str, of: int = 0) -> Figure:
    return Figure(text, f"{coord} of the highest {variable} of {of}",
                  lambda found: float(found[of][coord][int(found[of][variable].values.argmax())]))


def condition(text: str, name: str, of: int = 0) -> Figure:
    return Figure(text, f"{name} of {of}", lambda found: float(found[of].attrs["conditions"][name]))


def stated(text: str, of: int = 0) -> Figure:
    """A number among the vendor's own words, which no variable and no condition carries."""
    whole = re.compile(rf"(?<![\d.]){re.escape(text)}(?!\d)")
    return Figure(text, f"vendor's words of {of}",
                  lambda found: float(text) if whole.search(repr(found[of].attrs["vendor"])) else np.nan)


def derived(text: str, what: str, read: Read) -> Figure:
    return Figure(text, what, read)
