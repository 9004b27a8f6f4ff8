"""One row per sample: what all its acquisitions say, joined, with what is missing left empty."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from correlate.descriptors import DESCRIPTORS
from correlate.descriptors.composition import Amount, fractions
from datasets.sheet import Sheet

AREA, FRACTION = "xps_area_", "xps_fraction_"
REGIONS_METHOD = "areas of single regions of one file, combined"


def sample_table(measurements: pd.DataFrame, sheet: Sheet) -> pd.DataFrame:
    """Join the measurements of each sample.

    Parameters
    ----------
    measurements : tidy table with columns sample, unit, technique, name, value, std, and others
    sheet : names the samples, their metal, electrolyte and group

    Returns
    -------
    One row per sample of the sheet, in its order: sample, metal, electrolyte, group, then per measurement `name` and
    `name_std`; NaN where nothing is known. Several acquisitions of one sample are joined by `joined`. XPS regions that were
    recorded as spectra of their own become fractions here, since no single one of them holds a fraction.
    """
    known = with_region_fractions(measurements)
    known = known[np.isfinite(known["value"].astype(float)) & ~known["name"].astype(str).str.startswith(AREA)]
    names = _order(set(known["name"].astype(str)))
    cells = {key: joined(rows["value"].to_numpy(dtype=float), rows["std"].to_numpy(dtype=float))
             for key, rows in known.groupby(["sample", "name"], sort=False)}
    rows = []
    for sample in sheet.samples.values():
        row: dict[str, object] = {"sample": sample.name, "metal": sample.metal, "electrolyte": sample.electrolyte,
                                  "group": sample.group or sample.electrolyte}
        for name in names:
            row[name], row[f"{name}_std"] = cells.get((sample.name, name), (np.nan, np.nan))
        rows.append(row)
    columns = ["sample", "metal", "electrolyte", "group", *(c for name in names for c in (name, f"{name}_std"))]
    return pd.DataFrame(rows, columns=columns)


def joined(values: np.ndarray, stds: np.ndarray) -> tuple[float, float]:
    """Mean weighted by 1/std², and its std.

    The std is raised by the Birge ratio sqrt(χ²/(n-1)) where values disagree beyond their own errors (R. T. Birge, Phys. Rev.
    1932, 40, 207; source not checked), and is never below the smallest single one: acquisitions share their method's error,
    which no repetition averages away.
    """
    usable = np.isfinite(values) & np.isfinite(stds) & (stds > 0)
    if not usable.any():
        value = float(np.mean(values))
        return value, float(np.std(values, ddof=1)) if values.size > 1 else np.nan
    values, stds = values[usable], stds[usable]
    if values.size == 1:
        return float(values[0]), float(stds[0])
    weight = stds**-2
    mean = float((weight * values).sum() / weight.sum())
    birge = float(np.sqrt((weight * (values - mean) ** 2).sum() / (values.size - 1)))
    return mean, float(max(max(1.0, birge) / np.sqrt(weight.sum()), stds.min()))


def with_region_fractions(measurements: pd.DataFrame) -> pd.DataFrame:
    """Add XPS fractions from the regions of each file, in place of its survey's where they see at least as many elements."""
    names = measurements["name"].astype(str)
    areas = measurements[names.str.startswith(AREA) & np.isfinite(measurements["value"].astype(float))]
    if areas.empty:
        return measurements
    file_of = measurements["unit"].astype(str).str.rpartition("-")[0]
    added, replaced = [], pd.Series(False, index=measurements.index)
    for file, rows in areas.groupby(file_of[areas.index], sort=False):
        surveys = (file_of == file) & names.str.startswith(FRACTION) & np.isfinite(measurements["value"].astype(float))
        amounts = _amounts(rows)
        if (names.eq("xps_fraction") & (file_of == file)).any():
            continue  # a region of an element that is not tabulated: it is missing in the sum, and may cover the others
        if len(amounts) < 2 or len(amounts) < int(surveys.sum()):
            continue
        replaced |= surveys
        first = rows.iloc[0]
        for element, (value, std) in fractions(amounts).items():
            added.append({**first.to_dict(), "name": f"{FRACTION}{element}", "title": f"{element} fraction by XPS",
                          "value": value, "std": std, "units": "1", "method": f"{first['method']}; {REGIONS_METHOD}",
                          "reason": ""})
    if not added:
        return measurements
    return pd.concat([measurements[~replaced], pd.DataFrame(added, columns=measurements.columns)], ignore_index=True)


def described(measurements: pd.DataFrame, name: str) -> tuple[str, str]:
    """Title and unit of a descriptor as its first measurement states them; the "log" of a model's feature stays with it."""
    rows = measurements[measurements["name"] == name]
    if rows.empty:
        word, _, base = name.rpartition(" ")
        return (f"{described(measurements, base)[0]}, {word}" if word else name.replace("_", " ")), "1"
    return str(rows["title"].iloc[0]), str(rows["units"].iloc[0])


def _amounts(rows: pd.DataFrame) -> Mapping[str, Amount]:
    values, stds = rows["value"].to_numpy(dtype=float), rows["std"].to_numpy(dtype=float)
    return {str(name)[len(AREA):]: Amount(float(value), float(std), 0.0)
            for name, value, std in zip(rows["name"], values, stds, strict=True)}


def _order(names: set[str]) -> list[str]:
    """By descriptor as registered, then by name."""
    rank = list(DESCRIPTORS.values())
    return sorted(names, key=lambda name: (next((i for i, d in enumerate(rank) if d.speaks_of(name)), len(rank)), name))
