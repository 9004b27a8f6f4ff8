"""A virtual study is scored against its truth: what is right is called right, what is spoilt is noticed."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from correlate.score import SIGMAS, has_truth, score, scored_pairs, true_value, with_joined_thickness
from correlate.study import ALIGNMENT_COLUMNS, Acquisition, Study
from datasets.errors import StudyError
from registration import Transform


def field(unit, n=11, step=2.0):
    axis = {"first": 0.0, "last": step * (n - 1), "step": step, "n": n, "units": "nm"}
    summary = {"variables": {"intensity": {"dims": ["y", "x"], "shape": [n, n]}}, "coords": {"y": axis, "x": axis}}
    return Acquisition(unit, "v1", unit.split("/")[0], "stem_image", "", 0, summary)


def aligned(transform, verdict="good", error_nm=1.0):
    row = {"unit": "registration/A/edx-0--haadf-0", "sample": "A", "version": "v1", "moving": "A/edx-0", "fixed": "A/haadf-0",
           "model": "rigid", "status": "accepted", "verdict": verdict, "reasons": [], "error_nm": error_nm,
           "coarser_pixel_nm": 2.0, "method": "", "metrics": {}, "transform": transform.to_dict()}
    return pd.DataFrame([row], columns=list(ALIGNMENT_COLUMNS))


FRAMES = {"A/haadf-0": {"matrix": [[1, 0, 100], [0, 1, 200]], "units": "nm"},
          "A/edx-0": {"matrix": [[0, -1, 110], [1, 0, 205]], "units": "nm"}}
"""The map is turned by 90 degrees, and lies at (10, 5) nm of the image."""
FIELDS = {unit: field(unit) for unit in FRAMES}


def test_the_true_pose_has_no_error_and_a_wrong_angle_errs_most_at_the_far_corner():
    true = Transform.of("A/edx-0", "A/haadf-0", [[0, -1], [1, 0]], [10, 5], "rigid")
    assert scored_pairs(aligned(true), FIELDS, FRAMES).loc[0, "error_nm"] == pytest.approx(0, abs=1e-9)
    t = 0.01
    turned = Transform.of("A/edx-0", "A/haadf-0", np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]) @ true.linear,
                          [10, 5], "rigid")
    row = scored_pairs(aligned(turned), FIELDS, FRAMES).loc[0]
    chord = 2 * np.sin(t / 2) * 20 * np.sqrt(2)
    assert row["error_nm"] == pytest.approx(chord, rel=1e-9)
    assert row["error_px"] == pytest.approx(chord / 2, rel=1e-9)
    assert row["held"]


def test_images_of_another_place_have_nothing_in_common_whatever_the_pose():
    pose = Transform.of("A/edx-0", "A/haadf-0", np.eye(2), [0, 0], "rigid")
    apart = {**FRAMES, "A/edx-0": {**FRAMES["A/edx-0"], "elsewhere": True}}
    far = {**FRAMES, "A/edx-0": {"matrix": [[1, 0, 900], [0, 1, 900]], "units": "nm"}}
    for frames in (apart, far):
        row = scored_pairs(aligned(pose), FIELDS, frames).loc[0]
        assert not row["common"]
        assert np.isnan(row["error_px"])


def test_a_fraction_is_judged_among_the_elements_measured_with_it():
    truth = {"element_fractions": {"Li": 0.5, "O": 0.3, "F": 0.1, "C": 0.1}}
    measured = ["eels_fraction_O", "eels_fraction_F", "eels_fraction_N", "eels_lithium_ratio"]
    assert true_value("eels_fraction_O", truth, measured) == pytest.approx(0.75)
    assert true_value("eels_fraction_N", truth, measured) == 0
    assert true_value("eels_lithium_ratio", truth, measured) == pytest.approx(0.5 / 0.4)
    assert true_value("ce_spread", truth, measured) is None


def test_arcs_that_are_merged_have_no_truth_of_their_own():
    circuit = {"r_s": 4.0, "r_sei": 10.0, "r_ct": 5.0, "r_contact": 0.0, "identifiable": False}
    assert true_value("eis_arc_width", circuit, []) == 15
    assert true_value("eis_first_arc", circuit, []) is None
    assert true_value("eis_first_arc", {**circuit, "identifiable": True}, []) == 10


def test_thickness_is_joined_with_the_same_weights_as_its_truth():
    rows = [("SEI thickness", by, "A", f"A/{by}", "sei_thickness", value, std, truth, "nm", 0.0, True)
            for by, value, std, truth in (("STEM", 20.0, 1.0, 20.0), ("EDX", 16.0, 2.0, 15.0))]
    columns = ["quantity", "by", "sample", "unit", "name", "value", "std", "truth", "units", "z", "within"]
    joined = with_joined_thickness(pd.DataFrame(rows, columns=columns)).iloc[-1]
    assert joined["value"] == pytest.approx((20 * 1 + 16 * 0.25) / 1.25)
    assert joined["truth"] == pytest.approx((20 * 1 + 15 * 0.25) / 1.25)


def test_a_virtual_study_holds_what_must_hold(virtual_study):
    found = score(virtual_study)
    assert found.passed, "\n".join(found.lines())
    judged = {check.what for check in found.checks if check.passed}
    assert judged == {check.what for check in found.checks} - {"Model on electrolytes it has not seen"}  # 3 samples carry none
    ce = found.values[found.values["name"] == "ce_mean"]
    assert set(ce["sample"]) == {a.sample for a in virtual_study.acquisitions(technique="cycling")}
    assert (np.abs(ce["z"]) <= SIGMAS).all()


def test_a_truth_that_was_moved_makes_the_score_fail(virtual_study, tmp_path):
    """The same study against a truth whose poses, thickness and efficiencies are somebody else's."""
    root = tmp_path / "study"
    shutil.copytree(virtual_study.root, root)
    frames = json.loads((root / "truth" / "frames.json").read_text(encoding="utf-8"))
    for unit, frame in frames.items():
        frame["matrix"][0][2] += 40.0 if "/edx" in unit or "/eels" in unit else 0.0
    (root / "truth" / "frames.json").write_text(json.dumps(frames), encoding="utf-8")
    seen = json.loads((root / "truth" / "acquisitions.json").read_text(encoding="utf-8"))
    for truth in seen.values():
        for key, factor in (("sei_thickness_nm", 3.0), ("ce_mean", 0.9)):
            truth |= {key: factor * truth[key]} if truth.get(key) else {}
    (root / "truth" / "acquisitions.json").write_text(json.dumps(seen), encoding="utf-8")
    failed = {check.what for check in score(Study(root)).checks if check.passed is False}
    assert {"Registrations that are called good", "SEI thickness", "Coulombic efficiency"} <= failed


def test_a_virtual_study_of_which_nothing_was_imported_is_not_judged(virtual_study, tmp_path):
    shutil.copytree(virtual_study.root / "truth", tmp_path / "truth")
    shutil.copy(virtual_study.root / "study.toml", tmp_path)
    found = score(Study(tmp_path))
    assert found.passed
    assert [check.passed for check in found.checks] == [None] * len(found.checks)


def test_a_study_without_truth_is_not_scored(tmp_path):
    (tmp_path / "study.toml").write_text('[study]\ntitle = "Real"\n', encoding="utf-8")
    study = Study(tmp_path)
    assert not has_truth(study)
    with pytest.raises(StudyError, match="truth"):
        score(study)
