"""Other programs on the same files, number by number, in an environment of their own: they shut out versions needed here.

The variable CORRELATE_OPINIONS names the Python of that environment (docs/slow-checks.md); without it these tests are skipped.
Where a program is known to be wrong, the test says so and holds the bytes against both.
"""

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions

PYTHON = os.environ.get("CORRELATE_OPINIONS", "")
SCRIPT = Path(__file__).with_name("opinions.py")
MOST_SECONDS = 300
FILES = {
    "pynxtools-xps": ("spectra", ("xps_casaxps_FeO_lineshapes_cols.txt", "xps_casaxps_analyzed_FeO.vms",
                                  "xps_phi_SnO2_depthprofile.pro", "xps_phi_multipak.npl", "xps_scienta_Ag.ibw",
                                  "xps_specs_MgFe2O4.xy", "xps_specs_insitu.xml", "xps_vamas_regular.vms")),
    "spectrochempy": ("spectra", ("ftir_opus_brukeropus.0", "ftir_opus_scp_background.0", "ftir_opus_scp_test.0000",
                                  "ftir_omnic_TGAIR.srs", "ftir_omnic_interferogram.spa", "ftir_omnic_sample1.spa",
                                  "ftir_jcamp_ethanol.jdx", "ftir_spc_ig_multi.spc", "mcr_als2004dataset.mat")),
    "pySPM": ("afm_txm_apt/afm", ("nanonis_gen4_afm_A151216.sxm", "surftopo_di-1.di")),
    "yadg": ("echem", ("bdf_PEIS-0.mpr", "navani_00_test_04_MB.mpr", "yadg_bcd.issue_241.mpr", "yadg_gcpl.issue_149.mpr",
                       "yadg_gcpl.mpr", "yadg_geis.mpr", "yadg_peis.issue_149.mpr", "yadg_peis.mpr", "yadg_peis.mpt",
                       "yadg_vsp_peis_with.mpr")),
    "yadg, PHI": ("spectra", ("xps_phi_yadg_test0.spe",)),
    "pyimpspec": ("echem", ("pyimpspec_data.dfr", "pyimpspec_data.dta", "pyimpspec_data.mpt", "pyimpspec_data.pssession",
                            "impedancepy_exampleDataBioLogic.mpt", "impedancepy_exampleDataGamry.DTA")),
    "ifes": ("afm_txm_apt/apt", ("apav_Si_first200k.pos", "apav_Si.RNG", "apav_Si.RRNG", "ifes_ErMnO.env", "ifes_R18_59377.rng",
                                 "ifes_R31_06365-v02.rrng")),
}
"""Program -> folder, and the files that it reads."""
CONTENT = {"transmittance": "wavenumber", "absorbance": "wavenumber", "single_beam": "wavenumber",
           "intensity": "optical_path_difference"}
"""Variable -> its axis; of several, the measured one stands first."""

pytestmark = pytest.mark.skipif(not PYTHON, reason="set CORRELATE_OPINIONS to the Python described in docs/slow-checks.md")


def files(program):
    return pytest.mark.parametrize("file", FILES[program][1])


@cache
def everything(program, data):
    """Arrays of all files of a program, which starts once."""
    folder, names = FILES[program]
    with tempfile.TemporaryDirectory() as made:
        result = Path(made) / "opinions.npz"
        command = [PYTHON, SCRIPT, program.partition(",")[0], result, *(data / folder / name for name in names)]
        own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        run = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=MOST_SECONDS, check=False,
                             cwd=made, env=own)
        assert run.returncode == 0, run.stderr[-2000:]
        with np.load(result) as arrays:
            return {name: arrays[name] for name in arrays.files}


def opinion(program, data, file):
    """Name -> array of one file."""
    found = {name.partition("|")[2]: values for name, values in everything(program, data).items()
             if name.partition("|")[0] == file}
    assert "failed" not in found, f"{program}: {found['failed']}"
    return found


def ours(program, data, file):
    return read_acquisitions(data / FILES[program][0] / file)


