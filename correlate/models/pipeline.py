"""The estimators that compete, and the columns that they may see."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from correlate.descriptors import role_of
from correlate.descriptors.descriptor import STRUCTURE

Floats = NDArray[np.float64]

NOT_FEATURES = ("sample", "metal", "electrolyte", "group")
LEAST_COVERAGE = 0.4
"""A descriptor known for fewer of the samples says more about who was measured than about the interphase."""
LOGARITHMIC = ("sei_thickness", "sei_thickness_spread")
"""Lengths that span decades; their logarithm is what laws are written in."""
LEAST_FOR_GAUSSIAN_PROCESS = 40
ALPHAS = (1.0, 10.0, 100.0)


def structure_columns(table: pd.DataFrame) -> tuple[list[str], dict[str, str]]:
    """Columns that may enter a model of performance, and why each of the others may not.

    Only descriptors whose role is `structure` may: what was derived from the same cycling as the target knows it already.
    """
    kept, left_out = [], {}
    for name in map(str, table.columns):
        if name in NOT_FEATURES or name.endswith("_std"):
            continue
        role = role_of(name)
        values = table[name].to_numpy(dtype=float)
        if role != STRUCTURE:
            left_out[name] = f"speaks of {role or 'nothing registered'}, not of structure"
        elif np.isfinite(values).mean() < LEAST_COVERAGE:
            left_out[name] = f"known for {np.isfinite(values).sum()} of {values.size} samples only"
        elif np.nanstd(values) <= 1e-12 * max(1.0, float(np.nanmax(np.abs(values)))):
            left_out[name] = "the same in all samples"
        else:
            kept.append(name)
    return kept, left_out


def candidates(features: Sequence[str], samples: int) -> dict[str, Pipeline]:
    """Estimators to choose from; the mean is one of them, so that "nothing to learn" can win."""
    found = {"mean": Pipeline([("prepare", preparation(features)), ("fit", DummyRegressor())])}
    for alpha in ALPHAS:
        found[f"ridge, alpha {alpha:g}"] = Pipeline([("prepare", preparation(features)), ("fit", Ridge(alpha=alpha))])
    if samples >= LEAST_FOR_GAUSSIAN_PROCESS:
        kernel = ConstantKernel(1.0) * RBF(3.0, (0.5, 50.0)) + WhiteKernel(0.3, (1e-3, 3.0))
        found["Gaussian process"] = Pipeline([
            ("prepare", preparation(features)),
            ("fit", GaussianProcessRegressor(kernel, normalize_y=True, random_state=0))])
    return found


def preparation(features: Sequence[str]) -> Pipeline:
    """Logarithm of lengths, median for what is missing with a column that says so, then unit variance; fitted in each fold."""
    logs = [name for name in features if name in LOGARITHMIC]
    rest = [name for name in features if name not in LOGARITHMIC]
    columns = ColumnTransformer([("log", FunctionTransformer(_log), logs), ("as is", "passthrough", rest)])
    return Pipeline([("columns", columns), ("impute", SimpleImputer(strategy="median", add_indicator=True,
                                                                    keep_empty_features=True)), ("scale", StandardScaler())])


def fitted(pipeline: Pipeline, x: pd.DataFrame, y: Floats, weight: Floats) -> Pipeline:
    """Fit with weights where the estimator takes them; the Gaussian process does not."""
    if isinstance(pipeline.named_steps["fit"], GaussianProcessRegressor):
        return pipeline.fit(x, y)
    return pipeline.fit(x, y, fit__sample_weight=weight)


def _log(values: pd.DataFrame) -> pd.DataFrame:
    positive = values.where(values > 0)
    return pd.DataFrame(np.log(positive.to_numpy(dtype=float)), index=values.index, columns=values.columns)
