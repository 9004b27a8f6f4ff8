"""Ripple: a text header (.rpl) beside a raw block (.raw), the exchange format of EDX spectrum images.

Source: keys of the Lispix documentation as RosettaSciIO reads them (not opened here).
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.writers import SYNTHETIC

KIND = {"u": "unsigned", "i": "signed", "f": "float"}


def write(path: str | Path, counts: npt.NDArray[Any], *, pixel_size_nm: tuple[float, float] | None,
          channel_keV: float | None, first_channel_keV: float = 0.0, beam_energy_keV: float | None = None,
          live_time_s: float | None = None, elevation_deg: float | None = None, energy_resolution_eV: float | None = None,
          title: str = "", signal: str = "EDS_TEM") -> Path:
    """Write a spectrum image (y, x, energy) as `<stem>.rpl` and `<stem>.raw`; returns the path of the header.

    Parameters
    ----------
    counts : (y, x, energy)
        Integer or floating counts.
    channel_keV : width of an energy channel, or None to leave the energy axis without calibration
    energy_resolution_eV : full width at half maximum at Mn K alpha
    """
    ny, nx, n = counts.shape
    itemsize = counts.dtype.itemsize
    lines = [("width", nx), ("height", ny), ("depth", n), ("offset", 0), ("data-length", itemsize),
             ("data-type", KIND[counts.dtype.kind]), ("byte-order", "little-endian" if itemsize > 1 else "dont-care"),
             ("record-by", "vector"), ("signal", signal), ("title", f"{title} ({SYNTHETIC})".strip())]
    if channel_keV is not None:
        lines += [("ev-per-chan", f"{1000 * channel_keV:.9g}"), ("depth-origin", f"{first_channel_keV:.9g}"),
                  ("depth-scale", f"{channel_keV:.9g}"), ("depth-units", "keV"), ("depth-name", "Energy")]
    if pixel_size_nm is not None:
        lines += [(f"{axis}-{key}", text)
                  for axis, size, name in (("height", pixel_size_nm[0], "y"), ("width", pixel_size_nm[1], "x"))
                  for key, text in (("origin", "0.0"), ("scale", f"{size:.9g}"), ("units", "nm"), ("name", name))]
    optional = {"beam-energy": beam_energy_keV, "live-time": live_time_s, "elevation-angle": elevation_deg,
                "energy-resolution": energy_resolution_eV}
    lines += [(key, f"{value:.9g}") for key, value in optional.items() if value is not None]
    path = Path(path).with_suffix(".rpl")
    text = f";File written by the virtual specimen; {SYNTHETIC}\nkey\tvalue\n" + "".join(f"{k}\t{v}\n" for k, v in lines)
    path.write_text(text, encoding="latin-1")
    np.ascontiguousarray(counts, counts.dtype.newbyteorder("<")).tofile(path.with_suffix(".raw"))
    return path
