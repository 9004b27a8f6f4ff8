"""Files of impedance: real ones with the figures of other programs, and one circuit in every spelling of its columns."""

import json

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import open_file
from datasets.formats.cells import autolab_dfr, impedance_text, ivium, palmsens, spectra

REAL = [
    # file, points, highest and lowest frequency in Hz
    ("impedancepy_exampleData.csv", 66, 1e4, 3.1623e-3),
    ("impedancepy_exampleDataBioLogic.mpt", 43, 1000.32, 0.0169),
    ("impedancepy_exampleDataGamry.DTA", 72, 200016, 0.01589),
    ("pyimpspec_data.dta", 29, 1e4, 1.0),
    ("pyimpspec_data.mpt", 29, 1e4, 1.0),
    ("pyimpspec_data.pssession", 29, 1e4, 1.0),
    ("pyimpspec_data.dfr", 29, 1e4, 1.0),
    ("yadg_peis.mpt", 32, 199998, 1.0),
    ("yadg_peis.issue_149.mpt", 84, 199998, 99.97),
]


@pytest.mark.parametrize(("file", "points", "highest", "lowest"), REAL, ids=[row[0] for row in REAL])
def test_a_real_file_has_the_points_and_frequencies_that_other_programs_find(real_data, file, points, highest, lowest):
    eis = read_acquisitions(real_data / "echem" / file)[0]
    assert eis.attrs["technique"] == "eis"
    assert eis["impedance_real"].size == points
    assert float(eis["frequency"].max()) == pytest.approx(highest, rel=1e-4)
    assert float(eis["frequency"].min()) == pytest.approx(lowest, rel=1e-3)


def test_one_circuit_written_by_four_programs_has_one_impedance(real_data):
    """pyimpspec's test files hold the same simulated spectrum; the least precise of them writes six digits."""
    truth = read_acquisitions(real_data / "echem" / "pyimpspec_data.dfr")[0]
    for name in ("data.pssession", "data.dta", "data.mpt"):
        ds = read_acquisitions(real_data / "echem" / f"pyimpspec_{name}")[0].sortby("frequency", ascending=False)
        for part in ("impedance_real", "impedance_imaginary"):
            np.testing.assert_allclose(ds[part], truth[part], rtol=1e-4, atol=1e-4)
    assert float(truth["impedance_imaginary"].max()) < 0


def test_a_session_that_holds_two_versions_of_a_spectrum_says_so(real_data):
    (ds,) = read_acquisitions(real_data / "echem" / "pyimpspec_data.pssession")
    assert any("51 points" in warning for warning in ds.attrs["warnings"])
    assert ds.attrs["conditions"]["acquired"].startswith("2023-08-22T09:33:39")


@pytest.mark.parametrize("fmt", [impedance_text, autolab_dfr, ivium, palmsens], ids=lambda m: m.__name__.rpartition(".")[2])
def test_a_resistor_and_a_capacitor_have_their_impedance_in_each_format(tmp_path, fmt):
    (ds,) = read_acquisitions(fmt.example(tmp_path))
    np.testing.assert_allclose(ds["impedance_real"], 10.0, rtol=1e-5)
    np.testing.assert_allclose(ds["impedance_imaginary"], -1 / (2 * np.pi * ds["frequency"] * 1e-5), rtol=1e-4)
    assert ds.attrs["conditions"].get("acquired", "2026-01-23").startswith("2026-01-23")


