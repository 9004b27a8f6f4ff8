"""What no program writes into a text and damage does: where nothing counts the rows, often the only sign of it."""

import re
from collections.abc import Iterable
from pathlib import Path

CONTROLS = bytes([*range(9), 11, *range(14, 26), *range(27, 32), 127])
"""All but tabs, ends of lines and pages, and the mark by which DOS ended a text; zeros may fill up the end of a file."""
CONTROL = re.compile(b"[" + re.escape(CONTROLS) + b"]")
PIECE_BYTES = 1 << 20
UTF16 = (b"\xff\xfe", b"\xfe\xff")


def said(paths: Iterable[Path]) -> tuple[str, ...]:
    """A warning for each text that holds characters which texts do not hold, or returns of the carriage within its lines."""
    return tuple(warning for path in paths if (warning := _said(path)))


def _said(path: Path) -> str:
    found, first, line, lone, ends, before = 0, 0, 1, 0, 0, b""
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            if not before and (piece.startswith(UTF16) or b"\0" in piece[:64]):
                return ""  # its bytes are not its characters
            body = piece.rstrip(b"\0")
            here = len(body) - len(body.translate(None, CONTROLS))
            if here and not found and (match := CONTROL.search(piece)):
                first = line + piece.count(b"\n", 0, match.start())
            found += here
            line += piece.count(b"\n")
            pairs = piece.count(b"\r\n") + (before == b"\r" and piece.startswith(b"\n"))
            lone += piece.count(b"\r") - pairs
            ends += piece.count(b"\n")
            before = piece[-1:]
    if found:
        return f"{found} characters are such as no text holds, the first in line {first}: the file may be damaged"
    if 0 < lone < ends / 2:
        return f"{lone} lines are parted otherwise than the rest: the file may be damaged"
    return ""
