"""Axes are matched by unit and name, never by position; what is not known stays unknown."""

import json
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest

from datasets import acquisition
from datasets.acquisition import interpret, read_acquisitions, technique_of
from datasets.errors import DatasetError, FileError
from datasets.formats.signal import Axis, Field, Signal
from datasets.provenance import jsonable
from datasets.techniques import TECHNIQUES
from datasets.techniques.cycling import CYCLING
from datasets.techniques.edx import EDX
from datasets.techniques.eels import EELS
from datasets.techniques.saed import SAED
from datasets.techniques.stem_4d import STEM_4D
from datasets.techniques.stem_image import STEM_IMAGE
from datasets.techniques.tem_image import TEM_IMAGE
from datasets.techniques.unknown import UNKNOWN


def signal(tmp_path, *axes: Axis, data=None, **more) -> Signal:
    if data is None:
        shape = tuple(axis.size for axis in axes)
        data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return Signal(more.pop("title", "made up"), axes, {"data": Field(data)}, tmp_path / more.pop("file", "made.up"), **more)


def even(name, size, scale=1.0, offset=0.0, units="") -> Axis:
    return Axis.even(name, size, scale, offset, units)


def test_a_spectrum_image_saved_energy_first_becomes_a_map_of_spectra(tmp_path):
    saved = signal(tmp_path, even("Energy loss", 5, 1.0, 300.0, "eV"), even("y", 3, 0.002, 0, "µm"),
                   even("x", 4, 0.002, 0, "µm"))
    ds = interpret(saved, EELS)
    assert ds.intensity.dims == ("y", "x", "energy_loss")
    np.testing.assert_array_equal(ds.intensity.transpose("energy_loss", "y", "x"), saved.main.data)
    np.testing.assert_allclose(ds.x, [0, 2, 4, 6])


def test_a_cube_saved_backwards_becomes_a_map_of_spectra(tmp_path):
    saved = signal(tmp_path, even("energy", 5, 0.01, 0, "keV"), even("x", 4, 2.0, 0, "nm"), even("y", 3, 1.0, 0, "nm"))
    ds = interpret(saved, EDX)
    assert ds.intensity.dims == ("y", "x", "xray_energy")
    np.testing.assert_array_equal(ds.intensity.transpose("xray_energy", "x", "y"), saved.main.data)


def test_the_order_of_axes_in_the_file_does_not_change_the_acquisition(tmp_path):
    axes = [even("y", 3, 1.0, 0, "nm"), even("x", 4, 2.0, 0, "nm"), even("energy loss", 5, 0.5, 0, "eV")]
    data = np.random.default_rng(0).poisson(9.0, (3, 4, 5))
    first = interpret(signal(tmp_path, *axes, data=data), EELS)
    for order in ((2, 0, 1), (1, 0, 2), (2, 1, 0), (0, 2, 1), (1, 2, 0)):
        other = interpret(signal(tmp_path, *(axes[i] for i in order), data=data.transpose(order)), EELS)
        np.testing.assert_array_equal(other.intensity, first.intensity)
        assert other.intensity.dims == first.intensity.dims


@pytest.mark.parametrize(("spelling", "per_unit"), [
    ("nm", 1.0), ("n_m", 1.0), ("[n_m]", 1.0), ("µm", 1e3), ("μm", 1e3), ("um", 1e3), ("pm", 1e-3), ("A", 0.1), ("Å", 0.1),
    ("cm", 1e7), ("m", 1e9), ("mm", 1e6)])
def test_every_spelling_of_a_length_ends_in_nanometres(tmp_path, spelling, per_unit):
    ds = interpret(signal(tmp_path, even("y", 2, 3.0, 0, spelling), even("x", 2, 3.0, 6.0, spelling)), TEM_IMAGE)
    np.testing.assert_allclose(ds.x, [6.0 * per_unit, 9.0 * per_unit], rtol=1e-12)
    assert ds.x.attrs["units"] == "nm"
    assert ds.attrs["uncalibrated"] == []


@pytest.mark.parametrize("spelling", ["1/nm", "1 / nm", "nm^-1", "1/Å"])
def test_every_spelling_of_an_inverse_length_ends_in_inverse_nanometres(tmp_path, spelling):
    ds = interpret(signal(tmp_path, even("y", 2, 0.1, 0, spelling), even("x", 2, 0.1, 0, spelling)), SAED)
    assert float(ds.scattering_vector_x[1]) == pytest.approx(1.0 if "Å" in spelling else 0.1)


