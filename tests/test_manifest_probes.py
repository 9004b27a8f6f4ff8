"""Every file of scanning probes, atom probe, tomography and X-ray microscopy by the figures of its MANIFEST."""

import h5py
import numpy as np
import pytest
from conftest import REAL_DATA
from manifests import (
    check,
    condition,
    count,
    derived,
    field,
    first,
    highest,
    last,
    lowest,
    parameters,
    rows,
    step,
)

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError

PROBES = REAL_DATA / "afm_txm_apt"
SAID = rows(PROBES / "MANIFEST.tsv")
UM, MM, METRE, ANGSTROM, DEGREE = 1e3, 1e6, 1e9, 0.1, np.pi / 180
"""In nm; degrees in radians."""


def scan(rows_, columns, low, high, variable="height", unit=1.0):
    """A map of heights: pixels and extremes."""
    return [count(rows_, "y"), count(columns, "x"), lowest(low, variable, 0, unit), highest(high, variable, 0, unit)]


def curve(points, spring, curves=""):
    """Force over deflection is the spring constant, wherever the deflection is far from zero."""
    def constant(found):
        bent = np.abs(found[0]["deflection"].values) > 1
        return float(np.median(found[0]["force"].values[bent] / found[0]["deflection"].values[bent]))

    return [count(points, "time"), derived(spring, "spring constant in N/m", constant),
            *([count(curves, "position")] if curves else [])]


def ranges(many, elements=""):
    return [count(many, "range"),
            *([derived(elements, "elements", lambda found: len(found[0].attrs["conditions"]["elements"]))] if elements else [])]


def xradia(energy, exposure, most):
    return [condition(energy, "photon_energy_eV"), condition(exposure, "exposure_s"), highest(most, "intensity")]


def _levelled(found):
    height = found[0]["height"].values
    return height - height.mean()


def _moment(found, order):
    height = _levelled(found)
    return float((height ** order).mean() / height.std() ** order)


def _optical_density(sample, energy):
    """-ln(sample / flat), each per second, as an image of absorption is defined."""
    flat, = read_acquisitions(PROBES / "txm" / f"ssrl_rep01_ref_0{energy}_eV_001of010.xrm")
    light, white = (np.maximum(ds["intensity"].values, 1.0) / ds.attrs["conditions"]["exposure_s"] for ds in (sample, flat))
    return float(np.percentile(-np.log(light / white), 99))


def _before_the_edge(found):
    del found
    sample, = read_acquisitions(PROBES / "txm" / "ssrl_rep01_sample_08324.0_eV_001of003.xrm")
    return _optical_density(sample, "8324.0")


