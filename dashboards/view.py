"""What the stage shows, and where a point of it lies in the frame of each acquisition."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from correlate.study import Acquisition
from dashboards.ellipse import ellipse_95, outline
from dashboards.source import Place, Source
from registration import Transform
from registration.warp import Chain, Warp

Floats = NDArray[np.float64]
IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@dataclass(frozen=True, eq=False)
class View:
    """What the stage shows: all that is placed in a sample's reference frame, or one acquisition alone in its own.

    matrices : unit -> (2, 3) map of what is drawn of it to the stage: of its own (y, x), and nothing more to do where it bends,
        since it is drawn in the stage's frame then
    """

    sample: str
    frame: str | None
    alone: bool
    matrices: dict[str, Floats]
    places: dict[str, Place]
    unit: str

    def bend_of(self, unit: str) -> Warp | Chain | None:
        """How the picture of an acquisition is bent on the stage; None where it is straight."""
        return None if self.alone or unit not in self.places else self.places[unit].bends


def view_at(source: Source, sample: str, at: str) -> View:
    """The view that an address asks for; an acquisition that is not placed is shown alone, and one not known is ignored."""
    reference, places = source.places(sample)
    known = {a.unit: a for a in source.acquisitions(sample)}
    pictured = {p.unit for p in source.pictures(sample)}
    placed = {
        unit: place.transform.matrix if isinstance(place.transform, Transform) else IDENTITY
        for unit, place in places.items()
        if place.transform is not None and unit in pictured
    }
    if at in pictured and at not in placed:
        return View(sample, at, True, {at: IDENTITY}, places, "nm" if known[at].is_placed_in_space else "px")
    if reference is None and pictured:
        first = sorted(pictured)[0]
        return View(sample, first, True, {first: IDENTITY}, places, "px")
    return View(sample, reference, False, placed, places, "nm")


def point_of(click: dict[str, Any] | None) -> Floats | None:
    """(y, x) of a click anywhere on the stage; None for anything else a browser may send."""
    try:
        return np.array([float((click or {})["yvals"][0]), float((click or {})["xvals"][0])])
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def own_position(view: View, unit: str, point: Floats) -> tuple[Floats, Floats | None]:
    """A point of the stage in an acquisition's own frame, (y, x), and its covariance there, None where not known."""
    place = view.places.get(unit)
    if view.alone or place is None or place.transform is None:
        return point, None
    back = place.transform.inverse()
    covariance = back.covariance_at(point[None])[0]
    return back.apply(point[None])[0], covariance if np.isfinite(covariance).all() else None


def is_inside(a: Acquisition, own: Floats) -> bool:
    """Whether a point of an acquisition's own frame lies in its field."""
    for value, dim in zip(own, ("y", "x"), strict=True):
        axis = a.coords[dim]
        half = 0.5 * abs(float(axis["step"]))
        low, high = sorted((float(axis["first"]), float(axis["last"])))
        if not low - half <= value < high + half:
            return False
    return True


def marks(view: View, point: Floats) -> dict[str, Any]:
    """Cursor and, for every placed acquisition, the 95 % ellipse of where it would put this point."""
    y, x = point
    ellipses: list[dict[str, Any]] = []
    for unit in view.matrices:
        place = view.places.get(unit)
        if view.alone or place is None or place.transform is None or unit == view.frame:
            continue
        own, _ = own_position(view, unit, point)
        covariance = place.transform.covariance_at(own[None])[0]
        if np.isfinite(covariance).all() and covariance.max() > 0:
            ring = outline(point, ellipse_95(covariance))
            ellipses.append({"points": [[float(b), float(a)] for a, b in ring], "dashed": bool(ellipses)})
    return {"point": [float(x), float(y)], "ellipses": ellipses}
