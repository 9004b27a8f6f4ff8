"""BioLogic EC-Lab text (.mpt): galvanostatic cycling exported from a .mpr file.

Column names and header as in EC-Lab exports (no vendor document was opened; read back with galvani).
"""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from datasets.writers import SYNTHETIC


def write(path: str | Path, *, time_s: npt.NDArray[np.float64], potential_V: npt.NDArray[np.float64],
          current_mA: npt.NDArray[np.float64], charge_mAh: npt.NDArray[np.float64], half_cycle: npt.NDArray[np.integer[Any]],
          cycle: npt.NDArray[np.integer[Any]], acquired: datetime, step: npt.NDArray[np.integer[Any]] | None = None,
          electrode_area_cm2: float | None = None, comma: bool = False) -> Path:
    """Write a cycling run; all arrays (point,), conventions as in mpr.write.

    Parameters
    ----------
    comma : write decimal commas, as EC-Lab does on a German or French computer
    """
    lines = np.zeros(time_s.size, np.int64) if step is None else np.asarray(step)
    table = pd.DataFrame({
        "mode": np.where(current_mA == 0, 3, 1), "ox/red": (current_mA > 0).astype(int), "error": 0, "control changes": 0,
        "Ns changes": np.r_[0, (np.diff(lines) != 0).astype(int)], "counter inc.": 0, "Ns": lines, "time/s": time_s,
        "control/V/mA": current_mA, "Ewe/V": potential_V, "<I>/mA": current_mA, "(Q-Qo)/mA.h": charge_mAh,
        "half cycle": half_cycle, "cycle number": cycle})
    about = [f"Comments : {SYNTHETIC}", f"Acquisition started on : {acquired:%m/%d/%Y %H:%M:%S}"]
    if electrode_area_cm2 is not None:
        about.append(f"Electrode surface area : {electrode_area_cm2:.3f} cm²")
    head = ["EC-Lab ASCII FILE", "", "", "Galvanostatic Cycling with Potential Limitation", "", *about, ""]
    head[1] = f"Nb header lines : {len(head) + 1}"
    text = table.to_csv(sep="\t", index=False, float_format="%.7E", lineterminator="\r\n", decimal="," if comma else ".")
    path = Path(path)
    path.write_bytes(("\r\n".join(head) + "\r\n" + text).encode("latin-1"))
    return path
