"""Whether to believe a pose: where it can be judged, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

import numpy as np
import scipy.ndimage as ndi

from registration.combination import APART
from registration.picture import Image, Picture
from registration.search import CONFIRMED, ENOUGH, PROMISING, SURE
from registration.transform import Floats, Transform

Verdict = Literal["good", "doubtful", "failed"]
TOLERANCE_PX, TOLERANCE_FIELD = 1.0, 0.01
"""Error that a good pose may have: the larger of so many pixels of the coarser image and this part of the smaller field's
diagonal. A map of 64² pixels is held to one of its pixels, an image of 512² to one of its details; the stated uncertainty tells
the two apart."""
CERTAINTY, LEAST_OVERLAP, HOPELESS = 3.0, 0.3, 1.15
"""How many times the expected error the tolerance must be; least part of the smaller field that both must see; margin below
which there is no saying which pose is right."""
GRID = 9
"""Points a side on which errors over the overlap are taken."""


def overlap_points(fixed: Picture, moving: Picture, transform: Transform, per_side: int = GRID) -> Floats:
    """Points (n, 2) nm of the moving frame, on an even grid, that fall where both images hold data."""
    t = (np.arange(per_side) + 0.5) / per_side - 0.5
    nested = np.prod(moving.extent) * transform.scale**2 <= np.prod(fixed.extent)
    small = moving if nested else fixed
    grid = small.centre + np.stack(np.meshgrid(t, t, indexing="ij"), -1).reshape(-1, 2) * small.extent
    points = grid if nested else transform.inverse().apply(grid)
    return points[moving.valid_at(points) & fixed.valid_at(transform.apply(points))]


def tolerance_px(fixed: Picture, moving: Picture, transform: Transform) -> float:
    """Error that a good pose may have, pixels of the coarser image."""
    pixel = max(fixed.pixel, moving.pixel * transform.scale)
    diagonal = min(float(np.hypot(*fixed.extent)), float(np.hypot(*moving.extent)) * transform.scale)
    return max(TOLERANCE_PX, TOLERANCE_FIELD * diagonal / pixel)


def blurred(image: Picture, sigma: float) -> Image:
    """Values smoothed by a Gaussian of `sigma` nm that does not look at masked pixels."""
    s = sigma / image.step
    if (s < 0.2).all():
        return image.values
    if image.mask.min() >= 0.999:
        return cast(Image, ndi.gaussian_filter(image.values, s, truncate=3.0))
    weight = ndi.gaussian_filter(image.mask, s, truncate=3.0)
    mean = ndi.gaussian_filter(image.values * image.mask, s, truncate=3.0) / np.maximum(weight, 1e-3)
    return cast(Image, np.where(weight > 1e-2, mean, image.values).astype(np.float32))


def judge(metrics: Mapping[str, float]) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict on a pose and what speaks against it; `good` says that the error is below the tolerance."""
    against: list[str] = []
    sure = metrics["margin"] >= SURE and metrics["evidence"] >= ENOUGH
    held = metrics["margin"] >= PROMISING and metrics["held_out"] >= CONFIRMED and metrics["evidence"] >= ENOUGH
    borne_out = metrics.get("landmark_probability", float("nan")) >= APART and metrics["evidence"] >= ENOUGH
    contradicted = metrics.get("landmark_probability", float("nan")) < APART
    if contradicted:
        against.append("the images and the landmarks put the pose at different places")
    if not sure and not held and not borne_out:
        against.append(f"another pose explains the images almost as well (evidence {metrics['evidence']:.0f}, "
                       f"{metrics['margin']:.2f} times that of the runner-up)")
    if not metrics["expected_error_px"] * CERTAINTY <= metrics["tolerance_px"]:
        against.append(f"the pose is uncertain by {metrics['expected_error_px']:.2f} pixels of the coarser image; "
                       f"{CERTAINTY:.0f} times that must stay below {metrics['tolerance_px']:.1f}")
    if metrics["overlap"] < LEAST_OVERLAP:
        against.append(f"only {metrics['overlap']:.0%} of the smaller field of view is seen by both")
    nothing = metrics["margin"] < HOPELESS or metrics["evidence"] < ENOUGH
    if nothing and not metrics["held_out"] >= CONFIRMED and not borne_out and not contradicted:
        return "failed", tuple(against)
    return ("doubtful", tuple(against)) if against else ("good", ())
