"""EC-Lab's text files say the same as its binary ones."""

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats.cells import eclab_text


@pytest.mark.parametrize("name", ["yadg_gcpl.issue_149", "yadg_peis.issue_149", "yadg_peis"])
def test_text_and_binary_of_one_acquisition_agree(real_data, name):
    """Decimal commas in the first file; the text prints eight digits."""
    (binary,) = read_acquisitions(real_data / "echem" / f"{name}.mpr")
    (text,) = read_acquisitions(real_data / "echem" / f"{name}.mpt")
    assert text.sizes == binary.sizes
    assert text.attrs["conditions"] == binary.attrs["conditions"]
    for variable in ("potential", "charge", "impedance_real", "impedance_imaginary", "elapsed", "half_cycle", "cycle_number"):
        if variable in binary:
            np.testing.assert_allclose(text[variable], binary[variable], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(("name", "points", "highest", "lowest"), [
    ("impedancepy_exampleDataBioLogic.mpt", 43, 1000.32, 0.0169), ("pyimpspec_data.mpt", 29, 10000, 1),
    ("yadg_peis.mpt", 32, 199998, 1)])
def test_a_real_file_has_the_points_and_frequencies_that_other_programs_find(real_data, name, points, highest, lowest):
    (ds,) = read_acquisitions(real_data / "echem" / name)
    assert ds.sizes == {"frequency": points}
    assert float(ds["frequency"].max()) == pytest.approx(highest, rel=1e-5)
    assert float(ds["frequency"].min()) == pytest.approx(lowest, rel=1e-3)


@pytest.mark.parametrize(("change", "told"), [
    (lambda t: t.replace("header lines : 7", "header lines : 99"), "line 2"),
    (lambda t: t.replace("header lines : 7", "header : 7"), "line 2"),
    (lambda t: t[:t.index("time/s")], "line 2"),
    (lambda t: t[:t.rindex("\t")], "line 12"),
    (lambda t: t.replace("3.0000000E+01", "01/23/2026 12:00:30"), "line 11"),
    (lambda t: t.replace("time/s", "Zeit/s"), "time/s"),
])
def test_a_damaged_file_is_refused_in_one_line_that_says_where(tmp_path, change, told):
    path = eclab_text.example(tmp_path)
    path.write_text(change(path.read_text(encoding="cp1252")), encoding="cp1252")
    with pytest.raises(FileError, match=told) as error:
        read_acquisitions(path)
    assert str(error.value).startswith("example.mpt: ")
    assert "\n" not in str(error.value)


def test_absolute_times_count_from_the_start_of_the_acquisition(tmp_path):
    path = eclab_text.example(tmp_path)
    text = path.read_text(encoding="cp1252")
    for second in range(0, 50, 10):
        text = text.replace(f"\n{second:.7E}\t", f"\n01/23/2026 12:00:{second:02d}.500\t")
    path.write_text(text, encoding="cp1252")
    (ds,) = read_acquisitions(path)
    np.testing.assert_allclose(ds["time"], [0.5, 10.5, 20.5, 30.5, 40.5])
    np.testing.assert_allclose(ds["potential"], 0.1)


def test_a_table_with_no_header_but_its_names_is_read(tmp_path):
    path = tmp_path / "a.mpt"
    path.write_text("EC-Lab ASCII FILE\nNb header lines : 3\ntime/s\tEwe/V\t<I>/mA\n0\t0,1\t1\n1\t0,1\t1\n", encoding="cp1252")
    (ds,) = read_acquisitions(path)
    assert ds.attrs["technique"] == "cycling"
    np.testing.assert_allclose(ds["potential"], 0.1)


def test_cyclic_voltammetry_is_a_technique_of_its_own(tmp_path):
    path = eclab_text.example(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"Galvanostatic Cycling with Potential Limitation", b"Cyclic Voltammetry"))
    (ds,) = read_acquisitions(path)
    assert ds.attrs["technique"] == "cv"
    assert next(iter(ds.data_vars)) == "potential"
