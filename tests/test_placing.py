"""What a person adds to registrations: landmarks, decisions, loops to be closed, a bent model; and what of it is used."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import scenes
import xarray as xr
from PIL import Image
from typer.testing import CliRunner

from correlate.place import align_pair, align_study, transform_unit
from correlate.report import write_report
from correlate.study import TRANSFORM, Study
from dashboards.command import app
from dashboards.source import Source
from dashboards.view import own_position, view_at
from datasets.sheet import FILE_NAME, Pair, Sample, Sheet, write_sheet
from datasets.store import Store
from registration import FrameError, Transform
from registration.saved import read_transform
from registration.warp import GridField, Warp

WIDE, LEFT, RIGHT = "A/wide-0", "A/left-0", "A/right-0"
POSES = {WIDE: scenes.pose((200, 200), 3.0), LEFT: scenes.pose((110, 110), 2.5, (-60.0, -40.0), 9.0),
         RIGHT: scenes.pose((110, 110), 2.5, (20.0, 30.0), -6.0)}
SHAPES = {WIDE: ((200, 200), 3.0), LEFT: ((110, 110), 2.5), RIGHT: ((110, 110), 2.5)}
LOOP = (Pair(WIDE, LEFT), Pair(WIDE, RIGHT), Pair(RIGHT, LEFT))


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def true_between(moving, fixed, points):
    specimen = points @ POSES[moving][:, :2].T + POSES[moving][:, 2]
    return (specimen - POSES[fixed][:, 2]) @ np.linalg.inv(POSES[fixed][:, :2]).T


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three images of one polycrystal, whose poses are known, aligned pair by pair around their loop."""
    root = tmp_path_factory.mktemp("placing") / "study"
    root.mkdir()
    write_sheet(Sheet("placing", {"A": Sample("A")}, (), LOOP), root / FILE_NAME)
    study, rng = Study(root), np.random.default_rng(11)
    specimen = scenes.polycrystal(rng, 3000)
    for unit, (shape, pixel) in SHAPES.items():
        values = scenes.view(specimen.metal, rng, shape, pixel, POSES[unit], counts=60)
        image = scenes.calibrated(values, pixel, unit)
        ds = xr.Dataset({"intensity": image.assign_attrs(units="count")}).assign_attrs(
            technique="stem_image", sample="A", title=unit, conditions={}, history=[], warnings=[],
            source={"path": unit, "sha256": "0" * 64})
        study.store.publish(unit, ds, kind="acquisition")
    align_study(study, jobs=1)
    return root


