"""Element maps of EELS and EDX spectrum images, with the uncertainty that counting and background leave."""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from correlate.background import power_law
from datasets.errors import DatasetError

Floats = NDArray[np.float64]

SEI_ELEMENTS = ("Li", "C", "N", "O", "F", "Na", "P", "S")
"""Mapped, and expected as neighbours, where the file does not list elements."""

BLOCK_BYTES = 1 << 26
"""Spectra are read in row blocks of this size, so that a cube larger than memory can be mapped."""

SLOPE_STD = 0.6
"""How far the exponent of a pixel's background may lie from that of the summed spectrum: judgement; exponents of core-loss
backgrounds run from 2 to 5 over all thicknesses, and within one map over a small part of that."""

EDX_NOISE_EV2, EDX_FANO_EV = 2000.0, 2.53
"""Peak width: FWHM² = noise² + 5.545 F ε E, with F ε so that manganese K is 130 eV wide, as silicon drift detectors state."""


class NotMapped(DatasetError):
    """An element has no map here; the message says why."""


@dataclass(frozen=True)
class Edge:
    """An EELS edge, or an X-ray line, of one element in the measured range and free of overlap; energies in eV or keV."""

    element: str
    name: str
    energy: float
    background: tuple[float, float]
    signal: tuple[float, float]


@dataclass(frozen=True)
class Line:
    """An X-ray line; `fluorescence` is the yield of its shell times its share of the family, NaN where not tabulated."""

    element: str
    number: int
    shell: str
    energy_keV: float
    edge_keV: float
    fluorescence: float


def element_map(ds: xr.Dataset, element: str) -> xr.Dataset:
    """Net counts of one element at every pixel.

    Parameters
    ----------
    ds : EELS (energy_loss, eV) or EDX (xray_energy, keV) acquisition; any leading dimensions
    element : symbol

    Returns
    -------
    counts, counts_std on the leading dimensions, in the unit of the spectra. Negative net counts are kept, since clipping
    would bias every mean. `counts_std` holds counting noise and, for EELS, the extrapolated background's; where the file's
    intensities are not counts, the noise is scaled by the scatter of the spectra about the background fit.

    Raises
    ------
    NotMapped
        If the edge or line is outside the measured range, overlapped by another, or not tabulated.

    Notes
    -----
    EELS: power law by Poisson likelihood in front of the edge, its exponent tied to that of the summed spectrum by a
    Gaussian of std `SLOPE_STD`; summed counts in the window behind the onset minus its extrapolation.
    EDX: the least-squares estimate of a Gaussian line beside its neighbours on a straight background, with weights from the
    summed spectrum: one linear filter for all pixels, so its Poisson std is exact.
    """
    spectra, axis = _spectra(ds)
    if axis == "energy_loss":
        edge = edge_of(ds, element)
        result = _eels_map(spectra, edge)
        step = f"{edge.name} {edge.energy:g} eV, background {_range(edge.background)} eV, signal {_range(edge.signal)} eV"
    else:
        summed = summed_spectrum(ds)
        present = lines_present(summed)
        line = line_of(ds, element, present)
        result = _edx_map(spectra, line, summed, frozenset(expected_elements(ds)) | present)
        step = f"{element} {line.shell} {line.energy_keV:g} keV, fitted beside its neighbours on a straight background"
    units = spectra.attrs.get("units", "count")
    result["counts"].attrs = {"units": units, "long_name": f"{element} net counts", "ancillary_variables": "counts_std"}
    result["counts_std"].attrs = {"units": units, "long_name": f"{element} net counts, standard deviation"}
    kept = {k: ds.attrs[k] for k in ("sample", "conditions", "synthetic", "uncalibrated") if k in ds.attrs}
    return result.assign_attrs({**kept, "title": f"{element} map", "element": element,
                                "history": [*ds.attrs.get("history", []), f"element_map: {step}"]})


