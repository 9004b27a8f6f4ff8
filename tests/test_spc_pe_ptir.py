"""SPC, PerkinElmer and PTIR files: other programs' figures, each layout of the specification by hand."""

import struct

import h5py
import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import format_of
from datasets.formats.infrared import perkinelmer, ptir, spc


def test_a_multiple_file_has_the_times_and_the_maximum_that_two_programs_find(real_data):
    """SpectroChemPy and orange-spectroscopy: 10 x 4096, 0 to 10.656 s, 10625.4375."""
    (ds,) = read_acquisitions(real_data / "spectra" / "ftir_spc_ig_multi.spc")
    values = ds[next(iter(ds.data_vars))]
    assert values.dims[0] == "time"
    assert values.shape == (10, 4096)
    np.testing.assert_allclose(ds["time"][[0, -1]], [0.0, 10.656], atol=5e-4)
    assert float(values.max()) == 10625.4375


def test_integers_come_back_with_their_exponent(tmp_path):
    (ds,) = read_acquisitions(spc.example(tmp_path))
    assert ds["absorbance"].dims == ("time", "wavenumber")
    np.testing.assert_allclose(ds["absorbance"].max("wavenumber"), [1, 2, 3])
    assert ds["time"].values.tolist() == [0, 10, 20]
    assert ds.attrs["conditions"] == {"acquired": "2026-01-02T00:00:00", "quantity": "absorbance"}


def head(flags, points, count=1, version=spc.NEW, exponent=0, order="<"):
    raw = bytearray(spc.HEAD)
    struct.pack_into(f"{order}3BbI2dI4BI", raw, 0, flags, version, 4, exponent, points, 1000.0, 900.0, count, 1, 2, 0, 0, 0)
    return bytes(raw)


def sub(points=0, exponent=-128, order="<", z=0.0):
    return struct.pack(f"{order}BbHfffII", 0, exponent, 0, z, z, 0.0, points, 0).ljust(spc.SUB, b"\0")


