"""The energy of the photons where a file does not state it: in its name, as beamlines write it (APS 8-BM: 8353_0eV)."""

import re

IN_NAME = re.compile(r"(?<![\d.])(\d{3,5}_\d(?=eV)|\d{2,5}(?:[.p]\d+)?)[_ ]?(k?)eV(?![a-z])", re.IGNORECASE)
LOWEST_EV, HIGHEST_EV = 50.0, 200_000.0
FLAT = re.compile(r"(?:^|[_\-. ])(ref|reference|flat|white|bg|background|open|i0)(?=[_\-. \d]|$)", re.IGNORECASE)
DARK = re.compile(r"(?:^|[_\-. ])dark(?=[_\-. \d]|$)", re.IGNORECASE)


def energy_in_name(name: str) -> float | None:
    """Energy in eV of a name such as `sample_08354.0_eV_001of003`; None where there is none, or more than one."""
    found = {float(re.sub("[pP_]", ".", number)) * (1000.0 if kilo else 1.0) for number, kilo in IN_NAME.findall(name)}
    found = {energy for energy in found if LOWEST_EV <= energy <= HIGHEST_EV}
    return found.pop() if len(found) == 1 else None


def role_in_name(name: str) -> str:
    """"flat field", "dark field" or "", as the name of a file has it."""
    return "flat field" if FLAT.search(name) else "dark field" if DARK.search(name) else ""
