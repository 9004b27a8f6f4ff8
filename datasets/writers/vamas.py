"""VAMAS surface analysis files (.vms): NORM experiments with REGULAR scans.

Source: Dench, Hazell and Seah, Surf. Interface Anal. 13, 63 (1988), doi 10.1002/sia.740130202; ISO 14976:1998 (not
opened here; checked by reading back with the library vamas and with the project's own reader).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.writers import SYNTHETIC

UNKNOWN = "1e+037"
"""The standard's word for a value that was not recorded."""


@dataclass(frozen=True)
class Block:
    """One spectrum: a region of one sample at one level.

    counts : (energy,) summed over scans; transmission : (energy,) relative, or None.
    """

    name: str
    species: str
    transition: str
    first_kinetic_eV: float
    step_eV: float
    counts: npt.NDArray[Any]
    dwell_s: float
    scans: int = 1
    pass_energy_eV: float | None = None
    transmission: npt.NDArray[np.float64] | None = None
    sputter_time_s: float = 0.0
    comments: tuple[str, ...] = ()


def write(path: str | Path, blocks: Sequence[Block], *, sample: str, source_energy_eV: float = 1486.68, source: str = "Al",
          work_function_eV: float | None = 4.5, emission_deg: float = 0.0, acquired: datetime | None = None,
          instrument: str = "virtual XPS", comments: Sequence[str] = ()) -> Path:
    """Write spectra on a regular axis of kinetic energy.

    Parameters
    ----------
    emission_deg : angle between the analyser axis and the surface normal
    work_function_eV : of the analyser; None writes the standard's "unknown"
    """
    notes = [SYNTHETIC, *comments]
    lines = ["VAMAS Surface Chemical Analysis Standard Data Transfer Format 1988 May 4", "virtual", instrument, "virtual",
             sample, str(len(notes)), *notes, "NORM", "REGULAR", str(len({b.name for b in blocks})), "1", "sputter time", "s",
             "0", "0", "0", "0", str(len(blocks))]
    for block in blocks:
        lines += _block(block, sample, source, source_energy_eV, work_function_eV, emission_deg, acquired)
    path = Path(path)
    path.write_text("\r\n".join([*lines, "end of experiment"]) + "\r\n", encoding="ascii", errors="replace", newline="")
    return path


def _block(block: Block, sample: str, source: str, source_energy_eV: float, work_function_eV: float | None,
           emission_deg: float, acquired: datetime | None) -> list[str]:
    date = [f"{v}" for v in acquired.timetuple()[:6]] if acquired else ["-1"] * 6
    columns: list[npt.NDArray[Any]] = [block.counts]
    names = ["intensity", "d"]
    if block.transmission is not None:
        columns.append(block.transmission)
        names += ["transmission", "d"]
    head = [block.name, sample, *date, "0", str(len(block.comments)), *block.comments, "XPS", f"{block.sputter_time_s:g}",
            source, f"{source_energy_eV:.6g}", UNKNOWN, UNKNOWN, UNKNOWN, "54.7", "0",
            "FAT", _number(block.pass_energy_eV), "1", _number(work_function_eV), "0", UNKNOWN, UNKNOWN,
            f"{emission_deg:g}", "0",
            block.species, block.transition, "-1", "Kinetic Energy", "eV", f"{block.first_kinetic_eV:.10g}",
            f"{block.step_eV:.10g}", str(len(columns)), *names, "pulse counting", f"{block.dwell_s:g}", str(block.scans), "0",
            "0", "0", "0", "0"]  # the tilt is in the take-off angle already, counted from the surface normal
    extremes = [f"{value:.9g}" for column in columns for value in (column.min(), column.max())]
    ordinates = [f"{value:.9g}" for value in np.stack(columns, -1).ravel().tolist()]
    return [*head, str(len(ordinates)), *extremes, *ordinates]


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:g}"
