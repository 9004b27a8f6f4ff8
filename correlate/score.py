"""Scores a virtual study against the truth that lies beside its files; docs/phantom.md describes those JSON files."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from correlate.study import Acquisition, Study
from correlate.table import REGIONS_METHOD, joined, with_region_fractions
from datasets.errors import StudyError
from datasets.techniques import TECHNIQUES
from registration.saved import read_transform

Floats = NDArray[np.float64]
Truth = Mapping[str, Any]

FOLDER = "truth"
SIGMAS = 2.0
LEAST_SHARE = 0.9
"""Of the values, that must lie within SIGMAS stated standard deviations of the truth; right Gaussian errors give 95 %."""
LARGEST_ERROR_PX = 1.0
"""Of a pair that is called good, in pixels of the coarser image."""
GRID = 9
"""Points a side on which the common field of two images is judged."""
PAIR_COLUMNS = ("sample", "unit", "moving", "fixed", "verdict", "common", "overlap", "error_nm", "error_px", "stated_nm",
                "held")
VALUE_COLUMNS = ("quantity", "by", "sample", "unit", "name", "value", "std", "truth", "units", "z", "within")
SUMMARY_COLUMNS = ("quantity", "by", "n", "within", "share", "bias", "rms_z")
THICKNESS, BY_SAMPLE = "sei_thickness", "samples"
FRACTIONS = ("edx_fraction_", "eels_fraction_", "xps_fraction_")


@dataclass(frozen=True)
class Check:
    """One thing that must hold of a virtual study; `passed` is None where the study holds nothing to judge it by."""

    what: str
    needed: str
    found: str
    passed: bool | None

    def __str__(self) -> str:
        word = {True: "holds", False: "FAILS", None: "not judged"}[self.passed]
        return f"{word:<10}  {self.what}: {self.found} (needed: {self.needed})"


@dataclass(frozen=True, eq=False)
class Score:
    """How a study compares with the truth.

    pairs : one row per registration, columns PAIR_COLUMNS. `error_nm` and `error_px` (of the coarser image) are the largest
        error over the moving field; `common` is false where the two images show no common place; `held` tells whether the
        error is within the stated 95 % radius
    values : one row per measured value whose truth is known, columns VALUE_COLUMNS. `z` is the difference in stated standard
        deviations, `within` whether it is at most SIGMAS
    summary : one row per quantity and technique, columns SUMMARY_COLUMNS. `bias` is the median of (value - truth) / truth
    model : skill and coverage of the model's predictions against the true instead of the measured CE; empty without a model
    faults : what was spoilt in the files, as the truth lists it
    checks : what must hold
    """

    pairs: pd.DataFrame
    values: pd.DataFrame
    summary: pd.DataFrame
    model: Mapping[str, float]
    faults: tuple[Mapping[str, Any], ...]
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing that must hold fails."""
        return all(check.passed is not False for check in self.checks)

    def lines(self) -> list[str]:
        """The checks as lines for a terminal."""
        return [str(check) for check in self.checks]


def has_truth(study: Study) -> bool:
    """Whether the truth lies beside the study's files."""
    return (study.root / FOLDER / "acquisitions.json").is_file()


def score(study: Study) -> Score:
    """Compare what the study says of registration, descriptors and model with the truth.

    Raises
    ------
    StudyError
        If there is no truth, or it cannot be read.
    """
    seen, frames, samples = (_read(study.root, name) for name in ("acquisitions", "frames", "samples"))
    faults = _read(study.root, "metadata_faults")
    by_unit = {a.unit: a for a in study.acquisitions()}
    pairs = scored_pairs(study.alignments(), by_unit, frames)
    values = with_joined_thickness(scored_values(study.measurements(), seen))
    model = study.model() or {}
    return Score(pairs, values, summarised(values), _against_true_ce(model, samples), tuple(faults),
                 (*_pair_checks(pairs), _share_check("SEI thickness", values), _share_check("Coulombic efficiency", values),
                  _model_check(model), _pixel_check(by_unit, frames)))