FIGURES = {
    "afm/afmformats_2020.02.07.jpk-qi-data": [
        *curve("600", "0.03011", "4"),
        derived("10", "side of the grid in um", lambda found: 128 * float(np.diff(found[0]["position_x"].values).mean()) / UM)],
    "afm/afmformats_igor_fd_SiN.ibw": curve("2016", "1.184"),
    "afm/afmformats_spot3-0192.jpk-force": curve("4000", "0.0435"),
    "afm/afmreader_sample_0.h5-jpk": [
        count("4", "time"), *scan("128", "128", "722.6", "752.2"),
        *(derived(text, f"nominal time of frame {i}", lambda found, i=i: float(found[0]["nominal_time"][i]))
          for i, text in enumerate(("0", "3.2", "6.4", "9.6")))],
    "afm/afmreader_sample_0.jpk": [
        *scan("256", "256", "3302.59", "3360.95"), step("1.2770", "x"), field("326.9", "x")],
    "afm/afmreader_sample_0.top": [*scan("512", "512", "-80.80", "-21.05"), step("0.9766", "x")],
    "afm/bench_topostats_minicircle_cropped_flattened.npy": scan("256", "256", "-0.875", "3.809", "intensity"),
    **{f"afm/bench_topostats_scar_{name}.npy": [] for name in ("image", "marked", "removed")},
    "afm/gwyfile_test.gwy": scan("128", "128", "0", "0.001"),
    "afm/nanonis_gen4_afm_A151216.sxm": [count("128", "y"), count("128", "x"), field("2", "x"), field("2", "y")],
    "afm/nanonis_gen4_afm_nxs_truth.nxs": [
        count("128", "y"), count("128", "x"), derived("14", "maps", lambda found: len(found[0].data_vars))],
    "afm/playnano_asd_sample_0.asd": [
        count("32", "time"), *scan("200", "200", "-249.3", "0"), step("0.5", "x"), field("100", "y"), step("1", "time")],
    "afm/rsciio_test_surface.sur": [*scan("128", "128", "238.5", "512.3", "intensity"), step("8.252e-5", "x", unit=MM)],
    "afm/surfalize_zygo_test_1.dat": [
        count("640", "x"), count("480", "y"), step("1.0983", "x", unit=UM),
        derived("-0.45727", "skewness", lambda found: _moment(found, 3)),
        derived("2.11955", "kurtosis", lambda found: _moment(found, 4))],
    "afm/surftopo_10x10_unnamed_channel.ibw": scan("10", "10", "1", "2"),
    "afm/surftopo_di-1.di": [*scan("512", "512", "-30.31", "28.89"), field("500", "x"),
                             derived("4", "channels", lambda found: len(found[0].data_vars))],
    "afm/surftopo_mi-1.mi": [*scan("256", "256", "-0.63", "-0.464", unit=UM), field("20", "x", unit=UM),
                             derived("4", "channels", lambda found: len(found[0].data_vars))],
    "afm/surftopo_nid-1.nid": [*scan("256", "256", "-1.983e-6", "-9.254e-7", unit=METRE), field("20", "x", unit=UM),
                               derived("8", "channels", lambda found: len(found[0].data_vars))],
    "afm/surftopo_park_example_ps.tiff": [*scan("512", "512", "-14.98", "21.71"), field("1.0", "x", unit=UM)],
    "afm/surftopo_sdf-1.sdf": [
        count("7", "x"), count("4", "y"), step("1", "x", unit=UM),
        derived("0.01158", "Sa in um", lambda found: float(np.abs(_levelled(found)).mean()) / UM),
        derived("0.013603", "Sq in um", lambda found: float(_levelled(found).std()) / UM)],
    "apt/apav_Si.RNG": ranges("25", "5"),
    "apt/apav_Si.RRNG": ranges("25"),
    "apt/apav_Si_first200k.pos": [
        lowest("0", "mass_to_charge"), highest("229.64", "mass_to_charge"), lowest("-12.79", "x"), highest("12.31", "x"),
        lowest("-11.22", "y"), highest("13.34", "y"), lowest("-27.16", "z"), highest("-0.02", "z")],
    "apt/apttools_rangefile.rrng": [
        *ranges("32"), derived("10", "ions", lambda found: len(found[0].attrs["vendor"]["ions"])),
        derived("3", "ranges without a formula", lambda found: found[0].attrs["vendor"]["formula"].count(""))],
    "apt/apyt_W_calibration_tap_01_trimmed.raw": [],
    "apt/compositionspace_Si.RRNG": ranges("25"),
    "apt/ifes_ErMnO.env": [
        *ranges("26"), derived("12", "ions with a colour", lambda found: len(found[0].attrs["vendor"]["colours"]))],
    "apt/ifes_R18_59377.rng": ranges("39", "11"),
    "apt/ifes_R31_06365-v02.rrng": ranges("72"),
    "apt/ifes_ZX21-T4.analysisset": [],
    "apt/pyccapt_AL_data_b.h5": [count("1000", "ion")],
    "tomo/bench_tomopy_angle.npy": [count("16", "frame"), lowest("0", "intensity"), highest("2.945", "intensity")],
    "tomo/bench_tomopy_fbp.npy": [count("8", "frame"), *scan("48", "48", "154.07", "598.48", "intensity")],
    "tomo/bench_tomopy_gridrec_none.npy": [count("8", "frame"), *scan("48", "48", "-37.6", "36.0", "intensity")],
    "tomo/bench_tomopy_proj.npy": [count("16", "frame"), count("8", "y"), count("48", "x")],
    "tomo/bench_tomopy_sirt.npy": [count("8", "frame"), *scan("48", "48", "-0.0286", "0.963", "intensity")],
    "tomo/mrcfile_EMD-3001.map": [count("25", "y"), count("43", "x"), count("73", "z"), step("0.44825", "x", unit=ANGSTROM)],
    "tomo/mrcfile_EMD-3197.map": [count("20", "z"), *scan("20", "20", "-4.134", "5.577", "intensity"),
                                  *(step("11.4", axis, unit=ANGSTROM) for axis in "zyx")],
    "tomo/tomopy_shepp2d.tif": [count("512", "y"), count("512", "x")],
    "tomo/tomopy_tooth.h5": [count("181", "tilt"), count("2", "y"), count("640", "x"), count("10", "frame", 1),
                             count("10", "frame", 2)],
    "txm/als_ptycho_high_energy.h5": [
        count("2", "photon_energy"), count("228", "y"), count("228", "x"), count("20", "y", 1), count("20", "x", 1)],
    "txm/cosmic_stxm-scan.hdr": [count("120", "y"), count("120", "x"), step("27.2", "x"), step("27.2", "y")],
    "txm/cosmic_stxm-scan_a003.xim": scan("120", "120", "6098", "19571", "intensity"),
    "txm/dxchange_txrm_test_chip_tomo.txrm": [
        count("7", "tilt"), count("256", "y"), count("256", "x"), first("-45.018", "tilt"), last("44.986", "tilt"),
        step("155.79", "x"), condition("9200.02", "photon_energy_eV")],
    "txm/savu_24888.nxs": [count("111", "frame")],
    "txm/ssrl_NCA_xanes.csv": [count("61", "photon_energy"), first("8250", "photon_energy"), last("8640", "photon_energy")],
    "txm/ssrl_rep01_ref_08324.0_eV_001of010.xrm": xradia("8324.0", "0.3", "2744"),
    "txm/ssrl_rep01_ref_08354.0_eV_001of010.xrm": xradia("8354.0", "0.3", "2938"),
    "txm/ssrl_rep01_sample_08324.0_eV_001of003.xrm": [
        *xradia("8324.0", "0.5", "1586"), count("1024", "y"), count("1024", "x"), step("31.2", "x")],
    "txm/ssrl_rep01_sample_08354.0_eV_001of003.xrm": [
        condition("8354.0", "photon_energy_eV"),
        derived("2.007", "optical density, 99th percentile", lambda found: _optical_density(found[0], "8354.0")),
        derived("1.336", "optical density, 99th percentile, before the edge", _before_the_edge)],
    "txm/xanespy_mosaic_4x4_bin8.xrm": [count("1024", "y"), count("1024", "x"), step("155.79", "x"),
                                        condition("8412.98", "photon_energy_eV")],
}
"""File -> figures of the MANIFEST."""

