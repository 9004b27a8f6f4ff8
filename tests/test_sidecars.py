"""A text that describes images is no image, and says where they are."""

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import UnknownFormat
from datasets.writers import mrc

TEXTS = {
    "a.mrc.mdoc": ("PixelSpacing = 7.8\nImageFile = D:\\data\\a.mrc\n[ZValue = 0]\nTiltAngle = 0\n[ZValue = 1]\n",
                   "describes 2 images of a.mrc"),
    "b.mdoc": ("[FrameSet = 0]\nTiltAngle = 1\n", "describes 1 images"),
    "c.rawtlt": ("-60\n0\n60\n", "lists 3 tilt angles, -60 to 60 deg"),
    "d.hdr": ("HDR,\t\nTime and Date Stamp (day, mnth, yr, hr, min, s):\t1/1/2026\n", "describes the frames of d.mib"),
    "e.hdr": ("ENVI\nsamples = 3\nlines = 4\nbands = 5\n", "an ENVI header for a block of 4 x 3 x 5"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_about_images_names_what_is_missing(tmp_path, name):
    text, said = TEXTS[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(UnknownFormat, match=said) as error:
        read_acquisitions(tmp_path / name)
    assert "not beside it" in str(error.value)
    assert str(error.value).startswith(name)


@pytest.mark.parametrize("name", ["s.mrc.mdoc", "s.mdoc", "s.rawtlt"])
def test_a_text_beside_its_images_says_which_file_to_read(tmp_path, name):
    mrc.write_tilt_series(tmp_path / "s.mrc", np.ones((3, 4, 5), np.int16), tilt_deg=np.array([-1.0, 0.0, 1.0]),
                          pixel_size_nm=(1, 1), dose_e_per_A2=1.0, beam_energy_keV=300.0)
    if not (tmp_path / name).is_file():
        (tmp_path / "s.mrc.mdoc").rename(tmp_path / name)
    with pytest.raises(UnknownFormat, match=r"read s\.mrc, which takes it along"):
        read_acquisitions(tmp_path / name)
    assert read_acquisitions(tmp_path / "s.mrc")[0].attrs["technique"] == "tilt_series"
