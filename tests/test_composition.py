"""Amounts of elements: fractions that counting noise and stated factors cover."""

import math

import numpy as np
import pytest
import xarray as xr

from correlate.background import power_law
from correlate.descriptors import composition, xps_composition
from correlate.descriptors.composition import Amount, fractions, k_cross_section, measure_edx, measure_eels
from correlate.element_map import line_width_keV


def edx(lines, *, seed=0, conditions=None):
    energy = np.arange(0.1, 6.0, 0.01)
    mean = np.full(energy.size, 2.0)
    for at, counts in lines.items():
        sigma = line_width_keV(at) / 2.3548
        mean = mean + counts * np.exp(-0.5 * ((energy - at) / sigma) ** 2) * 0.01 / sigma / math.sqrt(2 * math.pi)
    return spectrum(np.random.default_rng(seed).poisson(mean), "xray_energy", energy, "keV", "edx",
                    {"beam_energy_keV": 300.0} if conditions is None else conditions)


def spectrum(counts, axis, energy, unit, technique, conditions):
    return xr.Dataset({"intensity": ((axis,), counts.astype(float), {"units": "count"})},
                      {axis: (axis, energy, {"units": unit})},
                      {"technique": technique, "title": "made up", "conditions": conditions})


def named(found):
    return {m.name: m for m in found}


def test_fractions_sum_to_one_and_an_error_of_one_moves_all():
    found = fractions({"O": Amount(60.0, 0.0, 0.1), "C": Amount(40.0, 0.0, 0.0)})
    assert sum(v for v, _ in found.values()) == pytest.approx(1.0)
    assert found["O"][1] == pytest.approx(found["C"][1]), "with two elements the errors mirror each other"
    assert found["O"][1] == pytest.approx(0.6 * 0.4 * 0.1)


def test_the_stated_noise_covers_the_scatter_of_edx_amounts():
    values = []
    for seed in range(150):
        amounts, _ = composition.edx_amounts(edx({0.525: 400.0, 0.677: 200.0, 0.277: 300.0}, seed=seed))
        values.append((amounts["O"].value, amounts["O"].noise))
    value, noise = np.array(values).T
    assert np.std(value) == pytest.approx(noise.mean(), rel=0.2)
    assert np.mean(np.abs(value - value.mean()) < 2 * noise) > 0.9


def test_twice_the_dose_leaves_edx_fractions_as_they_are():
    here, there = (named(measure_edx(edx({0.525: n * 5000.0, 0.677: n * 2000.0}))) for n in (1, 4))
    assert there["edx_fraction_O"].value == pytest.approx(here["edx_fraction_O"].value, abs=0.02)


def test_an_element_that_is_not_there_is_said_to_be_not_detected():
    found = named(measure_edx(edx({0.525: 5000.0, 0.677: 2000.0})))
    assert "not detected" in found["edx_fraction_P"].reason
    assert abs(found["edx_fraction_P"].value) < 0.01


@pytest.mark.parametrize(("measure", "ds", "why"), [
    (measure_edx, edx({0.525: 500.0}, conditions={}), "beam_energy_keV not known"),
    (measure_edx, edx({0.525: 5000.0}), "only O stands out"),
    (measure_eels, spectrum(np.ones(500), "energy_loss", np.arange(200.0, 700.0), "eV", "eels", {"beam_energy_keV": 300.0}),
     "collection_mrad not known"),
])
def test_what_is_not_known_gives_no_fraction_and_the_reason(measure, ds, why):
    found = [m for m in measure(ds) if m.name.endswith("_O")]
    assert all(math.isnan(m.value) and why in m.reason for m in found)
    assert found


def test_hydrogenic_cross_sections_have_the_size_and_trend_that_they_should():
    carbon, oxygen = (k_cross_section(z, e, 50.0, 200.0, 10.0) for z, e in ((6, 284.0), (8, 532.0)))
    assert 1e-7 < carbon < 1e-6, "some 1e-21 cm² at carbon K"
    assert 3 < carbon / oxygen < 6
    assert k_cross_section(6, 284.0, 100.0, 200.0, 10.0) > carbon
    assert k_cross_section(6, 284.0, 50.0, 200.0, 20.0) > carbon


