"""BioLogic files: real ones with the figures of other programs, EC-Lab's own text export of two of them, and damaged ones."""

import io
import struct

import numpy as np
import pytest
from galvani import BioLogic

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import open_file
from datasets.formats.cells import biologic, eclab

ROWS = [
    # file, points of the record, points of impedance, highest and lowest frequency, half cycles
    ("yadg_gcpl.mpr", 12057, 0, None, None, 33),
    ("yadg_gcpl.issue_149.mpr", 132, 0, None, None, 8),
    ("yadg_bcd.issue_241.mpr", 2550, 0, None, None, 3),
    ("yadg_geis.mpr", 2528, 2499, 1.00002e6, 0.1998, None),
    ("yadg_peis.issue_149.mpr", 84, 84, 199998, 99.97, None),
    ("yadg_peis.mpr", 32, 32, 199998, 1.0, None),
    ("yadg_vsp_peis_with.mpr", 2240, 2240, 1.00002e6, 0.0999, None),
    ("navani_00_test_04_MB.mpr", 1501, 0, None, None, 1),
    ("cellpy_biol.mpr", 23561, 310, 100020, 0.04996, 1),
    ("bdf_PEIS-0.mpr", 60, 60, 10001, 0.009313, None),
]


@pytest.mark.parametrize(("file", "points", "impedance", "highest", "lowest", "half_cycles"), ROWS, ids=[r[0] for r in ROWS])
def test_a_real_file_has_the_points_frequencies_and_half_cycles_that_other_programs_find(
        real_data, file, points, impedance, highest, lowest, half_cycles):
    found = read_acquisitions(real_data / "echem" / file)
    eis = [ds for ds in found if ds.attrs["technique"] == "eis"]
    records = [ds for ds in found if ds.attrs["technique"] == "cycling"]
    assert sum(ds["impedance_real"].size for ds in eis) == impedance
    assert sum(ds["potential"].size for ds in found) == points
    if impedance:
        frequency = np.concatenate([ds["frequency"].to_numpy() for ds in eis])
        assert frequency.max() == pytest.approx(highest, rel=2e-4)
        assert frequency.min() == pytest.approx(lowest, rel=2e-3)
    if half_cycles is not None:
        assert int(records[0]["half_cycle"].max()) + 1 == half_cycles  # EC-Lab skips a number at some starts
        assert np.isfinite(records[0]["current"]).sum() >= points - impedance - 1


@pytest.mark.parametrize("file", [row[0] for row in ROWS])
def test_every_column_has_the_numbers_that_galvani_reads(real_data, file):
    path = real_data / "echem" / file
    table = BioLogic.MPRfile(io.BytesIO(path.read_bytes())).data
    modules = biologic._modules(path)
    columns, notes = biologic._table(path, modules["VMP data"].body, modules["VMP data"].version)
    assert not notes
    for name in table.dtype.names:
        if name != "flags":
            np.testing.assert_array_equal(columns[name], table[name])


@pytest.mark.parametrize(("file", "sweeps"), [
    ("yadg_geis.mpr", [(60, 41), (39,)]), ("yadg_peis.issue_149.mpr", [(4, 21)]), ("yadg_vsp_peis_with.mpr", [(32, 70)]),
    ("cellpy_biol.mpr", [(4, 64), (54,)]), ("bdf_PEIS-0.mpr", [(60,)]), ("yadg_peis.mpr", [(32,)])])
def test_sweeps_are_taken_apart_and_only_like_ones_are_stacked(real_data, file, sweeps):
    eis = [ds for ds in read_acquisitions(real_data / "echem" / file) if ds.attrs["technique"] == "eis"]
    assert [ds["impedance_real"].shape for ds in eis] == sweeps
    for ds in eis:
        assert (np.diff(ds["frequency"]) < 0).all()
        if "time" in ds.dims:
            assert (np.diff(ds["time"]) > 0).all()


def text_columns(path):
    """EC-Lab's text export, which has decimal commas here."""
    lines = path.read_bytes().decode("latin-1").splitlines()
    head = int(lines[1].split(":")[1])
    names = lines[head - 1].strip().split("\t")
    rows = np.array([[float(v.replace(",", ".")) for v in line.strip().split("\t")] for line in lines[head:] if line.strip()])
    return dict(zip(names, rows.T, strict=True))


def test_the_mean_current_is_the_one_that_eclab_computes_when_it_writes_text(real_data):
    """The binary file has no current at all; EC-Lab's text has it to 15 digits."""
    (ds,) = read_acquisitions(real_data / "echem" / "yadg_gcpl.issue_149.mpr")
    truth = text_columns(real_data / "echem" / "yadg_gcpl.issue_149.mpt")
    assert np.isnan(ds["current"].values[0])
    np.testing.assert_allclose(ds["current"].values[1:], truth["<I>/mA"][1:], atol=1e-11)
    np.testing.assert_allclose(ds["potential"], truth["Ewe/V"], rtol=1e-6)
    np.testing.assert_allclose(ds["charge"], truth["(Q-Qo)/mA.h"], rtol=1e-12)
    np.testing.assert_array_equal(ds["half_cycle"], truth["half cycle"])
    assert any("dQ / dt" in warning for warning in ds.attrs["warnings"])


