"""Movies are freed from drift before their mean is looked at, once, and a movie that shows nothing says so."""

import json

import numpy as np
import pytest
import xarray as xr
from app_study import image
from movies import movie, scene, wander

from correlate.ingest import import_files
from correlate.steady import counted_along, drift_unit, steady_image, steady_study
from correlate.study import Study
from datasets.phantom import make_study
from datasets.sheet import FILE_NAME, Sample, Sheet, write_sheet

PIXEL = 0.5
FRAMES = 12


def published(study, unit, frames, units="nm", dim="time"):
    base = image("tem_image", frames[0], PIXEL, units=units)
    name = next(iter(base.data_vars))
    axis = (dim, np.arange(len(frames)) * 2.0, {"units": "s" if dim == "time" else "deg"})
    ds = xr.Dataset({name: ((dim, "y", "x"), frames, base[name].attrs)}, {**base.coords, dim: axis}, base.attrs)
    study.store.publish(unit, ds.assign_attrs(sample="A", title=unit, source={}, history=[], warnings=[]), kind="acquisition")


@pytest.fixture
def study(tmp_path):
    """A movie that drifts by some pixels, one of nothing but noise, one uncalibrated, and a tilt series."""
    write_sheet(Sheet("movies", {"A": Sample("A")}, ()), tmp_path / FILE_NAME)
    found = Study(tmp_path)
    rng = np.random.default_rng(3)
    expected, shifts = scene(rng, 140), wander(rng, FRAMES, 1.5)
    frames = movie(rng, expected, shifts, 96, dose=30.0)
    published(found, "A/movie-0", frames)
    published(found, "A/noise-0", rng.poisson(5, (FRAMES, 64, 64)).astype(np.float32))
    published(found, "A/bare-0", frames, units="pixel")
    published(found, "A/tilt-0", frames, dim="tilt")
    return Study(tmp_path), expected[22:-22, 22:-22], shifts


def test_the_mean_of_a_movie_is_sharp_and_its_drift_is_kept_with_its_error(study):
    study, expected, shifts = study
    done = {s.unit: s for s in steady_study(study, jobs=1)}
    assert set(done) == {"A/movie-0", "A/noise-0"}  # neither what has no pixel size nor what shows another side each time
    found = done["A/movie-0"]
    assert (found.frames, found.kept, found.reason) == (FRAMES, FRAMES, "")
    assert found.travel_nm == pytest.approx(np.linalg.norm(np.ptp(shifts, axis=0)) * PIXEL, abs=4 * found.std_nm)
    kept = study.store.open(drift_unit("A/movie-0"))
    error = (kept["shift"].values / PIXEL - (shifts - shifts.mean(0))) / (kept["shift_std"].values / PIXEL)
    # 24 numbers: the rms of right standard deviations scatters by 15 %
    assert np.sqrt((error**2).mean()) == pytest.approx(1, abs=0.5)
    a = next(a for a in study.acquisitions() if a.unit == "A/movie-0")
    steady = steady_image(study, a)
    inner = np.s_[12:-12, 12:-12]
    blurred = study.open("A/movie-0")[next(iter(study.open("A/movie-0").data_vars))].mean("time")
    like = [np.corrcoef(i.values[inner].ravel(), expected[inner].ravel())[0, 1] for i in (steady, blurred)]
    # 360 electrons a pixel leave noise of 5 % beside structure of 35 %, hence 0.99, less the blur of whole pixels
    assert like[0] > 0.97
    assert 1 - like[0] < 0.4 * (1 - like[1])


def test_the_drift_of_a_virtual_movie_is_what_was_put_in_within_its_error(tmp_path):
    """Written to and read back from an instrument's file: a lattice in five frames that wander by a pixel."""
    study = Study(make_study(tmp_path / "study", samples=1, seed=5, jobs=1))
    import_files(study, jobs=1)
    found, = steady_study(study, jobs=1)
    true = json.loads((study.root / "truth" / "acquisitions.json").read_text())
    drift = np.array(true[found.unit]["nuisance"]["drift_nm"])
    kept = study.store.open(drift_unit(found.unit))
    normal = (kept["shift"].values - (drift - drift.mean(0))) / kept["shift_std"].values
    # eight free numbers: right errors give 1, scattering by a quarter
    assert 0.3 < np.sqrt((normal**2).mean()) < 2


def test_noise_alone_has_no_drift_and_no_steady_image(study):
    study = study[0]
    done = {s.unit: s for s in steady_study(study, jobs=1)}
    assert "no two of 12 frames" in done["A/noise-0"].reason
    assert np.isnan(done["A/noise-0"].travel_nm)
    assert steady_image(study, next(a for a in study.acquisitions() if a.unit == "A/noise-0")) is None


def test_a_series_is_looked_at_once_until_it_changes(study):
    study = study[0]
    first = steady_study(study, jobs=1)
    assert not any(s.done_before for s in first)
    second = steady_study(study, jobs=1)
    assert all(s.done_before for s in second)
    assert [(s.unit, s.kept, s.reason) for s in first] == [(s.unit, s.kept, s.reason) for s in second]
    published(study, "A/movie-0", np.ones((5, 64, 64), np.float32) + np.random.default_rng(0).random((5, 64, 64), np.float32))
    study = Study(study.root)
    assert steady_image(study, next(a for a in study.acquisitions() if a.unit == "A/movie-0")) is None
    assert [s.done_before for s in steady_study(study, jobs=1)] == [False, True]


def test_what_counts_frames_of_one_place_is_told_by_its_axis(study):
    assert {a.unit: counted_along(a) for a in study[0].acquisitions()} == {
        "A/movie-0": "time", "A/noise-0": "time", "A/bare-0": None, "A/tilt-0": None}
