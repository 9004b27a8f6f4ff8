"""What a NeXus file says that it is: the application definitions of its entries, as NXtomo, NXstxm or NXafm.

Source: NeXus manual, nexusformat.org (read in parts). An entry, or a subentry inside it, names its definition in `definition`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from datasets.formats.hdf5_array import is_numeric, plain
from datasets.formats.hdf5_layout import told_by_groups

PROBE = frozenset({"NXafm", "NXspm", "NXsts", "NXstm"})
XRAY = frozenset({"NXtomo", "NXstxm"})
MOST_GROUPS = 5000


def applications(file: h5py.File) -> Iterator[tuple[h5py.Group, str]]:
    """Entries and subentries that name a definition."""
    for entry in groups(file, "NXentry"):
        for group in (entry, *groups(entry, "NXsubentry")):
            if isinstance(definition := plain(group.get("definition")), str):
                yield group, definition


def groups(parent: h5py.Group, kind: str) -> list[h5py.Group]:
    """Groups of a NeXus class directly inside another; links that lead nowhere are passed over."""
    found = [parent.get(name) for name in parent]
    return [g for g in found if isinstance(g, h5py.Group) and plain(g.attrs.get("NX_class")) == kind]


def plots(group: h5py.Group) -> list[h5py.Group]:
    """Every NXdata group below a group whose signal is an array of numbers, in the order of the file."""
    found: list[h5py.Group] = []
    seen: set[Any] = set()

    def visit(_: str, item: Any) -> bool | None:
        if isinstance(item, h5py.Group) and item.id not in seen and plain(item.attrs.get("NX_class")) == "NXdata":
            seen.add(item.id)
            if signal_of(item) is not None:
                found.append(item)
        return True if len(seen) > MOST_GROUPS else None

    group.visititems(visit)
    return found


def signal_of(data: h5py.Group) -> h5py.Dataset | None:
    """The signal of an NXdata group: by its attribute, by that of a dataset (older files), or the dataset `data`."""
    named = plain(data.attrs.get("signal"))
    marked = [name for name in data if plain(getattr(data.get(name), "attrs", {}).get("signal"))]
    for name in ([named] if isinstance(named, str) else [*marked, "data"]):
        item = data.get(name)
        if is_numeric(item):
            return item
    return None


def definitions(head: bytes, path: Path) -> frozenset[str]:
    """Names of the definitions of a file; empty for what is no NeXus or is damaged."""
    nothing: frozenset[str] = frozenset()
    return told_by_groups(head, path, lambda file: frozenset(name for _, name in applications(file)), nothing)


def is_probe(head: bytes, path: Path) -> bool:
    """A scanning probe microscope's."""
    return bool(definitions(head, path) & PROBE)


def is_xray(head: bytes, path: Path) -> bool:
    """An X-ray microscope's, with the images in it: a master file whose images lie elsewhere is only a table of its scan."""
    def has_images(file: h5py.File) -> bool:
        return any(images(group, name) is not None for group, name in applications(file) if name in XRAY) or (
            bool(unnamed_scans(file)))

    return told_by_groups(head, path, has_images, False)


def unnamed_scans(file: h5py.File) -> list[h5py.Group]:
    """Groups laid out as NXstxm lays out its NXdata, energy, sample_y and sample_x beside data, in files that do not say so."""
    inner = [group for entry in file.values() if isinstance(entry, h5py.Group)
             for group in entry.values() if isinstance(group, h5py.Group)]
    return [group for group in inner if is_numeric(data := group.get("data")) and data.ndim >= 2
            and all(is_numeric(group.get(name)) and group[name].ndim == 1 for name in ("sample_y", "sample_x"))
            and any(is_numeric(group.get(name)) for name in ("energy", "photon_energy"))]


def images(group: h5py.Group, definition: str) -> h5py.Dataset | None:
    """The stack of an X-ray microscope."""
    if definition == "NXtomo":
        found = [item for detector in (g for i in groups(group, "NXinstrument") for g in groups(i, "NXdetector"))
                 if is_numeric(item := detector.get("data")) and item.ndim == 3]
        return found[0] if found else None
    for data in groups(group, "NXdata"):
        item = signal_of(data)
        if item is not None and item.ndim >= 2:
            return item
    return None
