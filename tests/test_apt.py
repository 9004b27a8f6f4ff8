"""Atom probe files: ions, hits and ranges of real runs against published figures, and what damage is answered with."""

import os
import re
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import DatasetError, FileError
from datasets.formats import open_file
from datasets.formats.ions import apt_ions, apt_ranges
from datasets.ranging import UNRANGED, range_of, ranged
from datasets.store import Store
from datasets.writers import pos

RANGES = [
    # file, ranges, elements, lowest and highest bound in Da
    ("apav_Si.RNG", 25, 5, 5.896, 86.555),
    ("apav_Si.RRNG", 25, 5, 5.896, 86.555),
    ("compositionspace_Si.RRNG", 25, 5, 5.896, 86.555),
    ("apttools_rangefile.rrng", 32, 7, 1.018, 72.183),
    ("ifes_R31_06365-v02.rrng", 72, 17, 5.498, 80.109),
    ("ifes_R18_59377.rng", 39, 11, 0.949, 93.724),
    ("ifes_ErMnO.env", 26, 3, 0.93, 203.38),
    ("ifes_ZX21-T4.analysisset", 39, 10, 5.984, 70.068),
]


def only(path):
    (ds,) = read_acquisitions(path)
    return ds


@pytest.mark.parametrize(("file", "ranges", "elements", "lowest", "highest"), RANGES, ids=[r[0] for r in RANGES])
def test_a_real_range_file_has_the_ranges_that_other_programs_find(real_data, file, ranges, elements, lowest, highest):
    ds = only(real_data / "afm_txm_apt" / "apt" / file)
    assert ds.attrs["technique"] == "apt_ranges"
    assert ds.sizes["range"] == ranges
    assert len(ds.attrs["conditions"]["elements"]) == elements
    assert float(ds["range_start"].min()) == lowest
    assert float(ds["range_end"].max()) == highest
    assert len(ds.attrs["vendor"]["formula"]) == ranges


def test_both_range_files_of_one_run_say_the_same_of_every_window(real_data):
    """The .rng and the .rrng of the silicon run list the same windows in another order."""
    folder = real_data / "afm_txm_apt" / "apt"
    tables = []
    for file in ("apav_Si.RNG", "apav_Si.RRNG"):
        ds = only(folder / file)
        tables.append({(a, b, f) for a, b, f in zip(ds["range_start"].values, ds["range_end"].values,
                                                    ds.attrs["vendor"]["formula"], strict=True)})
    assert tables[0] == tables[1]


def test_a_range_of_an_ion_without_a_formula_is_kept_and_said(real_data):
    """Apav drops the three of this file silently."""
    ds = only(real_data / "afm_txm_apt" / "apt" / "apttools_rangefile.rrng")
    assert [n for n in ds.attrs["vendor"]["name"] if n] == ["59", "52pt5", "44pt5"]
    assert any("3 ranges have no formula" in w for w in ds.attrs["warnings"])
    assert ds.attrs["vendor"]["formula"][23] == "CH3"
    assert ds.attrs["vendor"]["colour"][0] == "#CCCC00"


def test_a_range_file_in_which_a_key_stands_twice_keeps_every_range(tmp_path):
    """A real file has this; a parser of INI files refuses it or drops the first."""
    path = apt_ranges.example_rrng(tmp_path)
    path.write_text(path.read_text().replace("Range3", "Range2"))
    ds = only(path)
    assert ds.sizes["range"] == 3
    assert any("range 2 stands more than once" in w for w in ds.attrs["warnings"])


def test_decimal_commas_are_decimal_points(tmp_path):
    path = apt_ranges.example_rrng(tmp_path)
    plain = only(path)
    path.write_text(path.read_text().replace(".", ","))
    commas = only(path)
    for name in ("range_start", "range_end", "volume"):
        np.testing.assert_array_equal(commas[name], plain[name])


def test_the_silicon_run_has_its_ions_and_tells_of_those_without_mass(real_data):
    ds = only(real_data / "afm_txm_apt" / "apt" / "apav_Si_first200k.pos")
    assert ds.attrs["technique"] == "apt"
    assert ds.sizes["ion"] == 200_000
    bounds = {name: (round(float(ds[name].min()), 2), round(float(ds[name].max()), 2)) for name in ("x", "y", "z")}
    assert bounds == {"x": (-12.79, 12.31), "y": (-11.22, 13.34), "z": (-27.16, -0.02)}
    assert float(ds["mass_to_charge"].max()) == pytest.approx(229.64, abs=5e-3)
    assert any("57 ions have a mass-to-charge of 0" in w for w in ds.attrs["warnings"])


