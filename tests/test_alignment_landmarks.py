"""Landmarks beside images start the search, bear a pose out, make it more certain, and are kept where images are blank."""

import numpy as np
import pytest
import scenes
from test_alignment_truth import two_views

from registration import LandmarkError, Landmarks, Transform, TransformError, align
from registration.combination import combined


@pytest.fixture(scope="module")
def crystals():
    return scenes.polycrystal(np.random.default_rng(0), 1500)


def marks_on(rng, pair, n, std_nm, wrong=0):
    """Places of the moving image marked in both, off by `std_nm` along each axis; the first few by 25 times that."""
    low, high = ([float(f(pair.moving[d])) for d in "yx"] for f in (np.min, np.max))
    moving = rng.uniform(low, high, (n, 2))
    fixed = moving @ pair.truth[:, :2].T + pair.truth[:, 2] + std_nm * rng.standard_normal((n, 2))
    fixed[:wrong] += 25 * std_nm
    return Landmarks(moving, fixed)


def test_landmarks_find_a_pose_beyond_the_box_and_images_make_it_sharp(crystals):
    rng = np.random.default_rng(1)
    pair = two_views(rng, crystals.metal, 1 - crystals.metal, rotation=140, at=(30, -20), scale=1.6, moving_px=1.1)
    marks = marks_on(rng, pair, 7, 4.0, wrong=1)
    found = align(pair.fixed, pair.moving, landmarks=marks)
    assert found.verdict == "good"
    assert pair.error_px(found.transform) < 0.3
    assert found.metrics["landmark_probability"] > 1e-3
    assert any("left out: 1" in r for r in found.reasons)


def test_landmarks_that_contradict_the_images_make_the_pose_doubtful(crystals):
    rng = np.random.default_rng(2)
    pair = two_views(rng, crystals.metal, 1 - crystals.metal)
    marks = marks_on(rng, pair, 8, 0.5)
    off = Landmarks(marks.moving, marks.fixed + np.array([6.0, 0.0]))
    found = align(pair.fixed, pair.moving, landmarks=off)
    assert found.verdict == "doubtful"
    assert "different places" in found.reasons[0]


def test_where_the_images_show_nothing_the_landmarks_are_kept_and_the_verdict_is_not_good():
    rng = np.random.default_rng(3)
    noise = scenes.Specimen(*(np.zeros((scenes.SIZE, scenes.SIZE), np.float32),) * 3)
    pair = two_views(rng, noise.metal, noise.metal)
    marks = marks_on(rng, pair, 8, 2.0)
    found = align(pair.fixed, pair.moving, landmarks=marks)
    assert found.verdict != "good"
    assert pair.error_px(found.transform) < 4


def test_too_few_landmarks_for_the_model_still_start_the_search(crystals):
    rng = np.random.default_rng(4)
    pair = two_views(rng, crystals.metal, 1 - crystals.metal, rotation=20)
    found = align(pair.fixed, pair.moving, model="affine", landmarks=marks_on(rng, pair, 2, 2.0))
    assert found.transform.model == "affine"
    assert pair.error_px(found.transform) < 0.3
    assert np.isnan(found.metrics["landmark_probability"])


def test_landmarks_of_another_kind_are_refused(crystals):
    pair = two_views(np.random.default_rng(5), crystals.metal, crystals.metal)
    with pytest.raises(LandmarkError, match="a Landmarks object"):
        align(pair.fixed, pair.moving, landmarks=np.zeros((4, 2)))


@pytest.mark.parametrize("model", ["translation", "similarity", "affine"])
def test_the_mean_of_two_transforms_is_that_of_the_regression_on_both_sets(model):
    """Least squares over two sets of landmarks with known errors is the weighted mean of the fits of each."""
    from registration import fit_landmarks

    rng = np.random.default_rng(6)
    moving = rng.uniform(0, 1000, (14, 2))
    fixed = moving + [40, -30] + 0.5 * rng.standard_normal((14, 2))
    first, second, both = (fit_landmarks(Landmarks(moving[s], fixed[s], std_nm=0.5), model, robust=False).transform
                           for s in (slice(0, 6), slice(6, 14), slice(0, 14)))
    mean = combined(first, second)
    points = rng.uniform(0, 1000, (5, 2))
    assert mean.transform.apply(points) == pytest.approx(both.apply(points), abs=0.01)
    assert mean.transform.std_at(points) == pytest.approx(both.std_at(points), rel=0.01)
    assert mean.probability > 1e-3
    assert combined(first, second.renamed()).probability == mean.probability


def test_transforms_that_cannot_be_weighed_are_refused():
    known = Transform.identity("a", "b")
    with pytest.raises(TransformError, match="cannot be combined"):
        combined(known, Transform.identity("a", "c"))
    with pytest.raises(TransformError, match="has no weight"):
        combined(known, Transform("a", "b", known.matrix, "translation"))
