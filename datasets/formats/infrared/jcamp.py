"""JCAMP-DX spectra (.jdx, .dx).

Sources: R. S. McDonald, P. A. Wilks, Appl. Spectrosc. 42 (1988) 151, doi 10.1366/0003702884428734 (version 4.24), and
A. N. Davies, P. Lampen, Appl. Spectrosc. 47 (1993) 1093 (version 5, NMR); not open here, written from memory and held
against files. Lines of labelled data ("##LABEL= value", continued on lines without ##); "$$" begins a comment. Labels ignore
case, blanks, dashes, slashes and underscores.

- XYDATA=(X++(Y..Y)): each line is an X and several Y; Y are plain numbers (AFFN, PAC) or packed: SQZ (@, A-I, a-i hold sign and
  first digit), DIF (%, J-R, j-r: difference to the value before), DUP (S-Z, s: the last one repeated). After a line that ends
  in DIF form, the first Y of the next line only repeats the last one, as a check. Values are multiplied by YFACTOR.
- XYPOINTS and PEAK TABLE=(XY..XY): pairs. "?" is a missing value.
- The axis runs evenly from FIRSTX to LASTX over NPOINTS, in the file's own direction; the X at the head of the lines is held
  against it. A number of points that is not NPOINTS is a fault, not a shorter spectrum, unless the file is closed by ##END:
  then it is the writer's miscount, the axis follows DELTAX, and a warning says so.
- Files may hold several blocks (##BLOCKS); each with data becomes a signal. NTUPLES have pages: each DATA TABLE, as
  "(X++(R..R)), XYDATA", becomes a signal with what SYMBOL, UNITS, FACTOR, FIRST, LAST and VAR_DIM say of its two variables.
- Transmittances and reflectances above 2 are in percent, whatever the file calls them, since a fraction cannot be that large;
  between 1.5 and 2 they stay, with a warning.
- NIST's quantitative infrared database gives absorption coefficients to base 10, "(micromol/mol)-1m-1 (base 10)".
"""

import re
from array import array
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.signal import Axis, Field, Format, Signal

SQUEEZED = {"@": "0", **dict(zip("ABCDEFGHI", "123456789", strict=True)),
            **{c: f"-{d}" for c, d in zip("abcdefghi", "123456789", strict=True)}}
DIFFERENCE = {"%": "0", **dict(zip("JKLMNOPQR", "123456789", strict=True)),
              **{c: f"-{d}" for c, d in zip("jklmnopqr", "123456789", strict=True)}}
REPEATED = dict(zip("STUVWXYZs", "123456789", strict=True))
PACKED = re.compile(r"[@A-Ia-i%J-Rj-rS-Zs]\d*|[+-]?(?:\d+\.?\d*|\.\d+)|\?")
PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[Ee][+-]?\d+)?|\?")
KINDS = {"INTERFEROGRAM": "interferogram", "INFRARED": "FTIR", "FTIR": "FTIR", "RAMAN": "Raman", "NMR": "NMR", "UV": "UV-VIS",
         "MASS": "MS"}
QUANTITIES = {"ABSORBANCE": "absorbance", "TRANSMITTANCE": "transmittance", "TRANSMISSION": "transmittance",
              "REFLECTANCE": "reflectance", "%T": "transmittance", "%R": "reflectance", "KUBELKAMUNK": "kubelka_munk",
              "LOG(1R)": "log_reflectance", "SINGLEBEAM": "single_beam", "PHOTOACOUSTIC": "photoacoustic"}
ABSORPTION_COEFFICIENT = re.compile(r"\(MICROMOL/MOL\)-1\s*M-1")
FRACTIONS = ("transmittance", "reflectance")
LARGEST_FRACTION = 2.0
"""No noise and no baseline makes more than this of what went in."""
UNITLESS = ("absorbance", "transmittance", "reflectance", "kubelka_munk", "log_reflectance")
X_UNITS = {"1/CM": "1/cm", "CM1": "1/cm", "CM-1": "1/cm", "CM^-1": "1/cm", "WAVENUMBER": "1/cm", "WAVENUMBERS": "1/cm",
           "WAVENUMBERS(CM-1)": "1/cm", "WAVENUMBER(CM-1)": "1/cm", "MICROMETERS": "um", "NANOMETERS": "nm", "HZ": "Hz",
           "SECONDS": "s", "MINUTES": "min"}
