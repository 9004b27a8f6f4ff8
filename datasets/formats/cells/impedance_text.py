"""Spectra of impedance as text: ZPlot and ZView (.z), Elchemea (.i2b), VersaStudio (.par), CH Instruments, Parstat, and any
csv with the usual column names.

A line of column names has a frequency and either real and imaginary part or modulus and phase, in any spelling of the tables
below; units stand in brackets or after a slash, cells are parted by tabs, semicolons, commas or blanks, decimals are points
or commas. ZPlot writes "End Comments" between the names and the points. What a name with a minus sign holds is turned; Z''
without one is the true imaginary part, and most of it being positive gives a warning. Several blocks with names of their own
are several spectra.

A file without column names is taken only if it ends in rows of exactly three numbers whose first falls or rises by a steady
factor: frequency, real and true imaginary part, in Hz and ohm (Elchemea's .i2b, the example files of impedance.py). Source
for the order in .i2b: pyimpspec (GPL-3.0-or-later).

Not read: impedance per area, which cannot be given in ohm without the area.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.cells import clock, cycler, spectra
from datasets.formats.cells.table_header import unit_of, variable
from datasets.formats.cells.text_table import encoding_of, head_lines
from datasets.formats.last_line import NO_END
from datasets.formats.signal import Field, Format, Signal
from datasets.units import compatible, factor

NAMES: Mapping[str, frozenset[str]] = {
    "frequency": frozenset({"freq", "frequency", "f", "freq.", "frequenz", "fréquence", "frequence", "频率", "frequencies"}),
    "real": frozenset({"z'", "zre", "rez", "re(z)", "zreal", "realz", "real(z)", "z_re", "z_real", "real", "re", "z're", "z1",
                       "re[z]", "zr", "z_r", "zprime", "z_prime", "realpart", "re_z", "rs"}),
    "imaginary": frozenset({"z''", "zim", "imz", "im(z)", "zimag", "imagz", "imag(z)", "z_im", "z_imag", "imag", "im", "z''im",
                            "z2", "im[z]", "zi", "z_i", "imaginary", "zimaginary", "zdoubleprime", "imagpart",
                            "imaginarypart", "im_z", "imag."}),
    "modulus": frozenset({"|z|", "zmod", "mod", "modulus", "z", "magnitude", "abs(z)", "absz", "zabs", "impedance", "|zmod|"}),
    "phase": frozenset({"phase", "zphz", "theta", "phi", "phase(z)", "phasez", "zphase", "arg(z)", "phaseangle", "θ", "φ"}),
    "elapsed": frozenset({"time", "t", "elapsed", "elapsedtime"}),
    "potential": frozenset({"edc", "vdc", "bias", "ewe", "potential", "<ewe>", "e"}),
    "current": frozenset({"idc", "i", "current", "<i>"}),
}
"""What a column holds -> its names without blanks and units, in lower case; a leading minus sign is looked at apart."""
KINDS = {"frequency": "Hz", "real": "ohm", "imaginary": "ohm", "modulus": "ohm", "phase": "deg", "elapsed": "s",
         "potential": "V",
         "current": "mA"}
PRIMES = str.maketrans({"′": "'", "’": "'", "´": "'", "`": "'", "‘": "'", "″": "''", "”": "''", "“": "''", '"': "''", "ʺ": "''",
                        "−": "-", "–": "-"})
SPLITTERS = (re.compile("\t"), re.compile(";"), re.compile(r",\s+"), re.compile(","), re.compile(r"\s{2,}"),
             re.compile(r"\s+"))
NUMBER = re.compile(r"[-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eEdD][-+]?\d+)?|[-+]?nan|[-+]?inf", re.IGNORECASE)
FEWEST_BARE_ROWS = 5
STEADY = 0.25
"""How far the logarithm of the factor between two frequencies of a file without names may be from the usual one."""
MOST_LINES = 400


def read(path: Path) -> tuple[Signal, ...]:
    """The spectra.

    Raises
    ------
    UnreadableFile
        Naming the line and what is wrong there.
    """
    raw = path.read_bytes()
    lines = re.split(r"\r\n|\n|\r", raw.decode(encoding_of(raw), errors="replace"))
    heads = [(number, head) for number, line in enumerate(lines) if (head := _names(line)) is not None]
    about = cycler.stated([line for line in lines[:heads[0][0] if heads else MOST_LINES] if 0 < len(line) < 500])
    found: list[Signal] = []
    for i, (number, head) in enumerate(heads):
        end = heads[i + 1][0] if i + 1 < len(heads) else len(lines)
        title = f"{path.stem}, {i + 1} of {len(heads)}" if len(heads) > 1 else path.stem
        found += _block(path, title, lines, number, end, head, about)
    if heads and (astray := sum(len(_numbers(line)) == len(heads[0][1]) for line in lines[:heads[0][0]])):
        said = f"{astray} rows of numbers stand above the column names and are not read: the file may be damaged"
        found = [replace(signal, warnings=(*signal.warnings, said)) for signal in found]
    found = found if heads else [*_bare(path, lines)]
    if lines[-1].strip():
        found = [replace(signal, warnings=(*signal.warnings, NO_END)) for signal in found]
    return tuple(found)


def _block(path: Path, title: str, lines: Sequence[str], start: int, end: int, head: Mapping[str, tuple[int, str]],
           about: Mapping[str, str]) -> tuple[Signal, ...]:
    width = max(position for position, _ in head.values()) + 1
    rows, notes, above, below = [], [], 0, 0
    for number in range(start + 1, end):
        line = lines[number]
        row = _numbers(line)
        if len(row) >= width:
            rows.append(row)
        elif rows and row:
            if any(len(_numbers(later)) >= width for later in lines[number + 1:end]):
                raise UnreadableFile(path, f"a row has {len(row)} of {width} numbers", where=f"line {number + 1}")
            notes.append("the last row lacks numbers that the others have and is left out: the file may be cut off")
            break
        elif (rows or _was_row(line, width)) and line.strip() and any(
                len(_numbers(later)) >= width for later in lines[number + 1:end]):
            raise UnreadableFile(path, f"the row {line.strip()[:40]!r} is none of numbers", where=f"line {number + 1}",
                                 todo="the file may be damaged")
        elif rows and line.strip():
            below += 1
        elif row:
            above += 1
    if above:
        notes.append(f"{above} lines between the names and the points begin with a number and are not read: "
                     "they may be damaged rows")
    if below:
        notes.append(f"{below} lines below the points are no rows of numbers and are not read")
    if not rows:
        raise UnreadableFile(path, "has column names but no rows", where=f"line {start + 1}")
    columns = {name: np.array([row[position] for row in rows]) for name, (position, _) in head.items()}
    for name, (_, unit) in head.items():
        kind = KINDS.get(name.lstrip("-"))
        if kind and unit and unit != kind and compatible(unit, kind):
            columns[name] = columns[name] * factor(unit, kind)
    impedance, remark = _impedance(columns)
    others: dict[str, Field] = {}
    for name in ("elapsed", "potential", "current"):
        if name in columns:
            others[name] = Field(columns[name], KINDS[name])
    for name, column in columns.items():
        if name.lstrip("-") not in KINDS:
            unit = head[name][1] or "arbitrary"
            others[variable(name, unit, others)] = Field(column, unit)
    return spectra.signals(path, title, columns["frequency"], impedance, others, about, _conditions(about), (*notes, *remark))


def _impedance(columns: Mapping[str, np.ndarray]) -> tuple[np.ndarray, tuple[str, ...]]:
    if "real" in columns and "-imaginary" in columns:
        return columns["real"] - 1j * columns["-imaginary"], ()
    if "real" in columns and "imaginary" in columns:
        impedance = columns["real"] + 1j * columns["imaginary"]
        return impedance, spectra.doubt_of_sign(impedance)
    phase = np.deg2rad(columns["phase"] if "phase" in columns else -columns["-phase"])
    impedance = columns["modulus"] * np.exp(1j * phase)
    return impedance, ("real and imaginary part follow from modulus and phase, which is what the file stores",
                       *spectra.doubt_of_sign(impedance))


def _conditions(about: Mapping[str, str]) -> dict[str, str]:
    date = next((value for name, value in about.items() if name.lower() in ("date", "acquired", "start date", "started")), "")
    time = next((value for name, value in about.items() if name.lower() in ("time", "start time")), "")
    moment = clock.moment(f"{date} {time}".strip() if ":" not in date else date, None)
    return {"acquired": moment.isoformat()} if moment is not None and ":" in f"{date}{time}" else {}


@lru_cache(maxsize=4096)
def _names(line: str) -> Mapping[str, tuple[int, str]] | None:
    """Column -> (position, unit) of a line of column names; "-imaginary" is one with a minus sign. None for any other line."""
    if len(line) > 2000 or sum(c.isalpha() for c in line) < 3:
        return None
    for splitter in SPLITTERS:
        cells = splitter.split(line.strip("\ufeff \t#%;,!"))
        if len(cells) < 3:
            continue
        found: dict[str, tuple[int, str]] = {}
        for position, cell in enumerate(cells):
            name, unit = _quantity(cell)
            while name in found:
                name += "_2"
            found[name] = (position, unit)
        parts = "real" in found and ("imaginary" in found or "-imaginary" in found)
        if "frequency" in found and (parts or ("modulus" in found and ("phase" in found or "-phase" in found))):
            return found
    return None


def _quantity(cell: str) -> tuple[str, str]:
    """What the column with this name holds, and its unit."""
    text = cell.strip().translate(PRIMES).strip("'\t ") if cell.strip().startswith('"') else cell.strip().translate(PRIMES)
    unit = ""
    for pattern in (r"^(.*\S)\s*[(\[]([^()\[\]]*)[)\]]$", r"^(.*\S)\s*/\s*([^/]+)$", r"^(.*)_([A-Za-zΩµ]+)$",
                    r"^(.*\S),\s*(\S+)$"):
        if (split := re.match(pattern, text)) and (unit_of(split[2]) or split[2].strip() in ("a", "b", "")):
            text, unit = split[1], unit_of(split[2]) if split[2].strip() not in ("a", "b") else ""
            break
    bare = re.sub(r"\s+", "", text.lower())
    negative = re.match(r"-|minus_?|neg_?", bare)
    bare = bare[negative.end():] if negative else bare
    for name, spellings in NAMES.items():
        kind = KINDS[name]
        if bare in spellings and (not unit or compatible(unit, kind)):
            return ("-" if negative and name in ("imaginary", "phase") else "") + name, unit
    return variable(text, unit), unit


def _numbers(line: str) -> list[float]:
    """The numbers of a row; empty if the row holds anything else."""
    line = line.strip(" \t;\"")
    if not line or not any(c.isdigit() for c in line):
        return []
    for splitter in SPLITTERS:
        cells = [cell.strip(' "') for cell in splitter.split(line.rstrip(", "))]
        if len(cells) > 2 and all(NUMBER.fullmatch(cell) for cell in cells):
            return [float(cell.replace(",", ".").replace("D", "E").replace("d", "e")) for cell in cells]
    if "\t" in line:  # a word among the numbers, as ZPlot's range
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) > 2 and all(NUMBER.fullmatch(cell) for cell in cells[:3]):
            return [float(cell.replace(",", ".")) if NUMBER.fullmatch(cell) else math.nan for cell in cells]
    cells = line.split()
    return [float(cells[0].replace(",", "."))] if NUMBER.fullmatch(cells[0]) else []


def _was_row(line: str, width: int) -> bool:
    """Whether a line that is no row of numbers holds half as many of them."""
    words = re.split(r"[,;\s]+", line.strip())
    return 2 * sum(NUMBER.fullmatch(word) is not None for word in words) >= max(4, width)


def _bare(path: Path, lines: Sequence[str]) -> tuple[Signal, ...]:
    rows = _bare_rows([line for line in lines if line.strip()], complete=True)
    if rows is None:
        raise UnreadableFile(path,
                             "has no line of column names, and does not end in rows of frequency, real and imaginary part",
                             todo="the file may be truncated or damaged")
    filled = [(number, line) for number, line in enumerate(lines) if line.strip()]
    for number, line in filled[:-len(rows)]:
        cells = re.split(r"[,;\s]+", line.strip())
        if len(cells) == 3 and sum(bool(NUMBER.fullmatch(cell)) for cell in cells) > 1:
            raise UnreadableFile(path, f"the row {line.strip()[:40]!r} breaks the run of frequencies or is no row of three",
                                 where=f"line {number + 1}", todo="the file may be damaged")
    frequency, real, imaginary = rows.T
    impedance = real + 1j * imaginary
    notes = ("the file has no column names: its columns are taken as frequency, real and imaginary part, in Hz and ohm",
             *spectra.doubt_of_sign(impedance))
    if len(filled) > len(rows):
        notes = (*notes, f"{len(filled) - len(rows)} lines above the spectrum are kept as metadata")
    about = {"lines above": [line for _, line in filled[:-len(rows)]][:20]}
    return spectra.signals(path, path.stem, frequency, impedance, {}, about, {}, notes)


def _bare_rows(lines: Sequence[str], *, complete: bool) -> np.ndarray | None:
    """Rows of three numbers at the end of a text, if their first changes by a steady factor; (row, 3)."""
    rows: list[list[float]] = []
    for line in reversed(lines if complete else lines[:-1]):
        row = _numbers(line)
        if len(row) != 3 or not all(map(math.isfinite, row)) or row[0] <= 0:
            break
        rows.append(row)
    if len(rows) < FEWEST_BARE_ROWS:
        return None
    table = np.array(rows[::-1])
    steps = np.diff(np.log(table[:, 0]))
    usual = float(np.median(steps))
    steady = np.abs(steps - usual) < STEADY * abs(usual)
    return table if abs(usual) > 0.01 and steady.mean() > 0.8 else None


@lru_cache(maxsize=64)
def _looks_like_impedance(head: bytes) -> bool:
    lines = head_lines(head)
    if any(_names(line) is not None for line in lines):
        return True
    return len(lines) > FEWEST_BARE_ROWS and _bare_rows([line for line in lines if line.strip()],
                                                        complete=len(head) < 4096) is not None


FOREIGN = (b"EXPLAIN", b"EC-Lab ASCII", b"BT-Lab ASCII", b"VERSION8.0")
"""Beginnings of texts of impedance that have readers of their own."""


def recognises(head: bytes, path: Path) -> bool:
    """By a line of column names, or rows of three numbers that can only be a spectrum."""
    del path
    return not head.lstrip(b"\xef\xbb\xbf").startswith(FOREIGN) and _looks_like_impedance(head)


def example(folder: Path) -> Path:
    """ZPlot's file of 10 ohm in series with 10 uF, eleven frequencies."""
    rows = [f"{f:.6g},0.01,0,{i},10,{-1 / (2e-5 * math.pi * f):.6g},0,0,1" for i, f in
            enumerate(10 ** (4 - i / 2) for i in range(11))]
    head = ['"ZPLOT2 ASCII"', '"ZPlot for Windows: Version 3.2"', "Date: 2026-01-23", "Time: 12:00:00",
            "  Freq(Hz)    Ampl    Bias    Time(Sec)    Z'(a)    Z''(b)    GD    Err    Range", "End Comments"]
    path = folder / "example.z"
    path.write_bytes(("\r\n".join([*head, *rows]) + "\r\n").encode())
    return path


IMPEDANCE_TEXT = Format(name="impedance text", suffixes=frozenset({".z", ".i2b", ".csv", ".txt", ".dat", ".par"}),
                        recognises=recognises, read=read, version="1", text=True, example=example, uncounted=True)
"""Spectra of impedance as text."""
