"""Electron microscopy of a specimen: HAADF, EDX, EELS, HRTEM and SAED, each into a file of a format drawn at random."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.phantom import edx, eels, haadf, hrtem, saed
from datasets.phantom.electrons import dose_e_per_A2, electrons_per_pixel
from datasets.phantom.geometry import HRTEM, SPECTRUM_IMAGE, STEM, View, field_centre, look_at
from datasets.phantom.materials import ATOMIC_NUMBER
from datasets.phantom.recording import Calibration, Recording, beam_energy, calibration, frame_entry, noted_dose
from datasets.phantom.specimen import Specimen, observed
from datasets.phantom.streams import stream
from datasets.writers import fei_tiff, mrc, ncem_emd, ripple

CRYO_K = 95.0
BEAM_KEV = 300.0
ELSEWHERE = 0.1
"""Share of the EDX maps taken at another place of the filament: nothing to align, which a program should notice."""
HAADF_PIXELS = 512
AHEAD = 0.20
"""How far behind the tip the widest image is centred, in field widths."""


def record_haadf(specimen: Specimen, folder: Path) -> list[Recording]:
    """The widest image: the end of a filament with its shell all round."""
    rng, fate = specimen.draw("haadf", "settings"), specimen.draw("haadf", "metadata")
    deposit = specimen.deposit
    view = look_at(_near(specimen, AHEAD, 0.03, rng), (HAADF_PIXELS, HAADF_PIXELS), _round(deposit.field_nm / HAADF_PIXELS),
                   STEM, specimen.draw("haadf", "geometry"))
    current_pA, dwell_s = float(rng.choice([50.0, 100.0])), float(rng.choice([10e-6, 20e-6, 40e-6]))
    electrons = electrons_per_pixel(current_pA, dwell_s)
    seen = specimen.seen_by(view)
    expected = haadf.expected_counts(seen.solids, view.pixel_nm, electrons, BEAM_KEV)
    image = haadf.counts(expected, specimen.draw("haadf", "counts"))
    kind = str(rng.choice(["mrc", "tif", "emd"]))
    scale, energy = calibration(view, fate), beam_energy(BEAM_KEV, fate, held=kind != "mrc", required=kind == "tif")
    dose, no_dose = noted_dose(dose_e_per_A2(electrons, view.pixel_nm), fate)
    name = _write_image(folder, "haadf", image, view, scale, energy.stated_keV, specimen, kind,
                        current_pA=current_pA, dwell_s=dwell_s)
    sheet = {"technique": "stem_image", "axes": scale.sheet_axes,
             "conditions": {"temperature_K": CRYO_K, "detector": "HAADF", "order": 1, **energy.sheet, **dose}}
    return [Recording(name, "stem_image", sheet, observed(specimen, seen, view, "haadf"), _nuisance(view, dose_pA=current_pA),
                      frame_entry(view, scale.scale, scale.units), (*scale.faults, *energy.faults, *no_dose))]


def record_edx(specimen: Specimen, folder: Path) -> list[Recording]:
    """A map that covers most of the widest image, or, rarely, another place altogether."""
    rng, fate = specimen.draw("edx", "settings"), specimen.draw("edx", "metadata")
    elsewhere = rng.random() < ELSEWHERE
    shape = (int(rng.integers(68, 77)), int(rng.integers(78, 87)))
    along = 1.5 if elsewhere else AHEAD + 0.05
    pixel_nm = _round(0.98 * specimen.deposit.field_nm / shape[1])
    view = look_at(_near(specimen, along, 0.04, rng), shape, pixel_nm, SPECTRUM_IMAGE, specimen.draw("edx", "geometry"))
    current_pA, dwell_s = 300.0, float(rng.choice([0.064, 0.1]))
    electrons = electrons_per_pixel(current_pA, dwell_s)
    detector = edx.Detector(first_keV=float(rng.choice([0.0, -0.1])))
    seen = specimen.seen_by(view)
    sensitivity = study_sensitivity(specimen.state.seed, "edx", 0.15)
    cube = edx.counts(edx.expected_counts(seen.solids, electrons, detector, sensitivity), specimen.draw("edx", "counts"))
    scale, energy = calibration(view, fate), beam_energy(BEAM_KEV, fate)
    dose, no_dose = noted_dose(dose_e_per_A2(electrons, view.pixel_nm), fate)
    pixel = None if scale.stated_nm is None else (scale.stated_nm, scale.stated_nm)
    name = "edx.rpl"
    ripple.write(folder / name, cube, pixel_size_nm=pixel, channel_keV=detector.channel_keV,
                 first_channel_keV=detector.first_keV, beam_energy_keV=energy.stated_keV,
                 live_time_s=dwell_s * cube.shape[0] * cube.shape[1], elevation_deg=18.0,
                 energy_resolution_eV=edx.RESOLUTION_EV, title=f"{specimen.state.sample} EDX")
    sheet = {"axes": scale.sheet_axes,
             "conditions": {"temperature_K": CRYO_K, "order": 3, "beam_current_pA": current_pA, "dwell_time_s": dwell_s,
                            **energy.sheet, **dose}}
    return [Recording(name, "edx", sheet, observed(specimen, seen, view, "edx"), _nuisance(view, sensitivity=sensitivity),
                      frame_entry(view, scale.scale, scale.units, elsewhere=bool(elsewhere)),
                      (*scale.faults, *energy.faults, *no_dose))]


def record_eels(specimen: Specimen, folder: Path) -> list[Recording]:
    """A spectrum image over one edge of the filament, from the vacuum into the metal."""
    rng, fate = specimen.draw("eels", "settings"), specimen.draw("eels", "metadata")
    shape = (int(rng.integers(44, 50)), int(rng.integers(50, 57)))
    side = float(rng.choice([-1.0, 1.0]))
    u = specimen.deposit.tip_nm - (AHEAD + float(rng.normal(0.05, 0.03))) * specimen.deposit.field_nm
    across = float(specimen.deposit.deviation(np.array(u))) + side * specimen.deposit.radius_nm
    view = look_at(specimen.placement.sample_point(u, across), shape, _round(0.6 * specimen.deposit.field_nm / shape[1]),
                   SPECTRUM_IMAGE, specimen.draw("eels", "geometry"))
    current_pA, dwell_s = 50.0, float(rng.choice([5e-3, 10e-3]))
    electrons = electrons_per_pixel(current_pA, dwell_s)
    optics = eels.Optics(zero_loss_eV=float(rng.uniform(0.9, 1.4)))
    seen = specimen.seen_by(view)
    sensitivity = study_sensitivity(specimen.state.seed, "eels", 0.10)
    cube = eels.counts(eels.expected_counts(seen.solids, electrons, optics, sensitivity), specimen.draw("eels", "counts"))
    scale, energy = calibration(view, fate), beam_energy(BEAM_KEV, fate)
    dose, no_dose = noted_dose(dose_e_per_A2(electrons, view.pixel_nm), fate)
    name = "eels.emd"
    ncem_emd.write(folder / name, cube, [*_image_dims(view.shape, scale.stated_nm), ("Energy loss", "eV", optics.energy_eV)],
                   name="eels_si", beam_energy_keV=energy.stated_keV, sample=specimen.state.sample,
                   microscope={"dwell_time_s": dwell_s, "beam_current_pA": current_pA})
    sheet = {"technique": "eels", "axes": scale.sheet_axes,
             "conditions": {"temperature_K": CRYO_K, "order": 2, "convergence_mrad": 8.0,
                            "collection_mrad": optics.collection_mrad, "beam_current_pA": current_pA, "dwell_time_s": dwell_s,
                            **energy.sheet, **dose}}
    return [Recording(name, "eels", sheet, observed(specimen, seen, view, "eels"),
                      _nuisance(view, zero_loss_eV=optics.zero_loss_eV, sensitivity=sensitivity),
                      frame_entry(view, scale.scale, scale.units),
                      (*scale.faults, *energy.faults, *no_dose))]


def record_hrtem(specimen: Specimen, folder: Path) -> list[Recording]:
    """A lattice image at the edge of the filament, summed or as a movie."""
    rng, fate = specimen.draw("hrtem", "settings"), specimen.draw("hrtem", "metadata")
    deposit, state = specimen.deposit, specimen.state
    u = deposit.tip_nm - float(rng.uniform(0.2, 0.5)) * deposit.field_nm
    across = deposit.radius_nm + 0.5 * min(deposit.mean_thickness_nm, 30.0)
    view = look_at(specimen.placement.sample_point(u, float(deposit.deviation(np.array(u))) + across), (768, 768), 0.05, HRTEM,
                   specimen.draw("hrtem", "geometry"))
    dose = float(rng.choice([20.0, 50.0, 100.0, 300.0, 1000.0]))
    lens = hrtem.Lens(BEAM_KEV, float(rng.normal(-12, 5)))
    strain = study_strain(state.seed)
    expected, reflections = hrtem.expected_intensity(deposit, specimen.projection, state.metal, specimen.placement, view, lens,
                                                     strain, specimen.draw("hrtem", "texture"))
    frames, drift = hrtem.movie(expected, dose, view.pixel_nm, specimen.draw("hrtem", "counts"))
    image = frames if rng.random() < 0.2 else frames.sum(0, dtype=np.uint16)
    kind = "mrc" if image.ndim == 3 else str(rng.choice(["mrc", "mrc", "emd"]))
    scale, energy = calibration(view, fate), beam_energy(BEAM_KEV, fate, held=kind != "mrc")
    noted, no_dose = noted_dose(dose, fate)
    name = _write_image(folder, "hrtem", image, view, scale, energy.stated_keV, specimen, kind)
    strongest = sorted(reflections, key=lambda r: -float(r["strength"]))[:20]
    seen = specimen.seen_by(_coarser(view, 8))
    truth = {**observed(specimen, seen, _coarser(view, 8), "hrtem"), "reflections": strongest, "lattice_strain": strain,
             "crystallites_in_view": len({(r["y_nm"], r["x_nm"]) for r in reflections})}
    sheet = {"technique": "tem_image", "axes": scale.sheet_axes,
             "conditions": {"temperature_K": CRYO_K, "order": 0, "defocus_nm": float(round(lens.defocus_nm)),
                            **energy.sheet, **noted}}
    return [Recording(name, "tem_image", sheet, truth,
                      _nuisance(view, defocus_nm=lens.defocus_nm, drift_nm=drift.tolist()),
                      frame_entry(view, scale.scale, scale.units), (*scale.faults, *energy.faults, *no_dose))]


def record_saed(specimen: Specimen, folder: Path) -> list[Recording]:
    """A diffraction pattern of an aperture on the filament; it has no place in the sample's plane but its centre."""
    rng, fate = specimen.draw("saed", "settings"), specimen.draw("saed", "metadata")
    deposit, state = specimen.deposit, specimen.state
    geometry = specimen.draw("saed", "geometry")
    u, aperture = deposit.tip_nm - 0.4 * deposit.field_nm, min(200.0, 0.8 * deposit.field_nm)
    camera = saed.Camera(scale=1 + float(geometry.normal(0, 0.01)), ellipticity=float(geometry.uniform(0.003, 0.01)),
                         angle=float(geometry.uniform(0, np.pi)),
                         centre=(191.5 + float(geometry.normal(0, 6)), 191.5 + float(geometry.normal(0, 6))))
    strain = study_strain(state.seed)
    dose = float(rng.choice([1.0, 5.0, 20.0]))
    expected = saed.expected_counts(deposit, state.metal, 1.2 * deposit.radius_nm, u, aperture, camera,
                                    dose * np.pi / 4 * (10 * aperture) ** 2, strain, BEAM_KEV, specimen.draw("saed", "grains"))
    pattern = saed.counts(expected, specimen.draw("saed", "counts"))
    energy = beam_energy(BEAM_KEV, fate)
    noted, no_dose = noted_dose(dose, fate)
    k = camera.pixel_per_nm * (np.arange(camera.pixels, dtype=np.float64) - camera.pixels // 2)
    name = "saed.emd"
    ncem_emd.write(folder / name, pattern, [("ky", "1/nm", k), ("kx", "1/nm", k)], name="saed",
                   beam_energy_keV=energy.stated_keV, sample=state.sample)
    truth = {"phases": {name: share for name, share in state.outer.items() if not name.startswith("organic")},
             "metal": state.metal, "lattice_strain": strain, "centre_px": list(camera.centre), "scale": camera.scale,
             "ellipticity": camera.ellipticity, "ellipse_angle_rad": camera.angle}
    sheet = {"technique": "saed",
             "conditions": {"temperature_K": CRYO_K, "order": 0, **energy.sheet, **noted}}
    return [Recording(name, "saed", sheet, truth, {"aperture_nm": aperture}, faults=(*energy.faults, *no_dose))]


def study_strain(seed: int) -> float:
    """By how much the cells of this study differ from the reference: nobody's specimen is the table's, to 0.1 %."""
    return float(stream(seed, "study", "lattice strain").normal(0, 1e-3))


def study_sensitivity(seed: int, technique: str, spread: float) -> dict[str, float]:
    """Element -> factor by which the study's instrument departs from the textbook: log-normal, once per study."""
    return {element: float(np.exp(stream(seed, "study", technique, "sensitivity", element).normal(0, spread)))
            for element in ATOMIC_NUMBER}


def _near(specimen: Specimen, along: float, spread: float, rng: np.random.Generator) -> tuple[float, float]:
    """A place on the filament's axis, missed by the stage by a small part of the field."""
    y, x = field_centre(specimen.deposit, specimen.placement, along)
    dy, dx = rng.normal(0, spread * specimen.deposit.field_nm, 2)
    return y + float(dy), x + float(dx)


def _write_image(folder: Path, stem: str, image: NDArray[Any], view: View, scale: Calibration, energy: float | None,
                 specimen: Specimen, kind: str, *, current_pA: float = 50.0, dwell_s: float = 1e-5) -> str:
    name = f"{stem}.{kind}"
    pixel = None if scale.stated_nm is None else (scale.stated_nm, scale.stated_nm)
    if kind == "mrc":
        mrc.write(folder / name, image, pixel_size_nm=pixel, labels=[] if energy is None else [f"{energy:g} kV"])
    elif kind == "tif":
        fei_tiff.write(folder / name, image, pixel_size_nm=pixel, beam_energy_keV=energy or 300.0, beam_current_pA=current_pA,
                       dwell_time_s=dwell_s, detector="HAADF", title=specimen.state.sample)
    else:
        ncem_emd.write(folder / name, image, _image_dims(view.shape, scale.stated_nm), name=stem, beam_energy_keV=energy,
                       sample=specimen.state.sample)
    return name


def _image_dims(shape: tuple[int, int], pixel_nm: float | None) -> list[tuple[str, str, NDArray[np.float64]]]:
    step, unit = (1.0, "") if pixel_nm is None else (pixel_nm, "nm")
    return [(name, unit, step * np.arange(n, dtype=np.float64)) for name, n in zip("yx", shape, strict=True)]


def _coarser(view: View, by: int) -> View:
    shift = (by - 1) / 2 * view.pixel_nm
    origin = view.matrix @ np.array([shift, shift, 1.0])
    shape = (view.shape[0] // by, view.shape[1] // by)
    return View(shape, view.pixel_nm * by, np.column_stack([view.matrix[:, :2], origin]), np.zeros(shape[0]))


def _nuisance(view: View, **more: Any) -> dict[str, Any]:
    m = view.matrix
    return {"rotation_deg": float(np.rad2deg(np.arctan2(m[1, 0], m[0, 0]))), "true_pixel_nm": view.true_pixel_nm(),
            "row_jitter_nm": float(view.jitter_nm.std()), **more}


def _round(pixel_nm: float) -> float:
    """Instruments offer pixel sizes to four digits."""
    return float(f"{pixel_nm:.4g}")