MOST_POINTS = 5_000_000
"""A file may declare this many points more than it has bytes: repeats pack any number of equal values into a few."""


@dataclass
class _Block:
    line: int
    labels: dict[str, str] = field(default_factory=dict)
    data: list[tuple[int, str]] = field(default_factory=list)
    form: str = ""
    closed: bool = False


def read(path: Path) -> tuple[Signal, ...]:
    """Every spectrum of a file.

    Raises
    ------
    UnreadableFile
        Naming the line and what is wrong there.
    """
    blocks = _blocks(path.read_bytes().decode("utf-8", errors="replace"))
    found = [_signal(path, block) for block in blocks if block.form]
    if not found:
        kinds = {block.labels.get("DATACLASS", block.labels.get("DATATYPE", "?")) for block in blocks}
        raise UnreadableFile(path, f"holds no XYDATA, XYPOINTS or PEAK TABLE, but {', '.join(sorted(kinds)) or 'nothing'}")
    return tuple(found)


def _blocks(text: str) -> list[_Block]:
    blocks: list[_Block] = []
    label = ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("$$")[0].rstrip()
        if (label_line := line.lstrip()).startswith("##"):
            name, _, value = label_line[2:].partition("=")
            label = re.sub(r"[\s\-/_]", "", name.upper())
            if label == "TITLE" or not blocks:
                blocks.append(_Block(number))
            block = blocks[-1]
            if label == "PAGE" or label == "DATATABLE":
                if block.form:
                    block = _Block(number, dict(block.labels))
                    blocks.append(block)
                if label == "PAGE":
                    block.labels["PAGE"] = value.strip()
                else:
                    block.form, label = value.replace(" ", "").upper(), "DATA"
            elif label == "END":
                block.closed = True
            elif label in ("XYDATA", "XYPOINTS", "PEAKTABLE"):
                block.form, label = value.replace(" ", "").upper(), "DATA"
            else:
                block.labels.setdefault(label, value.strip())
        elif label == "DATA" and line.strip():
            blocks[-1].data.append((number, line))
        elif label and line.strip() and not label.startswith("$"):
            block.labels[label] = f"{block.labels.get(label, '')} {line.strip()}".strip()
    return blocks


def _variables(path: Path, block: _Block) -> None:
    """Give a page of NTUPLES the labels that a plain spectrum has, for the two variables of its table."""
    match = re.match(r"\((\w)\+\+\((\w)\.\.\w\)\)|\((\w)(\w)\.\.\w\w\)", block.form)
    if "SYMBOL" not in block.labels or match is None:
        raise UnreadableFile(path, f"has a table {block.form!r} that its labels do not explain",
                             where=f"block at line {block.line}")
    columns = {name: [cell.strip() for cell in block.labels.get(name, "").split(",")]
               for name in ("SYMBOL", "UNITS", "FACTOR", "FIRST", "LAST", "VARDIM", "VARNAME")}
    symbols = [symbol.upper() for symbol in columns["SYMBOL"]]
    wanted = [group for group in match.groups() if group]
    if any(symbol not in symbols for symbol in wanted):
        raise UnreadableFile(path, f"the table {block.form!r} names variables that SYMBOL does not",
                             where=f"block at line {block.line}")
    for axis, symbol in zip("XY", wanted, strict=True):
        at = symbols.index(symbol)
        for name, label in (("UNITS", f"{axis}UNITS"), ("FACTOR", f"{axis}FACTOR"), ("FIRST", f"FIRST{axis}"),
                            ("LAST", f"LAST{axis}")):
            if at < len(columns[name]) and columns[name][at]:
                block.labels[label] = columns[name][at]
        if axis == "X" and at < len(columns["VARDIM"]):
            block.labels["NPOINTS"] = columns["VARDIM"][at]
        if axis == "Y" and at < len(columns["VARNAME"]):
            block.labels["PAGE"] = f"{columns['VARNAME'][at]} {block.labels.get('PAGE', '')}".strip()
    block.form = block.form.replace(f"({wanted[0]}++", "(X++", 1) if "++" in block.form else "(XY..XY)"


