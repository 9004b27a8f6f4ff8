"""What people say in the names of folders and files: which sample, and now and then a cycle, a beam energy or a dose.

A name is a hint. What is guessed here is written into a draft for a person to correct, never into an acquisition behind
their back.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from datasets.formats import FORMATS
from datasets.techniques import TECHNIQUES

LABELS = frozenset({"sample", "cell", "specimen", "electrode", "coincell"})
"""Words that are followed by the name of a specimen: "cell 3"."""
COUNTED = frozenset({
    "map", "scan", "img", "image", "spot", "area", "site", "pos", "position", "point", "frame", "view", "test", "run",
    "series", "region", "roi", "si", "spectrum", "spectra", "line", "linescan", "ch", "channel", "lamella", "grid",
    "square", "hole", "part", "day", "session", "tilt", "no", "nr", "version", "copy", "rep", "repeat", "meas", "exp",
    "experiment"})
"""Words whose number tells measurements of one specimen apart."""
METHODS = frozenset({
    "tem", "stem", "hrtem", "hrstem", "cryo", "cryotem", "cryoem", "cryostem", "em", "haadf", "adf", "bf", "df", "abf",
    "eels", "edx", "eds", "edxs", "eftem", "saed", "sad", "sead", "nbed", "4d", "4dstem", "diffraction", "tomo",
    "tomography", "sem", "fib", "fibsem", "ebsd", "xps", "survey", "ftir", "ir", "atr", "optir", "afm", "ecafm", "txm",
    "stxm", "xct", "nanoct", "apt", "tofsims", "tof", "sims", "ec", "echem", "electrochemistry", "cycling", "cycle",
    "cycles", "cv", "ca", "cp", "ocv", "gcpl", "mb", "peis", "geis", "eis", "impedance", "ce", "aurbach", "lowloss",
    "coreloss", "zlp", "ll", "cl", "overview", "ac", "dc"})
PLAIN = frozenset({
    "raw", "data", "rawdata", "file", "files", "export", "exports", "exported", "measurement", "measurements", "result",
    "results", "images", "picture", "pictures", "maps", "new", "folder", "old", "backup", "final", "original", "originals",
    "microscope", "microscopy", "instrument", "processed", "unprocessed", "all", "misc", "other", "study", "project",
    "before", "after", "the", "of", "and", "at", "on", "in", "to", "with", "for"})
CORE_LEVEL = re.compile(r"(?:[a-z]{1,2})?\d[spdf]\d?|(?:li|b|c|n|o|f|na|p|s|cu)k(?:edge)?", re.I)
DATE = re.compile(r"(?<![A-Za-z0-9])(?:(?:19|20)\d{2}(?:[-_.]?\d{2}){1,2}(?:T?\d{4,6})?|\d{6}|\d{2}\.\d{2}\.\d{2,4})"
                  r"(?![A-Za-z0-9])")
IDENTIFIER = re.compile(rf"(?:[A-Za-z]{{1,6}}|{'|'.join(sorted(LABELS))})[-_]?\d{{1,5}}[A-Za-z]?", re.I)
TOKEN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{1,3}-\d{1,4}(?![A-Za-z0-9])|[^\s_.,;()\[\]+-]+")
NUMBER = r"(\d{1,6}(?:[.p]\d{1,6})?)"
COPY = re.compile(r"(?<![a-z])(?:copy|copie|kopie|backup|bak|duplicate)(?![a-z])|\(\d{1,2}\)(?=$|[./])", re.I)
"""What operating systems and people call a second copy: "Copy of a.tif", "a - Kopie.tif", "a (1).tif", a folder "backup"."""
EDGE, END = r"(?<![A-Za-z0-9.])", r"(?![A-Za-z0-9])"


@dataclass(frozen=True)
class Stated:
    """A condition that a name states: the name of the condition, its value, and the words themselves."""

    condition: str
    value: float | int
    words: str


@dataclass(frozen=True)
class Guess:
    """The sample that a file seems to belong to, "" where nothing tells, and how that was seen."""

    sample: str
    how: str


BEAM = frozenset({"image", "emspec"})
SPECIMEN = BEAM | {"xray", "vib", "ion", "probe"}
CONDITION_WORDS: tuple[tuple[str, re.Pattern[str], frozenset[str]], ...] = (
    ("cycle", re.compile(EDGE + r"(?:cycles?|cyc)[ _-]?(\d{1,5})" + END, re.I), SPECIMEN),
    ("cycle", re.compile(EDGE + r"(\d{1,5})[ _-]?(?:cycles?|cyc)" + END, re.I), SPECIMEN),
    ("beam_energy_keV", re.compile(EDGE + NUMBER + r"[ _-]?ke?V" + END, re.I), BEAM),
    ("dose_e_per_A2", re.compile(EDGE + NUMBER + r"[ _-]?e-?[ _]?(?:/|per[ _]?)?(?:A2|Å2|Å²|A\^2|Ang2)" + END), BEAM),
)
"""Condition, words that state it, families of techniques for which they mean just that. In the name of a cycler's file "50
cycles" is what the cell will do, not what the specimen has seen."""
UNSETTLED = (
    ("a temperature", re.compile(r"(?<![A-Za-z0-9.])([-m]?\d{1,3}) ?(?:deg|°)?[CK]" + END)),
    ("a current density", re.compile(EDGE + NUMBER + r" ?mA(?: ?(?:/|per)? ?cm-?2)?" + END)),
    ("an areal capacity", re.compile(EDGE + NUMBER + r" ?mAh(?: ?(?:/|per)? ?cm-?2)?" + END)),
)
"""Words with several meanings: of the cell or of the specimen, per area or in all."""


