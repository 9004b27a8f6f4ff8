"""Two slow scans at right angles tell where each of their lines began; the truth is the drift by which they were made."""

import numpy as np
import pytest
import scenes
import scipy.ndimage as ndi

from registration import ImageError
from registration.scan_distortion import undistorted

N, PIXEL = 128, 1.5
INNER = (slice(14, -14), slice(14, -14))


def wandering(rng, drift_px=5.0, jitter_px=0.2):
    """A smooth drift by up to `drift_px` and an independent jitter of each line, (N, 2) pixels."""
    walk = ndi.gaussian_filter1d(np.cumsum(rng.standard_normal((N, 2)), 0), 8, axis=0)
    walk -= walk[0]
    return walk * drift_px / np.abs(walk).max() + jitter_px * rng.standard_normal((N, 2))


def two_scans(rng, specimen, rows, columns, counts=40.0):
    """Scans whose lines are off by `rows` and `columns` (N, 2) pixels, the specimen at their mean, and the shifts about it."""
    scene = ndi.gaussian_filter(specimen, PIXEL / scenes.PIXEL / 2)
    grid = np.stack(np.mgrid[:N, :N], -1).astype(float)

    def seen(shift):
        at = (grid + shift - (N - 1) / 2) * PIXEL / scenes.PIXEL + (scenes.SIZE - 1) / 2
        return np.maximum(ndi.map_coordinates(scene, np.moveaxis(at, -1, 0), order=1), 0)

    middle = np.r_[rows, columns].mean(0)
    scans = [scenes.calibrated(rng.poisson(seen(shift) * counts).astype(np.float32), PIXEL, "scan", (7.0, -20.0))
             for shift in (rows[:, None], columns[None])]
    return *scans, seen(middle) * counts, np.r_[rows, columns] - middle


def errors(found, true):
    """(2N, 2) errors and their stated standard deviations in pixels."""
    wrong = np.r_[found["row_shift"].values, found["column_shift"].values] / PIXEL - true
    return wrong, np.r_[found["row_shift_std"].values, found["column_shift_std"].values] / PIXEL


@pytest.fixture(scope="module")
def crystals():
    return scenes.polycrystal(np.random.default_rng(1), 3000).metal


def test_every_line_is_put_where_it_was_recorded_and_the_stated_errors_hold(crystals):
    """Lines of 128 pixels of 20 counts that are off by 2 px rms, jitter of 0.2 px included; 1536 origins in three draws."""
    z, off = [], []
    for seed in range(3):
        rng = np.random.default_rng([seed, 2])
        rows, columns, truth, true = two_scans(rng, crystals, wandering(rng), wandering(rng))
        found = undistorted(rows, columns)
        wrong, std = errors(found, true)
        off.append((wrong**2).mean() ** 0.5)
        z.append(wrong / std)
        plain = (rows.values + columns.values) / 2
        raw, mended = (np.corrcoef(image[INNER].ravel(), truth[INNER].ravel())[0, 1]
                       for image in (plain, found["image"].values))
        assert raw < 0.9 < 0.96 < mended
        assert found.attrs["residual_after"] < 0.6 * found.attrs["residual_before"]
    assert max(off) < 0.2
    assert 0.90 <= (np.abs(np.concatenate(z)) < 1.96).mean() <= 0.98


def test_a_steady_drift_shears_the_two_scans_apart_and_is_found(crystals):
    """Rows sheared and stretched by one drift, columns by another: neither scan alone could tell it from the specimen."""
    rng = np.random.default_rng(4)
    t = np.linspace(0, 1, N)[:, None]
    rows, columns, _, true = two_scans(rng, crystals, t * [4.0, -6.0], t * [-3.0, 5.0], counts=100.0)
    wrong, _ = errors(undistorted(rows, columns), true)
    assert (wrong**2).mean() ** 0.5 < 0.15


def test_scans_that_did_not_drift_stay_as_they_are(crystals):
    rng = np.random.default_rng(5)
    still = np.zeros((N, 2))
    rows, columns, _, true = two_scans(rng, crystals, still, still)
    wrong, std = errors(undistorted(rows, columns), true)
    assert (wrong**2).mean() ** 0.5 < 0.1
    assert (np.abs(wrong / std) < 3).mean() > 0.97


def test_shifts_are_in_nm_along_the_axes_of_the_scans(crystals):
    """A scan that is read the other way up has the same lines in the other order."""
    rng = np.random.default_rng(6)
    rows, columns, _, _ = two_scans(rng, crystals, wandering(rng), wandering(rng), counts=100.0)
    found = undistorted(rows, columns)
    turned = undistorted(*(s.isel(y=slice(None, None, -1)) for s in (rows, columns)))
    assert np.allclose(found["y"], turned["y"])
    assert np.allclose(found["row_shift"], turned["row_shift"], atol=1e-6)
    assert found["row_shift"].attrs["units"] == "nm"


def test_what_a_mask_leaves_out_has_no_say(crystals):
    rng = np.random.default_rng(7)
    rows, columns, _, true = two_scans(rng, crystals, wandering(rng), wandering(rng))
    spoilt = rows.copy()
    spoilt[-12:] = 500.0  # a scale bar
    use = np.ones((N, N), bool)
    use[-12:] = False
    wrong, _ = errors(undistorted(spoilt, columns, (use, None)), true)
    kept = np.r_[np.arange(N - 12), N + np.arange(N)]
    assert (wrong[kept] ** 2).mean() ** 0.5 < 0.25


def test_scans_of_other_grids_are_refused_in_plain_words(crystals):
    rng = np.random.default_rng(8)
    rows, columns, _, _ = two_scans(rng, crystals, wandering(rng), wandering(rng))
    with pytest.raises(ImageError, match=r"not on one grid: \(128, 128\) pixels of 1.5 x 1.5 nm"):
        undistorted(rows, columns[:, :100])
    large = scenes.calibrated(rng.random((1400, 1400), np.float32), PIXEL, "scan")
    with pytest.raises(ImageError, match="2800 lines together"):
        undistorted(large, large)
    with pytest.raises(ImageError, match="nm"):
        undistorted(rows.assign_coords(y=rows["y"].assign_attrs(units="pixel")), columns)
