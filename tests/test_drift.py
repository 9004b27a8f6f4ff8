"""Drift is found to the precision that the counts allow, bad frames are named, and the stated errors hold."""

import dask.array as da
import numpy as np
import pytest
import scipy.ndimage as ndi
from movies import bound, calibrated, movie, scene, wander

from datasets.errors import DatasetError
from registration import ImageError
from registration.deformation import deformation
from registration.drift import drift, frame_transforms, mean_image
from registration.shift_graph import Shifts, positions

PIXEL = 0.5


def errors(found, truth, pixel=PIXEL):
    """Errors (n, 2) in pixels and in stated standard deviations, of the kept frames, against their mean."""
    kept = found.kept.values
    e = (found["shift"].values / pixel - (truth - truth[kept].mean(0)))[kept]
    return e, e / (found.shift_std.values[kept] / pixel)


def rms(a):
    return np.sqrt((a**2).mean(0))


def test_a_movie_of_one_electron_a_pixel_is_followed_to_twice_the_cramer_rao_bound():
    rng = np.random.default_rng(0)
    expected, truth = scene(rng, 400), wander(rng, 100)
    found = drift(calibrated(movie(rng, expected, truth, 256)))
    assert found.kept.all()
    error, normal = errors(found, truth)
    assert (rms(error) < 2 * bound(expected, 256)).all()
    # 100 frames: the rms of right standard deviations scatters by 7 %; 25 % allows for what is common to all frames
    assert rms(normal) == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("size", [64, 128])
def test_element_maps_of_one_count_a_pixel_are_followed_to_twice_the_bound(size):
    rng = np.random.default_rng(1)
    expected, truth = scene(rng, size + 60), wander(rng, 60, 0.7)
    found = drift(calibrated(movie(rng, expected, truth, size)))
    assert found.kept.all()
    assert (rms(errors(found, truth)[0]) < 2 * bound(expected, size)).all()


def test_frames_too_weak_alone_are_followed_together():
    rng = np.random.default_rng(2)
    t = np.arange(120)
    truth = np.stack([t / 40, np.sin(t / 30)], 1)
    found = drift(calibrated(movie(rng, expected := scene(rng, 300), truth, 224, dose=0.01)))
    together = found.attrs["frames_together"]
    assert together > 1
    # the path is straight over a group, so its frames share one bound
    assert (rms(errors(found, truth)[0]) < 2 * bound(expected, 224, 0.01 * together)).all()


def test_frames_that_are_blurred_empty_or_of_another_place_are_named_and_harm_no_other():
    rng = np.random.default_rng(3)
    expected, truth = scene(rng, 300), wander(rng, 40)
    frames = movie(rng, expected, truth, 192)
    frames[8] = rng.poisson(ndi.gaussian_filter(expected, 5)[54:246, 54:246])
    frames[15] = 0
    frames[22] = np.nan
    frames[30] = rng.poisson(scene(rng, 192))
    found = drift(calibrated(frames))
    assert {int(i): str(found.reason.values[i]) for i in np.flatnonzero(~found.kept)} == {
        8: "blurred", 15: "empty", 22: "empty", 30: "unlike the others"}
    assert (rms(errors(found, truth)[0]) < 2 * bound(expected, 192)).all()
    assert np.isnan(found["shift"].values[[15, 22, 30]]).all()
    assert np.isfinite(found["shift"].values[8]).all()


def test_a_jump_of_a_third_of_the_field_is_followed():
    rng = np.random.default_rng(4)
    expected, truth = scene(rng, 360), wander(rng, 24)
    truth[12:] += [45, -60]
    found = drift(calibrated(movie(rng, expected, truth, 180)))
    assert np.abs(errors(found, truth)[0]).max() < 5 * 2 * bound(expected, 180).max()


def test_a_lattice_does_not_slip_by_a_period():
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:280, :280]
    waves = 0.3 * np.cos(2 * np.pi * y / 7) + 0.3 * np.cos(2 * np.pi * (x + 0.5 * y) / 8)
    expected = np.clip(1 + waves + 0.4 * (scene(rng, 280) - 1), 0.05, None)
    truth = wander(rng, 40, 0.8)
    found = drift(calibrated(movie(rng, expected, truth, 192)))
    assert np.abs(errors(found, truth)[0]).max() < 1


