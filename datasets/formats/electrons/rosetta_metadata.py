"""What electron microscopes' own metadata say of an acquisition, in the words and units of `datasets.terms`.

RosettaSciIO maps vendor metadata to HyperSpy's names, yet the units of stage, tilt and current differ from vendor to vendor
there (metres, millimetres, micrometres; radians, degrees), so each vendor's own keys are read here, with a factor each.
What a file does not state, or states as a zero that cannot be, is absent.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from datasets.terms import CONDITION_MEANING

MAY_BE_ZERO = frozenset({"tilt_deg", "stage_x_nm", "stage_y_nm", "defocus_nm"})
"""Conditions for which zero is a value; elsewhere vendors write zero for "not known"."""

SYMBOLS = tuple(re.findall(
    "[A-Z][a-z]?",
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo "
    "Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl "
    "Pb Bi Po At Rn Fr Ra Ac Th Pa U"))
"""Chemical symbols in order of atomic number, from 1."""


@dataclass(frozen=True)
class Source:
    """One place in a vendor's metadata: keys joined by "/", the condition it gives, and the factor to the condition's unit."""

    key: str
    condition: str
    factor: float = 1.0


DM_ROOTS = ("ImageList/TagGroup0/ImageTags", "ImageList/TagGroup0/ImageTags/source/Tags at creation")
DM = (
    Source("Microscope Info/Voltage", "beam_energy_keV", 1e-3),
    Source("Microscope Info/Indicated Magnification", "magnification"),
    Source("Microscope Info/Probe Current (nA)", "beam_current_pA", 1e3),
    Source("Microscope Info/STEM Camera Length", "camera_length_mm"),
    Source("Microscope Info/Stage Position/Stage Alpha", "tilt_deg"),
    Source("Microscope Info/Stage Position/Stage X", "stage_x_nm", 1e3),
    Source("Microscope Info/Stage Position/Stage Y", "stage_y_nm", 1e3),
    Source("EELS/Experimental Conditions/Convergence semi-angle (mrad)", "convergence_mrad"),
    Source("EELS/Experimental Conditions/Collection semi-angle (mrad)", "collection_mrad"),
    Source("EELS/Convergence semi-angle (mrad)", "convergence_mrad"),
    Source("EELS/Collection semi-angle (mrad)", "collection_mrad"),
    Source("SI/Acquisition/Pixel time (s)", "dwell_time_s"),
    Source("EELS/Acquisition/Integration time (s)", "dwell_time_s"),
    Source("DigiScan/Sample Time", "dwell_time_s", 1e-6),
    Source("EELS/Acquisition/Exposure (s)", "exposure_s"),
    Source("DataBar/Exposure Time (s)", "exposure_s"),
    Source("Acquisition/Parameters/High Level/Exposure (s)", "exposure_s"),
    Source("DataBar/Signal Name", "detector"),
    Source("DataBar/Device Name", "detector"),
    Source("Acquisition/Device/Name", "detector"),
)
VELOX = (
    Source("Optics/AccelerationVoltage", "beam_energy_keV", 1e-3),
    Source("Optics/NominalMagnification", "magnification"),
    Source("CustomProperties/StemMagnification/value", "magnification"),
    Source("Optics/ScreenCurrent", "beam_current_pA", 1e12),
    Source("Optics/CameraLength", "camera_length_mm", 1e3),
    Source("Optics/Defocus", "defocus_nm", 1e9),
    Source("Stage/AlphaTilt", "tilt_deg", 57.29577951308232),
    Source("Stage/Position/x", "stage_x_nm", 1e9),
    Source("Stage/Position/y", "stage_y_nm", 1e9),
    Source("Scan/DwellTime", "dwell_time_s"),
    Source("DetectorMetadata/ExposureTime", "exposure_s"),
    Source("BinaryResult/Detector", "detector"),
)
NCEM = (
    Source("microscope/voltage", "beam_energy_keV", 1e-3),
    Source("microscope/high tension", "beam_energy_keV", 1e-3),
    Source("microscope/magnification", "magnification"),
    Source("microscope/convergence angle", "convergence_mrad", 1e3),
    Source("microscope/camera length", "camera_length_mm", 1e3),
    Source("microscope/dwell time", "dwell_time_s"),
)
TIA = (
    Source("ObjectInfo/ExperimentalDescription/High tension_kV", "beam_energy_keV"),
    Source("ObjectInfo/ExperimentalConditions/MicroscopeConditions/AcceleratingVoltage", "beam_energy_keV", 1e-3),
    Source("ObjectInfo/ExperimentalDescription/Magnification_x", "magnification"),
    Source("ObjectInfo/ExperimentalDescription/Camera length_m", "camera_length_mm", 1e3),
    Source("ObjectInfo/ExperimentalDescription/Defocus_um", "defocus_nm", 1e3),
    Source("ObjectInfo/ExperimentalDescription/Stage A_deg", "tilt_deg"),
    Source("ObjectInfo/ExperimentalDescription/Stage X_um", "stage_x_nm", 1e3),
    Source("ObjectInfo/ExperimentalDescription/Stage Y_um", "stage_y_nm", 1e3),
    Source("ObjectInfo/AcquireInfo/DwellTimePath", "exposure_s"),
    Source("ObjectInfo/AcquireInfo/CameraNamePath", "detector"),
)
FEI_TIFF = (
    Source("fei_metadata/Beam/HV", "beam_energy_keV", 1e-3),
    Source("fei_metadata/EBeam/BeamCurrent", "beam_current_pA", 1e12),
    Source("fei_metadata/Scan/Dwelltime", "dwell_time_s"),
    Source("fei_metadata/Stage/StageT", "tilt_deg", 57.29577951308232),
    Source("fei_metadata/Stage/StageX", "stage_x_nm", 1e9),
    Source("fei_metadata/Stage/StageY", "stage_y_nm", 1e9),
    Source("fei_metadata/Detectors/Name", "detector"),
    Source("fei_metadata/Specimen/Temperature", "temperature_K"),
)
ZEISS_TIFF = (
    Source("CZ_SEM/ap_actualkv", "beam_energy_keV"),
    Source("CZ_SEM/ap_mag", "magnification"),
    Source("CZ_SEM/ap_stage_at_t", "tilt_deg"),
    Source("CZ_SEM/ap_stage_at_x", "stage_x_nm", 1e6),
    Source("CZ_SEM/ap_stage_at_y", "stage_y_nm", 1e6),
    Source("CZ_SEM/ap_iprobe", "beam_current_pA", 1e12),
    Source("CZ_SEM/dp_detector_channel", "detector"),
)
TIFF = (
    *FEI_TIFF, *ZEISS_TIFF,
    Source("Olympus_SIS_metadata/magnification", "magnification"),
    Source("Olympus_SIS_metadata/cameraname", "detector"),
    Source("Model", "detector"),
    Source("ExifTag/ExposureTime", "exposure_s"),
    Source("TVIPS/HighTension", "beam_energy_keV"),
    Source("TVIPS/ExposureTime", "exposure_s", 1e-3),
)
BRUKER = (
    Source("Microscope/HV", "beam_energy_keV"),
    Source("Microscope/Mag", "magnification"),
)
PHENOM = (
    Source("acquisition/scan/highVoltage/value", "beam_energy_keV", -1.0),
    Source("acquisition/scan/detector", "detector"),
    Source("samplePosition/x", "stage_x_nm", 1e9),
    Source("samplePosition/y", "stage_y_nm", 1e9),
)
JEOL = (
    Source("Instrument/AccV", "beam_energy_keV"),
    Source("Instrument/Mag", "magnification"),
    Source("Image/Title", "detector"),
)
BLOCKFILE = (
    Source("blockfile_header/Beam_energy", "beam_energy_keV", 1e-3),
    Source("blockfile_header/Camera_length", "camera_length_mm", 0.1),
)
MIB = (Source("mib_properties/exposure", "exposure_s", 1e-3),)
MSA = (
    Source("BEAMKV   -kV", "beam_energy_keV"),
    Source("BEAMKV", "beam_energy_keV"),
    Source("MAGCAM", "magnification"),
    Source("PROBECUR -nA", "beam_current_pA", 1e3),
    Source("CONVANGLE-mR", "convergence_mrad"),
    Source("COLLANGLE-mR", "collection_mrad"),
    Source("XTILTSTGE-dg", "tilt_deg"),
    Source("DWELLTIME-ms", "dwell_time_s", 1e-3),
    Source("INTEGTIME-ms", "exposure_s", 1e-3),
    # ISO 22029 fixes the units; writers after 2022 leave them out of the keyword
    Source("PROBECUR", "beam_current_pA", 1e3),
    Source("CONVANGLE", "convergence_mrad"),
    Source("COLLANGLE", "collection_mrad"),
    Source("XTILTSTGE", "tilt_deg"),
    Source("DWELLTIME", "dwell_time_s", 1e-3),
    Source("INTEGTIME", "exposure_s", 1e-3),
)
MRC = (
    Source("about/HT", "beam_energy_keV", 1e-3),
    Source("about/Voltage", "beam_energy_keV"),
    Source("about/Magnification", "magnification"),
    Source("about/Alpha tilt", "tilt_deg"),
    Source("about/X-Stage", "stage_x_nm", 1e9),
    Source("about/Y-Stage", "stage_y_nm", 1e9),
    Source("about/Applied defocus", "defocus_nm", 1e9),
    Source("about/Camera length", "camera_length_mm", 1e3),
    Source("about/Convergence angle", "convergence_mrad", 1e3),
    Source("about/Dwell time", "dwell_time_s"),
    Source("about/Integration time", "exposure_s"),
    Source("about/ExposureTime", "exposure_s"),
    Source("about/ExposureDose", "dose_e_per_A2"),
    Source("about/STEM detector", "detector"),
    Source("about/Camera name", "detector"),
    Source("fei_header/a_tilt", "tilt_deg"),
    Source("fei_header/exp_time", "exposure_s"),
    Source("fei_header/magnification", "magnification"),
)
ORIGINAL: dict[str, tuple[Source, ...]] = {
    "velox-emd": VELOX, "ncem-emd": NCEM, "tia": TIA, "tiff": TIFF, "bruker": BRUKER, "phenom": PHENOM, "jeol": JEOL,
    "blockfile": BLOCKFILE, "mib": MIB, "msa": MSA, "mrc": MRC,
}
"""Format -> where its own metadata state conditions; the first place that says something wins."""

HYPERSPY = (
    Source("beam_energy", "beam_energy_keV"),
    Source("magnification", "magnification"),
    Source("beam_current", "beam_current_pA", 1e3),
    Source("camera_length", "camera_length_mm"),
    Source("convergence_angle", "convergence_mrad"),
    Source("Detector/EELS/collection_angle", "collection_mrad"),
    Source("Detector/EELS/dwell_time", "dwell_time_s"),
    Source("Detector/Camera/exposure", "exposure_s"),
    Source("Stage/tilt_alpha", "tilt_deg"),
    Source("dwell_time", "dwell_time_s"),
    Source("Detector/EDS/detector", "detector"),
    Source("Detector/EDS/detector_type", "detector"),
)
"""HyperSpy's metadata under Acquisition_instrument.TEM or .SEM: keV, nA, mm, mrad, deg, s (HyperSpy user guide,
"metadata structure")."""


def conditions_of(fmt: str, metadata: Mapping[str, Any], original: Mapping[str, Any]) -> dict[str, Any]:
    """All conditions that a file states.

    Parameters
    ----------
    fmt : name of the format
    metadata, original
        RosettaSciIO's `metadata` and `original_metadata`, as plain JSON.
    """
    found: dict[str, Any] = {}
    if fmt == "digitalmicrograph":
        for root in DM_ROOTS:
            _collect(found, _at(original, root), DM)
    _collect(found, original, ORIGINAL.get(fmt, ()))
    for instrument in ("TEM", "SEM"):
        _collect(found, _at(metadata, f"Acquisition_instrument/{instrument}"), HYPERSPY)
    if fmt == "ncem-emd":
        found |= {k: v for k, v in _table(_at(original, "microscope")).items() if k in CONDITION_MEANING and _known(k, v)}
    if fmt == "velox-emd" and _at(original, "Optics/OperatingMode") == "2":
        _collect(found, original, (Source("Optics/BeamConvergence", "convergence_mrad", 1e3),))
    kind = kind_of(fmt, metadata, original)
    if fmt == "digitalmicrograph" and kind == "diffraction" and "magnification" in found:
        found.setdefault("camera_length_mm", found.pop("magnification"))  # the microscope shows one in place of the other
    if fmt == "phenom" and kind.startswith("EDS"):
        found.pop("detector", None)  # it names that of the image
    title = str(_at(metadata, "General/title") or "")
    elements = [title] if kind == "element map" and title in SYMBOLS else _elements(metadata, original)
    if elements:
        found["elements"] = elements
    acquired = _acquired(fmt, metadata, original)
    if acquired:
        found["acquired"] = acquired
    return found


HYPERSPY_TYPES = {"electron_diffraction": "diffraction", "diffraction": "diffraction", "diffraction2d": "diffraction",
                  "hologram": "TEM"}
"""Signal types of HyperSpy and its extensions that say what was recorded in other words; a hologram is a picture of a broad
beam whose fringes hold its phase."""


def kind_of(fmt: str, metadata: Mapping[str, Any], original: Mapping[str, Any]) -> str:
    """The file's own word for what it holds, "" where it does not say.

    One of "EELS", "EDS_TEM", "EDS_SEM", "diffraction", "TEM", "STEM", "SEM", "FIB", "element map", "volume", "camera",
    "NXdata", or a word of the vendor's that no technique here knows.
    """
    stated = str(_at(metadata, "Signal/signal_type") or "")
    if stated:
        return HYPERSPY_TYPES.get(stated, stated)
    decide = MODES.get(fmt)
    mode = decide(metadata, original) if decide else ""
    return mode or str(_at(metadata, "Acquisition_instrument/TEM/acquisition_mode") or "")


def _dm_mode(metadata: Mapping[str, Any], original: Mapping[str, Any]) -> str:
    del metadata
    for root in DM_ROOTS:
        tags = _table(_at(original, root))
        info = _table(tags.get("Microscope Info"))
        illumination, operation, imaging = (str(info.get(f"{of} Mode", "")).upper()
                                            for of in ("Illumination", "Operation", "Imaging"))
        if "STEM" in illumination or "SCANNING" in operation or "DigiScan" in tags:
            return "STEM"
        if "DIFFRACTION" in imaging or "DIFFRACTION" in operation:
            return "diffraction"
        if illumination or operation:
            return "TEM"
    return ""


def _velox_mode(metadata: Mapping[str, Any], original: Mapping[str, Any]) -> str:
    del metadata
    detector = str(_at(original, "BinaryResult/Detector") or "")
    if detector.startswith(("SuperX", "EDS")):
        return "element map"
    scanning = _at(original, "Optics/OperatingMode") == "2"
    diffracting = not scanning and _at(original, "Optics/ProjectorMode") == "1"
    return "STEM" if scanning else "diffraction" if diffracting else "TEM"


def _ncem_mode(metadata: Mapping[str, Any], original: Mapping[str, Any]) -> str:
    """Only a scanning beam dwells."""
    del metadata
    return "STEM" if {"dwell time", "dwell_time_s"} & set(_table(_at(original, "microscope"))) else ""


def _tia_mode(metadata: Mapping[str, Any], original: Mapping[str, Any]) -> str:
    del metadata
    mode = str(_at(original, "ObjectInfo/ExperimentalDescription/Mode") or "")
    return "STEM" if "STEM" in mode else "diffraction" if "Diffraction" in mode else "TEM" if "TEM" in mode else ""


def _tiff_mode(metadata: Mapping[str, Any], original: Mapping[str, Any]) -> str:
    if "fei_metadata" in original:
        beam, detector = (str(_at(original, f"fei_metadata/{key}") or "") for key in ("Beam/Beam", "Detectors/Name"))
        return "camera" if "cam" in detector.lower() else "FIB" if beam.startswith("I") else "SEM"
    if "CZ_SEM" in original:
        return "SEM"
    notes = str(_at(metadata, "General/title") or "")
    return "STEM" if notes.startswith("STEM") else "TEM" if notes.startswith("TEM") else ""


def _bruker_mode(metadata: Mapping[str, Any], original: Mapping[str, Any]) -> str:
    del original
    return "STEM" if _at(metadata, "Acquisition_instrument/TEM") else "SEM"


def _jeol_mode(metadata: Mapping[str, Any], original: Mapping[str, Any]) -> str:
    del original
    return "STEM" if _at(metadata, "Acquisition_instrument/TEM") else "SEM"


def _mrc_mode(metadata: Mapping[str, Any], original: Mapping[str, Any]) -> str:
    del metadata
    electron_counting = _at(original, "de_metadata/Instrument Project TEMorSTEM Mode")
    if electron_counting is not None:
        return "STEM" if str(electron_counting) == "1" else "TEM"
    if _at(original, "about/Element"):
        return "element map"
    instrument, projection = (_at(original, f"about/{key} mode") for key in ("Instrument", "Projection"))
    if instrument in (1, 2):
        return "STEM" if instrument == 2 else "diffraction" if projection == 1 else "TEM"
    return "volume" if _at(original, "is volume") else ""


MODES: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], str]] = {
    "digitalmicrograph": _dm_mode, "velox-emd": _velox_mode, "ncem-emd": _ncem_mode, "tia": _tia_mode, "tiff": _tiff_mode,
    "bruker": _bruker_mode, "jeol": _jeol_mode, "mrc": _mrc_mode,
    "phenom": lambda metadata, original: "SEM",  # noqa: ARG005
    "nexus": lambda metadata, original: "NXdata",  # noqa: ARG005
    "tvips": lambda metadata, original: "TEM",  # noqa: ARG005
}
"""Format -> how its metadata tell what made an image."""


def _collect(found: dict[str, Any], table: Any, sources: tuple[Source, ...]) -> None:
    if not isinstance(table, Mapping):
        return
    for source in sources:
        value = _at(table, source.key)
        if source.condition in found or value is None:
            continue
        known = _text(value) if source.condition == "detector" else _number(value)
        if isinstance(known, float):
            known = float(f"{known * source.factor:.12g}") + 0.0  # no minus zero
        if known is not None and _known(source.condition, known):
            found[source.condition] = known


def _known(condition: str, value: Any) -> bool:
    if isinstance(value, str):
        return value != ""
    if not isinstance(value, int | float) or not isfinite(value):
        return False
    if condition in MAY_BE_ZERO:
        return True
    return value > 0


def _number(value: Any) -> float | None:
    """A number from a number, from text such as "22500 X", "50.00 K X", from ("EHT", 5.0, "kV") or a ratio (1, 50)."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, list) and len(value) == 2 and all(isinstance(v, int) for v in value) and value[1]:
        return float(value[0]) / float(value[1])
    if isinstance(value, list):
        return next((n for n in map(_number, value[1:]) if n is not None), None)
    match = re.match(r"\s*([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)\s*(K(?=\s*X))?", str(value))
    return float(match[1]) * (1e3 if match[2] else 1.0) if match else None


