"""What a model may see of a sample, and the estimators that compete.

Studies have tens of samples, so physics does the choosing: thickness and its evenness, the shares of the shell's own elements
by each technique, and which techniques are missing. All of it is fixed before any outcome is looked at.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.dummy import DummyRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from correlate.descriptors import role_of
from correlate.descriptors.descriptor import STRUCTURE

Floats = NDArray[np.float64]

NOT_FEATURES = ("sample", "metal", "electrolyte", "group")
LEAST_COVERAGE = 0.4
"""A descriptor known for fewer of the samples says more about who was measured than about the interphase."""
LEAST_SIGNAL = 2.0
"""A descriptor whose typical value is below this many of its standard deviations is noise."""
THICKNESS, SPREAD = "sei_thickness", "sei_thickness_spread"
SHELL_ELEMENTS = ("C", "O", "F")
"""Elements of every interphase and of no metal under it: their shares compare across metals. Nitrogen, sulphur and phosphorus
mark the salt, by which a model would recognise the electrolyte instead of the structure."""
FRACTION = "_fraction_"
MISSING = "_missing"
LEAST_FOR_CHOICE = 40
"""Below this many samples, choosing an estimator costs more than it gains: one is taken as it is."""
ALPHA, ALPHAS = 30.0, (3.0, 10.0, 30.0, 100.0)
"""Ridge penalty on unit-variance features. `ALPHA` was fixed on twelve virtual studies of 24 samples whose seeds serve no test:
their skill was positive in eleven (mean 0.29), and with a choice among penalties in nine (mean 0.24)."""


def structure_columns(table: pd.DataFrame) -> tuple[list[str], dict[str, str]]:
    """Columns that may enter a model of performance, and why each of the others may not.

    Only descriptors whose role is `structure` may: what was derived from the same cycling as the target knows it already. No
    outcome is looked at.
    """
    kept, left_out = [], {}
    for name in map(str, table.columns):
        if name in NOT_FEATURES or name.endswith("_std"):
            continue
        role = role_of(name)
        values = table[name].to_numpy(dtype=float)
        known = np.isfinite(values)
        if role != STRUCTURE:
            left_out[name] = f"speaks of {role or 'nothing registered'}, not of structure"
        elif name.partition(FRACTION)[2] not in ("", *SHELL_ELEMENTS):
            left_out[name] = f"not one of {', '.join(SHELL_ELEMENTS)}, which every interphase has and no metal"
        elif known.mean() < LEAST_COVERAGE:
            left_out[name] = f"known for {known.sum()} of {values.size} samples only"
        elif np.ptp(values[known]) <= 1e-12 * float(np.abs(values[known]).max(initial=1.0)):
            left_out[name] = "the same in all samples"
        elif f"{name}_std" in table and _is_noise(values, table[f"{name}_std"].to_numpy(dtype=float)):
            left_out[name] = "within its own error in most samples"
        else:
            kept.append(name)
    return kept, left_out


def model_features(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Features of each sample, computed from its own row only.

    Logarithm of thickness; relative spread of thickness; the shell's elements by each technique as shares of one another, so
    that neither metal seen through the shell nor lithium unseen by X-rays enters; other columns as they are; and per technique
    that only some samples have, whether it is missing.
    """
    found: dict[str, pd.Series] = {}
    shares: dict[str, list[str]] = {}
    for name in columns:
        technique, _, element = name.partition(FRACTION)
        if element in SHELL_ELEMENTS:
            shares.setdefault(technique, []).append(name)
        elif name == THICKNESS:
            found["log " + name] = _logarithm(table[name])
        elif name == SPREAD and THICKNESS in table:
            found["relative " + name] = table[name] / table[THICKNESS]
        elif FRACTION not in name:
            found[name] = table[name]
    for technique, names in shares.items():
        total = table[names].clip(lower=0.0).sum(axis=1, min_count=1)
        for name in names:
            found[name] = (table[name] / total.where(total > 0)).where(table[name].notna())
        absent = table[names].isna().all(axis=1)
        if absent.any() and not absent.all():
            found[technique + MISSING] = absent.astype(float)
    return pd.DataFrame(found, index=table.index).astype(float)


def candidates(samples: int) -> dict[str, Pipeline]:
    """Estimators to choose from: a firm ridge while samples are few; then also the mean, so that "nothing to learn" can win."""
    if samples < LEAST_FOR_CHOICE:
        return {f"ridge, alpha {ALPHA:g}": _with(Ridge(alpha=ALPHA))}
    # fixed kernel: tens of samples do not decide its lengths, and a search for them would
    kernel = ConstantKernel(0.7, "fixed") * RBF(4.0, "fixed") + WhiteKernel(0.3, "fixed")
    process = GaussianProcessRegressor(kernel, normalize_y=True, optimizer=None)
    return {"mean": _with(DummyRegressor()), **{f"ridge, alpha {alpha:g}": _with(Ridge(alpha=alpha)) for alpha in ALPHAS},
            "Gaussian process": _with(process)}


def fitted(pipeline: Pipeline, x: pd.DataFrame, y: Floats, weight: Floats) -> Pipeline:
    """Fit with weights where the estimator takes them; the Gaussian process does not."""
    if isinstance(pipeline.named_steps["fit"], GaussianProcessRegressor):
        return pipeline.fit(x.to_numpy(), y)
    return pipeline.fit(x.to_numpy(), y, fit__sample_weight=weight)


def _with(estimator: object) -> Pipeline:
    """Median for what is missing, unit variance, estimator: all fitted on the training electrolytes only."""
    return Pipeline([("impute", SimpleImputer(strategy="median", keep_empty_features=True)), ("scale", StandardScaler()),
                     ("fit", estimator)])


def _is_noise(values: Floats, std: Floats) -> bool:
    both = np.isfinite(values) & np.isfinite(std) & (std > 0)
    return bool(both.any() and np.median(np.abs(values[both]) / std[both]) < LEAST_SIGNAL)


def _logarithm(values: pd.Series) -> pd.Series:
    positive = values.where(values > 0)
    return pd.Series(np.log(positive.to_numpy(dtype=float)), index=values.index)
