"""Thermo Avantage spectra (.VGD, .VGP): an OLE2 compound file.

There is no published specification; read off a file of a Nexsa and held against vgd-reader 0.1.0. Streams:

- `VGData`: float64, the energy fastest. `VGDataAxes`: two uint16, uint32 number of axes, then four int32 an axis (first and
  last index, 1, 0).
- `VGSpaceAxes`: two uint16, uint32 number of axes; then for each axis three texts (uint16 2, uint32 length, characters; empty
  in the file at hand), uint32 points, float64 start and step, five bytes. The first is kinetic energy.
- A property set of Thermo's own (a stream whose name begins with 0x05) whose dictionary names its entries: SourceEnergy,
  PassEnergy, ChamberWorkFunction, DwellTime (s), Scans, AcquisitionStart (FILETIME), Technique, ... vgd-reader does not read
  the dictionary but looks for a number that could be an energy.

Values are counts summed over the scans, corrected by the detector's signature and therefore not whole; counts/s = counts /
(DwellTime x Scans), as vgd-reader has it (Thermo does not say).

Not understood: the five bytes; where etch times of a profile are (levels are counted); non-linear axes.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import olefile
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.signal import Axis, Field, Format, Signal

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
STREAMS = ("VGData", "VGDataAxes", "VGSpaceAxes")
SUMMARY, TITLE = "\x05SummaryInformation", 2
MOST_AXES = 8
SIMPLE = {2: "<h", 3: "<i", 4: "<f", 5: "<d", 11: "<h", 18: "<H", 19: "<I", 64: "<Q"}
"""Variant type of a property -> its layout."""
FILETIME_START = datetime(1601, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class _SpaceAxis:
    label: str
    points: int
    start: float
    step: float


def read(path: Path) -> tuple[Signal, ...]:
    """The spectrum, or all spectra of a profile or series.

    Raises
    ------
    UnreadableFile
        Naming the stream that is missing or contradicts the others.
    """
    properties: dict[str, Any] = {}
    try:
        with olefile.OleFileIO(BytesIO(path.read_bytes())) as ole:
            missing = [name for name in STREAMS if not ole.exists(name)]
            if missing:
                raise UnreadableFile(path, f"is an OLE2 file without {' and '.join(missing)}",
                                     todo="only spectra of Avantage are read")
            data, sizes, space = (ole.openstream(name).read() for name in STREAMS)
            for entry in ole.listdir():
                if entry[0].startswith("\x05") and "Summary" not in entry[0]:
                    properties |= named_properties(ole.openstream(entry).read())
            title = _summary_title(ole)
    except OSError as error:  # olefile's own errors are of this kind
        raise UnreadableFile(path, f"its OLE2 container is damaged: {error}", todo="the file may be truncated") from error
    return (_signal(path, data, _sizes(path, sizes), _space_axes(path, space), properties, title),)


def _summary_title(ole: olefile.OleFileIO) -> str:
    """Not by olefile's own parser, which builds any list that a damaged property declares."""
    if not ole.exists(SUMMARY):
        return ""
    raw = ole.openstream(SUMMARY).read()
    try:
        start = struct.unpack_from("<I", raw, 44)[0]
        return str(_property(raw, start + _places(raw, start)[TITLE]) or "").strip()
    except (struct.error, KeyError):
        return ""


def _sizes(path: Path, raw: bytes) -> list[int]:
    """Points along each axis of the data, fastest first."""
    count = struct.unpack_from("<I", raw, 4)[0] if len(raw) >= 8 else 0
    if not 1 <= count <= MOST_AXES or len(raw) < 8 + 16 * count:
        raise UnreadableFile(path, "its data have no axes that can be read", where="VGDataAxes")
    ends = [struct.unpack_from("<2i", raw, 8 + 16 * i) for i in range(count)]
    return [last - first + 1 for first, last in ends]


def _space_axes(path: Path, raw: bytes) -> list[_SpaceAxis]:
    """The axes that could be read; the first is needed."""
    count = struct.unpack_from("<I", raw, 4)[0] if len(raw) >= 8 else 0
    found, at = [], 8
    try:
        for _ in range(min(count, MOST_AXES)):
            texts = []
            for _ in range(3):
                length = struct.unpack_from("<I", raw, at + 2)[0]
                if at + 6 + length > len(raw):
                    raise struct.error("text longer than the stream")
                texts.append(raw[at + 6:at + 6 + length].decode("latin-1").strip("\0 "))
                at += 6 + length
            points, start, step = struct.unpack_from("<I2d", raw, at)
            found.append(_SpaceAxis(texts[0], points, start, step))
            at += 25
    except struct.error:
        if not found:
            raise UnreadableFile(path, "its energy axis cannot be read", where="VGSpaceAxes") from None
    if not found or not (np.isfinite(found[0].start) and np.isfinite(found[0].step) and found[0].step):
        raise UnreadableFile(path, "its energy axis cannot be read", where="VGSpaceAxes")
    return found


def named_properties(raw: bytes) -> dict[str, Any]:
    """Values of an OLE2 property set under the names of its own dictionary; what has no name or unknown type is left out.

    Layout: Microsoft, [MS-OLEPS] sections 2.18 to 2.21.
    """
    try:
        start = struct.unpack_from("<I", raw, 44)[0]
        where = _places(raw, start)
        names = _dictionary(raw, start + where[0]) if 0 in where else {}
        return {names[key]: value for key, at in where.items() if key in names
                if (value := _property(raw, start + at)) is not None}
    except (struct.error, UnicodeDecodeError, OverflowError):
        return {}


