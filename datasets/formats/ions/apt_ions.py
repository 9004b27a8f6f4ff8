"""Atom probe: reconstructed ions (.pos, .epos, .apt).

- .pos: no header; each ion is four big-endian float32: x, y, z in nm, mass-to-charge in Da (Larson et al., Local Electrode
  Atom Probe Tomography, Springer 2013, appendix A; not open here).
- .epos: the same, then time of flight in ns, standing and pulse voltage in V, hit on the detector in mm (float32), pulses since
  the last event and ions in this pulse (int32): 44 bytes an ion, big-endian.
- .apt: Cameca APSuite 6. A header of 540 bytes ("APT", its size, version 2, name, time as a Windows FILETIME, number of ions),
  then sections: a header of 148 bytes or more (name, kind and size of a record, unit, number of records, bytes), the data.
  `Position` has six more float32 in its header, the bounds. Little-endian. Layout as ifes_apt_tc_data_modeling (Apache-2.0)
  documents it; sections that are not one record of fixed size an ion are named in a warning and not read.

A .pos or .epos has no magic number: the suffix says what it may be, and the first ions must look like ions.
Ions are read when they are used; their number is never taken from anything but the size of the file.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.contiguous import lazily
from datasets.formats.signal import Axis, Field, Format, Signal

BLOCK_IONS = 1 << 20
LAZY_ABOVE_IONS = 1 << 20
POS = np.dtype([("x", ">f4"), ("y", ">f4"), ("z", ">f4"), ("mass_to_charge", ">f4")])
EPOS = np.dtype([*((name, POS[name]) for name in POS.names or ()), ("time_of_flight", ">f4"), ("standing_voltage", ">f4"),
                 ("pulse_voltage", ">f4"), ("hit_x", ">f4"), ("hit_y", ">f4"), ("pulses_since_event", ">i4"),
                 ("ions_per_pulse", ">i4")])
UNITS = {"x": "nm", "y": "nm", "z": "nm", "mass_to_charge": "Da", "time_of_flight": "ns", "standing_voltage": "V",
         "pulse_voltage": "V", "hit_x": "mm", "hit_y": "mm"}
FARTHEST_NM, HEAVIEST_DA = 1e5, 1e4
"""What no reconstruction and no mass spectrum reaches: beyond it the bytes are no ions."""

APT_MAGIC = b"APT\0"
APT_HEADER = struct.Struct("<4sii512sQQ")
SECTION = struct.Struct("<4sii64siIIIii32sQQ")
APT_KINDS = {1: "i", 2: "u", 3: "f"}
"""Kind of a record's numbers, as the sections of real files use it."""
APT_NAMES = {"Mass": "mass_to_charge", "tof": "time_of_flight", "Voltage": "standing_voltage", "XDet_mm": "hit_x",
             "YDet_mm": "hit_y", "Multiplicity": "ions_per_pulse", "Delta Pulse": "pulses_since_event", "z": "order"}
"""Sections whose meaning is sure; the others keep their own name."""
APT_UNITS = {"da": "Da", "amu": "Da", "ions": "1"}
FILETIME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Column:
    """One number of each record of a file, in native byte order, read when sliced."""

    path: Path
    offset: int
    stride: int
    stored: np.dtype[Any]
    count: int

    @property
    def shape(self) -> tuple[int]:
        return (self.count,)

    @property
    def ndim(self) -> int:
        return 1

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.stored.newbyteorder("=")

    def __getitem__(self, key: Any) -> NDArray[Any]:
        raw = np.memmap(self.path, np.uint8, "r")
        column: NDArray[Any] = np.ndarray((self.count,), self.stored, raw, self.offset, (self.stride,))
        values: NDArray[Any] = np.asarray(column[key], self.dtype)
        return values

    def blocks(self) -> Iterator[NDArray[Any]]:
        """All values, a million at a time."""
        for start in range(0, self.count, BLOCK_IONS):
            yield self[start:start + BLOCK_IONS]


