"""Gamry files: real ones with the figures of other programs, and one circuit whose impedance is known."""

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats.cells import gamry

FILES = [("impedancepy_exampleDataGamry.DTA", 72, 200016, 0.01589, 387), ("pyimpspec_data.dta", 29, 10000, 1, 40)]


@pytest.mark.parametrize(("file", "points", "highest", "lowest", "before"), FILES, ids=[f[0] for f in FILES])
def test_a_real_file_has_the_points_and_frequencies_that_other_programs_find(real_data, file, points, highest, lowest, before):
    """One of the two has decimal commas."""
    eis, rest = read_acquisitions(real_data / "echem" / file)
    assert eis.attrs["technique"] == "eis"
    assert eis.sizes == {"frequency": points}
    assert float(eis["frequency"].max()) == pytest.approx(highest, rel=1e-5)
    assert float(eis["frequency"].min()) == pytest.approx(lowest, rel=1e-4)
    modulus = np.hypot(eis["impedance_real"], eis["impedance_imaginary"])
    np.testing.assert_allclose(modulus, eis["zmod"], rtol=1e-5)
    assert (rest.attrs["technique"], rest.sizes["time"]) == ("cycling", before)
    assert not rest["current"].any()


def test_current_is_in_the_platforms_unit(real_data):
    eis = read_acquisitions(real_data / "echem" / "impedancepy_exampleDataGamry.DTA")[0]
    assert eis["current"].attrs["units"] == "mA"
    assert float(eis["current"].min()) == pytest.approx(-5.89286e-3, rel=1e-6)


def test_a_capacitor_has_a_negative_imaginary_part(tmp_path):
    (ds,) = read_acquisitions(gamry.example(tmp_path))
    expected = -1 / (2 * np.pi * ds["frequency"] * 1e-5)
    np.testing.assert_allclose(ds["impedance_imaginary"], expected, rtol=2e-5)
    assert ds.attrs["conditions"] == {"electrode_area_cm2": 1.27, "acquired": "2026-01-23T12:00:00"}


@pytest.mark.parametrize(("date", "acquired"), [
    ("11/22/2026", "2026-11-22"), ("22.11.2026", "2026-11-22"), ("2026-11-22", "2026-11-22"), ("5-5-2026", "2026-05-05"),
    ("3-4-2026", None), ("31/31/2026", None)])
def test_a_date_that_could_be_two_days_is_not_used(tmp_path, date, acquired):
    path = gamry.example(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"1/23/2026", date.encode()))
    (ds,) = read_acquisitions(path)
    assert ds.attrs["conditions"].get("acquired", "")[:10] == (acquired or "")


def test_a_surface_of_one_square_centimetre_may_be_the_default(tmp_path):
    path = gamry.example(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"1.27000E+000", b"1.00000E+000"))
    (ds,) = read_acquisitions(path)
    assert any("1 cm2" in warning for warning in ds.attrs["warnings"])


@pytest.mark.parametrize(("change", "told"), [
    (lambda raw: raw[:raw.rindex(b"\t")], "line 20"),
    (lambda raw: raw[:raw.index(b"\tPt")], "no table|truncated"),
    (lambda raw: raw.replace(b"\t10000\t", b"\t1o000\t"), "Freq"),
    (lambda raw: raw.replace(b"Zimag", b"Zamig"), "Zimag"),
])
def test_a_damaged_file_is_refused_in_one_line_that_says_where(tmp_path, change, told):
    path = gamry.example(tmp_path)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(FileError, match=told) as error:
        read_acquisitions(path)
    assert str(error.value).startswith("example.DTA: ")
    assert "\n" not in str(error.value)


def test_a_last_number_that_may_be_cut_is_said(tmp_path):
    path = gamry.example(tmp_path)
    path.write_bytes(path.read_bytes()[:-4])
    (ds,) = read_acquisitions(path)
    assert any("cut off" in warning for warning in ds.attrs["warnings"])


def test_a_table_of_no_known_kind_is_kept_with_a_warning(tmp_path):
    path = gamry.example(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"ZCURVE", b"XCURVE").replace(b"\tFreq\t", b"\tFriq\t"))
    (ds,) = read_acquisitions(path)
    assert ds.attrs["technique"] == "unknown"
    assert ds.attrs["warnings"]


def test_curves_of_a_voltammogram_are_its_cycles(tmp_path):
    table = "\tPt\tT\tVf\tIm\n\t#\ts\tV vs. Ref.\tA\n"
    rows = [f"\t{i}\t{i}\t{0.1 * i:g}\t{1e-3:g}\n" for i in range(6)]
    text = "EXPLAIN\nTAG\tCV\nTITLE\tLABEL\tcell\tTest\n" + "".join(
        f"CURVE{n}\tTABLE\t3\n{table}{''.join(rows[3 * n - 3:3 * n])}" for n in (1, 2))
    (tmp_path / "a.DTA").write_text(text)
    (ds,) = read_acquisitions(tmp_path / "a.DTA")
    assert ds.attrs["technique"] == "cv"
    assert ds["cycle_number"].values.tolist() == [1, 1, 1, 2, 2, 2]
    np.testing.assert_allclose(ds["potential"], 0.1 * np.arange(6), atol=1e-12)
    np.testing.assert_allclose(ds["current"], 1.0)


def test_a_potential_at_open_circuit_is_a_record_without_current(tmp_path):
    rows = "".join(f"\t{i}\t{5 * i}\t{0.02:g}\n" for i in range(4))
    table = f"TABLE\t4\n\tPt\tT\tVf\n\t#\ts\tV vs. Ref.\n{rows}"
    for name, head in (("ocp", "TAG\tCORPOT\nTITLE\tLABEL\tcell\tTest\nCURVE\t"),
                       ("before", "TAG\tCV\nTITLE\tLABEL\tcell\tTest\nOCVCURVE\t")):
        (tmp_path / f"{name}.DTA").write_text(f"EXPLAIN\n{head}{table}")
        (ds,) = read_acquisitions(tmp_path / f"{name}.DTA")
        assert ds.attrs["technique"] == "cycling"
        np.testing.assert_array_equal(ds["current"], 0.0)
        np.testing.assert_allclose(ds["potential"], 0.02)


def test_a_virtual_front_panel_has_the_clock_of_its_acquisition(tmp_path):
    """As the VFP600 file that comes with gamry-parser."""
    path = tmp_path / "a.dta"
    path.write_bytes(b"VFP600\r\nTAG\tVFP600\r\nFREQ\tQUANT\t1.50000E+1\tAcquisition Frequency (Hz)\r\nVFPCURVE\tTABLE\r\n"
                     b"\tVoltage\tCurrent\r\n\tV\tA\r\n\t0.029996\t5.303752E-11\r\n\t0.029981\t5.419374E-11\r\n\t0.03\t5.5E-11\r\n")
    (ds,) = read_acquisitions(path)
    assert ds.attrs["technique"] == "cycling"
    np.testing.assert_allclose(ds["time"], np.arange(3) / 15.0)
    np.testing.assert_allclose(ds["potential"], [0.029996, 0.029981, 0.03])
    np.testing.assert_allclose(ds["current"], np.array([5.303752e-11, 5.419374e-11, 5.5e-11]) * 1e3)  # mA
    path.write_bytes(path.read_bytes().replace(b"FREQ", b"FRAQ"))
    (ds,) = read_acquisitions(path)
    assert ds.attrs["technique"] == "unknown", "without its frequency the record has no clock"
