"""An image put onto other pixels keeps its values, its place, and no more resolution than it had."""

import numpy as np
import pytest
import xarray as xr

from registration import ImageError, Transform, TransformError, resample
from registration.warp import GridField, Warp


def image(values, step, frame, origin=(0.0, 0.0), name="counts"):
    step = np.broadcast_to(step, 2)
    coords = {d: (d, origin[i] + np.arange(values.shape[i - 2]) * step[i], {"units": "nm"}) for i, d in enumerate("yx")}
    dims = ("energy_loss", "y", "x")[-values.ndim:]
    return xr.DataArray(values, coords, dims, name, {"units": "count", "frame": frame})


def exact(source, target, matrix):
    return Transform(source, target, np.array(matrix, float), "affine", None, np.zeros((6, 6)))


STAY = exact("a", "b", [[1, 0, 0], [0, 1, 0]])


def test_onto_its_own_pixels_an_image_is_itself():
    a = image(np.random.default_rng(0).random((12, 17)), 2.0, "a")
    out = resample(a, STAY, image(np.zeros((12, 17)), 2.0, "b"))
    assert np.allclose(out.counts, a)
    assert out.inside.all()


def test_a_coarser_pixel_is_the_mean_over_its_area():
    values = np.random.default_rng(1).random((64, 48))
    out = resample(image(values, 1.0, "a"), STAY, image(np.zeros((16, 12)), 4.0, "b", (1.5, 1.5)))
    assert np.allclose(out.counts, values.reshape(16, 4, 12, 4).mean((1, 3)))
    assert out.counts.attrs["resampling"] == "area mean"


def test_the_mean_survives_going_coarser_at_any_angle():
    rng = np.random.default_rng(2)
    values = rng.poisson(5, (256, 256)).astype(float)
    t = np.deg2rad(20)
    turn = exact("a", "b", [[np.cos(t), -np.sin(t), 60], [np.sin(t), np.cos(t), -40]])
    out = resample(image(values, 1.0, "a"), turn, image(np.zeros((25, 25)), 7.0, "b", (60, 60)))
    assert out.inside.all()
    assert out.counts.mean() == pytest.approx(5, abs=4 * np.sqrt(5 / 175**2))
    # the noise of a mean over 49 pixels, not that of one pixel: nothing aliases
    assert out.counts.std() == pytest.approx(np.sqrt(5 / 49), rel=0.15)


def test_finer_pixels_bring_no_resolution_and_say_so():
    a = image(np.arange(64.0).reshape(8, 8), 10.0, "a")
    out = resample(a, STAY, image(np.zeros((71, 71)), 1.0, "b"))
    assert out.counts.attrs["resampling"] == "linear interpolation"
    assert out.counts.attrs["resolution_nm"] == pytest.approx(10)
    assert np.allclose(out.counts.sel(y=a.y, x=a.x), a)


def test_what_the_moving_image_did_not_see_is_nan_not_zero():
    down = exact("a", "b", [[1, 0, 5], [0, 1, 0]])
    out = resample(image(np.ones((10, 10)), 1.0, "a"), down, image(np.ones((10, 10)), 1.0, "b"))
    assert np.isnan(out.counts[:4]).all()
    assert (out.counts[5:] == 1).all()
    assert (out.inside == np.isfinite(out.counts)).all()


def test_missing_pixels_stay_missing_and_do_not_spread():
    values = np.ones((20, 20))
    values[4:8, 4:8] = np.nan
    out = resample(image(values, 1.0, "a"), STAY, image(np.zeros((5, 5)), 4.0, "b", (1.5, 1.5)))
    assert np.isnan(out.counts[1, 1])
    assert np.isfinite(out.counts).sum() == 24


def test_axes_may_run_either_way():
    values = np.random.default_rng(3).random((9, 11))
    a = image(values, 1.0, "a")
    target = image(np.zeros((9, 11)), 1.0, "b")
    assert np.allclose(resample(a[::-1], STAY, target).counts, a)
    assert np.allclose(resample(a, STAY, target[:, ::-1]).counts, a[:, ::-1])


def test_pixels_need_not_be_square():
    y, x = np.mgrid[:40, :20]
    out = resample(image((y + 100.0 * x), (1.0, 3.0), "a"), STAY, image(np.zeros((30, 50)), 1.0, "b", (4, 3)))
    assert np.allclose(out.counts, (out.y - 0) + 100 * out.x / 3)


def test_every_channel_of_a_spectrum_image_is_placed_alike():
    values = np.random.default_rng(4).random((3, 16, 16))
    out = resample(image(values, 1.0, "a"), STAY, image(np.zeros((4, 4)), 4.0, "b", (1.5, 1.5)))
    assert np.allclose(out.counts, values.reshape(3, 4, 4, 4, 4).mean((2, 4)))


def test_the_stated_position_error_is_that_of_the_transform():
    t = Transform.of("a", "b", np.eye(2), [3, 4], "similarity", [20, 30], np.diag([1.0, 2.0, 0.01**2, 0.02**2]))
    target = image(np.zeros((15, 12)), 3.0, "b")
    out = resample(image(np.ones((50, 50)), 1.0, "a"), t, target)
    points = np.stack(np.meshgrid(target.y, target.x, indexing="ij"), -1).reshape(-1, 2)
    expected = np.sqrt((t.std_at(t.inverse().apply(points)) ** 2).sum(1)).reshape(15, 12)
    assert np.allclose(out.position_std, expected)


