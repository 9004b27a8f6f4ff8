"""How close to the physical bound drift is followed, what bending recovers, and how well sections and volumes are placed.

    python benchmarks/series.py [--seeds 0 1] [--parts drift deform trial section projection volume] [--side 256]

Drift is given as rms error over the Cramér-Rao bound of the counts, beside cross-correlation of each frame with the one before
(summed up) and with the first, by scikit-image; bending as rms error in pixels before and after; poses in voxels and degrees.
Times are CPU seconds on one thread.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.ndimage as ndi
from skimage.registration import phase_cross_correlation

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

import movies  # noqa: E402
import scenes  # noqa: E402
import volumes  # noqa: E402

from registration import Transform  # noqa: E402
from registration.deformable import Deformed, deform  # noqa: E402
from registration.drift import drift  # noqa: E402
from registration.projection import align_projection  # noqa: E402
from registration.slice_to_volume import align_section, align_volumes  # noqa: E402
from registration.transform import RADIUS_95  # noqa: E402

VOXEL = 10.0
STILL = Transform.of("moving", "fixed", np.eye(2), [0, 0], "affine")
SURE_PX = 0.3
WORSE_PX = (0.1, 0.4)
"""Rise of the rms error that counts as worse, pixels: a tenth of the coarser image's, which is four times larger in counts."""


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    result = call()
    return result, time.process_time() - began


def rms(a: np.ndarray) -> float:
    return float(np.sqrt((a**2).sum(-1).mean()))


def correlated(frames: np.ndarray, *, chained: bool) -> np.ndarray:
    """Shifts by plain cross-correlation (no phase normalisation), frame by frame."""
    shift = np.zeros((len(frames), 2))
    for t in range(1, len(frames)):
        other = frames[t - 1] if chained else frames[0]
        step = -phase_cross_correlation(other, frames[t], upsample_factor=20, normalization=None)[0]
        shift[t] = step + (shift[t - 1] if chained else 0)
    return shift


def drift_rows(seed: int) -> list[dict[str, Any]]:
    rows = []
    for name, size, n, dose in (("movie, 1 e/px", 256, 100, 1.0), ("movie, 0.1 e/px", 256, 100, 0.1),
                                ("movie, 20 e/px", 256, 100, 20.0), ("element map, 1 count/px", 128, 60, 1.0),
                                ("element map, 1 count/px", 64, 60, 1.0)):
        rng = np.random.default_rng([seed, size, n])
        expected, truth = movies.scene(rng, size + 140), movies.wander(rng, n)
        frames = movies.movie(rng, expected, truth, size, dose)
        least = movies.bound(expected, size, dose)
        found, cpu = timed(lambda f=frames: drift(movies.calibrated(f, 1.0)))
        kept = found.kept.values
        error = found["shift"].values[kept] - (truth - truth[kept].mean(0))[kept]
        row = {"case": name, "side": size, "bound_px": rms(least[None]), "over_bound": rms(error) / rms(least[None]),
               "normalised": float(np.sqrt(((error / found.shift_std.values[kept]) ** 2).mean())), "cpu_s": cpu}
        for peer, chained in (("chain", True), ("first", False)):
            shift = correlated(frames, chained=chained)
            row[f"{peer}_over_bound"] = rms(shift - shift.mean(0) - truth) / rms(least[None])
        rows.append(row)
    return rows


