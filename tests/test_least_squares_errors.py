"""Parallel layers: what least squares cannot know there is stated, and what the template does to the pose is found out."""

import numpy as np
import pytest
import scenes
import scipy.ndimage as ndi

from registration import SearchBox, align
from registration.picture import picture
from registration.regression import regressed
from registration.transform import affine_generators
from registration.uncertainty import Spread

PIXEL, N = 0.7, 320
PRIOR = np.array([40.0, 40.0, 0.1, 0.1, 0.1, 0.1])
HERE = np.eye(2, 3)


def layers(seed):
    """Metal, interphase with crystallites, vacuum: two fronts that run the same way."""
    return scenes.dark_field(scenes.interface(np.random.default_rng(seed)))


def edges(scene):
    slope = ndi.gaussian_gradient_magnitude(scene, 2.1)
    return slope / np.percentile(slope, 99)


CONTRASTS = {"inverted": lambda s: 1 - np.clip(s, 0, 1.5) ** 0.7,
             "not monotonic": lambda s: np.abs(np.sin(1.6 * np.pi * ndi.gaussian_filter(s, 1.4))), "edges": edges}


def pair(scene, contrast, seed, turn_deg=9.0):
    rng = np.random.default_rng([seed, 7])
    poses = scenes.pose((N, N), PIXEL), scenes.pose((N, N), PIXEL, np.array([9.0, -12.0]), turn_deg, 1.03, 0.005)
    images = [scenes.view(s, rng, (N, N), PIXEL, p, read=noise)
              for s, p, noise in zip((scene, CONTRASTS[contrast](scene)), poses, (0.03, 0.05), strict=True)]
    return scenes.Pair(*(scenes.calibrated(i, PIXEL, f) for i, f in zip(images, ("a", "b"), strict=True)),
                       scenes.between(*poses), PIXEL)


def test_the_errors_stated_on_parallel_layers_hold():
    """Three scenes in three contrasts. By one template alone 12 to 64 % of the ellipses held on such scenes."""
    held = []
    for contrast in CONTRASTS:
        for seed in (3, 4, 5):
            case = pair(layers(seed), contrast, seed)
            found = align(case.fixed, case.moving, model="affine", box=SearchBox(rotation_deg=25, scale=1.08))
            p = np.stack(np.meshgrid(*[np.linspace(20, 200, 7)] * 2, indexing="ij"), -1).reshape(-1, 2)
            e = found.transform.apply(p) - (p @ case.truth[:, :2].T + case.truth[:, 2])
            scaled = np.linalg.solve(found.transform.covariance_at(p), e[..., None])[..., 0]
            held.append((np.einsum("ni,ni->n", e, scaled) < 5.991).mean())
            assert case.error_px(found.transform) < 1
    assert np.mean(held) > 0.85


def test_a_front_that_is_moved_looks_like_one_of_another_colour():
    """A straight front of one profile: any shift of it is as well another mapping of brightness. So the images leave it open,
    although each of its slopes is steep; a ring of the same profile has slopes of all directions and holds it.
    """
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:N, :N] - N / 2

    def seen(distance):
        front = 1 / (1 + np.exp(-distance / 12))
        return [picture(scenes.calibrated((v + 0.02 * rng.standard_normal((N, N))).astype(np.float32), PIXEL, f), f)
                for v, f in ((front, "a"), (1 - front**2, "b"))]

    std = {}
    for name, distance in (("straight", x), ("ring", np.hypot(y, x) - N / 4)):
        found = regressed(*seen(distance), HERE, "translation", PRIOR[:2], PIXEL)
        assert found is not None
        assert found.explained > 0.98
        std[name] = np.sqrt(found.spread.covariance[1, 1]) / PIXEL
    assert std["ring"] < 0.1  # the floor of 0.05 and noise of a fiftieth of the contrast on some 10 000 pixels
    assert std["straight"] > 4 * std["ring"]


def test_either_image_as_the_template_is_off_the_other_way_and_their_mean_is_nearer():
    scene = layers(4)
    case = pair(scene, "inverted", 4, turn_deg=0.0)
    fixed, moving = (picture(image, "image") for image in (case.fixed, case.moving))
    truth = np.linalg.inv(np.vstack([case.truth, [0, 0, 1]]))[:2]
    found = regressed(fixed, moving, truth, "affine", PRIOR, PIXEL)
    assert found is not None
    offsets = np.stack(np.meshgrid(*[np.linspace(-100, 100, 5)] * 2, indexing="ij"), -1).reshape(-1, 2)
    error = affine_generators(offsets) @ found.spread.away(truth, "affine", fixed.centre) / PIXEL
    assert np.sqrt((error**2).sum(1).mean()) < 0.3


def test_a_mean_keeps_the_noise_that_both_have_and_halves_what_each_has_alone():
    one = Spread(HERE, np.eye(6), True)
    centre, extent = np.zeros(2), np.full(2, 2.0)
    together, apart = (one.mean(one, shared, "affine", extent, centre) for shared in (None, np.zeros((6, 6))))
    assert np.allclose(together.covariance, one.covariance)
    assert np.allclose(apart.covariance, one.covariance / 2)
    moved = Spread(np.c_[np.eye(2), [0.4, 0.0]], np.eye(6), True)
    between = one.mean(moved, None, "affine", extent, centre)
    assert between.matrix[0, 2] == pytest.approx(0.2)
    assert between.covariance[0, 0] == pytest.approx(1 + 0.2**2)  # half of the distance
