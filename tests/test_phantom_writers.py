"""Each file of the virtual specimen is what its format says: other programs read back what was written."""

from datetime import datetime

import numpy as np
import pytest
from galvani.BioLogic import MPRfile
from rsciio import emd as rs_emd
from rsciio import mrc as rs_mrc
from rsciio import msa as rs_msa
from rsciio import ripple as rs_ripple
from rsciio import tiff as rs_tiff

from datasets.phantom.writers import dta, fei_tiff, mpr, mrc, msa, ncem_emd, ripple, vamas

ACQUIRED = datetime(2026, 11, 22, 9, 30, 15)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def image(rng):
    return rng.poisson(20, (48, 64)).astype(np.uint16)


def read_mpr(path):
    with path.open("rb") as file:
        return MPRfile(file)


def axes_by_name(signal):
    return {axis["name"]: axis for axis in signal["axes"]}


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # RosettaSciIO 0.15 leaves an MRC file open
@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_an_mrc_image_keeps_its_counts_pixel_size_and_labels(tmp_path, image, dtype):
    mrcfile = pytest.importorskip("mrcfile")
    path = mrc.write(tmp_path / "a.mrc", image.astype(dtype), pixel_size_nm=(0.05, 0.04), labels=["300 kV, 20 e/A2"])
    with mrcfile.open(path) as file:
        assert file.data.dtype == dtype
        np.testing.assert_array_equal(file.data, image)
        assert float(file.voxel_size.x) == pytest.approx(0.4, rel=1e-6)
        assert float(file.voxel_size.y) == pytest.approx(0.5, rel=1e-6)
        assert any("synthetic" in label for label in file.get_labels())
        assert any("20 e/A2" in label for label in file.get_labels())
    assert mrcfile.validate(path)
    signal = rs_mrc.file_reader(str(path))[0]
    np.testing.assert_array_equal(signal["data"], image)
    assert [round(a["scale"], 6) for a in signal["axes"]] == [0.05, 0.04]


def test_an_mrc_file_without_calibration_states_no_cell(tmp_path, image):
    mrcfile = pytest.importorskip("mrcfile")
    path = mrc.write(tmp_path / "a.mrc", image, pixel_size_nm=None)
    with mrcfile.open(path) as file:
        assert float(file.voxel_size.x) == 0


def test_a_tilt_series_is_an_image_stack_with_its_angles_beside_it(tmp_path, rng):
    mrcfile = pytest.importorskip("mrcfile")
    stack = rng.poisson(20, (5, 32, 40)).astype(np.int16)
    tilts = np.linspace(-60, 60, 5)
    path = mrc.write_tilt_series(tmp_path / "tilt.mrc", stack, tilt_deg=tilts, pixel_size_nm=(1.0, 1.0), dose_e_per_A2=2.5,
                                 beam_energy_keV=300)
    with mrcfile.open(path) as file:
        assert file.is_image_stack()
        np.testing.assert_array_equal(file.data, stack)
    assert mrcfile.validate(path)
    np.testing.assert_allclose(np.loadtxt(tmp_path / "tilt.rawtlt"), tilts)
    assert (tmp_path / "tilt.mrc.mdoc").read_text().count("[ZValue") == 5


def test_an_fei_tiff_gives_its_pixel_size_in_metres_and_its_beam(tmp_path, image):
    path = fei_tiff.write(tmp_path / "a.tif", image, pixel_size_nm=(5.0, 4.0), beam_energy_keV=2.0, beam_current_pA=50,
                          dwell_time_s=1e-6, acquired=ACQUIRED, stage_tilt_deg=52)
    signal = rs_tiff.file_reader(path)[0]
    np.testing.assert_array_equal(signal["data"], image)
    scan = signal["original_metadata"]["fei_metadata"]["Scan"]
    assert (scan["PixelHeight"], scan["PixelWidth"]) == (pytest.approx(5e-9), pytest.approx(4e-9))
    # RosettaSciIO 0.15 gives the width to the axis "height" and the height to "width": compare without order
    assert sorted(a["scale"] for a in signal["axes"]) == [pytest.approx(4e-9), pytest.approx(5e-9)]
    assert {a["units"] for a in signal["axes"]} == {"m"}
    ini = signal["original_metadata"]["fei_metadata"]
    assert ini["Beam"]["HV"] == 2000
    assert ini["User"]["UserTextUnicode"].startswith("synthetic")


