"""Simulated EBSD patterns of EMsoft (EMEBSD): HDF5 with `EMData/EBSD/EBSDPatterns` and an orientation for each.

Layout as kikuchipy 0.13 reads it (EMsoft's own sources were not opened). Patterns stand one after another, or on the rows and
columns of a map; angles are Bunge's in radians. Master patterns and Monte Carlo results are other files of EMsoft.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.contiguous import lazily
from datasets.formats.hdf5_array import StoredArray, is_numeric, number, plain
from datasets.formats.hdf5_layout import told_by_groups
from datasets.formats.signal import Axis, Field, Format, Signal

PATTERNS, ANGLES = "EMData/EBSD/EBSDPatterns", "EMData/EBSD/EulerAngles"
SETTINGS = "NMLparameters/EBSDNameList"
AT_ONCE_BYTES = 64 << 20


def recognises(head: bytes, path: Path) -> bool:
    """HDF5 with the group of EMEBSD's results."""
    return told_by_groups(head, path, lambda file: is_numeric(file.get(PATTERNS)), False)


def read(path: Path) -> tuple[Signal, ...]:
    """The patterns, and the orientations for which they were computed.

    Raises
    ------
    UnreadableFile
        If the patterns have neither three nor four axes.
    """
    with h5py.File(path, "r") as file:
        stored = StoredArray(path, file[PATTERNS])
        if stored.ndim not in (3, 4):
            raise UnreadableFile(path, f"has patterns of {stored.ndim} axes, expected 3 or 4", where=PATTERNS)
        settings: dict[str, Any] = dict(file[SETTINGS]) if SETTINGS in file else {}
        conditions: dict[str, Any] = {name: value for name, key in (("beam_energy_keV", "energymax"), ("tilt_deg", "sig"))
                                      if (value := number(settings, key)) > 0}
        crystal = str(plain(file["EMData/EBSD/xtalname"]) if "EMData/EBSD/xtalname" in file else "")
        if name := crystal.rpartition("/")[2].removesuffix(".xtal"):
            conditions["phases"] = [name]
        metadata = {key: value for key in settings if (value := plain(settings[key])) is not None}
        angles = file[ANGLES][()] if is_numeric(file.get(ANGLES)) else np.empty((0, 3))
    names = ("y", "x") if stored.ndim == 4 else ("position",)
    place = tuple(Axis.even(axis, size, 1.0) for axis, size in zip(names, stored.shape, strict=False))
    detector = tuple(Axis.even(axis, size, 1.0) for axis, size in zip(("detector_y", "detector_x"), stored.shape[-2:],
                                                                      strict=True))
    data = stored[...] if stored.nbytes <= AT_ONCE_BYTES else lazily(stored)
    patterns = Signal(path.stem, (*place, *detector), {"data": Field(data)}, path, metadata, conditions, "EBSD patterns",
                      ("simulated",))
    count = int(np.prod(stored.shape[:-2]))
    if angles.shape != (count, 3):
        said = f"{ANGLES} holds no three angles for each of the {count} patterns: their orientations are not known"
        return (replace(patterns, warnings=(*patterns.warnings, said)),)
    shape = stored.shape[:-2]
    fields = {"phase": Field(np.ones(shape, np.int16)),
              **{f"euler_{i + 1}": Field(angle.reshape(shape), "rad") for i, angle in enumerate(angles.T)}}
    return patterns, Signal(path.stem, place, fields, path, metadata, conditions, "EBSD", ("simulated",))


def example(folder: Path) -> Path:
    """Six patterns of 8 x 10 pixels."""
    path, rng = folder / "example.h5", np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file[PATTERNS] = rng.integers(0, 255, (6, 8, 10), np.uint8)
        file[ANGLES] = rng.uniform(0, 1, (6, 3)).astype(np.float32)
        file["EMData/EBSD/xtalname"] = np.array([b"ni/nickel.xtal"])
        file[f"{SETTINGS}/energymax"] = np.array([20.0])
    return path


EMSOFT = Format(name="emsoft", suffixes=frozenset({".h5", ".hdf5"}), recognises=recognises, read=read, version="1",
                example=example)
