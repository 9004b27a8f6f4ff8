"""Scanning probe files: real ones against the figures of other programs, and what their formats allow."""

import struct
import time
import zipfile
from datetime import datetime

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import open_file
from datasets.formats.probes import (
    agilent_mi,
    asd_movie,
    asylum,
    gwyddion,
    jpk_force,
    jpk_image,
    nanonis,
    nanoscope,
    nanosurf,
    park,
    scan_image,
    surface_sdf,
    topostats,
    wsxm,
)
from datasets.formats.probes.scan_image import variable_name
from datasets.writers import gwy, sxm

ACQUIRED = datetime(2026, 3, 1, 12, 30, 15)
IMAGES = [
    # file, shape, pixel in nm, lowest and highest height in nm, another channel
    ("afmreader_sample_0.jpk", (256, 256), 1.2770, 3302.59, 3360.95, "lock_in_phase"),
    ("afmreader_sample_0.top", (512, 512), 0.9766, -80.80, -21.05, None),
    ("afmreader_sample_0.h5-jpk", (4, 128, 128), 1.171875, 722.57, 752.19, "phase_channel_retrace"),
    ("nanonis_gen4_afm_A151216.sxm", (128, 128), 2 / 128, -21.8616, -21.8616, "frequency_shift"),
    ("playnano_asd_sample_0.asd", (32, 200, 200), 0.5, -249.29, 0.0, None),
    ("surfalize_zygo_test_1.dat", (480, 640), 1098.25, 50108.28, 51471.33, None),
    ("surftopo_di-1.di", (512, 512), 500 / 512, -30.31, 28.89, "amplitude_error"),
    ("surftopo_mi-1.mi", (256, 256), 20000 / 256, -629.96, -464.32, "friction_retrace"),
    ("surftopo_nid-1.nid", (256, 256), 20000 / 256, -1982.58, -925.39, "z_axis_sensor"),
    ("surftopo_park_example_ps.tiff", (512, 512), 1000 / 512, -14.98, 21.71, None),
    ("surftopo_sdf-1.sdf", (4, 7), 1000.0, 949.07, 1000.0, None),
]


def folder(real_data):
    return real_data / "afm_txm_apt" / "afm"


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.mark.parametrize(("file", "shape", "pixel", "low", "high", "other"), IMAGES, ids=[i[0] for i in IMAGES])
def test_a_real_scan_has_the_heights_and_sizes_that_other_programs_find(real_data, file, shape, pixel, low, high, other):
    """Figures are rounded to two decimals of a nanometre; steps to four digits."""
    (ds,) = read_acquisitions(folder(real_data) / file)
    height = ds["height"]
    assert ds.attrs["technique"] == "afm"
    assert height.shape == shape
    assert height.attrs["units"] == "nm"
    for axis in "yx":
        assert ds[axis].attrs["units"] == "nm"
        assert float(ds[axis][1] - ds[axis][0]) == pytest.approx(pixel, rel=1e-4)
    assert (float(height.min()), float(height.max())) == (pytest.approx(low, abs=6e-3), pytest.approx(high, abs=6e-3))
    assert other is None or other in ds


def test_heights_without_a_unit_are_kept_as_such_and_said(real_data):
    for file, high in (("gwyfile_test.gwy", 0.001), ("surftopo_10x10_unnamed_channel.ibw", 2.0)):
        (ds,) = read_acquisitions(folder(real_data) / file)
        assert ds["height"].attrs["units"] == "arbitrary"
        assert float(ds["height"].max()) == pytest.approx(high)
        assert set(ds.attrs["uncalibrated"]) == {"y", "x"}
        assert any("is taken for the height" in w for w in ds.attrs["warnings"])


def test_a_map_of_light_on_a_surface_is_no_height(real_data):
    (ds,) = read_acquisitions(folder(real_data) / "rsciio_test_surface.sur")
    assert ds.attrs["technique"] == "afm_channel"
    assert ds["intensity"].shape == (128, 128)
    assert float(ds["x"][1]) == pytest.approx(82.52, abs=5e-3)
    assert float(ds["intensity"].min()) == pytest.approx(238.5, abs=0.1)
    assert float(ds["intensity"].max()) == pytest.approx(512.3, abs=0.1)


