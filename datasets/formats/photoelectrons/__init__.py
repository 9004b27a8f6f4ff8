"""Photoelectron spectrometers."""
