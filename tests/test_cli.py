"""The command line: what it prints, how it leaves, and that a second run does nothing twice."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from typer.testing import CliRunner

from correlate.study import Study
from dashboards.command import app
from datasets.acquisition import read_acquisitions
from datasets.store import Store

ROOT = Path(__file__).parents[1]
KEYS = {"technique", "title", "reader", "dims", "shape", "dtype", "coords", "vars", "conditions", "warnings"}


def run(*arguments: object):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def study(virtual_study, tmp_path) -> Path:
    """A copy of the finished virtual study that a test may change."""
    folder = tmp_path / "study"
    shutil.copytree(virtual_study.root, folder)
    return folder


def test_read_prints_what_the_reader_understood_as_figures_that_numpy_gets_too(virtual_study):
    file = next(f.path for f in virtual_study.sheet.files if f.path.endswith(".rpl"))
    result = run("read", virtual_study.root / file, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    expected = read_acquisitions(virtual_study.root / file)
    assert len(found) == len(expected)
    for said, ds in zip(found, expected, strict=True):
        assert set(said) == KEYS
        main = ds[next(iter(ds.data_vars))]
        assert said["dims"] == list(main.dims)
        assert said["shape"] == list(main.shape)
        name = next(iter(said["vars"]))
        assert said["vars"][name]["sum"] == pytest.approx(float(main.values.sum(dtype=np.float64)), rel=1e-12)
        assert said["vars"][name]["max"] == float(main.max())
        for dim in main.dims:
            axis = said["coords"][dim]
            assert axis["n"] == ds.sizes[dim]
            assert axis["first"] + (axis["n"] - 1) * axis["step"] == pytest.approx(axis["last"])


def test_read_shows_a_person_axes_with_units_and_the_range_of_the_data(virtual_study):
    file = next(f.path for f in virtual_study.sheet.files if f.technique == "" and f.path.endswith(".vms"))
    result = run("read", virtual_study.root / file)
    assert result.exit_code == 0
    assert "X-ray photoelectron spectroscopy" in result.stdout
    assert " eV" in result.stdout


def test_a_length_per_pixel_can_be_given_for_a_file_that_has_none(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "plain.tif", np.zeros((8, 10), np.uint16))
    found = json.loads(run("read", tmp_path / "plain.tif", "--json", "--axis", "x=0.5 nm", "--axis", "y=0.5 nm").stdout)
    assert found[0]["coords"]["x"] | {"units": "nm"} == {"units": "nm", "first": 0.0, "last": 4.5, "step": 0.5, "n": 10}


@pytest.mark.parametrize("content", [b"", b"no instrument wrote this", b"\x89HDF\r\n\x1a\n" + bytes(40)])
def test_a_file_that_cannot_be_read_gives_one_line_that_names_it_and_exit_code_2(content, tmp_path):
    file = tmp_path / "thing.dat"
    file.write_bytes(content)
    result = run("read", file, "--json")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    assert "thing.dat" in result.stderr


@pytest.mark.parametrize("arguments", [("read", "no/such/file"), ("import", "no/such/folder"), ("status", "no/such/folder"),
                                       ("verify", "no/such/folder"), ("align", "no/such/folder")])
def test_what_is_not_there_is_named(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert "no/such" in result.stderr
    assert "Traceback" not in result.stderr


def test_every_stage_of_a_finished_study_finds_nothing_to_do(study):
    before = {u: Store(study).current(u).version for u in Store(study).units()}
    for command in ("import", "align", "describe", "fit", "report"):
        assert run(command, study).exit_code == 0, command
    assert {u: Store(study).current(u).version for u in Store(study).units()} == before


def test_a_file_that_was_only_touched_is_not_imported_again(study):
    raw = study / next(f.path for f in Study(study).sheet.files if f.path.endswith(".mpr"))
    os.utime(raw, (time.time(), time.time()))
    assert "0 files imported" in run("import", study).stderr


def test_a_changed_file_is_imported_again_and_what_rests_on_it_is_redone(study):
    file = next(f for f in Study(study).sheet.files if f.path.endswith(".DTA"))
    raw = study / file.path
    lines = raw.read_text(encoding="latin-1").splitlines(keepends=True)
    raw.write_text("".join(lines[:-1]), encoding="latin-1", newline="")  # the last frequency is gone
    assert "1 files imported" in run("import", study).stderr
    assert f"descriptors/{file.sample}" in Store(study).stale()
    assert run("describe", study).exit_code == 0
    assert f"descriptors/{file.sample}" not in Store(study).stale()


def test_one_bad_file_is_named_and_does_not_stop_the_others(study):
    files = Study(study).sheet.files
    (study / files[0].path).write_bytes(b"scrambled")
    result = run("import", study)
    assert result.exit_code == 1
    assert Path(files[0].path).name in result.stderr
    assert f"{len(files) - 1} unchanged, 1 not read" in result.stderr


def test_verify_names_a_damaged_file_and_leaves_with_1(study):
    assert run("verify", study).exit_code == 0
    chunk = max((p for p in (study / "objects").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    result = run("verify", study)
    assert result.exit_code == 1
    assert "altered file" in result.stdout
    assert "1 damages" in result.stderr


def test_history_tells_each_version_and_what_it_was_made_from(study):
    unit = Study(study).acquisitions()[0].unit
    assert unit in run("history", study).stdout
    told = run("history", study, unit).stdout
    assert "imported" in told
    assert Store(study).current(unit).version in told
    assert run("history", study, "no/such").exit_code == 2


def test_gc_removes_nothing_of_a_study_that_was_never_redone(study):
    result = run("gc", study, "--dry-run")
    assert result.exit_code == 0
    assert "would remove 0 things" in result.stderr


def test_status_counts_what_there_is(study):
    opened = Study(study)
    told = run("status", study).stdout
    assert "synthetic" in told
    assert f"{len(opened.sheet.samples)} samples" in told
    assert f"{len(opened.acquisitions())} acquisitions" in told


def test_a_sample_that_the_sheet_lacks_is_refused_with_those_it_has(study):
    result = run("align", study, "--sample", "nobody")
    assert result.exit_code == 2
    assert "nobody" in result.stderr
    assert "S01" in result.stderr


def test_a_wrong_command_says_which_was_meant():
    result = run("descibe", ".")
    assert result.exit_code == 2
    assert "describe" in result.output


def test_an_interrupted_import_leaves_nothing_torn_and_goes_on(study):
    """Ctrl-C reaches parent and workers alike; what is published stays, and the next run does the rest."""
    for folder in ("objects", "refs"):
        shutil.rmtree(study / folder)
    (study / "catalogue.sqlite").unlink()
    process = subprocess.Popen([sys.executable, "-m", "dashboards", "import", str(study), "--jobs", "2"], cwd=ROOT,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.time() + 60
    while time.time() < deadline and not any((study / "refs").rglob("*.json")):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode in (130, 0)  # 0 where all was done before the signal came
    assert "Traceback" not in said
    assert not [d for d in Store(study).verify() if not d.is_note]
    assert run("import", study, "--jobs", "1").exit_code == 0
    assert len(Study(study).acquisitions()) > 0


def test_an_interrupted_draft_says_that_nothing_was_written(tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("correlate.draft.draft_study", stop)
    ended = run("import", tmp_path)
    assert ended.exit_code == 130
    assert "nothing was written" in ended.output
    assert not list(tmp_path.iterdir())


def test_the_demo_runs_the_whole_path_and_a_second_run_does_nothing_twice(tmp_path):
    folder = tmp_path / "demo"
    assert run("demo", folder, "--headless", "--samples", 1, "--jobs", 1).exit_code == 0
    units = {u: Store(folder).current(u).version for u in Store(folder).units()}
    assert (folder / "report.html").is_file()
    again = run("demo", folder, "--headless", "--samples", 1, "--jobs", 1)
    assert again.exit_code == 0
    assert "0 files imported" in again.stderr
    assert {u: Store(folder).current(u).version for u in Store(folder).units()} == units


def test_the_app_is_served_at_the_address_that_is_named(study):
    command = [sys.executable, "-m", "dashboards", "serve", str(study), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = next(w.rstrip(";") for w in process.stderr.readline().split() if w.startswith("http://127.0.0.1:"))
            with urlopen(address, timeout=30) as answer:
                assert answer.status == 200
            port = address.rstrip("/").rpartition(":")[2]
            taken = run("serve", study, "--port", port)
            assert taken.exit_code == 2
            assert port in taken.stderr
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
    assert process.returncode == 0


def test_a_technique_that_does_not_exist_is_refused_with_those_that_do(virtual_study):
    file = virtual_study.root / virtual_study.sheet.files[0].path
    result = run("read", file, "--technique", "xpss")
    assert result.exit_code == 2
    assert file.name in result.stderr
    assert "xps" in result.stderr.replace("xpss", "")


def test_the_list_of_commands_waits_for_no_reader_no_registration_and_no_model():
    code = ("import sys, dashboards.command as c\n"
            "try:\n    c.app(['--help'])\nexcept SystemExit:\n    pass\n"
            "print(*sorted({'SimpleITK', 'sklearn', 'xarray', 'dash', 'rsciio'} & set(sys.modules)), file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "align" in done.stdout
    assert done.stderr.strip() == ""


def test_the_package_itself_runs_the_same_command_line():
    done = subprocess.run([sys.executable, "-m", "correlate", "read", "--help"], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0
    assert "--json" in done.stdout
