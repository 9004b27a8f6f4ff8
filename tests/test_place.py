"""What one scan recorded lies in one place; everything else has to be found, and what goes along keeps the error of that."""

import numpy as np
import pytest
from app_study import image, scene, spectrum_image

from correlate.ingest import import_files
from correlate.pairs import pairs_of
from correlate.place import align_pair
from correlate.study import Study
from dashboards.source import chain
from datasets.sheet import FILE_NAME, File, Sample, Sheet, write_sheet
from datasets.writers import mrc


@pytest.fixture
def study(tmp_path):
    """A wide image, and a scan elsewhere that recorded a detector image with its spectra in one file."""
    root = tmp_path / "study"
    root.mkdir()
    write_sheet(Sheet("one scan", {"A": Sample("A")}, ()), root / FILE_NAME)
    found = Study(root)
    spectra = spectrum_image(np.random.default_rng(1))
    detector = image("stem_image", scene(40, 12.0), 12.0)
    for unit, ds, path in (("A/wide-0", image("stem_image", scene(300, 4.0), 4.0), "wide.mrc"),
                           ("A/si-0", detector, "si.bcf"), ("A/si-1", spectra, "si.bcf")):
        found.store.publish(unit, ds.assign_attrs(sample="A", title=unit, source={"path": path}, history=[], warnings=[]),
                            kind="acquisition")
    return Study(root)


def test_a_map_goes_with_the_image_of_its_scan_and_the_image_is_aligned(study):
    pairs = pairs_of(study, "A", study.acquisitions("A"))
    assert [(p.fixed, p.moving) for p in pairs] == [("A/wide-0", "A/si-0"), ("A/si-0", "A/si-1")]


def test_one_scan_is_placed_by_identity_and_without_error(study):
    placed = align_pair(("A/si-0", "A/si-1", "similarity"), str(study.root))
    assert (placed.verdict, placed.error_nm) == ("good", 0.0)
    there = np.array([[3.0, 70.0], [200.0, 11.0]])
    assert study.frames("A").path("A/si-1", "A/si-0").apply(there) == pytest.approx(there)


def test_a_map_that_goes_along_has_the_registrations_of_its_image():
    steps = {"A/si-1": {"fixed": "A/si-0", "error_nm": 0.0}, "A/si-0": {"fixed": "A/wide-0", "error_nm": 7.0}}
    assert [s["error_nm"] for s in chain("A/si-1", steps, "A/wide-0")] == [0.0, 7.0]
    assert chain("A/wide-0", steps, "A/wide-0") == []


def test_two_stage_positions_in_one_file_are_two_places(study):
    moved = study.open("A/si-1").load().assign_attrs(conditions={"stage_x_nm": 5000.0})
    there = study.open("A/si-0").load().assign_attrs(conditions={"stage_x_nm": 0.0})
    for unit, ds in (("A/si-1", moved), ("A/si-0", there)):
        study.store.publish(unit, ds, kind="acquisition")
    assert ("A/si-0", "A/si-1") not in [(p.fixed, p.moving) for p in pairs_of(study, "A", study.acquisitions("A"))]


def test_a_file_that_was_imported_is_not_imported_again_until_it_or_its_entry_changes(tmp_path):
    sheet = Sheet("again", {"A": Sample("A")}, (File("x.mrc", "A"), File("y.mrc", "A")))
    write_sheet(sheet, tmp_path / FILE_NAME)
    for name in ("x.mrc", "y.mrc"):
        mrc.write(tmp_path / name, np.ones((16, 16), np.float32), pixel_size_nm=(1.0, 1.0))
    assert [r.status for r in import_files(Study(tmp_path), jobs=1)] == ["imported", "imported"]
    assert [r.status for r in import_files(Study(tmp_path), jobs=1)] == ["unchanged", "unchanged"]
    mrc.write(tmp_path / "x.mrc", 2 * np.ones((16, 16), np.float32), pixel_size_nm=(1.0, 1.0))
    changed = File("y.mrc", "A", conditions={"cycle": 3})
    write_sheet(Sheet("again", sheet.samples, (sheet.files[0], changed)), tmp_path / FILE_NAME)
    assert [r.status for r in import_files(Study(tmp_path), jobs=1)] == ["imported", "imported"]
