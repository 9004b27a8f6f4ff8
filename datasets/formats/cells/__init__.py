"""Cyclers and impedance analysers."""