def test_an_fei_tiff_without_calibration_says_nothing_about_size(tmp_path, image):
    path = fei_tiff.write(tmp_path / "a.tif", image, pixel_size_nm=None, beam_energy_keV=2.0, beam_current_pA=50,
                          dwell_time_s=1e-6)
    scan = rs_tiff.file_reader(path)[0]["original_metadata"]["fei_metadata"]
    assert "PixelWidth" not in scan["Scan"]
    assert "HFW" not in scan["EBeam"]


def test_an_ncem_emd_cube_keeps_names_units_and_values_in_whatever_order_it_is_read(tmp_path, rng):
    cube = rng.poisson(3, (6, 7, 40)).astype(np.uint16)
    dims = [("y", "nm", 2.0 * np.arange(6)), ("x", "nm", 3.0 * np.arange(7)), ("Energy loss", "eV", -5 + 0.5 * np.arange(40))]
    path = ncem_emd.write(tmp_path / "a.emd", cube, dims, name="eels", beam_energy_keV=300, sample="A1")
    signal = rs_emd.file_reader(str(path))[0]
    names = [a["name"] for a in signal["axes"]]
    back = np.transpose(signal["data"], [names.index(n) for n in ("y", "x", "Energy loss")])
    np.testing.assert_array_equal(back, cube)
    loss = axes_by_name(signal)["Energy loss"]
    assert (loss["units"], loss["scale"], loss["offset"]) == ("eV", pytest.approx(0.5), pytest.approx(-5))
    assert signal["original_metadata"]["comments"]["note"].startswith("synthetic")
    ncem = pytest.importorskip("ncempy.io.emd")
    with ncem.fileEMD(str(path), readonly=True) as file:
        data, _ = file.get_emdgroup(0)
    np.testing.assert_array_equal(data, cube)


def test_an_ncem_emd_cube_refuses_a_coordinate_of_the_wrong_length(tmp_path):
    with pytest.raises(ValueError, match="lengths"):
        ncem_emd.write(tmp_path / "a.emd", np.zeros((3, 4)), [("y", "nm", np.arange(4.0)), ("x", "nm", np.arange(3.0))])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_ripple_pair_keeps_its_counts_and_both_calibrations(tmp_path, rng, dtype):
    cube = rng.poisson(3, (6, 7, 40)).astype(dtype)
    path = ripple.write(tmp_path / "a.rpl", cube, pixel_size_nm=(2.0, 3.0), channel_keV=0.01, first_channel_keV=-0.2,
                        beam_energy_keV=300, live_time_s=12.5, title="A1")
    signal = rs_ripple.file_reader(str(path))[0]
    np.testing.assert_array_equal(signal["data"], cube)
    scales = {a["size"]: (a["scale"], a["units"]) for a in signal["axes"]}
    assert scales == {6: (2.0, "nm"), 7: (3.0, "nm"), 40: (0.01, "keV")}
    assert signal["metadata"]["Acquisition_instrument"]["TEM"]["beam_energy"] == 300


def test_an_msa_spectrum_keeps_its_counts_and_energies(tmp_path, rng):
    counts = rng.poisson(50, 200)
    path = msa.write(tmp_path / "a.msa", counts, first_energy=-20, channel=0.5, beam_energy_keV=300, acquired=ACQUIRED)
    signal = rs_msa.file_reader(path)[0]
    np.testing.assert_array_equal(signal["data"], counts)
    (axis,) = signal["axes"]
    assert (axis["offset"], axis["scale"], axis["units"]) == (-20, 0.5, "eV")


