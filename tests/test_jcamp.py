"""JCAMP-DX: real files, packed values against plain ones, and what FTIR makes of them."""

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import open_file
from datasets.formats.infrared import jcamp
from datasets.writers import jcamp as writer


def test_a_real_infrared_spectrum_has_the_axis_and_maximum_that_other_programs_find(real_data):
    (ds,) = read_acquisitions(real_data / "spectra" / "ftir_jcamp_ethanol.jdx")
    assert ds.attrs["technique"] == "ftir"
    assert ds.sizes == {"wavenumber": 3570}
    np.testing.assert_allclose(ds["wavenumber"][[0, -1]], [461.563, 3807.5])
    np.testing.assert_allclose(np.diff(ds["wavenumber"]), 0.9375, atol=1e-4)
    assert float(ds["transmittance"].max()) == pytest.approx(1.024)


def test_absorbance_stands_beside_a_measured_transmittance(real_data):
    (ds,) = read_acquisitions(real_data / "spectra" / "ftir_jcamp_ethanol.jdx")
    np.testing.assert_allclose(10.0 ** -ds["absorbance"], ds["transmittance"])


def test_a_difference_packed_file_has_the_extremes_and_first_value_that_it_states(real_data):
    """The official test file; every line repeats the last value of the one before as a check."""
    (signal,) = open_file(real_data / "spectra" / "ftir_jcamp_BRUKDIF.dx")
    labels, values = signal.metadata, signal.main.data
    assert values.size == int(labels["NPOINTS"]) == 16384
    assert values[0] == pytest.approx(float(labels["FIRSTY"]))
    assert values.max() == pytest.approx(float(labels["MAXY"]))
    assert values.min() == pytest.approx(float(labels["MINY"]))


HEAD = ["##TITLE=t $$ a comment", "##JCAMP-DX=4.24", "##DATA TYPE=INFRARED SPECTRUM", "##XUNITS=1/CM", "##YUNITS=ABSORBANCE",
        "##FIRSTX=400", "##LASTX=408", "##XFACTOR=1", "##YFACTOR=0.5", "##NPOINTS=9", "##XYDATA=(X++(Y..Y))"]


def spectrum(tmp_path, *rows, head=HEAD):
    path = tmp_path / "a.jdx"
    path.write_text("\n".join([*head, *rows, "##END="]) + "\n")
    return path


@pytest.mark.parametrize("rows", [
    ("400 10 12 14 14 14", "405 -3 0 25 26"),
    ("400+10+12+14+14+14", "405-3+0+25+26"),
    ("400A0A2A4A4A4", "405c@B5B6"),
    ("400A0A2A4U", "405c@B5B6"),
    ("400A0KK%%", "404A4j7L", "406@B5J"),
    ("400A0KT%T", "404A4j7L", "406@B5J"),
])
def test_packed_and_plain_forms_say_the_same(tmp_path, rows):
    """10 12 14 14 14 -3 0 25 26, times YFACTOR; the last two forms begin lines with a check value."""
    (ds,) = read_acquisitions(spectrum(tmp_path, *rows))
    np.testing.assert_allclose(ds["absorbance"], 0.5 * np.array([10, 12, 14, 14, 14, -3, 0, 25, 26]))
    np.testing.assert_allclose(ds["wavenumber"], np.arange(400, 409))


@pytest.mark.parametrize(("rows", "told"), [
    (("400 10 12",), "declares 9 points and holds 2"),
    (("400A0KK%%", "404A5j7L", "406@B5J"), "check value"),
    (("400A0S999999999",), "repeats"),
    (("nonsense",), "line 12"),
])
def test_a_damaged_spectrum_is_refused_in_one_line(tmp_path, rows, told):
    with pytest.raises(FileError, match=told) as error:
        read_acquisitions(spectrum(tmp_path, *rows))
    assert str(error.value).startswith("a.jdx: ")
    assert "\n" not in str(error.value)


