"""Agilent FPA infrared images of Resolutions Pro: single tiles (.bsp with .dat and .seq) and mosaics (.dmt with .dmd tiles).

There is no published specification; found by taking files apart beside agilent-format 0.4.7 (A. Henderson's MATLAB code), with
whose numbers this reader agrees. It is not used itself: it builds a list of as many wavenumbers as a damaged file declares, and
takes tiles for squares of a power of two, where the files say their size.

- Data (.dat, .seq, .dmd, .drd, .dms): 1020 bytes of head (00 72 47 00; uint32 points at 9; uint16 width and height at 24), then
  float32 planes, one a wavenumber or path difference, in rows from the bottom of the image up. `.dat` and `.dms` beside a
  `.dmt` hold the whole mosaic, `.dmd` one tile, named _xxxx_yyyy from the upper left; `.seq` and `.drd` hold interferograms.
- Settings (.bsp, .dmt): OLE2, of which three numbers stand at fixed places of the file (float64 step at 2216, int32 first
  point at 2228 and points at 2236; wavenumber = step x (first + i)) and the others behind their names: the quantity behind
  "Wavenumber", "FPA Pixel Size" (um), "PixelAggregationSize" (detector pixels per side of a pixel), step, first and points of
  "Interferogram" (path difference in cm).
- `.hdr`: ENVI's, with the wavenumbers once more; they must agree.

Names of the files of one measurement may differ in case. Any of them may be opened; the others are its companions.
Not understood: the OLE2 streams (they are not where OLE2 says); coordinates on the stage.
"""

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array
import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.contiguous import AT_ONCE_BYTES, Contiguous, contiguous, lazily
from datasets.formats.signal import Axis, Field, Format, Signal

da: Any = dask.array
"""Dask's functions are not typed."""

OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
DATA = b"\x00\x72\x47\x00"
HEAD_BYTES = 1020
SETTINGS, PLANES, TILES = (".bsp", ".dmt"), (".dat", ".seq", ".dms"), (".dmd", ".drd")
QUANTITIES = {"absorbance": ("absorbance", "1"), "transmittance": ("transmittance", "1"),
              "%transmittance": ("transmittance", "percent"), "reflectance": ("reflectance", "1"),
              "response": ("single_beam", "arbitrary"), "single beam": ("single_beam", "arbitrary")}
TILE = re.compile(r"(.*)_(\d{4})_(\d{4})")
PROPERTY = re.compile(rb"1\.00.{12}(.{8}).{4}(.{4}).{4}(.{4})", flags=re.DOTALL)


@dataclass(frozen=True)
class _Settings:
    step: float
    first: int
    points: int
    label: str
    pixel_um: float | None
    fringes: tuple[float, int, int] | None
    metadata: dict[str, Any]


def read(path: Path) -> tuple[Signal, ...]:
    """The image of spectra, and that of interferograms if it was kept.

    Raises
    ------
    UnreadableFile
        Naming the file of the measurement that is missing, damaged or contradicts the others.
    """
    family = _family(path)
    settings_path = next((p for p in family if p.suffix.lower() in SETTINGS), None)
    if settings_path is None:
        raise UnreadableFile(path, f"needs the settings beside it ({_stem(path)}.bsp or .dmt)")
    settings = _settings(path, settings_path)
    found: list[Signal] = []
    mosaic = settings_path.suffix.lower() == ".dmt"
    for suffix, whole, fringes in ((".dmd", (".dms", ".dat"), False), (".drd", (), True)) if mosaic else (
            ("", (".dat",), False), ("", (".seq",), True)):
        planes, warnings = _planes(path, family, suffix, whole)
        if planes is not None:
            found.append(_signal(path, settings, settings_path, planes, fringes, warnings))
    if not found:
        raise UnreadableFile(path, "has settings and no data beside it (.dat, .seq or .dmd)")
    return tuple(found)


def _family(path: Path) -> list[Path]:
    """Files of the same measurement, by their names without case and numbers of tiles."""
    stem = _stem(path)
    known = (*SETTINGS, *PLANES, *TILES, ".hdr")
    try:
        beside = sorted(path.parent.iterdir())
    except OSError:
        return [path]
    return [p for p in beside if p.suffix.lower() in known and _stem(p) == stem]


def _stem(path: Path) -> str:
    match = TILE.fullmatch(path.stem) if path.suffix.lower() in TILES else None
    return (match[1] if match else path.stem).casefold()


