"""Workbooks of cyclers (.xlsx, .xls): Arbin, Landt, Neware and any other program whose columns are known.

Sheets are read by python-calamine. Sheets whose columns are those of one run are joined in the order in which they stand
(Arbin begins a new sheet, as "Channel_1_2", where one is full; Landt and Neware continue "record" sheets without column
names). A sheet of cycles, steps or statistics has no clock and is no record. Neware writes step and cycle of a point into the
record sheet or, in some versions, only into the sheet "step": there, the points' own steps are counted, and take cycle and
step from that sheet if it has as many. Cells "name, value" of other sheets become metadata.

A zip archive that declares more bytes than its size allows is refused before it is opened.
"""

import re
import zipfile
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from python_calamine import CalamineError, CalamineWorkbook, ZipError

from datasets.errors import UnreadableFile
from datasets.formats.cells import clock, cycler
from datasets.formats.cells.cycler_dialects import NEWARE, Dialect
from datasets.formats.signal import Format, Signal
from datasets.formats.zip_members import zip_members
from datasets.writers import xlsx

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MOST_INFLATION = 60
"""Sheets of numbers pack to about a tenth; far more means harm or damage."""
MOST_HEAD_ROWS = 60
HIDDEN = ("chart", "statistic", "log", "curve")
Rows = list[list[Any]]


def read(path: Path) -> tuple[Signal, ...]:
    """The run; several where sheets are of several programs or channels.

    Raises
    ------
    UnreadableFile
        If the workbook is damaged or holds no record of a run.
    """
    sheets = _sheets(path)
    steps = next((table for table in map(_steps, sheets.values()) if table is not None), None)
    found: list[tuple[str, Dialect, list[Any], int, Rows]] = []
    about: dict[str, Any] = {}
    for name, rows in sheets.items():
        place = _header(rows)
        if place is None:
            if found and _continues(rows, found[-1][2]):
                found[-1][4].extend(rows)
            elif len(rows) < MOST_HEAD_ROWS:
                about |= _stated(rows)
            continue
        line, dialect = place
        labels = [str(cell).strip() for cell in rows[line]]
        channel = re.sub(r"_\d+$", "", name)
        if found and found[-1][1] is dialect and found[-1][2] == labels and re.sub(r"_\d+$", "", found[-1][0]) == channel:
            found[-1][4].extend(rows[line + 1:])
        else:
            found.append((name, dialect, labels, line, rows[line + 1:]))
            about |= _stated(rows[:line])
    if not found:
        raise UnreadableFile(path, f"holds no record of a run: no sheet of {', '.join(list(sheets)[:10])} has columns of "
                             "potential, current and time")
    several = len(found) > 1
    signals: list[Signal] = []
    for name, dialect, labels, line, rows in found:
        title = f"{path.stem}, {name}" if several else path.stem
        frame = _frame(rows, labels)
        if dialect is NEWARE and steps is not None:
            frame = _with_steps(frame, steps)
        signals += cycler.records(cycler.Table(path, frame, title, line + 2, about), dialect)
    return tuple(signals)