def samples_of(paths: Sequence[str]) -> dict[str, Guess]:
    """Which sample each file belongs to, by the names of its folders, then by its own.

    Parameters
    ----------
    paths : relative to the folder that is drafted, with forward slashes

    Notes
    -----
    1. Folders that say only what, when or how (raw, TEM, 2024-03-01, cycle10) are passed over, and so are those that all files
       share. Of what remains, the deepest that looks like an identifier ("A17", "cell 3") names the sample, else the outermost.
    2. Equal names below unlike folders are unlike samples ("LP40/cell1" and "FSI/cell1"): both names are joined.
    3. A file without such a folder, or beside the folders of samples, belongs to the sample that its own name mentions; else
       its first word names the sample, if it looks like an identifier or begins the names of several files.
    4. If no name tells any sample, the folder holds one: that is for the caller to say, and here the guess is "".
    """
    by_folder = _by_folder(paths)
    known = {guess.sample.casefold(): guess.sample for guess in by_folder.values()}
    loose = [p for p in paths if p not in by_folder]
    return {**by_folder, **_by_file_name(loose, known)}


def _by_folder(paths: Sequence[str]) -> dict[str, Guess]:
    telling = {p: [part for part in PurePosixPath(p).parts[:-1] if not is_plain(part)] for p in paths}
    named = {p: parts for p, parts in telling.items() if parts}
    shared = 0
    while named and len({tuple(parts[:shared + 1]) for parts in named.values()}) == 1 and all(
            len(parts) > shared + 1 for parts in named.values()):
        shared += 1
    chosen: dict[str, tuple[tuple[str, ...], str]] = {}
    for path, parts in named.items():
        rest = parts[shared:]
        rank = max((i for i, part in enumerate(rest) if looks_like_identifier(part)), default=0)
        chosen[path] = tuple(rest[:rank]), rest[rank]
    holders = {(*outer, part)[:n] for outer, part in chosen.values() for n in range(1, len(outer) + 1)}
    chosen = {path: (outer, part) for path, (outer, part) in chosen.items() if (*outer, part) not in holders}
    above: dict[str, set[tuple[str, ...]]] = {}
    for outer, part in chosen.values():
        above.setdefault(sample_name(part).casefold(), set()).add(outer)
    spelling: dict[str, str] = {}
    guesses = {}
    for path, (outer, part) in chosen.items():
        joined = (*outer, part) if len(above[sample_name(part).casefold()]) > 1 else (part,)
        name = sample_name("_".join(joined))
        guesses[path] = Guess(spelling.setdefault(name.casefold(), name), f"folder {'/'.join(joined)!r}")
    return guesses


