"""Where images hold two poses possible, the other one is told."""

import numpy as np
import scenes

from registration import Alignment, SearchBox, align


def symmetric_pair(rng):
    """A specimen that looks almost alike when turned by 180°, seen twice; the second image is turned by 180°."""
    s = scenes.deposits(rng, 6, 70.0)
    scene = scenes.dark_field(s)
    scene = scene + 0.97 * scene[::-1, ::-1]
    shape, pixel = (128, 128), 3.0
    still, turned = scenes.pose(shape, pixel), scenes.pose(shape, pixel, rotation_deg=180.0)
    images = [scenes.calibrated(scenes.view(scene, rng, shape, pixel, m, counts=20), pixel, name)
              for m, name in ((still, "fixed"), (turned, "moving"))]
    linear = np.linalg.inv(still[:, :2])
    return *images, np.c_[linear @ turned[:, :2], linear @ (turned[:, 2] - still[:, 2])]


def test_a_specimen_that_looks_alike_when_turned_is_told_with_both_poses():
    fixed, moving, true = symmetric_pair(np.random.default_rng(3))
    found = align(fixed, moving, "rigid")
    poses = [found.transform, *(c.transform for c in found.candidates)]
    corners = np.array([[0.0, 0.0], [0.0, 381.0], [381.0, 0.0], [381.0, 381.0]])
    off = [np.linalg.norm(t.apply(corners) - (corners @ true[:, :2].T + true[:, 2]), axis=1).max() for t in poses]
    assert min(off) < 12.0, "the true pose is the one told or among its rivals, to a few pixels of 3 nm"
    turned = [abs(abs(t.rotation_deg - poses[0].rotation_deg) - 180) < 5 for t in poses[1:]]
    assert any(turned), "the other way round is among the rivals"
    evidence = [c.evidence for c in found.candidates]
    assert evidence == sorted(evidence, reverse=True)
    assert all(c.transform.covariance is None for c in found.candidates), "no error is claimed for what was not climbed"


def test_a_rival_becomes_the_pose_when_it_is_the_prior():
    fixed, moving, _ = symmetric_pair(np.random.default_rng(3))
    found = align(fixed, moving, "rigid")
    rival = next(c.transform for c in found.candidates
                 if abs(abs(c.transform.rotation_deg - found.transform.rotation_deg) - 180) < 5)
    picked = align(fixed, moving, "rigid", rival, box=SearchBox(3.0, 1.02, 0.06))
    assert abs(picked.transform.rotation_deg - rival.rotation_deg) < 3
    assert picked.transform.covariance is not None


def test_rivals_survive_being_saved():
    fixed, moving, _ = symmetric_pair(np.random.default_rng(3))
    found = align(fixed, moving, "rigid")
    back = Alignment.from_dict(found.to_dict())
    assert [s.to_dict() for s in back.trace] == [s.to_dict() for s in found.trace]
    assert [s.name for s in found.trace][:3] == ["attempt 1: grid", "attempt 1: coarse level", "attempt 1: middle level"]
    last = found.trace[-1]
    assert last.name == "result"
    assert np.allclose(last.transform.matrix, found.transform.matrix, rtol=0, atol=1e-9)
    assert [c.to_dict() for c in back.candidates] == [c.to_dict() for c in found.candidates]
