"""TIFF with the FEI/Thermo Fisher private tag 34682: SEM and FIB-SEM images.

The tag holds ini text; sizes are in metres, dwell in seconds, voltage in volts. Keys follow files of Helios and Scios
microscopes as tifffile and RosettaSciIO read them (source: those two readers; no vendor document exists).
"""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from datasets.writers import SYNTHETIC

TAG = 34682


def write(path: str | Path, image: npt.NDArray[Any], *, pixel_size_nm: tuple[float, float] | None, beam_energy_keV: float,
          beam_current_pA: float, dwell_time_s: float, detector: str = "TLD", acquired: datetime | None = None,
          stage_mm: tuple[float, float, float] = (0.0, 0.0, 4.0), stage_tilt_deg: float = 0.0,
          stage_rotation_deg: float = 0.0, title: str = "") -> Path:
    """Write an image (y, x) of uint8 or uint16.

    Parameters
    ----------
    pixel_size_nm : (y, x), nm, or None
        None leaves pixel size and field width out, as a file that went through an image editor does.
    acquired
        Local time; left out when None.
    """
    ny, nx = image.shape
    user = [f"UserText={title}".strip(), f"UserTextUnicode={SYNTHETIC}", "User=virtual"]
    if acquired is not None:
        user = [f"Date={acquired:%m/%d/%Y}", f"Time={acquired:%I:%M:%S %p}", *user]
    field, scan = [], []
    if pixel_size_nm is not None:
        pixel_y_m, pixel_x_m = pixel_size_nm[0] * 1e-9, pixel_size_nm[1] * 1e-9
        field = [f"HFW={nx * pixel_x_m:.9g}", f"VFW={ny * pixel_y_m:.9g}"]
        scan = [f"PixelWidth={pixel_x_m:.9g}", f"PixelHeight={pixel_y_m:.9g}",
                f"HorFieldsize={nx * pixel_x_m:.9g}", f"VerFieldsize={ny * pixel_y_m:.9g}"]
    voltage = f"HV={1000 * beam_energy_keV:.9g}"
    sections: dict[str, list[str]] = {
        "User": user,
        "System": ["Type=DualBeam", "Dnumber=0000", "Software=virtual", "SystemType=Virtual specimen"],
        "Beam": [voltage, "Spot=4", "Beam=EBeam", "Scan=EScan", "ImageMode=Normal"],
        "EBeam": ["Source=FEG", voltage, f"BeamCurrent={beam_current_pA * 1e-12:.9g}", *field],
        "Scan": ["InternalScan=true", f"Dwelltime={dwell_time_s:.9g}", *scan, "Average=0", "Integrate=1",
                 f"FrameTime={dwell_time_s * nx * ny:.9g}"],
        "EScan": ["Scan=PIA 3.0", "InternalScan=true", f"Dwell={dwell_time_s:.9g}", *scan],
        "Stage": [f"StageX={stage_mm[0] * 1e-3:.9g}", f"StageY={stage_mm[1] * 1e-3:.9g}", f"StageZ={stage_mm[2] * 1e-3:.9g}",
                  f"StageR={np.deg2rad(stage_rotation_deg):.9g}", f"StageT={np.deg2rad(stage_tilt_deg):.9g}",
                  f"WorkingDistance={stage_mm[2] * 1e-3:.9g}"],
        "Image": [f"ResolutionX={nx}", f"ResolutionY={ny}", "DriftCorrected=Off"],
        "Detectors": ["Number=1", f"Name={detector}", "Mode=BSE"],
    }
    ini = "\r\n".join(line for name, lines in sections.items() for line in [f"[{name}]", *lines, ""])
    path = Path(path)
    tifffile.imwrite(path, image, description=SYNTHETIC, metadata=None, extratags=[(TAG, "s", 0, ini, True)])
    return path
