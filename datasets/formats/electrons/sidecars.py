"""Texts that describe the images of another file, met on their own: one clear error says which file is missing or to be read.

Beside their images they are read with them (`mrc_header.companions`, `energy_beside`, the readers of Merlin and of Agilent).
"""

import re
from collections.abc import Callable
from pathlib import Path

from datasets.errors import UnknownFormat
from datasets.formats.electrons.mrc_header import tilt_angles
from datasets.formats.xrays.energy_beside import collected_by, listed

IMAGES = (".mrc", ".st", ".map", ".ali", ".tif", ".tiff", ".eer", ".dm3", ".dm4", ".mib", ".xrm", ".txrm", ".bsp", ".dmt")
KEY = re.compile(rb"^\[?(ZValue|FrameSet|MontSection|T|PixelSpacing|ImageFile)\s*=", re.MULTILINE)
IMAGE_FILE = re.compile(r"^ImageFile\s*=\s*(.*\S)", re.MULTILINE)


def fault(head: bytes, path: Path) -> UnknownFormat | None:
    """What to say of a file that describes the images of another; None where it is no such file."""
    what = next((said for is_one, said in KINDS if is_one(head, path)), None)
    if what is None:
        return None
    stems = {path.stem.lower(), Path(path.stem).stem.lower(), *collected_by(path)}  # Agilent's names differ in capitals
    beside = sorted(p.name for p in path.parent.iterdir()
                    if p.suffix.lower() in IMAGES and {p.stem.lower(), p.name.lower()} & stems)
    return UnknownFormat(path, what(path), todo=f"read {beside[0]}, which takes it along" if beside else
                         "it holds no image: the file with the images is not beside it")


def is_mdoc(head: bytes, path: Path) -> bool:
    """SerialEM's sections and keys."""
    return path.suffix.lower() == ".mdoc" and KEY.search(head) is not None


def is_tilt_list(head: bytes, path: Path) -> bool:
    """IMOD's list: one angle a line, of at most half a turn."""
    if path.suffix.lower() not in (".rawtlt", ".tlt") or b"\0" in head:
        return False
    angles = tilt_angles(path)
    return angles is not None and angles.size > 0 and bool((abs(angles) <= 180).all())


def is_merlin_header(head: bytes, path: Path) -> bool:
    """The header that Merlin writes beside its frames."""
    return path.suffix.lower() == ".hdr" and head.startswith(b"HDR,")


def is_envi_header(head: bytes, path: Path) -> bool:
    """ENVI's description of a binary block."""
    return path.suffix.lower() == ".hdr" and head.lstrip().startswith(b"ENVI")


def is_script(head: bytes, path: Path) -> bool:
    """What an X-ray microscope was told to do."""
    return path.suffix.lower() == ".txt" and b"\0" not in head and bool(collected_by(path))


def is_energy_list(head: bytes, path: Path) -> bool:
    """A number a line, and a stack of the same name beside it."""
    stacks = (path.with_suffix(suffix) for suffix in (".tif", ".tiff", ".txrm"))
    return path.suffix.lower() == ".txt" and b"\0" not in head and any(p.is_file() for p in stacks) and bool(listed(path).size)


def _of_mdoc(path: Path) -> str:
    text = path.read_text(encoding="latin-1")
    sections = len(re.findall(r"^\[(?:ZValue|FrameSet|MontSection)\s*=", text, re.MULTILINE))
    named = IMAGE_FILE.search(text)
    own = named[1].replace("\\", "/").rpartition("/")[2] if named else path.stem if path.stem.endswith(IMAGES) else ""
    return f"describes {sections or 'the'} images" + (f" of {own}" if own else "")


def _of_tilts(path: Path) -> str:
    angles = tilt_angles(path)
    assert angles is not None  # as `is_tilt_list` saw
    return f"lists {angles.size} tilt angles, {angles.min():g} to {angles.max():g} deg"


def _of_merlin(path: Path) -> str:
    return f"describes the frames of {path.stem}.mib"


def _of_envi(path: Path) -> str:
    keys = dict(re.findall(r"^\s*(samples|lines|bands)\s*=\s*(\d+)", path.read_text(encoding="latin-1"), re.MULTILINE))
    size = " x ".join(keys.get(key, "?") for key in ("lines", "samples", "bands"))
    return f"is an ENVI header for a block of {size} values, which no reader here takes"


def _of_script(path: Path) -> str:
    collected = collected_by(path)
    energies = {energy for each in collected.values() for energy in each}
    return f"is the script of an X-ray microscope: {len(collected)} images at {min(energies):g} to {max(energies):g} eV"


def _of_list(path: Path) -> str:
    return f"lists {listed(path).size} numbers"


KINDS: tuple[tuple[Callable[[bytes, Path], bool], Callable[[Path], str]], ...] = (
    (is_mdoc, _of_mdoc),
    (is_tilt_list, _of_tilts),
    (is_merlin_header, _of_merlin),
    (is_envi_header, _of_envi),
    (is_script, _of_script),
    (is_energy_list, _of_list),
)
"""How such a file is told, and what it is."""
