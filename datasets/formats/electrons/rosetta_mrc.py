"""MRC and CCP4 maps: the header is read here, in every mode and byte order; RosettaSciIO adds what lies beside a few of them.

RosettaSciIO 0.15 takes numbers for little-endian and bytes for unsigned, any extended header of 128 KiB for FEI's, columns for
x, and does not know modes 3 and 101. It is asked only for the two things that it alone reads: the FEI header of before 2014
and the movies of Direct Electron with their text file.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rsciio import mrc

from datasets.errors import UnreadableFile
from datasets.formats.contiguous import Contiguous, contiguous, lazily
from datasets.formats.electrons.mrc_header import BASE_BYTES, SAME_TILT_DEG, MrcHeader, read_header

Rosetta = dict[str, Any]

STORED = {0: "i1", 1: "i2", 2: "f4", 4: "c8", 6: "u2", 12: "f2"}
"""Mode -> type; 3 (pairs of whole numbers) and 101 (two values in a byte) are no types of numpy."""
OLD_FEI_BYTES = 131072
DIRECT_ELECTRON = re.compile(r"\d{8}_\d+(_.+)?_movie\.mrc$")


def read_mrc(path: Path, lazy: bool) -> list[Rosetta]:
    """The one block of a file.

    Raises
    ------
    UnreadableFile
        If sizes or mode are impossible, or the file is shorter than they say.
    """
    header = read_header(path)
    if header is None:
        raise UnreadableFile(path, "has an MRC header of impossible sizes or mode", where="first 16 bytes")
    found = path.stat().st_size
    if found < header.promised_bytes:
        raise UnreadableFile(path, f"is truncated: the file has {found} bytes, its header promises {header.promised_bytes}",
                             todo="copy it again from the microscope")
    old_fei = header.unnamed_extension and header.data_offset == BASE_BYTES + OLD_FEI_BYTES
    if header.mode in STORED and (old_fei or DIRECT_ELECTRON.match(path.name)):
        one: Rosetta = mrc.file_reader(str(path), lazy=lazy, endianness=header.endian)[0]
        original, axes = one["original_metadata"], one["axes"]
        one["data"] = one["data"].view(_stored(header))
        if not old_fei:
            original.pop("fei_header", None)
        elif axes[0]["index_in_array"] == 0 and len(axes) == 3:
            axes[0].update(name="frame", units="", scale=1.0, offset=0.0)
            if (angles := _old_fei_tilts(header, original)) is not None:
                axes[0].update(name="tilt", units="deg", axis=angles)
    else:
        keep = tuple(i for i, n in enumerate(header.shape) if n > 1) or (2,)
        data = _array(path, header, lazy).reshape([header.shape[i] for i in keep])
        original = {}
        axes = [{"name": "zyx"[axis], "size": header.shape[axis], "index_in_array": i} for i, axis in enumerate(keep)]
        one = {"data": data, "axes": axes, "original_metadata": original, "metadata": {"General": {"title": path.stem}}}
    if "de_metadata" not in original and "fei_header" not in original:
        names = {"x": "xyz"[header.order[0] - 1], "y": "xyz"[header.order[1] - 1], "z": "xyz"[header.order[2] - 1]}
        for axis in axes:
            _set_axis(axis, names[axis["name"]], header)
    original |= {"about": header.about, "labels": header.labels, "is volume": header.is_volume and header.shape[0] > 1}
    one["warnings"] = list(header.remarks)
    if found > header.promised_bytes:
        one["warnings"].append(f"{found - header.promised_bytes} bytes follow behind the values that the header promises")
    return [one]


def _old_fei_tilts(header: MrcHeader, original: Rosetta) -> NDArray[np.float64] | None:
    """One angle for each image: of a list beside the file, else of FEI's records, of which there are always 1024."""
    images = header.shape[0]
    recorded = np.asarray(original.get("fei_header", {}).get("a_tilt", ()), np.float64)[:images]
    for angles in (header.tilt_deg, recorded):
        if angles is not None and angles.size == images > 1 and np.ptp(angles) >= SAME_TILT_DEG:
            return angles
    return None


def _array(path: Path, header: MrcHeader, lazy: bool) -> Any:
    """(z, y, x) of the file."""
    if header.mode in STORED:
        return contiguous(path, _stored(header), header.shape, header.data_offset)
    nz, ny, nx = header.shape
    raw: Contiguous | _Nibbles | _Pairs
    if header.mode == 101:
        raw = _Nibbles(Contiguous(path, "u1", (nz, ny, (nx + 1) // 2), header.data_offset), nx)
    else:
        raw = _Pairs(Contiguous(path, f"{header.endian}i2", (nz, ny, nx, 2), header.data_offset))
    images = max(1, (16 << 20) // (ny * nx * raw.dtype.itemsize))
    return lazily(raw, (images, ny, nx)) if lazy else raw[...]


def _stored(header: MrcHeader) -> np.dtype[Any]:
    stored = np.dtype(header.endian + STORED[header.mode])
    return np.dtype(np.uint8) if header.mode == 0 and not header.signed_bytes else stored


class _Nibbles:
    """Mode 101: values of four bits, the lower half of a byte first, each row on whole bytes (IMOD, "MRC file format")."""

    def __init__(self, packed: Contiguous, columns: int) -> None:
        self.packed, self.columns = packed, columns
        self.shape, self.dtype, self.ndim = (*packed.shape[:2], columns), np.dtype(np.uint8), 3

    def __getitem__(self, key: Any) -> NDArray[Any]:
        images, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        packed = self.packed[images]
        values = np.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:-1], -1)[..., :self.columns]
        return values[(..., *rest)] if rest else values


class _Pairs:
    """Mode 3: real and imaginary parts as whole numbers."""

    def __init__(self, pairs: Contiguous) -> None:
        self.pairs = pairs
        self.shape, self.dtype, self.ndim = pairs.shape[:3], np.dtype(np.complex64), 3

    def __getitem__(self, key: Any) -> NDArray[Any]:
        parts = self.pairs[key].astype(np.float32)
        return np.ascontiguousarray(parts).view(np.complex64)[..., 0]


def _set_axis(axis: dict[str, Any], name: str, header: MrcHeader) -> None:
    step = header.step_nm["xyz".index(name)]
    axis["name"] = name
    if axis["index_in_array"] == 0 and not header.is_volume and name == "z":
        axis.update(name="frame", units="", scale=1.0, offset=0.0)
        if header.tilt_deg is not None and header.tilt_deg.size == axis["size"]:
            axis.update(name="tilt", units="deg", axis=header.tilt_deg)
    elif step is None:
        axis.update(units="", scale=1.0, offset=0.0)
    else:
        axis.update(units="nm", scale=step, offset=header.origin_nm["xyz".index(name)])
