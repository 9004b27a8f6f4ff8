"""Columns of CasaXPS and plain tables: real exports, and CasaXPS' own arithmetic as the check."""

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats.photoelectrons import xps_columns

SODIUM = [
    # file, points, first and last binding energy (eV), largest rate, where it is, components
    ("xps_Na_MPPipTFSI_F_1s.csv", 97, 695.1, 683.1, 32880.6, 688.1, 1),
    ("xps_Na_MPPipTFSI_N_1s.csv", 113, 408.1, 394.1, 5349.14, 401.85, 2),
    ("xps_Na_MPPipTFSI_Na_1s.csv", 121, 1082.1, 1067.1, 3701.26, 1070.72, 1),
    ("xps_Na_deposit_Na_1s.csv", 121, 1080.6, 1065.6, 14358.9, 1067.97, 1),
]


def rate(ds):
    return ds["count_rate"] if "count_rate" in ds else ds["intensity"]


@pytest.mark.parametrize(("file", "points", "first", "last", "largest", "at", "components"), SODIUM, ids=[r[0] for r in SODIUM])
def test_a_fit_exported_by_casaxps_arrives_with_its_spectrum(real_data, file, points, first, last, largest, at, components):
    (ds,) = read_acquisitions(real_data / "spectra" / file)
    assert (ds.attrs["technique"], dict(ds.sizes)) == ("xps", {"binding_energy": points})
    np.testing.assert_allclose(ds["binding_energy"][[0, -1]], [first, last])
    assert float(rate(ds).max()) == largest
    assert float(ds["binding_energy"][int(np.argmax(rate(ds).data))]) == at
    assert sum(str(name).startswith("component") for name in ds.data_vars) == components
    assert ds.attrs["conditions"]["photon_energy_eV"] == 1486.6


@pytest.mark.parametrize("file", [row[0] for row in SODIUM])
def test_components_above_the_background_add_up_to_the_envelope(real_data, file):
    """CasaXPS prints six digits, so each of the sums is good to five in the last place of the largest."""
    (ds,) = read_acquisitions(real_data / "spectra" / file)
    above = sum(ds[name] - ds["background"] for name in ds.data_vars if str(name).startswith("component"))
    np.testing.assert_allclose(above + ds["background"], ds["envelope"], rtol=5e-5)


def test_the_same_fit_in_rows_of_tables_keeps_both_energies_and_names_its_components(real_data):
    (ds,) = read_acquisitions(real_data / "spectra" / "xps_casaxps_FeO_lineshapes_cols.txt")
    assert dict(ds.sizes) == {"binding_energy": 1121}
    np.testing.assert_allclose(ds["binding_energy"][[0, -1]], [750, 694])
    np.testing.assert_allclose(ds["kinetic_energy"] + ds["binding_energy"], 1486.61)
    np.testing.assert_allclose(ds["intensity"], ds["count_rate"] * 2.0, rtol=1e-6)
    components = ds.attrs["vendor"]["components"]
    assert [c["area"] for c in components] == [63507.37, 35837.06, 49042.13, 17705.16]
    assert [c["line_shape"] for c in components] == ["LF(0.54,10,80,100,6)", "SGL(30)"] * 2


def test_the_export_and_the_vamas_file_it_came_from_hold_the_same_spectrum(real_data):
    (table,) = read_acquisitions(real_data / "spectra" / "xps_casaxps_FeO_lineshapes_cols.txt")
    (vamas,) = read_acquisitions(real_data / "spectra" / "xps_casaxps_analyzed_FeO.vms")
    np.testing.assert_allclose(table["binding_energy"], vamas["binding_energy"], atol=1e-3)
    np.testing.assert_allclose(table["count_rate"], vamas["count_rate"], rtol=1e-6)


def test_the_area_of_a_component_is_what_its_column_adds_up_to(real_data):
    """Area in counts/s x eV over steps of 0.05 eV; the tails of the Lorentzian leave the window, so within 10 %."""
    (ds,) = read_acquisitions(real_data / "spectra" / "xps_casaxps_FeO_lineshapes_cols.txt")
    area = float((ds["component_2"] - ds["background"]).sum()) / 2.0 * 0.05
    assert area == pytest.approx(35837.06, rel=0.1)


def test_a_table_of_results_is_one_position_for_each_component(real_data):
    (ds,) = read_acquisitions(real_data / "spectra" / "xps_casaxps_FeO_results.csv")
    assert ds.attrs["technique"] == "xps_quantification"
    assert ds["line_position"].values.tolist() == [709.03, 715.73, 722.18, 730.22]
    assert ds["line_position"].attrs["units"] == "eV"
    assert float(ds["atomic_share"].sum()) == pytest.approx(100.0)


def test_a_plain_table_says_what_its_first_line_says_and_no_more(real_data):
    (pet,) = read_acquisitions(real_data / "spectra" / "xps_PET_C1s.csv")
    assert (pet.attrs["technique"], dict(pet.sizes)) == ("xps", {"binding_energy": 401})
    assert pet["intensity"].attrs["units"] == "arbitrary"
    assert "photon_energy_eV" in pet.attrs["incomplete"]


def test_kinetic_energies_become_binding_energies_by_the_photons_named_in_the_title(real_data):
    """Au 4f7/2 of clean gold at 84.0 eV; synchrotron light of nominally 180 eV, and the work function is not in it."""
    (gold,) = read_acquisitions(real_data / "spectra" / "xps_lmfitxps_clean_Au4f.csv")
    assert gold.attrs["conditions"]["photon_energy_eV"] == 180.0
    assert float(gold["kinetic_energy"][0]) == 84.0
    strongest = float(gold["binding_energy"][int(np.argmax(gold["intensity"].data))])
    assert 84.0 < strongest < 84.0 + 5.5


def test_regions_side_by_side_keep_their_own_lengths(tmp_path):
    fluorine, carbon = read_acquisitions(xps_columns.example(tmp_path))
    assert (fluorine.attrs["title"], fluorine.sizes["binding_energy"]) == ("F 1s 1", 41)
    assert (carbon.attrs["title"], carbon.sizes["binding_energy"]) == ("C 1s 2", 21)
    assert fluorine["intensity"].attrs["units"] == "count"
    assert float(fluorine["intensity"].max()) == 1000


@pytest.mark.parametrize("text", ["Binding Energy (eV);Counts\n290,5;3\n", "BE/eV\tcounts\n290\t3\n290.1\tx\n"])
def test_a_table_with_commas_for_points_or_words_for_numbers_is_not_read_as_something_else(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(FileError):
        read_acquisitions(path)
