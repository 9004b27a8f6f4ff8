"""One measurement as one `xr.Dataset`, in the project's names and units."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from datasets.errors import DatasetError, FileError, UnreadableFile
from datasets.formats import Axis, Field, Signal, format_of, open_file
from datasets.provenance import jsonable, own_version
from datasets.technique import Technique
from datasets.techniques import TECHNIQUES
from datasets.techniques.unknown import UNKNOWN
from datasets.terms import ARBITRARY, DIMENSION_UNIT, PIXEL, QUANTITY_UNIT, SPATIAL
from datasets.units import compatible, converted, is_calibrated, spelled

AxisScales = Mapping[str, tuple[float, str]]
"""What a person says of an uncalibrated axis: dimension -> (step, unit), as {"x": (0.2, "nm")}."""

RECIPROCAL = ("scattering_vector_y", "scattering_vector_x")


def read_acquisitions(path: str | Path, *, technique: str | None = None, axes: AxisScales | None = None,
                      conditions: Mapping[str, Any] | None = None) -> list[xr.Dataset]:
    """Read a vendor file: every signal in it becomes one acquisition.

    Parameters
    ----------
    path : file
    technique : name in TECHNIQUES
        Overrides what the signals look like; needed where two techniques cannot be told apart.
    axes : dimension -> (step, unit)
        Calibration of axes that the file leaves uncalibrated.
    conditions
        What the file does not say; the file's own statements are kept beside them, and a contradiction is a warning.

    Returns
    -------
    One Dataset per signal, lazy where the format allows. A signal that no technique recognises arrives as technique
    `unknown`, with a warning.

    Raises
    ------
    FileError
        One line that names file, fault and place.
    """
    path = Path(path)
    if technique and technique not in TECHNIQUES:
        raise FileError(path, f"cannot be read as {technique!r}: no such technique", todo=f"expected {', '.join(TECHNIQUES)}")
    fmt = format_of(path)
    found = []
    for index, signal in enumerate(open_file(path, fmt)):
        chosen = TECHNIQUES[technique] if technique else technique_of(signal)
        if not technique and (doubt := chosen.doubt(signal)):
            signal = replace(signal, warnings=(*signal.warnings, doubt))
        try:
            ds = interpret(signal, chosen, axes=axes, conditions=conditions)
        except FileError:
            raise
        except DatasetError as error:
            raise UnreadableFile(path, str(error), where=f"signal {index}, {signal.title!r}") from error
        ds.attrs["source"] = {"file": path.name, "signal": index, "reader": fmt.name, "reader_version": fmt.version,
                              "version": own_version()}
        found.append(ds)
    return found


def technique_of(signal: Signal) -> Technique:
    """The one technique that recognises a signal; `unknown` if none does.

    Raises
    ------
    FileError
        If several do: the person must say which.
    """
    claims = [t for t in TECHNIQUES.values() if t.recognises(signal)]
    if len(claims) > 1:
        raise UnreadableFile(signal.source, f"{signal.title!r} could be {' or '.join(t.name for t in claims)}",
                             todo="say technique=")
    return claims[0] if claims else UNKNOWN


def interpret(signal: Signal, technique: Technique, *, axes: AxisScales | None = None,
              conditions: Mapping[str, Any] | None = None) -> xr.Dataset:
    """Name a signal's axes as the technique does and bring everything to canonical units.

    Axes are matched by unit and name, never by position: a DM4 spectrum image arrives as (energy, y, x) or
    (y, x, energy) depending on how it was saved.
    """
    dim_of = axis_names(signal, technique.dims)
    order = sorted(range(len(signal.axes)), key=lambda i: _rank(dim_of[i], technique.dims))
    dims = tuple(dim_of[i] for i in order)
    warnings = list(signal.warnings)
    coords = {}
    for i in order:
        values, unit = _coordinate(dim_of[i], signal.axes[i], axes, warnings)
        coords[dim_of[i]] = (dim_of[i], values, {"units": unit, "long_name": signal.axes[i].name or dim_of[i],
                                                 **_unused_scale(unit, signal.axes[i])})
        if DIMENSION_UNIT[dim_of[i]] in ("1", PIXEL) and is_calibrated(signal.axes[i].units):
            stated = np.asarray(signal.axes[i].values, np.float64)
            coords[f"{dim_of[i]}_stated"] = (dim_of[i], stated, {"units": spelled(signal.axes[i].units),
                                                                 "long_name": signal.axes[i].name or dim_of[i]})
        for name, (known, unit) in signal.axes[i].also.items():
            coords[name] = (dim_of[i], np.asarray(known), {"units": spelled(unit) or _without_unit(name), "long_name": name})
    variables = {}
    for rank, (name, field) in enumerate(signal.fields.items()):
        quantity = technique.rename.get(name, technique.quantity if rank == 0 and name not in technique.quantities else name)
        variables[quantity] = _variable(quantity, field, order, dims, technique, warnings)
    known_conditions, conflicts = _conditions(signal.conditions, conditions or {})
    if technique is UNKNOWN:
        warnings.append("no technique recognises this signal; say technique= to use it")
    attrs = {
        "technique": technique.name, "title": signal.title,
        "conditions": known_conditions, "incomplete": technique.missing_conditions(known_conditions),
        "uncalibrated": [d for d in dims if coords[d][2]["units"] == PIXEL and d in (*SPATIAL, *RECIPROCAL)],
        "warnings": warnings + conflicts, "vendor": jsonable(signal.metadata), "history": [],
    }
    return technique.check(technique.finish(xr.Dataset(variables, coords, attrs)))


def axis_names(signal: Signal, trailing: tuple[str, ...]) -> list[str]:
    """The dimension name of each axis of a signal, given the trailing dimensions of its technique.

    First each trailing dimension takes the axis that has its unit and its name, then the only one left that has its
    unit; uncalibrated axes are taken by name, and in array order when nothing else is left. Axes that remain are
    leading dimensions, named by their unit or their own name.
    """
    free = list(range(len(signal.axes)))
    name_of: dict[int, str] = {}
    for fits in (_same_name_and_unit, _same_unit, _same_name, _on_a_detector):
        for dim in trailing:
            if dim in name_of.values():
                continue
            candidates = [i for i in free if fits(dim, signal.axes[i])]
            rivals = [d for d in trailing if d not in name_of.values() and any(fits(d, signal.axes[i]) for i in candidates)]
            if fits is _same_unit and len(candidates) > len(rivals):
                continue
            if candidates:
                name_of[candidates[0]] = dim
                free.remove(candidates[0])
    missing = [d for d in trailing if d not in name_of.values()]
    loose = [i for i in free if not is_calibrated(signal.axes[i].units)][-len(missing):] if missing else []
    if len(loose) < len(missing):
        seen = ", ".join(f"{a.name or 'axis'} [{spelled(a.units) or 'no unit'}, {a.size}]" for a in signal.axes)
        raise DatasetError(f"cannot tell which axis is {missing[0]!r} ({DIMENSION_UNIT[missing[0]]}) among {seen}; "
                           f"calibrate the file or say which technique it is")
    for i, dim in zip(loose, missing, strict=True):
        name_of[i] = dim
        free.remove(i)
    taken = set(name_of.values())
    for i in free:
        name_of[i] = _leading_name(signal.axes[i], taken)
        taken.add(name_of[i])
    return [name_of[i] for i in range(len(signal.axes))]


SYNONYMS: dict[str, tuple[str, ...]] = {
    "y": ("y", "height", "row", "rows"), "x": ("x", "width", "column", "columns"), "z": ("z", "depth"),
    "scattering_vector_y": ("ky", "dy", "y", "height"), "scattering_vector_x": ("kx", "dx", "x", "width"),
    "detector_y": ("dy", "ky", "y"), "detector_x": ("dx", "kx", "x"),
    "energy_loss": ("energy loss", "energy", "eloss"), "xray_energy": ("energy", "x-ray energy"),
    "binding_energy": ("binding energy", "energy"), "kinetic_energy": ("kinetic energy", "energy"),
    "frame": ("frame", "image series", "slice"), "position": ("position", "point", "i", "stack element"),
    "tilt": ("tilt", "angle", "tilt angle"), "time": ("time", "t"), "frequency": ("frequency", "f"),
}
"""Dimension -> lower-case names that vendors give it."""

LEADING_BY_UNIT = (("time", "s"), ("tilt", "deg"), ("z", "nm"), ("photon_energy", "eV"), ("frequency", "Hz"))
PREFERRED_LEADING = ("frame", "position", "channel", "spectrum", "sputter_level", "cycle", "time", "tilt", "z", "y", "x")


def _same_name_and_unit(dim: str, axis: Axis) -> bool:
    return _same_name(dim, axis) and _same_unit(dim, axis)


def _same_unit(dim: str, axis: Axis) -> bool:
    return compatible(spelled(axis.units), DIMENSION_UNIT[dim])


def _same_name(dim: str, axis: Axis) -> bool:
    name = axis.name.lower().replace("_", " ").strip()
    return (name == dim.replace("_", " ") or name in SYNONYMS.get(dim, ())) and (
        not is_calibrated(axis.units) or _same_unit(dim, axis))


def _on_a_detector(dim: str, axis: Axis) -> bool:
    """Scattering angles given as lengths on the camera, as ASTAR does: the axis is known, its calibration is not."""
    return dim in RECIPROCAL and axis.name.lower() in (f"d{dim[-1]}", f"k{dim[-1]}")


def _leading_name(axis: Axis, taken: set[str]) -> str:
    own = axis.name.lower().replace(" ", "_")
    options = [own] if own in DIMENSION_UNIT and (
        not is_calibrated(axis.units) or compatible(spelled(axis.units), DIMENSION_UNIT[own])) else []
    options += [dim for dim in SYNONYMS if _same_name(dim, axis)]
    options += [dim for dim, unit in LEADING_BY_UNIT if compatible(spelled(axis.units), unit)]
    options += list(PREFERRED_LEADING)
    return next(name for name in options if name not in taken)


def _rank(dim: str, trailing: tuple[str, ...]) -> int:
    """Sort key: leading axes in file order, then space as z, y, x, then the trailing ones in promised order.

    A block saved as (x, y, energy) becomes (y, x, energy), as everyone expects of a map.
    """
    if dim in trailing:
        return trailing.index(dim)
    return SPATIAL.index(dim) - len(SPATIAL) if trailing and dim in SPATIAL else -len(SPATIAL) - 1


def _coordinate(dim: str, axis: Axis, axes: AxisScales | None, warnings: list[str]) -> tuple[NDArray[np.float64], str]:
    wanted = DIMENSION_UNIT[dim]
    counted = wanted in ("1", PIXEL)
    if axes and dim in axes:
        step, unit = axes[dim]
        if is_calibrated(axis.units):
            warnings.append(f"{dim} is calibrated in the file ({_step(axis):.6g} {spelled(axis.units)}), yet the sheet says "
                            f"{step:.6g} {unit}: the sheet is used")
        return converted(np.arange(axis.size) * step, unit, wanted), wanted
    if is_calibrated(axis.units) and compatible(spelled(axis.units), wanted):
        return converted(axis.values, axis.units, wanted), wanted
    if counted and not is_calibrated(axis.units):
        return np.asarray(axis.values, dtype=np.float64), wanted
    if counted:
        warnings.append(f"{dim} is counted here, and in {spelled(axis.units)!r} in the file: that stands beside it")
        return np.arange(axis.size, dtype=np.float64), wanted
    if dim in SPATIAL or dim in RECIPROCAL:
        if is_calibrated(axis.units):
            warnings.append(f"{dim} is in {spelled(axis.units)!r}, which is no {wanted!r}: it is left uncalibrated, "
                            f"with a step of {_step(axis):.6g} {spelled(axis.units)} per pixel in its attributes")
        return np.arange(axis.size, dtype=np.float64), PIXEL
    raise DatasetError(f"{dim} has the unit {spelled(axis.units) or 'none'!r}, expected {wanted!r}; "
                       f"calibrate the file or say axes={{{dim!r}: (step, {wanted!r})}}")


def _unused_scale(unit: str, axis: Axis) -> dict[str, Any]:
    """What the file said of an axis that stays in pixels, so that a person can still make use of it."""
    step, first = _step(axis), float(axis.values[0]) if axis.size else 0.0
    if unit != PIXEL or (step in (0.0, 1.0) and first == 0.0 and not is_calibrated(axis.units)):
        return {}
    return {"vendor_step": step, "vendor_first": first, "vendor_units": spelled(axis.units)}


def _step(axis: Axis) -> float:
    return float(axis.values[1] - axis.values[0]) if axis.size > 1 else 0.0


def _variable(name: str, field: Field, order: list[int], dims: tuple[str, ...],
              technique: Technique, warnings: list[str]) -> tuple[tuple[str, ...], Any, dict[str, str]]:
    """A field in a unit that the vocabulary allows it; one whose unit the file does not state has none, it is not lent one.

    Raises
    ------
    DatasetError
        If the unit is of another kind, or the technique needs one and there is none.
    """
    data = field.data if order == sorted(order) else field.data.transpose(order)
    allowed = technique.quantities.get(name) or technique.optional.get(name) or (
        (QUANTITY_UNIT[name],) if name in QUANTITY_UNIT else ())
    unit = spelled(field.units)
    if unit in allowed or not allowed:
        return dims, data, {"units": unit or ARBITRARY}
    for wanted in allowed:
        if unit and compatible(unit, wanted):
            return dims, _in_unit(data, unit, wanted), {"units": wanted}
    if not unit and ARBITRARY not in allowed and allowed[0] != "1":
        if name in technique.quantities:
            raise DatasetError(f"{name} has no unit in the file, expected {' or '.join(allowed)}")
        warnings.append(f"{name} has no unit in the file, where {' or '.join(allowed)} was expected: it is kept as arbitrary")
    if not unit:
        return dims, data, {"units": "1" if allowed[0] == "1" else ARBITRARY}
    if technique is UNKNOWN:  # nothing is known of it, so nothing can be wrong with it
        return dims, data, {"units": ARBITRARY, "vendor_units": unit}
    raise DatasetError(f"{name} is in {unit!r}, expected one of {allowed}")


def _in_unit(data: Any, unit: str, wanted: str) -> Any:
    """An array in another unit; what is read later is converted later."""
    if not isinstance(data, dask.array.Array):
        return converted(np.asarray(data), unit, wanted)
    later: Any = data
    return later.map_blocks(converted, unit, wanted, dtype=np.float64, meta=np.empty((0,) * data.ndim))


def _without_unit(name: str) -> str:
    """What a coordinate whose unit the file does not state is in: nothing but a number only where the vocabulary says so."""
    return "1" if {**DIMENSION_UNIT, **QUANTITY_UNIT}.get(name) == "1" else ARBITRARY


def _conditions(file: Mapping[str, Any], sheet: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The file's conditions completed and corrected by the person's; what was overruled is said."""
    conflicts = [f"{name} is {file[name]!r} in the file, {sheet[name]!r} in the sheet: the sheet is used"
                 for name in sheet if name in file and file[name] != sheet[name]]
    return {**{k: jsonable(v) for k, v in file.items()}, **{k: jsonable(v) for k, v in sheet.items()}}, conflicts
