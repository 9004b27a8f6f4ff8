"""Electron microscopes' files through RosettaSciIO: chosen by content, checked for damage, corrected where it errs.

RosettaSciIO 0.15 reads the arrays. Here stand the things it leaves to its caller: which reader a file needs (its own choice
goes by suffix), whether the bytes that a header promises are there, what an axis without a unit means, and the faults that
were found by comparing with other readers; each correction says which.
"""

import bz2
import logging
import os
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from inspect import signature
from math import prod
from pathlib import Path
from traceback import clear_frames
from typing import Any, cast
from xml.etree import ElementTree

import dask.array
import h5py
import numpy as np
import tifffile
from dask.delayed import delayed
from rsciio import (
    __version__,
    blockfile,
    digitalmicrograph,
    emd,
    hspy,
    jeol,
    msa,
    nexus,
    pantarhei,
    phenom,
    quantumdetector,
    ripple,
    tia,
    tvips,
)
from rsciio.tiff._api import _read_tiff  # the public reader leaves the file open when lazy
from rsciio.utils._dictionary import DTBox

from datasets.errors import UnreadableFile
from datasets.formats.contiguous import bands, contiguous, lazily, left_over
from datasets.formats.electrons import rosetta_examples as examples
from datasets.formats.electrons import rosetta_sniff as sniff
from datasets.formats.electrons.mrc_header import companions, tilt_angles, tilt_lists
from datasets.formats.electrons.rosetta_bcf import read_bcf
from datasets.formats.electrons.rosetta_bounded import bounded
from datasets.formats.electrons.rosetta_edax import beside_edax, is_edax, is_empad, raw_of_empad, read_edax, read_empad
from datasets.formats.electrons.rosetta_metadata import conditions_of, kind_of
from datasets.formats.electrons.rosetta_mrc import read_mrc
from datasets.formats.hdf5_array import is_numeric, plain
from datasets.formats.signal import Axis, Field, Format, Signal, no_companions
from datasets.formats.xrays.energy_beside import energy_list, listed_energies
from datasets.provenance import jsonable
from datasets.units import compatible, is_calibrated, spelled

da: Any = dask.array
"""Dask's functions are not typed."""

LAZY_ABOVE_BYTES = 16 << 20
"""Files above this size are read when their arrays are used, smaller ones at once; the figures are the same."""

MOST_INFLATION = 20_000
"""No compression of TIFF makes more bytes of one than this, be the image ever so dark."""

FEWEST_ZEROS, MOST_BEHIND = 512, 1 << 20
"""Fewer zeros at the end of a TIFF are padding; no more of its end are looked at."""

MOST_UNSTORED, MOST_PACKED = 64 << 20, 1032
"""An array of HDF5 may be so many bytes and so many times what is stored of it, which is the most that deflate packs."""
FAR_PIXELS = 1e6
"""An axis that begins further than this many of its own pixels from zero has an origin that nobody set."""

COUNTS = frozenset({"count", "counts", "electrons (counts)", "x-rays (counts)", "e-"})
"""Words for an intensity that counts something, lower case."""

OF_PY4DSTEM = {"Rx": "y", "Ry": "x", "Qx": "dy", "Qy": "dx"}
"""py4DSTEM counts rows along x: its axis of a 4D-STEM block -> what it is here."""

Rosetta = dict[str, Any]
"""One signal as RosettaSciIO gives it: data, axes, metadata, original_metadata."""
Reader = Callable[[Path, bool], list[Rosetta]]


def read(name: str, reader: Reader, path: Path) -> tuple[Signal, ...]:
    """All signals of a file.

    Raises
    ------
    UnreadableFile
        If the file is shorter than its header promises, or the reader meets bytes it cannot interpret.
    """
    lazy = path.stat().st_size > LAZY_ABOVE_BYTES
    with _heard() as said:
        try:
            found = reader(path, lazy)
        except Exception as error:
            clear_frames(error.__traceback__)  # closes the files that the reader left open
            raise
    if any("invalid page offset" in remark for remark in said):
        raise UnreadableFile(path, "is truncated: its list of images leads past the end of the file",
                             todo="copy it again from the microscope")
    if not found:
        raise UnreadableFile(path, f"the {name} reader of RosettaSciIO found no signal in it",
                             todo="the file may be truncated or damaged")
    return tuple(_signal(name, path, one, tuple(said)) for one in found)


