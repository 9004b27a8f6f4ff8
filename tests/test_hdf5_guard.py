"""A damaged HDF5 file neither makes anyone wait nor loses an object in silence."""

import sys
import time

import h5py
import numpy as np
import pytest

from datasets.errors import UnreadableFile
from datasets.formats import hdf5_guard, open_file


@pytest.fixture
def fresh(monkeypatch):
    helper = hdf5_guard._Helper()
    monkeypatch.setattr(hdf5_guard, "_helper", helper)
    hdf5_guard._looked.cache_clear()
    yield helper
    helper.stop()
    hdf5_guard._looked.cache_clear()


def write(path):
    with h5py.File(path, "w", track_order=False) as file:
        file["first"] = np.arange(12.0).reshape(3, 4)
        file["group/second"] = np.arange(20.0).reshape(4, 5)
    return path


def test_a_whole_file_loses_nothing(tmp_path, fresh):
    assert hdf5_guard.lost_objects(write(tmp_path / "a.h5")) == ()


def test_an_object_that_cannot_be_opened_is_named_with_the_data(tmp_path, fresh):
    path = write(tmp_path / "a.h5")
    with h5py.File(path) as file:
        at = h5py.h5o.get_info(file["group/second"].id).addr
    raw = bytearray(path.read_bytes())
    raw[at:at + 8] = b"\xff" * 8  # the header of the object
    path.write_bytes(raw)
    found, = open_file(path)
    assert found.title == "first"
    assert found.warnings == ("the file is damaged: /group/second cannot be read",)


def test_an_array_stored_for_another_shape_is_named_since_the_library_fills_it_up(tmp_path, fresh):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("map", (4, 6), "f4", chunks=(2, 6), maxshape=(None, 6))[:2] = 1.0
        file["whole"] = np.arange(12.0).reshape(3, 4)
    assert {w for found in open_file(path) for w in found.warnings} == {
        "/map (1 of 2 pieces) are stored for the declared shape: missing ones read as a constant"}


def test_a_library_that_does_not_come_back_is_left_behind(tmp_path, fresh, monkeypatch):
    path = write(tmp_path / "a.h5")
    monkeypatch.setattr(hdf5_guard, "WAIT_SECONDS", 0.5)
    monkeypatch.setattr(hdf5_guard, "HELPER", "print('ready', flush=True)\nimport time\ntime.sleep(60)")
    start = time.monotonic()
    with pytest.raises(UnreadableFile, match=r"^a\.h5: the HDF5 library does not come to an end"):
        open_file(path)
    assert time.monotonic() - start < 30  # and not 60
    monkeypatch.undo()
    hdf5_guard._looked.cache_clear()
    assert len(open_file(path)) == 2  # with a new helper


@pytest.mark.skipif(sys.platform == "win32", reason="the system does not count the seconds of a processor")
def test_the_system_ends_a_loop_that_uses_up_its_seconds(tmp_path, fresh, monkeypatch):
    path = write(tmp_path / "a.h5")
    monkeypatch.setattr(hdf5_guard, "SECONDS", 0)
    monkeypatch.setattr(hdf5_guard, "HELPER", hdf5_guard.HELPER.replace("look(file, lost, misfits, 0,", "while True: pass #"))
    with pytest.raises(UnreadableFile, match="does not come to an end"):
        open_file(path)
    assert fresh.process is None


def test_one_helper_serves_many_files(tmp_path, fresh):
    hdf5_guard.lost_objects(write(tmp_path / "a.h5"))
    process = fresh.process
    for name in ("b.h5", "c.h5"):
        hdf5_guard.lost_objects(write(tmp_path / name))
    assert fresh.process is process
