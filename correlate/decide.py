"""What a person decides about a registration: to use it, to use a rival pose instead, or not to use it."""

import getpass
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from correlate.loops import adjust_sample
from correlate.marks import marks_of
from correlate.pairs import transform_unit
from correlate.place import Placed, publish, registered
from correlate.study import Study
from datasets.errors import StudyError
from datasets.sheet import Pair
from registration import SearchBox
from registration.candidate import Candidate

NEAR = SearchBox(rotation_deg=3.0, scale=1.03, shift=0.06)
"""About a rival pose, which was not climbed to its top: as far as distinct poses of a search lie apart."""


def accept(study: Study, pair: Pair, candidate: int | None = None, why: str = "") -> Placed:
    """Use the transform of a pair from now on, or its rival number `candidate` (from 1), refined by the images.

    The verdict stays that of the images; the decision, its reason and its author are kept beside it until an image or a
    landmark of the pair changes, or the pair is aligned again by name.

    Raises
    ------
    StudyError
        If the pair was not aligned, has no pose, or has no such candidate.
    """
    record = _record(study, pair)
    if candidate is not None:
        record = _picked(study, pair, record, candidate)
    if record["transform"] is None:
        raise StudyError(f"{pair.moving} to {pair.fixed} has no pose that could be accepted: {'; '.join(record['reasons'])}")
    return _decided(study, pair, record, "accepted", why, candidate)


def reject(study: Study, pair: Pair, why: str = "") -> Placed:
    """Use the transform of a pair no more, whatever its verdict; kept as `accept` is.

    Raises
    ------
    StudyError
        If the pair was not aligned.
    """
    return _decided(study, pair, _record(study, pair), "rejected", why, None)


def _record(study: Study, pair: Pair) -> dict[str, Any]:
    found = study.records(pair.moving.split("/")[0]).get(transform_unit(pair))
    if found is None:
        raise StudyError(f"{pair.moving} to {pair.fixed} was not aligned yet; align it with --pair {pair.moving}:{pair.fixed}")
    return {k: v for k, v in found.items() if k not in ("unit", "sample", "version")}


def _picked(study: Study, pair: Pair, record: dict[str, Any], number: int) -> dict[str, Any]:
    """What the images say near a rival pose; the poses that were not picked stay candidates."""
    rivals = [Candidate.from_dict(c) for c in record.get("candidates") or ()]
    if not 1 <= number <= len(rivals):
        raise StudyError(f"{pair.moving} to {pair.fixed} has {len(rivals)} candidates; there is no candidate {number}")
    fixed, moving = study.acquisition(pair.fixed), study.acquisition(pair.moving)
    assert fixed is not None
    assert moving is not None
    pose = rivals[number - 1].transform
    found = registered(study, replace(pair, model=record["model"]), fixed, moving, None, pose, NEAR)
    return {**found, "method": "a rival pose picked by a person, then the images", "candidates": record["candidates"],
            "asked": record.get("asked", False)}


def _decided(study: Study, pair: Pair, record: dict[str, Any], status: str, why: str, candidate: int | None) -> Placed:
    fixed, moving = study.acquisition(pair.fixed), study.acquisition(pair.moving)
    assert fixed is not None
    assert moving is not None
    decision = {"status": status, "why": why, "by": getpass.getuser(), "when": datetime.now(UTC).isoformat(timespec="seconds"),
                "candidate": candidate}
    placed = publish(study, replace(pair, model=record["model"]), {**record, "status": status, "decision": decision}, fixed,
                     moving, marks_of(study, pair))
    adjust_sample(study, fixed.sample, study.records(fixed.sample))
    return placed
