"""Transforms of any kind from what their `to_dict` wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from registration.thin_plate import ThinPlateField
from registration.transform import Transform, TransformError
from registration.warp import AnyTransform, Chain, Field, GridField, Warp

FIELDS: dict[str, Callable[[Mapping[str, Any]], Field]] = {
    "grid": GridField.from_dict,
    "thin_plate": ThinPlateField.from_dict,
}
"""Kind of displacement field -> how a saved one is read."""


def read_transform(saved: Mapping[str, Any]) -> AnyTransform:
    """Read a linear transform, a warp, or a chain of warps.

    Raises
    ------
    TransformError
        If parts are missing or the kind of field is unknown.
    """
    if saved.get("model") == "chain":
        return Chain(tuple(_warp(link) for link in saved["links"]))
    return _warp(saved) if saved.get("model") == "warp" else Transform.from_dict(saved)


def _warp(saved: Mapping[str, Any]) -> Warp:
    missing = [key for key in ("before", "field", "after", "inverted") if key not in saved]
    if missing:
        raise TransformError(f"a saved warp lacks {', '.join(missing)}")
    kind = saved["field"].get("kind")
    if kind not in FIELDS:
        raise TransformError(f"a saved warp has a field of kind {kind!r}, expected one of {', '.join(FIELDS)}")
    return Warp(Transform.from_dict(saved["before"]), FIELDS[kind](saved["field"]), Transform.from_dict(saved["after"]),
                bool(saved["inverted"]))