def test_a_truncated_nanoscope_file_is_refused_by_name(real_data):
    with pytest.raises(FileError, match=r"^bad_surftopo_di_corrupted\.di: declares 256 x 256 numbers .* the file ends at"):
        open_file(folder(real_data) / "bad_surftopo_di_corrupted.di")


def test_a_movie_keeps_the_times_of_its_frames(real_data):
    (slow,) = read_acquisitions(folder(real_data) / "playnano_asd_sample_0.asd")
    np.testing.assert_allclose(slow["time"], np.arange(32.0))
    (fast,) = read_acquisitions(folder(real_data) / "afmreader_sample_0.h5-jpk")
    np.testing.assert_allclose(fast["nominal_time"], [0, 3.2, 6.4, 9.6])
    np.testing.assert_allclose(fast["time"], [0, 3.275, 6.55, 9.825])  # the file's own clock, with the ways back


def test_a_long_jpk_movie_is_read_when_its_frames_are_used(tmp_path, monkeypatch):
    path = jpk_image.example_hdf5(tmp_path)
    (whole,) = read_acquisitions(path)
    monkeypatch.setattr(jpk_image, "AT_ONCE_BYTES", 0)
    monkeypatch.setattr(jpk_image, "FRAMES_BYTES", 1)
    (lazy,) = read_acquisitions(path)
    assert isinstance(whole["height"].data, np.ndarray)
    assert lazy["height"].chunks[0] == (1,) * whole.sizes["time"]
    np.testing.assert_array_equal(lazy["height"], whole["height"])
    np.testing.assert_array_equal(lazy["height"][1, 3:5, 2], whole["height"][1, 3:5, 2])


def test_the_shape_of_a_real_surface_does_not_depend_on_its_scale(real_data):
    """Skewness and kurtosis are free of the phase resolution, in which surfalize errs by 8: -0.45727 and 2.11955."""
    (ds,) = read_acquisitions(folder(real_data) / "surfalize_zygo_test_1.dat")
    z = ds["height"].values - ds["height"].values.mean()
    assert (z ** 3).mean() / z.std() ** 3 == pytest.approx(-0.45727, abs=1e-5)
    assert (z ** 4).mean() / z.std() ** 4 == pytest.approx(2.11955, abs=1e-5)
    assert z.std() == pytest.approx(602.306 / 8, abs=1e-3)


CURVES = [
    # file, curves, points, spring constant N/m
    ("afmformats_2020.02.07.jpk-qi-data", 4, 600, 0.03011),
    ("afmformats_igor_fd_SiN.ibw", 1, 2016, 1.184),
    ("afmformats_spot3-0192.jpk-force", 1, 4000, 0.0435),
]


@pytest.mark.parametrize(("file", "curves", "points", "spring"), CURVES, ids=[c[0] for c in CURVES])
def test_real_force_curves_have_their_points_and_spring_constants(real_data, file, curves, points, spring):
    (ds,) = read_acquisitions(folder(real_data) / file)
    assert ds.attrs["technique"] == "afm_force"
    assert dict(ds.sizes) == ({"position": curves, "time": points} if curves > 1 else {"time": points})
    bent = np.abs(ds["deflection"]) > 1
    np.testing.assert_allclose(ds["force"].where(bent), ds["deflection"].where(bent) * spring, rtol=1e-3)
    assert ds["force"].attrs["units"] == "nN"
    assert set(np.unique(ds["segment"])) <= {-1, 0, 2}


def test_a_curve_that_was_cut_short_ends_in_nothing_and_that_is_said(real_data):
    """One of four has 597 points."""
    (ds,) = read_acquisitions(folder(real_data) / "afmformats_2020.02.07.jpk-qi-data")
    assert int(np.isnan(ds["deflection"]).sum()) == int((ds["segment"] == -1).sum()) == 3
    assert any("1 of 4 curves are shorter" in w for w in ds.attrs["warnings"])
    np.testing.assert_allclose(np.diff(ds["position_x"]), 1e4 / 128, rtol=1e-6)