REFUSED = {
    "afm/bad_surftopo_di_corrupted.di": r"^bad_surftopo_di_corrupted\.di: declares 256 x 256 .*; the file is truncated",
    "afm/bench_topostats_minicircle_cropped_grainstats.csv": r"^bench_\S+\.csv: no reader recognises the content",
}
"""A file that is broken, and a program's table of results, which is no measurement."""


@pytest.mark.parametrize(("file", "figure"), parameters(FIGURES))
def test_a_file_has_the_figures_of_its_manifest(real_data, file, figure):
    check(PROBES, SAID[file], file, figure)


def test_no_file_of_the_manifest_is_left_out(real_data):
    assert set(FIGURES) | set(REFUSED) == set(SAID)


@pytest.mark.parametrize("file", sorted(REFUSED))
def test_what_is_broken_or_no_measurement_is_refused_in_one_line(real_data, file):
    with pytest.raises(FileError, match=REFUSED[file]):
        read_acquisitions(PROBES / file)


@pytest.mark.parametrize("file", [name for name in FIGURES if name.endswith(".npy")])
def test_a_plain_array_arrives_as_numpy_reads_it(real_data, file):
    (ds,) = read_acquisitions(PROBES / file)
    np.testing.assert_array_equal(ds["intensity"], np.load(PROBES / file))


def test_a_scan_has_five_channels_there_and_back(real_data):
    """Ten maps: the MANIFEST's six are the names of AFMReader, the thumbnail among them and the ways not told apart."""
    (ds,) = read_acquisitions(PROBES / "afm" / "afmreader_sample_0.jpk")
    ways = {name.removesuffix("_retrace") for name in map(str, ds.data_vars)}
    assert ways == {"height", "height_measured", "lock_in_amplitude", "lock_in_phase", "error_signal"}
    assert len(ds.data_vars) == 2 * len(ways)


def test_the_range_of_heights_is_the_amplitude_of_the_header(real_data):
    """59.7449 nm; the MANIFEST's 59.75 is the difference of the rounded ends."""
    (ds,) = read_acquisitions(PROBES / "afm" / "afmreader_sample_0.top")
    assert float(np.ptp(ds["height"].values)) == pytest.approx(59.7449, abs=5e-5)
    assert b"Z Amplitude: 59.7449 nm" in (PROBES / "afm" / "afmreader_sample_0.top").read_bytes()


