"""Names that damage changed: unknown ones that have one other character, or one less, than a known name which is missing."""

from collections.abc import Collection, Iterable

SHORTEST = 3
"""A shorter name is one character away from too many others; only its case may differ."""


def lost_names(found: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Unknown name -> the known one, missing here, that it most likely was."""
    found = list(found)
    missing = [name for name in known if name not in found]
    return {name: likely for name in found if name not in known
            if (likely := next((one for one in missing if _is_near(name, one)), None)) is not None}


def said(lost: dict[str, str]) -> list[str]:
    """A warning that names them, if there are any."""
    return [f"column {name!r} is not known, and {likely!r} is missing: the name may be damaged"
            for name, likely in lost.items()]


def _is_near(name: str, other: str) -> bool:
    if name.lower() == other.lower():
        return True
    if len(name) < SHORTEST or len(other) - len(name) not in (0, 1):
        return False
    same = next((i for i, (a, b) in enumerate(zip(name, other, strict=False)) if a != b), len(name))
    return name[same + (len(name) == len(other)):] == other[same + 1:]