@pytest.fixture
def study(made, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(made, tmp_path / "study")
    return Study(tmp_path / "study")


def place_wrongly(study, pair, shift_nm, **more):
    """As if images had led a registration astray, and it were called good."""
    record = study.records()[transform_unit(pair)]
    wrong = np.array(record["transform"]["matrix"])
    wrong[:, 2] += shift_nm
    record = {**record, "transform": {**record["transform"], "matrix": wrong.tolist()}, **more}
    old = study.store.current(transform_unit(pair))
    alignment = {k: v for k, v in record.items() if k not in ("unit", "sample", "version")}
    ds = xr.Dataset(attrs={**old.attrs, "alignment": alignment})
    study.store.publish(transform_unit(pair), ds, kind=TRANSFORM, parents=dict(old.parents))


def filled_table(path, pair, points, noise=0.0, seed=0):
    """The table of landmarks as a person would fill it in: pixels of the same places in both pictures."""
    there = true_between(pair.moving, pair.fixed, points) + noise * np.random.default_rng(seed).standard_normal(points.shape)
    moving_px, fixed_px = SHAPES[pair.moving][1], SHAPES[pair.fixed][1]
    columns = {"name": [f"m{i}" for i in range(len(points))]}
    for side, at, pixel in (("moving", points, moving_px), ("fixed", there, fixed_px)):
        for i, d in enumerate("yx"):
            columns[f"{side}_{d}_px"] = at[:, i] / pixel
    pd.DataFrame(columns).to_csv(path, index=False)
    return there


PLACES = np.array([[30.0, 40.0], [40.0, 230.0], [220.0, 60.0], [230.0, 220.0], [130.0, 140.0], [80.0, 190.0]])


# -- what is stored ---------------------------------------------------------------------------------------------------------

def test_a_stored_registration_says_all_that_it_was_made_from(study):
    record = study.records()[transform_unit(LOOP[0])]
    assert set(record["inputs"]) == {LEFT, WIDE}
    assert all(len(i["sha256"]) == 64 and i["version"] for i in record["inputs"].values())
    assert record["seed"] == 0
    assert {"correlate-sei", "numpy", "scipy", "SimpleITK"} == set(record["versions"])
    assert record["metrics"]["evidence"] > 0
    assert isinstance(record["candidates"], list)
    assert record["seen"] == {LEFT: 1.0, WIDE: 1.0}
    json.dumps(record)


def test_the_table_of_registrations_and_the_frames_open_no_data(study, monkeypatch):
    monkeypatch.setattr(Store, "open", lambda *_, **__: pytest.fail("a unit was opened"))
    assert len(study.alignments()) == 3
    assert study.frames("A").path(LEFT, WIDE).target == WIDE


# -- loops ------------------------------------------------------------------------------------------------------------------

def test_loops_of_right_registrations_are_closed_and_become_more_certain(study):
    table = study.alignments()
    assert list(table["verdict"]) == ["good"] * 3
    assert table["loop"].isna().all()
    plain, records = study.adjustment("A"), study.records()
    assert plain["adjustment"]["freedom"] == 4
    for row in table.to_dict("records"):
        assert row["error_nm"] <= records[row["unit"]]["error_nm"]
    graph = study.frames("A")
    direct, around = graph.path(LEFT, WIDE), graph.path(LEFT, RIGHT).then(graph.path(RIGHT, WIDE))
    assert np.allclose(direct.apply(PLACES), around.apply(PLACES), atol=1e-6)
    assert np.abs(direct.apply(PLACES) - true_between(LEFT, WIDE, PLACES)).max() < 1.0


def test_a_registration_that_breaks_its_loop_is_doubted_and_makes_no_path(study):
    place_wrongly(study, LOOP[0], [90.0, 0.0])
    found = {p.pair: p for p in align_study(study, jobs=1)}
    assert found[LOOP[0]].verdict == "doubtful"
    assert found[LOOP[0]].status == "proposed"
    assert any("loop" in reason and "closes only if this is moved by" in reason for reason in found[LOOP[0]].reasons)
    assert found[LOOP[0]].done_before, "nothing was aligned again"
    with pytest.raises(FrameError, match="no accepted path"):  # one loop cannot tell which of its three is wrong
        study.frames("A").path(LEFT, WIDE)


def test_a_person_who_trusts_two_of_a_loop_leaves_the_third_doubtful(study):
    place_wrongly(study, LOOP[0], [90.0, 0.0])
    align_study(study, jobs=1)
    for pair in LOOP[1:]:
        assert run("accept", study.root, f"{pair.moving}:{pair.fixed}", "--why", "seen by eye").exit_code == 0
    table = study.alignments().set_index("unit")
    assert list(table.loc[[transform_unit(p) for p in LOOP], "status"]) == ["proposed", "accepted", "accepted"]
    there = study.frames("A").path(LEFT, WIDE).apply(PLACES)
    assert np.abs(there - true_between(LEFT, WIDE, PLACES)).max() < 1.5, "the way round is used instead"
    assert table.loc[transform_unit(LOOP[1]), "decision"]["why"] == "seen by eye"


def test_an_adjustment_that_is_out_of_date_is_not_used(study):
    assert study.adjustment("A") is not None
    place_wrongly(study, LOOP[2], [0.0, 0.0], verdict="doubtful", status="proposed")
    assert study.adjustment("A") is None
    assert len([e for e in study.frames("A").edges if e.status == "accepted"]) == 2


# -- a person's decision ----------------------------------------------------------------------------------------------------

def test_a_doubtful_registration_relates_nothing_until_a_person_accepts_it(study):
    pair = LOOP[0]
    for other in LOOP[1:]:
        assert run("reject", study.root, f"{other.moving}:{other.fixed}").exit_code == 0
    place_wrongly(study, pair, [0.0, 0.0], verdict="doubtful", status="proposed", reasons=["little overlap"])
    with pytest.raises(FrameError, match="little overlap"):
        study.frames("A").path(LEFT, WIDE)
    result = run("accept", study.root, f"{LEFT}:{WIDE}")
    assert result.exit_code == 0, result.stderr
    assert np.abs(study.frames("A").path(LEFT, WIDE).apply(PLACES) - true_between(LEFT, WIDE, PLACES)).max() < 2
    again = {p.pair: p for p in align_study(study, jobs=1, again=True)}
    assert again[pair].status == "accepted", "aligning everything again does not undo a decision"
    assert again[pair].done_before
    redone = align_study(study, jobs=1, again=True, pairs=[pair])[0]
    assert not redone.done_before, "named, it is aligned again"
    assert study.records()[transform_unit(pair)].get("decision") is None


def test_a_rival_pose_that_a_person_picks_is_refined_by_the_images(study):
    pair = LOOP[0]
    right = study.records()[transform_unit(pair)]["transform"]
    near = {**right, "matrix": np.add(right["matrix"], [[0, 0, 6.0], [0, 0, -6.0]]).tolist(), "covariance": None}
    place_wrongly(study, pair, [200.0, 0.0], verdict="doubtful", status="proposed",
                  candidates=[{"transform": near, "evidence": 70.0}])
    assert "1" in run("candidates", study.root, f"{LEFT}:{WIDE}").stdout
    refused = run("accept", study.root, f"{LEFT}:{WIDE}", "--candidate", 2)
    assert refused.exit_code == 2
    assert "no candidate 2" in refused.stderr
    assert run("accept", study.root, f"{LEFT}:{WIDE}", "--candidate", 1).exit_code == 0
    record = study.records()[transform_unit(pair)]
    assert (record["status"], record["decision"]["candidate"]) == ("accepted", 1)
    found = read_transform(record["transform"])
    assert np.abs(found.apply(PLACES) - true_between(LEFT, WIDE, PLACES)).max() < 1.0
    assert found.covariance is not None


# -- landmarks --------------------------------------------------------------------------------------------------------------

def test_landmarks_go_out_as_pictures_and_a_table_and_come_back_as_they_were(study, tmp_path):
    pair = LOOP[0]
    result = run("landmarks", "export", study.root, f"{LEFT}:wide-0", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    with Image.open(tmp_path / "out" / "fixed.png") as picture:
        assert picture.size == (200, 200)
    table = tmp_path / "out" / "landmarks.csv"
    assert list(pd.read_csv(table).columns) == ["name", "moving_y_px", "moving_x_px", "fixed_y_px", "fixed_x_px"]
    refused = run("landmarks", "export", study.root, f"{LEFT}:{WIDE}", "--out", tmp_path / "out")
    assert refused.exit_code == 2
    assert "is there already" in refused.stderr
    there = filled_table(table, pair, PLACES)
    assert run("landmarks", "import", study.root, f"{LEFT}:{WIDE}", table).exit_code == 0
    kept = study.store.open("landmarks/A/left-0--wide-0").load()
    assert np.allclose(kept["moving"], PLACES, atol=1e-9)
    assert np.allclose(kept["fixed"], there, atol=1e-9)
    assert kept.attrs["history"][-1]["what"] == "marked by a person"
    assert len(kept.attrs["source"]["sha256"]) == 64
    assert run("landmarks", "export", study.root, f"{LEFT}:{WIDE}", "--out", tmp_path / "again").exit_code == 0
    again = pd.read_csv(tmp_path / "again" / "landmarks.csv")
    assert np.allclose(again.iloc[:, 1:], pd.read_csv(table).iloc[:, 1:], atol=1e-9)


def test_the_next_align_uses_landmarks_and_redoes_only_their_pair(study, tmp_path):
    pair, table = LOOP[0], tmp_path / "landmarks.csv"
    filled_table(table, pair, PLACES, noise=1.0)
    before = {u: study.store.current(u).version for u in study.records()}
    assert run("landmarks", "import", study.root, f"{LEFT}:{WIDE}", table, "--std-nm", 1.0).exit_code == 0
    done = {p.pair: p for p in align_study(study, jobs=1)}
    assert [done[p].done_before for p in LOOP] == [False, True, True]
    assert {u for u in before if study.store.current(u).version != before[u]} == {transform_unit(pair)}
    record = study.records()[transform_unit(pair)]
    assert record["landmarks"] == len(PLACES)
    assert record["metrics"]["landmark_probability"] > 1e-3
    assert record["method"].startswith("landmarks")
    assert np.abs(study.frames("A").path(LEFT, WIDE).apply(PLACES) - true_between(LEFT, WIDE, PLACES)).max() < 1.0
    assert all(p.done_before for p in align_study(study, jobs=1)), "and then nothing"


def test_landmarks_marked_the_other_way_round_serve_the_planned_pair(study, tmp_path):
    table = tmp_path / "landmarks.csv"
    filled_table(table, LOOP[0], PLACES)
    assert run("landmarks", "import", study.root, f"{WIDE}:{LEFT}", table).exit_code == 0
    assert study.store.current("landmarks/A/left-0--wide-0") is not None, "the planned pair is the one"


def test_landmarks_of_a_pair_that_nobody_planned_make_it_one(study, tmp_path):
    write_sheet(Sheet("placing", {"A": Sample("A")}, (), LOOP[:2]), study.root / FILE_NAME)
    opened = Study(study.root)
    filled_table(tmp_path / "landmarks.csv", LOOP[2], 0.4 * PLACES + 150)
    assert run("landmarks", "import", study.root, f"{LEFT}:{RIGHT}", tmp_path / "landmarks.csv").exit_code == 0
    done = {(p.pair.moving, p.pair.fixed): p for p in align_study(opened, jobs=1)}
    assert (LEFT, RIGHT) in done


def test_landmarks_that_contradict_the_images_leave_the_pair_doubtful(study, tmp_path):
    pair, table = LOOP[0], tmp_path / "landmarks.csv"
    there = filled_table(table, pair, PLACES)
    wrong = pd.read_csv(table)
    wrong["fixed_y_px"] = (there[:, 0] + 40.0) / 3.0
    wrong.to_csv(table, index=False)
    run("landmarks", "import", study.root, f"{LEFT}:{WIDE}", table, "--std-nm", 1.0)
    done = {p.pair: p for p in align_study(study, jobs=1)}
    assert done[pair].verdict == "doubtful"
    assert any("contradict" in reason for reason in done[pair].reasons)


def test_an_empty_table_withdraws_landmarks(study, tmp_path):
    pair, table = LOOP[0], tmp_path / "landmarks.csv"
    filled_table(table, pair, PLACES)
    assert run("landmarks", "import", study.root, f"{LEFT}:{WIDE}", table).exit_code == 0
    filled_table(table, pair, PLACES[:0])
    assert "withdrawn" in run("landmarks", "import", study.root, f"{LEFT}:{WIDE}", table).stderr
    align_pair((WIDE, LEFT, "similarity"), str(study.root))
    assert study.records()[transform_unit(pair)]["landmarks"] == 0


def test_landmarks_on_an_image_whose_pixels_moved_since_are_not_used(study, tmp_path):
    pair, table = LOOP[0], tmp_path / "landmarks.csv"
    filled_table(table, pair, PLACES)
    assert run("landmarks", "import", study.root, f"{LEFT}:{WIDE}", table).exit_code == 0
    ds = study.open(LEFT).load()
    moved = ds.assign_coords({d: ds[d].assign_attrs(units="nm") + 500.0 for d in ("y", "x")})
    for d in ("y", "x"):
        moved[d].attrs["units"] = "nm"
    study.store.publish(LEFT, moved, kind="acquisition")
    placed = align_pair((WIDE, LEFT, "similarity"), str(study.root))
    assert any("were marked when the pixels of A/left-0 lay elsewhere" in reason for reason in placed.reasons)
    assert study.records()[transform_unit(pair)]["landmarks"] == 0


@pytest.mark.parametrize(("content", "fault"), [
    ("", "not a readable CSV"),
    ("name,moving_y_px\na,1\n", "no column moving_x_nm or moving_x_px"),
    ("name,moving_y_px,moving_x_px,fixed_y_px,fixed_x_px\na,1,2,3,four\n", "row 2: fixed_x_px is 'four'"),
    ("name,moving_y_px,moving_x_px,fixed_y_px,fixed_x_px\na,1,2,3,999\n", "'a' at y 9, x 2997 nm lies outside the fixed"),
    ("name,moving_y_px,moving_x_px,fixed_y_px,fixed_x_px\na,1,2,3,4\na,1,2,3,4\n", "'a' occurs more than once"),
    ("name,moving_y_px,moving_x_px,fixed_y_px,fixed_x_px\n", "holds no landmark"),
    ("moving_z_nm,moving_y_nm,moving_x_nm,fixed_z_nm,fixed_y_nm,fixed_x_nm\n1,2,3,1,2,3\n", "are images"),
])
def test_a_bad_table_of_landmarks_is_one_clear_line_and_changes_nothing(study, tmp_path, content, fault):
    (tmp_path / "bad.csv").write_text(content)
    result = run("landmarks", "import", study.root, f"{LEFT}:{WIDE}", tmp_path / "bad.csv")
    assert result.exit_code == 2
    assert fault in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert study.store.current("landmarks/A/left-0--wide-0") is None


@pytest.mark.parametrize(("pair", "fault"), [
    ("A/left-0", "is no pair; write MOVING:FIXED"), ("A/lef-0:A/wide-0", "there is A/left-0"),
    ("A/left-0:A/left-0", "two different acquisitions"),
])
@pytest.mark.parametrize("command", [("align", "--pair"), ("landmarks", "export"), ("accept",)])
def test_a_pair_that_cannot_be_is_one_clear_line(study, command, pair, fault):
    arguments = ("align", study.root, "--pair", pair) if command[0] == "align" else (*command, study.root, pair)
    result = run(*arguments)
    assert result.exit_code == 2
    assert fault in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


# -- align by name, and models ----------------------------------------------------------------------------------------------

def test_align_by_name_touches_that_pair_alone_and_is_kept(study):
    result = run("align", study.root, "--pair", f"{LEFT}:{RIGHT}", "--again", "--jobs", 1)
    assert result.exit_code == 0
    assert "1 pairs: 1 good" in result.stderr
    assert run("align", study.root, "--model", "elastic").exit_code == 2


def test_a_bent_registration_flows_to_points_pictures_and_resampling(study):
    """A bending that the images do not reward stays straight, so a bent one is put in the store as `align` would."""
    rng = np.random.default_rng(3)
    values = 6.0 * rng.uniform(-1, 1, (9, 9, 2))
    straight = read_transform(study.records()[transform_unit(LOOP[0])]["transform"])
    field = GridField(np.full(2, -60.0), np.full(2, 60.0), values, 3, np.broadcast_to(np.eye(2), (9, 9, 2, 2)))
    bent = Warp(Transform.identity(LEFT, "m"), field, straight.renamed("m", WIDE))
    place_wrongly(study, LOOP[0], [0.0, 0.0], transform=bent.to_dict(), model="bspline")
    align_study(study, jobs=1, pairs=LOOP[1:])
    place_wrongly(study, LOOP[2], [0.0, 0.0], verdict="doubtful", status="proposed")
    path = study.frames("A").path(LEFT, WIDE)
    assert np.allclose(path.apply(PLACES), bent.apply(PLACES))
    assert np.isfinite(path.std_at(PLACES)).all()
    view = view_at(Source(study), "A", "")
    assert view.bend_of(LEFT) is not None
    own, covariance = own_position(view, LEFT, bent.apply(PLACES)[0])
    assert np.allclose(own, PLACES[0], atol=1e-4)
    assert covariance is not None
    page = write_report(study).read_text(encoding="utf-8")
    assert "bent" in page


def test_align_with_the_model_bspline_is_kept_as_what_it_became(study):
    (done,) = align_study(study, jobs=1, pairs=[LOOP[0]], model="bspline")
    record = study.records()[transform_unit(LOOP[0])]
    assert record["model"] == "bspline"
    assert "bent_held_out_z" in record["metrics"]
    there = read_transform(record["transform"]).apply(PLACES)
    assert np.abs(there - true_between(LEFT, WIDE, PLACES)).max() < 1.5, "bent or not, where it belongs"
    assert done.verdict == "good"


# -- frames for other programs ----------------------------------------------------------------------------------------------

def test_frames_are_shown_and_written_as_ome_ngff(study, tmp_path):
    result = run("frames", study.root, "--ngff", tmp_path)
    assert result.exit_code == 0, result.stderr
    assert "itself" in result.stdout
    ome = json.loads((tmp_path / "A.zarr" / "zarr.json").read_text())["attributes"]["ome"]
    assert {s["name"] for s in ome["coordinateSystems"]} == {WIDE, LEFT, RIGHT}
    assert len(ome["coordinateTransformations"]) == 3
    assert "is there already" in run("frames", study.root, "--sample", "A", "--ngff", tmp_path).stderr
