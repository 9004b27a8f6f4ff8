"""Dates in the forms that a program is known to write; a date that could be another one is never guessed at."""

from datetime import datetime


def date_of(text: str, *forms: str) -> datetime | None:
    """The moment that a text states in the first form that fits it (as `strptime` spells them); None where none does."""
    for form in forms:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return None


def acquired(text: str, *forms: str) -> dict[str, str]:
    """The condition `acquired` as ISO 8601; empty where the text is no date in one of the forms."""
    moment = date_of(text, *forms)
    return {} if moment is None else {"acquired": moment.isoformat()}
