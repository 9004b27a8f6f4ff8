"""Tables of cyclers: real files with the figures of other programs, each program's dialect, and counters of three kinds."""

import time

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from correlate.descriptors.efficiency import coulombic_efficiency
from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import open_file
from datasets.formats.cells import arbin_res, cycler
from datasets.formats.cells.cycler_dialects import DIALECTS, LANDT, MACCOR, NEWARE, NOVONIX
from datasets.formats.cells.cycler_text import example
from datasets.writers import xlsx

needs_mdbtools = pytest.mark.skipif(arbin_res.program() is None, reason="needs mdb-export of mdbtools")

REAL = [
    # file, acquisitions, points, highest cycle, potential from and to in V, extreme of each counter in Ah
    pytest.param("cellpy_20160805_test001_45_cc_01.res", 1, 10261, 18, (0.0499, 3.1167), (0.00173151, 0.00175509),
                 marks=needs_mdbtools),
    pytest.param("cellpy_arbin_20200624_test001.h5", 3, 47, 1, (-5.4602, 0.46998), (0.0, 0.0)),
    pytest.param("navani_arbin_gr_li.xlsx", 1, 4526, 1, (0.049994, 2.640909), (0.0057027028, 0.0110548977)),
    pytest.param("bdf_SINTEF_LiGrR2032_Landt.csv", 1, 25162, 2, (0.01, 2.9215), (0.0032, 0.0063)),
    pytest.param("bdf_SINTEF_LiGrR2032_Landt.bdf.csv", 1, 25162, None, (0.01, 2.9215), (0.0032, 0.0063)),
    pytest.param("pyprobe_arbin.csv", 1, 13, 1, (3.534552, 3.599601), (0.000400839, 2.04379e-05)),
    pytest.param("pyprobe_basytec.txt", 1, 74, 1, (3.5255631284671, 3.53285012323902), None),
    pytest.param("pyprobe_novonix.csv", 1, 207, 1, (3.84318331, 4.12864581), None),
    pytest.param("fastnda_21_10_7_85.parquet", 1, 141, 1, None, None),
    pytest.param("fastnda_nw4-120-1-6-53.parquet", 1, 18700, 150, None, None),
    pytest.param("fastnda_test_2.parquet", 1, 108563, 54, None, None),
]


@pytest.mark.parametrize(("file", "tests", "points", "cycles", "potential", "counters"), REAL)
def test_a_real_table_has_the_points_cycles_and_counters_of_the_programs_own_cells(
        real_data, file, tests, points, cycles, potential, counters):
    """The counts are the MANIFEST's, but the Novonix file has 207 points (210 counts three lines above the table), and cycles
    are the cycler's own: 150 where fastnda's default makes 160.
    """
    found = read_acquisitions(real_data / "echem" / file)
    assert {ds.attrs["technique"] for ds in found} == {"cycling"}
    assert len(found) == tests
    assert sum(ds.sizes["time"] for ds in found) == points
    for ds in found:
        assert (np.diff(ds["time"]) >= 0).all() or any("backwards" in warning for warning in ds.attrs["warnings"])
    if cycles is not None:
        assert max(int(ds["cycle_number"].max()) for ds in found) == cycles
    if potential is not None:
        assert min(float(ds["potential"].min()) for ds in found) == pytest.approx(potential[0], rel=1e-3)
        assert max(float(ds["potential"].max()) for ds in found) == pytest.approx(potential[1], rel=1e-4)
    if counters is not None:
        for name, most in zip(("charging_capacity", "discharging_capacity"), counters, strict=True):
            assert max(float(ds[name].max()) for ds in found) == pytest.approx(most, rel=1e-5, abs=1e-12)


@needs_mdbtools
def test_the_efficiencies_that_cellpy_gets_from_an_arbin_database_follow_from_its_counters(real_data):
    """cellpy 1.0.2, cycle_mode "anode", to three decimals."""
    (ds,) = read_acquisitions(real_data / "echem" / "cellpy_20160805_test001_45_cc_01.res",
                              conditions={"plating_electrode": "negative"})
    found = 100 * coulombic_efficiency(ds)["ce"].values[:5]
    np.testing.assert_allclose(found, [92.611, 108.427, 109.194, 103.866, 104.358], atol=1e-3)


