"""EBSD and ACOM maps as text (.ang) of EDAX TSL/OIM, EMsoft, NanoMegas ASTAR, orix and MTEX.

Comments begin with #, then follow the points, one a line: Euler angles (Bunge) in radians, x, y, and columns that depend on
who wrote the file. No vendor document was opened; the dialects are those that orix 0.15 tells apart, and OIM 8's own
COLUMN_HEADERS, which are believed where they stand. x and y are in µm, except ASTAR's, which are in nm. TSL writes phase 0 for
the only phase of a map and confidence index -1 where nothing was indexed.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.electrons.ebsd_map import Points, signals_of
from datasets.formats.signal import Field, Format, Signal

FIRST = ("euler_1", "euler_2", "euler_3", "x", "y")
TSL = ("image_quality", "confidence_index", "phase", "detector_signal", "fit")
DIALECTS = (
    ("ACOM", ("correlation_index", "reliability", "phase", "reliability_x100"), "nm"),
    ("EMsoft", ("image_quality", "dot_product", "phase", *TSL[3:]), "um"),
    ("EMEBSDDI", ("image_quality", "dot_product", "phase", *TSL[3:]), "um"),
    ("", TSL, "um"),
)
"""Word of the header -> columns after the first five, unit of x and y."""
NAMES = {
    "phi1": "euler_1", "phi": "euler_2", "phi2": "euler_3", "x": "x", "y": "y", "iq": "image_quality",
    "ci": "confidence_index", "phase index": "phase", "phase": "phase", "phase_id": "phase", "sem": "detector_signal",
    "detector_signal": "detector_signal", "fit": "fit", "image_quality": "image_quality",
    "confidence_index": "confidence_index", "pattern_fit": "fit",
}
"""Column heading of OIM 8 or orix, lower case -> our name; the order of Phi and phi1 is told by position."""
UNITS = {"euler_1": "rad", "euler_2": "rad", "euler_3": "rad", "fit": "deg"}
MARK = re.compile(rb"^#\s*(TEM_PIXperUM|MaterialName|GRID:|HEADER: Start|File created from ACOM)", re.MULTILINE)


def recognises(head: bytes, path: Path) -> bool:
    """Comment lines, one of which is of this format."""
    del path
    return head.lstrip()[:1] == b"#" and MARK.search(head) is not None


def read(path: Path) -> tuple[Signal, ...]:
    """The map of a file.

    Raises
    ------
    UnreadableFile
        If there are no points, or a line is not like the others.
    """
    text = path.read_text(encoding="utf-8", errors="replace").splitlines()
    header = [line.lstrip("#").strip() for line in text if line.startswith("#")]
    rows = [line for line in text if line.strip() and not line.startswith("#")]
    table = numbers(path, rows, fewest=len(FIRST) + 3)
    names, unit = _columns(header, table.shape[1])
    remarks = []
    if len(names) < table.shape[1]:
        remarks.append(f"{table.shape[1] - len(names)} columns have no name in this dialect: "
                       f"they are kept as column_{len(names) + 1} and so on")
        names = (*names, *(f"column_{i + 1}" for i in range(len(names), table.shape[1])))
    column = dict(zip(names, table.T, strict=True))
    grid = dict(re.findall(r"^(GRID|XSTEP|YSTEP|NCOLS_ODD|NCOLS_EVEN|NROWS)\s*:?\s*(\S+)", "\n".join(header), re.MULTILINE))
    cells = None
    if grid.get("GRID", "").lower().startswith("sqr"):
        cells = (int(_float(grid.get("NROWS"))), int(_float(grid.get("NCOLS_ODD")))) if "NROWS" in grid else None
    phases = _phases(header)
    fields = {"phase": Field(_phase_numbers(column, phases))}
    fields |= {name: Field(values, UNITS.get(name, "1")) for name, values in column.items() if name not in ("x", "y", "phase")}
    points = Points(column["x"], column["y"], unit, fields, (_float(grid.get("YSTEP")), _float(grid.get("XSTEP"))), cells,
                    conditions={"phases": [one["name"] for one in phases]} if phases else {},
                    metadata={"header": header, "phases": phases}, warnings=tuple(remarks))
    return signals_of(path, path.stem, points)


def numbers(path: Path, rows: list[str], fewest: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A table of numbers; decimal commas are read as points.

    Raises
    ------
    UnreadableFile
        If there are no rows, fewer columns than needed, or a row that differs.
    """
    if not rows:
        raise UnreadableFile(path, "has a header and no points", todo="it may be truncated")
    if "," in rows[0]:
        rows = [row.replace(",", ".") for row in rows]
    try:
        table = np.loadtxt(rows, ndmin=2, comments=None)
    except (ValueError, IndexError) as error:
        raise UnreadableFile(path, f"a line of points cannot be read: {error}",
                             todo="the file may be truncated or damaged") from error
    if table.shape[1] < fewest:
        raise UnreadableFile(path, f"points have {table.shape[1]} columns, at least {fewest} are needed")
    return table