SLOPES = [agilent_mi, nanonis, nanoscope, nanosurf, gwyddion, asylum, jpk_image, park, surface_sdf]


def nid_of_curves(path, points):
    """Two curves there and back over 1 µm, of 8 samples a second and way; the second way there has fewer points."""
    text = ["[DataSet]", "Version=2", "GroupCount=2", "Gr0-Name=Spec forward", "Gr0-Count=1", "Gr0-Ch0=DataSet-0:0",
            "Gr1-Name=Spec backward", "Gr1-Count=1", "Gr1-Ch0=DataSet-1:0",
            "[DataSet\\Parameters\\Spectroscopy]", "FwModTime=D[1]*[s]", "BwModTime=D[1]*[s]", "FwModDatapoints=L[8]*[]",
            "BwModDatapoints=L[8]*[]", "[DataSet\\Calibration\\Cantilever]", "Prop0=D[2]*[N/m]", "Prop8=D[15]*[°]"]
    for group, word in enumerate(("forward", "backward")):
        text += [f"[DataSet-{group}:0]", "Points=8", "Lines=2", f"Frame=Spec {word}", "Dim0Name=Z-Axis", "Dim0Unit=m",
                 "Dim0Range=1e-06", "Dim0Min=0", "Dim1Name=SpecPoint", "Dim2Name=Deflection", "Dim2Unit=N",
                 "Dim2Range=6.5536e-05", "Dim2Min=-3.2768e-05", "LineDim1Range=5e-07", "LineDim1Min=0",
                 f"LineDim1Points={points if word == 'forward' else 8}",
                 "SaveMode=Binary", "SaveBits=16", "SaveSign=Signed", "SaveOrder=Intel"]
    numbers = np.tile(np.array([0, 0, 0, 0, 1, 2, 3, 4], "<i2"), 4)
    path.write_bytes("\r\n".join([*text, ""]).encode() + b"#!" + numbers.tobytes())
    return path


def test_a_nanosurf_curve_goes_to_the_surface_and_back_in_time(tmp_path):
    """Both ways lie in the file along the height; in time the force is highest in the middle, and deflection is force / k."""
    (ds,) = read_acquisitions(nid_of_curves(tmp_path / "a.nid", 5))
    assert ds.attrs["technique"] == "afm_force"
    assert ds.sizes == {"position": 2, "time": 16}
    force = ds["force"].values
    np.testing.assert_allclose(force[0], [0, 0, 0, 0, 1, 2, 3, 4, 4, 3, 2, 1, 0, 0, 0, 0])
    np.testing.assert_allclose(ds["deflection"], force / 2.0)
    np.testing.assert_allclose(ds["height"][0, [0, 7, 8, 15]], [0, 1000, 1000, 0])
    np.testing.assert_allclose(ds["height"][1, :5], np.linspace(0, 500, 5))
    assert np.isnan(force[1, 13:]).all(), "five points there, eight back"
    assert ds["segment"].values[0].tolist() == [0] * 8 + [2] * 8
    assert float(ds["time"][1]) == pytest.approx(0.125)


def test_channels_that_bear_the_names_of_axes_stand_beside_them(tmp_path):
    """Nanonis saves X and Y of the sensors if asked to, JPK the time of each point; neither is a height."""
    grid = {"pixel": (1e-9, 1e-9), "lateral": "m"}
    channels = [scan_image.Channel(name, np.ones((3, 4)), "m", **grid) for name in ("X", "Z", "Y")]
    (signal,) = scan_image.signals(tmp_path / "a.sxm", channels)
    assert list(signal.fields) == ["height", "x_channel", "y_channel"]
    (signal,) = scan_image.signals(tmp_path / "a.sxm", channels[:1])
    assert signal.kind == "AFM channel"