def _signal(path: Path, block: _Block) -> Signal:
    labels = block.labels
    if "SYMBOL" in labels or "PAGE" in labels:
        _variables(path, block)
    warnings: list[str] = []
    if block.form.startswith("(XY"):
        x, y = _pairs(path, block)
    else:
        x, y = _even(path, block, warnings)
    y = y * _number(path, block, "YFACTOR", 1.0)
    unit = labels.get("YUNITS", "").upper()
    quantity = QUANTITIES.get(re.sub(r"[\s\-/_]", "", unit), "")
    name = quantity or next((q for word, q in QUANTITIES.items() if word in unit), "intensity")
    if ABSORPTION_COEFFICIENT.match(unit):
        name = "absorption_coefficient"
    if np.isnan(y).any():
        warnings.append(f"{int(np.isnan(y).sum())} values are missing")
    percent = "%" in unit or "PERCENT" in unit
    if name in FRACTIONS and not percent and (top := float(np.nanmax(y, initial=0.0))) > 1.5:
        percent = top > LARGEST_FRACTION
        warnings.append(f"{name}s up to {top:.4g}: " + ("taken as percent, though the file does not say so" if percent else
                                                         "they may be in percent, though the file does not say so"))
    kind = next((k for word, k in KINDS.items() if word in labels.get("DATATYPE", "").upper()), "")
    x_unit = X_UNITS.get(re.sub(r"\s", "", labels.get("XUNITS", "").upper()), labels.get("XUNITS", ""))
    title = ", ".join(part for part in (labels.get("TITLE") or path.stem, labels.get("PAGE", "")) if part)
    axis = Axis("wavenumber" if x_unit == "1/cm" else labels.get("XLABEL", "x").lower(), x, x_unit)
    conditions = {"acquired": when} if (when := _acquired(labels)) else {}
    metadata: dict[str, Any] = {k: v for k, v in labels.items() if len(v) <= 400}
    field_unit = "1" if name in UNITLESS else "1/ppm/m" if name == "absorption_coefficient" else ""
    return Signal(title, (axis,), {name: Field(y / 100 if percent else y, field_unit)}, path, metadata, conditions, kind,
                  tuple(warnings))


def _number(path: Path, block: _Block, label: str, default: float | None = None) -> float:
    text = block.labels.get(label)
    if text is None and default is not None:
        return default
    try:
        value = float((text or "").replace(",", "."))
    except ValueError:
        raise UnreadableFile(path, f"{label} is {text!r}, no number", where=f"block at line {block.line}") from None
    return value


def _pairs(path: Path, block: _Block) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values = np.array([_value(t) for _, line in block.data for t in PLAIN.findall(line)])
    if values.size == 0 or values.size % 2:
        raise UnreadableFile(path, f"{values.size} numbers are no pairs of x and y", where=f"block at line {block.line}")
    return values[::2] * _number(path, block, "XFACTOR", 1.0), values[1::2]


