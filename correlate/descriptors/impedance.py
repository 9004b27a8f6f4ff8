"""A few robust numbers of an impedance spectrum: where it begins, how wide its arcs are, and how much of them is one.

A circuit of an inductance, a series resistance and one or two depressed arcs (R parallel to a constant-phase element) with a
Warburg tail is fitted with modulus weights in logarithms of its parameters. One arc against two is decided by AICc, and the
two resistances are stated apart only if the data tell them apart: arcs whose time constants lie close are one number.
"""

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import optimize

from correlate.descriptors.descriptor import ELECTROCHEMISTRY, SOURCE_NOT_CHECKED, Descriptor, Measurement, unknown

Floats = NDArray[np.float64]

LEAST_POINTS = 12
BETTER_BY = 10.0
"""Difference in AICc from which two arcs count as seen (strong evidence by usual reading; source not checked)."""
APART = 5.0
"""Two arcs are told apart if their time constants differ by at least this factor and each resistance is known to a third."""
LARGEST_RESIDUAL = 0.05
CIRCUIT_STD = 0.02
"""Relative error that the circuit itself leaves on a resistance: real arcs are no ideal constant-phase elements. Judgement."""
METHOD = ("least squares, modulus weights, of L + R + one or two R||CPE + Warburg; one arc against two by AICc; "
          f"{SOURCE_NOT_CHECKED}")
TITLES = {"eis_series_resistance": "Series resistance", "eis_arc_width": "Width of all arcs", "eis_first_arc": "First arc",
          "eis_second_arc": "Second arc"}


@dataclass(frozen=True, eq=False)
class CircuitFit:
    """log10 of the parameters, their covariance, relative rms residual and AICc."""

    p: Floats
    covariance: Floats
    residual: float
    aicc: float
    arcs: int


def circuit(p: Floats, frequency_Hz: Floats, arcs: int) -> NDArray[np.complex128]:
    """Impedance, ohm. p: log10 of R, L, Warburg coefficient, then per arc log10 R, log10 τ (s), exponent."""
    s = 2j * math.pi * frequency_Hz
    z = 10 ** p[0] + 10 ** p[1] * s + 10 ** p[2] * np.sqrt(2 / s)
    for k in range(arcs):
        resistance, time, exponent = p[3 + 3 * k: 6 + 3 * k]
        z = z + 10**resistance / (1 + (s * 10**time) ** exponent)
    return np.asarray(z)


def fit_circuit(frequency_Hz: Floats, z: NDArray[np.complex128], arcs: int) -> CircuitFit:
    """Best of several starts."""
    width = max(float(np.ptp(z.real)), 1e-6)
    start_r = math.log10(max(float(np.min(z.real)), 1e-4 * width))
    first, last = math.log10(1 / (2 * math.pi * frequency_Hz.max())), math.log10(1 / (2 * math.pi * frequency_Hz.min()))
    low = np.array([start_r - 2, -11.0, -6.0, *([math.log10(width) - 4, first - 1, 0.5] * arcs)])
    high = np.array([start_r + 1, -4.0, math.log10(width) + 2, *([math.log10(width) + 1, last + 1, 1.0] * arcs)])
    size = np.abs(z)

    def residual(p: Floats) -> Floats:
        wrong = (circuit(p, frequency_Hz, arcs) - z) / size
        return np.concatenate([wrong.real, wrong.imag])

    best = None
    for share in (0.25, 0.5, 0.75):
        times = [first + (last - first) * share] if arcs == 1 else [first + (last - first) * share * 0.6,
                                                                    first + (last - first) * (0.4 + 0.6 * share)]
        p0 = np.array([start_r, -7.0, math.log10(width) - 2, *(v for t in times for v in (math.log10(width / arcs), t, 0.85))])
        fit = optimize.least_squares(residual, np.clip(p0, low + 1e-6, high - 1e-6), bounds=(low, high), max_nfev=200)
        if best is None or fit.cost < best.cost:
            best = fit
    assert best is not None
    n, k = 2 * z.size, best.x.size
    variance = 2 * float(best.cost) / max(n - k, 1)
    jacobian = np.asarray(best.jac, dtype=np.float64)
    covariance = variance * np.linalg.pinv(jacobian.T @ jacobian)
    aicc = n * math.log(max(2 * float(best.cost) / n, 1e-30)) + 2 * k + 2 * k * (k + 1) / max(n - k - 1, 1)
    return CircuitFit(np.asarray(best.x), np.asarray(covariance), math.sqrt(2 * float(best.cost) / n), aicc, arcs)


