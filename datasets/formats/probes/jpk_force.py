"""JPK force curves: .jpk-force, .jpk-force-map, .jpk-qi-data (zip archives).

Known from files and from what afmformats (MIT) found out. `segments/N/segment-header.properties` (for maps under `index/M/`)
names channels with the type of their big-endian numbers, an encoder (to volts) and a chain of conversions, each with the one it
starts from; `conversions.default` is the one to show. Newer files keep what all segments share in
`shared-data/header.properties` and point to it with `lcd-info.*` and `force-segment-header-info.*`. Segments last
`force-segment-header.duration` for `num-points`; the spring constant is the multiplier of the conversion to force.
A segment's own style says what it is: extend is 0, pause 1, retract 2.
"""

import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.dates import acquired
from datasets.formats.probes.force_curve import Curve, curve_signals
from datasets.formats.signal import Format, Signal
from datasets.formats.zip_members import zip_members

NUMBERS = {"short": ">i2", "short-data": ">i2", "memory-short-data": ">i2", "integer": ">i4", "integer-data": ">i4",
           "memory-integer-data": ">i4", "long": ">i8", "long-data": ">i8", "float": ">f4", "float-data": ">f4",
           "double": ">f8", "double-data": ">f8"}
MOST_POINTS = 100_000_000
"""More points than any curve has."""
SEGMENT = re.compile(r"^(?:index/(\d{1,9})/)?segments/(\d{1,6})/segment-header\.properties$")
HEADER = "/segment-header.properties"
STYLES = {"extend": 0, "pause": 1, "retract": 2, "modulation": 1}
MOST_INFLATION = 1100
"""Deflate cannot pack tighter than 1032 to 1: an archive that declares more is damaged or means harm."""
DEEPEST = 20
Properties = dict[str, str]


class _Shared:
    """What all segments share, looked up by its beginning; a map has a hundred thousand segments and few beginnings."""

    def __init__(self, properties: Properties) -> None:
        self.properties = properties
        self.found: dict[str, Properties] = {}

    def below(self, start: str) -> Properties:
        if start not in self.found:
            self.found[start] = _below(self.properties, start)
        return self.found[start]


