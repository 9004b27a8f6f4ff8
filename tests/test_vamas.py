"""VAMAS files: real ones with the figures that other programs gave, and small ones whose content is known."""

import math

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import open_file
from datasets.formats.photoelectrons.iso14976 import TITLE

REAL = [
    # file, signal, title, points, first and last binding energy (eV), variable, its maximum, where the maximum is
    ("xps_vamas_regular.vms", 0, "Survey", 1351, 1486.61 - 136.61, 0.0, "intensity", 10836.6, 1044),
    ("xps_casaxps_analyzed_FeO.vms", 0, "Fe 2p", 1121, 750.0, 694.0, "count_rate", 12020.35, None),
    ("xps_kratos_NiW.vms", 0, "wide", 1206, 1200.0, -5.0, "intensity", 6050, None),
    ("xps_kratos_NiW.vms", 1, "Ni 2p", 601, 900.0, 840.0, "intensity", 144, None),
    ("xps_kratos_NiW.vms", 2, "O 1s", 251, 545.0, 520.0, "intensity", 5166, None),
    ("xps_kratos_NiW.vms", 3, "C 1s", 301, 300.0, 270.0, "intensity", 2782, None),
    ("xps_kratos_NiW.vms", 4, "W 4f", 251, 50.0, 25.0, "intensity", 5360, None),
    ("xps_phi_multipak.npl", 0, "C 1s", 601, 305.0, 275.0, "count_rate", 6265, None),
    ("xps_phi_multipak.npl", 1, "O 1s", 601, 555.0, 525.0, "count_rate", 4627.5, None),
    ("xps_phi_multipak.npl", 2, "S 2p", 501, 180.0, 155.0, "count_rate", 2025, None),
    ("xps_phi_multipak.npl", 3, "N 1s", 401, 410.0, 390.0, "count_rate", 3680, None),
    ("xps_phi_multipak.npl", 4, "Mo 3d", 401, 240.0, 220.0, "count_rate", 4206.25, None),
]


@pytest.mark.parametrize(("file", "signal", "title", "points", "first", "last", "variable", "largest", "at"), REAL,
                         ids=[f"{r[0]}-{r[1]}" for r in REAL])
def test_a_real_file_has_the_axis_and_the_maximum_that_other_programs_find(
        real_data, file, signal, title, points, first, last, variable, largest, at):
    ds = read_acquisitions(real_data / "spectra" / file)[signal]
    assert (ds.attrs["technique"], ds.attrs["title"], dict(ds.sizes)) == ("xps", title, {"binding_energy": points})
    np.testing.assert_allclose(ds["binding_energy"][[0, -1]], [first, last], atol=1e-6)
    assert float(ds[variable].max()) == pytest.approx(largest, rel=1e-9)
    assert at is None or int(np.argmax(ds[variable].data)) == at


@pytest.mark.parametrize(("file", "starts", "step"), [
    ("xps_vamas_regular.vms", [136.61], [1.0]), ("xps_casaxps_analyzed_FeO.vms", [736.61], [0.05]),
    ("xps_kratos_NiW.vms", [286.69, 586.69, 941.69, 1186.69, 1436.69], [1.0, 0.1, 0.1, 0.1, 0.1])])
def test_the_measured_kinetic_energy_is_kept_beside_the_binding_energy(real_data, file, starts, step):
    for ds, start, width in zip(read_acquisitions(real_data / "spectra" / file), starts, step, strict=True):
        kinetic = ds["kinetic_energy"]
        assert kinetic.dims == ("binding_energy",)
        assert float(kinetic[0]) == start
        np.testing.assert_allclose(np.diff(kinetic), width, atol=1e-9)
        photons = ds.attrs["conditions"]["photon_energy_eV"]
        np.testing.assert_allclose(ds["binding_energy"] + kinetic, photons, atol=1e-9)
        assert "binding energy" in ds.attrs["history"][0]["what"]


def test_a_work_function_is_a_condition_and_is_not_added(real_data):
    """With -4.5 eV added, C 1s of this file would stand at 287.0 eV; the neutraliser puts it at 282.5 eV."""
    carbon = read_acquisitions(real_data / "spectra" / "xps_kratos_NiW.vms")[3]
    assert carbon.attrs["conditions"]["work_function_eV"] == -4.5
    assert float(carbon["binding_energy"][int(np.argmax(carbon["intensity"].data))]) == pytest.approx(282.5, abs=0.05)


