"""SEI thickness from projections of shells whose edges are known by construction."""

import math

import numpy as np
import pytest
import xarray as xr

from correlate.descriptors.thickness import measure_image, measure_map, shell

RADIUS_NM, SHELL_NM, PIXEL_NM = 50.0, 20.0, 0.6


def scene(*, angle=12.0, shell_nm=SHELL_NM, radius_nm=RADIUS_NM, metal=0.18, counts=25.0, seed=0, size=300, shift=(0.0, 0.0),
          gradient=0.0, pixel_nm=PIXEL_NM, rough=True, dark=0.6):
    """A filament across the field: chords of metal and shell, the shell's surface rough by 2 nm, Poisson noise."""
    y, x = (np.arange(size) - (size - 1) / 2) * pixel_nm + shift[0], (np.arange(size) - (size - 1) / 2) * pixel_nm + shift[1]
    turn = np.deg2rad(angle)
    across = np.cos(turn) * y[:, None] + np.sin(turn) * x[None]
    along = -np.sin(turn) * y[:, None] + np.cos(turn) * x[None]
    wave = 1.5 * np.sin(along / 6.0 + np.sign(across)) + 1.2 * np.sin(along / 9.7 + 1) if rough else 0.0
    core, whole = chord(across, radius_nm), chord(across, radius_nm + shell_nm + wave)
    mean = whole - (1 - metal) * core
    mean = counts * mean / chord(radius_nm, radius_nm + shell_nm) + dark + gradient * x[None] / x.max()
    return np.random.default_rng(seed).poisson(np.maximum(mean, 0)).astype(float)


def chord(across, radius):
    return 2 * np.sqrt(np.maximum(radius**2 - np.abs(across) ** 2, 0.0))


def observed(shell_nm=SHELL_NM, radius_nm=RADIUS_NM):
    """What an ideal observer reads off: the shell's chord is half of its largest where radius² - r² = chord²/16."""
    outer = radius_nm + shell_nm
    largest = 2 * np.sqrt(outer**2 - radius_nm**2)
    return math.sqrt(outer**2 - (largest / 4) ** 2) - radius_nm


def image(values, pixel_nm=PIXEL_NM, units="nm", **conditions):
    y, x = (np.arange(n) * pixel_nm for n in values.shape)
    return xr.Dataset({"intensity": (("y", "x"), values, {"units": "arbitrary"})},
                      {"y": ("y", y, {"units": units}), "x": ("x", x, {"units": units})},
                      {"technique": "stem_image", "title": "made up", "conditions": conditions})


def thickness(values, **kwargs):
    return measure_image(image(values, **kwargs))[0]


@pytest.mark.parametrize("shell_nm", [8.0, 20.0, 40.0])
def test_thickness_of_a_filament_is_that_of_an_ideal_observer(shell_nm):
    found = thickness(scene(shell_nm=shell_nm, size=400))
    assert found.value == pytest.approx(observed(shell_nm), abs=2 * found.std)
    assert found.std < 0.12 * found.value + 0.5


@pytest.mark.parametrize("angle", [0.0, 33.0, 58.0, 90.0])
def test_thickness_does_not_change_when_the_specimen_is_rotated(angle):
    here, there = thickness(scene()), thickness(scene(angle=angle, seed=1))
    assert there.value == pytest.approx(here.value, abs=0.06 * here.value), "noise and sampling, well within its error"


@pytest.mark.parametrize("turn", [np.fliplr, np.flipud, np.transpose, np.rot90])
def test_thickness_does_not_change_when_the_image_is_turned_or_mirrored(turn):
    values = scene()
    assert thickness(turn(values).copy()).value == pytest.approx(thickness(values).value, rel=0.02)


def test_thickness_does_not_change_when_the_field_is_moved():
    here, there = thickness(scene()), thickness(scene(shift=(9.0, 7.0), seed=2))
    assert there.value == pytest.approx(here.value, rel=0.06)


def test_thickness_scales_with_the_pixel_and_not_with_brightness():
    values = scene()
    assert thickness(37.0 * values).value == pytest.approx(thickness(values).value, rel=0.01)
    assert thickness(values, pixel_nm=2 * PIXEL_NM).value == pytest.approx(2 * thickness(values).value, rel=0.12)


