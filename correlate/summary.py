"""What `correlate read` tells of a file: the figures by which readers are checked against other programs.

The schema is documented in docs/read-json.md and kept stable.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from datasets.acquisition import AxisScales, read_acquisitions

BLOCK_BYTES = 64 << 20


def file_summary(path: str | Path, *, technique: str | None = None, axes: AxisScales | None = None) -> list[dict[str, Any]]:
    """One dictionary per acquisition of a file; raises FileError like `read_acquisitions`."""
    return [acquisition_summary(ds) for ds in read_acquisitions(path, technique=technique, axes=axes)]


def acquisition_summary(ds: xr.Dataset) -> dict[str, Any]:
    """Technique, axes and figures of an acquisition, JSON-serialisable; numbers that are not finite are null."""
    main = ds[next(iter(ds.data_vars))]
    return {
        "technique": ds.attrs["technique"],
        "title": ds.attrs.get("title", ""),
        "reader": ds.attrs.get("source", {}).get("reader", ""),
        "dims": [str(d) for d in main.dims],
        "shape": list(main.shape),
        "dtype": str(main.dtype),
        "coords": {str(name): axis_summary(ds[name]) for name in ds.coords},
        "vars": {str(name): variable_summary(ds[name]) for name in ds.data_vars},
        "conditions": ds.attrs.get("conditions", {}),
        "warnings": list(ds.attrs.get("warnings", [])),
    }


def axis_summary(axis: xr.DataArray) -> dict[str, Any]:
    """Units, first and last value, mean step and number of points of one axis; names have no step."""
    values = np.atleast_1d(axis.values)
    n = values.size
    if values.dtype.kind not in "biuf":
        first, last = (str(values[0]), str(values[-1])) if n else (None, None)
        return {"units": axis.attrs.get("units", ""), "first": first, "last": last, "step": None, "n": n}
    values = values.astype(np.float64)
    step = (values[-1] - values[0]) / (n - 1) if n > 1 else math.nan
    return {"units": axis.attrs.get("units", ""), "first": _number(values[0] if n else math.nan),
            "last": _number(values[-1] if n else math.nan), "step": _number(step), "n": n}


def variable_summary(variable: xr.DataArray) -> dict[str, Any]:
    """Units, minimum, maximum, mean and sum, ignoring NaN; read block by block, so that memory stays bounded.

    Text has none of them.
    """
    if variable.dtype.kind not in "biuf":
        return {"units": variable.attrs.get("units", ""), "min": None, "max": None, "mean": None, "sum": None}
    low, high, total, count = math.inf, -math.inf, 0.0, 0
    for block in _blocks(variable):
        good = block[np.isfinite(block)] if block.dtype.kind == "f" else block
        if good.size:
            low, high = min(low, float(good.min())), max(high, float(good.max()))
            total += float(good.sum(dtype=np.float64))
            count += good.size
    return {"units": variable.attrs.get("units", ""), "min": _number(low), "max": _number(high),
            "mean": _number(total / count if count else math.nan), "sum": _number(total if count else math.nan)}


def _blocks(variable: xr.DataArray) -> Iterator[np.ndarray[Any, Any]]:
    if variable.ndim == 0 or variable.nbytes <= BLOCK_BYTES:
        yield np.asarray(variable.values)
        return
    rows = max(1, BLOCK_BYTES * variable.shape[0] // max(variable.nbytes, 1))
    for start in range(0, variable.shape[0], rows):
        yield np.asarray(variable[start:start + rows].values)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
