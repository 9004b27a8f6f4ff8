"""The energy of the photons where only a text beside the images states it.

Two such texts are known:

- The script that a full-field microscope ran (SSRL 6-2c, APS 8-BM, ALBA Mistral): `sete 8333.00` or `moveto energy 8333.00`
  sets the energy in eV, `collect NAME.xrm` writes an image at the energy that was set last. Lines of other commands and of
  comments (`;;`) stand between them. Known from the script that xanespy keeps beside images of SSRL, from one that it writes
  for APS, and from ALBA's txm2nexuslib.
- A list with one energy in eV a line and remarks behind `*` or `#`, of the name of a stack and the suffix .txt: what
  mantis-xray writes and reads beside a TIFF.

TXM-Wizard's `ScanInfo_*.txt` names the images of a scan and holds no energy; it is not used.
"""

import re
from collections import defaultdict
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.formats.text_number import finite
from datasets.formats.xrays.photon_energy import HIGHEST_EV, LOWEST_EV

COMMAND = re.compile(r"^[ \t]*(?:(sete|moveto[ \t]+energy)[ \t]+(\S+)|collect[ \t]+(\S[^\r\n]*?))[ \t\r]*$",
                     re.IGNORECASE | re.MULTILINE)
MOST_BYTES, MOST_TEXTS = 8 << 20, 64
"""Longer texts are no scripts; of more texts in a folder the first are looked at."""
ABOUT_ENERGY = re.compile(r"energ|(?<![a-z])k?ev(?![a-z])|xanes|nexafs|stxm|(?<![a-z])(txm|xas)(?![a-z])", re.IGNORECASE)


def scripts_beside(path: Path) -> tuple[Path, ...]:
    """Scripts in the folder of an image that collected it."""
    texts = [p for p in sorted(path.parent.iterdir()) if p.suffix.lower() == ".txt" and p.is_file()][:MOST_TEXTS]
    return tuple(p for p in texts if path.name.lower() in collected_by(p))


def scripted_energy(path: Path) -> tuple[float, str] | None:
    """Energy in eV at which a script beside an image collected it, and the script's name; None where none did, or at two."""
    found = {(energy, script.name) for script in scripts_beside(path) for energy in collected_by(script)[path.name.lower()]}
    return found.pop() if len({energy for energy, _ in found}) == 1 else None


def collected_by(script: Path) -> dict[str, frozenset[float]]:
    """Name of an image in small letters -> energies in eV at which a script collected it; empty for other texts."""
    try:
        about = script.stat()
        return _collected(script, about.st_mtime_ns, about.st_size)
    except OSError:
        return {}


@lru_cache(maxsize=MOST_TEXTS)
def _collected(script: Path, changed: int, size: int) -> dict[str, frozenset[float]]:
    """A folder of thousands of images asks for the same script once for each."""
    del changed
    found: dict[str, set[float]] = defaultdict(set)
    energy: float | None = None
    for sets, value, name in COMMAND.findall(script.read_text(encoding="latin-1") if size <= MOST_BYTES else ""):
        if sets:
            energy = finite(value)
        elif energy is not None and LOWEST_EV <= energy <= HIGHEST_EV:
            found[name.replace("\\", "/").rpartition("/")[2].lower()].add(energy)
    return {name: frozenset(energies) for name, energies in found.items()}


def energy_list(path: Path) -> Path | None:
    """The text of the name of a stack that holds nothing but a number a line; None where there is none."""
    beside = path.with_suffix(".txt")
    return beside if beside.is_file() and listed(beside).size else None


def listed(text: Path) -> NDArray[np.float64]:
    """Numbers of a list; empty where a line is neither a number nor a remark."""
    if text.stat().st_size > MOST_BYTES:
        return np.empty(0)
    lines = [line.strip() for line in text.read_text(encoding="latin-1").splitlines()]
    numbers = [finite(line) for line in lines if line and not line.startswith(("*", "#"))]
    return np.array([number for number in numbers if number is not None]) if None not in numbers else np.empty(0)


def listed_energies(path: Path, images: int) -> tuple[NDArray[np.float64], str]:
    """Energies in eV of the images of a stack; none, and what to say of it, where the list beside it is not one of energies.

    A bare list may be one of anything, as of times: it is taken only where its remarks or its name speak of energies.
    """
    beside = energy_list(path)
    if beside is None:
        return np.empty(0), ""
    energies = listed(beside)
    if energies.size != images:
        return np.empty(0), f"{beside.name} lists {energies.size} numbers for {images} images: it is not used"
    steps = np.diff(energies)
    possible = bool(((energies >= LOWEST_EV) & (energies <= HIGHEST_EV)).all() and ((steps > 0).all() or (steps < 0).all()))
    remarks = " ".join(line for line in beside.read_text(encoding="latin-1").splitlines() if line.lstrip()[:1] in ("*", "#"))
    if not (ABOUT_ENERGY.search(beside.stem) or ABOUT_ENERGY.search(remarks)):
        return np.empty(0), (f"{beside.name} lists a number for each image and does not say that they are energies: "
                             "it is not used")
    if not possible:
        return np.empty(0), (f"{beside.name} lists numbers that neither rise nor fall throughout between {LOWEST_EV:g} and "
                             f"{HIGHEST_EV:g} eV: it is not used")
    return energies, f"the energies stand only in {beside.name}"