def test_the_efficiencies_of_a_parquet_table_are_those_of_the_binary_file_of_the_same_run(real_data):
    (binary,) = read_acquisitions(real_data / "echem" / "fastnda_test_2.ndax", conditions={"plating_electrode": "positive"})
    (table,) = read_acquisitions(real_data / "echem" / "fastnda_test_2.parquet", conditions={"plating_electrode": "positive"})
    ours, theirs = (coulombic_efficiency(ds)["ce"].values for ds in (table, binary))
    assert ours.size == theirs.size
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(100 * ours[:5], [42.808, 86.743, 91.792, 94.451, 95.909], atol=2e-3)


def test_a_graphite_half_cell_gives_back_half_of_its_first_lithiation(real_data):
    """3.2 of 6.3 mAh by the cycler's own last counters; the resolution of 0.1 mAh is 1.6 % of the ratio."""
    (ds,) = read_acquisitions(real_data / "echem" / "bdf_SINTEF_LiGrR2032_Landt.csv",
                              conditions={"plating_electrode": "negative"})
    assert float(coulombic_efficiency(ds)["ce"][0]) == pytest.approx(3.2 / 6.3, abs=1e-6)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)
def test_each_programs_table_says_the_same_of_the_same_run(tmp_path, dialect):
    """1 mA at 0.1 V for 33 s is 33/3600 mAh."""
    (ds,) = read_acquisitions(example(tmp_path, dialect))
    np.testing.assert_allclose(ds["time"], 3.0 * np.arange(12), atol=1e-5)
    np.testing.assert_allclose(ds["current"], 1.0)
    np.testing.assert_allclose(ds["potential"], 0.1)
    if dialect.name != "ivium":  # no counter
        np.testing.assert_allclose(ds["charge"], ds["time"] / 3600, atol=1e-6)
        if "acquired" in ds.attrs["conditions"]:
            assert ds.attrs["conditions"]["acquired"].startswith("2026-01-23T12:00:00")


def changed(path, *swaps, encoding="utf-8"):
    text = path.read_text()
    for old, new in swaps:
        text = text.replace(old, new)
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_a_table_reads_in_whichever_code_page_it_was_written(tmp_path, encoding):
    path = changed(example(tmp_path, NEWARE), ("Date", "T1(°C)" if encoding == "cp1252" else "Date"), encoding=encoding)
    (ds,) = read_acquisitions(path)
    assert ds.sizes["time"] == 12
    assert float(ds["current"][0]) == 1.0


def test_chinese_column_names_are_the_same_columns(tmp_path):
    path = changed(example(tmp_path, NEWARE), ("DataPoint", "数据序号"), ("Cycle Index", "循环号"), ("Step Index", "工步号"),
                   ("Step Type", "工步类型"), ("Time,Total Time", "时间,总时间"), ("Current(A)", "电流(A)"),
                   ("Voltage(V)", "电压(V)"),
                   ("DChg. Cap.(Ah)", "放电容量(Ah)"), ("Chg. Cap.(Ah)", "充电容量(Ah)"),
                   ("CC Chg", "恒流充电"), encoding="gb18030")
    (ds,) = read_acquisitions(path)
    np.testing.assert_allclose(ds["charge"], ds["time"] / 3600, atol=1e-6)


def test_decimal_commas_are_decimal_points(tmp_path):
    """A German Maccor: tabs, commas, and units in brackets."""
    path = changed(example(tmp_path, MACCOR), (".", ","), ("Rec#\tCyc#", "Rec\tCycle P"), ("Amp-hr", "Cap, [Ah]".replace(",",
                                                                                                                         ".")),
                   ("Watt-hr", "Ener. [Wh]"), ("Amps", "Current [A]"), ("Volts", "Voltage [V]"), ("State", "Md"))
    (ds,) = read_acquisitions(path)
    np.testing.assert_allclose(ds["time"], 3.0 * np.arange(12))
    np.testing.assert_allclose(ds["charge"], ds["time"] / 3600, atol=1e-6)


def test_a_discharge_whose_current_has_no_sign_is_negative(tmp_path):
    path = changed(example(tmp_path, MACCOR), ("\tC\t", "\tD\t"))
    (ds,) = read_acquisitions(path)
    np.testing.assert_allclose(ds["current"], -1.0)
    np.testing.assert_allclose(ds["charge"], -ds["time"] / 3600, atol=1e-6)
    assert any("size of the current" in warning for warning in ds.attrs["warnings"])


def test_units_are_those_of_the_header(tmp_path):
    path = changed(example(tmp_path, LANDT), ("Current/mA", "Current/uA"), ("Voltage/V", "Voltage/mV"), ("TestTime/Sec.{0}",
                                                                                                         "TestTime/h"))
    (ds,) = read_acquisitions(path)
    assert float(ds["current"][0]) == pytest.approx(1e-3)
    assert float(ds["potential"][0]) == pytest.approx(1e-4)
    assert float(ds["time"][1]) == pytest.approx(3 * 3600)


