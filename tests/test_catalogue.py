"""The index says what references and manifests say, whatever happened to it."""

import shutil
import sqlite3

import numpy as np
import pytest
import xarray as xr

from datasets import catalogue
from datasets.store import Store


def picture(title="T", **attrs):
    axes = {"y": ("y", 3 + 0.5 * np.arange(6), {"units": "nm"}), "x": ("x", np.arange(8.0), {"units": "pixel"})}
    return xr.Dataset({"intensity": (("y", "x"), np.zeros((6, 8), "u2"), {"units": "count"})}, axes,
                      {"technique": "stem_image", "title": title, "sample": "A17", "conditions": {"dose_e_per_A2": 20.0},
                       "incomplete": ["temperature_K"], "uncalibrated": ["x"], "warnings": ["a", "b"], **attrs})


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "study", create=True)


def test_the_catalogue_describes_a_unit_without_opening_it(store):
    version = store.publish("A17/haadf-0", picture(), kind="acquisition")
    [row] = store.catalogue().to_dict("records")
    assert (row["unit"], row["version"], row["kind"]) == ("A17/haadf-0", version.version, "acquisition")
    assert (row["sample"], row["technique"], row["title"], row["nbytes"]) == ("A17", "stem_image", "T", version.nbytes)
    about = row["summary"]
    assert about["dims"] == {"y": 6, "x": 8}
    assert about["variables"]["intensity"] == {"dims": ["y", "x"], "shape": [6, 8], "dtype": "uint16", "units": "count"}
    assert about["coords"]["y"] == {"units": "nm", "n": 6, "first": 3.0, "last": 5.5, "step": 0.5}
    assert about["conditions"] == {"dose_e_per_A2": 20.0}
    assert (about["incomplete"], about["uncalibrated"], about["warnings"]) == (["temperature_K"], ["x"], 2)


def test_the_catalogue_has_only_current_versions_of_the_kind_asked_for(store):
    first = store.publish("a", picture("1"), kind="acquisition")
    store.publish("a", picture("2"), kind="acquisition")
    store.publish("d", picture("3"), kind="descriptors", parents={"a": first.version})
    assert list(store.catalogue().title) == ["2", "3"]
    assert list(store.catalogue("descriptors").unit) == ["d"]
    assert store.catalogue("model").empty
    assert list(store.catalogue("model").columns) == list(catalogue.COLUMNS)
    assert store.catalogue("descriptors").summary[0]["parents"] == {"a": first.version}


def test_an_index_can_be_lost_and_made_again(store):
    for unit in ("a", "b/c"):
        store.publish(unit, picture(unit), kind="acquisition")
    before = store.catalogue()
    catalogue.discard(store.root)
    assert store.catalogue().equals(before)
    store.rebuild_catalogue()
    assert store.catalogue().equals(before)


def test_a_writer_killed_before_the_index_leaves_nothing_wrong(store, monkeypatch):
    store.publish("a", picture("1"), kind="acquisition")
    monkeypatch.setattr(catalogue, "record", lambda *_: None)
    store.publish("a", picture("2"), kind="acquisition")
    store.publish("b", picture("3"), kind="acquisition")
    assert [d for d in store.verify() if not d.is_note] == []
    assert list(store.catalogue().title) == ["2", "3"]


def test_an_index_that_is_no_database_is_made_again(store):
    store.publish("a", picture("1"), kind="acquisition")
    catalogue.discard(store.root)
    (store.root / catalogue.FILE_NAME).write_bytes(b"garbage" * 1000)
    assert [d.what for d in store.verify()] == ["catalogue"]
    assert list(store.catalogue().title) == ["1"]
    (store.root / catalogue.FILE_NAME).write_bytes(b"garbage" * 1000)
    store.publish("b", picture("2"), kind="acquisition")
    assert list(store.catalogue().title) == ["1", "2"]


@pytest.mark.parametrize("size", [0, 1])
def test_a_maker_of_the_index_killed_at_once_leaves_nothing_wrong(store, size):
    store.publish("a", picture("1"), kind="acquisition")
    catalogue.discard(store.root)
    sqlite3.connect(store.root / catalogue.FILE_NAME).close()
    if size:
        with sqlite3.connect(store.root / catalogue.FILE_NAME) as db:
            db.execute("PRAGMA journal_mode = WAL")
        db.close()
    assert store.verify() == []
    assert list(store.catalogue().title) == ["1"]


def test_an_index_of_another_layout_is_made_again(store):
    store.publish("a", picture("1"), kind="acquisition")
    with sqlite3.connect(store.root / catalogue.FILE_NAME) as db:
        db.execute("PRAGMA user_version = 77")
    db.close()
    assert list(store.catalogue().title) == ["1"]


def test_verify_names_an_index_that_disagrees(store):
    store.publish("a", picture("1"), kind="acquisition")
    with sqlite3.connect(store.root / catalogue.FILE_NAME) as db:
        db.execute("UPDATE versions SET title = 'forged'")
    db.close()
    [found] = store.verify()
    assert found.what == "catalogue"
    assert "rebuild_catalogue mends it" in found.message
    store.rebuild_catalogue()
    assert store.verify() == []


def test_a_study_without_leave_to_write_is_still_read(store, monkeypatch):
    store.publish("a", picture("1"), kind="acquisition")
    catalogue.discard(store.root)

    def refuse(root):
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(catalogue, "_connect", refuse)
    assert list(store.catalogue().title) == ["1"]


def test_a_study_that_is_copied_elsewhere_is_whole(store, tmp_path):
    store.publish("A17/haadf-0", picture(), kind="acquisition")
    copy = Store(shutil.copytree(store.root, tmp_path / "copy"))
    assert copy.verify() == []
    assert copy.catalogue().equals(store.catalogue())
    assert copy.open("A17/haadf-0").load().identical(picture())
