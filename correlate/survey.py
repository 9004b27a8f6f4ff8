"""What a file or a study holds, in lines for a person; rich markup, plain text inside."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from rich.markup import escape

from correlate.console import size
from correlate.numbers import magnitude
from correlate.study import Study
from datasets.techniques import TECHNIQUES


def acquisition_lines(number: int, found: Mapping[str, Any]) -> Iterator[str]:
    """Lines about one acquisition of a file, from its summary."""
    technique = TECHNIQUES.get(found["technique"], TECHNIQUES["unknown"])
    yield f"[bold]{number}  {escape(technique.title)}[/]  {escape(str(found['title']))}  [dim]{escape(found['reader'])}[/]"
    shape = " × ".join(f"{d} {n}" for d, n in zip(found["dims"], found["shape"], strict=True)) or "one number"
    yield f"   {escape(shape)}  [dim]{found['dtype']}[/]"
    for name, axis in found["coords"].items():
        yield f"   [dim]axis[/] {escape(name)}: {escape(_axis_text(axis))}"
    for name, variable in found["vars"].items():
        low, high, mean = (magnitude(variable[k], digits=5) for k in ("min", "max", "mean"))
        yield f"   [dim]data[/] {escape(name)}: {low} to {high}, mean {mean} {escape(variable['units'])}"
    for name, value in found["conditions"].items():
        yield f"   [dim]condition[/] {escape(name)} = {escape(str(value))}"
    for warning in found["warnings"]:
        yield f"   [yellow]note[/] {escape(warning)}"


def study_lines(study: Study) -> Iterator[str]:
    """Lines about a study: what was imported, placed, described and fitted, and what is out of date."""
    acquisitions = study.acquisitions()
    synthetic = "  [bold yellow]synthetic[/]" if study.sheet.synthetic else ""
    yield f"[bold]{escape(study.sheet.title)}[/]{synthetic}"
    yield (f"{len(study.sheet.samples)} samples, {len(study.sheet.files)} files listed; "
           f"{len(acquisitions)} acquisitions imported, {size(sum(a.nbytes for a in acquisitions))}")
    for technique, count in Counter(a.technique for a in acquisitions).most_common():
        yield f"   {escape(TECHNIQUES[technique].title if technique in TECHNIQUES else technique)}: {count}"
    verdicts = Counter(study.alignments()["verdict"])
    yield "pairs: " + (", ".join(f"{n} {v}" for v, n in verdicts.most_common()) or "none aligned yet")
    measured = study.measurements()
    yield f"descriptors: {int(measured['value'].notna().sum())} values, {int(measured['value'].isna().sum())} not to be known"
    model = study.model()
    yield "model: " + ("none yet" if model is None else escape(str(model["refused"])) if "refused" in model
                       else f"skill {model['skill']['value']:.2f} on unseen electrolytes")
    stale = study.store.stale()
    for unit, parents in stale.items():
        yield f"[yellow]out of date[/] {escape(unit)}: {escape(', '.join(parents))} changed"


def _axis_text(axis: Mapping[str, Any]) -> str:
    units = axis["units"]
    if axis["n"] == 1 or isinstance(axis["first"], str):
        return f"{axis['first']} {units}" + (f" to {axis['last']}, {axis['n']}" if axis["n"] > 1 else "")
    first, last, step = (magnitude(axis[k], digits=6) for k in ("first", "last", "step"))
    return f"{first} to {last} {units}, {axis['n']} points, step {step} {units}"