def _settings(path: Path, settings_path: Path) -> _Settings:
    raw = settings_path.read_bytes()
    if not raw.startswith(OLE2) or len(raw) < 2240:
        raise UnreadableFile(path, f"the settings in {settings_path.name} are damaged", todo="the file may be truncated")
    step = struct.unpack_from("<d", raw, 2216)[0]
    first, _, points = struct.unpack_from("<3i", raw, 2228)
    if not (np.isfinite(step) and 0 < step < 1e5) or points < 1 or not 0 <= first < 10 ** 8:
        raise UnreadableFile(path, f"the settings say {points} points in steps of {step:g} 1/cm", where=settings_path.name)
    label = re.search(rb"numb?er\x04\x00\x00\x00.\x00\x00\x00.\x00\x00\x00([ -~]+)", raw, flags=re.DOTALL)
    pixel, side = _number_behind(raw, b"FPA Pixel Size"), re.search(rb"PixelAggregationSize[^0-9A-Za-z]{1,60}(\d{1,4})", raw)
    pitch = pixel * int(side[1]) if pixel and side else None
    fringes = None
    at = raw.find(b"Interferogram\0")
    if at >= 0 and (match := PROPERTY.search(raw, at, at + 200)):
        fringes = struct.unpack("<d", match[1])[0], struct.unpack("<i", match[2])[0], struct.unpack("<i", match[3])[0]
    metadata = {"settings": settings_path.name, "fpa_pixel_um": pixel, "aggregation": int(side[1]) if side else None}
    if stamp := re.search(rb"[A-Z][a-z]+day, [A-Z][a-z]+ \d\d, \d{4} \d\d:\d\d:\d\d", raw):
        metadata["time_stamp"] = stamp[0].decode()
    return _Settings(step, first, points, label[1].decode().strip().lower() if label else "", pitch, fringes, metadata)


def _number_behind(raw: bytes, name: bytes) -> float | None:
    at = raw.find(name)
    match = re.compile(rb"1\.00.{12}(.{8})", flags=re.DOTALL).search(raw, at, at + 120) if at >= 0 else None
    value = struct.unpack("<d", match[1])[0] if match else np.nan
    return float(value) if np.isfinite(value) and 0 < value < 1e6 else None


def _planes(path: Path, family: list[Path], tiles: str, whole: tuple[str, ...]) -> tuple[Any, list[str]]:
    """Values (plane, y, x) with y up, of one file or of the tiles of a mosaic; dask where they are large."""
    parts = [p for p in family if tiles and p.suffix.lower() == tiles]
    if parts:
        return _mosaic(path, parts)
    alone = next((p for suffix in whole for p in family if p.suffix.lower() == suffix), None)
    if alone is None:
        return None, []
    one = _stored(path, alone)
    return contiguous(one.path, one.stored, one.shape, one.offset), []


def _stored(path: Path, source: Path) -> Contiguous:
    """The planes of one file, which is as long as they are."""
    with source.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head.startswith(DATA) or len(head) < HEAD_BYTES:
        raise UnreadableFile(path, f"{source.name} does not begin as data do", todo="the file may be damaged")
    points = struct.unpack_from("<I", head, 9)[0]
    width, height = struct.unpack_from("<2H", head, 24)
    count = points * width * height
    if count < 1 or source.stat().st_size - HEAD_BYTES < 4 * count:
        raise UnreadableFile(path, f"{source.name} declares {points} planes of {width} x {height} and is shorter",
                             todo="the file may be truncated")
    return Contiguous(source, "<f4", (points, height, width), HEAD_BYTES)


def _mosaic(path: Path, parts: list[Path]) -> tuple[Any, list[str]]:
    places = {(int(m[2]), int(m[3])): p for p in parts if (m := TILE.fullmatch(p.stem))}
    if not places:
        raise UnreadableFile(path, f"the tiles beside it have no numbers ({parts[0].name})")
    tiles = {place: _stored(path, p) for place, p in places.items()}
    shapes = {tile.shape for tile in tiles.values()}
    if len(shapes) > 1:
        raise UnreadableFile(path, f"its tiles are of different sizes: {', '.join(map(str, sorted(shapes)))}")
    points, height, width = shapes.pop()
    across, down = (max(place[i] for place in tiles) + 1 for i in (0, 1))
    missing = across * down - len(tiles)
    if across * down > 4 * len(tiles) + 16:
        raise UnreadableFile(path, f"{missing} of {across} x {down} tiles are missing")
    blank = da.full((points, height, width), np.nan, dtype=np.float32, chunks=-1)
    # tiles are counted from the top, their rows from the bottom
    whole = da.block([[lazily(tiles[x, y], tiles[x, y].shape) if (x, y) in tiles else blank for x in range(across)]
                      for y in reversed(range(down))])
    if whole.nbytes <= AT_ONCE_BYTES:
        whole = whole.compute(scheduler="synchronous")
    return whole, [f"{missing} tiles of the mosaic are missing: their pixels are NaN"] if missing else []