def _text(value: Any) -> str | None:
    if isinstance(value, list):
        value = value[1] if len(value) > 1 else ""
    text = str(value).strip()
    return text or None


def _elements(metadata: Mapping[str, Any], original: Mapping[str, Any]) -> list[str]:
    stated = _at(metadata, "Sample/elements")
    if isinstance(stated, list) and stated:
        return [str(symbol) for symbol in stated if str(symbol) in SYMBOLS]
    settings = _table(_at(original, "SharedProperties/EDSSpectrumQuantificationSettings"))
    numbers = [n for one in settings.values() for n in (_table(one).get("elementSelection") or ())]
    return [SYMBOLS[int(n) - 1] for n in dict.fromkeys(numbers) if 0 < int(n) <= len(SYMBOLS)]


def _acquired(fmt: str, metadata: Mapping[str, Any], original: Mapping[str, Any]) -> str:
    """ISO 8601; with a zone only where the file states one."""
    if fmt == "digitalmicrograph":
        return _dm_acquired(original)
    date, time = (str(_at(metadata, f"General/{key}") or "") for key in ("date", "time"))
    if fmt == "tiff" and "fei_metadata" in original:
        date, time = (str(_at(original, f"fei_metadata/User/{key}") or "") for key in ("Date", "Time"))
    if fmt == "tiff" and "CZ_SEM" in original:
        date, time = (str((_at(original, f"CZ_SEM/{key}") or ["", ""])[1]) for key in ("ap_date", "ap_time"))
    if fmt == "phenom":
        return _iso(str(original.get("time") or ""), "")
    if fmt == "mrc":
        return str(_at(original, "about/acquired") or "")
    zone = "+00:00" if str(_at(metadata, "General/time_zone") or "") == "UTC" else ""
    moment = _iso(date, time)
    return moment + zone if "T" in moment else moment


