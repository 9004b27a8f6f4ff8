"""The tags of a TIFF's first image, read without decoding it: which instrument wrote it stands there, not in its suffix."""

import struct
from functools import lru_cache
from pathlib import Path

MAGICS = {b"II*\0": "<", b"MM\0*": ">"}
MOST_TAGS = 4096

JPK_TAGS = frozenset(range(0x8000, 0x8080))
PARK_MAGIC = 50432


def first_tags(path: Path) -> frozenset[int]:
    """Numbers of the tags of the first image; empty for what is no TIFF or is damaged there."""
    try:
        status = path.stat()
        return _tags(path, status.st_size, status.st_mtime_ns)
    except OSError:
        return frozenset()


@lru_cache(maxsize=64)
def _tags(path: Path, size: int, changed: int) -> frozenset[int]:
    del changed
    with path.open("rb") as file:
        head = file.read(8)
        order = MAGICS.get(head[:4])
        if order is None or len(head) < 8:
            return frozenset()
        (start,) = struct.unpack(order + "I", head[4:])
        if start + 2 > size:
            return frozenset()
        file.seek(start)
        (count,) = struct.unpack(order + "H", file.read(2))
        body = file.read(12 * min(count, MOST_TAGS))
    return frozenset(struct.unpack_from(order + "H", body, at)[0] for at in range(0, len(body) - 11, 12))


def is_jpk(path: Path) -> bool:
    """A JPK scan: the program and the grid in private tags of the first image."""
    return {0x8000, 0x8042} <= first_tags(path) or {0x8040, 0x8041} <= first_tags(path)


def is_park(path: Path) -> bool:
    """A Park scan: data and header in private tags of the only image."""
    return {PARK_MAGIC, PARK_MAGIC + 2, PARK_MAGIC + 3} <= first_tags(path)
