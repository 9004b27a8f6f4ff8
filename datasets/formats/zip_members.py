"""Zip as a mere container: which program packed it stands in the names of its members, not in its suffix."""

import zipfile
from functools import lru_cache
from pathlib import Path

ZIP = b"PK\x03\x04"


def zip_members(head: bytes, path: Path) -> tuple[str, ...] | None:
    """Names in the list at the end of an archive, read once for all formats; () for no archive, None where the list is lost."""
    if not head.startswith(ZIP):
        return ()
    try:
        status = path.stat()
        return _names(path, status.st_size, status.st_mtime_ns)
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError):
        return None


@lru_cache(maxsize=8)
def _names(path: Path, size: int, changed: int) -> tuple[str, ...]:
    del size, changed
    with zipfile.ZipFile(path) as archive:
        return tuple(archive.namelist())
