"""Relate: structure against coulombic efficiency, and whether a model holds for an electrolyte that it has not seen."""

from dash import Dash
from dash.development.base_component import Component

from dashboards.pages.shell import empty, frame
from dashboards.source import Source


def page(source: Source) -> Component:
    """Scatter of a descriptor, and the validation of the model."""
    return frame(source.sheet, "Relate", "Structure and coulombic efficiency", empty("No model yet", "", "correlate fit"))


def register(app: Dash, source: Source) -> None:
    """The callbacks of the page."""
    del app, source
