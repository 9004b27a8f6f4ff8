"""Arbin MITS results (.res): a Microsoft Jet 4 database, read by the program mdb-export of mdbtools.

Tables (results file 5.x): "Global_Table" has one row per test (name, channel, start, schedule, mass), "Channel_Normal_Table"
the points (Test_ID, Data_Point, Test_Time, Step_Time, DateTime, Step_Index, Cycle_Index, Current, Voltage, Charge_Capacity,
Discharge_Capacity, energies, dV/dt, Internal_Resistance; A, V, Ah, Wh, s), "Auxiliary_Table" the sensors. DateTime counts
days since 1899-12-30 by the computer's clock. Charge counters restart with each cycle or run on, which is told where they
fall. Points need not stand in the order of Data_Point; they are sorted. A file with several tests becomes several
acquisitions.

mdb-export runs as a process of its own: its output goes to a file, is bounded in size by that of the database, and it is
ended after a time. It is the only reader of Jet databases that is free and keeps all digits; where it is not installed, one
error says how to get it.

Not read: schedules, events, smart battery and CAN data, the auxiliary table (a warning says so where it has rows).
"""

import io
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from datasets.errors import UnreadableFile
from datasets.formats.cells import cycler
from datasets.formats.cells.cycler_dialects import ARBIN
from datasets.formats.signal import Format, Signal

MAGIC = b"\x00\x01\x00\x00Standard Jet DB\x00"
POINTS, TESTS, SENSORS = "Channel_Normal_Table", "Global_Table", "Auxiliary_Table"
SECONDS = 9.0
MOST_INFLATION = 4
"""Bytes of text per byte of database: numbers in text take about twice the room."""
ADVICE = "install mdbtools (apt install mdbtools, brew install mdbtools), or export the test as csv or xlsx with MITS"
DAMAGE = ("beyond EOF", "Unrecognized format", "failed", "rror")


def read(path: Path) -> tuple[Signal, ...]:
    """One acquisition per test in the database.

    Raises
    ------
    UnreadableFile
        If mdbtools is missing, cannot read the database in time, or finds no points in it.
    """
    _check_pages(path)
    command = program()
    if command is None:
        raise UnreadableFile(path, "is a database that needs the program mdb-export, which is not installed", todo=ADVICE)
    points = _table(path, command, POINTS)
    if not len(points):
        raise UnreadableFile(path, "holds no points", where=POINTS)
    tests = _table(path, command, TESTS, must=False)
    notes = ("the auxiliary table is not read",) if len(_table(path, command, SENSORS, must=False)) else ()
    if "Test_ID" not in points.columns:
        raise UnreadableFile(path, f"has no column Test_ID; found {', '.join(map(str, points.columns[:20]))}", where=POINTS)
    found = []
    for number, rows in points.groupby("Test_ID", sort=True):
        about = tests[tests["Test_ID"] == number].iloc[0].dropna() if "Test_ID" in tests else pd.Series(dtype=object)
        metadata = {str(name): value.item() if hasattr(value, "item") else value for name, value in about.items()}
        title = str(metadata.get("Test_Name") or path.stem)
        if "Data_Point" in rows.columns:
            rows = rows.sort_values("Data_Point", kind="stable")
        lost = _lost(rows)
        table = cycler.Table(path, rows.drop(columns="Test_ID").reset_index(drop=True), title, 1, metadata, (*notes, *lost))
        found.append(cycler.record(table, ARBIN))
    return tuple(found)


def _lost(rows: pd.DataFrame) -> tuple[str, ...]:
    """A warning where the points of a test, sorted, are not numbered one by one."""
    if "Data_Point" not in rows.columns:
        return ()
    gaps = int((np.diff(rows["Data_Point"].to_numpy(dtype=np.float64), prepend=0.0) != 1).sum())
    return (f"the points are not numbered one by one ({gaps} gaps): the database may be damaged",) if gaps else ()


def _check_pages(path: Path) -> None:
    """Refuse a database that ends within a page: mdb-export would leave rows out without a word."""
    with path.open("rb") as file:
        head = file.read(0x15)
    page = 2048 if head[0x14:0x15] == b"\0" else 4096
    if (size := path.stat().st_size) % page:
        raise UnreadableFile(path, f"ends within a page of the database: {size} bytes are no multiple of {page}",
                             todo="copy the file again")


def program() -> str | None:
    """Where mdb-export is, if it is installed."""
    return shutil.which("mdb-export")


def _table(path: Path, command: str, name: str, *, must: bool = True) -> pd.DataFrame:
    """A table of the database; an empty one if it is not there and need not be."""
    most = MOST_INFLATION * path.stat().st_size + (1 << 20)
    with tempfile.TemporaryFile() as out:
        said = _run([command, "-D", "%Y-%m-%d %H:%M:%S", str(path), name], out, most, path)
        size = out.seek(0, io.SEEK_END)
        if size == 0:
            if must:
                raise UnreadableFile(path, f"mdb-export cannot read it: {said or 'it gives nothing'}", where=name,
                                     todo="the file may be damaged")
            return pd.DataFrame()
        if any(word in said for word in DAMAGE):
            raise UnreadableFile(path, f"mdb-export reports damage: {said}", where=name, todo="copy the file again")
        if size >= most:
            raise UnreadableFile(path, f"gives more than {most} bytes of text", where=name, todo="the file may be damaged")
        out.seek(0)
        try:
            return pd.read_csv(out, encoding_errors="replace", low_memory=False)
        except (ValueError, pd.errors.ParserError) as error:
            raise UnreadableFile(path, f"mdb-export gives no table: {' '.join(str(error).split())[:100]}", where=name,
                                 todo="the file may be damaged") from error


def _run(command: Sequence[str], out: IO[bytes], most_bytes: int, path: Path) -> str:
    """Run mdb-export into a file, bounded in time and output; its complaint, if any."""
    limited = ["sh", "-c", f"ulimit -f {most_bytes // 512 + 1} -v 2097152; exec \"$@\"", "sh", *command]
    try:
        done = subprocess.run(limited, stdout=out, stderr=subprocess.PIPE, timeout=SECONDS, check=False,
                              stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise UnreadableFile(path, f"mdb-export has not read it in {SECONDS:.0f} s", todo="the file may be damaged") from error
    if done.returncode < 0:
        raise UnreadableFile(path, f"mdb-export broke off (signal {-done.returncode})", todo="the file may be damaged")
    return " ".join(done.stderr.decode(errors="replace").split())[:150]


def recognises(head: bytes, path: Path) -> bool:
    """A Jet database; MITS is the only program here that keeps its results in one."""
    del path
    return head.startswith(MAGIC)


ARBIN_RES = Format(name="arbin res", suffixes=frozenset({".res"}), recognises=recognises, read=read, version="1")
"""Arbin databases, through mdbtools."""
