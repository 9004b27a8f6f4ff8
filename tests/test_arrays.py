"""Plain arrays arrive by their names, whole, and never as a pickle."""

import h5py
import numpy as np
import pytest
from conftest import REAL_DATA

from datasets.acquisition import read_acquisitions
from datasets.errors import UnreadableFile
from datasets.formats import open_file

RNG = np.random.default_rng(0)
IMAGE = RNG.random((6, 8), np.float32)


def test_names_tell_maps_from_images(tmp_path):
    np.savez(tmp_path / "a.npz", HAADF=IMAGE, Sc=IMAGE, other=IMAGE)
    found = {ds.attrs["title"]: ds for ds in read_acquisitions(tmp_path / "a.npz")}
    assert {name: ds.attrs["technique"] for name, ds in found.items()} == {
        "HAADF": "stem_image", "Sc": "element_map", "other": "tem_image"}
    assert found["Sc"].attrs["conditions"]["elements"] == ["Sc"]
    assert found["Sc"].attrs["uncalibrated"] == ["y", "x"]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("compressed", [None, np.savez, np.savez_compressed])
def test_arrays_come_back_as_they_were_in_either_order(tmp_path, order, compressed):
    stack = np.asarray(RNG.integers(0, 99, (3, 4, 5)).astype(">i4"), order=order)
    if compressed is None:
        np.save(tmp_path / "a.npy", stack)
    else:
        compressed(tmp_path / "a.npz", stack=stack)
    found, = open_file(tmp_path / ("a.npy" if compressed is None else "a.npz"))
    np.testing.assert_array_equal(found.main.data, stack)
    assert found.main.data.dtype.isnative


def test_words_beside_numbers_are_said_and_objects_are_never_loaded(tmp_path):
    np.savez(tmp_path / "a.npz", image=IMAGE, names=np.array(["a", "b"]), trap=np.array([{}], dtype=object))
    found, = open_file(tmp_path / "a.npz")
    assert any("names.npy" in w and "trap.npy" in w for w in found.warnings)
    np.savez(tmp_path / "b.npz", trap=np.array([{}], dtype=object))
    with pytest.raises(UnreadableFile, match="holds no array of numbers"):
        open_file(tmp_path / "b.npz")


def test_dimension_scales_calibrate_an_array_of_hdf5(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image"], file["y"], file["x"] = IMAGE, 2.0 * np.arange(6), 0.5 * np.arange(8)
        for i, name in enumerate("yx"):
            file[name].make_scale(name)
            file[name].attrs["units"] = "nm"
            file["image"].dims[i].attach_scale(file[name])
    ds, = read_acquisitions(tmp_path / "a.h5")
    assert (float(ds.y[1]), float(ds.x[1])) == (2.0, 0.5)
    assert any("arrays of one axis" in w for w in ds.attrs["warnings"])


def test_an_array_that_its_file_cannot_hold_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("image", (100_000, 100_000), np.float32, chunks=(100, 100))
    with pytest.raises(UnreadableFile, match=r"promises 4\d+ bytes out of 0"):
        open_file(tmp_path / "a.h5")


def test_the_fused_maps_of_a_real_file_have_the_figures_of_h5py(real_data):
    path = REAL_DATA / "em" / "fused_Co3O4_Mn3O4.h5"
    found = {ds.attrs["title"]: ds for ds in read_acquisitions(path)}
    assert [found[n].attrs["technique"] for n in ("HAADF", "Co", "Mn", "O")] == ["stem_image", *["element_map"] * 3]
    with h5py.File(path) as file:
        for name, ds in found.items():
            np.testing.assert_array_equal(ds.intensity, file[name][()])


def test_a_list_of_positions_is_no_picture(tmp_path):
    np.savez(tmp_path / "a.npz", positions=np.ones((50, 3)), picture=np.ones((50, 30)))
    assert {ds.attrs["title"]: ds.attrs["technique"] for ds in read_acquisitions(tmp_path / "a.npz")} == {
        "positions": "unknown", "picture": "tem_image"}
