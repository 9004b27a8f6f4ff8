"""4D-STEM of DECTRIS detectors (ARINA and others): a master file of HDF5 and the files with its patterns beside it.

Source: DECTRIS' SIMPLON interface, "NeXus file format" (not open here; as RosettaSciIO 0.15 and py4DSTEM read it; no file was
to be had). `NAME_master.h5` has links `entry/data/data_000001` ... to arrays (frame, y, x) in `NAME_data_000001.h5` ...; the
frames follow each other through all of them. `entry/instrument/detector/detectorSpecific` says `ntrigger` and `nimages`, frames
for each trigger. Pixels that do not count hold the largest number of their type; they stay.

- Lines of a scan: of a scan that was triggered line by line, `ntrigger` lines of `nimages`; of one whose frames are a square
  number, as many lines as columns, which both peers assume of every file, with a warning; else frames stay one after another.
- Newer acquisitions add `NAME.h5` with the pixel of the scan in nm, `Pixel Size` of "STEM Metadata".
- RosettaSciIO lets 32-bit counts overflow into 16 bits and calls the rows x; here types stay and rows are y.
"""

from math import isqrt
from pathlib import Path
from typing import Any

import dask.array
import h5py
import hdf5plugin  # noqa: F401  the detector packs its frames with filters that come with it
import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.contiguous import lazily
from datasets.formats.hdf5_array import StoredArray, is_numeric, plain
from datasets.formats.hdf5_layout import told_by_groups
from datasets.formats.signal import Axis, Field, Format, Signal

da: Any = dask.array
"""Dask's functions are not typed."""
AT_ONCE_BYTES = 16 << 20
SPECIFIC = "entry/instrument/detector/detectorSpecific"
MASTER = "_master.h5"
LINES = "the file does not say how many lines the scan has"


def read(path: Path) -> tuple[Signal, ...]:
    """The patterns of all files of a master, read when they are used.

    Raises
    ------
    UnreadableFile
        If a file with patterns is not beside the master, or patterns differ in size.
    """
    with h5py.File(path, "r") as file:
        linked = _linked(file)
        items = {name: file["entry/data"].get(name) for name in linked}
        if missing := [linked[name] for name, item in items.items() if not is_numeric(item)]:
            raise UnreadableFile(path, f"has patterns in {', '.join(missing[:3])}{' ...' * (len(missing) > 3)}, which cannot "
                                       "be opened", todo="put all files of the acquisition into one folder")
        if len({item.shape[1:] for item in items.values()}) != 1 or any(item.ndim != 3 for item in items.values()):
            raise UnreadableFile(path, "its files hold patterns of different sizes")
        stored = [StoredArray(Path(item.file.filename), item) for item in items.values()]
        specific = file.get(SPECIFIC)
        about = {name: value for name in (specific if isinstance(specific, h5py.Group) else ())
                 if (value := plain(specific.get(name))) is not None}
        exposure = plain(file.get("entry/instrument/detector/count_time"))
        when = plain(file.get("entry/instrument/detector/detectorSpecific/data_collection_date"))
    frames, *size = sum(array.shape[0] for array in stored), *stored[0].shape[1:]
    whole = sum(array.nbytes for array in stored) <= AT_ONCE_BYTES
    data: Any = np.concatenate([array[()] for array in stored]) if whole else da.concatenate([lazily(one) for one in stored])
    scan, remarks = _scan(frames, about)
    step, said = _pixel_nm(path)
    names, known = (("y", "x"), step > 0) if len(scan) == 2 else (("position",), False)
    axes = [Axis.even(name, count, step if known else 1.0, 0.0, "nm" if known else "")
            for name, count in zip(names, scan, strict=True)]
    axes += [Axis.even(name, count, 1.0) for name, count in zip(("dy", "dx"), size, strict=True)]
    conditions: dict[str, Any] = {}
    if isinstance(exposure, int | float) and exposure > 0:
        conditions["exposure_s"] = float(exposure)
    if isinstance(when, str) and when:
        conditions["acquired"] = when
    title = path.name.removesuffix(MASTER) or path.stem
    return (Signal(title, tuple(axes), {"data": Field(data.reshape(*scan, *size), "count")}, path, about, conditions,
                   "diffraction", (*remarks, *said)),)