@pytest.mark.parametrize("spelling", ["", "[]", " [] ", None, "px", "pixels", "points", "None", "<undefined>"])
def test_an_axis_without_a_unit_stays_in_pixels_and_is_said_to_be_uncalibrated(tmp_path, spelling):
    ds = interpret(signal(tmp_path, even("height", 3, 1.0, 0, spelling), even("width", 4, 1.0, 0, spelling)), TEM_IMAGE)
    assert ds.attrs["uncalibrated"] == ["y", "x"]
    assert ds.x.attrs["units"] == ds.y.attrs["units"] == "pixel"
    np.testing.assert_array_equal(ds.x, np.arange(4))


def test_a_step_without_a_unit_is_kept_beside_the_pixels(tmp_path):
    ds = interpret(signal(tmp_path, even("depth", 2, 2.5), even("y", 2, 1, 0, "nm"), even("x", 2, 1, 0, "nm")), TEM_IMAGE)
    assert ds.z.attrs["units"] == "pixel"
    assert ds.z.attrs["vendor_step"] == 2.5


def test_a_detector_in_centimetres_is_no_scattering_vector_but_its_figure_is_kept(tmp_path):
    saved = signal(tmp_path, even("y", 3, 12.8, 0, "nm"), even("x", 2, 12.8, 0, "nm"), even("dy", 4, 0.016, 0, "cm"),
                   even("dx", 4, 0.016, 0, "cm"), kind="diffraction")
    ds = interpret(saved, STEM_4D)
    assert ds.attrs["uncalibrated"] == ["scattering_vector_y", "scattering_vector_x"]
    assert (ds.scattering_vector_x.attrs["vendor_step"], ds.scattering_vector_x.attrs["vendor_units"]) == (0.016, "cm")
    assert any("cm" in w for w in ds.attrs["warnings"])


def test_uncalibrated_scans_of_patterns_keep_their_order(tmp_path):
    ds = interpret(signal(tmp_path, even("", 2), even("", 3), even("", 4), even("", 5), kind="diffraction"), STEM_4D)
    assert ds.intensity.dims == ("y", "x", "scattering_vector_y", "scattering_vector_x")
    assert ds.intensity.shape == (2, 3, 4, 5)


def test_a_negative_step_stays_negative(tmp_path):
    ds = interpret(signal(tmp_path, even("y", 3, -0.12, 0, "nm"), even("x", 3, 0.12, 0, "nm")), STEM_IMAGE)
    np.testing.assert_allclose(ds.y, [0, -0.12, -0.24])


def test_pixels_need_not_be_square(tmp_path):
    ds = interpret(signal(tmp_path, even("width", 3, 1.0, 0, "nm"), even("height", 2, 0.2, 0, "nm")), TEM_IMAGE)
    assert ds.intensity.shape == (2, 3)
    assert float(ds.y[1]) == pytest.approx(0.2)
    assert float(ds.x[1]) == pytest.approx(1.0)


@pytest.mark.parametrize(("axis", "dim", "unit"), [
    (even("z", 3, 2.0, -90.0, "deg"), "tilt", "deg"), (even("Time", 3, 0.8, 0, "s"), "time", "s"), (even("z", 3), "z", "pixel"),
    (even("stack_element", 3), "position", "1"), (even("channel", 3), "channel", "1"), (even("", 3), "frame", "1"),
    (even("depth", 3, 50.0, 0, "nm"), "z", "nm")])
def test_a_series_is_named_by_what_varies(tmp_path, axis, dim, unit):
    ds = interpret(signal(tmp_path, axis, even("y", 4, 1, 0, "nm"), even("x", 5, 1, 0, "nm")), TEM_IMAGE)
    assert ds.intensity.dims == (dim, "y", "x")
    assert ds[dim].attrs["units"] == unit


def test_heights_and_widths_are_never_taken_for_depths(tmp_path):
    ds = interpret(signal(tmp_path, even("height", 3, 1e-9, 0, "m"), even("width", 4, 1e-9, 0, "m")), UNKNOWN)
    assert ds.intensity.dims == ("y", "x")


def test_a_signal_of_no_technique_is_kept_whole_in_the_order_of_its_file(tmp_path):
    saved = signal(tmp_path, even("y", 3), even("x", 4), even("", 5), kind="NXdata")
    assert technique_of(saved) is UNKNOWN
    ds = interpret(saved, UNKNOWN)
    np.testing.assert_array_equal(ds.intensity, saved.main.data)
    assert "no technique recognises" in ds.attrs["warnings"][0]


