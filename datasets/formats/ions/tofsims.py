"""ToF-SIMS depth profiles as text (.txt), as IONTOF SurfaceLab exports them.

No vendor document was open; read off an export of a TOF.SIMS 5 and off the virtual specimen's. Lines that begin with "#": the
smoothing, then the ions over their columns, their masses in Da ("N/A" where a column sums several), then the meaning of the
columns: data point, sputter time (s), dose (ions), fluence (ions/cm^2) or whichever of them the person chose, and Intensity for
each ion. Rows of numbers follow, one for each sputter cycle.

How it is read here
- Columns are told by the words of the last head line; there may be fewer of them, and depth in nm if somebody calibrated it.
- Intensities of the ions become one table `intensity` (ion along `channel`, named by the coordinate `mass`), and stay as they
  are: SurfaceLab corrects them for dead time, so they are rates or counts that are not whole. What is whole is counts.
- "inf" and "nan" cells (dead time could not be corrected; the detector was saturated) are NaN, and counted in a warning.
- Two columns may bear the same ion (assigned twice); both are kept.
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.last_line import cut_within
from datasets.formats.signal import Axis, Field, Format, Signal

Floats = NDArray[np.float64]

COLUMNS = {"sputter time": ("sputter_time", {"s": "s", "sec": "s", "min": "min"}),
           "time": ("sputter_time", {"s": "s", "sec": "s", "min": "min"}),
           "dose": ("ion_dose", {"ions": "1"}), "fluence": ("fluence", {"ions/cm^2": "1/cm^2", "ions/cm2": "1/cm^2"}),
           "depth": ("depth", {"nm": "nm", "um": "um", "µm": "um"})}
"""Words of a column -> name beside the level, and units as written and as read."""


def read(path: Path) -> tuple[Signal, ...]:
    """The profile: intensity of every ion at every sputter level.

    Raises
    ------
    UnreadableFile
        Naming the line and what stands there.
    """
    text = path.read_bytes().decode("utf-8", errors="replace")
    lines = text.splitlines()
    head = [line for line in lines if line.startswith("#")]
    meanings = [cell.strip() for cell in head[-1].lstrip("#").split("\t")] if head else []
    ions_from = next((i for i, word in enumerate(meanings) if word.lower().startswith("intensity")), len(meanings))
    if ions_from >= len(meanings):
        raise UnreadableFile(path, "the head names no column of intensities", where=f"line {len(head)}")
    table = _table(path, lines)
    rows = [line.lstrip("#").split("\t") for line in head[1:-1]]
    names, masses = (_over(rows, i, ions_from, len(meanings)) for i in (0, 1))
    count = sum(word.lower().startswith("intensity") for word in meanings[ions_from:])
    if table.shape[1] < ions_from + count:
        raise UnreadableFile(path, f"{table.shape[1]} columns of numbers under {ions_from + count} of the head")
    values = table[:, ions_from:ions_from + count]
    kept = [i for i in range(count) if names[i]] or list(range(count))
    warnings = cut_within(text)
    if len(kept) < count:
        warnings.append(f"{count - len(kept)} columns of intensities have no ion above them and are left out")
    if table.shape[1] > ions_from + count:
        warnings.append(f"{table.shape[1] - ions_from - count} columns of numbers have no meaning above them and are left out")
    broken = ~np.isfinite(values)
    if broken.any():
        struck = [names[i] for i in range(count) if broken[:, i].any()]
        warnings.append(f"{int(broken.sum())} intensities are infinite or no number (the detector was saturated): "
                        f"{', '.join(struck[:6])}")
    values = np.where(broken, np.nan, values)[:, kept]
    if meanings[0].lower().startswith("data point") and not np.array_equal(np.diff(table[:, 0]), np.ones(len(table) - 1)):
        warnings.append("the data points are not numbered without a gap: rows may be missing")
    whole = bool(np.array_equal(values, np.rint(values), equal_nan=True))
    if not whole:
        warnings.append("intensities are not whole numbers (corrected for dead time): Poisson statistics hold only roughly")
    level = Axis("sputter_level", np.arange(len(table), dtype=np.float64), "1", _beside(table, meanings[:ions_from]))
    channel = Axis("channel", np.arange(len(kept), dtype=np.float64), "1",
                   {"mass": (np.array([_mass(masses[i]) for i in kept]), "Da")})
    ions = [names[i] or f"column {i + 1}" for i in kept]
    metadata = {"ions": ions, "head": [line.strip("# \t")[:200] for line in head[:1]]}
    field = Field(np.ascontiguousarray(values), "count" if whole else "arbitrary")
    conditions = {"species": ions, **_conditions(path)}
    return (Signal(path.stem, (level, channel), {"intensity": field}, path, metadata, conditions, "ToF-SIMS", tuple(warnings)),)


def _table(path: Path, lines: list[str]) -> Floats:
    rows: list[list[float]] = []
    for number, line in enumerate(lines, 1):
        if line.startswith("#") or not line.strip():
            continue
        cells = line.rstrip().split("\t")
        try:
            rows.append([float(cell) if cell.strip() else np.nan for cell in cells])
        except ValueError:
            raise UnreadableFile(path, f"expected numbers, found {line[:40]!r}", where=f"line {number}") from None
        if len(rows[-1]) != len(rows[0]):
            raise UnreadableFile(path, f"{len(rows[-1])} columns follow {len(rows[0])}", where=f"line {number}",
                                 todo="the file may be truncated")
    if not rows:
        raise UnreadableFile(path, "holds a head and no numbers", todo="the file may be truncated")
    return np.array(rows)


def _over(rows: list[list[str]], row: int, first: int, last: int) -> list[str]:
    cells = rows[row] if row < len(rows) else []
    return [cells[i].strip() if i < len(cells) else "" for i in range(first, last)]


def _mass(text: str) -> float:
    return float(text) if re.fullmatch(r"\d+(?:\.\d*)?", text) else np.nan


def _beside(table: Floats, meanings: list[str]) -> dict[str, tuple[Floats, str]]:
    found: dict[str, tuple[Floats, str]] = {}
    for i, words in enumerate(meanings):
        match = re.fullmatch(r"(.*?)\s*(?:[(\[](.*)[)\]])?", words.strip().lower())
        known = COLUMNS.get(match[1]) if match else None
        if known is not None and match is not None and np.isfinite(table[:, i]).all():
            name, units = known
            found.setdefault(name, (table[:, i], units.get(match[2] or "", "1")))
    return found


def _conditions(path: Path) -> dict[str, str]:
    """The polarity stands in the name of the file, if anywhere."""
    match = re.search(r"(?<![a-z])(pos|neg)(?![a-z])", path.stem.lower())
    return {"polarity": {"pos": "positive", "neg": "negative"}[match[1]]} if match else {}


def recognises(head: bytes, path: Path) -> bool:
    """Comment lines of which one begins with a data point or sputter time and names intensities; it may be out of sight."""
    if not head.startswith(b"#"):
        return False
    if re.search(rb"^#[^\n]*(?:Sputter Time|Data Point)[^\n]*\tIntensity", head, flags=re.MULTILINE):
        return True
    # three hundred ions fill the first lines
    if not re.match(rb"# ?Profile ", head):
        return False
    try:
        with path.open("rb") as file:
            return b"\tIntensity" in file.read(1 << 20)
    except OSError:
        return False


def example(folder: Path) -> Path:
    """Fluoride over a metal: the one falls while the other rises."""
    time = 2.0 * np.arange(30)
    fluoride = np.rint(5000 / (1 + np.exp((time - 30) / 4))).astype(int)
    metal = np.rint(3000 / (1 + np.exp((30 - time) / 4))).astype(int)
    head = ["# Profile Smoothing is Disabled", "#\t\t\t\tF-\tLi-", "#\t\t\t\t18.9984\t7.0160",
            "#Data Point #\tSputter Time (s)\tDose (ions)\tFluence (ions/cm^2)\tIntensity\tIntensity"]
    rows = [f"{i}\t{t:g}\t{6e9 * (i):g}\t{6e13 * i:g}\t{f}\t{m}"
            for i, (t, f, m) in enumerate(zip(time, fluoride, metal, strict=True), 1)]
    path = folder / "example.txt"
    path.write_text("\n".join([*head, *rows, ""]), encoding="ascii")
    return path


TOFSIMS = Format(name="tof-sims text", suffixes=frozenset({".txt"}), recognises=recognises, read=read, version="1", text=True,
                 example=example, uncounted=True)
