"""The study sheet: what a person wrote about samples, files and conditions, kept as `study.toml`.

Schema (every table but [study] may be absent; unknown keys are faults, so that a typing error is not lost)::

    [study]
    title = "SEI of lithium in two electrolytes"
    synthetic = false                 # true only for the virtual specimen: then it stands in every header and figure

    [samples.A17]
    metal = "Li"                      # plated metal
    electrolyte = "1 M LiPF6 in EC:DEC 1:1 v/v"
    group = "LP40"                    # samples of one electrolyte; models are validated by leaving one out
    notes = "any text"
    [samples.A17.conditions]          # holds for every file of the sample; words of datasets/terms.py
    cycle = 10

    [[files]]
    path = "raw/A17/haadf.mrc"        # relative to study.toml
    sample = "A17"
    name = "haadf_day2"               # only where two files of a sample have the same stem: replaces the stem
    technique = "stem_image"          # only where the file does not tell
    axes = { x = [0.5, "nm"], y = [0.5, "nm"] }     # only where the file is not calibrated: step, unit
    conditions = { dose_e_per_A2 = 20.0 }
    skip = [1]                        # signals of the file to leave out

    [[align]]                         # optional; without any, each map is aligned to the sample's widest image
    fixed = "A17/haadf-0"             # acquisitions: sample/name or file stem-signal number
    moving = "A17/edx-0"
    model = "similarity"              # translation, rigid, similarity, affine or bspline
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from datasets.errors import Faults, StudyError
from datasets.techniques import TECHNIQUES
from datasets.terms import ALIGNMENT_MODELS, CONDITION_MEANING, DIMENSION_UNIT

FILE_NAME = "study.toml"


@dataclass(frozen=True)
class Sample:
    """One physical specimen with a history."""

    name: str
    metal: str = ""
    electrolyte: str = ""
    group: str = ""
    notes: str = ""
    conditions: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class File:
    """One raw file of one sample; `path` is relative to the study sheet, with forward slashes."""

    path: str
    sample: str
    technique: str = ""
    axes: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    skip: tuple[int, ...] = ()
    name: str = ""

    @property
    def acquisition(self) -> str:
        """What its acquisitions are called before the number of the signal: `sample/name`, or `sample/file stem`."""
        return f"{self.sample}/{self.name or Path(self.path).stem}"


@dataclass(frozen=True)
class Pair:
    """Two acquisitions to be aligned, named `sample/file stem-signal number`."""

    fixed: str
    moving: str
    model: str = "similarity"


@dataclass(frozen=True)
class Sheet:
    """What the person wrote; `samples` by name, `files` and `pairs` in order."""

    title: str
    samples: Mapping[str, Sample]
    files: tuple[File, ...]
    pairs: tuple[Pair, ...] = ()
    synthetic: bool = False


def read_sheet(path: str | Path) -> Sheet:
    """Read and check a study sheet; all faults are reported at once.

    Raises
    ------
    StudyError
        If the file is absent, is no TOML, or says something the schema does not know.
    """
    path = Path(path)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StudyError(f"{path}: there is no study sheet; draft one with: correlate init {path.parent}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: is no valid TOML: {error}") from error
    faults = Faults(path.name)
    study = _table(raw, "study", {"title": str, "synthetic": bool}, "[study]", faults)
    _unknown_keys(raw, {"study", "samples", "files", "align"}, "top level", faults)
    _check({k: raw[k] for k in ("samples", "files", "align") if k in raw}, {"samples": dict, "files": list, "align": list},
           "top level", faults)
    samples = {name: _sample(name, entry, faults) for name, entry in _of(dict, raw.get("samples")).items()}
    files = tuple(_file(i, entry, samples, faults) for i, entry in enumerate(_of(list, raw.get("files")), 1))
    pairs = tuple(_pair(i, entry, faults) for i, entry in enumerate(_of(list, raw.get("align")), 1))
    _duplicates(files, faults)
    faults.raise_if_any(StudyError)
    return Sheet(str(study.get("title", path.parent.name)), samples, files, pairs, bool(study.get("synthetic", False)))


def write_sheet(sheet: Sheet, path: str | Path, *, heading: str = "") -> Path:
    """Write a study sheet that `read_sheet` reads back unchanged; `heading` becomes comment lines at the top."""
    path = Path(path)
    path.write_text(sheet_text(sheet, heading=heading), encoding="utf-8")
    return path


def sheet_text(sheet: Sheet, *, heading: str = "", remarks: Mapping[str, Sequence[str]] | None = None) -> str:
    """A study sheet as TOML, one short block per sample and file.

    Parameters
    ----------
    heading
        Becomes comment lines at the top.
    remarks : name of a sample or path of a file -> lines
        Become comments at the end of its block.
    """
    said = remarks or {}
    blocks = [_block("[study]", {"title": sheet.title, "synthetic": sheet.synthetic}, ())]
    for name, sample in sheet.samples.items():
        entry = _filled({k: v for k, v in vars(sample).items() if k != "name"})
        blocks.append(_block(f"[samples.{_key(name)}]", entry, said.get(name, ())))
    blocks += [_block("[[files]]", file_entry(file), said.get(file.path, ())) for file in sheet.files]
    blocks += [_block("[[align]]", _filled(vars(pair)), ()) for pair in sheet.pairs]
    return "\n".join([*([comment(heading) + "\n"] if heading else []), *blocks])


def file_entry(file: File) -> dict[str, Any]:
    """What the sheet says of a file, without what is empty."""
    return _filled({**vars(file), "axes": {k: list(v) for k, v in file.axes.items()}})


def comment(text: str) -> str:
    """Lines of a TOML comment; characters that TOML forbids there become spaces."""
    lines = ("".join(c if c.isprintable() else " " for c in line).rstrip() for line in text.split("\n"))
    return "\n".join(f"# {line}".rstrip() for line in lines)


def _block(title: str, entry: Mapping[str, Any], remarks: Sequence[str]) -> str:
    lines = [title, *(f"{_key(k)} = {_value(v)}" for k, v in entry.items()), *(comment(r) for r in remarks)]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    """A TOML value on one line; tables inline, since a person edits them beside their file."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").rstrip("\n")


