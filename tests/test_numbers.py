"""A printed number says no more than its error allows."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.numbers import length, magnitude, with_error


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u2009", "'")


@pytest.mark.parametrize(("value", "std", "unit", "expected"), [
    (99.312, 0.043, "%", "99.31 ± 0.04 %"),
    (1234.6, 12.4, "nm", "1'235 ± 12 nm"),
    (31_300.0, 4_100.0, "e⁻/Å²", "(3.1 ± 0.4) × 10⁴ e⁻/Å²"),
    (-0.512, 0.021, "V", "−0.512 ± 0.021 V"),
    (7.0, 38.0, "nm", "10 ± 40 nm"),
    (0.61, 0.0996, "1", "0.61 ± 0.10"),
    (2e-5, 3e-6, "A", "(2.0 ± 0.3) × 10⁻⁵ A"),
])
def test_value_and_error_end_at_the_same_digit(value, std, unit, expected):
    assert plain(with_error(value, std, unit)) == expected


def test_an_unknown_value_is_a_dash_and_an_unknown_spread_is_said():
    assert with_error(math.nan, 1.0, "nm") == "—"
    assert with_error(None, None, "nm") == "—"
    assert plain(with_error(56.0, math.nan, "nm", why="one profile")) == "56.0 nm (one profile)"
    assert plain(with_error(0.0, None, "nm", why="")) == "0.00 nm"


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e6))
def test_the_printed_number_is_the_value_within_its_error(value, std):
    text = plain(with_error(value, std)).replace("'", "").replace("−", "-")
    match = re.fullmatch(r"\(?(-?[\d.]+) ± ([\d.]+)\)?(?: × 10(\S+))?", text)
    assert match, with_error(value, std)
    powers = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    scale = 10.0 ** int(match[3].translate(powers)) if match[3] else 1.0
    assert float(match[1]) * scale == pytest.approx(value, abs=0.051 * std * 10, rel=1e-9)
    assert float(match[2]) * scale == pytest.approx(std, rel=0.17)


@pytest.mark.parametrize(("nm", "expected"), [
    (0.2, "2.00 Å"), (89.0, "89.0 nm"), (1234.0, "1'230 nm"), (12_900.0, "12.9 µm"), (3.2e6, "3.20 mm")])
def test_a_length_is_told_in_the_unit_that_reads_best(nm, expected):
    assert plain(length(nm)) == expected


def test_a_large_number_is_a_power_of_ten():
    assert plain(magnitude(23_000.0, "e⁻/Å²")) == "2.30 × 10⁴ e⁻/Å²"
