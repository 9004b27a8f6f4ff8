"""Where to look for a pose, and how hard."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SearchBox:
    """Where a pose may lie, about the prior.

    `rotation_deg` is the largest rotation either way (180 means any), `scale` the largest factor either way, `shift` the
    largest shift as a part of the larger field of view, and `overlap` the smallest part of the smaller field that both see.
    """

    rotation_deg: float = 180.0
    scale: float = 1.19
    shift: float = 0.5
    overlap: float = 0.3


@dataclass(frozen=True)
class Effort:
    """How hard to look: one attempt of the search."""

    rotation_step_deg: float = 7.5
    scale_step: float = 0.087
    sigma_intensity: float = 2.0
    sigma_energy: float = 2.0
    sigma_orientation: float = 4.5
    keep: tuple[int, int, int] = (36, 8, 2)
    points: tuple[int, int, int] = (2000, 5000, 16000)

    @property
    def smoothing(self) -> tuple[float, float, float]:
        """All that the channels of an image depend on."""
        return self.sigma_intensity, self.sigma_energy, self.sigma_orientation
