"""Each file of the virtual specimen is what its format says: other programs read back what was written."""

from datetime import datetime

import h5py
import numpy as np
import pandas as pd
import pytest
from galvani.BioLogic import MPRfile, MPTfile
from rsciio import emd as rs_emd
from rsciio import mrc as rs_mrc
from rsciio import msa as rs_msa
from rsciio import ripple as rs_ripple
from rsciio import tiff as rs_tiff

from datasets.acquisition import read_acquisitions
from datasets.writers import (
    ang,
    bdf,
    data_exchange,
    dta,
    fei_tiff,
    gwy,
    jcamp,
    mpr,
    mpt,
    mrc,
    msa,
    ncem_emd,
    pos,
    ripple,
    sxm,
    tofsims,
    vamas,
)

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


def test_the_microscopes_record_of_an_mrc_file_says_what_was_put_in(tmp_path, image):
    record = mrc.Microscope(300, scanning=True, dose_e_per_A2=20, dwell_time_s=1e-5, convergence_mrad=21, detector="HAADF",
                            acquired=ACQUIRED)
    path = mrc.write(tmp_path / "a.mrc", image, pixel_size_nm=(0.05, 0.04), microscope=record)
    mrcfile = pytest.importorskip("mrcfile")
    with mrcfile.open(path) as file:
        np.testing.assert_array_equal(file.data, image)
        fields = file.indexed_extended_header[0]
        assert fields["HT"] == 300e3
        assert fields["Dose"] == 20e20
        assert fields["Pixel size X"] == pytest.approx(0.04e-9)
        assert fields["Dwell time"] == 1e-5
        assert fields["STEM Detector name"] == b"HAADF"
    assert mrcfile.validate(path)
    (ds,) = read_acquisitions(path)
    assert ds.attrs["technique"] == "stem_image"
    wanted = {"beam_energy_keV": 300, "dwell_time_s": 1e-5, "detector": "HAADF", "acquired": "2026-11-22T09:30:15"}
    assert {key: ds.attrs["conditions"].get(key) for key in wanted} == wanted


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


@pytest.mark.parametrize("comma", [False, True])
def test_an_mpt_text_keeps_every_point_with_either_decimal_sign(tmp_path, rng, comma):
    n = 200
    half = np.repeat([0, 1], 100)
    current = np.where(half == 0, -1.0, 1.0)
    potential = rng.normal(0, 0.1, n)
    path = mpt.write(tmp_path / "a.mpt", time_s=np.arange(n) * 10.0, potential_V=potential, current_mA=current,
                     charge_mAh=np.cumsum(current) / 360, half_cycle=half, cycle=half, acquired=ACQUIRED, comma=comma)
    with path.open("rb") as file:
        data, comments = MPTfile(file)
    np.testing.assert_allclose(data["Ewe/V"], potential, rtol=1e-7)
    np.testing.assert_allclose(data["(Q-Qo)/mA.h"], np.cumsum(current) / 360, rtol=1e-7)
    assert any(b"synthetic" in line for line in comments)


def test_a_bdf_table_keeps_every_point_with_units_in_its_names(tmp_path, rng):
    potential, current = rng.normal(size=50), rng.normal(size=50)
    path = bdf.write(tmp_path / "a.bdf.csv", time_s=np.arange(50.0), potential_V=potential, current_mA=current,
                     cycle=np.zeros(50, int), step=np.zeros(50, int))
    table = pd.read_csv(path)
    np.testing.assert_allclose(table["Current / A"] * 1000, current, rtol=1e-8)
    np.testing.assert_allclose(table["Voltage / V"], potential, rtol=1e-8)
    assert set(table["Cycle Count / 1"]) == {1}


