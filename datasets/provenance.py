"""Where a number comes from: hash of the raw file, reader and version, and the steps since."""

import hashlib
import math
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

DISTRIBUTION = "correlate-sei"
BLOCK = 1 << 20


def own_version() -> str:
    """Version of this platform, "0+unknown" when it runs from a folder that was never installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "0+unknown"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, read once in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def with_step(ds: xr.Dataset, what: str, **parameters: Any) -> xr.Dataset:
    """Append one step to the history of an acquisition: what was done, by which version, with which parameters."""
    step = {"what": what, "version": own_version(), "parameters": parameters}
    return ds.assign_attrs(history=[*ds.attrs.get("history", []), step])


def jsonable(value: Any) -> Any:
    """Vendor metadata as plain JSON: numpy scalars become numbers, bytes text, NaN null, long arrays their description."""
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist()) if value.size <= 64 else f"array {value.shape} {value.dtype}"
    if isinstance(value, list | tuple | set | frozenset):
        items = list(value)
        return [jsonable(v) for v in items[:256]] + ([f"... {len(items) - 256} more"] if len(items) > 256 else [])
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return value[:256].decode("utf-8", errors="replace")
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)
