"""SPECS Prodigy experiments (.sle): an SQLite database of spectra, as the program itself saves them, version 4.

No specification; read off a file of Prodigy 4.63 that comes with pynxtools-xps, whose reader says the same of it.

- Configuration: `Schedule` is XML; its elements SpectrumGroup and Spectrum give each node (ID) its name and its settings
  (FixedAnalyzerTransmissionSettings: DwellTime, LensMode; FixedEnergiesSettings where the analyser stands still).
- Spectrum: Node, EnergyChns, NonEnergyChns, Samples, ElectronEnergy (first), EnergyType, Step, EpassOrRR, Wf. Binding energies
  fall by Step, kinetic ones rise.
- RawData: one row for each scan of a node (RawID, ScanDate, Scans, Eexc, WriteIndex). CountRateData: its numbers, f8 in pieces
  by Offset, (sample, channel). Despite their name they are counts, which Prodigy interpolates between channels, so that they
  need not be whole. Samples from WriteIndex on were never measured.
- TransmissionData: f8 for each sample.

Every scan of a node is kept: they lie along `time`, counted from the first. Channels of the detector are kept as they are; what
energies they looked at besides the axis is in a calibration file that the database only names.
"""

import re
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.signal import Axis, Field, Format, Signal

Floats = NDArray[np.float64]

MAGIC = b"SQLite format 3\0"
TABLES = frozenset({"Configuration", "Spectrum", "RawData", "CountRateData"})
COLUMNS = "Node, EnergyChns, NonEnergyChns, Samples, ElectronEnergy, EnergyType, Step, EpassOrRR, Wf"
STRAYS = ("SELECT COUNT(*) FROM RawData WHERE Node NOT IN (SELECT Node FROM Spectrum)",
          "SELECT COUNT(DISTINCT RawID) FROM CountRateData WHERE RawID NOT IN (SELECT RawID FROM RawData)")
DATE = "%Y-%b-%d %H:%M:%S.%f"