@pytest.mark.parametrize("transmittance", [False, True])
def test_a_jcamp_spectrum_keeps_its_absorbance_and_wavenumbers(tmp_path, transmittance):
    x = np.arange(650.0, 4000, 1.93)
    y = np.exp(-((x - 1437) ** 2) / 800) - 0.01
    path = jcamp.write(tmp_path / "a.jdx", wavenumber_per_cm=x, absorbance=y, title="A1", transmittance=transmittance)
    head, body = path.read_text().split("##XYDATA=(X++(Y..Y))\n")
    keys = dict(line.removeprefix("##").split("=", 1) for line in head.splitlines())
    rows = [[float(v) for v in line.split()] for line in body.splitlines() if not line.startswith("##")]
    values = np.array([v for row in rows for v in row[1:]]) * float(keys["YFACTOR"])
    np.testing.assert_allclose(values, 10.0 ** -y if transmittance else y, atol=1e-8)
    assert int(keys["NPOINTS"]) == x.size
    np.testing.assert_allclose([row[0] for row in rows], x[::6], atol=1e-4)
    assert "synthetic" in keys["OWNER"]


def test_an_irregular_axis_cannot_be_written_as_x_plus_plus(tmp_path):
    with pytest.raises(ValueError, match="regular"):
        jcamp.write(tmp_path / "a.jdx", wavenumber_per_cm=np.array([1.0, 2.0, 4.0]), absorbance=np.ones(3))


def test_a_gwyddion_file_keeps_heights_sizes_and_notes(tmp_path, rng):
    height = rng.normal(size=(20, 30))
    path = gwy.write(tmp_path / "a.gwy", {"Height": height}, pixel_size_nm=(5.0, 8.0), metadata={"Scan angle": "12 deg"})
    library = pytest.importorskip("gwyfile")
    field = library.util.get_datafields(library.load(str(path)))["Height"]
    np.testing.assert_allclose(field.data, height * 1e-9)
    assert (field.xreal, field.yreal) == (pytest.approx(240e-9), pytest.approx(100e-9))


def test_a_gwyddion_file_is_nested_blocks_whose_lengths_close(tmp_path, rng):
    path = gwy.write(tmp_path / "a.gwy", {"Height": rng.normal(size=(4, 5))}, pixel_size_nm=None)
    raw = path.read_bytes()
    assert raw.startswith(b"GWYPGwyContainer\0")
    size = int.from_bytes(raw[17:21], "little")
    assert 21 + size == len(raw)
    assert b"synthetic" in raw


@pytest.mark.parametrize("upwards", [False, True])
def test_a_nanonis_scan_keeps_heights_mirrored_in_the_retrace_and_upside_down_when_scanned_up(tmp_path, rng, upwards):
    height = rng.normal(size=(8, 12)).astype(np.float32)
    path = sxm.write(tmp_path / "a.sxm", height, pixel_size_nm=(5.0, 4.0), acquired=ACQUIRED, upwards=upwards)
    head, _, data = path.read_bytes().partition(b"\x1a\x04")
    values = np.frombuffer(data, ">f4").reshape(2, 8, 12) * 1e9
    trace = values[0][::-1] if upwards else values[0]
    np.testing.assert_allclose(trace, height, rtol=1e-5)
    np.testing.assert_allclose(values[1][:, ::-1], values[0])
    text = head.decode()
    assert [float(v) for v in text.split(":SCAN_RANGE:")[1].split()[:2]] == pytest.approx([48e-9, 40e-9])
    assert "synthetic" in text


def test_a_pos_file_keeps_ions_and_its_range_file_names_them(tmp_path, rng):
    xyz, mass = rng.normal(size=(1000, 3)) * 10, rng.uniform(1, 60, 1000)
    ranges = [pos.Range(6.9, 7.1, {"Li": 1}), pos.Range(22.9, 23.1, {"Li": 1, "O": 1}, 0.03)]
    path = pos.write(tmp_path / "a.pos", position_nm=xyz, mass_to_charge_Da=mass)
    back = np.fromfile(path, ">f4").reshape(-1, 4)
    np.testing.assert_allclose(back[:, :3], xyz, rtol=1e-6)
    np.testing.assert_allclose(back[:, 3], mass, rtol=1e-6)
    text = pos.write_ranges(tmp_path / "a.rrng", ranges).read_text()
    assert "Range2=22.9000 23.1000 Vol:0.03000 Li:1 O:1 Color:" in text
    assert "synthetic" in text