@pytest.mark.parametrize("file", ["yadg_peis.issue_149", "yadg_peis"])
def test_impedance_agrees_with_eclabs_text_and_has_its_true_sign(real_data, file):
    (ds,) = read_acquisitions(real_data / "echem" / f"{file}.mpr")
    truth = text_columns(real_data / "echem" / f"{file}.mpt")
    np.testing.assert_allclose(ds["impedance_real"].values.ravel(), truth["Re(Z)/Ohm"], rtol=1e-6)
    np.testing.assert_allclose(ds["impedance_imaginary"].values.ravel(), -truth["-Im(Z)/Ohm"], rtol=1e-6)
    phase = np.degrees(np.arctan2(ds["impedance_imaginary"], ds["impedance_real"])).values.ravel()
    np.testing.assert_allclose(phase, truth["Phase(Z)/deg"], atol=1e-3)


@pytest.mark.parametrize(("file", "charged", "discharged"), [
    ("yadg_gcpl.mpr", 0.132, 0.132), ("yadg_bcd.issue_241.mpr", 5.45211, 5.46461)])
def test_the_charge_of_a_half_cycle_is_the_instruments_counter_at_its_end(real_data, file, charged, discharged):
    (ds,) = read_acquisitions(real_data / "echem" / file)
    ends = np.append(np.flatnonzero(np.diff(ds["half_cycle"].values.astype(int))), ds.sizes["time"] - 1)
    counter = ds["half_cycle_charge"].values[ends]
    assert counter.max() == pytest.approx(charged, rel=3e-5)
    assert -counter.min() == pytest.approx(discharged, rel=3e-5)
    passed = np.diff(ds["charge"].values[ends])
    np.testing.assert_allclose(passed, counter[1:], rtol=2e-6, atol=1e-9)


def test_a_symmetric_cell_gives_back_what_it_took(real_data):
    """Lithium-like symmetric cell of 16 days: discharge over charge is 99.998 % in its first cycles."""
    (ds,) = read_acquisitions(real_data / "echem" / "yadg_gcpl.mpr")
    ends = np.append(np.flatnonzero(np.diff(ds["half_cycle"].values.astype(int))), ds.sizes["time"] - 1)
    counter = ds["half_cycle_charge"].values[ends]
    ratio = [-counter[i] / counter[i + 1] for i in range(0, 10, 2)]
    np.testing.assert_allclose(ratio, [0.99998, 0.99998, 0.99997, 0.99997, 0.99998], atol=2e-5)


def test_the_clock_of_the_acquisition_and_the_surface_come_from_the_file(real_data):
    echem = real_data / "echem"
    cell = read_acquisitions(echem / "bdf_PEIS-0.mpr")[0].attrs
    assert cell["conditions"]["electrode_area_cm2"] == pytest.approx(1.539)
    # started 2024-10-31 12:39:27.989, the sweep 6108482.435 s later
    assert cell["conditions"]["acquired"] == "2025-01-10T05:27:30.424"
    assert cell["vendor"]["electrolyte"] == "LiTFSI in EC EMC + 2.2% FEC"
    default = read_acquisitions(echem / "yadg_gcpl.mpr")[0].attrs["conditions"]
    assert "electrode_area_cm2" not in default  # EC-Lab's default of 0.001 cm2
    assert default["acquired"] == "2017-12-23T11:28:32.000"


def test_impedance_in_between_does_not_look_like_charge_and_discharge(real_data):
    record = read_acquisitions(real_data / "echem" / "cellpy_biol.mpr")[0]
    assert record.attrs["technique"] == "cycling"
    assert record.sizes["time"] == 23561 - 310
    assert float(record["current"].min()) >= 0


def mpr(path, numbers, table, *, version=3, code=0x04, date=b"12/09/25", days=46000.5):
    data = struct.pack(f"<IB{len(numbers)}H", table.size, len(numbers), *numbers).ljust(405, b"\0")
    log = bytearray(700)
    struct.pack_into("<d", log, 585, days)
    body = data + (b"\1" if version == 3 else b"") + table.tobytes()
    with path.open("wb") as file:
        file.write(biologic.MAGIC.ljust(48) + b"\0\0\0\0")
        for name, number, part in ((b"VMP Set", 0, bytes([code]).ljust(900, b"\0")), (b"VMP data", version, body),
                                   (b"VMP LOG", 0, bytes(log))):
            head = struct.pack("<10s25sII8s", name.ljust(10), name.ljust(25), len(part), number, date)
            file.write(b"MODULE" + head + part)
    return path


