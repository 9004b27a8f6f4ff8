"""What every registered technique must keep; registering one runs the whole suite on it."""

import json

import numpy as np
import pytest
import xarray as xr

from datasets.acquisition import interpret
from datasets.formats.signal import Axis, Field, Signal
from datasets.technique import Technique
from datasets.techniques import TECHNIQUES
from datasets.terms import CONDITION_MEANING, DIMENSION_UNIT, QUANTITY_UNIT

FAMILIES = {"image", "emspec", "xray", "vib", "ion", "probe", "echem"}
KIND = {"xps": "XPS", "interferogram": "interferogram", "cycling": "cycling", "cv": "voltammetry", "eis": "EIS", "ftir": "FTIR"}
"""What a file would call such a signal, where the example does not say."""

every_technique = pytest.mark.parametrize("technique", TECHNIQUES.values(), ids=TECHNIQUES)
recognisable = pytest.mark.parametrize("technique", [t for n, t in TECHNIQUES.items() if n != "unknown"],
                                       ids=[n for n in TECHNIQUES if n != "unknown"])


def example(technique: Technique) -> xr.Dataset:
    return technique.example(np.random.default_rng(0))


def signal_of(technique: Technique, tmp_path) -> Signal:
    """The example as a file would give it: the same arrays under the file's own words."""
    ds = example(technique)
    dims = ds[technique.quantity].dims
    axes = []
    for dim in dims:
        kept = ds.coords.get("kinetic_energy", ds[dim]) if dim == "binding_energy" else ds[dim]
        name = str(kept.attrs.get("long_name", kept.name)).replace("as measured", "").replace("_", " ").strip()
        axes.append(Axis(name, kept.to_numpy(), str(kept.attrs["units"])))
    fields = {str(n): Field(v.to_numpy(), str(v.attrs["units"])) for n, v in ds.data_vars.items() if v.dims == dims}
    kind = str(ds.attrs.get("kind", KIND.get(technique.name, "")))
    return Signal("example", tuple(axes), fields, tmp_path / "example.dat", kind=kind,
                  conditions=ds.attrs.get("conditions", {}))


@every_technique
def test_a_technique_is_registered_under_its_name_and_can_be_shown_to_a_person(technique):
    assert TECHNIQUES[technique.name] is technique
    assert technique.title
    assert 0 < len(technique.short) <= 8
    assert technique.family in FAMILIES


@every_technique
def test_a_technique_uses_only_words_of_the_vocabulary(technique):
    assert set(technique.dims) <= set(DIMENSION_UNIT)
    assert set(technique.conditions) <= set(CONDITION_MEANING)
    assert {*technique.quantities, *technique.optional} <= set(QUANTITY_UNIT)
    assert all(units for units in technique.quantities.values())


@every_technique
def test_an_example_keeps_the_promise_of_its_technique(technique):
    ds = example(technique)
    assert technique.check(ds) is ds
    assert ds.sizes
    assert all(size > 1 for size in ds.sizes.values())


@every_technique
def test_an_example_is_the_same_for_the_same_seed(technique):
    xr.testing.assert_identical(example(technique), example(technique))


@every_technique
def test_an_example_survives_json_and_disk_with_its_attributes(technique, tmp_path):
    ds = example(technique)
    assert json.loads(json.dumps(ds.attrs)) == ds.attrs
    ds.to_zarr(tmp_path / "example.zarr", consolidated=False, zarr_format=3)
    with xr.open_zarr(tmp_path / "example.zarr", consolidated=False, chunks=None) as back:
        xr.testing.assert_identical(back.load(), ds)


@every_technique
def test_a_broken_promise_is_told_in_full(technique):
    ds = example(technique)
    broken = ds.drop_attrs(deep=False).rename({technique.quantity: "something"})
    broken["something"] = broken["something"].drop_attrs()
    with pytest.raises(ValueError, match="no variable") as told:
        technique.check(broken)
    assert technique.quantity in str(told.value)
    assert "has no units" in str(told.value)


@every_technique
def test_conditions_that_nobody_stated_are_listed_as_missing(technique, tmp_path):
    assert technique.missing_conditions({}) == list(technique.conditions)
    assert technique.missing_conditions(dict.fromkeys(technique.conditions, 1.0)) == []


@recognisable
def test_exactly_one_technique_recognises_a_signal(technique, tmp_path):
    signal = signal_of(technique, tmp_path)
    assert [t.name for t in TECHNIQUES.values() if t.recognises(signal)] == [technique.name]


@recognisable
def test_a_signal_becomes_the_acquisition_it_came_from(technique, tmp_path):
    ds = interpret(signal_of(technique, tmp_path), technique)
    expected = example(technique)
    assert ds[technique.quantity].dims == expected[technique.quantity].dims
    for name in (technique.quantity, *ds[technique.quantity].dims):
        np.testing.assert_allclose(ds[name], expected[name], rtol=1e-12)
        assert ds[name].attrs["units"] == expected[name].attrs["units"]
    assert ds.attrs["incomplete"] == technique.missing_conditions(expected.attrs.get("conditions", {}))


@recognisable
def test_a_technique_declines_what_has_nothing_to_do_with_it(technique, tmp_path):
    stranger = Signal("temperature", (Axis("hour", np.arange(3.0), "hour"),), {"t": Field(np.ones(3), "degC")},
                      tmp_path / "log.dat", kind="weather")
    assert not technique.recognises(stranger)
