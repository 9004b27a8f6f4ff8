"""Atom probes and ion mass spectrometers."""
