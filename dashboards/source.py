"""What the pages read of a study: cached by version, and no larger than a screen needs."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from correlate.element_map import element_map, mappable, registration_image
from correlate.pairs import reference_of
from correlate.study import ACQUISITION, ADJUSTMENT, DESCRIPTORS, MODEL, TRANSFORM, Acquisition, Study
from dashboards.bent import BentRaster
from dashboards.ellipse import holds
from dashboards.tiles import Raster, Tiled, halved, picture_key
from datasets.sheet import Sheet
from datasets.technique import Technique
from datasets.techniques import TECHNIQUES
from datasets.terms import SPATIAL
from registration import FrameError, FrameGraph, Transform
from registration.warp import AnyTransform, Chain, Warp

Floats = NDArray[np.float64]
T = TypeVar("T")

MEAN_AT_MOST_PIXELS = 4096
"""A mean over a larger ellipse would read too much of a spectrum image for a click."""


@dataclass(frozen=True)
class Picture:
    """Something that can be shown as a layer.

    kind : "image"; "map" where the file itself holds a map; "whole" for the thickness or the summed counts of a spectrum
        image, and "element" for the map of one element, both made when they are looked at
    """

    key: str
    unit: str
    version: str
    kind: str
    element: str
    technique: Technique
    note: str = ""

    @property
    def is_map(self) -> bool:
        return self.kind != "image"

    @property
    def is_stored(self) -> bool:
        return self.kind in ("image", "map")


@dataclass(frozen=True)
class Place:
    """Where an acquisition lies in its sample's reference frame.

    status : "reference", "placed", "proposed", "rejected", or "none" where nobody tried
    transform : own frame -> reference frame, straight or bent; None unless placed
    error_nm : 95 % radius as the registration states it, NaN where unknown
    """

    status: str
    transform: AnyTransform | None = None
    error_nm: float = float("nan")
    reasons: tuple[str, ...] = ()

    @property
    def bends(self) -> Warp | Chain | None:
        """The transform where it bends."""
        return None if isinstance(self.transform, Transform) else self.transform


@dataclass(frozen=True, eq=False)
class SpectrumAt:
    """Spectrum of one pixel of a spectrum image, and its mean over the ellipse in which the place is known.

    index : (row, column); n : pixels in the mean, 0 where no mean was taken
    """

    axis: xr.DataArray
    pixel: Floats
    mean: Floats
    index: tuple[int, int]
    n: int
    units: str


class Source:
    """Reads one study for the pages; nothing is written, and what cannot have changed is not read again."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.sheet: Sheet = study.sheet
        self._kept: dict[str, tuple[Any, Any]] = {}
        self._pictures: dict[str, Picture] = {}
        self._bent: dict[str, tuple[Picture, AnyTransform]] = {}

    # the study as a whole

    def acquisitions(self, sample: str | None = None) -> list[Acquisition]:
        """What is in the store, in the order of the sheet."""
        return self.study.acquisitions(sample)

    def acquisition(self, unit: str) -> Acquisition | None:
        """A row of the catalogue; None for any name that is not in it."""
        return next((a for a in self.acquisitions() if a.unit == unit), None)

    def measurements(self) -> pd.DataFrame:
        """Every descriptor value, one row each."""
        return self.once("measurements", self._state(DESCRIPTORS), self.study.measurements)

    def table(self) -> pd.DataFrame:
        """One row per sample."""
        return self.once("table", self._state(DESCRIPTORS), self.study.table)

    def alignments(self) -> pd.DataFrame:
        """One row per registration that was tried."""
        return self.once("alignments", (self._state(TRANSFORM), self._state(ADJUSTMENT)), self.study.alignments)

    def model(self) -> dict[str, Any] | None:
        """The last model, None if none was fitted."""
        return self.once("model", self._state(MODEL), self.study.model)

    def stale(self) -> dict[str, list[str]]:
        """Derived units whose parents have moved on."""
        return self.study.store.stale()

    # one sample

    def places(self, sample: str) -> tuple[str | None, dict[str, Place]]:
        """The reference frame of a sample (None if nothing can carry one), and where each acquisition lies in it."""
        state = (self._state(TRANSFORM), self._state(ADJUSTMENT), self._state(ACQUISITION))
        return self.once(f"places {sample}", state, lambda: self._places(sample))

    def pictures(self, sample: str) -> list[Picture]:
        """Everything of a sample that can be a layer, images first."""
        found = [p for a in self.acquisitions(sample) for p in self._pictures_of(a)]
        self._pictures.update({p.key: p for p in found})
        return sorted(found, key=lambda p: p.is_map)

    def bent_key(self, picture: Picture, transform: AnyTransform) -> str:
        """The key of a picture as a map bends it."""
        key = picture_key(picture.key, json.dumps(transform.to_dict()))
        self._bent[key] = (picture, transform)
        return key

    def tiled(self, key: str) -> Tiled:
        """What the tiles of a picture are cut from, straight or bent.

        Raises
        ------
        KeyError
            For every key that the study does not yield.
        """
        if key not in self._pictures and key not in self._bent:  # a browser may remember a page that this process never served
            for sample in self.sheet.samples:
                places = self.places(sample)[1]
                for p in self.pictures(sample):
                    place = places.get(p.unit)
                    if place is not None and place.bends is not None:
                        self.bent_key(p, place.bends)
        if key not in self._bent:
            return self.raster(key)
        picture, transform = self._bent[key]
        return self.once(f"raster {key}", picture.version, lambda: BentRaster(self.raster(picture.key), transform))

    def raster(self, key: str) -> Raster:
        """Pixels of a picture in levels, in its own frame.

        Raises
        ------
        KeyError
            For every key that the catalogue does not yield.
        """
        if key not in self._pictures:  # a browser may remember a page that this process never served
            for sample in self.sheet.samples:
                self.pictures(sample)
        picture = self._pictures[key]
        return self.once(f"raster {key}", picture.version, lambda: self._raster(picture))

    def grid(self, picture: Picture) -> tuple[xr.DataArray, ...]:
        """Levels of a map as they will be, with coordinates but without values: maps are made when they are looked at."""
        ds = self.study.open(picture.unit)
        shape = (ds.sizes["y"], ds.sizes["x"])
        return halved(xr.DataArray(np.zeros(shape, np.float32), {"y": ds["y"], "x": ds["x"]}, ("y", "x")))

    def elements(self, a: Acquisition) -> list[str]:
        """Elements of which a spectrum image can give a map."""
        def found() -> list[str]:
            return [element for element, why_not in mappable(self.study.open(a.unit)).items() if not why_not]

        return self.once(f"elements {a.unit}", a.version, found)

    def map_of(self, picture: Picture) -> xr.Dataset:
        """Counts and their std of an element map."""
        return self.once(f"map {picture.key}", picture.version,
                          lambda: element_map(self.study.open(picture.unit), picture.element))

    def value_at(self, picture: Picture, point: Floats) -> tuple[float, float, str] | None:
        """(value, std, unit) of the pixel under a point (y, x) of the picture's own frame; None outside the field.

        The std is NaN where none is known, as for the grey values of a detector.
        """
        if picture.kind == "element":
            counts, std = (_plane(self.map_of(picture)[name]) for name in ("counts", "counts_std"))
            index = pixel_at(counts, point)
            return None if index is None else (float(counts[index]), float(std[index]), str(counts.attrs.get("units", "")))
        image = self.raster(picture.key).levels[0]
        index = pixel_at(image, point)
        return None if index is None else (float(image[index].values), float("nan"), str(image.attrs.get("units", "")))

    def spectrum_at(self, unit: str, point: Floats, covariance: Floats | None) -> SpectrumAt | None:
        """Spectra of a spectrum image at a point (y, x) of its own frame, nm; None outside its field.

        The mean runs over the pixels whose centre lies in the 95 % ellipse of `covariance` (2, 2), nm²; there is none
        where the covariance is unknown or the ellipse holds more than MEAN_AT_MOST_PIXELS.
        """
        ds = self.study.open(unit)
        data = main_variable(ds, str(ds.attrs["technique"]))
        index = pixel_at(data, point)
        if index is None:
            return None
        lead = data.isel(dict.fromkeys(data.dims[:-3], 0))
        pixel = np.asarray(lead.isel(y=index[0], x=index[1]).values, np.float64)
        mean, n = np.full_like(pixel, np.nan), 0
        if covariance is not None and np.isfinite(covariance).all():
            y, x = data["y"].values, data["x"].values
            inside = holds(y, x, point, covariance)
            inside[index] = True
            rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
            box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
            if inside[box].size <= MEAN_AT_MOST_PIXELS:
                block = np.asarray(lead.isel(y=box[0], x=box[1]).values, np.float64)
                mean, n = block[inside[box]].mean(0), int(inside.sum())
        return SpectrumAt(data[str(data.dims[-1])], pixel, mean, index, n, str(data.attrs.get("units", "")))

    # how it is done

    def _state(self, kind: str) -> tuple[tuple[str, str], ...]:
        rows = self.study.store.catalogue(kind)
        return tuple(sorted(zip(rows["unit"], rows["version"], strict=True))) if len(rows) else ()

    def once(self, name: str, state: Any, make: Callable[[], T]) -> T:
        """What `make` gave last time, unless what it was made from has changed."""
        held = self._kept.get(name)
        if held is None or held[0] != state:
            held = self._kept[name] = (state, make())
        return cast(T, held[1])

    def _places(self, sample: str) -> tuple[str | None, dict[str, Place]]:
        fields = [a for a in self.acquisitions(sample) if a.is_placed_in_space]
        graph = self.study.frames(sample)
        reference = reference_frame(fields, graph)
        table = self.alignments()
        rows = table[table["sample"] == sample].to_dict("records")
        used = {frozenset((str(r["moving"]), str(r["fixed"]))): r for r in rows if r["status"] == "accepted"}
        tried: dict[str, Mapping[Any, Any]] = {str(row["moving"]): row for row in rows}
        places = {}
        for a in fields:
            if a.unit == reference:
                places[a.unit] = Place("reference", Transform.identity(a.unit, a.unit), 0.0)
                continue
            transform, steps = None, chain(a.unit, tried, reference)
            try:
                frames = graph.between(a.unit, cast(str, reference))
                transform, steps = graph.path(a.unit, cast(str, reference)), [used[frozenset(p)] for p in pairwise(frames)]
            except FrameError:  # it stays where it is, with what was tried
                transform = None
            error = math.hypot(*(_number(step["error_nm"]) for step in steps)) if steps else float("nan")
            reasons = tuple(reason for step in steps for reason in step["reasons"])
            waiting = [str(step["status"]) for step in steps if step["status"] in ("proposed", "rejected")]
            status = "placed" if transform is not None else waiting[-1] if waiting else "none"
            places[a.unit] = Place(status, transform, error, reasons)
        return reference, places

    def _pictures_of(self, a: Acquisition) -> list[Picture]:
        technique = TECHNIQUES.get(a.technique, TECHNIQUES["unknown"])

        def picture(kind: str, element: str = "", note: str = "") -> Picture:
            return Picture(picture_key(a.unit, a.version, kind, element), a.unit, a.version, kind, element, technique, note)

        if is_image(a):
            planes = int(np.prod(a.shape[:-2]))
            return [picture("image" if technique.family == "image" else "map", note=f"first of {planes}" if planes > 1 else "")]
        if is_spectrum_image(a):
            return [picture("whole"), *(picture("element", element) for element in self.elements(a))]
        return []

    def _raster(self, picture: Picture) -> Raster:
        if picture.is_stored:
            levels = self.study.store.levels(picture.unit)
            return Raster(tuple(_plane(level) for level in levels), lossless=picture.is_map)
        if picture.element:
            return Raster(halved(_plane(self.map_of(picture)["counts"])), lossless=True)
        return Raster(halved(registration_image(self.study.open(picture.unit))), lossless=True)


