"""What a validation allows one to say, and no more."""

from collections.abc import Mapping
from typing import Any

CHANCE = 0.1
"""Share of shuffled targets that may do as well as the truth before the model is no longer said to beat the mean."""


def judged(found: Mapping[str, Any]) -> tuple[str, str, str]:
    """(kind, word, sentence) of the result of `validate` as a dictionary; kind is ok, warn or bad."""
    skill, scrambled = found["skill"], found["scrambled"]
    value, low, high = (skill[key] for key in ("value", "low", "high"))
    share = f"{100 * abs(value):.0f}\u00a0%"
    interval = f"90\u00a0% interval: {_against(low)} to {_against(high)}"
    chance = scrambled.get("p_value")
    if value <= 0:
        return (
            "bad",
            "no better than the mean",
            (
                f"On electrolytes it had not seen, the model's squared error is {share} larger than that of quoting the mean "
                f"of the others ({interval}). It does not explain CE."
            ),
        )
    sentence = (
        f"On electrolytes it had not seen, its squared error is {share} smaller than that of quoting the mean of the others"
    )
    if low <= 0 or chance is None or chance > CHANCE:
        return "warn", "not shown to hold", f"{sentence}, but chance is not ruled out ({interval})."
    return "ok", "beats the mean", f"{sentence} ({interval}). This is a relation, not a cause."


def _against(skill: float) -> str:
    return f"{100 * abs(skill):.0f}\u00a0% {'smaller' if skill > 0 else 'larger'}"
