"""EMSA/MAS 1.0 text (.msa): one EELS or EDX spectrum.

Source: Egerton, Fiori, Hunt, Isaacson, Kirkland and Zaluzec, EMSA/MAS standard file format (ISO 22029; not opened here).
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.writers import SYNTHETIC


def write(path: str | Path, counts: npt.NDArray[Any], *, first_energy: float, channel: float, energy_unit: str = "eV",
          signal: str = "ELS", beam_energy_keV: float | None = None, live_time_s: float | None = None,
          title: str = "", acquired: datetime | None = None, extra: Mapping[str, str] | None = None) -> Path:
    """Write counts (energy,), one value a line.

    Parameters
    ----------
    first_energy, channel
        Energy of the first channel and width of a channel, in `energy_unit` ("eV" or "keV").
    signal
        "ELS" for EELS, "EDS" for EDX.
    extra
        Further keys, written as given: {"#COLLANGLE-mR": "20"}.
    """
    keys = {"#FORMAT": "EMSA/MAS Spectral Data File", "#VERSION": "1.0", "#TITLE": (title or "spectrum")[:64]}
    if acquired is not None:
        keys |= {"#DATE": f"{acquired:%d-%b-%Y}".upper(), "#TIME": f"{acquired:%H:%M}"}
    keys |= {"#OWNER": "virtual specimen (synthetic)", "#NPOINTS": f"{counts.size}", "#NCOLUMNS": "1", "#XUNITS": energy_unit,
             "#YUNITS": "counts", "#DATATYPE": "Y", "#XPERCHAN": f"{channel:.9g}", "#OFFSET": f"{first_energy:.9g}",
             "#SIGNALTYPE": signal}
    if beam_energy_keV is not None:
        keys["#BEAMKV   -kV"] = f"{beam_energy_keV:g}"
    if live_time_s is not None:
        keys["#LIVETIME  -s"] = f"{live_time_s:.6g}"
    keys |= dict(extra or {})
    keys["#COMMENT"] = SYNTHETIC
    lines = [f"{key:<13}: {value}" for key, value in keys.items()]
    lines += [f"{'#SPECTRUM':<13}: ", *(f"{value:.9g}," for value in np.ravel(counts).tolist()), f"{'#ENDOFDATA':<13}: "]
    path = Path(path)
    path.write_text("\r\n".join(lines) + "\r\n", encoding="ascii", newline="")
    return path
