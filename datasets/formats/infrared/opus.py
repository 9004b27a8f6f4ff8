"""Bruker OPUS files (.0, .1, .0000, ...): every block of data, series, and interferograms.

There is no published specification; the layout as brukeropus (MIT) has it, which was held against this reader on the same
files. Not used itself: a negative size of a parameter holds it for ever, a damaged series makes it allocate what the file
declares, and blocks that it cannot pair are dropped.

Little-endian. 0A 0A FE FE, float64 version, int32 start of the directory, most entries, entries. A directory entry is int32
kind, size (in 4 bytes), start. The bits of a kind: 0-1 part (1 real, 2 imaginary, 3 amplitude), 2-3 source (1 sample, 2
reference, 3 their ratio), 4-9 parameters (0 data, 1 status of data, others instrument, sample ...), 10-16 quantity
(`QUANTITIES`; above 31 further channels), 17-18 derivative, 19-21 layout (0 plain, 2 series, 4 compact, 5 text).

Parameters: three letters and a zero, int16 type (0 int32, 1 float64, 2.. text), int16 size (in 2 bytes), value; "END" closes.
The status of data has NPT points, FXV and LXV first and last x, CSF the factor, MNY and MXY the extremes, DXU the unit of x
(WN 1/cm, PNT points, MI um, MIN minutes), DAT and TIM.

Data: NPT float32 (int32 for DPF 2), perhaps followed by leftovers; compact ones stand at the block's end. They are to be
multiplied by CSF: only then are MNY and MXY what the file says (SpectroChemPy and opusFC do not, which leaves the
interferograms of two of the test files 25 and 128 times too large). Where several blocks and states are of one kind, MNY and
MXY tell which belong together, else their order.

A series begins with int32 version, number, offset of the first, bytes of data, bytes of state, number of runs; each spectrum is
followed by its state, whose last two float64 are start and end in s.

Path difference: a sample each 1/(2 HFL), zero at PKL; a file with backward scans (GBW) holds forward and backward halves, the
second running back from PRL.

Not understood: reports, logs of methods and molecular structures are left out of the data. Places of maps.
"""

import re
import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.signal import Axis, Field, Format, Signal

Floats = NDArray[np.float64]
Parameters = Mapping[str, Any]

MAGIC = b"\x0a\x0a\xfe\xfe"
MOST_BLOCKS = 10_000
QUANTITIES = {1: ("single_beam", "arbitrary"), 2: ("interferogram", "arbitrary"), 3: ("phase_spectrum", "rad"),
              4: ("absorbance", "1"), 5: ("transmittance", "1"), 6: ("kubelka_munk", "1"), 7: ("trace", "arbitrary"),
              8: ("interferogram", "arbitrary"),
              9: ("single_beam", "arbitrary"), 10: ("raman", "arbitrary"), 11: ("emission", "arbitrary"),
              12: ("reflectance", "1"),
              14: ("power", "arbitrary"), 15: ("log_reflectance", "1"), 16: ("absorbance", "1"),
              17: ("photoacoustic", "arbitrary"), 18: ("transmittance", "1"), 19: ("absorbance", "1")}
"""Code -> quantity and unit; 16 is an ATR spectrum, 18 and 19 are results of arithmetic."""
ATR = 16
SOURCES = {1: "sample", 2: "reference"}
X_UNITS = {"WN": ("wavenumber", "1/cm"), "MI": ("wavelength", "um"), "MIN": ("time", "min"), "PNT": ("point", "1")}
STATUS, COMPOUND, SERIES, COMPACT, TEXT, DIRECTORY = 1, 1, 2, 4, 5, 13
SERIES_STATE = struct.Struct("<8i4d2i7d2i2d")


