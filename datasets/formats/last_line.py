"""Whether a text was cut within its last line by a copy that was stopped; where rows are not counted, nothing else shows it."""

NO_END = "the last line has no end: its last number may be cut off"


def cut_within(text: str) -> list[str]:
    """A warning where the last line of a text has no end."""
    return [] if text.endswith(("\n", "\r")) else [NO_END]
