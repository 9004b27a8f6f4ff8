"""How often, how well and at what cost images of unlike contrast are aligned, beside the usual recipes (`peers.py`).

    python benchmarks/registration.py [--seeds 0] [--bases ...] [--contrasts ...] [--levels ...] [--size 512] [--session 2]
                                      [--no-peers]

The protocol: five bases x four contrasts x three levels of misalignment of 512² images (or larger ones of the same field), then
pairs as a microscope session gives them (a dark-field image and a coarse, noisy element map), with as many pairs that show no
common place. Success means a mean error of the corners below 1 % of the diagonal. Times are CPU seconds on one thread.
"""

import argparse
import sys
import time
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.ndimage as ndi

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT), str(Path(__file__).parent)]

import peers  # noqa: E402
import scenes  # noqa: E402
from count_bound import affine_bound  # noqa: E402

from registration import SearchBox, Transform, align  # noqa: E402

N, FIELD = 512, 358.4
"""Pixels a side and the field of view in nm of a protocol image."""
LEVELS = {"small": (0.05, 5, 0.02, 0.005), "medium": (0.15, 20, 0.07, 0.01), "large": (0.30, 180, 0.15, 0.02)}
"""Largest shift (part of the field), rotation (degrees), scale and shear; half of them at least is drawn."""
BASES = {
    "deposits": lambda rng: scenes.dark_field(scenes.deposits(rng, 8, 70.0)),
    "interface": lambda rng: scenes.dark_field(scenes.interface(rng)),
    "polycrystal": lambda rng: scenes.polycrystal(rng).metal,
    "texture": lambda rng: scenes.texture(rng).metal,
    "smooth": lambda rng: (0.5 + 0.2 * scenes.noise(rng, 40) + 0.03 * scenes.noise(rng, 6)).astype(np.float32),
}
CONTRASTS = ("inverted", "nonmonotonic", "edges", "counts")


@lru_cache(1)
def specimen(base: str, seed: int) -> np.ndarray:
    """The scene that all pairs of one base and seed show."""
    return BASES[base](np.random.default_rng([seed, list(BASES).index(base)]))


def seen(scene: np.ndarray, contrast: str) -> np.ndarray:
    """The same place through another contrast."""
    s = np.clip(scene, 0, 1.5)
    if contrast == "inverted":
        return 1 - s**0.7
    if contrast == "nonmonotonic":
        return np.abs(np.sin(1.6 * np.pi * ndi.gaussian_filter(s, 1.4)))
    if contrast == "edges":
        g = ndi.gaussian_gradient_magnitude(s, 2.1)
        return g / np.percentile(g, 99)
    band = np.exp(-(((s - np.quantile(s, 0.7)) / (0.5 * s.std())) ** 2))
    return ndi.gaussian_filter(band, 4.2)


