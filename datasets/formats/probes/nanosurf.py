"""Nanosurf images (.nid).

An INI header until "#!", then the numbers of all channels one after the other, in the order of the groups of [DataSet] and of
the channels in them. Section [DataSet-G:C] describes one: points and lines, range and minimum of both axes and of the values,
bits and sign. A number of b bits spans `Dim2Range` over 2^b; signed ones are counted from the middle. Layout as Gwyddion's
nanosurf module and NSFopen (MIT) document it. `Frame` says forward or backward; rows begin at the bottom. Force curves
are read by `nanosurf_force`; other spectra and the results that the program drew from curves arrive line by line.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.dates import acquired
from datasets.formats.probes.force_curve import curve_signals
from datasets.formats.probes.nanosurf_force import Group, force_curves, way_of
from datasets.formats.probes.scan_image import Channel, number_and_unit, scaled, signals
from datasets.formats.signal import Axis, Field, Format, Signal

MAGIC = b"[DataSet]"
START = b"#!"
MOST_GROUPS, MOST_CHANNELS = 64, 256
Section = dict[str, str]


def read(path: Path) -> tuple[Signal, ...]:
    """Every channel of a file.

    Raises
    ------
    UnreadableFile
        Naming the section that is wrong, or how many bytes are missing.
    """
    raw = path.read_bytes()
    start = raw.find(b"\n" + START) + 1 or raw.find(START)
    if start <= 0:
        raise UnreadableFile(path, "the header has no end: the file is truncated")
    sections = _sections(_text(raw[:start]))
    at = start + len(START)
    channels: list[Channel] = []
    curves: list[Signal] = []
    force: dict[int, Group] = {0: [], 2: []}
    for name in _order(sections):
        about = sections.get(name, {})
        numbers = _numbers(path, raw, at, about, name)
        at += numbers.nbytes
        data, unit = _values(numbers, about), about.get("Dim2Unit", "")
        title, frame = about.get("Dim2Name", name), about.get("Frame", "")
        if (way := way_of(about)) is not None:
            force[way].append((about, data))
        elif "spec" in frame.lower() or not about.get("Dim1Unit"):
            curves.append(_curves(path, data, about))
        else:
            rows, columns = data.shape
            pixel = (_float(about, "Dim1Range") / rows, _float(about, "Dim0Range") / columns)
            channels.append(Channel(title, data[::-1], unit, pixel, about.get("Dim0Unit", ""), "backward" in frame.lower()))
    found = force_curves(sections, force[0], force[2])
    if not found:
        curves += [_curves(path, data, about) for group in force.values() for about, data in group]
    if not channels and not curves and not found:
        raise UnreadableFile(path, "holds no channels", where="section [DataSet]")
    info = {name: values for name, values in sections.items() if not name.startswith(("SetView", "DataSet-"))}
    maps = signals(path, channels, metadata=info, conditions=_conditions(sections)) if channels else ()
    forces = curve_signals(path, found, metadata=info, conditions=_conditions(sections)) if found else ()
    return (*maps, *forces, *curves)


def _text(raw: bytes) -> str:
    """The header; newer programs write UTF-8, older ones the code page of western Europe."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _sections(text: str) -> dict[str, Section]:
    sections: dict[str, Section] = {}
    here: Section = {}
    for line in text.splitlines():
        if line.startswith("[") and line.rstrip().endswith("]"):
            here = sections.setdefault(line.strip()[1:-1], {})
        else:
            key, equals, value = line.partition("=")
            if equals:
                here.setdefault(key.strip(), value.strip())
    return sections


def _order(sections: dict[str, Section]) -> list[str]:
    top = sections.get("DataSet", {})
    groups = min(int(top.get("GroupCount", "0")) if top.get("GroupCount", "0").isdigit() else 0, MOST_GROUPS)
    names = [top.get(f"Gr{group}-Ch{channel}", "") for group in range(groups) for channel in range(MOST_CHANNELS)]
    return [name for name in names if name in sections]


