"""Spot techniques of the virtual specimen: each forward model obeys the physics it states, and its truth is what it put in."""

from dataclasses import replace

import numpy as np
import pytest

from datasets.phantom import afm, apt, cycling, ftir, impedance, sims, txm, xps
from datasets.phantom.state import Electrolyte, Protocol, hidden_effects, latent_state
from datasets.phantom.streams import stream


@pytest.fixture(scope="module")
def state():
    electrolyte = hidden_effects(Electrolyte("FEC", "Li", "1 M LiPF6 in EC:DEC 1:1 v/v + 10 wt% FEC"), 1)
    return latent_state("A01", electrolyte, Protocol(area_cm2=1.27), 1)


@pytest.fixture(scope="module")
def sodium():
    electrolyte = hidden_effects(Electrolyte("NaFSI", "Na", "1 M NaPF6 in EC:DMC 1:1 v/v"), 1)
    return latent_state("B01", electrolyte, Protocol(area_cm2=1.27), 1)


def half_cycle_charges(run):
    """Charge of each half cycle, from the counter at the last point of each."""
    ends = np.r_[np.flatnonzero(np.diff(run.half_cycle)), run.charge_mAh.size - 1]
    return np.abs(np.diff(np.r_[0.0, run.charge_mAh[ends]]))


def first_run(state, wanted, **settings):
    """The first seed whose nuisance is as wanted: rare events are drawn, not switched."""
    for seed in range(300):
        run = cycling.cycling(state, stream(seed, "run"), **settings)
        if all(run.nuisance[key] == value for key, value in wanted.items()):
            return run
    raise AssertionError(f"no run with {wanted} in 300")


GOOD = {"saves_ends_of_steps": True, "soft_short": False}


@pytest.mark.parametrize("protocol", ["per_cycle", "anode_free"])
def test_charge_stripped_over_charge_plated_gives_each_efficiency_within_the_counter_error(state, protocol):
    run = first_run(state, GOOD, protocol=protocol)
    charges = half_cycle_charges(run)
    measured = charges[1::2] / charges[::2]
    truth = np.array(run.truth["ce_per_cycle"])
    current = state.protocol.current_density * state.protocol.area_cm2
    # an offset adds to one direction and subtracts from the other
    limit = 2 * cycling.OFFSET_OF_RANGE * run.current_range_mA / current
    assert measured.size == truth.size
    assert np.all(np.abs(measured - truth) <= 1.01 * limit)
    assert np.any(np.abs(measured - truth) > 1e-7)


def test_a_reservoir_protocol_gives_the_mean_efficiency_by_adams_formula(state):
    run = first_run(state, GOOD, protocol="reservoir", cycles=11)
    charges = half_cycle_charges(run)
    reservoir, n = charges[0], 10
    cycled = charges[2]
    left = charges[-1]
    measured = (n * cycled + left) / (n * cycled + reservoir)
    current = state.protocol.current_density * state.protocol.area_cm2
    assert measured == pytest.approx(run.truth["ce_mean"], abs=2 * cycling.OFFSET_OF_RANGE * run.current_range_mA / current)
    assert min(run.truth["ce_per_cycle"]) < measured < max(run.truth["ce_per_cycle"])


def test_true_efficiencies_scatter_about_those_of_the_state(state):
    run = cycling.cycling(state, stream(1, "run"))
    loss = np.log10((1 - np.array(run.truth["ce_per_cycle"])) / (1 - np.array(state.ce_per_cycle)))
    assert abs(loss.mean()) < 4 * cycling.CE_SCATTER / np.sqrt(loss.size)
    assert 0.5 * cycling.CE_SCATTER < loss.std() < 1.6 * cycling.CE_SCATTER


def test_a_file_without_the_ends_of_steps_misses_at_most_one_interval_of_charge(state):
    run = first_run(state, {"saves_ends_of_steps": False, "soft_short": False})
    charges = half_cycle_charges(run)
    current = state.protocol.current_density * state.protocol.area_cm2
    plated = np.array(run.truth["plated_mAh"])
    assert np.all(np.abs(charges[::2] - plated) < 1.01 * current * cycling.COARSE_S / 3600 + 1e-3 * plated)
    assert np.abs(charges[::2] - plated).max() > 0.5 * current * cycling.COARSE_S / 3600


def test_a_soft_short_shows_as_stripping_more_than_was_plated_and_is_named_in_the_truth(state):
    run = first_run(state, {"soft_short": True, "saves_ends_of_steps": True})
    charges = half_cycle_charges(run)
    apparent = charges[1::2] / charges[::2]
    excess = apparent - np.array(run.truth["ce_per_cycle"])
    assert set(np.flatnonzero(excess > 0.005)) == set(run.truth["shorted_cycles"])


