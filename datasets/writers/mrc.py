"""MRC2014: images, movies and tilt series, as electron microscopes write them.

Source: Cheng et al., J. Struct. Biol. 192, 146 (2015), doi 10.1016/j.jsb.2015.04.002 (header layout; not opened here,
checked by reading back with mrcfile). The optional record of the microscope is FEI's extended header of kind FEI1, in the
layout that mrcfile states.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.writers import SYNTHETIC

MODE = {"int8": 0, "int16": 1, "float32": 2, "complex64": 4, "uint16": 6, "float16": 12}
"""numpy dtype -> MRC mode."""

HEADER = np.dtype([
    ("size", "<i4", 3), ("mode", "<i4"), ("start", "<i4", 3), ("intervals", "<i4", 3), ("cell_A", "<f4", 3),
    ("angles_deg", "<f4", 3), ("axes", "<i4", 3), ("minimum", "<f4"), ("maximum", "<f4"), ("mean", "<f4"),
    ("space_group", "<i4"), ("extended_bytes", "<i4"), ("extra1", "V8"), ("extended_kind", "S4"), ("version", "<i4"),
    ("extra2", "V84"), ("origin_A", "<f4", 3), ("map", "S4"), ("machine", "u1", 4), ("rms", "<f4"), ("n_labels", "<i4"),
    ("labels", "S80", 10),
])


FEI_BYTES, FEI_VERSION = 768, 0
OLE_EPOCH = datetime(1899, 12, 30)


@dataclass(frozen=True)
class Microscope:
    """What the microscope knew of an image; zero or None for what it did not.

    scanning : STEM, not TEM; dwell_time_s and convergence_mrad belong to it, exposure_s and defocus_nm to TEM
    """

    beam_energy_keV: float
    scanning: bool = False
    dose_e_per_A2: float = 0.0
    defocus_nm: float = 0.0
    exposure_s: float = 0.0
    dwell_time_s: float = 0.0
    convergence_mrad: float = 0.0
    magnification: float = 0.0
    tilt_deg: float = 0.0
    detector: str = ""
    acquired: datetime | None = None


def write(path: str | Path, image: npt.NDArray[Any], *, pixel_size_nm: tuple[float, float] | None,
          z_step_nm: float | None = None, labels: Sequence[str] = (), microscope: Microscope | None = None) -> Path:
    """Write an image (y, x) or a stack of images (frame, y, x).

    Parameters
    ----------
    image : (y, x) or (frame, y, x)
        int8, int16, uint16, float32, float16 or complex64; row 0 is written first, as most cameras do.
    pixel_size_nm : (y, x), nm, or None
        None leaves the cell at zero, which means "not known" in MRC.
    z_step_nm : nm or None
        Distance of slices of a volume; with it the file is a volume (space group 1), without it an image stack.
    labels
        Up to nine lines of 80 characters: voltage, dose, defocus; the tenth says that the file is synthetic.
    microscope
        With it the file carries an FEI1 extended header, one record per image.

    Raises
    ------
    ValueError
        For a dtype that MRC has no mode for, more than three dimensions or too many labels.
    """
    stack = image[None] if image.ndim == 2 else image
    if stack.ndim != 3 or stack.dtype.name not in MODE or len(labels) > 9:
        raise ValueError(f"MRC holds (y, x) or (frame, y, x) of {', '.join(MODE)} and 9 labels; "
                         f"got {image.ndim}-D {image.dtype} and {len(labels)} labels")
    header = np.zeros((), HEADER)
    header["size"] = stack.shape[::-1]
    header["mode"] = MODE[stack.dtype.name]
    volume = z_step_nm is not None
    header["intervals"] = (stack.shape[2], stack.shape[1], stack.shape[0] if volume else 1)
    if pixel_size_nm is not None:
        pixel_y_A, pixel_x_A = 10 * pixel_size_nm[0], 10 * pixel_size_nm[1]
        step_A = 10 * z_step_nm * stack.shape[0] if z_step_nm is not None else pixel_x_A
        header["cell_A"] = (pixel_x_A * stack.shape[2], pixel_y_A * stack.shape[1], step_A)
    header["angles_deg"], header["axes"] = 90, (1, 2, 3)
    real = np.abs(stack) if np.iscomplexobj(stack) else stack
    header["minimum"], header["maximum"], header["mean"] = real.min(), real.max(), real.mean(dtype=np.float64)
    header["rms"] = real.std(dtype=np.float64)
    header["space_group"], header["version"] = int(volume), 20140
    header["map"], header["machine"] = b"MAP ", (0x44, 0x44, 0, 0)
    lines = [SYNTHETIC, *labels]
    header["n_labels"] = len(lines)
    for i, line in enumerate(lines):
        header["labels"][i] = line.encode("ascii", "replace")[:80].ljust(80)
    records = b""
    if microscope is not None:
        records = _fei_record(microscope, pixel_size_nm) * stack.shape[0]
        header["extended_bytes"], header["extended_kind"] = len(records), b"FEI1"
    path = Path(path)
    with path.open("wb") as file:
        file.write(header.tobytes() + records)
        np.ascontiguousarray(stack).tofile(file)
    return path


def _fei_record(microscope: Microscope, pixel_size_nm: tuple[float, float] | None) -> bytes:
    """One FEI1 record: metres, volts, seconds, radians; dose in electrons per m²; zero where nothing is known."""
    record = bytearray(FEI_BYTES)
    struct.pack_into("<2iI", record, 0, FEI_BYTES, FEI_VERSION, 0xFFFFFFFF)
    if microscope.acquired is not None:
        struct.pack_into("<d", record, 12, (microscope.acquired - OLE_EPOCH).total_seconds() / 86400)
    pixel_y_nm, pixel_x_nm = pixel_size_nm or (0.0, 0.0)
    for at, value in ((84, 1e3 * microscope.beam_energy_keV), (92, 1e20 * microscope.dose_e_per_A2), (100, microscope.tilt_deg),
                      (156, 1e-9 * pixel_x_nm), (164, 1e-9 * pixel_y_nm), (220, 1e-9 * microscope.defocus_nm),
                      (236, 1e-9 * microscope.defocus_nm), (289, microscope.magnification),
                      (329, 1e-3 * microscope.convergence_mrad), (419, microscope.exposure_s), (571, microscope.dwell_time_s)):
        struct.pack_into("<d", record, at, value)
    # instrument 1 TEM, 2 STEM; projection 2 imaging
    struct.pack_into("<2i", record, 244, 2 if microscope.scanning else 1, 2)
    for at, text in ((20, "virtual"), (519 if microscope.scanning else 435, microscope.detector)):
        struct.pack_into("<16s", record, at, text.encode("ascii", "replace")[:16])
    return bytes(record)


def write_tilt_series(path: str | Path, images: npt.NDArray[Any], *, tilt_deg: npt.NDArray[np.float64],
                      pixel_size_nm: tuple[float, float] | None, dose_e_per_A2: float, beam_energy_keV: float,
                      order: Sequence[int] | None = None) -> Path:
    """Write an image stack with its SerialEM `.mdoc` and its IMOD `.rawtlt`.

    Parameters
    ----------
    images : (tilt, y, x)
    tilt_deg : (tilt,), deg
    dose_e_per_A2 : e/Å² of each tilt
    order
        Rank in which each tilt was exposed (dose symmetric schemes); as stored when None.
    """
    path = write(path, images, pixel_size_nm=pixel_size_nm, labels=[f"{beam_energy_keV:g} kV, {dose_e_per_A2:g} e/A2 per tilt"])
    spacing = f"PixelSpacing = {10 * pixel_size_nm[1]:.6g}\n" if pixel_size_nm else ""
    rank = range(len(images)) if order is None else order
    sections = [f"[T = {SYNTHETIC}]\n"]
    sections += [f"[ZValue = {i}]\nTiltAngle = {tilt:.4f}\nExposureDose = {dose_e_per_A2:.4f}\n"
                 f"PriorRecordDose = {dose_e_per_A2 * before:.4f}\n{spacing}"
                 for i, (tilt, before) in enumerate(zip(tilt_deg, rank, strict=True))]
    head = (f"{spacing}Voltage = {beam_energy_keV:g}\nImageFile = {path.name}\n"
            f"ImageSize = {images.shape[2]} {images.shape[1]}\nDataMode = {MODE[images.dtype.name]}\n")
    path.with_name(path.name + ".mdoc").write_text("\n".join([head, *sections]), encoding="ascii")
    path.with_suffix(".rawtlt").write_text("".join(f"{tilt:.2f}\n" for tilt in tilt_deg), encoding="ascii")
    return path