def test_an_axis_that_cannot_be_told_is_an_error_that_shows_what_was_found(tmp_path):
    with pytest.raises(DatasetError, match=r"cannot tell which axis is 'energy_loss' \(eV\) among y \[nm, 3\], x \[nm, 4\]"):
        interpret(signal(tmp_path, even("y", 3, 1, 0, "nm"), even("x", 4, 1, 0, "nm")), EELS)


def test_a_person_calibrates_what_the_file_does_not(tmp_path):
    ds = interpret(signal(tmp_path, even("y", 3), even("x", 4)), TEM_IMAGE, axes={"x": (0.2, "nm"), "y": (2.0, "Å")})
    np.testing.assert_allclose(ds.x, [0, 0.2, 0.4, 0.6])
    np.testing.assert_allclose(ds.y, [0, 0.2, 0.4])
    assert ds.attrs["uncalibrated"] == []
    assert ds.attrs["warnings"] == []


def test_a_person_who_contradicts_the_file_is_obeyed_and_told(tmp_path):
    saved = signal(tmp_path, even("y", 2, 1, 0, "nm"), even("x", 2, 1, 0, "nm"), conditions={"beam_energy_keV": 200.0})
    ds = interpret(saved, TEM_IMAGE, axes={"x": (0.5, "nm")}, conditions={"beam_energy_keV": 300.0, "dose_e_per_A2": 20.0})
    assert float(ds.x[1]) == 0.5
    assert ds.attrs["conditions"] == {"beam_energy_keV": 300.0, "dose_e_per_A2": 20.0}
    assert len(ds.attrs["warnings"]) == 2
    assert ds.attrs["incomplete"] == ["temperature_K"]


def test_two_techniques_that_claim_one_signal_are_an_error(tmp_path, monkeypatch):
    eager = {t.name: replace(t, recognises=lambda _: True) for t in (STEM_IMAGE, TEM_IMAGE, EELS)}
    monkeypatch.setattr(acquisition, "TECHNIQUES", eager)
    with pytest.raises(FileError, match=r"could be stem_image or tem_image or eels; say technique="):
        technique_of(signal(tmp_path, even("y", 2), even("x", 2)))


def test_lazy_data_stay_lazy_through_transposition(tmp_path):
    lazy = da.ones((5, 3, 4), chunks=(5, 1, 1))
    axes = even("energy loss", 5, 1, 0, "eV"), even("y", 3, 1, 0, "nm"), even("x", 4, 1, 0, "nm")
    ds = interpret(signal(tmp_path, *axes, data=lazy), EELS)
    assert isinstance(ds.intensity.data, da.Array)
    assert ds.intensity.shape == (3, 4, 5)


def test_counts_are_counts_only_where_the_file_says_so(tmp_path):
    plain = signal(tmp_path, even("y", 2), even("x", 2))
    assert interpret(plain, TEM_IMAGE).intensity.attrs["units"] == "arbitrary"
    counted = Signal("counted", plain.axes, {"data": Field(plain.main.data, "counts")}, plain.source)
    assert interpret(counted, TEM_IMAGE).intensity.attrs["units"] == "count"


@pytest.mark.parametrize(("name", "technique", "word"), [
    ("grid3_HAADF.mrc", "stem_image", "HAADF"), ("haadf.mrc", "stem_image", "haadf"), ("film-BF-02.mrc", "stem_image", "BF"),
    ("lattice.mrc", "tem_image", "does not say"), ("LiBF4.mrc", "tem_image", "does not say"),
    ("system.mrc", "tem_image", "does not say")])
def test_an_image_of_unknown_making_is_guessed_aloud(tmp_path, name, technique, word):
    saved = signal(tmp_path, even("y", 2, 1, 0, "nm"), even("x", 2, 1, 0, "nm"), file=name)
    chosen = technique_of(saved)
    assert chosen.name == technique
    assert word in chosen.doubt(saved)


def test_what_the_file_says_is_no_guess(tmp_path):
    said = signal(tmp_path, even("y", 2, 1, 0, "nm"), even("x", 2, 1, 0, "nm"), kind="TEM", file="haadf.mrc")
    assert technique_of(said) is TEM_IMAGE
    assert TEM_IMAGE.doubt(said) == ""


