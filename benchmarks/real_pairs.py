"""How often real pairs of two modalities, with truth by other people, are placed within 1 % and 2 % of the diagonal.

    python benchmarks/real_pairs.py [--data ../shared/data/registration] [--only visible-infrared ...] [--save rows.csv]

The images belong to other people and are not part of the project. Nothing is told to `align` but the images, their pixel taken
as 1 nm. Errors are mean distances at the given landmarks, or over a grid of the
overlap where a matrix is given.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from registration import align  # noqa: E402

LANDMARKED = {"mr_pet": "MR-PET", "spect_ct": "SPECT-CT", "vis_ir": "visible-infrared", "pd_t1": "PD-T1",
              "depthoptical": "depth-optical", "infrared_optical": "infrared-optical", "map_optical": "map-optical",
              "sar_optical": "SAR-optical"}
TURNED = {"Optical-Depth": "depth-optical", "Optical-Infrared": "infrared-optical", "Optical-Map": "map-optical",
          "Optical-SAR": "SAR-optical (turned)"}


@dataclass(frozen=True)
class Pair:
    """Images as read, and where points (n, 2) of the moving one, nm (y, x), lie in the fixed one."""

    modalities: str
    name: str
    fixed: xr.DataArray
    moving: xr.DataArray
    points: np.ndarray
    truth: np.ndarray


def image(path: Path, frame: str) -> xr.DataArray:
    """An image file as a calibrated one."""
    values = np.asarray(Image.open(path).convert("L"), np.float32)
    coords = {d: (d, np.arange(float(n)), {"units": "nm"}) for d, n in zip("yx", values.shape, strict=True)}
    return xr.DataArray(values, coords, ("y", "x"), attrs={"frame": frame})


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


def pairs(data: Path) -> Iterator[Pair]:
    """All pairs found below a folder laid out as MANIFEST.tsv says."""
    yield from landmarked(data / "starainj")
    for name in TURNED:
        yield from turned(data / "srif" / name)


def run(data: Path, only: list[str]) -> pd.DataFrame:
    rows = []
    for pair in pairs(data):
        if only and pair.modalities not in only and pair.name not in only:
            continue
        start = time.process_time()
        found = align(pair.fixed, pair.moving, model="affine")
        cpu = time.process_time() - start
        error = np.linalg.norm(found.transform.apply(pair.points) - pair.truth, axis=1).mean()
        part = float(error / np.hypot(*pair.fixed.shape))
        rows.append({"modalities": pair.modalities, "name": pair.name, "error": error, "part": part, "cpu": cpu,
                     "verdict": found.verdict} | found.metrics | {"reasons": "; ".join(found.reasons)})
        print(f"{pair.name:22s}{error:8.2f} px {part:7.2%}  {found.verdict:9s}{cpu:5.1f} s  evidence "
              f"{found.metrics['evidence']:.0f} margin {found.metrics['margin']:.2f} held out {found.metrics['held_out']:.0f} "
              f"expected {found.metrics['expected_error_px']:.2f}", flush=True)
    return pd.DataFrame(rows)


def report(d: pd.DataFrame) -> None:
    good = d.verdict == "good"
    table = pd.DataFrame({"pairs": 1, "within 1 %": d.part < 0.01, "within 2 %": d.part < 0.02, "good": good,
                          "good but beyond 2 %": good & (d.part >= 0.02)}).groupby(d.modalities, sort=False).sum()
    print("\n" + table.to_string())
    right = d.part < 0.01
    print(f"called good {int(good.sum())}, of these beyond 1 %: {int((good & ~right).sum())}; "
          f"right ones called good {int((good & right).sum())}/{int(right.sum())}; CPU mean {d.cpu.mean():.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "registration")
    parser.add_argument("--only", nargs="*", default=[], help="names of modalities or pairs")
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    d = run(args.data, args.only)
    report(d)
    if args.save:
        d.to_csv(args.save, index=False)


if __name__ == "__main__":
    main()
