"""Figures: pure functions from numbers to plotly's JSON, without a server and without fixed colours."""