def _columns(header: list[str], count: int) -> tuple[tuple[str, ...], str]:
    text = "\n".join(header)
    stated = re.search(r"^(?:COLUMN_HEADERS|Column names)\s*:\s*(.+)$", text, re.MULTILINE)
    _, rest, unit = next(dialect for dialect in DIALECTS if dialect[0] in text)
    if not stated:
        return (*FIRST, *rest)[:count], unit
    words = [word.strip() for word in stated[1].split(",")]
    names = [NAMES.get(word.lower(), re.sub(r"\W+", "_", word.lower()).strip("_")) for word in words]
    names[:len(FIRST)] = FIRST
    unique = [name if names.index(name) == i else f"{name}_{i + 1}" for i, name in enumerate(names)]
    return tuple(unique[:count]), unit


def _phase_numbers(column: dict[str, Any], phases: list[dict[str, Any]]) -> np.ndarray[Any, np.dtype[np.int16]]:
    """From the file's numbers: 0 is the only phase in some files, and nothing in others."""
    stored = column["phase"] if "phase" in column else np.zeros(column["x"].size)
    number = np.nan_to_num(np.clip(stored, -1, 32000)).astype(np.int16)
    if len(phases) <= 1 and not (number > 0).any():
        number = number + np.int16(1)
    number = np.asarray(np.maximum(number, 0), np.int16)
    if "confidence_index" in column:
        number[column["confidence_index"] == -1] = 0
    return number


def _phases(header: list[str]) -> list[dict[str, Any]]:
    phases: list[dict[str, Any]] = []
    number = None
    for line in header:
        key, _, value = line.partition(" ")
        key, _, more = key.partition("\t")
        value = (more + " " + value).strip()
        if key == "Phase" and value.split()[:1] and value.split()[0].isdigit():
            number = int(value.split()[0])
        elif key == "MaterialName":
            phases.append({"number": len(phases) + 1 if number is None else number, "name": value})
            number = None
        elif phases and key in ("Formula", "Symmetry"):
            phases[-1][key.lower()] = value
        elif phases and key == "LatticeConstants":
            phases[-1]["cell"] = [_float(word) for word in value.split()]
    return phases


def _float(word: str | None) -> float:
    """0 where there is no number."""
    try:
        value = float((word or "0").replace(",", "."))
    except ValueError:
        return 0.0
    return value if abs(value) < 1e9 else 0.0


def example(folder: Path) -> Path:
    """A grain boundary in nickel, 4 x 6 points of 1.5 µm, one of them not indexed."""
    head = ("TEM_PIXperUM 1.000000", "Phase 1", "MaterialName  Nickel", "Formula Ni", "Symmetry 43",
            "LatticeConstants 3.52 3.52 3.52 90.0 90.0 90.0", "GRID: SqrGrid", "XSTEP: 1.5", "YSTEP: 1.5", "NCOLS_ODD: 6",
            "NCOLS_EVEN: 6", "NROWS: 4", "")
    rows = [f"{0.1 if j < 3 else 0.9:.5f} 0.20000 0.30000 {1.5 * j:.5f} {1.5 * i:.5f} 40.0 "
            f"{-1 if (i, j) == (2, 2) else 0.8:.3f} {0 if (i, j) == (2, 2) else 1} 1 0.500" for i in range(4) for j in range(6)]
    path = folder / "example.ang"
    path.write_text("".join(f"# {line}\n" for line in head) + "\n".join(rows) + "\n", encoding="ascii")
    return path


ANG = Format(name="ang", suffixes=frozenset({".ang"}), recognises=recognises, read=read, version="1", text=True,
             example=example)
