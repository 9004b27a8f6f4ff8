"""Learns coulombic efficiency from structure and keeps the result, with its validation, as a unit of the store."""

from typing import Any

import xarray as xr

from correlate.models import ModelRefused, validate
from correlate.study import DESCRIPTORS, MODEL, MODEL_UNIT, Study
from datasets.provenance import own_version


def fit_study(study: Study, *, again: bool = False) -> dict[str, Any]:
    """Validate the model on the study's table and publish the result; a refusal is a result too, with its reason.

    Returns
    -------
    The result as a dictionary: `refused` with a sentence, or scores, predictions and importances.
    """
    parents = {row["unit"]: row["version"] for row in study.rows(DESCRIPTORS)}
    current = study.store.current(MODEL_UNIT)
    if not again and current is not None and dict(current.parents) == parents and (
            current.attrs.get("recipe") == {"version": own_version()}):
        result: dict[str, Any] = study.store.open(MODEL_UNIT).attrs["result"]
        return result
    try:
        result = validate(study.table()).to_dict()
    except ModelRefused as refusal:
        result = {"refused": str(refusal)}
    ds = xr.Dataset(attrs={"result": result, "technique": "", "sample": "", "title": "structure to coulombic efficiency",
                           "recipe": {"version": own_version()}, "synthetic": study.sheet.synthetic})
    study.store.publish(MODEL_UNIT, ds, kind=MODEL, parents=parents)
    return result
