"""Second opinions on spectra: other programs on the same files, every number of them; needs the extra `bench`."""

import shutil

import numpy as np
import pytest
from scipy.optimize import nnls

from datasets.formats import open_file


def bench(name):
    """The peer, or a skipped test where it is not installed."""
    return pytest.importorskip(name, reason="a second opinion of the extra `bench`")


@pytest.mark.parametrize("file", ["ftir_opus_brukeropus.0", "ftir_opus_peach_juice.0", "ftir_opus_scp_test.0000",
                                  "ftir_opus_scp_background.0"])
def test_brukeropus_agrees_on_every_block(real_data, file):
    theirs = bench("brukeropus").read_opus(real_data / "spectra" / file)
    ours = {signal.metadata["block"]["start"]: signal for signal in open_file(real_data / "spectra" / file)}
    blocks = {getattr(theirs, key).block.start: getattr(theirs, key) for key in theirs.all_data_keys}
    assert set(ours) == set(blocks)
    for start, block in blocks.items():
        np.testing.assert_allclose(ours[start].main.data, block.y, rtol=1e-6)
        kept = ours[start].axes[-1]
        np.testing.assert_allclose(kept.also["point"][0] if "point" in kept.also else kept.values, block.x)


def test_agilent_format_agrees_on_tile_mosaic_and_interferogram(real_data, tmp_path):
    peer = bench("agilent_format")
    for source in (real_data / "spectra").glob("*agg*"):
        shutil.copy(source, tmp_path)
    single = open_file(tmp_path / "4_noimage_agg256.bsp")
    tile, fringes = (kind(str(tmp_path / "4_noimage_agg256.bsp")) for kind in (peer.agilentImage, peer.agilentImageIFG))
    np.testing.assert_array_equal(single[0].main.data, tile.data)
    np.testing.assert_allclose(single[0].axes[-1].values, tile.wavenumbers)
    np.testing.assert_array_equal(single[1].main.data, fringes.data)
    mosaic = peer.agilentMosaic(str(tmp_path / "5_mosaic_agg1024.dmt"))
    np.testing.assert_array_equal(open_file(tmp_path / "5_mosaic_agg1024.dmt")[0].main.data, mosaic.data)


def test_igor2_agrees_on_a_wave(real_data):
    path = real_data / "spectra" / "xps_scienta_Ag.ibw"
    wave = bench("igor2.binarywave").load(str(path))["wave"]
    (signal,) = open_file(path)
    np.testing.assert_array_equal(signal.main.data, wave["wData"])


def test_vgd_reader_agrees_on_a_survey(real_data):
    path = real_data / "spectra" / "xps_thermo_survey.VGD"
    (theirs,) = bench("vgd_reader").read_vgd(str(path)).spectra
    (signal,) = open_file(path)
    np.testing.assert_array_equal(signal.fields["intensity"].data, theirs.intensity)
    np.testing.assert_allclose(signal.fields["count_rate"].data, theirs.corrected_intensity)
    np.testing.assert_allclose(signal.axes[-1].values, theirs.kinetic_energy)


def test_the_benchmark_matrices_of_curve_resolution_are_whole(real_data):
    """MCR-ALS 2004: MATRIX = cpure x spure plus noise, of which a lack of fit of 1.97 % remains."""
    found = {signal.title: signal.main.data for signal in open_file(real_data / "spectra" / "mcr_als2004dataset.mat")}
    assert found["MATRIX"].shape == (204, 96)
    assert (found["spure"].shape, found["cpure"].shape) == ((4, 96), (204, 4))
    rest = sum(nnls(found["spure"].T, row)[1] ** 2 for row in found["MATRIX"])
    assert 100 * np.sqrt(rest / np.sum(found["MATRIX"] ** 2)) == pytest.approx(1.970, abs=0.002)
