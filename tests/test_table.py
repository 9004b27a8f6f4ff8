"""One row per sample: what several acquisitions say of it, joined with honest errors."""

import numpy as np
import pandas as pd
import pytest

from correlate.table import joined, sample_table
from datasets.sheet import Sample, Sheet

SHEET = Sheet("made up", {n: Sample(n, metal="Li", electrolyte=e, group=e) for n, e in (("A1", "LP40"), ("A2", "HCE"))}, ())


def rows(*entries):
    columns = ["sample", "unit", "version", "technique", "name", "title", "value", "std", "units", "method", "reason"]
    return pd.DataFrame([[s, u, "v", "x", n, n, v, d, "1", "m", ""] for s, u, n, v, d in entries], columns=columns)


def test_every_sample_has_one_row_and_what_is_missing_is_empty():
    table = sample_table(rows(("A1", "A1/haadf-0", "sei_thickness", 20.0, 2.0)), SHEET)
    assert list(table["sample"]) == ["A1", "A2"]
    assert list(table["group"]) == ["LP40", "HCE"]
    assert table["sei_thickness"][0] == 20.0
    assert np.isnan(table["sei_thickness"][1])
    assert np.isnan(table["sei_thickness_std"][1])


def test_a_study_without_measurements_has_rows_without_values():
    assert list(sample_table(rows(), SHEET).columns) == ["sample", "metal", "electrolyte", "group"]


def test_agreeing_acquisitions_are_weighted_by_their_errors_and_share_the_method():
    value, std = joined(np.array([20.0, 22.0]), np.array([1.0, 2.0]))
    assert value == pytest.approx((20 * 1 + 22 / 4) / 1.25)
    assert std == 1.0, "never below the best single error: both rest on one method"


def test_disagreeing_acquisitions_make_the_error_grow():
    _, std = joined(np.array([20.0, 40.0]), np.array([1.0, 1.0]))
    assert std == pytest.approx(10.0), "half of the distance between two equally good values"


def test_an_unknown_value_does_not_enter():
    table = sample_table(rows(("A1", "A1/haadf-0", "sei_thickness", 20.0, 2.0),
                              ("A1", "A1/eels-0", "sei_thickness", np.nan, np.nan)), SHEET)
    assert table["sei_thickness"][0] == 20.0


def test_regions_of_one_xps_file_become_fractions_and_replace_the_survey():
    table = sample_table(rows(
        ("A1", "A1/xps-0", "xps_fraction_C", 0.9, 0.1), ("A1", "A1/xps-0", "xps_fraction_O", 0.1, 0.1),
        ("A1", "A1/xps-1", "xps_area_C", 30.0, 3.0), ("A1", "A1/xps-2", "xps_area_O", 60.0, 6.0),
        ("A1", "A1/xps-3", "xps_area_F", 10.0, 1.0)), SHEET)
    found = table.iloc[0]
    assert found[["xps_fraction_C", "xps_fraction_O", "xps_fraction_F"]].to_list() == pytest.approx([0.3, 0.6, 0.1])
    assert found["xps_fraction_C_std"] == pytest.approx(np.hypot(0.7 * 3, 0.3 * np.hypot(6, 1)) / 100)
    assert not [c for c in table.columns if "area" in c]


def test_a_file_with_a_region_that_cannot_be_counted_gives_no_fractions_of_its_regions():
    table = sample_table(rows(
        ("A1", "A1/xps-0", "xps_fraction", np.nan, np.nan),
        ("A1", "A1/xps-1", "xps_area_C", 30.0, 3.0), ("A1", "A1/xps-2", "xps_area_N", 60.0, 6.0)), SHEET)
    assert not [c for c in table.columns if c.startswith("xps")]


def test_a_single_region_does_not_pretend_to_be_a_composition():
    table = sample_table(rows(("A1", "A1/xps-1", "xps_area_C", 30.0, 3.0)), SHEET)
    assert list(table.columns) == ["sample", "metal", "electrolyte", "group"]
