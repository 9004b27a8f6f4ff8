"""A folder of slices is one volume, and everything that could be wrong with it is said."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError, UnknownFormat, UnreadableFile
from datasets.formats import open_file
from datasets.formats.electrons import slices
from datasets.writers import fei_tiff

VOLUME = np.random.default_rng(0).integers(0, 255, (4, 5, 6), np.uint8)


def write(folder, volume=VOLUME, numbers=None, name="slice_{:04}.tif"):
    folder.mkdir(exist_ok=True)
    for number, image in zip(numbers or range(1, len(volume) + 1), volume, strict=True):
        path = folder / name.format(number)
        if path.suffix == ".tif":
            tifffile.imwrite(path, image)
        else:
            Image.fromarray(image).save(path)
    return folder


@pytest.mark.parametrize("name", ["slice_{:04}.tif", "{}.png", "2024-05-03 cut {:03} SE.tif"])
def test_slices_are_stacked_in_the_order_of_their_numbers(tmp_path, name):
    ds, = read_acquisitions(write(tmp_path / "cut", np.tile(VOLUME, (3, 1, 1)), name=name))
    assert ds.attrs["technique"] == "fib_sem"
    assert ds.intensity.dims == ("z", "y", "x")
    np.testing.assert_array_equal(ds.intensity, np.tile(VOLUME, (3, 1, 1)))  # 10 comes after 9, not after 1
    assert ds.attrs["uncalibrated"] == ["z", "y", "x"]


def test_a_person_says_how_thick_a_slice_is(tmp_path):
    ds, = read_acquisitions(write(tmp_path / "cut"), axes={"z": (10.0, "nm")})
    np.testing.assert_allclose(ds.z, [0, 10, 20, 30])
    np.testing.assert_array_equal(ds.slice, [1, 2, 3, 4])


def test_pixel_size_and_beam_come_from_the_first_slice(tmp_path):
    (tmp_path / "cut").mkdir()
    for i, image in enumerate(VOLUME):
        fei_tiff.write(tmp_path / "cut" / f"a{i}.tif", image, pixel_size_nm=(5.0, 4.0), beam_energy_keV=2.0,
                       beam_current_pA=10.0, dwell_time_s=1e-6)
    ds, = read_acquisitions(tmp_path / "cut")
    assert (float(ds.y[1]), float(ds.x[1])) == pytest.approx((5.0, 4.0))
    assert ds.attrs["conditions"]["beam_energy_keV"] == 2.0


def test_a_lost_slice_is_said(tmp_path):
    ds, = read_acquisitions(write(tmp_path / "cut", numbers=[1, 2, 4, 5]))
    assert any("gaps, the first after 2" in w for w in ds.attrs["warnings"])
    np.testing.assert_array_equal(ds.slice, [1, 2, 4, 5])


def test_slices_are_read_when_they_are_used(tmp_path, monkeypatch):
    monkeypatch.setattr(slices, "AT_ONCE_BYTES", 0)
    folder = write(tmp_path / "cut")
    found, = open_file(folder)
    (folder / "slice_0004.tif").write_bytes(b"")
    np.testing.assert_array_equal(np.asarray(found.main.data[1:3, 2:, :4]), VOLUME[1:3, 2:, :4])
    with pytest.raises(FileError, match=r"^slice_0004\.tif: cannot be read further"):
        np.asarray(found.main.data[3])


@pytest.mark.parametrize(("shape", "dtype"), [((5, 7), np.uint8), ((5, 6), np.uint16)])
def test_a_slice_unlike_the_others_is_named(tmp_path, shape, dtype):
    folder = write(tmp_path / "cut")
    tifffile.imwrite(folder / "slice_0003.tif", np.ones(shape, dtype))
    with pytest.raises(UnreadableFile, match=r"^slice_0003\.tif: is a slice of"):
        open_file(folder)


def test_a_folder_of_several_series_is_no_volume(tmp_path):
    folder = write(tmp_path / "cut")
    write(folder, name="overview_{}.png")
    with pytest.raises(UnknownFormat, match="no single series"):
        open_file(folder)


def test_a_folder_of_other_things_is_no_volume(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", VOLUME[0])
    with pytest.raises(UnknownFormat, match="is a folder"):
        open_file(tmp_path)


def test_a_picture_keeps_its_grey_values_and_says_when_they_are_lossy(tmp_path):
    Image.fromarray(VOLUME[0]).save(tmp_path / "a.png")
    Image.fromarray(np.dstack([VOLUME[0], VOLUME[1], VOLUME[2]])).save(tmp_path / "colour.bmp")
    Image.fromarray(VOLUME[0]).save(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_acquisitions(tmp_path / "a.png")[0].intensity, VOLUME[0])
    colour, = read_acquisitions(tmp_path / "colour.bmp")
    np.testing.assert_array_equal(colour.intensity.sel(channel=1), VOLUME[1])
    assert any("lossy" in w for w in read_acquisitions(tmp_path / "a.jpg")[0].attrs["warnings"])
