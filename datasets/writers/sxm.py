"""Nanonis scans (.sxm): text header, then each channel as big-endian float32, forward and backward.

Layout as in a Nanonis Generic 4 file (no vendor document was opened).
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.writers import SYNTHETIC


def write(path: str | Path, height_nm: npt.NDArray[Any], *, pixel_size_nm: tuple[float, float], acquired: datetime,
          backward_nm: npt.NDArray[Any] | None = None, line_time_s: float = 0.5, angle_deg: float = 0.0,
          offset_nm: tuple[float, float] = (0.0, 0.0), upwards: bool = False, comment: str = "",
          extra: Mapping[str, str] | None = None) -> Path:
    """Write a height map (y, x) in nm, row 0 at the top.

    Parameters
    ----------
    backward_nm : (y, x), nm
        Retrace, in the same orientation as the trace; the trace again when None. The file holds it mirrored, as measured.
    offset_nm : (y, x) of the scan's centre
    upwards : the slow axis ran up: rows are stored from the bottom
    extra : further header entries, as {"Bias>Bias (V)": "0E+0"}
    """
    ny, nx = height_nm.shape
    rows = slice(None, None, -1) if upwards else slice(None)
    trace = height_nm[rows]
    retrace = (height_nm if backward_nm is None else backward_nm)[rows, ::-1]
    entries = {
        "NANONIS_VERSION": "2", "SCANIT_TYPE": "              FLOAT            MSBFIRST", "REC_DATE": f" {acquired:%d.%m.%Y}",
        "REC_TIME": f"{acquired:%H:%M:%S}", "REC_TEMP": "      290.0000000000", "ACQ_TIME": f"{2 * line_time_s * ny:12.1f}",
        "SCAN_PIXELS": f"{nx:10d}{ny:10d}", "SCAN_FILE": f"virtual\\{Path(path).name}",
        "SCAN_TIME": f"{line_time_s:22.3E}{line_time_s:22.3E}",
        "SCAN_RANGE": f"{nx * pixel_size_nm[1] * 1e-9:22.6E}{ny * pixel_size_nm[0] * 1e-9:22.6E}",
        "SCAN_OFFSET": f"{offset_nm[1] * 1e-9:24.6E}{offset_nm[0] * 1e-9:24.6E}", "SCAN_ANGLE": f"{angle_deg:20.3E}",
        "SCAN_DIR": "up" if upwards else "down", "BIAS": f"{0.0:20.3E}", "COMMENT": f"{SYNTHETIC} {comment}".strip(),
        **(extra or {}),
        "DATA_INFO": "\tChannel\tName\tUnit\tDirection\tCalibration\tOffset\n\t14\tZ\tm\tboth\t1.000E+0\t0.000E+0\n"}
    text = "".join(f":{key}:\n{value}\n" for key, value in entries.items()) + ":SCANIT_END:\n\n\n"
    data = np.stack([trace, retrace]) * 1e-9
    path = Path(path)
    path.write_bytes(text.encode("latin-1", "replace") + b"\x1a\x04" + data.astype(">f4").tobytes())
    return path