def mappable(ds: xr.Dataset, elements: tuple[str, ...] | None = None) -> dict[str, str]:
    """Which elements can be mapped: symbol -> "" or the reason why not."""
    _, axis = _spectra(ds)
    found = {}
    present = lines_present(summed_spectrum(ds)) if axis == "xray_energy" else frozenset()
    for element in elements or expected_elements(ds):
        try:
            if axis == "energy_loss":
                edge_of(ds, element)
            else:
                line_of(ds, element, present)
            found[element] = ""
        except NotMapped as error:
            found[element] = str(error)
    return found


def expected_elements(ds: xr.Dataset) -> tuple[str, ...]:
    """Elements that the file or the sheet lists, else those of interphases of lithium and sodium."""
    listed = ds.attrs.get("conditions", {}).get("elements")
    if isinstance(listed, str):
        listed = [part for part in listed.replace(",", " ").split() if part]
    return tuple(listed) if listed else SEI_ELEMENTS


def registration_image(ds: xr.Dataset) -> xr.DataArray:
    """The (y, x) image of a spectrum image that looks most like a STEM image of the same field; float64.

    EELS with the zero-loss peak: relative thickness t/λ = ln(all / zero-loss) (Malis, Cheng and Egerton 1988,
    10.1002/jemt.1060080206; source not checked). The plain sum would not do: with the zero-loss peak in range it is the beam
    current, flat wherever the specimen is thin. EELS without it: summed counts, which grow with thickness.
    EDX: summed counts above 0.1 keV, all lines and bremsstrahlung, which follow mass thickness as HAADF does; a weighted sum
    of element maps would leave out elements that have no line, and lithium's metal core would look like a hole of unknown size.
    Coordinates are those of `ds`.
    """
    spectra, axis = _spectra(ds)
    if not {"y", "x"} <= set(spectra.dims):
        raise DatasetError(f"{ds.attrs.get('title', 'spectra')!r} has dimensions {spectra.dims}, not an image of spectra")
    others = [d for d in spectra.dims if d not in ("y", "x", axis)]
    energy = spectra[axis].to_numpy().astype(np.float64)
    parts = []
    for block in _blocks(spectra):
        values = block.transpose("y", "x", *others, axis).to_numpy().astype(np.float64)
        values = values.reshape(*values.shape[:2], -1, energy.size).sum(2)
        parts.append(_thickness_like(values, energy) if axis == "energy_loss" else values[..., energy > 0.1].sum(-1))
    name = "relative thickness" if axis == "energy_loss" and _has_zero_loss(energy) else "summed counts"
    units = "1" if name == "relative thickness" else spectra.attrs.get("units", "count")
    image = np.concatenate(parts, axis=0)
    return xr.DataArray(image, {d: spectra[d] for d in ("y", "x")}, ("y", "x"), "registration_image",
                        {"units": units, "long_name": name, "uncalibrated": ds.attrs.get("uncalibrated", [])})


@cache
def eels_edges() -> tuple[tuple[str, str, float], ...]:
    """(element, shell, onset in eV) of the reference table, by onset."""
    rows = [(r["element"], r["shell"], float(r["onset_eV"])) for r in reference("eels_edges.csv")]
    return tuple(sorted(rows, key=lambda row: row[2]))


@cache
def xray_lines() -> tuple[Line, ...]:
    """Lines of the reference table."""
    def number(text: str) -> float:
        return float(text) if text else math.nan
    return tuple(Line(r["element"], int(r["Z"]), r["line"], float(r["energy_keV"]), number(r["edge_keV"]),
                      number(r["yield"]) * number(r["share"])) for r in reference("xray_lines.csv"))


