"""Photoelectron spectra in columns of text: exports of CasaXPS (tabs or commas) and plain tables of energy and intensity.

No specification; read off exports of CasaXPS 2.3 and off tables that people made. What is understood:

- CasaXPS "rows of tables": for each block "Cycle n:sample:region", "Characteristic Energy eV  hv  Acquisition Time s  t",
  lines Name, Position, FWHM, Area and Lineshape over the columns of the components, then K.E., Counts, components, Background,
  Envelope, and once more as B.E., CPS, ... per second. The second set is the first divided by t and only its energies and CPS
  are kept.
- CasaXPS by columns: the line "Characteristic Energy" and one of column names BE_x (or KE_x), CPS_x (or Counts_x), one for each
  component, Background_x, Envelope_x, where x is the region; several regions may stand side by side.
- CasaXPS' table of results (Name, Position, FWHM, Raw Area, ...): one position per component.
- Tables whose first column's name is one of binding or kinetic energy ("BE/eV", "E_kin", "Binding Energy (eV)", "B.E."),
  with or without a comment sign, with the energy of the photons ("hv=180eV") if it is there.

Components and envelope of CasaXPS lie on the background. Binding energies are as exported: whoever calibrated the energy scale
in CasaXPS has moved them, and the file does not say so; kinetic energy stands beside them where the file has it.
"""

import re
from dataclasses import dataclass, field
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.last_line import cut_within
from datasets.formats.photoelectrons.counting import counts_behind
from datasets.formats.signal import Axis, Field, Format, Signal

Floats = NDArray[np.float64]

BINDING = re.compile(r"\s*#?\s*(b\.?\s*e\.?\b|be[_/ (]|be$|e_?b\b|binding)", re.IGNORECASE)
KINETIC = re.compile(r"\s*#?\s*(k\.?\s*e\.?\b|ke[_/ (]|ke$|e_?kin|kinetic)", re.IGNORECASE)
PHOTONS = re.compile(r"\bh(?:v|nu|ν)\s*=\s*(\d+(?:\.\d+)?)\s*eV", re.IGNORECASE)
CHARACTERISTIC = "Characteristic Energy eV"
HEADS = ("Name", "Position", "FWHM", "Area", "Lineshape")
RESULTS = {"Raw Area": ("area", "arbitrary"), "Position": ("line_position", "eV"), "FWHM": ("line_width", "eV"),
           "Area/(RSF*T*MFP)": ("normalised_area", "arbitrary"), "%At Conc": ("atomic_share", "percent")}


@dataclass
class _Table:
    """Columns under their names, and what the lines above them say."""

    line: int
    names: list[str]
    rows: list[list[float]] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)
    title: str = ""
    remarks: list[str] = field(default_factory=list)

    def column(self, index: int) -> Floats:
        return np.array([row[index] for row in self.rows])


def read(path: Path) -> tuple[Signal, ...]:
    """Every table of a file; several regions side by side become several signals.

    Raises
    ------
    UnreadableFile
        Naming the line and what is wrong there.
    """
    text = path.read_bytes().decode("utf-8-sig", errors="replace")
    lines = text.splitlines()
    separator = _separator(lines)
    if header := next((i for i, line in enumerate(lines) if _is_results(line)), None):
        return (_results(path, lines, header),)
    tables = _tables(path, lines, separator)
    for table in tables[-1:]:
        table.remarks += cut_within(text)
    found = [signal for table in tables for signal in _signals(path, table)]
    if not found:
        raise UnreadableFile(path, "holds no column of energies")
    return tuple(found)


def _separator(lines: list[str]) -> str:
    """What parts the columns: whatever the first line with numbers has."""
    numbers = next((line for line in lines if re.match(r"[\s,;]*[-+]?\d", line) and re.search(r"\d[\s,;]+[-+.\d]", line)), "")
    return next((mark for mark in ("\t", ";", ",") if mark in numbers), "")


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip() for cell in (line.split(separator) if separator else line.split())]


