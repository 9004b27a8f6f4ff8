"""What an MRC file says beside its numbers: header, FEI extended header, and the `.mdoc`, `.rawtlt` or `.tlt` beside it.

Layouts: MRC2014, Cheng et al., J. Struct. Biol. 192, 146 (2015), doi 10.1016/j.jsb.2015.04.002, and the FEI extended headers,
both as mrcfile 1.5.4 states them; the papers and the vendor's document were not opened here.
"""

import re
import struct
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BASE_BYTES = 1024
IMOD_STAMP = 1146047817
"""Number that IMOD leaves at byte 152; the flag after it says whether its bytes are signed."""

MODE_BYTES = {0: 1.0, 1: 2.0, 2: 4.0, 3: 4.0, 4: 8.0, 6: 2.0, 12: 2.0, 101: 0.5}
"""Mode -> bytes per value."""

FEI_FIELDS: dict[str, tuple[str, int]] = {
    "Timestamp": ("f8", 12), "HT": ("f8", 84), "Alpha tilt": ("f8", 100), "X-Stage": ("f8", 116), "Y-Stage": ("f8", 124),
    "Pixel size X": ("f8", 156), "Pixel size Y": ("f8", 164), "Applied defocus": ("f8", 236), "Instrument mode": ("i4", 244),
    "Projection mode": ("i4", 248), "Magnification": ("f8", 289), "Camera length": ("f8", 301),
    "Convergence angle": ("f8", 329), "Integration time": ("f8", 419), "Camera name": ("S16", 435),
    "STEM detector": ("S16", 519), "Dwell time": ("f8", 571), "Element": ("S16", 619),
}
"""Field of an FEI1 or FEI2 record -> type and byte; in volts, degrees, metres, radians, seconds, days since 1899-12-30."""
SAME_TILT_DEG = 0.1
"""The stage settles no better than this: angles that differ by less are one tilt."""
MAY_BE_ZERO = frozenset({"Alpha tilt", "X-Stage", "Y-Stage"})
"""Fields in which zero is a value; in the others it stands for "not known"."""


@dataclass(frozen=True)
class MrcHeader:
    """The fixed header and what could be read around it.

    promised_bytes : size that the file must have
    endian : "<" or ">"
    mode : type of the values, see MODE_BYTES
    shape : sections, rows, columns
    data_offset : byte at which the values begin
    signed_bytes : whether mode 0 means signed bytes
    step_nm : size of a voxel along x, y, z in nm, None where the file does not know
    origin_nm : position of the first voxel along x, y, z in nm
    is_volume : whether z is a length and not the number of an image
    unnamed_extension : whether the extended header, if any, is of before 2014, when its kind was not written
    order : which of x, y, z (1, 2, 3) are the columns, rows and sections
    labels : lines of text of the programs that the file went through
    about : FEI record or SerialEM keys of the first image, for the conditions
    tilt_deg : tilt of each image, None where nothing states one for each
    remarks : what was found wrong on the way
    """

    promised_bytes: int
    endian: str
    mode: int
    shape: tuple[int, int, int]
    data_offset: int
    signed_bytes: bool
    step_nm: tuple[float | None, float | None, float | None]
    origin_nm: tuple[float, float, float]
    is_volume: bool
    unnamed_extension: bool
    order: tuple[int, int, int]
    labels: tuple[str, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)
    tilt_deg: NDArray[np.float64] | None = None
    remarks: tuple[str, ...] = ()


PER_COMPRESSOR, MOST_PACKED_MODE = 1000, 64_000
"""MRCZ adds this to a mode for each number of its compressor."""


