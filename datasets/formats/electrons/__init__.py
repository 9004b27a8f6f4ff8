"""Electron microscopes: images, spectra, diffraction, tilt series, EBSD."""
