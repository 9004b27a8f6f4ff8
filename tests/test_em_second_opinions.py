"""Other programs read the same electron-microscopy files and find the same numbers (extra `bench`)."""

import gc

import numpy as np
import pytest
from conftest import REAL_DATA

from datasets.acquisition import read_acquisitions

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning",
                                        "ignore::RuntimeWarning")  # of these programs, not of ours
EM = REAL_DATA / "em"
DM = ("dm3_diffraction_pattern.dm3", "dm3_eels_spectrum.dm3", "dm3_image_stack.dm3", "dm3_stem_image.dm3", "dm4_eels_si.dm4",
      "et_haadf.dm3", "ncem_carbon_eels.dm3")
SCALE = {"nm": 1.0, "um": 1e3, "µm": 1e3, "eV": 1.0, "1/nm": 1.0, "deg": 1.0}
"""Of ncempy's unit to ours."""


@pytest.mark.parametrize("name", DM)
def test_ncempy_reads_the_same_pixels_and_steps(real_data, name):
    dm = pytest.importorskip("ncempy.io.dm", reason="needs ncempy, of the extra 'bench'")
    theirs, (ours,) = dm.dmReader(str(EM / name)), read_acquisitions(EM / name)
    values = ours.intensity.to_numpy()
    assert sorted(n for n in values.shape if n > 1) == sorted(n for n in theirs["data"].shape if n > 1)
    np.testing.assert_allclose(np.sort(values.ravel()), np.sort(theirs["data"].ravel()))
    steps = {round(float(abs(ours[d][1] - ours[d][0])), 9) for d in ours.intensity.dims
             if ours[d].size > 1 and ours[d].attrs["units"] not in ("pixel", "1")}
    sizes = zip(theirs["pixelSize"], theirs["pixelUnit"], strict=True)
    stated = [abs(size) * SCALE[unit] for size, unit in sizes if unit in SCALE]
    assert all(any(np.isclose(step, other, rtol=1e-5) for other in stated) for step in steps)
    assert steps
    gc.collect()  # ncempy closes its files late


@pytest.mark.parametrize("name", ["mrc_haadf_scan.mrc", "ncem_temp.mrc", "ccpem_emd3197.map"])
def test_mrcfile_reads_the_same_voxels_and_sizes(real_data, name):
    mrcfile = pytest.importorskip("mrcfile", reason="needs mrcfile, of the extra 'bench'")
    with mrcfile.open(EM / name, permissive=True) as file:
        (ours,) = read_acquisitions(EM / name)
        np.testing.assert_array_equal(np.squeeze(ours.intensity.to_numpy()), np.squeeze(file.data))
        assert float(ours.x[1]) - float(ours.x[0]) == pytest.approx(float(file.voxel_size.x) / 10, rel=1e-5)


def test_ncempy_reads_the_same_emd(real_data):
    emd = pytest.importorskip("ncempy.io.emd", reason="needs ncempy, of the extra 'bench'")
    theirs, (ours,) = emd.emdReader(str(EM / "ncem_acquisition18.emd")), read_acquisitions(EM / "ncem_acquisition18.emd")
    assert np.asarray(theirs["data"]).sum(dtype=np.float64) == ours.intensity.to_numpy().sum(dtype=np.float64)
    assert float(ours.x[1] - ours.x[0]) == pytest.approx(float(theirs["pixelSize"][0]), rel=1e-5)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint16, np.float32, np.float16, np.complex64])
def test_what_mrcfile_writes_is_what_we_read(tmp_path, dtype):
    mrcfile = pytest.importorskip("mrcfile", reason="needs mrcfile, of the extra 'bench'")
    stack = np.random.default_rng(0).normal(0, 30, (3, 5, 6)).astype(dtype)
    with mrcfile.new(tmp_path / "a.mrc") as file:
        file.set_data(stack)
        file.voxel_size = 2.5
        file.set_volume()
    ours, = read_acquisitions(tmp_path / "a.mrc", technique="tomogram" if dtype != np.complex64 else "unknown")
    np.testing.assert_array_equal(ours[next(iter(ours.data_vars))], stack)
    assert float(ours.x[1]) == pytest.approx(0.25)
