"""What an alignment gave: the transform, whether to believe it, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from registration.candidate import Candidate
from registration.quality import Verdict
from registration.saved import read_transform
from registration.trace import Stage
from registration.warp import AnyTransform


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where the moving image lies in the frame of the fixed one, and whether to believe it.

    `verdict` is `good` (the error is below a pixel of the coarser image or 1 % of the smaller field's diagonal, whichever is
    larger), `doubtful` or `failed`; `reasons` say what speaks against the pose. A transform whose verdict is not `good` must
    not be used for fusion unless a person accepts it.
    `metrics` are numbers behind the verdict. Of two images: `evidence` and `margin` of the search, `held_out` evidence (NaN if
    not asked), `explained` (part of the variance), `overlap` (part of the smaller field), `expected_error_px` and
    `expected_error_nm` (rms over the overlap), `tolerance_px` (what `good` allows), `pixel_nm` (of the coarser image); after
    bending those of `Deformed`, too, with `bent_` before them. Of volumes and sections see `slice_to_volume.py`.
    `candidates` are the poses elsewhere that the search left standing, best first; their evidence compares with
    `metrics["evidence_middle"]`. `trace` is the best pose of every stage of the search, in order; empty of volumes.
    """

    transform: AnyTransform
    verdict: Verdict
    reasons: tuple[str, ...]
    metrics: dict[str, float]
    candidates: tuple[Candidate, ...] = ()
    trace: tuple[Stage, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; numbers that are not known are null."""
        metrics = {k: v if np.isfinite(v) else None for k, v in self.metrics.items()}
        return {"transform": self.transform.to_dict(), "verdict": self.verdict, "reasons": list(self.reasons),
                "metrics": metrics, "candidates": [c.to_dict() for c in self.candidates],
                "trace": [s.to_dict() for s in self.trace]}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Alignment:
        """Read what `to_dict` wrote."""
        metrics = {k: float("nan") if v is None else float(v) for k, v in saved["metrics"].items()}
        candidates = tuple(Candidate.from_dict(c) for c in saved.get("candidates", ()))
        return cls(read_transform(saved["transform"]), saved["verdict"], tuple(saved["reasons"]), metrics, candidates,
                   tuple(Stage.from_dict(s) for s in saved.get("trace", ())))
