"""Frames over an absorption edge as xanespy keeps them (HDF5): TXM, STXM and ptychography after import.

A group per sample with the attribute `xanespy_version`; `latest_data_name` names a group with `intensities` or `optical_depths`
(time, energy, y, x), `energies` in eV, `pixel_sizes` (time, energy) with their unit. Ptychographic reconstructions are complex:
their modulus and phase arrive as two fields. Pixels that change with the energy (the focus of a zone plate does) cannot lie on
one axis: the axes are then left uncalibrated, and the sizes stand in the metadata.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.hdf5_array import StoredArray, plain
from datasets.formats.hdf5_layout import told_by_groups
from datasets.formats.signal import Axis, Field, Format, Signal

FRAMES = ("intensities", "optical_depths", "references", "stxm")
SAME = 1e-3
"""Pixels that differ by less than this part are of one size."""


def read(path: Path) -> tuple[Signal, ...]:
    """Every set of frames of every sample.

    Raises
    ------
    UnreadableFile
        If there is none.
    """
    found: list[Signal] = []
    with h5py.File(path, "r") as file:
        for sample in file.values():
            if isinstance(sample, h5py.Group) and "xanespy_version" in sample.attrs:
                latest = plain(sample.attrs.get("latest_data_name"))
                chosen = sample.get(latest) if isinstance(latest, str) else None
                every = [group for group in sample.values() if isinstance(group, h5py.Group)]
                for group in [chosen] if isinstance(chosen, h5py.Group) else every:
                    found += [_signal(path, sample, group, name) for name in FRAMES
                              if isinstance(group.get(name), h5py.Dataset) and group[name].ndim == 4]
    if not found:
        raise UnreadableFile(path, "holds no frames of xanespy")
    return tuple(found)


def _signal(path: Path, sample: h5py.Group, group: h5py.Group, name: str) -> Signal:
    item = group[name]
    data = StoredArray(path, item)[()]
    remarks: list[str] = []
    fields = {"data": Field(data)}
    if data.dtype.kind == "c":
        fields = {"data": Field(np.abs(data)), "phase_shift": Field(np.angle(data), "rad")}
        remarks.append("the frames are complex: intensity is their modulus, phase_shift their phase")
    energies = np.asarray(group["energies"][()]) if isinstance(group.get("energies"), h5py.Dataset) else np.empty(0)
    leading = Axis("photon_energy", energies[0].astype(np.float64), "eV") if energies.shape[-1:] == item.shape[1:2] and (
        energies.ndim == 2 and (energies == energies[:1]).all()) else Axis("frame", np.arange(float(item.shape[1])))
    sizes = np.asarray(group["pixel_sizes"][()]).ravel() if isinstance(group.get("pixel_sizes"), h5py.Dataset) else np.empty(0)
    unit = str(plain(group["pixel_sizes"].attrs.get("unit", "")) or "") if sizes.size else ""
    own = name != "stxm"  # the sizes are those of the reconstruction
    one = own and sizes.size > 0 and np.isfinite(sizes).all() and sizes.min() > 0 and np.ptp(sizes) <= SAME * sizes.min()
    if own and sizes.size and not one:
        remarks.append(f"pixels are {sizes.min():.6g} to {sizes.max():.6g} {unit} wide, by energy: they are left uncalibrated")
    grid = [Axis.even(axis, size, float(sizes.mean()) if one else 1.0, 0.0, unit if one else "")
            for axis, size in zip("yx", item.shape[2:], strict=True)]
    about: dict[str, Any] = {key: plain(value) for key, value in sample.attrs.items()}
    about |= {"frames": name, "pixel_sizes": sizes[:1000].tolist(), "pixel_unit": unit}
    steps = Axis("position", np.arange(float(item.shape[0])))
    kind = "ptychography" if "ptycho" in str(about.get("technique", "")).lower() and name != "stxm" else "TXM"
    title = str(sample.name).strip("/") + ("" if name == "intensities" else f" {name}")
    if item.shape[0] == 1:
        fields = {key: Field(field.data[0], field.units) for key, field in fields.items()}
        return Signal(title, (leading, *grid), fields, path, about, {}, kind, tuple(remarks))
    return Signal(title, (steps, leading, *grid), fields, path, about, {}, kind, tuple(remarks))


def recognises(head: bytes, path: Path) -> bool:
    """HDF5 with a sample that names its version of xanespy and has frames."""
    def names_its_version(file: h5py.File) -> bool:
        return any(isinstance(group, h5py.Group) and "xanespy_version" in group.attrs for group in file.values())

    return told_by_groups(head, path, names_its_version, False)


def example(folder: Path) -> Path:
    """Two energies, one time."""
    path = folder / "example.h5"
    with h5py.File(path, "w") as file:
        sample = file.create_group("cell")
        sample.attrs["xanespy_version"], sample.attrs["latest_data_name"] = "0.3", "imported"
        sample["imported/intensities"] = np.arange(2 * 8 * 12.0).reshape(1, 2, 8, 12)
        sample["imported/energies"] = np.array([[850.0, 853.0]])
        sample["imported/pixel_sizes"] = np.full((1, 2), 4.8)
        sample["imported/pixel_sizes"].attrs["unit"] = "nm"
    return path


XANESPY_FRAMES = Format(name="xanespy", suffixes=frozenset({".h5", ".hdf5"}), recognises=recognises, read=read, version="1",
                        example=example)
