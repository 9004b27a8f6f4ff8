"""What records of cells promise: a counter from which efficiency follows, and impedance with its true sign."""

import numpy as np
import pytest

from correlate.descriptors.efficiency import coulombic_efficiency, half_cycles
from datasets.acquisition import read_acquisitions
from datasets.techniques.cycling import CYCLING
from datasets.techniques.eis import EIS


@pytest.fixture
def record():
    return CYCLING.example(np.random.default_rng(3))


def ends(record):
    return np.append(np.flatnonzero(np.diff(record["half_cycle"])), record.sizes["time"] - 1)


def test_efficiency_follows_from_the_counter_at_the_ends_of_steps(record):
    """98.5 % comes back by construction; the counter is exact, so only rounding is allowed."""
    passed = np.diff(record["charge"].values[ends(record)], prepend=0.0)
    np.testing.assert_allclose(-passed[1::2] / passed[0::2], 0.985, rtol=1e-9)


def test_charge_is_signed_like_the_current(record):
    step = np.diff(record["charge"].values)
    assert (np.sign(step) == np.sign(record["current"].values[1:])).all()


def test_an_integral_of_a_coarse_log_misses_what_the_counter_knows(record):
    """Dropping every second point moves the integral of a half cycle by a logging interval, and the counter not at all."""
    last = ends(record)
    kept = np.unique(np.append(np.arange(0, record.sizes["time"], 7), last))
    coarse = record.isel(time=kept)
    counter = np.diff(coarse["charge"].values[ends(coarse)], prepend=0.0)
    full = np.diff(record["charge"].values[last], prepend=0.0)
    np.testing.assert_allclose(counter, full, rtol=1e-12)


def test_time_and_half_cycles_only_go_forward(record):
    assert (np.diff(record["time"]) > 0).all()
    assert (np.diff(record["half_cycle"]) >= 0).all()


def test_plating_is_below_and_stripping_above_the_potential_of_the_metal(record):
    plating = record["current"] < 0
    assert float(record["potential"].where(plating).max()) < 0
    assert float(record["potential"].where(~plating).min()) > 0


def test_the_impedance_of_two_arcs_runs_from_the_sum_of_resistances_to_the_electrolyte():
    """Within 3 sigma of the 0.5 % noise, and of the tails of depressed arcs at the ends of the range."""
    ds = EIS.example(np.random.default_rng(1))
    assert float(ds["impedance_real"][-1]) == pytest.approx(75.0, rel=0.03)
    assert 5.0 < float(ds["impedance_real"][0]) < 11.0
    assert float(ds["impedance_imaginary"].min()) < -15
    assert float(ds["impedance_imaginary"].mean()) < 0


@pytest.mark.parametrize(("file", "plating", "percent"), [
    ("yadg_bcd.issue_241.mpr", "negative", [99.771]),
    ("navani_test.ndax", "positive", [105.465]),
    ("fastnda_test_2.ndax", "positive", [42.808, 86.743, 91.792, 94.451, 95.909]),
    ("fastnda_nw4-120-1-6-53.ndax", "positive", [19.075, 72.405, 69.168, 81.379, 87.03]),
])
def test_the_efficiencies_that_other_programs_get_from_real_files_follow_from_the_counters(real_data, file, plating, percent):
    """The programs' figures are written out to 0.001 %; which current plates is taken as they took it."""
    (ds,) = read_acquisitions(real_data / "echem" / file, conditions={"plating_electrode": plating})
    found = 100 * coulombic_efficiency(ds)["ce"].values[:len(percent)]
    np.testing.assert_allclose(found, percent, atol=2e-3)


def test_a_symmetric_cell_gives_back_what_the_protocol_lets_it_and_that_is_no_efficiency(real_data):
    """Galvani's ratios of the half cycles, to 0.001 %; the metal never runs out."""
    (ds,) = read_acquisitions(real_data / "echem" / "yadg_gcpl.mpr", conditions={"plating_electrode": "positive"})
    halves = half_cycles(ds)
    first = int(np.argmax(halves.sign > 0))
    ratios = 100 * halves.charge[first + 1:first + 11:2] / halves.charge[first:first + 10:2]
    np.testing.assert_allclose(ratios, [99.998, 99.998, 99.997, 99.997, 99.998], atol=2e-3)
    assert "no efficiency" in coulombic_efficiency(ds).attrs["reason"]
