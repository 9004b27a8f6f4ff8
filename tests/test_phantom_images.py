"""What the virtual microscopes see: projection, ideal observer and forward models against closed forms."""

from dataclasses import replace

import numpy as np
import pytest

from datasets.phantom import edx, eels, haadf, hrtem
from datasets.phantom.electrolytes import electrolyte_of
from datasets.phantom.electrons import interaction_rad_per_V_nm, wavelength_nm
from datasets.phantom.fields import grow
from datasets.phantom.geometry import HRTEM, STEM, Placement, View, look_at, overlap_fraction
from datasets.phantom.materials import lattice, material
from datasets.phantom.observer import projected_thickness
from datasets.phantom.projection import Projection, matrix_solid, project
from datasets.phantom.specimen import Specimen, make_specimen
from datasets.phantom.state import Protocol, latent_state
from datasets.phantom.study import state_of


@pytest.fixture(scope="module")
def smooth() -> Specimen:
    """A straight filament with an even shell."""
    state = replace(latent_state("smooth", electrolyte_of(0, 24, 1), Protocol(), 1), thickness_cv=1e-6, roughness_nm=0.0)
    deposit = replace(grow(state), bend_nm=0.0)
    return Specimen(state, deposit, Placement(0.3, (500.0, 700.0)), project(deposit, state))


@pytest.fixture(scope="module")
def rough() -> Specimen:
    return make_specimen(state_of(2, 24, 1))


def stem_rows(specimen: Specimen) -> slice:
    """Rows of the projection that the round tip does not reach."""
    return slice(0, int(0.8 * specimen.deposit.tip_nm / specimen.projection.step))


def test_a_smooth_filament_projects_to_the_volume_of_its_cylinders(smooth):
    radius, thickness, step = smooth.deposit.radius_nm, smooth.deposit.mean_thickness_nm, smooth.projection.step
    area = {name: float(m[stem_rows(smooth)].sum(1).mean()) * step for name, m in smooth.projection.volumes.items()}
    assert area["metal"] == pytest.approx(np.pi * radius ** 2, rel=0.01)
    assert area["inner"] + area["outer"] == pytest.approx(np.pi * ((radius + thickness) ** 2 - radius ** 2), rel=0.01)


def test_a_smooth_filament_is_as_thick_as_chords_through_it(smooth):
    radius, thickness, step = smooth.deposit.radius_nm, smooth.deposit.mean_thickness_nm, smooth.projection.step
    v = smooth.projection.origin[1] + step * np.arange(smooth.projection.volumes["metal"].shape[1])
    profile = sum(volume[100] for volume in smooth.projection.volumes.values())
    chord = 2 * np.sqrt(np.clip((radius + thickness) ** 2 - v ** 2, 0, None))
    inside = np.abs(v) < 0.9 * (radius + thickness)
    assert np.max(np.abs(profile - chord)[inside]) < 0.02 * chord.max()


def test_the_tip_is_a_hemisphere(smooth):
    radius, step = smooth.deposit.radius_nm, smooth.projection.step
    tip = smooth.projection.volumes["metal"][int(smooth.deposit.tip_nm / step):]
    assert float(tip.sum()) * step ** 2 == pytest.approx(2 / 3 * np.pi * radius ** 3, rel=0.03)


def test_an_ideal_observer_of_a_smooth_filament_sees_the_half_maximum_of_its_shell(smooth):
    radius, thickness = smooth.deposit.radius_nm, smooth.deposit.mean_thickness_nm
    view = look_at(smooth.placement.sample_point(smooth.deposit.tip_nm - smooth.deposit.field_nm, 0.0), (256, 256),
                   smooth.deposit.field_nm / 256, STEM, np.random.default_rng(0))
    seen = smooth.seen_by(view)
    outline = projected_thickness(seen.volumes["metal"], seen.volumes["inner"] + seen.volumes["outer"], view.true_pixel_nm())
    half_maximum = np.sqrt(0.75 * (radius + thickness) ** 2 + 0.25 * radius ** 2) - radius
    assert outline.thickness_nm == pytest.approx(half_maximum, abs=view.true_pixel_nm())
    assert outline.spread_nm < view.true_pixel_nm()


