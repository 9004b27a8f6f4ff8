"""One call places images, volumes, sections and bent images, and says what it cannot do."""

import numpy as np
import pytest
import scipy.ndimage as ndi
import xarray as xr
from test_slice_to_volume import VOXEL, other_contrast, rms, section_case
from volumes import calibrated, foam, rigid, seen_from

from registration import Alignment, ImageError, Landmarks, SearchBox, Transform, TransformError, Warp, align

PIXEL = 2.0


def volume_pair(seed=40, n=40):
    rng = np.random.default_rng(seed)
    volume = foam(rng, n, 90)
    truth = rigid(rng, np.full(3, (n - 1) / 2), 3, 8)
    fixed = seen_from(volume, truth, (n, n, n)) + 0.05 * rng.standard_normal((n, n, n))
    return calibrated(fixed, VOXEL, "xray"), calibrated(other_contrast(rng, volume), VOXEL, "fib"), truth


def inner(n):
    return np.stack(np.meshgrid(*[np.linspace(0.2 * n, 0.8 * n, 3)] * 3, indexing="ij"), -1).reshape(-1, 3)


@pytest.mark.parametrize("model", ["rigid", "similarity", "affine"])
def test_two_volumes_are_aligned_by_the_same_call_as_two_images(model):
    fixed, moving, truth = volume_pair()
    found = align(fixed, moving, model=model, box=SearchBox(rotation_deg=10))
    p = inner(40)
    error = found.transform.apply((p @ truth[:, :3].T + truth[:, 3]) * VOXEL) / VOXEL - p
    # walls two voxels thick, half a million noisy voxels: a few hundredths are expected, half is a pose gone wrong
    assert rms(error) < 0.5
    assert found.verdict == "good", found.reasons
    assert found.transform.std_at(p).shape == p.shape


def test_a_section_may_be_either_of_the_two():
    volume, section, prior, truth = section_case(0)
    p = np.array([[0, y, x] for y in (2, 24, 45) for x in (2, 24, 45)], float)
    there = align(volume, section, model="rigid", prior=prior)
    back = align(section, volume, model="rigid", prior=prior.inverse())
    assert rms(there.transform.apply(p * VOXEL) / VOXEL - (p @ truth[:, :3].T + truth[:, 3])) < 1
    assert np.allclose(back.transform.apply(there.transform.apply(p)), p, atol=1e-6)
    assert (back.transform.source, back.transform.target) == ("volume", "section")


def test_frames_without_a_name_are_called_moving_and_fixed_whichever_is_the_volume():
    volume, section, _, _ = section_case(1, 24, 16, 1, 1)
    bare = [image.drop_attrs(deep=False) for image in (volume, section)]
    for fixed, moving in (bare, bare[::-1]):
        found = align(fixed, moving, model="rigid", box=SearchBox(rotation_deg=2))
        assert (found.transform.source, found.transform.target) == ("moving", "fixed")


def test_landmarks_start_volumes_and_are_returned_where_the_images_contradict_them():
    fixed, moving, truth = volume_pair(41)
    rng = np.random.default_rng(5)
    at = rng.uniform(5, 34, (8, 3))
    placed = (at @ truth[:, :3].T + truth[:, 3]) * VOXEL
    marks = Landmarks(placed + rng.normal(0, 0.3 * VOXEL, placed.shape), at * VOXEL, std_nm=0.3 * VOXEL)
    found = align(fixed, moving, model="rigid", landmarks=marks)
    assert rms(found.transform.apply((inner(40) @ truth[:, :3].T + truth[:, 3]) * VOXEL) / VOXEL - inner(40)) < 0.5
    assert found.metrics["landmark_probability"] > 0.001
    # eight sound marks of a place four voxels away: the volumes say otherwise
    wrong = align(fixed, moving, model="rigid", landmarks=Landmarks(marks.moving, marks.fixed + 4 * VOXEL, std_nm=0.3 * VOXEL))
    assert wrong.verdict == "doubtful"
    assert "contradict" in wrong.reasons[0]


def bent_pair(seed=0, n=160):
    """Two views of one texture; the moving one is bent by a smooth field of 2.5 pixels."""
    rng = np.random.default_rng(seed)
    scene = ndi.gaussian_filter(rng.standard_normal((n + 40, n + 40)), 2.0)
    y, x = np.mgrid[:n, :n].astype(float)
    bend = np.stack([2.5 * np.sin(2 * np.pi * x / n), 2.5 * np.cos(2 * np.pi * y / n)])
    fixed = scene[20:20 + n, 20:20 + n]
    moving = ndi.map_coordinates(scene, np.stack([y, x]) + bend + 20, order=3)
    axes = {d: (d, np.arange(n) * PIXEL, {"units": "nm"}) for d in "yx"}
    images = [xr.DataArray((a + 0.02 * scene.std() * rng.standard_normal(a.shape)).astype(np.float32), axes, ("y", "x"),
                           attrs={"frame": name}) for a, name in ((fixed, "fixed"), (moving, "moving"))]
    points = np.stack([y, x], -1)[24:-24:16, 24:-24:16].reshape(-1, 2)
    shift = np.stack([bend[0], bend[1]], -1)[24:-24:16, 24:-24:16].reshape(-1, 2)
    return (*images, points * PIXEL, (points + shift) * PIXEL)


def test_a_bent_image_is_bent_back_and_keeps_its_bend_through_a_file():
    fixed, moving, points, truth = bent_pair()
    box = SearchBox(rotation_deg=10, scale=1.05)
    straight = align(fixed, moving, model="affine", box=box)
    found = align(fixed, moving, model="bspline", box=box)
    assert isinstance(found.transform, Warp)
    errors = [np.sqrt(((f.transform.apply(points) - truth) ** 2).sum(1).mean()) / PIXEL for f in (straight, found)]
    # texture of two pixels at 2 % noise holds a field of this smoothness to 0.3 px; the straight map cannot follow 2.5 px
    assert errors[1] < 0.3 < errors[0]
    again = Alignment.from_dict(found.to_dict())
    assert np.array_equal(again.transform.apply(points), found.transform.apply(points))


def test_a_bend_that_held_out_tiles_do_not_support_is_not_made():
    rng = np.random.default_rng(1)
    fixed, _, points, _ = bent_pair(1)
    noise = 0.02 * rng.standard_normal(fixed.shape).astype(np.float32)
    same = fixed.copy(data=fixed.values + noise).assign_attrs(frame="moving")
    found = align(fixed, same, model="bspline", box=SearchBox(rotation_deg=10, scale=1.05))
    assert isinstance(found.transform, Transform)
    assert any(reason.startswith("not bent") for reason in found.reasons)
    assert found.verdict == "good"
    assert np.abs(found.transform.apply(points) - points).max() < 0.1 * PIXEL


def test_what_cannot_be_asked_is_said_in_one_line():
    fixed, moving, _ = volume_pair(42, 16)
    with pytest.raises(TransformError, match="bends images"):
        align(fixed, moving, model="bspline")
    with pytest.raises(TransformError, match="expected one of translation, rigid, similarity, affine, bspline"):
        align(fixed, moving, model="homography")
    with pytest.raises(ImageError, match="calibrate"):
        align(fixed, xr.DataArray(np.ones((12, 12)), dims=("y", "x")))
