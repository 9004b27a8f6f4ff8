"""Igor waves of atomic force microscopes (.ibw, Asylum Research): pictures and force curves.

A picture has (x, y, channel), its first row at the bottom; a force curve has (point, channel), its note the sampling rate and
the spring constant. One wave has one unit ("m"), but its channels do not: the unit of a channel of Asylum follows from its
name. The height sensor's is V where its sensitivity stands at 1 m/V, which no sensor has. The step of a wave is the distance
of pixels; Asylum sets it to the size over N - 1 (0.4 % more for 256 pixels), and that is what is read: the first and the last
pixel then lie on the edges of the scan, as igor2 and SurfaceTopography have it and AFMReader has not. Waves of photoelectron
spectrometers (a note that begins with [SES]) are not taken.
"""

import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.dates import acquired
from datasets.formats.igor_wave import Wave, is_wave, read_wave
from datasets.formats.probes.force_curve import Curve, curve_signals
from datasets.formats.probes.scan_image import Channel, signals
from datasets.formats.signal import Format, Signal

UNIT_OF = (("height", "m"), ("zsensor", "m"), ("zsnsr", "m"), ("raw", "m"), ("lvdt", "m"), ("defl", "m"), ("amp", "m"),
           ("phase", "deg"), ("current", "A"), ("freq", "Hz"), ("potential", "V"), ("capacitance", "F"), ("userin", "V"),
           ("lateral", "V"))
UNCALIBRATED_M_PER_V = 1.0
"""Sensitivity of a height sensor that nobody calibrated: its numbers are still volts."""
FORCE_KEYS = {"ForceDist", "NumPtsPerSec", "TriggerChannel"}


def read(path: Path) -> tuple[Signal, ...]:
    """The picture or the force curve of a wave.

    Raises
    ------
    UnreadableFile
        If the wave is shorter than it declares, or is neither.
    """
    wave = read_wave(path)
    data, note = np.asarray(wave.data), _note(wave.note)
    if data.dtype.kind not in "iuf" or data.size == 0 or data.ndim > 3:
        raise UnreadableFile(path, f"holds a wave of {data.dtype} with {data.ndim} dimensions; "
                                   "pictures and force curves are read")
    with np.errstate(invalid="ignore"):  # a signalling NaN of a damaged file is a NaN
        data = data.astype(data.dtype.newbyteorder("="))
    if data.ndim <= 2 and note.keys() >= FORCE_KEYS:
        return _curve(path, data.reshape(data.shape[0], -1), wave, note)
    if data.ndim < 2:
        raise UnreadableFile(path, f"holds a wave of {data.size} points, neither a picture nor a force curve")
    return _picture(path, data.reshape(*data.shape[:2], -1), wave, note)


def _picture(path: Path, data: NDArray[Any], wave: Wave, note: Mapping[str, str]) -> tuple[Signal, ...]:
    names = _names(wave, 2, data.shape[2]) if wave.data.ndim > 2 else [wave.name or path.stem]
    (step_x, first_x, lateral), (step_y, first_y, _) = wave.scales[:2]
    known = bool(lateral) or (step_x, step_y) not in ((0.0, 0.0), (1.0, 1.0))
    pixel = (step_y, step_x) if known else (0.0, 0.0)
    channels = [Channel(name, data[:, ::-1, i].T, _unit_of(name, note, wave.data_unit), pixel, lateral,
                        origin=(first_y, first_x) if known else (0.0, 0.0)) for i, name in enumerate(names)]
    about = {**note, "pixel_size": "as stored: for Asylum the size of the scan over N - 1"}
    return signals(path, channels, metadata=about, conditions=_conditions(note))


