"""Autolab FRA files of Eco Chemie (.dfr): one spectrum as a column of numbers.

Line 1 "VERSION8.0", line 2 the number of points, line 3 unknown; then nine lines per point: frequency / Hz, real part, minus
the imaginary part / ohm, potential / V, current / A, time / s and three unknown ones. Below stand dates of the measurement
(dd.mm.yyyy hh:mm:ss) and unknown numbers. Source: pyimpspec (GPL-3.0-or-later) and one file, which has zeros for potential,
current and time.
"""

from pathlib import Path

import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.cells import spectra
from datasets.formats.cells.text_table import is_number
from datasets.formats.signal import Field, Format, Signal

MAGIC = b"VERSION8.0"
PER_POINT = 9
COLUMNS = (("potential", 3, "V"), ("current", 4, "ampere"), ("elapsed", 5, "s"))


def read(path: Path) -> tuple[Signal, ...]:
    """The spectrum.

    Raises
    ------
    UnreadableFile
        Naming the line and what is wrong there.
    """
    lines = [line.strip().replace(",", ".") for line in path.read_bytes().decode("latin-1").splitlines()]
    if len(lines) < 3 or not lines[1].isdigit():
        raise UnreadableFile(path, "does not say how many points it has", where="line 2")
    points = int(lines[1])
    body = lines[3:3 + PER_POINT * points]
    if len(body) < PER_POINT * points or points == 0:
        raise UnreadableFile(path, f"declares {points} points and has {len(body) // PER_POINT}", where="line 2",
                             todo="the file may be truncated")
    numbers = np.empty(len(body))
    for i, line in enumerate(body):
        try:
            numbers[i] = float(line)
        except ValueError:
            raise UnreadableFile(path, f"{line[:30]!r} is no number", where=f"line {i + 4}") from None
    table = numbers.reshape(points, PER_POINT)
    after = [is_number(line) for line in lines[3 + PER_POINT * points:3 + PER_POINT * (points + 1)]]
    if len(after) == PER_POINT and all(after):
        raise UnreadableFile(path, f"declares {points} points and goes on with another", where="line 2",
                             todo="the file may be damaged")
    others = {name: Field(table[:, i], unit) for name, i, unit in COLUMNS}
    return spectra.signals(path, path.stem, table[:, 0], table[:, 1] - 1j * table[:, 2], others,
                           {"below the points": lines[3 + PER_POINT * points:][:40]}, {})


def recognises(head: bytes, path: Path) -> bool:
    """By the first line."""
    del path
    return head.startswith(MAGIC)


def example(folder: Path) -> Path:
    """10 ohm in series with 10 uF, eleven frequencies."""
    numbers = []
    for frequency in 10 ** (4 - np.arange(11) / 2):
        numbers += [frequency, 10.0, 1 / (2e-5 * np.pi * frequency), 0, 0, 0, 0, 0, 0]
    path = folder / "example.dfr"
    path.write_text("\n".join(["VERSION8.0", " 11", " 1", *(f" {number!r}" for number in map(float, numbers)), " 1.0"]) + "\n")
    return path


AUTOLAB_DFR = Format(name="autolab dfr", suffixes=frozenset({".dfr"}), recognises=recognises, read=read, version="1", text=True,
                     example=example)