def test_newares_three_tables_in_each_other_give_cycle_step_and_mode_to_each_point(tmp_path):
    lines = ["Cycle ID,Cap_Chg(mAh),Cap_DChg(mAh)", ",Step ID,Step Name,Step Time(h:min:s.ms)",
             ",,Record ID,Time(h:min:s.ms),Vol(mV),Cur(mA),Cap(mAh),Realtime", "1,1.0,0.5", ",1,Rest,00:00:10.000",
             ",,1,00:00:00.000,100,0,0,2026-01-23 12:00:00", ",,2,00:00:10.000,100,0,0,2026-01-23 12:00:10",
             ",2,CC_Chg,01:00:00.000", ",,3,00:00:00.000,200,1,0,2026-01-23 12:00:10",
             ",,4,01:00:00.000,300,1,1,2026-01-23 13:00:10",
             ",3,CC_DChg,00:30:00.000", ",,5,00:00:00.000,200,1,0,2026-01-23 13:00:10",
             ",,6,00:30:00.000,100,1,0.5,2026-01-23 13:30:10"]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    (ds,) = read_acquisitions(tmp_path / "a.csv", conditions={"plating_electrode": "positive"})
    np.testing.assert_allclose(ds["time"], [0, 10, 10, 3610, 3610, 5410])
    assert ds["step_index"].values.tolist() == [1, 1, 2, 2, 3, 3]
    np.testing.assert_allclose(ds["potential"], [0.1, 0.1, 0.2, 0.3, 0.2, 0.1])
    np.testing.assert_allclose(ds["current"], [0, 0, 1, 1, -1, -1])
    np.testing.assert_allclose(ds["charge"], [0, 0, 0, 1, 1, 0.5])
    assert float(coulombic_efficiency(ds)["ce"][0]) == pytest.approx(0.5)


def test_a_counter_that_falls_back_to_nothing_has_restarted_and_one_that_trembles_has_not():
    steps = np.array([1, 1, 1, 2, 2, 2])
    np.testing.assert_allclose(cycler.increments(np.array([1.0, 2.0, 1.999, 0.5, 1.0, 2.0]), steps), [1, 1, -0.001, 0.5, 0.5,
                                                                                                      1])
    np.testing.assert_allclose(cycler.increments(np.array([0.0, -1.0, -2.0, 1.0, 2.0, 3.0]), steps), [0, -1, -1, 1, 1, 1])


def test_a_column_of_words_or_of_an_unknown_name_is_kept_or_named(tmp_path):
    path = example(tmp_path, NEWARE)
    frame = pd.read_csv(path)
    frame["remark"], frame["V7(mV)"] = "some words", 5
    frame.to_csv(path, index=False)
    (ds,) = read_acquisitions(path)
    assert any("remark" in warning for warning in ds.attrs["warnings"])
    assert ds["v7"].attrs["units"] == "mV"


def test_a_table_of_cycles_is_no_record_and_says_so(tmp_path):
    (tmp_path / "a.csv").write_text("Cycle Index,Chg. Cap.(Ah),DChg. Cap.(Ah),Chg. Energy(Wh),Step Type\n1,1,1,1,x\n")
    with pytest.raises(FileError, match="no line of column names with potential"):
        open_file(tmp_path / "a.csv")


def test_without_mdbtools_the_error_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setattr(arbin_res.shutil, "which", lambda _: None)
    (tmp_path / "a.res").write_bytes(arbin_res.MAGIC.ljust(4096, b"\1"))
    with pytest.raises(FileError, match="not installed; install mdbtools"):
        open_file(tmp_path / "a.res")


@needs_mdbtools
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_a_truncated_database_is_refused_in_one_line(real_data, tmp_path, keep):
    raw = (real_data / "echem" / "cellpy_20160805_test001_45_cc_01.res").read_bytes()
    (tmp_path / "cut.res").write_bytes(raw[:max(64, int(keep * len(raw)))])
    with pytest.raises(FileError, match=r"^cut\.res: ") as error:
        open_file(tmp_path / "cut.res")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("old", "new", "told"), [("\n4,", "\n4,5,", "line 5"), ("\n4,", "\n4,5,6,7,", "line 5")])
def test_a_row_with_too_many_cells_is_refused_and_its_line_named(tmp_path, old, new, told):
    path = changed(example(tmp_path, NEWARE), (old, new))
    with pytest.raises(FileError, match=told):
        open_file(path)