def test_the_height_of_a_scan_at_constant_height_is_that_of_its_bytes(real_data):
    """-21.8616 nm: the MANIFEST says -21.8612, which neither the file nor the NeXus file made of it holds."""
    (ds,), (twin,) = (read_acquisitions(PROBES / "afm" / f"nanonis_gen4_afm_{name}")
                      for name in ("A151216.sxm", "nxs_truth.nxs"))
    body = (PROBES / "afm" / "nanonis_gen4_afm_A151216.sxm").read_bytes().partition(b"\x1a\x04")[2]
    stored = np.frombuffer(body, ">f4", 128 * 128)
    assert set(stored.tolist()) == {stored[0].item()}
    for found in (ds, twin):
        np.testing.assert_allclose(found["height"], stored[0] * 1e9, rtol=1e-6)
    assert f"{stored[0] * 1e9:.4f}" == "-21.8616"


def test_the_way_back_lies_over_the_way_there_only_when_it_is_mirrored(real_data):
    """The file stores each way as it was scanned: the frequency shift of both ways resembles itself at the same place."""
    (ds,) = read_acquisitions(PROBES / "afm" / "nanonis_gen4_afm_A151216.sxm")
    there, back = ds["frequency_shift"].values, ds["frequency_shift_retrace"].values
    assert np.corrcoef(there.ravel(), back.ravel())[0, 1] > 0.9 > np.corrcoef(there.ravel(), back[:, ::-1].ravel())[0, 1]


def test_a_map_whose_axes_are_permuted_keeps_three_voxel_sizes(real_data):
    """The MANIFEST's 0.44825 is that along x only: 0.44825, 0.3925 and 0.45875 A in the header of EMD-3001."""
    (ds,) = read_acquisitions(PROBES / "tomo" / "mrcfile_EMD-3001.map")
    head = (PROBES / "tomo" / "mrcfile_EMD-3001.map").read_bytes()[:1024]
    intervals, cell = np.frombuffer(head, "<i4", 3, 28), np.frombuffer(head, "<f4", 3, 40)
    for axis, size in zip("xyz", cell / intervals, strict=True):
        assert float(ds[axis][1] - ds[axis][0]) == pytest.approx(size / 10, rel=1e-6)


def test_hits_of_a_tap_are_eight_numbers_for_each_ion(real_data):
    """3,200,000 bytes and no figures in the MANIFEST: 100,000 records of eight little-endian numbers of four bytes."""
    path = PROBES / "apt" / "apyt_W_calibration_tap_01_trimmed.raw"
    (ds,) = read_acquisitions(path)
    stored = np.fromfile(path, "<f4").reshape(-1, 8)
    assert ds.sizes["ion"] == len(stored) == 100_000
    columns = [np.asarray(ds[name], np.float64) for name in ds.data_vars if ds[name].dtype.kind == "f"]
    for values in columns:
        assert any(np.allclose(values, column, rtol=1e-6) for column in stored.T.astype(np.float64))


def test_hits_of_pyccapt_are_those_of_the_group_dld(real_data):
    path = PROBES / "apt" / "pyccapt_AL_data_b.h5"
    hits = read_acquisitions(path)[0]
    with h5py.File(path) as file:
        stored = {name: file["dld"][name][()] for name in ("t", "x", "y", "high_voltage", "pulse_voltage", "start_counter")}
        assert sum(isinstance(item, h5py.Dataset) for group in file.values() for item in group.values()) == 19
    for ours, theirs in (("time_of_flight", "t"), ("hit_x", "x"), ("hit_y", "y"), ("standing_voltage", "high_voltage"),
                         ("pulse_voltage", "pulse_voltage"), ("start_counter", "start_counter")):
        np.testing.assert_allclose(hits[ours], stored[theirs])


def test_ranges_of_one_run_agree_whichever_program_wrote_them(real_data):
    """Three files of the same 25 ranges, and 39 of an IVAS analysis, for which the MANIFEST gives no number."""
    one, two, three = (read_acquisitions(PROBES / "apt" / name)[0]
                       for name in ("apav_Si.RRNG", "compositionspace_Si.RRNG", "apav_Si.RNG"))
    for other in (two, three):
        np.testing.assert_allclose(np.sort(one["range_start"]), np.sort(other["range_start"]), atol=1e-4)
    (ivas,) = read_acquisitions(PROBES / "apt" / "ifes_ZX21-T4.analysisset")
    assert (ivas["range_end"] > ivas["range_start"]).all()


def test_the_first_ions_of_a_run_are_as_many_as_the_file_has_records(real_data):
    (ds,) = read_acquisitions(PROBES / "apt" / "apav_Si_first200k.pos")
    assert "200,000" in SAID["apt/apav_Si_first200k.pos"]
    assert ds.sizes["ion"] == 200_000 == (PROBES / "apt" / "apav_Si_first200k.pos").stat().st_size // 16