@files("pynxtools-xps")
def test_pynxtools_xps_finds_the_same_intensities(real_data, file):
    """Counts per second, or the plain sum of the channels. It is wrong in three places.

    In `.npl` the intensities are in c/s and it divides them by the dwell time again; the first point of CasaXPS' VAMAS file is
    6258.45 in CasaXPS' own export and 0 in it; it adds 1 eV to the axis of SPECS' XML and stretches that.
    """
    theirs = opinion("pynxtools-xps", real_data, file)
    found = ours("pynxtools-xps", real_data, file)
    assert len(found) == len(theirs) // 2
    for ds in found:
        region = ds.attrs["title"].replace(" ", "")
        name = next(name for name in ("channel_sum", "count_rate", "intensity") if name in ds)
        intensity, energy = (theirs[f"{region}/{what}"].squeeze() for what in ("intensity", "energy"))
        if file.endswith(".npl"):
            assert {unit.strip() for unit in (real_data / "spectra" / file).read_text("latin-1").splitlines()} >= {"c/s"}
            intensity = intensity * ds.attrs["conditions"]["dwell_time_s"]
        if file == "xps_casaxps_analyzed_FeO.vms":
            assert (float(ds[name][0]), intensity[0]) == (pytest.approx(6258.45), 0.0)
            intensity[0] = 6258.45
        # VAMAS holds counts to six digits, of which the program keeps two decimals of a rate
        np.testing.assert_allclose(ds[name].squeeze(), intensity, rtol=1e-6, atol=0.006)
        if file == "xps_specs_insitu.xml":
            continue
        axis = "binding_energy" if energy[0] > energy[-1] else "kinetic_energy"
        np.testing.assert_allclose(ds[axis], energy, rtol=0, atol=1e-9)


@files("spectrochempy")
def test_spectrochempy_finds_the_same_spectra(real_data, file):
    """It rounds axes to three decimals, turns an OMNIC series to fall, and spreads the times of an SPC file evenly.

    The ten interferograms of that file follow each other by 1.0985 s, and the last by 1.8675 s, as each states in its header.
    """
    theirs = opinion("spectrochempy", real_data, file)
    found = ours("spectrochempy", real_data, file)
    if file.endswith(".mat"):
        assert {ds.attrs["title"] for ds in found} == {name.partition("/")[0] for name in theirs}
        for ds in found:
            np.testing.assert_array_equal(ds["intensity"], theirs[f"{ds.attrs['title']}/data"])
        return
    ds = found[0]
    name = next(name for name in CONTENT if name in ds)
    axis = "wavenumber" if "wavenumber" in ds.dims else CONTENT[name]
    turned = slice(None, None, -1) if file.endswith(".srs") else slice(None)
    np.testing.assert_allclose(ds[name].values[..., turned].squeeze(), theirs["0/data"].squeeze(), rtol=1e-6)
    np.testing.assert_allclose(ds[axis][turned], theirs["0/x"], rtol=0, atol=1e-3)
    if file.endswith(".srs"):
        np.testing.assert_allclose(ds["time"] / 60, theirs["0/y"], rtol=0, atol=1e-3)
    if file.endswith(".spc"):
        record = 32 + 4 * 4096
        stored = np.frombuffer((real_data / "spectra" / file).read_bytes(), np.uint8)[512:512 + 10 * record]
        begins = np.ascontiguousarray(stored.reshape(10, record)[:, 4:8]).view("<f4").ravel()
        np.testing.assert_allclose(ds["time"], begins - begins[0], rtol=1e-6)
        assert np.ptp(np.diff(theirs["0/y"])) < 1e-3 < np.ptp(np.diff(ds["time"]))


@pytest.mark.parametrize(("file", "variable", "theirs"), [
    ("nanonis_gen4_afm_A151216.sxm", "height", "Z/forward"), ("nanonis_gen4_afm_A151216.sxm", "tip_current", "Current/forward"),
    ("nanonis_gen4_afm_A151216.sxm", "tip_current_retrace", "Current/backward"), ("surftopo_di-1.di", "height", "Height"),
    ("surftopo_di-1.di", "amplitude_error", "Amplitude Error"), ("surftopo_di-1.di", "phase_channel", "Phase")])
