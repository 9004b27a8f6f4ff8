"""Arbin tests exported to HDF5 (.h5) as pandas tables, as cellpy's Arbin SQL export writes them.

A group "data_df" of PyTables layout: the dataset "table" is compound, its fields "values_block_N" are two-dimensional, one
column per name in the attribute "values_block_N_kind", which is a pickled list of words (protocol 0: one word per line that
begins with V or, unicode, with the same letter). The words are read as text; nothing is unpickled. "info_df" (a pandas frame
of fixed layout) has one row about the test; of its blocks only those of numbers are read, since its words are pickled
objects.

Date_Time counts 1e-7 s since 1970, by the clock of the database server. Charge counters restart with each cycle or run on,
which is told where they fall. Also read: a pandas frame of fixed layout under the same name (axis0, block0_items,
block0_values).
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.cells import cycler
from datasets.formats.cells.cycler_dialects import ARBIN
from datasets.formats.hdf5_layout import told_by_groups
from datasets.formats.signal import Format, Signal

GROUP = "data_df"
INFO = "info_df"
INDEX = "index"
MOST_INFLATION = 400
WORD = re.compile(r"^a?V(.*)$", re.MULTILINE)


def read(path: Path) -> tuple[Signal, ...]:
    """The test.

    Raises
    ------
    UnreadableFile
        If the table is damaged.
    """
    try:
        with h5py.File(path) as file:
            notes: list[str] = []
            columns = dict(_columns(path, file[GROUP], notes))
            info = _columns(path, file[INFO], []) if INFO in file else ()
            about = {name: values[0].item() for name, values in info if values.size}
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        if isinstance(error, UnreadableFile):
            raise
        raise UnreadableFile(path, f"is damaged: {type(error).__name__}: {' '.join(str(error).split())[:120]}",
                             where=GROUP, todo="copy the file again") from error
    table = cycler.Table(path, pd.DataFrame(columns), path.stem, 1, about, tuple(notes))
    return cycler.records(table, ARBIN)


def _columns(path: Path, group: h5py.Group, notes: list[str]) -> Iterator[tuple[str, NDArray[Any]]]:
    if "table" in group:
        table = group["table"]
        _check(path, table)
        attributes = dict(table.attrs)
        rows = table[()]
        for block in rows.dtype.names or ():
            kind = attributes.get(f"{block}_kind")
            values = rows[block]
            if kind is None or values.ndim != 2 or values.dtype.kind not in "biuf":
                if block != INDEX:
                    notes.append(f"{block} has no names or no numbers and is left out")
                continue
            names = WORD.findall(bytes(kind).decode("latin-1"))
            if len(names) != values.shape[1]:
                raise UnreadableFile(path, f"names {len(names)} columns and holds {values.shape[1]}",
                                     where=f"{group.name}, {block}")
            yield from zip(names, values.T, strict=True)
        return
    for number in range(int(group.attrs["nblocks"])):
        items, values = group[f"block{number}_items"], group[f"block{number}_values"]
        if values.dtype.kind in "biuf" and values.ndim == 2:
            _check(path, values)
            yield from zip((bytes(item).decode("utf-8", "replace") for item in items[()]), values[()].T, strict=True)


def _check(path: Path, data: h5py.Dataset) -> None:
    size = data.size * data.dtype.itemsize
    if size > MOST_INFLATION * path.stat().st_size:
        raise UnreadableFile(path, f"declares {size} bytes in a file of {path.stat().st_size}", where=str(data.name))


def recognises(head: bytes, path: Path) -> bool:
    """HDF5 with the group of an Arbin export; other formats live in HDF5 too."""
    def is_table(file: h5py.File) -> bool:
        return isinstance(file.get(GROUP), h5py.Group) and "pandas_type" in file[GROUP].attrs

    return told_by_groups(head, path, is_table, False)


def example(folder: Path) -> Path:
    """Twelve points of a constant current of 1 mA."""
    time = np.arange(12.0) * 3
    numbers = {"Test_Time": time, "Step_Time": time, "Current": np.full(12, 1e-3), "Voltage": np.full(12, 0.1),
               "Charge_Capacity": time / 3.6e6, "Discharge_Capacity": np.zeros(12)}
    counts = {"Data_Point": np.arange(1, 13), "Cycle_Index": np.ones(12, np.int64), "Step_Index": np.ones(12, np.int64)}
    rows = np.zeros(12, [("index", "<i8"), ("values_block_0", "<f8", (6,)), ("values_block_1", "<i8", (3,))])
    rows["values_block_0"], rows["values_block_1"] = np.stack(list(numbers.values()), 1), np.stack(list(counts.values()), 1)
    path = folder / "example.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group(GROUP)
        group.attrs["pandas_type"] = np.bytes_(b"frame_table")
        table = group.create_dataset("table", data=rows)
        for block, names in (("values_block_0", numbers), ("values_block_1", counts)):
            words = "".join(f"V{name}\np{i + 1}\na" for i, name in enumerate(names))
            table.attrs[f"{block}_kind"] = np.bytes_(f"(lp0\n{words}.".encode())
    return path


ARBIN_HDF = Format(name="arbin hdf5", suffixes=frozenset({".h5", ".hdf5"}), recognises=recognises, read=read, version="1",
                   example=example)
"""Arbin tests as pandas tables in HDF5."""