def test_plating_is_below_zero_volts_and_stripping_above_on_copper(state):
    run = first_run(state, GOOD)
    settled = run.potential_V[(run.current_mA < 0)]
    assert np.median(settled) < 0
    assert np.median(run.potential_V[run.current_mA > 0]) > 0
    assert run.potential_V.max() == pytest.approx(cycling.CUT_OFF_V, abs=0.02)
    assert np.all(np.diff(run.time_s) > 0)


def test_an_anode_free_cell_loses_capacity_by_its_efficiency(state):
    run = first_run(state, GOOD, protocol="anode_free")
    discharged = half_cycle_charges(run)[1::2]
    # C_n / C_1 is the product of the efficiencies in between
    assert discharged[9] / discharged[0] == pytest.approx(np.prod(run.truth["ce_per_cycle"][1:10]), abs=2e-2)
    assert run.plating_electrode == "positive"


def test_more_cycles_than_the_state_knows_are_refused(state):
    with pytest.raises(ValueError, match="cycles wanted"):
        cycling.cycling(state, stream(1, "run"), cycles=99)


def test_the_high_frequency_limit_of_the_impedance_is_the_electrolyte_and_the_low_one_the_sum(state):
    circuit = replace(impedance.circuit_of(state, stream(1, "eis")), inductance=0.0, warburg=0.0)
    high, low = circuit.impedance(np.array([1e13, 1e-9]))
    assert high.real == pytest.approx(circuit.r_s, rel=1e-3)
    assert low.real == pytest.approx(circuit.r_s + circuit.r_sei + circuit.r_ct + circuit.r_contact, rel=1e-3)
    assert abs(low.imag) < 1e-3 * low.real


def test_an_arc_peaks_where_resistance_times_capacitance_says(state):
    circuit = replace(impedance.circuit_of(state, stream(1, "eis")), inductance=0.0, warburg=0.0, r_ct=1e-9)
    frequency = np.logspace(0, 8, 4001)
    peak = frequency[np.argmax(-circuit.impedance(frequency).imag)]
    assert peak == pytest.approx(1 / (2 * np.pi * circuit.time_constants_s[0]), rel=0.01)


def test_a_thicker_sei_resists_more_and_stores_less(state):
    thin, thick = (impedance.circuit_of(replace(state, thickness_nm=nm), stream(1, "eis")) for nm in (10.0, 40.0))
    assert thick.r_sei == pytest.approx(4 * thin.r_sei)
    assert thick.time_constants_s[0] == pytest.approx(thin.time_constants_s[0], rel=1e-6)


def test_merged_arcs_have_one_time_constant_and_say_so(state):
    runs = [impedance.impedance(state, stream(seed, "eis")) for seed in range(40)]
    merged = [run for run in runs if not run.truth["identifiable"]]
    assert 4 <= len(merged) <= 22
    for run in merged:
        circuit = impedance.Circuit(**{k: run.truth[k] for k in impedance.Circuit.__dataclass_fields__})
        first, second = circuit.time_constants_s
        assert abs(np.log(second / first)) < 1.2 * np.log(1.5) / 0.75


def test_measured_impedance_scatters_about_the_circuit_by_its_noise(state):
    run = impedance.impedance(state, stream(1, "eis"))
    circuit = impedance.Circuit(**{k: run.truth[k] for k in impedance.Circuit.__dataclass_fields__})
    exact = circuit.impedance(run.frequency_Hz)
    pull = np.abs(run.impedance_ohm - exact) / (run.nuisance["relative_noise"] * np.abs(exact) + 2e-3)
    assert np.sqrt(np.mean(pull ** 2)) == pytest.approx(np.sqrt(2), rel=0.2)


def test_xps_of_an_infinitely_thick_layer_gives_its_bulk_ratio(state):
    table = xps.lines(state.seed)
    thick = replace(state, thickness_nm=1e5, thickness_cv=0.05)
    areas = xps.emitted(xps.sei_stack(thick, adventitious_nm=0.0), table)
    seen = xps.atomic_fractions(areas, table)
    for element, fraction in state.outer_atomic_fractions.items():
        assert seen[element] == pytest.approx(fraction, rel=1e-6)


def test_xps_of_a_bare_metal_sees_only_metal(state):
    table = xps.lines(state.seed)
    bare = replace(state, thickness_nm=1e-9)
    assert xps.atomic_fractions(xps.emitted(xps.sei_stack(bare, adventitious_nm=0.0), table), table)["Li"] > 0.999


