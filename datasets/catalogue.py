"""An SQLite index of what is published: one row per version, rebuildable from references and manifests at any time.

References are the truth. Each look compares the size, inode and time of every reference with those the index has seen, and
reads again what differs, so a writer killed between reference and index leaves nothing wrong.

WAL is the journal: readers of the browser never wait for an import, a commit costs no fsync, and a power cut can only roll
back rows, which the next look puts back.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from datasets.durable import TEMPORARY

FILE_NAME = "catalogue.sqlite"
SCHEMA = 1
COLUMNS = ("unit", "version", "kind", "sample", "technique", "title", "created", "nbytes", "summary")

Stamp = tuple[int, int, int]
"""Inode, size and time of last change in ns of a reference."""
Manifests = list[dict[str, Any]]
Reader = Callable[[str], Manifests]
"""Manifests of all published versions of a unit, oldest first; the last is the current one."""

_CREATE = f"""
CREATE TABLE refs (unit TEXT PRIMARY KEY, inode INTEGER, size INTEGER, changed INTEGER) WITHOUT ROWID;
CREATE TABLE versions (unit TEXT, version TEXT, kind TEXT, sample TEXT, technique TEXT, title TEXT, created TEXT,
                       nbytes INTEGER, parents TEXT, summary TEXT, current INTEGER, PRIMARY KEY (unit, version)) WITHOUT ROWID;
CREATE INDEX current_versions ON versions (current, kind);
PRAGMA user_version = {SCHEMA};
"""


def table(root: Path, read: Reader, kind: str | None = None) -> pd.DataFrame:
    """One row per current unit, sorted by unit; columns of COLUMNS, `summary` as a dictionary.

    The index is brought up to date on the way; where it cannot be written (a read-only study), the rows are made afresh
    and not kept.
    """
    try:
        with _caught_up(root, read) as db:
            return _frame(_current_rows(db, kind))
    except sqlite3.OperationalError:
        with closing(sqlite3.connect(":memory:")) as db:
            db.executescript(_CREATE)
            _follow(db, stamps(root), read)
            return _frame(_current_rows(db, kind))


def catch_up(root: Path, read: Reader) -> None:
    """Bring the index up to date; a study that cannot be written is left as it is."""
    try:
        with _caught_up(root, read):
            pass
    except sqlite3.OperationalError:
        return


def record(root: Path, unit: str, manifests: Manifests) -> None:
    """Enter one unit after its reference was swapped. An index that cannot be written is caught up by the next look."""
    try:
        with _connected(root) as db, db:
            stamp = _stamp(reference_path(root, unit))
            if stamp is not None:
                _enter(db, unit, stamp, manifests)
    except sqlite3.OperationalError:
        return


def rebuild(root: Path, read: Reader) -> None:
    """Make the index again from references and manifests, in one transaction; a file that is no index is replaced."""
    with _connected(root) as db, db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("DELETE FROM versions")
        db.execute("DELETE FROM refs")
        _follow(db, stamps(root), read)


def discard(root: Path) -> None:
    """Remove the index."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        (root / (FILE_NAME + suffix)).unlink(missing_ok=True)


def disagreements(root: Path, read: Reader, whole: set[str]) -> list[str]:
    """Sentences on what the index says and references and manifests deny; what merely lags is no disagreement.

    Only units in `whole` are compared, whose reference and manifests are sound.
    """
    if not (root / FILE_NAME).exists():
        return []
    try:
        with closing(_connect(root)) as db:
            integrity = [str(row[0]) for row in db.execute("PRAGMA integrity_check")]
            if integrity != ["ok"]:
                return [f"the index is damaged: {integrity[0]}"]
            if _is_empty(db):  # its maker was interrupted; the next look makes it
                return []
            seen = _seen(db)
            rows = {(row[0], row[1]): row[2:] for row in db.execute("SELECT * FROM versions")}
    except sqlite3.DatabaseError as error:
        return [f"the index cannot be read: {error}"]
    now = stamps(root)
    found = [f"{unit}: the index knows it, but its reference is lost" for unit in sorted(set(seen) - set(now))]
    for unit in sorted(u for u in whole if u in now and seen.get(u) == now[u]):
        manifests = read(unit)
        expected = {(unit, m["version"]): _row(m, current=m is manifests[-1])[2:] for m in manifests}
        held = {key: row for key, row in rows.items() if key[0] == unit}
        if held != expected:
            found.append(f"{unit}: the index has {len(held)} versions that differ from the {len(expected)} published ones")
    return found


