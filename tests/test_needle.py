"""A needle's reconstruction is laid onto its outline; the truth is the distortion by which it was made."""

import numpy as np
import pytest

from registration import LandmarkError, fit_landmarks
from registration.needle import needle_landmarks, silhouette
from registration.thin_plate import thin_plate

LENGTH, TIP, SHANK = 120.0, 12.0, np.tan(np.deg2rad(6.0))


def radius(z):
    """A cone with a round tip, nm."""
    return np.where(z < TIP, np.sqrt(np.maximum(TIP**2 - (TIP - z) ** 2, 0)), TIP + SHANK * (z - TIP))


def ions(rng, n=80_000):
    """Ions that fill the needle evenly, (z, y, x)."""
    p = np.c_[rng.uniform(0, LENGTH, 6 * n), rng.uniform(-25, 25, (6 * n, 2))]
    return p[np.hypot(p[:, 1], p[:, 2]) < radius(p[:, 0])][:n]


def outline(turn_deg, shift):
    """The needle in a micrograph, as somebody drew it: (y, x), turned and moved; and where (z, x) of the needle lies in it."""
    z = np.linspace(0, LENGTH, 90)
    sides = np.r_[np.c_[z, -radius(z)], np.c_[z, radius(z)][::-1]]
    t = np.deg2rad(turn_deg)
    turn = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    return sides @ turn.T + shift, lambda p: p @ turn.T + shift


@pytest.mark.parametrize("turn_deg", [0.0, 35.0, 160.0, -100.0])
def test_a_stretched_reconstruction_is_laid_onto_its_outline(turn_deg):
    """Lengths wrong by 15 % along and 10 % across; the edges of 2000 ions a slice are known to some 0.3 nm."""
    true = ions(np.random.default_rng(1))
    drawn, there = outline(turn_deg, (300.0, -80.0))
    marks = needle_landmarks(silhouette(true * [0.85, 1.1, 1.1]), drawn)
    fit = fit_landmarks(marks, "affine")
    inner = true[(true[:, 0] > 15) & (true[:, 0] < 110)][:500][:, [0, 2]]
    off = fit.transform.apply(inner * [0.85, 1.1]) - there(inner)
    assert np.linalg.norm(off, axis=1).max() < 2.0


def test_a_shank_that_was_reconstructed_too_steep_is_bent_back():
    """Magnification that grows with depth, as of a wrong shank angle: no linear map mends it, the spline does."""
    true = ions(np.random.default_rng(2))
    grown = true * np.c_[np.ones(len(true)), *([1 + 0.4 * (true[:, 0] / LENGTH) ** 2] * 2)]
    drawn, there = outline(20.0, (0.0, 50.0))
    marks = needle_landmarks(silhouette(grown), drawn)
    inner = (true[:, 0] > 15) & (true[:, 0] < 110)
    own, here = grown[inner][:500][:, [0, 2]], there(true[inner][:500][:, [0, 2]])
    straight = fit_landmarks(marks, "affine", robust=False).transform
    bent = thin_plate(marks.moving, marks.fixed, "ions", "image", 0.5)
    rms = [float(np.sqrt(((t.apply(own) - here) ** 2).sum(1).mean())) for t in (straight, bent)]
    assert rms[1] < 1.0
    assert rms[1] < 0.7 * rms[0]


@pytest.mark.parametrize(("make", "fault"), [
    (lambda: silhouette(np.zeros((100, 3))), "100 ions"),
    (lambda: silhouette(np.zeros((100, 2))), "expected finite positions"),
    (lambda: needle_landmarks(np.zeros((5, 2)), np.zeros((5, 2))), "the moving outline has shape"),
    (lambda: needle_landmarks(np.random.default_rng(0).random((99, 2)), outline(0.0, (0, 0))[0]), "is no needle"),
])
def test_what_is_no_needle_is_refused_in_plain_words(make, fault):
    with pytest.raises(LandmarkError, match=fault):
        make()