def test_metal_under_the_sei_fades_exponentially_and_faster_at_grazing_emission(state):
    table = xps.lines(state.seed)

    def metal(nm, angle):
        flat = replace(state, thickness_nm=nm, thickness_cv=1e-6)
        return xps.emitted(xps.sei_stack(flat, adventitious_nm=0.0), table, emission_deg=angle)["Li", "Li 1s"]

    li = next(line for line in table if line.name == "Li 1s")
    depth = float(xps.attenuation_nm(xps.SOURCE_EV - (li.low_eV + li.high_eV) / 2))
    assert metal(6.0, 0) / metal(3.0, 0) == pytest.approx(np.exp(-3 / depth), rel=1e-6)
    assert metal(6.0, 60) / metal(3.0, 60) == pytest.approx(np.exp(-6 / depth), rel=1e-6)


def test_an_uneven_sei_lets_more_metal_through_than_an_even_one_of_the_same_mean(state):
    table = xps.lines(state.seed)
    even, uneven = (xps.emitted(xps.sei_stack(replace(state, thickness_cv=cv)), table)["Li", "Li 1s"] for cv in (0.05, 0.5))
    assert uneven > even


def test_xps_counts_are_poisson_about_a_spectrum_whose_background_rises_behind_each_peak(state):
    run = xps.xps(state, stream(1, "xps"))
    names = {region.name for region in run.regions}
    assert {"survey", "Li 1s", "C 1s", "O 1s", "F 1s"} <= names
    oxygen = next(region for region in run.regions if region.name == "O 1s")
    counts = oxygen.counts
    # rising kinetic energy: the far side in binding energy comes first, and holds the electrons that lost energy
    assert counts[:10].mean() > counts[-10:].mean() + 3 * np.sqrt(counts[:10].mean() / 10)
    smooth = np.convolve(counts, np.ones(3) / 3, "valid")
    assert np.var(counts[1:-1] - smooth) == pytest.approx(2 / 3 * counts.mean(), rel=0.5)
    assert np.all(np.diff(oxygen.kinetic_energy_eV) > 0)


def test_noise_free_peak_areas_give_the_stated_fractions_and_fractions_sum_to_one(state, sodium):
    for sample in (state, sodium):
        run = xps.xps(sample, stream(1, "xps"))
        assert sum(run.truth["atomic_fractions"].values()) == pytest.approx(1)
        assert {sample.metal, "C", "O", "F"} <= set(run.truth["atomic_fractions"])


def test_sensitivity_factors_differ_between_studies_by_a_tenth_and_carbon_stays_one():
    table = {line.name: line.sensitivity for line in xps.lines()}
    drawn = [line for seed in range(60) for line in xps.lines(seed) if line.name != "C 1s"]
    spread = [np.log(line.sensitivity / table[line.name]) for line in drawn]
    assert np.std(spread) == pytest.approx(xps.SENSITIVITY_SD, rel=0.15)
    assert table["C 1s"] == 1 == next(line.sensitivity for line in xps.lines(5) if line.name == "C 1s")


def test_atr_probes_deeper_at_lower_wavenumber():
    deep, shallow = ftir.penetration_nm(np.array([800.0, 3200.0]))
    assert deep == pytest.approx(4 * shallow)
    assert 200 < shallow < deep < 3000


def test_infrared_bands_grow_with_the_film_and_fluoride_stays_invisible(state):
    thin, thick = (ftir.ftir(replace(state, thickness_nm=nm), stream(1, "ftir")) for nm in (10.0, 20.0))
    for name, height in thin.truth["band_absorbance"].items():
        assert thick.truth["band_absorbance"][name] == pytest.approx(2 * height, rel=0.05)
    assert "LiF" in thin.truth["invisible"]
    carbonate = (thick.wavenumber_per_cm > 1380) & (thick.wavenumber_per_cm < 1500)
    empty = (thick.wavenumber_per_cm > 2000) & (thick.wavenumber_per_cm < 2200)
    assert thick.absorbance[carbonate].max() > thick.absorbance[empty].max()


def test_a_tip_never_feels_a_surface_below_where_it_is_and_widens_bumps():
    surface = np.zeros((41, 41))
    surface[20, 20] = 10.0
    felt = afm.dilated(surface, 2.0, 20.0)
    assert np.all(felt >= surface)
    assert felt.max() == 10.0
    # a paraboloid of radius R is 10 nm wider by sqrt(2 R h) where it is h below the top
    assert felt[20, 24] == pytest.approx(10 - 8 ** 2 / 40)
    assert felt[24, 20] == felt[20, 24]


def test_a_sharp_tip_on_a_smooth_surface_changes_nothing():
    y, x = np.mgrid[:64, :64] * 8.0
    surface = 0.5 * np.sin(2 * np.pi * x / 256) * np.sin(2 * np.pi * y / 256)
    np.testing.assert_allclose(afm.dilated(surface, 8.0, 1.0), surface, atol=1e-12)