def test_a_data_exchange_stack_keeps_counts_flats_and_energies(tmp_path, rng):
    stack = rng.poisson(4000, (5, 12, 16)).astype(np.uint16)
    energy = np.linspace(8300, 8400, 5)
    path = data_exchange.write(tmp_path / "a.h5", stack, white=stack[:1], dark=stack[:1] // 100, energy_eV=energy,
                               pixel_size_nm=(30.0, 30.0), exposure_s=1.0, sample="A1")
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["exchange/data"][:], stack)
        np.testing.assert_array_equal(file["exchange/energy"][:], energy)
        assert file["exchange/energy"].attrs["units"] == "eV"
        assert file["measurement/instrument/detector/x_actual_pixel_size"][()] == 30
        assert b"synthetic" in file["exchange/title"][()]


def test_a_tofsims_profile_keeps_its_counts_beside_sputter_time(tmp_path, rng):
    counts = {"Li+": rng.poisson(500, 20), "C2H5O+": rng.poisson(50, 20)}
    path = tofsims.write(tmp_path / "a.txt", counts, masses_Da={"Li+": 7.016, "C2H5O+": 45.034},
                         sputter_time_s=np.arange(20) * 1.5, dose_ions=np.arange(1, 21) * 1e9, area_um2=1e4)
    lines = path.read_text().splitlines()
    assert sum(line.startswith("#") for line in lines) == 4
    table = np.loadtxt(path)
    np.testing.assert_allclose(table[:, 4:], np.column_stack(list(counts.values())))
    np.testing.assert_allclose(table[:, 3], table[:, 2] / 1e-4)


def test_an_ang_map_has_one_row_per_point_and_its_step_in_micrometres(tmp_path, rng):
    euler = rng.uniform(0, 6, (5, 7, 3))
    confidence = rng.uniform(0, 1, (5, 7))
    confidence[2, 3] = -1
    path = ang.write(tmp_path / "a.ang", euler, step_um=1.5, confidence=confidence, quality=100 * confidence,
                     phase_name="Lithium", formula="Li", cell=(3.51, 3.51, 3.51, 90, 90, 90))
    table = np.loadtxt(path)
    assert table.shape == (35, 10)
    np.testing.assert_allclose(table[:, :3], euler.reshape(-1, 3), atol=1e-5)
    assert table[-1, 3] == 9.0
    assert table[-1, 4] == 6.0
    assert table[17, 7] == 0


def only(path):
    (ds,) = read_acquisitions(path)
    return ds


def step(ds, name):
    return float(ds[name][1] - ds[name][0]), ds[name].attrs["units"]


def test_the_projects_readers_find_every_image_calibrated_as_written(tmp_path, image):
    size = (5.0, 4.0)
    dims = [("y", "nm", 5.0 * np.arange(48)), ("x", "nm", 4.0 * np.arange(64))]
    for path in (mrc.write(tmp_path / "a.mrc", image, pixel_size_nm=size),
                 fei_tiff.write(tmp_path / "a.tif", image, pixel_size_nm=size, beam_energy_keV=2, beam_current_pA=50,
                                dwell_time_s=1e-6),
                 ncem_emd.write(tmp_path / "a.emd", image, dims, beam_energy_keV=300)):
        ds = only(path)
        assert [step(ds, "y"), step(ds, "x")] == [(pytest.approx(5.0), "nm"), (pytest.approx(4.0), "nm")]
        assert ds.attrs["uncalibrated"] == []
        (values,) = [v for v in ds.data_vars.values() if {"y", "x"} <= set(v.dims)]
        np.testing.assert_array_equal(values.transpose("y", "x"), image)


