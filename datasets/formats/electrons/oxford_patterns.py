"""EBSD patterns of Oxford Instruments AZtec: `.ebsp`.

Layout as kikuchipy 0.13 reads it by the vendor's information (which was not opened here): the version as a negative number
of 64 bits (absent in the first), from version 4 on one byte, then where each pattern begins, 0 for one that was not kept. A
pattern has a header (from version 5 on its column and row; whether it is compressed; rows, columns, bytes), its pixels, and
behind them the place of the beam in µm (version 1 always, later each number behind a byte that says whether it is there).
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.electrons.ebsd_map import Points, signals_of
from datasets.formats.signal import Format, Signal

VERSIONS = range(7)
MOST_ABSENT = 1 << 22
"""A file whose first so many points have no pattern is not taken for one."""
MOST_PIXELS = 1 << 14


def recognises(head: bytes, path: Path) -> bool:
    """The suffix, and a list of places that ends where the first pattern begins."""
    return path.suffix.lower() == ".ebsp" and len(head) >= 16 and _version(head) in VERSIONS and _starts(path).size > 0


def read(path: Path) -> tuple[Signal, ...]:
    """The patterns on their map; points without one are 0.

    Raises
    ------
    UnreadableFile
        If patterns are compressed, of several sizes, or lie outside the file.
    """
    starts = _starts(path)
    kept = starts[starts > 0]
    with path.open("rb") as file:
        version = _version(file.read(8))
        file.seek(int(kept.min()))
        header = _header(version)
        first = np.frombuffer(file.read(header.itemsize).ljust(header.itemsize, b"\0"), header)[0]
        rows, columns, nbytes = (int(first[name]) for name in ("rows", "columns", "nbytes"))
        if first["compressed"]:
            raise UnreadableFile(path, "holds compressed patterns, which are not read", todo="export them from AZtec as HDF5")
        if not (0 < rows < MOST_PIXELS and 0 < columns < MOST_PIXELS and nbytes in (rows * columns, 2 * rows * columns)):
            raise UnreadableFile(path, f"has a pattern of {rows} x {columns} pixels in {nbytes} bytes",
                                 where=f"byte {kept.min()}")
        file.seek(int(kept.min()) + header.itemsize + nbytes)
        footer = _footer(version, file.read(18))
    pixels = np.dtype((f"<u{nbytes // (rows * columns)}", (rows, columns)))
    record = np.dtype([*((name, header[name]) for name in header.names or ()), ("pattern", pixels), *footer])
    order = np.argsort(kept)
    if kept.size * record.itemsize + int(kept.min()) > path.stat().st_size or (
            np.diff(kept[order]) != record.itemsize).any():
        raise UnreadableFile(path, "is truncated, or its patterns are of several sizes",
                             where=f"{kept.size} patterns of {record.itemsize} bytes")
    records = _Records(path, record, int(kept.min()), kept.size)
    beside = records.beside()
    if beside.dtype.names and {"beam_x", "beam_y"} <= set(beside.dtype.names):
        x, y, unit = beside["beam_x"], beside["beam_y"], "um"
        if y[order.argmax()] < y[order.argmin()]:  # the list runs along the rows from the top, and y upwards
            y = -y
    elif "map_x" in (beside.dtype.names or ()):
        x, y, unit = beside["map_x"].astype(np.float64), beside["map_y"].astype(np.float64), ""
    else:
        x, y, unit = np.full(kept.size, np.nan), np.full(kept.size, np.nan), ""
    remarks = [] if kept.size == starts.size else [f"{starts.size - kept.size} of {starts.size} points have no pattern"]
    return signals_of(path, path.stem, Points(x, y, unit, {}, patterns=records, metadata={"version": version},
                                              warnings=tuple(remarks)))


def _version(head: bytes) -> int:
    return max(0, -int.from_bytes(head[:8], "little", signed=True))


def _starts(path: Path) -> NDArray[np.int64]:
    """Where each pattern begins; the list ends at the first pattern, whichever of its entries names that."""
    size = path.stat().st_size
    with path.open("rb") as file:
        version = _version(file.read(8))
        place = 0 if version == 0 else 8 if version < 4 else 9
        file.seek(place)
        entries = np.frombuffer(file.read(min(8 * MOST_ABSENT, (size - place) // 8 * 8)), "<i8")
    least = np.minimum.accumulate(np.where((entries > 0) & (entries < size), entries, size))
    ends, = np.nonzero(place + 8 * np.arange(1, entries.size + 1) == least)
    found = entries[:ends[0] + 1] if ends.size else entries[:0]
    return found if ((found >= 0) & (found < size)).all() else found[:0]


def _header(version: int) -> np.dtype[Any]:
    place = ["map_x", "map_y"] if version >= 5 else []
    return np.dtype([(name, "<i4") for name in (*place, "compressed", "rows", "columns", "nbytes")])


def _footer(version: int, found: bytes) -> list[tuple[str, str]]:
    if version == 1:
        return [("beam_x", "<f8"), ("beam_y", "<f8")]
    fields: list[tuple[str, str]] = []
    at = 0
    for axis in "xy" if version > 1 else "":
        fields.append((f"has_{axis}", "?"))
        if found[at:at + 1] == b"\1":
            fields.append((f"beam_{axis}", "<f8"))
            at += 8
        at += 1
    return fields


class _Records:
    """Patterns in the order in which they were written; opened anew each time, so that nothing stays open."""

    def __init__(self, path: Path, record: np.dtype[Any], offset: int, count: int) -> None:
        self.path, self.record, self.offset, self.count = path, record, offset, count
        pixels = record["pattern"]
        self.shape, self.dtype, self.ndim = (count, *pixels.shape), pixels.base.newbyteorder("="), 3

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return np.array(self._mapped()["pattern"][key], self.dtype)

    def beside(self) -> NDArray[Any]:
        """What stands around each pattern."""
        return np.array(self._mapped()[[name for name in self.record.names or () if name != "pattern"]])

    def _mapped(self) -> NDArray[Any]:
        return np.memmap(self.path, self.record, "r", self.offset, (self.count,))


def example(folder: Path) -> Path:
    """2 x 3 patterns of 8 x 6 pixels, 0.5 µm apart, the last of a row written first."""
    rng, path = np.random.default_rng(0), folder / "example.ebsp"
    points = [(row, column) for row in range(2) for column in range(3)]
    written = [(row, column) for row in range(2) for column in (2, 0, 1)]
    size = 16 + 48 + 18
    starts = [8 + 8 * len(points) + size * written.index(point) for point in points]
    head = np.array([-2, *starts], "<i8").tobytes()
    path.write_bytes(head + b"".join(
        np.array([0, 8, 6, 48], "<i4").tobytes() + rng.integers(0, 255, 48, np.uint8).tobytes()
        + b"".join(b"\1" + np.float64(0.5 * place).tobytes() for place in (column, row)) for row, column in written))
    return path


OXFORD_PATTERNS = Format(name="oxford patterns", suffixes=frozenset({".ebsp"}), recognises=recognises, read=read, version="1",
                         example=example)
