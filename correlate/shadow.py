"""Notices a foreign package that took the name of one of ours, and says what to do.

`datasets` is also the name of a popular machine-learning package, and `registration` is taken too: installed into one
environment, one overwrites the other, and the faults that follow are baffling.
"""

from importlib.util import find_spec
from pathlib import Path

OURS = ("datasets", "registration", "dashboards")


def refuse_foreign_packages(names: tuple[str, ...] = OURS, home: Path = Path(__file__).parents[1]) -> None:
    """Do nothing if every package is ours.

    Raises
    ------
    ImportError
        If a package is missing, or lies in another folder than this one or lacks our marker file.
    """
    foreign = [fault for name in names if (fault := _fault(name, home))]
    if foreign:
        raise ImportError(
            "; ".join(foreign) + ". Another distribution has taken the name (the package 'datasets' of Hugging Face is the "
            "usual one). Install correlate-sei in an environment of its own: "
            "python -m venv .venv && .venv/bin/pip install correlate-sei")


def _fault(name: str, home: Path) -> str:
    spec = find_spec(name)
    if spec is None or not spec.origin:
        return f"package {name!r} of correlate-sei is not to be found"
    found = Path(spec.origin).parent
    if found.resolve() != (home / name).resolve():
        return f"'import {name}' finds {found}, not the one of correlate-sei in {home / name}"
    if not (found / "py.typed").is_file():
        return f"{found} has been overwritten by another package of the same name"
    return ""
