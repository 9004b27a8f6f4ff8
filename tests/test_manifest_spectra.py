"""Every spectrum of the MANIFEST by the figures that others gave of it; where they and the reader differ, the bytes decide."""

import re
from itertools import starmap

import numpy as np
import pytest
from conftest import REAL_DATA
from manifests import (
    at,
    check,
    condition,
    count,
    derived,
    first,
    highest,
    last,
    parameters,
    rows,
    stated,
    step,
    where_highest,
)

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError

SPECTRA = REAL_DATA / "spectra"
SAID = rows(SPECTRA / "MANIFEST.tsv")
MINUTE = 60.0
PERCENT = 0.01


def region(of, points, begin, end, most, variable="count_rate"):
    """An XPS region against binding energy; the MANIFEST's maxima are in counts/s, as the files are."""
    known = [count(points, "binding_energy", of), first(begin, "binding_energy", of)]
    known += [last(end, "binding_energy", of)] if end else []
    return known + ([highest(most, variable, of)] if most else [])


FIGURES = {
    "xps_vamas_regular.vms": [
        condition("1486.61", "photon_energy_eV"), condition("100", "pass_energy_eV"), condition("4.1082", "work_function_eV"),
        first("136.61", "kinetic_energy"), step("1.0", "kinetic_energy"), count("1351", "binding_energy"),
        highest("10836.6", "intensity"), derived("1044", "number of the highest point",
                                                 lambda found: int(found[0]["intensity"].values.argmax()))],
    "xps_casaxps_analyzed_FeO.vms": [
        count("1121", "binding_energy"), first("736.61", "kinetic_energy"), last("792.61", "kinetic_energy"),
        step("0.05", "kinetic_energy"), highest("12020.35", "count_rate"),
        *map(stated, ("63507.374", "35837.064", "49042.126", "17705.155"))],
    "xps_casaxps_FeO_lineshapes_cols.txt": [
        *region(0, "1121", "750", "694", ""),
        derived("4", "components", lambda found: sum(name.startswith("component_") for name in found[0]))],
    "xps_casaxps_FeO_results.csv": [
        *(at(text, "line_position", (i,)) for i, text in enumerate(("709.03", "715.73", "722.18", "730.22"))),
        *(at(text, "area", (i,)) for i, text in enumerate(("63400.62", "29867.34", "42839.74", "15954.51"))),
        *(at(text, "atomic_share", (i,)) for i, text in enumerate(("41.89", "19.65", "28.06", "10.40")))],
    "xps_phi_SnO2_depthprofile.pro": [
        count("21", "sputter_level"), count("1751", "binding_energy"),
        *region(1, "101", "298", "278", "10920"), *region(2, "101", "114", "94", ""), *region(3, "101", "500", "480", ""),
        *(derived(text, f"highest of level {level} of {of}",
                  lambda found, of=of, level=level: float(found[of]["count_rate"][level].max()))
          for of, level, text in ((1, 0, "10920"), (1, 1, "4808.8"), (1, -1, "2790"), (2, 0, "4005"), (2, -1, "8475"),
                                  (3, 0, "120375"), (3, 1, "192475"), (3, -1, "66287.5")))],
    "xps_phi_yadg_test0.spe": [
        *region(0, "3401", "1355", "-5", "17187.5"), step("-0.4", "binding_energy", 0),
        *region(1, "161", "695", "675", "4412.5"), step("-0.125", "binding_energy", 1)],
    "xps_scienta_Ag.ibw": [*region(0, "801", "30", "-10", "6.71277", "intensity"), step("-0.05", "binding_energy")],
    "xps_specs_insitu.xml": [
        count("1403", "binding_energy", 0), highest("777", "channel_sum", 0), count("201", "binding_energy", 1),
        count("2", "spectrum", 1), highest("560", "channel_sum", 1),
        derived("559", "highest of the second scan", lambda found: float(found[1]["channel_sum"][1].max()))],
    "xps_specs_MgFe2O4.xy": [*region(0, "1351", "1350", "0", "108366.48", "intensity"),
                             *region(1, "56", "750", "695", "7613.94", "intensity")],
    "xps_kratos_NiW.vms": [
        figure for of, (points, begin, most) in enumerate((
            ("1206", "286.69", "6050"), ("601", "586.69", "144"), ("251", "941.69", "5166"), ("301", "1186.69", "2782"),
            ("251", "1436.69", "5360")))
        for figure in (count(points, "binding_energy", of), first(begin, "kinetic_energy", of), highest(most, "intensity", of),
                       condition("-4.5", "work_function_eV", of))],
    "xps_phi_multipak.npl": [
        figure for of, (begin, points, most) in enumerate((
            ("305", "601", "6265"), ("555", "601", "4627.5"), ("180", "501", "2025"), ("410", "401", "3680"),
            ("240", "401", "4206.25")))
        for figure in (*region(of, points, begin, "", most), step("-0.05", "binding_energy", of))],
    "xps_PET_C1s.csv": [],
    "xps_lmfitxps_clean_Au4f.csv": [],
    "xps_thermo_survey.VGD": [
        *region(0, "1361", "1350", "-10", "20950.7", "intensity"), step("-1", "binding_energy"),
        where_highest("285.0", "intensity", "binding_energy"), condition("200", "pass_energy_eV")],
    "xps_Na_MPPipTFSI_F_1s.csv": [*region(0, "97", "695.1", "683.1", "32880.6", "intensity"),
                                  where_highest("688.1", "intensity", "binding_energy"),
                                  where_highest("687.98", "component_1", "binding_energy")],
    "xps_Na_MPPipTFSI_N_1s.csv": [*region(0, "113", "408.1", "394.1", "5349.14"),
                                  where_highest("401.85", "component_1", "binding_energy"),
                                  where_highest("398.73", "component_2", "binding_energy")],
    "xps_Na_MPPipTFSI_Na_1s.csv": [*region(0, "121", "1082.1", "1067.1", "3701.26", "intensity"),
                                   where_highest("1070.72", "intensity", "binding_energy")],
    "xps_Na_deposit_Na_1s.csv": [*region(0, "121", "1080.6", "1065.6", "14358.9", "intensity"),
                                 where_highest("1067.97", "intensity", "binding_energy")],
    "ftir_opus_brukeropus.0": [
        first("9997.721", "wavenumber"), last("499.404", "wavenumber"), count("4927", "wavenumber"),
        highest("6.0", "absorbance"), count("512", "wavenumber", 3), count("29456", "optical_path_difference", 4),
        count("14728", "optical_path_difference", 5)],
    "ftir_opus_peach_juice.0": [
        first("4000.116", "wavenumber"), last("499.532", "wavenumber"), count("1816", "wavenumber"),
        highest("0.92367", "reflectance", 0), highest("0.92328", "reflectance", 1)],
    "ftir_opus_scp_test.0000": [first("3998.345", "wavenumber"), last("699.389", "wavenumber"), count("2567", "wavenumber"),
                                highest("6.0", "absorbance")],
    "ftir_opus_scp_background.0": [
        first("5264.702", "wavenumber"), last("0", "wavenumber"), count("4096", "wavenumber"),
        highest("0.22752", "single_beam"), count("3177", "optical_path_difference", 1)],
    "ftir_omnic_TGAIR.srs": [
        count("335", "time"), count("1868", "wavenumber"), last("3999.706", "wavenumber"), first("399.199", "wavenumber"),
        first("0.26", "time", unit=MINUTE), last("87.016", "time", unit=MINUTE), highest("1.40244", "absorbance")],
    "ftir_omnic_sample1.spa": [first("3999.703", "wavenumber"), last("649.904", "wavenumber"), count("1738", "wavenumber"),
                               highest("6.0", "absorbance")],
    "ftir_omnic_interferogram.spa": [
        count("4160", "optical_path_difference"), first("-0.041", "optical_path_difference"),
        last("2.592", "optical_path_difference"), highest("3.47847", "intensity")],
    "ftir_omnic_small_map.map": [
        derived("4", "places", lambda found: found[0].sizes["y"] * found[0].sizes["x"]), count("14", "wavenumber"),
        first("1604.510", "wavenumber"), last("1805.074", "wavenumber"), highest("4.21218", "single_beam")],
    "4_noimage_agg256.seq": [
        count("8", "y"), count("8", "x"), count("9", "wavenumber"), first("1990.178", "wavenumber"),
        last("2113.600", "wavenumber"), step("15.4277", "wavenumber"), highest("1.38306", "absorbance")],
    "5_mosaic_agg1024.dmt": [count("8", "y"), count("4", "x"), count("9", "wavenumber"), highest("1.33596", "absorbance")],
    "ftir_pe_4x4.fsm": [
        count("4", "y"), count("4", "x"), count("1626", "wavenumber"), first("4000", "wavenumber"), last("750", "wavenumber"),
        highest("101.519", "transmittance", unit=PERCENT)],
    "optir_hyper_sample.ptir": [
        *starmap(lambda of, axis, points: count(points, axis, of), ((0, "wavenumber", "451"), (1, "raman_shift", "1024"))),
        *(derived("35", f"places of {of}", lambda found, of=of: found[of].sizes["y"] * found[of].sizes["x"]) for of in (0, 1))],
    "ftir_nea_spectra20.nea": [
        derived("260", "rows of two points",
                lambda found: (2 * found[0]["intensity"].size + found[1]["intensity"].size) // 2),
        count("2", "optical_path_difference")],
    "ftir_nea_whitelight.gsf": [derived("20000", "pixels", lambda found: found[0]["intensity"].size),
                                highest("1.37250", "intensity")],
    "ftir_jcamp_ethanol.jdx": [first("461.563", "wavenumber"), last("3807.5", "wavenumber"), count("3570", "wavenumber"),
                               highest("1.024", "transmittance")],
    "ftir_jcamp_BRUKDIF.dx": [],
    "ftir_spc_ig_multi.spc": [count("10", "time"), count("4096", "wavenumber"), first("0", "time"), last("10.656", "time")],
    "mcr_als2004dataset.mat": [
        count("51", "spectrum", 0), count("4", "spectrum", 1), count("96", "channel", 1), count("204", "spectrum", 2),
        count("4", "channel", 2), count("204", "spectrum", 3), count("96", "channel", 3)],
    "tofsims_depth_pos_NF.txt": [
        count("165", "sputter_level"), first("0", "sputter_time"), last("240.522", "sputter_time"), last("6.42e14", "fluence"),
        derived("5", "intensities that are infinite in the file", lambda found: int(np.isnan(found[0]["intensity"]).sum()))],
}
"""File -> figures of the MANIFEST; lengths of time, dose and energy are converted by the unit given, not rounded."""

SIDE_FILES = {name for name, said in SAID.items() if said.startswith("side file")}
OF_SET = {"4_noimage_agg256": "1.38306", "5_Mosaic_agg1024": "1.33596"}


@pytest.mark.parametrize(("file", "figure"), parameters(FIGURES))
def test_a_spectrum_has_the_figures_of_its_manifest(real_data, file, figure):
    check(SPECTRA, SAID[file], file, figure)


def test_no_spectrum_of_the_manifest_is_left_out(real_data):
    assert set(FIGURES) | SIDE_FILES == set(SAID)


@pytest.mark.parametrize("file", sorted(SIDE_FILES))
def test_a_side_file_of_an_agilent_set_leads_to_its_set_or_says_which_file_to_read(real_data, file):
    if file.endswith(".hdr"):
        with pytest.raises(FileError, match=r"^\S+\.hdr: is an ENVI header .*; read \S+\.(bsp|dmt), which takes it along$"):
            read_acquisitions(SPECTRA / file)
        return
    ds = read_acquisitions(SPECTRA / file)[0]
    assert ds.attrs["technique"] == "ftir"
    for stem, most in OF_SET.items():
        if file.startswith(stem):
            assert float(ds["absorbance"].max()) == pytest.approx(float(most), abs=5e-6)
    if file.startswith("background"):
        assert ds.attrs["conditions"]["quantity"] == "single_beam"


@pytest.mark.parametrize("file", ["xps_PET_C1s.csv", "xps_lmfitxps_clean_Au4f.csv"])
def test_two_columns_of_text_arrive_with_every_number(real_data, file):
    """The MANIFEST gives no figures of them: numpy reads the same numbers."""
    text = [line for line in (SPECTRA / file).read_text(encoding="latin-1").splitlines()
            if re.fullmatch(r"\s*[-+\d.eE]+[\s,;]+[-+\d.eE]+[\s,;]*", line)]
    numbers = np.array([re.split(r"[\s,;]+", line.strip(" \t,;"))[:2] for line in text], np.float64)
    (ds,) = read_acquisitions(SPECTRA / file)
    axis = "kinetic_energy" if "kinetic_energy" in ds.coords else "binding_energy"
    assert ds["intensity"].size == len(numbers) > 200
    np.testing.assert_allclose(np.sort(ds[axis].values), np.sort(numbers[:, 0]))
    np.testing.assert_allclose(np.sort(ds["intensity"].values), np.sort(numbers[:, 1]))


def test_specs_axis_is_what_the_file_states_and_not_what_the_peer_made_of_it(real_data):
    """701 to -0.5 eV is pynxtools-xps'; the file scans kinetic energy from 553.6 eV in steps of 0.5 with photons of 1253.6 eV.

    The carbon region is 10 eV wide in 201 points of 0.05 eV, which its 291 to 280.95 eV are not.
    """
    survey, carbon = read_acquisitions(SPECTRA / "xps_specs_insitu.xml")
    text = (SPECTRA / "xps_specs_insitu.xml").read_text(encoding="latin-1")
    begins = [float(value) for value in re.findall(r'name="kinetic_energy">([\d.]+)<', text)]
    steps = [float(value) for value in re.findall(r'name="scan_delta">([\d.]+)<', text)]
    for ds, begin, delta in zip((survey, carbon), begins, steps, strict=True):
        assert float(ds["kinetic_energy"][0]) == pytest.approx(begin)
        np.testing.assert_allclose(np.diff(ds["kinetic_energy"]), delta, rtol=1e-9)
        np.testing.assert_allclose(ds["binding_energy"], 1253.6 - ds["kinetic_energy"])


def test_the_official_difference_packed_file_is_read_where_others_fail(real_data):
    """A negative test of two other programs: the file states its number of points and its extremes itself."""
    (ds,) = read_acquisitions(SPECTRA / "ftir_jcamp_BRUKDIF.dx")
    text = (SPECTRA / "ftir_jcamp_BRUKDIF.dx").read_text(encoding="latin-1")
    label = {name: float(value) for name, value in re.findall(r"##(NPOINTS|MAXY|MINY|FIRSTX|LASTX)=\s*([-\d.]+)", text)}
    assert ds["intensity"].size == label["NPOINTS"]
    assert (float(ds["intensity"].min()), float(ds["intensity"].max())) == (label["MINY"], label["MAXY"])
    assert float(ds["frequency"][0]) == pytest.approx(label["FIRSTX"])


def test_the_near_field_of_the_text_is_kept_to_its_last_digit(real_data):
    """orange's 13.0277 and 295.2013 to 920.451 um are neither the highest number of the text, 13.02795, nor one run's places.

    The twenty runs differ by 0.5 um in where they begin; here the axis is twice their mean.
    """
    lines = [line.split("\t") for line in (SPECTRA / "ftir_nea_spectra20.nea").read_text().splitlines()[1:]]
    places = np.array([line[4:6] for line in lines if line[3] == "M"], np.float64)
    near, _ = read_acquisitions(SPECTRA / "ftir_nea_spectra20.nea")
    assert float(near["intensity"].max()) == max(float(line[4]) for line in lines if line[3] == "O0A")
    assert np.ptp(places, axis=0).max() < 0.6e-6
    np.testing.assert_allclose(near["optical_path_difference"], 2e3 * places.mean(axis=0))
