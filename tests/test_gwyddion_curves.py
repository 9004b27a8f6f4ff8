"""What a Gwyddion file holds beside maps: graphs, spectra, points and maps of curves, written as its serialisers write them."""

import struct

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import open_file


def thing(kind, **parts):
    """An object of a class; components by the type of their value."""
    body = b"".join(component(name, value) for name, value in parts.items())
    return kind.encode() + b"\0" + struct.pack("<I", len(body)) + body


def component(name, value):
    head = name.encode() + b"\0"
    if isinstance(value, bytes):
        return head + b"o" + value
    if isinstance(value, str):
        return head + b"s" + value.encode() + b"\0"
    if isinstance(value, int):
        return head + b"i" + struct.pack("<i", value)
    if isinstance(value, float):
        return head + b"d" + struct.pack("<d", value)
    if isinstance(value, list) and isinstance(value[0], bytes):
        return head + b"O" + struct.pack("<I", len(value)) + b"".join(value)
    if isinstance(value, list) and isinstance(value[0], str):
        return head + b"S" + struct.pack("<I", len(value)) + b"".join(text.encode() + b"\0" for text in value)
    numbers = np.asarray(value)
    letter, dtype = (b"I", "<i4") if numbers.dtype.kind == "i" else (b"D", "<f8")
    return head + letter + struct.pack("<I", numbers.size) + numbers.astype(dtype).tobytes()


def unit(text):
    return thing("GwySIUnit", unitstr=text)


def gwy(path, **parts):
    path.write_bytes(b"GWYP" + thing("GwyContainer", **parts))
    return path


def graph(*curves, title="Profiles"):
    models = [thing("GwyGraphCurveModel", xdata=x, ydata=y, description=name) for name, x, y in curves]
    return thing("GwyGraphModel", curves=models, title=title, x_unit=unit("m"), y_unit=unit("V"), bottom_label="Distance",
                 left_label="Potential")


def lawn(data, lengths, shape, **more):
    return thing("GwyLawn", xres=shape[1], yres=shape[0], xreal=3e-6, yreal=1e-6, si_unit_xy=unit("m"), ncurves=2,
                 curvelengths=np.array(lengths, np.int32), data=data, si_units_curves=[unit("m"), unit("N")],
                 curve_labels=["Z", "Force"], **more)


X = np.linspace(0.0, 1e-6, 5)


def test_curves_of_a_graph_over_one_x_are_one_acquisition_with_a_name_each(tmp_path):
    path = gwy(tmp_path / "a.gwy", **{"/0/graph/graph/1": graph(("Line 1", X, X * 2), ("Line 2", X, X * 3))})
    (signal,) = open_file(path)
    assert signal.title == "Profiles"
    assert [(axis.name, axis.units) for axis in signal.axes] == [("distance", "m")]
    np.testing.assert_array_equal(signal.axes[0].values, X)
    np.testing.assert_array_equal(signal.fields["line_1"].data, X * 2)
    np.testing.assert_array_equal(signal.fields["line_2"].data, X * 3)
    assert signal.fields["line_2"].units == "V"
    assert read_acquisitions(path)[0].attrs["technique"] == "unknown"


def test_curves_of_a_graph_over_other_places_are_acquisitions_of_their_own(tmp_path):
    path = gwy(tmp_path / "a.gwy", **{"/0/graph/graph/1": graph(("Line", X, X), ("Line", X + 1, X), ("Empty", X[:0], X[:0]))})
    first, second = open_file(path)
    assert first.title == second.title == "Profiles, Line"
    np.testing.assert_array_equal(second.axes[0].values, X + 1)
    assert second.warnings == ("1 of 3 curves of 'Profiles' hold no numbers",)


