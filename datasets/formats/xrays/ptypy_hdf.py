"""PtyPy's own files (HDF5): data prepared for ptychography (.ptyd) and reconstructions (.ptyr).

Source: PtyPy's documentation, "Ptypy data structure" (.ptyd), and what programs read of .ptyr; no file was to be had.

- .ptyd: `meta` has `energy` in keV, `psize` of the detector and `distance` in m; `chunks/N` the patterns `data` (position, y,
  x), `positions` y, x in m, `indices`, and `weights`, which are not read.
- .ptyr: `content/obj/ID/data` and `content/probe/ID/data`, complex (layer, y, x), with `_psize` y, x in m.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.hdf5_array import plain
from datasets.formats.hdf5_layout import told_by_groups
from datasets.formats.signal import Format, Signal
from datasets.formats.xrays.ptychography import image, is_array, patterns

NM_PER_M = 1e9
EV_PER_KEV = 1e3
IMAGES = (("obj", "object", "ptychography"), ("probe", "probe", "ptychography probe"))


def read(path: Path) -> tuple[Signal, ...]:
    """Patterns of a .ptyd, objects and probes of a .ptyr.

    Raises
    ------
    UnreadableFile
        If there are none, or an array promises more than the file holds.
    """
    with h5py.File(path, "r") as file:
        found = [*_prepared(path, file), *_reconstructed(path, file)]
    if not found:
        raise UnreadableFile(path, "holds neither patterns nor reconstructions of PtyPy")
    return tuple(found)


def _prepared(path: Path, file: h5py.File) -> list[Signal]:
    chunks = file.get("chunks")
    if not isinstance(chunks, h5py.Group):
        return []
    groups = [chunks[name] for name in sorted(chunks, key=lambda n: (not n.isdigit(), n.zfill(9))) if _holds(chunks.get(name))]
    if not groups:
        return []
    meta = file.get("meta")
    stated: dict[str, Any] = {name: value for name in (meta if isinstance(meta, h5py.Group) else ())
                              if (value := plain(meta[name])) is not None}
    conditions: dict[str, Any] = {}
    if isinstance(energy := stated.get("energy"), int | float) and energy > 0:
        conditions["photon_energy_eV"] = energy * EV_PER_KEV
        stated["photon_energy_source"] = "metadata"
    places = [np.asarray(group["positions"][()], np.float64) for group in groups if is_array(group.get("positions"), 2)]
    known = len(places) == len(groups) and all(part.shape[1] >= 2 for part in places)
    remarks = [] if known else ["the places of the patterns are not stated for every chunk"]
    if any(is_array(group.get("weights"), 2, 3) for group in groups):
        remarks.append("the weights of the pixels are not read")
    if left := [name for name in chunks if not _holds(chunks.get(name))]:
        remarks.append(f"chunks without patterns: {', '.join(left[:8])}")
    return [patterns(path, [group["data"] for group in groups], f"{path.stem} patterns",
                     np.concatenate(places)[:, :2] * NM_PER_M if known else None, stated, conditions, remarks)]


def _holds(group: Any) -> bool:
    return isinstance(group, h5py.Group) and is_array(group.get("data"), 3) and group["data"].dtype.kind != "c"


def _reconstructed(path: Path, file: h5py.File) -> list[Signal]:
    content = file.get("content")
    found = []
    for word, meaning, kind in IMAGES:
        stores = content.get(word) if isinstance(content, h5py.Group) else None
        for name, store in stores.items() if isinstance(stores, h5py.Group) else ():
            if isinstance(store, h5py.Group) and is_array(item := store.get("data"), 2, 3):
                found.append(image(path, item, f"{path.stem} {meaning} {name}", "mode", _pixel_nm(store), kind,
                                   {"storage": name}, {}))
    return found


def _pixel_nm(store: h5py.Group) -> list[float]:
    size = plain(store.get("_psize"))
    known = isinstance(size, list) and len(size) == 2 and all(isinstance(one, int | float) for one in size)
    return [float(one) * NM_PER_M for one in size] if known else [0.0, 0.0]


def recognises(head: bytes, path: Path) -> bool:
    """HDF5 with chunks of patterns and what is said of them, or with objects and probes."""
    def look(file: h5py.File) -> bool:
        chunks, content = file.get("chunks"), file.get("content")
        prepared = isinstance(file.get("meta"), h5py.Group) and isinstance(chunks, h5py.Group) and any(
            _holds(chunks.get(name)) for name in chunks)
        return prepared or (isinstance(content, h5py.Group) and isinstance(content.get("obj"), h5py.Group)
                            and isinstance(content.get("probe"), h5py.Group))

    return told_by_groups(head, path, look, False)


def example(folder: Path) -> Path:
    """Patterns at five places in two chunks."""
    path = folder / "example.ptyd"
    with h5py.File(path, "w") as file:
        file["meta/energy"], file["meta/distance"], file["meta/psize"] = 6.2, 7.0, [1.72e-4, 1.72e-4]
        data = np.arange(5 * 6 * 8, dtype=np.int32).reshape(5, 6, 8)
        places = np.array([[0, 0], [0, 1], [0, 2], [1, 0], [1, 1]]) * 1e-6
        for name, chosen in (("0", slice(0, 3)), ("1", slice(3, 5))):
            file[f"chunks/{name}/data"], file[f"chunks/{name}/positions"] = data[chosen], places[chosen]
    return path


PTYPY_HDF = Format(name="ptypy", suffixes=frozenset({".ptyd", ".ptyr"}), recognises=recognises, read=read, version="1",
                   example=example)
