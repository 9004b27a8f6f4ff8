"""Coulombic efficiency: what the counter says, with the error that the counter has."""

import math

import numpy as np
import pytest
import xarray as xr

from correlate.descriptors.efficiency import (
    average_efficiency,
    coulombic_efficiency,
    half_cycles,
    log_ce,
    measure,
)
from datasets.acquisition import read_acquisitions

CURRENT_MA = 1.0


def cell(plated, stripped, *, sign=-1.0, rest=True, points=30, conditions=None, shorted=(), seed=0):
    """A Li||Cu run: charges (mAh) plated and stripped per cycle at 1 mA, potential of copper against lithium."""
    rng = np.random.default_rng(seed)
    time, current, potential, charge, step = [0.0], [0.0], [2.5], [0.0], [0]
    total, number = 0.0, 0
    for n, (p, s) in enumerate(zip(plated, stripped, strict=True)):
        for q, direction in ((p, sign), (s, -sign)):
            number += 1
            grid = np.linspace(0, q, points + 1)[1:]
            overpotential, noise = (0.02, 5e-3) if n in shorted else (0.04, 1e-4)
            volts = overpotential * direction + rng.normal(0, noise, points)
            if direction == -sign:
                volts[-1] = 1.0 * -sign
            time += list(time[-1] + grid / CURRENT_MA * 3600)
            current += [direction * CURRENT_MA] * points
            potential += list(volts)
            signed = direction * grid
            charge += list(total + signed)
            total += direction * q
            step += [number] * points
            if rest:
                number += 1
                time.append(time[-1] + 600)
                current.append(0.0)
                potential.append(0.0)
                charge.append(total)
                step.append(number)
    ones = {"current": (current, "mA"), "potential": (potential, "V"), "charge": (charge, "mAh"), "step_number": (step, "1")}
    return xr.Dataset({k: ("time", np.asarray(v, float), {"units": u}) for k, (v, u) in ones.items()},
                      {"time": ("time", np.asarray(time), {"units": "s"})},
                      {"technique": "cycling", "title": "made up", "conditions": conditions or {}})


def value(ds, name):
    return next(m for m in measure(ds) if m.name == name)


@pytest.mark.parametrize("rest", [True, False])
def test_efficiency_is_charge_stripped_by_charge_plated(rest):
    stripped = [0.90, 0.95, 0.97]
    cycles = coulombic_efficiency(cell([1, 1, 1], stripped, rest=rest))
    assert cycles.ce.values == pytest.approx(stripped, abs=1e-12)


@pytest.mark.parametrize("rest", [True, False])
def test_a_record_that_does_not_save_the_ends_of_steps_gives_the_same_efficiency(rest):
    whole = cell([1] * 4, [0.95] * 4, rest=rest, points=90, conditions={"plating_electrode": "negative"})
    last = np.flatnonzero(np.diff(whole.step_number, append=99.0) != 0)
    kept = np.setdiff1d(np.arange(whole.time.size), last[whole.current.values[last] != 0][:-1])
    thin = whole.isel(time=kept)
    assert thin.time.size < whole.time.size
    assert coulombic_efficiency(thin).ce.values[:-1] == pytest.approx([0.95] * 3, abs=1e-9)


def test_efficiency_does_not_depend_on_the_polarity_of_the_leads():
    here, there = (coulombic_efficiency(cell([1, 1], [0.9, 0.95], sign=s)) for s in (-1.0, 1.0))
    assert here.ce.values == pytest.approx(there.ce.values, abs=1e-12)
    assert "negative" in here.attrs["convention"]
    assert "positive" in there.attrs["convention"]


def test_coarse_logging_does_not_change_the_counter():
    fine, coarse = (coulombic_efficiency(cell([1] * 4, [0.93] * 4, points=n)).ce.values for n in (200, 2))
    assert coarse == pytest.approx(fine, abs=1e-12)


def test_a_gain_error_cancels_and_an_offset_does_not():
    ds = cell([1] * 5, [0.98] * 5)
    gained = ds.assign(charge=ds.charge * 1.002, current=ds.current * 1.002)
    assert value(gained, "ce_mean").value == pytest.approx(0.98, abs=1e-12)
    offset = 2e-4 / math.sqrt(3) * CURRENT_MA    # one standard deviation; it adds to one direction and takes from the other
    shifted = coulombic_efficiency(cell([1 - offset] * 5, [0.98 + 0.98 * offset] * 5))
    mean, std = average_efficiency(coulombic_efficiency(ds))
    assert average_efficiency(shifted)[0] - mean == pytest.approx(std, rel=0.01)


def test_metal_left_in_one_cycle_and_stripped_in_the_next_does_not_lift_the_average():
    ds = cell([1, 1], [0.90, 1.06])
    assert value(ds, "ce_mean").value == pytest.approx(0.98)
    assert value(ds, "ce_last").value == pytest.approx(1.06), "kept, not clipped"
    assert "above 100 %" in value(ds, "ce_mean").reason


def test_a_reservoir_protocol_gives_the_reservoir_formula():
    total, small, n, last = 5.0, 1.0, 10, 4.6
    ds = cell([total] + [small] * n, [small] * n + [last])
    found = value(ds, "ce_mean")
    assert found.value == pytest.approx((n * small + last) / (n * small + total))
    assert "reservoir" in found.method
    assert math.isnan(value(ds, "ce_first").value)
    assert "reservoir" in value(ds, "ce_first").reason


