"""STXM images of the Advanced Light Source, the Swiss Light Source, MAX IV and others (.hdr with .xim).

The header is text of nested braces, `Name = { key = value; ... };`, with axes of points for each region (P is x, Q is y), a
stack axis of energies, channels, and one `ImageNNN_R = { Energy = ...; Time = ... }` for each image. The numbers stand in text
files beside it, one row of y per line, the first row at the first point of Q. With a letter for each channel (a is the first)
those of `name.hdr` are, as mantis-xray 3.3 has them:

    name_a.xim       an image            name_a2.xim      region 2 of an image of several regions, counted from 0
    name_a012.xim    image 12 of a stack name_a0122.xim   region 2 of image 12

Every region and every channel is a signal of its own: regions differ in place and size. In a line scan one of the two axes is
the energy. Known from files of one region (ALS, MAX IV) and from what mantis-xray reads; no file of several was to be had.
Point scans (.xsp) are refused.

A .xim can be read by itself; its places then come from the header beside it, if there is one. Images that the header lists and
the folder lacks are named.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.dates import acquired
from datasets.formats.last_line import cut_within
from datasets.formats.signal import Axis, Field, Format, Signal
from datasets.units import compatible

AXIS = re.compile(r"(PAxis|QAxis|StackAxis)\s*=\s*\{([^{}]*?)Points\s*=\s*\(([^()]*)\)", re.DOTALL)
NAMED_AXIS = re.compile(r"\b(?:PAxis|QAxis|StackAxis)\s*=")
REGIONS = re.compile(r"Regions\s*=\s*\(\s*(\d+)")
IMAGE = re.compile(r"Image(\d+)_(\d+)\s*=\s*\{([^{}]*)\}")
ENTRY = re.compile(r'(\w+)\s*=\s*("[^"]*"|[^;{}()]*)')
UNIT = re.compile(r'UnitName\s*=\s*"([^"]*)"')
XIM = re.compile(r"^(.*)_([a-z])(\d*)\.xim$", re.IGNORECASE)
NUMBERS = re.compile(rb"^[\s\d.eE+-]*$")
STACK_DIGITS = 3
"""Of the digits in the name of an image, these count its energy where there are several."""
MOST_POINTS = 1 << 20
DETECTOR_UNITS = ("count", "count/s", "V", "1")
"""Units that an image of the technique may have."""
Region = dict[str, Axis]
Images = list[tuple[int, Path]]
Listed = dict[tuple[int, int], dict[str, str]]


def read(path: Path) -> tuple[Signal, ...]:
    """Image or stack of every region and channel of a header, or the one image of a .xim.

    Raises
    ------
    UnreadableFile
        If the header has no axes, no image is beside it or one does not fit them.
    """
    if path.suffix.lower() == ".xim":
        return (_single(path),)
    text = path.read_text(encoding="latin-1")
    regions, stack = _regions(path, text)
    found: dict[tuple[int, str], Images] = {}
    remarks: list[str] = []
    for file in companions(path):
        if match := XIM.match(file.name):
            number, region = _place(match[3], len(regions), stack)
            if region < len(regions):
                found.setdefault((region, match[2].lower()), []).append((number, file))
            else:
                remarks.append(f"{file.name} belongs to none of the {len(regions)} regions: it is left out")
    if not found:
        raise UnreadableFile(path, "has no image beside it", todo=f"put {path.stem}_a.xim into its folder")
    if astray := len(NAMED_AXIS.findall(text)) - len(AXIS.findall(text)):
        remarks.append(f"{astray} axes of the header list no points that can be read")
    listed = _listed(text)
    held = {(number, region) for (region, _), files in found.items() for number, _ in files}
    missing = [f"image {n}{f' of region {r}' * (len(regions) > 1)} ({entries.get('Energy', '?').strip()} eV)"
               for (n, r), entries in listed.items() if (n, r) not in held] if len(listed) > 1 else []
    if missing:
        remarks.append(f"{', '.join(missing[:8])}{' ...' * (len(missing) > 8)} not beside the header")
    if bare := [str(r) for r in range(len(regions)) if not any(r == region for region, _ in found)]:
        remarks.append(f"no image of region {', '.join(bare)} is beside the header")
    return tuple(_stack(path, text, (region, len(regions)), {**regions[region], **({"stack": stack} if stack else {})}, letter,
                        sorted(files), listed, remarks) for (region, letter), files in sorted(found.items()))


def _stack(path: Path, text: str, which: tuple[int, int], axes: Region, letter: str, files: Images, listed: Listed,
           remarks: list[str]) -> Signal:
    images = [_table(file) for _, file in files]
    shape = (axes["y"].size, axes["x"].size)
    for (_, file), image in zip(files, images, strict=True):
        if image.shape != shape:
            raise UnreadableFile(file, f"holds {image.shape[0]} x {image.shape[1]} numbers, its header {path.name} has "
                                       f"{shape[0]} x {shape[1]} points")
    region, regions = which
    energies = [_energy(_entries(listed, number, region)) for number, _ in files]
    stack = axes.get("stack")
    conditions = _conditions(text)
    leading: list[Axis] = []
    grid = (axes["y"], axes["x"])
    line = any(axis.name == "photon_energy" for axis in grid)
    if len(files) > 1 or (stack is not None and not line):
        known = np.array(energies)
        counted = stack if stack is not None and stack.size == len(files) else Axis("frame", np.arange(float(len(files))))
        leading = [Axis("photon_energy", known, "eV") if np.isfinite(known).all() else counted]
    elif np.isfinite(energies[0]) and not line:
        conditions["photon_energy_eV"] = energies[0]
    data = np.stack(images) if leading else images[0]
    about: dict[str, Any] = {"channel": letter, "images": [file.name for _, file in files], "photon_energy_source": "header"}
    about |= {key.lower(): value.strip('"') for key, value in ENTRY.findall(text[:400])
              if key in ("Label", "Type", "Flags", "Dwell")}
    about |= {"region": region, "regions": regions} if regions > 1 else {}
    unit, said = _unit(text, letter)
    title = f"{path.stem}{f' region {region}' * (regions > 1)}{f' {letter}' * (letter != 'a')}"
    return Signal(title, (*leading, *grid), {"data": Field(data, unit)}, path, about, conditions,
                  "" if line else "STXM", (*remarks, *said))


def _single(path: Path) -> Signal:
    image = _table(path)
    match = XIM.match(path.name)
    header = path.with_name(f"{match[1]}.hdr") if match else path
    axes = {name: Axis(name, np.arange(n, dtype=np.float64)) for name, n in zip("yx", image.shape, strict=True)}
    conditions: dict[str, Any] = {}
    unit, remarks = "", ["its header is not beside it: places and energy are not known"]
    if match and header.is_file():
        text = header.read_text(encoding="latin-1")
        regions, stack = _regions(header, text)
        number, region = _place(match[3], len(regions), stack)
        stated = regions[min(region, len(regions) - 1)]
        if (stated["y"].size, stated["x"].size) == image.shape and region < len(regions):
            axes, remarks = stated, []
        else:
            remarks = [f"{header.name} has {stated['y'].size} x {stated['x'].size} points: it is not used"]
        unit, said = _unit(text, match[2].lower())
        remarks += said
        conditions = _conditions(text)
        energy = _energy(_entries(_listed(text), number, region))
        if np.isfinite(energy):
            conditions["photon_energy_eV"] = energy
    remarks += cut_within(path.read_text(encoding="latin-1"))
    return Signal(path.stem, (axes["y"], axes["x"]), {"data": Field(image, unit)}, path, {}, conditions, "STXM", tuple(remarks))


def _place(digits: str, regions: int, stack: Axis | None) -> tuple[int, int]:
    """Number of an image in its stack and its region, by the digits in its name."""
    if regions == 1:
        return int(digits or 0), 0
    if len(digits) > STACK_DIGITS:
        return int(digits[:STACK_DIGITS]), int(digits[STACK_DIGITS:])
    if stack is not None and stack.size > 1:
        return 0, regions  # it counts energies only
    return 0, int(digits or 0)


def _listed(text: str) -> Listed:
    return {(int(number), int(region)): dict(ENTRY.findall(body)) for number, region, body in IMAGE.findall(text)}


def _entries(listed: Listed, number: int, region: int) -> dict[str, str]:
    """What the header says of an image; some headers count no regions there."""
    return listed.get((number, region), listed.get((number, 0), {}))


def _unit(text: str, letter: str) -> tuple[str, list[str]]:
    """Unit of a channel, and what to say of one that is no unit of an image: the letters follow the list of the channels."""
    units, place = UNIT.findall(text), ord(letter) - ord("a")
    unit = units[place] if place < len(units) else ""
    known = not unit or any(compatible(unit, other) for other in DETECTOR_UNITS)
    return (unit, []) if known else ("", [f"channel {letter} is in {unit}: its numbers are kept as they are"])


def _regions(path: Path, text: str) -> tuple[list[Region], Axis | None]:
    """Axes y and x of each region, and the axis of the stack."""
    found: list[Region] = []
    stack: Axis | None = None
    for kind, body, points in AXIS.findall(text):
        axis = _axis(path, kind, body, points)
        if kind == "StackAxis":
            stack = axis if stack is None else stack
        elif kind == "PAxis":
            found.append({"x": axis})
        elif found:
            found[-1].setdefault("y", axis)
    if not found or any("y" not in region for region in found):
        kinds = ", ".join(kind for kind, _, _ in AXIS.findall(text))
        raise UnreadableFile(path, f"has no axes P and Q of an image, only {kinds or 'none'}")
    declared = REGIONS.search(text)
    if declared and int(declared[1]) != len(found):
        raise UnreadableFile(path, f"declares {int(declared[1])} regions and describes {len(found)}",
                             todo="the file may be truncated")
    return found, stack


def _axis(path: Path, kind: str, body: str, points: str) -> Axis:
    name = {"PAxis": "x", "QAxis": "y", "StackAxis": "stack"}[kind]
    entries = {key: value.strip('" \t') for key, value in ENTRY.findall(body)}
    try:
        values = np.array([float(word) for word in points.replace("\n", " ").split(",") if word.strip()])
    except ValueError:
        raise UnreadableFile(path, f"the points of {kind} are no numbers") from None
    if values.size < 2 or values.size != int(values[0]) + 1 or values.size > MOST_POINTS:
        raise UnreadableFile(path, f"{kind} declares {values[0] if values.size else 'no'} points and lists "
                                   f"{values.size - 1}", todo="the file may be truncated")
    label = "photon_energy" if "energ" in entries.get("Name", "").lower() else name
    return Axis(label, values[1:], entries.get("Unit", ""))


def _table(path: Path) -> NDArray[np.float64]:
    rows = [line.split() for line in path.read_bytes().splitlines() if line.strip()]
    if not rows or len({len(row) for row in rows}) > 1:
        raise UnreadableFile(path, "its lines differ in length, or there are none", todo="the file may be truncated")
    try:
        return np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise UnreadableFile(path, f"expected numbers: {error}") from None


def _energy(entries: dict[str, str]) -> float:
    try:
        return float(entries.get("Energy", "nan"))
    except ValueError:
        return float("nan")


def _conditions(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if match := re.search(r'Time\s*=\s*"(\d{4} \w+ \d{1,2} [\d:]{8})"', text):
        found |= acquired(match[1], "%Y %B %d %H:%M:%S", "%Y %b %d %H:%M:%S")
    if (match := re.search(r"Dwell\s*=\s*([\d.eE+-]+)", text)) and 0 < float(match[1]) < 1e6:
        found["dwell_time_s"] = float(match[1]) / 1e3
    return found


def companions(path: Path) -> tuple[Path, ...]:
    """The images beside a header."""
    if path.suffix.lower() != ".hdr":
        return ()
    matches = ((file, XIM.match(file.name)) for file in sorted(path.parent.iterdir()) if file.suffix.lower() == ".xim")
    return tuple(file for file, match in matches if match and match[1] == path.stem and file.is_file())


def recognises(head: bytes, path: Path) -> bool:
    """A header that defines a scan, or a table of numbers under the suffix .xim."""
    if path.suffix.lower() == ".xim":
        return bool(head.strip()) and bool(NUMBERS.match(head))
    return b"ScanDefinition" in head[:200] and b"{" in head[:200]


def example(folder: Path) -> Path:
    """A stack of two energies, 4 rows and 6 columns."""
    def axis(kind: str, name: str, unit: str, points: NDArray[np.floating]) -> str:
        listed = ", ".join(f"{v:.4f}" for v in points)
        return f'{kind} = {{ Name = "{name}"; Unit = "{unit}"; Points = ({points.size}, {listed});\n}};\n'

    places = axis("PAxis", "Sample X", "um", np.arange(6) * 0.03) + axis("QAxis", "Sample Y", "um", np.arange(4) * 0.03)
    text = ('ScanDefinition = { Label = "example.hdr"; Type = "NEXAFS Image Scan"; Flags = "Image Stack"; Dwell = 4;\n'
            " Regions = (1,\n{ " + places + "});\n" + axis("StackAxis", "Energy", "eV", np.array([853.0, 857.75])) + "};\n"
            'Time = "2018 November 10 23:57:34";\nChannels = (1,\n{ ID = 4; UnitName = "counts";});\n'
            "Image000_0 = {Energy = 853.00;};\nImage001_0 = {Energy = 857.75;};\n")
    path = folder / "example.hdr"
    path.write_text(text, encoding="ascii")
    for i in range(2):
        rows = "\n".join("\t".join(str(1000 * i + 10 * y + x) for x in range(6)) for y in range(4))
        (folder / f"example_a{i:03d}.xim").write_text(rows + "\n", encoding="ascii")
    return path


STXM_HDR = Format(name="stxm hdr", suffixes=frozenset({".hdr", ".xim"}), recognises=recognises, read=read, version="2",
                  text=True, companions=companions, example=example)
