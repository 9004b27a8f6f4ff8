"""A picture whose map bends is drawn as it bends: under the cursor is what a click there tells."""

import io
import time

import numpy as np
import pytest
import xarray as xr
from app_study import EDX, HAADF, bent_transform, make_app_study, place_bent
from PIL import Image

from dashboards.bent import BentRaster
from dashboards.pages.layers import fields_of, layers_of
from dashboards.source import Source
from dashboards.tiles import TILE, Raster, Tiles, grey, halved
from dashboards.view import own_position, view_at

SIDE_NM, AMPLITUDE_NM = 480.0, 20.0
"""Of the EDX map, and of its bending: more than one and a half of its pixels of 12 nm."""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    study = make_app_study(tmp_path_factory.mktemp("bent"))
    place_bent(study, EDX, bent_transform(EDX, SIDE_NM, AMPLITUDE_NM))
    return Source(study)


@pytest.fixture(scope="module")
def fluorine(source):
    view = view_at(source, "A17", "")
    return next(entry for entry in layers_of(source, view) if entry[0].unit == EDX and entry[0].element == "F")


def tile_of(source, layer, level, row, column):
    body, kind = Tiles(source.tiled).tile(layer.key, level, row, column)
    assert kind == "image/png"
    return np.asarray(Image.open(io.BytesIO(body)))


def test_the_pixel_drawn_at_a_place_is_the_one_that_a_click_there_tells(source, fluorine):
    picture, layer = fluorine
    view = view_at(source, "A17", "")
    finest = layer.levels[0]
    shown = tile_of(source, layer, 0, 0, 0)
    assert shown.shape == (*(min(n, TILE) for n in finest.shape), 2)
    rng = np.random.default_rng(0)
    drawn, told = [], []
    for i, j in rng.integers(0, shown.shape[:2], (400, 2)):
        own, _ = own_position(view, EDX, np.array([float(finest["y"][i]), float(finest["x"][j])]))
        value = source.value_at(picture, own)
        drawn.append((int(shown[i, j, 0]), int(shown[i, j, 1])))
        told.append((0, 0) if value is None else (int(grey(np.array([value[0]]), source.raster(picture.key).limits)[0]), 255))
    agree = np.array([a == b for a, b in zip(drawn, told, strict=True)])
    assert agree.mean() > 0.99, "all but a place on the very edge of two pixels"
    assert {0, 255} == {opacity for _, opacity in drawn}, "and nothing is drawn where the map does not reach"


def test_the_outline_on_the_stage_bends_as_the_map_does(source):
    view = view_at(source, "A17", "")
    fields = {f.unit: f for f in fields_of(layers_of(source, view))}
    assert len(fields[HAADF].corners) == 4
    rim = fields[EDX].corners
    back = bent_transform(EDX, SIDE_NM, AMPLITUDE_NM).inverse().apply(rim)
    on_edge = np.abs(np.abs(back - (SIDE_NM - 12) / 2) - SIDE_NM / 2).min(1)
    assert on_edge.max() < 1e-4
    straight = np.linalg.lstsq(np.c_[back, np.ones(len(back))], rim, rcond=None)[0]
    assert np.abs(rim - np.c_[back, np.ones(len(back))] @ straight).max() > AMPLITUDE_NM / 2


def test_a_process_that_never_served_the_page_still_serves_its_bent_tiles(source, fluorine):
    _, layer = fluorine
    fresh = Source(source.study)
    level = len(layer.levels) - 1
    assert np.array_equal(tile_of(fresh, layer, level, 0, 0), tile_of(source, layer, level, 0, 0))
    with pytest.raises(KeyError):
        fresh.tiled("0123456789abcdef0123")


def test_a_map_that_bends_is_shown_straight_where_it_is_shown_alone(source):
    assert view_at(source, "A17", "").bend_of(EDX) is not None
    alone = view_at(source, "A17", "A17/tem-0")
    assert alone.alone
    assert alone.bend_of(EDX) is None


@pytest.fixture
def wide():
    """An image of 2048² pixels of 2 nm that bends."""
    n = 2048
    values = np.random.default_rng(1).random((n, n), np.float32)
    image = xr.DataArray(values, {d: np.arange(n) * 2.0 for d in "yx"}, ("y", "x"))
    return BentRaster(Raster(halved(image)), bent_transform("wide", 4096.0, 60.0))


def test_every_level_draws_the_same_place_to_half_an_own_pixel(wide):
    y, x = np.meshgrid(np.arange(2048) * 2.0, np.arange(2048) * 2.0, indexing="ij")
    for axis, ramp in enumerate((y, x)):
        own = Raster(halved(xr.DataArray(ramp, {d: np.arange(2048) * 2.0 for d in "yx"}, ("y", "x"))))
        bent = BentRaster(own, wide.transform)
        for level, grid in enumerate(bent.levels):
            rows, columns = (slice(n // 2 - 20, n // 2 + 20) for n in grid.shape)
            drawn = bent.block(level, rows, columns)
            at = np.stack(np.meshgrid(grid["y"].values[rows], grid["x"].values[columns], indexing="ij"), -1).reshape(-1, 2)
            expected = wide.transform.inverse().apply(at)[:, axis].reshape(drawn.shape)
            pitch = max(2.0, 2.0 * 1.25 * 2**level / 8)
            assert np.nanmax(np.abs(drawn - expected)) < 0.5 * pitch * 1.01


def test_a_bent_tile_costs_no_more_than_a_few_straight_ones(wide):
    rows, columns = slice(0, TILE), slice(0, TILE)
    wide.block(3, rows, columns)
    begun = time.process_time()
    for _ in range(4):
        wide.block(3, rows, columns)
    assert (time.process_time() - begun) / 4 < 0.25
