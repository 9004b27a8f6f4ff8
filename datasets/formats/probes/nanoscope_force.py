r"""Force curves inside a Nanoscope file: sections `\*Ciao force image list`, one for each channel.

Not published by Bruker; known from AtomicJ (GPL), whose author tried what Bruker's own toolbox makes of changed files, and from
pyfmreader; no real file was to be had.

- A channel holds its curves one after the other. A curve is the approach from contact outwards, so against time, then the
  retract, then the pause at the surface (`Hold Samples`). `Samps/line: W A` names the retract first; a shorter approach is
  padded to the length of the retract.
- A number counts the V/LSB in the parentheses of `Z scale`, times the soft scale. From version 9.2 each has four bytes. The
  lowest number stands for a point that was not measured.
- A channel whose name begins with Defl is the deflection. Height is the sensor's where there is one, else the ramp: `Ramp size`
  over W points, counted from its end at the surface.
- `Forward vel.` and `Reverse vel.` are in volts of the ramp per second (two real headers: the way there and back then takes one
  period of `Scan rate`, to 0.1 %). The base of a PeakForce capture moves as a sine, whose phase is not understood: these curves
  have the clock of `PFT Freq`, no height, and their ways are as stored.
- `force/line` curves lie in a line of a map, the first line at the bottom.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.probes.force_curve import Curve
from datasets.formats.probes.scan_image import number_and_unit, scaled
from datasets.formats.text_number import finite
from datasets.units import compatible, converted, spelled

VALUE = re.compile(r"V\s*(?:\[([^\]]*)\])?\s*(?:\(((?:[^()]|\([^()]*\))*)\))?\s*([-+\d.].*)?$")
DESIGNATION = re.compile(r'S\s*(?:\[([^\]]*)\])?\s*(?:"([^"]*)")?')
RAMP = re.compile(r"@\d:(ramp size|z scan size)")
FIRST_WITH_WIDE_NUMBERS = 0x09200000
SCALES_AGREE = 0.01
"""Range and step of a number that differ by more than this part are spoken of."""
PERIOD_AGREES = 0.05
Section = Mapping[str, str]
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Layout:
    """Points of one curve: approach, retract, pause; `stride` with what pads them."""

    approach: int
    retract: int
    pause: int

    @property
    def stride(self) -> int:
        return max(self.approach, self.retract) + self.retract + self.pause


@dataclass(frozen=True)
class Ramp:
    """What the base does: span in volts, m per volt, seconds a point there and back, seconds of the pause."""

    span_V: float
    m_per_V: float
    step_s: tuple[float, float]
    pause_s: float


def force_curves(path: Path, raw: bytes, channels: Sequence[Section], everywhere: Section, listed: Section,
                 remarks: list[str]) -> list[Curve]:
    """Curves of all channels of a file; `listed` is what its list of force curves says for all of them.

    Raises
    ------
    UnreadableFile
        If a channel leads past the end of the file, or says no size or scale.
    """
    layouts = [_layout(path, channel, listed) for channel in channels]
    if "samps/line" in listed and channels[0].get("samps/line", "").split() not in ([], listed["samps/line"].split()):
        remarks.append(f"a curve has {channels[0]['samps/line']} points by its channel and {listed['samps/line']} by the list "
                       "of force curves: the channel is followed")
    columns: dict[str, tuple[Floats, str]] = {}
    layout, springs = layouts[0], []
    many = 0
    for channel, own in zip(channels, layouts, strict=True):
        stored, count = _counted(path, channel, everywhere, own, len(raw), remarks)
        name = _name(channel, columns)
        if own != layout or (many and count != many):
            remarks.append(f"channel {name!r} has {count} curves of other lengths than the first: it is not read")
            continue
        many = count
        factor, unit = _scale(path, channel, everywhere, name, remarks)
        numbers = np.frombuffer(raw, f"<i{stored}", count * own.stride, _whole(path, channel, "data offset"))
        columns[name] = (_in_time(numbers.reshape(count, own.stride), own, factor, channel, name, remarks), unit)
        springs.append(finite(channel.get("spring constant", "").split(" ")[0]) or float("nan"))
    if "Deflection" not in columns:
        raise UnreadableFile(path, f"has curves of {', '.join(columns)} and none of deflection")
    capture = everywhere.get("peakforce capture", "").lower() == "allow"
    time = _captured_clock(layout, everywhere) if capture else None
    if time is None:
        ramp = _ramp(path, channels[0], everywhere, layout, remarks)
        time = _clock(layout, ramp)
        if "height" not in columns:
            columns["height"] = (np.tile(_ramped(layout, ramp), (many, 1)), "m")
    else:
        remarks.append("the curves are PeakForce captures: the base moves as a sine, its height is not known")
    segment = np.repeat(np.array([0, 1, 2], np.int8), [layout.approach, layout.pause, layout.retract])
    places = _places(many, everywhere, remarks)
    spring = next((value for value in springs if value > 0), float("nan"))
    return [Curve({name: (values[i], unit) for name, (values, unit) in columns.items()}, time, segment, places[i], spring)
            for i in range(many)]


def _layout(path: Path, channel: Section, listed: Section) -> Layout:
    stated = channel.get("samps/line", listed.get("samps/line", ""))
    sizes = [int(word) for word in stated.split() if word.isdigit() and len(word) < 9]
    if not sizes or sizes[0] == 0:
        raise UnreadableFile(path, f"samps/line is {stated[:40]!r}, expected the points of retract and approach")
    pause = listed.get("hold samples", "0").split()
    return Layout(sizes[1] if len(sizes) > 1 else sizes[0], sizes[0], int(pause[0]) if pause and pause[0].isdigit() else 0)


def _counted(path: Path, channel: Section, everywhere: Section, layout: Layout, size: int,
             remarks: list[str]) -> tuple[int, int]:
    """Bytes of a number and number of curves of a channel."""
    version = everywhere.get("version", "0")
    wide = re.fullmatch(r"0x[0-9a-fA-F]{1,8}", version) is not None and int(version, 16) >= FIRST_WITH_WIDE_NUMBERS
    width = _whole(path, {"bytes/pixel": "2", **channel}, "bytes/pixel")
    stored = 4 if wide else width
    offset, length = _whole(path, channel, "data offset"), _whole(path, channel, "data length")
    if width not in (2, 4):
        raise UnreadableFile(path, f"has numbers of {width} bytes in its force curves")
    count = max(length // (layout.stride * stored), 1)  # the length leaves out what an approach has more than its retract
    if offset + count * layout.stride * stored > size:
        raise UnreadableFile(path, f"declares {count} force curves of {layout.stride} numbers of {stored} bytes at byte "
                                   f"{offset}, the file ends at byte {size}", todo="the file is truncated; copy it again")
    if length not in (count * layout.stride * stored, count * 2 * layout.retract * stored):
        remarks.append(f"the numbers of the force curves take {length} bytes, {count} curves of {layout.stride} numbers "
                       f"{count * layout.stride * stored}")
    return stored, count


def _name(channel: Section, taken: Mapping[str, object]) -> str:
    stated = next((value for key, value in channel.items() if re.fullmatch(r"@\d:image data", key)), "")
    match = DESIGNATION.match(stated)
    name = ((match[2] or match[1] or "") if match else "").strip() or "channel"
    if name.lower().startswith("defl") and "Deflection" not in taken:
        return "Deflection"
    if name.lower() == "height sensor" and "height" not in taken:
        return "height"
    return name if name not in taken else f"{name} {len(taken) + 1}"


def _scale(path: Path, channel: Section, everywhere: Section, name: str, remarks: list[str]) -> tuple[float, str]:
    """What a number is worth, and its unit: m for lengths."""
    stated = next((value for key, value in channel.items() if re.fullmatch(r"@\d:z scale", key)), "")
    match = VALUE.match(stated)
    step, _ = number_and_unit(match[2]) if match and match[2] else (float("nan"), "")
    if match is None or not np.isfinite(step):
        raise UnreadableFile(path, f"the Z scale is {stated[:60]!r}, which says no V/LSB", where=f"force curves of {name!r}")
    span, unit = number_and_unit(match[3] or "")
    by_range = span / 256 ** _whole(path, {"bytes/pixel": "2", **channel}, "bytes/pixel")
    if np.isfinite(by_range) and abs(by_range - step) > SCALES_AGREE * abs(step):
        remarks.append(f"{name}: a number counts {step:g} V by its step and {by_range:g} V by its range: the step is taken")
    soft = VALUE.match(everywhere.get(f"@{(match[1] or '').lower()}", ""))
    if match[1] and soft and soft[3]:
        per, ratio = number_and_unit(soft[3])
        step, unit = step * per, ratio.split("/")[0] if "/" in ratio else ratio
    unit = spelled(unit)
    return (step * float(converted(1.0, unit, "m")), "m") if unit and compatible(unit, "m") else (step, unit or "V")


def _in_time(numbers: NDArray[np.integer], layout: Layout, factor: float, channel: Section, name: str,
             remarks: list[str]) -> Floats:
    """Approach turned, then pause, then retract, (curve, point); NaN where no point was measured."""
    block = max(layout.approach, layout.retract)
    there, back = numbers[:, :layout.approach][:, ::-1], numbers[:, block:block + layout.retract]
    ordered = np.concatenate([there, numbers[:, block + layout.retract:], back], axis=1)
    values = scaled(ordered, factor)
    lowest = -(1 << (8 * int(channel.get("bytes/pixel", "2")) - 1))
    if (none := ordered == lowest).any():
        values = np.where(none, values.dtype.type(np.nan), values)
        remarks.append(f"{name}: {int(none.sum())} points were not measured: they are NaN")
    return values


def _ramp(path: Path, channel: Section, everywhere: Section, layout: Layout, remarks: list[str]) -> Ramp:
    found = next((section[key] for section in (channel, everywhere) for key in section if RAMP.match(key)), "")
    match = VALUE.match(found)
    span = number_and_unit(match[3])[0] if match and match[3] else float("nan")
    soft = VALUE.match(everywhere.get(f"@{((match[1] if match else '') or '').lower()}", ""))
    per, ratio = number_and_unit(soft[3]) if soft and soft[3] else (float("nan"), "")
    length = spelled(ratio.split("/")[0]) if "/" in ratio else ""
    per_m = per * float(converted(1.0, length, "m")) if length and compatible(length, "m") else float("nan")
    rate, there, back = (_positive(everywhere.get(key, "")) for key in ("scan rate", "forward vel.", "reverse vel."))
    halves = (abs(span) / there, abs(span) / back)
    if not np.isfinite(halves).all():
        halves = (0.5 / rate, 0.5 / rate)
    elif np.isfinite(rate) and abs(sum(halves) * rate - 1) > PERIOD_AGREES:
        remarks.append(f"the way there and back takes {sum(halves):.4g} s by its speed and {1 / rate:.4g} s by its rate: "
                       "the clock follows the speed")
    if not np.isfinite(halves).all():
        raise UnreadableFile(path, "its force curves have no clock: it states neither a scan rate nor the speed of the ramp")
    pause = _positive(everywhere.get("hold time", ""))
    if not np.isfinite(per_m * span):
        remarks.append("the size of the ramp is not stated: the height of the base is not known")
    return Ramp(abs(span), per_m, (halves[0] / layout.retract, halves[1] / layout.retract),
                pause if np.isfinite(pause) else 0.0)


def _clock(layout: Layout, ramp: Ramp) -> NDArray[np.float64]:
    step_of_pause = ramp.pause_s / layout.pause if layout.pause and ramp.pause_s else ramp.step_s[0]
    steps = np.repeat([ramp.step_s[0], step_of_pause, ramp.step_s[1]], [layout.approach, layout.pause, layout.retract])
    return np.asarray(np.cumsum(steps) - steps[0], np.float64)


def _captured_clock(layout: Layout, everywhere: Section) -> NDArray[np.float64] | None:
    value, unit = number_and_unit(everywhere.get("pft freq", ""))
    if not np.isfinite(value) or value <= 0 or not compatible(spelled(unit), "Hz"):
        return None
    period = 1 / float(converted(value, spelled(unit), "Hz"))
    points = layout.approach + layout.retract + layout.pause
    return np.arange(points) * period / points


def _ramped(layout: Layout, ramp: Ramp) -> NDArray[np.float64]:
    """Height of the base in m above its place nearest to the surface."""
    step = ramp.span_V * ramp.m_per_V / layout.retract
    steps: NDArray[np.float64] = np.concatenate(
        [np.arange(layout.approach)[::-1], np.zeros(layout.pause), np.arange(layout.retract)]) * step
    return steps


def _places(many: int, everywhere: Section, remarks: list[str]) -> list[tuple[float, float]]:
    """Place x, y in m of each curve of a map, y from the top."""
    nowhere = [(float("nan"), float("nan"))] * many
    columns = everywhere.get("force/line", "").split()
    width = int(columns[0]) if columns and columns[0].isdigit() else 0
    if many == 1:
        return nowhere
    parts = everywhere.get("scan size", "").split()
    size, unit = number_and_unit(parts[0])[0] if parts else float("nan"), spelled(parts[-1]) if parts else ""
    if width == 0 or many % width or not np.isfinite(size) or not compatible(unit, "m"):
        remarks.append(f"the places of {many} force curves are not known")
        return nowhere
    step, rows = float(converted(size, unit, "m")) / width, many // width
    return [(step * (i % width), step * (rows - 1 - i // width)) for i in range(many)]


def _whole(path: Path, section: Section, key: str) -> int:
    text = section.get(key, "").split()
    if not text or not text[0].isdigit() or len(text[0]) > 12:
        raise UnreadableFile(path, f"{key} is {' '.join(text)[:40]!r}, expected a whole number", where="force curves")
    return int(text[0])


def _positive(text: str) -> float:
    value = number_and_unit(text)[0]
    return value if value > 0 else float("nan")
