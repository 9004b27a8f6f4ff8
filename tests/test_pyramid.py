"""Levels of an image are means of what they cover, and say where they are."""

import numpy as np
import pytest
import xarray as xr

from datasets.pyramid import halve, level_coordinate, level_dtype, level_shapes, ome_metadata, pyramid_axes
from datasets.store import Store

NM = {"units": "nm"}


def image(values, *, step=0.5, start=(0.0, 0.0), units="arbitrary", unit="nm", **attrs):
    y, x = values.shape[-2:]
    leading = ["frame"][: values.ndim - 2]
    coords = {"y": ("y", start[0] + step * np.arange(y), {"units": unit}),
              "x": ("x", start[1] + step * np.arange(x), {"units": unit})}
    coords |= {d: (d, np.arange(float(n)), {"units": "1"}) for d, n in zip(leading, values.shape, strict=False)}
    return xr.Dataset({"intensity": ((*leading, "y", "x"), values, {"units": units, **attrs})}, coords, {"title": "test"})


def block_mean(values, n):
    y, x = values.shape
    return values[:y // n * n, :x // n * n].reshape(y // n, n, x // n, n).mean((1, 3))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, create=True)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "int16", "uint32", "float32", "float64"])
def test_every_level_is_the_mean_of_the_pixels_it_covers(store, dtype):
    values = np.random.default_rng(0).integers(0, 250, (1536, 2048)).astype(dtype)
    store.publish("s/a", image(values), kind="acquisition")
    levels = store.levels("s/a")
    assert [level.shape for level in levels] == [(1536, 2048), (768, 1024), (384, 512)]
    np.testing.assert_array_equal(levels[0], values)
    for k, level in enumerate(levels[1:], 1):
        assert level.dtype == np.dtype(dtype).newbyteorder("=")
        rounding = 0.5 if level.dtype.kind in "iu" else 1e-4
        assert np.abs(level.values - block_mean(values.astype(float), 2**k)).max() <= rounding


def test_rounding_does_not_add_up_from_level_to_level(store):
    values = np.random.default_rng(1).integers(0, 2, (4096, 4096)).astype("u1") * 3
    store.publish("s/a", image(values), kind="acquisition")
    top = store.levels("s/a")[-1].values.astype(float)
    assert top.mean() == pytest.approx(np.rint(block_mean(values.astype(float), 8)).mean(), abs=1e-9)


def test_few_counts_keep_their_contrast_when_averaged(store):
    """At two electrons per pixel, a feature of a tenth of a count is seen in the mean of many pixels, if it is not rounded."""
    rng = np.random.default_rng(2)
    dose = np.full((2048, 2048), 2.0)
    dose[:, 1024:] = 2.1
    store.publish("s/a", image(rng.poisson(dose).astype("u2"), units="count"), kind="acquisition")
    top = store.levels("s/a")[-1]
    assert top.dtype == np.float32
    step = float(top[:, 256:].mean() - top[:, :256].mean())
    assert step == pytest.approx(0.1, abs=5 * np.sqrt(2 * 2.05 / (2048 * 1024)))


def test_the_mean_brightness_is_the_same_on_every_level(store):
    values = np.random.default_rng(3).normal(100, 10, (2048, 2048)).astype("f4")
    store.publish("s/a", image(values), kind="acquisition")
    means = [float(level.astype("f8").mean()) for level in store.levels("s/a")]
    assert means == pytest.approx([means[0]] * len(means), rel=1e-6)


def test_labels_are_never_averaged(store):
    labels = np.zeros((1024, 1024), "u1")
    labels[:, 511:] = 7
    store.publish("s/a", image(labels, flag_values=[0, 7], flag_meanings="metal sei"), kind="acquisition")
    store.publish("s/b", image(labels > 0), kind="acquisition")
    assert set(np.unique(store.levels("s/a")[1])) == {0, 7}
    assert store.levels("s/b")[1].dtype == bool


def test_an_unknown_pixel_is_left_out_of_the_mean():
    values = np.array([[1.0, 3.0, np.nan, np.nan], [np.nan, 2.0, np.nan, np.nan]], "f4")
    out = np.empty((1, 2), "f4")
    halve(values, (0, 1), out)
    np.testing.assert_allclose(out, [[2.0, np.nan]])


def test_an_odd_image_loses_no_pixel(store):
    values = np.random.default_rng(4).integers(0, 1000, (1031, 777)).astype("f8")
    store.publish("s/a", image(values), kind="acquisition")
    level = store.levels("s/a")[1]
    assert level.shape == (516, 389)
    np.testing.assert_allclose(level[-1, :-1], values[-1, :-1].reshape(-1, 2).mean(1))
    np.testing.assert_allclose(level[-1, -1], values[-1, -1])


def test_a_level_knows_where_its_pixels_are(store):
    """The centre of mass of a bright spot is at the same place, in nm, whichever level it is measured on."""
    values = np.zeros((2048, 2048), "f4")
    values[900:1000, 1201:1310] = 1
    store.publish("s/a", image(values, step=0.25, start=(100.0, -40.0)), kind="acquisition")
    for level in store.levels("s/a"):
        weight = level / level.sum()
        assert float((weight * level.y).sum()) == pytest.approx(100 + 0.25 * 949.5, abs=0.01 * 0.25)
        assert float((weight * level.x).sum()) == pytest.approx(-40 + 0.25 * 1255, abs=0.01 * 0.25)
        assert level.y.attrs["units"] == "nm"


def test_ome_metadata_states_the_same_places_as_the_coordinates(store):
    version = store.publish("s/a", image(np.zeros((2048, 1100), "u2"), step=0.3, start=(5.0, 7.0)), kind="acquisition")
    ome = xr.open_zarr(store.root / "objects/s/a" / f"{version.version}.zarr").attrs["ome"]
    [multiscale] = ome["multiscales"]
    assert [a["unit"] for a in multiscale["axes"]] == ["nanometer", "nanometer"]
    levels = store.levels("s/a")
    assert len(multiscale["datasets"]) == len(levels)
    for entry, level in zip(multiscale["datasets"], levels, strict=True):
        scale, shift = (t[t["type"]] for t in entry["coordinateTransformations"])
        for axis, dim in enumerate("yx"):
            np.testing.assert_allclose(shift[axis] + scale[axis] * np.arange(level.sizes[dim]), level[dim], rtol=1e-9)


def test_an_uncalibrated_image_claims_no_nanometers():
    ds = image(np.zeros((8, 8)), step=1.0, unit="pixel")
    ome = ome_metadata(dict(ds.variables), dict(ds.variables), {"intensity": ["intensity"]})
    assert all("unit" not in axis for axis in ome["multiscales"][0]["axes"])


def test_a_volume_shrinks_in_three_directions_and_a_stack_only_within_its_frames(store):
    rng = np.random.default_rng(5)
    stack = rng.integers(0, 99, (3, 600, 600)).astype("f4")
    store.publish("s/stack", image(stack), kind="acquisition")
    level = store.levels("s/stack")[1]
    assert level.shape == (3, 300, 300)
    np.testing.assert_allclose(level[1], block_mean(stack[1], 2), rtol=1e-6)

    volume = rng.integers(0, 99, (40, 64, 520)).astype("f4")
    axes = {d: (d, np.arange(float(n)), NM) for d, n in zip("zyx", volume.shape, strict=True)}
    store.publish("s/volume", xr.Dataset({"density": (("z", "y", "x"), volume, {"units": "1"})}, axes), kind="acquisition")
    level = store.levels("s/volume")[1]
    assert level.shape == (20, 32, 260)
    np.testing.assert_allclose(level, volume.reshape(20, 2, 32, 2, 260, 2).mean((1, 3, 5)), rtol=1e-6)


def test_only_pictures_have_levels(store):
    time = {"time": ("time", np.arange(5000.0), {"units": "s"})}
    ds = xr.Dataset({"potential": ("time", np.zeros(5000), {"units": "V"})}, time)
    store.publish("s/a", ds, kind="acquisition")
    assert len(store.levels("s/a")) == 1
    assert pyramid_axes(xr.Variable(("y", "x", "energy_loss"), np.zeros((2, 2, 2)))) == ()
    assert level_dtype(xr.Variable(("y", "x"), np.zeros((2, 2), ">u2"))) == np.dtype("<u2")


def test_levels_end_where_the_image_fits_the_screen():
    assert level_shapes((512, 512), (0, 1)) == [(512, 512)]
    assert level_shapes((513, 20), (0, 1)) == [(513, 20), (257, 10)]
    np.testing.assert_allclose(level_coordinate(np.arange(8.0), 2), [1.5, 5.5])
