"""How often real pairs of two modalities, with truth by other people, are placed within 1 % and 2 % of the diagonal.

    python benchmarks/real_pairs.py [--data ../shared/data/registration] [--only visible-infrared ...] [--save rows.csv]
                                    [--variants 4 | --strangers 200] [--seed 0]

Nothing is told to `align` but the images. Errors are mean distances at the given landmarks, or over a grid of the overlap where
a matrix is given, as part of the diagonal of the fixed image. `--variants` tries so many variants of every pair in their place,
`--strangers` so many pairs of images that show no common place (`real_variants.py`).
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from real_images import ONE_SCAN, UNJUDGED, Pair, pairs  # noqa: E402
from real_variants import Variant, strangers, variants  # noqa: E402

from registration import align  # noqa: E402


def chosen(args: argparse.Namespace) -> Iterator[Variant]:
    """What is to be tried: the pairs as they are, variants of them, or strangers."""
    every = (p for p in pairs(args.data) if not args.only or p.modalities in args.only or p.name in args.only)
    if args.strangers:
        yield from (Variant(p, {}) for p in strangers(list(every), args.strangers, args.seed))
    elif args.variants:
        yield from (v for p in every if p.modalities != UNJUDGED for v in variants(p, args.variants, args.seed))
    else:
        yield from (Variant(p, {}) for p in every if p.modalities != ONE_SCAN)


def tried(variant: Variant) -> dict[str, object]:
    """The error and the verdict of `align` on one pair."""
    pair = variant.pair
    start = time.process_time()
    found = align(pair.fixed, pair.moving, model="affine")
    cpu = time.process_time() - start
    error = np.linalg.norm(found.transform.apply(pair.points) - pair.truth, axis=1).mean() if len(pair.points) else np.inf
    part = float(error) / diagonal(pair)
    print(f"{pair.name:22s}{error:8.2f} px {part:7.2%}  {found.verdict:9s}{cpu:5.1f} s  evidence "
          f"{found.metrics['evidence']:.0f} margin {found.metrics['margin']:.2f} held out {found.metrics['held_out']:.0f} "
          f"expected {found.metrics['expected_error_px']:.2f}", flush=True)
    return {"modalities": pair.modalities, "name": pair.name, "error": error, "part": part, "cpu": cpu,
            "verdict": found.verdict} | found.metrics | variant.told | {"reasons": "; ".join(found.reasons)}


def diagonal(pair: Pair) -> float:
    """Of the fixed image, nm: the yardstick of the errors."""
    return float(np.hypot(*(pair.fixed.sizes[d] * float(pair.fixed[d][1] - pair.fixed[d][0]) for d in "yx")))


def report(d: pd.DataFrame) -> None:
    good = d.verdict == "good"
    table = pd.DataFrame({"pairs": 1, "within 1 %": d.part < 0.01, "within 2 %": d.part < 0.02, "good": good,
                          "good but beyond 1 %": good & (d.part >= 0.01), "good but beyond 2 %": good & (d.part >= 0.02),
                          "right called good": good & (d.part < 0.01)}).groupby(d.modalities, sort=False).sum()
    table.loc["all"] = table.sum()
    print("\n" + table.to_string())
    print(f"CPU median {d.cpu.median():.2f} s, mean {d.cpu.mean():.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "registration")
    parser.add_argument("--only", nargs="*", default=[], help="names of modalities or pairs")
    parser.add_argument("--variants", type=int, default=0, help="variants of each pair to try in its place")
    parser.add_argument("--strangers", type=int, default=0, help="pairs of unrelated images to try instead")
    parser.add_argument("--seed", type=int, default=0, help="of the variants or of the choice of strangers")
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    d = pd.DataFrame([tried(variant) for variant in chosen(args)])
    report(d)
    if args.save:
        d.to_csv(args.save, index=False)


if __name__ == "__main__":
    main()
