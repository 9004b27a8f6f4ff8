"""Neware files: real ones against Neware's own exports, and damaged archives."""

import zipfile

import numpy as np
import polars as pl
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import open_file
from datasets.formats.cells import neware

FILES = [
    # file, points, cycles as the cycler numbered them, largest charge and discharge counter of a step in mAh
    ("navani_test.ndax", 1464, 1, 0.59304, 0.62545),
    ("fastnda_21_10_7_85.ndax", 141, 1, 0.0, 0.0),
    ("fastnda_BTS85-36-6-5-110-20240424.ndax", 699677, 15, 1.05703, 1.03606),
    ("fastnda_nw4-120-1-6-53.ndax", 18700, 150, None, 0.32362),
    ("fastnda_test_2.ndax", 108563, 44, 0.23497, 0.13575),
    ("cellpy_IFE_BTS85_2_9_8_1.ndax", 252951, 1, None, 0.0),
]


@pytest.mark.parametrize(("file", "points", "cycles", "charged", "discharged"), FILES, ids=[f[0] for f in FILES])
def test_a_real_file_has_the_points_cycles_and_counters_that_other_programs_find(
        real_data, file, points, cycles, charged, discharged):
    (ds,) = read_acquisitions(real_data / "echem" / file)
    assert ds.attrs["technique"] == "cycling"
    assert ds.sizes["time"] == points
    assert int(ds["cycle_number"].max()) == cycles
    assert (np.diff(ds["time"]) >= 0).all()
    if charged is not None:
        assert float(ds["step_charge"].max()) == pytest.approx(charged, abs=1e-5)
    assert max(0.0, -float(ds["step_charge"].min())) == pytest.approx(discharged, abs=1e-5)


@pytest.mark.parametrize("name", ["fastnda_21_10_7_85", "fastnda_nw4-120-1-6-53", "fastnda_test_2"])
def test_every_point_agrees_with_newares_own_export(real_data, name):
    """The export rounds to 0.1 mV and 1 uA."""
    (ds,) = read_acquisitions(real_data / "echem" / f"{name}.ndax")
    truth = pl.read_parquet(real_data / "echem" / f"{name}.parquet")
    np.testing.assert_allclose(ds["potential"], truth["Voltage(mV)"].to_numpy() / 1e3, atol=6e-5)
    np.testing.assert_allclose(ds["current"], truth["Current(uA)"].to_numpy() / 1e3, atol=6e-4)
    np.testing.assert_allclose(np.abs(ds["step_charge"]), truth["Capacity(mAs)"].to_numpy() / 3600, atol=2e-7)
    np.testing.assert_array_equal(ds["time"], truth["Total Time"].to_numpy())
    np.testing.assert_array_equal(ds["step_number"], truth["Step Count"].to_numpy())


def test_the_charge_passed_between_the_ends_of_two_steps_is_the_cyclers_counter(real_data):
    (ds,) = read_acquisitions(real_data / "echem" / "fastnda_nw4-120-1-6-53.ndax")
    ends = np.append(np.flatnonzero(np.diff(ds["step_number"].values.astype(int))), ds.sizes["time"] - 1)
    assert ends.size == 480
    passed = np.diff(ds["charge"].values[ends], prepend=0.0)
    np.testing.assert_allclose(passed, ds["step_charge"].values[ends], atol=1e-9)


def test_the_date_of_the_first_point_is_the_start(real_data):
    (ds,) = read_acquisitions(real_data / "echem" / "fastnda_21_10_7_85.ndax")
    assert ds.attrs["conditions"]["acquired"] == "2025-11-05T15:56:51.786+00:00"
    assert ds.attrs["title"] == "Hello there"


def test_what_the_library_has_to_say_arrives_as_a_warning_and_not_on_the_terminal(real_data, capfd):
    (ds,) = read_acquisitions(real_data / "echem" / "cellpy_IFE_BTS85_2_9_8_1.ndax")
    assert any("unix_time_s" in warning for warning in ds.attrs["warnings"])
    assert any("auxiliary" in warning for warning in ds.attrs["warnings"])
    out, err = capfd.readouterr()
    assert out == err == ""


def test_an_older_binary_file_has_the_numbers_that_were_written(tmp_path):
    """1 mA for 33 s, in the layout of version 8 as fastnda describes it."""
    (ds,) = read_acquisitions(neware.example(tmp_path))
    np.testing.assert_allclose(ds["time"], 3.0 * np.arange(12))
    np.testing.assert_allclose(ds["current"], 1.0)
    np.testing.assert_allclose(ds["potential"], 0.1)
    np.testing.assert_allclose(ds["charge"], ds["time"] / 3600, rtol=1e-6)
    assert ds.attrs["conditions"]["acquired"] == "2026-01-23T12:00:00.000+00:00"


@pytest.mark.parametrize("name", ["renamed.dat", "example.ndax"])
def test_content_decides_and_not_the_suffix(tmp_path, name):
    path = neware.example(tmp_path).rename(tmp_path / name)
    (ds,) = read_acquisitions(path)
    assert ds.sizes["time"] == 12


def test_a_binary_file_that_is_cut_off_says_so(tmp_path):
    path = neware.example(tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    (ds,) = read_acquisitions(path)
    assert ds.sizes["time"] == 10
    assert any("cut off" in warning for warning in ds.attrs["warnings"])


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_truncated_archive_is_refused_in_one_line(real_data, tmp_path, keep):
    raw = (real_data / "echem" / "navani_test.ndax").read_bytes()
    path = tmp_path / "cut.ndax"
    path.write_bytes(raw[:int(len(raw) * keep)])
    with pytest.raises(FileError, match=r"^cut\.ndax: is a damaged zip archive"):
        open_file(path)


def test_a_flipped_bit_inside_the_table_is_noticed(real_data, tmp_path):
    raw = bytearray((real_data / "echem" / "navani_test.ndax").read_bytes())
    with zipfile.ZipFile(real_data / "echem" / "navani_test.ndax") as archive:
        raw[archive.getinfo(neware.TABLE).header_offset + 2000] ^= 4
    path = tmp_path / "bit.ndax"
    path.write_bytes(raw)
    with pytest.raises(FileError, match=r"^bit\.ndax: fastnda cannot decode it"):
        open_file(path)


def test_an_archive_that_is_none_of_newares_is_not_taken(tmp_path):
    path = tmp_path / "text.ndax"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "hello")
    with pytest.raises(FileError, match="no reader recognises"):
        open_file(path)


def test_a_table_that_is_no_table_is_refused(tmp_path):
    path = tmp_path / "empty.ndax"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(neware.TABLE, b"not a table" * 10)
    with pytest.raises(FileError) as error:
        open_file(path)
    assert str(error.value).startswith("empty.ndax: fastnda cannot decode it")
    assert "\n" not in str(error.value)
