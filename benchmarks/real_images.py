"""Pairs of real images of two modalities, and where points of one lie in the other, as other people found it.

The images belong to other people and are not part of the project; each pixel is taken as 1 nm.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import xarray as xr
from PIL import Image

LANDMARKED = {"mr_pet": "MR-PET", "spect_ct": "SPECT-CT", "vis_ir": "visible-infrared", "pd_t1": "PD-T1",
              "depthoptical": "depth-optical", "infrared_optical": "infrared-optical", "map_optical": "map-optical",
              "sar_optical": "SAR-optical"}
TURNED = {"Optical-Depth": "depth-optical", "Optical-Infrared": "infrared-optical", "Optical-Map": "map-optical",
          "Optical-SAR": "SAR-optical (turned)"}
ONE_SCAN = "EBSD, one scan"
UNJUDGED = "SAR-optical (turned)"
"""Its matrices are one and the same file, though the images are turned by between 8 and 78 degrees."""


@dataclass(frozen=True)
class Pair:
    """Images as read, and where points (n, 2) of the moving one, nm (y, x), lie in the fixed one."""

    modalities: str
    name: str
    fixed: xr.DataArray
    moving: xr.DataArray
    points: np.ndarray
    truth: np.ndarray


def calibrated(values: np.ndarray, frame: str, pixel: float = 1.0, origin: tuple[float, float] = (0.0, 0.0)) -> xr.DataArray:
    """Values (y, x) as an image whose first pixel lies at `origin`, nm."""
    coords = {d: (d, o + np.arange(float(n)) * pixel, {"units": "nm"})
              for d, n, o in zip("yx", values.shape, origin, strict=True)}
    return xr.DataArray(values, coords, ("y", "x"), attrs={"frame": frame})


def image(path: Path, frame: str) -> xr.DataArray:
    """An image file as a calibrated one."""
    return calibrated(np.asarray(Image.open(path).convert("L"), np.float32), frame)


def overlap(shape: tuple[int, int], onto: tuple[int, int],
            there: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 2) of a grid over one image that a map puts inside the other one, and where."""
    y, x = (np.linspace(0, n - 1, 9) for n in shape)
    points = np.stack(np.meshgrid(y, x, indexing="ij"), -1).reshape(-1, 2)
    truth = there(points)
    inside = ((truth >= 0) & (truth < onto)).all(1)
    return points[inside], truth[inside]


def landmarked(folder: Path) -> Iterator[Pair]:
    """Pairs with 20 landmarks in MATLAB's 1-based (x, y)."""
    for path in sorted(folder.glob("*.json"), key=lambda p: (p.stem.rsplit("_", 1)[0], int(p.stem.rsplit("_", 1)[1]))):
        saved = json.loads(path.read_text())
        moving, fixed = (np.array(saved[f"landmarks_{k}"])[:, ::-1] - 1 for k in ("moving", "fixed"))
        images = (image(path.with_name(f"{path.stem}_{k}.png"), k) for k in ("fixed", "moving"))
        yield Pair(LANDMARKED[path.stem.rsplit("_", 1)[0]], path.stem, *images, moving, fixed)


def turned(folder: Path) -> Iterator[Pair]:
    """Pairs with a matrix from pixels (x, y) of the first image to the second."""
    for path in sorted(folder.glob("gt_*.txt"), key=lambda p: int(p.stem[3:])):
        matrix = np.loadtxt(path).reshape(-1, 3)[:2]
        first, second = (image(path.with_name(f"pair{path.stem[3:]}_{k}.jpg"), f"image {k}") for k in (1, 2))
        points, truth = overlap(first.shape, second.shape,
                                lambda p, m=matrix: (p[:, ::-1] @ m[:, :2].T + m[:, 2])[:, ::-1])
        yield Pair(TURNED[folder.name], f"{folder.name} {path.stem[3:]}", second, first, points, truth)


def one_scan(path: Path) -> Iterator[Pair]:
    """Pairs of maps of one EBSD scan (.ang, one point a line): quality of the patterns, phase and one
    Euler angle. Every pixel lies where it lies, so the truth is exact; `real_variants.py` sets them apart.
    """
    a = np.loadtxt(path)
    shape = len(np.unique(a[:, 4])), len(np.unique(a[:, 3]))
    maps = {"quality": a[:, 5], "phase": a[:, 7], "orientation": a[:, 1]}
    grey = {}
    for name, values in maps.items():
        low, high = np.percentile(values, [1, 99])
        part = np.clip((values - low) / (high - low), 0, 1)
        grey[name] = calibrated((255 * part).astype(np.float32).reshape(shape), name)
    points, truth = overlap(shape, shape, lambda p: p)
    for first, second in combinations(grey, 2):
        yield Pair(ONE_SCAN, f"{first}-{second}", grey[first], grey[second], points, truth)


def pairs(data: Path) -> Iterator[Pair]:
    """All pairs found below a folder laid out as MANIFEST.tsv says, and beside it."""
    yield from landmarked(data / "starainj")
    for name in TURNED:
        yield from turned(data / "srif" / name)
    yield from one_scan(data.parent / "em" / "ebsd_sdss_ferrite_austenite.ang")
