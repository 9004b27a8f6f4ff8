"""Where details are too faint to be recognised, the pose that explains most of the image is proposed, and not called good."""

import numpy as np
import pytest
import scenes
import scipy.ndimage as ndi

from registration import SearchBox, align
from registration.explained import _score

FINE, N = 0.7, 512


def faint_pair(seed):
    """An interface in dark field, and its bright phase in 128² counts of 1.5 a pixel, 40 nm and 12 degrees off."""
    rng = np.random.default_rng(seed)
    scene = scenes.dark_field(scenes.interface(rng))
    band = np.exp(-(((scene - np.quantile(scene, 0.7)) / (0.5 * scene.std())) ** 2))
    other = ndi.gaussian_filter(band, 4.2)
    poses = (scenes.pose((N, N), FINE), scenes.pose((N // 4, N // 4), 4 * FINE, np.array([30.0, -26.0]), 12.0, 1.03, 0.0))
    fixed = scenes.view(scene, rng, (N, N), FINE, poses[0], read=0.03)
    moving = scenes.view(other, rng, (N // 4, N // 4), 4 * FINE, poses[1], counts=1.5 / other.mean())
    return scenes.Pair(scenes.calibrated(fixed, FINE, "fixed"), scenes.calibrated(moving, 4 * FINE, "moving"),
                       scenes.between(*poses), 4 * FINE)


@pytest.mark.parametrize("seed", [1, 3])
def test_an_interface_in_few_counts_is_placed_to_two_of_its_pixels(seed):
    """Not every draw is: of twelve harder ones seven (docs/registration.md); seed 2 is missed, and said to have failed."""
    pair = faint_pair(seed)
    found = align(pair.fixed, pair.moving, model="similarity", box=SearchBox(rotation_deg=25, scale=1.08))
    assert pair.error_px(found.transform) < 2, found.verdict


def test_the_score_is_that_of_the_correlation_ratio():
    """Two classes of two pixels each, whose means differ by 2 and which scatter by 1: half of the variance is explained."""
    values = np.array([0.0, 2.0, 2.0, 4.0])
    label = np.array([0, 0, 1, 1])
    sums, counts, squares = (np.array([v[label == k].sum() for k in (0, 1)])[:, None, None]
                             for v in (values, np.ones(4), values**2))
    part = 1 - (2 * 1 + 2 * 1) / ((values - 2) ** 2).sum()  # 4 within of 8 in all
    assert _score(sums, counts, squares.sum(0), 3.0)[0, 0] == pytest.approx(-4 * np.log(1 - part))
    assert _score(sums, counts, squares.sum(0), 5.0)[0, 0] == 0