def _numbers(cells: list[str]) -> list[float] | None:
    """The cells as numbers, NaN where empty; None if one is a word."""
    try:
        numbers = [float(cell) if cell else float("nan") for cell in cells]
    except ValueError:
        return None
    return numbers if any(np.isfinite(numbers)) else None


def _tables(path: Path, lines: list[str], separator: str) -> list[_Table]:
    tables: list[_Table] = []
    notes: dict[str, list[str]] = {}
    title, waiting = "", True
    names: list[str] = []
    loose = 0
    for number, line in enumerate(lines, 1):
        cells = _cells(line, separator)
        values = _numbers(cells)
        if values is None:
            if any(cells):
                if not _opens(line, cells) and (not waiting or (names and _was_row(cells))):
                    raise UnreadableFile(path, f"expected numbers, found {line[:40]!r}", where=f"line {number}")
                waiting = True
                if line.startswith("Cycle "):
                    title, notes, names = line.split(":")[-1].strip(), {}, []
                elif CHARACTERISTIC in line:
                    notes |= {name: [value] for name, value in pairwise(cells) if not _is_number(name)}
                elif any(BINDING.match(cell) or KINETIC.match(cell) for cell in cells):
                    names = cells
                else:
                    notes[cells[0]] = cells[1:]
            notes |= {"hv": [match[1]]} if (match := PHOTONS.search(line)) else {}
            continue
        if not names:
            loose += 1
            continue
        if waiting:
            # a title may hold more commas than there are columns
            tables.append(_Table(number, names[:len(cells)], [], dict(notes), title))
            waiting = False
        values += [float("nan")] * (len(tables[-1].names) - len(values))
        ended = bool(tables[-1].rows) and np.isnan(values[0]) != np.isnan(tables[-1].rows[0][0])
        if ended or np.isfinite(values[len(names):]).any():
            raise UnreadableFile(path, f"expected numbers in {len(names)} columns, found {line[:40]!r}",
                                 where=f"line {number}", todo="the file may be truncated")
        tables[-1].rows.append(values)
    if loose and tables:
        tables[0].remarks.append(f"{loose} rows of numbers above the first column names are left out")
    return tables


def _opens(line: str, cells: list[str]) -> bool:
    """Whether a line of words under numbers begins another table, and is no damaged row of the one above."""
    return line.startswith("Cycle ") or CHARACTERISTIC in line or cells[0] in HEADS or any(
        BINDING.match(cell) or KINETIC.match(cell) for cell in cells)


def _was_row(cells: list[str]) -> bool:
    """Whether a line with a word in it is otherwise a row."""
    return 2 * sum(map(_is_number, cells)) > len(cells)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?", text) is not None


def _signals(path: Path, table: _Table) -> list[Signal]:
    energies = [i for i, name in enumerate(table.names) if BINDING.match(name) or KINETIC.match(name)]
    rows_of_tables = any(name.upper().startswith("K.E") for name in table.names) and len(energies) == 2
    if rows_of_tables:
        return [_signal(path, table, energies[1], range(energies[0] + 1, energies[1]), beside=energies[0])]
    if left := [name for name in table.names[:energies[0] if energies else 0] if name]:
        table.remarks.append(f"columns {', '.join(left)} stand before the first energy and are left out")
    ends = [*energies[1:], len(table.names)]
    return [_signal(path, table, at, range(at + 1, end)) for at, end in zip(energies, ends, strict=True)]