def _numbers(path: Path, raw: bytes, at: int, about: Section, name: str) -> NDArray[Any]:
    sizes = [about.get(key, "") for key in ("Lines", "Points")]
    bits = about.get("SaveBits", "16")
    if about.get("SaveMode", "Binary") != "Binary" or bits not in ("8", "16", "32") or not all(
            re.fullmatch(r"[1-9]\d{0,6}", size) for size in sizes):
        raise UnreadableFile(path, f"has {' x '.join(sizes)} numbers of {bits} bits saved as {about.get('SaveMode')!r}",
                             where=f"section [{name}]")
    rows, columns = map(int, sizes)
    order = ">" if about.get("SaveOrder", "Intel") == "Motorola" else "<"
    sign = "u" if about.get("SaveSign", "Signed") == "Unsigned" else "i"
    dtype = np.dtype(f"{order}{sign}{int(bits) // 8}")
    if at + rows * columns * dtype.itemsize > len(raw):
        raise UnreadableFile(path, f"declares {rows} x {columns} numbers of {bits} bits, {len(raw) - at} bytes are left",
                             where=f"section [{name}]", todo="the file is truncated; copy it again")
    return np.frombuffer(raw, dtype, rows * columns, at).reshape(rows, columns)


def _values(numbers: NDArray[Any], about: Section) -> NDArray[np.floating]:
    span, low = _float(about, "Dim2Range"), _float(about, "Dim2Min")
    levels = 256.0 ** numbers.dtype.itemsize
    middle = low + span / 2 if numbers.dtype.kind == "i" else low
    return scaled(numbers, span / levels, middle)


def _curves(path: Path, data: NDArray[Any], about: Section) -> Signal:
    lines, points = data.shape
    step, unit = _float(about, "Dim0Range") / points, about.get("Dim0Unit", "")
    axis = Axis.even(about.get("Dim0Name", "x").strip("*").lower() or "x", points, step, _float(about, "Dim0Min"), unit) if (
        step != 0) else Axis("channel", np.arange(points, dtype=np.float64))
    title = f"{about.get('Dim2Name', '')} {about.get('Frame', '')}".strip() or path.stem
    return Signal(title, (Axis("position", np.arange(lines, dtype=np.float64)), axis),
                  {"data": Field(data, about.get("Dim2Unit", ""))}, path, dict(about), {}, "AFM spectroscopy")


def _float(about: Section, key: str) -> float:
    value = number_and_unit(about.get(key, ""))[0]
    return value if np.isfinite(value) else 0.0


def _conditions(sections: dict[str, Section]) -> dict[str, Any]:
    info = sections.get("DataSet-Info", {})
    return acquired(f"{info.get('Date', '')} {info.get('Time', '')}", "%d-%m-%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S")


def recognises(head: bytes, path: Path) -> bool:
    """By its first section and the groups in it."""
    del path
    return head.lstrip().startswith(MAGIC) and b"GroupCount" in head


def example(folder: Path) -> Path:
    """A slope of 16 rows and 24 columns."""
    data = np.arange(16 * 24, dtype="<i2").reshape(16, 24)[::-1]
    text = ["[DataSet]", "Version=2", "GroupCount=1", "Gr0-Name=Scan forward", "Gr0-Count=1", "Gr0-Ch0=DataSet-0:0",
            "[DataSet-Info]", "Date=03-11-2022", "Time=11:46:25", "[DataSet-0:0]", "Points=24", "Lines=16",
            "Frame=Scan forward", "Dim0Name=X*", "Dim0Unit=m", "Dim0Range=2.4e-07", "Dim0Min=0", "Dim1Unit=m",
            "Dim1Range=1.6e-07", "Dim1Min=0", "Dim2Name=Z-Axis", "Dim2Unit=m", "Dim2Range=6.5536e-05", "Dim2Min=-3.2768e-05",
            "SaveMode=Binary", "SaveBits=16", "SaveSign=Signed", "SaveOrder=Intel", ""]
    path = folder / "example.nid"
    path.write_bytes("\r\n".join(text).encode("latin-1") + START + data.tobytes())
    return path


NANOSURF = Format(name="nanosurf nid", suffixes=frozenset({".nid"}), recognises=recognises, read=read, version="2",
                  example=example)
