"""Loops of frames close after the adjustment, by no more than the stated errors, and what is stated afterwards holds."""

import json

import numpy as np
import pytest
from scipy.stats import chi2

from registration import Adjustment, FrameError, FrameGraph, Transform, adjusted
from registration.transform import n_parameters

POINTS = np.array([[0.0, 0.0], [400.0, 0.0], [0.0, 400.0], [250.0, 300.0]])


def frame(rng, name, model="similarity"):
    """A frame of a sample: its transform to the specimen."""
    t = rng.uniform(-3, 3)
    linear = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    if model != "rigid":
        linear = linear * rng.uniform(0.8, 1.25)
    return Transform.of(name, "specimen", linear, rng.uniform(-300, 300, 2), model)


def exact(a, b):
    return a.then(b.inverse())


def covariance(rng, model, shift_nm=3.0, turn=0.004):
    k = n_parameters(model, 2)
    a = rng.standard_normal((k, 2 * k))
    scale = np.r_[shift_nm, shift_nm, np.full(k - 2, turn)]
    return (a @ a.T / (2 * k)) * np.outer(scale, scale)


def measured(rng, a, b, model="similarity"):
    """The transform between two frames as a registration gives it: off by a draw from its stated covariance."""
    true = exact(a, b)
    c = covariance(rng, model)
    centre = np.array([200.0, 200.0])
    seat = Transform(true.source, true.target, true.matrix, true.model, centre)
    wrong = seat.perturbed(rng.multivariate_normal(np.zeros(len(c)), c)) if model == seat.model else seat
    linear = wrong.linear
    if model == "rigid":
        u, _, vt = np.linalg.svd(linear)
        linear = u @ vt
    middle = wrong.apply(centre[None])[0]
    return Transform(true.source, true.target, np.c_[linear, middle - linear @ centre], model, centre, c)


def square(rng, model="similarity", chords=(("a", "c"),)):
    frames = {n: frame(rng, n, model) for n in "abcd"}
    pairs = [("a", "b"), ("b", "c"), ("d", "c"), ("d", "a"), *chords]
    return frames, FrameGraph(), pairs


def graph_of(rng, frames, pairs, model="similarity"):
    graph = FrameGraph()
    for a, b in pairs:
        graph.add(measured(rng, frames[a], frames[b], model))
    return graph


def misplaced(transform, truth):
    wrong = transform.apply(POINTS) - truth.apply(POINTS)
    return np.einsum("ni,ni->n", wrong, np.linalg.solve(transform.covariance_at(POINTS), wrong[..., None])[..., 0])


@pytest.mark.parametrize("model", ["rigid", "similarity", "affine"])
def test_every_loop_closes_after_the_adjustment(model):
    rng = np.random.default_rng(1)
    kind = "similarity" if model == "affine" else model
    frames, _, pairs = square(rng, kind)
    graph = FrameGraph()
    for a, b in pairs:
        true = exact(frames[a], frames[b])
        graph.add(Transform(a, b, measured(rng, frames[a], frames[b], kind).matrix, model, np.array([200.0, 200.0]),
                            covariance(rng, model)) if model == "affine" else measured(rng, frames[a], frames[b], kind))
        assert true.source == a
    found = adjusted(graph)
    for loop in (("a", "b", "c"), ("a", "c", "d"), ("a", "b", "c", "d")):
        assert np.abs(graph.closure(loop, POINTS).residual).max() > 0.1
        assert np.abs(found.graph.closure(loop, POINTS).residual).max() < 1e-6
    assert all(e.transform.model == model for e in found.graph.edges)


def test_the_corrections_are_as_large_as_the_stated_errors_say():
    """The mean of chi² over draws is its freedom; 120 draws of 8 degrees know it to 5 %, taken three times."""
    rng = np.random.default_rng(2)
    found = []
    for _ in range(120):
        frames, _, pairs = square(rng)
        found.append(adjusted(graph_of(rng, frames, pairs)))
    assert {f.freedom for f in found} == {8}  # two loops of four parameters
    assert np.mean([f.chi2 for f in found]) / 8 == pytest.approx(1, abs=0.15)
    assert np.mean([f.probability < 0.05 for f in found]) < 0.12


def test_stated_regions_of_adjusted_and_of_composed_paths_hold_the_truth():
    """95 % regions along three edges and along the adjusted graph; 150 draws know the rate to 1.8 %."""
    rng = np.random.default_rng(3)
    composed, together = [], []
    for _ in range(150):
        frames, _, pairs = square(rng)
        graph = graph_of(rng, frames, pairs)
        truth = exact(frames["a"], frames["d"])
        chain = FrameGraph(graph.edges[:3])
        composed.append((misplaced(chain.path("a", "d"), truth) < chi2.ppf(0.95, 2)).mean())
        together.append((misplaced(adjusted(graph).path("a", "d"), truth) < chi2.ppf(0.95, 2)).mean())
    assert 0.90 <= np.mean(composed) <= 0.98
    assert 0.90 <= np.mean(together) <= 0.98