def test_contrast_that_changes_slowly_is_followed():
    # a film that grows: brightness triples and a new texture joins the old one, which stays
    rng = np.random.default_rng(6)
    old, new, truth = scene(rng, 300), scene(rng, 300), wander(rng, 60)
    frames = np.concatenate([movie(rng, (0.5 + t) * old + t * new, truth[i:i + 1], 192)
                             for i, t in enumerate(np.linspace(0, 1, 60))])
    found = drift(calibrated(frames))
    assert found.kept.all()
    # the first frames hold half a count a pixel
    assert np.abs(errors(found, truth)[0]).max() < 5 * bound(old, 192, 0.5).max()


def test_gain_offset_and_read_noise_of_a_camera_need_not_be_known():
    rng = np.random.default_rng(7)
    expected, truth = scene(rng, 260), wander(rng, 40)
    counts = movie(rng, expected, truth, 160, dose=4)
    found = drift(calibrated(37 * counts + 500 + rng.normal(0, 40, counts.shape)))
    assert (rms(errors(found, truth)[0]) < 2 * bound(expected, 160, 4)).all()


def test_axes_may_run_either_way_and_pixels_need_not_be_square():
    rng = np.random.default_rng(8)
    expected, truth = scene(rng, 180), wander(rng, 12)
    images = calibrated(movie(rng, expected, truth, 128, dose=5), (1.0, 0.5))
    found = drift(images)["shift"].values
    assert np.allclose(found, truth * [1.0, 0.5], atol=6 * bound(expected, 128, 5).max())
    assert np.allclose(drift(images[:, ::-1])["shift"].values, found, atol=0.01)
    assert np.allclose(drift(images[:, :, ::-1])["shift"].values, found, atol=0.01)


def test_pixels_without_data_are_left_out():
    rng = np.random.default_rng(9)
    expected, truth = scene(rng, 260), wander(rng, 30)
    frames = movie(rng, expected, truth, 160)
    frames[:, 60:90, 20:120] = np.nan
    found = drift(calibrated(frames))
    assert (rms(errors(found, truth)[0]) < 2 * bound(expected, 160)).all()


def test_hot_pixels_that_do_not_move_with_the_specimen_can_be_masked():
    rng = np.random.default_rng(10)
    expected, truth = scene(rng, 220), wander(rng, 30, 1.0)
    hot = rng.random((128, 128)) < 0.01
    frames = movie(rng, expected, truth, 128)
    frames[:, hot] += 30
    found = drift(calibrated(frames), mask=~hot)
    assert (rms(errors(found, truth)[0]) < 2 * bound(expected, 128)).all()


def test_a_series_on_disk_is_read_frame_by_frame():
    rng = np.random.default_rng(11)
    frames = movie(rng, scene(rng, 120), wander(rng, 12), 96, dose=3)
    loaded = []
    lazy = da.map_blocks(lambda a: (loaded.append(a.shape[0]), a)[1], da.from_array(frames, (1, 96, 96)), dtype=frames.dtype,
                         meta=np.empty((0, 0, 0), frames.dtype))
    images = calibrated(frames)
    found = drift(images.copy(data=lazy))
    assert set(loaded) == {1}
    assert np.array_equal(found["shift"], drift(images)["shift"])


def test_the_same_series_gives_the_same_drift_bit_for_bit():
    rng = np.random.default_rng(12)
    images = calibrated(movie(rng, scene(rng, 120), wander(rng, 10), 96))
    assert drift(images).identical(drift(images))


@pytest.mark.parametrize(("dim", "units"), [("energy_loss", "eV"), ("tilt", "deg"), ("z", "nm")])
def test_stacks_tilt_series_and_slices_are_series_too(dim, units):
    rng = np.random.default_rng(13)
    expected, truth = scene(rng, 140), wander(rng, 9)
    found = drift(calibrated(movie(rng, expected, truth, 96, dose=5), dim=dim, units=units), dim)
    assert found["shift"].dims == (dim, "axis")
    assert np.abs(errors(found, truth)[0]).max() < 5 * bound(expected, 96, 5).max()