def read(path: Path) -> tuple[Signal, ...]:
    """Every curve of a file.

    Raises
    ------
    UnreadableFile
        If the archive is damaged, or a channel lacks its numbers or its calibration.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(path, archive)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise UnreadableFile(path, f"is a damaged zip archive: {error}", todo="copy it again") from error


def _read(path: Path, archive: zipfile.ZipFile) -> tuple[Signal, ...]:
    size = path.stat().st_size
    for part in archive.infolist():
        if part.file_size > MOST_INFLATION * max(size, 1) or part.compress_size > size:
            raise UnreadableFile(path, f"declares a part {part.filename[:60]!r} of {part.file_size} bytes, "
                                       "more than it can hold")
    names = set(archive.namelist())
    shared = _Shared(_properties(archive, "shared-data/header.properties", names))
    header = _properties(archive, "header.properties", names)
    segments: dict[int, list[tuple[int, str]]] = {}
    for name in names:
        if match := SEGMENT.match(name):
            segments.setdefault(int(match[1] or 0), []).append((int(match[2]), name))
    if not segments:
        raise UnreadableFile(path, "holds no segments of force curves")
    remarks: list[str] = []
    if any([n for n, _ in sorted(found)] != list(range(len(found))) for found in segments.values()) or any(
            name.endswith(HEADER) and not SEGMENT.match(name) for name in names):
        remarks.append("the segments are not numbered 0, 1, 2 ...: some of them may be lost")
    curves = [_curve(path, archive, names, [n for _, n in sorted(segments[index])], shared, remarks)
              for index in sorted(segments)]
    first = _properties(archive, min(segments[min(segments)])[1], names)
    started = next((v for k, v in {**header, **first}.items() if k.endswith(("start-time", "header.time-stamp"))), "")
    pixels = next((int(v) for k, v in header.items() if k.endswith("grid.ilength") and v.isdigit()), 0)
    if pixels and len(curves) > 1:
        remarks.append(f"{len(curves)} curves of a grid {pixels} wide lie along position, in the order of the file")
    metadata = {key: value for key, value in header.items() if "environment" not in key}
    return curve_signals(path, curves, metadata=metadata, conditions=_conditions(started),
                         remarks=tuple(dict.fromkeys(remarks)))


def _properties(archive: zipfile.ZipFile, name: str, names: set[str]) -> Properties:
    if name not in names:
        return {}
    found = {}
    for line in archive.read(name).decode("utf-8", "replace").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[key.strip()] = value.strip().replace("\\:", ":").replace("\\\\", "\\")
    return found


def _curve(path: Path, archive: zipfile.ZipFile, names: set[str], segments: list[str], shared: _Shared,
           remarks: list[str]) -> Curve:
    parts: list[dict[str, tuple[NDArray[Any], str]]] = []
    times, kinds = [], []
    place, spring, sensitivity = (float("nan"),) * 2, float("nan"), float("nan")
    clock = 0.0
    for name in segments:
        own = _properties(archive, name, names)
        head = _resolved(own, shared)
        folder = name.rpartition("/")[0]
        channels = {}
        for channel in own.get("channels.list", "").split():
            about = _channel_properties(own, channel, shared)
            values, unit, springs = _channel(path, archive, names, folder, channel, about)
            channels[channel] = (values, unit)
            spring, sensitivity = springs.get("force", spring), springs.get("distance", sensitivity)
        if not channels:
            remarks.append("a segment without channels is left out")
            continue
        count = min(values.size for values, _ in channels.values())
        if count == 0:
            remarks.append("a segment without points is left out")
            continue
        duration = _float(head.get("duration", ""), _float(head.get("settings.segment-settings.duration", ""), 0.0))
        parts.append({n: (values[:count], unit) for n, (values, unit) in channels.items()})
        times.append(clock + np.arange(count) * (duration / count))
        clock += duration if duration > 0 else 0.0
        style = head.get("settings.segment-settings.style", head.get("settings.style", head.get("name.name", "")))
        kinds.append(np.full(count, next((k for word, k in STYLES.items() if word in style), 1), np.int8))
        x, y = (_float(next((v for k, v in head.items() if k.endswith(f"position.{axis}")), "")) for axis in "xy")
        place = (x, y) if np.isfinite([x, y]).all() else place
    if not parts:
        raise UnreadableFile(path, "holds a curve without points", where=segments[0])
    common = [n for n in parts[0] if all(n in part and part[n][1] == parts[0][n][1] for part in parts)]
    columns = {n: (np.concatenate([part[n][0] for part in parts]), parts[0][n][1]) for n in common}
    return Curve(columns, np.concatenate(times), np.concatenate(kinds), place, spring, sensitivity)


def _resolved(own: Properties, shared: _Shared) -> Properties:
    """A segment's own header, completed from the shared one where it points there."""
    found = _below(own, "force-segment-header.")
    target = found.get("force-segment-header-info.*")
    return found if target is None else {**shared.below(f"force-segment-header-info.{target}."), **found}


def _below(properties: Properties, start: str) -> Properties:
    return {key[len(start):]: value for key, value in properties.items() if key.startswith(start)}


def _channel_properties(own: Properties, channel: str, shared: _Shared) -> Properties:
    found = _below(own, f"channel.{channel}.")
    target = found.get("lcd-info.*")
    return found if target is None else {**shared.below(f"lcd-info.{target}."), **found}


