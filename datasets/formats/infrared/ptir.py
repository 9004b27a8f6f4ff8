"""Photothermal Spectroscopy PTIR Studio files (.ptir): HDF5 of O-PTIR and Raman spectra and maps.

There is no published specification beyond USID, on which it is built; read off a file of PTIR Studio 4.3, beside
orange-spectroscopy.

`Measurement_nnn` has attributes (RangeWavenumberStart, -End, -Points; LocationX, -Y in um; IsBackground, IsRaman, ...), USID's
`Position_Values` (um) and `Spectroscopic_Values`, and `Channel_nnn/Raw_Data` (places, wavenumbers) with the attributes Label,
DataSignal and Units. The values are in Units as stored; Scale is for the screen.

How it is read here
- Places that fill a grid become y and x, others positions. Measurements of one place each with the same channel and axis are
  stacked as positions. Backgrounds are signals of their own.
- Wavenumbers are those of RangeWavenumber where it has them. On Raman spectra `Spectroscopic_Values` are nominal and their
  steps 4 % too wide: the lines of paracetamol in the test file (651, 797, 858, 1168, 1237, 1324 1/cm by ASTM E1840, from
  memory) lie on RangeWavenumber less CenterShift (12 1/cm), which is left to a person to apply.
- The last part of DataSignal says what the lock-in gave: R amplitude, THETA phase, X and Y.
- Focus, humidity and temperature of each place stay in the file. Images and height maps are named in a warning.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.hdf5_layout import HDF5_MAGIC, told_by_groups
from datasets.formats.infrared.places import leading_axes
from datasets.formats.signal import Axis, Field, Format, Signal

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Measured:
    """One channel of one measurement."""

    label: str
    signal: str
    unit: str
    wavenumber: Floats
    values: NDArray[Any]
    places: Floats
    raman: bool
    background: bool
    about: dict[str, Any]


def read(path: Path) -> tuple[Signal, ...]:
    """Every channel of every measurement.

    Raises
    ------
    UnreadableFile
        Naming the measurement whose data, places and wavenumbers do not fit each other.
    """
    remarks: list[str] = []
    try:
        with h5py.File(path, "r") as file:
            names = sorted(name for name in file if name.startswith("Measurement"))
            measured = [found for name in names for found in _channels(path, file[name], remarks)]
            left = [name for name in file if name not in names and isinstance(file[name], h5py.Group) and len(file[name])]
    except (OSError, RuntimeError) as error:
        raise UnreadableFile(path, f"its HDF5 container is damaged: {' '.join(str(error).split())[:120]}",
                             todo="the file may be truncated") from error
    if not measured:
        raise UnreadableFile(path, "holds no measurement with data")
    warnings = (*remarks, *([f"{' and '.join(left)} in the file are left out"] if left else []))
    stacks: dict[Any, list[_Measured]] = defaultdict(list)
    for i, found in enumerate(measured):
        alone = i if found.values.shape[0] > 1 else -1
        key = (found.label, found.signal, found.unit, found.raman, found.background, found.wavenumber.tobytes(), alone)
        stacks[key].append(found)
    return tuple(_signal(path, stack, warnings) for stack in stacks.values())


def _channels(path: Path, group: h5py.Group, remarks: list[str]) -> list[_Measured]:
    about = {str(key): _plain(value) for key, value in group.attrs.items()}
    found = []
    channels = sorted(name for name in group if name.startswith("Channel"))
    left = [name for name in group if name not in channels and isinstance(group.get(name), h5py.Group) and len(group[name])]
    if left or not channels:
        remarks.append(f"{group.name} has {', '.join(left) or 'nothing'} beside {len(channels)} channels")
    for name in channels:
        if "Raw_Data" not in group[name]:
            remarks.append(f"{group.name}/{name} has no data")
            continue
        data = group[name]["Raw_Data"]
        size = path.stat().st_size
        if data.ndim != 2 or data.dtype.kind not in "fiu" or data.size == 0 or data.nbytes > 64 * size:
            raise UnreadableFile(path, f"{data.name} is {data.shape} of {data.dtype}, expected places x wavenumbers")
        wavenumber = _wavenumber(path, group, about, data.shape[1])
        places = _places(group, about, data.shape[0])
        attrs = {key: _plain(value) for key, value in group[name].attrs.items()}
        label, signal, unit = (str(attrs.get(key, "")) for key in ("Label", "DataSignal", "Units"))
        found.append(_Measured(label or name, signal, unit, wavenumber, data[()], places, bool(about.get("IsRaman", 0)),
                               bool(about.get("IsBackground", 0)), about))
    return found


def _plain(value: Any) -> Any:
    """An attribute as text or number; arrays of one element are that element."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    array = np.asarray(value)
    if array.size == 1:
        item = array.ravel()[0]
        return item.decode("utf-8", errors="replace") if isinstance(item, bytes) else getattr(item, "item", lambda: item)()
    return array.tolist() if array.dtype.kind in "fiub" and array.size <= 16 else str(value)[:200]


