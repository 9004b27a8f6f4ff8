"""Scanning probe microscopy in NeXus (NXafm, NXspm, NXstm, NXsts), as pynxtools-spm writes it.

Every NXdata group with a map of two axes is a channel: its name and direction are those of the group (`z_forward`), its unit
and its axes in its datasets. RosettaSciIO 0.15 fails on these files. Curves of spectroscopy arrive as they are.
"""

from pathlib import Path

import h5py
import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.hdf5_array import StoredArray, is_numeric, plain
from datasets.formats.nexus_application import PROBE, applications, is_probe, plots, signal_of
from datasets.formats.probes.scan_image import Channel, signals
from datasets.formats.signal import Axis, Field, Format, Signal


def read(path: Path) -> tuple[Signal, ...]:
    """Every map and every curve of a file.

    Raises
    ------
    UnreadableFile
        If there is neither.
    """
    channels: list[Channel] = []
    curves: list[Signal] = []
    other: list[str] = []
    conditions = {}
    with h5py.File(path, "r") as file:
        for entry, definition in applications(file):
            if definition not in PROBE:
                continue
            if isinstance(when := plain(entry.get("start_time")), str):
                conditions["acquired"] = when
            for group in plots(entry):
                item = signal_of(group)
                if item is not None and item.ndim == 2 and min(item.shape) > 1:
                    channels.append(_channel(path, group, item))
                elif item is not None and item.ndim == 1:
                    curves.append(_curve(path, group, item))
                else:
                    other.append(str(group.name))
    if not channels and not curves:
        raise UnreadableFile(path, f"holds no maps and no curves, only {', '.join(other[:5]) or 'nothing'}")
    remarks = [f"{', '.join(other[:8])}{' ...' * (len(other) > 8)}: neither map nor curve, not read"] if other else []
    maps = signals(path, channels, conditions=conditions, remarks=remarks) if channels else ()
    return (*maps, *curves)


def _curve(path: Path, group: h5py.Group, item: h5py.Dataset) -> Signal:
    """A spectrum against the axis that its group names, or against its points."""
    named = plain(group.attrs.get("axes"))
    name = named if isinstance(named, str) else named[0] if isinstance(named, list) and named else ""
    values = group.get(str(name))
    known = is_numeric(values) and values.shape == item.shape
    counted = Axis("position", np.arange(float(item.size)))
    axis = Axis(str(name), np.asarray(values[()], np.float64), _unit(values)) if known else counted
    data = {"data": Field(StoredArray(path, item)[()], _unit(item))}
    return Signal(str(group.name).rpartition("/")[2], (axis,), data, path, kind="SPM spectroscopy")


def _unit(item: h5py.Dataset) -> str:
    return str(plain(item.attrs.get("units", "")) or "")


def _channel(path: Path, group: h5py.Group, item: h5py.Dataset) -> Channel:
    name = str(group.name).rpartition("/")[2]
    back = name.endswith(("_backward", "_bwd"))
    base = name.removesuffix("_backward").removesuffix("_forward").removesuffix("_bwd").removesuffix("_fwd")
    steps, lateral = [], ""
    for axis, size in zip("yx", item.shape, strict=True):
        values = group.get(axis)
        known = is_numeric(values) and values.shape == (size,) and size > 1
        steps.append((float(values[-1]) - float(values[0])) / (size - 1) if known else 0.0)
        lateral = _unit(values) if known else lateral
    return Channel(base, np.asarray(StoredArray(path, item)[()]), _unit(item), (steps[0], steps[1]), lateral, back)


def example(folder: Path) -> Path:
    """A slope of 16 rows and 24 columns."""
    path = folder / "example.nxs"
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        entry["definition"] = "NXafm"
        data = entry.create_group("z_forward")
        data.attrs["NX_class"], data.attrs["signal"] = "NXdata", "z"
        for name, values in (("z", np.arange(16 * 24.0).reshape(16, 24) * 1e-9), ("y", np.arange(16) * 1e-8),
                             ("x", np.arange(24) * 1e-8)):
            data.create_dataset(name, data=values).attrs["units"] = "meter"
    return path


NEXUS_PROBE = Format(name="nexus probe", suffixes=frozenset({".nxs"}), recognises=is_probe, read=read, version="1",
                     example=example)
