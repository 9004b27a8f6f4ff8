"""An alignment finds the known pose of two images of one specimen, knows its error, and says when it found nothing."""

import numpy as np
import pytest
import scenes

from registration import Alignment, ImageError, SearchBox, Transform, TransformError, align
from registration.picture import averaged, picture

SESSION = SearchBox(rotation_deg=25, scale=1.08)


def two_views(rng, scene, other, *, moving_shape=(128, 128), moving_px=1.6, rotation=8.0, at=(12.0, -9.0), scale=1.02,
              counts=None, fixed_px=0.7, fixed_shape=(256, 256)):
    fixed_pose = scenes.pose(fixed_shape, fixed_px, rotation_deg=-3)
    moving_pose = scenes.pose(moving_shape, moving_px, at, rotation, scale)
    fixed = scenes.view(scene, rng, fixed_shape, fixed_px, fixed_pose, read=0.04)
    moving = scenes.view(other, rng, moving_shape, moving_px, moving_pose, **({"counts": counts} if counts else {"read": 0.04}))
    return scenes.Pair(scenes.calibrated(fixed, fixed_px, "haadf"), scenes.calibrated(moving, moving_px, "edx"),
                       scenes.between(fixed_pose, moving_pose), max(np.max(moving_px), np.max(fixed_px)))


@pytest.fixture(scope="module")
def crystals():
    return scenes.polycrystal(np.random.default_rng(0), 1500)


CONTRASTS = {
    "inverted": lambda s: 1 - s.metal**0.7,
    "not monotonic": lambda s: np.abs(np.sin(1.6 * np.pi * s.metal)),
    "edges only": lambda s: np.hypot(*np.gradient(s.metal)) * 5,
}


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_the_pose_is_found_whatever_the_contrast(crystals, contrast):
    pair = two_views(np.random.default_rng(1), crystals.metal, CONTRASTS[contrast](crystals))
    found = align(pair.fixed, pair.moving)
    assert (found.verdict, found.reasons) == ("good", ())
    assert pair.error_px(found.transform) < 0.3
    assert (found.transform.source, found.transform.target) == ("edx", "haadf")


def test_a_map_of_three_counts_a_pixel_is_placed_to_a_fraction_of_its_pixel(crystals):
    pair = two_views(np.random.default_rng(2), crystals.metal, crystals.shell, moving_shape=(64, 64), moving_px=3.0, counts=3)
    found = align(pair.fixed, pair.moving)
    assert found.verdict == "good"
    assert pair.error_px(found.transform) < 0.5


def test_any_rotation_is_found(crystals):
    pair = two_views(np.random.default_rng(3), crystals.metal, 1 - crystals.metal, rotation=160, at=(40, 30))
    found = align(pair.fixed, pair.moving)
    assert found.verdict == "good"
    assert pair.error_px(found.transform) < 0.3


def test_partial_overlap_is_enough(crystals):
    pair = two_views(np.random.default_rng(4), crystals.metal, 1 - crystals.metal, at=(70, 60), moving_px=1.4)
    found = align(pair.fixed, pair.moving)
    assert pair.error_px(found.transform) < 0.3
    assert found.metrics["overlap"] < 0.75


def test_a_small_field_is_found_inside_a_large_one(crystals):
    pair = two_views(np.random.default_rng(5), crystals.metal, 1 - crystals.metal, moving_shape=(72, 72), moving_px=1.0,
                     at=(40, -35))
    found = align(pair.fixed, pair.moving)
    assert found.verdict == "good"
    assert pair.error_px(found.transform) < 0.3


def test_which_image_is_fixed_does_not_matter(crystals):
    pair = two_views(np.random.default_rng(6), crystals.metal, 1 - crystals.metal)
    there, back = align(pair.fixed, pair.moving).transform, align(pair.moving, pair.fixed).transform
    points = np.array([[10.0, 20.0], [150.0, 80.0], [60.0, 190.0]])
    assert np.abs(back.apply(there.apply(points)) - points).max() < 0.1 * pair.pixel_nm


def test_axes_may_run_backwards_pixels_be_oblong_and_origins_lie_anywhere(crystals):
    rng = np.random.default_rng(7)
    pair = two_views(rng, crystals.metal, 1 - crystals.metal, moving_shape=(100, 140), moving_px=(1.9, 1.4))
    moved = pair.moving.assign_coords({d: ("yx"[i], pair.moving[d].values + 5000 * (i + 1), {"units": "nm"})
                                       for i, d in enumerate("yx")})[::-1, :].transpose("x", "y")
    found = align(pair.fixed[:, ::-1], moved)
    away = Transform.of("edx", "edx moved", np.eye(2), [5000, 10000], "translation", covariance=np.zeros((2, 2)))
    assert found.verdict == "good"
    assert pair.error_px(away.then(found.transform.renamed(source="edx moved"))) < 0.3


