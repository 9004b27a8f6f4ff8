"""Transforms compose, invert and carry their uncertainty as linear algebra and Monte Carlo say they must."""

import json

import numpy as np
import pytest

from registration import Transform, TransformError
from registration.transform import MODELS, n_parameters


def turn(deg, ndim=2):
    t = np.deg2rad(deg)
    r = np.eye(ndim)
    r[-2:, -2:] = [[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]
    return r


LINEAR = {"translation": np.eye(2), "rigid": turn(30), "similarity": 1.1 * turn(-20),
          "affine": np.array([[1.1, 0.2], [-0.1, 0.8]])}


def example(model, rng, source="a", target="b", std_nm=2.0):
    k = n_parameters(model, 2)
    shape = rng.standard_normal((k, k))
    size = np.r_[std_nm, std_nm, np.full(k - 2, std_nm / 500)]
    covariance = (shape @ shape.T / k + np.eye(k)) * np.outer(size, size)
    return Transform.of(source, target, LINEAR[model], rng.uniform(-500, 500, 2), model, rng.uniform(0, 300, 2), covariance)


def drawn(transform, rng, n):
    parameters = rng.multivariate_normal(np.zeros(len(transform.covariance)), transform.covariance, n)
    return [transform.perturbed(e) for e in parameters]


POINTS = np.array([[0.0, 0.0], [300.0, -200.0], [-150.0, 500.0]])


@pytest.mark.parametrize("model", MODELS)
def test_going_there_and_back_returns_every_point(model):
    t = example(model, np.random.default_rng(0))
    assert np.allclose(t.then(t.inverse()).apply(POINTS), POINTS, atol=1e-9)
    assert np.allclose(t.inverse().apply(t.apply(POINTS)), POINTS, atol=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_stated_covariance_of_a_point_agrees_with_drawing_parameters(model):
    rng = np.random.default_rng(1)
    t = example(model, rng)
    images = np.stack([s.apply(POINTS) for s in drawn(t, rng, 4000)])
    for i, stated in enumerate(t.covariance_at(POINTS)):
        assert np.allclose(np.cov(images[:, i].T), stated, rtol=0, atol=0.1 * np.trace(stated))


@pytest.mark.parametrize("model", MODELS)
def test_the_inverse_is_as_uncertain_as_drawing_parameters_and_inverting_says(model):
    rng = np.random.default_rng(2)
    t = example(model, rng)
    images = np.stack([s.inverse().apply(POINTS) for s in drawn(t, rng, 4000)])
    for i, stated in enumerate(t.inverse().covariance_at(POINTS)):
        assert np.allclose(np.cov(images[:, i].T), stated, rtol=0, atol=0.1 * np.trace(stated))


@pytest.mark.parametrize("first", MODELS)
@pytest.mark.parametrize("second", MODELS)
def test_uncertainty_along_a_path_is_that_of_drawing_every_step(first, second):
    rng = np.random.default_rng(3)
    a, b = example(first, rng), example(second, rng, "b", "c")
    images = np.stack([t.apply(s.apply(POINTS)) for s, t in zip(drawn(a, rng, 4000), drawn(b, rng, 4000), strict=True)])
    whole = a.then(b)
    assert whole.model == MODELS[max(MODELS.index(first), MODELS.index(second))]
    assert np.allclose(whole.apply(POINTS), b.apply(a.apply(POINTS)), atol=1e-9)
    for i, stated in enumerate(whole.covariance_at(POINTS)):
        assert np.allclose(np.cov(images[:, i].T), stated, rtol=0, atol=0.1 * np.trace(stated))


def test_uncertainty_of_a_rotation_grows_away_from_its_centre():
    t = Transform.of("a", "b", np.eye(2), [0, 0], "rigid", [100, 100], np.diag([1.0, 1.0, 0.01**2]))
    assert np.allclose(t.std_at([[100, 100]]), 1)
    assert np.allclose(t.std_at([[100, 1100]])[0], [np.hypot(1, 10), 1])


def test_nothing_known_is_not_the_same_as_exact():
    exact, unknown = Transform.identity("a", "b"), Transform.of("a", "b", np.eye(2), [1, 2], "rigid")
    assert (exact.std_at(POINTS) == 0).all()
    assert np.isnan(unknown.std_at(POINTS)).all()
    assert np.isnan(unknown.then(Transform.identity("b", "c")).std_at(POINTS)).all()


@pytest.mark.parametrize("model", MODELS)
def test_a_saved_transform_is_the_same_bit_for_bit(model):
    t = example(model, np.random.default_rng(4))
    back = Transform.from_dict(json.loads(json.dumps(t.to_dict())))
    assert (back.source, back.target, back.model) == (t.source, t.target, t.model)
    for name in ("matrix", "centre", "covariance"):
        assert (getattr(back, name) == getattr(t, name)).all()


def test_a_volume_moves_by_the_same_rules():
    rng = np.random.default_rng(5)
    c = rng.standard_normal((7, 7)) * np.r_[np.full(3, 2.0), np.full(4, 0.004)][:, None]
    t = Transform.of("a", "b", 1.05 * turn(20, 3), [1, 2, 3], "similarity", [50, 60, 70], c @ c.T)
    points = rng.uniform(-200, 200, (5, 3))
    round_trip = t.then(t.inverse())
    assert np.allclose(round_trip.apply(points), points, atol=1e-9)
    there_and_back = t.inverse().inverse().covariance_at(points)
    assert np.allclose(there_and_back, t.covariance_at(points), rtol=1e-9)


@pytest.mark.parametrize(("matrix", "model", "fault"), [
    ([[1, 2, 0], [2, 4, 0]], "affine", "singular"),
    ([[0, 0, 0], [0, 0, 0]], "affine", "singular"),
    ([[1, np.nan, 0], [0, 1, 0]], "affine", "finite"),
    ([[1.1, 0, 0], [0, 1.1, 0]], "rigid", "no rigid"),
    ([[1, 0.1, 0], [0, 1, 0]], "similarity", "no similarity"),
    ([[0, -1, 0], [1, 0, 0]], "translation", "no translation"),
    ([[1, 0], [0, 1]], "affine", "shape"),
    ([[1, 0, 0], [0, 1, 0]], "wobble", "unknown model"),
])
def test_a_map_that_cannot_be_is_refused_with_its_frames_named(matrix, model, fault):
    with pytest.raises(TransformError, match=fault) as error:
        Transform("haadf", "edx", np.array(matrix, float), model)
    assert "haadf" in str(error.value)


def test_impossible_covariances_are_refused():
    lopsided, negative = np.array([[1, 0.5], [0, 1]]), np.array([[1, 2], [2, 1]])
    for covariance in (-np.eye(2), lopsided, np.eye(3), negative, np.full((2, 2), np.nan)):
        with pytest.raises(TransformError, match="covariance"):
            Transform.of("a", "b", np.eye(2), [0, 0], "translation", covariance=covariance)


def test_steps_that_do_not_meet_are_refused():
    with pytest.raises(TransformError, match=r"'b'.*'c'"):
        Transform.identity("a", "b").then(Transform.identity("c", "d"))


def test_points_of_the_wrong_shape_are_refused():
    with pytest.raises(TransformError, match=r"\(n, 2\)"):
        Transform.identity("a", "b").apply([1.0, 2.0])


def test_a_mirror_image_has_no_size_of_its_own():
    t = Transform.of("a", "b", np.diag([1.0, -1.0]), [0, 0], "rigid")
    assert t.scale == pytest.approx(1)
    assert np.allclose(t.inverse().apply(t.apply(POINTS)), POINTS)
