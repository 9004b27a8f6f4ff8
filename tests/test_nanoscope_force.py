"""Force curves of Nanoscope, written byte by byte as AtomicJ and pyfmreader describe them; no real file was to be had.

The cantilever, sensitivities, scan rate and speeds are those of a real header (version 9.20).
"""

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import open_file

SPRING, DEFL_NM_PER_V, Z_NM_PER_V, V_PER_LSB = 0.1332, 27.39, 13.203, 0.000375
RATE_HZ, SPEED_V_PER_S = 1.01725, 462.282
RAMP_V = SPEED_V_PER_S / (2 * RATE_HZ)
OFFSET = 4096


def hard_wall(points, contact):
    """Deflection in nm against time: zero, then as far as the base moves on; the way back is its mirror."""
    step = RAMP_V * Z_NM_PER_V / points
    there = np.clip(np.arange(points) - contact, 0, None) * step
    return there, there[::-1]


def stored(there, back, pause, per_number, dtype):
    """Numbers as the file has them: the approach from contact outwards, padded to the retract, the retract, the pause."""
    padding = np.full(max(back.size - there.size, 0), 7.0)
    ordered = np.concatenate([there[::-1], padding * per_number, back, pause])
    return np.round(ordered / per_number).astype(dtype)


def nanoscope_file(path, curves, *, version="0x0920B046", sizes, force_list=(), channels=1, first="\\*Force file list",
                   range_V=24.576):
    """A header and the numbers of `curves`, each an array as `stored` gives it."""
    data = np.concatenate(curves).tobytes()
    lines = [first, f"\\Version: {version}", "\\Date: 09:57:48 AM Tue Jan 12 2016", "\\*Scanner list",
             f"\\@Sens. Zsens: V {Z_NM_PER_V} nm/V", "\\*Ciao scan list", f"\\@Sens. DeflSens: V {DEFL_NM_PER_V} nm/V",
             "\\Scan Size: 2000 nm", "\\*Ciao force list", f"\\Samps/line: {sizes[1]} {sizes[0]}",
             f"\\Scan rate: {RATE_HZ}", f"\\Forward vel.: {SPEED_V_PER_S}",
             f"\\Reverse vel.: {SPEED_V_PER_S}", "\\force/line: 16",
             f"\\@4:Ramp size Zsweep: V [Sens. Zsens] (0.006713765 V/LSB) {RAMP_V} V", *force_list]
    for i in range(channels):
        name = ("Deflection Error", "Friction")[i]
        lines += ["\\*Ciao force image list", f"\\Data offset: {OFFSET}", f"\\Data length: {len(data)}", "\\Bytes/pixel: 2",
                  f"\\Samps/line: {sizes[1]} {sizes[0]}", f"\\Spring Constant: {SPRING}",
                  f'\\@4:Image Data: S [DeflectionError] "{name}"',
                  f"\\@4:Z scale: V [Sens. DeflSens] ({V_PER_LSB} V/LSB) {range_V} V"]
    head = "\r\n".join([*lines, "\\*File list end"]).encode("latin-1")
    path.write_bytes(head.ljust(OFFSET, b"\x1a") + data)
    return path


PER_NUMBER = V_PER_LSB * DEFL_NM_PER_V
"""nm."""


@pytest.mark.parametrize(("version", "dtype"), [("0x0920B046", "<i4"), ("0x05310001", "<i2")])
def test_a_curve_runs_in_time_to_the_surface_and_back_with_its_force(tmp_path, version, dtype):
    there, back = hard_wall(400, 360)
    path = nanoscope_file(tmp_path / "a.spm", [stored(there, back, [], PER_NUMBER, dtype)], version=version, sizes=(400, 400))
    (ds,) = read_acquisitions(path)
    assert ds.attrs["technique"] == "afm_force"
    assert ds.sizes == {"time": 800}
    assert ds["segment"].values.tolist() == [0] * 400 + [2] * 400
    np.testing.assert_allclose(ds["deflection"], np.concatenate([there, back]), atol=PER_NUMBER)  # half a number, in float32
    np.testing.assert_allclose(ds["force"], SPRING * ds["deflection"], rtol=1e-6)  # N/m times nm is nN
    # the base goes as far as the cantilever bends: the two add up to a constant in contact
    sum_nm = (ds["height"] + ds["deflection"]).values[365:435]
    assert np.ptp(sum_nm) <= 2 * PER_NUMBER + 1e-6
    assert float(ds["height"][0]) == pytest.approx(399 / 400 * 3000, rel=1e-3)  # the ramp is 3 um, to 0.1 % of these headers
    assert ds.attrs["conditions"]["acquired"] == "2016-01-12T09:57:48"


def test_the_way_there_and_back_takes_one_period_of_the_scan_rate(tmp_path):
    there, back = hard_wall(400, 300)
    path = nanoscope_file(tmp_path / "a.spm", [stored(there, back, [], PER_NUMBER, "<i4")], sizes=(400, 400))
    (ds,) = read_acquisitions(path)
    assert float(ds["time"][-1]) * 800 / 799 == pytest.approx(1 / RATE_HZ, rel=1e-6)


