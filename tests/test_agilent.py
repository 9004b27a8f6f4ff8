"""Agilent images: figures of agilent-format, whichever file of a measurement is opened."""

import shutil

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import open_file
from datasets.formats.infrared import agilent


@pytest.mark.parametrize(("file", "shape", "largest"), [
    ("4_noimage_agg256.seq", (8, 8, 9), 1.383063793), ("4_noimage_agg256.bsp", (8, 8, 9), 1.383063793),
    ("4_noimage_agg256.dat", (8, 8, 9), 1.383063793), ("5_mosaic_agg1024.dmt", (8, 4, 9), 1.335961103),
    ("5_Mosaic_agg1024.dms", (8, 4, 9), 1.335961103)])
def test_an_image_has_the_shape_and_maximum_that_agilent_format_finds(real_data, file, shape, largest):
    ds = read_acquisitions(real_data / "spectra" / file)[0]
    assert (ds.attrs["technique"], ds["absorbance"].dims) == ("ftir", ("y", "x", "wavenumber"))
    assert ds["absorbance"].shape == shape
    np.testing.assert_allclose(ds["wavenumber"][[0, -1]], [1990.178, 2113.600], atol=5e-4)
    np.testing.assert_allclose(np.diff(ds["wavenumber"]), 15.4277, atol=1e-4)
    assert float(ds["absorbance"].max()) == pytest.approx(largest, rel=1e-9)


def test_the_tiles_of_a_mosaic_lie_where_the_program_that_wrote_them_put_them(real_data, tmp_path):
    """The same mosaic as one file, which the maker assembled; without it the tiles are put together here."""
    folder = real_data / "spectra"
    (whole,) = read_acquisitions(folder / "5_Mosaic_agg1024.dat")
    for name in ("5_mosaic_agg1024.dmt", "5_Mosaic_agg1024_0000_0000.dmd", "5_Mosaic_agg1024_0000_0001.dmd"):
        shutil.copy(folder / name, tmp_path)
    (tiles,) = read_acquisitions(tmp_path / "5_mosaic_agg1024.dmt")
    assembled = np.frombuffer((folder / "5_Mosaic_agg1024.dat").read_bytes()[1020:], "<f4").reshape(9, 8, 4)
    np.testing.assert_array_equal(np.moveaxis(tiles["absorbance"].data, -1, 0), assembled)
    np.testing.assert_array_equal(whole["absorbance"], tiles["absorbance"])


def test_pixels_are_detector_pixels_times_their_aggregation(real_data):
    """5.5 um per detector pixel, 16 and 32 of them a side: both fields are 704 um high or a part of that."""
    for file, pitch in (("4_noimage_agg256.bsp", 88_000), ("5_mosaic_agg1024.dmt", 176_000)):
        ds = read_acquisitions(real_data / "spectra" / file)[0]
        np.testing.assert_allclose(np.diff(ds["y"]), pitch)  # nm


def test_interferograms_and_the_background_arrive_too(real_data):
    background, fringes = read_acquisitions(real_data / "spectra" / "background_agg256.seq")
    assert background.attrs["conditions"]["quantity"] == "single_beam"
    assert fringes.attrs["technique"] == "interferogram"
    assert fringes["intensity"].shape == (8, 8, 311)
    step = float(np.diff(fringes["optical_path_difference"])[0])
    assert step == pytest.approx(4 * 10 / (2 * 15798.0039), rel=1e-6)  # every fourth of the laser's half wavelengths, mm


def test_the_other_files_of_a_measurement_are_its_companions(real_data):
    names = {p.name for p in agilent.companions(real_data / "spectra" / "5_mosaic_agg1024.dmt")}
    assert names == {"5_Mosaic_agg1024.dat", "5_Mosaic_agg1024.dms", "5_Mosaic_agg1024.hdr",
                     "5_Mosaic_agg1024_0000_0000.dmd", "5_Mosaic_agg1024_0000_0001.dmd"}


def test_each_pixel_is_where_its_number_says(tmp_path):
    (ds,) = read_acquisitions(agilent.example(tmp_path))
    assert ds["absorbance"].shape == (2, 3, 5)
    assert ds["absorbance"].isel(wavenumber=0).values.tolist() == [[0, 1, 2], [3, 4, 5]]
    np.testing.assert_allclose(ds["wavenumber"], [1000, 1020, 1040, 1060, 1080])
    np.testing.assert_allclose(ds["x"], [0, 88_000, 176_000])


def test_settings_without_data_and_data_without_settings_are_refused(tmp_path):
    path = agilent.example(tmp_path)
    (tmp_path / "example.dat").rename(tmp_path / "other.dat")
    with pytest.raises(FileError, match="no data beside it"):
        read_acquisitions(path)
    with pytest.raises(FileError, match="needs the settings"):
        read_acquisitions(tmp_path / "other.dat")


def test_a_missing_tile_is_nan_and_said(real_data, tmp_path):
    for name in ("5_mosaic_agg1024.dmt", "5_Mosaic_agg1024_0000_0001.dmd"):
        shutil.copy(real_data / "spectra" / name, tmp_path)
    (ds,) = read_acquisitions(tmp_path / "5_mosaic_agg1024.dmt")
    assert int(np.isnan(ds["absorbance"]).sum()) == 4 * 4 * 9
    assert any("missing" in w for w in ds.attrs["warnings"])


def test_a_large_mosaic_is_read_tile_by_tile_when_it_is_used(real_data, tmp_path, monkeypatch):
    for source in (real_data / "spectra").glob("5_*"):
        if source.suffix not in (".dms", ".dat"):
            shutil.copy(source, tmp_path)
    path = tmp_path / "5_mosaic_agg1024.dmt"
    (whole,) = open_file(path)
    monkeypatch.setattr(agilent, "AT_ONCE_BYTES", 0)
    (lazy,) = open_file(path)
    assert isinstance(whole.main.data, np.ndarray)
    assert lazy.main.data.chunks == ((4, 4), (4,), (9,))  # two tiles, one above the other
    np.testing.assert_array_equal(lazy.main.data, whole.main.data)
