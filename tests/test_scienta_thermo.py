"""Scienta and Thermo files, and the containers they come in."""

import struct
from io import BytesIO

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import open_file
from datasets.formats.igor_wave import read_wave
from datasets.formats.photoelectrons import scienta, thermo


def test_an_igor_wave_of_scienta_has_the_axis_and_maximum_that_igor2_finds(real_data):
    (ds,) = read_acquisitions(real_data / "spectra" / "xps_scienta_Ag.ibw")
    assert (ds.attrs["technique"], ds.attrs["title"], dict(ds.sizes)) == ("xps", "VB", {"binding_energy": 801})
    np.testing.assert_allclose(ds["binding_energy"], 30.0 - 0.05 * np.arange(801), atol=1e-9)
    assert float(ds["intensity"].max()) == pytest.approx(6.712769925594, abs=1e-11)
    assert ds.attrs["conditions"]["pass_energy_eV"] == 50.0


def test_a_thermo_survey_has_the_axis_maximum_and_settings_that_the_file_names(real_data):
    """vgd-reader finds the same axis and maximum; settings come from the dictionary of the file, not from a search."""
    (ds,) = read_acquisitions(real_data / "spectra" / "xps_thermo_survey.VGD")
    assert (ds.attrs["technique"], ds.attrs["title"], dict(ds.sizes)) == ("xps", "XPS Survey", {"binding_energy": 1361})
    np.testing.assert_allclose(ds["binding_energy"], 1350.0 - np.arange(1361), atol=1e-3)
    at = int(np.argmax(ds["intensity"].data))
    assert float(ds["intensity"][at]) == pytest.approx(20950.7, abs=0.1)
    assert float(ds["binding_energy"][at]) == pytest.approx(285.0, abs=1e-3)
    stated = ds.attrs["conditions"]
    assert (stated["photon_energy_eV"], stated["pass_energy_eV"], stated["work_function_eV"]) == (1486.68, 200.0, 4.2)
    assert ds.attrs["vendor"]["Scans"] == 2


def test_slices_of_a_detector_become_positions(tmp_path):
    (ds,) = read_acquisitions(scienta.example_text(tmp_path))
    assert dict(ds.sizes) == {"position": 2, "binding_energy": 41}
    assert ds["intensity"].attrs["units"] == "count"
    np.testing.assert_array_equal(ds["intensity"][1] - ds["intensity"][0], 1)
    assert ds["y_scale"].values.tolist() == [-1, 1]
    assert ds.attrs["conditions"]["dwell_time_s"] == 0.5


@pytest.mark.parametrize(("change", "told"), [
    (lambda text: text.replace("Regions=1", "Regions=2"), "declares 2 regions"),
    (lambda text: text[:-80], "different lengths|declares 41 energies"),
    (lambda text: text.replace("[Data 1]\n", "[Data 1]\nword\n"), "expected numbers"),
])
def test_a_damaged_text_is_refused_in_one_line(tmp_path, change, told):
    path = scienta.example_text(tmp_path)
    path.write_text(change(path.read_text()))
    with pytest.raises(FileError, match=told):
        read_acquisitions(path)


def wave(data, order="<", note=b"[SES]\rEnergy Scale=Kinetic\rExcitation Energy=100"):
    """A version 5 wave by hand, rows first as Igor stores them."""
    shape = [*data.shape, *(0,) * (4 - data.ndim)]
    unit = b"Kinetic Energy [eV]"
    head = struct.pack(f"{order}hh4i4i4iiii", 5, 0, 320 + data.nbytes, 0, len(note), 0, len(unit), 0, 0, 0, *(0,) * 4, 0, 0, 0)
    body = struct.pack(f"{order}iIIihh6xh32sii4i4d4d4s16s", 0, 0, 0, data.size, 4, 0, 1, b"w", 0, 0, *shape,
                       0.5, 1, 1, 1, 10.0, 0, 0, 0, b"", b"")
    heads = head + body.ljust(320, b"\0")
    total = int(np.frombuffer(heads, f"{order}i2").sum(dtype=np.int64))
    heads = heads[:2] + struct.pack(f"{order}H", -total & 0xFFFF) + heads[4:]  # both heads add up to zero
    return heads + data.astype(f"{order}f8").tobytes("F") + note + unit


@pytest.mark.parametrize("order", ["<", ">"])
def test_either_byte_order_and_columns_are_understood(tmp_path, order):
    path = tmp_path / "a.ibw"
    path.write_bytes(wave(np.arange(6.0).reshape(3, 2), order))
    kept = read_wave(path)
    assert kept.data.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert kept.scales[0] == (0.5, 10.0, "Kinetic Energy [eV]")
    (ds,) = read_acquisitions(path)
    assert ds["intensity"].dims == ("position", "binding_energy")
    assert ds["intensity"].values.tolist() == [[0, 2, 4], [1, 3, 5]]
    np.testing.assert_allclose(ds["binding_energy"], [90, 89.5, 89])


def test_a_wave_of_another_instrument_is_not_taken_for_a_spectrum(tmp_path):
    path = tmp_path / "a.ibw"
    path.write_bytes(wave(np.ones((3, 2)), note=b"ScanSize: 1e-6"))
    assert [signal.kind for signal in open_file(path)] == ["AFM"]


def test_a_thermo_file_cut_short_is_refused(real_data, tmp_path):
    whole = (real_data / "spectra" / "xps_thermo_survey.VGD").read_bytes()
    path = tmp_path / "a.VGD"
    for part in (0.1, 0.5, 0.9):
        path.write_bytes(whole[:int(part * len(whole))])
        with pytest.raises(FileError):
            read_acquisitions(path)


def test_properties_that_are_no_property_set_are_no_properties():
    assert thermo.named_properties(b"") == {}
    assert thermo.named_properties(b"\xff" * 100) == {}


class Held:
    """A container of one stream: a property set with a title of this type and length."""

    def __init__(self, kind, length):
        section = struct.pack("<4I", 0, 1, thermo.TITLE, 16) + struct.pack("<2I", kind, length) + b"XPS Survey\0"
        self.raw = bytes(44) + struct.pack("<I", 48) + section

    def exists(self, name):
        return name == thermo.SUMMARY

    def openstream(self, name):
        return BytesIO(self.raw if self.exists(name) else b"")


def test_a_title_that_declares_a_list_of_two_thousand_million_texts_is_no_title():
    assert thermo._summary_title(Held(30, 11)) == "XPS Survey"
    assert thermo._summary_title(Held(0x1000 | 30, 0x7FFFFFFF)) == ""