def test_a_vamas_block_keeps_its_counts_and_kinetic_energies(tmp_path, rng):
    counts = rng.poisson(500, 301)
    blocks = [vamas.Block("C 1s", "C", "1s", 1191.68, 0.05, counts, dwell_s=0.1, scans=4, pass_energy_eV=20,
                          transmission=np.linspace(1, 0.9, 301), comments=("flood gun on",)),
              vamas.Block("F 1s", "F", "1s", 791.68, 0.1, counts[:100], dwell_s=0.1, sputter_time_s=60)]
    path = vamas.write(tmp_path / "a.vms", blocks, sample="A1", acquired=ACQUIRED)
    assert any("synthetic" in line for line in path.read_text().splitlines()[:10])
    file = pytest.importorskip("vamas").Vamas(str(path))
    assert len(file.blocks) == 2
    first, second = file.blocks
    assert first.corresponding_variables[0].y_values == list(counts)
    assert (float(first.x_start), float(first.x_step)) == (1191.68, 0.05)
    assert (first.species_label, first.transition_or_charge_state_label) == ("C", "1s")
    assert float(first.analysis_source_characteristic_energy) == 1486.68
    assert len(second.corresponding_variables[0].y_values) == 100


def test_an_mpr_file_keeps_every_point_and_its_start(tmp_path, rng):
    n = 500
    time = np.arange(n) * 10.0
    half = np.repeat(np.arange(5), 100)
    current = np.where(half % 2 == 0, -1.0, 1.0)
    charge = np.cumsum(current) * 10 / 3600
    potential = rng.normal(0, 0.1, n)
    path = mpr.write(tmp_path / "a.mpr", time_s=time, potential_V=potential, current_mA=current, charge_mAh=charge,
                     half_cycle=half, cycle=half // 2, step=half, acquired=ACQUIRED, electrode_area_cm2=1.27, electrode="Cu",
                     electrolyte="1 M LiPF6 in EC:DEC 1:1 v/v", comment="A1")
    file = read_mpr(path)
    np.testing.assert_array_equal(file.data["time/s"], time)
    np.testing.assert_array_equal(file.data["Ewe/V"], potential.astype(np.float32))
    np.testing.assert_array_equal(file.data["<I>/mA"], current.astype(np.float32))
    np.testing.assert_array_equal(file.data["(Q-Qo)/mA.h"], charge)
    np.testing.assert_array_equal(file.data["half cycle"], half)
    np.testing.assert_array_equal(file.get_flag("ox/red"), current > 0)
    assert abs((file.timestamp - ACQUIRED).total_seconds()) < 1e-3
    assert b"synthetic" in file.modules[0]["data"]
    assert np.frombuffer(file.modules[0]["data"], "<f4", 1, 0x211)[0] == np.float32(1.27)
    # charge of a half cycle starts anew with it
    assert file.data["Q charge/discharge/mA.h"][199] == pytest.approx(1000 / 3600)


def test_an_impedance_mpr_file_keeps_its_spectrum(tmp_path):
    frequency = np.logspace(5, -1, 31)
    impedance = 5 + 20 / (1 + (2j * np.pi * frequency * 2e-4) ** 0.9)
    path = mpr.write_impedance(tmp_path / "a.mpr", frequency_Hz=frequency, impedance_ohm=impedance, time_s=np.arange(31.0),
                               acquired=ACQUIRED)
    data = read_mpr(path).data
    np.testing.assert_array_equal(data["freq/Hz"], frequency.astype(np.float32))
    np.testing.assert_allclose(data["Re(Z)/Ohm"] - 1j * data["-Im(Z)/Ohm"], impedance, rtol=1e-6)


def test_a_gamry_file_keeps_its_spectrum(tmp_path):
    frequency = np.logspace(5, -1, 31)
    impedance = 5 + 20 / (1 + (2j * np.pi * frequency * 2e-4) ** 0.9)
    path = dta.write(tmp_path / "a.DTA", frequency_Hz=frequency, impedance_ohm=impedance, time_s=np.arange(31.0),
                     acquired=ACQUIRED)
    lines = path.read_text("latin-1").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("ZCURVE"))
    names = lines[start + 1].split("\t")[1:]
    table = np.array([[float(v) for v in line.split("\t")[1:]] for line in lines[start + 3:]])
    column = dict(zip(names, table.T, strict=True))
    np.testing.assert_allclose(column["Freq"], frequency, rtol=1e-6)
    np.testing.assert_allclose(column["Zreal"] + 1j * column["Zimag"], impedance, rtol=1e-6)
