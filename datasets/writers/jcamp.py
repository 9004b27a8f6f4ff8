"""JCAMP-DX 4.24 (.jdx): one infrared spectrum as (X++(Y..Y)).

Source: McDonald and Wilks, Appl. Spectrosc. 42, 151 (1988), doi 10.1366/0003702884428734 (not opened here).
"""

from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from datasets.writers import SYNTHETIC


def write(path: str | Path, *, wavenumber_per_cm: npt.NDArray[np.float64], absorbance: npt.NDArray[np.float64], title: str = "",
          resolution_per_cm: float = 4.0, transmittance: bool = False, acquired: datetime | None = None,
          accessory: str = "diamond ATR, 45 degrees") -> Path:
    """Write a spectrum on a regular axis; both arrays (wavenumber,).

    Parameters
    ----------
    transmittance : write 10^-absorbance instead, as half of the instruments do

    Raises
    ------
    ValueError
        If the axis is not regular.
    """
    step = np.diff(wavenumber_per_cm)
    if not np.allclose(step, step[0], rtol=1e-6):
        raise ValueError(f"{Path(path).name}: (X++(Y..Y)) needs a regular axis; steps are from {step.min()} to {step.max()}")
    y = 10.0 ** -absorbance if transmittance else absorbance
    factor = max(float(np.abs(y).max()), 1e-12) / 2_000_000_000
    whole = np.rint(y / factor).astype(np.int64)
    when = [] if acquired is None else [f"##LONGDATE={acquired:%Y/%m/%d %H:%M:%S}"]
    head = [f"##TITLE={title or 'spectrum'}", "##JCAMP-DX=4.24", "##DATA TYPE=INFRARED SPECTRUM", "##ORIGIN=virtual specimen",
            f"##OWNER={SYNTHETIC}", *when, f"##SAMPLING PROCEDURE={accessory}", "##XUNITS=1/CM",
            f"##YUNITS={'TRANSMITTANCE' if transmittance else 'ABSORBANCE'}", f"##RESOLUTION={resolution_per_cm:g}",
            f"##FIRSTX={wavenumber_per_cm[0]:.9g}", f"##LASTX={wavenumber_per_cm[-1]:.9g}", f"##DELTAX={step[0]:.9g}",
            "##XFACTOR=1.0", f"##YFACTOR={factor:.15g}", f"##NPOINTS={y.size}", f"##FIRSTY={whole[0] * factor:.9g}",
            f"##MAXY={y.max():.9g}", f"##MINY={y.min():.9g}", "##XYDATA=(X++(Y..Y))"]
    rows = [f"{wavenumber_per_cm[i]:.4f} " + " ".join(map(str, whole[i:i + 6].tolist())) for i in range(0, y.size, 6)]
    path = Path(path)
    path.write_text("\n".join([*head, *rows, "##END="]) + "\n", encoding="ascii", errors="replace", newline="\n")
    return path
