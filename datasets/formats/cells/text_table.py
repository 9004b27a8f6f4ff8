"""Delimited text to a table: code page, delimiter, decimal sign and the line of column names, found from the content.

Programs write tables in the code page of their computer (UTF-8 with or without a mark, UTF-16, Windows' western page, GB
18030), parted by tabs, commas or semicolons, with decimal points or commas, below lines that say what was measured.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from datasets.errors import UnreadableFile
from datasets.formats.last_line import NO_END

MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
SEPARATORS = ("\t", ";", ",")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f]")
CHINESE = re.compile("电压|电流|时间|循环|容量")
MOST_HEAD_LINES = 400
TAIL_BYTES = 4096
SPARE, MOST_SPARE = "column", 64
"""Cells beyond the last name: empty ones, as of rows that end in a separator, or a column that nobody named."""
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")


def encoding_of(raw: bytes, *, whole: bool = True) -> str:
    """The code page of a text; `whole` is False where the end may cut a character in two."""
    for mark, encoding in MARKS:
        if raw.startswith(mark):
            return encoding
    if len(raw) > 4 and raw[1:64:2].count(0) == len(raw[1:64:2]):
        return "utf-16-le"
    try:
        raw.decode("utf-8") if whole else raw[:max(raw.rfind(b"\n"), len(raw) - 4)].decode("utf-8")
    except UnicodeDecodeError:
        return "gb18030" if CHINESE.search(raw.decode("gb18030", errors="replace")) else "cp1252"
    return "utf-8"


def head_lines(head: bytes) -> list[str]:
    """Lines of the first bytes of a file, the last one perhaps cut; none if the bytes are no text."""
    encoding = encoding_of(head, whole=False)
    text = head.decode(encoding, errors="ignore")
    if not text or len(CONTROL.findall(text)) > len(text) // 200:
        return []
    return re.split(r"\r\n|\n|\r", text)[:MOST_HEAD_LINES]


def cells_of(line: str, separator: str) -> list[str]:
    """Cells of one line, quotes taken off; those around the whole line, too."""
    line = unquoted(line, separator)
    if '"' not in line:
        return [cell.strip() for cell in line.split(separator)]
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]
    except csv.Error:
        return [cell.strip() for cell in line.split(separator)]


def unquoted(line: str, separator: str) -> str:
    """A line without the quotes that a program which took it for one cell put around it."""
    line = line.rstrip("\r\n")
    if not (line.startswith('"') and line.endswith('"') and separator in line) or '"' in line[1:-1].replace('""', ""):
        return line
    return line[1:-1].replace('""', '"')


def read_table(path: Path, header: int, names: Sequence[str], separator: str, encoding: str) -> tuple[pd.DataFrame, list[str]]:
    """Rows below line `header` (counted from 0) under `names`, and what a person should know of them.

    A row may end in a separator or lack its last cells. Cells that are numbers come as numbers, all others as text.

    Raises
    ------
    UnreadableFile
        Naming the line that has more cells than there are names.
    """
    names = _distinct(names)
    with path.open(encoding=encoding, errors="replace", newline=None) as file:
        for _ in range(header + 1):
            file.readline()
        place = file.tell()
        first = [line for line in (file.readline() for _ in range(50)) if line.strip()]
        file.seek(place)
        if not first:
            raise UnreadableFile(path, "has column names but no rows", where=f"line {header + 1}")
        wide = max(len(cells_of(line, separator)) for line in first)
        rows: TextIO = file
        if unquoted(first[0], separator) != first[0].rstrip("\r\n"):
            rows = io.StringIO("\n".join(unquoted(line, separator) for line in file))
            first = [unquoted(line, separator) for line in first]
        spare = [f"{SPARE} {i + 1}" for i in range(len(names), max(len(names) + 1, min(wide, len(names) + MOST_SPARE)))]
        try:
            frame = pd.read_csv(rows, sep=separator, header=None, names=[*names, *spare], index_col=False,
                                decimal=_decimal(first,
                                                 separator), low_memory=False, skipinitialspace=True, skip_blank_lines=False)
        except (ValueError, pd.errors.ParserError) as error:
            said = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
            if said:
                raise UnreadableFile(path, f"a row has {said[3]} cells under {len(names)} names",
                                     where=f"line {header + 1 + int(said[2])}") from error
            raise UnreadableFile(path, f"is no table: {' '.join(str(error).split())[:150]}") from error
    notes: list[str] = []
    for name in spare:
        filled = frame[name].notna()
        if not filled.any():
            frame = frame.drop(columns=name)
        elif filled.all():
            notes.append(f"the rows have more cells than the {len(names)} names: names may stand over the wrong columns")
        else:  # a column without a name is filled in every row; here a row has lost its place
            raise UnreadableFile(path, f"a row has more cells than the {len(names)} names",
                                 where=f"line {header + 2 + int(np.argmax(filled))}")
    notes += [f"{note} (row {len(frame)})" for note in _cut_off(path, separator, encoding)]
    return frame, [*dict.fromkeys(notes), *_uneven(path, header, separator, names, len(frame))]


def _uneven(path: Path, header: int, separator: str, names: Sequence[str], rows: int) -> list[str]:
    """Whether some rows have more or fewer cells than most, or lines were joined: values may have lost their places."""
    widths: Counter[int] = Counter()
    number = 0
    first: dict[int, int] = {}
    mark = separator.encode()
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if number > header + 1 and line.strip() and b'"' not in line:
                width = line.count(mark)
                widths[width] += 1
                first.setdefault(width, number)
    usual = max(widths, key=lambda width: widths[width], default=0)
    joined = number - header - 1 - rows if widths else 0
    notes = [f"{joined} lines are taken for parts of cells in quotes: a quotation mark may be damaged"] if joined > 0 else []
    if widths and usual + 1 < len(names):
        notes.append(f"{len(names)} names stand over rows of {usual + 1} cells: names may stand over the wrong columns")
    odd = [number for width, number in first.items() if width != usual]
    if odd:
        notes.append(f"{widths.total() - widths[usual]} rows have more or fewer cells than most, the first in line {min(odd)}: "
                     "their values may stand under the wrong names")
    return notes


def is_number(text: str) -> bool:
    """Whether a cell is one number and nothing else."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _cut_off(path: Path, separator: str, encoding: str) -> list[str]:
    """Whether the last line has no end, or fewer cells than the one before it."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        tail = file.read()
    if not tail.rstrip(b"\0 \t\x1a").endswith((b"\n", b"\r")):
        return [NO_END]
    if encoding.startswith("utf-16"):
        return []
    rows = [line for line in tail.splitlines()[1:] if line.strip(b" ,;\t")]
    mark = separator.encode()
    if len(rows) > 1 and rows[-1].count(mark) < rows[-2].count(mark):
        return ["the last row lacks cells that the others have: the file may be cut off"]
    return []


def _distinct(names: Sequence[str]) -> list[str]:
    seen: dict[str, int] = {}
    found = []
    for i, name in enumerate(names):
        name = name or f"column {i + 1}"
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    return found


def _decimal(rows: Sequence[str], separator: str) -> str:
    if separator == ",":
        return "."
    cells = [cell for row in rows for cell in cells_of(row, separator)]
    return "," if any(DECIMAL_COMMA.fullmatch(cell) for cell in cells) else "."
