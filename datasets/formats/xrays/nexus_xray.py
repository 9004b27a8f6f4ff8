"""X-ray microscopy in NeXus: tomography (NXtomo) and scanning transmission (NXstxm).

Source: NeXus manual, nexusformat.org, application definitions NXtomo and NXstxm. A tomography is one stack in which `image_key`
says what each image is (0 projection, 1 flat, 2 dark, 3 none of use): projections, flats and darks become signals of their own,
along their rotation angles. An STXM image or stack has (energy, y, x) in NXdata, with `energy`, `sample_y` and `sample_x`
beside it; Diamond I08 says `photon_energy`, and which axis of the array each is (`axis`, from 1), SOLEIL Hermes leaves out
classes and definition. Energies without a unit are in eV, as the definition has them; places without one stay uncalibrated.
Master files whose images lie in other files that are not there are left to the general NeXus reader.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.contiguous import lazily
from datasets.formats.hdf5_array import StoredArray, is_numeric, plain
from datasets.formats.nexus_application import XRAY, applications, groups, images, is_xray, unnamed_scans
from datasets.formats.signal import Axis, Field, Format, Signal

AT_ONCE_BYTES = 16 << 20
ROLES = {0: "", 1: "flat field", 2: "dark field"}
STXM_AXES = {"energy": ("photon_energy", "eV"), "photon_energy": ("photon_energy", "eV"), "sample_y": ("y", ""),
             "sample_x": ("x", "")}


def read(path: Path) -> tuple[Signal, ...]:
    """Every stack of a file, with its flats and darks.

    Raises
    ------
    UnreadableFile
        If the stack promises more than the file holds, or its keys do not fit.
    """
    found: list[Signal] = []
    with h5py.File(path, "r") as file:
        for group, definition in applications(file):
            item = images(group, definition) if definition in XRAY else None
            if item is not None:
                found += _tomography(path, group, item) if definition == "NXtomo" else [_scan(path, group, item)]
        if not found:
            found = [_scan(path, group.parent, group["data"]) for group in unnamed_scans(file)]
    if not found:
        raise UnreadableFile(path, "holds no images of an X-ray microscope")
    return tuple(found)


def _stack(path: Path, item: h5py.Dataset) -> Any:
    stored = StoredArray(path, item)
    return stored[()] if stored.nbytes <= AT_ONCE_BYTES else lazily(stored, (1, *item.shape[1:]))


def _tomography(path: Path, group: h5py.Group, item: h5py.Dataset) -> list[Signal]:
    count = item.shape[0]
    detector = item.parent
    keys = detector.get("image_key")
    key = np.asarray(keys[()]).ravel().astype(int) if is_numeric(keys) else np.zeros(count, int)
    if key.size != count:
        raise UnreadableFile(path, f"has {count} images and {key.size} keys", where=str(detector.name))
    angles = next((a for s in groups(group, "NXsample") if is_numeric(a := s.get("rotation_angle")) and a.size == count), None)
    tilt = np.asarray(angles[()], np.float64).ravel() if angles is not None else None
    stack = _stack(path, item)
    conditions: dict[str, Any] = {}
    if isinstance(exposure := plain(detector.get("count_time")), int | float) and exposure > 0:
        conditions["exposure_s"] = float(exposure)
    remarks = [f"{int((key == 3).sum())} images are marked as of no use and left out"] if (key == 3).any() else []
    if unknown := sorted(set(key.tolist()) - {*ROLES, 3}):
        remarks.append(f"images of kind {', '.join(map(str, unknown[:8]))} are left out: what they are is not known")
    title = str(plain(group.get("title")) or plain(group.parent.get("title")) or path.stem)
    found = []
    for value, role in ROLES.items():
        chosen = np.flatnonzero(key == value)
        if chosen.size == 0:
            continue
        leading = Axis("tilt", tilt[chosen], str(plain(angles.attrs.get("units", "deg")) or "deg")) if (
            tilt is not None and angles is not None and value == 0) else Axis("frame", chosen.astype(np.float64))
        grid = [_pixels(detector, axis, size) for axis, size in zip("yx", item.shape[1:], strict=True)]
        found.append(Signal(f"{title} {role}".strip(), (leading, *grid), {"data": Field(stack[chosen])}, path,
                            {"role": role or "sample"}, conditions, "TXM", tuple(remarks)))
    return found


def _pixels(detector: h5py.Group, axis: str, size: int) -> Axis:
    item = detector.get(f"{axis}_pixel_size")
    step = plain(item) if isinstance(item, h5py.Dataset) else None
    unit = plain(item.attrs.get("units", "")) if isinstance(item, h5py.Dataset) else ""
    known = isinstance(step, int | float) and step > 0 and bool(unit)
    return Axis.even(axis, size, float(step) if known and step is not None else 1.0, 0.0, str(unit) if known else "")


def _scan(path: Path, group: h5py.Group, item: h5py.Dataset) -> Signal:
    data = item.parent
    named: dict[int, Axis] = {}
    for name, (axis, assumed) in STXM_AXES.items():
        values = data.get(name)
        if is_numeric(values) and values.ndim == 1 and axis not in (found.name for found in named.values()):
            free = [i for i in range(item.ndim) if i not in named and item.shape[i] == values.size]
            if free:
                stated = plain(values.attrs.get("axis"))
                place = stated - 1 if isinstance(stated, int) and stated - 1 in free else free[-1] if axis == "x" else free[0]
                unit = str(plain(values.attrs.get("units", "")) or assumed)
                named[place] = Axis(axis, np.asarray(values[()], np.float64), unit)
    last = item.ndim - 2
    axes = [named.get(i, Axis("yx"[i - last] if i >= last else "frame", np.arange(float(n)))) for i, n in enumerate(item.shape)]
    conditions: dict[str, Any] = {}
    if isinstance(when := plain(group.get("start_time")), str):
        conditions["acquired"] = when
    energy = data.get("energy", data.get("photon_energy"))
    if not any(axis.name == "photon_energy" for axis in axes) and isinstance(one := plain(energy), int | float):
        conditions["photon_energy_eV"] = float(one)
    title = str(plain(group.get("title")) or path.stem)
    return Signal(title, tuple(axes), {"data": Field(_stack(path, item), str(plain(item.attrs.get("units", "")) or ""))}, path,
                  {"role": "sample"}, conditions, "STXM")


def example(folder: Path) -> Path:
    """Three projections, a flat and a dark field."""
    path = folder / "example.nxs"
    with h5py.File(path, "w") as file:
        parent: Any = file
        for name, kind in (("entry", "NXentry"), ("instrument", "NXinstrument"), ("detector", "NXdetector")):
            parent = parent.create_group(name)
            parent.attrs["NX_class"] = kind
        file["entry/definition"] = "NXtomo"
        parent["data"] = np.arange(5 * 8 * 12, dtype=np.uint16).reshape(5, 8, 12)
        parent["image_key"] = np.array([2, 1, 0, 0, 0])
        sample = file["entry"].create_group("sample")
        sample.attrs["NX_class"] = "NXsample"
        sample.create_dataset("rotation_angle", data=np.array([0.0, 0.0, 0.0, 60.0, 120.0])).attrs["units"] = "degrees"
    return path


NEXUS_XRAY = Format(name="nexus x-ray", suffixes=frozenset({".nxs", ".h5", ".hdf5"}), recognises=is_xray, read=read,
                    version="2", example=example)
