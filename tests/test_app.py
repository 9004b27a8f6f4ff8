"""The app shows what the study holds, at its true scale and with its errors, and answers nobody else."""

import io
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from app_study import BARE, EDX, EDX_SHIFT, HAADF, LOST, SEM, edx_transform, make_app_study
from PIL import Image

import dashboards
from correlate.models import validate
from correlate.models.verdict import judged
from correlate.palette import COLOURS
from dashboards.app import create_app, page_at, picked
from dashboards.decimate import extremes
from dashboards.ellipse import ellipse_95, holds, outline
from dashboards.figures.cycle import loss_scale
from dashboards.figures.stage import stage_data, view_of
from dashboards.pages import relate
from dashboards.pages.layers import fields_of, layers_of
from dashboards.pages.point import answers
from dashboards.pages.relate import descriptors_of, model_figures, relation_figure
from dashboards.pages.spectra import area_figure, spectrum_figure
from dashboards.source import Source, pixel_at
from dashboards.tiles import TILE, Raster, Tiles, grey, halved
from dashboards.tokens import css
from dashboards.view import is_inside, marks, own_position, point_of, view_at

ASSETS = Path(dashboards.__file__).parent / "assets"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return make_app_study(tmp_path_factory.mktemp("app"))


@pytest.fixture(scope="module")
def source(study):
    return Source(study)


@pytest.fixture(scope="module")
def client(study):
    return create_app(study).server.test_client()


def words(component):
    """All text of a Dash component, in order."""
    if component is None or isinstance(component, bool):
        return ""
    if isinstance(component, str | int | float):
        return str(component)
    if isinstance(component, list | tuple):
        return " ".join(words(child) for child in component)
    return words(getattr(component, "children", None))


# --- pure parts

def test_the_style_sheet_holds_the_tokens():
    assert (ASSETS / "0_tokens.css").read_text(encoding="utf-8") == css()


