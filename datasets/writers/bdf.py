"""Battery Data Format (.bdf.csv): cycling as a table whose column names hold the units.

Source: battery-data-format, column names "Test Time / s" and so on (project page; not opened here).
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd


def write(path: str | Path, *, time_s: npt.NDArray[np.float64], potential_V: npt.NDArray[np.float64],
          current_mA: npt.NDArray[np.float64], cycle: npt.NDArray[np.integer[Any]], step: npt.NDArray[np.integer[Any]],
          temperature_degC: float | None = None) -> Path:
    """Write a cycling run; all arrays (point,). Current is written in A, cycles from 1.

    Notes
    -----
    The format has no header, so only the file's name and its folder can say that it is synthetic.
    """
    table = pd.DataFrame({"Test Time / s": time_s, "Voltage / V": potential_V, "Current / A": current_mA / 1000,
                          "Cycle Count / 1": np.asarray(cycle) + 1, "Step Index / 1": np.asarray(step) + 1})
    if temperature_degC is not None:
        table["Ambient Temperature / degC"] = temperature_degC
    path = Path(path)
    table.to_csv(path, index=False, float_format="%.9g", lineterminator="\n")
    return path
