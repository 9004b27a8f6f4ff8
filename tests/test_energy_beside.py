"""The energy of photons where only a text beside the images states it: scripts of microscopes, and lists."""

import shutil

import numpy as np
import olefile
import pytest
import tifffile

from datasets.acquisition import read_acquisitions
from datasets.errors import UnknownFormat
from datasets.formats import format_of
from datasets.formats.xrays.energy_beside import scripted_energy

SSRL = """;; 2D XANES ;;
setexp 0.50
collect too_early.xrm
;;;; set the MONO and the ZP
sete 8324.00
moveto zpx -14.33
collect rep01_ref_001of010.xrm
moveto t 6.97
collect rep01_001of003.xrm
sete 8354.00
collect rep02_001of003.xrm
collect twice.xrm
sete 8400.00
collect twice.xrm
"""
"""As SSRL 6-2c writes it beside its images."""


def real_xrm(real_data, folder, name):
    """A real image whose metadata hold no energy, under a name that holds none."""
    path = folder / name
    shutil.copy(real_data / "afm_txm_apt" / "txm" / "ssrl_rep01_sample_08354.0_eV_001of003.xrm", path)
    path.chmod(0o644)
    return path


@pytest.mark.parametrize(("name", "energy"), [
    ("rep01_ref_001of010.xrm", 8324.0), ("rep01_001of003.xrm", 8324.0), ("REP02_001OF003.XRM", 8354.0),
    ("too_early.xrm", None), ("twice.xrm", None), ("another.xrm", None)])
def test_an_image_was_collected_at_the_energy_that_was_set_last(tmp_path, name, energy):
    (tmp_path / "scan.txt").write_text(SSRL)
    (tmp_path / "notes.txt").write_text("we collected too_early.xrm at 8333 eV\n")
    found = scripted_energy(tmp_path / name)
    assert found == (None if energy is None else (energy, "scan.txt"))


def test_scripts_of_aps_and_alba_move_to_an_energy(tmp_path):
    (tmp_path / "scan.txt").write_text("setbinning 1\r\nmoveto energy  520.00\r\nmoveto folder 1\r\ncollect a_FF.xrm\r\n")
    assert scripted_energy(tmp_path / "a_FF.xrm") == (520.0, "scan.txt")


def test_an_xradia_image_without_an_energy_takes_that_of_the_script_and_says_so(real_data, tmp_path):
    path = real_xrm(real_data, tmp_path, "rep02_001of003.xrm")
    (ds,) = read_acquisitions(path)
    assert "photon_energy_eV" not in ds.attrs["conditions"]
    assert format_of(path).companions(path) == ()
    (tmp_path / "scan.txt").write_text(SSRL)
    (ds,) = read_acquisitions(path)
    assert ds.attrs["conditions"]["photon_energy_eV"] == 8354.0
    assert ds.attrs["vendor"]["photon_energy_source"] == "sidecar scan.txt"
    assert "the energy of 8354 eV stands only in scan.txt, the script that collected the file" in ds.attrs["warnings"]
    assert format_of(path).companions(path) == (tmp_path / "scan.txt",)


def test_a_name_speaks_before_a_script(real_data, tmp_path):
    path = real_xrm(real_data, tmp_path, "a_08333.0_eV.xrm")
    (tmp_path / "scan.txt").write_text("sete 8354\ncollect a_08333.0_eV.xrm\n")
    (ds,) = read_acquisitions(path)
    assert ds.attrs["conditions"]["photon_energy_eV"] == 8333.0
    assert ds.attrs["vendor"]["photon_energy_source"] == "file name"


