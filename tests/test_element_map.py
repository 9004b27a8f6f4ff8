"""Element maps: counts of an element, with the error that counting and background leave."""

import time

import numpy as np
import pytest
import xarray as xr

from correlate.background import power_law
from correlate.element_map import (
    NotMapped,
    element_map,
    line_width_keV,
    mappable,
    registration_image,
)

EDGES = {"C": 284.0, "O": 532.0, "F": 685.0}


def eels(amount, *, level=200.0, seed=0, units="count", low=200.0, high=900.0):
    """Power-law background with K edges; `amount`: element -> (y, x) height of the edge as a share of the background there."""
    loss = np.arange(low, high, 1.0)
    shape = next(iter(amount.values())).shape
    background = level * (loss / 400.0) ** -3.0
    mean = np.broadcast_to(background, (*shape, loss.size)).copy()
    for element, share in amount.items():
        onset = EDGES[element]
        edge = np.where(loss >= onset, level * (onset / 400.0) ** -3.0 * (loss / onset) ** -3.0, 0.0)
        mean += share[..., None] * edge
    counts = np.random.default_rng(seed).poisson(mean)
    return spectra(counts, "energy_loss", loss, "eV", "eels", units), mean


def edx(areas, *, level=0.4, seed=0, high=10.0, elements=None):
    """Straight background with Gaussian lines; `areas`: element -> (keV, (y, x) counts)."""
    energy = np.arange(0.0, high, 0.01)
    shape = next(iter(areas.values()))[1].shape
    mean = np.broadcast_to(level * np.exp(-energy / 4.0), (*shape, energy.size)).copy()
    for at, counts in areas.values():
        sigma = line_width_keV(at) / 2.3548
        mean += counts[..., None] * np.exp(-0.5 * ((energy - at) / sigma) ** 2) * 0.01 / sigma / np.sqrt(2 * np.pi)
    return spectra(np.random.default_rng(seed).poisson(mean), "xray_energy", energy, "keV", "edx", "count", elements)


def spectra(counts, axis, energy, unit, technique, units="count", elements=None):
    y, x = (np.arange(n) * 2.0 for n in counts.shape[:2])
    return xr.Dataset({"counts": (("y", "x", axis), counts.astype(float), {"units": units})},
                      {"y": ("y", y, {"units": "nm"}), "x": ("x", x, {"units": "nm"}), axis: (axis, energy, {"units": unit})},
                      {"technique": technique, "title": "made up", "conditions": {"elements": elements} if elements else {}})


def test_the_background_of_a_single_spectrum_is_unbiased_at_50_counts_in_a_channel():
    energy = np.arange(600.0, 800.0)
    before, after = energy < 675, energy >= 690
    mean = 50.0 * (energy / 637.0) ** -3.0
    counts = np.random.default_rng(1).poisson(np.broadcast_to(mean, (20_000, energy.size)))
    total, std = power_law(counts[:, before], energy[before]).integral(energy[after])
    edge = 0.3 * 50.0 * ((energy[after] / 685.0) ** -3.0).sum()
    bias = (total.mean() - mean[after].sum()) / edge
    error = total.std() / edge / np.sqrt(20_000)
    assert abs(bias) < 0.005 + 2 * error, "half a percent of the net signal, at 50 counts in a channel"
    assert np.std((total - mean[after].sum()) / std) == pytest.approx(1.0, abs=0.05), "and its std is the true scatter"


def test_the_background_costs_less_than_50_ms_for_a_thousand_spectra():
    energy = np.arange(600.0, 675.0)
    counts = np.random.default_rng(1).poisson(50.0, (1000, energy.size))
    power_law(counts, energy)
    start = time.process_time()
    power_law(counts, energy).integral(np.arange(690.0, 790.0))
    assert time.process_time() - start < 0.05


def test_an_eels_map_follows_an_element_through_shot_noise_and_its_error_is_honest():
    ramp = np.broadcast_to(np.linspace(0, 1, 24), (16, 24))
    ds, _ = eels({"O": ramp, "F": 0.5 * ramp[:, ::-1], "C": np.full((16, 24), 0.6)})
    result = element_map(ds, "O")
    loss = ds.energy_loss.values
    window = (loss >= 531) & (loss <= 580)
    truth = ramp * np.where(loss >= 532, 200 * (532 / 400) ** -3.0 * (loss / 532) ** -3.0, 0)[window].sum()
    z = (result.counts.values - truth) / result.counts_std.values
    assert np.corrcoef(result.counts.mean("y"), ramp[0])[0, 1] > 0.99
    assert np.abs(z.mean()) < 5 / np.sqrt(z.size), "no bias"
    assert (np.abs(z) < 2).mean() > 0.92, "two sigma hold nearly all pixels"
    assert result.counts.attrs["ancillary_variables"] == "counts_std"