FREQUENCY = 10 ** (4 - np.arange(11) / 2)
REACTANCE = -1 / (2e-5 * np.pi * FREQUENCY)
HEADERS = [
    "Frequency (Hz),Z' (Ohm),-Z'' (Ohm)", "freq/Hz,Re(Z)/Ohm,-Im(Z)/Ohm", "Freq. [Hz];Zre [Ω];-Zim [Ω]", "f\tZ_real\tZ_imag",
    "Frequency,Zreal,Zimag", "frequency_hz,z_real_ohm,z_imag_ohm", "Freq(Hz)  Z'(a)  Z''(b)", 'Freq/Hz, Z\'/ohm, Z"/ohm',
    "Frequency/kHz;Z'/mΩ;Z''/mΩ", "Index,Frequency (Hz),Z' (Ω),−Z″ (Ω),Z (Ω),-Phase (°),Time (s)", "Freq,Zmod,Zphz",
    "f / Hz,|Z| / Ohm,Phase / deg",
]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("decimal", [".", ","])
def test_each_spelling_of_the_columns_gives_the_same_spectrum(tmp_path, header, decimal):
    """A minus sign turns the column, a prefix scales it; written to ten digits."""
    separator = next(s for s in ("\t", ";", ",", "  ") if s in header)
    if decimal == "," and separator == ",":
        pytest.skip("a comma cannot be both")
    z = 10.0 + 1j * REACTANCE
    sign = -1 if any(c in header for c in "-−") else 1
    milli = 1e3 if "mΩ" in header else 1.0
    kilo = 1e-3 if "kHz" in header else 1.0
    rows = []
    for i, (f, value) in enumerate(zip(FREQUENCY, z, strict=True)):
        numbers = [kilo * f, milli * value.real, sign * milli * value.imag]
        if header.startswith("Index"):
            numbers = [i, *numbers, abs(value), -np.angle(value, deg=True), 0.5 * i]
        elif "mod" in header or "|Z|" in header:
            numbers = [f, abs(value), np.angle(value, deg=True)]
        rows.append(separator.join(f"{n:.10g}" for n in numbers).replace(".", decimal))
    path = tmp_path / "a.txt"
    path.write_text("some remark: made by hand\n" + header + "\n" + "\n".join(rows) + "\n", encoding="utf-8")
    (ds,) = read_acquisitions(path)
    np.testing.assert_allclose(ds["frequency"], FREQUENCY, rtol=1e-8)
    np.testing.assert_allclose(ds["impedance_real"], 10.0, rtol=1e-6)
    np.testing.assert_allclose(ds["impedance_imaginary"], REACTANCE, rtol=1e-6)


@pytest.mark.parametrize("above", [[], ["Elchemea Analytical", "sample 7", "2019-01-01 12:00:00", "1 V", "a remark", "more"]])
def test_three_columns_without_names_are_a_spectrum_if_the_first_falls_by_a_steady_factor(tmp_path, above):
    rows = [f"{f:.9g} 10.0 {x:.9g}" for f, x in zip(FREQUENCY, REACTANCE, strict=True)]
    (tmp_path / "a.i2b").write_text("\n".join([*above, *rows]) + "\n")
    (ds,) = read_acquisitions(tmp_path / "a.i2b")
    np.testing.assert_allclose(ds["impedance_imaginary"], REACTANCE, rtol=1e-6)
    assert any("no column names" in warning for warning in ds.attrs["warnings"])


def test_three_columns_of_anything_else_are_not_taken_for_a_spectrum(tmp_path):
    (tmp_path / "a.txt").write_text("\n".join(f"{i} {i * i} 3.0" for i in range(1, 40)) + "\n")
    with pytest.raises(FileError, match="no reader recognises"):
        open_file(tmp_path / "a.txt")


def test_an_unsigned_reactance_that_looks_inductive_is_kept_and_doubted(tmp_path):
    rows = [f"{f:.9g},10.0,{-x:.9g}" for f, x in zip(FREQUENCY, REACTANCE, strict=True)]
    (tmp_path / "a.csv").write_text("\n".join(["freq,Zre,Zim", *rows]) + "\n")
    (ds,) = read_acquisitions(tmp_path / "a.csv")
    assert float(ds["impedance_imaginary"].min()) > 0
    assert any("-Im(Z)" in warning for warning in ds.attrs["warnings"])


def test_sweeps_one_after_the_other_are_stacked(tmp_path):
    rows = [f"{f:.9g},{10.0 + s},{x:.9g}" for s in range(3) for f, x in zip(FREQUENCY, REACTANCE, strict=True)]
    (tmp_path / "a.csv").write_text("\n".join(["freq,Zre,Zim", *rows]) + "\n")
    (ds,) = read_acquisitions(tmp_path / "a.csv")
    assert ds.sizes == {"spectrum": 3, "frequency": 11}
    np.testing.assert_allclose(ds["impedance_real"].mean("frequency"), [10, 11, 12])


@pytest.mark.parametrize("frequency", [[1e4, 1e3, 1e2, 1e4, 1e3, 1e2], [1, 10, 100, 1, 10, 100]])
def test_a_sweep_ends_where_the_frequency_turns_back_either_way(frequency):
    assert np.flatnonzero(spectra.cuts(np.array(frequency, dtype=float))).tolist() == [2]