def test_an_xradia_series_takes_the_energies_of_a_list(real_data, tmp_path):
    """A real series of seven images, its energies set to 0 as SSRL writes them; its angles then stay in the metadata."""
    path = tmp_path / "series_xanes.txrm"
    shutil.copy(real_data / "afm_txm_apt" / "txm" / "dxchange_txrm_test_chip_tomo.txrm", path)
    path.chmod(0o644)
    with olefile.OleFileIO(path, write_mode=True) as ole:
        ole.write_stream("ImageInfo/Energy", bytes(ole.get_size("ImageInfo/Energy")))
    energies = 8300.0 + 10.0 * np.arange(7)
    (tmp_path / "series_xanes.txt").write_text("* energies of the stack\n" + "".join(f"{e:.2f}\n" for e in energies))
    (ds,) = read_acquisitions(path)
    np.testing.assert_array_equal(ds["photon_energy"], energies)
    assert ds.attrs["vendor"]["photon_energy_source"] == "sidecar series_xanes.txt"


def tiff_stack(folder, name, images=4):
    path = folder / name
    tifffile.imwrite(path, np.arange(images * 6 * 8, dtype=np.uint16).reshape(images, 6, 8), photometric="minisblack")
    return path


@pytest.mark.parametrize(("name", "head"), [("a_xanes", ""), ("b", "* photon energies, eV\n")])
def test_a_tiff_with_a_list_of_energies_is_a_stack_over_an_edge(tmp_path, name, head):
    """As mantis-xray writes and reads it."""
    path = tiff_stack(tmp_path, f"{name}.tif")
    (tmp_path / f"{name}.txt").write_text(head + "698.0\n700.0\n706.25\n718.0\n")
    (ds,) = read_acquisitions(path)
    assert ds.attrs["technique"] == "txm"
    assert ds["intensity"].dims == ("photon_energy", "y", "x")
    assert ds["photon_energy"].values.tolist() == [698.0, 700.0, 706.25, 718.0]
    assert ds["photon_energy"].attrs["units"] == "eV"
    np.testing.assert_array_equal(ds["intensity"], np.arange(192).reshape(4, 6, 8))
    assert f"the energies stand only in {name}.txt" in ds.attrs["warnings"]
    assert format_of(path).companions(path) == (tmp_path / f"{name}.txt",)


@pytest.mark.parametrize(("listed", "said"), [
    ("60\n120\n180\n240\n", "lists a number for each image and does not say that they are energies"),
    ("* energies\n700\n710\n705\n720\n", "neither rise nor fall throughout"),
    ("* energies\n700\n710\n", "lists 2 numbers for 4 images"),
    ("* eV\n1\n2\n3\n4\n", "neither rise nor fall throughout between 50"),
])
def test_a_list_that_may_be_one_of_anything_is_not_used_and_named(tmp_path, listed, said):
    path = tiff_stack(tmp_path, "movie.tif")
    (tmp_path / "movie.txt").write_text(listed)
    (ds,) = read_acquisitions(path)
    assert "photon_energy" not in ds.dims
    assert any(said in w and w.startswith("movie.txt") for w in ds.attrs["warnings"])


def test_a_text_that_is_no_list_is_not_spoken_of(tmp_path):
    path = tiff_stack(tmp_path, "movie.tif")
    (tmp_path / "movie.txt").write_text("energy 700\n")
    assert not any("movie.txt" in w for w in read_acquisitions(path)[0].attrs["warnings"])
    assert format_of(path).companions(path) == ()


def test_a_script_and_a_list_on_their_own_say_which_images_take_them_along(real_data, tmp_path):
    real_xrm(real_data, tmp_path, "rep02_001of003.xrm")
    (tmp_path / "scan.txt").write_text(SSRL)
    with pytest.raises(UnknownFormat, match=r"the script of an X-ray microscope: 4 images at 8324 to 8400 eV.*"
                                            r"read rep02_001of003\.xrm, which takes it along"):
        read_acquisitions(tmp_path / "scan.txt")
    tiff_stack(tmp_path, "a_xanes.tif")
    (tmp_path / "a_xanes.txt").write_text("698.0\n700.0\n706.25\n718.0\n")
    with pytest.raises(UnknownFormat, match=r"lists 4 numbers.*read a_xanes\.tif"):
        read_acquisitions(tmp_path / "a_xanes.txt")