def test_a_jpk_channel_of_even_steps_is_computed_from_them(tmp_path):
    """As the times of a QI series: the archive holds no numbers of it, but the first and the step."""
    path = tmp_path / "a.jpk-qi-series"
    with zipfile.ZipFile(jpk_force.example(tmp_path)) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name.endswith("segment-header.properties"):
                text = text.replace(b"channels.list=", b"channels.list=time ") + b"\n" + b"\n".join(
                    b"channel.time." + line for line in (b"type=raster-data", b"data.num-points=50", b"data.start=0.1",
                                                        b"data.step=0.2", b"unit.unit=s"))
            new.writestr(name, text)
    (ds,) = read_acquisitions(path)
    np.testing.assert_allclose(ds["time_channel"][:3], [0.1, 0.3, 0.5], rtol=1e-6)
    assert ds["time_channel"].attrs["units"] == "s"


def test_degrees_in_a_nanosurf_header_are_degrees_in_either_coding(tmp_path):
    path = nanosurf.example(tmp_path)
    raw = path.read_bytes()
    for coding in ("utf-8", "latin-1"):
        degrees = "Dim2Name=Phase\r\nDim2Unit=°".encode(coding)
        path.write_bytes(raw.replace(b"Dim2Name=Z-Axis\r\nDim2Unit=m", degrees))
        (signal,) = open_file(path)
        assert signal.main.units == "deg"


def test_a_height_sensor_without_a_calibration_gives_volts():
    """Asylum writes 1 m/V for a sensitivity that nobody set; a real scan has 0.6 to 1.2 of its ZSensor, hardly metres."""
    assert asylum._unit_of("ZSensorTrace", {"ZLVDTSens": "-1"}, "m") == "V"
    assert asylum._unit_of("ZSensorTrace", {"ZLVDTSens": "-9.1e-7"}, "m") == "m"


@pytest.mark.parametrize("write", [module.example for module in SLOPES], ids=[m.__name__.split(".")[-1] for m in SLOPES])
def test_every_format_puts_the_first_row_of_a_scan_at_the_top(write, tmp_path):
    """Each example is a slope that rises along rows from the upper left, stored as its format stores it."""
    (ds,) = read_acquisitions(write(tmp_path))
    height = ds["height"].values
    assert height.shape == (16, 24)
    assert (np.diff(height.ravel()) > 0).all()
    assert float(ds["x"][1]) == pytest.approx(10.0)
    assert float(ds["y"][1]) == pytest.approx(10.0)


@pytest.mark.parametrize(("name", "expected"), [
    ("HeightTrace", ("height", False)), ("HeightRetrace", ("height", True)),
    ("Height (measured, retrace)", ("height_measured", True)), ("Z [bwd]", ("z", True)),
    ("Deflection (backward)", ("deflection", True)), ("Z-Axis", ("z_axis", False)),
    ("AmplitudeError", ("amplitude_error", False)), ("Feedback", ("feedback", False)), ("???", ("channel", False)),
])
def test_vendors_names_become_one_manner_of_names(name, expected):
    assert variable_name(name) == expected


def test_a_wsxm_range_keeps_its_decimals_and_its_zero(tmp_path):
    path = wsxm.example(tmp_path)
    (ds,) = read_acquisitions(path)
    assert (float(ds["height"].min()), float(ds["height"].max())) == (0.0, pytest.approx(38.3, rel=1e-6))
    path.write_bytes(path.read_bytes().replace(b"Minimum: 0", b"Minimum: 7"))
    (moved,) = read_acquisitions(path)
    assert any("they run from 0 to 383" in w for w in moved.attrs["warnings"])


def wsxm_curve(path, rows, general, what="FZ curve file"):
    """A curve of WSxM, as AtomicJ and SciFiReaders describe it."""
    general = {"Number of lines": rows.shape[1] // 2, "Number of points": len(rows), "X axis text": "Z[nm]",
               "X axis unit": "nm", "Y axis text": "Normal force [V]", "Y axis unit": "V", **general}
    body = ["[Control]", "    Number of Curves in this serie: 1", "[General Info]",
            *(f"    {key}: {value}" for key, value in general.items()), "[Header end]", ""]
    text, size = "", 0
    for _ in range(2):
        text = "\r\n".join(["WSxM file copyright WSxM solutions", what, f"Image header size: {size:4d}", *body])
        size = len(text)
    path.write_bytes(text.encode("latin-1") + "".join(" ".join(f"{v:g}" for v in row) + "\r\n" for row in rows).encode())
    return path


