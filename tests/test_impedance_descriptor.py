"""Numbers of an impedance spectrum: found where the data hold them, "not identifiable" where they do not."""

import math

import numpy as np
import pytest
import xarray as xr

from correlate.descriptors.impedance import measure


def sweep(arcs, *, series=4.0, noise=0.003, seed=0, sign=1.0):
    frequency = np.logspace(5, -1.5, 60)
    z = np.full(frequency.size, series + 0j)
    for resistance, time, exponent in arcs:
        z = z + resistance / (1 + (2j * np.pi * frequency * time) ** exponent)
    rng = np.random.default_rng(seed)
    z = z + noise * np.abs(z) * (rng.normal(size=z.size) + 1j * rng.normal(size=z.size))
    return xr.Dataset({"impedance_real": ("frequency", z.real, {"units": "ohm"}),
                       "impedance_imaginary": ("frequency", sign * z.imag, {"units": "ohm"})},
                      {"frequency": ("frequency", frequency, {"units": "Hz"})},
                      {"technique": "eis", "title": "made up", "conditions": {}})


def named(ds):
    return {m.name: m for m in measure(ds)}


def test_two_arcs_far_apart_are_told_apart():
    found = named(sweep([(20.0, 1e-4, 0.9), (50.0, 0.3, 0.85)]))
    for name, truth in (("eis_series_resistance", 4.0), ("eis_first_arc", 20.0), ("eis_second_arc", 50.0),
                        ("eis_arc_width", 70.0)):
        assert found[name].value == pytest.approx(truth, abs=3 * found[name].std)
        assert found[name].std < 0.05 * truth


def test_two_arcs_that_merge_are_one_number():
    found = named(sweep([(20.0, 1e-2, 0.9), (30.0, 1.3e-2, 0.9)]))
    assert found["eis_arc_width"].value == pytest.approx(50.0, rel=0.05)
    assert math.isnan(found["eis_first_arc"].value)
    assert "not identifiable" in found["eis_first_arc"].reason


def test_one_arc_is_not_split():
    found = named(sweep([(40.0, 1e-2, 0.9)]))
    assert found["eis_arc_width"].value == pytest.approx(40.0, rel=0.03)
    assert "as well as two" in found["eis_second_arc"].reason


def test_a_turned_sign_is_refused():
    assert all("sign" in m.reason for m in measure(sweep([(40.0, 1e-2, 0.9)], sign=-1.0)))


def test_noise_without_an_arc_gives_no_arc():
    ds = sweep([(1e-6, 1e-2, 0.9)], noise=0.3)
    found = named(ds)
    assert not found["eis_arc_width"].known or found["eis_arc_width"].std > 0.2 * found["eis_arc_width"].value