def test_one_charge_shift_brings_all_regions_of_a_sample_into_place(real_data):
    """+2.3 eV on C 1s at 284.8 puts O 1s of an oxide near 530.7 and W 4f7/2 of WO3 near 35.9."""
    regions = {ds.attrs["title"]: ds for ds in read_acquisitions(real_data / "spectra" / "xps_kratos_NiW.vms")}
    at = {name: float(ds["binding_energy"][int(np.argmax(ds["intensity"].data))]) for name, ds in regions.items()}
    shift = 284.8 - at["C 1s"]
    assert at["O 1s"] + shift == pytest.approx(530.7, abs=0.11)
    assert at["W 4f"] + shift == pytest.approx(35.9, abs=0.11)


def test_counts_per_second_become_the_whole_counts_they_were(real_data):
    for ds in read_acquisitions(real_data / "spectra" / "xps_phi_multipak.npl"):
        assert ds["intensity"].attrs["units"] == "count"
        assert np.array_equal(ds["intensity"], np.rint(ds["intensity"]))
        seconds = ds.attrs["conditions"]["dwell_time_s"]
        np.testing.assert_allclose(ds["count_rate"] * seconds, ds["intensity"], atol=2e-3)


def test_a_stated_unknown_is_absent(real_data):
    (iron,) = read_acquisitions(real_data / "spectra" / "xps_casaxps_analyzed_FeO.vms")
    assert not {"pass_energy_eV", "work_function_eV", "acquired"} & set(iron.attrs["conditions"])
    assert "pass_energy_eV" in iron.attrs["incomplete"]


def test_fits_of_casaxps_arrive_as_metadata_and_change_nothing(real_data):
    (iron,) = read_acquisitions(real_data / "spectra" / "xps_casaxps_analyzed_FeO.vms")
    notes = iron.attrs["vendor"]["casaxps"]
    (region,) = notes["regions"]
    assert (region["name"], region["background"], region["start_kinetic_eV"]) == ("Fe 2p", "U 3 Tougaard", 737.52081)
    assert [c["area"] for c in notes["components"]] == [63507.374, 35837.064, 49042.126, 17705.155]
    assert [c["line_shape"] for c in notes["components"]] == ["LF(0.54,10,80,100,6)", "SGL(30)"] * 2
    assert notes["components"][0]["position_kinetic_eV"] == 777.56313


def test_the_time_zone_of_the_instrument_is_kept(real_data):
    wide = read_acquisitions(real_data / "spectra" / "xps_kratos_NiW.vms")[0]
    assert wide.attrs["conditions"]["acquired"] == "2020-08-27T14:05:46+07:00"
    assert wide.attrs["conditions"]["stage_x_nm"] == pytest.approx(21.19525e6)