def test_complex_numbers_are_no_image(tmp_path):
    transform = signal(tmp_path, even("y", 2, 1, 0, "1/nm"), even("x", 2, 1, 0, "1/nm"), data=np.ones((2, 2), np.complex64))
    assert technique_of(transform) is UNKNOWN


@pytest.mark.parametrize(("axes", "technique"), [
    ((even("energy", 9, 0.01, 0, "keV"),), "edx"), ((even("X-ray energy", 9, 10, 0, "eV"),), "edx"),
    ((even("energy loss", 9, 1, 0, "eV"),), "eels"), ((even("energy", 9, 1, 0, "eV"),), "eels"),
    ((even("Energy loss", 9, 0.001, 0, "keV"),), "eels"),
    ((even("y", 3, 0.1, 0, "1/nm"), even("x", 3, 0.1, 0, "1/nm")), "saed"),
    ((even("y", 3, 1, 0, "nm"), even("x", 3, 1, 0, "nm"), even("ky", 3, 1, 0, "1/nm"), even("kx", 3, 1, 0, "1/nm")), "stem_4d"),
    ((even("wavelength", 9, 1, 0, "um"),), "unknown"), ((even("y", 9, 1, 0, "nm"),), "unknown"),
    ((even("binding energy", 9, 1, 0, "eV"),), "unknown"),
])
def test_the_axes_alone_tell_most_techniques(tmp_path, axes, technique):
    assert technique_of(signal(tmp_path, *axes)).name == technique


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(FileError, match=r"^nowhere\.dm4: cannot be opened"):
        read_acquisitions(tmp_path / "nowhere.dm4")


def test_every_technique_can_be_asked_for_by_name():
    assert {"tem_image", "stem_image", "sem_image", "eels", "edx", "saed", "stem_4d", "unknown"} <= set(TECHNIQUES)


def test_a_field_without_a_unit_is_not_lent_one(tmp_path):
    time = Axis("time", np.arange(3.0), "s")
    fields = {"potential": Field(np.ones(3), "V"), "current": Field(np.ones(3), "mA"), "temperature": Field(np.full(3, 300.0)),
              "cycle_number": Field(np.ones(3))}
    record = Signal("run", (time,), fields, tmp_path / "run", kind="cycling")
    ds = interpret(record, CYCLING)
    assert ds.temperature.attrs["units"] == "arbitrary"
    assert ds.cycle_number.attrs["units"] == "1"
    assert any("temperature has no unit" in warning for warning in ds.attrs["warnings"])
    with pytest.raises(DatasetError, match="potential has no unit in the file, expected V"):
        interpret(replace(record, fields={**fields, "potential": Field(np.ones(3))}), CYCLING)


def test_a_coordinate_without_a_unit_is_a_bare_number_only_where_the_vocabulary_says_so(tmp_path):
    beside = {"cycle_number": (np.arange(3.0), ""), "sputter_time": (np.arange(3.0), ""), "valve": (np.arange(3.0), "")}
    ds = interpret(signal(tmp_path, Axis("point", np.arange(3.0), "", beside)), UNKNOWN)
    assert [ds[name].attrs["units"] for name in beside] == ["1", "arbitrary", "arbitrary"]


def test_a_counted_axis_that_the_file_gives_in_a_unit_keeps_that_beside_its_numbers(tmp_path):
    """A series over a bias in volts has no dimension here, and a detector in micrometres is counted in pixels."""
    bias = Axis("bias", np.array([-1.0, 0.5, 3.0]), "V")
    ds = interpret(signal(tmp_path, bias, even("y", 4, 1, 0, "nm"), even("x", 5, 1, 0, "nm")), TEM_IMAGE)
    dim = ds.intensity.dims[0]
    np.testing.assert_array_equal(ds[dim], [0, 1, 2])
    np.testing.assert_array_equal(ds[f"{dim}_stated"], [-1.0, 0.5, 3.0])
    assert ds[f"{dim}_stated"].attrs["units"] == "V"
    assert any("in 'V' in the file" in warning for warning in ds.attrs["warnings"])


def test_metadata_of_any_length_of_number_become_plain_json():
    """A damaged type of an HDF5 attribute may declare 80 bits; numpy's plain value of such a number is itself."""
    found = jsonable({"a": np.longdouble(1.5), "b": np.clongdouble(1 + 2j), "c": np.array([2.5], np.longdouble)})
    assert json.loads(json.dumps(found)) == {"a": 1.5, "b": "(1+2j)", "c": [2.5]}
