"""B&W Tek Raman spectrometers' text files (.txt): one row for each pixel of the camera.

No specification; read off files of BWSpec and BWRam 4.11. Lines "name;value" until one that begins "Pixel;" and names the
columns. Pixels outside the calibrated range have empty cells for wavelength and shift. Decimal signs follow the language of
the computer. `Dark Subtracted` is Raw data less Dark; they are averages over the acquisitions, so no whole numbers, and stay in
the camera's own units. Dark, raw data and reference come beside.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.signal import Axis, Field, Format, Signal

MAGIC = b"File Version;BW"
COLUMNS = "Pixel;"
SHIFT, NET = "Raman Shift", "Dark Subtracted"
DERIVED = ("Pixel", "Wavenumber", "%TR", "Absorbance", "Irradiance (lumen)")
"""Columns of the program that follow from others, and are left out."""
BESIDE = {"Raw data": "raw_intensity", "Dark": "dark_intensity", "Reference": "reference_intensity"}


def read(path: Path) -> tuple[Signal, ...]:
    """The spectrum over the pixels that have a Raman shift.

    Raises
    ------
    UnreadableFile
        Naming the line that has another number of columns, or what is missing.
    """
    lines = path.read_text(encoding="latin-1").splitlines()
    header = next((i for i, line in enumerate(lines) if line.startswith(COLUMNS)), None)
    if header is None:
        raise UnreadableFile(path, "names no columns", todo="the file may be truncated")
    about = {key.strip(): value.strip() for key, mark, value in (line.partition(";") for line in lines[:header]) if mark}
    names = [name.strip() for name in lines[header].split(";")]
    wanted = {word: next((i for i, name in enumerate(names) if name.split(" #")[0] == word), None)
              for word in (SHIFT, NET, *BESIDE, "Wavelength")}
    if wanted[SHIFT] is None or wanted[NET] is None:
        raise UnreadableFile(path, f"has no column {SHIFT if wanted[SHIFT] is None else NET!r}", where=f"line {header + 1}")
    others = [name for name in names if name and name.split(" #")[0] not in (*wanted, *DERIVED)]
    rows = [_row(path, number, line, len(names)) for number, line in enumerate(lines[header + 1:], header + 2) if line.strip()]
    table = np.array(rows, dtype=np.float64)
    expected = about.get("pixel_num", "")
    warnings = [f"the file declares {expected} pixels and holds {len(rows)}: it may be truncated"] if (
        expected.isdigit() and int(expected) != len(rows)) else []
    warnings += [f"columns {', '.join(others)} are not known and left out"] if others else []
    kept = np.isfinite(table[:, wanted[SHIFT]]) if rows else np.zeros(0, bool)
    if not kept.any():
        raise UnreadableFile(path, "has no pixel with a Raman shift", where=f"from line {header + 2} on")
    if (left := int((~kept).sum())):
        warnings.append(f"{left} pixels outside the calibrated range are left out")
    fields = {"intensity": Field(table[kept, wanted[NET]], "arbitrary")}
    fields |= {name: Field(table[kept, at], "arbitrary") for word, name in BESIDE.items() if (at := wanted[word]) is not None}
    also = {"wavelength": (table[kept, wanted["Wavelength"]], "nm")} if wanted["Wavelength"] is not None else {}
    axis = Axis("raman shift", table[kept, wanted[SHIFT]], "1/cm", also)
    return (Signal(path.stem, (axis,), fields, path, about, _conditions(about), "Raman", tuple(warnings)),)


def _row(path: Path, number: int, line: str, count: int) -> list[float]:
    cells = [cell.strip() for cell in line.split(";")]
    try:
        if len(cells) == count:
            return [float(cell.replace(",", ".")) if cell else float("nan") for cell in cells]
    except ValueError:
        pass
    raise UnreadableFile(path, f"expected {count} columns, found {line[:50]!r}", where=f"line {number}",
                         todo="the file may be truncated")


def _conditions(about: dict[str, str]) -> dict[str, Any]:
    try:
        return {"acquired": datetime.strptime(about.get("Date", ""), "%Y-%m-%d %H:%M:%S").isoformat()}
    except ValueError:
        return {}


def recognises(head: bytes, path: Path) -> bool:
    """By the version of the program in the first line."""
    del path
    return head.startswith(MAGIC)


def example(folder: Path) -> Path:
    """Twelve pixels, the first two of them not calibrated, decimal commas."""
    rows = [f"{i};{'' if i < 2 else f'{800 + i},50'};{'' if i < 2 else f'{1000 + 2 * i},25'};10,5;{20 + i},5;{10 + i},0;"
            for i in range(12)]
    head = ["File Version;BWSpec4.11_1", "Date;2023-04-11 16:58:57", "pixel_num;12", "laser_wavelength;784,9",
            "Pixel;Wavelength;Raman Shift;Dark;Raw data #1;Dark Subtracted #1;"]
    path = folder / "example.txt"
    path.write_text("\n".join([*head, *rows, ""]), encoding="ascii")
    return path


BWTEK = Format(name="bwtek text", suffixes=frozenset({".txt"}), recognises=recognises, read=read, version="1", text=True,
               example=example, uncounted=True)