def _signal(path: Path, table: _Table, at: int, columns: range, beside: int | None = None) -> Signal:
    energy = table.column(at)
    kept = np.isfinite(energy)  # regions side by side end at different rows
    energy = energy[kept]
    used = [i for i in columns if table.names[i]]
    if energy.size < 2 or not used:
        raise UnreadableFile(path, f"{table.names[at]!r} has no spectrum beside it", where=f"line {table.line}")
    values = {i: table.column(i)[kept] for i in used}
    if any(np.isfinite(table.column(i)[~kept]).any() for i in used):
        raise UnreadableFile(path, f"rows have intensities without an energy under {table.names[at]!r}",
                             where=f"from line {table.line} on", todo="the file may be damaged")
    if any(np.isnan(v).any() for v in values.values()):
        raise UnreadableFile(path, f"numbers are missing under {table.names[used[0]]!r}", where=f"from line {table.line} on",
                             todo="the file may be truncated")
    region = re.sub(r"^\s*#?\s*(BE|KE|B\.E\.|K\.E\.)_", "", table.names[at]) if "_" in table.names[at] else ""
    title = region.strip() if region and not KINETIC.match(region) else table.title
    binding = BINDING.match(table.names[at]) is not None
    also = {} if beside is None else {"kinetic_energy": (table.column(beside)[kept], "eV")}
    axis = Axis("binding energy" if binding else "kinetic energy", energy, "eV", also)
    live = _first(table.notes, "Acquisition Time s")
    first, *rest = used
    warnings = list(table.remarks)
    fields = _intensity(table.names[first], values[first], live, warnings)
    if beside is not None:
        rate = table.names.index("CPS", at) if "CPS" in table.names[at:] else None
        fields |= {"count_rate": Field(table.column(rate)[kept], "count/s")} if rate else {}
    unit = "count/s" if "count_rate" in fields and beside is None else fields["intensity"].units
    components = []
    for i in rest:
        word = table.names[i].removesuffix(region).strip("_ ").lower()
        if word in ("background", "envelope", "residuals"):
            fields[word] = Field(values[i], unit)
        else:
            components.append(i)
            fields[f"component_{len(components)}"] = Field(values[i], unit)
    metadata: dict[str, Any] = {"columns": [n for n in table.names if n], **{k: v for k, v in table.notes.items() if k}}
    if components:
        metadata["components"] = [_component(table, i) for i in components]
    return Signal(title or _title(path, table, first), (axis,), fields, path, metadata,
                  _conditions(table, title or region, live), "XPS", tuple(warnings))


def _title(path: Path, table: _Table, first: int) -> str:
    name = table.names[first].split(",")[0]
    return name if name.lower() not in ("counts", "cps", "intensity", "y") and " measured" not in name else path.stem


def _intensity(name: str, values: Floats, live: float | None, warnings: list[str]) -> dict[str, Field]:
    words = name.lower()
    if "cps" in words or "counts/s" in words or "c/s" in words:
        fields, how = counts_behind(values, live or float("nan"))
        warnings.append(how)
        return fields
    if "counts" in words:
        if not np.array_equal(values, np.rint(values)):
            warnings.append("counts are not whole numbers: summed, corrected or scaled before they were saved, so Poisson "
                            "statistics hold only roughly")
        return {"intensity": Field(values, "count")}
    warnings.append("the file does not say whether intensities are counts or counts/s: Poisson statistics are not to be had")
    return {"intensity": Field(values, "arbitrary")}


def _component(table: _Table, index: int) -> dict[str, Any]:
    found: dict[str, Any] = {"column": table.names[index]}
    for word, name in (("Name", "name"), ("Position", "position_eV"), ("FWHM", "width_eV"), ("Area", "area"),
                       ("Lineshape", "line_shape")):
        cells = table.notes.get(word, [])
        if index - 1 < len(cells) and cells[index - 1]:
            text = cells[index - 1]
            found[name] = float(text) if _is_number(text) else text
    return found


def _first(notes: dict[str, list[str]], key: str) -> float | None:
    text = notes.get(key, [""])[0]
    return float(text) if _is_number(text) and float(text) > 0 else None


def _conditions(table: _Table, species: str, live: float | None) -> dict[str, Any]:
    energy = _first(table.notes, CHARACTERISTIC) or _first(table.notes, "hv")
    stated = {"species": species or None, "photon_energy_eV": energy, "dwell_time_s": live}
    return {name: value for name, value in stated.items() if value is not None}


def _is_results(line: str) -> bool:
    cells = [cell.strip() for cell in line.split("\t")]
    return cells[0] == "Name" and "Position" in cells and "Raw Area" in cells


