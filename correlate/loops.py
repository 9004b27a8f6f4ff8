"""Registrations of a sample that form loops: made to agree, and doubted where they cannot."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from correlate.study import ADJUSTMENT, Records, Study, adjustment_unit, graph_of
from datasets.provenance import own_version
from registration import Adjustment, FrameError, FrameGraph, Transform, adjusted
from registration.adjustment import looped
from registration.transform import radius_95

Found = dict[str, dict[str, Any]]


def adjust_sample(study: Study, sample: str, records: Records) -> Found:
    """Close the loops of a sample's accepted registrations, `records`, and store what that took; unit -> what it changes.

    A registration that the loops speak against is doubtful from then on where its correction would be larger than a pixel
    of its coarser image: it makes no path until a person decides. A smaller one is used corrected, with the reason told.
    """
    graph = graph_of(records.values())
    if not looped(graph):
        return {}
    known = study.adjustment(sample, records)
    if known is not None:
        return dict(known["found"])
    units = [u for u, r in records.items() if r["transform"] is not None]
    fields = {u: _corners(study, str(records[u]["moving"])) for u in units}
    pixels = {u: float(records[u]["coarser_pixel_nm"]) for u in units}
    found, doubted = _adjusted(graph, [fields[u] for u in units], [pixels[u] for u in units],
                               {n for n, u in enumerate(units) if records[u].get("decision")})
    told = _told(units, graph, found, doubted, fields)
    attrs = {"loops": {"adjustment": found.to_dict(), "found": told}, "sample": sample, "title": f"loops of {sample}",
             "technique": "", "recipe": {"version": own_version()}, "synthetic": study.sheet.synthetic}
    study.store.publish(adjustment_unit(sample), xr.Dataset(attrs=attrs), kind=ADJUSTMENT,
                        parents={u: str(r["version"]) for u, r in records.items()})
    return told


def _adjusted(graph: FrameGraph, fields: list[np.ndarray[Any, Any]], pixels: list[float],
              decided: set[int]) -> tuple[Adjustment, dict[int, str]]:
    """The adjustment of what the loops do not contradict, and edge -> why it is doubted.

    What a person decided is doubted only where a loop of nothing else cannot be closed at all.
    """
    doubted: dict[int, str] = {}
    while True:
        rest = FrameGraph(replace(e, status="proposed") if n in doubted else e for n, e in enumerate(graph.edges))
        try:
            found = adjusted(rest)
        except FrameError as error:
            around = looped(rest)
            doubted |= {n: str(error) for n in around if n not in decided} or {n: str(error) for n in around}
            continue
        new = {}
        for n, edge in enumerate(rest.edges):
            ends = edge.transform.source, edge.transform.target
            moved = found.graph.edges[n].transform.apply(fields[n]) - edge.transform.apply(fields[n])
            size = float(np.linalg.norm(moved, axis=1).max())
            if ends in found.suspects and size > pixels[n] and n not in decided:
                new[n] = (f"the loop {_listed(rest, n)} closes only if this is moved by {size:.3g} nm, more than its stated "
                          f"error explains (probability {found.probability:.1g})")
        if not new:
            return found, doubted
        doubted |= new


def _told(units: list[str], graph: FrameGraph, found: Adjustment, doubted: dict[int, str], fields: dict[str, Any]) -> Found:
    """Unit -> the columns of `Study.alignments` that the loops change."""
    told: Found = {}
    for n, unit in enumerate(units):
        before, after = graph.edges[n], found.graph.edges[n]
        ends = before.transform.source, before.transform.target
        if n in doubted:
            told[unit] = {"verdict": "doubtful", "status": "proposed", "loop": doubted[n]}
        elif n in found.graph.numbers and found.freedom:
            assert isinstance(after.transform, Transform)
            told[unit] = {"transform": after.transform.to_dict(),
                          "error_nm": radius_95(after.transform.covariance_at(fields[unit]))}
            if ends in found.suspects:
                told[unit]["loop"] = (f"the loop {_listed(graph, n)} does not close within the stated errors (probability "
                                      f"{found.probability:.1g}); corrected by less than a pixel")
    return told


def _corners(study: Study, unit: str) -> np.ndarray[Any, Any]:
    """(5, 2) corners and middle of a field, nm."""
    a = study.acquisition(unit)
    if a is None or not a.is_placed_in_space:
        return np.zeros((1, 2))
    y, x = ((float(a.coords[d]["first"]), float(a.coords[d]["last"])) for d in ("y", "x"))
    return np.array([[p, q] for p in y for q in x] + [[np.mean(y), np.mean(x)]])


def _listed(graph: FrameGraph, number: int) -> str:
    """The frames around an edge: its ends, and the way back over the others."""
    edge = graph.edges[number]
    others = FrameGraph(e for n, e in enumerate(graph.edges) if n != number)
    for name in graph.frames():
        others.add_frame(name)
    return " - ".join(_short([edge.transform.source, *others.between(edge.transform.target, edge.transform.source)]))


def _short(frames: Iterable[str]) -> list[str]:
    """Names without the sample, which is that of all."""
    return [name.split("/", 1)[-1] for name in frames]