def test_a_rough_projected_film_looks_thinner_than_it_is(rough):
    view = look_at(rough.placement.sample_point(rough.deposit.tip_nm - 0.3 * rough.deposit.field_nm, 0.0), (384, 384),
                   rough.deposit.field_nm / 384, STEM, np.random.default_rng(0))
    seen = rough.seen_by(view)
    outline = projected_thickness(seen.volumes["metal"], seen.volumes["inner"] + seen.volumes["outer"], view.true_pixel_nm())
    assert 0.6 < outline.thickness_nm / rough.deposit.mean_thickness_nm < 1.0
    assert outline.spread_nm > 0.3 * rough.deposit.thickness_spread_nm


def test_the_solids_of_the_film_fill_it_up_to_its_pores(rough):
    volumes, solids, state = rough.projection.volumes, rough.projection.solids, rough.state
    shell = float(volumes["inner"].sum() + volumes["outer"].sum())
    solid = sum(float(m.sum()) for name, m in solids.items() if name != state.metal)
    assert solid / shell == pytest.approx(1 - state.porosity, abs=0.03)


def test_what_is_placed_carries_the_inorganic_share_of_its_layers(rough):
    state, volumes, solids = rough.state, rough.projection.volumes, rough.projection.solids
    inorganic = sum(float(m.sum()) for name, m in solids.items() if name != state.metal and not name.startswith("organic"))
    organic = float(solids[f"organic:{state.metal}"].sum())
    # on a thin filament the outer layer has more volume than its share of the thickness
    layers = [(float(volumes[name].sum()), sum(v for k, v in phases.items() if not k.startswith("organic")))
              for name, phases in (("inner", state.inner), ("outer", state.outer))]
    expected = sum(volume * share for volume, share in layers) / sum(volume for volume, _ in layers)
    assert inorganic / (inorganic + organic) == pytest.approx(expected, abs=0.03)


def test_the_matrix_and_the_crystallites_make_up_the_solid():
    phases, porosity, crystals = {"LiF": 0.3, "Li2O": 0.2, "organic:Li": 0.5}, 0.2, 0.25
    solid = crystals + (1 - crystals) * sum(matrix_solid(phases, porosity, crystals).values())
    assert solid == pytest.approx(1 - porosity)


def test_a_view_leads_from_pixels_to_the_sample_and_back():
    view = look_at((1200.0, 3400.0), (64, 80), 2.5, STEM, np.random.default_rng(3))
    y, x = replace(view, jitter_nm=np.zeros(64)).sample_points()
    assert (y.mean(), x.mean()) == pytest.approx((1200.0, 3400.0), abs=1e-9)
    linear, shift = view.matrix[:, :2], view.matrix[:, 2]
    back = np.linalg.solve(linear, np.stack([y[5, 7], x[5, 7]]) - shift)
    assert back == pytest.approx([5 * 2.5, 7 * 2.5], abs=1e-9)


def test_a_placement_is_undone_by_its_inverse():
    placement = Placement(0.4, (2000.0, 5000.0))
    y, x = placement.sample_point(123.0, -45.0)
    u, v = placement.deposit_coordinates(np.array(y), np.array(x))
    assert (float(u), float(v)) == pytest.approx((123.0, -45.0), abs=1e-9)


def test_fields_overlap_by_the_area_they_share():
    def field(y: float, x: float, size: float) -> dict[str, object]:
        return {"corners": [[y, x], [y, x + size], [y + size, x + size], [y + size, x]]}

    assert overlap_fraction(field(0, 0, 10), field(0, 5, 10)) == pytest.approx(0.5)
    assert overlap_fraction(field(0, 0, 10), field(2, 2, 4)) == pytest.approx(1.0)
    assert overlap_fraction(field(0, 0, 10), field(20, 0, 10)) == 0


def slab(name: str, thickness_nm: float, shape: tuple[int, int] = (6, 6)) -> dict[str, np.ndarray]:
    return {name: np.full(shape, thickness_nm, np.float32)}


