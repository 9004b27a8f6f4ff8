"""STXM images of the Advanced Light Source and others (.hdr with .xim).

The header is text of nested braces, `Name = { key = value; ... };`, with axes of points per region (P is x, Q is y), a stack
axis of energies, channels, and one `ImageNNN_R = { Energy = ...; Time = ... }` for each image. The numbers stand in text files
beside it, one row of y per line: `name_a.xim` for channel a of a single image, `name_a012.xim` for image 12 of a stack. The
first row is the first point of Q. Known from files and from what mantis-xray reads. Of several regions the first is read.

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

AXIS = re.compile(r"(PAxis|QAxis|StackAxis)\s*=\s*\{([^{}]*?)Points\s*=\s*\(([^()]*)\)", re.DOTALL)
IMAGE = re.compile(r"Image(\d+)_(\d+)\s*=\s*\{([^{}]*)\}")
ENTRY = re.compile(r'(\w+)\s*=\s*("[^"]*"|[^;{}()]*)')
XIM = re.compile(r"^(.*)_([a-z])(\d*)\.xim$", re.IGNORECASE)
NUMBERS = re.compile(rb"^[\s\d.eE+-]*$")
MOST_POINTS = 1 << 20


def read(path: Path) -> tuple[Signal, ...]:
    """Image or stack of a header, or the one image of a .xim.

    Raises
    ------
    UnreadableFile
        If the header has no axes, no image is beside it or one does not fit them.
    """
    if path.suffix.lower() == ".xim":
        return (_single(path),)
    text = path.read_text(encoding="latin-1")
    axes = _axes(path, text)
    found: dict[str, list[tuple[int, Path]]] = {}
    for file in companions(path):
        if match := XIM.match(file.name):
            found.setdefault(match[2], []).append((int(match[3] or 0), file))
    if not found:
        raise UnreadableFile(path, "has no image beside it", todo=f"put {path.stem}_a.xim into its folder")
    listed = {int(number): dict(ENTRY.findall(body)) for number, _, body in IMAGE.findall(text)}
    missing = [f"image {n} ({listed[n].get('Energy', '?').strip()} eV)" for n in listed
               if not any(n == i for files in found.values() for i, _ in files)] if len(listed) > 1 else []
    remarks = [f"{', '.join(missing[:8])}{' ...' * (len(missing) > 8)} not beside the header"] if missing else []
    return tuple(_stack(path, text, axes, letter, sorted(files), listed, remarks) for letter, files in sorted(found.items()))


def _stack(path: Path, text: str, axes: dict[str, Axis], letter: str, files: list[tuple[int, Path]],
           listed: dict[int, dict[str, str]], remarks: list[str]) -> Signal:
    images = [_table(file) for _, file in files]
    shape = (axes["y"].size, axes["x"].size)
    for (_, file), image in zip(files, images, strict=True):
        if image.shape != shape:
            raise UnreadableFile(file, f"holds {image.shape[0]} x {image.shape[1]} numbers, its header {path.name} has "
                                       f"{shape[0]} x {shape[1]} points")
    energies = [_energy(listed.get(number, {})) for number, _ in files]
    stack = axes.get("stack")
    conditions = _conditions(text)
    leading: list[Axis] = []
    if stack is not None or len(files) > 1:
        known = np.array(energies)
        counted = stack if stack is not None and stack.size == len(files) else Axis("frame", np.arange(float(len(files))))
        leading = [Axis("photon_energy", known, "eV") if np.isfinite(known).all() else counted]
    elif np.isfinite(energies[0]):
        conditions["photon_energy_eV"] = energies[0]
    data = np.stack(images) if leading else images[0]
    unit = next(iter(re.findall(r'UnitName\s*=\s*"([^"]*)"', text)), "")
    about = {"channel": letter, "images": [file.name for _, file in files], "photon_energy_source": "header"}
    about |= {key.lower(): value.strip('"') for key, value in ENTRY.findall(text[:400])
              if key in ("Label", "Type", "Flags", "Dwell")}
    return Signal(path.stem if letter == "a" else f"{path.stem} {letter}", (*leading, axes["y"], axes["x"]),
                  {"data": Field(data, unit)}, path, about, conditions, "STXM", tuple(remarks))


def _single(path: Path) -> Signal:
    image = _table(path)
    match = XIM.match(path.name)
    header = path.with_name(f"{match[1]}.hdr") if match else path
    axes = {name: Axis(name, np.arange(n, dtype=np.float64)) for name, n in zip("yx", image.shape, strict=True)}
    conditions: dict[str, Any] = {}
    unit, remarks = "", ["its header is not beside it: places and energy are not known"]
    if match and header.is_file():
        text = header.read_text(encoding="latin-1")
        stated = _axes(header, text)
        if (stated["y"].size, stated["x"].size) == image.shape:
            axes, remarks = stated, []
        else:
            remarks = [f"{header.name} has {stated['y'].size} x {stated['x'].size} points: it is not used"]
        unit = next(iter(re.findall(r'UnitName\s*=\s*"([^"]*)"', text)), "")
        conditions = _conditions(text)
        listed = {int(n): dict(ENTRY.findall(body)) for n, _, body in IMAGE.findall(text)}
        energy = _energy(listed.get(int(match[3] or 0), {}))
        if np.isfinite(energy):
            conditions["photon_energy_eV"] = energy
    remarks += cut_within(path.read_text(encoding="latin-1"))
    return Signal(path.stem, (axes["y"], axes["x"]), {"data": Field(image, unit)}, path, {}, conditions, "STXM", tuple(remarks))


def _axes(path: Path, text: str) -> dict[str, Axis]:
    found: dict[str, Axis] = {}
    for kind, body, points in AXIS.findall(text):
        name = {"PAxis": "x", "QAxis": "y", "StackAxis": "stack"}[kind]
        entries = {key: value.strip('" \t') for key, value in ENTRY.findall(body)}
        try:
            values = np.array([float(word) for word in points.replace("\n", " ").split(",") if word.strip()])
        except ValueError:
            raise UnreadableFile(path, f"the points of {kind} are no numbers") from None
        if values.size < 2 or values.size != int(values[0]) + 1 or values.size > MOST_POINTS:
            raise UnreadableFile(path, f"{kind} declares {values[0] if values.size else 'no'} points and lists "
                                       f"{values.size - 1}", todo="the file may be truncated")
        label = "photon_energy" if name == "stack" and "energ" in entries.get("Name", "").lower() else name
        found.setdefault(name, Axis(label, values[1:], entries.get("Unit", "")))
    if not {"x", "y"} <= found.keys():
        raise UnreadableFile(path, f"has no axes P and Q of an image, only {', '.join(found) or 'none'}")
    return found


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


STXM_HDR = Format(name="stxm hdr", suffixes=frozenset({".hdr", ".xim"}), recognises=recognises, read=read, version="1",
                  text=True,
                  companions=companions, example=example)
