"""Nanonis spectra: sweeps there and back, their mean, and what was filtered."""

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import open_file
from datasets.formats.probes import nanonis_dat


def test_a_mean_is_the_mean_of_its_sweeps_on_each_way(tmp_path):
    mean, single = open_file(nanonis_dat.example(tmp_path))
    assert [axis.name for axis in single.axes] == ["sweep", "bias_calc"]
    np.testing.assert_allclose(mean.axes[0].values, [-1, -0.5, 0, 0.5, 1])
    assert mean.axes[0].units == "V"
    for name in ("current", "current_retrace"):
        np.testing.assert_allclose(single.fields[name].data.mean(axis=0), mean.fields[name].data, atol=1e-18)
    assert mean.conditions["acquired"] == "2017-09-14T15:17:58"
    assert read_acquisitions(tmp_path / "example.dat")[0].attrs["technique"] == "unknown"


def test_filtered_columns_stand_beside_what_they_were_made_of(tmp_path):
    path = tmp_path / "a.dat"
    path.write_text("Experiment\tSweep\t\n\n[DATA]\nZ rel (m)\tZ (m)\tCurrent (A)\tCurrent (A) [filt]\n"
                    "0\t1\t2\t3\n1\t2\t3\t4\n")
    (signal,) = open_file(path)
    assert list(signal.fields) == ["z_channel", "current", "current_filtered"]
    np.testing.assert_array_equal(signal.fields["current_filtered"].data, [3, 4])
    assert read_acquisitions(path)[0].sizes == {"z": 2}


def test_a_sweep_without_one_of_the_columns_says_so(tmp_path):
    path = nanonis_dat.example(tmp_path)
    path.write_text(path.read_text().replace("[00002] [bwd] (A)", "[00003] [bwd] (A)"))
    single = open_file(path)[1]
    assert single.axes[0].values.tolist() == [1, 2, 3]
    assert "current, current_retrace: not every one of 3 sweeps has it; it is NaN there" in single.warnings
    assert np.isnan(single.fields["current"].data[2]).all()


def test_a_sweep_that_was_stopped_says_so_and_one_that_was_cut_is_refused(tmp_path):
    path = nanonis_dat.example(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-2]) + "\n")
    assert "5 steps were planned, 3 are there" in open_file(path)[0].warnings
    path.write_text("\n".join(lines)[:-20])
    with pytest.raises(FileError, match=r"expected 7 numbers.*line 11"):
        open_file(path)