def test_eels_fractions_come_back_from_spectra_of_known_composition():
    loss = np.arange(200.0, 800.0, 1.0)
    amount = {"C": (6, 284.0, 1.0), "O": (8, 532.0, 2.0), "F": (9, 685.0, 1.0)}
    mean = 2e4 * (loss / 200.0) ** -3.0
    for number, onset, atoms in amount.values():
        reach = np.arange(1.0, loss[-1] - onset + 1.0)
        total = np.array([k_cross_section(number, onset, width, 300.0, 10.0) for width in reach])
        mean[-reach.size:] += 3e11 * atoms * np.diff(total, prepend=0.0)[:reach.size]
    ds = spectrum(np.random.default_rng(1).poisson(mean), "energy_loss", loss, "eV", "eels",
                  {"beam_energy_keV": 300.0, "collection_mrad": 10.0, "elements": ["C", "O", "F"]})
    found = named(measure_eels(ds))
    for element, expected in (("C", 0.25), ("O", 0.5), ("F", 0.25)):
        m = found[f"eels_fraction_{element}"]
        assert m.value == pytest.approx(expected, abs=2 * m.std)
        assert m.value == pytest.approx(expected, rel=0.25)
    assert power_law(mean[None, :50], loss[:50]).slope[0] == pytest.approx(-3.0, abs=0.02)


def region(name, position, area, *, shift=0.0, background=300.0, seed=0, step=0.1, transmission=1.0, width=14.0):
    energy = np.arange(position - width / 2, position + width / 2, step) + shift
    peak = area * np.exp(-0.5 * ((energy - position - shift) / 0.7) ** 2) / (0.7 * math.sqrt(2 * math.pi))
    tail = 0.05 * np.cumsum(peak) * step
    counts = np.random.default_rng(seed).poisson((background + peak + tail) * transmission)
    return xr.Dataset({"intensity": (("binding_energy",), counts.astype(float), {"units": "count"}),
                       "transmission": (("binding_energy",), np.full(energy.size, transmission), {"units": "1"})},
                      {"binding_energy": ("binding_energy", energy, {"units": "eV"})},
                      {"technique": "xps", "title": name, "conditions": {"photon_energy_eV": 1486.6, "species": name}})


def test_a_shirley_background_lies_under_its_peak_and_meets_both_ends():
    x = np.linspace(-7, 7, 141)
    peak = 1000 * np.exp(-0.5 * (x / 0.8) ** 2)
    step = 100 + 80 * np.cumsum(peak) / peak.sum()
    found = xps_composition.shirley(peak + step)
    assert np.abs(found - step).max() < 3.0
    falling = xps_composition.shirley(np.linspace(200.0, 100.0, 50))
    assert np.allclose(falling, np.linspace(falling[0], falling[-1], 50)), "where the ends cross, a straight line"


def test_charging_does_not_change_an_xps_amount():
    here, there = (xps_composition.amounts(region("O 1s", 532.0, 8000.0, shift=s, width=18.0))[0]["O"] for s in (0.0, 1.6))
    assert there.value == pytest.approx(here.value, rel=0.04)


def test_transmission_of_the_analyser_cancels():
    here, there = (xps_composition.amounts(region("F 1s", 686.0, 20_000.0, transmission=t))[0]["F"] for t in (1.0, 0.4))
    assert there.value == pytest.approx(here.value, rel=0.03)


def test_a_region_gives_an_area_and_a_missing_transmission_widens_its_error():
    ds = region("C 1s", 285.0, 8000.0)
    known, assumed = (xps_composition.measure(d)[0] for d in (ds, ds.drop_vars("transmission")))
    assert known.name == "xps_area_C"
    assert assumed.std > known.std
    assert "no transmission" in assumed.method


def test_an_xps_spectrum_of_nothing_says_so():
    ds = region("C 1s", 285.0, 0.0, background=0.0)
    found = xps_composition.measure(ds)
    assert math.isnan(found[0].value)
    assert found[0].reason


def survey(peaks):
    """Binding energies 0 to 1350 eV on an even background: centre -> counts in the peak."""
    energy = np.arange(0.0, 1350.0, 0.5)
    counts = np.full(energy.size, 500.0)
    for at, area in peaks.items():
        counts = counts + area * np.exp(-0.5 * ((energy - at) / 1.0) ** 2)
    return spectrum(counts, "binding_energy", energy, "eV", "xps", {"photon_energy_eV": 1486.6})


def test_lithium_is_not_claimed_under_the_iron_line_that_covers_it():
    peaks = {285.0: 3000.0, 531.5: 6000.0, 55.5: 900.0}
    clean, iron = (named(xps_composition.measure(survey(peaks | more))) for more in ({}, {710.0: 5000.0}))
    assert clean["xps_fraction_Li"].value > 0.5
    assert math.isnan(iron["xps_fraction_Li"].value)
    assert "covered by Fe 3p" in iron["xps_fraction_Li"].reason
    assert iron["xps_fraction_C"].value + iron["xps_fraction_O"].value == pytest.approx(1.0)


def test_counts_far_below_the_background_are_no_amount():
    ds = edx({0.525: 5000.0, 0.677: 2000.0, 2.05: 60000.0, 2.56: 60000.0})  # lines of no tabulated element beside sulphur
    found = named(measure_edx(ds))
    assert math.isnan(found["edx_fraction_S"].value)
    assert "below the background" in found["edx_fraction_S"].reason