def test_pyspm_finds_the_same_pixels(real_data, file, variable, theirs):
    """It leaves the first row that was scanned on top, though both scans went upwards, and the way back as it was scanned.

    Here the top of the picture is the top of the specimen, and both ways lie over each other. It calls mV and degrees V.
    """
    pixels = opinion("pySPM", real_data, file)[theirs][::-1, ::-1 if theirs.endswith("backward") else 1]
    (ds,) = ours("pySPM", real_data, file)
    if variable == "height" and file.endswith(".sxm"):
        pixels = pixels * 1e9
    np.testing.assert_allclose(ds[variable], pixels, rtol=1e-6, atol=1e-7 * np.abs(pixels).max())


COLUMNS = {"potential": ("Ewe", "<Ewe>", "Ecell"), "current": ("I", "<I>"), "frequency": ("freq",),
           "impedance_real": ("Re(Z)",), "impedance_imaginary": ("-Im(Z)",)}


@files("yadg")
def test_yadg_finds_the_same_columns_of_ec_lab(real_data, file):
    """Where there is no frequency it has 0 ohm: those 29 points of GEIS are a record of their own here."""
    theirs = opinion("yadg", real_data, file)
    found = ours("yadg", real_data, file)
    compared = 0
    for variable, names in COLUMNS.items():
        column = next((theirs[name].astype(float) for name in names if name in theirs), None)
        of = [ds for ds in found if variable in ds or variable in ds.coords]
        if column is None or not of:
            continue
        if "freq" in theirs and variable not in ("potential", "current"):
            column = column[theirs["freq"] > 0]
        values = np.concatenate([np.broadcast_to(ds[variable], ds[variable].shape).ravel() for ds in of]).astype(float)
        values = values[np.isfinite(values)]
        if variable == "frequency":  # an axis that all spectra of a run share
            np.testing.assert_allclose(np.unique(values), np.unique(column), rtol=1e-6)
        else:
            sign = -1.0 if variable == "impedance_imaginary" else 1.0
            np.testing.assert_allclose(np.sort(sign * values), np.sort(column), rtol=1e-6)
        compared += 1
    assert compared >= 1


@files("yadg, PHI")
def test_yadg_finds_the_same_regions_of_phi(real_data, file):
    theirs = opinion("yadg, PHI", real_data, file)
    for ds, name in zip(ours("yadg, PHI", real_data, file), ("1su", "F1s"), strict=True):
        np.testing.assert_allclose(ds["count_rate"], theirs[f"{name}/y"], rtol=1e-6)
        np.testing.assert_allclose(ds["binding_energy"], theirs[f"{name}/E"], rtol=0, atol=1e-9)


@files("pyimpspec")
def test_pyimpspec_finds_the_same_impedances(real_data, file):
    """The spectrum that a PalmSens session keeps as its drawn curve is said in a warning, and left out by both."""
    theirs = opinion("pyimpspec", real_data, file)
    (ds,) = [one for one in ours("pyimpspec", real_data, file) if one.attrs["technique"] == "eis"]
    order = np.argsort(ds["frequency"].values), np.argsort(theirs["0/frequency"])
    impedance = ds["impedance_real"].values.squeeze() + 1j * ds["impedance_imaginary"].values.squeeze()
    np.testing.assert_allclose(ds["frequency"].values[order[0]], theirs["0/frequency"][order[1]], rtol=1e-6)
    np.testing.assert_allclose(impedance[order[0]], theirs["0/impedance"][order[1]], rtol=1e-6)


@files("ifes")
def test_ifes_finds_the_same_ions_and_ranges(real_data, file):
    theirs = opinion("ifes", real_data, file)
    (ds,) = ours("ifes", real_data, file)
    if "place" in theirs:
        np.testing.assert_array_equal(np.stack([ds[axis] for axis in "xyz"], axis=1), theirs["place"])
        np.testing.assert_array_equal(ds["mass_to_charge"], theirs["mass_to_charge"])
        return
    bounds = np.stack([ds["range_start"], ds["range_end"]], axis=1)
    np.testing.assert_allclose(bounds[np.lexsort(bounds.T)], theirs["bounds"][np.lexsort(theirs["bounds"].T)], rtol=1e-6)