def scored_pairs(alignments: pd.DataFrame, acquisitions: Mapping[str, Acquisition], frames: Truth) -> pd.DataFrame:
    """Every registration of two images whose true poses are known, columns PAIR_COLUMNS.

    The difference of two affine maps is affine, so its norm is convex and its largest value over a field lies at a corner; a
    bent map is looked at on GRID x GRID points.
    """
    rows = []
    for row in alignments.to_dict("records"):
        moving, fixed = str(row["moving"]), str(row["fixed"])
        if not {moving, fixed} <= set(frames) or not {moving, fixed} <= set(acquisitions):
            continue
        overlap, error_nm = np.nan, np.nan
        if acquisitions[moving].is_placed_in_space and acquisitions[fixed].is_placed_in_space:
            true = _between(frames[fixed], frames[moving])
            overlap = _overlap(true, acquisitions[moving], acquisitions[fixed])
            if row["transform"] is not None:
                corners = _grid(acquisitions[moving], 2 if "matrix" in row["transform"] else GRID)
                wrong = read_transform(row["transform"]).apply(corners) - (corners @ true[:, :2].T + true[:, 2])
                error_nm = float(np.linalg.norm(wrong, axis=1).max())
        common = overlap > 0 and bool(frames[moving].get("elsewhere")) == bool(frames[fixed].get("elsewhere"))
        stated = np.nan if row["error_nm"] is None else float(row["error_nm"])
        rows.append((row["sample"], row["unit"], moving, fixed, row["verdict"], common, overlap, error_nm if common else np.nan,
                     error_nm / float(row["coarser_pixel_nm"]) if common else np.nan, stated,
                     bool(error_nm <= max(stated, 1e-9)) if common else False))
    return pd.DataFrame(rows, columns=list(PAIR_COLUMNS))


def scored_values(measurements: pd.DataFrame, seen: Truth) -> pd.DataFrame:
    """Every known measurement beside what an ideal observer of its acquisition would say, columns VALUE_COLUMNS."""
    known = with_region_fractions(measurements)
    known = known[np.isfinite(known["value"].astype(float)) & np.isfinite(known["std"].astype(float))]
    of_file = {unit.rpartition("-")[0]: unit for unit in reversed(list(seen))}  # regions of one file share its truth
    rows = []
    for unit, own in known.groupby("unit", sort=False):
        truth = seen.get(str(unit)) or seen.get(of_file.get(str(unit).rpartition("-")[0], ""))
        if truth is None:
            continue
        names = [str(name) for name in own["name"]]
        for row in own.to_dict("records"):
            found = true_value(str(row["name"]), truth, names)
            if found is None or not np.isfinite(found):
                continue
            quantity, by = _labels(row)
            z = (float(row["value"]) - found) / float(row["std"]) if float(row["std"]) > 0 else np.nan
            rows.append((quantity, by, row["sample"], unit, row["name"], row["value"], row["std"], found, row["units"], z,
                         abs(z) <= SIGMAS))
    return pd.DataFrame(rows, columns=list(VALUE_COLUMNS))


def with_joined_thickness(values: pd.DataFrame) -> pd.DataFrame:
    """Add the thickness of each sample as the sample table joins it, beside the truths of its acquisitions joined alike."""
    own = values[values["name"] == THICKNESS]
    rows = []
    for sample, measured in own.groupby("sample", sort=False):
        value, std, truth = (measured[c].to_numpy(dtype=float) for c in ("value", "std", "truth"))
        mean, error = joined(value, std)
        expected = float(np.average(truth, weights=std**-2))
        z = (mean - expected) / error
        rows.append(("SEI thickness", BY_SAMPLE, sample, "", THICKNESS, mean, error, expected, "nm", z, abs(z) <= SIGMAS))
    return pd.concat([values, pd.DataFrame(rows, columns=list(VALUE_COLUMNS))], ignore_index=True) if rows else values


