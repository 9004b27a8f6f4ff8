"""NeaSPEC tables and Gwyddion simple fields."""

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import open_file
from datasets.formats.infrared import neaspec
from datasets.formats.probes import gsf


def test_an_old_table_keeps_its_runs_harmonics_and_mirror_positions(real_data):
    """orange-spectroscopy: 260 spectra (20 runs of 13 channels) of 2 points, 295 to 920 um of mirror, 13.0277 at most."""
    near_field, beside = open_file(real_data / "spectra" / "ftir_nea_spectra20.nea")
    assert near_field.shape == (6, 20, 2)
    assert set(near_field.fields) == {"near_field_amplitude", "near_field_phase"}
    assert float(near_field.main.data.max()) == pytest.approx(13.0277, abs=5e-4)
    np.testing.assert_allclose(near_field.axes[-1].also["mirror_position"][0], [295.2, 920.46], atol=0.2)
    mirror = beside.fields["M"].data
    assert mirror.shape == (20, 2)
    assert mirror[:, 0].max() * 1e6 == pytest.approx(295.2013, abs=5e-3)
    assert mirror[:, 1].min() * 1e6 == pytest.approx(920.451, abs=5e-3)


def test_an_interferogram_of_a_near_field_is_against_twice_the_way_of_the_mirror(real_data):
    ds = read_acquisitions(real_data / "spectra" / "ftir_nea_spectra20.nea")[0]
    assert ds.attrs["technique"] == "interferogram"
    np.testing.assert_allclose(ds["optical_path_difference"], 2e-3 * ds["mirror_position"])  # mm, um


def test_a_spectrum_of_a_line_of_places_becomes_nano_ftir(tmp_path):
    (ds,) = read_acquisitions(neaspec.example(tmp_path))
    assert ds.attrs["technique"] == "nano_ftir"
    assert ds.attrs["conditions"]["acquired"] == "2026-01-31T03:04:05"
    assert ds["near_field_amplitude"].dims == ("harmonic", "x", "wavenumber")
    assert ds["harmonic"].values.tolist() == [2, 3]
    np.testing.assert_allclose(ds["near_field_amplitude"].max("wavenumber"), [[2, 4], [1, 2]])
    np.testing.assert_allclose(np.diff(ds["x"]), 1000.0)  # nm: 2 um in two columns


def test_rows_without_a_place_are_left_out_and_said(tmp_path):
    path = neaspec.example(tmp_path)
    lines = path.read_text("utf-8").splitlines()
    lines.insert(10, "NaN\tNaN" + "\t0" * 6)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (ds,) = read_acquisitions(path)
    assert dict(ds.sizes) == {"harmonic": 2, "x": 2, "wavenumber": 41}
    assert any("1 rows without a place" in w for w in ds.attrs["warnings"])


@pytest.mark.parametrize("change", [
    lambda lines: lines[:-3], lambda lines: [*lines[:9], "0\t0\tword", *lines[10:]], lambda lines: lines[:4]])
def test_a_damaged_table_is_refused_in_one_line(tmp_path, change):
    path = neaspec.example(tmp_path)
    path.write_text("\n".join(change(path.read_text("utf-8").splitlines())) + "\n", encoding="utf-8")
    with pytest.raises(FileError):
        read_acquisitions(path)


def test_a_simple_field_has_its_pixels_and_its_extent(real_data):
    """orange-spectroscopy: 20 000 pixels, 1.3725 at most; the field is 1 um wide and high."""
    (signal,) = open_file(real_data / "spectra" / "ftir_nea_whitelight.gsf")
    assert signal.shape == (100, 200)
    assert float(signal.main.data.max()) == pytest.approx(1.37250, abs=5e-6)
    for axis in signal.axes:
        assert axis.size * (axis.values[1] - axis.values[0]) == pytest.approx(1e-6)


def test_a_field_in_metres_is_a_height(tmp_path):
    (signal,) = open_file(gsf.example(tmp_path))
    assert list(signal.fields) == ["height"]
    np.testing.assert_allclose(signal.main.data, np.arange(6).reshape(2, 3) * 1e-9)
    np.testing.assert_allclose(signal.axes[1].values, [5e-9, 15e-9, 25e-9])


@pytest.mark.parametrize("pixels", ["0", "1000000", "-3", "x"])
def test_a_field_larger_than_its_file_is_refused(tmp_path, pixels):
    path = gsf.example(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"XRes = 3", b"XRes = " + pixels.encode()))
    with pytest.raises(FileError):
        open_file(path)
