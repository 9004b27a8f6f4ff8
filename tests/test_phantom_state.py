"""The laws of the virtual specimen: what they were calibrated to, and what must hold whatever was drawn."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from datasets.errors import DatasetError
from datasets.phantom.electrolytes import ANCHORS, electrolyte_of
from datasets.phantom.formulation import formulation
from datasets.phantom.materials import lattice, material, phases
from datasets.phantom.state import METALS, Electrolyte, Protocol, anchored, arrhenius, decoys, grown_nm, latent_state
from datasets.phantom.streams import stream
from datasets.phantom.study import state_of

ETHER = next(entry for entry in ANCHORS if entry[0].name == "ether")


def calibrated(name: str) -> Electrolyte:
    electrolyte, thickness, protocol = next(entry for entry in ANCHORS if entry[0].name == name)
    return anchored(electrolyte, thickness, protocol)


@pytest.mark.parametrize("entry", ANCHORS, ids=lambda entry: entry[0].name)
def test_an_anchor_system_has_the_thickness_it_was_calibrated_to(entry):
    electrolyte, thickness, protocol = entry
    state = latent_state("anchor", anchored(electrolyte, thickness, protocol), protocol, 1, noise=0)
    assert state.thickness_nm == pytest.approx(thickness, rel=1e-9)


def test_an_ether_film_of_20_nm_at_20_C_is_35_nm_at_60_C():
    warm = latent_state("x", calibrated("ether"), Protocol(temperature_K=333.15), 1, noise=0)
    assert warm.thickness_nm == pytest.approx(35.0, rel=0.03)       # reported to the nanometre


def test_sodium_crystallites_have_the_reported_areas():
    area = [np.pi / 4 * latent_state("x", calibrated("NaEC"), Protocol(temperature_K=t), 1, noise=0).crystallite_nm ** 2
            for t in (233.15, 293.15)]
    assert area == pytest.approx([191, 306], rel=0.01)


def test_warming_makes_a_film_layered_and_a_deposit_coarser():
    cold, warm = (latent_state("x", calibrated("ether"), Protocol(temperature_K=t), 1, noise=0) for t in (293.15, 333.15))
    assert cold.layered < 0.5 < warm.layered
    assert warm.deposit_diameter_nm > 1.5 * cold.deposit_diameter_nm


def test_growth_is_linear_in_time_at_first_and_goes_as_its_root_at_last():
    k, limit = 5e-3, 8.0
    assert grown_nm(k, limit, 10.0) == pytest.approx(k * 10.0, rel=0.01)
    assert grown_nm(k, limit, 4e8) / grown_nm(k, limit, 1e8) == pytest.approx(2.0, rel=0.01)


def test_the_losses_of_charge_add_up_to_what_the_efficiency_lacks():
    for seed in range(1, 4):
        for number in range(24):
            state = state_of(number, 24, seed)
            assert abs(1 - state.ce - sum(state.losses.values())) < 1e-12
            assert all(loss >= 0 for loss in state.losses.values())
            assert min(state.ce_per_cycle) > 0.3
            assert max(state.ce_per_cycle) < 1


def test_the_first_cycle_loses_most_because_it_builds_the_film():
    state = state_of(0, 24, 1)
    assert state.ce_per_cycle[0] == min(state.ce_per_cycle)


def test_the_charge_in_the_film_is_area_times_thickness_times_density():
    # everything renewed and no direct effect: the film's loss is what its own volume binds
    state = latent_state("x", calibrated("LP40"), Protocol(cycles=1), 1, noise=0, cycles=1)
    fresh = grown_nm(state.growth_nm_per_s, state.limit_nm, state.contact_s)
    bound = state.real_area * state.sei_charge_kC_per_cm3 * 1e3 * fresh * 1e-7 / state.plated_C_per_cm2
    first_cycle = 1 - state.ce_per_cycle[0] - sum(v for name, v in state.losses.items() if name != "sei")
    assert first_cycle == pytest.approx(bound, rel=1e-9)


def test_isolated_metal_has_the_volume_that_its_charge_plated():
    state = state_of(3, 24, 1)
    metal = METALS[state.metal]
    plated_nm = state.plated_C_per_cm2 * metal.molar_volume / (metal.valence * 96485.33) * 1e7
    assert state.isolated_metal_nm3_per_nm2 == pytest.approx(state.losses["isolated"] * plated_nm)


def test_the_layers_hold_the_inorganic_matter_together_and_their_atoms_sum_to_one():
    for number in range(24):
        state = state_of(number, 24, 2)
        inorganic = sum(share * sum(v for k, v in layer.items() if not k.startswith("organic"))
                        for share, layer in ((state.inner_share, state.inner), (1 - state.inner_share, state.outer)))
        assert inorganic == pytest.approx(state.inorganic_fraction, abs=1e-9)
        for fractions in (state.atomic_fractions, state.inner_atomic_fractions, state.outer_atomic_fractions):
            assert sum(fractions.values()) == pytest.approx(1)
        assert min(*state.inner.values(), *state.outer.values()) >= -1e-12


def test_the_hidden_effect_on_efficiency_leaves_no_trace_in_the_structure():
    electrolyte = replace(calibrated("LP40"), log_ce=0.0)
    plain = latent_state("S01", electrolyte, Protocol(), 1)
    shifted = latent_state("S01", replace(electrolyte, log_ce=-0.1), Protocol(), 1)
    assert shifted.log_ce == pytest.approx(plain.log_ce - 0.1, abs=1e-9)
    structure = ("thickness_nm", "thickness_cv", "porosity", "aspect", "inner", "outer", "crystallite_nm")
    assert all(getattr(plain, name) == getattr(shifted, name) for name in structure)


def test_a_state_depends_on_seed_and_sample_only():
    assert state_of(5, 24, 1) == state_of(5, 24, 1)
    assert state_of(5, 24, 1).thickness_nm != state_of(5, 24, 2).thickness_nm
    assert state_of(5, 24, 1).thickness_nm != state_of(13, 24, 1).thickness_nm     # same electrolyte, another cell


def test_random_streams_are_independent_of_what_was_drawn_before():
    first = stream(1, "S01", "haadf", "counts").normal(size=4)
    stream(1, "S01", "edx", "counts").normal(size=1000)
    assert np.array_equal(first, stream(1, "S01", "haadf", "counts").normal(size=4))
    assert not np.array_equal(first, stream(1, "S01", "haadf", "geometry").normal(size=4))
    assert not np.array_equal(stream(1, "a", "bc").normal(size=4), stream(1, "ab", "c").normal(size=4))


def test_structure_predicts_the_efficiency_of_electrolytes_never_seen():
    gain = []
    for seed in range(1, 7):
        states = [state_of(number, 24, seed) for number in range(24)]
        log_ce = -np.log10(1 - np.array([np.mean(s.ce_per_cycle) for s in states]))
        groups = np.array([s.electrolyte.name for s in states])
        structure = [[np.log(s.thickness_nm), s.inorganic_fraction, s.porosity, s.thickness_cv, np.log(s.deposit_diameter_nm),
                      np.log(s.aspect)] for s in states]
        model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 3, 12)))
        predicted = cross_val_predict(model, np.array(structure), log_ce, groups=groups, cv=LeaveOneGroupOut())
        mean = np.array([log_ce[groups != group].mean() for group in groups])
        gain.append(1 - np.sum((log_ce - predicted) ** 2) / np.sum((log_ce - mean) ** 2))
    assert min(gain) > 0
    assert np.median(gain) > 0.5     # the specification asks for about 0.7 with all descriptors free of error


def test_a_study_has_several_electrolytes_of_two_metals_with_replicates():
    electrolytes = [electrolyte_of(number, 24, 1) for number in range(24)]
    assert len({e.name for e in electrolytes}) == 8
    assert {e.metal for e in electrolytes} == {"Li", "Na"}
    assert electrolytes[0] == electrolytes[8]


def test_a_formulation_is_read_as_a_person_writes_it():
    mix = formulation("1 M LiPF6 in EC:DEC 1:1 v/v + 10 wt% FEC")
    assert mix.film_former == pytest.approx(0.6)
    assert mix.carbonate
    assert mix.fluorine_source > formulation("1 M LiPF6 in EC:DEC 1:1 v/v").fluorine_source
    assert formulation("4 M LiFSI in DME").concentration > 0.8


@pytest.mark.parametrize("text", ["LiPF6", "1 M LiPF6 in EC:XYZ 1:1 v/v", "1 M LiPF6 in EC + much FEC"])
def test_a_formulation_that_cannot_be_read_is_refused(text):
    with pytest.raises(DatasetError):
        formulation(text)


def test_crystals_have_the_density_of_their_cell():
    assert material("Li").atoms_per_nm3["Li"] == pytest.approx(46.3, rel=0.01)      # 0.534 g/cm3, 6.94 g/mol
    assert material("LiF").atoms_per_nm3["F"] == pytest.approx(61.3, rel=0.01)      # 2.64 g/cm3, 25.94 g/mol


def test_reflections_lie_at_the_spacings_of_the_table():
    found = 1 / np.linalg.norm(lattice("Li2O").reflections, axis=1)
    expected = {row[0] / 10 for row in phases()["Li2O"]["lines"] if row[0] / 10 > 0.115}
    assert all(np.min(np.abs(found - d)) < 1e-3 * d for d in expected)
    assert len(found) == sum(row[3] for row in phases()["Li2O"]["lines"] if row[0] / 10 > 0.115)


def test_cold_slows_growth():
    assert arrhenius("growth", 273.15) < 1 < arrhenius("growth", 333.15)


def test_decoys_cause_nothing_though_two_of_them_go_with_a_cause():
    states = [state_of(number, 400, 1) for number in range(400)]
    table = {name: np.array([decoys(s)[name] for s in states]) for name in decoys(states[0])}
    assert np.corrcoef(table["colour_index"], np.log([s.thickness_nm for s in states]))[0, 1] > 0.6
    assert np.corrcoef(table["permittivity_label"], [s.formulation.solvating for s in states])[0, 1] > 0.5
    assert abs(np.corrcoef(table["batch_day"], [s.log_ce for s in states])[0, 1]) < 0.15
