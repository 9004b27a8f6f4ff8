"""The grammar of VAMAS / ISO 14976: lines of text to a header and blocks. `vamas` says what it means.

Every count that the file declares is held against the lines that are left before anything is made of it, and every complaint
names its line.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import UnreadableFile

Floats = NDArray[np.float64]

TITLE = "VAMAS Surface Chemical Analysis Standard Data Transfer Format 1988 May 4"
UNKNOWN_ABOVE = 9.9e36
"""The standard writes 1E+37 for a value that was not recorded."""

EXPERIMENTS = ("MAP", "MAPDP", "MAPSV", "MAPSVDP", "NORM", "SDP", "SDPSV", "SEM", "NOEXP")
SCANS = ("REGULAR", "IRREGULAR", "MAPPING")
WITH_REGIONS = ("MAP", "MAPDP", "NORM", "SDP")
WITH_COORDINATES = ("MAP", "MAPDP")
WITH_FIELD_OF_VIEW = ("MAP", "MAPDP", "MAPSV", "MAPSVDP", "SEM")
WITH_LINESCANS = ("MAPSV", "MAPSVDP", "SEM")
SPUTTERED = ("MAPDP", "MAPSVDP", "SDP", "SDPSV")
ION_TECHNIQUES = ("FABMS", "FABMS energy spec", "ISS", "SIMS", "SIMS energy spec", "SNMS", "SNMS energy spec")
ELECTRON_TECHNIQUES = ("AES diff", "AES dir", "EDX", "ELS", "UPS", "XPS", "XRF")

MOST_ITEMS = 1000
"""No experiment has more variables, lists or ordinates per point than this; a larger count is damage."""


@dataclass
class Header:
    """What holds for the whole experiment; `included` tells for items 1 to 40 whether later blocks repeat them."""

    institution: str = ""
    instrument: str = ""
    operator: str = ""
    experiment: str = ""
    comments: list[str] = field(default_factory=list)
    mode: str = ""
    scan: str = ""
    regions: int | None = None
    positions: tuple[int, int, int] | None = None
    variables: list[tuple[str, str]] = field(default_factory=list)
    included: NDArray[np.bool_] = field(default_factory=lambda: np.ones(41, dtype=bool))
    upgrade: list[str] = field(default_factory=list)
    upgrade_per_block: int = 0
    blocks: int = 0


@dataclass
class Block:
    """One block; `items` are the vendor's entries by name, None where unknown. `line` is where it starts."""

    line: int
    name: str
    sample: str
    items: dict[str, Any] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)
    variables: list[float | None] = field(default_factory=list)
    columns: list[tuple[str, str]] = field(default_factory=list)
    parameters: list[tuple[str, str, float | None]] = field(default_factory=list)
    upgrade: list[str] = field(default_factory=list)
    extremes: list[tuple[float | None, float | None]] = field(default_factory=list)
    ordinates: Floats = field(default_factory=lambda: np.empty((0, 0)))

    @property
    def technique(self) -> str:
        return str(self.items.get("technique", ""))


def parse(path: Path) -> tuple[Header, list[Block], bool]:
    """Header and blocks of a file, and whether it ends as the standard says.

    Raises
    ------
    UnreadableFile
        Naming the line, what was expected there and what stands there.
    """
    lines = Lines(path)
    header = _header(lines)
    blocks: list[Block] = []
    for _ in range(header.blocks):
        blocks.append(_block(lines, header, blocks[0] if blocks else None))
    if not blocks:
        raise UnreadableFile(path, "the experiment has no blocks", where=f"experiment mode {header.mode}")
    return header, blocks, lines.at_end()