def test_spectra_at_points_keep_their_places(tmp_path):
    lines = [thing("GwyDataLine", res=4, real=2.0, off=-1.0, si_unit_x=unit("V"), si_unit_y=unit("A"), data=np.arange(4.0) * i)
             for i in (1, 2)]
    spectra = thing("GwySpectra", title="I-V", si_unit_xy=unit("m"), coords=[1e-9, 2e-9, 3e-9, 4e-9], data=lines,
                    spec_xlabel="Bias", spec_ylabel="Tip current")
    (signal,) = open_file(gwy(tmp_path / "a.gwy", **{"/sps/0": spectra}))
    position, bias = signal.axes
    assert (signal.title, position.name, bias.name, bias.units) == ("I-V", "position", "bias", "V")
    np.testing.assert_array_equal(bias.values, [-1.0, -0.5, 0.0, 0.5])
    np.testing.assert_array_equal(signal.fields["tip_current"].data, [np.arange(4.0), 2 * np.arange(4.0)])
    assert signal.fields["tip_current"].units == "ampere"
    (ds,) = read_acquisitions(tmp_path / "a.gwy")
    np.testing.assert_allclose(ds["position_x"], [1, 3])  # nm
    np.testing.assert_allclose(ds["position_y"], [2, 4])


def test_scattered_points_keep_x_y_and_value(tmp_path):
    surface = thing("GwySurface", data=np.arange(12.0), si_unit_xy=unit("m"), si_unit_z=unit("V"))
    (signal,) = open_file(gwy(tmp_path / "a.gwy", **{"/surface/0": surface, "/surface/0/title": "Points"}))
    assert signal.title == "Points"
    np.testing.assert_array_equal(signal.fields["value"].data, [2, 5, 8, 11])
    np.testing.assert_array_equal(signal.fields["x_channel"].data, [0, 3, 6, 9])


def test_a_map_of_curves_has_each_curve_at_its_pixel_and_nan_where_it_ends(tmp_path):
    """The numbers of libgwyfile's own test: curves of 3, 0 and 1 points at three pixels."""
    data = np.array([1.0, 3.0, -42.0, 2.0, 3.0, 0.0, -14.5, 3.75])
    segments = np.array([0, 2, 2, 3, 0, 0, 0, 0, 0, 1, 1, 1], np.int32)
    path = gwy(tmp_path / "a.gwy", **{"/lawn/0": lawn(data, [3, 0, 1], (1, 3), nsegments=2, segments=segments,
                                                      segment_labels=["Approach", "Retract"])})
    (signal,) = open_file(path)
    assert [axis.name for axis in signal.axes] == ["y", "x", "point"]
    np.testing.assert_array_equal(signal.fields["z"].data[0], [[1, 3, -42], [np.nan] * 3, [-14.5, np.nan, np.nan]])
    np.testing.assert_array_equal(signal.fields["force"].data[0], [[2, 3, 0], [np.nan] * 3, [3.75, np.nan, np.nan]])
    assert signal.fields["force"].units == "N"
    np.testing.assert_array_equal(signal.fields["segment"].data[0], [[0, 0, 1], [-1] * 3, [0, -1, -1]])
    assert signal.axes[1].values.tolist() == pytest.approx([0, 1e-6, 2e-6])
    assert any("curves of 2 of 3 pixels are shorter" in w for w in signal.warnings)


def test_what_is_of_an_unknown_class_is_named(tmp_path):
    path = gwy(tmp_path / "a.gwy", **{"/0/graph/graph/1": graph(("Line", X, X)), "/0/x": thing("GwyMeadow", data=X)})
    assert open_file(path)[0].warnings == ("/0/x is a GwyMeadow and is not read",)


@pytest.mark.parametrize(("what", "said"), [
    ({"/lawn/0": lawn(np.arange(7.0), [3, 0, 1], (1, 3))}, "1 x 3 pixels of 2 curves and holds 3 lengths and 7 numbers"),
    ({"/sps/0": thing("GwySpectra", coords=[1.0], data=[thing("GwyDataLine", res=1, data=[1.0])])}, "1 spectra and 1 numbers"),
    ({"/surface/0": thing("GwySurface", data=[1.0, 2.0])}, "no points of three"),
    ({"/0/graph/graph/1": graph(("a", X, X[1:]))}, "curve 1 has 5 numbers of x and 4 of y"),
    ({"/0/note": "nothing"}, "holds no map, no volume and no curve"),
])
def test_counts_that_do_not_fit_are_refused(tmp_path, what, said):
    with pytest.raises(FileError, match=said):
        open_file(gwy(tmp_path / "a.gwy", **what))
