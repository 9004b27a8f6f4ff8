"""BioLogic EC-Lab and BT-Lab text files (.mpt): the table of .mpr with more columns, as `eclab` reads it.

Line 1 "EC-Lab ASCII FILE" or "BT-Lab ASCII FILE", line 2 the number of header lines, of which the last holds the column names;
then one row per point, tab-separated. Text is in Windows' western code page; decimals are commas on a French or German
computer. Dates in the header are month/day/year (held against the binary file of one acquisition). Header lines "name : value"
become metadata; the parameters of the technique, a table in columns of twenty characters, are not read. An export with absolute
times has dates in the column time/s: time then counts from the start of the acquisition, or from the first point where the
header does not give one.
"""

import re
from datetime import datetime
from pathlib import Path

import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.cells import eclab
from datasets.formats.cells.text_table import is_number
from datasets.formats.dates import date_of
from datasets.formats.signal import Format, Signal

MAGICS = (b"EC-Lab ASCII FILE", b"BT-Lab ASCII FILE")
TECHNIQUES = {"Galvanostatic Cycling with Potential Limitation": "GCPL", "Open Circuit Voltage": "OCV",
              "Potentio Electrochemical Impedance Spectroscopy": "PEIS",
              "Galvano Electrochemical Impedance Spectroscopy": "GEIS", "Cyclic Voltammetry": "CV",
              "Linear Sweep Voltammetry": "LSV", "Modulo Bat": "MB", "Chronoamperometry / Chronocoulometry": "CA",
              "Chronopotentiometry": "CP", "Constant Current": "CoC", "Constant Voltage": "CoV"}
DATES = ("%m/%d/%Y %H:%M:%S.%f", "%m/%d/%Y %H:%M:%S", "%m-%d-%Y %H:%M:%S", "%m.%d.%Y %H:%M:%S")


def read(path: Path) -> tuple[Signal, ...]:
    """Record and impedance of a text export.

    Raises
    ------
    UnreadableFile
        Naming the line and what is wrong there.
    """
    text = path.read_bytes().decode("cp1252", errors="replace")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    stated = re.match(r"Nb header lines\s*:\s*(\d+)\s*$", lines[1]) if len(lines) > 1 else None
    if stated is None:
        raise UnreadableFile(path, "does not say how many header lines it has", where="line 2")
    head = int(stated[1])
    if not 3 <= head < len(lines):
        raise UnreadableFile(path, f"declares {head} header lines and has {len(lines)} lines", where="line 2",
                             todo="the file may be truncated")
    names = [name.strip() for name in lines[head - 1].rstrip("\t ").split("\t")]
    metadata = {key.strip(): value.strip() for line in lines[4:head - 1] if not line.startswith("\t")
                for key, separator, value in [line.partition(" : ")] if separator and value.strip()}
    started = _started(metadata.get("Acquisition started on", ""))
    rows = _relative([line for line in lines[head:] if line.strip()], names, started)
    if not rows:
        raise UnreadableFile(path, "has column names but no points", where=f"line {head}")
    numbers = np.empty((len(rows), len(names)))
    for i, row in enumerate(rows):
        items = row.replace(",", ".").split("\t")
        try:
            numbers[i] = [float(item) for item in items[:len(names)]]
        except ValueError:
            bad = next((n for n, item in zip(names, items, strict=False) if not is_number(item)), "")
            what = f"{bad} is no number" if bad else f"the row has {len(items)} of {len(names)} columns"
            raise UnreadableFile(path, what, where=f"line {head + 1 + i}",
                                 todo="export times relative, or copy the file again") from None
    columns = {name: numbers[:, i] for i, name in reversed(list(enumerate(names)))}
    columns = {name: columns[name] for name in names}
    long_name = lines[3].strip() if head > 4 else ""
    metadata["technique"] = technique = TECHNIQUES.get(long_name, long_name or "EC-Lab record")
    cut = not text.endswith(("\n", "\r")) and len(rows) > 1 and len(rows[-1].split("\t")) == len(names) and (
        len(rows[-1].rpartition("\t")[2]) < len(rows[-2].split("\t")[len(names) - 1]))
    notes = ["the last line has no end, and its last number is shorter than the others: it may be cut off"] if cut else []
    if wide := sum(len(row.rstrip("\t ").split("\t")) > len(names) for row in rows):
        notes.append(f"{wide} rows have more cells than the {len(names)} names: names may stand over the wrong columns")
    return eclab.signals(eclab.Record(path, columns, technique, started, metadata, _area(metadata), tuple(notes)))


def _relative(rows: list[str], names: list[str], started: datetime | None) -> list[str]:
    """Rows with seconds in the place of dates, where an export has absolute times."""
    if "time/s" not in names or not rows:
        return rows
    place = names.index("time/s")
    cells = [row.split("\t") for row in rows]
    if len(cells[0]) <= place or (first := _started(cells[0][place].strip())) is None:
        return rows
    for row in cells:
        moment = _started(row[place].strip()) if len(row) > place else None
        if moment is not None:
            row[place] = repr((moment - (started or first)).total_seconds())
    return ["\t".join(row) for row in cells]


def _started(text: str) -> datetime | None:
    return date_of(text.replace(",", "."), *DATES) if text[:1].isdigit() and ":" in text else None


def _area(metadata: dict[str, str]) -> float | None:
    stated = re.match(r"([\d.,]+)\s*cm", metadata.get("Electrode surface area", ""))
    return float(stated[1].replace(",", ".")) if stated and is_number(stated[1].replace(",", ".")) else None


def recognises(head: bytes, path: Path) -> bool:
    """By the first line."""
    del path
    return head.startswith(MAGICS)


def example(folder: Path) -> Path:
    """Five points of a constant current."""
    head = ["EC-Lab ASCII FILE", "Nb header lines : 7", "", "Galvanostatic Cycling with Potential Limitation", "",
            "Acquisition started on : 01/23/2026 12:00:00", "time/s\tEwe/V\t<I>/mA\t(Q-Qo)/mA.h"]
    rows = [f"{t:.7E}\t{0.1:.7E}\t{1.0:.7E}\t{t / 3600:.7E}" for t in range(0, 50, 10)]
    path = folder / "example.mpt"
    path.write_bytes(("\r\n".join([*head, *rows]) + "\r\n").encode("cp1252"))
    return path


ECLAB_TEXT = Format(name="biologic mpt", suffixes=frozenset({".mpt"}), recognises=recognises, read=read, version="1", text=True,
                    example=example, uncounted=True)