class Lines:
    """The lines of a file, taken one by one; every complaint names the line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        raw = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
        self.lines = [line.rstrip("\r\0") for line in text.split("\n" if "\n" in text else "\r")]
        while self.lines and not self.lines[-1]:
            self.lines.pop()
        self.position = next((i for i, line in enumerate(self.lines) if line.strip()), 0)

    @property
    def next_line(self) -> int:
        return self.position + 1

    def fault(self, what: str, line: int | None = None) -> UnreadableFile:
        return UnreadableFile(self.path, what, where=f"line {self.next_line if line is None else line}")

    def text(self, what: str) -> str:
        if self.position >= len(self.lines):
            raise self.fault(f"ends where {what} is expected: the file is truncated")
        line = self.lines[self.position]
        self.position += 1
        return line.replace("\0", "").strip()

    def texts(self, count: int, what: str) -> list[str]:
        if count > len(self.lines) - self.position:
            raise self.fault(f"declares {count} lines of {what}, only {len(self.lines) - self.position} are left")
        return [self.text(what) for _ in range(count)]

    def number(self, what: str) -> float | None:
        """A number, None where the file writes the standard's "not known"."""
        line = self.next_line
        text = self.text(what)
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            raise self.fault(f"expected {what}, a number, found {text[:40]!r}", line) from None
        return value if abs(value) <= UNKNOWN_ABOVE else None

    def whole(self, what: str) -> int:
        line = self.next_line
        value = self.number(what)
        if value is None or value != int(value):
            raise self.fault(f"expected {what}, a whole number, found {self.lines[line - 1][:40]!r}", line)
        return int(value)

    def count(self, what: str, most: int | None = None) -> int:
        """A declared number of things, at most as many as lines are left."""
        line = self.next_line
        value = self.whole(f"the number of {what}")
        left = len(self.lines) - self.position if most is None else most
        if not 0 <= value <= left:
            raise self.fault(f"declares {value} {what}, between 0 and {left} are possible", line)
        return value

    def numbers(self, count: int, what: str) -> Floats:
        """(count,), NaN where not known."""
        first = self.position
        if count > len(self.lines) - first:
            raise self.fault(f"declares {count} {what}, only {len(self.lines) - first} lines are left")
        try:
            values = np.array(self.lines[first:first + count], dtype=np.float64)
            self.position += count
        except ValueError:
            values = np.array([np.nan if (v := self.number(what)) is None else v for _ in range(count)])
        return np.where(np.abs(values) > UNKNOWN_ABOVE, np.nan, values)

    def at_end(self) -> bool:
        return any(line.strip().lower() == "end of experiment" for line in self.lines[self.position:self.position + 3])


def _header(lines: Lines) -> Header:
    title = lines.text("the title line of the format")
    if title.lower() != TITLE.lower():
        raise lines.fault(f"starts with {title[:40]!r}, not with {TITLE[:40]!r}", lines.next_line - 1)
    head = Header(lines.text("the institution"), lines.text("the instrument"), lines.text("the operator"),
                   lines.text("the experiment"))
    head.comments = lines.texts(lines.count("comment lines"), "comment")
    head.mode = _one_of(lines, "experiment mode", EXPERIMENTS)
    head.scan = _one_of(lines, "scan mode", SCANS)
    if head.mode in WITH_REGIONS:
        head.regions = lines.whole("the number of spectral regions")
    if head.mode in WITH_COORDINATES:
        head.positions = (lines.whole("the number of positions"), lines.whole("the number of x coordinates"),
                          lines.whole("the number of y coordinates"))
    head.variables = [(lines.text("the label of a variable"), lines.text("the unit of a variable"))
                      for _ in range(lines.count("experimental variables", MOST_ITEMS))]
    listed = lines.whole("the length of the inclusion or exclusion list")
    if abs(listed) > 40:
        raise lines.fault(f"declares an inclusion or exclusion list of {listed} items; a block has 40", lines.next_line - 1)
    if listed:
        chosen = [lines.whole("the number of a block item") for _ in range(abs(listed))]
        if not all(1 <= item <= 40 for item in chosen):
            raise lines.fault(f"lists block items {chosen}; they are numbered 1 to 40")
        head.included = np.full(41, listed < 0)
        head.included[chosen] = listed > 0
    for _ in range(lines.count("manually entered items", MOST_ITEMS)):
        lines.whole("the number of a manually entered item")
    upgrades = lines.count("future upgrade experiment entries")
    head.upgrade_per_block = lines.count("future upgrade block entries")
    head.upgrade = lines.texts(upgrades, "future upgrade entries")
    head.blocks = lines.count("blocks")
    return head


def _one_of(lines: Lines, what: str, words: tuple[str, ...]) -> str:
    line = lines.next_line
    word = lines.text(f"the {what}").upper()
    if word not in words:
        raise lines.fault(f"expected the {what}, one of {', '.join(words)}, found {word[:40]!r}", line)
    return word


_Reader = Callable[[Lines, Header, Block], None]


def _text(*names: str) -> _Reader:
    def take(lines: Lines, head: Header, block: Block) -> None:
        del head
        for name in names:
            block.items[name] = lines.text(name.replace("_", " "))
    return take


def _number(*names: str) -> _Reader:
    def take(lines: Lines, head: Header, block: Block) -> None:
        del head
        for name in names:
            block.items[name] = lines.number(name.replace("_", " "))
    return take


def _if(wanted: Callable[[Header, Block], bool], then: _Reader) -> _Reader:
    def take(lines: Lines, head: Header, block: Block) -> None:
        if wanted(head, block):
            then(lines, head, block)
    return take


def _all(*readers: _Reader) -> _Reader:
    def take(lines: Lines, head: Header, block: Block) -> None:
        for reader in readers:
            reader(lines, head, block)
    return take


