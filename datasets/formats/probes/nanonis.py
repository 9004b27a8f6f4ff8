"""Nanonis scans (.sxm): text header of `:KEY:` lines, then each channel as float32 rows, forward and backward.

Known from files; no vendor document was open. `DATA_INFO` is a table of channels with their unit and direction. Backward
rows are stored as measured, from right to left; a scan upwards is stored from the bottom: both are turned here, so that every
channel lies on the same picture with its first row at the top. `SCAN_RANGE` is the size of N pixels. Pixels that were not
reached are NaN. `REC_TEMP` is 290 K unless somebody sets it and is taken for no fact.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.dates import acquired
from datasets.formats.probes.scan_image import Channel, signals
from datasets.formats.signal import Format, Signal

END = b":SCANIT_END:"
DATA = b"\x1a\x04"


def read(path: Path) -> tuple[Signal, ...]:
    """Every channel of a scan.

    Raises
    ------
    UnreadableFile
        Naming the header entry that is wrong, or how many bytes are missing.
    """
    raw = path.read_bytes()
    start = raw.find(DATA, raw.find(END))
    if raw.find(END) < 0 or start < 0:
        raise UnreadableFile(path, "the header has no end: the file is truncated")
    header = _header(raw[:raw.find(END)].decode("utf-8", "replace"))
    size = [int(n) for n in re.findall(r"\d{1,7}", header.get("SCAN_PIXELS", ""))]
    extent = [float(n) for n in header.get("SCAN_RANGE", "").split() if _is_number(n)]
    if len(size) != 2 or not all(size) or len(extent) != 2:
        raise UnreadableFile(path, f"SCAN_PIXELS is {header.get('SCAN_PIXELS', '').split()}, SCAN_RANGE "
                                   f"{header.get('SCAN_RANGE', '').split()}")
    columns, rows = size
    order = "<f4" if "LSBFIRST" in header.get("SCANIT_TYPE", "") else ">f4"
    listed = [(name, unit, back) for name, unit, both in _channels(header) for back in both]
    needed, held = len(listed) * rows * columns * 4, len(raw) - start - len(DATA)
    if not listed or needed > held:
        raise UnreadableFile(path, f"declares {len(listed)} maps of {rows} x {columns} pixels, {needed} bytes, and holds "
                                   f"{held}", todo="the file is truncated; copy it again")
    maps = np.frombuffer(raw, order, len(listed) * rows * columns, start + len(DATA)).reshape(-1, rows, columns)
    upwards = header.get("SCAN_DIR", "").strip().lower() == "up"
    channels = []
    for (name, unit, back), stored in zip(listed, maps, strict=True):
        with np.errstate(invalid="ignore"):  # a signalling NaN of a damaged file is a NaN
            turned = stored[::-1 if upwards else 1, ::-1 if back else 1].astype(np.float32)
        channels.append(Channel(name, turned, unit, (extent[1] / rows, extent[0] / columns), "m", back))
    remarks = []
    if (lost := int(np.isnan(maps[0]).sum())) and lost < maps[0].size:
        remarks.append(f"the scan was stopped: {lost} of {maps[0].size} pixels were not reached")
    if needed < held:
        remarks.append(f"{held - needed} bytes behind the {len(listed)} maps of {rows} x {columns} pixels are not read")
    return signals(path, channels, metadata=header, conditions=_conditions(header), remarks=remarks)


def _header(text: str) -> dict[str, str]:
    parts = re.split(r"^:([^\n]*?):[ \t]*$", text, flags=re.MULTILINE)
    return {key.strip(): value.strip("\r\n") for key, value in zip(parts[1::2], parts[2::2], strict=True)}


def _channels(header: Mapping[str, str]) -> list[tuple[str, str, tuple[bool, ...]]]:
    lines = [line.strip("\t\r").split("\t") for line in header.get("DATA_INFO", "").splitlines() if line.strip()]
    found = []
    for parts in lines[1:]:
        if len(parts) >= 4:
            ways = {"both": (False, True), "forward": (False,), "backward": (True,)}.get(parts[3].strip().lower(), (False,))
            found.append((parts[1].strip(), parts[2].strip(), ways))
    return found


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?", text))


def _conditions(header: Mapping[str, str]) -> dict[str, Any]:
    return acquired(f"{header.get('REC_DATE', '').strip()} {header.get('REC_TIME', '').strip()}", "%d.%m.%Y %H:%M:%S")


def recognises(head: bytes, path: Path) -> bool:
    """By its first key."""
    del path
    return head.lstrip().startswith(b":NANONIS_VERSION:") and b"SCANIT_TYPE" in head


def example(folder: Path) -> Path:
    """A slope of 16 rows and 24 columns, there and back."""
    data = np.arange(16 * 24, dtype=">f4").reshape(16, 24) * 1e-9
    keys = {"NANONIS_VERSION": "2", "SCANIT_TYPE": " FLOAT MSBFIRST", "REC_DATE": " 12.01.2026", "REC_TIME": "09:57:48",
            "SCAN_PIXELS": " 24 16", "SCAN_RANGE": " 2.4E-7 1.6E-7", "SCAN_DIR": "down",
            "DATA_INFO": "\tChannel\tName\tUnit\tDirection\tCalibration\tOffset\n\t14\tZ\tm\tboth\t1.0E+0\t0.0E+0\n"}
    text = "".join(f":{key}:\n{value}\n" for key, value in keys.items()) + ":SCANIT_END:\n\n\n"
    path = folder / "example.sxm"
    path.write_bytes(text.encode() + DATA + np.stack([data, data[:, ::-1]]).astype(">f4").tobytes())
    return path


NANONIS = Format(name="nanonis sxm", suffixes=frozenset({".sxm"}), recognises=recognises, read=read, version="1",
                 example=example)
