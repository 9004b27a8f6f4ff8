"""The virtual study as files: read back through the readers of real data, and true to its own truth."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import datasets.phantom.study as study_module
from datasets.acquisition import read_acquisitions
from datasets.errors import StudyError
from datasets.phantom import make_study
from datasets.phantom.geometry import STEM, look_at
from datasets.phantom.recording import FAULTY, beam_energy, calibration, noted_dose
from datasets.phantom.streams import stream
from datasets.phantom.study import RECORDERS, has_technique, sample_name
from datasets.sheet import read_sheet

SEED = 3


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    return make_study(tmp_path_factory.mktemp("virtual") / "study", samples=2, seed=SEED, jobs=1)


def truth(root: Path, name: str):
    return json.loads((root / "truth" / f"{name}.json").read_text(encoding="utf-8"))


def acquisitions(root: Path):
    """Unit name -> acquisition, as the study sheet has it read."""
    found = {}
    for file in read_sheet(root / "study.toml").files:
        read = read_acquisitions(root / file.path, technique=file.technique or None, axes=file.axes or None,
                                 conditions=file.conditions)
        found |= {f"{file.sample}/{Path(file.path).stem}-{index}": ds for index, ds in enumerate(read)}
    return found


@pytest.fixture(scope="module")
def measured(study):
    return acquisitions(study)


def test_every_listed_file_reads_back_as_the_technique_that_made_it(study, measured):
    for unit, entry in truth(study, "acquisitions").items():
        assert measured[unit].attrs["technique"] == entry["technique"], unit


def test_every_file_says_that_it_is_synthetic(study):
    for path in (study / "raw").rglob("*"):
        # a Ripple header and an APT range file speak for the raw numbers beside them
        if path.is_file() and path.suffix not in (".raw", ".pos"):
            assert b"synthetic" in path.read_bytes(), path.name


def test_the_sheet_says_that_the_study_is_synthetic_and_names_electrolyte_and_conditions(study):
    sheet = read_sheet(study / "study.toml")
    assert sheet.synthetic
    for sample in sheet.samples.values():
        assert sample.metal in ("Li", "Na")
        assert sample.electrolyte
        assert sample.conditions["cycle"] >= 1


def test_the_true_transforms_lay_map_and_image_on_each_other(study, measured):
    frames = truth(study, "frames")
    pairs = 0
    for sample in read_sheet(study / "study.toml").samples:
        image, cube = measured.get(f"{sample}/haadf-0"), measured.get(f"{sample}/edx-0")
        if image is None or cube is None or frames[f"{sample}/edx-0"]["elsewhere"]:
            continue
        energy = cube["xray_energy"].values
        moving = cube["intensity"].values[..., (energy > 0.2) & (energy < 0.8)].sum(-1)
        to_image = np.linalg.inv(square(frames[f"{sample}/haadf-0"])) @ square(frames[f"{sample}/edx-0"])
        step_y, step_x = (float(image[d][1] - image[d][0]) for d in ("y", "x"))
        coarse = float(cube["y"][1] - cube["y"][0]) / step_y
        blurred = ndimage.gaussian_filter(image["intensity"].values.astype(float), 0.4 * coarse)

        def agreement(dy, dx, cube=cube, moving=moving, to_image=to_image, blurred=blurred, step_y=step_y, step_x=step_x):
            y, x = np.meshgrid(cube["y"].values, cube["x"].values, indexing="ij")
            pixel = float(cube["y"][1] - cube["y"][0])
            place = to_image @ np.stack([y.ravel() + dy * pixel, x.ravel() + dx * pixel, np.ones(y.size)])
            where = place[:2] / np.array([[step_y], [step_x]])
            inside = np.all((where > 0) & (where < np.array(blurred.shape)[:, None] - 1), axis=0)
            return np.corrcoef(ndimage.map_coordinates(blurred, where[:, inside], order=1), moving.ravel()[inside])[0, 1]

        here = agreement(0, 0)
        assert all(agreement(dy, dx) < here for dy, dx in ((2, 0), (-2, 0), (0, 2), (0, -2)))
        pairs += 1
    assert pairs


def square(entry) -> np.ndarray:
    return np.vstack([np.array(entry["matrix"]), [0, 0, 1]])


def test_a_corner_of_a_field_is_where_its_matrix_puts_it(study, measured):
    for unit, entry in truth(study, "frames").items():
        if unit not in measured:
            continue
        ds = measured[unit]
        last = np.array([float(ds["y"][-1]), float(ds["x"][-1]), 1.0])
        assert np.array(entry["matrix"]) @ last == pytest.approx(np.array(entry["corners"][2]), rel=1e-6)
        assert entry["units"] == ds["y"].attrs["units"]


def test_the_same_seed_gives_the_same_truth_to_the_last_bit(study, tmp_path):
    again = make_study(tmp_path / "again", samples=2, seed=SEED, jobs=1)
    names = [path.relative_to(study) for path in sorted((study / "truth").rglob("*.json"))]
    assert names
    for name in [*names, Path("study.toml")]:
        assert (again / name).read_bytes() == (study / name).read_bytes(), name


def test_leaving_out_a_technique_changes_nothing_of_the_others(study, tmp_path, monkeypatch):
    monkeypatch.setattr(study_module, "RECORDERS", tuple(r for r in RECORDERS if r.technique in ("haadf", "cycling")))
    fewer = make_study(tmp_path / "fewer", samples=2, seed=SEED, jobs=1)
    kept = truth(fewer, "acquisitions")
    assert kept
    assert all(truth(study, "acquisitions")[unit] == entry for unit, entry in kept.items())
    assert truth(fewer, "samples") == truth(study, "samples")
    for unit in kept:
        path = kept[unit]["file"]
        if not path.endswith(".emd"):        # HDF5 writes the time into a file
            assert (fewer / path).read_bytes() == (study / path).read_bytes()


def test_a_study_that_was_stopped_goes_on_and_does_nothing_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(study_module, "RECORDERS", tuple(r for r in RECORDERS if r.technique in ("xps", "eis")))

    def stop(done: int, total: int, label: str) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_study(tmp_path / "study", samples=3, seed=SEED, jobs=1, progress=stop)
    assert not (tmp_path / "study" / "study.toml").exists()
    first = {p: p.stat().st_mtime_ns for p in (tmp_path / "study" / "raw").rglob("*") if p.is_file()}
    (tmp_path / "study" / "raw" / ".S02.part").mkdir()                       # what a kill leaves behind
    (tmp_path / "study" / "raw" / ".S02.part" / "half").write_text("torn", encoding="utf-8")
    seen = []
    root = make_study(tmp_path / "study", samples=3, seed=SEED, jobs=1, progress=lambda *args: seen.append(args))
    assert seen[0][0] == 1
    assert all(path.stat().st_mtime_ns == when for path, when in first.items())
    assert sorted(p.name for p in (root / "raw").iterdir()) == ["S01", "S02", "S03"]
    whole = {p: p.stat().st_mtime_ns for p in root.rglob("*") if p.is_file()}
    make_study(tmp_path / "study", samples=3, seed=SEED, jobs=1)
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*") if p.is_file()} == whole


def test_another_study_in_the_same_folder_is_refused(study, tmp_path):
    with pytest.raises(StudyError, match="choose another folder"):
        make_study(study, samples=2, seed=SEED + 1, jobs=1)
    (tmp_path / "note.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(StudyError, match="not empty"):
        make_study(tmp_path, samples=2, seed=1, jobs=1)


def test_a_listed_fault_is_really_in_the_file(study, measured):
    for fault in truth(study, "metadata_faults"):
        if fault["what"] == "pixel size" and fault["kind"] == "missing":
            raw = read_acquisitions(study / fault["file"], technique=measured[fault["acquisition"]].attrs["technique"])[0]
            assert {"y", "x"} <= set(raw.attrs["uncalibrated"])
        if fault["what"] == "dose":
            assert "dose_e_per_A2" in measured[fault["acquisition"]].attrs["incomplete"]


def test_about_a_fifth_of_the_images_have_missing_or_wrong_metadata():
    view = look_at((0.0, 0.0), (64, 64), 1.0, STEM, np.random.default_rng(0))
    faulty = 0
    for number in range(2000):
        rng = stream(1, number, "fate")
        faulty += bool(calibration(view, rng).faults or beam_energy(300.0, rng).faults or noted_dose(10.0, rng)[1])
    assert faulty / 2000 == pytest.approx(1.15 * FAULTY, abs=0.03)


def test_a_wrong_pixel_size_is_undone_by_the_sheet():
    view = look_at((0.0, 0.0), (64, 64), 0.375, STEM, np.random.default_rng(0))
    for number in range(300):
        given = calibration(view, stream(1, number, "fate"))
        stated = given.sheet_axes["y"][0] if given.sheet_axes else given.stated_nm or 1.0
        assert stated * given.scale == pytest.approx(0.375, rel=1e-9)


def test_some_techniques_are_missing_for_some_samples_and_every_technique_is_there_for_some():
    for recorder in RECORDERS:
        share = np.mean([has_technique(sample_name(number), recorder, 1) for number in range(400)])
        assert share == pytest.approx(recorder.share, abs=0.08)


def test_the_truth_states_what_an_observer_of_each_image_would_see(study):
    samples = truth(study, "samples")
    for unit, entry in truth(study, "acquisitions").items():
        if entry["technique"] == "stem_image":
            field = samples[unit.split("/")[0]]["field"]
            assert 0.5 < entry["sei_thickness_nm"] / field["thickness_nm"] < 1.1
            assert sum(entry["element_fractions"].values()) == pytest.approx(1)
            assert "H" not in entry["element_fractions"]
        if entry["technique"] == "edx":
            assert "Li" not in entry["element_fractions"]


@pytest.mark.slow
def test_a_study_of_24_samples_fits_into_time_and_space(tmp_path):
    told = []
    root = make_study(tmp_path / "study", samples=24, seed=1, jobs=2, progress=lambda *args: told.append(args))
    assert told[-1][:2] == (24, 24)
    assert sum(p.stat().st_size for p in root.rglob("*") if p.is_file()) < 400e6
    assert len({s.group for s in read_sheet(root / "study.toml").samples.values()}) >= 6
