"""Data Exchange HDF5 of full-field X-ray microscopes (APS and others): stacks over angle or energy, with flats and darks.

Source: De Carlo et al., J. Synchrotron Rad. 21, 1224 (2014), doi 10.1107/S160057751401604X (not open here). The stack
`/exchange/data` (theta or energy, y, x) with `data_white` and `data_dark`; `/exchange/theta` in degrees, `/exchange/energy`;
the attribute `axes` names the dimensions ("theta:y:x"). Sizes, exposure and energy stand under `/measurement`. A stack becomes
one signal, flats and darks one each, since they have other numbers of frames; nothing is normalised. Large stacks are read when
they are used.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.contiguous import lazily
from datasets.formats.hdf5_array import StoredArray, is_numeric, plain
from datasets.formats.hdf5_layout import told_by_groups
from datasets.formats.signal import Axis, Field, Format, Signal
from datasets.formats.xrays.photon_energy import energy_in_name
from datasets.units import compatible, converted, spelled

AT_ONCE_BYTES, CHUNK_BYTES = 16 << 20, 16 << 20
ROLES = {"data": "", "data_white": "flat field", "data_dark": "dark field"}
STACKED = {"theta": ("tilt", "deg"), "angle": ("tilt", "deg"), "energy": ("photon_energy", "eV"), "time": ("time", "s")}
"""Word in `axes`, or name of the dataset -> name of the axis and its unit where the file states none."""
SCALARS = {"sample/name": "sample", "instrument/name": "instrument", "instrument/source/name": "source",
           "instrument/source/beamline": "beamline", "sample/experimenter/name": "experimenter",
           "instrument/comment": "comment"}


def read(path: Path) -> tuple[Signal, ...]:
    """The stack of a file, its flats and its darks.

    Raises
    ------
    UnreadableFile
        If there is no stack or it declares more than the file can hold.
    """
    with h5py.File(path, "r") as file:
        groups = [file[name] for name in file if name.startswith("exchange") and isinstance(file[name], h5py.Group)]
        metadata = _about(file)
        found = [_signal(path, file, group, name, role, metadata) for group in groups for name, role in ROLES.items()
                 if isinstance(group.get(name), h5py.Dataset) and (role == "" or group[name].size)]
    if not any(signal.metadata["role"] == "sample" for signal in found):
        raise UnreadableFile(path, "holds no stack exchange/data")
    return tuple(found)


def _signal(path: Path, file: h5py.File, group: h5py.Group, name: str, role: str, metadata: dict[str, Any]) -> Signal:
    item = group[name]
    left = [other for other in group if other not in (*ROLES, *STACKED, "title")
            or (other in ROLES and not isinstance(group[other], h5py.Dataset))]
    remarks = [f"{', '.join(left)} of {group.name} are not read"] if left else []
    words = str(plain(item.attrs.get("axes", "")) or "").replace("_white", "").replace("_dark", "").split(":")
    if len(words) != item.ndim:
        words = ["", "y", "x"][3 - item.ndim:] if item.ndim <= 3 else [""] * (item.ndim - 2) + ["y", "x"]
    axes = [_axis(file, group, word, size, i, role, remarks)
            for i, (word, size) in enumerate(zip(words, item.shape, strict=True))]
    conditions: dict[str, Any] = {}
    exposure = _quantity(file, ("measurement/instrument/detector/exposure_time",), "s")
    if exposure is not None and exposure > 0:
        conditions["exposure_s"] = exposure
    energy = _quantity(file, ("measurement/instrument/monochromator/energy", "measurement/instrument/beamline/energy",
                              "measurement/instrument/energy", "measurement/energy"), "eV")
    about = {**metadata, "role": role or "sample"}
    if not any(axis.name == "photon_energy" for axis in axes):
        named = energy_in_name(path.name)
        if energy is not None and energy > 0:
            conditions["photon_energy_eV"], about["photon_energy_source"] = energy, "metadata"
        elif named is not None:
            conditions["photon_energy_eV"], about["photon_energy_source"] = named, "file name"
    title = plain(group.get("title")) or path.stem
    stated = "count" if "count" in _unit(item) else _unit(item)
    return Signal(f"{title} {role}".strip(), tuple(axes), {"data": Field(_stack(path, item), stated)}, path, about, conditions,
                  "TXM", tuple(remarks))


def _axis(file: h5py.File, group: h5py.Group, word: str, size: int, rank: int, role: str, remarks: list[str]) -> Axis:
    if word in ("y", "x", "z"):
        step = _quantity(file, (f"measurement/instrument/detector/{word}_actual_pixel_size",
                                f"measurement/instrument/detector/{word}_pixel_size",
                                "measurement/instrument/detection_system/objective/resolution",
                                "measurement/instrument/detector/pixel_size"), "nm")
        return Axis.even(word, size, step or 1.0, 0.0, "nm" if step else "")
    if rank == 0 and not role:
        for name in ([word] if word in STACKED else list(STACKED)):
            item = group.get(name)
            if isinstance(item, h5py.Dataset) and item.shape == (size,):
                axis, assumed = STACKED[name]
                stated = spelled(_unit(item))
                if stated and not compatible(stated, assumed):
                    remarks.append(f"{name} is in {stated!r}, which is no {assumed}: it is taken as {assumed}")
                    stated = assumed
                elif not stated:
                    remarks.append(f"{name} has no unit: it is taken as {assumed}")
                return Axis(axis, np.asarray(item[()], np.float64), stated or assumed)
    return Axis("frame" if rank == 0 else word or "position", np.arange(size, dtype=np.float64))


def _quantity(file: h5py.File, names: tuple[str, ...], wanted: str) -> float | None:
    """A positive number in the wanted unit; None where the file has none or states another kind of unit."""
    for name in names:
        item = file.get(name)
        value = plain(item)
        if isinstance(value, int | float) and np.isfinite(value) and value > 0:
            stated = spelled(_unit(item))
            if stated and compatible(stated, wanted):
                return float(converted(value, stated, wanted))
    return None


def _about(file: h5py.File) -> dict[str, Any]:
    found = {key: value for name, key in SCALARS.items() if (value := plain(file.get(f"measurement/{name}"))) is not None}
    instrument = file.get("measurement/instrument")
    if isinstance(instrument, h5py.Group):
        values = {name: plain(item) for name, item in instrument.items()}
        found |= {f"instrument/{name}": value for name, value in values.items() if value is not None}
    return found


def _unit(item: Any) -> str:
    stated = plain(item.attrs.get("units", item.attrs.get("unit", ""))) if isinstance(item, h5py.Dataset) else ""
    return stated if isinstance(stated, str) else ""


def _stack(path: Path, item: h5py.Dataset) -> Any:
    """Whole images at a time, where the stack is large."""
    if not is_numeric(item):
        raise UnreadableFile(path, f"holds {item.dtype} of shape {item.shape}, no stack of numbers", where=str(item.name))
    stored = StoredArray(path, item)
    if stored.nbytes <= AT_ONCE_BYTES:
        return stored[()]
    rows = max(1, CHUNK_BYTES * item.shape[0] // stored.nbytes)
    return lazily(stored, (rows, *item.shape[1:]))


def recognises(head: bytes, path: Path) -> bool:
    """HDF5 with a stack under `exchange`."""
    return told_by_groups(head, path, lambda file: isinstance(file.get("exchange/data"), h5py.Dataset), False)


def example(folder: Path) -> Path:
    """Five angles with a flat and a dark field."""
    path = folder / "example.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("exchange/data", data=np.arange(5 * 8 * 12, dtype=np.uint16).reshape(5, 8, 12) + 100)
        data.attrs["axes"], data.attrs["units"] = "theta:y:x", "counts"
        file["exchange/data_white"] = np.full((2, 8, 12), 1000, np.uint16)
        file["exchange/data_dark"] = np.full((2, 8, 12), 3, np.uint16)
        file.create_dataset("exchange/theta", data=np.linspace(0, 180, 5)).attrs["units"] = "degrees"
        for name in "yx":
            size = file.create_dataset(f"measurement/instrument/detector/{name}_actual_pixel_size", data=30.0)
            size.attrs["units"] = "nm"
    return path


DATA_EXCHANGE = Format(name="data exchange", suffixes=frozenset({".h5", ".hdf5", ".hdf"}), recognises=recognises, read=read,
                       version="1", example=example)
