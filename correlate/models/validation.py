"""How well structure predicts coulombic efficiency of an electrolyte that the model has never seen.

Leave one electrolyte out, beside the mean of the others; everything that is chosen or fitted is chosen and fitted inside the
training electrolytes. Intervals are jackknife+ over groups (R. F. Barber et al., Ann. Stat. 2021, 49, 486, 10.1214/20-AOS1965;
source not checked), and their coverage is counted on the unseen electrolytes.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from correlate.descriptors import role_of
from correlate.descriptors.descriptor import STRUCTURE
from correlate.descriptors.efficiency import log_ce
from correlate.models.pipeline import candidates, fitted, model_features, structure_columns
from datasets.errors import DatasetError

Floats = NDArray[np.float64]
Labels = NDArray[np.object_]

LEAST_SAMPLES, LEAST_GROUPS = 8, 3
INTRINSIC_SHARE = 0.25
"""Of the target's variance, added to each sample's own when weighting: electrolytes differ for reasons that no measurement of
CE knows, and without it the few samples of smallest error would decide alone."""
LEVEL = 0.9
SCRAMBLES = 20
BOOTSTRAPS = 500


class ModelRefused(DatasetError):
    """A model would not mean anything; the message says why."""


@dataclass(frozen=True)
class ModelResult:
    """What a validation found; plain numbers and text only.

    target : what is predicted, with its definition
    predictions : per sample with a known target: sample, group, observed, observed_std, predicted, low, high, baseline, model
    scores, baseline : rmse, mae, r2 under leave-one-electrolyte-out; skill = 1 - MSE / MSE of the baseline, with a 90 %
        interval by bootstrap over electrolytes
    coverage : nominal and measured on unseen electrolytes
    scrambled : skill with the target shuffled, and the share of shuffles that do as well as the truth
    importances : per feature, growth of squared error on unseen electrolytes when it is shuffled, relative to the baseline's
    features, left_out : columns that entered, and those that did not with the reason
    """

    target: str
    samples: int
    groups: int
    predictions: list[dict[str, Any]]
    scores: dict[str, float]
    baseline: dict[str, float]
    skill: dict[str, float]
    coverage: dict[str, float]
    scrambled: dict[str, float]
    importances: list[dict[str, Any]]
    features: list[str]
    left_out: dict[str, str]
    chosen: dict[str, str]
    warnings: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable; NaN becomes None."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


@dataclass(frozen=True, eq=False)
class _Data:
    x: pd.DataFrame
    y: Floats
    variance: Floats
    group: Labels

    @property
    def weight(self) -> Floats:
        """From these samples alone, so that training knows nothing of what it is tried on."""
        spread = float(np.var(self.y))
        weight = 1.0 / (np.where(np.isfinite(self.variance), self.variance, spread) + INTRINSIC_SHARE * spread + 1e-12)
        return np.asarray(weight / weight.mean())


def validate(table: pd.DataFrame, target: str = "ce_mean", *, group: str = "group", features: Sequence[str] | None = None,
             folds: str = "groups", seed: int = 0, scrambles: int = SCRAMBLES) -> ModelResult:
    """Predict log CE of every electrolyte from the others.

    Parameters
    ----------
    table : of `sample_table`: one row per sample
    target : "ce_mean"; the model predicts -log10(1 - CE), weighted by its error, which grows towards 100 %
    group : column that tells electrolytes apart
    features : columns to use; all structure columns by default
    folds : "groups" only; "random" is refused, see below
    seed : of shuffles and bootstraps

    Raises
    ------
    ModelRefused
        If there are too few samples or electrolytes; if a feature was derived from the cycling itself; and for random folds,
        because cells of one electrolyte share what the structure does not show: a random split would let the model recognise
        the electrolyte and call that understanding.
    """
    if folds != "groups":
        raise ModelRefused(f"folds={folds!r} is refused: samples of one electrolyte in training and test are leakage, and the "
                           "score would not hold for a new electrolyte; use folds='groups'")
    if target not in table:
        raise ModelRefused(f"no sample has {target}: without cycling there is nothing to predict")
    if group not in table:
        raise ModelRefused(f"the table has no column {group!r} to tell electrolytes apart")
    data, rows, left_out, warnings = _prepared(table, target, group, features)
    names = list(data.x.columns)
    rng = np.random.default_rng(seed)
    predicted, low, high, baseline, chosen, models = _outer(data)
    error, base_error = predicted - data.y, baseline - data.y
    skill = _skill(error, base_error, data.group, rng)
    found = []
    for i, row in enumerate(rows.itertuples()):
        found.append({"sample": str(row.sample), "group": str(data.group[i]), "observed": data.y[i],
                      "observed_std": rows[f"{target}_log_std"].iloc[i], "ce": rows[target].iloc[i],
                      "predicted": predicted[i], "low": low[i], "high": high[i], "baseline": baseline[i],
                      "ce_predicted": 1 - 10 ** -predicted[i], "ce_low": 1 - 10 ** -low[i], "ce_high": 1 - 10 ** -high[i],
                      "inside": bool(low[i] <= data.y[i] <= high[i]), "model": chosen[str(data.group[i])]})
    inside = float(np.mean([p["inside"] for p in found]))
    scrambled = _scrambled(data, skill["value"], rng, scrambles)
    return ModelResult(
        target=f"-log10(1 - {target})", samples=data.y.size, groups=len(set(data.group)), predictions=found,
        scores=_scores(error, data.y), baseline=_scores(base_error, data.y), skill=skill,
        coverage={"nominal": LEVEL, "measured": inside, "samples": float(data.y.size)}, scrambled=scrambled,
        importances=_importances(data, models, names, rng), features=names, left_out=left_out, chosen=chosen, warnings=warnings)


def _prepared(table: pd.DataFrame, target: str, group: str,
              features: Sequence[str] | None) -> tuple[_Data, pd.DataFrame, dict[str, str], list[str]]:
    warnings = []
    for name in features or ():
        if name not in table:
            raise ModelRefused(f"the table has no column {name!r}")
        if role_of(name) != STRUCTURE:
            raise ModelRefused(f"{name} speaks of {role_of(name) or 'nothing registered'}, not of structure: what comes from "
                               "the same cycling as the target knows it already, and its score would be leakage")
    stds = table[f"{target}_std"] if f"{target}_std" in table else pd.Series(np.nan, table.index)
    logs = np.array([log_ce(float(v), float(s)) for v, s in zip(table[target], stds, strict=True)]).reshape(-1, 2)
    usable = np.isfinite(logs[:, 0]) & (table[group].astype(str) != "").to_numpy()
    beyond = int((table[target] >= 1.0).sum())
    if beyond:
        warnings.append(f"{beyond} samples left out, since their CE is 100 % or more and has no logarithm")
    rows = table[usable].assign(**{f"{target}_log_std": logs[usable, 1]})
    groups = rows[group].astype(str).to_numpy(dtype=object)
    if len(rows) < LEAST_SAMPLES:
        homeless = int(np.isfinite(logs[:, 0]).sum()) - len(rows)
        more = f" ({homeless} more have no electrolyte: say electrolyte or group in the study sheet)" if homeless else ""
        raise ModelRefused(f"{len(rows)} samples with a known CE{more}; fewer than {LEAST_SAMPLES} cannot carry a model")
    if len(set(groups)) < LEAST_GROUPS:
        raise ModelRefused(f"{len(set(groups))} electrolyte(s); a model must be tried on electrolytes that it has not seen, "
                           f"which needs at least {LEAST_GROUPS}")
    names, left_out = structure_columns(rows.drop(columns=[f"{target}_log_std"]))
    names = [name for name in (features or names) if name in rows]
    if not names:
        raise ModelRefused("no structure descriptor is known for enough samples")
    y = logs[usable, 0]
    if float(np.ptp(y)) < 1e-9:
        raise ModelRefused("all samples have the same CE: there is nothing to explain")
    data = _Data(model_features(rows, names).reset_index(drop=True), y, logs[usable, 1] ** 2, groups)
    return data, rows, left_out, warnings


def _outer(data: _Data) -> tuple[Floats, Floats, Floats, Floats, dict[str, str], dict[str, Pipeline]]:
    """Predictions, intervals and baseline for each electrolyte from the others."""
    predicted, low, high, baseline = (np.full(data.y.size, np.nan) for _ in range(4))
    chosen, models = {}, {}
    for name in sorted(set(data.group)):
        test = data.group == name
        train = _part(data, ~test)
        label, residual, folds = _chosen(train)
        model = fitted(clone(candidates(train.y.size)[label]), train.x, train.y, train.weight)
        predicted[test] = model.predict(data.x[test].to_numpy())
        low[test], high[test] = _interval(folds, residual, train.group, data.x[test])
        baseline[test] = np.average(train.y, weights=train.weight)
        chosen[str(name)], models[str(name)] = label, model
    return predicted, low, high, baseline, chosen, models


def _chosen(train: _Data) -> tuple[str, Floats, dict[str, Pipeline]]:
    """The candidate of least weighted error on left-out training electrolytes, its residuals there, and its fold models."""
    best: tuple[float, str, Floats, dict[str, Pipeline]] | None = None
    for label, template in candidates(train.y.size).items():
        residual, folds = np.full(train.y.size, np.nan), {}
        for name in sorted(set(train.group)):
            test = train.group == name
            part = _part(train, ~test)
            folds[str(name)] = fitted(clone(template), part.x, part.y, part.weight)
            residual[test] = np.abs(train.y[test] - folds[str(name)].predict(train.x[test].to_numpy()))
        error = float(np.average(residual**2, weights=train.weight))
        if best is None or error < best[0]:
            best = (error, label, residual, folds)
    assert best is not None
    return best[1], best[2], best[3]


def _interval(folds: dict[str, Pipeline], residual: Floats, group: Labels, x: pd.DataFrame) -> tuple[Floats, Floats]:
    """Jackknife+ over groups: quantiles of what each left-out fold predicts here, minus and plus its left-out residuals."""
    prediction = np.stack([folds[str(name)].predict(x.to_numpy()) for name in group])
    n = residual.size
    rank = min(math.ceil(LEVEL * (n + 1)), n) - 1
    upper = np.sort(prediction + residual[:, None], axis=0)[rank]
    lower = -np.sort(-(prediction - residual[:, None]), axis=0)[rank]
    return lower, upper


def _scores(error: Floats, y: Floats) -> dict[str, float]:
    return {"rmse": float(np.sqrt(np.mean(error**2))), "mae": float(np.mean(np.abs(error))),
            "r2": float(1 - np.sum(error**2) / np.sum((y - y.mean()) ** 2))}


def _skill(error: Floats, base_error: Floats, group: Labels, rng: np.random.Generator) -> dict[str, float]:
    """1 - MSE / MSE of the baseline, and its 90 % interval over electrolytes drawn with replacement."""
    names = sorted(set(group))
    sums = np.array([[np.sum(error[group == n] ** 2), np.sum(base_error[group == n] ** 2)] for n in names])
    drawn = sums[rng.integers(0, len(names), (BOOTSTRAPS, len(names)))].sum(1)
    ratios = 1 - drawn[:, 0] / np.maximum(drawn[:, 1], 1e-30)
    low, high = np.quantile(ratios, [0.05, 0.95])
    return {"value": float(1 - sums[:, 0].sum() / sums[:, 1].sum()), "low": float(low), "high": float(high)}


def _scrambled(data: _Data, skill: float, rng: np.random.Generator, times: int) -> dict[str, float]:
    """Skill of the same procedure on shuffled targets: what chance and flexibility alone achieve."""
    found = []
    for _ in range(times):
        order = rng.permutation(data.y.size)
        shuffled = _Data(data.x, data.y[order], data.variance[order], data.group)
        predicted, _, _, baseline, _, _ = _outer(shuffled)
        found.append(1 - float(np.sum((predicted - shuffled.y) ** 2) / np.sum((baseline - shuffled.y) ** 2)))
    if not found:
        return {"times": 0.0, "mean": math.nan, "highest": math.nan, "p_value": math.nan}
    return {"times": float(times), "mean": float(np.mean(found)), "highest": float(np.max(found)),
            "p_value": float((1 + np.sum(np.array(found) >= skill)) / (1 + times))}


def _importances(data: _Data, models: dict[str, Pipeline], names: list[str], rng: np.random.Generator,
                 repeats: int = 20) -> list[dict[str, Any]]:
    """Growth of the squared error on unseen electrolytes when a descriptor is shuffled among all samples."""
    total = float(np.sum((data.y - data.y.mean()) ** 2))
    groups = sorted(models)
    tests = {g: np.flatnonzero(data.group == g) for g in groups}
    plain = {g: float(np.sum((models[g].predict(data.x.iloc[tests[g]].to_numpy()) - data.y[tests[g]]) ** 2)) for g in groups}
    found = []
    for name in names:
        growth = np.zeros((len(groups), repeats))
        for k, g in enumerate(groups):
            parts = []
            for _ in range(repeats):
                x = data.x.iloc[tests[g]].copy()
                x[name] = rng.choice(data.x[name].to_numpy(), tests[g].size)
                parts.append(x)
            guess = models[g].predict(pd.concat(parts).to_numpy()).reshape(repeats, -1)
            growth[k] = np.sum((guess - data.y[tests[g]]) ** 2, axis=1) - plain[g]
        drawn = growth.mean(1)[rng.integers(0, len(groups), (BOOTSTRAPS, len(groups)))].sum(1) / total
        low, high = np.quantile(drawn, [0.05, 0.95])
        found.append({"name": name, "value": float(growth.mean(1).sum() / total), "low": float(low), "high": float(high)})
    return sorted(found, key=lambda entry: -entry["value"])


def _part(data: _Data, mask: NDArray[np.bool_]) -> _Data:
    return _Data(data.x[mask], data.y[mask], data.variance[mask], data.group[mask])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
