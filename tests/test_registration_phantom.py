"""On the virtual specimen, read from its own instrument files, a pose that is called good is within a pixel of the truth."""

import json

import numpy as np
import pytest
from scenes import Pair, between

from correlate.element_map import registration_image
from datasets.acquisition import read_acquisitions
from datasets.phantom import make_study
from datasets.sheet import read_sheet
from registration import SearchBox, align

SESSION = SearchBox(rotation_deg=25, scale=1.08)
MAPS = ("edx", "eels")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """(name, Pair) of a dark-field image and each map of the same specimen; the truth is None where the map looks elsewhere."""
    root = make_study(tmp_path_factory.mktemp("virtual") / "study", samples=4, seed=3, jobs=1)
    frames = json.loads((root / "truth" / "frames.json").read_text(encoding="utf-8"))
    files = {}
    for file in read_sheet(root / "study.toml").files:
        files[file.sample, file.path.rsplit("/", 1)[1].split(".")[0]] = file
    found = []
    for (sample, stem), file in files.items():
        if stem not in MAPS or (sample, "haadf") not in files:
            continue
        image, cube = (read_acquisitions(root / f.path, technique=f.technique or None, axes=f.axes or None)[0]
                       for f in (files[sample, "haadf"], file))
        if image.attrs["uncalibrated"] or cube.attrs["uncalibrated"]:
            continue
        fixed, moving = image["intensity"].load(), registration_image(cube)
        f, m = (frames[f"{sample}/{s}-0"] for s in ("haadf", stem))
        truth = None if f.get("elsewhere") or m.get("elsewhere") else between(np.array(f["matrix"]), np.array(m["matrix"]))
        pixel = max(float(a.x[1] - a.x[0]) for a in (fixed, moving))
        found.append((f"{sample}/{stem}", Pair(fixed, moving, truth, pixel)))
    return found


def test_maps_are_laid_on_the_image_to_a_fraction_of_their_pixel(pairs):
    assert len(pairs) >= 3
    good = 0
    for name, pair in pairs:
        found = align(pair.fixed, pair.moving, box=SESSION)
        if found.verdict == "good":
            assert pair.truth is not None, name
            assert pair.error_px(found.transform) < 1, name
            good += 1
    assert good >= 0.6 * sum(pair.truth is not None for _, pair in pairs)