def test_a_wsxm_curve_there_and_back_is_scaled_by_its_own_factor(tmp_path):
    z = np.arange(5.0)
    rows = np.column_stack([z, 2 * z, z, 3 * z])
    path = wsxm_curve(tmp_path / "a.cur", rows, {"Conversion Factor 00": "0.5 nN", "Conversion Offset 00": "1 nN",
                                                "Channel is inverted": "Yes"})
    (signal,) = open_file(path)
    assert [axis.name for axis in signal.axes] == ["curve", "z"]
    np.testing.assert_allclose(signal.fields["normal_force"].data, [1 - z, 1 - 1.5 * z])
    assert signal.fields["normal_force"].units == "nN"
    assert read_acquisitions(path)[0].attrs["technique"] == "unknown"  # it has no clock


def test_wsxm_curves_that_go_and_come_along_other_places_keep_both(tmp_path):
    there, back = np.arange(5.0), np.arange(5.0)[::-1]
    path = wsxm_curve(tmp_path / "a.cur", np.column_stack([there, there, back, back]), {}, "Generic curve file")
    (signal,) = open_file(path)
    np.testing.assert_array_equal(signal.fields["z"].data, [there, back])
    np.testing.assert_array_equal(signal.fields["normal_force"].data, [there, back])


def test_a_wsxm_curve_that_was_cut_or_is_something_else_is_refused(tmp_path):
    path = wsxm_curve(tmp_path / "a.cur", np.ones((6, 2)), {})
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(FileError, match="declares 6 points and holds"):
        open_file(path)
    path.write_bytes(b"WSxM file copyright WSxM solutions\r\nMovie file\r\nImage header size: 100\r\n" + bytes(100))
    with pytest.raises(FileError, match=r"^a\.cur: is 'Movie file', neither an image nor a curve of WSxM"):
        open_file(path)


def test_nanoscope_numbers_of_four_bytes_that_declare_two_are_known_by_their_version(tmp_path):
    """From version 9.2 on."""
    path = nanoscope.example(tmp_path)
    head, data = path.read_bytes()[:2048], np.frombuffer(path.read_bytes()[2048:], "<i2")
    (expected,) = read_acquisitions(path)
    head = head.replace(b"0x05310001", b"0x09200000").replace(b"Data length: 768", b"Data length: 1536").rstrip(b"\x1a")
    path.write_bytes(head.ljust(2048, b"\x1a") + data.astype("<i4").tobytes())
    (found,) = read_acquisitions(path)
    np.testing.assert_allclose(found["height"], expected["height"])


def test_a_nanoscope_unit_may_have_parentheses_of_its_own(tmp_path):
    path = nanoscope.example(tmp_path)
    plain = path.read_bytes()
    text = plain[:2048].replace(b'"Height"', b'"Log"').replace(b"S [Height]", b"S [Log]").replace(
        b"V [Sens. Zsens] (0.006713867 V/LSB) 10.0 V", b"V (0.0003 log(Arb)/LSB) 10.0 log(Arb)").rstrip(b"\x1a")
    path.write_bytes(text.ljust(2048, b"\x1a") + plain[2048:])
    (ds,) = read_acquisitions(path)
    assert float(ds["height"].max()) == pytest.approx(383 * 50 * 10 / 65536)
    assert ds["height"].attrs["units"] == "arbitrary"


def test_a_nanoscope_width_in_micrometres_is_one(tmp_path):
    path = nanoscope.example(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"Scan size: 240 160 nm", b"Scan size: 2.4 1.6 ~m"))
    (ds,) = read_acquisitions(path)
    assert (float(ds["y"][1]), float(ds["x"][1])) == (pytest.approx(100.0), pytest.approx(100.0))


def test_a_stopped_nanonis_scan_says_how_much_was_not_reached(tmp_path):
    path = nanonis.example(tmp_path)
    raw = path.read_bytes()
    path.write_bytes(raw[:-16 * 24 * 8 + 4 * 24 * 8] + np.full(24 * 8, np.nan, ">f4").tobytes() + raw[-16 * 24 * 4:])
    (ds,) = read_acquisitions(path)
    assert int(np.isnan(ds["height"]).sum()) == 192
    assert any("192 of 384 pixels were not reached" in w for w in ds.attrs["warnings"])


