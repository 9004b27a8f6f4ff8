"""Infrared and Raman spectrometers, near-field and photothermal microscopes."""
