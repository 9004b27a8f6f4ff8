"""What lies in a folder: every file that could hold a measurement, and what is passed over with its reason."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datasets.sheet import FILE_NAME

OWN = frozenset({FILE_NAME, "objects", "refs", ".lock", "catalogue.sqlite", "catalogue.sqlite-wal", "catalogue.sqlite-shm"})
"""What a study keeps at its root beside the raw files."""
SYSTEM = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "$recycle.bin", "lost+found", "@eadir",
                    "system volume information"})
"""Left behind by operating systems and file servers, lower case."""


@dataclass(frozen=True)
class Found:
    """A file; `path` is relative to the folder, with forward slashes."""

    path: str
    nbytes: int


@dataclass(frozen=True)
class Passed:
    """A file or folder that is not looked at, and why."""

    path: str
    why: str


def contents(folder: Path) -> tuple[list[Found], list[Passed]]:
    """Every file below a folder, in order of path, and what is passed over.

    Links are followed, each folder once: a link back into the tree ends there. Pipes, sockets and devices are never opened.
    """
    found: list[Found] = []
    passed: list[Passed] = []
    seen: set[tuple[int, int]] = set()
    for item in _walk(folder, folder, seen):
        (found if isinstance(item, Found) else passed).append(item)  # type: ignore[arg-type]
    return sorted(found, key=lambda f: f.path), sorted(passed, key=lambda p: p.path)


def _walk(folder: Path, root: Path, seen: set[tuple[int, int]]) -> Iterator[Found | Passed]:
    waiting = [folder]  # no recursion: a folder may be deeper than Python's stack
    while waiting:
        here = waiting.pop()
        name = here.relative_to(root).as_posix()
        try:
            state = here.stat()
            if (state.st_dev, state.st_ino) in seen:
                yield Passed(name, "leads to a folder that is in the list already")
                continue
            seen.add((state.st_dev, state.st_ino))
            entries = sorted(os.scandir(here), key=lambda e: e.name)
        except OSError as error:
            yield Passed(name, f"cannot be opened: {error.strerror}")
            continue
        for entry in entries:
            path = here / entry.name
            if here == root and entry.name in OWN:
                continue
            item = _item(entry, path.relative_to(root).as_posix())
            if item is None:
                waiting.append(path)
            else:
                yield item


def _item(entry: os.DirEntry[str], path: str) -> Found | Passed | None:
    """A file, what is passed over, or None for a folder to go into."""
    why = _no_measurement(entry.name)
    if why:
        return Passed(path, why)
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return Passed(path.encode("utf-8", "replace").decode(), "has a name that is no Unicode; rename it")
    try:
        state = entry.stat()
    except OSError as error:
        what = "is a link that leads nowhere" if entry.is_symlink() else f"cannot be opened: {error.strerror}"
        return Passed(path, what)
    if stat.S_ISDIR(state.st_mode):
        return Passed(path, "is a Zarr store, not an instrument's file") if entry.name.endswith(".zarr") else None
    if not stat.S_ISREG(state.st_mode):
        return Passed(path, "is no file that could be read (a pipe, socket or device)")
    if state.st_size == 0:
        return Passed(path, "is empty")
    return Found(path, state.st_size)


def _no_measurement(name: str) -> str:
    if name.startswith(("~$", ".~lock.")):
        return "is the lock of an office program"
    if name.lower() in SYSTEM:
        return "belongs to the operating system"
    if name.startswith("."):
        return "is hidden"
    if name.lower().endswith((".tmp", ".part", ".crdownload")) or name.endswith("~"):
        return "is an unfinished or temporary file"
    return ""
