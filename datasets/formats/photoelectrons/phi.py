"""Physical Electronics spectra and depth profiles (.spe, .pro) of Compass, SmartSoft and MultiPak.

There is no published specification. The layout below was found by taking apart files of a Quantum 2000 (Compass V6.4) and a
VersaProbe 4 (SmartSoft 3.3), and checked against the figures that yadg and pynxtools-xps give for the one that each can read.

Text between the lines SOFH and EOFH, "Key: value", some keys more than once (SpectralRegDef: one line a region: number,
identifier, name, atomic number, points, step, first and last binding energy, two limits of the area, seconds per point and
pass energy). Then, little-endian, right after the line end of EOFH:

- four uint32: 1, number of blocks, bytes of all block heads, offset of the first head (16);
- block heads of 24 uint32 each: [0] block, [3] region or 0, [4] kind (1 spectra, 2 areas, 8 sputter times), [5:8] sizes of
  up to three axes, fastest first, [8:14] their names, 8 bytes each ("pnt" points, "cyc" sputter cycles, "sar" spatial areas,
  "reg" regions), [14:18] unit of the values, [18] type ("f4", "f8", "i4", ...), [19] bytes, [20] offset from where the four
  numbers are.

What stands behind the zeros of names and units is left-over memory. Intensities are counts/s; counts are taken back from them
by the seconds per point. The sputter time of each level and region, in s, is a block of its own. Offsets are believed only
within the file.

Not understood: [1], [2], [21:24] of a block head; kinds other than 1, 2 and 8, which are named in a warning; maps (.map).
"""

import re
import struct
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.photoelectrons.counting import counts_behind
from datasets.formats.signal import Axis, Field, Format, Signal

START, END = b"SOFH", b"EOFH"
HEAD = struct.Struct("<24I")
MOST_BLOCKS = 10_000
SPECTRA, AREAS, SPUTTER_TIMES = 1, 2, 8
TYPES = {"f4": "<f4", "f8": "<f8", "i2": "<i2", "u2": "<u2", "i4": "<i4", "u4": "<u4"}

Header = dict[str, list[str]]


@dataclass(frozen=True)
class _Block:
    number: int
    region: int
    kind: int
    axes: tuple[str, ...]
    unit: str
    values: NDArray[np.float64]


@dataclass(frozen=True)
class _Region:
    name: str
    points: int
    step: float
    first: float
    dwell_s: float
    pass_energy: float


def read(path: Path) -> tuple[Signal, ...]:
    """Every region; those of a depth profile with all their levels.

    Raises
    ------
    UnreadableFile
        Naming what is missing or contradicts the rest of the file.
    """
    data = path.read_bytes()
    end = re.search(rb"^EOFH\r?\n", data, flags=re.MULTILINE)
    if not data.startswith(START) or end is None:
        raise UnreadableFile(path, "the text header has no end (the line EOFH)", todo="the file may be truncated")
    header = _header(data[:end.start()].decode("latin-1"))
    regions = _regions(path, header)
    blocks = _blocks(path, memoryview(data)[end.end():])
    times = next((b.values for b in blocks if b.kind == SPUTTER_TIMES and b.unit == "s"), None)
    strange = sorted({b.kind for b in blocks} - {SPECTRA, AREAS, SPUTTER_TIMES})
    warnings = (f"blocks of unknown kind {', '.join(map(str, strange))} are left out",) if strange else ()
    spectra = [b for b in blocks if b.kind == SPECTRA]
    missing = sorted(set(regions) - {b.region for b in spectra})
    if missing:
        raise UnreadableFile(path, f"the header declares region {regions[missing[0]].name!r}, of which there are no data",
                             todo="the file may be truncated")
    return tuple(_signal(path, header, regions, block, times, warnings) for block in spectra)


def _header(text: str) -> Header:
    found: Header = defaultdict(list)
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            found[key.strip()].append(value.strip())
    return dict(found)


def _regions(path: Path, header: Header) -> dict[int, _Region]:
    regions = {}
    for line in header.get("SpectralRegDef", []):
        words = line.split()
        try:
            number, points = int(words[0]), int(words[4])
            step, first, last = (float(w) for w in words[5:8])
            dwell, energy = float(words[10]), float(words[11])
        except (ValueError, IndexError):
            raise UnreadableFile(path, f"SpectralRegDef is {line[:80]!r}", where="header") from None
        if abs(first + (points - 1) * step - last) > 0.25 * abs(step):
            raise UnreadableFile(path, f"region {words[2]!r} runs from {first:g} to {last:g} eV, "
                                 f"which are not {points} steps of {step:g} eV", where="header")
        regions[number] = _Region(words[2], points, step, first, dwell, energy)
    if not regions:
        raise UnreadableFile(path, "the header declares no spectral region", where="header")
    return regions