def test_a_point_that_was_not_measured_is_no_height(tmp_path):
    path = tmp_path / "a.sdf"
    head = ["aISO-1.0", "NumPoints = 3", "NumProfiles = 2", "Xscale = 1e-6", "Yscale = 2e-6", "Zscale = 1e-9",
            "DataType = 7", "*"]
    path.write_text("\n".join([*head, "1 2 BAD", "4 5 6", "*"]))
    (ds,) = read_acquisitions(path)
    np.testing.assert_allclose(ds["height"], [[1, 2, np.nan], [4, 5, 6]])
    assert any("1 points were not measured" in w for w in ds.attrs["warnings"])


def test_channels_of_another_size_become_an_acquisition_of_their_own(tmp_path, rng):
    first = gwy.write(tmp_path / "a.gwy", {"Height": rng.normal(size=(8, 9))}, pixel_size_nm=(5.0, 5.0)).read_bytes()
    second = gwy.write(tmp_path / "b.gwy", {"Phase": rng.normal(size=(4, 9))}, pixel_size_nm=(5.0, 5.0)).read_bytes()
    body = first[21:] + second[21:].replace(b"/0/", b"/1/")
    (tmp_path / "c.gwy").write_bytes(b"GWYPGwyContainer\0" + struct.pack("<I", len(body)) + body)
    found = read_acquisitions(tmp_path / "c.gwy")
    assert [ds.attrs["technique"] for ds in found] == ["afm", "afm_channel"]
    assert [tuple(ds.sizes.values()) for ds in found] == [(8, 9), (4, 9)]


def test_a_long_movie_is_read_when_its_frames_are_used(tmp_path, monkeypatch):
    """And gives the same figures as one that is read at once."""
    (whole,) = open_file(asd_movie.example(tmp_path))
    monkeypatch.setattr(asd_movie, "AT_ONCE_BYTES", 0)
    (lazy,) = open_file(tmp_path / whole.source.name)
    assert not isinstance(lazy.main.data, np.ndarray)
    np.testing.assert_array_equal(np.asarray(lazy.main.data), whole.main.data)
    assert lazy.main.data.dtype == whole.main.data.dtype


def test_what_topostats_flattened_is_a_height_in_nm_and_no_image_of_electrons(tmp_path):
    (ds,) = read_acquisitions(topostats.example(tmp_path))
    assert ds.attrs["technique"] == "afm"
    assert ds["height"].attrs["units"] == "nm"
    assert float(ds["x"][1]) == 2.0
    np.testing.assert_allclose(ds["height_before_flattening"] - ds["height"], 100)
    assert any("grain_masks" in warning for warning in ds.attrs["warnings"])


def test_a_comment_in_the_oldest_movies_moves_no_pixel(tmp_path):
    """In version 0 the length of the header counts neither the comment nor the gap before it; equal to AFMReader on 2 files.

    Taken for pixels, header and comment shift every frame and make heights of micrometres.
    """
    user, gap, comment = b"b\0i\0", 88, b"m\0i\0c\0a\0"
    values = {"version": 0, "channel1": b"TP", "channel2": b"\0\0", "header": asd_movie.V0.size + len(user) + 8,
              "frame_header": asd_movie.FRAME.itemsize, "user": len(user), "comment_offset": gap, "comment": len(comment),
              "columns": 3, "rows": 2, "width": 30, "height": 20, "frame_time": 400.0, "extension": 10.0, "gain": 2.0,
              "converter": 0x40000, "bits": 12, "year": 2022, "month": 7, "day": 15, "frames": 2}
    head = asd_movie.V0.pack(*(values.get(name or "", 0) for name in asd_movie.V0_NAMES))
    levels = np.arange(12, dtype="<i2").reshape(2, 2, 3)
    frames = b""
    for number, frame in enumerate(levels):
        own = np.zeros(1, asd_movie.FRAME)
        own["number"], own["x_offset"] = number + 1, 828
        frames += own.tobytes() + frame.tobytes()
    path = tmp_path / "a.asd"
    path.write_bytes(head + user + bytes(8) + bytes(gap) + comment + frames)
    (ds,) = read_acquisitions(path)
    np.testing.assert_allclose(ds["height"], 100 - levels * (2 * 5.0 / 4096 * 20), rtol=1e-5)
    assert ds["x_offset"].values.tolist() == [828, 828]


