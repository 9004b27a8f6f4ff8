"""4D-STEM of DECTRIS detectors, laid out as RosettaSciIO and py4DSTEM read it; no file was to be had."""

import h5py
import hdf5plugin
import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import format_of, open_file
from datasets.formats.electrons import dectris


def edited(path, **values):
    """The example with other numbers of triggers and images."""
    with h5py.File(path, "a") as file:
        for name, value in values.items():
            del file[f"{dectris.SPECIFIC}/{name}"]
            if value is not None:
                file[f"{dectris.SPECIFIC}/{name}"] = value
    return path


def test_a_scan_that_was_triggered_line_by_line_has_its_lines(tmp_path):
    path = dectris.example(tmp_path)
    (ds,) = read_acquisitions(path)
    assert ds.attrs["technique"] == "stem_4d"
    assert ds["intensity"].dims == ("y", "x", "scattering_vector_y", "scattering_vector_x")
    np.testing.assert_array_equal(ds["intensity"], np.arange(576).reshape(3, 4, 6, 8))
    assert ds["intensity"].dtype == np.uint16
    assert ds["intensity"].attrs["units"] == "count"
    assert ds.attrs["conditions"]["exposure_s"] == pytest.approx(1e-5)
    assert {p.name for p in format_of(path).companions(path)} == {"example_data_000001.h5", "example_data_000002.h5"}


def test_counts_above_sixteen_bits_stay(tmp_path):
    """RosettaSciIO 0.15 makes 16 bits of them."""
    path = dectris.example(tmp_path)
    for name in ("000001", "000002"):
        with h5py.File(tmp_path / f"example_data_{name}.h5", "a") as file:
            data = file["entry/data/data"][()].astype(np.uint32) + 70_000
            del file["entry/data/data"]
            file.create_dataset("entry/data/data", data=data, chunks=(1, 6, 8), **hdf5plugin.Bitshuffle(cname="lz4"))
    (ds,) = read_acquisitions(path)
    np.testing.assert_array_equal(ds["intensity"], 70_000 + np.arange(576).reshape(3, 4, 6, 8))


def test_the_pixel_of_the_scan_comes_from_the_file_of_the_microscope(tmp_path):
    path = dectris.example(tmp_path)
    with h5py.File(tmp_path / "example.h5", "w") as file:
        file.create_group("STEM Metadata").attrs["Pixel Size"] = [0.5, 0.5]
    (ds,) = read_acquisitions(path)
    np.testing.assert_allclose(ds["x"], 0.5 * np.arange(4))


@pytest.mark.parametrize(("lines", "columns", "shape", "said"), [
    (1, 12, (12,), "how many lines the scan has: 12 patterns stay one after another"),
    (3, 5, (12,), "15 patterns were planned, 12 are there"),
    (2, 6, (2, 6), ""),
])
def test_lines_are_taken_from_the_triggers_or_left_alone(tmp_path, lines, columns, shape, said):
    (signal,) = open_file(edited(dectris.example(tmp_path), ntrigger=lines, nimages=columns))
    assert signal.shape == (*shape, 6, 8)
    assert said in " ".join(signal.warnings)
    assert bool(said) == bool(signal.warnings)


def test_a_square_number_of_patterns_is_taken_for_a_square_and_said(tmp_path):
    path = edited(dectris.example(tmp_path), ntrigger=1, nimages=9)
    with h5py.File(tmp_path / "example_data_000002.h5", "a") as file:
        data = file["entry/data/data"][:1]
        del file["entry/data/data"]
        file["entry/data/data"] = data
    (signal,) = open_file(path)
    assert signal.shape == (3, 3, 6, 8)
    assert any("9 patterns are taken for 3 x 3" in w for w in signal.warnings)


def test_a_master_without_its_patterns_says_which_are_missing(tmp_path):
    path = dectris.example(tmp_path)
    (tmp_path / "example_data_000002.h5").unlink()
    with pytest.raises(FileError, match=r"^example_master\.h5: has patterns in example_data_000002\.h5, which cannot"):
        open_file(path)
