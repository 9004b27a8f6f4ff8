"""What a model made of structure and efficiency, on electrolytes it had not seen, in words and two charts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from correlate.models.verdict import judged
from correlate.report.charts import Mark, legend_glyph, predictions, rows
from correlate.report.measured import Finding
from correlate.study import Study
from correlate.table import described


@dataclass(frozen=True)
class Modelled:
    """The result of the last fit; only `refused` is filled where the model was refused or never fitted."""

    refused: str = ""
    kind: str = ""
    word: str = ""
    sentence: str = ""
    facts: tuple[Finding, ...] = ()
    predictions: str = ""
    legend: tuple[tuple[Markup, str], ...] = ()
    importances: str = ""
    rows: tuple[tuple[str, ...], ...] = ()
    left_out: tuple[Finding, ...] = ()
    warnings: tuple[str, ...] = ()


def modelled(study: Study, measurements: pd.DataFrame) -> Modelled:
    """The model as a reader may believe it."""
    found = study.model()
    if found is None:
        return Modelled(refused="No model has been fitted yet: correlate fit.")
    if "refused" in found:
        return Modelled(refused=str(found["refused"]))
    kind, word, sentence = judged(found)
    synthetic = study.sheet.synthetic
    groups = list(dict.fromkeys(str(p["group"]) for p in found["predictions"]))
    titles = {str(e["name"]): feature_title(measurements, str(e["name"])) for e in found["importances"]}
    return Modelled(
        "", kind, word, sentence, _facts(found), predictions(found["predictions"], groups, synthetic=synthetic),
        tuple((legend_glyph(i), name) for i, name in enumerate(groups)),
        rows({titles[str(e["name"])]: [_importance(e)] for e in found["importances"]},
             "growth of the squared error when shuffled, relative to the variance", "Importances of the descriptors", zero=True,
             synthetic=synthetic),
        tuple(_prediction(p) for p in found["predictions"]),
        tuple(Finding(described(measurements, name)[0], str(why)) for name, why in found["left_out"].items()),
        tuple(str(w) for w in found["warnings"]))


def feature_title(measurements: pd.DataFrame, name: str) -> str:
    """A feature as a person reads it."""
    known = set(measurements["name"].astype(str))
    if name in known:
        return described(measurements, name)[0]
    word, _, base = name.rpartition(" ")
    if base in known:
        return f"{described(measurements, base)[0]}, {word}"
    return name.replace("_", " ")


def _facts(found: Mapping[str, Any]) -> tuple[Finding, ...]:
    skill, scores, base, coverage, chance = (found[k] for k in ("skill", "scores", "baseline", "coverage", "scrambled"))
    return (
        Finding("Skill against the mean of the others",
                f"{_signed(skill['value'])}, 90 % interval {_signed(skill['low'])} to {_signed(skill['high'])}"),
        Finding("Error of log₁₀ loss, root mean square",
                f"{scores['rmse']:.2f} decades; the mean of the others {base['rmse']:.2f}"),
        Finding("Intervals hold the measured CE",
                f"{100 * coverage['measured']:.0f} % of samples, {100 * coverage['nominal']:.0f} % intended"),
        Finding("Skill with CE shuffled among samples",
                f"mean {_signed(chance['mean'])}; as good as the real order in {100 * chance['p_value']:.0f} % of cases"
                if chance["mean"] is not None else "not tried"),
        Finding("Samples, electrolytes, features", f"{found['samples']}, {found['groups']}, {len(found['features'])}"),
        Finding("Estimator", ", ".join(dict.fromkeys(str(v) for v in found["chosen"].values()))))


def _importance(entry: Mapping[str, Any]) -> Mark:
    low, high, value = (float(entry[k]) for k in ("low", "high", "value"))
    says = f"{_signed(value)}, 90 % interval {_signed(low)} to {_signed(high)}"
    return Mark(value, low, high, "echem", says, hollow=low <= 0 <= high)


def _prediction(p: Mapping[str, Any]) -> tuple[str, ...]:
    return (str(p["sample"]), str(p["group"]), f"{100 * p['ce']:.2f}", f"{100 * p['ce_predicted']:.2f}",
            f"{100 * p['ce_low']:.2f} to {100 * p['ce_high']:.2f}", f"{100 * (1 - 10 ** -p['baseline']):.2f}",
            "" if p["inside"] else "outside")


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "\u2212")