def test_the_mean_image_is_sharp_and_knows_its_noise():
    rng = np.random.default_rng(14)
    expected, truth = scene(rng, 240), wander(rng, 80, 0.8)
    images = calibrated(movie(rng, expected, truth, 160))
    found = drift(images)
    mean = mean_image(images, found)
    seen = expected[40:200, 40:200][8:-8, 8:-8]
    got, std = mean.counts.values[8:-8, 8:-8], mean.counts_std.values[8:-8, 8:-8]
    assert np.corrcoef(got.ravel(), seen.ravel())[0, 1] > np.corrcoef(images.mean("time")[8:-8, 8:-8].values.ravel(),
                                                                      seen.ravel())[0, 1] + 0.1
    assert std.mean() == pytest.approx(np.sqrt(seen / mean.visits.values[8:-8, 8:-8]).mean(), rel=0.05)
    assert mean.visits.max() <= 80


def test_frames_become_transforms_to_the_series_own_frame():
    rng = np.random.default_rng(15)
    found = drift(calibrated(movie(rng, scene(rng, 120), truth := wander(rng, 8), 96, dose=10)))
    steps = frame_transforms(found, "movie/{}", "movie")
    there = steps[2].then(steps[5].inverse())
    assert (there.source, there.target) == ("movie/2", "movie/5")
    assert np.allclose(there.apply([[0, 0]])[0], (truth[5] - truth[2]) * PIXEL, atol=0.1)
    assert np.isfinite(there.std_at([[0, 0]])).all()


def test_nothing_but_noise_is_refused():
    noise = np.random.default_rng(16).poisson(1.0, (24, 64, 64)).astype(float)
    with pytest.raises(DatasetError, match="no two of 24 frames show the same thing"):
        drift(calibrated(noise))


def test_a_series_that_cannot_be_placed_is_refused_in_one_line():
    images = calibrated(np.ones((2, 32, 32)))
    images.x.attrs["units"] = "pixel"
    with pytest.raises(ImageError, match=r"x is in 'pixel'.*time has 2 frames") as error:
        drift(images)
    assert "\n" not in str(error.value)
    with pytest.raises(ImageError, match="dim="):
        drift(calibrated(np.ones((5, 32, 32)), dim="cycle"))


def test_wrong_pairs_do_not_move_a_frame():
    rng = np.random.default_rng(17)
    truth = wander(rng, 40, 1.0)
    first = np.concatenate([np.arange(40 - k) for k in (1, 2, 5, 13)])
    second = np.concatenate([np.arange(k, 40) for k in (1, 2, 5, 13)])
    shift = truth[second] - truth[first] + rng.normal(0, 0.1, (len(first), 2))
    wrong = rng.random(len(first)) < 0.2
    shift[wrong] += rng.uniform(-30, 30, (wrong.sum(), 2))
    at, believed = positions(40, Shifts(first, second, shift, rng.uniform(7, 15, len(first))), 0.1)
    alone = [i for i in range(40) if wrong[(first == i) | (second == i)].mean() >= 0.5]
    told = np.setdiff1d(np.arange(40), alone)
    error = (at - truth)[told]
    # five right pairs of 0.1 px or more hold each frame; along 40 frames their errors add up a little
    assert np.abs(error - error.mean(0)).max() < 0.3
    assert not believed[wrong & (np.abs(shift - (truth[second] - truth[first])).max(1) > 1)].any()


def test_what_is_left_after_the_drift_is_a_deformation_and_a_rigid_series_has_none():
    # a particle swells about its middle by 5 % while everything drifts
    rng = np.random.default_rng(18)
    size, n, growth = 112, 24, 0.05
    expected, truth = scene(rng, size + 60), wander(rng, n, 0.5)
    y, x = np.mgrid[:size, :size].astype(float)
    middle = (size - 1) / 2
    frames, still = [], []
    for t, d in enumerate(truth):
        s = 1 + growth * t / n
        for swell, out in ((s, frames), (1.0, still)):
            at = np.stack([(y - middle - d[0]) / swell + middle + 30, (x - middle - d[1]) / swell + middle + 30])
            out.append(rng.poisson(np.clip(8 * ndi.map_coordinates(expected, at, order=3), 0, None)))
    for series, grows in ((frames, True), (still, False)):
        images = calibrated(np.array(series, np.float32))
        bent = deformation(images, drift(images), stretches=2, cells=4)
        assert bool(bent.moved[-1]) == grows
        if grows:
            # the middles of the halves are half of the whole growth apart; area grows twice as fast as length
            inner = bent.area_change[-1].values[4:12, 4:12].mean()
            assert inner == pytest.approx(2 * growth / 2, rel=0.25)
            assert np.abs(bent.displacement[-1].mean(("y", "x"))).max() < 0.2 * PIXEL