def _wavenumber(path: Path, group: h5py.Group, about: dict[str, Any], points: int) -> Floats:
    first, last = (about.get(f"RangeWavenumber{end}") for end in ("Start", "End"))
    if about.get("RangeWavenumberPoints") == points and isinstance(first, float) and isinstance(last, float):
        return np.linspace(first, last, points)
    stored = group.get("Spectroscopic_Values")
    if stored is not None and stored.size == points:  # never read more than is wanted
        values = np.asarray(stored[()], dtype=np.float64).ravel()
        if np.isfinite(values).all():
            return values
    raise UnreadableFile(path, f"has no wavenumbers for {points} points", where=str(group.name))


def _places(group: h5py.Group, about: dict[str, Any], count: int) -> Floats:
    """(place, 2): x and y in um; NaN where not known."""
    stored = group.get("Position_Values")
    if stored is not None and count > 1 and stored.shape == (count, 2):
        return np.asarray(stored[()], dtype=np.float64)
    where = [about.get(f"Location{axis}") for axis in "XY"]
    return np.tile([float(w) if isinstance(w, float | int) else np.nan for w in where], (count, 1))


def _signal(path: Path, stack: Sequence[_Measured], warnings: tuple[str, ...]) -> Signal:
    first = stack[0]
    values = np.concatenate([m.values for m in stack]).astype(np.float64)
    places = np.concatenate([m.places for m in stack])
    leading, order = leading_axes(places)
    values = values[order].reshape(*(axis.size for axis in leading), first.wavenumber.size)
    axis = Axis("raman shift" if first.raman else "wavenumber", first.wavenumber, "1/cm")
    part = first.signal.rsplit("/", 1)[-1].upper()
    title = f"{first.label}{' background' if first.background else ''}"
    name = "phase_spectrum" if part in ("THETA", "P") else "intensity" if first.raman else "ptir_amplitude"
    unit = first.unit or "arbitrary"
    said = list(warnings)
    if len(stack) == 1 and len(leading) == 1:
        said.append(f"its {len(places)} places fill no grid: they are kept one by one")
    if not np.isfinite(values).all():
        said.append(f"{int((~np.isfinite(values)).sum())} values are no numbers")
    shown = {key: value for key, value in first.about.items() if not isinstance(value, float) or np.isfinite(value)}
    metadata = {"channel": first.label, "data_signal": first.signal, "measurement": shown}
    conditions = {"acquired": when} if (when := _acquired(first.about)) else {}
    return Signal(title, (*leading, axis), {name: Field(values, unit)}, path, metadata, conditions,
                  "Raman" if first.raman else "O-PTIR", tuple(said))


def _acquired(about: dict[str, Any]) -> str:
    for key, form in (("TimeStamp", "%m/%d/%Y %I:%M:%S %p"), ("timestamp", "%Y_%m_%d-%H_%M_%S")):
        try:
            return datetime.strptime(str(about.get(key, "")), form).isoformat()
        except ValueError:
            continue
    return ""


def recognises(head: bytes, path: Path) -> bool:
    """HDF5 that PTIR Studio wrote."""
    def names_the_program(file: h5py.File) -> bool:
        version = file.attrs.get("SoftwareVersion", b"")
        return b"PTIR" in (version if isinstance(version, bytes) else str(version).encode())

    damaged = head.startswith(HDF5_MAGIC) and path.suffix.lower() == ".ptir"
    return told_by_groups(head, path, names_the_program, damaged)


def example(folder: Path) -> Path:
    """A map of 2 x 3 places, written from the upper left, and a spectrum of its own."""
    path = folder / "example.ptir"
    wavenumber = np.linspace(1400.0, 1480.0, 41)
    band = np.exp(-((wavenumber - 1440) / 15) ** 2)
    with h5py.File(path, "w") as file:
        file.attrs["SoftwareVersion"] = np.bytes_(b"PTIR Studio 4.3")
        x, y = (a.ravel() for a in np.meshgrid([0.0, 10.0, 20.0], [10.0, 0.0]))
        for number, places in enumerate((np.stack([x, y], 1), np.array([[5.0, 5.0]]))):
            group = file.create_group(f"Measurement_{number:03d}")
            group.attrs["LocationX"], group.attrs["LocationY"] = np.array([5.0]), np.array([5.0])
            group["Position_Values"], group["Spectroscopic_Values"] = places, wavenumber[None]
            channel = group.create_group("Channel_000")
            channel.attrs["Label"], channel.attrs["DataSignal"] = np.bytes_(b"OPTIR"), np.bytes_(b"//ZI/*/DEMODS/0/R")
            channel.attrs["Units"] = np.bytes_(b"mV")
            channel["Raw_Data"] = ((1 + np.arange(len(places)))[:, None] * band).astype(np.float32)
    return path


PTIR = Format(name="ptir", suffixes=frozenset({".ptir"}), recognises=recognises, read=read, version="1", example=example)