def test_log_ce_and_its_error_follow_the_definition():
    assert log_ce(0.8, 0.001) == pytest.approx((0.69897, 0.00217), abs=1e-5)
    assert log_ce(0.995, 0.001) == pytest.approx((2.30103, 0.08686), abs=1e-5)
    assert all(math.isnan(v) for v in log_ce(1.0, 0.001)), "masked, not clipped"


def test_an_efficiency_above_100_percent_has_no_log_and_says_so():
    ds = cell([1] * 3, [1.02] * 3)
    assert value(ds, "ce_mean").value == pytest.approx(1.02)
    assert math.isnan(value(ds, "log_ce").value)
    assert "100 %" in value(ds, "log_ce").reason


def test_a_soft_short_is_recognised_by_a_small_restless_overpotential_and_left_out():
    stripped = [0.95] * 12
    stripped[6:8] = [1.04, 1.06]    # the short feeds the strip
    found = value(cell([1] * 12, stripped, shorted=(6, 7)), "ce_mean")
    assert found.value == pytest.approx(0.95)
    assert "soft short in cycle 7, 8" in found.reason


def test_a_cell_that_stays_shorted_has_no_efficiency():
    found = value(cell([1] * 12, [0.95] * 12, shorted=tuple(range(8, 12))), "ce_mean")
    assert math.isnan(found.value)
    assert "did not recover" in found.reason


def test_a_symmetric_cell_has_no_efficiency():
    ds = cell([1] * 4, [1] * 4)
    ds = ds.assign(potential=0.05 * np.sign(ds.current))
    found = value(ds, "ce_mean")
    assert math.isnan(found.value)
    assert "plating_electrode" in found.reason


def test_the_stated_plating_electrode_decides():
    ds = cell([1] * 3, [0.9] * 3, sign=-1.0, conditions={"plating_electrode": "positive"})
    cycles = coulombic_efficiency(ds)
    assert "as the conditions state" in cycles.attrs["convention"]
    assert cycles.ce.values == pytest.approx([1 / 0.9] * 2), "the sheet's word is taken, and the result lies above 100 %"


def test_half_cycles_skip_rests_and_an_empty_run_has_none():
    assert half_cycles(cell([1, 1], [0.9, 0.9])).charge == pytest.approx([1, 0.9, 1, 0.9])
    ds = cell([1], [0.9])
    idle = ds.assign(current=0 * ds.current)
    assert half_cycles(idle).charge.size == 0
    assert math.isnan(value(idle, "ce_mean").value)


def test_a_real_symmetric_cell_has_no_efficiency_though_its_charges_can_be_divided(real_data):
    path = real_data / "echem" / "yadg_gcpl.mpr"
    said = read_acquisitions(path, conditions={"plating_electrode": "positive"})[0]
    assert "metal never runs out" in value(said, "ce_mean").reason
    halves = half_cycles(said)
    assert halves.charge[2::2][:5] / halves.charge[1::2][:5] == pytest.approx(0.99998, abs=3e-5), "galvani's Qd/Qc"


@pytest.mark.parametrize(("file", "electrode", "efficiency"), [("yadg_bcd.issue_241.mpr", "negative", 0.99771)])
def test_a_real_cell_has_an_efficiency_only_once_its_plating_electrode_is_said(real_data, file, electrode, efficiency):
    path = real_data / "echem" / file
    assert math.isnan(value(read_acquisitions(path)[0], "ce_mean").value)
    assert "plating_electrode" in value(read_acquisitions(path)[0], "ce_mean").reason
    said = read_acquisitions(path, conditions={"plating_electrode": electrode})[0]
    assert value(said, "ce_mean").value == pytest.approx(efficiency, abs=2e-5)


def test_an_efficiency_within_its_error_of_100_percent_has_no_log():
    assert all(math.isnan(v) for v in log_ce(0.9999, 0.002))
    assert log_ce(0.9999, 0.00005)[0] == pytest.approx(4.0)


def test_a_symmetric_cell_has_no_efficiency_whatever_the_sheet_says():
    ds = cell([1] * 4, [1] * 4, conditions={"plating_electrode": "negative"})
    ds = ds.assign(potential=0.05 * np.sign(ds.current))
    assert "metal never runs out" in value(ds, "ce_mean").reason


def test_a_strip_that_the_end_of_the_record_cuts_short_is_left_out_and_named():
    whole, cut = cell([1] * 5, [0.9] * 5), cell([1] * 5, [0.9] * 4 + [0.1])
    under_current = cut.isel(time=slice(0, int(np.flatnonzero(np.abs(cut.current.values) > 0)[-1]) + 1))
    assert coulombic_efficiency(under_current).ce.values == pytest.approx(coulombic_efficiency(whole).ce.values[:4])
    assert "record ends within the last strip" in value(under_current, "ce_mean").reason


@pytest.mark.parametrize(("file", "ratios"), [
    ("fastnda_test_2.ndax", [42.808, 86.743, 91.792, 94.451, 95.909]),
    ("fastnda_nw4-120-1-6-53.ndax", [19.075, 72.405, 69.168, 81.379, 87.03])])
def test_first_cycles_of_real_neware_cells_have_the_ratio_that_fastnda_gives(real_data, file, ratios):
    ds = read_acquisitions(real_data / "echem" / file, conditions={"plating_electrode": "positive"})[0]
    assert 100 * coulombic_efficiency(ds).ce.values[:5] == pytest.approx(ratios, abs=0.01)