def _signal(fmt: str, path: Path, one: Rosetta, said: tuple[str, ...]) -> Signal:
    metadata, original = jsonable(one.get("metadata") or {}), jsonable(one.get("original_metadata") or {})
    metadata.pop("_HyperSpy", None)
    data, kind = one["data"], kind_of(fmt, metadata, original)
    remarks = [*said, *one.get("warnings", ())]
    axes = [_axis(axis, size, remarks) for axis, size in zip(_ordered(one["axes"], data.ndim), data.shape, strict=True)]
    if data.dtype.names:
        remarks.append(f"a colour image: its channels {', '.join(data.dtype.names)} are kept along an axis")
        stack = da.stack if isinstance(data, dask.array.Array) else np.stack
        data = stack([data[name] for name in data.dtype.names])
        axes.insert(0, Axis("channel", np.arange(data.shape[0], dtype=np.float64)))
    if isinstance(data, np.memmap):
        data = np.array(data)
    if not data.dtype.isnative:
        data = data.astype(data.dtype.newbyteorder("="))
    if isinstance(data, dask.array.Array):
        data = lazily(_Watched(data, path), data.chunks)
    general = metadata.get("General", {})
    conditions = conditions_of(fmt, metadata, original)
    if any(compatible(axis.units, "deg") for axis in axes):
        conditions.pop("tilt_deg", None)  # that of one image of the tilt series
    return Signal(title=str(general.get("title") or path.stem), axes=tuple(axes),
                  fields={"data": Field(data, _intensity_unit(kind, data.dtype, metadata))}, source=path,
                  metadata={"metadata": metadata, "original": original},
                  conditions=conditions, kind=kind, warnings=tuple(dict.fromkeys(remarks)))


class _Watched:
    """A lazy array whose late read errors name the file, as early ones do."""

    def __init__(self, data: dask.array.Array, path: Path) -> None:
        self.data, self.path = data, path
        self.shape, self.dtype, self.ndim = data.shape, data.dtype, data.ndim

    def __getitem__(self, key: Any) -> Any:
        try:
            return np.asarray(self.data[key].compute(scheduler="synchronous"))
        except Exception as error:  # any byte may be wrong
            what = f"cannot be read further: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise UnreadableFile(self.path, what, todo="the file may be truncated or damaged") from error


def _ordered(axes: list[Mapping[str, Any]], ndim: int) -> list[Mapping[str, Any]]:
    """Axes in array order; where the file describes fewer or more than the array has, none is trusted."""
    if len(axes) != ndim:
        return [{}] * ndim
    if all("index_in_array" in axis for axis in axes):
        return sorted(axes, key=lambda axis: int(axis["index_in_array"]) % ndim)
    return axes


def _axis(axis: Mapping[str, Any], size: int, remarks: list[str]) -> Axis:
    name, units = str(axis.get("name") or ""), spelled(axis.get("units"))
    if "axis" in axis:
        return Axis(name, np.asarray(axis["axis"], np.float64), units)
    scale, offset = float(axis.get("scale", 1.0)), float(axis.get("offset", 0.0))
    label = name or "an axis"
    if "expression" in axis:
        remarks.append(f"{label} follows the formula {axis['expression']!r}, which is not read: it is left uncalibrated")
        scale, offset, units = 1.0, 0.0, ""
    if not np.isfinite([scale, offset]).all() or scale == 0.0:
        remarks.append(f"{label} has step {scale:g} and offset {offset:g} {units}: it is left uncalibrated".replace(" :", ":"))
        scale, offset, units = 1.0, 0.0, ""
    if units and abs(offset) > FAR_PIXELS * abs(scale):
        remarks.append(f"{label} begins at {offset:.6g} {units}, {abs(offset / scale):.2g} pixels from zero: "
                       "differences along it are sound, its origin is not")
    return Axis.even(name, size, scale, offset, units)