def measure(ds: xr.Dataset) -> tuple[Measurement, ...]:
    """Series resistance, width of all arcs, and the two arcs apart where they can be told apart."""
    real, imaginary = ds["impedance_real"], ds["impedance_imaginary"]
    if real.ndim != 1:
        return _none("a series of sweeps, of which none is singled out")
    frequency = ds["frequency"].to_numpy().astype(np.float64)
    z = real.to_numpy().astype(np.float64) + 1j * imaginary.to_numpy().astype(np.float64)
    good = np.isfinite(z) & (frequency > 0) & (np.abs(z) > 0)
    frequency, z = frequency[good], z[good]
    if z.size < LEAST_POINTS or frequency.max() < 30 * frequency.min():
        return _none(f"{z.size} usable frequencies are too few, or span too little, for an arc")
    if float(np.median(z.imag)) > 0:
        return _none("most of the spectrum is inductive: the sign of the imaginary part may be turned")
    fits = [fit_circuit(frequency, z, arcs) for arcs in (1, 2)]
    best = fits[1] if fits[1].aicc < fits[0].aicc - BETTER_BY else fits[0]
    if best.residual > LARGEST_RESIDUAL:
        return _none(f"no circuit of one or two arcs fits ({100 * best.residual:.0f} % rms)")
    detail = f"{METHOD}; {best.arcs} arc{'s' if best.arcs > 1 else ''}, {100 * best.residual:.1f} % rms"
    values = 10 ** best.p
    stds = math.log(10) * values * np.sqrt(np.maximum(np.diag(best.covariance), 0))
    found = [_known("eis_series_resistance", float(values[0]), float(stds[0]), detail)]
    rows = [3 + 3 * k for k in range(best.arcs)]
    width = float(values[rows].sum())
    slope = math.log(10) * values[rows]
    width_std = math.sqrt(max(float(slope @ best.covariance[np.ix_(rows, rows)] @ slope), 0.0))
    found.append(_known("eis_arc_width", width, width_std, detail))
    found += _apart(best, values, stds, detail)
    return tuple(found)


def _apart(best: CircuitFit, values: Floats, stds: Floats, detail: str) -> list[Measurement]:
    names = ("eis_first_arc", "eis_second_arc")
    why = ""
    if best.arcs == 1:
        why = "one arc describes the spectrum as well as two"
    else:
        order = sorted((3, 6), key=lambda row: best.p[row + 1])
        if best.p[order[1] + 1] - best.p[order[0] + 1] < math.log10(APART):
            why = "the two arcs have nearly the same time constant"
        elif (stds[order] > values[order] / 3).any():
            why = "the two resistances are not known to a third of themselves"
    if why:
        return [unknown(name, "ohm", detail, f"not identifiable: {why}", TITLES[name]) for name in names]
    return [_known(name, float(values[row]), float(stds[row]), detail) for name, row in zip(names, order, strict=True)]


def _known(name: str, value: float, std: float, method: str) -> Measurement:
    std = math.hypot(std, CIRCUIT_STD * value)
    if not std < value:
        return unknown(name, "ohm", method, f"not identifiable: {value:.3g} ± {std:.3g} ohm", TITLES[name])
    return Measurement(name, value, std, "ohm", method, title=TITLES[name])


def _none(reason: str) -> tuple[Measurement, ...]:
    return tuple(unknown(name, "ohm", METHOD, reason, title) for name, title in TITLES.items())


IMPEDANCE = Descriptor(
    name="impedance", title="Impedance", unit="ohm", techniques=("eis",), method=METHOD, measure=measure, names=tuple(TITLES),
    role=ELECTROCHEMISTRY)