def test_an_adjustment_makes_positions_more_certain_never_less():
    rng = np.random.default_rng(4)
    frames, _, pairs = square(rng)
    graph = graph_of(rng, frames, pairs)
    found = adjusted(graph)
    for before, after in zip(graph.edges, found.graph.edges, strict=True):
        assert (after.transform.std_at(POINTS) <= before.transform.std_at(POINTS) * (1 + 1e-9)).all()


def test_an_exact_edge_and_a_graph_without_loops_stay_as_they_are():
    rng = np.random.default_rng(5)
    frames, _, pairs = square(rng, chords=())
    graph = graph_of(rng, frames, pairs[:3])
    found = adjusted(graph)
    assert found.freedom == 0
    assert np.isnan(found.probability)
    assert all((a.transform.matrix == b.transform.matrix).all() for a, b in zip(graph.edges, found.graph.edges, strict=True))
    true = exact(frames["d"], frames["a"])
    graph.add(Transform("d", "a", true.matrix, "similarity", covariance=np.zeros((4, 4))))
    kept = adjusted(graph).graph.edges[-1].transform
    assert kept.matrix == pytest.approx(true.matrix, abs=1e-12)


def test_the_edge_that_two_loops_contradict_is_suspected():
    rng = np.random.default_rng(6)
    frames, _, pairs = square(rng, chords=(("a", "c"), ("b", "d")))
    graph = graph_of(rng, frames, pairs)
    wrong = graph.edges[4].transform
    step = Transform.of("c", "moved", np.eye(2), [90, 0], "translation", covariance=np.zeros((2, 2)))
    away = wrong.then(step).renamed(target="c")
    shifted = FrameGraph([*graph.edges[:4], type(graph.edges[4])(away), graph.edges[5]])
    assert adjusted(graph).suspects == ()
    assert ("a", "c") in adjusted(shifted).suspects
    assert adjusted(shifted).probability < 1e-3


def test_which_way_an_edge_points_does_not_matter():
    rng = np.random.default_rng(7)
    frames, _, pairs = square(rng)
    graph = graph_of(rng, frames, pairs)
    turned = FrameGraph([*graph.edges[:1], type(graph.edges[0])(graph.edges[1].transform.inverse()), *graph.edges[2:]])
    one, other = (adjusted(g).path("a", "d") for g in (graph, turned))
    assert one.apply(POINTS) == pytest.approx(other.apply(POINTS), abs=0.02)  # second order in errors of 3 nm over 400 nm
    assert one.std_at(POINTS) == pytest.approx(other.std_at(POINTS), rel=0.03)


def test_edges_without_a_stated_error_are_named_and_left_alone():
    rng = np.random.default_rng(8)
    frames, _, pairs = square(rng)
    graph = graph_of(rng, frames, pairs)
    true = exact(frames["b"], frames["d"])
    graph.add(Transform("b", "d", true.matrix, "similarity"))
    found = adjusted(graph)
    assert found.not_adjusted == (("b", "d"),)
    assert (found.graph.edges[-1].transform.matrix == true.matrix).all()
    with pytest.raises(FrameError, match="no adjusted transforms lead from 'a' to 'z'"):
        found.path("a", "z")


def test_a_loop_that_is_a_mirror_image_is_refused_in_plain_words():
    rng = np.random.default_rng(9)
    frames, _, pairs = square(rng, "rigid", chords=())
    graph = graph_of(rng, frames, pairs, "rigid")
    flipped = graph.edges[3].transform
    turned = np.diag([1, -1]) @ flipped.matrix
    mirror = Transform(flipped.source, flipped.target, turned, "rigid", flipped.centre, flipped.covariance)
    with pytest.raises(FrameError, match="too far from closing"):
        adjusted(FrameGraph([*graph.edges[:3], type(graph.edges[3])(mirror)]))


def test_a_saved_adjustment_is_the_same_bit_for_bit():
    rng = np.random.default_rng(10)
    frames, _, pairs = square(rng)
    found = adjusted(graph_of(rng, frames, pairs))
    back = Adjustment.from_dict(json.loads(json.dumps(found.to_dict())))
    assert back.to_dict() == found.to_dict()
    assert (back.graph.path("a", "d").covariance == found.path("a", "d").covariance).all()


def test_a_path_of_the_adjusted_graph_knows_that_its_edges_err_together():
    """A chain of two edges of a loop of three is as certain as the direct edge: after the adjustment they are one thing."""
    rng = np.random.default_rng(11)
    frames, _, _ = square(rng)
    found = adjusted(graph_of(rng, frames, [("a", "b"), ("b", "c"), ("a", "c")]))
    direct, around = found.graph.path("a", "c"), found.graph.joint([(0, True), (1, True)])
    assert around.std_at(POINTS) == pytest.approx(direct.std_at(POINTS), rel=0.02)
    apart = found.graph.edges[0].transform.then(found.graph.edges[1].transform)
    assert (apart.std_at(POINTS) > direct.std_at(POINTS)).all(), "taken to be independent, it would look less certain"
