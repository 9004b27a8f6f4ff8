"""Renishaw WiRE files: maps in any order of the scan, series, stopped measurements."""

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import UnreadableFile
from datasets.formats import open_file
from datasets.formats.infrared import renishaw
from datasets.formats.infrared.renishaw import TIME, X, Y, write

SHIFT = np.arange(1000.0, 1020.0)


def test_a_map_scanned_to_and_fro_lies_as_the_sample_does(tmp_path):
    (ds,) = read_acquisitions(renishaw.example(tmp_path))
    assert ds.attrs["technique"] == "raman"
    assert ds["intensity"].dims == ("y", "x", "raman_shift")
    np.testing.assert_allclose(ds["x"], [0.0, 1000.0, 2000.0])
    line = ds["intensity"].sel(raman_shift=1088).values
    np.testing.assert_allclose(line[0], line[1])
    assert (np.diff(line[0]) > 0).all(), "the line grows along x on both rows"
    assert ds["intensity"].attrs["units"] == "count"


def test_a_series_in_time_has_its_times(tmp_path):
    ticks = np.array([0, 25_000_000, 50_000_000]) + 131394053000000000
    path = write(tmp_path / "a.wdf", SHIFT, np.ones((3, 20)), {TIME: (ticks, 24)}, measurement=2)
    (ds,) = read_acquisitions(path)
    assert ds["time"].values.tolist() == [0.0, 2.5, 5.0]


def test_a_map_that_was_stopped_says_so_and_keeps_its_places(tmp_path):
    places = {X: (np.arange(3.0), 5), Y: (np.array([0.0, 0.0, 1.0]), 5)}
    (ds,) = read_acquisitions(write(tmp_path / "a.wdf", SHIFT, np.ones((3, 20)), places, measurement=3, reserved=9))
    assert ds.sizes == {"position": 3, "raman_shift": 20}
    assert ds["stage_x"].values.tolist() == [0.0, 1000.0, 2000.0]
    assert any("3 of 9 spectra" in warning for warning in ds.attrs["warnings"])


def test_a_file_without_its_end_is_refused(tmp_path):
    path = renishaw.example(tmp_path)
    raw = path.read_bytes()
    for size, where in ((900, "WDF1"), (len(raw) - 40, "ORGN"), (512 + 16 + 6 * 50 * 4, "XLST")):
        path.write_bytes(raw[:size])
        with pytest.raises(UnreadableFile, match=where):
            open_file(path)


def test_the_direction_of_the_axis_is_that_of_the_file(tmp_path):
    path = write(tmp_path / "a.wdf", SHIFT[::-1], np.arange(20.0)[None, :], {})
    (ds,) = read_acquisitions(path)
    assert float(ds["raman_shift"][0]) == 1019.0
    assert float(ds["intensity"][0]) == 0.0


def test_a_file_that_ends_inside_a_block_that_is_not_needed_says_so(tmp_path):
    path = renishaw.example(tmp_path)
    path.write_bytes(path.read_bytes() + b"TEXT" + (1).to_bytes(4, "little") + (200).to_bytes(8, "little") + b"half of it")
    (ds,) = read_acquisitions(path)
    assert ds.sizes == {"y": 2, "x": 3, "raman_shift": 50}
    assert any("ends inside its block TEXT" in warning for warning in ds.attrs["warnings"])