def _intensity_unit(kind: str, dtype: np.dtype[Any], metadata: Mapping[str, Any]) -> str:
    """Of an intensity: "count" where the file says so or an X-ray spectrum holds whole numbers; "" otherwise.

    Camera counts of EELS and images went through gain correction: only a file that says counts has counts.
    """
    stated = str(metadata.get("Signal", {}).get("quantity", "")).lower()
    return "count" if stated in COUNTS or (kind.startswith("EDS") and dtype.kind in "iu") else ""


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Collect what RosettaSciIO and tifffile log and warn of instead of letting it print; what concerns the data is kept."""
    said: list[str] = []
    listener = _Listener()
    loggers = [logging.getLogger(name) for name in ("rsciio", "tifffile")]
    before = [(logger.handlers[:], logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [listener], False
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield said
        said += listener.summary()
        said += [" ".join(str(w.message).split()) for w in caught if issubclass(w.category, UserWarning)]
    finally:
        for logger, (handlers, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate


class _Listener(logging.Handler):
    """Keeps the first messages; a damaged TIFF has thousands."""

    KEPT = 3

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self.more = 0

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.messages) < self.KEPT:
            self.messages.append(" ".join(record.getMessage().split()))
        else:
            self.more += 1

    def summary(self) -> list[str]:
        return self.messages + ([f"and {self.more} more remarks of the reader"] if self.more else [])


def _plain(module: Any, path: Path, lazy: bool, **options: Any) -> list[Rosetta]:
    found: list[Rosetta] = module.file_reader(str(path), lazy=lazy, **options)
    if lazy and len(found) == 1 and "chunks" in signature(module.file_reader).parameters:
        data = found[0]["data"]
        if data.ndim > 2:  # its shape is known now, so its blocks can be bands of whole pictures
            step = (*bands(data.shape[:-2], data.dtype.itemsize * prod(data.shape[-2:])), -1, -1)
            found = module.file_reader(str(path), lazy=lazy, chunks=step, **options)
    return found


def _eager(module: Any, path: Path, lazy: bool) -> list[Rosetta]:
    """For readers that cannot be lazy."""
    del lazy
    return _plain(module, path, lazy=False)


def _require(path: Path, promised: int, what: str = "file") -> None:
    found = os.path.getsize(path)  # noqa: PTH202  a Path may be a companion given as text
    if found < promised:
        raise UnreadableFile(path, f"is truncated: the {what} has {found} bytes, its header promises {promised}",
                             todo="copy it again from the microscope")


def _read_dm(path: Path, lazy: bool) -> list[Rosetta]:
    try:
        found = _plain(digitalmicrograph, path, lazy)
    except ValueError as error:
        if "RGBA" not in str(error):
            raise
        found = _plain(digitalmicrograph, path, lazy=False)
    for one in found:
        image = jsonable(one["original_metadata"]).get("ImageList", {}).get("TagGroup0", {}).get("ImageData", {})
        block = image.get("Data", {}) if isinstance(image.get("Data"), Mapping) else {}
        if "offset" in block and "size_bytes" in block:
            _require(path, int(block["offset"]) + int(block["size_bytes"]))
        brightness = image.get("Calibrations", {}).get("Brightness", {})
        one["metadata"].setdefault("Signal", {}).setdefault("quantity", _dm_quantity(brightness))
    if len(found) == 1:
        _set_tilts(path, found[0])
    return found


def _set_tilts(path: Path, one: Rosetta) -> None:
    """Put the angles of a list beside a stack on its first axis, if it has one for each image."""
    for beside in tilt_lists(path):
        angles, images = tilt_angles(beside), one["data"].shape[0] if one["data"].ndim == 3 else 0
        if not images or angles is None:
            continue
        if angles.size == images:
            first = _ordered(one["axes"], one["data"].ndim)[0]
            cast(dict[str, Any], first).update(name="tilt", units="deg", axis=angles)
            return
        one.setdefault("warnings", []).append(f"{beside.name} lists {angles.size} tilts for {images} images: it is not used")


def _dm_quantity(brightness: Mapping[str, Any]) -> str:
    """Say "counts" only where one stored unit is one electron: a scale says that the numbers are something else."""
    unit, scale = brightness.get("Units"), brightness.get("Scale")
    return "counts" if isinstance(unit, str) and unit.lower() in COUNTS and scale == 1.0 else ""


def _read_tiff_file(path: Path, lazy: bool) -> list[Rosetta]:
    """TIFF with the axes of RosettaSciIO and pages decoded one by one when lazy; its own lazy reading leaves the file open."""
    found = []
    with tifffile.TiffFile(path) as tiff:
        if not tiff.series or any(series.size == 0 for series in tiff.series):
            raise UnreadableFile(path, "has an image of no pixels", todo="the file may be damaged")
        for number, series in enumerate(tiff.series):
            for page in filter(None, series.pages):
                ends = [int(o + n) for o, n in zip(page.dataoffsets, page.databytecounts, strict=False)]
                _require(path, max(ends, default=0), f"page {page.index}")
                _require_segments(path, page)
            colours = series.keyframe.photometric == tifffile.PHOTOMETRIC.RGB
            one = _read_tiff(tiff, series if colours else _Described(series), str(path), lazy=colours)
            one["data"] = _tiff_array(path, number, series, tuple(int(a["size"]) for a in one["axes"]), lazy)
            _mend_tiff_axes(tiff, series, one["axes"])
            rows = _data_bar(one["original_metadata"], one["axes"])
            one["warnings"] = [rows] if rows else []
            found.append(one)
        tiff.filehandle.seek(tiff.pages.next_page_offset or 0)
        if tiff.pages.next_page_offset and any(tiff.filehandle.read(tiff.tiff.offsetsize)):
            found[0]["warnings"].append(f"the list of images breaks off after {len(tiff.pages)}: the file is damaged")
        kinds = [(series.keyframe.shape, series.keyframe.dtype, series.keyframe.photometric) for series in tiff.series]
        if len(set(kinds)) < len(kinds):
            found[0]["warnings"].append("images of like size differ in their tags and are given apart")
        if zeros := _zeros_behind(tiff):
            found[0]["warnings"].append(f"the file ends in {zeros} zeros behind its images: it may not have been written whole")
    if len(found) == 1:
        _set_tilts(path, found[0])
        _set_energies(path, found[0])
    return found


def _set_energies(path: Path, one: Rosetta) -> None:
    """Put the energies of a list beside a stack of X-ray images on its first axis, if it has one for each image."""
    if one["data"].ndim != 3 or any(axis.get("name") == "tilt" for axis in one["axes"]):
        return
    energies, said = listed_energies(path, one["data"].shape[0])
    one["warnings"] += [said] * bool(said)
    if energies.size:
        first = _ordered(one["axes"], one["data"].ndim)[0]
        cast(dict[str, Any], first).update(name="photon_energy", units="eV", axis=energies)
        one["metadata"].setdefault("Signal", {})["signal_type"] = "TXM"
        one["metadata"]["photon_energy_source"] = f"sidecar {path.stem}.txt"


def _beside_tiff(path: Path) -> tuple[Path, ...]:
    energies = energy_list(path)
    return (*tilt_lists(path), *([energies] if energies else []))


def _zeros_behind(tiff: tifffile.TiffFile) -> int:
    """Number of bytes behind all that the list of images leads to, if they are nothing but zeros."""
    ends = [0]
    for page in tiff.pages:
        ends += [int(o + n) for o, n in zip(page.dataoffsets, page.databytecounts, strict=False)]
        ends += [tag.valueoffset + tag.valuebytecount for tag in getattr(page, "tags", ())]
    end = max(*ends, tiff.pages.next_page_offset or 0)
    tiff.filehandle.seek(end)
    rest = tiff.filehandle.read(min(MOST_BEHIND, max(0, tiff.filehandle.size - end)))
    return len(rest) if len(rest) >= FEWEST_ZEROS and not any(rest) else 0


class _Described:
    """A series of pages without its pixels: RosettaSciIO is asked for axes and metadata only, and dask would hash the file."""

    def __init__(self, series: Any) -> None:
        self._series = series

    def __getattr__(self, name: str) -> Any:
        return getattr(self._series, name)

    def asarray(self, **_: Any) -> Any:
        return np.broadcast_to(np.zeros((), self._series.dtype), self._series.shape)


def _require_segments(path: Path, page: Any) -> None:
    """Refuse a page that promises more than its strips or tiles hold: tifffile fills what is missing with zeros."""
    held, promised = sum(page.databytecounts), int(page.nbytes)
    segments = prod(page.keyframe.chunked) if page.keyframe.chunks else 0
    most = held if page.keyframe.compression == tifffile.COMPRESSION.NONE and page.keyframe.bitspersample % 8 == 0 else (
        MOST_INFLATION * held)
    pieces = len(page.dataoffsets)
    if promised > most or 1 != pieces < segments:
        raise UnreadableFile(path, f"promises {promised} bytes in {segments} pieces, {pieces} of {held} bytes are there",
                             where=f"page {page.index}", todo="the file may be truncated or damaged")


def _tiff_array(path: Path, number: int, series: Any, shape: tuple[int, ...], lazy: bool) -> Any:
    colours = series.keyframe.photometric == tifffile.PHOTOMETRIC.RGB and series.shape[-1] <= 4
    if not colours and series.dataoffset is not None and series.shape == shape:
        return contiguous(path, series.keyframe.dtype.newbyteorder(series.parent.byteorder), shape, series.dataoffset)
    if lazy and not colours and series.shape == shape:
        page_shape = series.keyframe.shape
        leading = shape[:len(shape) - len(page_shape)]
        if int(np.prod(leading)) == len(series.pages) and shape[len(leading):] == page_shape:
            pages = [da.from_delayed(_page(path, number, i), page_shape, series.dtype) for i in range(len(series.pages))]
            return da.stack(pages).reshape(shape)
    array = series.asarray()
    if not colours:
        return array
    names = ["R", "G", "B", "A"][:array.shape[-1]]
    return np.ascontiguousarray(array).view(np.dtype([(n, array.dtype) for n in names]))[..., 0]


def _page(path: Path, series: int, page: int) -> Any:
    return delayed(_decoded_page, pure=True)(str(path), series, page)


def _decoded_page(path: str, series: int, page: int) -> Any:
    with tifffile.TiffFile(path) as tiff:
        return tiff.series[series].asarray(key=page)


def _mend_tiff_axes(tiff: Any, series: Any, axes: list[dict[str, Any]]) -> None:
    """FEI, TVIPS and Olympus: RosettaSciIO 0.15 gives height the pixel width and width the pixel height.

    ImageJ: it knows only the unit "micron"; other units are in the description all the same.
    """
    height = next((a for a in axes if a["name"] == "height"), None)
    width = next((a for a in axes if a["name"] == "width"), None)
    if height is None or width is None:
        return
    if {"fei", "tvips"} & tiff.flags or series.keyframe.is_sis:
        for key in ("scale", "offset", "units"):
            height[key], width[key] = width[key], height[key]
    described = tiff.imagej_metadata if tiff.is_imagej else None
    unit = str((described or {}).get("unit", "")).encode().decode("unicode_escape", "ignore").replace("Â", "")
    if unit and not is_calibrated(width["units"]) and compatible(spelled(unit), "nm"):
        height["units"] = width["units"] = unit


def _data_bar(original: Mapping[str, Any], axes: list[dict[str, Any]]) -> str:
    image = original.get("fei_metadata", {}).get("Image", {})
    rows = next((int(a["size"]) for a in axes if a["name"] == "height"), 0)
    scanned = image.get("ResolutionY")
    if isinstance(scanned, int) and 0 < scanned < rows:
        return f"the last {rows - scanned} of {rows} rows are the microscope's data bar, not specimen"
    return ""


def _read_ripple(path: Path, lazy: bool) -> list[Rosetta]:
    """Ripple; `ev-per-chan` is in eV by definition, which RosettaSciIO does not say."""
    with path.open(encoding="latin-1") as file:
        about = ripple._api.parse_ripple(file)
    promised = int(about["offset"]) + prod(int(about[key]) for key in ("data-length", "width", "height", "depth"))
    raw = raw_of_ripple(path)
    if not raw:
        raise UnreadableFile(path, "the data file of the same name, ending in .raw, is not beside it")
    _require(raw[0], promised)
    if path.suffix not in (".rpl", ".RPL"):
        raise UnreadableFile(path, "is a Ripple header, but does not end in .rpl", todo="rename it beside its .raw")
    found = _plain(ripple, path, lazy)
    found[0]["warnings"] = left_over(raw[0].stat().st_size - promised)
    for axis in found[0]["axes"]:
        if axis["name"] == "depth" and "ev-per-chan" in about and "depth-units" not in about and about["record-by"] == "vector":
            axis.update(units="eV", name="Energy")
    return found


def raw_of_ripple(path: Path) -> tuple[Path, ...]:
    """The raw block that a Ripple header describes."""
    return tuple(p for p in (path.with_suffix(".raw"), path.with_suffix(".RAW")) if p.is_file())[:1]


def _read_tia(path: Path, lazy: bool) -> list[Rosetta]:
    header = path.with_name(path.stem.rpartition("_")[0] + ".emi")
    if sniff.is_ser(path.read_bytes()[:4], path):
        if header.is_file():
            raise UnreadableFile(path, f"is the data part of {header.name}", todo=f"read {header.name} instead")
        with bounded(tia._api):
            found = _plain(tia, path, lazy)
        for one in found:
            one["warnings"] = ["without its .emi file a .ser does not say its units: lengths are assumed to be in metres"]
            _mend_ser_axes(one)
        return found
    if path.suffix.lower() != ".emi":
        raise UnreadableFile(path, "is a TIA header, but does not end in .emi", todo="rename it as its .ser files are named")
    if not sers_of_emi(path):
        raise UnreadableFile(path, f"its data file {path.stem}_1.ser is not beside it")
    return _read_emi(path, lazy)


def _read_emi(path: Path, lazy: bool) -> list[Rosetta]:
    """Every `.ser` with its own description.

    RosettaSciIO finds nine at most, none in a folder whose name has brackets, guesses all units from the first description
    and leaves out silently what it cannot read.
    """
    described = tia._api.get_xml_info_from_emi(str(path))
    found: list[Rosetta] = []
    lost = []
    for ser in sers_of_emi(path):
        number = _number_of_ser(ser)
        own = described[number - 1:number]
        try:
            with bounded(tia._api):
                one = tia._api.ser_reader(str(ser), own or None, lazy)[-1]
        except OSError as error:
            lost.append(f"{ser.name} is left out: {' '.join(str(error).split())}")
            continue
        if own:
            tags = DTBox(one["original_metadata"], box_dots=True)
            tia._api.emixml2dtb(ElementTree.fromstring(own[0]), tags)
            one["original_metadata"] = tags.to_dict()
        else:
            one["warnings"] = [f"{path.name} does not describe {ser.name}: its units are assumed to be metres"]
        found.append(one)
    if not found:
        raise UnreadableFile(path, "; ".join(lost))
    found[0]["warnings"] = [*found[0].get("warnings", ()), *lost]
    return found


def _mend_ser_axes(one: Rosetta) -> None:
    for axis in one["axes"]:
        if axis["units"] == "nm" and axis["scale"] > 1e9:  # more than a metre per pixel: the number is in 1/m
            axis.update(units="1/nm", scale=axis["scale"] * 1e-18, offset=axis["offset"] * 1e-18)
            one["warnings"] = ["without its .emi file a .ser does not say its units: a step above one metre is read as 1/m"]


def sers_of_emi(path: Path) -> tuple[Path, ...]:
    """The data files of a TIA header, by number."""
    if path.suffix.lower() != ".emi":
        return ()
    return tuple(sorted((p for p in path.parent.iterdir() if p.suffix.lower() == ".ser" and _number_of_ser(p)
                         and p.stem.rpartition("_")[0] == path.stem), key=_number_of_ser))


def _number_of_ser(path: Path) -> int:
    number = path.stem.rpartition("_")[2]
    return int(number) if number.isdecimal() else 0


def _read_elid(path: Path, lazy: bool) -> list[Rosetta]:
    """Phenom; a truncated file is refused first, since RosettaSciIO waits for its missing bytes for ever."""
    decompressor = bz2.BZ2Decompressor()
    with path.open("rb") as file:
        while not decompressor.eof and (block := file.read(1 << 20)):
            decompressor.decompress(block)
    if not decompressor.eof:
        raise UnreadableFile(path, "is truncated: its compressed block does not end", todo="copy it again from the microscope")
    return _eager(phenom, path, lazy)


def _read_jeol(path: Path, lazy: bool) -> list[Rosetta]:
    """JEOL; the cube of a .pts has 4096 channels at each pixel and is always read sparsely first."""
    if path.suffix.lower() not in (".img", ".map", ".eds", ".pts"):
        raise UnreadableFile(path, "is a JEOL file, but does not end in .img, .map, .eds or .pts", todo="give it its old name")
    if path.suffix.lower() == ".pts":
        return _plain(jeol, path, lazy=True)
    with bounded(jeol._api):
        found = _eager(jeol, path, lazy)
    if path.suffix.lower() in (".img", ".map"):  # RosettaSciIO fills up what is missing with zeros
        _require(path, max((one["data"].nbytes for one in found), default=0))
    return found


def _read_mib(path: Path, lazy: bool) -> list[Rosetta]:
    """Merlin; an acquisition that was stopped early is read as far as it went, which RosettaSciIO does without saying so."""
    one, = _plain(quantumdetector, path, lazy)
    about = one["original_metadata"]
    frame = about["mib_properties"]
    frame.pop("path", None)
    rows, columns = frame["merlin_size"]
    bits = int("".join(filter(str.isdigit, str(frame["dtype"]))) or 8)
    record = int(frame["head_size"]) + rows * columns * bits // 8
    if not frame["raw"] and frame["file_size"] % record:
        raise UnreadableFile(path, f"is truncated within frame {frame['file_size'] // record + 1}",
                             todo="copy it again from the detector's computer")
    planned = str(about.get("hdr_file", {}).get("Frames in Acquisition (Number)", ""))
    frames = prod(one["data"].shape[:-2])
    if planned.isdigit() and int(planned) > frames:
        one["warnings"] = [f"{frames} of the {planned} planned frames are read: the acquisition was stopped or is incomplete"]
    return [one]


def _read_msa(path: Path, lazy: bool) -> list[Rosetta]:
    """EMSA/MAS; RosettaSciIO neither counts the points it finds nor sees a unit behind a label, where ISO 22029 puts it."""
    found = _eager(msa, path, lazy)
    for one in found:
        for axis in one["axes"]:
            axis["units"] = _unit_in_brackets(str(axis["units"]))
        points, stated = one["data"].size, one["original_metadata"].get("NPOINTS", 0)
        if not points or points < stated:
            raise UnreadableFile(path, f"is truncated: it has {points} points, its header promises {stated:g}")
        if not stated:
            one["warnings"] = [f"its header does not say how many points it has: it may have had more than {points}"]
        elif points > stated:
            one["warnings"] = [f"it has {points} points, its header promises {stated:g}: all are read"]
    return found


def _unit_in_brackets(text: str) -> str:
    """`eV` of `Energy Loss (eV)`; a bare unit is itself."""
    return text.rpartition("(")[2].rstrip(") ") if text.rstrip().endswith(")") else text


def _read_blockfile(path: Path, lazy: bool) -> list[Rosetta]:
    with path.open("rb") as file:
        head = file.read(40)
    offset, = struct.unpack("<I", head[12:16])
    size, = struct.unpack("<H", head[20:22])
    nx, ny = struct.unpack("<2H", head[24:28])
    _require(path, offset + nx * ny * (size * size + 6))
    return _plain(blockfile, path, lazy)


def _read_tvips(path: Path, lazy: bool) -> list[Rosetta]:
    """TVIPS recorder; the first of several files of one movie, which RosettaSciIO finds by their number."""
    with path.open("rb") as file:
        head = file.read(256)
    _, version, width, height, bits = struct.unpack("<5I", head[:20])
    record = width * height * bits // 8 + (12 if version == 1 else struct.unpack("<I", head[48:52])[0])
    found = path.stat().st_size
    if found < 256 + record or (found - 256) % record:
        raise UnreadableFile(path, f"is truncated within frame {max(0, found - 256) // record + 1}",
                             todo="copy it again from the camera's computer")
    return _plain(tvips, path, lazy)


def _read_ncem(path: Path, lazy: bool) -> list[Rosetta]:
    """NCEM EMD; datasets are never stacked because their names resemble each other.

    py4DSTEM and emdfile write EMD 1.0, whose lists of points RosettaSciIO passes over in silence: they are named.
    """
    found = _plain(emd, path, lazy, stack_group=False)
    for one in found:
        if {axis["name"] for axis in one["axes"]} == set(OF_PY4DSTEM):
            one["metadata"].setdefault("Signal", {})["signal_type"] = "electron_diffraction"
            for axis in one["axes"]:
                axis["name"] = OF_PY4DSTEM[axis["name"]]
    points: list[str] = []

    def look(name: str, item: Any) -> None:
        if str(plain(item.attrs.get("emd_group_type")) or "").startswith("pointlist"):
            points.append(name)

    with h5py.File(path, "r") as file:
        file.visititems(look)
    if found and points:
        found[0].setdefault("warnings", []).append(
            f"lists of points are not read: {', '.join(points[:5])}"
            + (f" and {len(points) - 5} more" if len(points) > 5 else ""))
    return found


def _read_hspy(path: Path, lazy: bool) -> list[Rosetta]:
    return _plain(hspy, path, lazy)


def _read_nexus(path: Path, lazy: bool) -> list[Rosetta]:
    """NeXus; arrays that RosettaSciIO leaves out, since they are described in another way than it knows, are named."""
    _refuse_unstored(path)
    found = _plain(nexus, path, lazy)
    taken = {tuple(sorted(one["data"].shape)) for one in found}
    left: list[str] = []

    def look(name: str, item: Any) -> None:
        if is_numeric(item) and item.ndim > 1 and tuple(sorted(item.shape)) not in taken:
            left.append(f"{name} {item.shape}")

    with h5py.File(path, "r") as file:
        file.visititems(look)
    if found and left:
        found[0]["warnings"] = [f"arrays that no signal of the file holds: {', '.join(left[:5])}"
                                + (f" and {len(left) - 5} more" if len(left) > 5 else "")]
    return found


def _refuse_unstored(path: Path) -> None:
    """RosettaSciIO makes room for what an array declares, be it stored or not."""
    def look(name: str, item: Any) -> None:
        if is_numeric(item) and not item.is_virtual and not item.external and (
                item.nbytes > MOST_UNSTORED + MOST_PACKED * item.id.get_storage_size()):
            raise UnreadableFile(path, f"declares {item.nbytes} bytes of which {item.id.get_storage_size()} are stored",
                                 where=name, todo="the file may be damaged")

    with h5py.File(path, "r") as file:
        file.visititems(look)


def _read_prz(path: Path, lazy: bool) -> list[Rosetta]:
    """Panta Rhei; metadata of versions before 24.03 are a pickle, which is never loaded."""
    if path.suffix != ".prz":
        raise UnreadableFile(path, "is a Panta Rhei archive, but does not end in .prz", todo="rename it")
    return _plain(pantarhei, path, lazy, allow_restricted_pickle=False)


def _format(name: str, suffixes: str, recognises: Callable[[bytes, Path], bool], reader: Reader,
            beside: Callable[[Path], tuple[Path, ...]] = no_companions,
            example: Callable[[Path], Path] | None = None) -> Format:
    return Format(name=name, suffixes=frozenset(suffixes.split()), recognises=recognises, read=partial(read, name, reader),
                  version=f"RosettaSciIO {__version__}", companions=beside, example=example)


def _header_of_mib(path: Path) -> tuple[Path, ...]:
    return tuple(p for p in (path.with_suffix(".hdr"),) if p.is_file())


def _rest_of_movie(path: Path) -> tuple[Path, ...]:
    first = path.stem.removesuffix("_000")
    return () if first == path.stem else tuple(sorted(p for p in path.parent.glob("*.tvips")
                                                      if p != path and p.stem.rpartition("_")[0] == first))


def _is_tia(head: bytes, path: Path) -> bool:
    return sniff.is_emi(head, path) or sniff.is_ser(head, path)


ROSETTA: tuple[Format, ...] = (
    _format("digitalmicrograph", ".dm3 .dm4", sniff.is_dm, _read_dm, tilt_lists),
    _format("velox-emd", ".emd", sniff.is_velox, partial(_plain, emd)),
    _format("ncem-emd", ".emd", sniff.is_ncem_emd, _read_ncem, example=examples.ncem_example),
    _format("hspy", ".hspy", sniff.is_hspy, _read_hspy, example=examples.hspy_example),
    _format("nexus", ".nxs", sniff.is_nexus, _read_nexus, example=examples.nexus_example),
    _format("mrc", ".mrc .map .st .ali .rec", sniff.is_mrc, read_mrc, companions, examples.mrc_example),
    _format("tiff", ".tif .tiff", sniff.is_tiff, _read_tiff_file, _beside_tiff, example=examples.tiff_example),
    _format("bruker", ".bcf", sniff.is_bcf, read_bcf),
    _format("tia", ".emi .ser", _is_tia, _read_tia, sers_of_emi),
    _format("ripple", ".rpl", sniff.is_ripple, _read_ripple, raw_of_ripple, examples.ripple_example),
    _format("msa", ".msa .emsa", sniff.is_msa, _read_msa, example=examples.msa_example),
    _format("edax", ".spd .lsd .spc", is_edax, read_edax, beside_edax, examples.edax_example),
    _format("empad", ".xml", is_empad, read_empad, raw_of_empad, examples.empad_example),
    _format("jeol", ".img .map .eds .pts", sniff.is_jeol, _read_jeol),
    _format("phenom", ".elid", sniff.is_elid, _read_elid),
    _format("blockfile", ".blo", sniff.is_blockfile, _read_blockfile, example=examples.blockfile_example),
    _format("mib", ".mib", sniff.is_mib, _read_mib, _header_of_mib),
    _format("tvips", ".tvips", sniff.is_tvips, _read_tvips, _rest_of_movie, examples.tvips_example),
    _format("prz", ".prz", sniff.is_prz, _read_prz, example=examples.prz_example),
)
"""Formats that are read with RosettaSciIO."""
