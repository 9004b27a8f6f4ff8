"""Bytes on disk to `Signal`: one file per family of formats, one line here each."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from datasets.errors import FileError, UnknownFormat, UnreadableFile
from datasets.formats import compressed, hdf5_guard, text_damage
from datasets.formats.arrays import ARRAYS
from datasets.formats.cells.arbin_hdf import ARBIN_HDF
from datasets.formats.cells.arbin_res import ARBIN_RES
from datasets.formats.cells.autolab_dfr import AUTOLAB_DFR
from datasets.formats.cells.biologic import BIOLOGIC
from datasets.formats.cells.ch_instruments import CH_INSTRUMENTS
from datasets.formats.cells.cycler_parquet import CYCLER_PARQUET
from datasets.formats.cells.cycler_text import CYCLER_TEXT
from datasets.formats.cells.cycler_workbook import CYCLER_WORKBOOK
from datasets.formats.cells.eclab_text import ECLAB_TEXT
from datasets.formats.cells.gamry import GAMRY
from datasets.formats.cells.impedance_text import IMPEDANCE_TEXT
from datasets.formats.cells.ivium import IVIUM
from datasets.formats.cells.neware import NEWARE
from datasets.formats.cells.palmsens import PALMSENS
from datasets.formats.electrons import sidecars
from datasets.formats.electrons.ang import ANG
from datasets.formats.electrons.ctf import CTF
from datasets.formats.electrons.dectris import DECTRIS
from datasets.formats.electrons.edax_patterns import EDAX_PATTERNS
from datasets.formats.electrons.emsoft import EMSOFT
from datasets.formats.electrons.h5ebsd import H5EBSD
from datasets.formats.electrons.mrcz import MRCZ
from datasets.formats.electrons.nordif import NORDIF
from datasets.formats.electrons.oxford_patterns import OXFORD_PATTERNS
from datasets.formats.electrons.pictures import PICTURES
from datasets.formats.electrons.rosetta import ROSETTA
from datasets.formats.electrons.slices import SLICES
from datasets.formats.hdf5_layout import HDF5_MAGIC
from datasets.formats.infrared.agilent import AGILENT
from datasets.formats.infrared.bwtek import BWTEK
from datasets.formats.infrared.jcamp import JCAMP
from datasets.formats.infrared.labspec import LABSPEC
from datasets.formats.infrared.neaspec import NEASPEC
from datasets.formats.infrared.omnic import OMNIC
from datasets.formats.infrared.opus import OPUS
from datasets.formats.infrared.perkinelmer import PERKINELMER
from datasets.formats.infrared.point_table import POINT_TABLE
from datasets.formats.infrared.ptir import PTIR
from datasets.formats.infrared.renishaw import RENISHAW
from datasets.formats.infrared.spc import SPC
from datasets.formats.ions.apt_hits import APT_HITS
from datasets.formats.ions.apt_ions import APT_IONS
from datasets.formats.ions.apt_ranges import APT_RANGES
from datasets.formats.ions.tofsims import TOFSIMS
from datasets.formats.matlab import MATLAB
from datasets.formats.photoelectrons.phi import PHI
from datasets.formats.photoelectrons.scienta import SCIENTA_IGOR, SCIENTA_TEXT
from datasets.formats.photoelectrons.specs import SPECS_TEXT, SPECS_XML
from datasets.formats.photoelectrons.specs_sle import SPECS_SLE
from datasets.formats.photoelectrons.thermo import THERMO
from datasets.formats.photoelectrons.vamas import VAMAS
from datasets.formats.photoelectrons.xps_columns import XPS_COLUMNS
from datasets.formats.probes.agilent_mi import AGILENT_MI
from datasets.formats.probes.asd_movie import ASD_MOVIE
from datasets.formats.probes.asylum import ASYLUM
from datasets.formats.probes.gsf import GSF
from datasets.formats.probes.gwyddion import GWYDDION
from datasets.formats.probes.jpk_force import JPK_FORCE
from datasets.formats.probes.jpk_image import JPK_IMAGE
from datasets.formats.probes.metropro import METROPRO
from datasets.formats.probes.nanonis import NANONIS
from datasets.formats.probes.nanonis_dat import NANONIS_DAT
from datasets.formats.probes.nanoscope import NANOSCOPE
from datasets.formats.probes.nanosurf import NANOSURF
from datasets.formats.probes.nexus_probe import NEXUS_PROBE
from datasets.formats.probes.park import PARK
from datasets.formats.probes.rosetta_surface import ROSETTA_SURFACE
from datasets.formats.probes.surface_sdf import SURFACE_SDF
from datasets.formats.probes.topostats import TOPOSTATS
from datasets.formats.probes.wsxm import WSXM
from datasets.formats.signal import Axis, Field, Format, Signal
from datasets.formats.xrays.cxi import CXI
from datasets.formats.xrays.data_exchange import DATA_EXCHANGE
from datasets.formats.xrays.nexus_xray import NEXUS_XRAY
from datasets.formats.xrays.ptypy_hdf import PTYPY_HDF
from datasets.formats.xrays.stxm_hdr import STXM_HDR
from datasets.formats.xrays.xanespy_frames import XANESPY_FRAMES
from datasets.formats.xrays.xas_columns import XAS_COLUMNS
from datasets.formats.xrays.xdi import XDI
from datasets.formats.xrays.xradia import XRADIA
from datasets.formats.zip_members import ZIP

HEAD_BYTES = 4096
MOST_USUAL = 3
"""A suffix of more formats than these says nothing."""


def _unpacked(path: Path) -> tuple[Signal, ...]:
    return compressed.read(path, open_file)


COMPRESSED = Format(name="compressed", suffixes=frozenset({".gz", ".bz2"}), recognises=compressed.recognises, read=_unpacked,
                    version="1", example=compressed.example, fallback=True)

FORMATS: tuple[Format, ...] = (
    *ROSETTA,
    MRCZ,
    DECTRIS,
    ANG,
    CTF,
    H5EBSD,
    NORDIF,
    EDAX_PATTERNS,
    OXFORD_PATTERNS,
    EMSOFT,
    PICTURES,
    SLICES,
    VAMAS,
    BIOLOGIC,
    NEWARE,
    GAMRY,
    ECLAB_TEXT,
    *CYCLER_TEXT,
    CYCLER_WORKBOOK,
    CYCLER_PARQUET,
    ARBIN_RES,
    ARBIN_HDF,
    IMPEDANCE_TEXT,
    AUTOLAB_DFR,
    IVIUM,
    CH_INSTRUMENTS,
    PALMSENS,
    JCAMP,
    MATLAB,
    GSF,
    NEASPEC,
    *ARRAYS,
    PERKINELMER,
    PTIR,
    POINT_TABLE,
    SPC,
    RENISHAW,
    LABSPEC,
    BWTEK,
    AGILENT,
    TOFSIMS,
    OPUS,
    OMNIC,
    THERMO,
    SCIENTA_TEXT,
    SCIENTA_IGOR,
    XPS_COLUMNS,
    SPECS_TEXT,
    SPECS_XML,
    SPECS_SLE,
    PHI,
    NANOSCOPE,
    ASYLUM,
    *JPK_IMAGE,
    JPK_FORCE,
    GWYDDION,
    NANOSURF,
    AGILENT_MI,
    NANONIS,
    NANONIS_DAT,
    WSXM,
    PARK,
    ASD_MOVIE,
    SURFACE_SDF,
    TOPOSTATS,
    ROSETTA_SURFACE,
    METROPRO,
    XRADIA,
    XAS_COLUMNS,
    XDI,
    STXM_HDR,
    DATA_EXCHANGE,
    NEXUS_PROBE,
    NEXUS_XRAY,
    XANESPY_FRAMES,
    CXI,
    PTYPY_HDF,
    *APT_IONS,
    *APT_RANGES,
    *APT_HITS,
    COMPRESSED,
)


def format_of(path: str | Path) -> Format:
    """The one format that recognises the content of a file, or of a folder that holds one measurement in many files.

    Formats whose files usually end as this one are asked first, and the others only where none of them knows it.

    Raises
    ------
    UnknownFormat
        If no format, or more than one of those asked, recognises the content.
    """
    path = Path(path)
    head = b"" if path.is_dir() else _head(path)
    if head.startswith(HDF5_MAGIC):
        hdf5_guard.lost_objects(path)  # or the library would not come back
    claims: list[Format] = []
    for asked in _in_turn(path.suffix.lower()):
        claims += [fmt for fmt in asked if _claims(fmt, head, path)]
        if any(not fmt.fallback for fmt in claims):
            break
    claims = [fmt for fmt in claims if not fmt.fallback] or claims
    if len(claims) == 1:
        return claims[0]
    if claims:
        raise UnknownFormat(path, f"is claimed by {' and '.join(f.name for f in claims)}", todo="please report this file")
    if path.is_dir():
        raise UnknownFormat(path, "is a folder and holds no single series of numbered pictures", where=str(path),
                            todo="read the files in it one by one")
    if beside_images := sidecars.fault(head, path):
        raise beside_images
    what = "is empty" if not head else f"no reader recognises the content ({_shown(head)})"
    raise UnknownFormat(path, what, todo=_expected(path))


def open_file(path: str | Path, fmt: Format | None = None) -> tuple[Signal, ...]:
    """Read every signal that a file holds, without deciding what technique made it.

    Parameters
    ----------
    fmt : of the file, where `format_of` has told it already

    Raises
    ------
    FileError
        One line that names the file, what is wrong and where; never another exception.
    """
    path = Path(path)
    fmt = fmt or format_of(path)
    try:
        signals = fmt.read(path)
    except FileError:
        raise
    except MemoryError as error:
        raise UnreadableFile(path, f"the {fmt.name} reader ran out of memory", todo="the file may be damaged") from error
    except Exception as error:  # a reader met bytes that its author did not foresee
        raise UnreadableFile(path, f"the {fmt.name} reader failed: {type(error).__name__}: {_one_line(error)}",
                             todo="the file may be truncated or damaged") from error
    if not signals:
        raise UnreadableFile(path, f"the {fmt.name} reader found no data in it")
    remarks = hdf5_guard.said(path) if path.is_file() and _head(path).startswith(HDF5_MAGIC) else ()
    remarks += _foreign(path, fmt)
    if fmt.text:
        remarks += text_damage.said((path, *fmt.companions(path)))
    return tuple(replace(one, warnings=(*one.warnings, *remarks)) for one in signals) if remarks else signals


def _foreign(path: Path, fmt: Format) -> tuple[str, ...]:
    """A warning where the suffix is that of other formats: with its first bytes damaged, a text may pass for another one's."""
    usual = _usual(path.suffix.lower())
    if not usual or fmt.name in usual or len(usual) > MOST_USUAL:
        return ()
    return (f"is read as {fmt.name}, though a {path.suffix} is usually {' or '.join(usual)}: its first bytes may be damaged",)


