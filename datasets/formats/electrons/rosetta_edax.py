"""EDAX TEAM and Genesis (.spd maps, .lsd lines, .spc spectra), and EMPAD (.xml with .raw): plain bytes, sizes apart from them.

RosettaSciIO 0.15 reads the arrays. It believes every size of a header, and counts the energy axis of a map from the end.
"""

import re
import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rsciio import edax, empad

from datasets.errors import UnreadableFile

Rosetta = dict[str, Any]

MAP_TAG = b"MAPSPECTRA_DATA"
SPC_VERSIONS = (b"\xf6\x28\x1c\x3f", b"\x33\x33\x33\x3f")
"""0.61 and 0.70 as little-endian floats."""
EMPAD_FRAME = 130 * 128 * 4
"""Bytes of a pattern of 128 x 128 and its two lines of a footer."""
SCAN_NAME = re.compile(r"_x(\d+)_y(\d+)")


def is_edax(head: bytes, path: Path) -> bool:
    """The tag of a map, or the version and the suffix of a spectrum, whose first bytes alone say little."""
    return head.startswith(MAP_TAG) or (head[:4] in SPC_VERSIONS and path.suffix.lower() == ".spc")


def read_edax(path: Path, lazy: bool) -> list[Rosetta]:
    """A map, a line or a spectrum.

    Raises
    ------
    UnreadableFile
        If the file is shorter than its header promises.
    """
    found = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(384)
    if head.startswith(MAP_TAG):
        if path.suffix.lower() not in (".spd", ".lsd"):
            raise UnreadableFile(path, "is a map of EDAX, but does not end in .spd or .lsd", todo="give it its old name")
        _, points, lines, channels, width, offset = struct.unpack("<6I", head[20:44])
        promised = offset + points * max(lines, 1) * channels * width
    else:
        offset, channels = struct.unpack("<ih", head[28:34])
        promised = offset + 4 * channels
    if not 0 < offset <= promised or promised > found:
        raise UnreadableFile(path, f"is truncated: the file has {found} bytes, its header promises {promised}",
                             todo="copy it again from the microscope")
    signals: list[Rosetta] = edax.file_reader(str(path), lazy=lazy)
    if promised < found and head.startswith(MAP_TAG):
        signals[0]["warnings"] = [f"{found - promised} bytes behind the data are not read"]
    return signals


def beside_edax(path: Path) -> tuple[Path, ...]:
    """The spectrum that calibrates a map, the image that scales it, the table of a line."""
    if path.suffix.lower() not in (".spd", ".lsd"):
        return ()
    names = [path.with_suffix(".spc"), path.with_name(path.stem + "_Img.ipr"), path.with_suffix(".csv")]
    return tuple(p for p in names if p.is_file())


def is_empad(head: bytes, path: Path) -> bool:
    """XML that names a raw file of the detector."""
    del path
    return head.lstrip()[:1] == b"<" and b"<raw_file" in head and b".raw" in head


def raw_of_empad(path: Path) -> tuple[Path, ...]:
    """The patterns; the name in the XML may be that of another computer."""
    try:
        stated = ElementTree.parse(path).getroot().find("raw_file")
    except (ElementTree.ParseError, OSError, ValueError):
        return ()
    name = "" if stated is None else str(stated.get("filename", "")).replace("\\", "/").rpartition("/")[2]
    beside = path.with_name(name) if name else path
    return (beside,) if beside != path and beside.is_file() else ()


def read_empad(path: Path, lazy: bool) -> list[Rosetta]:
    """Patterns on a scan, or a series of them.

    Raises
    ------
    UnreadableFile
        If the raw file is not there or shorter than the scan needs.
    """
    raw = raw_of_empad(path)
    if not raw:
        raise UnreadableFile(path, "the .raw file that it names is not beside it, or its XML is damaged")
    root = ElementTree.parse(path).getroot()
    series = root.find("scan_parameters/series_count")
    named = SCAN_NAME.search(raw[0].name)
    size = [element.text for tag in ("pix_x", "pix_y") if (element := root.find(tag)) is not None]
    texts = [series.text] if series is not None else size or list(named.groups() if named else ())
    counts = [int(text) for text in texts if text and text.strip().isdigit()]
    frames = 1
    for count in counts:
        frames *= count
    found = raw[0].stat().st_size
    if not counts or frames < 1 or frames * EMPAD_FRAME > found:
        raise UnreadableFile(raw[0], f"is truncated: it has {found} bytes, {frames} patterns take {frames * EMPAD_FRAME}",
                             todo="copy it again from the microscope")
    signals: list[Rosetta] = empad.file_reader(str(path), lazy=lazy)
    names = {"scan_y": "y", "scan_x": "x", "height": "dy", "width": "dx", "series_count": "frame"}
    for axis in signals[0]["axes"]:
        axis["name"] = names.get(axis["name"], axis["name"])
        if axis["name"] == "frame":
            axis.update(units="", scale=1.0)
    return signals