@dataclass(frozen=True)
class _Block:
    """An entry of the directory with its bytes."""

    kind: int
    start: int
    raw: bytes

    def _bits(self, low: int, count: int) -> int:
        return (self.kind >> low) & ((1 << count) - 1)

    @property
    def part(self) -> int:
        return self._bits(0, 2)

    @property
    def source(self) -> int:
        return self._bits(2, 2)

    @property
    def parameters(self) -> int:
        return self._bits(4, 6)

    @property
    def quantity(self) -> int:
        return self._bits(10, 5)

    @property
    def channel(self) -> int:
        return self._bits(15, 2)

    @property
    def derivative(self) -> int:
        return self._bits(17, 2)

    @property
    def layout(self) -> int:
        return self._bits(19, 3)

    @property
    def is_data(self) -> bool:
        whole = self._bits(10, 7)
        return self.parameters == 0 and whole not in (0, DIRECTORY) and self.layout != TEXT

    @property
    def is_status(self) -> bool:
        return self.parameters == STATUS

    @property
    def described(self) -> tuple[int, ...]:
        """What a block of data and its status have in common."""
        return self.part, self.source, self._bits(10, 7), self.derivative, self.layout


def read(path: Path) -> tuple[Signal, ...]:
    """Every block of data, results before single beams before interferograms, the last one written first.

    Raises
    ------
    UnreadableFile
        Naming the block that is missing, larger than the file, or contradicts its state.
    """
    raw = path.read_bytes()
    blocks = _directory(path, raw)
    settings: dict[int, dict[str, Any]] = defaultdict(dict)
    for block in blocks:
        if block.parameters > STATUS or (block.parameters == 0 and block.layout == COMPOUND):
            settings[2 if block.source == 2 else 1].update(_parameters(block.raw))
    pairs, warnings = _paired(blocks)
    if not pairs:
        raise UnreadableFile(path, "holds no data, or none whose state is known", todo="the file may be truncated")
    order = sorted(pairs, key=lambda pair: (_rank(pair[0]), -pair[0].start))
    signals = []
    for block, status in order:
        known = settings[1] | (settings[2] if block.source == 2 else {})
        signals.append(_signal(path, block, status, known, warnings))
    return tuple(signals)


def _rank(block: _Block) -> tuple[int, int, int]:
    name = QUANTITIES.get(block.quantity, ("", ""))[0]
    return {"interferogram": 2, "phase_spectrum": 1}.get(name, 0), block.source not in (0, 3), block.source


def _directory(path: Path, raw: bytes) -> list[_Block]:
    if len(raw) < 24:
        raise UnreadableFile(path, "ends within its head", todo="the file may be truncated")
    start, most, count = struct.unpack_from("<3i", raw, 12)
    if not 0 < count <= most <= MOST_BLOCKS or not 24 <= start <= len(raw) - 12:
        raise UnreadableFile(path, f"declares {count} of {most} blocks at byte {start}", where="head",
                             todo="the file may be truncated")
    blocks = []
    for i in range(most):
        at = start + 12 * i
        if at + 12 > len(raw):
            break
        kind, words, where = struct.unpack_from("<3i", raw, at)
        if where <= 0:
            break
        if words < 0 or where + 4 * words > len(raw):
            raise UnreadableFile(path, f"declares a block of {4 * words} bytes at byte {where}, which the file does not have",
                                 where=f"entry {i} of the directory", todo="the file may be truncated")
        blocks.append(_Block(kind & 0xFFFFFFFF, where, raw[where:where + 4 * words]))
    return blocks


