"""SPECS files: real ones beside another program's figures, and channeltrons whose answer is known."""

import sqlite3

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import open_file
from datasets.formats.photoelectrons import specs, specs_sle


@pytest.mark.parametrize(("signal", "title", "points", "first", "last", "largest"), [
    (0, "Survey", 1351, 1350.0, 0.0, 108366.48), (1, "Fe2p", 56, 750.0, 695.0, 7613.9403)])
def test_a_text_export_has_the_regions_that_another_program_finds(real_data, signal, title, points, first, last, largest):
    ds = read_acquisitions(real_data / "spectra" / "xps_specs_MgFe2O4.xy")[signal]
    assert (ds.attrs["technique"], ds.attrs["title"], dict(ds.sizes)) == ("xps", title, {"binding_energy": points})
    np.testing.assert_allclose(ds["binding_energy"][[0, -1]], [first, last])
    assert float(ds["intensity"].max()) == largest
    assert ds["intensity"].attrs["units"] == "count/s"


@pytest.mark.parametrize(("signal", "title", "sizes", "sums"), [
    (0, "Survey", {"binding_energy": 1403}, [777]), (1, "C1s", {"spectrum": 2, "binding_energy": 201}, [560, 559])])
def test_the_plain_sum_of_the_channels_is_that_of_another_program(real_data, signal, title, sizes, sums):
    """pynxtools-xps 0.6.3 sums the five channeltrons without moving them."""
    ds = read_acquisitions(real_data / "spectra" / "xps_specs_insitu.xml")[signal]
    assert (ds.attrs["technique"], ds.attrs["title"], dict(ds.sizes)) == ("xps", title, sizes)
    assert np.ravel(ds["channel_sum"].max("binding_energy")).tolist() == sums


def test_channels_moved_to_where_they_looked_see_the_same_line(real_data):
    """The line of the survey is 777 counts high in the plain sum, and about five times one channel when aligned."""
    survey, carbon = read_acquisitions(real_data / "spectra" / "xps_specs_insitu.xml")
    assert float(survey["intensity"].max()) == pytest.approx(5 * 302, rel=0.2)
    assert float(survey["intensity"].max()) > 1.9 * float(survey["channel_sum"].max())
    # a region measured again at ten times finer steps has its line where the survey has it
    at = [float(ds["binding_energy"][int(np.argmax(ds["intensity"].data.reshape(-1, ds.sizes["binding_energy"])[0]))])
          for ds in (survey, carbon)]
    assert at[0] == pytest.approx(at[1], abs=0.5)


def test_sulphur_and_fluorine_of_a_polythiophene_stand_where_they_do(real_data):
    """S 2p of thiophene at 164, F 1s of a fluorinated salt at 687 to 688 eV; the other program puts both 1 eV higher."""
    survey = read_acquisitions(real_data / "spectra" / "xps_specs_insitu.xml")[0]
    for low, high, expected in ((158, 172, 164.3), (680, 694, 687.5)):
        near = survey["intensity"].where((survey["binding_energy"] > low) & (survey["binding_energy"] < high), 0)
        assert float(survey["binding_energy"][int(np.argmax(near.data))]) == pytest.approx(expected, abs=0.6)


def test_the_axis_begins_at_the_kinetic_energy_and_steps_as_the_file_says(real_data):
    survey, carbon = read_acquisitions(real_data / "spectra" / "xps_specs_insitu.xml")
    for ds, start, step in ((survey, 553.6, 0.5), (carbon, 963.6, 0.05)):
        np.testing.assert_allclose(ds["kinetic_energy"], start + step * np.arange(ds.sizes["binding_energy"]))
    assert any("declares 15 scans and holds 2" in w for w in carbon.attrs["warnings"])


def test_two_channels_that_look_apart_add_up_where_the_line_is(tmp_path):
    (ds,) = read_acquisitions(specs.example_xml(tmp_path))
    assert ds["intensity"].values.tolist() == [0, 0, 0, 8, 18, 8, 0, 0, 0]
    assert float(ds["kinetic_energy"][4]) == 802.0