def test_pairs_and_missing_values_are_read(tmp_path):
    head = [*HEAD[:8], "##YFACTOR=1", "##NPOINTS=3", "##XYPOINTS=(XY..XY)"]
    (ds,) = read_acquisitions(spectrum(tmp_path, "400,0.1; 401.5,?; 409,3.5E-1", head=head))
    np.testing.assert_allclose(ds["wavenumber"], [400, 401.5, 409])
    np.testing.assert_allclose(ds["absorbance"], [0.1, np.nan, 0.35])


def test_a_falling_axis_stays_as_measured(tmp_path):
    head = [line.replace("FIRSTX=400", "FIRSTX=408").replace("LASTX=408", "LASTX=400") for line in HEAD]
    (ds,) = read_acquisitions(spectrum(tmp_path, "408 1 2 3 4 5 6 7 8 9", head=head))
    assert ds["wavenumber"].values.tolist() == list(range(408, 399, -1))


def test_the_example_is_read_back(tmp_path):
    (ds,) = read_acquisitions(jcamp.example(tmp_path))
    assert float(ds["wavenumber"][int(np.argmax(ds["absorbance"].data))]) == 1440.0


def test_a_spectrum_of_no_known_technique_keeps_its_axis(real_data):
    (ds,) = read_acquisitions(real_data / "spectra" / "ftir_jcamp_BRUKDIF.dx")
    assert ds.attrs["technique"] == "unknown"
    assert ds["frequency"].attrs["units"] == "Hz"


NTUPLES = ["##TITLE=pair", "##JCAMP-DX=5.01", "##DATA TYPE=INFRARED SPECTRUM", "##DATA CLASS=NTUPLES", "##NTUPLES=SPECTRA",
           "##VAR_NAME=WAVENUMBER, SAMPLE, REFERENCE, PAGE", "##SYMBOL=X, R, I, N", "##VAR_FORM=AFFN, ASDF, ASDF, AFFN",
           "##VAR_DIM=4, 4, 4, 2", "##UNITS=1/CM, ABSORBANCE, ABSORBANCE, ", "##FIRST=400, 1, 5, 1", "##LAST=406, 4, 8, 2",
           "##FACTOR=1, 0.5, 0.25, 1", "##PAGE=N=1", "##DATA TABLE=(X++(R..R)), XYDATA", "400A0A2A4A6", "##PAGE=N=2",
           "##DATA TABLE=(X++(I..I)), XYDATA", "400 4 8 12 16", "##END NTUPLES=SPECTRA", "##END="]


def test_pages_of_a_multiple_file_arrive_each_with_its_own_factor(tmp_path):
    path = tmp_path / "a.jdx"
    path.write_text("\n".join(NTUPLES) + "\n")
    sample, reference = read_acquisitions(path)
    assert (sample.attrs["title"], reference.attrs["title"]) == ("pair, SAMPLE N=1", "pair, REFERENCE N=2")
    np.testing.assert_allclose(sample["absorbance"], [5, 6, 7, 8])
    np.testing.assert_allclose(reference["absorbance"], [1, 2, 3, 4])
    np.testing.assert_allclose(sample["wavenumber"], [400, 402, 404, 406])


def test_a_miscount_in_a_file_that_is_closed_is_a_warning(tmp_path):
    head = [*HEAD[:-1], "##DELTAX=1", HEAD[-1]]
    (ds,) = read_acquisitions(spectrum(tmp_path, "400 1 2 3 4 5 6 7 8", head=head))
    assert ds["wavenumber"].values.tolist() == list(range(400, 408))
    assert any("declares 9 points and holds 8" in w for w in ds.attrs["warnings"])


@pytest.mark.parametrize(("unit", "variable", "value"), [
    ("TRANSMISSION", "transmittance", 0.5), ("% TRANSMITTANCE", "transmittance", 0.005), ("REFLECTANCE", "reflectance", 0.5),
    ("LOG(1/R)", "log_reflectance", 0.5), ("KUBELKA-MUNK", "kubelka_munk", 0.5), ("SINGLE BEAM", "single_beam", 0.5)])
