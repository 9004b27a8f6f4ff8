"""Ptychography in CXI and in PtyPy's files, laid out as their definitions say; no file of either was to be had."""

import h5py
import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import format_of, open_file
from datasets.formats.xrays import cxi, ptypy_hdf


def test_a_complex_image_is_its_modulus_and_its_phase_over_pixels_of_its_own_size(tmp_path):
    image, patterns = read_acquisitions(cxi.example(tmp_path))
    assert image.attrs["technique"] == "txm"
    y, x = np.mgrid[:6, :8]
    np.testing.assert_allclose(image["intensity"], 1 + x)
    np.testing.assert_allclose(image["phase_shift"], 0.1 * y)
    assert image["phase_shift"].attrs["units"] == "rad"
    np.testing.assert_allclose(image["x"], 5.0 * np.arange(8))  # nm; sides of 40 and 30 nm
    np.testing.assert_allclose(image["y"], 5.0 * np.arange(6))
    assert image.attrs["conditions"]["photon_energy_eV"] == pytest.approx(8333.0)
    assert patterns.attrs["technique"] == "unknown"


def test_patterns_are_read_once_and_lie_where_the_beam_was(tmp_path):
    """The sample moves by +100 nm in x: the beam is then 100 nm to the other side."""
    (_, signal) = open_file(cxi.example(tmp_path))
    assert [axis.name for axis in signal.axes] == ["position", "detector_y", "detector_x"]
    np.testing.assert_array_equal(signal.fields["data"].data, np.arange(140).reshape(4, 5, 7))
    np.testing.assert_allclose(signal.axes[0].also["position_x"][0], [0, -100, 0, -100], atol=1e-9)
    np.testing.assert_allclose(signal.axes[0].also["position_y"][0], [0, 0, -200, -200], atol=1e-9)


def test_the_pixel_and_the_sum_image_of_cosmic_are_known(tmp_path):
    path = tmp_path / "scan.cxi"
    with h5py.File(path, "w") as file:
        file["entry_1/image_1/data"] = np.ones((4, 4), np.complex64)
        file["entry_1/process_1/Param/pixnm"] = 4.17
        file["entry_1/instrument_1/source_1/energy"] = 856.0 * cxi.JOULE_PER_EV
        file["entry_1/instrument_1/detector_1/STXM"] = np.ones((5, 6))
    image, stxm = read_acquisitions(path)
    assert float(image["x"][1]) == pytest.approx(4.17)
    assert image.attrs["conditions"]["photon_energy_eV"] == pytest.approx(856.0)
    assert stxm["intensity"].shape == (5, 6)
    assert stxm.attrs["technique"] == "txm"


def test_object_and_probe_of_pynx_keep_their_modes(tmp_path):
    path = tmp_path / "Run0001.cxi"
    with h5py.File(path, "w") as file:
        for name, modes in (("object", 1), ("probe", 3)):
            file[f"entry_1/{name}/data"] = np.full((modes, 4, 6), 2j, np.complex64)
            file[f"entry_1/{name}/x_pixel_size"] = file[f"entry_1/{name}/y_pixel_size"] = 8e-9
    thing, probe = open_file(path)
    assert [axis.name for axis in thing.axes] == ["y", "x"]
    assert [axis.name for axis in probe.axes] == ["mode", "y", "x"]
    np.testing.assert_allclose(thing.axes[1].values, 8.0 * np.arange(6))
    np.testing.assert_allclose(probe.fields["phase_shift"].data, np.pi / 2)
    assert read_acquisitions(path)[0].attrs["technique"] == "txm"


def test_a_cxi_file_that_is_nexus_too_has_one_reader(tmp_path):
    path = cxi.example(tmp_path)
    with h5py.File(path, "a") as file:
        file["entry_1"].attrs["NX_class"] = "NXentry"
        file["entry_1/definition"] = "NXcxi_ptycho"
    assert format_of(path) is cxi.CXI


def test_a_cxi_file_without_images_or_patterns_is_refused(tmp_path):
    path = tmp_path / "a.cxi"
    with h5py.File(path, "w") as file:
        file["entry_1/title"] = "empty"
    with pytest.raises(FileError, match=r"^a\.cxi: holds neither an image nor patterns"):
        open_file(path)


def test_chunks_of_ptypy_follow_each_other_with_their_places(tmp_path):
    (signal,) = open_file(ptypy_hdf.example(tmp_path))
    np.testing.assert_array_equal(signal.fields["data"].data, np.arange(240).reshape(5, 6, 8))
    np.testing.assert_allclose(signal.axes[0].also["position_x"][0], [0, 1000, 2000, 0, 1000])
    np.testing.assert_allclose(signal.axes[0].also["position_y"][0], [0, 0, 0, 1000, 1000])
    assert signal.conditions["photon_energy_eV"] == pytest.approx(6200.0)  # keV in the file


def test_places_that_do_not_match_their_patterns_are_not_used(tmp_path):
    path = ptypy_hdf.example(tmp_path)
    with h5py.File(path, "a") as file:
        del file["chunks/1/positions"]
        file["chunks/1/positions"] = np.zeros((1, 2))
    (signal,) = open_file(path)
    assert signal.axes[0].also == {}
    assert "4 places are stated for 5 patterns: they are not used" in signal.warnings


def test_a_reconstruction_of_ptypy_is_an_image_in_nm(tmp_path):
    path = tmp_path / "a.ptyr"
    with h5py.File(path, "w") as file:
        for word in ("obj", "probe"):
            file[f"content/{word}/S00G00/data"] = np.full((1, 4, 6), 3j)
            file[f"content/{word}/S00G00/_psize"] = [2e-9, 3e-9]
    thing, probe = read_acquisitions(path)
    assert (thing.attrs["technique"], probe.attrs["technique"]) == ("txm", "unknown")
    assert (float(thing["y"][1]), float(thing["x"][1])) == (pytest.approx(2.0), pytest.approx(3.0))
    np.testing.assert_allclose(thing["intensity"], 3.0)
    np.testing.assert_allclose(thing["phase_shift"], np.pi / 2)