def promised_size(head: bytes) -> tuple[int, str]:
    """Bytes that the first 1024 of a file promise, and its endianness; (0, "") where no endianness makes sense of them."""
    for endian in "<>":
        nx, ny, nz, mode = struct.unpack(endian + "4i", head[:16])
        extended, = struct.unpack(endian + "i", head[92:96])
        if min(nx, ny, nz) > 0 and max(nx, ny, nz) < 1 << 20 and mode in MODE_BYTES and 0 <= extended < 1 << 31:
            row_bytes = (nx + 1) // 2 if mode == 101 else int(nx * MODE_BYTES[mode])
            return BASE_BYTES + extended + nz * ny * row_bytes, endian
    return 0, ""


def is_packed(head: bytes, path: Path) -> bool:
    """MRCZ: a mode of MRC and a compressor, and a blosc chunk of the size of an image where the first one should be."""
    if len(head) < BASE_BYTES:
        return False
    columns, rows, images, mode = struct.unpack_from("<4i", head)
    extended, = struct.unpack_from("<i", head, 92)
    frame = packed_frame_bytes(columns, rows, mode % PER_COMPRESSOR)
    if not PER_COMPRESSOR <= mode < MOST_PACKED_MODE or min(columns, rows, images, frame) < 1 or extended < 0:
        return False
    with path.open("rb") as file:
        file.seek(BASE_BYTES + extended)
        chunk = file.read(16)
    return len(chunk) == 16 and struct.unpack_from("<I", chunk, 4)[0] == frame


def packed_frame_bytes(columns: int, rows: int, mode: int) -> int:
    """Bytes of an image; 0 for a mode that is none. Two pixels of mode 101 share a byte."""
    return (columns * rows + 1) // 2 if mode == 101 else int(columns * rows * MODE_BYTES.get(mode, 0))


def read_header(path: Path) -> MrcHeader | None:
    """Header and companions of an MRC file; None where its sizes or its mode are impossible."""
    with path.open("rb") as file:
        head = file.read(BASE_BYTES)
        size, endian = promised_size(head) if len(head) == BASE_BYTES else (0, "")
        if not endian:
            return None
        extended_bytes, = struct.unpack(endian + "i", head[92:96])
        kind = head[104:108]
        records = _fei_records(file.read(extended_bytes), endian) if kind in (b"FEI1", b"FEI2") else []
    columns, rows, images, mode = struct.unpack(endian + "4i", head[:16])
    texts = (head[at:at + 80].decode("latin-1").strip("\0 ") for at in range(224, BASE_BYTES, 80))
    stamp, flags = struct.unpack(endian + "2i", head[152:160])
    space_group, = struct.unpack(endian + "i", head[88:92])
    step_nm, remarks = _steps(head, endian)
    tilts = [record["Alpha tilt"] for record in records]
    tilt_deg = np.array(tilts) if len(tilts) == images > 1 and len(set(tilts)) == images else None
    serialem, listed, said = _companions(path, images)
    # stacks of many programs carry the mark of a volume; a reconstruction, too, may stand beside the list of its tilts
    listed_for_stack = listed is not None and path.suffix.lower() != ".rec"
    order = struct.unpack(endian + "3i", head[64:76])
    if sorted(order) != [1, 2, 3]:
        order = (1, 2, 3)  # old files leave these bytes empty
    if order != (1, 2, 3):
        remarks.append(f"columns, rows and sections of this map are {', '.join('xyz'[i - 1] for i in order)}")
    x_A, y_A, z_A = (v if np.isfinite(v) else 0.0 for v in struct.unpack(endian + "3f", head[196:208]))
    return MrcHeader(size, endian, mode, (images, rows, columns), BASE_BYTES + extended_bytes,
                     not (stamp == IMOD_STAMP and not flags & 1), step_nm, (x_A / 10, y_A / 10, z_A / 10),
                     (space_group == 1 or space_group > 400) and not listed_for_stack, kind.strip(b"\0 ") == b"", order,
                     labels=tuple(text for text in texts if text), about={**(records[0] if records else {}), **serialem},
                     tilt_deg=listed if listed is not None else tilt_deg, remarks=(*remarks, *said))


