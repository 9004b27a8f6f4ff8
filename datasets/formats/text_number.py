"""A number written as text, where any text may stand."""

import math


def finite(text: str) -> float | None:
    """The number, or None where the text is none or it is not finite."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
