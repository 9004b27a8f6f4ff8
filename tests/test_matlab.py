"""MATLAB matrices: scipy writes them and says what is in a real one."""

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import matlab, open_file


def test_scipy_agrees_on_every_matrix_of_a_real_file(real_data):
    path = real_data / "spectra" / "mcr_als2004dataset.mat"
    theirs = {name: array for name, array in loadmat(str(path)).items() if not name.startswith("__")}
    ours = {signal.title: signal.main.data for signal in open_file(path)}
    assert set(ours) == {name for name, array in theirs.items() if np.asarray(array).size > 1}
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name].squeeze())


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8"])
def test_every_class_of_numbers_comes_back(tmp_path, dtype, packed):
    values = np.arange(60).reshape(3, 4, 5).astype(dtype)
    savemat(str(tmp_path / "a.mat"), {"a": values}, do_compression=packed)
    (signal,) = open_file(tmp_path / "a.mat")
    np.testing.assert_array_equal(signal.main.data, values)


def test_what_is_no_matrix_is_named(tmp_path):
    savemat(str(tmp_path / "a.mat"), {"a": np.eye(2), "words": "text", "cells": {"x": 1}})
    (ds,) = read_acquisitions(tmp_path / "a.mat")
    assert any("words" in w and "cells" in w for w in ds.attrs["warnings"])


def test_complex_numbers_keep_their_magnitude_and_say_so(tmp_path):
    savemat(str(tmp_path / "a.mat"), {"a": np.array([3 + 4j, 1j])})
    (signal,) = open_file(tmp_path / "a.mat")
    assert signal.main.data.tolist() == [5, 1]
    assert any("magnitude" in w for w in signal.warnings)


def test_a_packed_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(matlab, "BESIDE", 1_000)
    savemat(str(tmp_path / "a.mat"), {"a": np.zeros((1000, 1000))}, do_compression=True)
    with pytest.raises(FileError, match="larger than its file can mean"):
        open_file(tmp_path / "a.mat")