def companions(path: Path) -> tuple[Path, ...]:
    """SerialEM's and IMOD's files beside an image stack."""
    beside = [path.with_name(path.name + ".mdoc"), path.with_suffix(".mdoc")]
    return (*(p for p in beside if p.is_file()), *tilt_lists(path))


def tilt_lists(path: Path) -> tuple[Path, ...]:
    """Lists of tilt angles of the same name beside an image stack: as aligned, then as recorded."""
    return tuple(p for p in (path.with_suffix(".rawtlt"), path.with_suffix(".tlt")) if p.is_file())


def tilt_angles(path: Path) -> NDArray[np.float64] | None:
    """Angles in degrees of a `.rawtlt` or `.tlt`, one a line; None where a line is no number."""
    try:
        return np.array([float(line) for line in path.read_text(encoding="latin-1").split()])
    except (OSError, ValueError):
        return None


def _steps(head: bytes, endian: str) -> tuple[tuple[float | None, float | None, float | None], list[str]]:
    cell_A, intervals = struct.unpack(endian + "3f", head[40:52]), struct.unpack(endian + "3i", head[28:40])
    steps: list[float | None] = []
    remarks = []
    for name, length, n in zip("xyz", cell_A, intervals, strict=True):
        known = np.isfinite(length) and length > 0 and n > 0
        steps.append(float(length) / n / 10 if known else None)
        if not known and name != "z":
            remarks.append(f"{name} has a cell of {length:g} Å in {n} intervals, so its pixel size is not known")
    return (steps[0], steps[1], steps[2]), remarks


def _fei_records(block: bytes, endian: str) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    size = struct.unpack(endian + "i", block[:4])[0] if len(block) >= 4 else 0
    if size < 768 or size > len(block):
        return []
    for start in range(0, len(block) - size + 1, size):
        if block[start:start + 4] != block[:4]:
            break
        one = {name: np.frombuffer(block, endian + kind if kind != "S16" else kind, 1, start + at)[0].item()
               for name, (kind, at) in FEI_FIELDS.items()}
        text = {k: v.decode("latin-1").strip("\0 ") if isinstance(v, bytes) else v for k, v in one.items()}
        records.append({k: v for k, v in text.items() if v or k in MAY_BE_ZERO})
    days = float(records[0].get("Timestamp", 0.0))
    if 1e4 < days < 1e5:
        records[0]["acquired"] = (datetime(1899, 12, 30) + timedelta(days=days)).isoformat(timespec="seconds")
    return records


def _companions(path: Path, images: int) -> tuple[dict[str, Any], NDArray[np.float64] | None, list[str]]:
    about: dict[str, Any] = {}
    angles: NDArray[np.float64] | None = None
    remarks = []
    for beside in companions(path):
        if beside.suffix == ".mdoc":
            general, sections = _mdoc(beside)
            found = [section["TiltAngle"] for section in sections if isinstance(section.get("TiltAngle"), float)]
            about |= {**(sections[0] if sections else {}), **general}
            listed: NDArray[np.float64] | None = np.array(found) if found else None
        else:
            listed = tilt_angles(beside)
        if listed is None or angles is not None:
            continue
        if listed.size == images > 1 and np.ptp(listed) < SAME_TILT_DEG:
            continue  # frames of one exposure, not a tilt series
        if listed.size == images > 1:
            angles = listed
        elif images > 1:
            remarks.append(f"{beside.name} lists {listed.size} tilts for {images} images: it is not used")
    return about, angles, remarks


def _mdoc(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    general: dict[str, Any] = {}
    sections: list[dict[str, Any]] = []
    here = general
    for line in path.read_text(encoding="latin-1").splitlines():
        if re.match(r"\[(ZValue|FrameSet|MontSection)\s*=", line):
            here = {}
            sections.append(here)
        elif match := re.match(r"(\w+)\s*=\s*(.*\S)\s*$", line):
            try:
                here[match[1]] = float(match[2])
            except ValueError:
                here[match[1]] = match[2]
    return general, sections