def _blocks(path: Path, data: memoryview) -> list[_Block]:
    if len(data) < 16:
        raise UnreadableFile(path, "ends with its header", todo="the file may be truncated")
    _, count, _, first = struct.unpack_from("<4I", data)
    if not 1 <= count <= MOST_BLOCKS or first + count * HEAD.size > len(data):
        raise UnreadableFile(path, f"declares {count} blocks, more than it can hold", where="binary header",
                             todo="the file may be truncated")
    return [_block(path, data, first + i * HEAD.size) for i in range(count)]


def _block(path: Path, data: memoryview, at: int) -> _Block:
    numbers = HEAD.unpack_from(data, at)
    texts = bytes(data[at + 32:at + 76])
    sizes, names = numbers[5:8], [_text(texts[i:i + 8]) for i in (0, 8, 16)]
    where = f"block {numbers[0]}"
    code, length, offset = _text(texts[40:44]), numbers[19], numbers[20]
    if code not in TYPES:
        raise UnreadableFile(path, f"values of unknown type {code!r}", where=where)
    dtype = np.dtype(TYPES[code])
    points = int(sizes[0]) * int(sizes[1]) * int(sizes[2])
    if points == 0 or points * dtype.itemsize != length:
        raise UnreadableFile(path, f"{' x '.join(map(str, sizes))} values of {dtype.itemsize} bytes are not {length} bytes",
                             where=where)
    if offset + length > len(data):
        raise UnreadableFile(path, f"declares {length} bytes at {offset}, which the file does not have", where=where,
                             todo="the file may be truncated")
    with np.errstate(invalid="ignore"):  # a damaged number is found below
        values = np.frombuffer(data, dtype, points, offset).astype(np.float64).reshape(sizes[::-1])
    used = tuple(name for name, size in zip(names, sizes, strict=True) if name or size > 1)
    values = values.reshape([s for n, s in zip(names[::-1], sizes[::-1], strict=True) if n or s > 1])
    return _Block(numbers[0], numbers[3], numbers[4], used[::-1], _text(texts[24:40]), values)


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("latin-1").strip()


def _signal(path: Path, header: Header, regions: dict[int, _Region], block: _Block, times: NDArray[np.float64] | None,
            warnings: tuple[str, ...]) -> Signal:
    region = regions.get(block.region)
    if region is None or block.values.shape[-1] != region.points:
        raise UnreadableFile(path, f"holds {block.values.shape[-1]} points, the header declares "
                             f"{region.points if region else 'no such region'}", where=f"region {block.region}")
    leading, unknown = [], []
    for name, size in zip(block.axes[:-1], block.values.shape[:-1], strict=True):
        if name == "sar" and size == 1:
            continue
        if name not in ("cyc", "sar"):
            unknown.append(name)
        leading.append(_leading(header, name, size, _times_of(times, list(regions).index(block.region), size)))
    axis = Axis("binding energy", region.first + region.step * np.arange(region.points), "eV")
    axes = (*leading, axis)
    values = block.values.reshape([a.size for a in axes])
    said = list(warnings)
    if unknown:
        said.append(f"what changes along {', '.join(map(repr, unknown))} is not known")
    if not np.isfinite(values).all():
        raise UnreadableFile(path, f"region {region.name!r} holds values that are no numbers", where=f"block {block.number}")
    if block.unit.lower() in ("c/s", "cps", "counts/s"):
        fields, how = counts_behind(values, region.dwell_s)
        said.append(how)
    else:
        counted = block.unit.lower() in ("c", "counts", "count")
        fields = {"intensity": Field(values, "count" if counted else block.unit or "arbitrary")}
    kind = header.get("Technique", [""])[0].strip().upper()
    if kind == "AES":
        axes = (*leading, Axis("kinetic energy", axis.values, "eV"))
    metadata = {key: values[0] if len(values) == 1 else values for key, values in header.items()}
    return Signal(_spaced(region.name), axes, fields, path, metadata, _conditions(header, region), kind, tuple(said))


def _times_of(times: NDArray[np.float64] | None, region: int, levels: int) -> NDArray[np.float64] | None:
    """Sputter time of the levels of a region, of an array (region, cycle)."""
    if times is None or times.ndim != 2 or region >= times.shape[0] or times.shape[1] != levels:
        return None
    row = times[region] + 0.0  # a first level at -0 s is at 0 s
    return row if np.isfinite(row).all() else None


