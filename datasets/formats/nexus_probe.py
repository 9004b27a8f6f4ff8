"""Scanning probe microscopy in NeXus (NXafm, NXspm, NXstm, NXsts), as pynxtools-spm writes it.

Every NXdata group with a map of two axes is a channel: its name and direction are those of the group (`z_forward`), its unit
and its axes in its datasets. RosettaSciIO 0.15 fails on these files. Curves of spectroscopy are named in a warning.
"""

from pathlib import Path

import h5py
import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.hdf5_array import StoredArray, is_numeric, plain
from datasets.formats.nexus_application import PROBE, applications, is_probe, plots, signal_of
from datasets.formats.scan_image import Channel, signals
from datasets.formats.signal import Format, Signal


def read(path: Path) -> tuple[Signal, ...]:
    """Every map of a file.

    Raises
    ------
    UnreadableFile
        If there is none.
    """
    channels: list[Channel] = []
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
                else:
                    other.append(str(group.name))
    if not channels:
        raise UnreadableFile(path, f"holds no maps, only {', '.join(other[:5]) or 'nothing'}")
    remarks = [f"{', '.join(other[:8])}{' ...' * (len(other) > 8)}: no map, not read"] if other else []
    return signals(path, channels, conditions=conditions, remarks=remarks)


def _channel(path: Path, group: h5py.Group, item: h5py.Dataset) -> Channel:
    name = str(group.name).rpartition("/")[2]
    back = name.endswith(("_backward", "_bwd"))
    base = name.removesuffix("_backward").removesuffix("_forward").removesuffix("_bwd").removesuffix("_fwd")
    steps, lateral = [], ""
    for axis, size in zip("yx", item.shape, strict=True):
        values = group.get(axis)
        known = is_numeric(values) and values.shape == (size,) and size > 1
        steps.append((float(values[-1]) - float(values[0])) / (size - 1) if known else 0.0)
        lateral = str(plain(values.attrs.get("units", "")) or "") if known else lateral
    return Channel(base, np.asarray(StoredArray(path, item)[()]), str(plain(item.attrs.get("units", "")) or ""),
                   (steps[0], steps[1]), lateral, back)


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