def _channel(path: Path, archive: zipfile.ZipFile, names: set[str], folder: str, channel: str,
             about: Properties) -> tuple[NDArray[np.float32], str, dict[str, float]]:
    file = f"{folder}/{about.get('data.file.name', f'channels/{channel}.dat')}"
    kind = about.get("data.type", about.get("type", ""))
    encoder = about.get("data.encoder.type", about.get("encoder.type", ""))
    number = NUMBERS.get(kind)
    if kind == "raster-data":  # even steps, which no file holds
        begin, step = (_float(about.get(f"data.{word}", about.get(word, ""))) for word in ("start", "step"))
        points = _float(about.get("data.num-points", about.get("num-points", "")))
        if not (0 <= points <= MOST_POINTS and np.isfinite([begin, step]).all()):
            raise UnreadableFile(path, f"declares {points:g} even steps of channel {channel!r}", where=f"{folder}/{channel}")
        return ((begin + step * np.arange(int(points))).astype(np.float32),
                about.get("unit.unit", about.get("encoder.scaling.unit.unit", "")), {})
    if number is None or file not in names:
        raise UnreadableFile(path, f"has no numbers of channel {channel!r} ({kind or 'no type'})", where=file)
    if encoder.startswith("unsigned"):
        number = number.replace("i", "u")
    raw = archive.read(file)
    values = np.frombuffer(raw, number, len(raw) // np.dtype(number).itemsize).astype(np.float64)
    prefix = "data.encoder.scaling" if any(k.startswith("data.encoder.scaling") for k in about) else "encoder.scaling"
    values, unit = _scaled(values, about, prefix, "V")
    base = about.get("conversion-set.conversions.base", "")
    wanted = about.get("conversion-set.conversions.default", base)
    chain: list[str] = []
    while wanted and wanted != base and len(chain) < DEEPEST:
        chain.append(wanted)
        wanted = about.get(f"conversion-set.conversion.{wanted}.base-calibration-slot", base)
    steps = {}
    for slot in reversed(chain):
        start = f"conversion-set.conversion.{slot}"
        if about.get(f"{start}.defined") == "false":
            continue
        steps[slot] = _float(about.get(f"{start}.scaling.multiplier", ""))
        values, unit = _scaled(values, about, f"{start}.scaling", unit)
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float32), unit, steps  # 24 bits hold what the converter gave; a map is large


def _scaled(values: NDArray[np.float64], about: Properties, prefix: str, unit: str) -> tuple[NDArray[np.float64], str]:
    factor, offset = _float(about.get(f"{prefix}.multiplier", "1")), _float(about.get(f"{prefix}.offset", "0"))
    with np.errstate(over="ignore", invalid="ignore"):
        return values * factor + offset, about.get(f"{prefix}.unit.unit", about.get(f"{prefix}.unit", unit))


def _float(text: str, otherwise: float = float("nan")) -> float:
    try:
        return float(text)
    except ValueError:
        return otherwise


def _conditions(text: str) -> dict[str, Any]:
    return acquired(text, "%Y-%m-%d %H:%M:%S.%f %z")


def recognises(head: bytes, path: Path) -> bool:
    """A zip archive with headers of segments; where its list of parts is lost, its first part and the suffix speak."""
    names = zip_members(head, path)
    if names is None:
        return ".jpk-" in path.name.lower() and any(word in head for word in (b"header.properties", b"index/0/", b"segments/"))
    return any(SEGMENT.match(name) for name in names)


def example(folder: Path) -> Path:
    """An approach and a retract of 50 points each, 0.04 N/m."""
    path = folder / "example.jpk-force"
    channel = {"data.file.name": "channels/{0}.dat", "data.type": "short", "data.encoder.scaling.multiplier": "1e-3",
               "data.encoder.scaling.unit.unit": "V", "conversion-set.conversions.base": "volts"}
    deflection = {"default": "force", "distance": ("volts", "7e-8", "m"), "force": ("distance", "0.04", "N")}
    height = {"default": "nominal", "nominal": ("volts", "-1e-6", "m")}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.properties", "jpk-data-file=spm-forcefile\n")
        for number, style in enumerate(("extend", "retract")):
            lines = ["force-segment-header.duration=0.5", f"force-segment-header.settings.segment-settings.style={style}",
                     "channels.list=height vDeflection"]
            for name, slots in (("height", height), ("vDeflection", deflection)):
                lines += [f"channel.{name}.{key}={value.format(name)}" for key, value in channel.items()]
                lines.append(f"channel.{name}.conversion-set.conversions.default={slots['default']}")
                for slot, (base, factor, unit) in ((s, v) for s, v in slots.items() if s != "default"):
                    start = f"channel.{name}.conversion-set.conversion.{slot}"
                    lines += [f"{start}.base-calibration-slot={base}", f"{start}.scaling.multiplier={factor}",
                              f"{start}.scaling.unit.unit={unit}"]
                ramp = np.arange(50)[::1 if number else -1].astype(">i2")
                archive.writestr(f"segments/{number}/channels/{name}.dat", ramp.tobytes())
            archive.writestr(f"segments/{number}/segment-header.properties", "\n".join(lines))
    return path


JPK_FORCE = Format(name="jpk force", suffixes=frozenset({".jpk-force", ".jpk-force-map", ".jpk-qi-data",
                                                            ".jpk-qi-series"}),
                   recognises=recognises, read=read, version="1", example=example)