def test_separate_scans_stack_and_whole_counts_come_back(tmp_path):
    (ds,) = read_acquisitions(specs.example_text(tmp_path))
    assert dict(ds.sizes) == {"spectrum": 2, "binding_energy": 41}
    assert ds["intensity"].attrs["units"] == "count"
    assert ds["intensity"].max("binding_energy").values.tolist() == [1000, 1001]


def test_more_columns_and_another_prefix_are_read(tmp_path):
    path = specs.example_text(tmp_path)
    text = path.read_text().replace("# ", "; ").replace("energy counts/s", "energy counts/s transmission")
    lines = [line + "  0.5" if line[:1].isdigit() else line for line in text.replace("\n#\n", "\n;\n").splitlines()]
    path.write_text("\n".join(lines) + "\n")
    (ds,) = read_acquisitions(path)
    assert np.all(ds["transmission"] == 0.5)
    assert ds["intensity"].max() == 1001


@pytest.mark.parametrize(("change", "told"), [
    (lambda text: text[:len(text) // 2], "well-formed"),
    (lambda text: text.replace("<ulong>0", "<ulong>", 1), "counts, expected"),
    (lambda text: text.replace('name="shift"', 'name="drift"', 1), "has no 'shift'"),
    (lambda text: text.replace("<any", "<!DOCTYPE any [<!ENTITY a 'b'>]><any", 1), "entities"),
])
def test_damaged_xml_is_refused_in_one_line(tmp_path, change, told):
    path = specs.example_xml(tmp_path)
    path.write_text(change(path.read_text()))
    with pytest.raises(FileError, match=told):
        read_acquisitions(path)


def test_a_cut_text_says_so(tmp_path):
    path = specs.example_text(tmp_path)
    path.write_text("\n".join(path.read_text().splitlines()[:30]) + "\n")
    (ds,) = read_acquisitions(path)
    assert any("truncated" in w for w in ds.attrs["warnings"])


def test_a_prodigy_database_keeps_every_scan_and_puts_its_pieces_in_order(tmp_path):
    """The two scans lie half a minute apart; their numbers stand in the file in two pieces, the later one first."""
    (ds,) = read_acquisitions(specs_sle.example(tmp_path))
    assert ds.attrs["technique"] == "xps"
    assert ds["intensity"].dims == ("time", "binding_energy")
    assert ds["time"].values.tolist() == [0.0, 30.0]
    assert ds["binding_energy"].values[[0, -1]].tolist() == [690.0, 680.0]
    assert float(ds["binding_energy"][int(np.argmax(ds["intensity"].values[0]))]) == 685.0
    np.testing.assert_allclose(ds["intensity"][1], 2 * ds["intensity"][0])
    assert ds.attrs["conditions"]["photon_energy_eV"] == 1486.61
    assert ds["transmission"].shape == (2, 21)


def test_points_of_a_prodigy_scan_that_was_stopped_are_no_zeros(tmp_path):
    path = specs_sle.example(tmp_path)
    with sqlite3.connect(path) as base:
        base.execute("UPDATE RawData SET WriteIndex = 15 WHERE RawID = 2")
    base.close()
    (ds,) = read_acquisitions(path)
    assert np.isnan(ds["intensity"].values[1, 15:]).all()
    assert np.isfinite(ds["intensity"].values[0]).all()
    assert any("stopped after 15 of 21" in warning for warning in ds.attrs["warnings"])


def test_a_prodigy_scan_of_the_wrong_length_is_named(tmp_path):
    path = specs_sle.example(tmp_path)
    with sqlite3.connect(path) as base:
        base.execute("DELETE FROM CountRateData WHERE RawID = 2 AND Offset = 0")
    base.close()
    with pytest.raises(FileError, match="scan 2 declares 21 points"):
        open_file(path)
