"""Atom probe: windows of the mass spectrum and the ions they stand for (.rrng, .rng, .env, .analysisset).

- .rrng (Cameca): an INI file. `RangeN=low high Vol:nm3 Si:1 O:2 Name:text Color:RRGGBB`. Numbers may have a decimal comma, and
  keys may stand twice: every line is read, the number after `Range` is not a key. `Name:` stands for an ion without a formula.
- .rng (Oak Ridge): "elements ranges", two lines an element (name; short name and three parts of its colour), a line of dashes
  with the names again, then `. low high` and how many atoms of each element. Cameca's files may go on with
  `--- polyatomic extension`, which repeats ranges and only adds names and colours.
- .env (GPM Rouen, Rev 2.0): "elements ranges", name and colour lines, then `name low high volume increment`. The volumes are
  in cubic angstrom (oxygen 20, erbium 11.66 there), as their size says; no document was to be had.
- .analysisset (Cameca IVAS): XML that holds XML as text; `Ions` and, in the same order, `RangesPerIon`.

Bounds are kept as they stand. What a formula is made of is given as one column of counts per element; its text, name and
colour stand in the metadata. What is not stated (a volume in .rng, a formula of a name) is not a number or absent.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.signal import Axis, Field, Format, Signal

NUMBER = r"[-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][-+]?\d+)?"
RRNG_LINE = re.compile(rf"\s*Range(\d+)\s*=\s*({NUMBER})\s+({NUMBER})\s*(.*)", re.IGNORECASE)
RRNG_ION = re.compile(r"\s*Ion\d+\s*=\s*(.*?)\s*$", re.IGNORECASE)
RRNG_JOINED = re.compile(r":\d{1,3}(?=[A-Z][a-z]?:)")
"""Elements that a person wrote without a space between them: "Mo:1C:1"."""
RRNG_PART = re.compile(r"([^\s:]+)\s*:\s*([^\s:]*)")
RNG_COUNTS = re.compile(r"\s*(\d+)\s+(\d+)\s*$")
FORMULA_PART = re.compile(r"([A-Z][a-z]?)(\d*)")
HEAVIEST_DA = 1e5
MOST_RANGES = 100_000
ELEMENTS = frozenset(("H", "D", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl",
    "Ar", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr", "Rb",
    "Sr", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La",
    "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir",
    "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu"))


@dataclass(frozen=True)
class Window:
    """Bounds in Da, atoms of one ion, its volume in nm³, its name where it has no formula, its colour as RRGGBB."""

    start: float
    end: float
    atoms: Mapping[str, int] = field(default_factory=dict)
    volume: float = float("nan")
    name: str = ""
    colour: str = ""


def table(path: Path, windows: list[Window], metadata: Mapping[str, Any], remarks: list[str]) -> tuple[Signal, ...]:
    """The windows as columns, in the order of the file.

    Raises
    ------
    UnreadableFile
        If there are none.
    """
    if not windows:
        raise UnreadableFile(path, "holds no ranges")
    for number, window in enumerate(windows, 1):
        if not (np.isfinite([window.start, window.end]).all() and abs(window.start) < HEAVIEST_DA
                and abs(window.end) < HEAVIEST_DA):
            raise UnreadableFile(path, f"range {number} from {window.start:g} to {window.end:g} Da is none",
                                 todo="the file may be damaged")
        if window.start >= window.end:
            remarks.append(f"range {number} from {window.start:g} to {window.end:g} Da is empty")
    nameless = [f"{w.start:g}-{w.end:g} Da{f' ({w.name})' if w.name else ''}" for w in windows if not w.atoms]
    if nameless:
        remarks.append(f"{len(nameless)} ranges have no formula: {', '.join(nameless[:8])}{' ...' * (len(nameless) > 8)}")
    elements = list(dict.fromkeys(element for w in windows for element in w.atoms))
    columns = {"range_start": Field(np.array([w.start for w in windows]), "Da"),
               "range_end": Field(np.array([w.end for w in windows]), "Da"),
               "volume": Field(np.array([w.volume for w in windows]), "nm^3"),
               "colour": Field(np.array([int(w.colour, 16) if w.colour else np.nan for w in windows]), "1"),
               **{f"atoms_{el}": Field(np.array([w.atoms.get(el, 0) for w in windows], np.int32), "1") for el in elements}}
    text = {"formula": [formula(w.atoms) for w in windows], "name": [w.name for w in windows],
            "colour": [f"#{w.colour}" if w.colour else "" for w in windows]}
    return (Signal(path.stem, (Axis("range", np.arange(len(windows), dtype=np.float64)),), columns, path,
                   {**metadata, **text}, {"elements": [el for el in elements if el in ELEMENTS]}, "APT ranges",
                   tuple(remarks)),)


def formula(atoms: Mapping[str, int]) -> str:
    """Text of a formula in the file's own order: {"Cr": 2, "O": 1} is Cr2O."""
    return "".join(f"{element}{count if count > 1 else ''}" for element, count in atoms.items())


