"""Volumes and sections are placed in a volume of another contrast, and know how well."""

import numpy as np
import pytest
from volumes import angle_deg, calibrated, foam, rigid, seen_from

from registration import ImageError, Transform, TransformError
from registration.projection import align_projection
from registration.slice_to_volume import align_section, align_volumes

VOXEL = 10.0


def other_contrast(rng, volume):
    return np.abs(np.sin(4 * volume)) + 0.05 * rng.standard_normal(volume.shape)


def section_case(seed, size=64, side=48, shift=10.0, rotation_deg=10.0):
    """A volume, a section of it, the prior (the middle of the volume) and the true (3, 4) matrix in voxels."""
    rng = np.random.default_rng(seed)
    volume = foam(rng, size, 150)
    place = np.r_[(size - 1) / 2, (size - side) / 2, (size - side) / 2]
    off = rigid(rng, np.r_[0, (side - 1) / 2, (side - 1) / 2], shift, rotation_deg)
    truth = np.c_[off[:, :3], off[:, 3] + place]
    section = seen_from(volume, truth, (1, side, side))[0] + 0.03 * rng.standard_normal((side, side))
    prior = Transform.of("section", "volume", np.eye(3), place * VOXEL, "rigid")
    return calibrated(other_contrast(rng, volume), VOXEL, "volume"), calibrated(section, VOXEL, "section"), prior, truth


def rms(a):
    return float(np.sqrt((a**2).sum(1).mean()))


@pytest.mark.parametrize("seed", range(2))
def test_a_section_is_found_to_a_voxel_and_half_a_degree_from_ten_voxels_and_ten_degrees(seed):
    volume, section, prior, truth = section_case(seed)
    found = align_section(volume, section, prior)
    p = np.array([[0, y, x] for y in (2, 24, 45) for x in (2, 24, 45)], float)
    error = found.transform.apply(p * VOXEL) / VOXEL - (p @ truth[:, :3].T + truth[:, 3])
    assert rms(error) < 1
    assert angle_deg(found.transform.linear, truth[:, :3]) < 0.5
    assert found.verdict == "good", found.reasons
    # six parameters make the rms of one pose scatter by 30 % around what is stated; a factor of 3 is safe
    assert rms(error) < 3 * rms(found.transform.std_at(p * VOXEL) / VOXEL)


def test_a_section_of_another_specimen_is_not_called_good():
    volume, _, prior, _ = section_case(10)
    _, section, _, _ = section_case(11)
    found = align_section(volume, section, prior)
    assert found.verdict != "good"
    assert found.reasons


def test_a_section_that_misses_the_volume_fails_in_words():
    volume, section, _, _ = section_case(12)
    away = Transform.of("section", "volume", np.eye(3), [0, 0, 1e5], "rigid")
    found = align_section(volume, section, away)
    assert found.verdict == "failed"
    assert "itk" not in " ".join(found.reasons).lower()
    assert np.allclose(found.transform.matrix, away.matrix)


def test_a_volume_is_found_with_its_distortion_from_twenty_degrees_away():
    rng = np.random.default_rng(20)
    n = 48
    volume = foam(rng, n, 120)
    centre = np.full(3, (n - 1) / 2)
    off = rigid(rng, centre, 4, 20)
    linear = off[:, :3] @ (np.eye(3) + rng.uniform(-0.03, 0.03, (3, 3)))
    truth = np.c_[linear, off[:, :3] @ centre + off[:, 3] - linear @ centre]
    fixed = seen_from(volume, truth, (n, n, n)) + 0.05 * rng.standard_normal((n, n, n))
    found = align_volumes(calibrated(fixed, VOXEL, "xray"), calibrated(other_contrast(rng, volume), VOXEL, "fib"))
    assert (found.transform.source, found.transform.target) == ("fib", "xray")
    p = np.stack(np.meshgrid(*[np.linspace(9, 38, 3)] * 3, indexing="ij"), -1).reshape(-1, 3)
    error = found.transform.inverse().apply(p * VOXEL) / VOXEL - (p @ truth[:, :3].T + truth[:, 3])
    # 48^3 noisy voxels of walls two voxels thick hold twelve parameters to a few hundredths; half a voxel is a pose gone wrong
    assert rms(error) < 0.5
    assert found.verdict == "good", found.reasons


def test_a_projection_is_found_across_the_beam_and_its_depth_is_left_open():
    rng = np.random.default_rng(30)
    n = 48
    z, y, x = np.mgrid[:n, :n, :n] - (n - 1) / 2
    cells = foam(rng, n, 120)
    body = cells * ((z / 20) ** 2 + (y / 18) ** 2 + (x / 21) ** 2 < 1) * (cells > 0.45)
    truth = rigid(rng, np.full(3, (n - 1) / 2), 5, 10)
    image = seen_from(body, truth, (3 * n // 2, n, n), np.array([-n // 4, 0, 0])).sum(0)
    image = image / image.max() + 0.02 * rng.standard_normal(image.shape)
    prior = Transform.of("tem", "tomogram", np.eye(3), np.zeros(3), "rigid")
    found = align_projection(calibrated(body, VOXEL, "tomogram"), calibrated(image, VOXEL, "tem"), prior)
    p = np.stack(np.meshgrid(*[[14.0, 34.0]] * 3, indexing="ij"), -1).reshape(-1, 3)
    error = found.transform.inverse().apply(p * VOXEL)[:, 1:] / VOXEL - ((p - truth[:, 3]) @ truth[:, :3])[:, 1:]
    assert found.verdict == "good", found.reasons
    assert rms(error) < 1
    assert angle_deg(found.transform.linear, truth[:, :3]) < 0.5
    along = found.transform.covariance_at([[0, 0, 0]])[0]
    beam = truth[:, 0]
    assert np.sqrt(beam @ along @ beam) > n * VOXEL / 4


def test_a_projection_of_another_specimen_is_not_called_good():
    rng = np.random.default_rng(31)
    body = foam(rng, 32, 60)
    other = foam(rng, 32, 60).sum(0)
    prior = Transform.of("tem", "tomogram", np.eye(3), np.zeros(3), "rigid")
    found = align_projection(calibrated(body, VOXEL, "tomogram"), calibrated(other / other.max(), VOXEL, "tem"), prior)
    assert found.verdict != "good"


def test_the_same_section_is_placed_the_same_bit_for_bit():
    volume, section, prior, _ = section_case(13, 48, 36, 2, 3)
    one, two = (align_section(volume, section, prior, rotation_deg=0, depth_voxels=2) for _ in range(2))
    assert one.to_dict() == two.to_dict()


def test_what_cannot_be_placed_is_refused_in_one_line():
    volume, section, prior, _ = section_case(14, 32, 20)
    with pytest.raises(TransformError, match="'volume' to 'section'"):
        align_section(volume, section, prior.inverse())
    volume.z.attrs["units"] = "slice"
    with pytest.raises(ImageError, match="z is in 'slice'"):
        align_section(volume, section, prior)
