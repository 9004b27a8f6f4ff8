"""Atom probe: positions and mass-to-charge of ions (.pos), and the ranges that name them (.rrng).

Source: layout as in Larson et al., Local Electrode Atom Probe Tomography (Springer, 2013; not opened here): four big-endian
float32 an ion: x, y, z in nm, mass-to-charge in Da.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from datasets.writers import SYNTHETIC


@dataclass(frozen=True)
class Range:
    """A window of the mass spectrum: Da, atoms it stands for, atomic volume nm³."""

    low_Da: float
    high_Da: float
    atoms: Mapping[str, int]
    volume_nm3: float = 0.02


def write(path: str | Path, *, position_nm: npt.NDArray[np.floating], mass_to_charge_Da: npt.NDArray[np.floating]) -> Path:
    """Write ions.

    Parameters
    ----------
    position_nm : (ion, 3), nm, in the order x, y, z
    mass_to_charge_Da : (ion,)

    Notes
    -----
    A .pos file has no header, so "synthetic" stands in the range file beside it only.
    """
    path = Path(path)
    ions = np.column_stack([position_nm, mass_to_charge_Da]).astype(">f4")
    ions.tofile(path)
    return path


def write_ranges(path: str | Path, ranges: Sequence[Range]) -> Path:
    """Write a range file."""
    elements = list(dict.fromkeys(element for r in ranges for element in r.atoms))
    lines = [f"# {SYNTHETIC}", "[Ions]", f"Number={len(elements)}", *(f"Ion{i}={el}" for i, el in enumerate(elements, 1)),
             "[Ranges]", f"Number={len(ranges)}"]
    for i, r in enumerate(ranges, 1):
        atoms = " ".join(f"{el}:{n}" for el, n in r.atoms.items())
        colour = f"{(i * 2654435761) % 0xFFFFFF:06X}"
        lines.append(f"Range{i}={r.low_Da:.4f} {r.high_Da:.4f} Vol:{r.volume_nm3:.5f} {atoms} Color:{colour}")
    path = Path(path)
    path.write_text("\r\n".join(lines) + "\r\n", encoding="ascii", newline="")
    return path
