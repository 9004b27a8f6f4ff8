"""A draft lists what the files hold, guesses in the open, loses nothing silently and reads back unchanged."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from correlate.draft import draft_study, draft_text, write_draft
from datasets.errors import StudyError
from datasets.formats.cells.gamry import GAMRY
from datasets.formats.infrared.jcamp import JCAMP
from datasets.formats.photoelectrons.vamas import VAMAS
from datasets.sheet import read_sheet
from datasets.writers import mrc, ripple

IMAGE = np.arange(64 * 64, dtype=np.float32).reshape(64, 64)


def put(fmt, path: Path) -> Path:
    """An example of a format under another name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = fmt.example(path.parent)
    made.rename(path)
    return path


def image(path: Path, *, pixel_nm: float | None = 0.5, add: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return mrc.write(path, IMAGE + np.float32(add), pixel_size_nm=None if pixel_nm is None else (pixel_nm, pixel_nm))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two samples, as people leave them."""
    root = tmp_path / "lithium"
    image(root / "A17" / "TEM" / "haadf_300kV.mrc")
    image(root / "A17" / "TEM" / "day2" / "haadf_300kV.mrc", add=1.0)
    image(root / "B02" / "cycle10" / "overview.mrc", pixel_nm=None, add=2.0)
    put(VAMAS, root / "A17" / "F1s.vms")
    put(GAMRY, root / "B02" / "eis.DTA")
    put(JCAMP, root / "B02" / "Thumbs.db").rename(root / "B02" / "ftir.jdx")
    ripple.write(root / "A17" / "map.rpl", np.ones((8, 8, 128), np.uint16), pixel_size_nm=(2.0, 2.0), channel_keV=0.01)
    (root / "notes.txt").write_text("cold day")
    (root / ".hidden").write_text("x")
    (root / "A17" / "~$report.docx").write_text("x")
    (root / "A17" / "Thumbs.db").write_text("x")
    return root


@pytest.fixture
def draft(folder):
    return draft_study(folder, jobs=1)


def test_a_draft_is_read_back_unchanged(draft, folder):
    assert read_sheet(write_draft(draft, folder)) == draft.sheet


def test_every_file_is_listed_or_named_with_a_reason(draft, folder):
    listed = {f.path for f in draft.sheet.files} | {c for names in draft.companions.values() for c in names}
    named = {item.path for item in (*draft.left_out, *draft.passed)}
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert listed | named == files
    assert not listed & named
    assert all(item.why for item in (*draft.left_out, *draft.passed))


def test_a_data_block_is_read_with_its_header_and_not_on_its_own(draft):
    assert draft.companions == {"A17/map.rpl": ("A17/map.raw",)}


def test_files_of_one_stem_become_acquisitions_of_their_own(draft):
    names = [f.acquisition for f in draft.sheet.files]
    assert len(set(names)) == len(names)
    assert {"A17/TEM_haadf_300kV", "A17/day2_haadf_300kV"} <= set(names)


def test_what_a_name_states_becomes_a_condition_and_is_called_a_guess(draft):
    found = {f.path: f.conditions for f in draft.sheet.files}
    assert found["B02/cycle10/overview.mrc"] == {"cycle": 10}
    assert found["A17/TEM/haadf_300kV.mrc"] == {"beam_energy_keV": 300.0}
    assert any("guess" in line and "cycle10" in line for line in draft.remarks["B02/cycle10/overview.mrc"])


def test_an_uncalibrated_image_is_marked_with_what_to_add(draft):
    assert any('axes = { y = [STEP, "nm"], x = [STEP, "nm"] }' in line for line in draft.remarks["B02/cycle10/overview.mrc"])


def test_a_technique_that_the_file_does_not_tell_is_marked(draft):
    assert any("does not say what made it" in line for line in draft.remarks["B02/cycle10/overview.mrc"])


def test_an_existing_sheet_is_never_overwritten(draft, folder):
    (folder / "study.toml").write_text("[study]\n")
    with pytest.raises(StudyError, match="is kept"):
        write_draft(draft, folder)
    assert (folder / "study.toml").read_text() == "[study]\n"


def test_equal_content_is_listed_once_even_under_another_sample(folder):
    shutil.copy(folder / "A17" / "F1s.vms", folder / "B02" / "other.vms")
    draft = draft_study(folder, jobs=1)
    out, = (item for item in draft.left_out if item.path == "B02/other.vms")
    assert out.why == "same content as A17/F1s.vms, yet its place says sample B02"


def test_the_copy_gives_way_to_the_original_wherever_the_alphabet_puts_it(folder):
    shutil.copy(folder / "A17" / "F1s.vms", folder / "A17" / "Copy of F1s.vms")
    (folder / "A00 backup").mkdir()
    shutil.copy(folder / "B02" / "eis.DTA", folder / "A00 backup" / "eis.DTA")
    draft = draft_study(folder, jobs=1)
    assert {"A17/F1s.vms", "B02/eis.DTA"} <= {f.path for f in draft.sheet.files}
    why = {item.path: item.why for item in draft.left_out}
    assert why["A17/Copy of F1s.vms"] == "same content as A17/F1s.vms"
    assert why["A00 backup/eis.DTA"].startswith("same content as B02/eis.DTA")


def test_a_huge_file_of_something_else_is_not_read_and_does_not_count_in_the_rate(folder):
    with (folder / "everything.vhdx").open("wb") as file:
        file.write(b"vhdxfile")
        file.truncate(1 << 40)
    said = []
    draft = draft_study(folder, jobs=1, report=lambda *one: said.append(one))
    out, = (item for item in draft.left_out if item.path == "everything.vhdx")
    assert out.why.startswith("no reader recognises the content")
    assert all(float(what.rpartition(", ")[2].removesuffix(" MB/s")) < 1e4 for _, _, what in said)


def test_a_file_or_folder_without_permission_is_named_and_stops_nothing(folder, monkeypatch):
    """Who runs the tests as administrator may read everything, so the system's refusal is played."""
    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    image(folder / "A17" / "secret.mrc", add=5.0)
    (folder / "locked").mkdir()
    scan, opened = os.scandir, Path.open

    def scanned(path):
        return refused(path) if Path(path).name == "locked" else scan(path)

    def read(path, *options, **more):
        return refused(path) if path.name == "secret.mrc" else opened(path, *options, **more)

    monkeypatch.setattr("correlate.folder.os.scandir", scanned)
    monkeypatch.setattr(Path, "open", read)
    draft = draft_study(folder, jobs=1)
    assert {p.path: p.why for p in draft.passed}["locked"] == "cannot be opened: Permission denied"
    assert {i.path: i.why for i in draft.left_out}["A17/secret.mrc"].startswith("cannot be opened: Permission denied")
    assert "A17/F1s.vms" in {f.path for f in draft.sheet.files}


def test_what_is_left_out_is_named_once_and_on_one_line(folder):
    (folder / "A17" / "torn\nname.csv").write_text("a,b\n1,2\n")
    lines = [line for line in draft_text(draft_study(folder, jobs=1)).splitlines() if "torn" in line]
    assert len(lines) == 1
    assert lines[0].startswith("# A17/torn\\nname.csv: no reader recognises")
    assert lines[0].count("name.csv") == 1


def test_equal_headers_of_unlike_data_are_two_measurements(folder):
    shutil.copy(folder / "A17" / "map.rpl", folder / "A17" / "map_b.rpl")
    (folder / "A17" / "map_b.raw").write_bytes(bytes(8 * 8 * 128 * 2))
    listed = {f.path for f in draft_study(folder, jobs=1).sheet.files}
    assert {"A17/map.rpl", "A17/map_b.rpl"} <= listed


def test_a_file_that_tells_no_sample_is_not_mixed_into_any(folder):
    image(folder / "run.mrc", add=7.0)
    draft = draft_study(folder, jobs=1)
    assert "run.mrc" not in {f.path for f in draft.sheet.files}
    assert '# path = "run.mrc"\n# sample = "?"' in draft_text(draft)


def test_a_folder_whose_names_tell_nothing_is_one_sample_and_says_so(tmp_path):
    root = tmp_path / "Li Cu"
    put(VAMAS, root / "F1s.vms")
    put(GAMRY, root / "eis.DTA")
    draft = draft_study(root, jobs=1)
    assert list(draft.sheet.samples) == ["Li_Cu"]
    assert "all files are taken as one specimen" in draft_text(draft)


def test_a_damaged_file_is_named_with_the_readers_own_words(folder):
    whole = (folder / "A17" / "F1s.vms").read_bytes()
    (folder / "A17" / "torn.vms").write_bytes(whole[:len(whole) // 2])
    draft = draft_study(folder, jobs=1)
    out, = (item for item in draft.left_out if item.path == "A17/torn.vms")
    assert out.why
    assert "torn.vms" not in out.why  # its path stands before it
    assert "\n" not in out.why


def test_loops_pipes_and_dead_links_do_no_harm(folder):
    (folder / "A17" / "again").symlink_to(folder, target_is_directory=True)
    (folder / "A17" / "gone.mrc").symlink_to(folder / "nowhere.mrc")
    os.mkfifo(folder / "B02" / "pipe.mrc")
    why = {p.path: p.why for p in draft_study(folder, jobs=1).passed}
    assert why["A17/again"] == "leads to a folder that is in the list already"
    assert why["A17/gone.mrc"] == "is a link that leads nowhere"
    assert "pipe" in why["B02/pipe.mrc"]


def test_odd_names_stay_on_their_line_and_keep_the_sheet_valid(folder):
    image(folder / "A17" / 'od"d\n[study] # \x07.mrc', add=9.0)
    draft = draft_study(folder, jobs=1)
    again = read_sheet(write_draft(draft, folder))
    assert again == draft.sheet
    assert 'A17/od"d\n[study] # \x07.mrc' in {f.path for f in again.files}


def test_progress_counts_every_file_once_and_says_the_rate(folder):
    said = []
    draft_study(folder, jobs=1, report=lambda *one: said.append(one))
    assert [done for done, _, _ in said] == list(range(1, len(said) + 1))
    assert {total for _, total, _ in said} == {len(said)}
    assert all("MB/s" in what for _, _, what in said)


def test_an_empty_folder_and_a_missing_one_are_one_clear_error(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(StudyError, match=str(path)):
            draft_study(path)


def test_what_the_study_keeps_at_its_root_is_no_measurement(folder):
    before = draft_study(folder, jobs=1)
    (folder / "objects").mkdir()
    put(VAMAS, folder / "objects" / "x.vms")
    (folder / "study.toml").write_text("[study]\n")
    assert draft_study(folder, jobs=1) == before
