"""Times and dates as programs write them in the cells of a table."""

import re
from datetime import datetime, time, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DURATION = re.compile(r"^\s*(?:(?P<days>\d+)\s*[dD](?:ays?)?[\s,.]*|(?P<dashed>\d+)-)?(?:(?P<h>\d+):)?(?P<m>\d+):"
                      r"(?P<s>\d+(?:[.,]\d*)?)(?P<ms>:\d+)?\s*$")
DATE = re.compile(r"^\s*(\d{1,4})[-/.](\d{1,2}|[A-Za-z]{3})[-/.](\d{1,4})"
                  r"(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2}(?:[.,:]\d+)?))?\s*([AaPp][Mm])?)?\s*(Z|[+-]\d{2}:?\d{2})?\s*$")
MONTHS = {name: i + 1 for i, name in enumerate(
    ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"))}
EPOCH = datetime(1970, 1, 1)
SHEET_EPOCH = datetime(1899, 12, 31)
"""Day 0 of a spreadsheet's clock: a duration above a day arrives as a date beside it."""


def seconds(column: pd.Series) -> Floats:
    """Numbers as they are; "12:34:56.7", "1d 02:03:04" and a spreadsheet's durations in seconds; NaN for anything else."""
    if column.dtype.kind in "biuf":
        return column.to_numpy(dtype=np.float64)
    if column.dtype.kind == "m":
        return np.asarray(column.dt.total_seconds(), dtype=np.float64)
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, copy=True)
    missing = ~np.isfinite(numbers)
    if not missing.any():
        return numbers
    numbers[missing] = [_duration(cell) for cell in column[missing]]
    return numbers


def _duration(cell: Any) -> float:
    if isinstance(cell, timedelta):
        return cell.total_seconds()
    if isinstance(cell, datetime):
        return (cell - SHEET_EPOCH).total_seconds() if cell.year < 1910 else float("nan")
    if isinstance(cell, time):
        return cell.hour * 3600 + cell.minute * 60 + cell.second + cell.microsecond / 1e6
    found = DURATION.match(str(cell))
    if not found:
        return float("nan")
    part = found.groupdict()
    days, hours = float(part["days"] or part["dashed"] or 0), float(part["h"] or 0)
    return 86400 * days + 3600 * hours + 60 * float(part["m"]) + float(part["s"].replace(",", ".")) + (
        float("0." + part["ms"][1:]) if part["ms"] else 0.0)


def moments(column: pd.Series, day_first: bool | None) -> Floats | None:
    """Dates as seconds since 1970 by the clock of the file; None where day and month cannot be told apart or none is a date."""
    if column.dtype.kind in "biuf":
        return _serial(column.to_numpy(dtype=np.float64))
    if column.dtype.kind == "M":
        return np.asarray((column - EPOCH).dt.total_seconds(), dtype=np.float64)
    if any(isinstance(cell, datetime) for cell in column.head(3)):
        return np.array([(cell - EPOCH).total_seconds() if isinstance(cell, datetime) else np.nan for cell in column])
    parts = [DATE.match(str(cell)) for cell in column]
    order = _order([p for p in parts if p], day_first)
    if order is None:
        return None
    found = np.array([_moment(p, order) if p else np.nan for p in parts])
    return found if np.isfinite(found).any() else None


def moment(text: str, day_first: bool | None) -> datetime | None:
    """One date and time; None where it is none or could be two."""
    found = moments(pd.Series([text], dtype=object), day_first)
    return first(found) if found is not None else None


def first(found: Floats) -> datetime | None:
    """The first date of `moments`."""
    known = found[np.isfinite(found)]
    return EPOCH + timedelta(seconds=round(float(known[0]), 3)) if known.size else None


def looks_like_dates(column: pd.Series) -> bool:
    """Whether the first filled cells are dates or clock times."""
    head = column.dropna().head(3)
    return all(isinstance(cell, datetime) or bool(DATE.match(str(cell))) or bool(DURATION.match(str(cell))) for cell in head)


def _serial(numbers: Floats) -> Floats | None:
    """Seconds since 1970, days since 1899-12-30 or nanoseconds-like ticks, told by their size."""
    known = numbers[np.isfinite(numbers)]
    if not known.size:
        return None
    typical = float(np.median(known))
    for low, high, scale, offset in ((20_000, 80_000, 86400.0, -25569 * 86400.0), (3e8, 6e9, 1.0, 0.0), (3e11, 6e12, 1e-3, 0.0),
                                     (3e14, 6e15, 1e-6, 0.0), (3e15, 6e16, 1e-7, 0.0), (3e17, 6e18, 1e-9, 0.0)):
        if low < typical < high:
            return numbers * scale + offset
    return None


def _order(parts: list[re.Match[str]], day_first: bool | None) -> str | None:
    """Which of the three numbers is what: "ymd", "dmy" or "mdy"."""
    if not parts:
        return None
    if len(parts[0][1]) == 4:
        return "ymd"
    if parts[0][2].isalpha():
        return "dmy"
    ones, twos = {int(p[1]) for p in parts}, {int(p[2]) for p in parts if p[2].isdigit()}
    if max(ones) > 12:
        return "dmy"
    if twos and max(twos) > 12:
        return "mdy"
    if "." in parts[0][0].split()[0]:  # dots stand in dates of countries that put the day first
        return "dmy"
    if day_first is None:
        return "dmy" if ones == twos and len(ones) == 1 else None
    return "dmy" if day_first else "mdy"


def _moment(found: re.Match[str], order: str) -> float:
    numbers = [found[1], found[2], found[3]]
    by = dict(zip(order, numbers, strict=True))
    month = MONTHS.get(by["m"].lower(), 0) if by["m"].isalpha() else int(by["m"])
    year = int(by["y"]) + (2000 if len(by["y"]) <= 2 else 0)
    hour, minute = int(found[4] or 0), int(found[5] or 0)
    second = float((found[6] or "0").replace(",", ".").replace(":", "."))
    if found[7]:
        hour = hour % 12 + (12 if found[7].lower() == "pm" else 0)
    try:
        whole = (datetime(year, month, int(by["d"]), hour, minute) - EPOCH).total_seconds()
    except ValueError:
        return float("nan")
    return whole + second
