"""OMNIC files: figures of SpectroChemPy and orange-spectroscopy, and what the air and the laser say."""

import struct

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats.infrared import omnic


def spectra(real_data, name):
    return read_acquisitions(real_data / "spectra" / name)


def test_a_single_spectrum_has_the_axis_that_other_programs_find_and_says_where_it_is_cut_off(real_data):
    (ds,) = spectra(real_data, "ftir_omnic_sample1.spa")
    assert (ds.attrs["technique"], dict(ds.sizes)) == ("ftir", {"wavenumber": 1738})
    np.testing.assert_allclose(ds["wavenumber"][[0, -1]], [3999.703, 649.904], atol=5e-4)
    assert float(ds["absorbance"].max()) == 6.0
    assert ds.attrs["conditions"] == {"acquired": "2015-04-09T02:45:41+00:00", "quantity": "absorbance"}
    assert any("6 values stand at 6.0" in w for w in ds.attrs["warnings"])


def test_a_series_in_time_that_is_called_unreadable_reads_with_its_clock(real_data):
    """TGAIR-unreadable.srs; 0.26 to 87.016 min by SpectroChemPy 1.1.3, which also finds the maximum 1.40244."""
    series, background = spectra(real_data, "ftir_omnic_TGAIR.srs")
    assert series["absorbance"].dims == ("time", "wavenumber")
    assert series["absorbance"].shape == (335, 1868)
    np.testing.assert_allclose(series["time"][[0, -1]] / 60, [0.26, 87.016], atol=5e-4)
    assert series["time"].attrs["units"] == "s"
    np.testing.assert_allclose(sorted(series["wavenumber"].values[[0, -1]]), [399.199, 3999.706], atol=5e-4)
    assert float(series["absorbance"].max()) == pytest.approx(1.40244, abs=5e-6)
    assert background["single_beam"].sizes == {"wavenumber": 1868}


def test_carbon_dioxide_absorbs_where_it_does_in_air(real_data):
    """A falling axis would put the changing band at 2040 1/cm, where nothing of air absorbs; nu3 is at 2349 1/cm."""
    series, background = spectra(real_data, "ftir_omnic_TGAIR.srs")
    change = series["absorbance"].std("time")
    assert float(change["wavenumber"][int(np.argmax(change.data))]) == pytest.approx(2349, abs=25)
    near = background["single_beam"].where(abs(background["wavenumber"] - 2300) < 200, drop=True)
    assert float(near["wavenumber"][int(np.argmin(near.data))]) == pytest.approx(2349, abs=25)


def test_an_interferogram_is_zero_at_its_peak_and_steps_by_the_laser(real_data):
    (ds,) = spectra(real_data, "ftir_omnic_interferogram.spa")
    assert (ds.attrs["technique"], ds.sizes) == ("interferogram", {"optical_path_difference": 4160})
    path = ds["optical_path_difference"]
    np.testing.assert_allclose(path[[0, -1]], [-0.041, 2.592], atol=5e-4)
    np.testing.assert_allclose(np.diff(path) * 1e6, 632.98, atol=0.01)  # nm; He-Ne in air
    assert float(ds["intensity"].max()) == pytest.approx(3.47847, abs=5e-6)
    assert float(path[int(np.argmax(ds["intensity"].data))]) == pytest.approx(0.0, abs=2e-3)


def test_a_map_has_its_places_and_not_only_its_spectra(real_data):
    (ds,) = spectra(real_data, "ftir_omnic_small_map.map")
    assert ds["single_beam"].dims == ("y", "x", "wavenumber")
    assert ds["single_beam"].shape == (2, 2, 14)
    np.testing.assert_allclose(ds["wavenumber"][[0, -1]], [1604.510, 1805.074], atol=5e-4)
    assert float(ds["single_beam"].max()) == pytest.approx(4.21218, abs=5e-6)
    np.testing.assert_allclose(ds["x"], [-14598640, -14588640], rtol=1e-6)  # nm
    np.testing.assert_allclose(np.diff(ds["y"]), 10_000, rtol=1e-6)
    assert any("visible image" in w for w in ds.attrs["warnings"])


def test_a_group_becomes_a_series_in_time(tmp_path):
    (ds,) = read_acquisitions(omnic.example(tmp_path))
    assert ds["absorbance"].dims == ("time", "wavenumber")
    assert ds["time"].values.tolist() == [0, 600]
    assert ds["absorbance"].max("wavenumber").values.tolist() == [1.0, 0.5]
    assert float(ds["wavenumber"][int(np.argmax(ds["absorbance"].data[0]))]) == 1440.0
    assert ds.attrs["vendor"]["titles"] == ["spectrum 0", "spectrum 1"]


def test_spectra_of_a_group_on_different_axes_stay_apart(tmp_path):
    path = omnic.example(tmp_path)
    raw = bytearray(path.read_bytes())
    second = raw.rindex(struct.pack("<ff", 1480.0, 1400.0))
    raw[second:second + 4] = struct.pack("<f", 1482.0)
    path.write_bytes(raw)
    assert [ds["absorbance"].dims for ds in read_acquisitions(path)] == [("wavenumber",)] * 2


@pytest.mark.parametrize(("code", "variable", "factor"), [
    (16, "transmittance", 0.01), (11, "reflectance", 0.01), (15, "single_beam", 1.0), (20, "kubelka_munk", 1.0),
    (12, "log_reflectance", 1.0)])
def test_the_quantity_is_the_one_that_the_file_names(tmp_path, code, variable, factor):
    path = omnic.example(tmp_path)
    raw = path.read_bytes().replace(struct.pack("<III", 41, 1, 17), struct.pack("<III", 41, 1, code))
    path.write_bytes(raw)
    (ds,) = read_acquisitions(path)
    assert (ds.attrs["technique"], ds.attrs["conditions"]["quantity"]) == ("ftir", variable)
    assert float(ds[variable].max()) == pytest.approx(factor)
    assert ("absorbance" in ds) == (variable == "transmittance")


@pytest.mark.parametrize(("at", "value"), [(294, b"\xff\xff"), (306, b"\xff\xff\xff\x7f"), (310, b"\xff\xff\xff\x7f")])
def test_a_table_that_points_outside_the_file_is_refused(tmp_path, at, value):
    path = omnic.example(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[at:at + len(value)] = value
    path.write_bytes(raw)
    with pytest.raises(FileError):
        read_acquisitions(path)
