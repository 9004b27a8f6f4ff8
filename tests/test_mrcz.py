"""MRCZ: the images of an MRC file, packed one by one; written here with numcodecs, which packs as blosc does."""

import struct

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import open_file
from datasets.formats.electrons import mrcz
from datasets.writers import mrc


def both(folder, stack):
    """The same stack as MRC and as MRCZ."""
    plain = folder / "s.mrc"
    mrc.write_tilt_series(plain, stack, tilt_deg=np.linspace(-60, 60, len(stack)), pixel_size_nm=(0.5, 0.25),
                          dose_e_per_A2=1.0, beam_energy_keV=300.0)
    path = folder / "packed" / "s.mrcz"
    path.parent.mkdir()
    path.write_bytes(mrcz.packed(plain))
    return plain, path


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.uint16])
def test_a_packed_stack_has_the_numbers_and_pixels_of_the_plain_one(tmp_path, dtype):
    stack = np.random.default_rng(0).integers(0, 500, (3, 16, 24)).astype(dtype)
    plain, path = both(tmp_path, stack)
    assert path.stat().st_size < plain.stat().st_size
    (expected,), (found,) = open_file(plain), open_file(path)
    np.testing.assert_array_equal(found.main.data, expected.main.data)
    assert found.main.data.dtype == expected.main.data.dtype
    for one, other in zip(found.axes[1:], expected.axes[1:], strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        assert one.units == other.units
    assert found.source == path


def test_a_packed_image_is_what_it_was(tmp_path):
    (ds,) = read_acquisitions(mrcz.example(tmp_path))
    assert ds.attrs["technique"] == "tem_image"
    assert ds.attrs["source"]["reader"] == "mrcz"


def test_damage_is_told_by_image(tmp_path):
    _, path = both(tmp_path, np.arange(3 * 16 * 24, dtype=np.int16).reshape(3, 16, 24))
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(FileError, match=r"^s\.mrcz: the file ends within it \(image 3 of 3\)"):
        open_file(path)
    start = 1024 + struct.unpack_from("<i", whole, 92)[0]
    path.write_bytes(whole[:start] + b"\5" + whole[start + 1:])
    with pytest.raises(FileError, match=r"is packed by blosc2 \(version 5\)"):
        open_file(path)
    second = start + struct.unpack_from("<I", whole, start + 12)[0]
    path.write_bytes(whole[:second + 4] + struct.pack("<I", 1 << 31) + whole[second + 8:])
    with pytest.raises(FileError, match=r"for 2147483648, the image has 768 \(image 2 of 3\)"):
        open_file(path)
