"""The examples of the electron techniques show what the technique is for, in numbers that are known by construction."""

import numpy as np
import pytest

from datasets.techniques.edx import EDX
from datasets.techniques.eels import EELS
from datasets.techniques.element_map import ELEMENT_MAP
from datasets.techniques.saed import SAED
from datasets.techniques.sem_image import SEM_IMAGE
from datasets.techniques.stem_4d import STEM_4D
from datasets.techniques.stem_image import STEM_IMAGE
from datasets.techniques.tem_image import TEM_IMAGE


@pytest.fixture(params=range(3))
def rng(request):
    return np.random.default_rng(request.param)


def test_the_lattice_of_the_tem_example_has_its_spacing_in_the_fourier_transform(rng):
    image = TEM_IMAGE.example(rng).intensity
    row = np.abs(np.fft.rfft(image.mean("y").to_numpy() - float(image.mean())))
    frequencies = np.fft.rfftfreq(image.sizes["x"], d=float(image.x[1] - image.x[0]))
    # the field is 1.28 nm wide, so one step of frequency is 0.78 1/nm
    assert frequencies[row.argmax()] == pytest.approx(1 / 0.25, abs=0.5 / 1.28)


def test_the_particle_of_the_stem_example_has_its_diameter(rng):
    image = STEM_IMAGE.example(rng).intensity
    area = float((image > 100).sum()) * 0.5 ** 2
    assert 2 * np.sqrt(area / np.pi) == pytest.approx(12.0, abs=0.5)  # one pixel


def test_ridges_of_the_sem_example_repeat_every_sixty_nanometres(rng):
    row = SEM_IMAGE.example(rng).intensity.isel(y=0).to_numpy().astype(float)
    assert np.corrcoef(row[:-12], row[12:])[0, 1] > 0.8  # 12 pixels of 5 nm
    assert np.corrcoef(row[:-6], row[6:])[0, 1] < -0.8


def test_lithium_of_the_eels_example_rises_along_x_through_shot_noise(rng):
    counts = EELS.example(rng).intensity
    before, behind = (counts.sel(energy_loss=slice(*window)).mean("energy_loss") for window in ((45, 54), (55, 65)))
    profile = (behind - before).mean("y").to_numpy()
    assert np.corrcoef(profile, np.linspace(0, 1, profile.size))[0, 1] > 0.98


def test_fluorine_of_the_edx_example_rises_along_x_and_oxygen_does_not(rng):
    counts = EDX.example(rng).intensity
    fluorine = counts.sel(xray_energy=slice(0.62, 0.74)).sum("xray_energy").mean("y").to_numpy()
    oxygen = counts.sel(xray_energy=slice(0.46, 0.56)).sum("xray_energy").mean("y").to_numpy()
    assert fluorine[-1] > 5 * fluorine[0]
    assert oxygen.max() < 2 * oxygen.min()


def test_the_rings_of_the_saed_example_are_those_of_lithium_fluoride(rng):
    pattern = SAED.example(rng).intensity
    radius = np.hypot(pattern.scattering_vector_y, pattern.scattering_vector_x)
    rings = pattern.groupby(np.round(radius, 1).rename("k")).mean()
    for d_nm in (0.2325, 0.2014):
        near = rings.sel(k=slice(1 / d_nm - 0.25, 1 / d_nm + 0.25))
        assert float(near.k[near.to_numpy().argmax()]) == pytest.approx(1 / d_nm, abs=0.1)


def test_the_direct_beam_of_the_4d_stem_example_dims_along_x(rng):
    beam = STEM_4D.example(rng).intensity.sum(("scattering_vector_y", "scattering_vector_x")).mean("y")
    assert np.all(np.diff(beam) < 0)


def test_an_element_map_is_not_a_spectrum_image(rng):
    assert ELEMENT_MAP.dims == STEM_IMAGE.dims
    assert ELEMENT_MAP.example(rng).intensity.attrs["units"] == "arbitrary"


@pytest.mark.parametrize("technique", [TEM_IMAGE, STEM_IMAGE, EELS, EDX, SAED, STEM_4D], ids=lambda t: t.name)
def test_dose_and_temperature_must_be_known_before_beam_sensitive_specimens_are_compared(technique):
    assert {"dose_e_per_A2", "temperature_K", "beam_energy_keV"} <= set(technique.conditions)