def read(path: Path) -> tuple[Signal, ...]:
    """Every spectrum that was measured, all its scans.

    Raises
    ------
    UnreadableFile
        If the database is damaged, or a scan holds another number of counts than its spectrum declares.
    """
    _refuse_truncated(path)
    try:
        with _opened(path) as base:
            names = _schedule(path, base)
            _refuse_inconsistent(path, base)
            rows = base.execute(f"SELECT {COLUMNS} FROM Spectrum ORDER BY Node").fetchall()
            found = [signal for row in rows if (signal := _signal(path, base, row, names)) is not None]
            unmeasured = len(rows) - len(found)
            strays = [count for (count,) in (base.execute(question).fetchone() for question in STRAYS)]
    except sqlite3.Error as error:
        raise UnreadableFile(path, f"is a damaged database: {error}", todo="copy it again") from error
    if not found:
        raise UnreadableFile(path, "holds no measured spectrum" + (f", {unmeasured} are planned" if unmeasured else ""))
    if any(strays):
        said = f"{strays[0]} scans belong to no spectrum and the counts of {strays[1]} to no scan: they are not read"
        found = [replace(signal, warnings=(*signal.warnings, said)) for signal in found]
    return tuple(found)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The database, read-only and without a lock file beside it."""
    base = sqlite3.connect(f"file:{_quoted(path)}?mode=ro&immutable=1", uri=True)
    try:
        yield base
    finally:
        base.close()


def _refuse_truncated(path: Path) -> None:
    """SQLite reads what is left of a file and says nothing of pages that no query touches."""
    with path.open("rb") as file:
        head = file.read(100)
    page, = struct.unpack_from(">H", head, 16)
    changed, pages = struct.unpack_from(">II", head, 24)
    declared = (65536 if page == 1 else page) * pages
    if struct.unpack_from(">I", head, 92)[0] == changed and path.stat().st_size < declared:
        raise UnreadableFile(path, f"is {path.stat().st_size} bytes of {declared}", todo="the file is truncated; copy it again")


def _refuse_inconsistent(path: Path, base: sqlite3.Connection) -> None:
    """A page of another place may pass for the end of a table: its rows are lost, and no query says so."""
    said = base.execute("PRAGMA quick_check(1)").fetchone()[0]
    if said != "ok":
        raise UnreadableFile(path, f"is a damaged database: {' '.join(said.split())[:150]}", todo="copy it again")


def _quoted(path: Path) -> str:
    return str(path.resolve()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _schedule(path: Path, base: sqlite3.Connection) -> dict[int, dict[str, str]]:
    """Node -> name, group and settings of each spectrum."""
    row = base.execute("SELECT Value FROM Configuration WHERE Key = 'Schedule'").fetchone()
    if row is None:
        return {}
    text = row[0].decode("utf-8", "replace") if isinstance(row[0], bytes) else str(row[0])
    try:
        root = ElementTree.fromstring(re.sub(r"^\s*<!DOCTYPE[^>\[]*>", "", text))
    except ElementTree.ParseError as error:
        raise UnreadableFile(path, f"its schedule is no XML: {error}", where="table Configuration") from error
    found: dict[int, dict[str, str]] = {}
    for group in root.iter("SpectrumGroup"):
        for spectrum in group.iter("Spectrum"):
            about = {"name": spectrum.get("Name", ""), "group": group.get("Name", "")}
            for settings in spectrum:
                if settings.tag.startswith("Fixed") and settings.tag.endswith("Settings"):
                    about |= {"mode": settings.tag.removesuffix("Settings"), **settings.attrib}
            if spectrum.get("ID", "").isdigit():
                found[int(spectrum.get("ID", ""))] = about
    return found


def _signal(path: Path, base: sqlite3.Connection, row: tuple[Any, ...], names: dict[int, dict[str, str]]) -> Signal | None:
    node, energy_channels, other_channels, samples, first, kind, step, pass_energy, work = row
    channels = max(int(energy_channels), 1) * max(int(other_channels), 1)
    about = names.get(node, {})
    title = about.get("name") or f"spectrum {node}"
    warnings: list[str] = []
    scans, dates, photons = [], [], set()
    for raw, date, energy, written in base.execute(
            "SELECT RawID, ScanDate, Eexc, WriteIndex FROM RawData WHERE Node = ? ORDER BY RawID", (node,)).fetchall():
        counts = _counts(path, base, raw, int(samples), channels, title)
        if 0 < written < samples:
            counts[written:] = np.nan
            warnings.append(f"a scan was stopped after {written} of {samples} points: the rest is NaN")
        scans.append(counts)
        dates.append(_date(date))
        photons.add(float(energy))
    if not scans:
        return None
    still = about.get("mode") == "FixedEnergies"
    dwell = _number(about.get("DwellTime", ""))
    axis = (Axis("time", dwell * np.arange(samples), "s") if still and dwell > 0 else
            Axis("sample", np.arange(float(samples))) if still else
            Axis("binding energy", first - step * np.arange(samples), "eV") if str(kind).lower() == "binding" else
            Axis("kinetic energy", first + step * np.arange(samples), "eV"))
    data = np.stack(scans)  # (scan, sample, channel)
    axes: list[Axis] = []
    if len(scans) > 1:
        axes.append(_between(dates, still))
    if channels > 1:
        axes.append(Axis("channel", np.arange(float(channels)), "1"))
        warnings.append(f"the {channels} channels of the detector are kept as they are: which energies they looked at beside "
                        "the axis is not in the file")
    axes.append(axis)
    data = np.moveaxis(data, 2, 1).reshape(tuple(a.size for a in axes))
    if np.isfinite(data).any() and not np.array_equal(data, np.rint(data), equal_nan=True):
        warnings.append("counts are interpolated by the program and no whole numbers: Poisson statistics hold only roughly")
    fields = {"intensity": Field(data, "count")}
    if not still and (through := _transmission(base, node, int(samples))) is not None:
        fields["transmission"] = Field(np.broadcast_to(through, data.shape), "1")
    elif not still:
        warnings.append("the file has no transmission of the analyser for each point of this spectrum")
    stated = {"species": title, "photon_energy_eV": photons.pop() if len(photons) == 1 else None,
              "pass_energy_eV": float(pass_energy), "work_function_eV": float(work),
              "dwell_time_s": dwell if dwell > 0 else None, "acquired": dates[0].isoformat() if dates[0] else None}
    return Signal(title, tuple(axes), fields, path, {"node": node, "scans": len(scans), **about},
                  {name: value for name, value in stated.items() if value is not None}, "" if still else "XPS",
                  tuple(dict.fromkeys(warnings)))


def _counts(path: Path, base: sqlite3.Connection, raw: int, samples: int, channels: int, title: str) -> Floats:
    pieces = [row[0] for row in base.execute("SELECT Data FROM CountRateData WHERE RawID = ? ORDER BY Offset", (raw,))]
    held = sum(len(piece) for piece in pieces) // 8
    if held != samples * channels:
        raise UnreadableFile(path, f"scan {raw} declares {samples} points of {channels} channels and holds {held} counts",
                             where=f"spectrum {title!r}", todo="the file may be damaged")
    return np.frombuffer(b"".join(pieces), "<f8").reshape(samples, channels).copy()


def _between(dates: list[datetime | None], still: bool) -> Axis:
    """The time of each scan from the first; their number where the clock does not rise."""
    known = [date for date in dates if date is not None]
    if len(known) == len(dates) and not still:
        seconds = np.array([(date - known[0]).total_seconds() for date in known])
        if (np.diff(seconds) > 0).all():
            return Axis("time", seconds, "s")
    return Axis("spectrum", np.arange(float(len(dates))), "1")


def _transmission(base: sqlite3.Connection, node: int, samples: int) -> Floats | None:
    if base.execute("SELECT 1 FROM sqlite_master WHERE name = 'TransmissionData'").fetchone() is None:
        return None
    rows = base.execute("SELECT Data FROM TransmissionData WHERE Node = ?", (node,)).fetchall()
    values = np.frombuffer(rows[0][0], "<f8") if len(rows) == 1 and len(rows[0][0]) % 8 == 0 else np.empty(0)
    return values if values.size == samples else None


def _date(text: object) -> datetime | None:
    try:
        return datetime.strptime(str(text), DATE)
    except ValueError:
        return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def recognises(head: bytes, path: Path) -> bool:
    """An SQLite database with the tables of Prodigy 4."""
    if not head.startswith(MAGIC):
        return False
    with _opened(path) as base:
        found = {name for name, in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return found >= TABLES


def example(folder: Path) -> Path:
    """Two scans of 21 points of F 1s."""
    path = folder / "example.sle"
    base = sqlite3.connect(path)
    base.executescript("""
        CREATE TABLE Configuration (Key TEXT, Value TEXT);
        CREATE TABLE Spectrum (Node INTEGER, EnergyChns INTEGER, NonEnergyChns INTEGER, Samples INTEGER, ElectronEnergy FLOAT,
                               EnergyType TEXT, Step FLOAT, EpassOrRR FLOAT, Ubias FLOAT, Udet FLOAT, Wf FLOAT, Timestamp TEXT);
        CREATE TABLE RawData (RawID INTEGER, Node INTEGER, ScanDate TEXT, Scans INTEGER, Eexc FLOAT, Head INTEGER, Tail INTEGER,
                              Trace TEXT, WriteIndex INTEGER);
        CREATE TABLE CountRateData (RawID INTEGER, Offset INTEGER, NextOffset INTEGER, ChunkSize INTEGER, Data BLOB);
        CREATE TABLE TransmissionData (Node INTEGER, Ekin FLOAT, NonEnergyChns INTEGER, Samples INTEGER, Data BLOB);""")
    base.execute("INSERT INTO Configuration VALUES ('Schedule', ?)", (
        '<!DOCTYPE SpecsLabSchedule><Experiment Version="7.0"><Schedule><XPS><SpectrumGroup ID="1" Name="interphase">'
        '<Spectrum ID="2" Name="F1s"><FixedAnalyzerTransmissionSettings DwellTime="0.1" LensMode="LargeArea"/></Spectrum>'
        "</SpectrumGroup></XPS></Schedule></Experiment>",))
    base.execute("INSERT INTO Spectrum VALUES (2, 1, 1, 21, 690.0, 'Binding', 0.5, 20.0, 400.0, 1550.0, 4.2, '')")
    counts = np.rint(100 + 900 * np.exp(-((690.0 - 0.5 * np.arange(21) - 685.0) / 0.8) ** 2))
    for raw, second in ((1, 10), (2, 40)):
        base.execute("INSERT INTO RawData VALUES (?, 2, ?, 1, 1486.61, 0, 0, '', 21)",
                     (raw, f"2020-Aug-27 08:34:{second}.000000"))
        for offset, part in ((12, counts[12:]), (0, counts[:12])):
            base.execute("INSERT INTO CountRateData VALUES (?, ?, 0, 0, ?)", (raw, offset, (raw * part).tobytes()))
    base.execute("INSERT INTO TransmissionData VALUES (2, 0.0, 1, 21, ?)", (np.linspace(30.0, 29.0, 21).tobytes(),))
    base.commit()
    base.close()
    return path


SPECS_SLE = Format(name="specs sle", suffixes=frozenset({".sle"}), recognises=recognises, read=read, version="1",
                   example=example)
