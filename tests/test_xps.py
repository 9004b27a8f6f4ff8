"""What the technique XPS adds to a signal, and what it leaves alone."""

from pathlib import Path

import numpy as np
import pytest

from datasets.acquisition import interpret, technique_of
from datasets.errors import DatasetError
from datasets.formats.signal import Axis, Field, Signal
from datasets.techniques.xps import XPS


def spectrum(axis="kinetic energy", kind="XPS", **conditions):
    energies = np.linspace(790.0, 810.0, 41)
    return Signal("F 1s", (Axis(axis, energies, "eV"),), {"intensity": Field(np.arange(41.0), "count")}, Path("a.vms"),
                  conditions=conditions, kind=kind)


def test_binding_and_kinetic_energy_add_up_to_the_energy_of_the_photon():
    ds = interpret(spectrum(photon_energy_eV=1486.6), XPS)
    np.testing.assert_allclose(ds["binding_energy"] + ds["kinetic_energy"], 1486.6)
    assert ds["kinetic_energy"].values.tolist() == np.linspace(790.0, 810.0, 41).tolist()


@pytest.mark.parametrize("work_function", [4.5, -4.5, 0.0])
def test_the_work_function_moves_nothing(work_function):
    plain = interpret(spectrum(photon_energy_eV=1486.6), XPS)
    ds = interpret(spectrum(photon_energy_eV=1486.6, work_function_eV=work_function), XPS)
    np.testing.assert_array_equal(ds["binding_energy"], plain["binding_energy"])
    assert f"{work_function:g} eV is not added" in ds["binding_energy"].attrs["work_function"]


def test_the_sheet_can_correct_the_photon_energy_and_the_contradiction_is_said():
    ds = interpret(spectrum(photon_energy_eV=1486.6), XPS, conditions={"photon_energy_eV": 1253.6})
    assert float(ds["binding_energy"][0]) == pytest.approx(1253.6 - 790)
    assert any("photon_energy_eV" in warning for warning in ds.attrs["warnings"])


def test_a_kinetic_axis_without_the_photon_energy_is_refused_not_guessed():
    with pytest.raises(DatasetError, match="photon energy"):
        interpret(spectrum(), XPS)


@pytest.mark.parametrize(("signal", "name"), [
    (spectrum(photon_energy_eV=1486.6), "xps"), (spectrum("binding energy"), "xps"), (spectrum(), "unknown"),
    (spectrum("energy", photon_energy_eV=1486.6), "unknown"), (spectrum(kind="UPS", photon_energy_eV=21.2), "unknown")])
def test_only_spectra_whose_binding_energies_are_known_are_xps(signal, name):
    assert technique_of(signal).name == name


def test_the_example_has_lithium_fluoride_where_nist_has_it():
    """The two lines overlap by little, so the maximum is LiF's to within a channel and the slope of its neighbour."""
    ds = XPS.example(np.random.default_rng(0))
    peak = float(ds["binding_energy"][int(np.argmax(ds["intensity"].data))])
    assert peak == pytest.approx(685.05, abs=0.3)
    np.testing.assert_allclose(ds["count_rate"] * ds.attrs["conditions"]["dwell_time_s"], ds["intensity"])
