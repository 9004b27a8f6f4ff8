"""Scanning probe microscopes and profilometers: images, movies, force curves."""
