"""Small valid files of the formats that RosettaSciIO reads, where it can write one or the layout is plain."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from rsciio import blockfile, emd, hspy, msa, nexus, pantarhei, ripple, tvips
from rsciio.edax import _api as edax

COUNTS = np.random.default_rng(0).poisson(40.0, (3, 4, 16)).astype(np.uint16)
AXES = (("y", "nm", 2.0), ("x", "nm", 1.0), ("Energy", "keV", 0.01))
PATTERNS = np.random.default_rng(1).poisson(9.0, (2, 3, 16, 16)).astype(np.uint8)
SCAN = (("y", "nm", 5.0), ("x", "nm", 5.0), ("dy", "cm", 0.1), ("dx", "cm", 0.1))


def mrc_example(folder: Path) -> Path:
    """An image of 3 x 4 pixels."""
    path = folder / "example.mrc"
    head = struct.pack("<10i6f3i", 4, 3, 1, 6, 0, 0, 0, 4, 3, 1, 8.0, 6.0, 2.0, 90.0, 90.0, 90.0, 1, 2, 3)
    path.write_bytes(head.ljust(208, b"\0") + b"MAP \x44\x44\0\0" + bytes(1024 - 216) + COUNTS[..., 0].tobytes())
    return path


def tiff_example(folder: Path) -> Path:
    """A stack of three images as ImageJ writes it, 0.5 µm per pixel."""
    path = folder / "example.tif"
    tifffile.imwrite(path, PATTERNS[0].astype(np.uint16), imagej=True, resolution=(2.0, 2.0), metadata={"unit": "um"})
    return path


def ncem_example(folder: Path) -> Path:
    """An EDX map in Berkeley EMD."""
    path = folder / "example.emd"
    emd.file_writer(str(path), _signal(COUNTS, *AXES, signal_dims=1))
    return path


def ripple_example(folder: Path) -> Path:
    """An EDX map with its raw block."""
    path = folder / "example.rpl"
    ripple.file_writer(str(path), _signal(COUNTS, *AXES, signal_dims=1))
    return path


def msa_example(folder: Path) -> Path:
    """One energy-loss spectrum."""
    path = folder / "example.msa"
    msa.file_writer(str(path), _signal(COUNTS[0, 0].astype(np.float64), ("Energy loss", "eV", 0.5), signal_dims=1))
    return path


def hspy_example(folder: Path) -> Path:
    """An EDX map."""
    path = folder / "example.hspy"
    hspy.file_writer(str(path), _signal(COUNTS, *AXES, signal_dims=1, signal_type="EDS_TEM"), show_progressbar=False)
    return path


def nexus_example(folder: Path) -> Path:
    """An EDX map as NXdata."""
    path = folder / "example.nxs"
    nexus.file_writer(str(path), [_signal(COUNTS, *AXES, signal_dims=1)])
    return path


def blockfile_example(folder: Path) -> Path:
    """A scan of 2 x 3 diffraction patterns."""
    path = folder / "example.blo"
    blockfile.file_writer(str(path), _signal(PATTERNS, *SCAN, signal_dims=2), show_progressbar=False)
    return path


def tvips_example(folder: Path) -> Path:
    """A movie of three diffraction patterns."""
    path = folder / "example_000.tvips"
    axes = (("time", "s", 1.0), ("dy", "1/nm", 1.0), ("dx", "1/nm", 1.0))
    tvips.file_writer(str(path), _signal(PATTERNS[0].astype(np.uint16), *axes, signal_dims=2), show_progressbar=False)
    return path


def prz_example(folder: Path) -> Path:
    """An image of 3 x 4 pixels."""
    path = folder / "example.prz"
    pantarhei.file_writer(str(path), _signal(COUNTS[:, :, 0].astype(np.float32), *AXES[:2], signal_dims=2))
    return path


def edax_example(folder: Path) -> Path:
    """An EDX map with the spectrum that calibrates it: 10 eV per channel, 20 kV."""
    path, counts = folder / "example.spd", COUNTS.astype(np.uint16)
    head = np.zeros(1, edax.get_spd_dtype_list())
    head["tag"] = np.frombuffer(b"MAPSPECTRA_DATA\0", np.int8)
    for name, value in (("nSpectra", 12), ("nPoints", 4), ("nLines", 3), ("nChannels", 16), ("countBytes", 2),
                        ("dataOffset", head.nbytes)):
        head[name] = value
    path.write_bytes(head.tobytes() + counts.tobytes())
    sums = np.zeros(1, edax.get_spc_dtype_list(load_all=True))
    for name, number in (("fVersion", 0.61), ("numPts", 16), ("dataStart", sums.nbytes), ("evPerChan", 10), ("kV", 20.0)):
        sums[name] = number
    path.with_suffix(".spc").write_bytes(sums.tobytes() + counts.sum((0, 1)).astype("<u4").tobytes())
    return path


def empad_example(folder: Path) -> Path:
    """A scan of 2 x 2 patterns."""
    path = folder / "example.xml"
    frames = np.zeros((4, 130, 128), "<f4")
    frames[:, :128] = np.arange(4.0)[:, None, None]
    frames.tofile(folder / "scan_x2_y2.raw")
    path.write_text("<root><raw_file filename='scan_x2_y2.raw'/><pix_x>2</pix_x><pix_y>2</pix_y><iom_measurements>"
                    "<optics><get_full_scan_field_of_view>(2e-8, 2e-8)</get_full_scan_field_of_view></optics>"
                    "</iom_measurements></root>")
    return path


def _signal(data: NDArray[Any], *axes: tuple[str, str, float], signal_dims: int, signal_type: str = "") -> dict[str, Any]:
    """What RosettaSciIO's writers take."""
    described = [{"name": name, "units": units, "scale": scale, "offset": 0.0, "size": size, "index_in_array": i,
                  "navigate": i < data.ndim - signal_dims, "is_binned": False, "_type": "UniformDataAxis"}
                 for i, ((name, units, scale), size) in enumerate(zip(axes, data.shape, strict=True))]
    rest: dict[str, Any] = {key: {} for key in ("original_metadata", "learning_results", "tmp_parameters", "models",
                                                "package_info")}
    return {"data": data, "axes": described, "attributes": {"_lazy": False, "ragged": False},
            "metadata": {"General": {"title": "example"}, "Signal": {"signal_type": signal_type}},
            "package": "correlate-sei", "package_version": "1", **rest}
