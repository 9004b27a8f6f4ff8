"""EBSD maps as text (.ang): Euler angles, position, quality and phase of each point on a square grid.

Columns as in TSL/EDAX OIM exports (no vendor document was opened): phi1, Phi, phi2 in radians, x and y in µm, image quality,
confidence index, phase, detector intensity, fit in degrees.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.writers import SYNTHETIC


def write(path: str | Path, euler_rad: npt.NDArray[np.float64], *, step_um: float, confidence: npt.NDArray[Any],
          quality: npt.NDArray[Any], phase_name: str, formula: str, symmetry: str = "43",
          cell: tuple[float, float, float, float, float, float]) -> Path:
    """Write one phase.

    Parameters
    ----------
    euler_rad : (y, x, 3)
    confidence, quality : (y, x); confidence -1 marks a point that was not indexed
    symmetry : TSL's code of the Laue group, "43" for m-3m
    cell : a, b, c in Å and angles in degrees
    """
    ny, nx = confidence.shape
    head = [SYNTHETIC, "TEM_PIXperUM          1.000000", "x-star                0.500000",
            "y-star                0.500000", "z-star                0.500000", "WorkingDistance       15.000000", "",
            "Phase 1", f"MaterialName  \t{phase_name}",
            f"Formula     \t{formula}", "Info", f"Symmetry              {symmetry}",
            "LatticeConstants      " + " ".join(f"{value:.3f}" for value in cell), "NumberFamilies        0", "",
            "GRID: SqrGrid", f"XSTEP: {step_um:.6f}", f"YSTEP: {step_um:.6f}", f"NCOLS_ODD: {nx}", f"NCOLS_EVEN: {nx}",
            f"NROWS: {ny}", ""]
    y, x = np.mgrid[:ny, :nx] * step_um
    indexed = (confidence >= 0).astype(float)
    table = np.column_stack([euler_rad.reshape(-1, 3), x.ravel(), y.ravel(), quality.ravel(), confidence.ravel(),
                             indexed.ravel(), np.ones(ny * nx), np.full(ny * nx, 1.0)])
    path = Path(path)
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.writelines(f"# {line}".rstrip() + "\n" for line in head)
        np.savetxt(file, table, "%9.5f %9.5f %9.5f %12.5f %12.5f %6.1f %6.3f %2d %6d %6.3f")
    return path