def test_haadf_of_a_thin_film_grows_with_its_thickness_and_with_the_dose():
    one = haadf.expected_counts(slab("LiF", 10.0), 1.0, 1e4, 300.0)[3, 3] - haadf.DARK
    two = haadf.expected_counts(slab("LiF", 20.0), 1.0, 2e4, 300.0)[3, 3] - haadf.DARK
    assert two / one == pytest.approx(4.0, rel=0.01)


def test_haadf_sees_lithium_metal_darker_than_its_film():
    def signal(name: str) -> float:
        return float(haadf.expected_counts(slab(name, 50.0), 1.0, 1e4, 300.0)[3, 3])

    assert signal("Li") < 0.3 * signal("organic:Li") < 0.3 * signal("LiF")


def test_haadf_counts_are_poisson():
    expected = np.full((200, 200), 30.0)
    counts = haadf.counts(expected, np.random.default_rng(1))
    assert counts.var() / counts.mean() == pytest.approx(1.0, abs=0.03)


def test_electrons_at_300_keV_have_the_textbook_wavelength_and_interaction():
    assert wavelength_nm(300) == pytest.approx(1.969e-3, rel=1e-3)
    assert interaction_rad_per_V_nm(300) == pytest.approx(6.526e-3, rel=1e-3)


def test_plural_scattering_keeps_the_log_ratio_of_the_zero_loss_peak():
    optics = eels.Optics()
    mean = eels.expected_counts(slab("Li2O", 80.0, (1, 1)), 1e6, optics)[0, 0]
    energy = optics.energy_eV
    zero_loss = mean[np.abs(energy) < 4].sum()
    core = 80.0 * optics.channel_eV * sum(density * eels.cross_section_nm2_per_eV(element, energy, optics).sum()
                                          for element, density in material("Li2O").atoms_per_nm3.items())
    plasmons = 80.0 / eels.inelastic_mean_free_path_nm(material("Li2O"), optics)
    assert np.log(mean.sum() / zero_loss) == pytest.approx(plasmons + np.log1p(core), rel=0.02)


def test_the_plasmon_of_lithium_metal_lies_at_7_eV_and_repeats():
    optics = eels.Optics(channel_eV=0.1, channels=2048, first_eV=-10.0, zero_loss_eV=0.5)
    mean = eels.expected_counts(slab("Li", 300.0, (1, 1)), 1e6, optics)[0, 0]
    energy = optics.energy_eV
    for order in (1, 2):
        near = np.abs(energy - 7.1 * order) < 2.5
        assert energy[near][np.argmax(mean[near])] == pytest.approx(7.1 * order, abs=0.3)


@pytest.mark.parametrize(("name", "onset"), [("LiF", 685.0), ("Li2O", 532.0), ("Li2CO3", 284.0)])
def test_an_edge_begins_where_its_element_binds(name, onset):
    optics = eels.Optics()
    mean = eels.expected_counts(slab(name, 40.0, (1, 1)), 1e6, optics)[0, 0]
    energy = optics.energy_eV
    before, after = (mean[(energy > onset + a) & (energy < onset + b)].mean() for a, b in ((-12, -4), (3, 15)))
    assert after > 1.5 * before


def test_the_background_under_an_edge_is_no_power_law():
    optics = eels.Optics()
    mean = eels.expected_counts(slab("Li2CO3", 80.0, (1, 1)), 1e6, optics)[0, 0]
    energy = optics.energy_eV
    slopes = [np.polyfit(np.log(energy[w]), np.log(mean[w]), 1)[0]
              for w in ((energy > a) & (energy < b) for a, b in ((34, 42), (44, 52)))]
    assert abs(slopes[0] - slopes[1]) > 0.2