def test_the_projects_readers_know_an_image_without_calibration_for_what_it_is(tmp_path, image):
    for path in (mrc.write(tmp_path / "a.mrc", image, pixel_size_nm=None),
                 fei_tiff.write(tmp_path / "a.tif", image, pixel_size_nm=None, beam_energy_keV=2, beam_current_pA=50,
                                dwell_time_s=1e-6)):
        assert set(only(path).attrs["uncalibrated"]) == {"y", "x"}


def test_the_projects_readers_find_spectrum_images_with_their_energies(tmp_path, rng):
    cube = rng.poisson(3, (6, 7, 40)).astype(np.uint16)
    loss = -5 + 0.5 * np.arange(40)
    eels = only(ncem_emd.write(tmp_path / "a.emd", cube, [("y", "nm", 2.0 * np.arange(6)), ("x", "nm", 3.0 * np.arange(7)),
                                                          ("Energy loss", "eV", loss)], beam_energy_keV=300))
    edx = only(ripple.write(tmp_path / "b.rpl", cube, pixel_size_nm=(2.0, 3.0), channel_keV=0.01, first_channel_keV=-0.2))
    np.testing.assert_allclose(eels["energy_loss"], loss)
    assert step(edx, "xray_energy") == (pytest.approx(0.01), "keV")
    for ds, energy in ((eels, "energy_loss"), (edx, "xray_energy")):
        (values,) = [v for v in ds.data_vars.values() if energy in v.dims]
        np.testing.assert_array_equal(values.transpose("y", "x", energy), cube)


def test_the_projects_readers_find_every_xps_region_at_its_binding_energy(tmp_path, rng):
    counts = rng.poisson(500, 301)
    blocks = [vamas.Block("C 1s", "C", "1s", 1486.68 - 300, 0.05, counts, dwell_s=0.1),
              vamas.Block("F 1s", "F", "1s", 1486.68 - 700, 0.05, counts, dwell_s=0.1)]
    found = read_acquisitions(vamas.write(tmp_path / "a.vms", blocks, sample="A1"))
    assert [ds.attrs["technique"] for ds in found] == ["xps", "xps"]
    first = found[0]["binding_energy"].values
    assert (first.max(), first.min()) == (pytest.approx(300), pytest.approx(285))


def test_the_projects_readers_find_cycling_and_impedance_with_the_area_of_the_electrode(tmp_path):
    n = 400
    half = np.repeat(np.arange(4), 100)
    current = np.where(half % 2 == 0, -1.0, 1.0)
    run = only(mpr.write(tmp_path / "a.mpr", time_s=np.arange(n) * 10.0, potential_V=np.zeros(n), current_mA=current,
                         charge_mAh=np.cumsum(current) / 360, half_cycle=half, cycle=half // 2, acquired=ACQUIRED,
                         electrode_area_cm2=1.27))
    np.testing.assert_array_equal(run["current"], current)
    np.testing.assert_allclose(run["charge"], np.cumsum(current) / 360)
    assert run.attrs["conditions"]["electrode_area_cm2"] == pytest.approx(1.27)
    frequency = np.logspace(5, -1, 31)
    impedance = 5 + 20 / (1 + (2j * np.pi * frequency * 2e-4) ** 0.9)
    common = {"frequency_Hz": frequency, "impedance_ohm": impedance, "time_s": np.arange(31.0), "acquired": ACQUIRED}
    for spectrum in (only(mpr.write_impedance(tmp_path / "b.mpr", **common)), only(dta.write(tmp_path / "c.DTA", **common))):
        assert spectrum.attrs["technique"] == "eis"
        ordered = spectrum.sortby("frequency")
        np.testing.assert_allclose(ordered["impedance_imaginary"], impedance.imag[::-1], rtol=1e-5)
