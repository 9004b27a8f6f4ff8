"""What a recorder hands back: the file, what a person would note of it, what is true of it, and what was spoilt in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from datasets.phantom.geometry import View
from datasets.phantom.specimen import Specimen

FAULTY = 0.2
"""Share of the files whose metadata are missing or wrong."""
NOTED = 0.75
"""Share of the uncalibrated files for which the person noted the pixel size."""


@dataclass(frozen=True)
class Recording:
    """One file of one sample.

    name : of the file; technique : as in datasets/techniques; signal : index of the signal in the file
    sheet : entries of the file in the study sheet (technique, axes, conditions)
    truth : what an ideal observer would see; nuisance : what nobody controls
    frame : entry in truth/frames.json; absent where the acquisition has no place in the sample's plane
    faults : what is missing or wrong in the file's metadata, and whether the sheet mends it
    """

    name: str
    technique: str
    sheet: Mapping[str, Any]
    truth: Mapping[str, Any]
    nuisance: Mapping[str, Any]
    frame: Mapping[str, Any] | None = None
    faults: tuple[Mapping[str, Any], ...] = ()
    signal: int = 0


@dataclass(frozen=True)
class Recorder:
    """A technique of the virtual study.

    technique : names its random streams; share : of the samples that have it
    record : writes files of a specimen into a folder
    """

    technique: str
    share: float
    record: Callable[[Specimen, Path], list[Recording]]


@dataclass(frozen=True)
class Calibration:
    """What a file says of its pixel size, and what the person says instead.

    stated_nm : in the file, None where it says nothing; sheet_axes : for the study sheet; scale : from the coordinates
    that result to the view's own nm; units : of those coordinates
    """

    stated_nm: float | None
    sheet_axes: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    scale: float = 1.0
    units: str = "nm"
    faults: tuple[Mapping[str, Any], ...] = ()


def calibration(view: View, rng: np.random.Generator) -> Calibration:
    """Draw whether the pixel size is right, absent or off by ten (Å taken for nm), and whether the person noted it."""
    pixel = view.pixel_nm
    fate, noted, kind = rng.random(), rng.random() < NOTED, rng.random()
    if fate >= FAULTY * 0.6:
        return Calibration(pixel)
    # people write what the instrument's screen shows
    axes = {"y": (float(f"{pixel:.6g}"), "nm"), "x": (float(f"{pixel:.6g}"), "nm")}
    if kind < 0.6:
        fault = {"what": "pixel size", "kind": "missing", "true_nm": pixel, "sheet": "corrects" if noted else "silent"}
        if noted:
            return Calibration(None, axes, pixel / axes["y"][0], "nm", (fault,))
        return Calibration(None, {}, pixel, "pixel", (fault,))
    fault = {"what": "pixel size", "kind": "wrong", "stated_nm": 10 * pixel, "true_nm": pixel, "sheet": "corrects"}
    return Calibration(10 * pixel, axes, pixel / axes["y"][0], "nm", (fault,))


@dataclass(frozen=True)
class BeamEnergy:
    """Beam energy in the file (None: left out), in the sheet, and the fault if there is one."""

    stated_keV: float | None
    sheet: Mapping[str, float] = field(default_factory=dict)
    faults: tuple[Mapping[str, Any], ...] = ()


def beam_energy(true_keV: float, rng: np.random.Generator, *, held: bool = True, required: bool = False) -> BeamEnergy:
    """Draw whether the beam energy is right, left out, or that of another microscope.

    held : whether the format has a field for it; where not, the person notes it, or forgets
    required : whether the format cannot leave it out
    """
    fate, noted = rng.random(), rng.random() < 0.6
    note = {"beam_energy_keV": true_keV}
    if fate >= FAULTY * 0.4:
        return BeamEnergy(true_keV) if held else BeamEnergy(None, note)
    wrong = held and (required or fate > FAULTY * 0.2)
    noted = noted and held
    fault = {"what": "beam energy", "kind": "wrong" if wrong else "missing", "stated_keV": 200.0 if wrong else None,
             "true_keV": true_keV, "sheet": "corrects" if noted else "silent"}
    return BeamEnergy(200.0 if wrong else None, note if noted else {}, (fault,))


def noted_dose(dose: float, rng: np.random.Generator) -> tuple[dict[str, float], tuple[dict[str, Any], ...]]:
    """Dose for the sheet, to three digits, or the fault that nobody noted it."""
    if rng.random() < FAULTY * 0.25:
        return {}, ({"what": "dose", "kind": "missing", "true_e_per_A2": dose, "sheet": "silent"},)
    return {"dose_e_per_A2": float(f"{dose:.3g}")}, ()


def frame_entry(view: View, scale: float, units: str, **more: Any) -> dict[str, Any]:
    """Entry of truth/frames.json: the matrix from the file's own coordinates, after the sheet's corrections, to the sample.

    Coordinates of an uncalibrated file are pixels.
    """
    matrix = np.column_stack([view.matrix[:, :2] * scale, view.matrix[:, 2]])
    return {"matrix": matrix.tolist(), "units": units, "corners": view.corners(), "shape": list(view.shape),
            "true_pixel_nm": view.true_pixel_nm(), **more}