def true_value(name: str, truth: Truth, measured: list[str]) -> float | None:
    """What an ideal observer of an acquisition would say of a measurement, None where the truth says nothing of it.

    Fractions are shares among the elements that were measured together, `measured`: a technique that misses an element is not
    judged by it.
    """
    if name in ("sei_thickness", "sei_thickness_spread"):
        return _number(truth.get(f"{name}_nm"))
    if name == "ce_mean":
        return _number(truth.get("ce_mean"))
    if name.startswith("eis_"):
        return _true_impedance(name, truth)
    if name == "eels_lithium_ratio":
        atoms = truth.get("element_fractions", {})
        others = sum(atoms.get(n.removeprefix("eels_fraction_"), 0.0) for n in measured if n.startswith("eels_fraction_"))
        return atoms.get("Li", 0.0) / others if others > 0 else None
    prefix = next((p for p in FRACTIONS if name.startswith(p)), None)
    if prefix is None:
        return None
    atoms = truth.get("atomic_fractions" if prefix == "xps_fraction_" else "element_fractions", {})
    whole = sum(atoms.get(n.removeprefix(prefix), 0.0) for n in measured if n.startswith(prefix))
    return atoms.get(name.removeprefix(prefix), 0.0) / whole if whole > 0 else None


def summarised(values: pd.DataFrame) -> pd.DataFrame:
    """How often each quantity by each technique holds its own error, columns SUMMARY_COLUMNS."""
    rows = []
    order = {quantity: i for i, quantity in enumerate(dict.fromkeys(values["quantity"]))}
    for (quantity, by), own in sorted(values.groupby(["quantity", "by"], sort=False), key=lambda item: order[item[0][0]]):
        truth, z = own["truth"].to_numpy(dtype=float), own["z"].to_numpy(dtype=float)
        some = truth > 0
        bias = float(np.median(own["value"].to_numpy(dtype=float)[some] / truth[some] - 1)) if some.any() else np.nan
        within = int(own["within"].sum())
        rows.append((quantity, by, len(own), within, within / len(own), bias, float(np.sqrt(np.nanmean(z**2)))))
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


def _pair_checks(pairs: pd.DataFrame) -> tuple[Check, Check]:
    good, apart = pairs[(pairs["verdict"] == "good") & pairs["common"]], pairs[~pairs["common"].astype(bool)]
    errors = good["error_px"].to_numpy(dtype=float)
    right = int((errors < LARGEST_ERROR_PX).sum())
    refused = int((apart["verdict"] != "good").sum())
    needed = f"all below {LARGEST_ERROR_PX:g} pixel of the coarser image, at the worst corner"
    others = f"{len(pairs) - len(good) - len(apart)} pairs of a common place were not called good"
    found = f"{right} of {len(good)}, the worst {errors.max():.2f} pixel; {others}" if len(good) else "no pair was called good"
    return (Check("Registrations that are called good", needed, found, right == len(good) if len(good) else None),
            Check("Images of different places", "none is called good",
                  f"{refused} of {len(apart)} not called good" if len(apart) else "there are none",
                  refused == len(apart) if len(apart) else None))


def _share_check(quantity: str, values: pd.DataFrame) -> Check:
    own = values[values["quantity"] == quantity]
    needed = f"at least {100 * LEAST_SHARE:g} % within {SIGMAS:g} stated standard deviations of the truth"
    if own.empty:
        return Check(quantity, needed, "nothing was measured", None)
    judged = own[own["by"] == BY_SAMPLE] if (own["by"] == BY_SAMPLE).any() else own
    parts = [f"{int(rows['within'].sum())} of {len(rows)} by {by}"
             for by, rows in own[own["by"] != BY_SAMPLE].groupby("by", sort=False)]
    found = f"{int(judged['within'].sum())} of {len(judged)} samples" + (f" ({', '.join(parts)})" if len(parts) > 1 else "")
    return Check(quantity, needed, found, bool(judged["within"].mean() >= LEAST_SHARE))


def _model_check(model: Mapping[str, Any]) -> Check:
    what, needed = "Model on electrolytes it has not seen", "a smaller squared error than the mean of the others"
    if not model or "refused" in model:
        return Check(what, needed, str(model.get("refused", "no model was fitted")), None)
    value, low, high = (float(model["skill"][key]) for key in ("value", "low", "high"))
    return Check(what, needed, f"skill {value:.2f}, 90 % interval {low:.2f} to {high:.2f}".replace("-", "\u2212"), value > 0)