def test_afm_states_the_roughness_of_the_surface_and_of_what_the_tip_feels(state):
    surface = afm.surface(state, stream(1, "surface"))
    run = afm.scan(surface, 8.0, stream(1, "afm"), clean=True)
    assert afm.rms(run.height_nm) == pytest.approx(run.truth["rms_roughness_through_tip_nm"])
    noisy = afm.scan(surface, 8.0, stream(1, "afm"))
    assert noisy.height_nm.shape == noisy.backward_nm.shape == surface.shape
    assert np.std(noisy.height_nm - noisy.backward_nm) > 0.1


def test_x_rays_are_absorbed_exponentially_and_more_above_the_edge():
    film = {"Li2O": np.full((4, 4), 100.0), "Li": np.full((4, 4), 1000.0)}
    energy = np.array([500.0, 600.0])
    once, twice = (txm.transmitted({k: f * v for k, v in film.items()}, energy)[:, 0, 0] for f in (1, 2))
    np.testing.assert_allclose(twice, once ** 2)
    assert once[1] < once[0]
    assert np.all(txm.transmitted({"Li": film["Li"]}, energy) == 1)


def test_a_txm_stack_divided_by_its_flat_field_shows_the_edge(state):
    film = {"Li2O": np.full((64, 64), 100.0, np.float32), "Li": np.full((64, 64), 200.0, np.float32)}
    run = txm.txm(film, 40.0, "O", stream(1, "txm"))
    dark = run.dark.mean(axis=0)
    measured = ((run.counts - dark) / (run.white.mean(axis=0) - dark)).mean(axis=(1, 2))
    clear = txm.transmitted(film, run.energy_eV)[:, 0, 0]
    beam = np.linspace(1, 1, run.energy_eV.size) * measured / clear
    # what is left is the beam's decay: smooth, though the edge is crossed
    assert np.abs(np.diff(beam)).max() < 0.02
    assert run.truth["column_atoms_per_nm2"]["O"] == pytest.approx(100 * 40.8, rel=0.02)


def test_a_depth_profile_reaches_metal_when_half_of_the_crater_has(state):
    run = sims.sims(replace(state, thickness_cv=0.05), stream(1, "sims"))
    metal = run.counts["Li-"] / run.counts["Li-"].max()
    half = run.sputter_time_s[np.argmax(metal > 0.5)]
    # mixing drags the film along by its 2 to 3 nm
    delay = 3.0 / run.nuisance["salt_rate_nm_per_s"] + 2 * run.sputter_time_s[1]
    assert run.truth["interface_time_s"] <= half <= run.truth["interface_time_s"] + delay
    assert all(np.issubdtype(v.dtype, np.integer) for v in run.counts.values())


def test_organic_matter_sputters_faster_than_salt(state):
    salty = replace(state, inner={"LiF": 1.0}, outer={"LiF": 1.0})
    soft = replace(state, inner={"organic:Li": 1.0}, outer={"organic:Li": 1.0})
    times = [sims.sims(sample, stream(1, "sims")).truth["interface_time_s"] for sample in (salty, soft)]
    assert times[0] == pytest.approx(sims.ORGANIC_RATE * times[1])


def test_ranged_ions_give_back_the_composition_of_a_needle_within_the_losses_of_its_peaks(state):
    run = apt.apt(state, stream(1, "apt"), ions=100_000, into_metal_nm=0.0)
    counted = {}
    for window in run.ranges:
        inside = (run.mass_to_charge_Da >= window.low_Da) & (run.mass_to_charge_Da < window.high_Da)
        for element in window.atoms:
            counted[element] = counted.get(element, 0) + int(inside.sum())
    counted.pop("H", None)
    total = sum(counted.values())
    # molecules bring a neighbour that is counted twice: lithium and carbon gain, by less than the molecular share
    for element, fraction in run.truth["sei_atomic_fractions"].items():
        assert counted[element] / total == pytest.approx(fraction, abs=0.1)
    assert run.position_nm.shape == (run.mass_to_charge_Da.size, 3)
    assert run.mass_to_charge_Da.size == pytest.approx(100_000, rel=0.01)


def test_a_needle_holds_metal_below_its_interface_and_is_distorted_by_wrong_parameters(state):
    run = apt.apt(replace(state, thickness_nm=10.0), stream(1, "apt"))
    light = np.abs(run.mass_to_charge_Da - apt.MASS_DA["Li"]) < 0.1
    depth = run.position_nm[:, 2] / run.nuisance["depth_scale"]
    assert light[depth > run.truth["interface_depth_nm"] + 5].mean() > 0.9
    assert light[depth < 0.5 * run.truth["interface_depth_nm"]].mean() < 0.8


def test_the_same_stream_gives_the_same_run_and_another_name_another(state):
    first, again, other = (apt.apt(state, stream(1, name), ions=2000) for name in ("a", "a", "b"))
    np.testing.assert_array_equal(first.position_nm, again.position_nm)
    assert not np.array_equal(first.position_nm, other.position_nm)
