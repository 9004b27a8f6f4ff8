"""The frames of a sample are related by the accepted transforms between them, and by nothing else."""

import json

import numpy as np
import pytest

from registration import FrameError, FrameGraph, Transform

ORIGIN = np.zeros((1, 2))


def step(source, target, shift=(0.0, 0.0), std_nm=1.0):
    return Transform.of(source, target, np.eye(2), shift, "translation", covariance=np.eye(2) * std_nm**2)


def test_a_path_adds_shifts_and_variances_over_both_directions():
    graph = FrameGraph()
    graph.add(step("edx", "haadf", (10, 0), 3.0))
    graph.add(step("eels", "haadf", (0, 5), 4.0))
    path = graph.path("edx", "eels")
    assert np.allclose(path.apply(ORIGIN), [[10, -5]])
    assert np.allclose(path.std_at(ORIGIN), 5)
    assert (path.source, path.target) == ("edx", "eels")


def test_fewer_steps_win_and_then_the_more_certain_one():
    graph = FrameGraph()
    graph.add(step("a", "b", (1, 0), 0.1))
    graph.add(step("b", "c", (1, 0), 0.1))
    graph.add(step("a", "c", (7, 0), 9.0))
    graph.add(step("a", "c", (3, 0), 5.0))
    assert np.allclose(graph.path("a", "c").apply(ORIGIN), [[3, 0]])


def test_a_transform_of_unknown_uncertainty_is_the_last_resort():
    graph = FrameGraph()
    graph.add(Transform.of("a", "b", np.eye(2), (9, 0), "translation"))
    graph.add(step("a", "b", (1, 0), 1000.0))
    assert np.allclose(graph.path("a", "b").apply(ORIGIN), [[1, 0]])


@pytest.mark.parametrize("status", ["proposed", "rejected"])
def test_what_was_not_accepted_relates_nothing(status):
    graph = FrameGraph()
    graph.add(step("a", "b"))
    graph.add(step("b", "c"), status, "no overlap")
    with pytest.raises(FrameError, match="'a' is connected to 'b', 'c' to nothing") as error:
        graph.path("a", "c")
    graph.add(step("a", "c"), status, "no overlap")
    with pytest.raises(FrameError, match=f"{status}: no overlap") as error:
        graph.path("a", "c")
    assert "'a'" in str(error.value)


def test_an_unknown_frame_is_named_with_the_known_ones():
    graph = FrameGraph()
    graph.add(step("a", "b"))
    with pytest.raises(FrameError, match="unknown frame 'z'; known are 'a', 'b'"):
        graph.path("a", "z")


def test_a_frame_is_where_it_is():
    graph = FrameGraph()
    graph.add_frame("lonely")
    graph.add(step("a", "b"))
    assert graph.frames() == ["lonely", "a", "b"]
    assert np.allclose(graph.path("a", "a").apply([[1.0, 2.0]]), [[1, 2]])
    assert graph.connected("lonely") == ["lonely"]


def test_a_loop_of_right_transforms_closes_and_a_wrong_one_stands_out():
    points = np.array([[0.0, 0.0], [100.0, 50.0]])
    graph = FrameGraph()
    graph.add(step("a", "b", (10, 0)))
    graph.add(step("b", "c", (0, 10)))
    graph.add(step("a", "c", (10.5, 10)))
    assert graph.closure(["a", "b", "c"], points).chi2 < 1
    graph = FrameGraph([*graph.edges[:2]])
    graph.add(step("a", "c", (30, 10)))
    closure = graph.closure(["a", "b", "c"], points)
    assert np.allclose(closure.residual, [-20, 0])
    assert closure.chi2 > 50


def test_a_saved_graph_is_the_same():
    graph = FrameGraph()
    graph.add_frame("lonely")
    graph.add(step("a", "b", (10, 1 / 3)))
    graph.add(step("b", "c"), "rejected", "why not")
    back = FrameGraph.from_dict(json.loads(json.dumps(graph.to_dict())))
    assert back.to_dict() == graph.to_dict()


def test_a_frame_cannot_be_mapped_to_itself():
    with pytest.raises(FrameError, match="itself"):
        FrameGraph().add(step("a", "a"))