def test_the_first_ions_of_the_silicon_run_are_ranged_as_its_authors_count(real_data):
    """97,145 ions of silicon among the first 200,000, counted with boolean masks."""
    folder = real_data / "afm_txm_apt" / "apt"
    ions, ranges = only(folder / "apav_Si_first200k.pos"), only(folder / "apav_Si.RRNG")
    rows = ranged(ions, ranges)
    silicon = ranges["atoms_Si"].values[rows.values[rows.values != UNRANGED]] > 0
    assert int(silicon.sum()) == 97_145


def test_a_list_of_ranges_made_by_hand_needs_no_sections_and_no_spaces(tmp_path):
    """As a published file has it: a line of names instead of [Ranges], elements that touch, and a number of 0 at the end."""
    path = tmp_path / "a.rrng"
    path.write_text("mq1 mq2 volume element color\nRange1=26.88 27.05 Vol:0.01661 Al:1 Color:33FFFF\n"
                    "Range2=11.575 11.9 Vol:0.02486 B:1C:2 Color:660033\n[Ranges]\nNumber=0\n")
    ds = only(path)
    assert ds.attrs["technique"] == "apt_ranges"
    assert ds["atoms_B"].values.tolist() == [0, 1]
    assert ds["atoms_C"].values.tolist() == [0, 2]
    assert ds["colour"].values.tolist() == [0x33FFFF, 0x660033]
    assert any("declares 0 ranges and holds 2" in warning for warning in ds.attrs["warnings"])


WHOLE_RUN = os.environ.get("CORRELATE_APAV_TESTS", "")
"""The folder apav/tests of the source distribution APAV-1.4.0 (pip download --no-deps --no-binary :all: apav), 92 MB."""

COUNTS = {"Si": 785_076, "Cr": 1_207, "Cu": 683, "C": 706, "O": 1_355, "CrO": 1_681, "CrO2": 642, "Cr2O": 85_660}
"""Ions of each kind in the whole run: apav's quantification, and boolean masks of numpy."""


@pytest.mark.skipif(not WHOLE_RUN, reason="needs the 92 MB of APAV's own tests; set CORRELATE_APAV_TESTS")
def test_the_whole_silicon_run_agrees_with_itself_with_ifes_and_with_its_published_counts():
    """945,211 ions in three formats; bounds are those of ifes_apt_tc_data_modeling 0.5.0."""
    folder = Path(WHOLE_RUN)
    pos, epos, apt = (only(folder / f"Si.{suffix}") for suffix in ("pos", "epos", "apt"))
    for other in (epos, apt):
        for name in ("x", "y", "z", "mass_to_charge"):
            np.testing.assert_array_equal(other[name], pos[name])
    assert pos.sizes["ion"] == 945_211
    bounds = {name: (round(float(pos[name].min()), 2), round(float(pos[name].max()), 2)) for name in ("x", "y", "z")}
    assert bounds == {"x": (-20.43, 19.71), "y": (-17.86, 21.28), "z": (-75.08, -0.02)}
    assert int((pos["mass_to_charge"] == 0).sum()) == 569
    for file in ("Si.RRNG", "Si.RNG"):
        ranges = only(folder / file)
        rows = ranged(pos, ranges).values
        formula = np.array(ranges.attrs["vendor"]["formula"])
        found = {kind: int(np.isin(rows, np.flatnonzero(formula == kind)).sum()) for kind in set(formula)}
        assert sum(found.values()) == 877_010
        assert {_hill(kind): count for kind, count in found.items()} == COUNTS


def _hill(formula):
    """Both range files spell formulae in their own way; here elements in the order of the counts above."""
    atoms = dict(re.findall(r"([A-Z][a-z]?)(\d*)", formula))
    return "".join(f"{element}{'' if atoms[element] in ('', '1') else atoms[element]}" for element in sorted(atoms))


def test_real_hits_have_the_figures_of_their_columns(real_data):
    folder = real_data / "afm_txm_apt" / "apt"
    tungsten = only(folder / "apyt_W_calibration_tap_01_trimmed.raw")
    assert tungsten.attrs["technique"] == "apt_hits"
    assert tungsten.sizes["ion"] == 3_200_000 // 32
    assert tungsten["time_of_flight"].attrs["units"] == "ns"
    assert float(np.abs(tungsten["hit_x"]).max()) < 80  # a detector of 16 cm
    assert any("pulse_voltage, reflectron_voltage are 0" in w for w in tungsten.attrs["warnings"])
    hits, *logs = read_acquisitions(folder / "pyccapt_AL_data_b.h5")
    assert hits.attrs["technique"] == "apt_hits"
    assert hits.sizes["ion"] == 1000
    assert {"time_of_flight", "hit_x", "hit_y", "standing_voltage", "pulse_voltage", "start_counter"} == set(hits.data_vars)
    assert [log.sizes for log in logs] == [{"time": 1000}, {"position": 1000}]


