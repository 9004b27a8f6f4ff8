"""Drafts a study sheet from a folder by looking at the files: what each holds, which sample it seems to belong to, and what
a person still has to say.

Nothing is decided behind a person's back: a guess is called one, and what cannot be placed is listed with its reason.
"""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

from correlate.executor import Report, mapped
from correlate.folder import Found, Passed, contents
from correlate.names import Guess, conditions_of, is_called_a_copy, sample_name, samples_of, unsettled_words
from datasets.acquisition import interpret, technique_of
from datasets.errors import DatasetError, StudyError, printable
from datasets.formats import Signal, format_of, open_file
from datasets.provenance import sha256_of
from datasets.sheet import FILE_NAME, File, Sample, Sheet, comment, sheet_text
from datasets.techniques import TECHNIQUES
from datasets.techniques.unknown import UNKNOWN
from datasets.terms import DIMENSION_UNIT

LONGEST_NAME = 100
"""Characters of a file's stem; longer ones do not fit every file system once they carry a signal's number."""


@dataclass(frozen=True)
class Seen:
    """One signal of a file, as the draft sees it.

    uncalibrated : dimension -> what the file says of its step, "" where it says nothing
    missing : conditions that its technique needs and the file lacks
    """

    index: int
    title: str
    technique: str
    doubt: str
    shape: tuple[int, ...]
    uncalibrated: Mapping[str, str]
    conditions: Mapping[str, object]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Look:
    """What a file holds, or the one line that says why it cannot be read."""

    signals: tuple[Seen, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class LeftOut:
    """A file that is not in the sheet: why, and what a person may put there after a decision."""

    path: str
    why: str
    entry: File | None = None


@dataclass(frozen=True)
class Draft:
    """A study sheet as the files suggest it.

    remarks : sample or path -> lines for the person
    left_out : files that could not be placed; passed : what was never opened; companions : path -> files read with it
    """

    sheet: Sheet
    remarks: Mapping[str, tuple[str, ...]]
    left_out: tuple[LeftOut, ...]
    passed: tuple[Passed, ...]
    companions: Mapping[str, tuple[str, ...]]


def draft_study(folder: str | Path, *, jobs: int | None = None, report: Report | None = None,
                executor: Executor | None = None) -> Draft:
    """Look at every file below a folder and draft the study sheet; nothing is written and nothing is changed.

    Parameters
    ----------
    folder
        Links are followed, each folder once.
    jobs, executor
        As for `correlate.executor.mapped`.
    report
        Called with (files settled, files, the last one with the rate in MB/s).

    Raises
    ------
    StudyError
        If there is no such folder, or nothing in it can be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StudyError(f"{folder}: there is no such folder")
    found, passed = contents(folder)
    size = {f.path: f.nbytes for f in found}
    progress = _Progress(report, size)
    readable, companions, left_out = _recognised(folder, found, progress)
    twins = _twins(folder, readable, size, companions)
    single = [p for p in readable if p not in twins]
    order = sorted(single, key=lambda p: -size[p])  # long ones first, so that no core waits at the end
    looks = dict(mapped(look_at, order, str(folder), jobs=jobs, executor=executor,
                        report=lambda _, __, path: progress.settled(path)))
    left_out += [LeftOut(p, _without_name(p, looks[p].fault)) for p in single if looks[p].fault]
    good = [p for p in single if not looks[p].fault]
    if not good and not readable:
        raise StudyError(f"{folder}: none of its {len(found)} files can be read{_first_reason(left_out)}")
    guesses = _guessed(folder, [*good, *twins])
    copies = _exported_copies(good, looks, guesses)
    files: list[File] = []
    remarks: dict[str, tuple[str, ...]] = {}
    for path in good:
        file, said = _entry(path, looks[path], guesses[path].sample)
        if path in copies:
            why = f"same name, technique and shape as {copies[path]}: taken for a copy in another format"
            left_out.append(LeftOut(path, why, file))
        elif not file.sample:
            left_out.append(LeftOut(path, "no folder or name tells its sample", replace(file, sample="?")))
        else:
            files.append(file)
            remarks[path] = (*said, *_companion_remark(companions.get(path, ())))
    for path, first in twins.items():
        progress.settled(path)
        if looks[first].fault:
            left_out.append(LeftOut(path, f"same content as {first}, which cannot be read"))
            continue
        doubt = guesses[path].sample not in ("", guesses[first].sample)
        why = f"same content as {first}" + (f", yet its place says sample {guesses[path].sample}" if doubt else "")
        left_out.append(LeftOut(path, why, _entry(path, looks[first], guesses[path].sample or "?")[0]))
    files = _told_apart(files)
    names = sorted({f.sample for f in files})
    remarks |= {name: _sample_remarks([f for f in files if f.sample == name], guesses) for name in names}
    sheet = Sheet(folder.resolve().name or "study", {name: Sample(name) for name in names}, tuple(files))
    return Draft(sheet, remarks, tuple(sorted(left_out, key=lambda item: item.path)), tuple(passed), companions)


def write_draft(draft: Draft, folder: str | Path) -> Path:
    """Write the draft as `study.toml`, for a person to edit; returns its path.

    Raises
    ------
    StudyError
        If there is a study sheet already: it is never overwritten.
    """
    path = Path(folder) / FILE_NAME
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(draft_text(draft))
    except FileExistsError as error:
        raise StudyError(f"{path}: there is a study sheet already, and it is kept; rename it to draft a new one") from error
    except OSError as error:
        raise StudyError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def draft_text(draft: Draft) -> str:
    """The sheet with its remarks, and at its end what could not be placed, ready to be uncommented."""
    text = sheet_text(draft.sheet, heading=_heading(draft), remarks=draft.remarks)
    if draft.left_out:
        text += "\n" + comment("Not placed. Mend what is said, or uncomment the block if there is one; its sample needs a "
                               "[samples.NAME].") + "\n"
    for item in draft.left_out:
        text += comment(printable(f"{item.path}: {item.why}")) + "\n"
        if item.entry:
            block = sheet_text(Sheet("", {}, (item.entry,))).partition("[[files]]")
            text += comment((block[1] + block[2]).rstrip("\n")) + "\n"
    if draft.passed:
        text += "\n" + comment("Not looked at:") + "\n"
        text += "".join(comment(printable(f"{item.path} {item.why}")) + "\n" for item in draft.passed)
    return text


def look_at(path: str, root: str) -> Look:
    """What one file holds; faults come back as a result."""
    file = Path(root) / path
    try:
        return Look(tuple(_seen(index, signal) for index, signal in enumerate(open_file(file))))
    except DatasetError as error:
        return Look(fault=str(error))


def _seen(index: int, signal: Signal) -> Seen:
    technique = technique_of(signal)
    ds = interpret(signal, technique)
    shape = tuple(int(n) for n in ds[next(iter(ds.data_vars))].shape)
    uncalibrated = {dim: _vendor_step(ds[dim].attrs) for dim in ds.attrs["uncalibrated"]}
    return Seen(index, signal.title, technique.name, technique.doubt(signal), shape, uncalibrated, ds.attrs["conditions"],
                tuple(ds.attrs["incomplete"]))


def _vendor_step(attrs: Mapping[str, object]) -> str:
    return f"{attrs['vendor_step']:.4g} {attrs['vendor_units'] or '(no unit)'}" if "vendor_step" in attrs else ""


def _recognised(folder: Path, found: Iterable[Found],
                progress: "_Progress") -> tuple[list[str], dict[str, tuple[str, ...]], list[LeftOut]]:
    """Files that a reader knows, the companions that each brings, and the files that no reader knows."""
    companions: dict[str, tuple[str, ...]] = {}
    owned: set[str] = set()
    unknown: dict[str, str] = {}
    known: list[str] = []
    for file in found:
        path = folder / file.path
        try:
            beside = [] if file.path in owned else [c.relative_to(folder).as_posix() for c in format_of(path).companions(path)]
        except DatasetError as error:
            unknown[file.path] = _without_name(file.path, str(error))
            continue
        except OSError as error:
            unknown[file.path] = f"cannot be opened: {error.strerror}"
            continue
        known.append(file.path)
        beside = [c for c in beside if c != file.path and c not in companions]
        if beside:
            companions[file.path] = tuple(beside)
            owned.update(beside)
    for settled in owned:
        progress.settled(settled)
    for settled in (p for p in unknown if p not in owned):
        progress.settled(settled, read=False)
    return [p for p in known if p not in owned], companions, [LeftOut(p, why) for p, why in unknown.items() if p not in owned]


def _without_name(path: str, fault: str) -> str:
    """What is wrong, without the name of the file: its path stands before it."""
    return fault.removeprefix(f"{printable(Path(path).name)}: ")


def _twins(folder: Path, paths: list[str], size: Mapping[str, int],
           companions: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Files with the content of an earlier one, companions included: path -> the earlier one.

    Whole files are read only where size, beginning and end agree. A file that is called a copy gives way to one that is not.
    """
    paths = sorted(paths, key=lambda path: (is_called_a_copy(path), path))
    together = {p: (p, *companions.get(p, ())) for p in paths}
    sizes = {p: tuple(size.get(q, 0) for q in together[p]) for p in paths}
    often = Counter(sizes.values())
    first: dict[object, str] = {}
    twins = {}
    ends = {p: (sizes[p], *(_ends(folder / q) for q in together[p])) for p in paths if often[sizes[p]] > 1}
    often_ends = Counter(ends.values())
    for path, key in ends.items():
        if often_ends[key] < 2 or b"" in key:
            continue
        digest = tuple(sha256_of(folder / q) for q in together[path])
        if digest in first:
            twins[path] = first[digest]
        first.setdefault(digest, path)
    return twins


def _ends(path: Path, nbytes: int = 1 << 16) -> bytes:
    """Hash of the beginning and the end of a file; b"" where it cannot be read, which its reader will say."""
    try:
        with path.open("rb") as file:
            head = file.read(nbytes)
            file.seek(max(0, os.fstat(file.fileno()).st_size - nbytes))
            return hashlib.sha256(head + file.read(nbytes)).digest()
    except OSError:
        return b""


def _guessed(folder: Path, paths: list[str]) -> dict[str, Guess]:
    guesses = samples_of(paths)
    if any(guess.sample for guess in guesses.values()):
        return guesses
    name = sample_name(folder.resolve().name)
    return dict.fromkeys(paths, Guess(name, "no folder or name tells a sample: all files are taken as one specimen"))


def _exported_copies(paths: list[str], looks: Mapping[str, Look], guesses: Mapping[str, Guess]) -> dict[str, str]:
    """Files that repeat another one beside them in another format: path -> the one that says more of its measurement."""
    groups: dict[object, list[str]] = {}
    for path in paths:
        holds = tuple((s.technique, s.shape) for s in looks[path].signals)
        beside = Path(path)
        groups.setdefault((guesses[path].sample, beside.parent, beside.stem.casefold(), holds), []).append(path)
    copies: dict[str, str] = {}
    for group in groups.values():
        best = min(group, key=lambda p: (sum(len(s.uncalibrated) + len(s.missing) for s in looks[p].signals), p))
        copies |= {path: best for path in group if path != best}
    return copies


def _entry(path: str, look: Look, sample: str) -> tuple[File, list[str]]:
    """The entry of a file in the sheet, and what a person should know or add."""
    said = ["holds " + "; ".join(f"{s.index}: {s.technique} {' x '.join(map(str, s.shape))}" for s in look.signals)]
    said += [f"signal {s.index}: {s.doubt}" for s in look.signals if s.doubt]
    strange = [s.index for s in look.signals if s.technique == UNKNOWN.name]
    if strange:
        said.append(f'no technique recognises signal {", ".join(map(str, strange))}: say technique = "..." or skip = {strange}')
    conditions, words = _named_conditions(path, look)
    said += words
    uncalibrated = {dim: step for s in look.signals for dim, step in s.uncalibrated.items()}
    if uncalibrated:
        axes = ", ".join(f'{dim} = [STEP, "{DIMENSION_UNIT[dim]}"]' for dim in uncalibrated)
        stated = ", ".join(dict.fromkeys(step for step in uncalibrated.values() if step))
        said.append(f"not calibrated; add axes = {{ {axes} }}" + (f" (the file says {stated})" if stated else ""))
    missing = [name for name in dict.fromkeys(m for s in look.signals for m in s.missing) if name not in conditions]
    if missing:
        said.append(f"not in the file: {', '.join(missing)}; add conditions = {{ {missing[0]} = ... }}")
    return File(path, sample, conditions=conditions), said


def _named_conditions(path: str, look: Look) -> tuple[dict[str, object], list[str]]:
    """Conditions that names state beyond doubt and the file does not, and lines that say so."""
    families = {TECHNIQUES[s.technique].family for s in look.signals}
    stated = [conditions_of(path, family) for family in families]
    conditions: dict[str, object] = {}
    said = []
    for one in stated[0] if stated else []:
        if not all(one in others for others in stated):
            continue
        own = next((s.conditions[one.condition] for s in look.signals if one.condition in s.conditions), None)
        if own is None:
            conditions[one.condition] = one.value
            said.append(f'{one.condition} is a guess from "{one.words}" in its name')
        elif own != one.value:
            said.append(f'"{one.words}" in its name, yet the file says {one.condition} = {own}: the file is believed')
    said += [f'"{words}" in its name may be {what}: if so, say it in conditions' for what, words in unsettled_words(path)]
    return conditions, said


def _companion_remark(companions: tuple[str, ...]) -> list[str]:
    if not companions:
        return []
    more = f" and {len(companions) - 4} more" if len(companions) > 4 else ""
    return [f"read together with {', '.join(Path(c).name for c in companions[:4])}{more}"]


def _told_apart(files: list[File]) -> list[File]:
    """Names for the files that would become the same acquisition, or whose own name cannot be one."""
    taken: set[str] = set()
    told = []
    same = Counter(f.acquisition.casefold() for f in files)
    for file in files:
        path = Path(file.path)
        stem = path.stem
        if same[file.acquisition.casefold()] > 1:
            away = path.parent.name not in ("", file.sample)
            stem = f"{path.parent.name}_{path.stem}" if away else f"{path.stem}_{path.suffix[1:]}"
        name = sample_name(stem)[:LONGEST_NAME] if stem != path.stem or not _is_plain_stem(stem) else ""
        number = 1
        while (candidate := replace(file, name=name)).acquisition.casefold() in taken:
            number += 1
            name = f"{sample_name(stem)[:LONGEST_NAME]}_{number}"
        taken.add(candidate.acquisition.casefold())
        told.append(candidate)
    return told


def _is_plain_stem(stem: str) -> bool:
    return len(stem) <= LONGEST_NAME and stem not in ("", ".", "..") and not any(c in '\\:*?"<>|' or ord(c) < 32 for c in stem)


def _sample_remarks(files: list[File], guesses: Mapping[str, Guess]) -> tuple[str, ...]:
    how = Counter(guesses[f.path].how for f in files)
    ways = "; ".join(f"{way} ({count} file{'s' if count > 1 else ''})" for way, count in how.most_common(4))
    return (f"guessed: {ways}", 'metal = ""', 'electrolyte = ""', 'group = ""')


def _heading(draft: Draft) -> str:
    belonging = sum(len(c) for c in draft.companions.values())
    return (f"Drafted by looking at the files: {len(draft.sheet.files)} are listed, {belonging} are read together with those, "
            f"{len(draft.left_out)} could not be placed\nand stand at the end, {len(draft.passed)} were not looked at. "
            "Samples are guesses from names of folders and files: check them.\n"
            "Lines that begin with # are remarks; docs/study-sheet.md describes every key. Then: correlate import FOLDER")


def _first_reason(left_out: list[LeftOut]) -> str:
    return f"; the first: {left_out[0].why}" if left_out else ""


class _Progress:
    """Counts files as they are settled, and how many bytes a second that makes."""

    def __init__(self, report: Report | None, size: Mapping[str, int]) -> None:
        self.report, self.size = report, size
        self.done = self.nbytes = 0
        self.started = time.perf_counter()

    def settled(self, path: str, *, read: bool = True) -> None:
        """One more file; what no reader knows was not read, and would make the rate that of no disk."""
        self.done += 1
        self.nbytes += self.size.get(path, 0) if read else 0
        if self.report:
            rate = self.nbytes / 1e6 / max(time.perf_counter() - self.started, 1e-3)
            self.report(self.done, len(self.size), f"{printable(path)}, {rate:.{0 if rate >= 10 else 1}f} MB/s")