def _signal(path: Path, settings: _Settings, settings_path: Path, planes: Any, fringes: bool,
            warnings: list[str]) -> Signal:
    if fringes:
        name, unit, kind = "interferogram", "arbitrary", "interferogram"
        if settings.fringes is None or settings.fringes[2] != planes.shape[0] or not np.isfinite(settings.fringes[0]):
            raise UnreadableFile(path, f"the settings do not tell the path differences of {planes.shape[0]} points",
                                 where=settings_path.name)
        step, first, _ = settings.fringes
        axis = Axis("optical path difference", step * (first + np.arange(planes.shape[0])), "cm")
    else:
        name, unit = QUANTITIES.get(settings.label, ("absorbance", "1"))
        kind = "FTIR"
        if settings.label not in QUANTITIES:
            warnings = [*warnings, f"the quantity is called {settings.label!r}; it is taken for absorbance"]
        if settings.points != planes.shape[0]:
            raise UnreadableFile(path, f"{settings_path.name} says {settings.points} wavenumbers, "
                                 f"the data hold {planes.shape[0]}")
        axis = Axis("wavenumber", settings.step * (settings.first + np.arange(settings.points)), "1/cm")
    at_once = isinstance(planes, np.ndarray)
    values = np.ascontiguousarray(np.moveaxis(planes, 0, -1)) if at_once else da.moveaxis(planes, 0, -1)
    places = tuple(Axis(n, (settings.pixel_um or 1.0) * np.arange(size), "um" if settings.pixel_um else "")
                   for n, size in zip(("y", "x"), values.shape[:2], strict=True))
    if blank := int(np.isnan(values).sum()) if at_once and not warnings else 0:
        warnings = [*warnings, f"{blank} values are no numbers"]
    title = settings_path.stem if not fringes else f"{settings_path.stem}, interferograms"
    return Signal(title, (*places, axis), {name: Field(values, unit)}, path, settings.metadata, {}, kind, tuple(warnings))


def companions(path: Path) -> tuple[Path, ...]:
    """The other files of the measurement."""
    return tuple(p for p in _family(path) if p != path)


def recognises(head: bytes, path: Path) -> bool:
    """Data by their first bytes; settings are OLE2 that names the spectrometer."""
    if head.startswith(DATA):
        return path.suffix.lower() in (*PLANES, *TILES)
    if not head.startswith(OLE2):
        return False
    try:
        return b"Rapid Stingray" in path.read_bytes() or path.suffix.lower() in SETTINGS
    except OSError:
        return False


def example(folder: Path) -> Path:
    """A tile of 3 x 2 pixels and 5 wavenumbers; each pixel holds its own number."""
    points, height, width = 5, 2, 3
    pixels = np.arange(height * width, dtype="<f4").reshape(1, height, width)
    values = pixels + 10 * np.arange(points, dtype="<f4")[:, None, None]
    head = bytearray(HEAD_BYTES)
    head[:4] = DATA
    struct.pack_into("<I", head, 9, points)
    struct.pack_into("<2H", head, 24, width, height)
    settings = bytearray(4096)
    settings[:8] = OLE2
    struct.pack_into("<d", settings, 2216, 20.0)
    struct.pack_into("<3i", settings, 2228, 50, 4, points)
    settings[2400:2450] = b"Wavenumber\x04\0\0\0\x0a\0\0\0\x0a\0\0\0Absorbance\x04\0\0\0".ljust(50, b"\0")
    settings[2500:2560] = b"FPA Pixel Size".ljust(26, b"\0") + b"1.00" + bytes(12) + struct.pack("<d", 5.5) + bytes(10)
    settings[2600:2640] = b"PixelAggregationSize\x04\0\0\0\x0216".ljust(40, b"\0")
    settings[2700:2714] = b"Rapid Stingray"
    (folder / "example.dat").write_bytes(bytes(head) + values.tobytes())
    path = folder / "example.bsp"
    path.write_bytes(bytes(settings))
    return path


AGILENT = Format(name="agilent fpa", suffixes=frozenset({*SETTINGS, *PLANES, *TILES}), recognises=recognises, read=read,
                 version="1", companions=companions, example=example)
