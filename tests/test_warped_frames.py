"""Maps that bend are edges of the graph of frames like linear ones: they compose, state their error, and are kept."""

import json

import numpy as np
import pytest
from scenes import calibrated
from scipy.stats import chi2

from registration import FrameError, FrameGraph, Transform, adjusted
from registration.candidate import Candidate
from registration.ngff import displacement_arrays, graph_to_ngff
from registration.resample import resample
from registration.saved import read_transform
from registration.transform import TransformError
from registration.warp import Chain, GridField, Warp

POINTS = np.random.default_rng(5).uniform(20, 180, (40, 2))
STD_NM = 0.8


def turned(source, target, degrees, shift, std=(1.0, 1.0, 0.004), centre=(100.0, 100.0)):
    t = np.deg2rad(degrees)
    linear = [[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]
    return Transform.of(source, target, linear, shift, "rigid", centre, np.diag(std) ** 2)


def bent(rng, source, target, amplitude_nm=4.0):
    """A field that swings over some 40 nm, known to STD_NM along each axis at its nodes."""
    values = amplitude_nm * rng.uniform(-1, 1, (9, 9, 2))
    spread = np.broadcast_to(STD_NM**2 * np.eye(2), (9, 9, 2, 2))
    field = GridField(np.full(2, -60.0), np.full(2, 40.0), values, 3, spread)
    return Warp(Transform.identity(source, "m", model="rigid"), field, turned("m", target, 12, [5, -3], (0, 0, 0)))


def drawn(rng, part):
    """The part as it would be if its errors were drawn."""
    if isinstance(part, Transform):
        return part.perturbed(rng.multivariate_normal(np.zeros(len(part.covariance)), part.covariance)).apply
    if part.inverted:
        forward = part.inverse()
        after = forward.after.then(turned(forward.target, forward.target + "'", 0, rng.normal(0, STD_NM, 2), (0, 0, 0)))
        return Warp(forward.before, forward.field, after).inverse().apply
    off = rng.normal(0, STD_NM, 2)
    return lambda p: part.apply(p) + off @ part.after.linear.T


def test_two_warps_in_a_row_are_applied_one_after_the_other():
    rng = np.random.default_rng(1)
    first, second = bent(rng, "a", "b"), bent(rng, "b", "c")
    both = first.then(second)
    assert isinstance(both, Chain)
    assert np.allclose(both.apply(POINTS), second.apply(first.apply(POINTS)))
    assert np.allclose(both.inverse().apply(both.apply(POINTS)), POINTS, atol=1e-5)
    assert np.allclose(first.then(first.inverse()).apply(POINTS), POINTS, atol=1e-5)
    h = 1e-4
    numeric = np.stack([(both.apply(POINTS + h * e) - both.apply(POINTS - h * e)) / (2 * h) for e in np.eye(2)], -1)
    assert np.allclose(both.linear_at(POINTS), numeric, atol=1e-4)


def test_linear_maps_around_and_between_warps_keep_their_place():
    rng = np.random.default_rng(2)
    parts = [turned("z", "a", 20, [3, 4]), bent(rng, "a", "b"), turned("b", "c", -35, [0, 9]), bent(rng, "d", "c").inverse(),
             turned("d", "e", 5, [1, 1])]
    whole, here = parts[0], POINTS
    for part in parts:
        here = part.apply(here)
        whole = part if part is whole else whole.then(part)
    assert (whole.source, whole.target) == ("z", "e")
    assert np.allclose(whole.apply(POINTS), here)
    front = parts[0].then(parts[1].then(parts[2]))
    assert np.allclose(front.apply(POINTS), parts[2].apply(parts[1].apply(parts[0].apply(POINTS))))
    with pytest.raises(TransformError, match="cannot be followed"):
        bent(rng, "a", "b").then(bent(rng, "c", "d"))


def test_stated_regions_along_three_edges_two_of_which_bend_hold_the_truth():
    """95 % regions along linear, bent, and bent the other way; 150 draws at 10 places know the rate to about 2 %."""
    rng = np.random.default_rng(3)
    held = []
    for _ in range(150):
        parts = [turned("a", "b", rng.uniform(-30, 30), rng.uniform(-20, 20, 2)), bent(rng, "b", "c"),
                 bent(rng, "d", "c").inverse()]
        graph = FrameGraph()
        for part in (*parts[:2], parts[2].inverse()):
            graph.add(part)
        found = graph.path("a", "d")
        truth = POINTS[:10]
        for part in parts:
            truth = drawn(rng, part)(truth)
        wrong = truth - found.apply(POINTS[:10])
        size = np.einsum("ni,ni->n", wrong, np.linalg.solve(found.covariance_at(POINTS[:10]), wrong[..., None])[..., 0])
        held.append((size < chi2.ppf(0.95, 2)).mean())
    assert 0.90 <= np.mean(held) <= 0.98


def test_a_graph_with_warps_goes_both_ways_and_prefers_what_is_known():
    rng = np.random.default_rng(4)
    graph = FrameGraph()
    graph.add(bent(rng, "map", "image"))
    graph.add(turned("image", "overview", 10, [4, 5]))
    there, back = graph.path("map", "overview"), graph.path("overview", "map")
    assert np.allclose(back.apply(there.apply(POINTS)), POINTS, atol=1e-5)
    graph.add(Transform.of("map", "image", np.eye(2), [99, 99], "translation"))  # no stated error: the last resort
    assert np.allclose(graph.path("map", "overview").apply(POINTS), there.apply(POINTS))
    copy = FrameGraph.from_dict(json.loads(json.dumps(graph.to_dict())))
    assert np.array_equal(copy.path("map", "overview").apply(POINTS), there.apply(POINTS))
    assert copy.to_dict() == graph.to_dict()


def test_a_loop_over_a_warp_tells_whether_it_closes():
    rng = np.random.default_rng(5)
    warp, step = bent(rng, "map", "image"), turned("image", "overview", 10, [4, 5])
    whole = warp.then(step)
    graph = FrameGraph()
    for part in (warp, step, whole):
        graph.add(part)
    loop = graph.closure(["map", "image", "overview"], POINTS)
    assert np.abs(loop.residual).max() < 1e-4
    assert loop.chi2 < 0.01
    away = FrameGraph([*graph.edges[:2]])
    away.add(whole.then(turned("overview", "x", 0, [30, 0], (0, 0, 0))).then(Transform.identity("x", "overview")))
    assert away.closure(["map", "image", "overview"], POINTS).chi2 > 20


def test_an_adjustment_names_warps_and_leaves_them_as_they_are():
    rng = np.random.default_rng(6)
    graph = FrameGraph()
    graph.add(turned("a", "b", 10, [4, 5]))
    graph.add(turned("b", "c", 5, [1, 1]))
    graph.add(turned("a", "b", 10, [4, 5]).then(turned("b", "c", 5, [3, 1])))
    graph.add(bent(rng, "c", "d"))
    found = adjusted(graph)
    assert found.not_adjusted == (("c", "d"),)
    assert found.freedom == 3
    assert found.graph.edges[3].transform is graph.edges[3].transform
    path = found.graph.path("a", "d")
    assert np.allclose(path.apply(POINTS), graph.edges[3].transform.apply(found.path("a", "c").apply(POINTS)))
    assert (path.std_at(POINTS) < graph.path("a", "d").std_at(POINTS)).all(), "two ways to c are better than one"


def test_a_saved_chain_is_the_same_bit_for_bit():
    rng = np.random.default_rng(7)
    chain = bent(rng, "a", "b").then(bent(rng, "b", "c"))
    back = read_transform(json.loads(json.dumps(chain.to_dict())))
    assert np.array_equal(back.apply(POINTS), chain.apply(POINTS))
    assert np.array_equal(back.std_at(POINTS), chain.std_at(POINTS))


def test_an_image_is_resampled_through_two_warps_at_once():
    rng = np.random.default_rng(8)
    chain = bent(rng, "moving", "b").then(bent(rng, "b", "fixed"))
    axis = 4.0 * np.arange(60)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    image, like = calibrated(y + 2 * x, 4.0, "moving"), calibrated(np.zeros((40, 40)), 1.5, "fixed", (60.0, 70.0))
    seen = resample(image, chain, like)
    p, q = np.meshgrid(like["y"], like["x"], indexing="ij")
    at = chain.inverse().apply(np.c_[p.ravel(), q.ravel()])
    inside = seen["inside"].values.ravel()
    assert inside.any()
    assert np.allclose(seen["values"].values.ravel()[inside], (at @ [1, 2])[inside], atol=1e-3)
    assert np.allclose(seen["position_std"].values, STD_NM * 2, rtol=0.3), "two fields of 0.8 nm along each of two axes"


def test_a_person_picks_a_rival_pose_and_nothing_is_lost():
    graph = FrameGraph()
    pose, rival = (turned("a", "b", degrees, [0, 0]) for degrees in (0, 180))
    graph.add(pose, "proposed", "two poses", [Candidate(rival, 88.0)])
    copy = FrameGraph.from_dict(json.loads(json.dumps(graph.to_dict())))
    with pytest.raises(FrameError, match="no accepted path"):
        copy.path("a", "b")
    with pytest.raises(FrameError, match="has 1 candidates; there is no candidate 1"):
        copy.pick("a", "b", 1)
    copy.pick("a", "b", 0)
    assert np.allclose(copy.path("a", "b").apply(POINTS), rival.apply(POINTS))
    assert [e.status for e in copy.edges] == ["rejected", "accepted"]
    assert np.array_equal(copy.edges[0].transform.matrix, pose.matrix)


def test_a_graph_with_warps_goes_out_as_ome_ngff():
    rng = np.random.default_rng(9)
    graph = FrameGraph()
    graph.add(bent(rng, "a", "b").then(bent(rng, "b", "c")))
    (saved,) = graph_to_ngff(graph)["ome"]["coordinateTransformations"]
    assert [part["type"] for part in saved["transformations"]] == ["sequence", "sequence"]
    assert len(displacement_arrays(graph.edges[0].transform)) == 2