@pytest.mark.parametrize("scheme", [0, 1])
@pytest.mark.parametrize("text", ["ink", "ink-2", "ink-3", "accent", "ok", "warn", "bad"])
@pytest.mark.parametrize("ground", ["page", "surface", "raised"])
def test_every_text_can_be_read_on_every_ground(text, ground, scheme):
    def luminance(hexed):
        channel = np.array([int(hexed[i:i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    light, dark = sorted((luminance(COLOURS[text][scheme]), luminance(COLOURS[ground][scheme])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_a_decimated_curve_keeps_its_single_outlier():
    values = np.sin(np.linspace(0, 50, 1_000_000))
    values[123_457], values[777_777] = 40.0, -40.0
    kept = extremes(values, 500)
    assert {123_457, 777_777} <= set(kept)
    assert len(kept) <= 2000
    assert (np.diff(kept) > 0).all()


def test_the_95_percent_ellipse_holds_95_percent_of_a_normal_cloud():
    covariance = np.array([[90.0, 40.0], [40.0, 50.0]])
    cloud = np.random.default_rng(3).multivariate_normal([0, 0], covariance, 40_000)
    inside = np.einsum("ni,ij,nj->n", cloud, np.linalg.inv(covariance), cloud) <= 5.991
    e = ellipse_95(covariance)
    assert inside.mean() == pytest.approx(0.95, abs=0.005)
    ring = outline(np.zeros(2), e)
    assert np.einsum("ni,ij,nj->n", ring, np.linalg.inv(covariance), ring) == pytest.approx(5.991, rel=1e-3)
    assert holds(np.array([0.0]), np.array([0.0]), np.zeros(2), covariance)[0, 0]


def test_equal_steps_of_the_efficiency_axis_are_equal_factors_of_loss():
    assert np.diff(loss_scale(np.array([0.9, 0.99, 0.999]))) == pytest.approx([1.0, 1.0])


def test_a_point_half_a_pixel_beyond_the_last_centre_is_outside():
    image = xr.DataArray(np.zeros((4, 4)), {"y": np.arange(4) * 10.0, "x": np.arange(4) * 10.0}, ("y", "x"))
    assert pixel_at(image, np.array([34.9, -4.9])) == (3, 0)
    assert pixel_at(image, np.array([35.1, 0.0])) is None
    assert pixel_at(image, np.array([0.0, -5.1])) is None


# --- tiles

def ramp(n=2048):
    values = np.add.outer(np.arange(n), np.arange(n)).astype(np.float32)
    return xr.DataArray(values, {"y": np.arange(n) * 2.0, "x": np.arange(n) * 2.0}, ("y", "x"))


def test_grey_runs_from_black_to_white_between_the_limits():
    assert grey(np.array([[-1.0, 0.0, 5.0, 10.0, 99.0, np.nan]]), (0.0, 10.0)).tolist() == [[0, 0, 128, 255, 255, 0]]


def test_lossless_tiles_are_the_stored_values():
    raster = Raster(halved(ramp(1024)), lossless=True)
    body, kind = Tiles({"k": raster}.__getitem__).tile("k", 0, 1, 0)
    assert kind == "image/png"
    shown = np.asarray(Image.open(io.BytesIO(body)))
    assert shown.shape == (TILE, TILE)
    assert np.array_equal(shown, grey(raster.levels[0].values[TILE:, :TILE], raster.limits))


def test_the_cache_of_tiles_stays_within_its_room():
    tiles = Tiles({"k": Raster((ramp(),))}.__getitem__, cache_bytes=60_000)
    for row in range(4):
        for column in range(4):
            tiles.tile("k", 0, row, column)
    assert sum(len(body) for body, _ in tiles._kept.values()) <= 60_000


def test_a_tile_of_a_large_image_costs_less_than_20_ms_of_cpu():
    tiles = Tiles({"k": Raster((ramp(),))}.__getitem__, cache_bytes=0)
    tiles.tile("k", 0, 0, 0)
    begun = time.process_time()
    for i in range(8):
        tiles.tile("k", 0, i // 4, i % 4)
    assert (time.process_time() - begun) / 8 < 0.02


def test_a_tile_comes_from_the_study_and_is_not_sent_twice(client, source):
    key = next(p.key for p in source.pictures("A17") if p.unit == HAADF)
    first = client.get(f"/tiles/{key}/0/0_0")
    assert first.status_code == 200
    assert Image.open(io.BytesIO(first.data)).size == (TILE, TILE)
    corner = client.get(f"/tiles/{key}/0/2_2")
    assert Image.open(io.BytesIO(corner.data)).size == (1200 - 2 * TILE, 1200 - 2 * TILE)
    again = client.get(f"/tiles/{key}/0/0_0", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


# --- security

@pytest.mark.parametrize("address", [
    "/tiles/0123456789abcdef0123/0/0_0", "/tiles/A17/haadf-0/0/0_0", "/tiles/../0/0_0", "/tiles/..%2f..%2fstudy.toml/0/0_0",
    "/tiles/%2e%2e/0/0_0", "/assets/../app.py", "/assets/..%2f..%2fpyproject.toml", "/tiles/x/-1/0_0", "/tiles/x/0/a_b"])
def test_a_name_that_the_study_does_not_offer_is_not_found(client, address):
    answer = client.get(address)
    text = answer.get_data(as_text=True)
    is_page = "_dash-config" in text  # Dash answers every other address with its one page, which reads no file
    assert answer.status_code == 404 or (is_page and not address.startswith("/tiles"))
    assert "[project]" not in text
    assert "create_app" not in text


def test_a_level_or_tile_that_is_not_there_is_not_found(client, source):
    key = next(p.key for p in source.pictures("A17") if p.unit == HAADF)
    for tail in ("9/0_0", "0/3_0", "0/0_99999999999"):
        assert client.get(f"/tiles/{key}/{tail}").status_code == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "0.0.0.0", "[::2]:80"])
def test_another_host_name_is_refused(client, host):
    for address in ("/", "/_dash-layout", "/assets/stage.js"):
        assert client.get(address, headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8050", "localhost", "[::1]:8050"])
def test_this_machine_is_answered(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
                                     {"Origin": "http://localhost:9999"}])
def test_another_site_cannot_call_back(client, headers):
    assert client.post("/_dash-update-component", json={}, headers=headers).status_code == 403


@pytest.mark.parametrize("body", [{}, [], None, {"output": "x.y", "inputs": []}, {"output": "page.children", "inputs": []},
                                  {"output": ["page.children"]}, {"output": "page.children", "outputs": {}, "inputs": [1]}])
def test_a_call_that_names_no_callback_is_a_bad_request(client, body):
    assert client.post("/_dash-update-component", json=body).status_code == 400


def test_a_script_that_does_not_exist_is_not_found(client):
    assert client.get("/_dash-component-suites/nothing/x.js").status_code == 404


def test_every_answer_forbids_framing_and_foreign_content(client):
    for address in ("/", "/assets/stage.js", "/tiles/x/0/0_0"):
        with client.get(address) as answer:
            headers = answer.headers
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe-eval" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"


def test_no_page_or_asset_names_another_site(client):
    page = client.get("/").get_data(as_text=True)
    assert "http://" not in page
    assert "https://" not in page


# --- pages

@pytest.mark.parametrize("address", ["/", "/sample", "/sample/A17", "/sample/B02", "/sample/C03", "/cycle/A17", "/cycle/C03",
                                     "/relate"])
def test_every_page_says_that_the_study_is_synthetic(source, address):
    text = words(page_at(source, address, ""))
    assert "synthetic" in text
    assert "Interphases for tests" in text


@pytest.mark.parametrize("address", ["/nothing", "/sample/Z99", "/sample/..%2f..%2fetc", "/sample/A17/more", "/relate/x"])
def test_an_address_that_names_nothing_gets_a_page_that_says_so(source, address):
    assert "no such page" in words(page_at(source, address, ""))


def test_an_acquisition_that_is_not_in_the_catalogue_is_ignored(source):
    assert "haadf frame" in words(page_at(source, "/sample/A17", "?at=../../etc/passwd"))


def test_the_matrix_tells_reference_placed_doubtful_and_failed_apart(source):
    text = words(page_at(source, "/", ""))
    for word in ("ref", "±23", "±23?", "failed", "98.50", "no CE", "little overlap", "no scale"):
        assert word in text


def test_picking_a_sample_keeps_the_page(source):
    assert picked(source, "B02", "/cycle/A17") == "/cycle/B02"
    assert picked(source, "B02", "/") == "/sample/B02"
    assert picked(source, "A17", "/sample/A17") is None
    assert picked(source, "../x", "/sample/A17") is None


# --- the stage

def test_a_registered_map_lies_where_its_transform_says(source):
    view = view_at(source, "A17", "")
    assert view.frame == HAADF
    fields = {f.unit: f for f in fields_of(layers_of(source, view))}
    expected = edx_transform().apply(np.array([[-6.0, -6.0]]))[0]
    assert fields[EDX].corners[0] == pytest.approx(expected)
    assert set(fields) == {HAADF, EDX}


def test_the_browser_gets_the_same_map_in_the_order_of_svg(source):
    layers = layers_of(source, view_at(source, "A17", ""))
    data = stage_data([layer for _, layer in layers], fields_of(layers), view_of(np.array([[0.0, 0.0], [1.0, 1.0]])), "nm")
    a, b, c, d, e, f = next(layer["matrix"] for layer in data["layers"] if layer["label"].endswith(" F"))
    y, x = edx_transform().apply(np.array([[50.0, 70.0]]))[0]
    assert (a * 70 + c * 50 + e, b * 70 + d * 50 + f) == pytest.approx((x, y))


def test_what_is_not_placed_is_shown_alone_and_the_page_says_why(source):
    for unit in (SEM, LOST, BARE):
        view = view_at(source, "A17", unit)
        assert view.alone
        assert list(view.matrices) == [unit]
    assert view_at(source, "A17", BARE).unit == "px"
    assert "registration failed: little overlap" in words(page_at(source, "/sample/A17", "?at=A17%2Ftem-0"))


def test_a_click_finds_the_pixel_of_every_frame_and_how_well_it_is_known(source):
    view = view_at(source, "A17", "")
    point = edx_transform().apply(np.array([[240.0, 360.0]]))[0]
    own, covariance = own_position(view, EDX, point)
    assert own == pytest.approx([240.0, 360.0])
    assert np.sqrt(np.diag(covariance)) == pytest.approx([8.0, 8.0], rel=0.1)
    _, note, where, seen = answers(source, view, point)
    assert "seen by 2 acquisitions" in note
    assert "reference" in words(where)
    assert "F at this pixel" in words(seen)
    ring = np.array(marks(view, point)["ellipses"][0]["points"])
    assert np.abs(ring.mean(0) - point[::-1]).max() < 1e-6


def test_fluorine_grows_along_x_under_the_cursor(source):
    view = view_at(source, "A17", "")
    areas = []
    for x in (60.0, 240.0, 440.0):
        point = edx_transform().apply(np.array([[240.0, x]]))[0]
        figure, note = spectrum_figure(source, view, point, EDX, dark=True)
        energy, mean = (np.asarray(figure["data"][1][axis]) for axis in "xy")
        areas.append(mean[(energy > 0.6) & (energy < 0.76)].sum())
        assert "row 20" in note
    assert areas[0] < areas[1] < areas[2]


def test_outside_every_field_nothing_is_claimed(source):
    view = view_at(source, "A17", "")
    far = np.array([9000.0, 9000.0])
    _, note, _, seen = answers(source, view, far)
    assert "seen by 0 acquisitions" in note
    assert "No acquisition covers this place" in words(seen)
    figure, _ = spectrum_figure(source, view, far, EDX, dark=False)
    assert figure["data"] == []


@pytest.mark.parametrize("click", [None, {}, {"points": []}, {"xvals": [], "yvals": [1]}, {"xvals": ["a"], "yvals": [1]},
                                   {"xvals": 3}])
def test_a_click_without_a_place_is_no_point(click):
    assert point_of(click) is None


def test_binding_energy_runs_from_high_to_low(source):
    low_end, high_end = area_figure(source, "A17/xps-0", dark=False)["layout"]["xaxis"]["range"]
    assert low_end > high_end


# --- relate

def virtual_table(rng, explained):
    """Eight electrolytes of three samples; CE follows the thickness where `explained`, else nothing."""
    rows = []
    for i in range(24):
        thickness = 10.0 * (1 + i // 3) + rng.normal(0, 2)
        log = 1.0 + 0.02 * thickness + rng.normal(0, 0.05) if explained else rng.normal(1.5, 0.4)
        rows.append({"sample": f"S{i:02d}", "metal": "Li", "electrolyte": f"E{i // 3}", "group": f"E{i // 3}",
                     "ce_mean": 1 - 10**-log, "ce_mean_std": 0.02 * 10**-log,
                     "sei_thickness": thickness, "sei_thickness_std": 2.0})
    return pd.DataFrame(rows)


class Related:
    """A source that holds a table and a model, and nothing else."""

    def __init__(self, table, model):
        self.table, self.model = lambda: table, lambda: model
        self.measurements = lambda: pd.DataFrame(
            {"name": ["sei_thickness"], "title": ["SEI thickness"], "units": ["nm"], "value": [1.0], "std": [1.0]})


@pytest.mark.parametrize("explained", [True, False])
def test_the_page_says_no_more_than_the_validation_allows(explained):
    table = virtual_table(np.random.default_rng(5), explained)
    model = validate(table, scrambles=9).to_dict()
    kind, _, sentence = judged(model)
    assert (kind == "ok") == explained
    assert ("cause" in sentence) == explained
    source = Related(table, model)
    drawn, importance = model_figures(source, dark=False)
    assert sum(len(trace["x"]) for trace in drawn["data"][1:]) == 24
    assert importance["data"][0]["y"][-1].startswith("SEI thickness")


def test_the_scatter_shows_every_sample_with_errors_on_both_axes_and_one_look_per_electrolyte():
    source = Related(virtual_table(np.random.default_rng(5), True), None)
    assert descriptors_of(source) == ["sei_thickness"]
    figure, _, note = relation_figure(source, "sei_thickness", dark=True)
    assert sum(len(trace["x"]) for trace in figure["data"]) == 24
    assert all(len(trace["error_x"]["array"]) == len(trace["x"]) for trace in figure["data"])
    assert len({(t["marker"]["symbol"], t["marker"]["color"]) for t in figure["data"]}) == 8
    assert "n = 24 samples of 8 electrolytes" in note
    assert relation_figure(source, "ce_first", dark=True)[0]["data"] == []


def test_a_refused_model_gives_its_reason_and_no_number(source):
    text = words(relate._validation(source))
    assert "no model" in text
    assert "fewer than" in text


# --- the frame of an acquisition

def test_the_field_of_an_acquisition_ends_at_its_pixel_edges(source):
    edx = source.acquisition(EDX)
    assert is_inside(edx, np.array([-5.9, 473.9]))
    assert not is_inside(edx, np.array([-6.1, 0.0]))
    assert EDX_SHIFT == (300.0, 420.0)