def columns_of(path: Path, record: np.dtype[Any]) -> dict[str, Column]:
    """The columns of a file that is nothing but records.

    Raises
    ------
    UnreadableFile
        If the file is no whole number of records.
    """
    size = path.stat().st_size
    if size % record.itemsize:
        raise UnreadableFile(path, f"is truncated: {size} bytes are no whole number of ions of {record.itemsize} bytes",
                             todo="copy it again")
    fields: Mapping[str, Any] = record.fields or {}
    return {name: Column(path, fields[name][1], record.itemsize, fields[name][0], size // record.itemsize)
            for name in record.names or ()}


def ion_signal(path: Path, columns: Mapping[str, Column], units: Mapping[str, str], kind: str, *,
               metadata: Mapping[str, Any] | None = None, conditions: Mapping[str, Any] | None = None,
               remarks: tuple[str, ...] = ()) -> Signal:
    """A table with one row per ion; lazy when it is long."""
    count = next(iter(columns.values())).count
    lazy = count > LAZY_ABOVE_IONS
    fields = {name: Field(lazily(column, BLOCK_IONS) if lazy else column[:], units.get(name, ""))
              for name, column in columns.items()}
    return Signal(path.stem, (Axis("ion", np.arange(count, dtype=np.float64)),), fields, path, metadata or {}, conditions or {},
                  kind, (*remarks, *_remarks(columns, lazy=lazy)))


def _remarks(columns: Mapping[str, Column], *, lazy: bool) -> Iterator[str]:
    """What a person must know of the columns before using them; the places of a long run are not looked through for it."""
    tallies = {name: _tally(column) for name, column in columns.items() if not (lazy and name in ("x", "y", "z"))}
    empty = [name for name, (values, zeros, _) in tallies.items() if values == zeros and name not in ("x", "y", "z")]
    if empty:
        yield f"{', '.join(empty)} {'is' if len(empty) == 1 else 'are'} 0 for every ion: the file holds nothing there"
    for name, (_, _, lost) in tallies.items():
        if lost:
            yield f"{name} of {lost} ions is no number: the file may be damaged"
    nothing = tallies.get("mass_to_charge", (0, 0, 0))[1]
    if nothing and "mass_to_charge" not in empty:
        yield f"{nothing} ions have a mass-to-charge of 0: they were detected and have no known mass"


def _tally(column: Column) -> tuple[int, int, int]:
    """How many values a column has, how many are 0, how many are no finite number."""
    zeros = lost = 0
    for block in column.blocks():
        zeros += block.size - int(np.count_nonzero(block))
        if block.dtype.kind == "f":
            with np.errstate(over="ignore", invalid="ignore"):
                total = block.sum(dtype=np.float64)
            if not np.isfinite(total):  # only then is it worth looking at each value
                lost += int(np.count_nonzero(~np.isfinite(block)))
    return column.count, zeros, lost


def read_pos(path: Path) -> tuple[Signal, ...]:
    """Ions of a .pos file; raises UnreadableFile where it ends inside an ion."""
    return (ion_signal(path, columns_of(path, POS), UNITS, "APT"),)


def read_epos(path: Path) -> tuple[Signal, ...]:
    """Ions of an .epos file; raises UnreadableFile where it ends inside an ion."""
    return (ion_signal(path, columns_of(path, EPOS), UNITS, "APT"),)


def read_apt(path: Path) -> tuple[Signal, ...]:
    """Ions of an .apt file with every section that has one record an ion.

    Raises
    ------
    UnreadableFile
        If a section is cut off, declares more than the file holds, or none has a record an ion.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(APT_HEADER.size)
        if len(head) < APT_HEADER.size:
            raise UnreadableFile(path, f"ends after {size} bytes, inside its header")
        _, start, version, name, created, ions = APT_HEADER.unpack(head)
        if start != APT_HEADER.size or not 0 < ions <= size:
            raise UnreadableFile(path, f"has a header of {start} bytes, version {version}, for {ions} ions in {size} bytes")
        columns: dict[str, Column] = {}
        units: dict[str, str] = {}
        remarks: list[str] = []
        while start < size:
            file.seek(start)
            start = _section(path, file.read(SECTION.size), start, ions, columns, units, remarks)
    if not columns:
        raise UnreadableFile(path, "has no section with one record an ion", where="; ".join(remarks))
    metadata = {"header_version": version, "name": _wide(name)}
    if 0 < created < 2**62:
        metadata["created"] = (FILETIME_EPOCH + timedelta(microseconds=created // 10)).isoformat()
    columns = {n: columns[n] for n in sorted(columns, key=lambda n: (n not in ("x", "y", "z", "mass_to_charge"), n))}
    return (ion_signal(path, columns, units, "APT" if {"mass_to_charge", "x"} <= columns.keys() else "APT hits",
                       metadata=metadata, remarks=tuple(remarks)),)


def _section(path: Path, head: bytes, start: int, ions: int, columns: dict[str, Column], units: dict[str, str],
             remarks: list[str]) -> int:
    """Note one section and return where it ends."""
    if len(head) < SECTION.size or head[:3] != b"SEC":
        raise UnreadableFile(path, "expected the start of a section and found other bytes", where=f"byte {start}",
                             todo="the file may be truncated")
    _, header, _, wide, _, relation, record, kind, bits, bytes_, unit, records, length = SECTION.unpack(head)
    name = _wide(wide)
    end = int(start + header + length)
    if header < SECTION.size or end > path.stat().st_size:
        raise UnreadableFile(path, f"section {name!r} declares {length} bytes and the file ends before", where=f"byte {start}",
                             todo="the file is truncated; copy it again")
    dtype = APT_KINDS.get(kind, "") + str(bits // 8)
    per_ion = relation == 1 and record == 1 and records == ions and bytes_ * records == length
    if not per_ion or dtype not in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8") or bytes_ % (bits // 8):
        remarks.append(f"section {name!r} is not read: {records} records of {bytes_} bytes, kind {kind}, for {ions} ions")
        return end
    width = bytes_ // (bits // 8)
    known = APT_NAMES.get(name, name.strip().replace(" ", "_") or "unnamed")
    names = ["x", "y", "z"] if name == "Position" and width == 3 else (
        [known] if width == 1 else [f"{known}_{i}" for i in range(width)])
    for i, column in enumerate(names):
        if column in columns:
            remarks.append(f"section {name!r} stands twice; the first is read")
            break
        columns[column] = Column(path, start + header + i * (bits // 8), bytes_, np.dtype("<" + dtype), ions)
        units[column] = APT_UNITS.get(_wide(unit), _wide(unit)) or UNITS.get(column, "")
    return end


def _wide(text: bytes) -> str:
    return text.decode("utf-16-le", "replace").split("\0")[0]


def _like_ions(head: bytes, path: Path, record: np.dtype[Any]) -> bool:
    """Whether the first ions lie within any needle and any mass spectrum; false for a file shorter than one ion."""
    ions = np.frombuffer(head[:len(head) // record.itemsize * record.itemsize], record)
    if path.suffix.lower() not in (".pos", ".epos") or ions.size == 0 or not head.strip(b"\0"):
        return False
    with np.errstate(invalid="ignore"):
        inside = [np.abs(ions[axis]) < FARTHEST_NM for axis in "xyz"]
        return bool(np.all(inside) and np.all((ions["mass_to_charge"] > -1.0) & (ions["mass_to_charge"] < HEAVIEST_DA)))


def is_pos(head: bytes, path: Path) -> bool:
    """Suffix .pos, and the first ions look like ions."""
    return path.suffix.lower() == ".pos" and _like_ions(head, path, POS)


def is_epos(head: bytes, path: Path) -> bool:
    """Suffix .epos, and the first ions look like ions."""
    return path.suffix.lower() == ".epos" and _like_ions(head, path, EPOS)


def is_apt(head: bytes, path: Path) -> bool:
    """By the signature of APSuite."""
    del path
    return head[:4] == APT_MAGIC


EXAMPLE_IONS = 103


def _example_ions() -> NDArray[Any]:
    """A small needle of lithium and lithium oxide; the number of ions is such that no usual part of it is a whole number."""
    rng = np.random.default_rng(0)
    ions = np.zeros(EXAMPLE_IONS, EPOS)
    for axis, width in (("x", 5.0), ("y", 5.0), ("z", 20.0)):
        ions[axis] = rng.uniform(-width, width if axis != "z" else 0.0, EXAMPLE_IONS)
    ions["mass_to_charge"] = rng.choice([7.016, 23.011], EXAMPLE_IONS) + rng.normal(0, 0.01, EXAMPLE_IONS)
    ions["standing_voltage"], ions["time_of_flight"], ions["ions_per_pulse"] = 5000.0, 600.0, 1
    return ions


def example_pos(folder: Path) -> Path:
    """A hundred ions."""
    path = folder / "example.pos"
    ions = _example_ions()
    table = np.empty(ions.size, POS)
    for name in POS.names or ():
        table[name] = ions[name]
    table.tofile(path)
    return path


def example_epos(folder: Path) -> Path:
    """A hundred ions with what the instrument measured of each."""
    path = folder / "example.epos"
    _example_ions().tofile(path)
    return path


def example_apt(folder: Path) -> Path:
    """A hundred ions in two sections."""
    ions = _example_ions()
    place = np.column_stack([ions[axis] for axis in "xyz"]).astype("<f4")
    bounds = np.column_stack([place.min(axis=0), place.max(axis=0)]).astype("<f4").tobytes()
    path = folder / "example.apt"
    with path.open("wb") as file:
        file.write(APT_HEADER.pack(APT_MAGIC, APT_HEADER.size, 2, "example".encode("utf-16-le"), 133000000000000000, ions.size))
        for name, unit, extra, data in (("Mass", "Da", b"", ions["mass_to_charge"].astype("<f4")),
                                        ("Position", "nm", bounds, place)):
            width = data.nbytes // ions.size
            file.write(SECTION.pack(b"SEC\0", SECTION.size + len(extra), 2, name.encode("utf-16-le"), 1, 1, 1, 3, 32, width,
                                    unit.encode("utf-16-le"), ions.size, data.nbytes) + extra + data.tobytes())
    return path


APT_IONS: tuple[Format, ...] = (
    Format(name="pos", suffixes=frozenset({".pos"}), recognises=is_pos, read=read_pos, version="1", example=example_pos,
           uncounted=True),
    Format(name="epos", suffixes=frozenset({".epos"}), recognises=is_epos, read=read_epos, version="1", example=example_epos,
           uncounted=True),
    Format(name="cameca apt", suffixes=frozenset({".apt"}), recognises=is_apt, read=read_apt, version="1", example=example_apt),
)