def bent_pair(rng: np.random.Generator, base: str, contrast: str, n: int = 512, amplitude_px: float = 5,
              nodes: int = 5) -> tuple[Any, Any, np.ndarray]:
    """Two images, and the field (n, n, 2) of so many pixels rms by which the moving one is displaced."""
    specimen = scenes.KINDS[base](rng)
    scene = (scenes.dark_field(specimen) if base == "deposits" else specimen.metal).astype(float)
    c = rng.standard_normal((nodes, nodes, 2))
    field = np.stack([ndi.zoom(c[..., i], n / nodes, order=3, mode="nearest", grid_mode=True) for i in (0, 1)], -1)
    field = (field - field.mean((0, 1))) * amplitude_px / np.sqrt((field**2).sum(-1).mean())
    o = (scene.shape[0] - n) // 2
    fixed = ndi.map_coordinates(scene, np.mgrid[:n, :n] + o + np.moveaxis(field, -1, 0), order=3)
    through = {"same": lambda s: s, "inverted": lambda s: 1 - np.clip(s, 0, 1.5) ** 0.7,
               "nonmonotonic": lambda s: np.abs(np.sin(1.6 * np.pi * ndi.gaussian_filter(s, 1.4))),
               "counts": lambda s: np.exp(-(((s - 0.5) / 0.2) ** 2))}
    seen = through[contrast](scene[o:o + n, o:o + n])
    fixed = fixed + 0.04 * rng.standard_normal(fixed.shape)
    if contrast == "counts":  # 1.5 a pixel in the mean, pixels four times as large
        coarse = seen.reshape(n // 4, 4, n // 4, 4).mean((1, 3))
        counts = rng.poisson(1.5 * coarse / coarse.mean()).astype(float)
        return scenes.calibrated(fixed, 1.0, "fixed"), scenes.calibrated(counts, 4.0, "moving", (1.5, 1.5)), field
    seen = seen + 0.04 * rng.standard_normal(seen.shape)
    return scenes.calibrated(fixed, 1.0, "fixed"), scenes.calibrated(seen, 1.0, "moving"), field


def judged(found: Deformed, field: np.ndarray) -> dict[str, Any]:
    """Errors of a bending in pixels: of the start, over all, where the images show texture, and where they are stated below 0.3
    in every direction; and how often the stated 95 % regions hold the field.
    """
    n = len(field)
    g = np.moveaxis(np.mgrid[10:n - 10:9, 10:n - 10:9], 0, -1).reshape(-1, 2)
    there = g + field[g[:, 0], g[:, 1]]
    g, there = (a[((there > 8) & (there < n - 9)).all(1)] for a in (g, there))
    back = found.transform.inverse()
    error = back.apply(g.astype(float)) - there
    near = [np.abs(found.texture[d].values[:, None] - g[:, a]).argmin(0) for a, d in enumerate("yx")]
    told = found.texture.values[near[0], near[1]]
    row = {"before_px": rms(there - g), "after_px": rms(error), "accepted": found.accepted, "textured": told.mean(),
           "textured_px": rms(error[told]) if told.any() else np.nan}
    if found.accepted:
        covariance = back.covariance_at(g.astype(float))
        sure = np.linalg.eigvalsh(covariance)[:, 1] < SURE_PX**2
        far = np.einsum("ni,nij,nj->n", error, np.linalg.inv(covariance), error)
        row |= {"sure": sure.mean(), "sure_px": rms(error[sure]) if sure.any() else np.nan,
                "within_95": (far < RADIUS_95**2).mean()}
    return row


def deform_rows(seed: int) -> list[dict[str, Any]]:
    rows = []
    for base in ("texture", "polycrystal", "deposits"):
        for contrast in ("same", "inverted", "nonmonotonic", "counts"):
            fixed, moving, field = bent_pair(np.random.default_rng([seed, len(base)]), base, contrast)
            found, cpu = timed(lambda f=fixed, m=moving: deform(f, m, STILL))
            rows.append({"base": base, "contrast": contrast, **judged(found, field), "cpu_s": cpu})
    return rows


def trial_rows(seed: int, n: int = 256) -> list[dict[str, Any]]:
    """Whether bending is ever worse than its start: bases by contrasts by fields of 0, 1 and 5 pixels, one pair each."""
    rows = []
    for k, base in enumerate(("texture", "polycrystal", "deposits", "interface")):
        for contrast in ("same", "inverted", "nonmonotonic", "counts"):
            for amplitude in (0.0, 1.0, 5.0):
                rng = np.random.default_rng([seed, k, int(amplitude)])
                fixed, moving, field = bent_pair(rng, base, contrast, n, amplitude, nodes=3)
                found = judged(deform(fixed, moving, STILL, cells=5), field)
                rows.append({"seed": seed, "base": base, "contrast": contrast, "field_px": amplitude, **found,
                             "worse": found["after_px"] > found["before_px"] + WORSE_PX[contrast == "counts"]})
    return rows


def section_rows(seed: int) -> list[dict[str, Any]]:
    """A 72² section of a 96³ volume of another contrast, from up to 10 voxels and 10 degrees about each axis."""
    rng, n, side = np.random.default_rng(seed), 96, 72
    body = volumes.foam(rng, n)
    place = np.r_[(n - 1) / 2, (n - side) / 2, (n - side) / 2]
    off = volumes.rigid(rng, np.r_[0, (side - 1) / 2, (side - 1) / 2], 10, 10)
    truth = np.c_[off[:, :3], off[:, 3] + place]
    section = volumes.seen_from(body, truth, (1, side, side))[0] + 0.03 * rng.standard_normal((side, side))
    other = np.abs(np.sin(4 * body)) + 0.05 * rng.standard_normal(body.shape)
    prior = Transform.of("section", "volume", np.eye(3), place * VOXEL, "rigid")
    found, cpu = timed(lambda: align_section(volumes.calibrated(other, VOXEL, "volume"),
                                             volumes.calibrated(section, VOXEL, "section"), prior))
    p = np.array([[0, y, x] for y in (2, 36, 70) for x in (2, 36, 70)], float)
    error = found.transform.apply(p * VOXEL) / VOXEL - (p @ truth[:, :3].T + truth[:, 3])
    return [{"seed": seed, "before_voxels": rms(prior.apply(p * VOXEL) / VOXEL - (p @ truth[:, :3].T + truth[:, 3])),
             "error_voxels": rms(error), "error_deg": volumes.angle_deg(found.transform.linear, truth[:, :3]),
             "stated_voxels": rms(found.transform.std_at(p * VOXEL) / VOXEL), "verdict": found.verdict, "cpu_s": cpu}]


def projection_rows(seed: int) -> list[dict[str, Any]]:
    """The projection of a 96³ body, from up to 10 voxels and 10 degrees about each axis; errors across the beam."""
    rng, n = np.random.default_rng(seed), 96
    z, y, x = np.mgrid[:n, :n, :n] - (n - 1) / 2
    cells = volumes.foam(rng, n, 250)
    body = cells * ((z / 42) ** 2 + (y / 38) ** 2 + (x / 44) ** 2 < 1) * (cells > 0.45)
    truth = volumes.rigid(rng, np.full(3, (n - 1) / 2), 10, 10)
    image = volumes.seen_from(body, truth, (3 * n // 2, n, n), np.array([-n // 4, 0, 0])).sum(0)
    image = image / image.max() + 0.02 * rng.standard_normal(image.shape)
    prior = Transform.of("image", "volume", np.eye(3), np.zeros(3), "rigid")
    found, cpu = timed(lambda: align_projection(volumes.calibrated(body, VOXEL, "volume"),
                                                volumes.calibrated(image, VOXEL, "image"), prior))
    p = np.stack(np.meshgrid(*[[28.0, 68.0]] * 3, indexing="ij"), -1).reshape(-1, 3)
    error = found.transform.inverse().apply(p * VOXEL)[:, 1:] / VOXEL - ((p - truth[:, 3]) @ truth[:, :3])[:, 1:]
    return [{"seed": seed, "error_voxels": rms(error), "error_deg": volumes.angle_deg(found.transform.linear, truth[:, :3]),
             "verdict": found.verdict, "cpu_s": cpu}]


def volume_rows(seed: int, n: int) -> list[dict[str, Any]]:
    """Two n³ volumes of unlike contrast, 4 % distorted, turned by up to 20 degrees about each axis and shifted by 8 %."""
    rng = np.random.default_rng(seed)
    half = volumes.foam(rng, n // 2, 600)
    body = half.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    centre = np.full(3, (n - 1) / 2)
    off = volumes.rigid(rng, centre, 0.08 * n, 20)
    linear = off[:, :3] @ (np.eye(3) + rng.uniform(-0.04, 0.04, (3, 3)))
    truth = np.c_[linear, off[:, :3] @ centre + off[:, 3] - linear @ centre]
    fixed = volumes.seen_from(body, truth, (n, n, n)) + 0.05 * rng.standard_normal((n, n, n))
    moving = np.abs(np.sin(4 * body)) + 0.05 * rng.standard_normal(body.shape)
    found, cpu = timed(lambda: align_volumes(volumes.calibrated(fixed, VOXEL, "fixed"),
                                             volumes.calibrated(moving, VOXEL, "moving")))
    p = np.stack(np.meshgrid(*[np.linspace(0.1 * n, 0.9 * n, 4)] * 3, indexing="ij"), -1).reshape(-1, 3)
    error = found.transform.inverse().apply(p * VOXEL) / VOXEL - (p @ truth[:, :3].T + truth[:, 3])
    return [{"seed": seed, "side": n, "error_voxels": rms(error), "verdict": found.verdict, "cpu_s": cpu}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"drift": drift_rows, "deform": deform_rows, "trial": trial_rows, "section": section_rows,
             "projection": projection_rows}
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--parts", nargs="+", choices=[*parts, "volume"], default=[*parts, "volume"])
    parser.add_argument("--side", type=int, default=256, help="of the volumes")
    asked = parser.parse_args()
    for part in asked.parts:
        rows = [row for seed in asked.seeds
                for row in (volume_rows(seed, asked.side) if part == "volume" else parts[part](seed))]
        print(f"\n{part}\n{pd.DataFrame(rows).round(3).to_string(index=False)}", flush=True)


if __name__ == "__main__":
    main()