def atoms_of(text: str) -> dict[str, int]:
    """What a formula such as Cr2O is made of; empty where it is none."""
    parts = FORMULA_PART.findall(text)
    if "".join(a + n for a, n in parts) != text or any(a not in ELEMENTS for a, _ in parts):
        return {}
    atoms: dict[str, int] = {}
    for element, count in parts:
        atoms[element] = atoms.get(element, 0) + int(count or 1)
    return atoms


def read_rrng(path: Path) -> tuple[Signal, ...]:
    """Ranges of a .rrng file; raises UnreadableFile naming the line."""
    windows: list[Window] = []
    ions: list[str] = []
    numbers: list[int] = []
    declared: list[int] = []
    strange: list[int] = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        if match := RRNG_LINE.match(line):
            numbers.append(int(match[1]))
            windows.append(_rrng_window(path, number, match[2], match[3], match[4]))
        elif match := RRNG_ION.match(line):
            ions.append(match[1])
        elif match := re.match(r"\s*Number\s*=\s*(\d+)", line, re.IGNORECASE):
            declared.append(int(match[1]))
        elif re.match(r"\s*Range\d", line, re.IGNORECASE):
            raise UnreadableFile(path, f"expected the bounds of a range, found {line.strip()[:60]!r}", where=f"line {number}")
        elif line.strip() and not line.lstrip().startswith(("[", ";", "#")):
            strange.append(number)
    remarks = [f"{len(strange)} lines are neither range nor ion, the first is line {strange[0]}"] if strange else []
    if other := sorted({el for window in windows for el in window.atoms} - set(ions) if ions else ()):
        remarks.append(f"{', '.join(other)} of the ranges are not among the ions that the file lists")
    if declared and declared[-1] != len(windows):
        remarks.append(f"declares {declared[-1]} ranges and holds {len(windows)}")
    if colourless := [n for n, window in zip(numbers, windows, strict=True) if not window.colour]:
        remarks.append(f"{len(colourless)} ranges have no colour RRGGBB, the first is range {colourless[0]}")
    if twice := sorted({n for n in numbers if numbers.count(n) > 1} if len(numbers) < 2000 else set()):
        remarks.append(f"range {', '.join(map(str, twice[:8]))} stands more than once; every line is kept")
    return table(path, windows, {"ions": ions}, remarks)


def _rrng_window(path: Path, number: int, start: str, end: str, rest: str) -> Window:
    atoms: dict[str, int] = {}
    volume, name, colour = float("nan"), "", ""
    for key, value in RRNG_PART.findall(RRNG_JOINED.sub(r"\g<0> ", rest)):
        word = key.lower()
        if word in ("vol", "volume"):
            volume = _number(path, value, number)
        elif word in ("color", "colour"):
            colour = value if re.fullmatch(r"[0-9A-Fa-f]{6}", value) else ""
        elif word == "name":
            name = value
        elif re.fullmatch(r"\d{1,3}", value):
            atoms[key] = atoms.get(key, 0) + int(value)
        else:
            raise UnreadableFile(path, f"expected element and count, found {key}:{value}"[:80], where=f"line {number}")
    return Window(_number(path, start, number), _number(path, end, number), {k: n for k, n in atoms.items() if n}, volume,
                  name, colour.upper())


