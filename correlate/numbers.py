"""A value with its error and unit, as browser, report and command line print it."""

from math import floor, isfinite, log10

THIN, NO_BREAK, MINUS, ABSENT = "\u2009", "\u00a0", "\u2212", "\u2014"
_SUPERSCRIPT = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


def with_error(value: float | None, std: float | None, unit: str = "", *, why: str = "no spread known") -> str:
    """Value ± std unit, rounded to what the error allows.

    The error has two digits if it starts with 1 or 2, else one; the value ends at the same digit. From 10^4 (and below
    10^-3) value and error share one power of ten. Thousands are set apart by a thin space, the minus is a true minus.

    Parameters
    ----------
    value, std
        In the same unit; None or NaN where not known. A std that is not positive counts as not known.
    unit
        Stands after the error; "1" and "" are left out.
    why
        Why there is no std; stands in brackets after the bare value, "" for nothing.

    Returns
    -------
    "99.31 ± 0.04 %", "(3.1 ± 0.4) × 10⁴ e⁻/Å²", "56.0 nm (one profile)", or "—" where the value is not known.
    """
    suffix = f"{NO_BREAK}{unit}" if unit and unit != "1" else ""
    if value is None or not isfinite(value):
        return ABSENT
    if std is None or not isfinite(std) or std <= 0:
        return _bare(value) + suffix + (f" ({why})" if why else "")
    power = _power(max(abs(value), std))
    scaled, error = value / 10**power, std / 10**power
    decimals = _decimals(error)
    body = f"{_fixed(round(scaled, decimals), decimals)}{NO_BREAK}±{NO_BREAK}{_fixed(round(error, decimals), decimals)}"
    return f"({body}){_times(power)}{suffix}" if power else body + suffix


def magnitude(value: float | None, unit: str = "", *, digits: int = 3) -> str:
    """A number whose error is told elsewhere, to so many digits: "2.30 × 10⁴ e⁻/Å²", "89.0 nm"."""
    if value is None or not isfinite(value):
        return ABSENT
    return _bare(value, digits) + (f"{NO_BREAK}{unit}" if unit and unit != "1" else "")


def length(nm: float | None, *, digits: int = 3) -> str:
    """A length in the unit a person would choose: Å, nm, µm or mm."""
    if nm is None or not isfinite(nm):
        return ABSENT
    for size, unit in ((1e6, "mm"), (1e4, "µm"), (1.0, "nm")):
        if abs(nm) >= size:
            factor = {"mm": 1e6, "µm": 1e3, "nm": 1.0}[unit]
            return magnitude(nm / factor, unit, digits=digits)
    return magnitude(nm * 10, "Å", digits=digits) if nm else f"0{NO_BREAK}nm"


def _bare(value: float, digits: int = 3) -> str:
    power = _power(abs(value))
    scaled = value / 10**power
    first = floor(log10(abs(scaled))) if scaled else 0
    text = _fixed(float(f"{scaled:.{digits}g}"), max(0, digits - 1 - first))
    return f"{text}{_times(power)}" if power else text


def _power(size: float) -> int:
    """The power of ten set apart: zero for sizes that read well without one."""
    exponent = floor(log10(size)) if size > 0 else 0
    return exponent if exponent >= 4 or exponent < -3 else 0


def _decimals(error: float) -> int:
    """Decimal places (negative: tens, hundreds) at which the last kept digit of an error stands."""
    first = floor(log10(error))
    two_digits = round(error / 10.0**first, 6) < 3
    return -first + two_digits


def _fixed(value: float, decimals: int) -> str:
    text = f"{abs(value):.{max(decimals, 0)}f}"
    whole, _, fraction = text.partition(".")
    if len(whole) > 3:
        whole = f"{int(whole):,}".replace(",", THIN)
    sign = MINUS if value < 0 and float(text) else ""
    return sign + whole + (f".{fraction}" if fraction else "")


def _times(power: int) -> str:
    return f"{NO_BREAK}×{NO_BREAK}10{str(power).translate(_SUPERSCRIPT)}"