def _in_modes(modes: tuple[str, ...], then: _Reader) -> _Reader:
    return _if(lambda head, _: head.mode in modes, then)


def _comment(lines: Lines, head: Header, block: Block) -> None:
    del head
    block.comments = lines.texts(lines.count("comment lines"), "block comment")


def _variables(lines: Lines, head: Header, block: Block) -> None:
    block.variables = [lines.number(f"the value of {label}") for label, _ in head.variables]


def _columns(lines: Lines, head: Header, block: Block) -> None:
    del head
    count = lines.count("corresponding variables", MOST_ITEMS)
    block.columns = [(lines.text("the label of an ordinate"), lines.text("the unit of an ordinate")) for _ in range(count)]


def _parameters(lines: Lines, head: Header, block: Block) -> None:
    del head
    count = lines.count("additional numerical parameters")
    block.parameters = [(lines.text("a label"), lines.text("a unit"), lines.number("the value of a parameter"))
                        for _ in range(count)]


LINESCANS = ("first_linescan_start_x", "first_linescan_start_y", "first_linescan_finish_x", "first_linescan_finish_y",
             "last_linescan_finish_x", "last_linescan_finish_y")
_SPUTTERING = ("sputtering_source_energy", "sputtering_source_beam_current", "sputtering_source_width_x",
               "sputtering_source_width_y", "sputtering_source_polar_angle", "sputtering_source_azimuth")

_BLOCK: tuple[_Reader, ...] = (
    _number("year"), _number("month"), _number("day"), _number("hour"), _number("minute"), _number("second"),
    _number("hours_ahead_of_gmt"),
    _comment,
    _text("technique"),
    _in_modes(WITH_COORDINATES, _number("x_coordinate", "y_coordinate")),
    _variables,
    _text("source_label"),
    _if(lambda head, block: head.mode in SPUTTERED or block.technique in ION_TECHNIQUES,
        _number("sputtering_species_atomic_number", "sputtering_species_atoms", "sputtering_species_charge")),
    _number("source_energy"),
    _number("source_strength"),
    _number("source_beam_width_x", "source_beam_width_y"),
    _in_modes(WITH_FIELD_OF_VIEW, _number("field_of_view_x", "field_of_view_y")),
    _in_modes(WITH_LINESCANS, _number(*LINESCANS)),
    _number("source_polar_angle"),
    _number("source_azimuth"),
    _text("analyser_mode"),
    _number("pass_energy_or_retard_ratio"),
    _if(lambda _, block: block.technique == "AES diff", _number("differential_width")),
    _number("transfer_lens_magnification"),
    _number("work_function"),
    _number("target_bias"),
    _number("analysis_width_x", "analysis_width_y"),
    _number("take_off_polar_angle", "take_off_azimuth"),
    _text("species"),
    _all(_text("transition"), _number("detected_charge")),
    _if(lambda head, _: head.scan == "REGULAR",
        _all(_text("abscissa_label", "abscissa_unit"), _number("abscissa_start", "abscissa_increment"))),
    _columns,
    _text("signal_mode"),
    _number("collection_time"),
    _number("scans"),
    _number("time_correction"),
    _if(lambda head, block: head.mode in SPUTTERED and block.technique in ELECTRON_TECHNIQUES,
        _all(_number(*_SPUTTERING), _text("sputtering_source_mode"))),
    _number("tilt_polar_angle", "tilt_azimuth"),
    _number("rotation_angle"),
    _parameters,
)
"""The forty numbered items of a block, in the order of the standard."""


def _block(lines: Lines, head: Header, first: Block | None) -> Block:
    block = Block(lines.next_line, lines.text("a block identifier"), lines.text("a sample identifier"))
    if first is not None and not head.included[1:].all():
        block.items = dict(first.items)
        block.comments, block.variables = list(first.comments), list(first.variables)
        block.columns, block.parameters = list(first.columns), list(first.parameters)
    for item, take in enumerate(_BLOCK, 1):
        if first is None or head.included[item]:
            take(lines, head, block)
    if not block.columns:
        raise lines.fault(f"block {block.name!r} has no ordinates")
    block.upgrade = lines.texts(head.upgrade_per_block, "future upgrade entries")
    count = lines.count("ordinate values")
    if count == 0 or count % len(block.columns):
        raise lines.fault(f"block {block.name!r} declares {count} ordinate values for {len(block.columns)} variables",
                          lines.next_line - 1)
    block.extremes = [(lines.number(f"the minimum of {label}"), lines.number(f"the maximum of {label}"))
                      for label, _ in block.columns]
    block.ordinates = lines.numbers(count, "ordinate values").reshape(-1, len(block.columns))
    return block
