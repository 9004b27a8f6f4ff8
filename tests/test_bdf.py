"""Battery Data Format: one real conversion, and counters that restart or run on."""

import numpy as np
import pandas as pd
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats.cells.cycler_dialects import BDF
from datasets.formats.cells.cycler_text import example


def test_a_real_file_agrees_with_the_cyclers_own_table(real_data):
    (ds,) = read_acquisitions(real_data / "echem" / "bdf_SINTEF_LiGrR2032_Landt.bdf.csv")
    truth = pd.read_csv(real_data / "echem" / "bdf_SINTEF_LiGrR2032_Landt.csv", skiprows=6, index_col=False)
    assert ds.sizes == {"time": 25162}
    np.testing.assert_allclose(ds["time"], truth["test_time_s"])
    np.testing.assert_allclose(ds["potential"], truth["voltage_V"])
    np.testing.assert_allclose(ds["current"], 1e3 * truth["current_A"], atol=1e-9)
    assert ds["current"].attrs["units"] == "mA"


def test_the_charge_of_the_first_discharge_is_its_counter(real_data):
    """6.3 mAh, as the counter says at the end of the first lithiation; the file's resolution is 0.1 mAh."""
    (ds,) = read_acquisitions(real_data / "echem" / "bdf_SINTEF_LiGrR2032_Landt.bdf.csv")
    assert float(ds["charge"].min()) == pytest.approx(-6.3, abs=1e-6)


@pytest.mark.parametrize("restarts", [True, False])
@pytest.mark.parametrize("spelling", ["label", "machine"])
def test_charge_runs_on_whether_the_counters_restart_or_not(tmp_path, restarts, spelling):
    charging = [1.0, 2.0, 2.0, 2.0, 1.0, 2.0] if restarts else [1.0, 2.0, 2.0, 2.0, 3.0, 4.0]
    discharging = [0.0, 0.0, 1.0, 1.9, 0.0, 0.0] if restarts else [0.0, 0.0, 1.0, 1.9, 1.9, 1.9]
    counters = {"label": ["Charging Capacity / Ah", "Discharging Capacity / Ah"],
                "machine": ["charging_capacity_ah", "discharging_capacity_ah"]}
    others = {"label": ["Test Time / s", "Voltage / V", "Current / A"],
              "machine": ["test_time_second", "voltage_volt", "current_ampere"]}
    columns = [np.arange(6.0), np.ones(6), np.ones(6), charging, discharging]
    table = pd.DataFrame(dict(zip(others[spelling] + counters[spelling], columns, strict=True)))
    table.to_csv(tmp_path / "a.bdf.csv", index=False)
    (ds,) = read_acquisitions(tmp_path / "a.bdf.csv")
    np.testing.assert_allclose(ds["charge"], 1e3 * np.array([1.0, 2.0, 1.0, 0.1, 1.1, 2.1]))
    assert ds["charge"].attrs["units"] == "mAh"


def test_a_charge_is_not_made_up_where_nobody_counted_it(tmp_path):
    path = example(tmp_path, BDF)
    pd.read_csv(path).drop(columns=["Charging Capacity / Ah"]).to_csv(path, index=False)
    (ds,) = read_acquisitions(path)
    assert "charge" not in ds
    assert any("not made up" in warning for warning in ds.attrs["warnings"])


@pytest.mark.parametrize(("old", "new", "told"), [
    ("Voltage / V", "Druck / V", "potential"), ("\n6.0,", "\nsix,", "line 4"), ("\n9.0,", '\n9.0,"', "no table")])
def test_a_damaged_table_is_refused_in_one_line(tmp_path, old, new, told):
    path = example(tmp_path, BDF)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(FileError, match=told) as error:
        read_acquisitions(path)
    assert str(error.value).startswith("example.csv: ")
    assert "\n" not in str(error.value)