def read_rng(path: Path) -> tuple[Signal, ...]:
    """Ranges of a .rng file; raises UnreadableFile naming the line."""
    lines = [(n, line) for n, line in enumerate(_text(path).splitlines(), 1) if line.strip() and not line.startswith("#")]
    match = RNG_COUNTS.match(lines[0][1]) if lines else None
    dashes = next((i for i, (_, line) in enumerate(lines) if line.startswith("--")), 0)
    if match is None or not dashes:
        raise UnreadableFile(path, "has no line of dashes that names its elements")
    elements, ranges = int(match[1]), int(match[2])
    names = lines[dashes][1].split()[1:]
    if len(names) != elements or ranges > MOST_RANGES:
        raise UnreadableFile(path, f"declares {elements} elements and {ranges} ranges and names {len(names)}: "
                                   f"{' '.join(names)[:60]}", where=f"line {lines[dashes][0]}")
    colours = _rng_colours(lines[1:dashes])
    windows = []
    for number, line in lines[dashes + 1:dashes + 1 + ranges]:
        parts = line.split()
        if len(parts) != elements + 3 or parts[0] != ".":
            raise UnreadableFile(path, f"expected '.', two bounds and {elements} counts, found {line.strip()[:60]!r}",
                                 where=f"line {number}")
        counts = [_number(path, part, number) for part in parts[3:]]
        if any(not 0 <= count < 1000 or count != int(count) for count in counts):
            raise UnreadableFile(path, f"expected numbers of atoms, found {' '.join(parts[3:])[:60]!r}", where=f"line {number}")
        present = {name: int(count) for name, count in zip(names, counts, strict=True) if count}
        colour = colours.get(next(iter(present)), "") if len(present) == 1 else ""
        atoms, name = _made_of(present)
        start, end = (_number(path, part, number) for part in parts[1:3])
        windows.append(Window(start, end, atoms, float("nan"), name, colour))
    if len(windows) != ranges:
        raise UnreadableFile(path, f"declares {ranges} ranges and holds {len(windows)}", todo="the file may be truncated")
    extension = [line for _, line in lines[dashes + 1 + ranges:]]
    remarks = ["its polyatomic extension only repeats ranges with other names and is not read"] if extension else []
    return table(path, windows, {"ions": names, "colours": colours, "extension": extension[:1000]}, remarks)


def _made_of(present: Mapping[str, int]) -> tuple[dict[str, int], str]:
    """Atoms of the columns of a .rng range; names that are no elements may be formulae, else only the name is known."""
    atoms: dict[str, int] = {}
    for name, count in present.items():
        parts = {name: 1} if name in ELEMENTS else atoms_of(name)
        if not parts:
            return {}, " ".join(f"{n}:{c}" for n, c in present.items())
        for element, inside in parts.items():
            atoms[element] = atoms.get(element, 0) + inside * count
    return atoms, ""


def _rng_colours(lines: list[tuple[int, str]]) -> dict[str, str]:
    colours = {}
    for _, line in lines:
        parts = line.replace(",", ".").split()
        if len(parts) == 4 and all(re.fullmatch(NUMBER, part) for part in parts[1:]):
            colours[parts[0]] = _hex(*map(float, parts[1:]))
    return colours


def _hex(*parts: float) -> str:
    return "".join(f"{round(255 * min(max(part, 0.0), 1.0)):02X}" for part in parts)


def read_env(path: Path) -> tuple[Signal, ...]:
    """Ranges of an environment file; raises UnreadableFile naming the line."""
    lines = [(n, line.split("#")[0].split()) for n, line in enumerate(_text(path).splitlines(), 1)]
    lines = [(n, parts) for n, parts in lines if parts and not parts[0].lower().startswith("rev_")]
    if not lines or len(lines[0][1]) != 2 or not all(part.isdigit() for part in lines[0][1]):
        raise UnreadableFile(path, "does not begin with its numbers of elements and ranges")
    elements, ranges = int(lines[0][1][0]), int(lines[0][1][1])
    if elements + ranges > len(lines) - 1:
        raise UnreadableFile(path, f"declares {elements} elements and {ranges} ranges and holds {len(lines) - 1} lines",
                             todo="the file may be truncated")
    colours = _rng_colours([(n, " ".join(parts)) for n, parts in lines[1:1 + elements]])
    listed = {parts[0] for _, parts in lines[1:1 + elements]}
    strange = sorted({parts[0] for _, parts in lines[1 + elements:1 + elements + ranges]} - listed)
    remarks = [f"ranges of {', '.join(strange[:5])}, which the list of elements lacks: a name is damaged"] if strange else []
    windows = []
    for number, parts in lines[1 + elements:1 + elements + ranges]:
        if len(parts) != 5:
            raise UnreadableFile(path, f"expected a name and four numbers, found {' '.join(parts)[:60]!r}",
                                 where=f"line {number}")
        start, end, volume, _ = (_number(path, part, number) for part in parts[1:])
        atoms = atoms_of(parts[0])
        windows.append(Window(start, end, atoms, volume * 1e-3, "" if atoms else parts[0], colours.get(parts[0], "")))
    rest = [" ".join(parts) for _, parts in lines[1 + elements + ranges:]]
    return table(path, windows, {"colours": colours, "other_settings": rest[:1000]}, remarks)