def _curve(path: Path, data: NDArray[Any], wave: Wave, note: Mapping[str, str]) -> tuple[Signal, ...]:
    step, rate = wave.scales[0][0], _float(note.get("NumPtsPerSec", ""))
    if not 0 < step < np.inf or step == 1.0:
        step = 1 / rate if rate > 0 else 1.0
    names = _names(wave, 1, data.shape[1])
    columns = {name: (data[:, i], _unit_of(name, note, wave.data_unit)) for i, name in enumerate(names)}
    bounds = [int(v) for v in re.findall(r"\d{1,9}", note.get("Indexes", ""))]
    ways = [int(float(v)) for v in re.findall(r"(?<![\d.])-?\d(?![\d.])", note.get("Direction", "").replace("NaN", "0"))]
    segment = np.zeros(data.shape[0], np.int8)
    for at, way in zip(bounds, ways[1:], strict=False):
        segment[at:] = {1: 0, 0: 1, -1: 2}.get(way, 1)
    place = _float(note.get("XLVDT", "")), _float(note.get("YLVDT", ""))
    time = np.arange(data.shape[0], dtype=np.float64) * step
    curve = Curve(columns, time, segment, place, _float(note.get("SpringConstant", "")), _float(note.get("InvOLS", "")))
    return curve_signals(path, [curve], metadata=dict(note), conditions=_conditions(note))


def _names(wave: Wave, dim: int, count: int) -> list[str]:
    found = wave.labels[dim][:count] if len(wave.labels) > dim else ()
    return [name or f"channel {i + 1}" for i, name in enumerate(found)] + [f"channel {i + 1}" for i in range(len(found), count)]


def _unit_of(name: str, note: Mapping[str, str], stated: str) -> str:
    base = re.sub(r"(Trace|Retrace)(Mod\d*)?$", "", name)
    if f"{base}Unit" in note:
        return note[f"{base}Unit"]
    if base.lower().startswith("zs") and abs(_float(note.get("ZLVDTSens", ""))) == UNCALIBRATED_M_PER_V:
        return "V"
    if not note:
        return stated
    plain = re.sub(r"^(DAC|Nap|Lateral(?=Height))", "", base).lower()
    return next((unit for word, unit in UNIT_OF if plain.startswith(word)), "")


def _note(text: str) -> dict[str, str]:
    lines = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, colon, value in lines if colon and key.strip()}


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _conditions(note: Mapping[str, str]) -> dict[str, Any]:
    return acquired(f"{note.get('Date', '')} {note.get('Time', '')}", "%Y-%m-%d %I:%M:%S %p", "%Y-%m-%d %H:%M:%S")


def recognises(head: bytes, path: Path) -> bool:
    """An Igor wave that is none of a photoelectron spectrometer; its note stands behind the data."""
    if not is_wave(head):
        return False
    try:
        return b"[SES]" not in path.read_bytes()
    except OSError:
        return False


def example(folder: Path) -> Path:
    """A slope of 24 columns and 16 rows in one channel, version 5."""
    data = np.arange(24 * 16, dtype="<f4").reshape(16, 24)[::-1].T * np.float32(1e-9)  # (x, y)
    label = b"Height".ljust(32, b"\0")
    labels = b"\0" * 32 + label
    wave = bytearray(320)
    struct.pack_into("<i", wave, 12, data.size)
    struct.pack_into("<hh", wave, 16, 2, 0)
    wave[28:34] = b"height"
    struct.pack_into("<4i", wave, 68, 24, 16, 1, 0)
    struct.pack_into("<4d", wave, 84, 1e-8, 1e-8, 1.0, 1.0)
    wave[148:149], wave[152:153], wave[156:157] = b"m", b"m", b"m"
    head = struct.pack("<hhiiii4i4iiii", 5, 0, 320 + data.nbytes, 0, 0, 0, 0, 0, 0, 0, 0, 0, len(labels), 0, 0, 0, 0)
    words = np.frombuffer(head + bytes(wave), "<i2").astype(np.int64)
    head = head[:2] + struct.pack("<H", int(-words.sum()) & 0xFFFF) + head[4:]
    path = folder / "example.ibw"
    path.write_bytes(head + bytes(wave) + data.tobytes(order="F") + labels)
    return path


ASYLUM = Format(name="asylum ibw", suffixes=frozenset({".ibw"}), recognises=recognises, read=read, version="2",
                example=example)
