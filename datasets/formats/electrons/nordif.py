"""EBSD patterns of NORDIF (Pattern.dat): bytes without a header; what they are stands in Setting.txt in the same folder.

Source: the setting file that kikuchipy 0.13 reads (no vendor document was opened): sections in brackets, keys, values and units
separated by tabs. `Resolution` under "Acquisition settings" is width x height of a pattern, `Number of samples` under "Area" is
columns x rows of the map.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.contiguous import Contiguous
from datasets.formats.electrons.ebsd_map import Points, signals_of
from datasets.formats.signal import Format, Signal

PAIR = re.compile(r"(\d+)\s*x\s*(\d+)")
MOST = 1 << 16
CONDITIONS = (("Microscope", "Accelerating voltage", "beam_energy_keV", 1.0),
              ("Microscope", "Magnification", "magnification", 1.0),
              ("Microscope", "Tilt angle", "tilt_deg", 1.0), ("Acquisition settings", "Exposure time", "exposure_s", 1e-6))


def recognises(head: bytes, path: Path) -> bool:
    """By its name alone, or by any name ending in .dat beside a Setting.txt of NORDIF: the bytes say nothing."""
    if not head or path.suffix.lower() != ".dat":
        return False
    return path.name.lower().endswith("pattern.dat") or any(b"[NORDIF]" in p.read_bytes()[:64] for p in companions(path))


def companions(path: Path) -> tuple[Path, ...]:
    """The setting file."""
    return tuple(p for p in (path.with_name("Setting.txt"), path.with_name("setting.txt")) if p.is_file())[:1]


def read(path: Path) -> tuple[Signal, ...]:
    """The patterns, on their map.

    Raises
    ------
    UnreadableFile
        If the setting file is not there or does not say the sizes, or the file has other bytes than it promises.
    """
    beside = companions(path)
    if not beside:
        raise UnreadableFile(path, "holds patterns whose size stands in Setting.txt, which is not beside it",
                             todo="copy the whole folder from the microscope")
    settings = _settings(beside[0])
    sizes = [PAIR.search(settings.get(section, {}).get(key, ""))
             for section, key in (("Acquisition settings", "Resolution"), ("Area", "Number of samples"))]
    if sizes[0] is None or sizes[1] is None:
        raise UnreadableFile(path, "Setting.txt does not say the size of a pattern and of the map")
    (width, height), (columns, rows) = ((int(m[1]), int(m[2])) for m in sizes if m)
    found = path.stat().st_size
    if not 0 < min(width, height, columns, rows) <= max(width, height, columns, rows) < MOST or found < width * height:
        raise UnreadableFile(path, f"has {found} bytes, no patterns of {width} x {height} on {columns} x {rows} points")
    remarks, count = [], min(found // (width * height), rows * columns)
    if found != rows * columns * width * height:
        remarks.append(f"Setting.txt promises {rows * columns} patterns of {width * height} bytes, the file has {found} bytes: "
                       f"{count} patterns are read")
    step = _number(settings, "Area", "Step size")
    row, column = np.divmod(np.arange(count), columns)
    points = Points(column * (step or 1.0), row * (step or 1.0), "um" if step else "", {}, (step, step), None,
                    Contiguous(path, "u1", (count, height, width), 0), _conditions(settings), {"settings": settings},
                    tuple(remarks))
    return signals_of(path, path.stem, points)


def _settings(path: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    here: dict[str, str] = {}
    for line in path.read_text(encoding="latin-1").splitlines():
        if match := re.match(r"\[(.+)\]", line):
            here = found.setdefault(match[1], {})
        elif "\t" in line:
            key, value = line.split("\t")[:2]
            here[key.strip()] = value.strip()
    return found


def _conditions(settings: dict[str, dict[str, str]]) -> dict[str, Any]:
    stated = {name: _number(settings, section, key) * factor for section, key, name, factor in CONDITIONS}
    return {name: value for name, value in stated.items() if value > 0}


def _number(settings: dict[str, dict[str, str]], section: str, key: str) -> float:
    match = re.match(r"\d{1,9}(\.\d+)?", settings.get(section, {}).get(key, ""))
    return float(match[0]) if match else 0.0


def example(folder: Path) -> Path:
    """3 x 4 patterns of 10 x 8 pixels."""
    path = folder / "Pattern.dat"
    path.write_bytes(np.random.default_rng(0).integers(0, 255, (12, 10, 8), np.uint8).tobytes())
    (folder / "Setting.txt").write_text(
        "[NORDIF]\t\t\n[Microscope]\t\t\nAccelerating voltage\t20\tkV\nTilt angle\t70\t°\n\t\t\n[Acquisition settings]\t\t\n"
        "Resolution\t8x10\tpx\nExposure time\t3500\tµs\n\t\t\n[Area]\t\t\nStep size\t1.500\tµm\nNumber of samples\t4x3\t#\n",
        encoding="latin-1")
    return path


NORDIF = Format(name="nordif", suffixes=frozenset({".dat"}), recognises=recognises, read=read, version="1",
                companions=companions, example=example)