def record(fields, points=7):
    table = np.zeros(points, fields)
    table["t"] = np.arange(points)
    table["E"] = 0.5 + table["t"]
    table["I"] = 2 * table["t"]
    return table


@pytest.mark.parametrize("version", [2, 3])
def test_a_column_of_unknown_number_is_kept_and_said(tmp_path, version):
    table = record([("t", "<f8"), ("new", "<f4"), ("E", "<f4"), ("I", "<f4")])
    table["new"] = 7.5
    (ds,) = read_acquisitions(mpr(tmp_path / "a.mpr", (4, 9999, 6, 76), table, version=version))
    np.testing.assert_array_equal(ds["potential"], table["E"])
    np.testing.assert_array_equal(ds["unknown_colid_9999"], table["new"])
    assert any("9999" in warning for warning in ds.attrs["warnings"])


def test_two_unknown_columns_of_unclear_size_cost_only_what_lies_between_them(tmp_path):
    fields = [("t", "<f8"), ("a", "<f4"), ("between", "<f4"), ("b", "<f8"), ("E", "<f4"), ("I", "<f4")]
    (ds,) = read_acquisitions(mpr(tmp_path / "a.mpr", (4, 9998, 9, 9999, 6, 76), record(fields)))
    np.testing.assert_array_equal(ds["potential"], record(fields)["E"])
    np.testing.assert_array_equal(ds["current"], record(fields)["I"])
    assert "counter_potential" not in ds
    assert any("left out" in warning for warning in ds.attrs["warnings"])


def test_a_log_that_contradicts_the_settings_gives_no_date(tmp_path):
    table = record([("t", "<f8"), ("E", "<f4"), ("I", "<f4")])
    (ds,) = read_acquisitions(mpr(tmp_path / "a.mpr", (4, 6, 76), table, date=b"01/01/20"))
    assert "acquired" not in ds.attrs["conditions"]
    assert any("settings" in warning for warning in ds.attrs["warnings"])


def test_at_open_circuit_no_current_flows(tmp_path):
    table = np.zeros(5, [("t", "<f8"), ("E", "<f4")])
    (ds,) = read_acquisitions(mpr(tmp_path / "a.mpr", (4, 6), table, code=0x0B))
    assert ds["current"].values.tolist() == [0] * 5


def test_a_sweep_upwards_is_also_taken_apart():
    frequency = np.tile([1.0, 10.0, 100.0], 2)
    found = eclab._sweeps({"freq/Hz": frequency}, np.arange(6))
    assert [part.tolist() for part in found] == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("keep", [30, 60, 300, 1000, 1500])
def test_a_truncated_file_is_refused_in_one_line(tmp_path, keep):
    table = record([("t", "<f8"), ("E", "<f4"), ("I", "<f4")], 100)
    path = mpr(tmp_path / "a.mpr", (4, 6, 76), table)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FileError) as error:
        open_file(path)
    assert str(error.value).startswith("a.mpr: ")
    assert "\n" not in str(error.value)


def test_a_length_of_gigabytes_in_a_small_file_is_not_believed(tmp_path):
    path = mpr(tmp_path / "a.mpr", (4, 6, 76), record([("t", "<f8"), ("E", "<f4"), ("I", "<f4")]))
    raw = bytearray(path.read_bytes())
    at = raw.index(b"VMP data") + 35
    raw[at:at + 4] = struct.pack("<I", 0xF0000000)
    path.write_bytes(raw)
    with pytest.raises(FileError, match="cut off"):
        open_file(path)


def test_a_number_of_points_that_does_not_fit_the_table_is_refused(tmp_path):
    path = mpr(tmp_path / "a.mpr", (4, 6, 76), record([("t", "<f8"), ("E", "<f4"), ("I", "<f4")]))
    raw = path.read_bytes()
    path.write_bytes(raw.replace(struct.pack("<IB", 7, 3), struct.pack("<IB", 14, 3)))
    with pytest.raises(FileError, match="VMP data"):
        open_file(path)


def test_a_column_number_of_one_byte_is_completed_to_the_one_it_was_cut_from():
    """471, the mean potential of the counter electrode, stands as 215; 174 beside Ewe is 430."""
    layout, flags = biologic._layout((1, 4, 6, 215, 174), narrow=True)
    assert [name for name, _ in layout] == ["flags", "time/s", "Ewe/V", "<Ece>/V", "Phase(Zwe-ce)/deg"]
    assert flags == {"mode": 3}
    wide, _ = biologic._layout((4, 215), narrow=False)
    assert wide[-1] == ("unknown_colID_215", "")
