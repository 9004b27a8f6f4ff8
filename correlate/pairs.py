"""Which images of a sample are aligned with one another: what a person asked for, else each with the widest one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

import numpy as np

from correlate.study import ACQUISITION, Acquisition, Study
from datasets.errors import StudyError
from datasets.sheet import Pair
from datasets.techniques.tem_image import LATTICE_PIXEL_NM

IMAGES = ("stem_image", "sem_image", "tem_image")
MAPS = ("eels", "edx")
DERIVED = ("element_map",)
"""Maps that the instrument made of its spectra: they lie where the scan lies, and are not aligned on their own."""
FEWEST_PIXELS = 8
"""Along each side: below that an image has no pose to be found."""
LARGEST_FIELD_RATIO = 12.0
"""Default pairs are left out beyond this ratio of field widths: nothing of the smaller one is left to be found in the wider."""
LATTICE_FIELD_RATIO = 2.0
"""Fringes of a lattice say nothing of outlines: an image that resolves it is found only in a field of its own size.
Of twelve virtual ones in HAADF fields four and more times as wide none was found, at ten times the cost of a map."""
STAGE = ("stage_x_nm", "stage_y_nm")


def planned_pairs(study: Study, by_sample: Mapping[str, Sequence[Acquisition]], sample: str | None = None) -> list[Pair]:
    """The pairs of every sample, or of one: those of `pairs_of`, and what somebody marked or asked for by name besides.

    A pair that the sheet does not ask for keeps the model with which it was aligned last.
    """
    records = list(study.records().values())
    done = {(str(r["moving"]), str(r["fixed"])): str(r["model"]) for r in records}
    besides = [(str(r["moving"]), str(r["fixed"])) for r in [*(r for r in records if r.get("asked")), *study.marked()]]
    found = []
    for name in (n for n in study.sheet.samples if sample in (None, n)):
        own = pairs_of(study, name, by_sample.get(name, ()))
        known = {frozenset((p.moving, p.fixed)) for p in own}
        own += [Pair(fixed, moving) for moving, fixed in dict.fromkeys(besides)
                if moving.split("/")[0] == name and frozenset((moving, fixed)) not in known]
        found += [p if p in study.sheet.pairs else replace(p, model=_kept(done.get((p.moving, p.fixed)), p.model)) for p in own]
    return found


def pairs_of(study: Study, sample: str, acquisitions: Sequence[Acquisition]) -> list[Pair]:
    """The pairs a person asked for; else each map and image against the sample's widest image.

    What was recorded in one scan with an image is paired with that image and goes where it goes.
    """
    asked = [p for p in study.sheet.pairs if p.fixed.split("/")[0] == sample]
    if asked:
        return asked
    fields = [a for a in acquisitions if a.technique in (*IMAGES, *MAPS, *DERIVED) and _is_field(a)]
    reference = reference_of(fields)
    if reference is None:
        return []
    hosts = [reference, *(a for a in fields if a.technique in IMAGES), *(a for a in fields if a.technique in MAPS)]
    pairs = []
    for a in (a for a in fields if a.unit != reference.unit):
        host = next((h for h in hosts if is_one_scan(h, a)), a)
        if host.unit != a.unit:
            pairs.append(Pair(host.unit, a.unit))
        elif a.technique not in DERIVED and _comparable(reference, a):
            pairs.append(Pair(reference.unit, a.unit))
    return pairs


def named_pair(study: Study, text: str, planned: Iterable[Pair] = ()) -> Pair:
    """The pair MOVING:FIXED; the sample need not be repeated in FIXED. A planned pair the other way round is that one.

    Raises
    ------
    StudyError
        If it is no pair of two acquisitions of one sample of the study.
    """
    moving, _, fixed = (part.strip() for part in text.partition(":"))
    if not moving or not fixed or ":" in fixed:
        raise StudyError(f"{text!r} is no pair; write MOVING:FIXED, as A17/edx-0:A17/haadf-0")
    if "/" not in fixed:
        fixed = f"{moving.split('/')[0]}/{fixed}"
    known = [str(row["unit"]) for row in study.rows(ACQUISITION)]
    absent = [u for u in (moving, fixed) if u not in known]
    if absent:
        close = [c for u in absent for c in get_close_matches(u, known, 3, 0.4)]
        raise StudyError(f"{study.root}: {' and '.join(absent)} is not in the study; "
                         + (f"there is {', '.join(close)}" if close else "import it first"))
    if moving == fixed or moving.split("/")[0] != fixed.split("/")[0]:
        raise StudyError(f"{text!r}: a pair is two different acquisitions of one sample")
    ways = {(p.moving, p.fixed): p for p in planned}
    return ways.get((moving, fixed)) or ways.get((fixed, moving)) or Pair(fixed, moving)


def transform_unit(pair: Pair) -> str:
    """Name of the store unit that holds the transform of a pair."""
    return f"registration/{pair_name(pair)}"


def landmark_unit(pair: Pair) -> str:
    """Name of the store unit that holds the landmarks of a pair."""
    return f"landmarks/{pair_name(pair)}"


def pair_name(pair: Pair) -> str:
    """`sample/moving--fixed`."""
    sample, moving = pair.moving.split("/", 1)
    return f"{sample}/{moving}--{pair.fixed.split('/', 1)[1]}"


def reference_of(fields: list[Acquisition]) -> Acquisition | None:
    """The widest image, scanning microscopes first: the frame in which a sample is shown."""
    images = [a for a in fields if a.technique in IMAGES and a.is_placed_in_space]
    return max(images, key=lambda a: (-IMAGES.index(a.technique), np.prod(a.extent_nm)), default=None)


def is_one_scan(a: Acquisition, b: Acquisition) -> bool:
    """One file, one grid, and a stage that stood still: some files hold the images of several places.

    The stage is read again for each signal and jitters by nanometres; another place is at least half a field away.
    """
    return bool(a.path) and a.path == b.path and all(a.coords[d] == b.coords[d] for d in ("y", "x")) and all(
        abs(float(a.conditions[name]) - float(b.conditions[name])) <= 0.5 * max(a.extent_nm)
        for name in STAGE if name in a.conditions and name in b.conditions)


def _is_field(a: Acquisition) -> bool:
    """An image or a map, not a line, a point or a tilt series; calibrated or not."""
    shape = dict(zip(a.dims, a.shape, strict=True))
    return "tilt" not in shape and all(shape.get(d, 0) >= FEWEST_PIXELS for d in ("y", "x"))


def _comparable(a: Acquisition, b: Acquisition) -> bool:
    if not (a.is_placed_in_space and b.is_placed_in_space):
        return True  # kept as a pair, so that the missing calibration is reported
    ratio = max(a.extent_nm) / max(b.extent_nm)
    most = LATTICE_FIELD_RATIO if min(a.pixel_nm, b.pixel_nm) < LATTICE_PIXEL_NM else LARGEST_FIELD_RATIO
    return 1 / most <= ratio <= most


def _kept(before: str | None, usual: str) -> str:
    return usual if before is None or before == "identity" else before
