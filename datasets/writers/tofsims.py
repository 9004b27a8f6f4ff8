"""ToF-SIMS depth profiles as text: four lines of head, each with '#', then one row per sputter cycle.

Layout as in exports of IONTOF SurfaceLab (no vendor document was opened).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.writers import SYNTHETIC


def write(path: str | Path, intensities: Mapping[str, npt.NDArray[Any]], *, masses_Da: Mapping[str, float],
          sputter_time_s: npt.NDArray[np.float64], dose_ions: npt.NDArray[np.float64], area_um2: float) -> Path:
    """Write a profile.

    Parameters
    ----------
    intensities : secondary ion -> (cycle,) counts
    masses_Da : the same ions -> mass
    sputter_time_s, dose_ions : (cycle,); a depth is never written, only the time
    area_um2 : sputtered area, for the fluence
    """
    names = list(intensities)
    fluence = dose_ions / (area_um2 * 1e-8)
    head = [f"# Profile Smoothing is Disabled; {SYNTHETIC}", "#\t\t\t\t" + "\t".join(names),
            "#\t\t\t\t" + "\t".join(f"{masses_Da[name]:.4f}" for name in names),
            "#Data Point #\tSputter Time (s)\tDose (ions)\tFluence (ions/cm^2)\t" + "\t".join("Intensity" for _ in names)]
    block = np.column_stack([sputter_time_s, dose_ions, fluence, *(intensities[name] for name in names)])
    rows = [f"{i}\t" + "\t".join(f"{value:.6g}" for value in row) for i, row in enumerate(block.tolist(), 1)]
    path = Path(path)
    path.write_text("\n".join([*head, *rows]) + "\n", encoding="latin-1", newline="\n")
    return path