@pytest.mark.parametrize(("method", "technique"), [("Transients", "cycling"), ("CyclicVoltammetry", "unknown")])
def test_a_record_of_ivium_is_told_by_its_method(tmp_path, method, technique):
    lines = ["Version=11", f"Method={method}", "Title=cell", "primary_data", "3", "3", "0.0 1.0E-3 0.5", "1.0 1.0E-3 0.6",
             "2 0 0.7", ""]
    (tmp_path / "a.idf").write_bytes(bytes(4) + "\r\n".join(lines).encode())
    (ds,) = read_acquisitions(tmp_path / "a.idf")
    assert ds.attrs["technique"] == technique
    if technique == "cycling":
        np.testing.assert_allclose(ds["current"], [1.0, 1.0, 0.0])
        np.testing.assert_allclose(ds["potential"], [0.5, 0.6, 0.7])


def test_a_voltammogram_of_palmsens_keeps_its_scans(tmp_path):
    def array(kind, unit, values):
        return {"ArrayType": kind, "Description": unit, "Unit": {"Type": f"PalmSens.Units.{unit}"},
                "DataValues": [{"V": v, "S": 0} for v in values]}
    scans = [array(0, "Time", [0.0, 1, 2]), array(1, "Volt", [0.0, 0.1, 0.0]), array(2, "MicroAmpere", [1.0, 2, 3]),
             array(0, "Time", [3.0, 4, 5]), array(1, "Volt", [0.0, 0.1, 0.0]), array(2, "MicroAmpere", [1.0, 2, 3])]
    session = {"Type": palmsens.MARK, "Measurements": [{"Title": "CV", "Method": "METHOD_ID=cv\r\n",
                                                        "DataSet": {"Values": scans}}]}
    (tmp_path / "a.pssession").write_text(json.dumps(session))
    (ds,) = read_acquisitions(tmp_path / "a.pssession")
    assert ds.attrs["technique"] == "cv"
    assert ds["cycle_number"].values.tolist() == [1, 1, 1, 2, 2, 2]
    np.testing.assert_allclose(ds["current"], [1e-3, 2e-3, 3e-3] * 2)


@pytest.mark.parametrize(("change", "told"), [
    (lambda t: t.replace("End Comments\r\n", "End Comments\r\nx,y,z\r\n"), None),
    (lambda t: t.replace(",0.01,0,5,10,", ",0.01,0,five,10,"), "line 12"),
    (lambda t: t[:t.index("End Comments")], "no rows"),
])
def test_a_damaged_spectrum_is_refused_in_one_line_that_says_where(tmp_path, change, told):
    path = impedance_text.example(tmp_path)
    path.write_bytes(change(path.read_bytes().decode()).encode())
    if told is None:
        assert open_file(path)
        return
    with pytest.raises(FileError, match=told) as error:
        open_file(path)
    assert "\n" not in str(error.value)


def test_whole_numbers_between_commas_are_no_decimal_commas(tmp_path):
    (tmp_path / "a.csv").write_text("freq,Zre,Zim,n\n10000,10,-20,-1\n1000,20,-30,-2\n100,30,-40,-3\n")
    (ds,) = read_acquisitions(tmp_path / "a.csv")
    np.testing.assert_allclose(ds["frequency"], [1e4, 1e3, 1e2])
    np.testing.assert_allclose(ds["impedance_imaginary"], [-20, -30, -40])


def test_a_segment_of_versastudio_is_read_by_its_definition(tmp_path):
    rows = [f"0, {i}, 0.5, 0.001, {i}, 0, 0, 1, 0.5, {f:.9g}, 0, 0, 0, 0, 10, {x:.9g}" for i, (f, x) in
            enumerate(zip(FREQUENCY, REACTANCE, strict=True))]
    lines = ["<Application>", "Name=VersaStudio", "</Application>", "<Segment1>", "Type=2",
             "Definition=Segment #, Point #, E(V), I(A), Elapsed Time(s), ADC Sync Input(V), Current Range, Status, "
             "E Applied(V), Frequency(Hz), E Real, E Imag, I Real, I Imag, Z Real, Z Imag", *rows, "</Segment1>"]
    (tmp_path / "a.par").write_text("\n".join(lines) + "\n")
    (ds,) = read_acquisitions(tmp_path / "a.par")
    np.testing.assert_allclose(ds["impedance_imaginary"], REACTANCE, rtol=1e-6)
    np.testing.assert_allclose(ds["current"], 1.0)


def test_an_ivium_spectrum_is_told_by_its_frequencies_whatever_its_method_is_called(tmp_path):
    path = ivium.example(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"Method=Impedance", b"Method=Constant E"))
    (ds,) = read_acquisitions(path)
    assert ds.attrs["technique"] == "eis"