def test_an_absent_element_maps_to_zero_within_its_error():
    ds, _ = eels({"O": np.full((20, 20), 0.5)})
    result = element_map(ds, "F")
    z = result.counts / result.counts_std
    assert abs(float(z.mean())) < 0.3
    assert float(z.std()) == pytest.approx(1.0, abs=0.15)


def test_the_map_does_not_depend_on_the_order_of_axes():
    ds, _ = eels({"O": np.random.default_rng(2).uniform(0, 1, (6, 9))})
    turned = ds.transpose("energy_loss", "x", "y")
    assert np.allclose(element_map(ds, "O").counts.values, element_map(turned, "O").counts.transpose("y", "x").values)


def test_the_error_of_intensities_that_are_no_counts_comes_from_their_scatter():
    ds, _ = eels({"O": np.full((20, 20), 0.5)})
    scaled = ds.assign(counts=(0.01 * ds.counts).assign_attrs(units="arbitrary"))
    ratio = element_map(scaled, "O").counts_std / (0.01 * element_map(ds, "O").counts_std)
    assert float(ratio.mean()) == pytest.approx(1.0, rel=0.15)


@pytest.mark.parametrize(("element", "why"), [("Na", "outside the measured"), ("Li", "outside the m"), ("Xe", "no edge")])
def test_an_element_that_cannot_be_mapped_says_why(element, why):
    ds, _ = eels({"O": np.full((2, 2), 0.5)})
    with pytest.raises(NotMapped, match=why):
        element_map(ds, element)


def test_potassium_hides_carbon_only_where_potassium_is_expected():
    ds, _ = eels({"C": np.full((2, 2), 0.5)})
    assert mappable(ds)["C"] == ""
    with_potassium = ds.assign_attrs(conditions={"elements": ["C", "K", "O"]})
    assert "K L23 at 294" in mappable(with_potassium)["C"]


def test_an_edx_map_separates_neighbouring_lines_and_its_error_is_honest():
    shape = (20, 24)
    oxygen = np.broadcast_to(np.linspace(0, 60, 24), shape)
    ds = edx({"O": (0.525, oxygen), "F": (0.677, np.full(shape, 30.0)), "C": (0.277, np.full(shape, 20.0))})
    result = element_map(ds, "O")
    wrong, std = result.counts.values - oxygen, result.counts_std.values
    assert abs(wrong.mean()) < 4 * std.mean() / np.sqrt(std.size), "no bias"
    assert (np.abs(wrong) < 2 * std).mean() > 0.9, "two sigma hold nearly all pixels; counts are few, so tails are long"


def test_lithium_has_no_x_ray_map():
    ds = edx({"O": (0.525, np.full((2, 2), 50.0))})
    assert "absorbed" in mappable(ds)["Li"]


def test_iron_hides_fluorine_when_its_k_line_shows():
    shape = (8, 8)
    plain = edx({"F": (0.677, np.full(shape, 30.0))})
    iron = edx({"F": (0.677, np.full(shape, 30.0)), "Fe": (6.404, np.full(shape, 100.0))})
    assert mappable(plain)["F"] == ""
    assert "Fe L" in mappable(iron)["F"]


def test_an_image_for_registration_shows_the_specimen_where_the_sum_would_be_flat():
    loss = np.arange(-20.0, 100.0, 0.5)
    thickness = np.zeros((12, 12))
    thickness[3:9, 3:9] = 0.6
    zero = np.exp(-0.5 * loss**2)
    plasmon = np.exp(-0.5 * ((loss - 20) / 4) ** 2)
    fraction = np.exp(-thickness)[..., None]
    mean = 1e4 * (fraction * zero / zero.sum() + (1 - fraction) * plasmon / plasmon.sum())
    ds = spectra(np.random.default_rng(0).poisson(mean), "energy_loss", loss, "eV", "eels")
    image = registration_image(ds)
    total = ds.counts.sum("energy_loss")
    assert image.dims == ("y", "x")
    assert image.dtype == np.float64
    assert np.corrcoef(image.values.ravel(), thickness.ravel())[0, 1] > 0.99
    assert abs(np.corrcoef(total.values.ravel(), thickness.ravel())[0, 1]) < 0.5
    assert float(image.where(thickness > 0).mean()) == pytest.approx(0.6, abs=0.03), "it is t over lambda"
    assert np.array_equal(image.x.values, ds.x.values)


def test_an_image_for_registration_of_x_ray_spectra_follows_mass_thickness():
    amount = np.random.default_rng(3).uniform(10, 200, (9, 7))
    image = registration_image(edx({"O": (0.525, amount)}))
    assert np.corrcoef(image.values.ravel(), amount.ravel())[0, 1] > 0.95