def test_rows_may_end_in_separators_and_columns_may_lack_a_name(tmp_path):
    path = example(tmp_path, NEWARE)
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, *(row + ",7,,," for row in rows)]) + "\n")
    (ds,) = read_acquisitions(path)
    assert (ds["column_13"] == 7).all()
    assert not [name for name in ds.data_vars if name in ("column_14", "column_15")]


def test_the_end_of_a_discharge_keeps_its_direction_where_the_mode_names_none(tmp_path):
    """Maccor marks the last point of a step with S; the size of the current says nothing."""
    path = example(tmp_path, MACCOR)
    head, *rows = path.read_text().splitlines()[2:]
    rows = [row.replace("\tC\t", "\tD\t") for row in rows]
    rows[-1] = rows[-1].replace("\tD\t", "\tS\t")
    path.write_text("\n".join([head, *rows]) + "\n")
    (ds,) = read_acquisitions(path)
    np.testing.assert_allclose(ds["current"], -1.0)


@pytest.mark.parametrize(("date", "acquired"), [("05.10.2026 12:00:00", "2026-10-05"), ("05/10/2026 12:00:00", "2026-05-10"),
                                                ("25/10/2026 12:00:00", "2026-10-25"), ("5-Oct-26 12:00:00 PM", "2026-10-05")])
def test_dots_put_the_day_first_and_a_day_above_twelve_tells_the_order(tmp_path, date, acquired):
    path = example(tmp_path, MACCOR)
    head, *rows = path.read_text().splitlines()[2:]
    path.write_text("\n".join([head, *(row.rpartition("\t")[0] + "\t" + date for row in rows)]) + "\n")
    (ds,) = read_acquisitions(path)
    assert ds.attrs["conditions"]["acquired"].startswith(acquired)


@pytest.mark.parametrize("header", ["time/s,Ewe/V,I/mA", "Elapsed Time (s);E (V);I (mA)", "t [s]\tU [V]\tI [mA]"])
def test_a_table_of_no_known_program_is_read_if_its_units_say_what_it_is(tmp_path, header):
    separator = next(s for s in "\t;," if s in header)
    rows = [separator.join(["%g" % (3 * i), "0.1", "1"]) for i in range(5)]
    (tmp_path / "a.csv").write_text("\n".join([header, *rows]) + "\n")
    (ds,) = read_acquisitions(tmp_path / "a.csv")
    np.testing.assert_allclose(ds["time"], 3.0 * np.arange(5))
    np.testing.assert_allclose(ds["current"], 1.0)
    assert any("not known" in warning for warning in ds.attrs["warnings"])


NEWARE_STEPS = [("Cycle Index", "Step Index", "Step Number", "Step Type"), (1, 1, 1, "Rest"), (1, 2, 2, "CC Chg"), (1, 3, 3,
                                                                                                                    "CC DChg"),
                (2, 2, 4, "CC Chg")]
NEWARE_POINTS = [
    ("DataPoint", "Step Type", "Time", "Total Time", "Current(A)", "Voltage(V)", "Capacity(Ah)", "Date"),
    (1, "Rest", "00:00:00", "00:00:00", 0, 0.1, 0, "2026-01-23 12:00:00"),
    (2, "CC Chg", "00:00:00", "00:00:00", 0.001, 0.1, 0, "2026-01-23 12:00:00"),
    (3, "CC Chg", "01:00:00", "01:00:00", 0.001, 0.1, 0.001, "2026-01-23 13:00:00"),
    (4, "CC DChg", "00:00:00", "01:00:00", -0.001, 0.1, 0, "2026-01-23 13:00:00"),
    (5, "CC DChg", "00:30:00", "01:30:00", -0.001, 0.1, 0.0005, "2026-01-23 13:30:00"),
    (6, "CC Chg", "00:00:00", "01:30:00", 0.001, 0.1, 0, "2026-01-23 13:30:00")]


def test_points_of_a_neware_workbook_take_their_cycles_from_the_sheet_of_steps(tmp_path):
    path = xlsx.write(tmp_path / "a.xlsx", {"unit": [("Start Time:", "2026-01-23")], "step": NEWARE_STEPS,
                                            "record": NEWARE_POINTS})
    (ds,) = read_acquisitions(path)
    assert ds["cycle_number"].values.tolist() == [1, 1, 1, 1, 1, 2]
    assert ds["step_index"].values.tolist() == [1, 2, 2, 3, 3, 2]
    np.testing.assert_allclose(ds["charge"], [0, 0, 1, 1, 0.5, 0.5])
    np.testing.assert_allclose(ds["time"], [0, 0, 3600, 3600, 5400, 5400])
    assert ds.attrs["conditions"]["acquired"].startswith("2026-01-23T12:00:00")


