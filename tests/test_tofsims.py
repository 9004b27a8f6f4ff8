"""ToF-SIMS profiles: a real export, and the virtual specimen's."""

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats.ions import tofsims
from datasets.writers import tofsims as writer


def test_a_real_profile_keeps_all_ions_levels_and_doses(real_data):
    (ds,) = read_acquisitions(real_data / "spectra" / "tofsims_depth_pos_NF.txt")
    assert (ds.attrs["technique"], ds["intensity"].dims) == ("tof_sims", ("sputter_level", "channel"))
    assert ds.sizes["sputter_level"] == 165
    np.testing.assert_allclose(ds["sputter_time"][[0, -1]], [0.0, 240.522])
    assert float(ds["fluence"].max()) == pytest.approx(6.42e14, rel=1e-3)
    assert ds["fluence"].attrs["units"] == "1/cm^2"
    ions = ds.attrs["vendor"]["ions"]
    assert len(ions) == ds.sizes["channel"] == 106
    assert float(ds["intensity"][0, ions.index("Ag_3+")]) == 15.0104
    assert float(ds["mass"][ions.index("Ag_3+")]) == 320.7077
    assert ds.attrs["conditions"]["polarity"] == "positive"


def test_saturated_cells_are_nan_and_counted(real_data):
    (ds,) = read_acquisitions(real_data / "spectra" / "tofsims_depth_pos_NF.txt")
    assert int(np.isnan(ds["intensity"]).sum()) == 5
    assert any("5 intensities" in w for w in ds.attrs["warnings"])


def test_intensities_corrected_for_dead_time_are_not_called_counts(real_data):
    (ds,) = read_acquisitions(real_data / "spectra" / "tofsims_depth_pos_NF.txt")
    assert ds["intensity"].attrs["units"] == "arbitrary"


def test_the_profile_of_the_virtual_specimen_comes_back(tmp_path):
    rng = np.random.default_rng(5)
    counts = {"F-": rng.poisson(900.0, 40), "LiF2-": rng.poisson(50.0, 40)}
    time = np.linspace(0, 78, 40)
    path = writer.write(tmp_path / "a.txt", counts, masses_Da={"F-": 18.998, "LiF2-": 45.012}, sputter_time_s=time,
                        dose_ions=6e9 * (time + 1), area_um2=1e4)
    (ds,) = read_acquisitions(path)
    assert ds.attrs["technique"] == "tof_sims"
    assert ds.attrs["vendor"]["ions"] == list(counts)
    assert ds["intensity"].attrs["units"] == "count"
    np.testing.assert_array_equal(ds["intensity"].T, list(counts.values()))
    np.testing.assert_allclose(ds["sputter_time"], time, rtol=1e-5)
    np.testing.assert_allclose(ds["fluence"] * 1e-4, ds["ion_dose"], rtol=1e-5)  # 1e4 um2 are 1e-4 cm2


def test_the_interface_is_where_fluoride_and_metal_cross(tmp_path):
    (ds,) = read_acquisitions(tofsims.example(tmp_path))
    fluoride, metal = ds["intensity"].data.T
    crossing = ds["sputter_time"].data[np.argmax(metal / 3000 > fluoride / 5000)]
    assert crossing == pytest.approx(30.0, abs=2.0)


@pytest.mark.parametrize(("change", "told"), [
    (lambda lines: [*lines[:6], lines[6][:4], *lines[7:]], "columns follow"),
    (lambda lines: [*lines[:6], "word", *lines[7:]], "expected numbers"),
    (lambda lines: lines[:4], "no numbers"),
])
def test_a_damaged_profile_is_refused_in_one_line(tmp_path, change, told):
    path = tofsims.example(tmp_path)
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    with pytest.raises(FileError, match=told):
        read_acquisitions(path)
