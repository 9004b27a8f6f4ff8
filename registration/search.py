"""Global search for the pose that relates two images of unlike contrast.

All shifts are tried at once for a grid of rotations and scales (`grid_search.py`); the best few are then refined and pruned
from coarse to fine by their evidence (`evidence.py`), which compares what survives a change of contrast (`channels.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from registration.evidence import Level
from registration.grid_search import coarse_poses
from registration.picture import Picture
from registration.scene import DEGREES_OF_FREEDOM, Scene, scene
from registration.search_box import Effort, SearchBox
from registration.transform import Floats

FIRST = Effort()
FURTHER = (
    replace(FIRST, rotation_step_deg=4.0, scale_step=0.041, keep=(220, 24, 2), points=(4096, 12000, 16000)),
    replace(FIRST, sigma_intensity=3.0, sigma_energy=3.0),
)
"""Second plans, followed only while the evidence is weak: a finer grid for fine texture, wider smoothing for low counts."""
ITERATIONS = (5, 6, 8)
SHAKEN, SHAKES, AGAIN = 0.02, 256, 16
"""Standard deviation of the shifts about a pose that are tried once more, as a part of the smaller field's side; how many of
them, and how many of the best are refined."""
CONTENDERS = 4
"""Poses of every plan that contend where evidence does not tell which is right."""
CHANCE = 30.0
"""Evidence that the best of many wrong poses reaches by chance."""
ENOUGH, SURE, PROMISING, CONFIRMED, AGREEING = 60.0, 2.2, 1.3, 80.0, 0.035


@dataclass(frozen=True, eq=False)
class Finding:
    """What a search found: distinct poses, best first, their evidence at the middle level, and how sure it is.

    `margin` is the evidence of the best pose over that of the best distinct other one; `held_out` the evidence on one half
    of the tiles of the pose found on the other half alone, where both agree, and NaN when that was not asked. `contenders` are
    the best poses of every plan that was followed, the best of all first. `trace` is the best pose and its evidence after every
    stage of every attempt, as (2, 3) matrices.
    """

    pair: Scene
    poses: Floats
    evidence: Floats
    margin: float
    held_out: float
    attempts: int
    contenders: Floats
    trace: tuple[tuple[str, Floats, float], ...] = ()


def search(reference: Picture, other: Picture, unit: float, start: Floats, box: SearchBox, seed: int,
           wider: SearchBox | None = None) -> Finding:
    """Look for the pose in the whole box; `start`, (2, 3), reference -> other, is its centre and always a candidate.

    `wider` is where to look once more if the evidence stays weak.
    """
    rng = np.random.default_rng(seed)
    best: Finding | None = None
    contenders = np.empty((0, DEGREES_OF_FREEDOM))
    trace: list[tuple[str, Floats, float]] = []
    scenes: dict[tuple[float, float, float], Scene] = {}
    plans = [(effort, box) for effort in (FIRST, *FURTHER)] + ([(FIRST, wider)] if wider else [])
    for attempt, (effort, region) in enumerate(plans):
        known = scenes.get(effort.smoothing)
        pair = replace(known, box=region, effort=effort) if known else scene(reference, other, unit, start, region, effort)
        scenes[effort.smoothing] = pair
        poses, evidence, middle, stages = _descend(pair, rng)
        trace += [(f"attempt {attempt + 1}: {name}", pair.affine(pose), value) for name, pose, value in stages]
        if best is None or evidence[0] > best.evidence[0]:
            best = Finding(pair, poses, evidence, margin(evidence), float("nan"), attempt + 1, contenders)
            contenders = np.concatenate([poses[:CONTENDERS], contenders])
        else:
            contenders = np.concatenate([contenders, poses[:CONTENDERS]])
        if best.evidence[0] > ENOUGH and best.margin > SURE:
            break
        if best.margin >= PROMISING and attempt in (0, len(FURTHER), len(plans) - 1) and np.isnan(best.held_out):
            best = replace(best, held_out=agreement(best.pair, best.poses[0], middle.variance, rng))
            if best.held_out >= CONFIRMED:
                break
    assert best is not None
    return replace(best, contenders=contenders, trace=tuple(trace))


def _descend(pair: Scene, rng: np.random.Generator) -> tuple[Floats, Floats, Level, list[tuple[str, Floats, float]]]:
    """From all poses of the coarse grid to a few distinct ones refined at the middle level, which is returned too, as is the
    best pose of every stage.
    """
    keep, points, fov = pair.effort.keep, pair.effort.points, pair.field_of_view
    small = min(float(pair.reference.image.extent.min()), float(pair.other.image.extent.min()))
    poses, evidence = (a[:20 * keep[0]] for a in coarse_poses(pair)[0])
    stages = [("grid", poses[0], float(evidence[0]))]
    poses = np.r_[poses[pair.distinct(poses, evidence, 0.04 * small, keep[0])], pair.start[None]]
    level = Level(pair, pair.coarsest, points[0], rng)
    level.learn_null(rng)
    pitch = fov / pair.coarsest
    poses, evidence = level.refined(poses, 1.5 * pitch, ITERATIONS[0], 4)
    stages.append(("coarse level", poses[evidence.argmax()], float(evidence.max())))
    chosen = pair.distinct(poses, evidence, 0.023 * small, keep[1])
    level = Level(pair, 2 * pair.coarsest, points[1], rng)
    level.learn_null(rng)
    poses, evidence = level.refined(poses[chosen], 0.75 * pitch, ITERATIONS[1], 4)
    chosen = pair.distinct(poses, evidence, 0.06 * small, keep[1])
    stages.append(("middle level", poses[chosen[0]], float(evidence[chosen[0]])))
    return poses[chosen], evidence[chosen], level, stages


def nearby(level: Level, pose: Floats, rng: np.random.Generator) -> Floats:
    """A pose (6,) and the best of many within SHAKEN of it, each refined (n, 6).

    A pose that lies off by one period of windows, lattice planes or furrows has a top of its own, too near to the right one for
    both to pass from coarse to fine.
    """
    pair = level.pair
    reach = SHAKEN * min(float(pair.reference.image.extent.min()), float(pair.other.image.extent.min()))
    turn = reach / (0.4 * pair.field_of_view)
    poses = pose + np.array([turn, turn, reach, reach, 0.0, 0.0]) * rng.standard_normal((SHAKES, len(pose)))
    poses = np.concatenate([pose[None], poses[np.argsort(-level.evidence(poses), kind="stable")[:AGAIN]]])
    return level.refined(poses, reach / 4, ITERATIONS[1], 4)[0]


def margin(evidence: Floats) -> float:
    """Evidence of the best of distinct poses over that of the second, which counts at least as chance would give."""
    best, second = (*np.sort(evidence)[::-1][:2], 0.0)[:2]
    return float(best / max(second, CHANCE)) if best > 0 else 1.0


def agreement(pair: Scene, pose: Floats, variance: Floats, rng: np.random.Generator) -> float:
    """Search on one half of the reference's tiles (a chessboard) and weigh that pose on the other half, both ways.

    Returns the better held-out evidence of the halves whose own pose agrees with `pose`, 0 if neither does.
    """
    held = [0.0]
    small = min(float(pair.reference.image.extent.min()), float(pair.other.image.extent.min()))
    pitch = pair.field_of_view / pair.coarsest
    points = pair.effort.points
    for part, found in enumerate(coarse_poses(pair, (0, 1))):
        poses, evidence = (a[:240] for a in found)
        poses = poses[pair.distinct(poses, evidence, 0.04 * small, 12)]
        level = Level(pair, pair.coarsest, points[0], rng, part)
        level.learn_null(rng)
        poses, evidence = level.refined(poses, 1.5 * pitch, ITERATIONS[0], 4)
        level = Level(pair, 2 * pair.coarsest, points[1], rng, part)
        level.variance = variance
        poses, evidence = level.refined(poses[pair.distinct(poses, evidence, 0.023 * small, 4)], 0.75 * pitch, ITERATIONS[1], 4)
        own = poses[evidence.argmax()][None]
        if pair.distances(own, pose)[0] < AGREEING * small:
            judge = Level(pair, 2 * pair.coarsest, points[1], rng, 1 - part)
            judge.variance = variance
            held.append(float(judge.evidence(own)[0]))
    return max(held)
