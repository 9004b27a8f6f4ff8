"""Parquet tables of cyclers, as BDF and exporters write them; the columns are read like those of text.

Apache Parquet, read by polars. The names of the columns stand in plain text in the footer, whose length is in the four bytes
before the closing "PAR1"; only files whose names are those of a cycler are taken. The number of rows that a footer declares
is held against what the file could hold before anything is allocated.
"""

import struct
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
from polars.exceptions import PanicException

from datasets.errors import UnreadableFile
from datasets.formats.cells import cycler
from datasets.formats.signal import Format, Signal

MAGIC = b"PAR1"
MOST_FOOTER = 8 << 20
MOST_CELLS_PER_BYTE = 64
"""Run lengths make columns of one value very small, but 64 numbers per byte over the whole file is more than any record has."""


def read(path: Path) -> tuple[Signal, ...]:
    """The run.

    Raises
    ------
    UnreadableFile
        If the file is damaged or is no record of a cycler.
    """
    try:
        lazy = pl.scan_parquet(path)
        names = lazy.collect_schema().names()
        rows = int(lazy.select(pl.len()).collect().item())
        if rows * len(names) > MOST_CELLS_PER_BYTE * path.stat().st_size + (1 << 20):
            raise UnreadableFile(path, f"declares {rows} rows of {len(names)} columns in {path.stat().st_size} bytes")
        columns = {name: _plain(column) for name, column in lazy.collect().to_dict(as_series=True).items()}
    except (Exception, PanicException) as error:  # polars panics with an exception of its own kind
        if isinstance(error, UnreadableFile):
            raise
        raise UnreadableFile(path, f"is damaged: {type(error).__name__}: {' '.join(str(error).split())[:120]}",
                             todo="copy the file again") from error
    dialect = cycler.dialect_like(names)
    if dialect is None:
        raise UnreadableFile(path, f"has no columns of potential, current and time; found {', '.join(names[:20])}")
    title = path.name.removesuffix(".parquet").removesuffix(".bdf")
    return cycler.records(cycler.Table(path, pd.DataFrame(columns), title, 1), dialect)


def _plain(column: pl.Series) -> np.ndarray:
    """A column as numpy; durations in seconds, categories as words, nested values as text."""
    if column.dtype == pl.Duration:
        return column.dt.total_microseconds().to_numpy() / 1e6
    if column.dtype.is_numeric() or column.dtype == pl.Datetime:
        return column.to_numpy()
    return np.array([None if value is None else str(value) for value in column.to_list()], dtype=object)


def recognises(head: bytes, path: Path) -> bool:
    """Parquet, with names of columns that a cycler's table has."""
    if not head.startswith(MAGIC):
        return False
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 8))
            length, magic = struct.unpack("<I4s", file.read(8))
            if magic != MAGIC:
                return path.suffix.lower() == ".parquet"
            file.seek(max(0, size - 8 - min(length, MOST_FOOTER)))
            footer = file.read(min(length, MOST_FOOTER)).lower()
    except (OSError, struct.error):
        return path.suffix.lower() == ".parquet"
    return all(word in footer for word in (b"volt", b"current", b"time"))


def example(folder: Path) -> Path:
    """Twelve points of a constant current of 1 mA."""
    time = np.arange(12.0) * 3
    path = folder / "example.bdf.parquet"
    pl.DataFrame({"Test Time / s": time, "Voltage / V": np.full(12, 0.1), "Current / A": np.full(12, 1e-3),
                  "Cycle Count / 1": np.ones(12, np.int64), "Charging Capacity / Ah": time / 3.6e6,
                  "Discharging Capacity / Ah": np.zeros(12)}).write_parquet(path)
    return path


CYCLER_PARQUET = Format(name="cycler parquet", suffixes=frozenset({".parquet"}), recognises=recognises, read=read, version="1",
                        example=example)