def block(counts, *, name="C 1s", sample="s", value="0", before=(), axis=("Kinetic Energy", "eV", "1200", "0.5"), hv="1486.6",
          unit="d", label="counts", seconds="0.1", scans="5", extra=None, mode="NORM", scan="REGULAR", place=()):
    columns = [label, unit] + (["transmission", "d"] if extra is not None else [])
    data = np.asarray(counts, float)
    table = data[:, None] if extra is None else np.stack([data, np.asarray(extra, float)], 1)
    species, _, transition = name.partition(" ")
    lines = [name, sample, "2026", "1", "2", "3", "4", "5", "1", str(len(before)), *before, "XPS", *place, value, "Al"]
    lines += ["18", "1", "1"] if mode in ("SDP", "MAPDP") else []
    lines += [hv, "100", "1e+37", "1e+37"]
    lines += ["100", "50"] if mode.startswith("MAP") else []
    lines += ["54.7", "0", "FAT", "20", "1", "4.5", "0", "1e+37", "1e+37", "30", "0", species, transition, "-1"]
    lines += list(axis) if scan == "REGULAR" else []
    lines += [str(len(columns) // 2), *columns, "pulse counting", seconds, scans, "0"]
    lines += ["4000", "1000", "1e+37", "1e+37", "45", "0", "cyclic"] if mode in ("SDP", "MAPDP") else []
    lines += ["10", "0", "0", "0", str(table.size)]
    for column in table.T:
        lines += [f"{np.nanmin(column):g}", f"{np.nanmax(column):g}"]
    return [*lines, *(repr(v) for v in table.ravel().tolist())]


def experiment(blocks, *, mode="NORM", scan="REGULAR", variable=("etch time", "s"), listed=("0",), positions=("4", "2", "2")):
    head = [TITLE, "i", "m", "o", "e", "0", mode, scan]
    head += ["1"] if mode in ("NORM", "SDP", "MAP", "MAPDP") else []
    head += list(positions) if mode in ("MAP", "MAPDP") else []
    head += ["1", *variable, *listed, "0", "0", "0", str(len(blocks))]
    return [*head, *(line for b in blocks for line in b), "end of experiment"]


def written(tmp_path, lines, end="\r\n"):
    path = tmp_path / "a.vms"
    path.write_bytes((end.join(lines) + end).encode("latin-1"))
    return path


COUNTS = [3, 1, 4, 1, 5, 9, 2, 6]


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("blank", [0, 2])
def test_line_ends_and_leading_blank_lines_do_not_matter(tmp_path, end, blank):
    path = written(tmp_path, [""] * blank + experiment([block(COUNTS)]), end)
    (ds,) = read_acquisitions(path)
    assert ds["intensity"].values.tolist() == COUNTS


def test_levels_of_a_depth_profile_are_stacked_in_order_and_none_is_lost(tmp_path):
    levels = [block(np.add(COUNTS, 10 * i), value=str(60 * i)) for i in range(3)]
    other = [block([7, 7, 7], name="F 1s", value=str(60 * i)) for i in range(2)]
    carbon, fluorine = read_acquisitions(written(tmp_path, experiment([levels[0], other[0], levels[1], other[1], levels[2]])))
    assert carbon["intensity"].dims == ("sputter_level", "binding_energy")
    assert carbon["etch_time"].values.tolist() == [0, 60, 120]
    assert carbon["etch_time"].attrs["units"] == "s"
    assert carbon["intensity"].values[:, 0].tolist() == [3, 13, 23]
    assert fluorine.sizes["sputter_level"] == 2


def test_a_region_measured_twice_under_one_label_stays_two_signals(tmp_path):
    found = read_acquisitions(written(tmp_path, experiment([block(COUNTS), block(COUNTS[::-1])])))
    assert [ds["intensity"].values[0] for ds in found] == [3, 6]


def test_regions_of_different_length_are_not_forced_into_one_array(tmp_path):
    found = read_acquisitions(written(tmp_path, experiment([block(COUNTS, value="0"), block(COUNTS[:5], value="60")])))
    assert [ds.sizes["binding_energy"] for ds in found] == [8, 5]


def test_the_sputter_source_of_a_profile_is_read_where_the_mode_has_one(tmp_path):
    levels = [block(COUNTS, value=str(i), mode="SDP") for i in range(2)]
    (ds,) = read_acquisitions(written(tmp_path, experiment(levels, mode="SDP", variable=("x", "d"))))
    assert ds.sizes == {"sputter_level": 2, "binding_energy": 8}
    assert ds.attrs["vendor"]["block"]["sputtering_source_energy"] == 4000


def test_spectra_of_a_map_are_laid_out_by_their_coordinates(tmp_path):
    places = [(x, y) for x in (2, 1) for y in (1, 2)]
    blocks = [block(np.add(COUNTS, 100 * y + 10 * x), mode="MAP", place=(str(x), str(y))) for x, y in places]
    (ds,) = read_acquisitions(written(tmp_path, experiment(blocks, mode="MAP")))
    assert ds["intensity"].dims == ("y", "x", "binding_energy")
    assert ds["intensity"].values[:, :, 0].tolist() == [[113, 123], [213, 223]]
    np.testing.assert_allclose(ds["x"], [0, 50e3])  # 100 um across two columns, in nm
    np.testing.assert_allclose(ds["y"], [0, 25e3])


@pytest.mark.parametrize("listed", [("-2", "9", "14"), None])
def test_items_that_later_blocks_leave_out_have_the_value_of_the_first(tmp_path, listed):
    """Items 9 (technique) and 14 (source energy), by exclusion and by inclusion of all the others."""
    others = [str(i) for i in range(1, 41) if i not in (9, 14)]
    listed = listed or (str(len(others)), *others)
    second = block(COUNTS, name="F 1s")
    for text in ("XPS", "1486.6"):
        second.remove(text)
    found = read_acquisitions(written(tmp_path, experiment([block(COUNTS), second], listed=listed)))
    assert [ds.attrs["conditions"]["photon_energy_eV"] for ds in found] == [1486.6, 1486.6]
    assert [ds.attrs["title"] for ds in found] == ["C 1s", "F 1s"]


def test_an_irregular_scan_has_its_axis_in_the_first_ordinate(tmp_path):
    energies = [100.0, 100.5, 101.5, 103.0]
    lines = block(energies, extra=[5, 6, 7, 8], label="Kinetic Energy", unit="eV", scan="IRREGULAR")
    (ds,) = read_acquisitions(written(tmp_path, experiment([lines], scan="IRREGULAR")))
    assert ds["kinetic_energy"].values.tolist() == energies
    assert ds["intensity"].values.tolist() == [5, 6, 7, 8]


def test_a_binding_energy_axis_that_falls_stays_as_it_was_measured(tmp_path):
    (ds,) = read_acquisitions(written(tmp_path, experiment([block(COUNTS, axis=("Binding Energy", "eV", "290", "-0.5"))])))
    np.testing.assert_allclose(ds["binding_energy"], 290 - 0.5 * np.arange(8))
    assert "kinetic_energy" not in ds.coords


def test_a_rate_without_whole_counts_stays_a_rate(tmp_path):
    (ds,) = read_acquisitions(written(tmp_path, experiment([block([1.37, 2.11, 3.01], unit="c/s")])))
    assert ds["intensity"].attrs["units"] == "count/s"
    assert any("Poisson" in warning for warning in ds.attrs["warnings"])


def test_an_aborted_scan_of_zeros_is_kept_and_said(tmp_path):
    (ds,) = read_acquisitions(written(tmp_path, experiment([block(np.zeros(5))])))
    assert ds.sizes["binding_energy"] == 5
    assert any("aborted" in warning for warning in ds.attrs["warnings"])


def test_without_the_photon_energy_binding_energy_is_not_guessed(tmp_path):
    path = written(tmp_path, experiment([block(COUNTS, hv="1e+37")]))
    (ds,) = read_acquisitions(path)
    assert ds.attrs["technique"] == "unknown"
    assert any("photon energy" in warning for warning in ds.attrs["warnings"])
    (told,) = read_acquisitions(path, technique="xps", conditions={"photon_energy_eV": 1253.6})
    assert float(told["binding_energy"][0]) == pytest.approx(53.6)


def test_the_emission_angle_is_that_between_analyser_and_surface_normal(tmp_path):
    """Analyser 30 degrees and surface 10 degrees from the vertical, to the same side."""
    (ds,) = read_acquisitions(written(tmp_path, experiment([block(COUNTS)])))
    assert ds.attrs["conditions"]["emission_angle_deg"] == pytest.approx(20.0)


def test_an_energy_calibration_of_casaxps_is_noted_and_not_applied(tmp_path):
    notes = ("Casa Info Follows", "1", "Calib M = 281.17 A = 284.8 BE ADD")
    (ds,) = read_acquisitions(written(tmp_path, experiment([block(COUNTS, before=notes)])))
    (calibration,) = ds.attrs["vendor"]["casaxps"]["calibrations"]
    assert calibration == {"measured_eV": 281.17, "assigned_eV": 284.8, "rule": "BE ADD"}
    assert float(ds["binding_energy"][0]) == pytest.approx(286.6)


@pytest.mark.parametrize(("change", "told"), [
    (lambda lines: lines[:40], "truncated"),
    (lambda lines: [*lines[:5], "99999999", *lines[6:]], "line 6"),
    (lambda lines: ["99999999999" if line == "8" else line for line in lines], "ordinate values"),
    (lambda lines: [*lines[:6], "NORMAL", *lines[7:]], "experiment mode"),
    (lambda lines: [line if line != "9.0" else "nine" for line in lines], "nine"),
])
def test_a_damaged_file_is_refused_in_one_line_that_says_where(tmp_path, change, told):
    path = written(tmp_path, change(experiment([block(COUNTS)])))
    with pytest.raises(FileError) as error:
        read_acquisitions(path)
    message = str(error.value)
    assert message.startswith("a.vms: ")
    assert told in message
    assert "line " in message
    assert "\n" not in message


def test_a_lost_end_line_is_a_warning(tmp_path):
    (signal,) = open_file(written(tmp_path, experiment([block(COUNTS)])[:-1]))
    assert any("end of experiment" in warning for warning in signal.warnings)


def test_an_ordinate_that_is_not_known_is_nan(tmp_path):
    lines = experiment([block([1, 2, 3])])
    lines[lines.index("2.0")] = "1E+37"
    (ds,) = read_acquisitions(written(tmp_path, lines))
    assert math.isnan(ds["intensity"].values[1])


def test_a_number_damaged_within_a_block_is_noticed_by_the_stated_extremes(tmp_path):
    lines = experiment([block(COUNTS)])
    assert not read_acquisitions(written(tmp_path, lines))[0].attrs["warnings"]
    lines[lines.index("4.0")] = "4000.0"
    (ds,) = read_acquisitions(written(tmp_path, lines))
    assert any("extremes" in warning for warning in ds.attrs["warnings"])


def test_no_real_file_contradicts_its_own_extremes(real_data):
    for path in (*(real_data / "spectra").glob("*.vms"), *(real_data / "spectra").glob("*.npl")):
        assert not any("extremes" in warning for ds in read_acquisitions(path) for warning in ds.attrs["warnings"])


def single_valued(counts, corners, field=("100", "50")):
    """A block of a map: the linescans run from corner to corner, the ordinates along them."""
    head = ["map", "s", "2026", "1", "2", "3", "4", "5", "0", "0", "XPS", "0", "Al", "1486.6", "100", "1e+37", "1e+37", *field,
            *corners, "54.7", "0", "FAT", "20", "1", "4.5", "0", "1e+37", "1e+37", "0", "0", "C", "1s", "-1", "1", "counts",
            "d", "pulse counting", "0.1", "1", "0", "0", "0", "0", "0"]
    return [*head, str(len(counts)), str(min(counts)), str(max(counts)), *map(str, counts)]


@pytest.mark.parametrize(("corners", "dims", "shape"), [
    (("1", "1", "3", "1", "3", "2"), ("y", "x"), (2, 3)), (("1", "1", "4", "1", "4", "4"), ("position",), (6,))])
def test_a_map_of_one_value_a_place_has_the_shape_that_its_linescans_tell(tmp_path, corners, dims, shape):
    lines = experiment([single_valued([1, 2, 3, 4, 5, 6], corners)], mode="MAPSV", scan="MAPPING")
    (ds,) = read_acquisitions(written(tmp_path, lines))
    values = ds[next(iter(ds.data_vars))]
    assert values.dims == dims
    assert values.values.tolist() == np.arange(1, 7).reshape(shape).tolist()
    if dims == ("y", "x"):
        np.testing.assert_allclose(ds["x"], np.array([0, 1, 2]) * 1e5 / 3)  # a field of 100 um in three columns, in nm


def test_one_shift_of_the_charge_puts_three_lines_where_they_belong(real_data):
    """A neutraliser that overcompensates by 2.3 eV moves all lines alike: carbon to 284.8, oxygen 530.7, tungsten 35.9 eV.

    And so the work function of -4.5 eV in the file has no part in it: with it, carbon would lie at 287.0 eV.
    """
    found = {ds.attrs["title"]: ds for ds in read_acquisitions(real_data / "spectra" / "xps_kratos_NiW.vms")}
    maxima = {}
    for name in ("C 1s", "O 1s", "W 4f"):
        ds = next(d for title, d in found.items() if name in title)
        maxima[name] = float(ds["binding_energy"][int(np.argmax(ds["intensity"].values))])
    shift = 284.8 - maxima["C 1s"]
    assert shift == pytest.approx(2.3, abs=0.051), "one channel is 0.1 eV"
    assert maxima["O 1s"] + shift == pytest.approx(530.7, abs=0.101)
    assert maxima["W 4f"] + shift == pytest.approx(35.9, abs=0.101)
