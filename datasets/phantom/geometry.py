"""Where each acquisition looked: the true transform from its own calibrated coordinates to the sample frame."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.phantom.fields import Deposit

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Nuisance:
    """Spread of what the operator does not control: rotation deg, scale, shear, relative; row jitter in pixels."""

    rotation_deg: float
    scale: float
    shear: float
    jitter_px: float


STEM = Nuisance(rotation_deg=4.0, scale=0.010, shear=0.002, jitter_px=0.25)
SPECTRUM_IMAGE = Nuisance(rotation_deg=4.0, scale=0.010, shear=0.003, jitter_px=0.1)
HRTEM = Nuisance(rotation_deg=2.0, scale=0.005, shear=0.0, jitter_px=0.0)


@dataclass(frozen=True)
class View:
    """One acquisition's field of view.

    shape : pixels (y, x)
    pixel_nm : of the detector as the instrument believes it; the file's coordinate of pixel i is i * pixel_nm
    matrix : (2, 3); takes such (y, x) in nm to the sample frame's (y, x) in nm
    jitter_nm : (y,) displacement of each row along x
    """

    shape: tuple[int, int]
    pixel_nm: float
    matrix: Array
    jitter_nm: Array

    def sample_points(self) -> tuple[Array, Array]:
        """Sample coordinates (y, x), nm, that each pixel looks at: two arrays (y, x)."""
        y, x = np.meshgrid(np.arange(self.shape[0]) * self.pixel_nm, np.arange(self.shape[1]) * self.pixel_nm, indexing="ij")
        x = x + self.jitter_nm[:, None]
        m = self.matrix
        return m[0, 0] * y + m[0, 1] * x + m[0, 2], m[1, 0] * y + m[1, 1] * x + m[1, 2]

    def true_pixel_nm(self) -> float:
        """Side of a pixel on the sample."""
        return self.pixel_nm * float(np.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))

    def corners(self) -> list[list[float]]:
        """Corners of the field in the sample frame, (y, x) nm, in order round the field."""
        high, wide = ((n - 1) * self.pixel_nm for n in self.shape)
        return [(self.matrix @ (y, x, 1.0)).tolist() for y, x in ((0.0, 0.0), (0.0, wide), (high, wide), (high, 0.0))]


@dataclass(frozen=True)
class Placement:
    """Where the deposit lies in the sample frame: its own (v, u) axes are turned by `angle` and moved by `shift` (y, x)."""

    angle: float
    shift: tuple[float, float]

    def deposit_coordinates(self, y: Array, x: Array) -> tuple[Array, Array]:
        """Axial and transverse coordinates (u, v), nm, of sample points."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        dy, dx = y - self.shift[0], x - self.shift[1]
        return c * dx + s * dy, c * dy - s * dx

    def sample_point(self, u: float, v: float) -> tuple[float, float]:
        """Sample (y, x), nm, of deposit coordinates."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        return self.shift[0] + s * u + c * v, self.shift[1] + c * u - s * v


def placed(rng: np.random.Generator) -> Placement:
    """A placement on the electrode; the sample frame begins at a mark some micrometres away."""
    return Placement(float(np.deg2rad(rng.uniform(-25, 25))), (float(rng.uniform(2000, 9000)), float(rng.uniform(2000, 9000))))


def look_at(centre: tuple[float, float], shape: tuple[int, int], pixel_nm: float, nuisance: Nuisance,
            rng: np.random.Generator) -> View:
    """A view centred on sample point (y, x), with rotation, scale error, shear and row jitter drawn.

    Slow drift along the frame is a shear and a stretch, so it is part of `matrix`; what remains is the jitter of rows.
    """
    angle = np.deg2rad(rng.normal(0, nuisance.rotation_deg))
    stretch = np.diag(1 + rng.normal(0, nuisance.scale) + rng.normal(0, 0.2 * nuisance.scale, 2))
    shear = np.array([[1.0, 0.0], [rng.normal(0, nuisance.shear), 1.0]])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ stretch @ shear
    middle = (np.array(shape) - 1) / 2 * pixel_nm
    jitter = rng.normal(0, nuisance.jitter_px * pixel_nm, shape[0])
    return View(shape, pixel_nm, np.column_stack([linear, np.array(centre) - linear @ middle]), jitter)


def overlap_fraction(a: Mapping[str, Any], b: Mapping[str, Any]) -> float:
    """Share of the smaller field that the other covers, from the corners of two entries of truth/frames.json."""
    pa, pb = (np.array(entry["corners"], dtype=float) for entry in (a, b))
    lost = pa
    for start, end in zip(pb, np.roll(pb, -1, axis=0), strict=True):
        lost = _clipped(lost, start, end, np.sign(_area(pb)))
        if not len(lost):
            return 0.0
    return float(abs(_area(lost)) / min(abs(_area(pa)), abs(_area(pb))))


def _area(polygon: Array) -> float:
    y, x = polygon.T
    return float(0.5 * np.sum(y * np.roll(x, -1) - x * np.roll(y, -1)))


def _clipped(polygon: Array, start: Array, end: Array, side: float) -> Array:
    """The part of a polygon on the inner side of a line (Sutherland and Hodgman 1974)."""
    edge = end - start
    inside = side * (edge[0] * (polygon[:, 1] - start[1]) - edge[1] * (polygon[:, 0] - start[0]))
    kept = []
    for i, point in enumerate(polygon):
        j = (i + 1) % len(polygon)
        if inside[i] >= 0:
            kept.append(point)
        if inside[i] * inside[j] < 0:
            kept.append(point + (polygon[j] - point) * inside[i] / (inside[i] - inside[j]))
    return np.array(kept)


def field_centre(deposit: Deposit, placement: Placement, along: float) -> tuple[float, float]:
    """Sample point on the deposit's axis, `along` field widths before its tip."""
    u = deposit.tip_nm - along * deposit.field_nm
    return placement.sample_point(u, float(deposit.deviation(np.array(u))))
