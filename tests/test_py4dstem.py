"""py4DSTEM's files, EMD 1.0, as emdfile 0.0.16 lays them out (held against files that it wrote, in November 2026)."""

import h5py
import numpy as np
import pytest

from datasets.acquisition import read_acquisitions


def datacube(path, units, steps):
    """A block of 2 x 3 patterns of 4 x 5 pixels, axes by their first two places, and a list of peaks."""
    with h5py.File(path, "w") as file:
        file.attrs["emd_group_type"], file.attrs["version_major"], file.attrs["version_minor"] = "file", 1, 0
        file.attrs["authoring_program"] = "py4DSTEM"
        root = file.create_group("exp")
        root.attrs["emd_group_type"] = "root"
        cube = root.create_group("datacube")
        cube.attrs["emd_group_type"], cube.attrs["python_class"] = "array", "DataCube"
        cube["data"] = np.arange(120, dtype=np.uint16).reshape(2, 3, 4, 5)
        cube["data"].attrs["units"] = "pixel intensity"
        for i, (name, unit, step) in enumerate(zip(("Rx", "Ry", "Qx", "Qy"), units, steps, strict=True)):
            cube[f"dim{i}"] = np.array([0.0, step])
            cube[f"dim{i}"].attrs["name"], cube[f"dim{i}"].attrs["units"] = name, unit
        peaks = cube.create_group("bragg")
        peaks.attrs["emd_group_type"] = "pointlist"
        peaks["qx"] = np.zeros(3)
    return path


def test_a_calibrated_datacube_is_4d_stem_with_its_rows_along_y(tmp_path):
    (ds,) = read_acquisitions(datacube(tmp_path / "a.h5", ("nm", "nm", "A^-1", "A^-1"), (2.0, 2.0, 0.02, 0.02)))
    assert ds.attrs["technique"] == "stem_4d"
    np.testing.assert_array_equal(ds["intensity"], np.arange(120).reshape(2, 3, 4, 5))
    assert ds["intensity"].dims == ("y", "x", "scattering_vector_y", "scattering_vector_x")
    np.testing.assert_allclose(ds["y"], [0, 2])
    np.testing.assert_allclose(ds["scattering_vector_x"], 0.2 * np.arange(5))  # 1/angstrom to 1/nm


@pytest.mark.parametrize("unit", ["pixels", ""])
def test_a_datacube_that_nobody_calibrated_is_4d_stem_all_the_same(tmp_path, unit):
    (ds,) = read_acquisitions(datacube(tmp_path / "a.h5", (unit,) * 4, (1.0,) * 4))
    assert ds.attrs["technique"] == "stem_4d"
    assert ds["intensity"].dims == ("y", "x", "scattering_vector_y", "scattering_vector_x")
    assert set(ds.attrs["uncalibrated"]) >= {"y", "x"}
    np.testing.assert_array_equal(ds["intensity"], np.arange(120).reshape(2, 3, 4, 5))


def test_lists_of_points_are_named(tmp_path):
    (ds,) = read_acquisitions(datacube(tmp_path / "a.h5", ("nm", "nm", "A^-1", "A^-1"), (1.0,) * 4))
    assert "lists of points are not read: exp/datacube/bragg" in ds.attrs["warnings"]