def read_analysisset(path: Path) -> tuple[Signal, ...]:
    """Ranges of the top-level region of an IVAS analysis set; raises UnreadableFile where the XML is damaged."""
    found: list[Window] = []
    try:
        outer = _xml(_text(path))
        for content in outer.iter("Content"):
            if not (content.text or "").strip():
                continue
            inner = _xml(content.text or "")
            ions, ranges = inner.find("Ions"), inner.find("RangesPerIon")
            if ions is not None and ranges is not None:
                found = _ivas_windows(path, list(ions), list(ranges))
                break
    except ElementTree.ParseError as error:
        raise UnreadableFile(path, f"is damaged XML: {error}") from error
    return table(path, found, {"name_of_set": outer.findtext("Name", "")}, [])


def _ivas_windows(path: Path, ions: list[ElementTree.Element], ranges: list[ElementTree.Element]) -> list[Window]:
    if len(ions) != len(ranges):
        raise UnreadableFile(path, f"names {len(ions)} ions and gives ranges of {len(ranges)}")
    windows = []
    for ion, entries in zip(ions, ranges, strict=True):
        atoms: dict[str, int] = {}
        for element in ion.iterfind("Formula/Element"):
            count = element.findtext("Count", "1")
            atoms[element.findtext("Name", "?")] = int(count) if count.isdigit() else 1
        parts = [ion.findtext(f"Color/{part}", "") for part in "RGB"]
        colour = "".join(f"{int(part):02X}" for part in parts) if all(p.isdigit() and int(p) < 256 for p in parts) else ""
        volume = _number(path, ion.findtext("Volume", "nan"), 0)
        name = "" if atoms else ion.findtext("Name", "")
        for entry in entries:
            start, end = (_number(path, entry.findtext(bound, ""), 0) for bound in ("Min", "Max"))
            windows.append(Window(start, end, atoms, volume, name, colour))
    return windows


def _xml(text: str) -> ElementTree.Element:
    """Parse XML that was decoded already; entities that could grow without bound are refused."""
    if "<!ENTITY" in text or "<!DOCTYPE" in text:
        raise ElementTree.ParseError("it defines entities")
    return ElementTree.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))


def _number(path: Path, text: str, line: int) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise UnreadableFile(path, f"expected a number, found {text[:40]!r}", where=f"line {line}" if line else "") from None


def _text(path: Path) -> str:
    raw = path.read_bytes()
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
    return raw.decode("utf-8-sig", errors="replace")


def is_rrng(head: bytes, path: Path) -> bool:
    """Sections [Ions] or [Ranges], or a range line."""
    del path
    if b"\0" in head:
        return False
    text = _start(head)
    section = re.search(r"^\s*\[(Ions|Ranges)\]\s*$", text, re.MULTILINE | re.IGNORECASE)
    entry = re.search(r"^\s*(Ion|Range|Number)\d*\s*=", text, re.MULTILINE | re.IGNORECASE)
    whole = re.search(rf"^\s*Range\d+\s*=\s*{NUMBER}\s+{NUMBER}\s+\S+:", text, re.MULTILINE | re.IGNORECASE)
    return bool((section and entry) or whole)


def is_rng(head: bytes, path: Path) -> bool:
    """Two whole numbers, then names and colours; the line of dashes may stand beyond the first bytes."""
    del path
    if b"\0" in head:
        return False
    lines = [line for line in _start(head).splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) < 3 or not RNG_COUNTS.match(lines[0]):
        return False
    return bool(re.match(rf"\s*\S+\s+{NUMBER}\s+{NUMBER}\s+{NUMBER}\s*$", lines[2])) and len(lines[1].split()) <= 2


