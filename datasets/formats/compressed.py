"""One file packed by gzip or bzip2, as EMDB gives its maps: unpacked beside nothing, read by its own format, and loaded.

Files that lie beside the packed one are not looked at, since they belong to it under its unpacked name. What is unpacked exists
only while it is read, so everything is loaded; a larger file is to be unpacked by the person.
"""

import bz2
import gzip
import shutil
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import FileError, UnreadableFile
from datasets.formats.electrons.rosetta_examples import mrc_example
from datasets.formats.signal import Field, Signal

MAGICS: dict[bytes, tuple[str, Any]] = {b"\x1f\x8b\x08": (".gz", gzip.open), b"BZh": (".bz2", bz2.open)}
"""First bytes -> usual suffix and what unpacks."""
MOST_BYTES = 1 << 30


def recognises(head: bytes, path: Path) -> bool:
    """By the first bytes; formats that are packed as a whole (Phenom's) come first."""
    del path
    return any(head.startswith(magic) for magic in MAGICS)


def read(path: Path, opened: Callable[[Path], tuple[Signal, ...]]) -> tuple[Signal, ...]:
    """All signals of the file inside, in memory.

    Raises
    ------
    UnreadableFile
        If the packing is damaged, the file inside is packed again or above 1 GiB, or cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(4)
    suffix, unpack = next(way for magic, way in MAGICS.items() if head.startswith(magic))
    name = path.name[:-len(suffix)] if path.name.lower().endswith(suffix) else f"{path.name} unpacked"
    with tempfile.TemporaryDirectory(prefix="unpacked-") as folder:
        inside = Path(folder) / (name or "unpacked")
        try:
            with unpack(path, "rb") as packed, inside.open("wb") as plain:
                shutil.copyfileobj(_Limited(path, packed), plain, 1 << 20)
        except (OSError, EOFError, zlib.error) as error:
            raise UnreadableFile(path, f"cannot be unpacked: {' '.join(str(error).split())[:150]}",
                                 todo="the file may be truncated or damaged") from error
        with inside.open("rb") as file:
            if recognises(file.read(8), inside):
                raise UnreadableFile(path, "holds a file that is packed once more", todo="unpack it")
        try:
            found = opened(inside)
            return tuple(replace(one, source=path, fields={key: _loaded(field) for key, field in one.fields.items()})
                         for one in found)
        except FileError as error:
            raise UnreadableFile(path, f"holds a file that cannot be read: {error}") from error


class _Limited:
    """Refuses to unpack more than a file of reasonable size."""

    def __init__(self, path: Path, packed: Any) -> None:
        self.path, self.packed, self.left = path, packed, MOST_BYTES

    def read(self, size: int = -1, /) -> bytes:
        found: bytes = self.packed.read(size)
        self.left -= len(found)
        if self.left < 0:
            raise UnreadableFile(self.path, f"unpacks to more than {MOST_BYTES >> 30} GiB", todo="unpack it first")
        return found


def _loaded(field: Field) -> Field:
    """A memory map and a dask array would read of a file that is gone."""
    return field if type(field.data) is np.ndarray else replace(field, data=np.array(field.data))


def example(folder: Path) -> Path:
    """The example of MRC, packed."""
    plain = mrc_example(folder)
    path = plain.with_name(plain.name + ".gz")
    path.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    plain.unlink()
    return path
