"""Whether a JPEG holds as many blocks as its header declares: decoders fill up or leave out the rest without a word.

The compressed data do not say how many blocks they are. So the picture is decoded twice more: with other bytes behind its
data, which change it only if it ran out of them, and with its last bytes changed, which leave it as it is only if they were
not needed. Markers: ITU-T T.81, annex B.
"""

import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
WITHIN_SCAN = frozenset({0x00, *range(0xD0, 0xD8)})
"""Behind a byte 255: that byte itself, and the marks between which decoding starts anew."""
OTHER = 0x55
CHANGED, ADDED = 8, 64
"""Bytes; fewer could decode to the same picture by chance."""


def doubts(raw: bytes) -> tuple[str, ...]:
    """A warning where the data end before the picture does, or go on behind it; progressive ones are not always told."""
    end = _end_of_data(raw)
    if end is None or end < CHANGED:
        return ()
    picture = _decoded(raw)
    if picture is None or np.ptp(picture) == 0:  # one grey may be one bit for each block, and any bit be it
        return ()
    if not _same(picture, _decoded(raw[:end] + bytes([OTHER]) * ADDED + raw[end:])):
        return ("the data end before the picture does: its size may be damaged, or the rest of it is lost",)
    changed = bytes(byte ^ OTHER if byte < 0x80 else byte ^ 0x15 if byte < 0xEA else byte for byte in raw[end - CHANGED:end])
    if _same(picture, _decoded(raw[:end - CHANGED] + changed + raw[end:])):
        return ("data are left behind the end of the picture: its size may be damaged",)
    return ()


def _end_of_data(raw: bytes) -> int | None:
    """Where the data of the last scan end; None if no end of the image follows it."""
    at = 2
    while at + 4 <= len(raw) and raw[at] == 0xFF:
        kind = raw[at + 1]
        if kind == END_OF_IMAGE:
            return at
        if kind == 0xFF:
            at += 1
            continue
        at += 2 + int.from_bytes(raw[at + 2:at + 4], "big")
        while kind == START_OF_SCAN and at + 1 < len(raw) and (raw[at] != 0xFF or raw[at + 1] in WITHIN_SCAN):
            following = raw.find(b"\xff", at + 1)
            at = following if following > 0 else len(raw)
    return at if raw[at:at + 2] == b"\xff\xd9" else None


def _decoded(raw: bytes) -> NDArray[Any] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(Image.open(io.BytesIO(raw), formats=("JPEG",)))
    except (OSError, ValueError, SyntaxError):
        return None


def _same(one: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    return one is not None and other is not None and np.array_equal(one, other)