def protocol_pair(base: str, contrast: str, level: str, seed: int, size: int = N, *, expected: bool = False) -> scenes.Pair:
    """Two views of one scene from poses that differ by a known affine; `counts` has a quarter of the pixels a side and 1.5
    counts in each, or the mean that was drawn from if that is `expected`.
    """
    rng = np.random.default_rng([seed, list(BASES).index(base), CONTRASTS.index(contrast), list(LEVELS).index(level)])
    scene = specimen(base, seed)
    shift, turn, stretch, shear = LEVELS[level]
    fine = FIELD / size
    n, pixel = (size // 4, 4 * fine) if contrast == "counts" else (size, fine)
    direction = rng.uniform(0, 2 * np.pi)
    at = shift * rng.uniform(0.7, 1) * FIELD * np.array([np.cos(direction), np.sin(direction)])
    fixed_pose = scenes.pose((size, size), fine)
    moving_pose = scenes.pose((n, n), pixel, at, rng.uniform(0.4, 1) * turn * rng.choice([-1, 1]),
                              np.exp(rng.uniform(-1, 1) * np.log1p(stretch)), rng.uniform(-1, 1) * shear)
    fixed = scenes.view(scene, rng, (size, size), fine, fixed_pose, read=0.03)
    other = seen(scene, contrast)
    noise = {"counts": {"counts": 1.5 / other.mean()}, "edges": {"read": 0.1}}.get(contrast, {"read": 0.05})
    moving = scenes.view(other, rng, (n, n), pixel, moving_pose, **({} if expected else noise)) * (
        noise["counts"] if expected else 1)
    return scenes.Pair(scenes.calibrated(fixed, fine, "fixed"), scenes.calibrated(moving, pixel, "moving"),
                       scenes.between(fixed_pose, moving_pose), pixel)


def corner_error(pair: scenes.Pair, transform: Transform) -> float:
    """Mean error of the moving image's corners, in pixels of the fixed image."""
    c = np.array([[float(pair.moving.y[i]), float(pair.moving.x[j])] for i in (0, -1) for j in (0, -1)])
    wrong = transform.apply(c) - (c @ pair.truth[:, :2].T + pair.truth[:, 2])
    return float(np.linalg.norm(wrong, axis=1).mean() / float(pair.fixed.x[1] - pair.fixed.x[0]))


def measured(pair: scenes.Pair, method: peers.Method) -> tuple[float, float]:
    """Corner error in fixed pixels (infinite after an exception) and CPU seconds."""
    start = time.process_time()
    try:
        error = corner_error(pair, method(pair.fixed, pair.moving))
    except RuntimeError:
        error = float("inf")
    return error, time.process_time() - start


def coverage(pair: scenes.Pair, transform: Transform) -> float:
    """Part of a grid of points over the overlap whose true place lies inside the stated 95 % ellipse."""
    p, q, inside = pair.overlap(9)
    e = (transform.apply(p) - q)[inside]
    squares = np.einsum("ni,ni->n", e, np.linalg.solve(transform.covariance_at(p[inside]), e[..., None])[..., 0])
    return float((squares < 5.991).mean())


def beside_bound(pair: scenes.Pair, expected: scenes.Pair, transform: Transform) -> dict[str, float]:
    """Root mean square error over the overlap and the least one that the counts allow, in pixels of the fixed image."""
    n = len(pair.moving.y)
    p, q, inside = pair.overlap(n)
    pixel, coarse = (float(image.x[1] - image.x[0]) for image in (pair.fixed, pair.moving))
    least = affine_bound(expected.moving.values, coarse, inside.reshape(n, n), p[inside])
    scale = float(np.sqrt(abs(np.linalg.det(pair.truth[:, :2]))))
    rms = float(np.sqrt(((transform.apply(p) - q)[inside] ** 2).sum(1).mean()))
    return {"rms": rms / pixel, "bound": least * scale / pixel}


def run_protocol(args: argparse.Namespace) -> pd.DataFrame:
    methods = {} if args.no_peers else peers.installed()
    for method in methods.values():  # a first call imports
        measured(protocol_pair(args.bases[0], args.contrasts[0], args.levels[0], 0, 128), method)
    rows = []
    for seed in args.seeds:
        for base in args.bases:
            for contrast in args.contrasts:
                for level in args.levels:
                    pair = protocol_pair(base, contrast, level, seed, args.size)
                    start = time.process_time()
                    found = align(pair.fixed, pair.moving, model="affine")
                    row = {"seed": seed, "base": base, "contrast": contrast, "level": level,
                           "ours": corner_error(pair, found.transform), "ours cpu": time.process_time() - start,
                           "part": corner_error(pair, found.transform) / (args.size * np.sqrt(2)),
                           "coarse px": pair.error_px(found.transform), "verdict": found.verdict,
                           "coverage": coverage(pair, found.transform)} | found.metrics
                    if contrast == "counts":
                        mean = protocol_pair(base, contrast, level, seed, args.size, expected=True)
                        row |= beside_bound(pair, mean, found.transform)
                    for name, method in methods.items():
                        row[name], row[f"{name} cpu"] = measured(pair, method)
                    rows.append(row)
                    others = "".join(f"  {n} {row[n]:.2f} px {row[n + ' cpu']:.1f} s" for n in methods)
                    print(f"{base:12s}{contrast:13s}{level:7s}{row['ours']:8.2f} px {found.verdict:9s}"
                          f"{row['ours cpu']:6.2f} s  held {row['coverage']:.2f}{others}", flush=True)
    return pd.DataFrame(rows)


def run_session(args: argparse.Namespace) -> pd.DataFrame:
    rows = []
    box = SearchBox(rotation_deg=25, scale=1.08)
    for seed in range(args.first, args.first + args.session):
        for k, kind in enumerate(scenes.KINDS):
            for e, element in enumerate(("shell", "grains", "metal")):
                for overlapping in (True, False):
                    rng = np.random.default_rng([seed, k, e])
                    pair = scenes.microscope_pair(rng, kind, element, overlapping=overlapping)
                    start = time.process_time()
                    found = align(pair.fixed, pair.moving, box=box)
                    rows.append({"kind": kind, "element": element, "common": overlapping, "verdict": found.verdict,
                                 "cpu": time.process_time() - start, "seed": seed,
                                 "error": pair.error_px(found.transform) if overlapping else np.inf,
                                 "coverage": coverage(pair, found.transform) if overlapping else np.nan} | found.metrics)
                    print(f"{kind:12s}{element:7s}{rows[-1]['error']:8.2f} px {found.verdict:9s}{rows[-1]['cpu']:6.2f} s  "
                          f"held {rows[-1]['coverage']:.2f}", flush=True)
    return pd.DataFrame(rows)


def report_protocol(d: pd.DataFrame) -> None:
    limit = float((0.01 * d.ours / d.part).median())
    names = [n[:-4] for n in d if n.endswith(" cpu")]
    print(f"\nprotocol, {len(d)} pairs: success = mean corner error < 1 % of the diagonal; errors in fixed pixels")
    for name in names:
        ok = d[name] < limit
        levels = ", ".join(f"{level} {int(of.sum())}/{len(of)}" for level, of in ok.groupby(d.level, sort=False))
        print(f"  {name:13s}{int(ok.sum()):4d} ({levels}); median error of solved {d[name][ok].median():.2f} px; "
              f"CPU median {d[name + ' cpu'].median():.2f} s")
    good = d.verdict == "good"
    right = d.part < 0.01
    print(f"  verdict good: {int(good.sum())}, of these wrong: {int((good & ~right).sum())}; right "
          f"ones called good: {int((good & right).sum())}/{int(right.sum())}; stated 95 % ellipses hold the truth in "
          f"{d.coverage[right].mean():.0%}")
    if "bound" in d:
        solved = d[right & d.bound.notna()]
        of = solved.assign(ratio=solved.rms / solved.bound).groupby("base", sort=False)[["rms", "bound", "ratio"]].median()
        print(f"  counts, solved ones: median rms error over the overlap and its Cramér-Rao bound\n{of.round(2).to_string()}")


def report_session(d: pd.DataFrame) -> None:
    p = d[d.common]
    right, good = p.error < p.tolerance_px, d.verdict == "good"
    print(f"\nsession, {len(p)} pairs with a common place and {len(d) - len(p)} without: errors in pixels of the coarser "
          "image; right is below one of them or 1 % of the smaller field's diagonal")
    table = p.assign(right=right, good=p.verdict == "good").groupby(["kind", "element"]).agg(
        pairs=("error", "size"), right=("right", "sum"), good=("good", "sum"), median_error=("error", "median"),
        expected=("expected_error_px", "median"), coverage=("coverage", "mean"), cpu=("cpu", "mean"))
    print(table.round(2).to_string())
    wrong = int((good & ~(d.error < d.tolerance_px)).sum())
    found = int((right & (p.verdict == "good")).sum())
    print(f"  called good {int(good.sum())}, of these wrong {wrong} ({wrong / max(int(good.sum()), 1):.1%}), without common "
          f"place {int((good & ~d.common).sum())}; right ones called good {found}/{int(right.sum())}; "
          f"stated 95 % ellipses hold the truth in {p.coverage[right].mean():.0%}; CPU mean {d.cpu.mean():.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--bases", nargs="*", default=list(BASES))
    parser.add_argument("--contrasts", nargs="*", default=list(CONTRASTS))
    parser.add_argument("--levels", nargs="*", default=list(LEVELS))
    parser.add_argument("--size", type=int, default=N, help="pixels a side of the protocol's images")
    parser.add_argument("--session", type=int, default=1, help="seeds of the microscope session; 30 pairs each")
    parser.add_argument("--first", type=int, default=0, help="first of these seeds")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--save", type=Path, help="write all rows as CSV files <save>-protocol.csv and <save>-session.csv")
    args = parser.parse_args()
    if args.seeds:
        d = run_protocol(args)
        report_protocol(d)
        if args.save:
            d.to_csv(f"{args.save}-protocol.csv", index=False)
    if args.session:
        d = run_session(args)
        report_session(d)
        if args.save:
            d.to_csv(f"{args.save}-session.csv", index=False)


if __name__ == "__main__":
    main()