def reference(name: str) -> list[dict[str, str]]:
    """Rows of a table in datasets/reference; lines that begin with # are its provenance."""
    text = files("datasets").joinpath("reference", name).read_text(encoding="utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


def summed_spectrum(ds: xr.Dataset) -> xr.DataArray:
    """All spectra of an acquisition added up, float64."""
    spectra, axis = _spectra(ds)
    total = np.zeros(spectra.sizes[axis])
    for block in _blocks(spectra):
        dims = [d for d in block.dims if d != axis]
        total += block.sum(dims).to_numpy().astype(np.float64) if dims else block.to_numpy().astype(np.float64)
    return xr.DataArray(total, {axis: spectra[axis]}, (axis,), "counts", {"units": spectra.attrs.get("units", "count")})


def line_width_keV(energy_keV: float) -> float:
    """Full width at half maximum of an X-ray line on a silicon drift detector."""
    return math.sqrt(EDX_NOISE_EV2 + EDX_FANO_EV * 1e3 * energy_keV) / 1e3


# -- EELS --------------------------------------------------------------------------------------------------------------------

def edge_of(ds: xr.Dataset, element: str) -> Edge:
    """The first edge of an element that can be mapped; its windows are cut short of the neighbours' onsets.

    Raises
    ------
    NotMapped
        With the reason for each of its edges.
    """
    energy = ds["energy_loss"].to_numpy()
    low, high = float(energy.min()), float(energy.max())
    own = [(shell, onset) for e, shell, onset in eels_edges() if e == element]
    if not own:
        raise NotMapped(f"{element}: no edge is tabulated")
    expected = set(expected_elements(ds)) | {element}
    onsets = [(e, s, o) for e, s, o in eels_edges() if e in expected]
    reasons = []
    for shell, onset in own:
        name = f"{element} {shell}"
        if not low < onset < high:
            reasons.append(f"{name} at {onset:g} eV is outside the measured {low:.0f} to {high:.0f} eV")
            continue
        gap = 2.5 + 0.006 * onset
        start, stop = max(onset - gap - max(10.0, 0.11 * onset), low), onset - gap
        first, last = onset - 1.0, min(onset + max(18.0, 0.09 * onset), high)
        clash = ""
        for other, s, o in onsets:
            if (other, s) == (element, shell):
                continue
            if start - 8.0 < o < stop:
                start = max(start, o + 20.0)
                clash = f"{other} {s} at {o:g} eV lies in front of it" if stop - start < 8.0 else clash
            elif stop <= o < last:
                last = o - 3.0
                clash = f"{other} {s} at {o:g} eV overlaps it" if last - onset < 12.0 else clash
        inside = (energy >= start) & (energy <= stop)
        if not clash and (inside.sum() < 6 or stop - start < 6.0):
            clash = f"the range begins at {low:.0f} eV, too close to the edge for a background"
        if not clash and last - onset < 8.0:
            clash = f"the range ends at {high:.0f} eV, too close behind the edge"
        if not clash:
            return Edge(element, name, onset, (start, stop), (first, last))
        reasons.append(f"{name}: {clash}")
    raise NotMapped("; ".join(reasons))


def _eels_map(spectra: xr.DataArray, edge: Edge) -> xr.Dataset:
    energy = spectra["energy_loss"].to_numpy().astype(np.float64)
    before, after = _inside(energy, edge.background), _inside(energy, edge.signal)
    sum_before = np.zeros(int(before.sum()))
    for block in _blocks(spectra):
        sum_before += _rows(block, "energy_loss")[:, before].sum(0)
    if sum_before.sum() <= 0:
        raise NotMapped(f"{edge.name}: no counts in front of the edge")
    slope = float(power_law(sum_before[None], energy[before]).slope[0])
    quantum = _quantum(spectra, before, energy, slope)
    net, std = [], []
    for block in _blocks(spectra):
        rows = _rows(block, "energy_loss") / quantum
        fit = power_law(rows[:, before], energy[before], slope=slope, slope_std=SLOPE_STD)
        background, background_std = fit.integral(energy[after])
        total = rows[:, after].sum(1)
        net.append(quantum * (total - background))
        std.append(quantum * np.sqrt(np.maximum(total, 1.0) + background_std**2))
    return _result(spectra, "energy_loss", np.concatenate(net), np.concatenate(std))


def _quantum(spectra: xr.DataArray, before: NDArray[np.bool_], energy: Floats, slope: float) -> float:
    """Intensity of one count: 1 for counts; otherwise what makes the scatter about the background that of counting."""
    if spectra.attrs.get("units") == "count":
        return 1.0
    rows = _rows(next(_blocks(spectra)), "energy_loss")[:, before]
    rows = rows[rows.sum(1) > 0]
    if not rows.size:
        return 1.0
    return max(float(power_law(rows, energy[before], slope=slope).chi2.mean()), 1e-12)


def _thickness_like(values: Floats, energy: Floats) -> Floats:
    if not _has_zero_loss(energy):
        return np.asarray(values.sum(-1))
    sharp = np.abs(energy) <= max(3.0, 2.0 * abs(float(energy[1] - energy[0])))
    total, zero = values.sum(-1), values[..., sharp].sum(-1)
    return np.asarray(np.log((np.maximum(total, 0) + 0.5) / (np.maximum(zero, 0) + 0.5)))


def _has_zero_loss(energy: Floats) -> bool:
    return bool(energy.min() < -1.0 and energy.max() > 10.0)


# -- EDX ---------------------------------------------------------------------------------------------------------------------

def line_of(ds: xr.Dataset, element: str, present: frozenset[str]) -> Line:
    """The K line of an element, if it lies in the measured range and no line of a heavier element covers it.

    Parameters
    ----------
    present
        Heavier elements that show in the spectrum, as `lines_present` tells.

    Raises
    ------
    NotMapped
        With the reason.
    """
    energy = ds["xray_energy"].to_numpy()
    own = next((line for line in xray_lines() if line.element == element and line.shell == "K"), None)
    if own is None:
        raise NotMapped(f"{element}: no X-ray line is tabulated" + (
            "; lithium's 0.054 keV is absorbed before it reaches a detector" if element == "Li" else ""))
    width = line_width_keV(own.energy_keV)
    if not energy.min() < own.energy_keV - 1.5 * width or not own.energy_keV + 1.5 * width < energy.max():
        raise NotMapped(f"{element} K at {own.energy_keV:g} keV is outside the measured {energy.min():.2f} to "
                        f"{energy.max():.2f} keV")
    for other in xray_lines():
        near = abs(other.energy_keV - own.energy_keV) < 0.6 * width
        if other.element != element and near and other.element in present:
            raise NotMapped(f"{element} K at {own.energy_keV:g} keV is overlapped by {other.element} {other.shell} at "
                            f"{other.energy_keV:g} keV, and {other.element} K shows in the spectrum")
    return own


def lines_present(spectrum: xr.DataArray) -> frozenset[str]:
    """Elements heavy enough to have L lines here whose K line stands out of a summed spectrum by five sigma."""
    energy, counts = spectrum["xray_energy"].to_numpy(), np.maximum(spectrum.to_numpy(), 0.0)
    found = set()
    for line in xray_lines():
        if line.shell != "K" or line.number < 20:
            continue
        width = line_width_keV(line.energy_keV)
        core = np.abs(energy - line.energy_keV) < 0.6 * width
        sides = (np.abs(energy - line.energy_keV) > 1.1 * width) & (np.abs(energy - line.energy_keV) < 2.5 * width)
        if energy.max() < line.energy_keV + width or not core.any() or not sides.any():
            continue
        level = counts[sides].mean() * core.sum()
        if counts[core].sum() - level > 5.0 * math.sqrt(level + 1.0) + 0.02 * level:
            found.add(line.element)
    return frozenset(found)


def _edx_map(spectra: xr.DataArray, line: Line, summed: xr.DataArray, expected: frozenset[str]) -> xr.Dataset:
    energy = spectra["xray_energy"].to_numpy().astype(np.float64)
    chosen, weights = edx_filter(energy, summed.to_numpy(), line, expected)
    net, variance = [], []
    for block in _blocks(spectra):
        rows = _rows(block, "xray_energy")[:, chosen]
        net.append(rows @ weights)
        variance.append(np.maximum(rows, 0.0) @ weights**2 + float((weights**2).min()))
    return _result(spectra, "xray_energy", np.concatenate(net), np.sqrt(np.concatenate(variance)))


def edx_filter(energy_keV: Floats, summed: Floats, line: Line, expected: frozenset[str]) -> tuple[NDArray[np.bool_], Floats]:
    """Channels and weights whose weighted sum estimates the counts in a line.

    The design is a Gaussian of unit area per expected line within reach and a straight background; the weights are those of
    least squares with the variance of the summed spectrum.
    """
    width = line_width_keV(line.energy_keV)
    reach = max(3.5 * width, 0.2)
    chosen = np.abs(energy_keV - line.energy_keV) <= reach
    chosen &= energy_keV > 0.12
    x = energy_keV[chosen]
    step = float(np.median(np.diff(energy_keV)))
    def gaussian(at: float) -> Floats:
        sigma = line_width_keV(at) / 2.3548
        return np.asarray(np.exp(-0.5 * ((x - at) / sigma) ** 2) * step / (sigma * math.sqrt(2 * math.pi)))
    columns = [gaussian(line.energy_keV), np.ones_like(x), x - line.energy_keV]
    used = [line.energy_keV]
    for other in xray_lines():
        apart = min(abs(other.energy_keV - at) for at in used) > 0.6 * width
        near = x.min() - 0.5 * width < other.energy_keV < x.max() + 0.5 * width
        if other.element in expected and other.element != line.element and apart and near:
            columns.append(gaussian(other.energy_keV))
            used.append(other.energy_keV)
    design = np.stack(columns, 1)
    smooth = np.convolve(np.maximum(summed, 0.0), np.ones(3) / 3, mode="same")[chosen]
    inverse = 1.0 / (smooth + max(float(smooth.mean()) * 1e-2, 1e-9))
    normal = design.T @ (design * inverse[:, None])
    return chosen, np.asarray(np.linalg.pinv(normal, hermitian=True)[0] @ (design * inverse[:, None]).T)


# -- both --------------------------------------------------------------------------------------------------------------------

def _spectra(ds: xr.Dataset) -> tuple[xr.DataArray, str]:
    for axis in ("energy_loss", "xray_energy"):
        if axis in ds.dims:
            name = next(str(n) for n in ds.data_vars if axis in ds[n].dims and not str(n).endswith("_std"))
            return ds[name], axis
    raise DatasetError(f"{ds.attrs.get('title', 'acquisition')!r} has dimensions {list(ds.dims)}; an element map needs "
                       "energy_loss (EELS) or xray_energy (EDX)")


def _blocks(spectra: xr.DataArray) -> Iterator[xr.DataArray]:
    """The spectra in loaded pieces along the first dimension that is not energy."""
    leading = [d for d in spectra.dims if d not in ("energy_loss", "xray_energy")]
    if not leading:
        yield spectra.load() if not isinstance(spectra.data, np.ndarray) else spectra
        return
    dim = "y" if "y" in leading else leading[0]
    rows = max(1, BLOCK_BYTES // max(1, 8 * spectra.size // spectra.sizes[dim]))
    for start in range(0, spectra.sizes[dim], rows):
        yield spectra.isel({dim: slice(start, start + rows)}).compute()


def _rows(block: xr.DataArray, axis: str) -> Floats:
    leading = _leading(block, axis)
    return np.asarray(block.transpose(*leading, axis).to_numpy().astype(np.float64).reshape(-1, block.sizes[axis]))


def _leading(spectra: xr.DataArray, axis: str) -> list[str]:
    """Leading dimensions with the one along which blocks are cut in front."""
    names = [str(d) for d in spectra.dims if d != axis]
    return ["y", *[n for n in names if n != "y"]] if "y" in names else names


def _result(spectra: xr.DataArray, axis: str, net: Floats, std: Floats) -> xr.Dataset:
    leading = _leading(spectra, axis)
    shape = tuple(spectra.sizes[d] for d in leading)
    coords = {d: spectra[d] for d in leading if d in spectra.coords}
    result = xr.Dataset({"counts": (leading, net.reshape(shape)), "counts_std": (leading, std.reshape(shape))}, coords)
    return result.transpose(*[str(d) for d in spectra.dims if d != axis])


def _inside(energy: Floats, window: tuple[float, float]) -> NDArray[np.bool_]:
    return np.asarray((energy >= window[0]) & (energy <= window[1]))


def _range(window: tuple[float, float]) -> str:
    return f"{window[0]:.0f} to {window[1]:.0f}"