def _pixel_check(acquisitions: Mapping[str, Acquisition], frames: Truth) -> Check:
    """A pixel size that neither file nor sheet gives stays unknown; one that was spoilt is the sheet's, so within 10 %."""
    wrong, unknown = [], 0
    judged = [(acquisitions[unit], frame) for unit, frame in frames.items() if unit in acquisitions]
    for a, frame in judged:
        nobody_knows = frame["units"] == "pixel"
        unknown += nobody_knows
        right = not a.is_placed_in_space if nobody_knows else abs(a.pixel_nm / frame["true_pixel_nm"] - 1) < 0.1
        wrong += [] if right else [a.unit]
    needed = "within 10 % of the truth, or unknown where nobody gives one"
    found = f"{len(judged) - len(wrong)} of {len(judged)}, {unknown} unknown" + (f"; not {', '.join(wrong)}" if wrong else "")
    return Check("Pixel sizes", needed, found if judged else "no images", not wrong if judged else None)


def _against_true_ce(model: Mapping[str, Any], samples: Truth) -> dict[str, float]:
    rows = [(p["predicted"], p["baseline"], p["low"], p["high"], samples[p["sample"]]["log_ce"])
            for p in model.get("predictions", []) if p["sample"] in samples]
    if not rows:
        return {}
    predicted, baseline, low, high, true = np.array(rows, dtype=np.float64).T
    return {"skill": float(1 - np.sum((predicted - true) ** 2) / np.sum((baseline - true) ** 2)),
            "coverage": float(np.mean((low <= true) & (true <= high))), "samples": float(true.size)}


def _labels(row: Mapping[Any, Any]) -> tuple[str, str]:
    name = str(row["name"])
    by = TECHNIQUES[str(row["technique"])].short if row["technique"] in TECHNIQUES else str(row["technique"])
    if name.startswith("xps_fraction_"):
        by += ", regions" if REGIONS_METHOD in str(row["method"]) else ", survey"
    short = {"sei_thickness": "SEI thickness", "sei_thickness_spread": "SEI thickness, spread",
             "ce_mean": "Coulombic efficiency", "eels_lithium_ratio": "Lithium per other atoms"}
    return short.get(name, "Atomic fractions" if name.startswith(FRACTIONS) else str(row["title"])), by


def _true_impedance(name: str, truth: Truth) -> float | None:
    arcs = float(truth["r_sei"]) + float(truth["r_ct"]) + float(truth["r_contact"])
    # two merged arcs, or a third one of the contact, leave no true first and second
    apart = bool(truth["identifiable"]) and not truth["r_contact"]
    return {"eis_series_resistance": _number(truth["r_s"]), "eis_arc_width": arcs,
            "eis_first_arc": _number(truth["r_sei"]) if apart else None,
            "eis_second_arc": _number(truth["r_ct"]) if apart else None}.get(name)


def _between(fixed: Truth, moving: Truth) -> Floats:
    """(2, 3) true matrix from the moving acquisition's own nm to the fixed one's."""
    f, m = np.array(fixed["matrix"], np.float64), np.array(moving["matrix"], np.float64)
    back = np.linalg.inv(f[:, :2])
    return np.asarray(np.c_[back @ m[:, :2], back @ (m[:, 2] - f[:, 2])], np.float64)


def _grid(a: Acquisition, per_side: int) -> Floats:
    """Points (n, 2) of the field, nm, ordered (y, x); its corners are the centres of the corner pixels."""
    axes = [np.linspace(float(a.coords[d]["first"]), float(a.coords[d]["last"]), per_side) for d in ("y", "x")]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)


def _overlap(true: Floats, moving: Acquisition, fixed: Acquisition) -> float:
    """Share of the moving field that truly lies in the fixed one."""
    points = _grid(moving, GRID) @ true[:, :2].T + true[:, 2]
    ends = np.array([sorted((fixed.coords[d]["first"], fixed.coords[d]["last"])) for d in ("y", "x")], np.float64)
    return float(((points >= ends[:, 0]) & (points <= ends[:, 1])).all(1).mean())


def _read(root: Path, name: str) -> Any:
    path = root / FOLDER / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StudyError(f"{path}: the truth of a virtual study cannot be read: {error}") from error


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
