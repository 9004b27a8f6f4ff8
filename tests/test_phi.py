"""PHI files: a depth profile and single spectra against other programs, and small ones whose content is known."""

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats.photoelectrons import phi


def profile(real_data):
    return {ds.attrs["title"]: ds for ds in read_acquisitions(real_data / "spectra" / "xps_phi_SnO2_depthprofile.pro")}


@pytest.mark.parametrize(("title", "points", "first", "last"), [
    ("Su1s", 1751, 1400.0, 0.0), ("C 1s", 101, 298.0, 278.0), ("Si 2p", 101, 114.0, 94.0), ("Sn 3d5", 101, 500.0, 480.0)])
def test_a_depth_profile_keeps_its_levels(real_data, title, points, first, last):
    ds = profile(real_data)[title]
    assert dict(ds.sizes) == {"sputter_level": 21, "binding_energy": points}
    np.testing.assert_allclose(ds["binding_energy"][[0, -1]], [first, last])
    np.testing.assert_allclose(ds["sputter_time"], 30.0 * np.arange(21))
    assert ds["sputter_time"].attrs["units"] == "s"


def test_sputtering_removes_carbon_then_tin_oxide_and_uncovers_silicon(real_data):
    """10 nm of SnO2 on silicon; the figures are those that pynxtools-xps 0.6.3 reads."""
    height = {title: ds["count_rate"].max("binding_energy").to_numpy() for title, ds in profile(real_data).items()}
    assert height["C 1s"][:2] == pytest.approx([10920, 4808.8], rel=2e-5)
    assert height["C 1s"][-1] == pytest.approx(2790, rel=1e-3)
    assert height["Sn 3d5"][[0, 1, -1]] == pytest.approx([120375, 192475, 66287.5], rel=1e-5)
    assert height["Si 2p"][[0, -1]] == pytest.approx([4005, 8475], rel=1e-5)


def test_counts_are_whole_and_the_rate_stands_beside_them(real_data):
    for ds in profile(real_data).values():
        assert ds["intensity"].attrs["units"] == "count"
        assert np.array_equal(ds["intensity"], np.rint(ds["intensity"]))
        np.testing.assert_allclose(ds["intensity"] / ds.attrs["conditions"]["dwell_time_s"], ds["count_rate"], rtol=1e-5)


@pytest.mark.parametrize(("signal", "title", "points", "first", "last", "largest"), [
    (0, "1su", 3401, 1355.0, -5.0, 17187.5), (1, "F 1s", 161, 695.0, 675.0, 4412.5)])
def test_an_older_instrument_writes_double_precision_and_unix_lines(real_data, signal, title, points, first, last, largest):
    """Figures of yadg 7.0.1; spe-xps-reader reads 2.3e-9 for F 1s."""
    ds = read_acquisitions(real_data / "spectra" / "xps_phi_yadg_test0.spe")[signal]
    assert (ds.attrs["technique"], ds.attrs["title"], dict(ds.sizes)) == ("xps", title, {"binding_energy": points})
    np.testing.assert_allclose(ds["binding_energy"][[0, -1]], [first, last])
    assert float(ds["count_rate"].max()) == largest
    assert ds.attrs["conditions"]["photon_energy_eV"] == 1486.6


def test_the_example_is_read_back(tmp_path):
    (ds,) = read_acquisitions(phi.example(tmp_path))
    assert ds["intensity"].max("binding_energy").values.tolist() == [1000, 600, 400]
    assert ds["sputter_time"].values.tolist() == [0, 30, 60]
    assert float(ds["binding_energy"][int(np.argmax(ds["intensity"].data[0]))]) == 685.0


@pytest.mark.parametrize(("old", "new", "told"), [
    (b"F1s 9 41", b"F1s 9 42", "not 42 steps"),
    (b"EOFH\r\n", b"EOFX\r\n", "no end"),
    (b"f4\0\0", b"f9\0\0", "unknown type 'f9'"),
    (b"NoSpectralReg: 1", b"SpectralRegDef: 2 2 O1s 8 3 -1 3 1 3 1 0.1 55 AREA", "there are no data"),
])
def test_a_file_that_contradicts_itself_is_refused(tmp_path, old, new, told):
    path = phi.example(tmp_path)
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(FileError, match=told):
        read_acquisitions(path)
