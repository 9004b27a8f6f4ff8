"""TIFF as a mere container: which instrument wrote it stands in the tags of its first image, not in its suffix."""

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import tifffile

MAGICS = {b"II*\0": "<", b"MM\0*": ">"}
MOST_TAGS = 4096

JPK_TAGS = frozenset(range(0x8000, 0x8080))
PARK_MAGIC = 50432


class _Kept(logging.Handler):
    """The first messages of tifffile; a damaged file has thousands."""

    MOST = 3

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.messages) < self.MOST:
            self.messages.append(" ".join(record.getMessage().split())[:200])


@contextmanager
def opened(path: Path) -> Iterator[tuple[tifffile.TiffFile, list[str]]]:
    """A TIFF, and what tifffile has to say of it, which it would print otherwise."""
    logger, kept = logging.getLogger("tifffile"), _Kept()
    before = logger.handlers[:], logger.propagate
    logger.handlers, logger.propagate = [kept], False
    try:
        with tifffile.TiffFile(path) as tiff:
            yield tiff, kept.messages
    finally:
        logger.handlers, logger.propagate = before


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
