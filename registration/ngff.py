"""Transforms in the shape of OME-NGFF's coordinate transformations (RFC-5), behind one serializer.

RFC-5 was still under review when this was written (version 0.6 is in development), so the version is stated as `0.6.dev` and
nothing else of the project depends on the shape. Matrices act on positions in the order of the axes, as here; units are spelled
as NGFF asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from registration.frames import FrameGraph
from registration.transform import AXES, Transform, TransformError
from registration.warp import AnyTransform, Chain, Field, GridField, Warp

VERSION = "0.6.dev"
UNIT = "nanometer"


def coordinate_system(name: str, ndim: int) -> dict[str, Any]:
    """A named frame: its axes, in nm."""
    return {"name": name, "axes": [{"name": a, "type": "space", "unit": UNIT} for a in AXES[-ndim:]]}


def coordinate_transformation(transform: AnyTransform) -> dict[str, Any]:
    """One transform with `input` and `output`: `identity`, `translation`, `scale`, `rotation`, `affine`, or, where it bends, a
    `sequence` with `displacements`.

    An inverted warp is wrapped as `inverseOf`. What NGFF has no word for (covariance, model) stays under `correlate`. The
    values of a displacement field go to an array of the name given by `path`, see `displacement_arrays`.

    Raises
    ------
    TransformError
        If a warp's field is not on a grid: sample it first.
    """
    ends = {"input": transform.source, "output": transform.target}
    if isinstance(transform, Transform):
        whole = transform.to_dict()
        return {**_linear(transform), **ends, "correlate": {key: whole[key] for key in ("model", "centre", "covariance")}}
    if isinstance(transform, Chain):
        return {"type": "sequence", "transformations": [coordinate_transformation(link) for link in transform.links], **ends}
    bend = {"type": "displacements", "path": _path(transform), "interpolation": "linear"}
    _grid(transform.field, transform)
    steps = [_linear(transform.before), bend, _linear(transform.after)]
    sequence = {"type": "sequence", "transformations": [s for s in steps if s["type"] != "identity"]}
    if not transform.inverted:
        return {**sequence, **ends}
    return {"type": "inverseOf", "transformation": {**sequence, "input": transform.target, "output": transform.source}, **ends}


def displacement_arrays(transform: AnyTransform) -> dict[str, dict[str, Any]]:
    """Path -> the array that a warp's `displacements` points to (nm, last axis the component) and where its nodes lie.

    A B-spline's coefficients are turned into its values at the nodes of a grid four times finer, between which NGFF
    interpolates linearly.
    """
    if isinstance(transform, Transform):
        return {}
    if isinstance(transform, Chain):
        return {path: array for link in transform.links for path, array in displacement_arrays(link).items()}
    field = _grid(transform.field, transform)
    count = [n if field.order == 1 else 4 * (n - 3) + 1 for n in field.values.shape[:-1]]
    step = field.step if field.order == 1 else field.step / 4
    origin = field.origin if field.order == 1 else field.origin + field.step
    axes = [o + s * np.arange(n) for o, s, n in zip(origin, step, count, strict=True)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    values = field.displacement(nodes.reshape(-1, field.ndim)).reshape(nodes.shape)
    placed = [{"type": "scale", "scale": step.tolist()}, {"type": "translation", "translation": origin.tolist()}]
    return {_path(transform): {"values": values, "coordinateTransformations": placed}}


def graph_to_ngff(graph: FrameGraph) -> dict[str, Any]:
    """The accepted transforms of a sample, and its frames, as `ome` metadata."""
    accepted = [e.transform for e in graph.edges if e.status == "accepted"]
    ndim = {name: t.ndim for t in accepted for name in (t.source, t.target)}
    return {"ome": {"version": VERSION, "coordinateSystems": [coordinate_system(n, d) for n, d in ndim.items()],
                    "coordinateTransformations": [coordinate_transformation(t) for t in accepted]}}


def read_transformation(saved: Mapping[str, Any]) -> Transform:
    """A linear transform from NGFF's form, other programs' too; without `correlate` nothing is known of its error.

    Raises
    ------
    TransformError
        If it is of a kind that is not linear, or lacks its input or output.
    """
    missing = [key for key in ("type", "input", "output") if key not in saved]
    if missing:
        raise TransformError(f"a coordinate transformation lacks {', '.join(missing)}")
    matrix = _matrix(saved)
    ours = saved.get("correlate", {})
    if matrix is None:
        raise TransformError(f"coordinate transformation {saved['input']!r} -> {saved['output']!r}: {saved['type']!r} is no "
                             "linear map that can be read by itself")
    return Transform.from_dict({"source": saved["input"], "target": saved["output"], "model": ours.get("model", "affine"),
                                "matrix": matrix.tolist(), "centre": ours.get("centre"), "covariance": ours.get("covariance")})


def _matrix(saved: Mapping[str, Any]) -> Any:
    """(d, d + 1) matrix, or None."""
    kind = saved["type"]
    if kind == "affine":
        return np.array(saved["affine"], np.float64)
    if kind == "translation":
        shift = np.array(saved["translation"], np.float64)
        return np.c_[np.eye(len(shift)), shift]
    if kind == "scale":
        return np.c_[np.diag(np.array(saved["scale"], np.float64)), np.zeros(len(saved["scale"]))]
    if kind == "rotation":
        turn = np.array(saved["rotation"], np.float64)
        return np.c_[turn, np.zeros(len(turn))]
    if kind == "identity" and "correlate" in saved and saved["correlate"].get("centre") is not None:
        d = len(saved["correlate"]["centre"])
        return np.c_[np.eye(d), np.zeros(d)]
    if kind == "sequence":
        whole = None
        for step in saved["transformations"]:
            matrix = _matrix(step)
            if matrix is None:
                return None
            if whole is not None:
                matrix = np.c_[matrix[:, :-1] @ whole[:, :-1], matrix[:, :-1] @ whole[:, -1] + matrix[:, -1]]
            whole = matrix
        return whole
    return None


def _linear(transform: Transform) -> dict[str, Any]:
    """The plainest word that NGFF has for a linear map."""
    a, b = transform.linear, transform.shift
    unit = bool((a == np.eye(transform.ndim)).all())
    if unit and not b.any():
        return {"type": "identity"}
    if unit:
        return {"type": "translation", "translation": b.tolist()}
    if not b.any() and (np.diag(np.diag(a)) == a).all() and (np.diag(a) > 0).all():
        return {"type": "scale", "scale": np.diag(a).tolist()}
    return {"type": "affine", "affine": transform.matrix.tolist()}


def _grid(field: Field, transform: Warp) -> GridField:
    if not isinstance(field, GridField):
        raise TransformError(f"warp {transform.source!r} -> {transform.target!r}: NGFF holds displacements on a grid only")
    return field


def _path(transform: Warp) -> str:
    ends = f"{transform.before.source} to {transform.after.target}"
    return f"coordinateTransformations/{ends.replace('/', '.')}"
