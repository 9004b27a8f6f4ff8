"""What every descriptor keeps, whatever it measures: registering one runs all of this on it."""

import math

import numpy as np
import pytest
import xarray as xr

from correlate.descriptors import DESCRIPTORS, role_of
from correlate.descriptors.descriptor import ROLES, SOURCE_NOT_CHECKED
from datasets.techniques import TECHNIQUES

CASES = [(d, t) for d in DESCRIPTORS.values() for t in d.techniques]


def acquisition(technique, seed=0):
    ds = TECHNIQUES[technique].example(np.random.default_rng(seed))
    return ds.assign_attrs({"conditions": {}, "uncalibrated": [], "incomplete": [], **ds.attrs, "sample": "A1"})


def described(descriptor, ds):
    before = ds.copy(deep=True)
    found = descriptor.measure(ds)
    xr.testing.assert_identical(ds, before)
    return found


def ids(case):
    return case if isinstance(case, str) else case.name


@pytest.mark.parametrize("descriptor", DESCRIPTORS.values(), ids=lambda d: d.name)
def test_a_descriptor_says_what_it_is(descriptor):
    assert DESCRIPTORS[descriptor.name] is descriptor
    assert descriptor.title
    assert descriptor.unit
    assert descriptor.role in ROLES
    assert descriptor.names
    assert descriptor.techniques
    assert all(t in TECHNIQUES for t in descriptor.techniques)
    text = descriptor.method
    assert SOURCE_NOT_CHECKED in text or "10." in text or "own method" in text, "cite, or say that the source was not checked"


@pytest.mark.parametrize(("descriptor", "technique"), CASES, ids=ids)
def test_every_number_has_unit_error_and_method_or_a_reason(descriptor, technique):
    found = described(descriptor, acquisition(technique))
    assert found
    for m in found:
        assert m.unit
        assert m.method
        if m.known:
            assert math.isfinite(m.std)
            assert m.std > 0
        else:
            assert m.reason
            assert math.isnan(m.value)
            assert math.isnan(m.std)


@pytest.mark.parametrize(("descriptor", "technique"), CASES, ids=ids)
def test_measurements_carry_names_that_the_descriptor_owns_alone(descriptor, technique):
    names = [m.name for m in described(descriptor, acquisition(technique))]
    assert len(names) == len(set(names))
    for name in names:
        assert descriptor.speaks_of(name)
        assert role_of(name) == descriptor.role
        assert {d.role for d in DESCRIPTORS.values() if d.speaks_of(name)} == {descriptor.role}


@pytest.mark.parametrize(("descriptor", "technique"), CASES, ids=ids)
def test_the_same_acquisition_gives_the_same_numbers(descriptor, technique):
    first, second = (described(descriptor, acquisition(technique)) for _ in range(2))
    assert str(first) == str(second)


@pytest.mark.parametrize(("descriptor", "technique"), CASES, ids=ids)
def test_signals_of_nothing_give_no_number_and_no_error(descriptor, technique):
    ds = acquisition(technique)
    empty = ds.assign({name: 0 * ds[name].astype(float) for name in ds.data_vars if name != "transmission"})
    for name in ds.data_vars:
        empty[name].attrs = ds[name].attrs
    assert all(not m.known and m.reason for m in described(descriptor, empty))


@pytest.mark.parametrize(("descriptor", "technique"), CASES, ids=ids)
def test_signals_of_not_a_number_give_no_number_and_no_error(descriptor, technique):
    ds = acquisition(technique)
    lost = ds.assign({name: np.nan * ds[name].astype(float) for name in ds.data_vars if name != "transmission"})
    for name in ds.data_vars:
        lost[name].attrs = ds[name].attrs
    assert all(not m.known and m.reason for m in described(descriptor, lost))


@pytest.mark.parametrize(("descriptor", "technique"), CASES, ids=ids)
def test_an_acquisition_without_conditions_is_no_error(descriptor, technique):
    ds = acquisition(technique).assign_attrs(conditions={})
    for m in described(descriptor, ds):
        assert m.known or m.reason


@pytest.mark.parametrize(("descriptor", "technique"), [c for c in CASES if c[0].unit == "nm"], ids=ids)
def test_lengths_are_not_stated_of_uncalibrated_images(descriptor, technique):
    ds = acquisition(technique)
    for dim in ("y", "x"):
        ds[dim].attrs["units"] = "pixel"
    assert all(not m.known and "not calibrated" in m.reason for m in descriptor.measure(ds))


@pytest.mark.parametrize(("descriptor", "technique"), CASES, ids=ids)
def test_a_series_is_refused_or_measured_but_never_an_error(descriptor, technique):
    ds = acquisition(technique)
    frame = xr.DataArray([0.0, 1.0], dims="frame", name="frame", attrs={"units": "1"})
    series = xr.concat([ds, ds], dim=frame, data_vars="all")
    for m in descriptor.measure(series.assign_attrs(ds.attrs)):
        assert m.known or m.reason
