"""Structure to coulombic efficiency: found where there is a law, not found where there is none, refused where it would lie."""

import json

import numpy as np
import pandas as pd
import pytest

from correlate.models import ModelRefused, validate
from correlate.models.pipeline import model_features, structure_columns


def study(*, groups=8, cells=4, law=1.0, group_effect=0.05, seed=0, missing=0.2):
    """Log CE falls with the logarithm of thickness and with the share of carbon; electrolytes differ, cells a little."""
    rng = np.random.default_rng(seed)
    found = []
    for g in range(groups):
        centre, carbon, effect = rng.normal(3.0, 0.5), rng.uniform(0.2, 0.6), rng.normal(0, group_effect)
        for c in range(cells):
            log_thickness = centre + rng.normal(0, 0.2)
            log_ce = 1.7 - law * (0.5 * (log_thickness - 3.0) + 1.5 * (carbon - 0.4)) + effect + rng.normal(0, 0.05)
            log_ce = log_ce if law else 1.7 + rng.normal(0, 0.3)
            loss = 10.0**-log_ce
            row = {"sample": f"g{g}c{c}", "metal": "Li", "electrolyte": f"E{g}", "group": f"E{g}",
                   "sei_thickness": np.exp(log_thickness), "sei_thickness_std": 2.0,
                   "xps_fraction_C": carbon + rng.normal(0, 0.02), "xps_fraction_C_std": 0.02,
                   "xps_fraction_O": 0.9 - carbon + rng.normal(0, 0.02), "xps_fraction_O_std": 0.02,
                   "xps_fraction_F": 0.1 + rng.normal(0, 0.02), "xps_fraction_F_std": 0.02,
                   "ce_mean": 1 - loss, "ce_mean_std": 5e-4, "ce_first": 1 - 1.5 * loss, "ce_first_std": 5e-4}
            if rng.random() < missing:
                row.update({k: np.nan for k in row if k.startswith("xps")})
            found.append(row)
    return pd.DataFrame(found)


@pytest.fixture(scope="module")
def planted():
    return validate(study(groups=10, cells=3), scrambles=12)


def test_a_planted_law_is_found_on_electrolytes_never_seen(planted):
    assert planted.skill["value"] > 0.4
    assert planted.scores["rmse"] < planted.baseline["rmse"]
    assert {"log sei_thickness", "xps_fraction_C", "xps_fraction_O"} & {f["name"] for f in planted.importances[:2]}


def test_a_shuffled_outcome_cannot_be_predicted(planted):
    assert planted.scrambled["mean"] < 0.1
    assert planted.scrambled["p_value"] < 0.1


def test_intervals_hold_on_unseen_electrolytes_about_as_often_as_they_say():
    inside = [p["inside"] for seed in range(4) for p in validate(study(groups=8, cells=3, seed=seed), scrambles=0).predictions]
    assert 0.8 <= np.mean(inside) <= 1.0


def test_without_signal_there_is_no_skill():
    skills = [validate(study(law=0.0, seed=seed, groups=8, cells=3), scrambles=0).skill["value"] for seed in range(4)]
    assert np.mean(skills) < 0.1
    assert max(skills) < 0.35


def test_many_samples_without_signal_give_no_skill_either():
    result = validate(study(law=0.0, groups=6, cells=8, seed=3), scrambles=0)
    assert result.skill["value"] < 0.1


def test_random_folds_are_refused_with_the_reason():
    with pytest.raises(ModelRefused, match="leakage"):
        validate(study(), folds="random")


@pytest.mark.parametrize("name", ["ce_first", "ce_mean", "no_such_column"])
def test_what_comes_from_the_same_cycling_is_refused_as_a_feature(name):
    with pytest.raises(ModelRefused):
        validate(study(), features=["sei_thickness", name])


def test_performance_never_enters_by_itself(planted):
    kept, left_out = structure_columns(study())
    assert not [name for name in kept if name.startswith(("ce_", "log_ce"))]
    assert "performance" in left_out["ce_first"]
    assert not [name for name in planted.features if "ce_" in name]


def test_the_prediction_of_an_electrolyte_does_not_depend_on_its_own_outcome():
    table = study(groups=6, cells=3)
    changed = table.copy()
    changed.loc[changed.group == "E0", "ce_mean"] = 0.5
    here, there = (validate(t, scrambles=0).predictions for t in (table, changed))
    for a, b in zip(here, there, strict=True):
        if a["group"] == "E0":
            assert b["predicted"] == pytest.approx(a["predicted"], abs=1e-12)
            assert b["low"] == pytest.approx(a["low"], abs=1e-12)


@pytest.mark.parametrize(("table", "why"), [
    (study(groups=2, cells=6), "electrolyte"),
    (study(groups=3, cells=2), "samples"),
    (study().drop(columns="ce_mean"), "nothing to predict"),
    (study().assign(ce_mean=np.nan), "samples"),
    (study().drop(columns=[c for c in study() if c.startswith(("sei", "xps"))]), "no structure descriptor"),
])
def test_too_little_to_learn_from_is_refused_with_the_reason(table, why):
    with pytest.raises(ModelRefused, match=why):
        validate(table)


def test_efficiencies_of_100_percent_are_left_out_and_said():
    table = study()
    table.loc[0, "ce_mean"] = 1.01
    result = validate(table, scrambles=0)
    assert result.samples == len(table) - 1
    assert "100 %" in result.warnings[0]


def test_shares_do_not_depend_on_how_much_metal_shines_through():
    table = study(missing=0.0)
    diluted = table.assign(**{c: 0.5 * table[c] for c in table if c.startswith("xps_fraction") and not c.endswith("_std")})
    names, _ = structure_columns(table)
    assert np.allclose(model_features(table, names), model_features(diluted, names))


def test_the_result_is_plain_json(planted):
    text = json.dumps(planted.to_dict(), allow_nan=False)
    back = json.loads(text)
    assert {"predictions", "scores", "baseline", "skill", "coverage", "scrambled", "importances"} <= set(back)
    assert {"sample", "group", "observed", "predicted", "low", "high", "inside"} <= set(back["predictions"][0])