def _key(name: str) -> str:
    return tomli_w.dumps({name: 0}).removesuffix(" = 0\n")


def _filled(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {k: (dict(v) if isinstance(v, Mapping) else list(v) if isinstance(v, tuple) else v)
            for k, v in entry.items() if v not in ("", (), [], {})}


def _sample(name: str, entry: Any, faults: Faults) -> Sample:
    where = f"[samples.{name}]"
    kinds: dict[str, type] = {"metal": str, "electrolyte": str, "group": str, "notes": str, "conditions": dict}
    if not isinstance(entry, Mapping):
        faults.add(f"{where} must be a table")
        return Sample(name)
    if not _is_name(name):
        faults.add(f"{where}: a sample name has letters, digits, '.', '_' and '-' only")
    _check(entry, kinds, where, faults)
    _check_conditions(entry.get("conditions", {}), where, faults)
    known: dict[str, Any] = {k: v for k, v in entry.items() if k in kinds and isinstance(v, kinds[k])}
    return Sample(name, metal=known.get("metal", ""), electrolyte=known.get("electrolyte", ""),
                  group=known.get("group", known.get("electrolyte", "")), notes=known.get("notes", ""),
                  conditions=known.get("conditions", {}))


def _file(number: int, entry: Any, samples: Mapping[str, Sample], faults: Faults) -> File:
    where = f"[[files]] number {number}" + (f" ({entry['path']})" if isinstance(entry, Mapping) and "path" in entry else "")
    kinds: dict[str, type] = {"path": str, "sample": str, "name": str, "technique": str, "axes": dict, "conditions": dict,
                              "skip": list}
    if not isinstance(entry, Mapping):
        faults.add(f"{where} must be a table")
        return File("", "")
    _check(entry, kinds, where, faults)
    for key in ("path", "sample"):
        if key not in entry:
            faults.add(f"{where}: {key} is missing")
    if str(entry.get("sample")) not in samples:
        faults.add(f"{where}: sample {entry.get('sample')!r} is not among [samples]")
    if entry.get("name") and not _is_name(str(entry["name"])):
        faults.add(f"{where}: name has letters, digits, '.', '_' and '-' only, found {entry['name']!r}")
    if entry.get("technique") and str(entry["technique"]) not in TECHNIQUES:
        faults.add(f"{where}: technique {entry['technique']!r} is not one of {', '.join(TECHNIQUES)}")
    _check_conditions(entry.get("conditions", {}), where, faults)
    axes = {}
    for dim, scale in _of(dict, entry.get("axes")).items():
        if dim not in DIMENSION_UNIT:
            faults.add(f"{where}: axes has {dim!r}, not one of {', '.join(DIMENSION_UNIT)}")
        elif not _is_scale(scale):
            faults.add(f"{where}: axes.{dim} must be [step, \"unit\"], found {scale!r}")
        else:
            axes[dim] = (float(scale[0]), scale[1])
    return File(str(entry.get("path", "")), str(entry.get("sample", "")), str(entry.get("technique", "")), axes,
                _of(dict, entry.get("conditions")), tuple(int(i) for i in _of(list, entry.get("skip")) if isinstance(i, int)),
                str(entry.get("name", "")))


def _pair(number: int, entry: Any, faults: Faults) -> Pair:
    where = f"[[align]] number {number}"
    kinds: dict[str, type] = {"fixed": str, "moving": str, "model": str}
    if not isinstance(entry, Mapping) or "fixed" not in entry or "moving" not in entry:
        faults.add(f"{where} needs fixed and moving")
        return Pair("", "")
    _check(entry, kinds, where, faults)
    if entry.get("model", "similarity") not in ALIGNMENT_MODELS:
        faults.add(f"{where}: model {entry['model']!r} is not one of {', '.join(ALIGNMENT_MODELS)}")
    return Pair(str(entry["fixed"]), str(entry["moving"]), str(entry.get("model", "similarity")))


def _of(kind: type, value: Any) -> Any:
    """The value if it is of that kind, else an empty one; what it was instead is reported by `_check`."""
    return value if isinstance(value, kind) else kind()


def _table(raw: Mapping[str, Any], key: str, kinds: Mapping[str, type], where: str, faults: Faults) -> Mapping[str, Any]:
    entry = raw.get(key, {})
    if not isinstance(entry, Mapping):
        faults.add(f"{where} must be a table")
        return {}
    _check(entry, kinds, where, faults)
    return entry


def _check(entry: Mapping[str, Any], kinds: Mapping[str, type], where: str, faults: Faults) -> None:
    _unknown_keys(entry, set(kinds), where, faults)
    for key, kind in kinds.items():
        if key in entry and not isinstance(entry[key], kind):
            faults.add(f"{where}: {key} must be {kind.__name__}, found {entry[key]!r}")


def _unknown_keys(entry: Mapping[str, Any], known: set[str], where: str, faults: Faults) -> None:
    for key in sorted(set(entry) - known):
        faults.add(f"{where}: unknown key {key!r}, expected {', '.join(sorted(known))}")


def _check_conditions(conditions: Any, where: str, faults: Faults) -> None:
    if isinstance(conditions, Mapping):
        for name in sorted(set(conditions) - set(CONDITION_MEANING)):
            faults.add(f"{where}: unknown condition {name!r}; docs/study-sheet.md lists them")


def _duplicates(files: tuple[File, ...], faults: Faults) -> None:
    names: dict[str, str] = {}
    for file in files:
        name = file.acquisition
        if name in names:
            faults.add(f"{file.path} and {names[name]} would both become acquisition {name!r}; give one of them a name = ...")
        names[name] = file.path


def _is_scale(value: Any) -> bool:
    return (isinstance(value, list) and len(value) == 2 and isinstance(value[0], int | float) and isinstance(value[1], str))


def _is_name(text: str) -> bool:
    return bool(text) and text[0].isalnum() and all(c.isalnum() or c in "._-" for c in text)