def _sheets(path: Path) -> dict[str, Rows]:
    size = path.stat().st_size
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                declared = sum(member.file_size for member in archive.infolist())
            if declared > MOST_INFLATION * size + (16 << 20):
                raise UnreadableFile(path, f"declares {declared} bytes inside an archive of {size}")
        with path.open("rb") as file, CalamineWorkbook.from_filelike(file) as book:
            names = [name for name in book.sheet_names if not any(word in name.lower() for word in HIDDEN)]
            return {name: book.get_sheet_by_name(name).to_python(skip_empty_area=True) for name in names}
    except (CalamineError, ZipError, zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UnreadableFile(path, f"is a damaged workbook: {' '.join(str(error).split())[:120]}",
                             todo="copy the file again") from error


def _header(rows: Rows) -> tuple[int, Dialect] | None:
    above = ""
    for number, row in enumerate(rows[:MOST_HEAD_ROWS]):
        labels = [cell.strip() for cell in row if isinstance(cell, str)]
        if len(labels) > 2 and (dialect := cycler.dialect_like(labels, above)) is not None:
            return number, dialect
        above += " ".join(labels)
    return None


def _continues(rows: Rows, labels: list[str]) -> bool:
    """Whether a sheet without column names holds rows of the sheet before it."""
    return bool(rows) and len(rows[0]) == len(labels) and sum(isinstance(cell, int | float) for cell in rows[0]) > 2


def _steps(rows: Rows) -> pd.DataFrame | None:
    """Neware's sheet of one row per step, if this is it."""
    if len(rows) < 2:
        return None
    labels = [str(cell).strip() for cell in rows[0]]
    if not {"Cycle Index", "Step Index", "Step Type"} <= set(labels) or cycler.dialect_like(labels) is not None:
        return None
    return pd.DataFrame(rows[1:], columns=labels)[["Cycle Index", "Step Index", "Step Type"]]


def _with_steps(frame: pd.DataFrame, steps: pd.DataFrame) -> pd.DataFrame:
    """Points with the cycle and step of the sheet "step", where their own sheet has only the mode; only if the counts agree."""
    columns = cycler.matched([str(label) for label in frame.columns], NEWARE)
    if "step_index" in columns or "mode" not in columns or "step_time" not in columns:
        return frame
    within = clock.seconds(frame[columns["step_time"]])
    begins = (frame[columns["mode"]] != frame[columns["mode"]].shift()).to_numpy() | (np.diff(within, prepend=0.0) < 0)
    begins[0] = True
    number = np.cumsum(begins) - 1
    if number[-1] + 1 != len(steps):
        return frame
    return frame.assign(**{name: steps[name].to_numpy()[number] for name in ("Cycle Index", "Step Index")})


def _frame(rows: Rows, labels: list[str]) -> pd.DataFrame:
    names: list[str] = []
    for i, label in enumerate(labels):
        names.append(label if label and label not in names else f"column {i + 1}")
    frame = pd.DataFrame(rows, columns=names)
    return frame.replace("", None).dropna(axis="columns", how="all") if len(frame) else frame


def _stated(rows: Rows) -> dict[str, Any]:
    """Cells with a name whose value stands to the right or, in a table of two rows, below."""
    found: dict[str, Any] = {}
    for above, below in zip(rows, [*rows[1:], []], strict=False):
        words = [cell for cell in above if isinstance(cell, str) and cell]
        if len(words) == len([c for c in above if c != ""]) > 3 and any(not isinstance(c, str) for c in below):
            found |= {str(k): _text(v) for k, v in zip(above, below, strict=False) if k and v not in ("", None)}
        for name, value in pairwise(above):
            told = value not in ("", None) and (not isinstance(value, str) or str(name).endswith(":"))
            if isinstance(name, str) and name and told:
                found.setdefault(name.rstrip(": "), _text(value))
    return found


def _text(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value if isinstance(value, int | float | bool) else str(value)


def recognises(head: bytes, path: Path) -> bool:
    """A workbook by its members; what it holds is told by its columns when it is read."""
    if head.startswith(OLE):
        return path.suffix.lower() == ".xls"
    names = zip_members(head, path)
    return path.suffix.lower() == ".xlsx" if names is None else "xl/workbook.xml" in names


def example(folder: Path) -> Path:
    """Twelve points of a constant current of 1 mA, as Arbin writes them."""
    names = ("Test_Time(s)", "Cycle_Index", "Step_Index", "Voltage(V)", "Current(A)", "Charge_Capacity(Ah)",
             "Discharge_Capacity(Ah)", "Data_Point")
    points = [(3.0 * i, 1, 1, 0.1, 0.001, 3 * i / 3.6e6, 0.0, i + 1) for i in range(12)]
    return xlsx.write(folder / "example.xlsx", {"Channel_1-001": [names, *points]})


CYCLER_WORKBOOK = Format(name="cycler workbook", suffixes=frozenset({".xlsx", ".xls"}), recognises=recognises, read=read,
                         version="1", example=example, fallback=True)
