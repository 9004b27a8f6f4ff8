"""CH Instruments' text and csv: voltammetry, current against time, open circuit. Its impedance is read by `impedance_text`.

No vendor specification was open; this follows the files that public programs for them describe. The first line is the date,
the second the technique; then "name = value", peaks that the program found, a line of column names ("Potential/V, Current/A"),
a blank line and rows, parted by commas or tabs.

The program stores no time in a sweep: here it is the way of the potential over the scan rate, from the first point on. Currents
keep the sign of the file: the program's own setting makes cathodic or anodic ones positive, and the file does not say which.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.cells.table_header import name_and_unit, variable
from datasets.formats.cells.text_table import encoding_of, head_lines
from datasets.formats.last_line import NO_END
from datasets.formats.signal import Axis, Field, Format, Signal
from datasets.formats.text_number import finite
from datasets.units import factor

SWEEPS = ("Cyclic Voltammetry", "Linear Sweep Voltammetry", "Staircase Voltammetry", "Tafel Plot")
OPEN_CIRCUIT = "Open Circuit Potential - Time"
HELD = "Amperometric i-t Curve"
TECHNIQUES = (*SWEEPS, OPEN_CIRCUIT, HELD, "Chronoamperometry", "Chronopotentiometry", "Chronocoulometry",
              "Differential Pulse Voltammetry", "Square Wave Voltammetry", "Normal Pulse Voltammetry",
              "Bulk Electrolysis with Coulometry", "Multi-Potential Steps", "Multi-Current Steps")
NAMES = re.compile(r"\s*(Potential|E|Time)\s*/\s*(V|sec|s)\s*[,\t]", re.IGNORECASE)
PAIR = re.compile(r"\s*([^=:]+?)\s*=\s*(\S.*?)\s*$")
TWO_LINES = 512
"""Bytes within which a date and a technique end; most files are told by them."""
SIGN = "currents have the sign of the file: CH Instruments' setting makes cathodic or anodic ones positive, and is not stored"
KNOWN = {"potential": ("potential", "V"), "current": ("current", "mA"), "charge": ("charge", "mAh")}


def recognises(head: bytes, path: Path) -> bool:
    """A technique of the program in the second line, below the date, and its column names."""
    del path
    if not any(line.strip() in TECHNIQUES for line in head_lines(head[:TWO_LINES])[:2]):
        return False
    lines = head_lines(head)
    return any(NAMES.match(line) for line in lines) or any("Instrument Model:" in line for line in lines[:12])


def read(path: Path) -> tuple[Signal, ...]:
    """The record.

    Raises
    ------
    UnreadableFile
        If there are no column names or no rows, or a row lacks numbers.
    """
    raw = path.read_bytes()
    lines = raw.decode(encoding_of(raw), errors="replace").splitlines()
    start = next((i for i, line in enumerate(lines) if NAMES.match(line)), None)
    if start is None:
        raise UnreadableFile(path, "has no line of column names as 'Potential/V, Current/A'", where=f"{len(lines)} lines")
    technique = next((line.strip() for line in lines[:6] if line.strip() in TECHNIQUES), "")
    about = {m[1]: m[2] for line in lines[:start] if (m := PAIR.match(line)) and len(line) < 500}
    ended = raw.endswith((b"\n", b"\r"))
    columns = _columns(path, lines, start, ended)
    warnings = [] if ended else [NO_END]
    axis, kind = _axis(technique, columns, about, warnings)
    size = axis.size
    fields: dict[str, Field] = {}
    for (name, unit), values in columns.items():
        ours, wanted = KNOWN.get(name, ("", ""))
        if ours and unit:
            fields[ours] = Field(values * factor(unit, wanted), wanted)
        elif name != "time":
            fields[variable(name, unit, fields)] = Field(values, unit or "1")
    if technique == OPEN_CIRCUIT and "current" not in fields:
        fields["current"] = Field(np.zeros(size), "mA")
        warnings.append("open circuit: no current flows by definition, and the file stores none")
    elif technique == HELD and "potential" not in fields and (held := finite(about.get("Init E (V)", ""))) is not None:
        fields["potential"] = Field(np.full(size, held), "V")
        warnings.append(f"the potential was held at {held:g} V, which is what the file says of it")
    if "current" in fields and technique != OPEN_CIRCUIT:
        warnings.append(SIGN)
    kind = kind if {"potential", "current"} <= set(fields) else "record"
    ordered = {name: fields[name] for name in ("potential", "current") if name in fields} | fields
    return (Signal(f"{path.stem}, {technique}", (axis,), ordered, path, {"technique": technique, **about},
                   _conditions(lines), kind, tuple(warnings)),)


def _columns(path: Path, lines: list[str], start: int, ended: bool) -> dict[tuple[str, str], NDArray[np.float64]]:
    names = [name_and_unit(label) for label in re.split(r"[,\t]", lines[start].strip().strip(",")) if label.strip()]
    rows: list[list[float | None]] = []
    for number, line in enumerate(lines[start + 1:], start + 2):
        if not line.strip():
            continue
        cells = [finite(cell) for cell in re.split(r"[,\t]\s*|\s+", line.strip().strip(","))]
        if len(cells) < len(names) or None in cells[:len(names)]:
            if number == len(lines) and rows and not ended:
                break  # said of the last line
            raise UnreadableFile(path, f"the row {line.strip()[:40]!r} has not {len(names)} numbers", where=f"line {number}")
        rows.append(cells[:len(names)])
    if not rows:
        raise UnreadableFile(path, "has column names but no rows", where=f"line {start + 1}")
    table = np.array(rows, np.float64)
    return {name: table[:, i] for i, name in enumerate(names)}


def _axis(technique: str, columns: Mapping[tuple[str, str], NDArray[np.float64]], about: Mapping[str, str],
          warnings: list[str]) -> tuple[Axis, str]:
    """Time where it is stored or follows from the scan rate, else the number of the point."""
    for (name, unit), values in columns.items():
        if name == "time":
            return Axis("time", values, unit or "s"), "cycling"
    potential = next((values for (name, _), values in columns.items() if name in ("potential", "e")), np.empty(0))
    rate = finite(about.get("Scan Rate (V/s)", ""))
    if technique in SWEEPS and rate and rate > 0:
        warnings.append(f"the file stores no time: it is the way of the potential over the scan rate of {rate:g} V/s")
        return Axis("time", np.concatenate([[0.0], np.cumsum(np.abs(np.diff(potential)))]) / rate, "s"), "voltammetry"
    return Axis("position", np.arange(potential.size, dtype=np.float64), "1"), "record"


def _conditions(lines: list[str]) -> dict[str, Any]:
    for line in lines[:3]:
        text = " ".join(line.replace(".", "").split())
        for form in ("%b %d, %Y %H:%M:%S", "%B %d, %Y %H:%M:%S"):
            try:
                return {"acquired": datetime.strptime(text, form).isoformat()}
            except ValueError:
                continue
    return {}


def example(folder: Path) -> Path:
    """A sweep of 0.2 V there and back over a resistor of 1 kohm, at 0.1 V/s."""
    path = folder / "example.txt"
    sweep = [*range(21), *range(19, -1, -1)]
    rows = [f"{0.01 * i:.3f}, {1e-5 * i:.3e}" for i in sweep]
    head = ["Jan. 23, 2026   12:00:00", "Cyclic Voltammetry", "File: example.bin", "Data Source:  Experiment",
            "Instrument Model:  CHI760E", "Header: ", "Note: ", "", "Init E (V) = 0", "High E (V) = 0.2", "Low E (V) = 0",
            "Init P/N = P", "Scan Rate (V/s) = 0.1", "Segment = 2", "", "Results:", "", "Segment 1:", "Segment 2:", "",
            "Potential/V, Current/A", ""]
    path.write_bytes(("\r\n".join([*head, *rows]) + "\r\n").encode())
    return path


CH_INSTRUMENTS = Format(name="ch instruments text", suffixes=frozenset({".txt", ".csv"}), recognises=recognises, read=read,
                        version="1", text=True, example=example)
