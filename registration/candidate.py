"""A pose that a search also held possible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registration.transform import Transform


@dataclass(frozen=True, eq=False)
class Candidate:
    """A rival pose and the evidence for it, comparable within one search; it was not climbed to its top, so its error is not
    known: align again with it as the prior before it is used.
    """

    transform: Transform
    evidence: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"transform": self.transform.to_dict(), "evidence": self.evidence}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Candidate:
        """Read what `to_dict` wrote."""
        return cls(Transform.from_dict(saved["transform"]), float(saved["evidence"]))