def test_quantities_have_many_spellings(tmp_path, unit, variable, value):
    head = [f"##YUNITS={unit}" if line.startswith("##YUNITS") else line for line in HEAD]
    (ds,) = read_acquisitions(spectrum(tmp_path, "400 1 1 1 1 1 1 1 1 1", head=head))
    assert ds.attrs["conditions"]["quantity"] == variable
    assert float(ds[variable][0]) == value


def test_the_spectrum_of_the_virtual_specimen_comes_back(tmp_path):
    wavenumber = np.arange(4000.0, 399.0, -2.0)
    absorbance = 0.4 * np.exp(-((wavenumber - 1440) / 20) ** 2) - 1e-4
    for transmittance in (False, True):
        path = writer.write(tmp_path / f"{transmittance}.jdx", wavenumber_per_cm=wavenumber, absorbance=absorbance,
                            transmittance=transmittance)
        (ds,) = read_acquisitions(path)
        assert (ds.attrs["technique"], ds.attrs["conditions"]["quantity"]) == (
            "ftir", "transmittance" if transmittance else "absorbance")
        np.testing.assert_allclose(ds["wavenumber"], wavenumber)
        np.testing.assert_allclose(ds["absorbance"], absorbance, atol=1e-8)


def test_a_few_bytes_do_not_unpack_into_gigabytes(tmp_path):
    head = ["##NPOINTS=40000000" if line.startswith("##NPOINTS") else line for line in HEAD]
    with pytest.raises(FileError, match="NPOINTS is 4e"):
        read_acquisitions(spectrum(tmp_path, "400A0S39999999", head=head))


def test_lines_may_be_indented(tmp_path):
    (ds,) = read_acquisitions(spectrum(tmp_path, "400 10 12 14 14 14", "405 -3 0 25 26", head=[f"  {line}" for line in HEAD]))
    assert ds.sizes == {"wavenumber": 9}


def test_a_file_without_the_label_of_its_format_is_told_by_the_labels_of_a_spectrum(tmp_path):
    head = [line for line in HEAD if "JCAMP" not in line]
    (ds,) = read_acquisitions(spectrum(tmp_path, "400 10 12 14 14 14", "405 -3 0 25 26", head=head))
    assert float(ds["absorbance"][-1]) == 13


def test_a_transmittance_of_eighty_is_in_percent_whatever_the_file_calls_it(tmp_path):
    """And so absorbance is log10(100/80), not -log10(80)."""
    head = [line.replace("ABSORBANCE", "TRANSMITTANCE").replace("YFACTOR=0.5", "YFACTOR=1") for line in HEAD]
    (ds,) = read_acquisitions(spectrum(tmp_path, "400 80 80 80 80 80", "405 80 80 80 80", head=head))
    np.testing.assert_allclose(ds["transmittance"], 0.8)
    np.testing.assert_allclose(ds["absorbance"], np.log10(100 / 80))
    assert any("taken as percent" in warning for warning in ds.attrs["warnings"])


def test_an_absorption_coefficient_of_a_gas_is_an_infrared_spectrum(tmp_path):
    """The unit of NIST's quantitative infrared database."""
    head = [line.replace("ABSORBANCE", "(micromol/mol)-1m-1 (base 10)") for line in HEAD]
    (ds,) = read_acquisitions(spectrum(tmp_path, "400 10 12 14 14 14", "405 -3 0 25 26", head=head))
    assert ds.attrs["technique"] == "ftir"
    assert ds["absorption_coefficient"].attrs["units"] == "1/ppm/m"
    assert ds.attrs["conditions"]["quantity"] == "absorption_coefficient"


def test_a_last_line_of_nothing_but_a_wrong_check_value_loses_no_spectrum(tmp_path):
    """So ends the polyethylene among the official test files; a wrong check value in the middle stays a fault."""
    (ds,) = read_acquisitions(spectrum(tmp_path, "400A0KK%%", "404A4j7L", "406@B5J", "408@"))
    assert ds.sizes == {"wavenumber": 9}
    assert any("check value" in warning for warning in ds.attrs["warnings"])
    with pytest.raises(FileError, match="check value"):
        open_file(spectrum(tmp_path, "400A0KK%%", "404A5j7L", "406@B5J"))