DATE_FORMATS = ("%Y-%m-%d", "%m/%d/%Y", "%d.%m.%Y", "%d %b %Y", "%d-%b-%Y")
TIME_FORMATS = ("%H:%M:%S.%f", "%H:%M:%S", "%I:%M:%S %p", "%H:%M")


def _iso(date: str, time: str) -> str:
    if not date:
        return ""
    if "T" in date:
        try:
            return datetime.fromisoformat(date).isoformat()
        except ValueError:
            return ""
    day = next((d for d in (_parsed(date, f) for f in DATE_FORMATS) if d), None)
    if day is None:
        return ""
    clock = next((t for t in (_parsed(time[:15], f) for f in TIME_FORMATS) if t), None)
    return f"{day:%Y-%m-%d}" if clock is None else datetime.combine(day.date(), clock.time()).isoformat(timespec="seconds")


def _parsed(text: str, pattern: str) -> datetime | None:
    try:
        return datetime.strptime(text, pattern)
    except ValueError:
        return None


DM_CLOCKS = (("DataBar/Acquisition ", "Time"), ("EELS/Acquisition/", "Start time"), ("SI/Acquisition/", "Start time"))


def _dm_acquired(original: Mapping[str, Any]) -> str:
    """From the operating system's clock where it is kept: dates as text follow the country of the computer.

    7/9/2014 is July where times are given as AM and PM; elsewhere such a date is ambiguous and left out.
    """
    for root in DM_ROOTS:
        tags = _table(_at(original, root))
        ticks = _at(tags, "DataBar/Acquisition Time (OS)")
        if isinstance(ticks, int | float) and ticks > 0:
            moment = datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks / 10)
            return moment.isoformat(timespec="seconds")
        for where, clock in DM_CLOCKS:
            date, time = str(_at(tags, where + "Date") or ""), str(_at(tags, where + clock) or "")
            parts = [int(p) for p in date.split("/") if p.isdigit()]
            if len(parts) != 3:
                continue
            american = time.upper().endswith(("AM", "PM"))
            if american or parts[1] > 12:
                return _iso(f"{parts[2]}-{parts[0]:02d}-{parts[1]:02d}", time)
            if parts[0] > 12:
                return _iso(f"{parts[2]}-{parts[1]:02d}-{parts[0]:02d}", time)
    return ""


def _at(table: Any, path: str) -> Any:
    """What stands at a path of keys joined by "/"; None where a key is missing."""
    for key in path.split("/"):
        if not isinstance(table, dict) or key not in table:
            return None
        table = table[key]
    return table


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