def _even(path: Path, block: _Block, warnings: list[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    declared = _number(path, block, "NPOINTS")
    if not 1 <= declared <= MOST_POINTS + path.stat().st_size or declared != int(declared):
        raise UnreadableFile(path, f"NPOINTS is {declared:g}", where=f"block at line {block.line}")
    points = int(declared)
    first, last = _number(path, block, "FIRSTX"), _number(path, block, "LASTX")
    packed = any(re.search(r"[@%A-DF-Za-df-z]", line) for _, line in block.data)
    values = array("d")
    starts: list[tuple[int, float]] = []
    difference = False
    for number, line in block.data:
        tokens = (PACKED if packed else PLAIN).findall(line)
        if not tokens or tokens[0][0] in "@%?" or tokens[0][0].isalpha():
            raise UnreadableFile(path, f"expected X and values, found {line[:40]!r}", where=f"line {number}")
        if difference and len(values) == points and len(tokens) == 2:
            if _unpacked(tokens[1]) != values[-1]:
                warnings.append(f"the last line holds nothing but a check value, and that is not the {values[-1]:g} before it")
            break
        starts.append((len(values) - (1 if difference else 0), float(tokens[0])))
        difference = _unpack(path, number, tokens[1:], values, difference, points)
    if len(values) != points:
        if not block.closed or abs(len(values) - points) > max(1, points // 1000) or "DELTAX" not in block.labels:
            raise UnreadableFile(path, f"declares {points} points and holds {len(values)}", where=f"block at line {block.line}",
                                 todo="the file may be truncated")
        warnings.append(f"the file declares {points} points and holds {len(values)}, up to its end: the axis follows DELTAX")
        points = len(values)
        last = first + (points - 1) * abs(_number(path, block, "DELTAX")) * (1 if last >= first else -1)
    x = np.linspace(first, last, points)
    factor = _number(path, block, "XFACTOR", 1.0)
    step = abs(last - first) / max(points - 1, 1)
    off = [i for i, start in starts if abs(start * factor - x[min(i, points - 1)]) > step]
    if off:
        warnings.append(f"{len(off)} of {len(starts)} lines begin more than a point away from where FIRSTX and LASTX put them")
    return x, np.array(values)


def _unpack(path: Path, number: int, tokens: list[str], values: "array[float]", check: bool, points: int) -> bool:
    """Append the values of one line; whether it ends in DIF form, so that the next line begins with a check."""
    difference, last = False, 0.0
    for position, token in enumerate(tokens):
        head, rest = token[0], token[1:]
        if head in REPEATED:
            times = int(REPEATED[head] + rest) - 1
            if len(values) + times > points + 1 or not values:
                raise UnreadableFile(path, f"repeats a value {times} times, more than NPOINTS allows", where=f"line {number}")
            for _ in range(times):
                values.append(values[-1] + last if difference else values[-1])
        elif head in DIFFERENCE:
            if not values:
                raise UnreadableFile(path, "begins with a difference to nothing", where=f"line {number}")
            difference, last = True, float(DIFFERENCE[head] + rest)
            values.append(values[-1] + last)
        else:
            value = _unpacked(token)
            difference = False
            if position == 0 and check:
                if values and value != values[-1]:
                    raise UnreadableFile(path, f"the check value {value:g} is not the {values[-1]:g} before it",
                                         where=f"line {number}")
                continue
            values.append(value)
    return difference


def _unpacked(token: str) -> float:
    """The number of one token that depends on no other."""
    return float(SQUEEZED[token[0]] + token[1:]) if token[0] in SQUEEZED else _value(token)


def _value(token: str) -> float:
    return float("nan") if token == "?" else float(token)


def _acquired(labels: dict[str, str]) -> str:
    for text, forms in ((labels.get("LONGDATE", ""), ("%Y/%m/%d %H:%M:%S", "%Y/%m/%d")),
                        (f"{labels.get('DATE', '')} {labels.get('TIME', '')}".strip(), ("%y/%m/%d %H:%M:%S", "%y/%m/%d"))):
        for form in forms:
            try:
                moment = datetime.strptime(text.split(".")[0].strip(), form)
            except ValueError:
                continue
            return moment.isoformat() if "%H" in form else moment.date().isoformat()
    return ""


def recognises(head: bytes, path: Path) -> bool:
    """Labelled data with the label JCAMP-DX near its beginning, or, where a writer forgot it, those of a spectrum."""
    del path
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t").upper().replace(b" ", b"")
    return start.startswith(b"##") and (
        b"##JCAMP" in start or (start.startswith(b"##TITLE=") and b"##XUNITS=" in start and b"##NPOINTS=" in start))


def example(folder: Path) -> Path:
    """A line at 1440 1/cm, as of a carbonate."""
    x = np.arange(1400.0, 1481.0, 2.0)
    y = np.rint(1e4 * np.exp(-((x - 1440) / 15) ** 2)).astype(int)
    rows = [f"{x[i]:.1f} " + " ".join(map(str, y[i:i + 8].tolist())) for i in range(0, x.size, 8)]
    head = ["##TITLE=example", "##JCAMP-DX=4.24", "##DATA TYPE=INFRARED SPECTRUM", "##XUNITS=1/CM", "##YUNITS=ABSORBANCE",
            f"##FIRSTX={x[0]}", f"##LASTX={x[-1]}", "##XFACTOR=1", "##YFACTOR=1e-4", f"##NPOINTS={x.size}",
            "##XYDATA=(X++(Y..Y))"]
    path = folder / "example.jdx"
    path.write_text("\n".join([*head, *rows, "##END="]) + "\n", encoding="ascii")
    return path


JCAMP = Format(name="jcamp-dx", suffixes=frozenset({".jdx", ".dx", ".jcm"}), recognises=recognises, read=read, version="2",
               text=True,
               example=example)
