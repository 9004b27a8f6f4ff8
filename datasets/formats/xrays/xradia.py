"""Zeiss Xradia images, mosaics, tilt and energy series (.xrm, .txrm) of laboratories and beamlines (SSRL, APS ...).

An OLE container. `ImageInfo` has sizes, type (3: uint8, 5: uint16, 10: float32), pixel size in µm after binning, and one
float32 per image for angle, exposure, energy, position; `ImageDataN/ImageM` the images, a hundred in each N; `ReferenceData` a
flat field. Not published; known from files and from what dxchange (BSD-style) and txrm2tiff (BSD) found out. What matters:

- The number of images is the number of image streams: a mosaic says 16 and holds one stitched image.
- Energy is in eV and stands in the metadata (APS), there for the first image only (tilt series), or as 0 (SSRL), and then only
  in the file's name, in the script that collected it or in a list beside it (`energy_beside`). `photon_energy_source` in the
  metadata says which.
- 0.0 in a list of energies means "not stated". Stage positions have no stated unit and are kept as metadata.
- Whether a file is a flat field stands only in its name (`_ref_`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import olefile
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.contiguous import lazily
from datasets.formats.dates import acquired
from datasets.formats.signal import Axis, Field, Format, Signal
from datasets.formats.xrays.energy_beside import energy_list, listed_energies, scripted_energy, scripts_beside
from datasets.formats.xrays.photon_energy import energy_in_name, role_in_name

OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
TYPES = {3: "u1", 5: "<u2", 10: "<f4"}
LAZY_ABOVE_BYTES = 16 << 20
IMAGE = re.compile(r"ImageData\d+/Image(\d+)$")
LISTS = {"Angles": "tilt_deg", "Energy": "energy_eV", "ExpTimes": "exposure_s", "XPosition": "x_position",
         "YPosition": "y_position", "ZPosition": "z_position", "IonChamberCurrent": "ion_chamber_current"}
PER_IMAGE = re.compile(r"(\d\d/\d\d/\d{2,4} \d\d:\d\d:\d\d)")


@dataclass(frozen=True)
class _Images:
    """Images of a file as one array; each is read when it is sliced."""

    path: Path
    streams: tuple[str, ...]
    stored: np.dtype[Any]
    size: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        return (len(self.streams), *self.size)

    @property
    def ndim(self) -> int:
        return 3

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.stored.newbyteorder("=")

    def __getitem__(self, key: Any) -> NDArray[Any]:
        first, *rest = key if isinstance(key, tuple) else (key,)
        chosen = self.streams[first] if isinstance(first, slice) else (self.streams[first],)
        with _opened(self.path) as ole:
            stack = np.stack([self._one(ole, stream) for stream in chosen])
        picked: NDArray[Any] = stack[(slice(None) if isinstance(first, slice) else 0, *rest)]
        return picked

    def _one(self, ole: Any, stream: str) -> NDArray[Any]:
        raw = ole.openstream(stream).read()
        needed = self.size[0] * self.size[1]
        if len(raw) < needed * self.stored.itemsize:
            raise UnreadableFile(self.path, f"declares {self.size[0]} x {self.size[1]} pixels of {self.stored.itemsize} bytes, "
                                            f"{len(raw)} bytes are there", where=stream, todo="the file is truncated")
        return np.frombuffer(raw, self.stored, needed).reshape(self.size).astype(self.dtype)


def read(path: Path) -> tuple[Signal, ...]:
    """The images of a file, and its flat field where it holds one.

    Raises
    ------
    UnreadableFile
        If the container is damaged, or images are missing or of an unknown type.
    """
    with _opened(path) as ole:
        streams = ["/".join(parts) for parts in ole.listdir()]
        images = sorted((s for s in streams if IMAGE.search(s)), key=lambda s: int(IMAGE.search(s)[1]))  # type: ignore[index]
        width, height, kind = (_whole(path, ole, f"ImageInfo/{name}") for name in ("ImageWidth", "ImageHeight", "DataType"))
        pixel_um = _floats(ole, "ImageInfo/PixelSize")
        lists = {key: _floats(ole, f"ImageInfo/{name}") for name, key in LISTS.items()}
        dates = _dates(ole)
        about = _about(ole)
        reference = _reference(path, ole)
        declared = _whole(path, ole, "ImageInfo/NoOfImages", len(images))
    size = path.stat().st_size
    if kind not in TYPES or not images or width * height == 0 or width * height * np.dtype(TYPES[kind]).itemsize > size:
        raise UnreadableFile(path, f"declares images of {height} x {width} pixels of type {kind} and holds {len(images)} in "
                                   f"{size} bytes", todo="the file may be damaged")
    stack = _Images(path, tuple(images), np.dtype(TYPES[kind]), (height, width))
    remarks: list[str] = []
    mosaic = len(images) == 1 and declared > 1
    if mosaic:
        remarks.append(f"a mosaic of {declared} images, stitched to one")
    elif declared != len(images):
        remarks.append(f"declares {declared} images and holds {len(images)}: the acquisition was stopped")
    conditions, energies = _conditions(path, lists, dates, len(images), about, remarks)
    leading = [_leading(lists, energies, len(images))] if len(images) > 1 else []
    many = int(np.prod(stack.shape)) * stack.dtype.itemsize > LAZY_ABOVE_BYTES and len(images) > 1
    data = lazily(stack, (1, height, width)) if many else stack[:]
    step = float(pixel_um[0]) if pixel_um.size else 0.0
    known = np.isfinite(step) and step > 0
    if not known:
        remarks.append("states no pixel size")
    grid = tuple(Axis.even(name, n, step if known else 1.0, 0.0, "um" if known else "")
                 for name, n in zip("yx", (height, width), strict=True))
    main = Signal(path.stem, (*leading, *grid), {"data": Field(data if len(images) > 1 else data[0])}, path, about, conditions,
                  "TXM", tuple(remarks))
    if reference is None:
        return (main,)
    flat = Signal(f"{path.stem} flat field", grid, {"data": Field(reference)}, path, {"role": "flat field"}, {}, "TXM") if (
        reference.shape == (height, width)) else None
    return (main,) if flat is None else (main, flat)


def _opened(path: Path) -> Any:
    try:
        return olefile.OleFileIO(path)
    except Exception as error:  # olefile raises what the damage makes it meet
        raise UnreadableFile(path, f"is a damaged OLE container: {' '.join(str(error).split())[:120]}",
                             todo="copy it again") from error


def _bytes(ole: Any, stream: str) -> bytes:
    return bytes(ole.openstream(stream).read()) if ole.exists(stream) else b""


def _floats(ole: Any, stream: str) -> NDArray[np.float64]:
    raw = _bytes(ole, stream)
    return np.frombuffer(raw[:len(raw) // 4 * 4], "<f4").astype(np.float64)


def _whole(path: Path, ole: Any, stream: str, otherwise: int | None = None) -> int:
    raw = _bytes(ole, stream)
    if len(raw) < 4:
        if otherwise is not None:
            return otherwise
        raise UnreadableFile(path, f"has no {stream}: it is no Xradia image, or damaged")
    value = int.from_bytes(raw[:4], "little", signed=True)
    if not 0 <= value < 1 << 24:
        raise UnreadableFile(path, f"{stream} is {value}", todo="the file may be damaged")
    return value


def _dates(ole: Any) -> list[str]:
    return PER_IMAGE.findall(_bytes(ole, "ImageInfo/Date").decode("latin-1"))


def _about(ole: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("OpticalMagnification", "HorizontalBin", "VerticalalBin", "MosiacRows", "MosiacColumns", "AcquisitionMode",
                 "Voltage", "Current", "XrayMagnification", "NoOfImagesAveraged", "AbsorptionScaleFactor"):
        raw = _bytes(ole, f"ImageInfo/{name}")
        if len(raw) >= 4:
            number = float(np.frombuffer(raw[:4], "<f4")[0])
            whole = int(np.frombuffer(raw[:4], "<i4")[0])
            value = number if 1e-3 <= abs(number) < 1e9 or whole == 0 else whole
            found[name] = value if np.isfinite(value) else None
    for name in ("ObjectiveName", "CameraName"):
        if text := _bytes(ole, f"ImageInfo/{name}").split(b"\0")[0].decode("latin-1").strip():
            found[name] = text
    return found


def _reference(path: Path, ole: Any) -> NDArray[Any] | None:
    raw = _bytes(ole, "ReferenceData/Image")
    if not raw:
        return None
    kind = _whole(path, ole, "ReferenceData/DataType", 10)
    height, width = (_whole(path, ole, f"ImageInfo/Image{side}") for side in ("Height", "Width"))
    dtype = np.dtype(TYPES.get(kind, "<f4"))
    if len(raw) < height * width * dtype.itemsize:
        return None
    return np.frombuffer(raw, dtype, height * width).reshape(height, width).astype(dtype.newbyteorder("="))


def _conditions(path: Path, lists: Mapping[str, NDArray[np.float64]], dates: list[str], count: int, about: dict[str, Any],
                remarks: list[str]) -> tuple[dict[str, Any], NDArray[np.float64] | None]:
    """What is stated of the whole file, and the energies where each image has its own."""
    found: dict[str, Any] = {**acquired("".join(dates[:1]), "%m/%d/%Y %H:%M:%S", "%m/%d/%y %H:%M:%S")}
    for key, values in lists.items():
        if values.size and key not in ("tilt_deg", "energy_eV", "exposure_s"):
            about[key] = [v if np.isfinite(v) else None for v in values[:10_000].tolist()]
    exposures = lists["exposure_s"][:max(count, 1)]
    if exposures.size and np.isfinite(exposures).all() and exposures[0] > 0 and (exposures == exposures[0]).all():
        found["exposure_s"] = round(float(exposures[0]), 9)
    if count == 1 and lists["tilt_deg"].size and np.isfinite(lists["tilt_deg"][0]):
        found["tilt_deg"] = float(lists["tilt_deg"][0])
    energies = lists["energy_eV"][:max(count, 1)]
    stated = energies[np.isfinite(energies) & (energies > 0)]
    if stated.size == count > 1 and np.unique(stated).size > 1:
        about["photon_energy_source"] = "metadata"
        return {**found, **_role(path, about, remarks)}, energies
    if count > 1 and not stated.size:
        beside, said = listed_energies(path, count)
        remarks += [said] * bool(said)
        if beside.size:
            about["photon_energy_source"] = f"sidecar {path.stem}.txt"
            return {**found, **_role(path, about, remarks)}, beside
    if stated.size:
        found["photon_energy_eV"], about["photon_energy_source"] = float(stated[0]), "metadata"
        if stated.size < count:
            remarks.append(f"the energy is stated for {stated.size} of {count} images and taken for all")
    elif (named := energy_in_name(path.name)) is not None:
        found["photon_energy_eV"], about["photon_energy_source"] = named, "file name"
        remarks.append(f"the energy of {named:g} eV stands only in the name of the file")
    elif (scripted := scripted_energy(path)) is not None:
        found["photon_energy_eV"], about["photon_energy_source"] = scripted[0], f"sidecar {scripted[1]}"
        remarks.append(f"the energy of {scripted[0]:g} eV stands only in {scripted[1]}, the script that collected the file")
    return {**found, **_role(path, about, remarks)}, None


def _role(path: Path, about: dict[str, Any], remarks: list[str]) -> dict[str, Any]:
    if role := role_in_name(path.stem):
        about["role"] = role
        remarks.append(f"its name says that it is a {role}")
    return {}


def _leading(lists: Mapping[str, NDArray[np.float64]], energies: NDArray[np.float64] | None, count: int) -> Axis:
    angles = lists["tilt_deg"][:count]
    if energies is not None:
        return Axis("photon_energy", energies, "eV")
    if angles.size == count and np.isfinite(angles).all() and np.unique(angles).size > 1:
        return Axis("tilt", angles, "deg")
    return Axis("frame", np.arange(count, dtype=np.float64))


def companions(path: Path) -> tuple[Path, ...]:
    """The script that collected a file, and the list of its energies."""
    beside = energy_list(path)
    return (*scripts_beside(path), *([beside] if beside else []))


def recognises(head: bytes, path: Path) -> bool:
    """An OLE container with image information of Xradia."""
    if head[:8] != OLE_MAGIC:
        return False
    try:
        with olefile.OleFileIO(path) as ole:
            return bool(ole.exists("ImageInfo/ImageWidth"))
    except Exception:  # olefile raises what the damage makes it meet
        return path.suffix.lower() in (".xrm", ".txrm")


XRADIA = Format(name="xradia", suffixes=frozenset({".xrm", ".txrm"}), recognises=recognises, read=read, version="2",
                companions=companions)