def is_env(head: bytes, path: Path) -> bool:
    """The words of the Rouen group, or its revision."""
    del path
    if b"\0" in head:
        return False
    text = _start(head)
    return "Environment file for 3D Atom Probe" in text or (
        re.search(r"^\s*Rev_\d\.\d\s*$", text, re.MULTILINE) is not None and "Alloy definition" in text)


def is_analysisset(head: bytes, path: Path) -> bool:
    """XML of IVAS."""
    del path
    return any("<ExportAnalysisModel".encode(code) in head for code in ("utf-8", "utf-16-le", "utf-16-be"))


def _start(head: bytes) -> str:
    return head.decode("utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", errors="replace")


EXAMPLE = (("Li", 6.9, 7.1), ("O", 15.9, 16.1))


def example_rrng(folder: Path) -> Path:
    """Lithium, oxygen and their oxide."""
    lines = ["[Ions]", "Number=2", "Ion1=Li", "Ion2=O", "[Ranges]", "Number=3",
             *(f"Range{i}={low:.4f} {high:.4f} Vol:0.02 {el}:1 Color:CCCC00" for i, (el, low, high) in enumerate(EXAMPLE, 1)),
             "Range3=22.9000 23.1000 Vol:0.03000 Li:1 O:1 Color:FF0000"]
    path = folder / "example.rrng"
    path.write_text("\r\n".join(lines) + "\r\n", encoding="ascii", newline="")
    return path


def example_rng(folder: Path) -> Path:
    """Lithium and oxygen."""
    lines = ["2 2", *(line for el, *_ in EXAMPLE for line in (el, f"{el} 0.00 0.80 0.80")), "----------------- Li O",
             *(f". {low:.4f} {high:.4f} {int(el == 'Li')} {int(el == 'O')}" for el, low, high in EXAMPLE)]
    path = folder / "example.rng"
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    return path


def example_env(folder: Path) -> Path:
    """Lithium and oxygen."""
    lines = ["# Rev 2.0 : Environment file for 3D Atom Probe", "Rev_2.0", "# Alloy definition", "2 2",
             *(f"{el} 0.0 1.0 0.0" for el, *_ in EXAMPLE),
             *(f"{el} {low:.3f} {high:.3f} 20.000 1.000" for el, low, high in EXAMPLE)]
    path = folder / "example.env"
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    return path


def example_analysisset(folder: Path) -> Path:
    """Lithium and oxygen."""
    ions = "".join(f"<IonTypeInfoRecord><Name>{el}</Name><Formula><Element><Name>{el}</Name><Count>1</Count></Element>"
                   f"</Formula><Volume>0.02</Volume></IonTypeInfoRecord>" for el, *_ in EXAMPLE)
    ranges = "".join(f"<ArrayOfRangeEntry><RangeEntry><Min>{low}</Min><Max>{high}</Max></RangeEntry></ArrayOfRangeEntry>"
                     for _, low, high in EXAMPLE)
    inner = f"<TopLevelRoiNodeContainer><Ions>{ions}</Ions><RangesPerIon>{ranges}</RangesPerIon></TopLevelRoiNodeContainer>"
    escaped = inner.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    path = folder / "example.analysisset"
    path.write_text('<?xml version="1.0" encoding="utf-16"?>\n<ExportAnalysisModel><Name>Top</Name>'
                    f"<Content>{escaped}</Content></ExportAnalysisModel>\n", encoding="utf-8")
    return path


APT_RANGES: tuple[Format, ...] = (
    Format(name="rrng", suffixes=frozenset({".rrng"}), recognises=is_rrng, read=read_rrng, version="1", text=True,
           example=example_rrng),
    Format(name="rng", suffixes=frozenset({".rng"}), recognises=is_rng, read=read_rng, version="1", text=True,
           example=example_rng),
    Format(name="env", suffixes=frozenset({".env"}), recognises=is_env, read=read_env, version="1", text=True,
           example=example_env),
    Format(name="ivas analysisset", suffixes=frozenset({".analysisset"}), recognises=is_analysisset, read=read_analysisset,
           version="1", text=True, example=example_analysisset),
)