def _by_file_name(paths: Sequence[str], known: Mapping[str, str]) -> dict[str, Guess]:
    words = {p: telling_words(PurePosixPath(p).stem) for p in paths}
    guesses: dict[str, Guess] = {}
    for path, tokens in words.items():
        mentioned = {known[t.casefold()] for t in tokens if t.casefold() in known}
        if len(mentioned) == 1:
            guesses[path] = Guess(mentioned.pop(), "its name mentions it")
    rest = {p: tokens for p, tokens in words.items() if p not in guesses}
    first = _first_words(rest)
    if len(rest) > 1 and len({t[0].casefold() if t else "" for t in rest.values()}) == 1:
        deeper = _first_words({p: tokens[1:] for p, tokens in rest.items()})
        first = deeper if all(deeper.values()) else first
    spelling: dict[str, str] = {}
    for path, word in first.items():
        name = sample_name(word) if word else ""
        guesses[path] = Guess(spelling.setdefault(name.casefold(), name), f"its name begins with {word!r}" if name else "")
    return guesses


def _first_words(words: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The first word of each name if it may be a sample, else ""."""
    count = Counter(tokens[0].casefold() for tokens in words.values() if tokens)
    return {path: tokens[0] if tokens and (IDENTIFIER.fullmatch(tokens[0]) or count[tokens[0].casefold()] > 1) else ""
            for path, tokens in words.items()}


def telling_words(text: str) -> list[str]:
    """The words of a name that could be a sample: no method, no date, no count, no condition; "cell 3" is one word."""
    text = without_conditions(text)
    tokens = TOKEN.findall(text)
    joined: list[str] = []
    while tokens:
        token = tokens.pop(0)
        if token.lower() in LABELS and tokens and len(tokens[0]) <= 4 and any(c.isdigit() for c in tokens[0]):
            token = f"{token}_{tokens.pop(0)}"
        joined.append(token)
    return [t for t in joined if not _is_plain_word(t)]


def is_plain(text: str) -> bool:
    """Whether the name of a folder says nothing of a specimen."""
    return not telling_words(text)


def looks_like_identifier(text: str) -> bool:
    """A letter or a few, and a number: "A17", "cell 3", "S-04"."""
    words = telling_words(text)
    return len(words) == 1 and bool(IDENTIFIER.fullmatch(words[0]))


def sample_name(text: str) -> str:
    """A name as the study sheet allows it: what is neither letter, digit, ".", "_" nor "-" becomes "_"."""
    cleaned = re.sub(r"[^\w.-]+", "_", text.strip()).strip("._-")
    return cleaned[:80] or "sample"


def conditions_of(path: str, family: str) -> list[Stated]:
    """Conditions that the names in a path state beyond doubt for a technique of this family; contradictions are left out."""
    text = path.rpartition(".")[0] or path
    found: dict[str, list[Stated]] = {}
    for condition, pattern, families in CONDITION_WORDS:
        if family not in families:
            continue
        for match in pattern.finditer(text):
            number = float(match[1].replace("p", "."))
            value = int(number) if condition == "cycle" else number
            found.setdefault(condition, []).append(Stated(condition, value, match[0].strip(" _-")))
    return [said[0] for said in found.values() if len({s.value for s in said}) == 1]


def unsettled_words(path: str) -> list[tuple[str, str]]:
    """Words of a path that may state a condition, with what they may be: ("a temperature", "-170C")."""
    text = path.rpartition(".")[0] or path
    return [(what, match[0]) for what, pattern in UNSETTLED for match in pattern.finditer(text)]


def is_called_a_copy(path: str) -> bool:
    """Whether the name of a file or of a folder above it says that it is a second copy."""
    return COPY.search(path) is not None


def without_conditions(text: str) -> str:
    """The text without dates and without the words that state conditions."""
    for pattern in (*(pattern for _, pattern, _ in CONDITION_WORDS), *(pattern for _, pattern in UNSETTLED), DATE):
        text = pattern.sub(" ", text)
    return text


def _is_plain_word(word: str) -> bool:
    lower = word.lower()
    letters = lower.rstrip("0123456789")
    return (lower.isdigit() or letters in COUNTED or letters in METHODS | PLAIN or lower in LABELS
            or lower in _suffixes() | set(TECHNIQUES) or bool(CORE_LEVEL.fullmatch(lower)))


def _suffixes() -> frozenset[str]:
    return frozenset(suffix.lstrip(".") for fmt in FORMATS for suffix in fmt.suffixes)
