r"""Bruker, Veeco and Digital Instruments Nanoscope images and force curves (.spm, .di, .pfc, .000, .001 ...).

A text header of lines that begin with a backslash, in sections `\*Name`, ended by `\*File list end`; then one block of whole
numbers per image at its `Data offset`. Known from files and from what Gwyddion, pySPM and SurfaceTopography (MIT) found out.

- A value `@2:Z scale: V [Sens. Zsens] (0.0067 V/LSB) 2.91 V` spans the whole range of the numbers, 2.91 V over 2^16 (or 2^32
  for `Bytes/pixel: 4`), times the soft scale `@Sens. Zsens: V 20.8 nm/V` of another section. The part in parentheses is what
  the instrument used for other settings and is not it.
- From version 9.2 numbers are stored with 4 bytes even where `Bytes/pixel` is 2; it then only sets the scale.
- `Scan size` is that of N pixels. Rows are stored from the bottom.
- Force curves stand in sections of their own (`nanoscope_force`), alone or beside the images of their map.
- Files of version 4.2 and before and files with data as text are refused by name.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.dates import acquired
from datasets.formats.probes.force_curve import curve_signals
from datasets.formats.probes.nanoscope_force import force_curves
from datasets.formats.probes.scan_image import Channel, number_and_unit, scaled, signals
from datasets.formats.signal import Format, Signal

MOST_HEADER_BYTES = 4 << 20
FIRST_WITH_WIDE_NUMBERS = 0x09200000
VALUE = re.compile(r"V\s*(?:\[([^\]]*)\])?\s*(?:\(((?:[^()]|\([^()]*\))*)\))?\s*([-+\d.].*)?$")
"""A value: soft scale, what stands in parentheses (its unit may have some of its own, as log(Arb)), number and unit."""
Section = tuple[str, dict[str, str]]


def read(path: Path) -> tuple[Signal, ...]:
    """Every image of a file.

    Raises
    ------
    UnreadableFile
        If the header is cut off, holds nothing that is known, or an image or a curve leads past the end of the file.
    """
    raw = path.read_bytes()
    sections = _sections(path, raw)
    everywhere = {key: value for name, section in sections if not name.endswith("image list") for key, value in section.items()}
    curves = [section for name, section in sections if name.endswith("force image list")]
    images = [section for name, section in sections if name.endswith("image list") and not name.endswith("force image list")]
    if not images and not curves:
        raise UnreadableFile(path, f"holds no images, only {', '.join(sorted({name for name, _ in sections}))}")
    remarks: list[str] = []
    channels = [_channel(path, raw, section, everywhere, remarks) for section in images]
    about: dict[str, Any] = {"metadata": {"sections": [{"section": name, **section} for name, section in sections]},
                             "conditions": _conditions(everywhere)}
    maps = signals(path, channels, **about, remarks=remarks) if channels else ()
    if not curves:
        return maps
    listed = next((section for name, section in sections if name.endswith("force list")), {})
    said: list[str] = []
    return (*maps, *curve_signals(path, force_curves(path, raw, curves, everywhere, listed, said), **about, remarks=said))


def _sections(path: Path, raw: bytes) -> list[Section]:
    end = raw.lower().find(b"\\*file list end", 0, MOST_HEADER_BYTES)
    if end < 0:
        raise UnreadableFile(path, "the header has no end: it is truncated or damaged")
    found: list[Section] = []
    for line in raw[:end].decode("latin-1").splitlines():
        if line.startswith("\\*"):
            found.append((line[2:].strip().lower(), {}))
        elif line.startswith("\\") and found:
            key, _, value = line[1:].partition(":")
            if key.startswith("@") and key[1:2].isdigit():  # "@2:Z scale: V ..." has its number before a colon of its own
                rest, _, value = value.partition(":")
                key = f"{key}:{rest}"
            found[-1][1].setdefault(key.strip().lower(), value.strip())
    return found


def _channel(path: Path, raw: bytes, section: Mapping[str, str], everywhere: Mapping[str, str], remarks: list[str]) -> Channel:
    name = _name(section)
    where = f"image {name!r}"
    columns, rows = (_whole(path, section, key, where) for key in ("samps/line", "number of lines"))
    offset, length = (_whole(path, section, key, where) for key in ("data offset", "data length"))
    width = _whole(path, {"bytes/pixel": "2", **section}, "bytes/pixel", where)
    if width not in (2, 4) or columns * rows == 0:
        raise UnreadableFile(path, f"has {columns} x {rows} numbers of {width} bytes", where=where)
    version = everywhere.get("version", "0")
    stored = width
    if re.fullmatch(r"0x[0-9a-fA-F]{1,8}", version) and int(version, 16) >= FIRST_WITH_WIDE_NUMBERS and (
            length >= 4 * columns * rows):
        stored = 4
    if length < columns * rows * stored and columns * int(length / stored / columns) > 0:
        rows = length // stored // columns  # a scan that was stopped
    if offset + columns * rows * stored > len(raw):
        raise UnreadableFile(path, f"declares {columns} x {rows} numbers of {stored} bytes at byte {offset}, "
                                   f"the file ends at byte {len(raw)}", where=where,
                             todo="the file is truncated; copy it again")
    if length > columns * rows * stored:
        remarks.append(f"{where} declares {columns} x {rows} numbers and {length} bytes of them, which hold more")
    factor, unit = _scale(path, section, everywhere, width, where)
    data = np.frombuffer(raw, f"<i{stored}", columns * rows, offset).reshape(rows, columns)[::-1]
    (y, x), lateral = _size(section, everywhere)
    declared = max(_whole(path, section, "number of lines", where), rows)
    return Channel(name, scaled(data, factor), unit, (y / declared, x / columns), lateral,
                   section.get("line direction", "").lower() == "retrace")


def _name(section: Mapping[str, str]) -> str:
    for key in ("@2:image data", "@3:image data", "@4:image data"):
        if match := re.match(r'S\s*(?:\[([^\]]*)\])?\s*"?([^"]*)"?', section.get(key, "")):
            return match[2].strip() or (match[1] or "").strip()
    return section.get("image data", "image").strip('"') or "image"


def _scale(path: Path, section: Mapping[str, str], everywhere: Mapping[str, str], width: int, where: str) -> tuple[float, str]:
    text = section.get("@4:z scale", section.get("@2:z scale", section.get("@3:z scale")))
    match = VALUE.match(text or "")
    if match is None or not match[3]:
        raise UnreadableFile(path, f"the Z scale is {text!r}; files before version 4.3 are not read", where=where)
    span, unit = number_and_unit(match[3])
    factor = span / 256 ** width
    soft = VALUE.match(everywhere.get(f"@{(match[1] or '').lower()}", ""))
    if match[1] and soft and soft[3]:
        per, ratio = number_and_unit(soft[3])
        factor *= per
        unit = ratio.split("/")[0] if "/" in ratio else ratio or unit
    return factor, unit


def _size(section: Mapping[str, str], everywhere: Mapping[str, str]) -> tuple[tuple[float, float], str]:
    """Height and width of the scan: "500 500 nm" is fast then slow axis; older files give one number."""
    parts = section.get("scan size", everywhere.get("scan size", "")).split()
    numbers = [number_and_unit(part)[0] for part in parts]
    if len(parts) >= 3 and np.isfinite(numbers[1]):
        return (numbers[1], numbers[0]), parts[2]
    x, unit = number_and_unit(" ".join(parts))
    return (x, x), unit


def _whole(path: Path, section: Mapping[str, str], key: str, where: str) -> int:
    text = section.get(key, "").split()
    if not text or not text[0].isdigit() or len(text[0]) > 12:
        raise UnreadableFile(path, f"{key} is {' '.join(text)[:40]!r}, expected a whole number", where=where)
    return int(text[0])


def _conditions(everywhere: Mapping[str, str]) -> dict[str, Any]:
    return acquired(everywhere.get("date", ""), "%I:%M:%S %p %a %b %d %Y", "%H:%M:%S %a %b %d %Y")


def recognises(head: bytes, path: Path) -> bool:
    """A header that begins with its list of files."""
    del path
    return head[:20].lower().startswith((b"\\*file list", b"\\*ec file list", b"\\*force file list"))


def example(folder: Path) -> Path:
    """A slope of 16 rows and 24 columns."""
    data = (np.arange(16 * 24, dtype="<i2").reshape(16, 24) * 50)[::-1]
    lines = ["\\*File list", "\\Version: 0x05310001", "\\Date: 09:57:48 AM Tue Jan 12 2016", "\\*Ciao scan list",
             "\\@Sens. Zsens: V 20.0 nm/V", "\\*Ciao image list", "\\Data offset: 2048", f"\\Data length: {data.nbytes}",
             "\\Bytes/pixel: 2", "\\Samps/line: 24", "\\Number of lines: 16", "\\Scan size: 240 160 nm",
             "\\Line direction: Trace", '\\@2:Image Data: S [Height] "Height"',
             "\\@2:Z scale: V [Sens. Zsens] (0.006713867 V/LSB) 10.0 V", "\\*File list end"]
    path = folder / "example.spm"
    path.write_bytes("\r\n".join(lines).encode("latin-1").ljust(2048, b"\x1a") + data.tobytes())
    return path


NANOSCOPE = Format(name="nanoscope", suffixes=frozenset({".spm", ".di", ".pfc", ".000", ".001"}), recognises=recognises,
                   read=read, version="2", example=example)