def test_a_sloping_background_does_not_move_the_edges():
    flat, sloping = thickness(scene()), thickness(scene(gradient=1.0, dark=2.0, angle=45.0))
    assert sloping.value == pytest.approx(flat.value, rel=0.08)


def test_metal_brighter_than_its_shell_is_no_obstacle():
    found = thickness(scene(metal=2.2))
    assert found.value == pytest.approx(observed(), abs=2 * found.std)


def test_only_one_side_of_the_deposit_in_view_is_enough():
    found = thickness(scene(shift=(-45.0, 0.0), angle=3.0, size=300))
    assert found.value == pytest.approx(observed(), abs=2 * found.std)


def test_bright_field_shows_the_same_edges_dark():
    bright = scene(counts=25.0, dark=0.0)
    absorbed = np.exp(-bright / bright.max())
    counts = np.random.default_rng(5).poisson(400 * np.exp(-scene(rough=True, seed=3, dark=0.0) / 80.0)).astype(float)
    found = measure_image(image(counts, detector="BF"))[0]
    assert absorbed.min() > 0
    assert found.value == pytest.approx(observed(), abs=2.5 * found.std)


@pytest.mark.parametrize(("values", "why"), [
    (np.random.default_rng(0).poisson(20.0, (128, 128)).astype(float), "no even surrounding"),
    (np.full((128, 128), 7.0), "no even surrounding"),
    (np.full((8, 8), 7.0), "too few"),
    (scene(metal=1.0), "differ too little"),
])
def test_where_no_shell_can_be_seen_the_reason_is_given(values, why):
    found = thickness(values)
    assert math.isnan(found.value)
    assert why in found.reason


def test_an_uncalibrated_image_has_no_thickness():
    found = thickness(scene(), units="pixel")
    assert math.isnan(found.value)
    assert "not calibrated" in found.reason


def test_a_stretch_knows_where_it_lies():
    found = shell(scene(), PIXEL_NM)
    assert found.thickness.size == found.y_nm.size == found.noise_std.size
    assert found.x_nm.min() >= 0
    assert found.x_nm.max() <= 300 * PIXEL_NM


def test_a_map_of_oxygen_shows_the_shell_where_its_metal_is_as_bright():
    size, pixel_nm = 72, 2.5
    y, x = ((np.arange(size) - (size - 1) / 2) * pixel_nm for _ in range(2))
    across = 0.96 * y[:, None] + 0.28 * x[None]
    oxygen = chord(across, RADIUS_NM + SHELL_NM) - chord(across, RADIUS_NM)
    energy = np.arange(0.2, 1.2, 0.01)
    line = np.exp(-0.5 * ((energy - 0.525) / 0.025) ** 2)
    counts = np.random.default_rng(4).poisson(0.02 * oxygen[..., None] * line + 0.02)
    ds = xr.Dataset({"intensity": (("y", "x", "xray_energy"), counts.astype(float), {"units": "count"})},
                    {"y": ("y", y, {"units": "nm"}), "x": ("x", x, {"units": "nm"}),
                     "xray_energy": ("xray_energy", energy, {"units": "keV"})},
                    {"technique": "edx", "title": "made up", "conditions": {}})
    found = measure_map(ds)[0]
    assert "O" in found.method
    assert found.value == pytest.approx(observed(), abs=2 * found.std)


def test_an_image_that_resolves_the_lattice_tells_no_thickness():
    fringes = np.cos(2 * np.pi * np.arange(256) * 0.05 / 0.235)[None, :] + np.zeros((256, 1))
    coords = {d: (d, np.arange(256) * 0.05, {"units": "nm"}) for d in ("y", "x")}
    ds = xr.Dataset({"intensity": (("y", "x"), 100 + 20 * fringes, {"units": "arbitrary"})}, coords,
                    {"technique": "tem_image", "title": "lattice", "conditions": {}})
    assert all("lattice" in m.reason and not m.known for m in measure_image(ds))
