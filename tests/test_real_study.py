"""The whole path on real instrument files, with nothing synthetic in it: figures that other programs read, and refusals."""

import math
import sys
import threading
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from correlate.study import Study
from dashboards.app import serve

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import real_study

SLOW = ("raw/L2083/STEM/tilt_m30.bcf",)  # one large spectrum image is enough here; the benchmark has both


@pytest.fixture(scope="module")
def made(real_data, tmp_path_factory):
    folder = real_study.make_folder(real_data, tmp_path_factory.mktemp("real") / "study", leave_out=SLOW)
    return real_study.run(folder, 1, lambda _, work: work())


@pytest.fixture(scope="module")
def measured(made):
    """(unit, name) -> (value, std, reason)."""
    table = made["study"].measurements()
    return {(r.unit, r.name): (r.value, r.std, r.reason) for r in table.itertuples()}


def acquisition(made, unit):
    return next(a for a in made["study"].acquisitions() if a.unit == unit)


def test_the_draft_finds_the_specimens_by_their_folders(made):
    assert list(made["draft"].sheet.samples) == [
        "C08", "Fe26", "G2", "L2083", "Mo42", "N18", "NiW150", "P225", "R1", "V215",
        *(f"cell_{n}" for n in range(1, 8))]


def test_the_draft_names_what_it_leaves_out_and_why(made):
    why = {item.path: item.why for item in (*made["draft"].left_out, *made["draft"].passed)}
    assert why["raw/cell 1/EC/gcpl_copy.mpr"] == "same content as raw/cell 1/EC/gcpl.mpr"
    assert "copy in another format" in why["raw/cell 1/EC/peis.mpt"]
    assert "is hidden" in why["raw/.DS_Store"]
    assert "lock" in why["raw/cell 1/~$protocol.docx"]
    assert made["draft"].companions == {"raw/N18/TEM/search.emi": ("raw/N18/TEM/search_1.ser",)}


def test_every_listed_file_is_imported(made):
    assert {r.path: r.message for r in made["import"] if r.status != "imported"} == {}


@pytest.mark.parametrize(("unit", "shape", "total"), [
    ("L2083/tilt_000-0", (256, 256), 1859134070), ("L2083/tilt_000-1", (256, 256, 2048), 886553),
    ("P225/particle_200kV-0", (64, 64), 141288352), ("P225/particle_200kV-1", (64, 64, 2048), 26005),
    ("N18/search-0", (128, 128), 169637782), ("C08/carbon_K-0", (1, 2048), 35798239), ("G2/stem-0", (68, 68), 150998555)])
def test_what_is_stored_adds_up_to_what_rosettasciio_and_ncempy_read(made, unit, shape, total):
    found = acquisition(made, unit)
    data = made["study"].open(unit)
    assert found.shape == shape
    assert float(data[next(iter(data.data_vars))].sum(dtype="float64")) == pytest.approx(total, rel=1e-6)


def test_an_image_and_a_spectrum_image_of_one_scan_lie_on_each_other_exactly(made):
    placed = {p.pair.moving: p for p in made["align"]}
    for unit in ("L2083/tilt_000-1", "P225/particle_200kV-1"):
        assert (placed[unit].verdict, placed[unit].error_nm) == ("good", 0.0)
        path = made["study"].frames(unit.split("/")[0]).path(unit, f"{unit[:-1]}0")
        assert path.apply(np.array([[10.0, 20.0]])) == pytest.approx(np.array([[10.0, 20.0]]))


def test_no_wrong_place_is_called_good(made):
    assert {p.pair.moving for p in made["align"] if p.verdict == "good" and p.error_nm > 0} == set()


def test_efficiency_of_a_real_cell_is_what_its_charges_give(measured):
    value, std, _ = measured["cell_2/bcd-0", "ce_mean"]
    assert value == pytest.approx(5.45211 / 5.46461, abs=2e-5), "charges as galvani reads them"
    assert 0 < std < 1e-3
    assert measured["cell_3/test_2-0", "ce_first"][0] == pytest.approx(0.42808, abs=1e-4), "fastnda"
    assert measured["cell_4/120 cycles-0", "ce_first"][0] == pytest.approx(0.19075, abs=1e-4), "fastnda"


def test_numbers_that_the_files_do_not_hold_are_refused_with_a_reason(measured):
    for key, why in {
        ("cell_1/gcpl-0", "ce_mean"): "metal never runs out",  # a symmetric cell
        ("cell_5/test-0", "ce_mean"): "say plating_electrode",
        ("cell_1/peis-0", "eis_arc_width"): "no circuit",
        ("N18/search-0", "sei_thickness"): "of the beam comes through",  # the shadow of an opaque object
        ("L2083/tilt_000-1", "edx_fraction_S"): "below the background",  # platinum M lies beside sulphur K
        ("L2083/tilt_000-1", "edx_fraction_Pt"): "no X-ray line is tabulated",
        ("R1/survey-0", "xps_fraction_Li"): "covered by Fe 3p",  # magnesium ferrite holds no lithium
        ("Mo42/multipak-4", "xps_fraction"): "no core level that has a sensitivity factor",
    }.items():
        value, _, reason = measured[key]
        assert math.isnan(value), key
        assert why in reason, key


def test_every_number_has_an_error_and_every_missing_one_a_reason(measured):
    for key, (value, std, reason) in measured.items():
        assert (math.isfinite(value) and std > 0) or reason, key


def test_xps_fractions_are_plausible(made, measured):
    assert measured["R1/survey-0", "xps_fraction_O"][0] > measured["R1/survey-0", "xps_fraction_C"][0], "an oxide"
    table = made["study"].table().set_index("sample")
    assert math.isnan(table.loc["Mo42"].get("xps_fraction_N", math.nan)), "molybdenum 3p lies under nitrogen 1s"


def test_few_samples_carry_no_model_and_it_says_so(made):
    assert "cannot carry a model" in made["fit"]["refused"]
    assert "say electrolyte or group" in made["fit"]["refused"]


def test_the_app_opens_on_it(made):
    server = serve(Study(made["study"].root), port=0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/", timeout=30) as answer:
            assert answer.status == 200
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
