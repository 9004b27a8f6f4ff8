"""OPUS files: every block against brukeropus' figures and against what the file itself states."""

import struct

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import open_file
from datasets.formats.infrared import opus

REAL = [
    # file, quantity, which of its kind, points, first and last wavenumber, largest value
    ("ftir_opus_brukeropus.0", "absorbance", 0, 4927, 9997.721, 499.404, 6.0),
    ("ftir_opus_peach_juice.0", "reflectance", 0, 1816, 4000.116, 499.532, 0.92367),
    ("ftir_opus_peach_juice.0", "reflectance", 1, 1816, 4000.116, 499.532, 0.92328),
    ("ftir_opus_scp_test.0000", "absorbance", 0, 2567, 3998.345, 699.389, 6.0),
    ("ftir_opus_scp_background.0", "single_beam", 0, 4096, 5264.702, 0.0, 0.22752),
]


@pytest.mark.parametrize(("file", "quantity", "which", "points", "first", "last", "largest"), REAL)
def test_a_real_file_has_the_axis_and_maximum_that_brukeropus_finds(real_data, file, quantity, which, points, first, last,
                                                                   largest):
    found = [ds for ds in read_acquisitions(real_data / "spectra" / file) if quantity in ds]
    ds = found[which]
    assert ds.attrs["technique"] == "ftir"
    assert ds.attrs["conditions"]["quantity"] == quantity
    assert ds.sizes == {"wavenumber": points}
    np.testing.assert_allclose(ds["wavenumber"][[0, -1]], [first, last], atol=5e-4)
    assert float(ds[quantity].max()) == pytest.approx(largest, abs=5e-6)


@pytest.mark.parametrize(("file", "blocks"), [
    ("ftir_opus_brukeropus.0", 6), ("ftir_opus_peach_juice.0", 7), ("ftir_opus_scp_test.0000", 6),
    ("ftir_opus_scp_background.0", 2)])
def test_every_block_arrives_and_has_the_extremes_that_the_file_states(real_data, file, blocks):
    """MNY and MXY hold for values times CSF: the interferograms of two other readers are 25 and 128 times too large."""
    signals = open_file(real_data / "spectra" / file)
    assert len(signals) == blocks
    for signal in signals:
        stated = signal.metadata["status"]
        np.testing.assert_allclose([signal.main.data.min(), signal.main.data.max()], [stated["MNY"], stated["MXY"]], rtol=1e-5)
        assert signal.shape == (stated["NPT"],)


@pytest.mark.parametrize(("file", "points"), [
    ("ftir_opus_brukeropus.0", [29456, 14728]), ("ftir_opus_scp_background.0", [3177])])
def test_interferograms_arrive_and_are_largest_at_no_path_difference(real_data, file, points):
    """Within two samples: the peak that OPUS notes is that of the sum of all scans."""
    found = [ds for ds in read_acquisitions(real_data / "spectra" / file) if ds.attrs["technique"] == "interferogram"]
    assert [ds.sizes["optical_path_difference"] for ds in found] == points
    for ds in found:
        path, height = ds["optical_path_difference"].data, np.abs(ds["intensity"].data)
        step = abs(path[1] - path[0])
        half = path.size // 2 if path[0] * path[-1] > 0 else path.size
        for part in (slice(0, half), slice(half, None)):
            if height[part].size:
                assert abs(path[part][int(np.argmax(height[part]))]) <= 2 * step


def test_the_example_is_read_back_at_full_size(tmp_path):
    spectrum, fringes = read_acquisitions(opus.example(tmp_path))
    assert float(spectrum["wavenumber"][int(np.argmax(spectrum["absorbance"].data))]) == 1440.0
    assert spectrum.attrs["conditions"]["acquired"] == "2026-01-02T03:04:05+01:00"
    assert float(fringes["intensity"].max()) == pytest.approx(1.0)
    assert float(fringes["optical_path_difference"][256]) == 0.0


def series(tmp_path, ends):
    """A series of spectra by hand; the values of spectrum i are i + 1 everywhere."""
    points = 5
    state = {"DPF": 1, "NPT": points, "FXV": 1000.0, "LXV": 800.0, "CSF": 1.0, "MXY": 1.0, "MNY": 1.0, "DXU": "WN"}
    body = struct.pack("<6i", 0, len(ends), 24, 4 * points, opus.SERIES_STATE.size, 0)
    for i, end in enumerate(ends):
        body += np.full(points, i + 1, "<f4").tobytes()
        extremes = (0.0, 0.0, i + 1.0, i + 1.0, 1.0, 0.0, 0.0)
        body += opus.SERIES_STATE.pack(*[0] * 8, *[0.0] * 4, 0, 0, *extremes, 0, 0, end - 1, end)
    kind = 3 | 3 << 2 | 4 << 10 | opus.SERIES << 19
    blocks = [(kind, body), (kind | opus.STATUS << 4, opus._packed(state))]
    at = 24 + 12 * len(blocks)
    raw = opus.MAGIC + struct.pack("<d3i", 920622.0, 24, 2, 2)
    for code, block in blocks:
        raw += struct.pack("<3i", code, len(block) // 4, at)
        at += len(block)
    path = tmp_path / "series.0"
    path.write_bytes(raw + b"".join(block for _, block in blocks))
    return path


def test_a_series_keeps_its_clock(tmp_path):
    (ds,) = read_acquisitions(series(tmp_path, [2.0, 4.5, 9.0]))
    assert ds["absorbance"].dims == ("time", "wavenumber")
    assert ds["time"].values.tolist() == [2.0, 4.5, 9.0]
    assert ds["absorbance"].max("wavenumber").values.tolist() == [1, 2, 3]


def test_a_series_without_a_clock_is_counted(tmp_path):
    (ds,) = read_acquisitions(series(tmp_path, [0.0, 0.0]))
    assert ds["absorbance"].dims == ("spectrum", "wavenumber")


@pytest.mark.parametrize(("at", "value", "told"), [
    (16, -1, "blocks"), (20, 2 ** 30, "blocks"), (28, 2 ** 28, "does not have"), (40, 2 ** 28, "does not have")])
def test_a_directory_that_points_outside_the_file_is_refused(tmp_path, at, value, told):
    path = opus.example(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[at:at + 4] = struct.pack("<i", value)
    path.write_bytes(raw)
    with pytest.raises(FileError, match=told):
        read_acquisitions(path)


def test_a_parameter_of_negative_size_does_not_hold_the_reader(tmp_path):
    path = opus.example(tmp_path)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"DXU\0\2\0\2\0", b"DXU\0\2\0\xfc\xff"))
    open_file(path)