def _linked(file: h5py.File) -> dict[str, str]:
    """Links to patterns, in their order -> name of the file that each leads to."""
    data = file.get("entry/data")
    found = {}
    for name in sorted(data) if isinstance(data, h5py.Group) else ():
        link = data.get(name, getlink=True)
        if name.startswith("data_") and name.removeprefix("data_").isdigit():
            found[name] = link.filename if isinstance(link, h5py.ExternalLink) else name
    return found


def _scan(frames: int, about: dict[str, Any]) -> tuple[tuple[int, ...], list[str]]:
    lines, columns = (about.get(name) for name in ("ntrigger", "nimages"))
    if isinstance(lines, int) and isinstance(columns, int) and lines > 1 and columns > 1:
        if lines * columns == frames:
            return (lines, columns), []
        planned = lines * columns
        return (frames,), [f"{planned} patterns were planned, {frames} are there: they stay one after another"]
    side = isqrt(frames)
    if side > 1 and side * side == frames:
        return (side, side), [f"{LINES}: {frames} patterns are taken for {side} x {side}"]
    return (frames,), [f"{LINES}: {frames} patterns stay one after another"]


def _pixel_nm(path: Path) -> tuple[float, list[str]]:
    beside = companion(path)
    if not beside:
        return 0.0, []
    try:
        with h5py.File(beside[0], "r") as file:
            group = file.get("STEM Metadata")
            stated = plain(group.attrs.get("Pixel Size")) if group is not None else None
    except OSError:
        return 0.0, [f"{beside[0].name} cannot be read: the pixel of the scan is not known"]
    value = stated[0] if isinstance(stated, list) and stated else stated
    return (float(value), []) if isinstance(value, int | float) and value > 0 else (0.0, [])


def companion(path: Path) -> tuple[Path, ...]:
    """The file with what the microscope said."""
    beside = path.with_name(path.name.removesuffix(MASTER) + ".h5")
    return (beside,) if path.name.endswith(MASTER) and beside.is_file() else ()


def companions(path: Path) -> tuple[Path, ...]:
    """The files with the patterns, and the one with what the microscope said."""
    with h5py.File(path, "r") as file:
        names = dict.fromkeys(_linked(file).values())
    return (*(p for name in names if (p := path.with_name(Path(name).name)).is_file() and p != path), *companion(path))


def is_master(file: h5py.File) -> bool:
    """Whether an open file links to patterns as DECTRIS does."""
    return SPECIFIC in file and bool(_linked(file))


def recognises(head: bytes, path: Path) -> bool:
    """HDF5 that a detector of DECTRIS describes."""
    return told_by_groups(head, path, is_master, False)


def example(folder: Path) -> Path:
    """Twelve patterns in two files, triggered in three lines."""
    data = np.arange(12 * 6 * 8, dtype=np.uint16).reshape(12, 6, 8)
    for name, chosen in (("000001", data[:8]), ("000002", data[8:])):
        with h5py.File(folder / f"example_data_{name}.h5", "w") as file:
            file["entry/data/data"] = chosen
    path = folder / f"example{MASTER}"
    with h5py.File(path, "w") as file:
        for name in ("000001", "000002"):
            file[f"entry/data/data_{name}"] = h5py.ExternalLink(f"example_data_{name}.h5", "entry/data/data")
        file["entry"].attrs["NX_class"] = "NXentry"
        file[f"{SPECIFIC}/ntrigger"], file[f"{SPECIFIC}/nimages"] = 3, 4
        file["entry/instrument/detector/count_time"] = 1e-5
    return path


DECTRIS = Format(name="dectris", suffixes=frozenset({".h5"}), recognises=recognises, read=read, version="1",
                 companions=companions, example=example)
