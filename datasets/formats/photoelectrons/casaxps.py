"""What CasaXPS leaves in the comments of a VAMAS block: energy calibrations, quantification regions and fitted components.

There is no published specification; the lines are recognised by their first words, as in files of CasaXPS 2.3.25::

    Calib M = 281.17 A = 284.8 BE ADD
    CASA region (*Fe 2p*) (*U 3 Tougaard*) 737.52081 786.7632 16.42 2 0 0 335.44588 551 436 3 (*Fe 2p*) 55.8458 0 16.42
    CASA comp (*Fe 2p*) (*LF(0.54,10,80,100,6)*) Area 63507.374 1e-020 6383903.5 -1 1 MFWHM 3.8576238 1.07 26.75 -1 1
        Position 777.56313 738.01 782.59919 -1 1 RSF 16.42 MASS 55.8458 INDEX -1 (*Fe 2p*) ...

Energies of regions and components are kinetic energies. The five numbers after Area, MFWHM and Position are value, lower and
upper limit, and a constraint (component, factor). A component's Position is not its maximum for asymmetric LF shapes. The
numbers after the sensitivity factor of a region are not understood, except that they hold the averaging width of the end points
and the parameters of the background; they are kept as `parameters`. Nothing of all this is applied to the data.
"""

import re
from collections.abc import Sequence
from typing import Any

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
REGION = re.compile(r"CASA region \(\*(?P<name>.*?)\*\) \(\*(?P<background>.*?)\*\) (?P<numbers>[^(]*)")
COMPONENT = re.compile(r"CASA comp \(\*(?P<name>.*?)\*\) \(\*(?P<line_shape>.*?)\*\) (?P<rest>.*)")
CALIBRATION = re.compile(rf"Calib\s+M\s*=\s*(?P<measured>{NUMBER})\s+A\s*=\s*(?P<assigned>{NUMBER})\s*(?P<rule>.*)")
FITTED = {"Area": "area", "MFWHM": "width_eV", "Position": "position_kinetic_eV"}
SINGLE = {"RSF": "sensitivity", "MASS": "mass"}


def casaxps_notes(comments: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Calibrations, regions and components named in comment lines; empty where CasaXPS left none."""
    found: dict[str, list[dict[str, Any]]] = {"calibrations": [], "regions": [], "components": []}
    for line in comments:
        if match := CALIBRATION.search(line):
            found["calibrations"].append({"measured_eV": float(match["measured"]), "assigned_eV": float(match["assigned"]),
                                          "rule": match["rule"].strip()})
        elif match := REGION.search(line):
            found["regions"].append(_region(match))
        elif match := COMPONENT.search(line):
            found["components"].append(_component(match))
    return {name: items for name, items in found.items() if items}


def _region(match: re.Match[str]) -> dict[str, Any]:
    numbers = [float(text) for text in re.findall(NUMBER, match["numbers"])]
    named = dict(zip(("start_kinetic_eV", "end_kinetic_eV", "sensitivity"), numbers, strict=False))
    return {"name": match["name"], "background": match["background"], **named, "parameters": numbers[3:]}


def _component(match: re.Match[str]) -> dict[str, Any]:
    component: dict[str, Any] = {"name": match["name"], "line_shape": match["line_shape"]}
    for word, name in FITTED.items():
        if numbers := re.search(rf"\b{word} ({NUMBER}) ({NUMBER}) ({NUMBER})", match["rest"]):
            component[name] = float(numbers[1])
            component[f"{name}_limits"] = [float(numbers[2]), float(numbers[3])]
    for word, name in SINGLE.items():
        if number := re.search(rf"\b{word} ({NUMBER})", match["rest"]):
            component[name] = float(number[1])
    return component