def reference_path(root: Path, unit: str) -> Path:
    """File that points to the current version of a unit; the suffix lets `A17` and `A17/haadf-0` both be units."""
    return root / "refs" / f"{unit}.json"


def stamps(root: Path) -> dict[str, Stamp]:
    """Unit -> state of its reference on disk."""
    return dict(_walk(root / "refs", ""))


def _walk(folder: Path | str, prefix: str) -> Iterator[tuple[str, Stamp]]:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.name.startswith(TEMPORARY):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".json"):
            status = entry.stat()
            yield prefix + entry.name.removesuffix(".json"), (status.st_ino, status.st_size, status.st_mtime_ns)


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _connect(root: Path) -> sqlite3.Connection:
    return sqlite3.connect(root / FILE_NAME, timeout=30.0)


@contextmanager
def _connected(root: Path) -> Iterator[sqlite3.Connection]:
    """The index, made if it is absent, of another layout or no database."""
    try:
        usable = _usable(root)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        usable = False
    if not usable:
        discard(root)
    with closing(_connect(root)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        if db.execute("PRAGMA user_version").fetchone()[0] != SCHEMA:
            db.execute("BEGIN IMMEDIATE")
            if db.execute("PRAGMA user_version").fetchone()[0] != SCHEMA:
                for statement in _CREATE.split(";"):
                    db.execute(statement)
            db.commit()
        yield db


def _usable(root: Path) -> bool:
    with closing(_connect(root)) as db:
        return bool(db.execute("PRAGMA user_version").fetchone()[0] == SCHEMA) or _is_empty(db)


def _is_empty(db: sqlite3.Connection) -> bool:
    return bool(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0)


@contextmanager
def _caught_up(root: Path, read: Reader) -> Iterator[sqlite3.Connection]:
    with _connected(root) as db:
        now = stamps(root)
        if _seen(db) != now:
            with db:
                db.execute("BEGIN IMMEDIATE")
                _follow(db, now, read)
        yield db


def _follow(db: sqlite3.Connection, now: Mapping[str, Stamp], read: Reader) -> None:
    seen = _seen(db)
    for unit in set(seen) - set(now):
        db.execute("DELETE FROM versions WHERE unit = ?", (unit,))
        db.execute("DELETE FROM refs WHERE unit = ?", (unit,))
    for unit, stamp in now.items():
        if seen.get(unit) != stamp:
            _enter(db, unit, stamp, read(unit))


def _enter(db: sqlite3.Connection, unit: str, stamp: Stamp, manifests: Manifests) -> None:
    db.execute("DELETE FROM versions WHERE unit = ?", (unit,))
    db.executemany("INSERT INTO versions VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                   [_row(m, current=m is manifests[-1]) for m in manifests])
    db.execute("INSERT OR REPLACE INTO refs VALUES (?,?,?,?)", (unit, *stamp))


def _row(manifest: Mapping[str, Any], *, current: bool) -> tuple[Any, ...]:
    attrs = manifest["attrs"]
    return (manifest["unit"], manifest["version"], manifest["kind"], str(attrs.get("sample", "")),
            str(attrs.get("technique", "")), str(attrs.get("title", "")), manifest["created"], manifest["nbytes"],
            json.dumps(manifest["parents"], sort_keys=True),
            json.dumps({**manifest["summary"], "parents": manifest["parents"]}, sort_keys=True), int(current))


def _seen(db: sqlite3.Connection) -> dict[str, Stamp]:
    return {unit: (inode, size, changed) for unit, inode, size, changed in db.execute("SELECT * FROM refs")}


def _current_rows(db: sqlite3.Connection, kind: str | None) -> list[tuple[Any, ...]]:
    wanted, given = ("AND kind = ?", (kind,)) if kind else ("", ())
    return db.execute(f"SELECT {', '.join(COLUMNS)} FROM versions WHERE current = 1 {wanted} ORDER BY unit", given).fetchall()


def _frame(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["summary"] = pd.Series([json.loads(text) for text in frame["summary"]], index=frame.index, dtype=object)
    return frame