@pytest.mark.parametrize("model", ["translation", "rigid", "similarity", "affine"])
def test_a_model_frees_no_more_than_it_says(crystals, model):
    pair = two_views(np.random.default_rng(8), crystals.metal, 1 - crystals.metal, rotation=-3 if model == "translation" else 5,
                     scale=1.03 if model in ("similarity", "affine") else 1.0)
    found = align(pair.fixed, pair.moving, model=model)
    assert found.transform.model == model
    assert pair.error_px(found.transform) < 0.3


def test_the_same_input_gives_the_same_transform_bit_for_bit(crystals):
    pair = two_views(np.random.default_rng(9), crystals.metal, 1 - crystals.metal)
    first, second = (align(pair.fixed, pair.moving, seed=3) for _ in range(2))
    assert first.to_dict() == second.to_dict()


def test_an_alignment_survives_being_saved(crystals):
    pair = two_views(np.random.default_rng(9), crystals.metal, 1 - crystals.metal)
    found = align(pair.fixed, pair.moving)
    assert Alignment.from_dict(found.to_dict()).to_dict() == found.to_dict()


def test_a_mirrored_image_is_found_from_a_mirrored_prior(crystals):
    pair = two_views(np.random.default_rng(10), crystals.metal, 1 - crystals.metal, rotation=2)
    width = float(pair.moving.x[-1])
    mirrored = pair.moving.copy(data=pair.moving.values[:, ::-1])
    prior = Transform.of("edx", "haadf", np.diag([1.0, -1.0]), [-10, width - 5], "rigid")
    found = align(pair.fixed, mirrored, prior=prior, box=SearchBox(rotation_deg=20, scale=1.1))
    turn_back = Transform.of("edx", "edx mirrored", np.diag([1.0, -1.0]), [0, width], "rigid", covariance=np.zeros((3, 3)))
    assert found.verdict == "good"
    assert pair.error_px(turn_back.then(found.transform.renamed(source="edx mirrored"))) < 0.3


def test_a_known_prior_narrows_the_search_to_its_box(crystals):
    pair = two_views(np.random.default_rng(11), crystals.metal, 1 - crystals.metal, rotation=57)
    prior = Transform.of("edx", "haadf", pair.truth[:, :2], pair.truth[:, 2] + [5, -4])
    found = align(pair.fixed, pair.moving, prior=prior, box=SearchBox(rotation_deg=5, scale=1.03, shift=0.1))
    assert found.verdict == "good"
    assert pair.error_px(found.transform) < 0.3


def test_masked_scale_bars_do_not_pull(crystals):
    pair = two_views(np.random.default_rng(12), crystals.metal, 1 - crystals.metal)
    fixed, moving = pair.fixed.copy(deep=True), pair.moving.copy(deep=True)
    fixed[-30:], moving[-14:] = 5.0, -5.0
    found = align(fixed, moving, masks=(fixed != 5.0, moving != -5.0))
    assert found.verdict == "good"
    assert pair.error_px(found.transform) < 0.3
    gaps = align(fixed.where(fixed != 5.0), moving.where(moving != -5.0))
    assert (gaps.transform.matrix == found.transform.matrix).all()


def test_a_border_that_was_filled_up_is_no_data_but_the_zeros_of_a_count_map_are(crystals):
    rng = np.random.default_rng(18)
    values = 1 + rng.random((96, 96)).astype(np.float32)
    values[:, :20] = 0
    filled = picture(scenes.calibrated(values, 2.0, "a"), "image")
    assert (filled.mask[:, :20] == 0).all()
    assert (filled.mask[:, 20:] == 1).all()
    counts = rng.poisson(np.where(np.arange(96) < 48, 0.001, 1.0), (96, 96)).astype(np.float32)
    assert picture(scenes.calibrated(counts, 2.0, "a"), "image").mask.min() == 1
    given = np.ones(values.shape, bool)
    assert picture(scenes.calibrated(values, 2.0, "a"), "image", given).mask.min() == 1


def test_a_pixel_size_that_is_off_by_thirty_percent_is_found_out(crystals):
    pair = two_views(np.random.default_rng(19), crystals.metal, 1 - crystals.metal, scale=1.3, moving_px=1.3)
    found = align(pair.fixed, pair.moving)
    assert found.verdict == "good"
    assert pair.error_px(found.transform) < 0.3