def main_variable(ds: xr.Dataset, technique: str) -> xr.DataArray:
    """The variable that a technique is about; the first where the technique is not known."""
    quantity = TECHNIQUES[technique].quantity if technique in TECHNIQUES else ""
    return ds[quantity] if quantity in ds else ds[next(iter(ds.data_vars))]


def is_image(a: Acquisition) -> bool:
    """Whether the data end in (y, x) with more than one pixel along each."""
    return a.dims[-2:] == ("y", "x") and min(a.shape[-2:]) > 1


def is_spectrum_image(a: Acquisition) -> bool:
    """Whether the data end in (y, x, energy) with more than one pixel in space."""
    return len(a.dims) >= 3 and a.dims[-3:-1] == ("y", "x") and a.dims[-1] not in SPATIAL and max(a.shape[-3:-1]) > 1


def reference_frame(fields: list[Acquisition], graph: FrameGraph) -> str | None:
    """The frame in which a sample is shown: the one most others can reach, then the usual one, then the widest."""
    known = set(graph.frames())
    usual = reference_of(fields)

    def rank(a: Acquisition) -> tuple[int, bool, float]:
        reach = len(graph.connected(a.unit)) if a.unit in known else 0
        return reach, usual is not None and a.unit == usual.unit, float(np.prod(a.extent_nm))

    best = max(fields, key=rank, default=None)
    return best.unit if best else None


def chain(unit: str, tried: Mapping[str, Mapping[Any, Any]], reference: str | None) -> list[Mapping[Any, Any]]:
    """The registrations by which an acquisition goes to the reference, its own first: a map goes with the image of its scan."""
    steps: list[Mapping[Any, Any]] = []
    while unit != reference and unit in tried and tried[unit] not in steps:
        steps.append(tried[unit])
        unit = str(tried[unit]["fixed"])
    return steps


def pixel_at(image: xr.DataArray, point: Floats) -> tuple[int, int] | None:
    """(row, column) of the pixel that holds a point (y, x) in the unit of the coordinates; None outside."""
    found = []
    for value, axis in zip(point, (image["y"].values, image["x"].values), strict=True):
        step = (axis[-1] - axis[0]) / (len(axis) - 1) if len(axis) > 1 else 1.0
        position = (value - axis[0]) / step
        if not -0.5 <= position < len(axis) - 0.5:
            return None
        found.append(round(float(position)))
    return found[0], min(found[1], image.sizes["x"] - 1)


def _plane(image: xr.DataArray) -> xr.DataArray:
    return image.isel(dict.fromkeys(image.dims[:-2], 0))


def _number(value: Any) -> float:
    return float(value) if value is not None else float("nan")
