"""What a Gwyddion file holds beside maps and volumes: graphs, spectra at points, scattered points, maps of curves.

Source: the serialisers of Gwyddion 2.60 (GPL) and the tests of libgwyfile; no real file of these was to be had.

- GwyGraphModel: `curves` of GwyGraphCurveModel with `xdata`, `ydata` and a `description`; units `x_unit`, `y_unit`, words
  `bottom_label`, `left_label`. Curves over one x are one signal, others one each.
- GwySpectra: `data` of GwyDataLine (`res` numbers over `real` from `off`, in `si_unit_x`, `si_unit_y`), `coords` x, y of each
  in `si_unit_xy`. Some versions of Gwyddion wrote y, x; the file does not say which it is.
- GwySurface: `data` x, y, z of each point, in `si_unit_xy` and `si_unit_z`.
- GwyLawn, a map of curves: at each of yres x xres pixels `ncurves` rows of as many numbers as `curvelengths` says, one row
  after the other; `segments` holds where each segment of each pixel begins and ends. Shorter curves end in NaN.

None says by what technique it was measured, nor when: all arrive as `unknown`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.probes.gwyddion_tree import part, positive, unit_under
from datasets.formats.probes.scan_image import unit_of, variable_name
from datasets.formats.signal import Axis, Field, Signal
from datasets.units import compatible, converted

Parts = dict[str, Any]
LABELS = ("bottom_label", "left_label", "top_label", "right_label")
MOST_PADDING = 16
"""Times the numbers of a map of curves that its curves may take when they are all as long as the longest."""


def beside_maps(path: Path, name: str, kind: str, parts: Parts, root: Parts) -> tuple[Signal, ...]:
    """Signals of an object of one of `KINDS`.

    Raises
    ------
    UnreadableFile
        If its counts and its numbers do not agree.
    """
    title = str(parts.get("title") or root.get(f"{name}/title") or name.strip("/").replace("/", " "))
    return tuple(KINDS[kind](path, name, parts, title))


def _graph(path: Path, name: str, graph: Parts, title: str) -> Iterator[Signal]:
    curves = [part(curve, "GwyGraphCurveModel") for curve in _listed(graph, "curves")]
    drawn: list[tuple[str, NDArray[np.float64], NDArray[np.float64]]] = []
    for number, curve in enumerate(curves):
        x, y = (_numbers(curve, f"{axis}data") for axis in "xy")
        if x.size != y.size:
            raise UnreadableFile(path, f"curve {number + 1} has {x.size} numbers of x and {y.size} of y", where=name)
        if x.size:
            drawn.append((str(curve.get("description") or f"curve {number + 1}"), x, y))
    axis = variable_name(str(graph.get("bottom_label") or "x"))[0]
    along, unit = (unit_of(unit_under(graph, f"{which}_unit")) for which in "xy")
    about: Parts = {key: graph[key] for key in LABELS if key in graph}
    none = len(curves) - len(drawn)
    remarks = (f"{none} of {len(curves)} curves of {title!r} hold no numbers",) if none else ()
    together = len(drawn) > 1 and all(np.array_equal(x, drawn[0][1]) for _, x, _ in drawn)
    for group in [drawn] if together else [[one] for one in drawn]:
        fields = {key: Field(y, unit) for key, (_, _, y) in zip(_unlike([d for d, _, _ in group], axis), group, strict=True)}
        named = title if together or len(drawn) == 1 else f"{title}, {group[0][0]}"
        yield Signal(named, (Axis(axis, group[0][1], along),), fields, path, {**about, "curves": [d for d, _, _ in group]},
                     kind="Gwyddion graph", warnings=remarks)


def _spectra(path: Path, name: str, spectra: Parts, title: str) -> Iterator[Signal]:
    lines = [part(line, "GwyDataLine") for line in _listed(spectra, "data")]
    places = _numbers(spectra, "coords")
    if places.size != 2 * len(lines):
        raise UnreadableFile(path, f"has {len(lines)} spectra and {places.size} numbers of their places", where=name)
    lateral = unit_of(unit_under(spectra, "si_unit_xy"))
    lateral = lateral if compatible(lateral, "nm") else ""
    like: dict[tuple[Any, ...], list[int]] = {}
    for number, line in enumerate(lines):
        size, data = line.get("res", 0), _numbers(line, "data")
        if size != data.size or not size:
            raise UnreadableFile(path, f"spectrum {number + 1} declares {size} numbers and holds {data.size}", where=name)
        key = (size, line.get("real"), line.get("off", 0.0), *(unit_under(line, f"si_unit_{axis}") for axis in "xy"))
        like.setdefault(key, []).append(number)
    along_name, what = (variable_name(str(spectra.get(f"spec_{axis}label") or default))[0]
                        for axis, default in (("x", "x"), ("y", "value")))
    remarks = ("spectra over unlike axes are given apart",) if len(like) > 1 else ()
    for (size, real, offset, along, unit), chosen in like.items():
        step = positive(real) / size
        known = np.isfinite(step)
        abscissa = Axis.even(along_name, size, step if known else 1.0, float(offset), unit_of(along) if known else "")
        where = places.reshape(-1, 2)[chosen] * (float(converted(1.0, lateral, "nm")) if lateral else 1.0)
        position = Axis("position", np.array(chosen, np.float64), "",
                        {"position_x": (where[:, 0], "nm"), "position_y": (where[:, 1], "nm")} if lateral else {})
        data = np.stack([_numbers(lines[i], "data") for i in chosen])
        fields = {what if what != along_name else "value": Field(data, unit_of(unit))}
        yield Signal(title, (position, abscissa), fields, path,
                     {} if lateral else {"places": where.tolist()}, kind="Gwyddion spectra", warnings=remarks)


def _surface(path: Path, name: str, surface: Parts, title: str) -> Iterator[Signal]:
    points = _numbers(surface, "data")
    if points.size == 0 or points.size % 3:
        raise UnreadableFile(path, f"holds {points.size} numbers, which are no points of three", where=name)
    x, y, z = points.reshape(-1, 3).T
    lateral = unit_of(unit_under(surface, "si_unit_xy"))
    fields = {"value": Field(z, unit_of(unit_under(surface, "si_unit_z"))), "x_channel": Field(x, lateral),
              "y_channel": Field(y, lateral)}
    yield Signal(title, (Axis("point", np.arange(float(z.size))),), fields, path, kind="Gwyddion points")


def _lawn(path: Path, name: str, lawn: Parts, title: str) -> Iterator[Signal]:
    rows, columns, curves = (lawn.get(key, 0) for key in ("yres", "xres", "ncurves"))
    lengths, data = lawn.get("curvelengths"), _numbers(lawn, "data")
    if not isinstance(lengths, np.ndarray) or lengths.size != rows * columns or not lengths.size or curves < 1 or (
            (lengths < 0).any() or curves * int(lengths.sum(dtype=np.int64)) != data.size):
        held = lengths.size if isinstance(lengths, np.ndarray) else "no"
        raise UnreadableFile(path, f"declares {rows} x {columns} pixels of {curves} curves and holds {held} lengths and "
                                   f"{data.size} numbers", where=name)
    longest = int(lengths.max())
    if longest == 0 or rows * columns * longest * curves > MOST_PADDING * max(data.size, 1 << 16):
        raise UnreadableFile(path, f"has curves of up to {longest} points at {rows * columns} pixels and {data.size} numbers: "
                                   "too few of them are filled", where=name)
    filled = np.full((curves, rows * columns, longest), np.nan)
    start = 0
    for pixel, length in enumerate(lengths.tolist()):
        filled[:, pixel, :length] = data[start:start + curves * length].reshape(curves, length)
        start += curves * length
    labels = [label for label in _listed(lawn, "curve_labels") if isinstance(label, str)]
    labels = labels if len(labels) == curves else [f"curve {i + 1}" for i in range(curves)]
    units = [part(unit, "GwySIUnit").get("unitstr", "") for unit in _listed(lawn, "si_units_curves")]
    units = units if len(units) == curves else [""] * curves
    shape = (rows, columns, longest)
    fields = {key: Field(values.reshape(shape), unit_of(str(unit)))
              for key, values, unit in zip(_unlike(labels, "point"), filled, units, strict=True)}
    if (segments := _segments(lawn, rows * columns, longest)) is not None:
        fields["segment"] = Field(segments.reshape(shape), "1")
    grid = []
    for axis, size in (("y", rows), ("x", columns)):
        step = positive(lawn.get(f"{axis}real")) / size
        known = np.isfinite(step)
        grid.append(Axis.even(axis, size, step if known else 1.0, float(lawn.get(f"{axis}off", 0.0)),
                              unit_of(unit_under(lawn, "si_unit_xy")) if known else ""))
    remarks = []
    if short := int((lengths < longest).sum()):
        remarks.append(f"the curves of {short} of {rows * columns} pixels are shorter than {longest} points: they end in NaN")
    if segments is None and ("segments" in lawn or lawn.get("nsegments")):
        remarks.append(f"the segments of {title!r} do not fit its pixels: they are not read")
    yield Signal(title, (*grid, Axis("point", np.arange(float(longest)))), fields, path,
                 {"segments": _listed(lawn, "segment_labels")}, kind="Gwyddion curves",
                 warnings=tuple(remarks))


def _segments(lawn: Parts, pixels: int, longest: int) -> NDArray[np.int8] | None:
    """Number of the segment of each point of each pixel, -1 where there is none."""
    count, bounds = lawn.get("nsegments", 0), lawn.get("segments")
    if not isinstance(bounds, np.ndarray) or not 0 < count < np.iinfo(np.int8).max or bounds.size != 2 * pixels * count:
        return None
    found = np.full((pixels, longest), -1, np.int8)
    points = np.arange(longest)
    for number in range(count):
        first, end = bounds.reshape(pixels, count, 2)[:, number].T
        found[(points >= first[:, None]) & (points < end[:, None])] = number
    return found


def _listed(parts: Parts, name: str) -> list[Any]:
    found = parts.get(name)
    return found if isinstance(found, list) else []


def _numbers(parts: Parts, name: str) -> NDArray[np.float64]:
    found = parts.get(name)
    return found.astype(np.float64) if isinstance(found, np.ndarray) else np.empty(0)


def _unlike(names: list[str], axis: str) -> list[str]:
    """Names of variables, each once and none that of the axis."""
    taken: list[str] = []
    for number, name in enumerate(names, 1):
        key = variable_name(name)[0]
        taken.append(f"{key}_{number}" if key in (*taken, axis, "x", "y", "segment") else key)
    return taken


KINDS: dict[str, Callable[[Path, str, Parts, str], Iterator[Signal]]] = {
    "GwyGraphModel": _graph, "GwySpectra": _spectra, "GwySurface": _surface, "GwyLawn": _lawn}
"""Class of an object -> what makes signals of it."""
