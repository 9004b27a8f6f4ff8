"""Landmarks give the transform that made them, with an honest error, and a wrong one among them is named."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import chi2

from registration import LandmarkError, Landmarks, fit_landmarks
from registration.landmark_file import read_landmarks, write_landmarks

MODELS = ("translation", "rigid", "similarity", "affine")


def truth(rng, model, d):
    """(d, d + 1) matrix of the model, with any rotation."""
    q, _ = np.linalg.qr(rng.standard_normal((d, d)))
    q[0] *= np.sign(np.linalg.det(q))
    linear = np.eye(d) if model == "translation" else q
    if model in ("similarity", "affine"):
        linear = linear * rng.uniform(0.7, 1.4)
    if model == "affine":
        linear = linear @ (np.eye(d) + 0.1 * rng.standard_normal((d, d)))
    return np.c_[linear, rng.uniform(-500, 500, d)]


def marked(rng, matrix, n, std_nm=5.0):
    d = len(matrix)
    moving = rng.uniform(0, 1000, (n, d))
    return Landmarks(moving, moving @ matrix[:, :d].T + matrix[:, d] + std_nm * rng.standard_normal((n, d)))


def held(transform, matrix, points):
    """Part of the points whose true image lies in the stated 95 % region."""
    d = len(matrix)
    wrong = transform.apply(points) - (points @ matrix[:, :d].T + matrix[:, d])
    squares = np.einsum("ni,ni->n", wrong, np.linalg.solve(transform.covariance_at(points), wrong[..., None])[..., 0])
    return (squares < chi2.ppf(0.95, d)).mean()


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("model", MODELS)
def test_exact_landmarks_give_back_the_transform_to_rounding(model, d):
    rng = np.random.default_rng(1)
    matrix = truth(rng, model, d)
    fit = fit_landmarks(marked(rng, matrix, 8, 0.0), model)
    assert np.abs(fit.transform.matrix - matrix).max() < 1e-8
    assert fit.suspects == ()
    assert fit.used.all()


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("model", MODELS)
def test_stated_regions_hold_the_truth_in_95_percent_also_for_few_landmarks(model, d):
    """200 sets; points of one set err together, so the rate has a standard error of at most 1.5 %: 3 of them about 95 %."""
    rng = np.random.default_rng(2)
    rates = []
    for n in (5, 9):
        for _ in range(100):
            matrix = truth(rng, model, d)
            fit = fit_landmarks(marked(rng, matrix, n), model, robust=False)
            rates.append(held(fit.transform, matrix, rng.uniform(-200, 1200, (6, d))))
    assert 0.904 < np.mean(rates) < 0.996


def test_leaving_wild_landmarks_out_keeps_the_regions_honest():
    rng = np.random.default_rng(3)
    rates, named = [], 0
    for _ in range(60):
        matrix = truth(rng, "similarity", 2)
        marks = marked(rng, matrix, 12)
        fixed = marks.fixed.copy()
        fixed[[2, 7]] += rng.choice([-1, 1], (2, 2)) * rng.uniform(60, 300, (2, 2))
        fit = fit_landmarks(Landmarks(marks.moving, fixed), "similarity")
        named += {"3", "8"} <= set(fit.suspects)
        rates.append(held(fit.transform, matrix, rng.uniform(0, 1000, (20, 2))))
    assert named == 60
    assert 0.88 < np.mean(rates) <= 1


def test_good_landmarks_are_seldom_suspected():
    rng = np.random.default_rng(4)
    suspected = sum(bool(fit_landmarks(marked(rng, truth(rng, "rigid", 2), 10), "rigid").suspects) for _ in range(150))
    assert suspected <= 8  # 1 % of sets by design; 8 of 150 would be six times as many


def test_a_suspect_is_named_but_used_where_least_squares_is_asked_for():
    rng = np.random.default_rng(5)
    marks = marked(rng, truth(rng, "rigid", 2), 9)
    fixed = marks.fixed.copy()
    fixed[4] += 200
    fit = fit_landmarks(Landmarks(marks.moving, fixed, tuple("abcdefghi")), "rigid", robust=False)
    assert fit.suspects == ("e",)
    assert fit.used.all()
    assert "used although" in fit.remarks[-1]


def test_the_error_of_a_left_out_landmark_is_that_of_a_place_not_marked():
    """Its mean square is the localisation variance plus that of the prediction, sigma² (1 + x (XᵀX)⁻¹ xᵀ) per axis."""
    rng = np.random.default_rng(6)
    left_out, localisation = [], []
    for _ in range(150):
        fit = fit_landmarks(marked(rng, truth(rng, "affine", 2), 10), "affine", robust=False)
        left_out.append(fit.target_error_nm**2)
        localisation.append(fit.localisation_nm**2)
    assert np.sqrt(np.mean(localisation)) == pytest.approx(5, rel=0.07)
    assert 1 < np.mean(left_out) / (2 * 25) < 2.5


def test_the_predicted_error_of_a_rigid_fit_is_that_of_fitzpatrick():
    """TRE² = FLE²/N (1 + r²/(2 f²)) in 2D, with FLE² = 2 sigma² and f² the mean squared distance from the centroid."""
    rng = np.random.default_rng(7)
    marks = marked(rng, truth(rng, "rigid", 2), 8)
    fit = fit_landmarks(Landmarks(marks.moving, marks.fixed, std_nm=5.0), "rigid")
    middle = marks.moving.mean(0)
    spread = ((marks.moving - middle)**2).sum(1).mean()
    for r in (0.0, 300.0, 900.0):
        expected = 2 * 25 / 8 * (1 + r**2 / (2 * spread))
        assert (fit.transform.std_at(middle[None] + [[r, 0]])**2).sum() == pytest.approx(expected, rel=1e-3)


def test_the_fit_does_not_care_about_the_unit_of_length_or_the_order():
    rng = np.random.default_rng(8)
    marks = marked(rng, truth(rng, "affine", 3), 9)
    fit = fit_landmarks(marks, "affine")
    order = rng.permutation(9)
    small = fit_landmarks(Landmarks(marks.moving[order] / 1000, marks.fixed[order] / 1000), "affine")
    assert small.transform.linear == pytest.approx(fit.transform.linear, rel=1e-6)
    assert small.localisation_nm == pytest.approx(fit.localisation_nm / 1000)


def test_an_exact_fit_knows_nothing_of_its_error_and_says_so():
    fit = fit_landmarks(Landmarks([[0, 0], [0, 100]], [[5, 5], [5, 105]]), "similarity")
    assert fit.transform.covariance is None
    assert np.isnan(fit.localisation_nm)
    assert "error is unknown" in fit.remarks[0]
    known = fit_landmarks(Landmarks([[0, 0], [0, 100]], [[5, 5], [5, 105]], std_nm=2.0), "similarity")
    assert known.transform.std_at([[0, 50]]) == pytest.approx(np.full((1, 2), np.sqrt(2)))


def test_a_flipped_image_is_noticed():
    rng = np.random.default_rng(9)
    moving = rng.uniform(0, 1000, (8, 2))
    marks = Landmarks(moving, moving * [1, -1] + rng.standard_normal((8, 2)))
    assert any("mirrored=True" in r for r in fit_landmarks(marks, "rigid").remarks)
    assert np.linalg.det(fit_landmarks(marks, "rigid", mirrored=True).transform.linear) == pytest.approx(-1)


@pytest.mark.parametrize(("moving", "model", "fault"), [
    ([[0, 0], [1, 1]], "affine", "at least 3"),
    ([[0, 0], [1, 1], [2, 2], [3, 3]], "affine", "lie on a line"),
    ([[1, 1], [1, 1], [1, 1]], "rigid", "lie on one place"),
    ([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], "affine", "lie on a plane"),
    ([[0, 0], [1, 1], [2, 0]], "projective", "unknown model"),
])
def test_landmarks_that_leave_a_model_open_are_refused(moving, model, fault):
    with pytest.raises(LandmarkError, match=fault):
        fit_landmarks(Landmarks(moving, moving), model)


def test_all_faults_of_landmarks_are_named_at_once():
    with pytest.raises(LandmarkError, match=r"'b' has a position that is not finite.*'a' occurs more than once"):
        Landmarks([[0, 0], [np.nan, 0], [1, 1]], [[0, 0], [1, 0], [1, 1]], ("a", "b", "a"))


@pytest.mark.parametrize("d", [2, 3])
def test_landmarks_survive_a_file_bit_for_bit(tmp_path, d):
    rng = np.random.default_rng(10)
    marks = Landmarks(rng.uniform(0, 1e4, (5, d)), rng.uniform(0, 1e4, (5, d)), ("pore 1", "pore, large", "c", "d", "e"))
    write_landmarks(tmp_path / "marks.csv", marks)
    read = read_landmarks(tmp_path / "marks.csv")
    assert (read.moving == marks.moving).all()
    assert (read.fixed == marks.fixed).all()
    assert read.names == marks.names


def test_pixels_in_a_file_are_placed_by_the_image(tmp_path):
    (tmp_path / "m.csv").write_text("fixed_x_nm, fixed_y_nm, moving_y_px, moving_x_px\n1,2,0,10\n3,4,2.5,0\n")
    image = xr.DataArray(np.zeros((20, 30)), {"y": ("y", 100 - 2.0 * np.arange(20), {"units": "nm"}),
                                              "x": ("x", 7 + 0.5 * np.arange(30), {"units": "nm"})}, ("y", "x"))
    read = read_landmarks(tmp_path / "m.csv", moving=image)
    assert read.moving == pytest.approx(np.array([[100, 12], [95, 7]]))
    assert read.fixed == pytest.approx(np.array([[2, 1], [4, 3]]))
    assert read.names == ("1", "2")


def test_all_faults_of_a_file_are_named_with_their_row(tmp_path):
    (tmp_path / "m.csv").write_text("moving_y_nm,moving_x_px,fixed_y_nm\n1,2,left\n")
    with pytest.raises(LandmarkError, match=r"moving_x_px needs the image.*row 2: fixed_y_nm is 'left'.*no column fixed_x_nm"):
        read_landmarks(tmp_path / "m.csv")
    with pytest.raises(LandmarkError, match="not a readable CSV"):
        read_landmarks(tmp_path / "absent.csv")
