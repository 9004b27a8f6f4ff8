"""Raman spectra as text of LabSpec (Horiba) and BWSpec (B&W Tek)."""

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import UnreadableFile
from datasets.formats import open_file
from datasets.formats.infrared import bwtek, labspec

HEAD = ["#Acq. time (s)=\t60", "#Laser (nm)=\t532", "#Grating=\t600 gr/mm", "#AxisType[0]=Intens", "#AxisUnit[0]=Cnt",
        "#AxisType[1]=Spectr", "#AxisUnit[1]=1/cm"]


def labspec_file(tmp_path, *rows, head=HEAD):
    path = tmp_path / "a.txt"
    path.write_text("\n".join([*head, *rows, ""]), encoding="latin-1")
    return path


def test_a_single_spectrum_has_two_columns(tmp_path):
    (ds,) = read_acquisitions(labspec_file(tmp_path, "100,5\t7", "102,5\t9", "104,5\t8"))
    assert ds.attrs["technique"] == "raman"
    assert ds["raman_shift"].values.tolist() == [100.5, 102.5, 104.5]
    assert ds["intensity"].values.tolist() == [7, 9, 8]


def test_a_series_has_its_times_before_each_spectrum(tmp_path):
    (ds,) = read_acquisitions(labspec.example(tmp_path))
    assert ds["intensity"].dims == ("time", "raman_shift")
    assert ds["time"].values.tolist() == [0.0, 2.5]
    assert ds.attrs["conditions"]["acquired"] == "2023-05-17T11:16:52"


def test_numbers_of_points_are_no_times(tmp_path):
    (ds,) = read_acquisitions(labspec_file(tmp_path, "\t100\t101", "1\t5\t6", "2\t7\t8", head=[*HEAD, "#AxisType[2]=Points"]))
    assert ds["intensity"].dims == ("spectrum", "raman_shift")
    assert ds["intensity"].values.tolist() == [[5, 6], [7, 8]]


def test_the_two_places_of_a_map_are_kept_without_saying_which_is_x(tmp_path):
    head = [*HEAD, "#AxisType[2]=X", "#AxisUnit[2]=µm"]
    (ds,) = read_acquisitions(labspec_file(tmp_path, "\t\t100\t101", "0\t-3\t5\t6", "0\t-2\t7\t8", head=head))
    assert ds["place_2"].values.tolist() == [-3.0, -2.0]
    assert any("which of its two places" in warning for warning in ds.attrs["warnings"])


def test_a_row_that_is_too_short_is_named(tmp_path):
    with pytest.raises(UnreadableFile, match="line 10"):
        open_file(labspec_file(tmp_path, "\t100\t101", "1\t5\t6", "2\t7"))


def test_pixels_without_a_shift_are_counted_and_the_net_signal_is_raw_less_dark(tmp_path):
    (ds,) = read_acquisitions(bwtek.example(tmp_path))
    assert ds.attrs["technique"] == "raman"
    assert ds.sizes == {"raman_shift": 10}
    np.testing.assert_allclose(ds["intensity"], ds["raw_intensity"] - ds["dark_intensity"])
    assert float(ds["raman_shift"][0]) == 1004.25
    assert any("2 pixels" in warning for warning in ds.attrs["warnings"])
