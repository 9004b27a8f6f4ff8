"""The report stands alone, shows everything a study knows, and says what it does not know."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr
from app_study import make_app_study
from PIL import Image

from correlate.describe import describe_study
from correlate.report import write_report
from correlate.report.charts import loss_ticks, ticks
from correlate.report.overlay import overlay, thumbnail
from correlate.study import Study
from datasets.sheet import FILE_NAME, File, Sample, Sheet, write_sheet
from registration import Transform

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Collects what a page refers to, and whether its tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.references, self.names, self.open, self.texts, self.crossed = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.references += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "action", "srcset", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.crossed.append(tag)

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def virtual_page(virtual_study, tmp_path_factory):
    return write_report(virtual_study, tmp_path_factory.mktemp("page") / "page.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def hand_made(tmp_path_factory):
    """A study made of arrays: no truth beside it, three registrations of known verdict, markup in its title."""
    study = make_app_study(tmp_path_factory.mktemp("hand") / "study")
    return study, write_report(study).read_text(encoding="utf-8")


def test_the_page_asks_for_nothing_outside_itself(virtual_page):
    page = Page(virtual_page)
    assert page.references
    assert all(r.startswith(("#", "data:image/jpeg;base64,")) for r in page.references)
    assert not {"script", "link", "iframe", "img", "object"} & set(page.names)
    assert "http:" not in virtual_page
    assert "https:" not in virtual_page
    assert not re.search(r"url\(|@import|\son\w+=", virtual_page)


def test_every_tag_is_closed_in_order(virtual_page):
    page = Page(virtual_page)
    assert page.crossed == []
    assert page.open == []


def test_the_page_of_a_few_samples_is_small(virtual_page):
    assert len(virtual_page) < 2e6


def test_every_sample_and_every_registration_is_on_the_page(virtual_page, virtual_study):
    texts = {text.strip() for text in Page(virtual_page).texts}
    assert set(virtual_study.sheet.samples) <= texts
    assert virtual_page.count("<figcaption><b>S") == len(virtual_study.alignments())


def test_every_measurement_is_on_the_page_with_its_method(virtual_page, virtual_study):
    measurements = virtual_study.measurements()
    assert f"All {len(measurements)} measurements" in virtual_page
    assert "two chords (whole deposit, metal)" in virtual_page


def test_synthetic_stands_in_header_sections_and_figures(virtual_page):
    header = virtual_page.split("</header>")[0]
    assert "synthetic</span>" in header
    for section in virtual_page.split("<section")[1:]:
        assert "synthetic</span>" in section.split("</h2>")[0]
    drawings = re.findall(r'<svg class="(?:chart|picture)".*?</svg>', virtual_page, re.DOTALL)
    assert drawings
    assert all(">synthetic</text>" in drawing for drawing in drawings)


def test_a_virtual_study_is_scored_on_the_page(virtual_page):
    truth = virtual_page.split('id="truth"')[1]
    assert "Registrations that are called good" in truth
    assert "holds</span>" in truth
    assert "fails</span>" not in truth


def test_a_study_without_truth_has_no_score(hand_made):
    _, page = hand_made
    assert 'id="truth"' not in page
    assert "Against the truth" not in page


def test_markup_in_names_is_shown_and_not_obeyed(hand_made):
    _, page = hand_made
    assert "<b>&" not in page
    assert page.count("Interphases for tests &lt;b&gt;&amp;") == 2  # title and heading


def test_verdicts_and_their_reasons_are_told(hand_made):
    _, page = hand_made
    registration = page.split('id="registration"')[1].split("</section>")[0]
    words = re.findall(r'badge (?:ok|warn|bad)">(accepted|proposed|not placed)<', registration)
    assert sorted(words) == ["accepted", "proposed", "proposed"]
    assert registration.count("little overlap") == 2
    assert "±23" in registration


def test_what_was_refused_is_said_in_words(hand_made):
    study, page = hand_made
    refusal = study.model()["refused"]
    assert refusal.split(";")[0] in page
    assert "No model." in page
    assert "A17/uncalibrated-0" in page.split("No pixel size")[1].split("</p>")[0]


def test_an_unchanged_study_is_not_reported_twice(hand_made):
    study, page = hand_made
    told = []
    path = write_report(study, report=lambda *step: told.append(step))
    assert told == [(1, 1, "unchanged")]
    assert path.read_text(encoding="utf-8") == page


def test_an_empty_study_says_what_to_do_next(tmp_path):
    write_sheet(Sheet("Nothing yet", {}, ()), tmp_path / FILE_NAME)
    page = write_report(Study(tmp_path)).read_text(encoding="utf-8")
    assert "names no sample" in page
    assert "correlate init" in page
    assert "synthetic" not in page.split("</style>")[1]
    assert Page(page).open == []


def test_a_study_of_which_nothing_could_be_measured_has_a_page(tmp_path):
    """Every descriptor refuses: an image without a deposit, without a scale."""
    write_sheet(Sheet("Nothing known", {"A": Sample("A")}, ()), tmp_path / FILE_NAME)
    attrs = {"technique": "tem_image", "sample": "A", "title": "", "conditions": {}, "warnings": [], "incomplete": [],
             "uncalibrated": ["y", "x"], "history": [], "synthetic": False}
    bare = image(np.random.default_rng(3).random((32, 32)), 1.0).rename("intensity")
    bare.attrs["units"] = "arbitrary"
    for d in ("y", "x"):
        bare[d].attrs["units"] = "pixel"
    study = Study(tmp_path)
    study.store.publish("A/tem-0", bare.to_dataset().assign_attrs(attrs), kind="acquisition")
    describe_study(study, jobs=1)
    assert not study.measurements()["value"].notna().any()
    page = write_report(study).read_text(encoding="utf-8")
    descriptors = page.split('id="descriptors"')[1].split("</section>")[0]
    assert "Not known, and why" in descriptors
    assert "A/tem-0" in descriptors


def test_a_file_that_cannot_be_read_is_named_with_its_fault(tmp_path):
    (tmp_path / "broken.mrc").write_bytes(b"\0" * 40)
    sheet = Sheet("Broken", {"A": Sample("A")}, (File("broken.mrc", "A"), File("gone.dm4", "A")))
    write_sheet(sheet, tmp_path / FILE_NAME)
    page = write_report(Study(tmp_path)).read_text(encoding="utf-8")
    faults = page.split("Files that are not in the study")[1].split("</table>")[0]
    assert "<td class=\"muted\">broken.mrc</td>" in faults
    assert "<td class=\"muted\">gone.dm4</td>" in faults
    assert "not imported yet" not in faults


def image(values, step):
    coords = {d: (d, step * np.arange(n), {"units": "nm"}) for d, n in zip(("y", "x"), values.shape, strict=True)}
    return xr.DataArray(values, coords, ("y", "x"))


def opened(picture, tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(picture.jpeg)
    return np.asarray(Image.open(path), np.float64)


def test_an_overlay_is_white_where_images_agree_and_orange_or_blue_where_only_one_is_bright(tmp_path):
    fixed, moving = np.zeros((200, 200)), np.zeros((50, 50))
    fixed[60:140, 60:100] = 1.0
    moving[10:40, 0:20] = 1.0
    pose = Transform.of("m", "f", 2 * np.eye(2), [50, 80], "similarity")  # 100 nm wide: the left 40 nm of it are bright
    picture = overlay(image(fixed, 1.0), image(moving, 1.0), pose)
    seen = opened(picture, tmp_path)

    def colour(y, x):
        return seen[round(y / picture.pixel_nm), round(x / picture.pixel_nm)]

    red, _, blue = colour(100, 90)
    assert min(red, blue) > 200
    red, _, blue = colour(100, 110)
    assert red > blue + 80
    red, _, blue = colour(64, 90)
    assert blue > red + 80
    assert np.ptp(colour(100, 70)) < 40  # outside the moving field: grey
    assert picture.outline[0] == pytest.approx((80 / picture.pixel_nm + 0.5, 50 / picture.pixel_nm + 0.5))


def test_a_small_field_on_a_wide_image_is_shown_close(tmp_path):
    wide, small = np.random.default_rng(0).random((400, 400)), np.ones((40, 40))
    pose = Transform.of("m", "f", np.eye(2), [300, 20], "rigid")
    picture = overlay(image(wide, 1.0), image(small, 1.0), pose)
    assert picture.width * picture.pixel_nm < 60
    xs = [x for x, _ in picture.outline]
    assert 0 < min(xs) < max(xs) < picture.width


def test_an_uncalibrated_image_has_no_scale(tmp_path):
    bare = image(np.random.default_rng(1).random((30, 60)), 1.0)
    bare["x"].attrs["units"] = "pixel"
    picture = thumbnail(bare)
    assert (picture.height, picture.width) == (30, 60)
    assert np.isnan(picture.pixel_nm)


def test_ticks_are_round_and_inside():
    assert ticks(0.0, 152.0) == [0, 50, 100, 150]
    assert ticks(-0.13, 0.16) == pytest.approx([-0.1, -0.05, 0, 0.05, 0.1, 0.15])
    assert [text for _, text in loss_ticks(0.6, 3.1)] == ["90", "99", "99.9"]