def test_an_epos_file_says_which_columns_hold_nothing(tmp_path):
    """As the silicon run, whose times and voltages are all zero."""
    path = apt_ions.example_epos(tmp_path)
    ions = np.fromfile(path, apt_ions.EPOS)
    ions["standing_voltage"] = 0
    ions.tofile(path)
    ds = only(path)
    assert "ions_per_pulse" in ds
    assert "standing_voltage" in ds
    (told,) = [w for w in ds.attrs["warnings"] if "holds nothing" in w]
    assert {"standing_voltage", "pulse_voltage", "pulses_since_event"} <= set(told.replace(",", "").split())
    assert "ions_per_pulse" not in told


def test_pos_epos_and_apt_of_the_same_ions_agree(tmp_path):
    found = [only(write(tmp_path)) for write in (apt_ions.example_pos, apt_ions.example_epos, apt_ions.example_apt)]
    for ds in found[1:]:
        for name in ("x", "y", "z", "mass_to_charge"):
            np.testing.assert_array_equal(ds[name], found[0][name])


def test_a_section_that_is_not_one_record_an_ion_is_named(tmp_path):
    path = apt_ions.example_apt(tmp_path)
    with path.open("ab") as file:
        file.write(apt_ions.SECTION.pack(b"SEC\0", 148, 2, "Ranges".encode("utf-16-le"), 1, 0, 2, 4, 8, 1, b"", 3, 3) + b"abc")
    ds = only(path)
    assert ds.sizes["ion"] == apt_ions.EXAMPLE_IONS
    assert any("section 'Ranges' is not read" in w for w in ds.attrs["warnings"])