def test_a_pause_lies_between_the_two_ways_and_takes_its_time(tmp_path):
    there, back = hard_wall(100, 60)
    pause = np.full(50, there[-1])
    path = nanoscope_file(tmp_path / "a.spm", [stored(there, back, pause, PER_NUMBER, "<i4")], sizes=(100, 100),
                          force_list=("\\Hold Samples: 50", "\\Hold Time: 5"))
    (ds,) = read_acquisitions(path)
    assert ds["segment"].values.tolist() == [0] * 100 + [1] * 50 + [2] * 100
    np.testing.assert_allclose(ds["deflection"], np.concatenate([there, pause, back]), atol=PER_NUMBER)
    assert float(ds["time"][150] - ds["time"][100]) == pytest.approx(5.0, rel=0.02)  # one of its 50 points
    assert ds["height"].values[100:150].tolist() == [0] * 50


def test_an_approach_shorter_than_its_retract_is_padded_in_the_file_and_not_here(tmp_path):
    (there, _), (_, back) = hard_wall(80, 60), hard_wall(100, 60)
    path = nanoscope_file(tmp_path / "a.spm", [stored(there, back, [], PER_NUMBER, "<i4")], sizes=(80, 100))
    (ds,) = read_acquisitions(path)
    assert ds.sizes == {"time": 180}
    np.testing.assert_allclose(ds["deflection"], np.concatenate([there, back]), atol=PER_NUMBER)


def test_the_curves_of_a_map_lie_at_their_places(tmp_path):
    curves = [stored(*hard_wall(40, 20 + i % 5), [], PER_NUMBER, "<i4") for i in range(16 * 2)]
    path = nanoscope_file(tmp_path / "a.pfc", curves, sizes=(40, 40))
    (ds,) = read_acquisitions(path)
    assert ds.sizes == {"position": 32, "time": 80}
    np.testing.assert_allclose(ds["position_x"][:17], [*(125.0 * np.arange(16)), 0.0])
    np.testing.assert_allclose(ds["position_y"][[0, 16]], [125.0, 0.0])  # the first line is the lowest
    np.testing.assert_allclose(ds["deflection"][3, :40], hard_wall(40, 23)[0], atol=PER_NUMBER)


def test_the_lowest_number_is_a_point_that_was_not_measured(tmp_path):
    there, back = hard_wall(40, 20)
    numbers = stored(there, back, [], PER_NUMBER, "<i4")
    numbers[[0, 1]] = -32768
    path = nanoscope_file(tmp_path / "a.spm", [numbers], sizes=(40, 40))
    (ds,) = read_acquisitions(path)
    assert np.flatnonzero(np.isnan(ds["deflection"])).tolist() == [38, 39]
    assert "Deflection: 2 points were not measured: they are NaN" in ds.attrs["warnings"]


def test_a_step_and_a_range_that_disagree_are_spoken_of(tmp_path):
    path = nanoscope_file(tmp_path / "a.spm", [stored(*hard_wall(40, 20), [], PER_NUMBER, "<i4")], sizes=(40, 40), range_V=2.5)
    said = " ".join(read_acquisitions(path)[0].attrs["warnings"])
    assert "0.000375 V by its step and 3.8147e-05 V by its range" in said


def test_a_peakforce_capture_has_its_clock_and_no_height(tmp_path):
    path = nanoscope_file(tmp_path / "a.pfc", [stored(*hard_wall(64, 40), [], PER_NUMBER, "<i4")], sizes=(64, 64),
                          force_list=("\\PeakForce Capture: Allow", "\\PFT Freq: 2 kHz"))
    (ds,) = read_acquisitions(path)
    assert "height" not in ds
    assert float(ds["time"][1]) == pytest.approx(0.5e-3 / 128)
    assert any("the base moves as a sine" in w for w in ds.attrs["warnings"])


def test_points_that_the_header_counts_in_two_ways_are_spoken_of(tmp_path):
    path = nanoscope_file(tmp_path / "a.spm", [stored(*hard_wall(40, 20), [], PER_NUMBER, "<i4")], sizes=(40, 40))
    head, _, tail = path.read_bytes().rpartition(b"Samps/line: 40 40")
    path.write_bytes(head + b"Samps/line: 30 30" + tail)
    said = " ".join(read_acquisitions(path)[0].attrs["warnings"])
    assert "30 30 points by its channel and 40 40 by the list" in said
    assert "take 320 bytes, 1 curves of 60 numbers 240" in said


def test_curves_without_a_clock_and_files_that_were_cut_are_refused(tmp_path):
    path = nanoscope_file(tmp_path / "a.spm", [stored(*hard_wall(40, 20), [], PER_NUMBER, "<i4")], sizes=(40, 40))
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(FileError, match=r"^a\.spm: declares 1 force curves of 80 numbers of 4 bytes at byte 4096"):
        open_file(path)
    path.write_bytes(whole.replace(b"\\Scan rate", b"\\Scan rota").replace(b"\\Forward vel", b"\\Forward val"))
    with pytest.raises(FileError, match="no clock"):
        open_file(path)