def test_edx_counts_grow_with_thickness_and_lithium_is_invisible():
    detector = edx.Detector()

    def net(thickness: float) -> float:
        mean = edx.expected_counts(slab("LiF", thickness, (1, 1)), 1e8, detector)[0, 0]
        return float(mean[np.abs(detector.energy_keV - edx.LINE_KEV["F"]) < 0.1].sum())

    assert net(40.0) == pytest.approx(2 * net(20.0), rel=1e-3)
    lithium = edx.expected_counts(slab("Li", 100.0, (1, 1)), 1e8, detector)[0, 0]
    smooth = lithium[detector.energy_keV < 6]
    assert np.all(np.diff(smooth[np.argmax(smooth):]) <= 0)         # bremsstrahlung only: no line stands out


def test_the_detector_resolves_130_eV_at_manganese():
    energy = np.arange(5.0, 7.0, 0.001)
    shape = edx.line_shape(5.895, energy)
    above = energy[shape > 0.5 * shape.max()]
    assert above[-1] - above[0] == pytest.approx(0.130, abs=0.002)


def test_a_crystallite_in_the_beam_shows_the_spacing_of_its_planes():
    # one lithium oxide grain of 24 nm, tilted so that a {111} stands along the beam
    table = lattice("Li2O")
    g = table.reflections[np.argmax(np.isclose(np.linalg.norm(table.reflections, axis=1), 1 / 0.26624, rtol=1e-3))]
    state = latent_state("grain", electrolyte_of(0, 24, 1), Protocol(), 1)
    deposit = grow(state)
    axis = np.cross(g, [1.0, 0.0, 0.0])
    turn = np.r_[axis, np.linalg.norm(g) + g[0]]
    deposit = replace(deposit, bend_nm=0.0, crystallites=replace(
        deposit.crystallites, centres=np.array([[200.0, 0.0, 0.0]]), diameter_nm=np.array([24.0]), phase=np.array([0]),
        quaternions=(turn / np.linalg.norm(turn))[None], phases=("Li2O",)))
    empty = {name: np.zeros((800, 800), np.float32) for name in ("metal", "inner", "outer")}
    projection = Projection((0.0, -200.0), 0.5, empty, {})
    placement = Placement(0.0, (0.0, 0.0))
    view = look_at((0.0, 200.0), (512, 512), 0.05, HRTEM, np.random.default_rng(0))
    view = replace(view, matrix=np.column_stack([np.eye(2), view.matrix[:, 2]]))
    image, drawn = hrtem.expected_intensity(deposit, projection, "Li", placement, view, hrtem.Lens(), 0.0,
                                            np.random.default_rng(0))
    power = np.abs(np.fft.rfft2(image - image.mean())) ** 2
    fy, fx = np.fft.fftfreq(512, 0.05)[:, None], np.fft.rfftfreq(512, 0.05)[None, :]
    radius = np.hypot(fy, fx)
    near = (radius > 3.3) & (radius < 4.2)
    assert radius[near][np.argmax(power[near])] == pytest.approx(1 / 0.26624, abs=1 / 25.6)      # one pixel of the FFT
    assert any(abs(float(row["d_nm"]) - 0.26624) < 1e-4 for row in drawn)


def test_a_movie_gives_the_dose_and_wanders_about_its_mean():
    frames, drift = hrtem.movie(np.ones((64, 64)), 100.0, 0.05, np.random.default_rng(0))
    assert frames.sum(0).mean() == pytest.approx(100.0 * 0.25, rel=0.02)
    assert drift.mean(0) == pytest.approx([0, 0], abs=1e-12)


def test_a_coarse_pixel_sees_the_mean_of_fine_ones(rough):
    fine = look_at(rough.placement.sample_point(rough.deposit.tip_nm - rough.deposit.field_nm, 0.0), (128, 128), 1.0, STEM,
                   np.random.default_rng(0))
    fine = replace(fine, jitter_nm=np.zeros(128))
    shift = fine.matrix @ np.array([1.5, 1.5, 1.0])
    coarse = View((32, 32), 4.0, np.column_stack([fine.matrix[:, :2], shift]), np.zeros(32))
    many = rough.seen_by(fine).volumes["metal"].reshape(32, 4, 32, 4).mean((1, 3))
    assert np.max(np.abs(many - rough.seen_by(coarse).volumes["metal"])) < 0.02 * many.max()