def _leading(header: Header, name: str, size: int, times: NDArray[np.float64] | None) -> Axis:
    steps = np.arange(size, dtype=np.float64)
    if name == "cyc":
        return Axis("sputter_level", steps, "1", {} if times is None else {"sputter_time": (times, "s")})
    if name == "sar":
        places = [re.search(r"\(([^)]*)\)", line) for line in header.get("SpatialAreaDef", [])]
        numbers = [[float(n) for n in re.findall(r"[-+]?\d+(?:\.\d+)?", p[1])] for p in places if p]
        if len(numbers) == size and all(len(n) >= 2 for n in numbers):
            return Axis("position", steps, "1", {"stage_x": (np.array([n[0] for n in numbers]) * 1e3, "nm"),
                                                 "stage_y": (np.array([n[1] for n in numbers]) * 1e3, "nm")})
        return Axis("position", steps, "1")
    return Axis("spectrum", steps, "1")


def _conditions(header: Header, region: _Region) -> dict[str, Any]:
    found: dict[str, Any] = {"species": _spaced(region.name)}
    if source := re.search(r"(\d{3,}(?:\.\d+)?)", header.get("XraySource", [""])[0]):
        found["photon_energy_eV"] = float(source[1])
    if region.pass_energy > 0 and header.get("AnalyserMode", [""])[0].upper() in ("FAT", "CAE"):
        found["pass_energy_eV"] = region.pass_energy
    if function := re.match(r"[-+]?\d+(?:\.\d+)?", header.get("AnalyserWorkFcn", [""])[0]):
        found["work_function_eV"] = float(function[0])
    if region.dwell_s > 0:
        found["dwell_time_s"] = region.dwell_s
    if angle := re.search(r"\(([^)]*)\)", header.get("SpatialAreaDef", [""])[0]):
        numbers = angle[1].split()
        # the fourth number of an area is its take-off angle, counted from the surface
        if len(numbers) >= 4 and re.fullmatch(r"\d+(?:\.\d+)?", numbers[3]) and 0 < float(numbers[3]) <= 90:
            found["emission_angle_deg"] = 90.0 - float(numbers[3])
    day = header.get("AcqFileDate", header.get("FileDate", [""]))[0].split()
    with suppress(ValueError, TypeError):
        found["acquired"] = date(*map(int, day)).isoformat()
    return found


def _spaced(name: str) -> str:
    """C1s as "C 1s"; a survey stays Su1s or 1su, as PHI calls it."""
    match = re.fullmatch(r"((?!Su)[A-Z][a-z]?)(\d[spdf].*|[KLMN][KLMN\d]*)", name)
    return f"{match[1]} {match[2]}" if match else name


def recognises(head: bytes, path: Path) -> bool:
    """By the first line."""
    del path
    return re.match(rb"SOFH\r?\n", head) is not None


def example(folder: Path) -> Path:
    """A depth profile of three levels: F 1s decays while the sputter time runs from 0 to 60 s."""
    energy = 695.0 - 0.5 * np.arange(41)
    counts = np.rint(200 + np.array([[800.0], [400.0], [200.0]]) * np.exp(-((energy - 685.0) / 0.8) ** 2))
    values = [(1, 1, (41, 3, 1), ("pnt", "cyc", ""), "c/s", counts / 0.5),
              (0, SPUTTER_TIMES, (3, 1, 1), ("cyc", "reg", ""), "s", np.array([0.0, 30.0, 60.0]))]
    text = ["SOFH", "Technique: XPS", "FileType: DEPTHPRO", "AcqFileDate: 2026 1 2", "AnalyserMode: FAT",
            "AnalyserWorkFcn: 4.5 eV", "XraySource: Al 1486.6 mono", "NoSpectralReg: 1",
            "SpectralRegDef: 1 1 F1s 9 41 -0.5000 695.0 675.0 694.0 676.0 0.500000 55.00 AREA", "EOFH"]
    heads, body = b"", b""
    for number, (region, kind, sizes, names, unit, numbers) in enumerate(values, 1):
        raw = numbers.astype("<f4").tobytes()
        labels = b"".join(name.encode().ljust(8, b"\0") for name in names) + unit.encode().ljust(16, b"\0") + b"f4\0\0"
        heads += struct.pack("<8I", number, 1, 1, region, kind, *sizes) + labels
        heads += struct.pack("<5I", len(raw), 16 + len(values) * HEAD.size + len(body), 0, 0, 0)
        body += raw
    path = folder / "example.pro"
    path.write_bytes("\r\n".join([*text, ""]).encode() + struct.pack("<4I", 1, len(values), len(heads), 16) + heads + body)
    return path


PHI = Format(name="phi", suffixes=frozenset({".spe", ".pro"}), recognises=recognises, read=read, version="1", example=example)