@lru_cache(maxsize=256)
def _in_turn(suffix: str) -> tuple[tuple[Format, ...], tuple[Format, ...]]:
    """Formats whose files end so, and all others."""
    return tuple(f for f in FORMATS if suffix in f.suffixes), tuple(f for f in FORMATS if suffix not in f.suffixes)


def _usual(suffix: str) -> tuple[str, ...]:
    """Names of the formats whose files end so."""
    return tuple(fmt.name for fmt in _in_turn(suffix)[0])


def _claims(fmt: Format, head: bytes, path: Path) -> bool:
    """Whether a format recognises a file; one that stumbles over its bytes does not."""
    try:
        return fmt.recognises(head, path)
    except Exception:  # the bytes may be those of anything
        return False


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError as error:
        raise UnknownFormat(path, f"cannot be opened: {error.strerror}", where=str(path)) from error


def _expected(path: Path) -> str:
    """What a file of this suffix usually is."""
    usual = _usual(path.suffix.lower())
    if not usual:
        return "docs/readers.md lists the formats that are read"
    if len(usual) > MOST_USUAL:
        return f"{len(usual)} formats end in {path.suffix}, and none of them knows it; docs/readers.md lists what is read"
    return f"a {path.suffix} is usually {' or '.join(usual)}: the file may be damaged, or of a variant that is not read yet"


CONTAINERS = ((HDF5_MAGIC, "HDF5"), (ZIP, "zip"), (b"BZh", "bzip2"), (b"\x1f\x8b", "gzip"))
"""First bytes of containers that many formats use."""


def _shown(head: bytes) -> str:
    container = next((name for magic, name in CONTAINERS if head.startswith(magic)), "")
    if container:
        return f"a {container} file that is damaged or laid out in an unknown way"
    return "starts with " + " ".join(f"{byte:02x}" for byte in head[:8])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or "no message"


__all__ = ["FORMATS", "Axis", "Field", "Format", "Signal", "format_of", "open_file"]
