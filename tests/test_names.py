"""Names of folders and files tell samples and a few conditions, and never more than a person would read from them."""

import pytest

from correlate.names import conditions_of, is_called_a_copy, looks_like_identifier, sample_name, samples_of, telling_words


def sample(*paths):
    return [samples_of(paths)[p].sample for p in paths]


@pytest.mark.parametrize("text", ["raw", "TEM", "2024-03-01", "20240301 cryo-TEM", "cycle10", "50cyc", "new folder", "300kV",
                                  "Map 3", "XPS data", "-170C", "Li1s", "STEM_EDX", "lamella2"])
def test_a_folder_of_method_date_count_or_condition_names_no_sample(text):
    assert telling_words(text) == []


@pytest.mark.parametrize("text", ["A17", "cell 3", "S-04", "LFP12b", "sample_7", "cell03"])
def test_a_letter_and_a_number_look_like_a_specimen(text):
    assert looks_like_identifier(text)


def test_the_folder_names_the_sample_whatever_the_folders_of_methods_around_it():
    assert sample("raw/A17/TEM/haadf.mrc", "raw/TEM/2024-03-01/A17/map.rpl", "raw/XPS/b03/F1s.vms") == ["A17", "A17", "b03"]


def test_the_project_above_all_samples_is_no_sample():
    assert sample("Li metal/lithium/x.dm4", "Li metal/sodium/y.dm4") == ["lithium", "sodium"]


def test_cells_of_one_name_in_two_electrolytes_are_two_samples():
    assert sample("LP40 batch/cell 1/a.mpr", "FSI batch/cell 1/a.mpr", "FSI batch/cell 2/a.mpr") == [
        "LP40_batch_cell_1", "FSI_batch_cell_1", "cell_2"]


def test_lamellae_and_sites_belong_to_the_specimen_above_them():
    assert sample("A17/lamella 1/x.dm4", "A17/site2/x.dm4", "B02/x.dm4") == ["A17", "A17", "B02"]


def test_spelling_in_capitals_makes_no_second_sample():
    assert len(set(sample("A17/x.dm4", "TEM/a17/y.dm4"))) == 1


def test_a_loose_file_belongs_to_the_sample_that_its_name_mentions():
    assert sample("A17/x.dm4", "B02/x.dm4", "xps_B02_F1s.vms", "overview.tif") == ["A17", "B02", "B02", ""]


def test_first_words_of_names_tell_samples_in_a_flat_folder():
    assert sample("A17_haadf.mrc", "A17_F1s.vms", "B03_haadf.mrc") == ["A17", "A17", "B03"]
    assert sample("LiStudy_A17_haadf.mrc", "LiStudy_A17_F1s.vms", "LiStudy_B03_haadf.mrc") == ["A17", "A17", "B03"]


def test_names_that_tell_nothing_give_no_sample():
    assert sample("haadf.mrc", "F1s.vms", "2024-03-01.dm4") == ["", "", ""]


def test_sample_names_fit_the_sheet():
    assert sample_name(" Li/Cu (cell 3) ") == "Li_Cu_cell_3"


@pytest.mark.parametrize(("path", "family", "condition", "value"), [
    ("A17/cycle10/haadf.mrc", "image", "cycle", 10), ("A17_50cyc_xps.vms", "xray", "cycle", 50),
    ("A17/haadf_300kV.tif", "image", "beam_energy_keV", 300.0), ("A17/map 1p5e_per_A2.rpl", "emspec", "dose_e_per_A2", 1.5),
    ("A17/haadf_20e-A2.mrc", "image", "dose_e_per_A2", 20.0)])
def test_a_condition_is_read_where_it_can_mean_one_thing_only(path, family, condition, value):
    assert [(s.condition, s.value) for s in conditions_of(path, family)] == [(condition, value)]


@pytest.mark.parametrize(("path", "family"), [
    ("cell_50cycles.mpr", "echem"),  # what the cell will do, not what the specimen has seen
    ("A17/cycle10/map_cycle20.mrc", "image"), ("A17/1486keV.vms", "xray"), ("bicycle10.mrc", "image"),
    ("A17-170C.mrc", "image")])
def test_a_condition_is_not_read_where_it_can_mean_two_things(path, family):
    assert conditions_of(path, family) == []


@pytest.mark.parametrize("path", ["A17/Copy of f1s.vms", "A17/f1s - Kopie.vms", "A17/f1s (2).vms", "backup/A17/f1s.vms"])
def test_a_second_copy_is_told_by_what_systems_and_people_call_it(path):
    assert is_called_a_copy(path)
    assert not is_called_a_copy("A17/photocopying_f1s(Cu).vms")