def test_an_unknown_position_error_is_nan():
    t = Transform.of("a", "b", np.eye(2), [0, 0], "rigid")
    assert np.isnan(resample(image(np.ones((8, 8)), 1.0, "a"), t, image(np.ones((8, 8)), 1.0, "b")).position_std).all()


def test_an_uncalibrated_image_is_refused():
    a = image(np.ones((8, 8)), 1.0, "a")
    a.x.attrs["units"] = "pixel"
    with pytest.raises(ImageError, match=r"moving image: x is in 'pixel', expected 'nm'"):
        resample(a, STAY, image(np.ones((8, 8)), 1.0, "b"))


def test_a_transform_between_other_frames_is_refused():
    with pytest.raises(TransformError, match="'edx'"):
        resample(image(np.ones((8, 8)), 1.0, "edx"), STAY, image(np.ones((8, 8)), 1.0, "b"))


def test_noise_of_a_coarser_pixel_is_that_of_a_mean():
    rng = np.random.default_rng(5)
    std = rng.uniform(1, 3, (32, 32))
    a = image(np.zeros((32, 32)), 1.0, "a")
    out = resample(a, STAY, image(np.zeros((8, 8)), 4.0, "b", (1.5, 1.5)), a.copy(data=std))
    assert np.allclose(out.counts_std, np.sqrt((std**2).reshape(8, 4, 8, 4).sum((1, 3))) / 16)


def test_noise_between_pixels_is_less_than_on_them():
    half = exact("a", "b", [[1, 0, 0.5], [0, 1, 0]])
    a = image(np.ones((9, 9)), 1.0, "a")
    out = resample(a, half, image(np.ones((9, 9)), 1.0, "b"), a)
    assert np.allclose(out.counts_std[2:7], 1 / np.sqrt(2))


def volume(values, step, frame, origin=0.0):
    coords = {d: (d, origin + np.arange(values.shape[i]) * step, {"units": "nm"}) for i, d in enumerate("zyx")}
    return xr.DataArray(values, coords, ("z", "y", "x"), "grey", {"units": "1", "frame": frame})


def test_a_volume_is_averaged_over_its_voxels():
    values = np.random.default_rng(6).random((16, 16, 16))
    stay = Transform.identity("a", "b", 3)
    a = volume(values, 1.0, "a")
    out = resample(a, stay, volume(np.zeros((4, 4, 4)), 4.0, "b", 1.5), a.copy(data=np.ones_like(values)))
    assert np.allclose(out.grey, values.reshape(4, 4, 4, 4, 4, 4).mean((1, 3, 5)))
    assert np.allclose(out.grey_std, 1 / 8)
    assert (out.position_std == 0).all()


def test_a_turned_volume_follows_its_transform_and_states_its_position_error():
    z, y, x = np.mgrid[:20, :20, :20].astype(float)
    t = np.deg2rad(15)
    linear = np.array([[1, 0, 0], [0, np.cos(t), -np.sin(t)], [0, np.sin(t), np.cos(t)]])
    turn = Transform.of("a", "b", linear, [1, 0, 0], "rigid", [10, 10, 10], np.diag([1, 2, 3, 0.01, 0.02, 0.03]) ** 2)
    like = volume(np.zeros((10, 10, 10)), 0.5, "b", 7.0)
    out = resample(volume(z + 2 * y - x, 1.0, "a"), turn, like)
    p = np.stack(np.meshgrid(like.z, like.y, like.x, indexing="ij"), -1).reshape(-1, 3)
    q = turn.inverse().apply(p)
    assert np.allclose(out.grey.values.ravel(), q @ [1, 2, -1])
    assert np.allclose(out.position_std.values.ravel(), np.linalg.norm(turn.std_at(q), axis=1))


def test_a_bent_map_moves_an_image_as_it_moves_points():
    values = np.zeros((8, 8, 2))
    values[..., 0] = 1.5
    values[..., 1] = np.linspace(-2, 2, 8)[:, None]
    field = GridField(np.full(2, -10.0), np.full(2, 10.0), values, 1, np.broadcast_to(0.09 * np.eye(2), (8, 8, 2, 2)))
    warp = Warp(Transform.identity("a", "m"), field, Transform.identity("m", "b"))
    y, x = np.mgrid[:50, :50].astype(float)
    like = image(np.zeros((20, 20)), 0.5, "b", (15, 15))
    out = resample(image(y + 3 * x, 1.0, "a"), warp, like)
    p = np.stack(np.meshgrid(like.y, like.x, indexing="ij"), -1).reshape(-1, 2)
    assert np.allclose(out.counts.values.ravel(), warp.inverse().apply(p) @ [1, 3])
    # the field stretches by 6 % at most
    assert np.allclose(out.position_std, 0.3 * np.sqrt(2), rtol=0.1)


def test_deviations_of_another_shape_are_refused():
    a = image(np.ones((8, 8)), 1.0, "a")
    with pytest.raises(ImageError, match="standard deviations"):
        resample(a, STAY, image(np.ones((8, 8)), 1.0, "b"), a[1:])