def _results(path: Path, lines: list[str], header: int) -> Signal:
    """CasaXPS' quantification, one position for each component."""
    names = [cell.strip() for cell in lines[header].split("\t")]
    rows = []
    for number, line in enumerate(lines[header + 1:], header + 2):
        cells = [cell.strip() for cell in line.split("\t")]
        if not cells[0]:
            break
        if len(cells) < max(names.index(n) for n in RESULTS if n in names) + 1:
            raise UnreadableFile(path, f"expected {len(names)} columns, found {len(cells)}", where=f"line {number}",
                                 todo="the file may be truncated")
        if any(cells[len(names):]):
            raise UnreadableFile(path, f"a row has {len(cells)} cells under {len(names)} names", where=f"line {number}",
                                 todo="the file may be damaged")
        rows.append(cells)
    if not rows:
        raise UnreadableFile(path, "lists no component", where=f"line {header + 1}")
    fields = {}
    missing = [column for column in RESULTS if column not in names]
    remarks = [f"the table has no column {', '.join(missing)}; found {', '.join(names)}"] if missing else []
    following = lines[header + 1 + len(rows):]
    if astray := sum(_is_component(line) for line in takewhile(lambda line: not line.startswith("Name\t"), following)):
        remarks.append(f"{astray} rows from the first without a name on are left out")
    for column, (name, unit) in RESULTS.items():
        if column in names:
            texts = [row[names.index(column)] for row in rows]
            fields[name] = Field(np.array([float(t) if _is_number(t) else np.nan for t in texts]), unit)
    axis = Axis("position", np.arange(len(rows), dtype=np.float64), "1")
    metadata = {"names": [row[0] for row in rows], "of": lines[0].strip()}
    return Signal(path.stem, (axis,), fields, path, metadata, {}, "XPS results", tuple(remarks))


def _is_component(line: str) -> bool:
    """Whether a line has a word, its position and its width, as the rows of the table of results."""
    cells = [cell.strip() for cell in line.split("\t")]
    return len(cells) > 3 and _is_number(cells[1]) and _is_number(cells[2])


def recognises(head: bytes, path: Path) -> bool:
    """Words of CasaXPS, or a first line that names an energy above a line of numbers."""
    del path
    if b"\0" in head:
        return False
    lines = [line for line in head.decode("utf-8-sig", errors="replace").splitlines()[:60] if line.strip(" ,\t;")]
    if any(CHARACTERISTIC in line or _is_results(line) for line in lines):
        return True
    if len(lines) < 2 or not (BINDING.match(lines[0]) or KINETIC.match(lines[0])):
        return False
    return any(_numbers(_cells(line, _separator([line]))) is not None and len(re.findall(r"\d[\d.eE+-]*", line)) > 1
               for line in lines[1:4])


def example(folder: Path) -> Path:
    """Two regions side by side, as CasaXPS exports them, of different lengths."""
    long, short = (np.array([a - 0.5 * i for i in range(n)]) for a, n in ((695.0, 41), (295.0, 21)))
    peak = np.rint(200 + 800 * np.exp(-((long - 685.0) / 0.8) ** 2)) / 0.5
    rows = [f"{e:g},{p:g},{p:g},400,{p:g}" + (f",{short[i]:g},100,100,100" if i < short.size else ",,,,")
            for i, (e, p) in enumerate(zip(long, peak, strict=True))]
    head = [",,,,,,,,", f"{CHARACTERISTIC},1486.6,Acquisition Time s,0.5,,,,,",
            "BE_F 1s 1,CPS_F 1s 1,F 1s_1_F 1s 1,Background_F 1s 1,Envelope_F 1s 1,BE_C 1s 2,CPS_C 1s 2,Background_C 1s 2,"
            "Envelope_C 1s 2"]
    path = folder / "example.csv"
    path.write_text("\n".join([*head, *rows, ""]), encoding="ascii")
    return path


XPS_COLUMNS = Format(name="xps columns", suffixes=frozenset({".csv", ".txt", ".dat"}), recognises=recognises, read=read,
                     version="1", text=True, example=example, uncounted=True)