X, Y = np.array([1000.0, 970.0, 900.0]), np.array([0.25, 0.5, 1.0])
OLD = bytearray(256)
struct.pack_into("<2Bh3f2Bh4B", OLD, 0, 0, spc.OLD, 2, 3.0, 1000.0, 900.0, 1, 2, 1999, 12, 31, 23, 59)
LAYOUTS = {
    "even float": (head(0, 3, exponent=-128) + sub() + Y.astype("<f4").tobytes(), False),
    "even int32": (head(0, 3, exponent=2) + sub() + (Y * 2 ** 30).astype("<i4").tobytes(), False),
    "even int16": (head(spc.INT16, 3, exponent=2) + sub() + (Y * 2 ** 14).astype("<i2").tobytes(), False),
    "big-endian": (head(0, 3, version=spc.BIG, exponent=-128, order=">") + sub(order=">") + Y.astype(">f4").tobytes(), False),
    "own x": (head(spc.X_VALUES, 3, exponent=-128) + X.astype("<f4").tobytes() + sub() + Y.astype("<f4").tobytes(), True),
    "each its x": (head(spc.X_VALUES | spc.OWN_X | spc.MULTI, 0, 1) + sub(3) + X.astype("<f4").tobytes()
                   + Y.astype("<f4").tobytes(), True),
    "directory": (head(spc.X_VALUES | spc.OWN_X | spc.MULTI, 512 + 32 + 24, 1) + sub(3) + X.astype("<f4").tobytes()
                  + Y.astype("<f4").tobytes() + struct.pack("<IIf", 512, 56, 0.0), True),
    "old": (bytes(OLD) + (Y * 2 ** 30).astype("<u4").view("<u2").reshape(-1, 2)[:, ::-1].tobytes(), False),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_the_specification_says_the_same(tmp_path, layout):
    raw, own_x = LAYOUTS[layout]
    path = tmp_path / "a.spc"
    path.write_bytes(raw)
    (ds,) = read_acquisitions(path)
    np.testing.assert_allclose(ds["absorbance"], Y, rtol=1e-4)
    np.testing.assert_allclose(ds["wavenumber"], X if own_x else [1000, 950, 900])


@pytest.mark.parametrize(("at", "value"), [(4, 2 ** 30), (24, 2 ** 20)])
def test_more_than_the_file_can_hold_is_refused(tmp_path, at, value):
    path = spc.example(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[at:at + 4] = struct.pack("<I", value)
    path.write_bytes(raw)
    with pytest.raises(FileError, match="more than it holds"):
        read_acquisitions(path)


def test_an_image_has_the_shape_axis_and_maximum_that_another_program_finds(real_data):
    """orange-spectroscopy 0.9.3: 16 x 1626, 4000 to 750 1/cm, 101.519 %."""
    (ds,) = read_acquisitions(real_data / "spectra" / "ftir_pe_4x4.fsm")
    assert ds["transmittance"].dims == ("y", "x", "wavenumber")
    assert ds["transmittance"].shape == (4, 4, 1626)
    np.testing.assert_allclose(ds["wavenumber"][[0, -1]], [4000, 750])
    assert float(ds["transmittance"].max()) == pytest.approx(1.01519, abs=5e-6)
    np.testing.assert_allclose(np.diff(ds["x"]), 50_000, rtol=1e-3)  # nm
    assert ds.attrs["conditions"]["quantity"] == "transmittance"


def test_pixels_run_along_x_first(tmp_path):
    (ds,) = read_acquisitions(perkinelmer.example(tmp_path))
    np.testing.assert_allclose(ds["absorbance"].max("wavenumber"), [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_allclose(ds["x"], [10_000, 16_250, 22_500])
    np.testing.assert_allclose(ds["y"], [20_000, 26_250])


def block(identity, contents):
    return struct.pack("<Hi", identity, len(contents)) + contents


def spectrum(tmp_path, unit=b"%T", values=(98.0, 50.0, 101.325)):
    """A .sp by hand: a nest with a nest of members."""
    values = np.array(values)
    members = (block(35698, struct.pack("<H2d", 29981, 4000.0, 450.0))
               + block(35699, struct.pack("<H2d", 29981, values.max(), values.min()))
               + block(35701, struct.pack("<HI", 29995, values.size))
               + block(35704, struct.pack("<HH", 29987, len(unit)) + unit)
               + block(35708, struct.pack("<Hi", 29974, 8 * values.size) + values.tobytes()))
    path = tmp_path / "a.sp"
    path.write_bytes(b"PEPE" + b"2D constant interval DataSet file".ljust(40, b"\0") + block(120, block(122, members)))
    return path


def test_a_spectrum_of_nested_blocks_is_read(tmp_path):
    (ds,) = read_acquisitions(spectrum(tmp_path))
    assert ds["wavenumber"].values.tolist() == [4000, 2225, 450]
    np.testing.assert_allclose(ds["transmittance"], [0.98, 0.5, 1.01325])
    assert not ds.attrs["warnings"]


def test_an_unknown_unit_is_said(tmp_path):
    (ds,) = read_acquisitions(spectrum(tmp_path, b"furlong"))
    assert any("furlong" in w for w in ds.attrs["warnings"])


def test_a_photothermal_map_and_its_raman_spectra_arrive_in_place(real_data):
    """orange-spectroscopy: 35 spectra of 451 points, 900 to 1800 1/cm, at most 17.1377 mV."""
    infrared, raman = read_acquisitions(real_data / "spectra" / "optir_hyper_sample.ptir")
    assert (infrared.attrs["technique"], raman.attrs["technique"]) == ("optir", "raman")
    assert infrared["ptir_amplitude"].shape == (5, 7, 451)
    assert raman["intensity"].shape == (5, 7, 1024)
    np.testing.assert_allclose(infrared["wavenumber"][[0, -1]], [900, 1800])
    assert float(infrared["ptir_amplitude"].max()) == pytest.approx(17.1377, abs=5e-5)
    assert infrared["ptir_amplitude"].attrs["units"] == "mV"
    np.testing.assert_allclose(np.diff(infrared["x"]), 20_000, rtol=1e-6)
    with h5py.File(real_data / "spectra" / "optir_hyper_sample.ptir") as file:
        raw, places = file["Measurement_000/Channel_000/Raw_Data"][12], file["Measurement_000/Position_Values"][12] * 1e3
    np.testing.assert_array_equal(infrared["ptir_amplitude"].sel(x=places[0], y=places[1], method="nearest"), raw)


def test_raman_lines_of_paracetamol_keep_their_distances(real_data):
    """651.6 to 1648.4 1/cm by ASTM E1840: the nominal axis of the same file makes it 1039."""
    raman = read_acquisitions(real_data / "spectra" / "optir_hyper_sample.ptir")[1]
    spectrum = raman["intensity"].isel(y=0, x=0)
    low, high = (spectrum.sel(raman_shift=slice(a, b)) for a, b in ((650, 675), (1645, 1670)))
    at = [float(part["raman_shift"][int(np.argmax(part.data))]) for part in (low, high)]
    assert at[1] - at[0] == pytest.approx(996.8, abs=3)


def test_single_places_stack_and_grids_are_grids(tmp_path):
    grid, single = read_acquisitions(ptir.example(tmp_path))
    assert grid["ptir_amplitude"].dims == ("y", "x", "wavenumber")
    np.testing.assert_allclose(grid["ptir_amplitude"].max("wavenumber"), [[4, 5, 6], [1, 2, 3]])
    assert single["ptir_amplitude"].dims == ("wavenumber",)


def test_a_container_of_another_program_is_not_taken_for_it(tmp_path):
    path = tmp_path / "a.ptir"
    with h5py.File(path, "w") as file:
        file["data"] = np.ones(3)
    assert format_of(path).name != "ptir"
