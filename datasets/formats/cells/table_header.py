"""Names and units from the column headers of tables, however a program spells them.

"Test Time (s)", "Voltage/V", "Current / mA", "Cap. [Ah]", "test_time_s", "current_ampere", "Voltage#V" and "TestTime/Sec.{0}"
are split into a plain lower-case name and a unit that `datasets.units` knows; "" where the header states none. What looks
like a unit and is none ("dQ/dV") stays part of the name.
"""

import re
from collections.abc import Container
from functools import lru_cache

from datasets.terms import DIMENSION_UNIT, QUANTITY_UNIT
from datasets.units import compatible

UNITS: dict[str, str] = {
    "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "ms": "ms", "millisecond": "ms",
    "min": "min", "mins": "min", "minute": "min", "minutes": "min", "h": "hour", "hr": "hour", "hrs": "hour", "hour": "hour",
    "hours": "hour", "d": "day", "day": "day", "days": "day",
    "V": "V", "volt": "V", "volts": "V", "mV": "mV", "millivolt": "mV", "uV": "uV", "µV": "uV", "μV": "uV",
    "A": "ampere", "amp": "ampere", "amps": "ampere", "ampere": "ampere", "mA": "mA", "milliampere": "mA", "uA": "uA",
    "µA": "uA", "μA": "uA", "nA": "nA", "kA": "kA",
    "Ah": "Ah", "A.h": "Ah", "A·h": "Ah", "A*h": "Ah", "AHr": "Ah", "Amp-hr": "Ah", "mAh": "mAh", "mA.h": "mAh", "mA·h": "mAh",
    "mAHr": "mAh", "uAh": "uA*hour", "µAh": "uA*hour", "μAh": "uA*hour", "As": "A*s", "A.s": "A*s", "mAs": "mA*s",
    "coulomb": "coulomb",
    "Wh": "Wh", "W.h": "Wh", "W·h": "Wh", "WHr": "Wh", "Watt-hr": "Wh", "mWh": "mWh", "mW.h": "mWh", "kWh": "kWh",
    "uWh": "uW*hour", "µWh": "uW*hour", "Ws": "W*s", "mWs": "mW*s", "J": "J",
    "W": "W", "watt": "W", "mW": "mW", "uW": "uW", "kW": "kW",
    "ohm": "ohm", "ohms": "ohm", "Ω": "ohm", "\u2126": "ohm", "O": "ohm", "mohm": "mohm", "mOhms": "mohm", "mΩ": "mohm",
    "mO": "mohm", "kOhm": "kohm", "kΩ": "kohm", "MOhm": "Mohm",
    "Hz": "Hz", "kHz": "kHz", "MHz": "MHz", "mHz": "mHz", "deg": "deg", "degree": "deg", "degrees": "deg", "°": "deg",
    "rad": "rad", "°C": "degC", "℃": "degC", "ºC": "degC", "degC": "degC", "celsius": "degC", "K": "kelvin", "kelvin": "kelvin",
    "F": "F", "uF": "uF", "µF": "uF", "S": "S", "%": "percent", "Pa": "pascal", "pascal": "pascal", "kPa": "kPa", "Psi": "psi",
    "1": "1",
}
"""Spelling in a header -> unit; a bare A is an angstrom in microscopy, so the ampere is written out."""
CLOCK = re.compile(r"(?i)(d{1,2}\W+)?h{1,4}:m[min]*:s+[.,:]?(m?s*|f*)?")
"""A header that says hours:minutes:seconds: the cells are text."""
_LOWER = {spelling.lower(): unit for spelling, unit in reversed(UNITS.items())}
_PATTERNS = (re.compile(r"^(.*?)\s*[(\[{]([^()\[\]]*)[)\]}]$"), re.compile(r"^(.+?)\s*/\s*([^/]+)$"),
             re.compile(r"^(.+)[_#]([^\W_]+)$"), re.compile(r"^(.+),\s*(\S+)$"))


@lru_cache(maxsize=4096)
def name_and_unit(label: str) -> tuple[str, str]:
    """("test time", "s") of "Test_Time(s)"; the unit is "" where there is none, "clock" for hours:minutes:seconds."""
    label = re.sub(r"\.?\{\d+\}$", "", label.strip().strip("\ufeff").lstrip("~").strip().strip('"'))
    for bracketed, pattern in enumerate(_PATTERNS):
        if found := pattern.match(label):
            unit = unit_of(found[2], found[1])
            if unit or (bracketed == 0 and not found[2].strip()):
                return plain(found[1]), unit
    return plain(label), ""


def unit_of(text: str, name: str = "") -> str:
    """The unit that a program spells as `text`; a C is degrees beside a temperature and coulomb beside a charge."""
    text = text.strip().strip(".")
    if CLOCK.fullmatch(text):
        return "clock"
    if text in ("C", "c", "\ufffdC", "øC", "oC"):
        return "coulomb" if re.search(r"(?i)\b(q|charge|capacity)\b|q-qo", name) else "degC"
    if unit := UNITS.get(text):
        return unit
    if "/" in text:
        parts = [unit_of(part) for part in text.split("/")]
        return "/".join(parts) if all(parts) and "clock" not in parts else ""
    return _LOWER.get(text.lower(), "") if len(text) > 1 else ""


@lru_cache(maxsize=4096)
def plain(label: str) -> str:
    """Lower case, words apart by single spaces: "Chg. Cap." and "DPt_Time" are "chg cap" and "dpt time"."""
    return re.sub(r"[^\w#]+|_+", " ", label.lower()).strip()


def variable(name: str, unit: str = "", taken: Container[str] = ()) -> str:
    """A column's own name as that of a variable: not taken, and no word of the vocabulary that means another thing."""
    name = re.sub(r"[^a-z0-9]+", "_", name.lower().replace("#", "")).strip("_") or "column"
    while name in taken or name in DIMENSION_UNIT or not compatible(unit, QUANTITY_UNIT.get(name, unit)):
        name += "_2"
    return name
