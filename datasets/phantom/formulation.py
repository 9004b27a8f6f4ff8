"""What a person writes about an electrolyte, and the four numbers that the laws take from it."""

import re
from dataclasses import dataclass

from datasets.errors import DatasetError

FLUORINE_SOURCE = {"LiFSI": 0.95, "NaFSI": 0.95, "KFSI": 0.95, "LiTFSI": 0.55, "NaTFSI": 0.55, "LiPF6": 0.45, "NaPF6": 0.45,
                   "LiDFOB": 0.7, "LiNO3": 0.0, "LiClO4": 0.0, "FEC": 1.0, "TTE": 0.15}
SOLVATING = {"EC": 0.9, "FEC": 0.75, "PC": 0.85, "DEC": 0.7, "DMC": 0.65, "EMC": 0.65, "TEP": 0.6, "DMMP": 0.6, "DME": 0.55,
             "DOL": 0.4, "TTE": 0.0, "diglyme": 0.6}
FILM_FORMER_PER_WT = {"FEC": 0.06, "VC": 0.3, "LiNO3": 0.2}
ANION_ELEMENTS = {"PF6": "P", "FSI": "NS", "TFSI": "NS", "NO3": "N", "DFOB": "B", "ClO4": "Cl"}


@dataclass(frozen=True)
class Formulation:
    """An electrolyte in words and in the numbers that matter here; every number is a judgement, see docs/phantom.md.

    text : as on a bottle, "1 M LiPF6 in EC:DEC 1:1 v/v + 10 wt% FEC"
    fluorine_source, solvating, film_former, concentration : 0 to 1
    salt_elements : elements that the salts and additives bring beside F, O and C
    carbonate : whether the solvents are carbonates (else ethers or phosphates)
    """

    text: str
    fluorine_source: float
    solvating: float
    film_former: float
    concentration: float
    salt_elements: str
    carbonate: bool


def formulation(text: str) -> Formulation:
    """Read `<molarity> M <salt> [+ <molarity> M <salt>] in A:B[:C] a:b[:c] v/v [+ <n> wt% <additive>] ...`.

    Raises
    ------
    DatasetError
        If the text has another shape or names an unknown component.
    """
    head, _, rest = text.partition(" in ")
    salts = [(float(m), name) for m, name in re.findall(r"([\d.]+) M (\w+)", head)]
    parts = [part.strip() for part in rest.split("+")]
    mixed = re.fullmatch(r"([\w:]+)(?: ([\d.:]+) v/v)?", parts[0])
    additives = [(float(m), name) for m, name in re.findall(r"([\d.]+) wt% (\w+)", rest)]
    if not salts or not mixed or len(additives) != len(parts) - 1:
        raise DatasetError(f"cannot read {text!r} as an electrolyte; write it as '1 M LiPF6 in EC:DEC 1:1 v/v + 10 wt% FEC'")
    solvents = mixed[1].split(":")
    shares = [float(v) for v in mixed[2].split(":")] if mixed[2] else [1.0] * len(solvents)
    unknown = [name for name in solvents if name not in SOLVATING]
    unknown += [name for _, name in salts if name not in FLUORINE_SOURCE]
    unknown += [name for _, name in additives if name not in FILM_FORMER_PER_WT]
    if unknown or len(shares) != len(solvents):
        raise DatasetError(f"{text!r}: unknown component {', '.join(unknown) or 'share'}; "
                           f"known are {', '.join(sorted({*SOLVATING, *FLUORINE_SOURCE, *FILM_FORMER_PER_WT}))}")
    molarity = sum(m for m, _ in salts)
    concentration = min(1.0, molarity / 4.5)
    solvating = sum(f * SOLVATING[name] for f, name in zip(shares, solvents, strict=True)) / sum(shares)
    # sources of fluorine saturate: two of them do not add up beyond one
    missing = 1.0
    for m, name in salts:
        missing *= 1 - FLUORINE_SOURCE[name] * min(1.0, m)
    for wt, name in additives:
        missing *= 1 - FLUORINE_SOURCE.get(name, 0.0) * min(1.0, wt / 15)
    for f, name in zip(shares, solvents, strict=True):
        missing *= 1 - FLUORINE_SOURCE.get(name, 0.0) * min(1.0, f / sum(shares))
    film = sum(FILM_FORMER_PER_WT[name] * wt for wt, name in additives)
    names = [name for _, name in salts] + [name for _, name in additives]
    elements = "".join(sorted({el for anion, els in ANION_ELEMENTS.items() for el in els
                               if any(name.endswith(anion) for name in names)}))
    return Formulation(text, 1 - missing, solvating * (1 - 0.4 * concentration), min(film, 0.6), concentration, elements,
                       any(name in ("EC", "PC", "DEC", "DMC", "EMC") for name in solvents))
