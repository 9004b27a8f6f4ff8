"""CH Instruments' text: sweeps get their time from the scan rate, and signs are left as they are."""

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import UnreadableFile
from datasets.formats.cells import ch_instruments


def test_a_sweep_has_the_time_that_its_rate_gives_it(tmp_path):
    ds, = read_acquisitions(ch_instruments.example(tmp_path))
    assert ds.attrs["technique"] == "cv"
    np.testing.assert_allclose(ds["time"], 0.1 * np.arange(41), atol=1e-9)
    np.testing.assert_allclose(ds["current"], 1e3 * ds["potential"] / 1e3, atol=1e-9)  # mA through 1 kohm
    assert ds.attrs["conditions"]["acquired"] == "2026-01-23T12:00:00"
    assert any("cathodic or anodic" in w for w in ds.attrs["warnings"])


@pytest.mark.parametrize(("technique", "names", "unit", "expected"), [
    ("Open Circuit Potential - Time", "Time/sec, Potential/V", "cycling", {"potential": 0.5, "current": 0.0}),
    ("Amperometric i-t Curve", "Time/sec, Current/A", "cycling", {"potential": 0.7, "current": 500.0}),
    ("Chronopotentiometry", "Time/sec, Potential/V", "unknown", {}),
])
def test_records_against_time_have_what_the_file_says_and_no_more(tmp_path, technique, names, unit, expected):
    rows = "".join(f"{t}\t0.5\n" for t in range(5))
    (tmp_path / "a.txt").write_text(f"June 21, 2023   16:01:40\n{technique}\nInstrument Model:  CHI660D\nInit E (V) = 0.7\n\n"
                                    f"{names}\n\n{rows}")
    ds, = read_acquisitions(tmp_path / "a.txt")
    assert ds.attrs["technique"] == unit
    np.testing.assert_array_equal(ds["time"], np.arange(5))
    for name, value in expected.items():
        np.testing.assert_allclose(ds[name], value)


def test_a_sweep_without_a_rate_has_no_time(tmp_path):
    path = ch_instruments.example(tmp_path)
    path.write_text(path.read_text().replace("Scan Rate (V/s) = 0.1\n", ""))
    ds, = read_acquisitions(path)
    assert ds.attrs["technique"] == "unknown"
    assert "position" in ds.dims


def test_impedance_of_the_same_program_is_impedance(tmp_path):
    rows = "".join(f"{f:.3e}, 10.0, {-1e4 / f:.4e}, 0, 0\n" for f in (1e4, 1e3, 1e2, 1e1))
    (tmp_path / "a.txt").write_text("Mar. 12, 2026   15:48:13\nA.C. Impedance\nInstrument Model:  CHI760F\n\n"
                                    f"Freq/Hz, Z'/ohm, Z\"/ohm, Z/ohm, Phase/deg\n\n{rows}")
    ds, = read_acquisitions(tmp_path / "a.txt")
    assert ds.attrs["technique"] == "eis"
    np.testing.assert_allclose(ds["impedance_imaginary"], [-1, -10, -100, -1000])


def test_a_damaged_row_is_named(tmp_path):
    path = ch_instruments.example(tmp_path)
    path.write_text(path.read_text().replace("0.100, 1.000e-04", "0.100, l.000e-04", 1))
    with pytest.raises(UnreadableFile, match="line 33"):
        read_acquisitions(path)