def _places(raw: bytes, start: int) -> dict[int, int]:
    """Number of a property -> where it stands, from the start of its section."""
    _, count = struct.unpack_from("<2I", raw, start)
    return dict(struct.unpack_from("<2I", raw, start + 8 + 8 * i) for i in range(min(count, len(raw) // 8)))


def _dictionary(raw: bytes, at: int) -> dict[int, str]:
    count = struct.unpack_from("<I", raw, at)[0]
    at += 4
    names = {}
    for _ in range(min(count, len(raw) // 8)):
        key, length = struct.unpack_from("<2I", raw, at)
        if at + 8 + 2 * length > len(raw):
            break
        names[key] = raw[at + 8:at + 8 + 2 * length].decode("utf-16-le").strip("\0")
        at += 8 + (2 * length + 3) // 4 * 4
    return names


def _property(raw: bytes, at: int) -> Any:
    kind = struct.unpack_from("<I", raw, at)[0]
    if kind in SIMPLE:
        return struct.unpack_from(SIMPLE[kind], raw, at + 4)[0]
    if kind in (8, 30, 31):
        length = struct.unpack_from("<I", raw, at + 4)[0]
        text = raw[at + 8:at + 8 + (2 * length if kind == 31 else length)]
        return text.decode("utf-16-le" if kind != 30 else "latin-1", errors="replace").split("\0")[0]
    return None


def _signal(path: Path, data: bytes, sizes: list[int], space: list[_SpaceAxis], properties: Mapping[str, Any],
            title: str) -> Signal:
    points = len(data) // 8
    expected = 1
    for size in sizes:
        expected *= size
    if min(sizes) < 1 or expected != points or len(data) % 8:
        raise UnreadableFile(path, f"holds {points} values, its axes are {' x '.join(map(str, sizes))}", where="VGData",
                             todo="the file may be truncated")
    energy = space[0]
    if energy.points != sizes[0]:
        raise UnreadableFile(path, f"its energy axis has {energy.points} points, its data {sizes[0]}", where="VGSpaceAxes")
    warnings: list[str] = []
    axes = [Axis("kinetic energy", energy.start + energy.step * np.arange(energy.points), "eV")]
    for i, size in enumerate(sizes[1:], 1):
        if size > 1:
            axes.insert(0, _leading(space[i] if i < len(space) else None, size, properties, warnings))
    values = np.frombuffer(data, "<f8").reshape([axis.size for axis in axes])
    if not np.isfinite(values).all():
        raise UnreadableFile(path, "holds values that are no numbers", where="VGData")
    if not np.array_equal(values, np.rint(values)):
        warnings.append("counts are not whole numbers (corrected by the detector's signature), so Poisson statistics hold only "
                        "roughly")
    fields = {"intensity": Field(values, "count")}
    dwell, scans = properties.get("DwellTime"), properties.get("Scans")
    live = float(dwell) * int(scans) if isinstance(dwell, float) and isinstance(scans, int) and dwell > 0 < scans else 0.0
    if live:
        with np.errstate(over="ignore"):  # a damaged number stays one
            fields["count_rate"] = Field(values / live, "count/s")
    else:
        warnings.append("the file does not say how long it counted: there is no rate")
    shown = {k: v for k, v in properties.items() if isinstance(v, str | int) or np.isfinite(v)}
    title = title or path.stem
    return Signal(title, tuple(axes), fields, path, shown, _conditions(properties, live, title), "XPS", tuple(warnings))


def _leading(axis: _SpaceAxis | None, size: int, properties: Mapping[str, Any], warnings: list[str]) -> Axis:
    steps: NDArray[np.float64] = np.arange(size, dtype=np.float64)
    words = f"{axis.label if axis else ''} {' '.join(properties)}".lower()
    name = "sputter_level" if "etch" in words or "depth" in words else "spectrum"
    if axis is None or axis.points != size or not np.isfinite([axis.start, axis.step]).all():
        warnings.append(f"what the {size} spectra differ in is not understood: they are counted")
        return Axis(name, steps, "1")
    return Axis(name, steps, "1", {"vendor_axis": (axis.start + axis.step * steps, "1")})


def _conditions(properties: Mapping[str, Any], live: float, title: str) -> dict[str, Any]:
    found: dict[str, Any] = {"species": title}
    for name, condition in (("SourceEnergy", "photon_energy_eV"), ("PassEnergy", "pass_energy_eV"),
                            ("ChamberWorkFunction", "work_function_eV")):
        if isinstance(value := properties.get(name), float) and 0 < value < 1e5:
            found[condition] = float(np.float32(value).astype(str)) if value == float(np.float32(value)) else value
    if live:
        found["dwell_time_s"] = round(live, 9)
    if isinstance(moment := properties.get("AcquisitionStart"), int) and 0 < moment < 10 ** 18:
        found["acquired"] = (FILETIME_START + timedelta(microseconds=moment // 10)).isoformat(timespec="seconds")
    return found


def recognises(head: bytes, path: Path) -> bool:
    """OLE2 that holds Avantage's streams; other programs use OLE2 too."""
    if not head.startswith(MAGIC):
        return False
    try:
        with olefile.OleFileIO(BytesIO(path.read_bytes())) as ole:
            return bool(ole.exists("VGData"))
    except Exception:  # a damaged directory raises whatever it meets
        return path.suffix.lower() in (".vgd", ".vgp")


THERMO = Format(name="thermo vgd", suffixes=frozenset({".vgd", ".vgp"}), recognises=recognises, read=read, version="1")