def test_averaging_by_strips_keeps_the_mean_of_every_area():
    rng = np.random.default_rng(20)
    fine = picture(scenes.calibrated(rng.random((210, 120)).astype(np.float32), (1.0, 1.5), "a"), "image")
    coarse = averaged(fine, 6.0)
    assert coarse.shape == (35, 30)
    assert coarse.values == pytest.approx(fine.values.reshape(35, 6, 30, 4).mean((1, 3)), abs=1e-6)
    assert coarse.mask == pytest.approx(1)


def test_images_of_different_places_are_never_called_good():
    for seed, kind in enumerate(("deposit", "deposits", "interface")):
        pair = scenes.microscope_pair(np.random.default_rng([seed, 77]), kind, overlapping=False)
        found = align(pair.fixed, pair.moving, box=SESSION)
        assert found.verdict != "good", kind
        assert found.reasons


def test_a_round_deposit_leaves_the_rotation_open_and_says_so():
    """A smooth circle may be turned at will: the images cannot tell, so the verdict must not claim to."""
    y, x = (np.mgrid[:scenes.SIZE, :scenes.SIZE] - (scenes.SIZE - 1) / 2) * scenes.PIXEL
    r = np.hypot(y, x)
    ring, disc = np.exp(-(((r - 60) / 9) ** 2)).astype(np.float32), (r < 55).astype(np.float32)
    pair = two_views(np.random.default_rng(13), ring + 0.4 * disc, ring, moving_shape=(64, 64), moving_px=3.0, counts=20)
    found = align(pair.fixed, pair.moving)
    assert found.verdict != "good"
    narrow = align(pair.fixed, pair.moving, box=SESSION)
    middle = np.array([[96.0, 96.0]])
    rim = middle + np.array([[0.0, 60.0]])
    assert narrow.verdict != "good"
    assert narrow.transform.std_at(rim).max() > 3 * narrow.transform.std_at(middle).max()


def test_stated_ellipses_hold_the_truth():
    """95 % regions over a small population; the benchmark measures the rate, this guards against being off by a factor."""
    held = []
    for seed in range(6):
        kind = ("deposits", "texture", "deposit")[seed % 3]
        pair = scenes.microscope_pair(np.random.default_rng([seed, 5]), kind)
        found = align(pair.fixed, pair.moving, box=SESSION)
        y, x = (np.linspace(0, float(pair.moving[d][-1]), 5) for d in "yx")
        points = np.stack(np.meshgrid(y, x, indexing="ij"), -1).reshape(-1, 2)
        wrong = found.transform.apply(points) - (points @ pair.truth[:, :2].T + pair.truth[:, 2])
        covariance = found.transform.covariance_at(points)
        squares = np.einsum("ni,ni->n", wrong, np.linalg.solve(covariance, wrong[..., None])[..., 0])
        held.append((squares < 5.991).mean())
    assert np.mean(held) > 0.8


def test_an_uncalibrated_image_is_refused_in_plain_words(crystals):
    pair = two_views(np.random.default_rng(14), crystals.metal, crystals.metal)
    bad = pair.moving.copy()
    bad.x.attrs["units"] = "pixel"
    bad = bad.drop_vars("y")
    with pytest.raises(ImageError, match=r"moving image: y has no coordinate.*x is in 'pixel'"):
        align(pair.fixed, bad)


@pytest.mark.parametrize(("change", "fault"), [
    (lambda a: a.expand_dims("energy_loss"), "dims are"),
    (lambda a: a[:4], "at least 8"),
    (lambda a: a * 0, "nothing to align"),
    (lambda a: a * np.nan, "hold data"),
    (lambda a: a.assign_coords(y=("y", np.geomspace(1, 100, a.sizes["y"]), {"units": "nm"})), "not evenly spaced"),
])
def test_what_cannot_be_aligned_is_refused(crystals, change, fault):
    pair = two_views(np.random.default_rng(15), crystals.metal, crystals.metal)
    with pytest.raises(ImageError, match=fault):
        align(pair.fixed, change(pair.moving))


def test_a_prior_between_other_frames_is_refused(crystals):
    pair = two_views(np.random.default_rng(16), crystals.metal, crystals.metal)
    with pytest.raises(TransformError, match=r"'eels' to 'haadf'.*expected 'edx' to 'haadf'"):
        align(pair.fixed, pair.moving, prior=Transform.identity("eels", "haadf"))


def test_images_that_share_nothing_fail_without_an_exception():
    rng = np.random.default_rng(17)
    a, b = (scenes.calibrated(rng.standard_normal((n, n)).astype(np.float32), 512 / n, f) for n, f in ((256, "a"), (48, "b")))
    found = align(a, b, box=SESSION)
    assert found.verdict == "failed"
    assert "another pose" in found.reasons[0]
