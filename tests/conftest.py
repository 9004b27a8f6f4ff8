"""Shared fixtures: where the real instrument files are, and the virtual study, made once per session."""

import os
from pathlib import Path

import pytest

from correlate.describe import describe_study
from correlate.fit import fit_study
from correlate.ingest import import_files
from correlate.place import align_study
from correlate.study import Study
from datasets.phantom import make_study

ROOT = Path(__file__).parents[1]
REAL_DATA = Path(os.environ.get("CORRELATE_REAL_DATA", ROOT.parent / "shared" / "data"))


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run tests that take minutes")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="takes minutes; run with --slow"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real instrument files; they belong to other people and are not part of the project."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real instrument files at {REAL_DATA}; set CORRELATE_REAL_DATA to their folder")
    return REAL_DATA


@pytest.fixture(scope="session")
def virtual_study(tmp_path_factory) -> Study:
    """Three virtual samples, one of whose maps looks elsewhere, worked through all stages; tests change only copies."""
    study = Study(make_study(tmp_path_factory.mktemp("virtual") / "study", samples=3, seed=61, jobs=1))
    for stage in (import_files, align_study, describe_study):
        stage(study, jobs=1)
    fit_study(study)
    return study
