"""Bare two-column tables of infrared spectrometers, which say nothing of themselves."""

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import open_file
from datasets.formats.infrared import point_table


def test_a_table_over_wavenumbers_is_a_spectrum_of_nobody_knows_what_until_a_person_says(tmp_path):
    path = point_table.example(tmp_path)
    (unknown,) = read_acquisitions(path)
    assert unknown.attrs["technique"] == "unknown"
    assert any("taken for wavenumbers" in w for w in unknown.attrs["warnings"])
    (ds,) = read_acquisitions(path, technique="ftir")
    np.testing.assert_allclose(ds["wavenumber"], np.arange(1700.0, 1500.0, -10.0))
    assert float(ds["wavenumber"][int(ds["absorbance"].values.argmax())]) == 1600.0


def test_an_interferogram_counts_its_points(tmp_path):
    path = tmp_path / "i.dpt"
    path.write_text("".join(f"{i}.00000\t{np.sin(i):.6f}\n" for i in range(9)))
    (signal,) = open_file(path)
    assert (signal.axes[0].name, signal.axes[0].units) == ("point", "")
    np.testing.assert_allclose(signal.main.data, np.sin(np.arange(9)), atol=1e-6)


@pytest.mark.parametrize("form", ["{0:.2f}\t{1:.2f}", "{0:.2f},{1:.2f}", "{0:.2f} {1:.2f}", "{0:.2f};{1:.2f}"])
@pytest.mark.parametrize("comma", [False, True])
def test_every_way_of_parting_two_columns_gives_the_same_numbers(tmp_path, form, comma):
    lines = [form.format(a, b) for a, b in ((400.25, 1.5), (500.5, 2.25), (600.75, 3.0))]
    if comma:
        if "," in form:
            return  # nobody could tell which comma parts the columns
        lines = [line.replace(".", ",") for line in lines]
    path = tmp_path / "a.dpt"
    path.write_text("# a remark\n" + "\n".join(lines) + "\n; another\n")
    (signal,) = open_file(path)
    assert signal.axes[0].values.tolist() == [400.25, 500.5, 600.75]
    assert signal.main.data.tolist() == [1.5, 2.25, 3.0]
    assert signal.metadata["remarks"] == ["# a remark", "; another"]


def test_a_table_that_turns_back_is_refused(tmp_path):
    path = tmp_path / "a.dpt"
    path.write_text("400 1\n500 2\n450 3\n600 4\n")
    with pytest.raises(FileError, match="neither rises nor falls"):
        open_file(path)
