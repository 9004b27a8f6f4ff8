"""Atom probe before the reconstruction: hits on the detector (pyccapt .h5, APyT .raw).

- pyccapt (Erlangen, HDF5): `dld` has one row per hit (t, x, y, start_counter, voltages), `oxcart` or `apt` one per second of
  the run, `tdc` what the clock card gave, `time` the hour. Older files hold t, x and y as whole numbers of the card's own unit,
  later ones as ns and cm; only floating-point numbers are taken as such. After its calibration pyccapt stores a pandas table
  `df`, whose columns carry their units in their names: "x (nm)", "mc_c (Da)". Ranges are such a table too, with `mc_low` and
  `mc_up`; what ion each is of stands in Python objects, which are not opened.
- APyT (Stuttgart, .raw): 32 bytes a hit, little-endian: base, pulse and reflectron voltage in V, hit in mm, time of flight in
  ns (float32), epoch (int32), number of the pulse (uint32). No magic number: the suffix says what it may be, and the first
  hits must look like hits. Layout as documented by apyt (AGPL-3.0) in its module io.conv.
"""

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.hdf5_layout import told_by_groups
from datasets.formats.ions.apt_ions import UNITS, columns_of, ion_signal
from datasets.formats.ions.apt_ranges import Window
from datasets.formats.ions.apt_ranges import table as range_table
from datasets.formats.signal import Axis, Field, Format, Signal

APYT = np.dtype([("standing_voltage", "<f4"), ("pulse_voltage", "<f4"), ("reflectron_voltage", "<f4"), ("hit_x", "<f4"),
                 ("hit_y", "<f4"), ("time_of_flight", "<f4"), ("epoch", "<i4"), ("pulse", "<u4")])
APYT_UNITS = {**UNITS, "reflectron_voltage": "V", "epoch": "s", "pulse": "1"}
HIGHEST_V, FARTHEST_MM, LONGEST_NS = 1e5, 1e3, 1e7
DLD_NAMES = {"t": "time_of_flight", "x": "hit_x", "y": "hit_y", "high_voltage": "standing_voltage"}
DLD_FLOAT_UNITS = {"time_of_flight": "ns", "hit_x": "cm", "hit_y": "cm"}
FRAME_NAMES = {"x": "x", "y": "y", "z": "z", "mc_c": "mass_to_charge", "mc": "mass_to_charge_uncalibrated",
               "high_voltage": "standing_voltage", "pulse": "pulse_voltage", "t": "time_of_flight", "x_det": "hit_x",
               "y_det": "hit_y"}
LOGS = ("oxcart", "apt", "tdc", "time")
LOG_NAMES = {"temperature": "stage_temperature", "high_voltage": "standing_voltage"}
"""The file states no unit: a name that has one here would lend it one."""
FRAME_ORDER = ("mass_to_charge", "x", "y", "z", "time_of_flight", "hit_x", "hit_y")


def read_raw(path: Path) -> tuple[Signal, ...]:
    """Hits of an APyT file; raises UnreadableFile where it ends inside a hit."""
    columns = columns_of(path, APYT)
    columns = {name: columns[name] for name in sorted(columns, key=lambda n: n != "time_of_flight")}
    return (ion_signal(path, columns, APYT_UNITS, "APT hits"),)


def read_pyccapt(path: Path) -> tuple[Signal, ...]:
    """Hits and the log of a run, or the calibrated ions.

    Raises
    ------
    UnreadableFile
        If there are no hits, or the table is empty.
    """
    with h5py.File(path, "r") as file:
        if "df" in file:
            return _frame(path, file["df"])
        left = [name for name, item in file.items() if isinstance(item, h5py.Group) and name not in (*LOGS, "dld")]
        logs = [_log(path, name, file[name]) for name in LOGS if isinstance(file.get(name), h5py.Group)]
        return (_hits(path, file["dld"], left), *(log for log in logs if log is not None))