def _parameters(raw: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    at = 0
    while at + 8 <= len(raw):
        key = raw[at:at + 3]
        if key == b"END" or not key.isalnum():
            break
        kind, words = struct.unpack_from("<2H", raw, at + 4)
        value = raw[at + 8:at + 8 + 2 * words]
        if kind == 0 and len(value) >= 4:
            found[key.decode("ascii", "replace")] = struct.unpack_from("<i", value)[0]
        elif kind == 1 and len(value) >= 8:
            found[key.decode("ascii", "replace")] = struct.unpack_from("<d", value)[0]
        elif kind > 1:
            found[key.decode("ascii", "replace")] = value.split(b"\0")[0].decode("latin-1").strip()
        at += 8 + 2 * words
    return found


def _paired(blocks: Sequence[_Block]) -> tuple[list[tuple[_Block, Parameters]], tuple[str, ...]]:
    """Each block of data with its status."""
    data: dict[tuple[int, ...], list[_Block]] = defaultdict(list)
    states: dict[tuple[int, ...], list[Parameters]] = defaultdict(list)
    for block in blocks:
        if block.is_data:
            data[block.described].append(block)
        elif block.is_status:
            states[block.described].append(_parameters(block.raw))
    pairs, warnings = [], []
    for described, found in data.items():
        free = [state for state in states.get(described, []) if isinstance(state.get("NPT"), int)]
        if len(free) < len(found):
            warnings.append(f"{len(found) - len(free)} blocks of data without a status are left out")
        left = []
        for block in found:
            match = next((state for state in free if _agrees(block, state)), None) if len(found) > 1 else None
            if match is None:
                left.append(block)
                continue
            free = [state for state in free if state is not match]
            pairs.append((block, match))
        pairs += list(zip(left, free, strict=False))
    lonely = sum(len(found) for found in states.values()) - len(pairs)
    if lonely > 0:
        warnings.append(f"{lonely} statuses have no block of data: something was removed or is damaged")
    return pairs, tuple(warnings)


def _agrees(block: _Block, state: Parameters) -> bool:
    """Whether the data have the extremes that the status states."""
    if block.layout == SERIES or not 0 < state["NPT"] <= len(block.raw) // 4:
        return block.layout == SERIES
    values = _plain(block, state)
    return bool(np.allclose([values.min(), values.max()], [state.get("MNY", np.nan), state.get("MXY", np.nan)], rtol=1e-6))


def _plain(block: _Block, state: Parameters) -> Floats:
    count = len(block.raw) // 4
    values = np.frombuffer(block.raw, "<i4" if state.get("DPF") == 2 else "<f4", count)
    points = state["NPT"]
    values = values[-points:] if block.layout == COMPACT else values[:points]
    with np.errstate(invalid="ignore", over="ignore"):  # a damaged number stays one
        return values.astype(np.float64) * _factor(state)


def _factor(state: Parameters) -> float:
    factor = state.get("CSF", 1.0)
    return float(factor) if isinstance(factor, float) and np.isfinite(factor) and factor else 1.0


def _signal(path: Path, block: _Block, state: Parameters, settings: Parameters, warnings: tuple[str, ...]) -> Signal:
    name, unit = QUANTITIES.get(block.quantity, (f"quantity_{block.quantity}", "arbitrary"))
    points, first, last = state["NPT"], state.get("FXV"), state.get("LXV")
    where = f"{name} at byte {block.start}"
    if not isinstance(first, float) or not isinstance(last, float) or not np.isfinite([first, last]).all():
        raise UnreadableFile(path, "the ends of the x axis are not known", where=where)
    said = list(warnings)
    leading: tuple[Axis, ...] = ()
    if block.layout == SERIES:
        values, leading, odd = _series(path, block, state, where)
        said += odd
    elif not 0 < points <= len(block.raw) // 4:
        raise UnreadableFile(path, f"declares {points} points and holds {len(block.raw) // 4}", where=where,
                             todo="the file may be truncated")
    else:
        values = _plain(block, state)
        said += _extremes(values, state)
    if not np.isfinite(values).all():
        said.append(f"{int((~np.isfinite(values)).sum())} values are no numbers")
    if name == "absorbance" and (full := int((values == 6.0).sum())):
        said.append(f"{full} values stand at 6.0, where OPUS cuts off: nothing came through")
    if block.quantity == ATR:
        said.append("an ATR spectrum: the depth that the light reaches grows with its wavelength")
    axis = _axis(state, settings, points, first, last)
    kind = {"interferogram": "interferogram", "raman": "Raman", "trace": "trace"}.get(name, "FTIR")
    title = _title(path, block, settings, name)
    metadata = {"block": {"start": block.start, "bits": block.kind}, "status": dict(state), "settings": dict(settings)}
    conditions = {"acquired": when} if (when := _acquired(state)) else {}
    return Signal(title, (*leading, axis), {name: Field(values, unit)}, path, metadata, conditions, kind, tuple(said))


def _extremes(values: Floats, state: Parameters) -> list[str]:
    stated = [state.get("MNY"), state.get("MXY")]
    if not all(isinstance(s, float) and np.isfinite(s) for s in stated) or not np.isfinite(values).all():
        return []
    span = max(abs(float(values.max())), abs(float(values.min())), 1e-30)
    if np.allclose([values.min(), values.max()], np.array(stated, dtype=float), rtol=1e-5, atol=1e-5 * span):
        return []
    return ["the values do not have the extremes that the file states: a number may be damaged, or the block was changed later"]


def _axis(state: Parameters, settings: Parameters, points: int, first: float, last: float) -> Axis:
    name, unit = X_UNITS.get(str(state.get("DXU", "")).strip(), ("x", ""))
    if name != "point":
        return Axis(name, np.linspace(first, last, points), unit)
    limit = settings.get("HFL")
    index = np.linspace(first, last, points)
    if not isinstance(limit, float) or not limit > 0:
        return Axis("point", index, "1")
    step = 1 / (2 * limit)
    peak, back = (settings.get(key) for key in ("PKL", "PRL"))
    zero = peak if isinstance(peak, int) and 0 <= peak < points else 0
    path = (index - first - zero) * step
    half = points // 2
    if settings.get("GBW") and isinstance(back, int) and 0 <= back < half and zero < half and points % 2 == 0 and (
            settings.get("AQM", "").startswith("DD")):
        path[half:] = (back - np.arange(half)) * step
    return Axis("optical path difference", path, "cm", {"point": (index, "1")})


def _series(path: Path, block: _Block, state: Parameters, where: str) -> tuple[Floats, tuple[Axis, ...], list[str]]:
    if len(block.raw) < 24:
        raise UnreadableFile(path, "a series ends within its head", where=where, todo="the file may be truncated")
    _, count, offset, size, extra, _ = struct.unpack_from("<6i", block.raw)
    points = state["NPT"]
    step = size + extra
    if count < 1 or offset < 24 or extra < SERIES_STATE.size or not 0 < 4 * points <= size:
        raise UnreadableFile(path, f"a series of {count} spectra of {size} bytes and {points} points", where=where)
    stored = min(count, (len(block.raw) - offset) // step)  # not all that were planned need be stored
    if stored < 1:
        raise UnreadableFile(path, "a series without a whole spectrum", where=where, todo="the file may be truncated")
    held = (len(block.raw) - offset) // step
    odd = [f"the series was planned for {count} spectra and holds {held}"] if held != count else []
    records = np.frombuffer(block.raw, np.dtype([("data", "V", size), ("state", "V", extra)]), stored, offset)
    form = "<i4" if state.get("DPF") == 2 else "<f4"
    with np.errstate(invalid="ignore"):  # a damaged number stays one
        values = np.ascontiguousarray(records["data"]).view(form).reshape(stored, -1)[:, :points].astype(np.float64)
    states = [SERIES_STATE.unpack_from(bytes(record)) for record in records["state"]]
    factors = np.array([s[18] if np.isfinite(s[18]) and s[18] else 1.0 for s in states])
    stated = np.array([s[17] for s in states])
    if np.allclose((values * factors[:, None]).max(1), stated, rtol=1e-5) or not np.allclose(values.max(1), stated, rtol=1e-5):
        values = values * factors[:, None]
    ends = np.array([s[-1] for s in states])
    if stored > 1 and np.isfinite(ends).all() and (np.diff(ends) > 0).all():
        return values, (Axis("time", ends, "s"),), odd
    return values, (Axis("spectrum", np.arange(stored, dtype=np.float64), "1"),), odd


def _title(path: Path, block: _Block, settings: Parameters, name: str) -> str:
    words = [str(settings.get("SNM") or path.stem), name.replace("_", " ")]
    words += [SOURCES[block.source]] if block.source in SOURCES else []
    words += ["imaginary"] if block.part == 2 else []
    words += [f"derivative {block.derivative}"] if block.derivative else []
    words += [f"channel {block.channel + 1}"] if block.channel else []
    return ", ".join(words)


def _acquired(state: Parameters) -> str:
    """ISO 8601; days come first or years, never months."""
    clock = re.match(r"(\d{1,2}):(\d{2}):(\d{2})(?:\.\d+)?(?:\s*\(GMT([+-]\d+)(?::(\d+))?\))?", str(state.get("TIM", "")))
    day = re.fullmatch(r"(\d{1,4})/(\d{1,2})/(\d{1,4})", str(state.get("DAT", "")).strip())
    if day is None:
        return ""
    year, month, date = (int(n) for n in (day.groups() if len(day[1]) == 4 else day.groups()[::-1]))
    try:
        if clock is None:
            return datetime(year, month, date).date().isoformat()
        zone = timezone(timedelta(hours=int(clock[4]))) if clock[4] else None
        hour, minute, second = (int(clock[i]) for i in (1, 2, 3))
        return datetime(year, month, date, hour, minute, second, tzinfo=zone).isoformat()
    except ValueError:
        return ""


def recognises(head: bytes, path: Path) -> bool:
    """By the first four bytes."""
    del path
    return head.startswith(MAGIC)


def example(folder: Path) -> Path:
    """An absorbance and the interferogram of the sample, which is stored at an eighth of its size."""
    x = np.linspace(1800.0, 800.0, 251)
    band = np.exp(-((x - 1440) / 15) ** 2)
    steps = np.arange(512) - 256
    fringes = np.exp(-(steps / 40) ** 2) * np.cos(steps / 3)
    contents = [(3 | 3 << 2 | 4 << 10, band, ("WN", x[0], x[-1], 1.0)),
                (3 | 1 << 2 | 2 << 10, fringes, ("PNT", 0.0, 511.0, 0.125))]
    blocks = [(2 << 4 | 1 << 2, _packed({"HFL": 15798.0, "PKL": 256, "SNM": "example"}))]
    for kind, values, (unit, first, last, factor) in contents:
        stored = (values / factor).astype("<f4")
        state = {"DPF": 1, "NPT": values.size, "FXV": first, "LXV": last, "CSF": factor,
                 "MXY": float(stored.max()) * factor, "MNY": float(stored.min()) * factor, "DXU": unit,
                 "DAT": "02/01/2026", "TIM": "03:04:05.000 (GMT+1)"}
        blocks += [(kind, stored.tobytes()), (kind | STATUS << 4, _packed(state))]
    at = 24 + 12 * len(blocks)
    directory, body = b"", b""
    for kind, raw in blocks:
        directory += struct.pack("<3i", kind, len(raw) // 4, at + len(body))
        body += raw
    path = folder / "example.0"
    path.write_bytes(MAGIC + struct.pack("<d3i", 920622.0, 24, len(blocks), len(blocks)) + directory + body)
    return path


def _packed(parameters: Parameters) -> bytes:
    raw = b""
    for key, value in parameters.items():
        if isinstance(value, int):
            kind, content = 0, struct.pack("<i", value)
        elif isinstance(value, float):
            kind, content = 1, struct.pack("<d", value)
        else:
            text = value.encode("latin-1") + b"\0"
            kind, content = 2, text.ljust(len(text) + len(text) % 2, b"\0")
        raw += key.encode() + b"\0" + struct.pack("<2H", kind, len(content) // 2) + content
    raw += b"END\0" + bytes(4)
    return raw.ljust(-(-len(raw) // 4) * 4, b"\0")


OPUS = Format(name="opus", suffixes=frozenset({f".{i}" for i in range(10)} | {f".{i:04d}" for i in range(10)}),
              recognises=recognises, read=read, version="1", example=example)