def test_a_landt_workbook_may_go_on_in_a_second_sheet_and_have_remarks_above(tmp_path):
    names = ("Record", "TestTime/h", "Voltage/V", "Current/mA", "Capacity/mAh", "SysTime")
    rows = [(i + 1, i / 10, 0.1, -1.0, i / 10, f"2026-01-23 12:{6 * i:02d}:00") for i in range(6)]
    path = xlsx.write(tmp_path / "a.xlsx", {"Record": [("a remark", None), names, *rows[:3]], "Record (2)": rows[3:],
                                            "Cycle": [("n", "Q"), (1, 2)]})
    (ds,) = read_acquisitions(path)
    np.testing.assert_allclose(ds["time"], 360.0 * np.arange(6))
    np.testing.assert_allclose(ds["charge"], -np.arange(6) / 10, atol=1e-12)


def test_two_channels_of_an_arbin_workbook_are_two_records_and_a_full_sheet_goes_on_in_the_next(tmp_path):
    names = ("Data_Point", "Test_Time(s)", "Step_Index", "Current(A)", "Voltage(V)")
    rows = [(i + 1, float(i), 1, 0.001, 0.1) for i in range(4)]
    path = xlsx.write(tmp_path / "a.xlsx", {"Channel_1_1": [names, *rows[:2]], "Channel_1_2": [names, *rows[2:]],
                                            "Channel_2_1": [names, *rows], "Statistics_1": [names, *rows]})
    first, second = read_acquisitions(path)
    assert (first.sizes["time"], second.sizes["time"]) == (4, 4)
    assert first.attrs["title"] != second.attrs["title"]


def test_a_workbook_of_anything_else_is_refused_and_says_what_it_lacks(tmp_path):
    path = xlsx.write(tmp_path / "a.xlsx", {"Sheet1": [("electrolyte", "LCE"), ("LiFSI", 1.7)]})
    with pytest.raises(FileError, match="no record of a run"):
        open_file(path)


def test_a_line_of_a_hundred_thousand_cells_does_not_hold_the_reader_up(tmp_path):
    (tmp_path / "a.csv").write_text(",".join(["Voltage(V)"] * 100_000) + "\n")
    start = time.monotonic()
    with pytest.raises(FileError):
        open_file(tmp_path / "a.csv")
    assert time.monotonic() - start < 10


def test_a_line_of_units_below_the_names_gives_them_their_units(tmp_path):
    """Digatron writes volts or millivolts there, and nothing in the names."""
    names = "Step,Status,Prog Time,Step Time,Cycle,Voltage,Current,AhAccu,LogTemp001"
    rows = [f"1,CHA,{t},{t},1,3100,1,{t / 3600},25" for t in range(6)]
    for units in (",,s,s,,mV,mA,mAh,degC", "[],[],[s],[s],[],[mV],[mA],[mAh],[degC]"):
        (tmp_path / "a.csv").write_text("\n".join([names, units, *rows]) + "\n")
        (ds,) = read_acquisitions(tmp_path / "a.csv")
        assert ds.sizes["time"] == 6
        np.testing.assert_allclose(ds["potential"], 3.1)
        np.testing.assert_allclose(ds["current"], 1.0)
        np.testing.assert_allclose(ds["charge"], np.arange(6) / 3600)
        assert not any("no numbers" in warning for warning in ds.attrs["warnings"])


def test_a_table_each_of_whose_lines_is_quoted_as_one_cell_is_the_same_table(tmp_path):
    path = example(tmp_path, NOVONIX)
    plain, = read_acquisitions(path)
    lines = path.read_text().splitlines()
    table = next(i for i, line in enumerate(lines) if line.startswith("Date and Time"))
    path.write_text("\n".join(f'"{line}"' if i >= table else line for i, line in enumerate(lines)) + "\n")
    quoted, = read_acquisitions(path)
    xr.testing.assert_equal(plain, quoted)


def test_the_counter_of_a_table_made_from_a_binary_file_of_ec_lab_is_its_charge(tmp_path):
    names = "flags,Ns,time/s,dQ/mA.h,(Q-Qo)/mA.h,Ewe/V,half cycle,<I>/mA"
    (tmp_path / "a.csv").write_text("\n".join([names, *(f"3,0,{t},0,{-t / 3600},3.1,0,-1" for t in range(6))]) + "\n")
    (ds,) = read_acquisitions(tmp_path / "a.csv")
    np.testing.assert_allclose(ds["charge"], -np.arange(6) / 3600)