def _columns(path: Path, group: h5py.Group, first: str = "") -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Columns as long as the first, or as most are; the others are named."""
    columns = {str(name): item[()] for name, item in group.items()
               if isinstance(item, h5py.Dataset) and item.ndim == 1 and item.dtype.kind in "iuf" and _held(path, item)}
    sizes = [column.size for column in columns.values()]
    size = columns[first].size if first in columns else max(sizes, key=sizes.count, default=0)
    other = [f"{name} ({column.size})" for name, column in columns.items() if column.size != size]
    remarks = [f"{', '.join(other)} of {group.name} have not {size} rows and are not read"] if other else []
    return {name: column for name, column in columns.items() if column.size == size}, remarks


def _held(path: Path, item: h5py.Dataset) -> bool:
    if item.nbytes > 1024 * max(path.stat().st_size, 1):
        raise UnreadableFile(path, f"{item.name} declares {item.nbytes} bytes, more than the file can hold")
    return True


def _hits(path: Path, group: h5py.Group, left: list[str]) -> Signal:
    stored, remarks = _columns(path, group, "t")
    remarks += [f"{', '.join(left)} of the file are not read"] if left else []
    columns = {DLD_NAMES.get(name, name): column for name, column in stored.items()}
    if not columns.get("time_of_flight", np.empty(0)).size:
        raise UnreadableFile(path, "holds no hits", where=str(group.name))
    units = {"standing_voltage": "V", "pulse_voltage": "V"}
    for name, unit in DLD_FLOAT_UNITS.items():
        if name in columns and columns[name].dtype.kind == "f":
            units[name] = unit
        elif name in columns:
            remarks.append(f"{name} is in whole numbers of the clock card, whose unit the file does not state")
    remarks += [f"{name} is 0 for every hit: the file holds nothing there" for name, c in columns.items() if not c.any()]
    order = sorted(columns, key=lambda n: FRAME_ORDER.index(n) if n in FRAME_ORDER else len(FRAME_ORDER))
    return _table(path, {n: Field(columns[n], units.get(n, "")) for n in order}, "APT hits", remarks)


def _frame(path: Path, group: h5py.Group) -> tuple[Signal, ...]:
    """A pandas table in its fixed format, ions or ranges: blocks of columns of one type; pickled text is not opened."""
    fields: dict[str, Field] = {}
    remarks = []
    blocks = sorted(str(name).removesuffix("_items") for name in group if str(name).endswith("_items"))
    for block in blocks:
        values = group[f"{block}_values"]
        if values.dtype.kind not in "iuf" or values.ndim != 2:
            remarks.append(f"columns of {block} hold Python objects and are not read")
            continue
        _held(path, values)
        table = values[()]
        for i, raw in enumerate(group[f"{block}_items"][()]):
            text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
            match = re.fullmatch(r"\s*(.*?)\s*(?:\((.*)\))?\s*", text)
            name, unit = (match[1], match[2] or "") if match else (text, "")
            fields[FRAME_NAMES.get(name, name.replace(" ", "_"))] = Field(table[:, i], unit)
    if not fields:
        raise UnreadableFile(path, "the table holds no numbers", where="df")
    if {"mc_low", "mc_up"} <= fields.keys():
        bounds = zip(fields["mc_low"].data.tolist(), fields["mc_up"].data.tolist(), strict=True)
        return range_table(path, [Window(float(low), float(high)) for low, high in bounds], {}, remarks)
    order = sorted(fields, key=lambda n: FRAME_ORDER.index(n) if n in FRAME_ORDER else len(FRAME_ORDER))
    kind = "APT" if {"x", "y", "z", "mass_to_charge"} <= fields.keys() else "APT hits"
    return (_table(path, {n: fields[n] for n in order}, kind, remarks),)


def _log(path: Path, name: str, group: h5py.Group) -> Signal | None:
    columns, remarks = _columns(path, group)
    size = max((column.size for column in columns.values()), default=0)
    if size == 0:
        return None
    clock = columns.pop("time_counter", np.arange(size)).astype(np.float64)
    axis = Axis("time", clock, "s") if name in ("oxcart", "apt") and (np.diff(clock) > 0).all() else Axis(
        "position", np.arange(size, dtype=np.float64))
    fields = {LOG_NAMES.get(n, n): Field(c) for n, c in columns.items()}
    return Signal(f"{path.stem} {name}", (axis,), fields, path, {"group": name}, {}, "APT log",
                  tuple(remarks)) if columns else None


def _table(path: Path, fields: dict[str, Field], kind: str, remarks: list[str]) -> Signal:
    size = next(iter(fields.values())).data.size
    return Signal(path.stem, (Axis("ion", np.arange(size, dtype=np.float64)),), fields, path, {}, {}, kind, tuple(remarks))


def is_pyccapt(head: bytes, path: Path) -> bool:
    """HDF5 with a group `dld` of hits, or pandas' table of calibrated ions."""
    def has_hits(file: h5py.File) -> bool:
        if isinstance(file.get("dld"), h5py.Group):
            return "t" in file["dld"]
        names = b" ".join(bytes(item) for block in range(4) if f"df/block{block}_items" in file
                          for item in np.atleast_1d(file[f"df/block{block}_items"][()]).tolist())
        return b"(Da)" in names or b"(nm)" in names or b"mc_low" in names

    return told_by_groups(head, path, has_hits, False)


def is_raw(head: bytes, path: Path) -> bool:
    """Suffix .raw, and the first hits look like hits, their pulses in order."""
    hits = np.frombuffer(head[:len(head) // APYT.itemsize * APYT.itemsize], APYT)
    if path.suffix.lower() != ".raw" or hits.size < 2:
        return False
    with np.errstate(invalid="ignore"):
        plausible = [(hits["standing_voltage"] > 0) & (hits["standing_voltage"] < HIGHEST_V),
                     (hits["pulse_voltage"] >= 0) & (hits["pulse_voltage"] < HIGHEST_V),
                     (np.abs(hits["hit_x"]) < FARTHEST_MM) & (np.abs(hits["hit_y"]) < FARTHEST_MM),
                     (hits["time_of_flight"] > 0) & (hits["time_of_flight"] < LONGEST_NS)]
    return bool(np.all(plausible) and (np.diff(hits["pulse"].astype(np.int64)) >= 0).all())


def example_raw(folder: Path) -> Path:
    """A hundred hits of lithium."""
    hits = np.zeros(103, APYT)
    hits["standing_voltage"], hits["time_of_flight"], hits["epoch"], hits["pulse"] = 5000.0, 270.0, 1, np.arange(103)
    path = folder / "example.raw"
    hits.tofile(path)
    return path


def example_pyccapt(folder: Path) -> Path:
    """A hundred hits of lithium."""
    path = folder / "example.h5"
    with h5py.File(path, "w") as file:
        for name, values in (("t", np.full(100, 270.0)), ("x", np.linspace(-2, 2, 100)), ("y", np.zeros(100)),
                             ("high_voltage", np.full(100, 5000.0))):
            file[f"dld/{name}"] = values
    return path


APT_HITS: tuple[Format, ...] = (
    Format(name="pyccapt", suffixes=frozenset({".h5", ".hdf5"}), recognises=is_pyccapt, read=read_pyccapt, version="1",
           example=example_pyccapt),
    Format(name="apyt raw", suffixes=frozenset({".raw"}), recognises=is_raw, read=read_raw, version="1", example=example_raw,
           uncounted=True),
)
