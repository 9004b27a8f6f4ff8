"""What a search thought best at each of its stages: the record of how a pose came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registration.transform import Transform


@dataclass(frozen=True, eq=False)
class Stage:
    """The best pose of one stage and the criterion's value there; only values of one criterion on one grid compare."""

    name: str
    criterion: str
    value: float
    transform: Transform

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"name": self.name, "criterion": self.criterion, "value": self.value, "transform": self.transform.to_dict()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Stage:
        """Read what `to_dict` wrote."""
        return cls(saved["name"], saved["criterion"], float(saved["value"]), Transform.from_dict(saved["transform"]))