def test_an_apt_file_is_believed_no_number_of_ions_that_it_cannot_hold(tmp_path):
    path = apt_ions.example_apt(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[532:540] = (1 << 40).to_bytes(8, "little")
    path.write_bytes(raw)
    with pytest.raises(FileError, match="1099511627776 ions in"):
        open_file(path)


def test_calibrated_ions_of_pyccapt_are_read_without_opening_a_pickle(tmp_path):
    """The fixed layout of pandas' tables, by hand: block 1 holds Python objects."""
    path = tmp_path / "a.h5"
    items = [b"x (nm)", b"y (nm)", b"z (nm)", b"mc_c (Da)", b"high_voltage (V)"]
    with h5py.File(path, "w") as file:
        file["df/axis0"], file["df/block0_items"] = np.array([*items, b"ion"]), np.array(items)
        file["df/block0_values"] = np.arange(20.0).reshape(4, 5)
        file["df/block1_items"] = np.array([b"ion"])
        values = file.create_dataset("df/block1_values", (1,), h5py.vlen_dtype(np.uint8))
        values[0] = np.frombuffer(b"cos\nsystem\n(S'true'\ntR.", np.uint8)
    ds = only(path)
    assert ds.attrs["technique"] == "apt"
    assert ds["mass_to_charge"].values.tolist() == [3, 8, 13, 18]
    assert ds["standing_voltage"].attrs["units"] == "V"
    assert any("Python objects" in w for w in ds.attrs["warnings"])


def test_ranges_of_pyccapt_keep_their_bounds_and_say_that_their_ions_are_not_known(tmp_path):
    path = tmp_path / "ranges.h5"
    with h5py.File(path, "w") as file:
        file["df/block0_items"], file["df/block0_values"] = np.array([b"mass", b"mc_low", b"mc_up"]), np.array(
            [[7.0, 6.9, 7.1], [16.0, 15.9, 16.1]])
    ds = only(path)
    assert ds.attrs["technique"] == "apt_ranges"
    assert ds["range_end"].values.tolist() == [7.1, 16.1]
    assert any("2 ranges have no formula" in w for w in ds.attrs["warnings"])


def test_many_ions_are_read_when_they_are_used(tmp_path):
    path = tmp_path / "long.pos"
    n = 1_300_000
    np.zeros(4 * n, ">f4").tofile(path)
    ions = np.memmap(path, apt_ions.POS, "r+")
    ions["mass_to_charge"], ions["z"] = 7.0, -np.arange(n)
    ions.flush()
    del ions
    (signal,) = open_file(path)
    assert not isinstance(signal.fields["x"].data, np.ndarray)
    ds = only(path)
    assert float(ds["z"][n - 1]) == 1 - n
    assert ds["z"].values.dtype == np.dtype("=f4")
    assert ranged(ds, only(apt_ranges.example_rrng(tmp_path))).values.tolist().count(0) == n


def test_a_run_can_be_stored(tmp_path):
    store = Store(tmp_path / "study", create=True)
    ds = only(apt_ions.example_epos(tmp_path))
    store.publish("run", ds, kind="acquisition")
    back = store.open("run")
    np.testing.assert_array_equal(back["mass_to_charge"], ds["mass_to_charge"])


def test_bytes_that_are_no_ions_are_not_taken_for_ions(tmp_path):
    path = tmp_path / "text.pos"
    path.write_bytes(b"# x y z m/z\n" + b"0.1 0.2 0.3 7.0\n" * 10)
    with pytest.raises(FileError, match="no reader recognises"):
        open_file(path)


def test_the_virtual_specimens_ions_and_ranges_are_read_as_written(tmp_path, rng):
    xyz, mass = rng.normal(size=(1001, 3)) * 10, rng.uniform(1, 60, 1001)
    windows = [pos.Range(6.9, 7.1, {"Li": 1}), pos.Range(22.9, 23.1, {"Li": 1, "O": 1}, 0.03)]
    path = pos.write(tmp_path / "a.pos", position_nm=xyz, mass_to_charge_Da=mass)
    ions, ranges = only(path), only(pos.write_ranges(tmp_path / "a.rrng", windows))
    np.testing.assert_array_equal(ions["z"], xyz[:, 2].astype(np.float32))
    np.testing.assert_array_equal(ions["mass_to_charge"], mass.astype(np.float32))
    assert ranges["range_end"].values.tolist() == [7.1, 23.1]
    assert ranges["volume"].values.tolist() == [0.02, 0.03]
    assert ranges.attrs["vendor"]["formula"] == ["Li", "LiO"]


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def windows_of(rng, count):
    bounds = np.sort(rng.uniform(0.5, 240, 2 * count)).reshape(count, 2)[rng.permutation(count)]
    return bounds[:, 0].copy(), bounds[:, 1].copy()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ranging_agrees_with_boolean_masks_at_every_edge(rng, dtype):
    """Masses on, one step below and one step above every bound, which float32 mostly cannot hold."""
    starts, ends = windows_of(rng, 60)
    edges = np.concatenate([starts, ends]).astype(dtype)
    near = [np.nextafter(edges, dtype(to)) for to in (0, np.inf)]
    mass = np.concatenate([edges, *near, rng.uniform(0, 300, 20_000).astype(dtype)])
    expected = np.full(mass.size, UNRANGED)
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        expected[(mass.astype(np.float64) >= start) & (mass.astype(np.float64) < end)] = i
    np.testing.assert_array_equal(range_of(mass, starts, ends), expected)


def test_an_ion_without_a_sensible_mass_is_in_no_range():
    odd = np.array([0, -7.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, 1e-40, 3e38], np.float32)
    assert set(range_of(odd, np.array([6.9]), np.array([7.1])).tolist()) == {UNRANGED}


def test_ranges_that_touch_share_no_ion_and_ranges_that_overlap_are_refused():
    mass = np.array([6.9, 7.0, 7.1], np.float64)
    assert range_of(mass, np.array([7.0, 6.9]), np.array([7.1, 7.0])).tolist() == [1, 0, UNRANGED]
    with pytest.raises(DatasetError, match=r"ranges 1 .* and 0 .* overlap"):
        range_of(mass, np.array([7.0, 6.9]), np.array([7.1, 7.05]))


def test_ranging_does_not_depend_on_the_order_of_the_ranges(rng):
    starts, ends = windows_of(rng, 20)
    mass = rng.uniform(0, 250, 5000).astype(np.float32)
    order = rng.permutation(20)
    shuffled = range_of(mass, starts[order], ends[order])
    back = np.where(shuffled == UNRANGED, UNRANGED, order[shuffled])
    np.testing.assert_array_equal(range_of(mass, starts, ends), back)


def test_ranging_is_faster_than_boolean_masks(rng):
    """Ten times on a quiet machine (see benchmarks/readers.py); three here, where others run beside it."""
    starts, ends = windows_of(rng, 60)
    mass = rng.uniform(0, 250, 1_000_000).astype(np.float32)

    def masks():
        found = np.full(mass.size, UNRANGED, np.int16)
        for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
            found[(mass >= start) & (mass < end)] = i

    assert cpu_seconds(lambda: range_of(mass, starts, ends)) * 3 < cpu_seconds(masks)


def cpu_seconds(action):
    taken = []
    for _ in range(3):
        start = time.process_time()
        action()
        taken.append(time.process_time() - start)
    return min(taken)