def test_asd_frames_keep_where_the_scanner_was(tmp_path):
    path = asd_movie.example(tmp_path)
    (ds,) = read_acquisitions(path)
    assert dict(ds.sizes) == {"time": 3, "y": 16, "x": 24}
    np.testing.assert_allclose(ds["time"], [0, 0.5, 1.0])
    step = 2 * 5.0 / 4096 * 20.0  # bipolar 5 V over 4096 levels, 10 nm/V, gain 2
    np.testing.assert_allclose(np.diff(ds["height"].values.ravel()), -step, rtol=1e-3)
    assert "x_offset" in ds.coords


def test_a_jpk_conversion_starts_from_the_one_it_names(tmp_path):
    """Volts to distance to force: 1 mV x 70 nm/V x 0.04 N/m a count."""
    (ds,) = read_acquisitions(jpk_force.example(tmp_path))
    np.testing.assert_allclose(ds["force"].values[0], 49e-3 * 70 * 0.04)
    np.testing.assert_allclose(ds["deflection"].values[0], 49e-3 * 70)
    assert ds["segment"].values.tolist() == [0] * 50 + [2] * 50
    np.testing.assert_allclose(np.diff(ds["time"]), 0.01)


def test_a_zip_that_is_no_force_curve_is_not_taken(tmp_path):
    path = tmp_path / "a.jpk-force"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "hello")
    with pytest.raises(FileError, match="no reader recognises"):
        open_file(path)


@pytest.mark.parametrize("upwards", [False, True])
def test_the_virtual_specimens_scans_are_read_as_written(tmp_path, rng, upwards):
    height, back = rng.normal(size=(2, 20, 30)).astype(np.float32)
    size = {"pixel_size_nm": (5.0, 4.0)}
    (a,) = read_acquisitions(sxm.write(tmp_path / "a.sxm", height, backward_nm=back, acquired=ACQUIRED, upwards=upwards,
                                       **size))
    maps = {"Height": height, "Height (backward)": back}
    (b,) = read_acquisitions(gwy.write(tmp_path / "a.gwy", maps, **size))
    for ds in (a, b):
        np.testing.assert_allclose(ds["height"], height, rtol=1e-5)
        np.testing.assert_allclose(ds["height_retrace"], back, rtol=1e-5)
        assert (float(ds["y"][1]), float(ds["x"][1])) == (pytest.approx(5.0), pytest.approx(4.0))
    assert a.attrs["conditions"]["acquired"] == ACQUIRED.isoformat()


def test_a_wsxm_image_is_read_in_milliseconds(real_data):
    """AFMReader takes 84 ms of processor time (measured elsewhere); a tenth of that even beside other work."""
    path = folder(real_data) / "afmreader_sample_0.top"
    taken = []
    for _ in range(5):
        start = time.process_time()
        open_file(path)
        taken.append(time.process_time() - start)
    assert min(taken) < 0.0084


def test_a_scan_and_its_nexus_file_agree(real_data):
    """Pynxtools-spm wrote the one from the other; it does not turn a scan upwards or the way back, which is done here."""
    (scan,) = read_acquisitions(folder(real_data) / "nanonis_gen4_afm_A151216.sxm")
    (nexus,) = read_acquisitions(folder(real_data) / "nanonis_gen4_afm_nxs_truth.nxs")
    assert nexus.attrs["technique"] == "afm"
    np.testing.assert_allclose(nexus["height"], -21.8616, atol=1e-4)
    for name in ("frequency_shift", "tip_current", "excitation"):
        np.testing.assert_array_equal(np.sort(nexus[name].values.ravel()), np.sort(scan[name].values.ravel()))
    assert float(nexus["x"][1]) == pytest.approx(2 / 127, rel=1e-6)  # its axes end at the edges of the scan: N - 1
