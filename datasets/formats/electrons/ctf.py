"""EBSD maps as text (.ctf, Channel Text File) of Oxford/HKL Channel 5 and AZtec, Bruker, EMsoft, ASTAR, MTEX and orix.

First line "Channel Text File", then keys and values separated by tabs, the number of phases and one line for each, a line of
column names, and the points: phase, x and y in µm, Euler angles in degrees. No vendor document was opened. Dialects met: rows
with fewer values than names (MTEX), points off any grid (JobMode Interactive), decimal commas, spaces for tabs, a byte-order
mark.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.electrons.ang import numbers
from datasets.formats.electrons.ebsd_map import Points, signals_of
from datasets.formats.signal import Field, Format, Signal

COLUMNS: dict[str, tuple[str, str]] = {
    "euler1": ("euler_1", "deg"), "euler2": ("euler_2", "deg"), "euler3": ("euler_3", "deg"),
    "mad": ("mean_angular_deviation", "deg"), "bc": ("band_contrast", "1"), "bs": ("band_slope", "1"), "bands": ("bands", "1"),
    "error": ("error_code", "1"),
}
"""Column name, lower case -> our name and its unit."""
USUAL = ("Phase", "X", "Y", "Bands", "Error", "Euler1", "Euler2", "Euler3", "MAD", "BC", "BS")
WHOLE = frozenset({"bands", "error_code", "band_contrast", "band_slope"})
CONDITIONS = (("KV", "beam_energy_keV"), ("Mag", "magnification"), ("TiltAngle", "tilt_deg"))


def recognises(head: bytes, path: Path) -> bool:
    """The first line says so."""
    del path
    return head.removeprefix(b"\xef\xbb\xbf").lstrip()[:17].lower() == b"channel text file"


def read(path: Path) -> tuple[Signal, ...]:
    """The map of a file, or its points where they are on no grid.

    Raises
    ------
    UnreadableFile
        If the columns are not named, there are no points, or a line is not like the others.
    """
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    at = next((i for i, line in enumerate(lines) if re.match(r"\s*phase\s+x\s+y\s", line, re.IGNORECASE)), None)
    if at is None:
        raise UnreadableFile(path, "has no line that names the columns", todo="it may be truncated or damaged")
    header, names = lines[:at], lines[at].split()
    rows = [line for line in lines[at + 1:] if line.strip()]
    table = numbers(path, rows, fewest=8)
    remarks = []
    if table.shape[1] < len(names):
        absent = ", ".join(names[table.shape[1]:])
        remarks.append(f"points have {table.shape[1]} of {len(names)} named columns: {absent} is absent")
    names = [*names, *(f"column_{i + 1}" for i in range(len(names), table.shape[1]))][:table.shape[1]]
    if names[:8] != list(USUAL[:8]):
        remarks.append(f"columns are {', '.join(names)}, not the usual {', '.join(USUAL)}")
    column = {name.lower(): values for name, values in zip(names, table.T, strict=True)}
    if not {"phase", "x", "y"} <= set(column):
        raise UnreadableFile(path, "has no columns of phase and position", where=f"line {at + 1}")
    fields = {"phase": Field(np.clip(np.nan_to_num(column.pop("phase")), 0, 32000).astype(np.int16))}
    x, y = column.pop("x"), column.pop("y")
    for name, values in column.items():
        ours, unit = COLUMNS.get(name, (re.sub(r"\W+", "_", name), "1"))
        whole = ours in WHOLE and bool(((values >= 0) & (values < 32000) & (values == np.rint(values))).all())
        fields[ours] = Field(values.astype(np.int16) if whole else values, unit)
    keys = _keys(header)
    phases = _phases(header, remarks)
    cells = (int(_number(keys, "YCells")), int(_number(keys, "XCells")))
    conditions: dict[str, Any] = {name: _number(keys, key) for key, name in CONDITIONS if _number(keys, key)}
    if phases:
        conditions["phases"] = [one["name"] for one in phases]
    if (measured := int(_number(keys, "NoMeas"))) and measured != len(table):
        remarks.append(f"the header promises {measured} points, the file has {len(table)}: it is cropped or truncated")
    points = Points(x, y, "um", fields, (_number(keys, "YStep"), _number(keys, "XStep")), cells if min(cells) > 0 else None,
                    conditions=conditions, metadata={"header": header, "phases": phases}, warnings=tuple(remarks))
    return signals_of(path, path.stem, points)


def _keys(header: list[str]) -> dict[str, str]:
    """Pairs of a key and a value; the line of the acquisition holds several after its sentence."""
    pairs: dict[str, str] = {}
    for line in header:
        words = [word for word in re.split(r"\t|(?<=!)\s+", line.strip()) if word.strip()]
        if words and words[0].startswith("Euler angles refer"):
            words = line.partition("!")[2].split()
        pairs |= dict(zip(words[::2], words[1::2], strict=False))
    return pairs


def _phases(header: list[str], remarks: list[str]) -> list[dict[str, Any]]:
    at = next((i for i, line in enumerate(header) if line.lower().startswith("phases")), len(header))
    phases = []
    for number, line in enumerate(header[at + 1:], 1):
        words = line.split("\t")
        if len(words) < 3:
            continue
        cell = [_float(v) for word in words[:2] for v in word.replace(",", ".").split(";")]
        phases.append({"number": number, "name": words[2].strip(), "cell": cell, "laue_group": "".join(words[3:4]),
                       "space_group": "".join(words[4:5])})
    stated = header[at].split()[1:2] if at < len(header) else []
    if stated and stated != [str(len(phases))]:
        remarks.append(f"the header promises {stated[0]} phases and describes {len(phases)}")
    return phases


def _number(keys: dict[str, str], key: str) -> float:
    return _float(keys.get(key, "0"))


def _float(word: str) -> float:
    """0 where there is no number."""
    try:
        value = float(word.replace(",", "."))
    except ValueError:
        return 0.0
    return value if abs(value) < 1e9 else 0.0


def example(folder: Path) -> Path:
    """Two phases side by side, 3 x 4 points of 0.5 µm, one of them not indexed."""
    head = ("Channel Text File", "Prj\texample", "Author\t[Unknown]", "JobMode\tGrid", "XCells\t4", "YCells\t3", "XStep\t0.5",
            "YStep\t0.5", "AcqE1\t0", "AcqE2\t0", "AcqE3\t0",
            "Euler angles refer to Sample Coordinate system (CS0)!\tMag\t500\tCoverage\t100\tDevice\t0\tKV\t20\tTiltAngle\t70"
            "\tTiltAxis\t0", "Phases\t2", "3.51;3.51;3.51\t90;90;90\tLithium\t11\t229\t\t\tNIST",
            "4.03;4.03;4.03\t90;90;90\tLithium fluoride\t11\t225\t\t\tNIST", "\t".join(USUAL))
    rows = [f"{0 if (i, j) == (1, 1) else 1 + (j > 1)}\t{0.5 * j:.4f}\t{0.5 * i:.4f}\t7\t0\t{10 * j:.4f}\t35.0000\t{5 * i:.4f}"
            f"\t0.4000\t{120 + j}\t{90 + i}" for i in range(3) for j in range(4)]
    path = folder / "example.ctf"
    path.write_text("\n".join((*head, *rows)) + "\n", encoding="utf-8")
    return path


CTF = Format(name="ctf", suffixes=frozenset({".ctf"}), recognises=recognises, read=read, version="1", text=True,
             example=example)
