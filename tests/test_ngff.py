"""Transforms leave in OME-NGFF's shape and mean the same there."""

import json

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from registration import FrameGraph, Transform, TransformError
from registration.ngff import coordinate_transformation, displacement_arrays, graph_to_ngff, read_transformation
from registration.thin_plate import thin_plate
from registration.warp import GridField, Warp

POINTS = np.random.default_rng(0).uniform(0, 100, (20, 2))
TURN = np.array([[0.0, -1.0], [1.0, 0.0]])


@pytest.mark.parametrize(("linear", "shift", "kind"), [
    (np.eye(2), [0, 0], "identity"), (np.eye(2), [3, 4], "translation"), (np.diag([2.0, 3.0]), [0, 0], "scale"),
    (TURN, [0, 0], "affine"), (np.array([[1, 0.2], [0.1, 1]]), [5, 6], "affine")])
def test_a_linear_map_gets_the_plainest_word_and_comes_back_bit_for_bit(linear, shift, kind):
    t = Transform.of("edx", "haadf", linear, shift, "affine", None, np.diag([1, 1, 0.1, 0.1, 0.1, 0.1]))
    saved = json.loads(json.dumps(coordinate_transformation(t)))
    assert (saved["type"], saved["input"], saved["output"]) == (kind, "edx", "haadf")
    back = read_transformation(saved)
    assert np.array_equal(back.matrix, t.matrix)
    assert np.array_equal(back.covariance, t.covariance)


def test_another_programs_sequence_is_read_and_its_error_is_unknown():
    saved = {"type": "sequence", "input": "a", "output": "b", "transformations": [
        {"type": "scale", "scale": [2, 3]}, {"type": "rotation", "rotation": TURN.tolist()},
        {"type": "translation", "translation": [10, 20]}]}
    t = read_transformation(saved)
    assert np.allclose(t.apply(POINTS), (POINTS * [2, 3]) @ TURN.T + [10, 20])
    assert t.covariance is None


def test_a_graph_names_its_frames_and_leaves_rejected_edges_out():
    graph = FrameGraph()
    graph.add(Transform.of("edx", "haadf", np.eye(2), [1, 2], "rigid"))
    graph.add(Transform.of("eels", "haadf", np.eye(2), [1, 2], "rigid"), "rejected")
    ome = graph_to_ngff(graph)["ome"]
    assert ome["version"].startswith("0.6")
    assert [s["name"] for s in ome["coordinateSystems"]] == ["edx", "haadf"]
    assert ome["coordinateSystems"][0]["axes"] == [{"name": a, "type": "space", "unit": "nanometer"} for a in "yx"]
    assert len(ome["coordinateTransformations"]) == 1


def test_displacements_mean_the_same_between_their_nodes():
    rng = np.random.default_rng(1)
    field = GridField(np.full(2, -40.0), np.full(2, 20.0), rng.uniform(-2, 2, (10, 10, 2)))
    before = Transform.of("a", "m", np.eye(2), [1, 2], "translation")
    warp = Warp(before, field, Transform.of("n", "b", 2 * np.eye(2), [0, 0], "similarity").renamed(source="m"))
    saved = coordinate_transformation(warp)
    first, bend, last = saved["transformations"]
    (array,) = (displacement_arrays(warp)[p] for p in [bend["path"]])
    scale, shift = (array["coordinateTransformations"][i][k] for i, k in ((0, "scale"), (1, "translation")))
    axes = [shift[a] + scale[a] * np.arange(array["values"].shape[a]) for a in (0, 1)]
    middle = POINTS + first["translation"]
    moved = (middle + RegularGridInterpolator(axes, array["values"])(middle)) * last["scale"]
    # linear between nodes 5 nm apart against a spline of 20 nm that swings by 2 nm: h² u'' / 8 = 0.03 nm, times 2
    assert np.allclose(moved, warp.apply(POINTS), atol=0.1)
    assert coordinate_transformation(warp.inverse())["type"] == "inverseOf"


def test_what_has_no_shape_in_ngff_is_refused():
    plate = thin_plate(POINTS, POINTS + 1, "a", "b")
    with pytest.raises(TransformError, match="on a grid only"):
        coordinate_transformation(plate)
    with pytest.raises(TransformError, match="lacks output"):
        read_transformation({"type": "scale", "input": "a"})
    with pytest.raises(TransformError, match="'byDimension'"):
        read_transformation({"type": "byDimension", "input": "a", "output": "b"})
