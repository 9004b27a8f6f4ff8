"""Real files hold what yadg and pyimpspec read in them.

The figures are those of yadg 6.2.2 and pyimpspec 5.1.3, run in an environment of their own: they pull in or shut out versions
of packages that this project needs. Sums catch a row, a sign, a unit or a column that went astray; both read the same numbers
of four bytes, so sums agree but for the order of adding. yadg reads `yadg_gcpl.issue_149.mpt` ten million times too large,
since it takes that file's decimal commas for marks of thousands: it is not held against it.
"""

import numpy as np
import pytest

from datasets.acquisition import read_acquisitions

YADG = [
    # file, variable, points, sum in mA, V, mAh, ohm
    ("bdf_PEIS-0.mpr", "potential", 60, 182.88985),
    ("bdf_PEIS-0.mpr", "current", 60, -2.6550222),
    ("bdf_PEIS-0.mpr", "impedance_real", 60, 2050.0503),
    ("impedancepy_exampleDataBioLogic.mpt", "potential", 43, -0.011439732),
    ("impedancepy_exampleDataBioLogic.mpt", "current", 43, -1.9403199),
    ("impedancepy_exampleDataBioLogic.mpt", "impedance_real", 43, 3335.7359),
    ("navani_00_test_04_MB.mpr", "potential", 1501, -2476.8535),
    ("navani_00_test_04_MB.mpr", "current", 1501, -64.651101),
    ("navani_00_test_04_MB.mpr", "charge", 1501, -0.013537363),
    ("yadg_bcd.issue_241.mpr", "current", 2550, 14.396123),
    ("yadg_bcd.issue_241.mpr", "charge", 2550, -6794.269),
    ("yadg_gcpl.issue_149.mpr", "potential", 132, 453.02989),
    ("yadg_gcpl.issue_149.mpr", "charge", 132, 0.0036683489),
    ("yadg_gcpl.mpr", "potential", 12057, -3.3239514),
    ("yadg_gcpl.mpr", "charge", 12057, -795.89752),
    ("yadg_geis.mpr", "potential", 2528, 433.35446),
    ("yadg_geis.mpr", "current", 2528, 961.5132),
    ("yadg_geis.mpr", "impedance_real", 2528, 248672.78),
    ("yadg_geis.mpr", "charge", 2528, 403.34405),
    ("yadg_peis.issue_149.mpr", "potential", 84, 288.31799),
    ("yadg_peis.issue_149.mpr", "current", 84, 1.4046479),
    ("yadg_peis.issue_149.mpr", "impedance_real", 84, 3016.3984),
    ("yadg_peis.issue_149.mpr", "charge", 84, 0.0043805747),
    ("yadg_peis.issue_149.mpt", "potential", 84, 288.31798),
    ("yadg_peis.issue_149.mpt", "current", 84, 1.4046479),
    ("yadg_peis.issue_149.mpt", "impedance_real", 84, 3016.3984),
    ("yadg_peis.issue_149.mpt", "charge", 84, 0.0043805747),
    ("yadg_peis.mpr", "potential", 32, -114.92359),
    ("yadg_peis.mpr", "current", 32, -3503.6055),
    ("yadg_peis.mpr", "impedance_real", 32, 384.56689),
    ("yadg_peis.mpr", "charge", 32, -6.6138253),
    ("yadg_peis.mpt", "potential", 32, -114.92359),
    ("yadg_peis.mpt", "current", 32, -3503.6055),
    ("yadg_peis.mpt", "impedance_real", 32, 384.56689),
    ("yadg_peis.mpt", "charge", 32, -6.6138253),
    ("yadg_vsp_peis_with.mpr", "potential", 2240, -0.5475235),
    ("yadg_vsp_peis_with.mpr", "current", 2240, 1.600005),
    ("yadg_vsp_peis_with.mpr", "impedance_real", 2240, 53833.867),
    ("yadg_vsp_peis_with.mpr", "charge", 2240, 0.081234914),
]
PYIMPSPEC = [
    # file, spectrum, points, lowest and highest frequency / Hz, sums of the real and of the imaginary part / ohm
    ("impedancepy_exampleDataBioLogic.mpt", 0, 43, 0.01689554, 1000.3201, 3335.7359, -285.88543),
    ("impedancepy_exampleDataGamry.DTA", 0, 72, 0.0158898, 200015.6, 375919.58, -89675.971),
    ("pyimpspec_data.dfr", 0, 29, 1, 10000, 10451.939, -2518.8601),
    ("pyimpspec_data.dta", 0, 29, 1, 10000, 10451.939, -2518.8601),
    ("pyimpspec_data.mpt", 0, 29, 1, 10000, 10451.939, -2518.8601),
    ("pyimpspec_data.pssession", 0, 29, 1, 10000, 10451.939, -2518.8601),
    ("yadg_peis.issue_149.mpt", 0, 21, 99.968163, 199998.14, 759.40923, -290.61446),
    ("yadg_peis.issue_149.mpt", 1, 21, 99.968163, 199998.14, 755.52515, -288.31483),
    ("yadg_peis.issue_149.mpt", 2, 21, 99.968163, 199998.14, 751.87918, -286.50463),
    ("yadg_peis.issue_149.mpt", 3, 21, 99.968163, 199998.14, 749.58482, -285.17719),
    ("yadg_peis.mpt", 0, 32, 1.0000616, 199998.14, 384.56689, -50.76248),
]


@pytest.mark.parametrize(("file", "variable", "points", "total"), YADG)
def test_columns_of_ec_lab_sum_up_to_what_yadg_reads(real_data, file, variable, points, total):
    found = [ds[variable].to_numpy().astype(float) for ds in read_acquisitions(real_data / "echem" / file) if variable in ds]
    without_frequency = 29 if (file, variable) == ("yadg_geis.mpr", "impedance_real") else 0  # yadg has 0 ohm there
    assert sum(values.size for values in found) == points - without_frequency
    assert sum(np.nansum(values) for values in found) == pytest.approx(total, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("file", "number", "points", "lowest", "highest", "real", "imaginary"), PYIMPSPEC)
def test_spectra_of_impedance_are_those_of_pyimpspec(real_data, file, number, points, lowest, highest, real, imaginary):
    found = []
    for ds in read_acquisitions(real_data / "echem" / file):
        if ds.attrs["technique"] == "eis":
            found += [ds.isel(time=i) for i in range(ds.sizes["time"])] if "time" in ds.dims else [ds]
    assert len(found) == 1 + max(row[1] for row in PYIMPSPEC if row[0] == file)
    one = found[number]
    assert one.sizes["frequency"] == points
    assert (float(one.frequency.min()), float(one.frequency.max())) == pytest.approx((lowest, highest), rel=1e-6)
    assert float(one.impedance_real.sum()) == pytest.approx(real, rel=1e-6)
    assert float(one.impedance_imaginary.sum()) == pytest.approx(imaginary, rel=1e-6)
