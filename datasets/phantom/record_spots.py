"""FTIR, AFM, ToF-SIMS, X-ray microscopy and atom probe of a specimen, as their instruments' files."""

from datetime import timedelta
from pathlib import Path

import numpy as np

from datasets.phantom.afm import scan, surface
from datasets.phantom.apt import apt
from datasets.phantom.ftir import ftir
from datasets.phantom.geometry import SPECTRUM_IMAGE, field_centre, look_at
from datasets.phantom.record_cells import STUDY_BEGAN
from datasets.phantom.recording import Recording, frame_entry
from datasets.phantom.sims import sims
from datasets.phantom.specimen import Specimen
from datasets.phantom.txm import txm
from datasets.writers import data_exchange, gwy, jcamp, pos, sxm, tofsims


def record_ftir(specimen: Specimen, folder: Path) -> list[Recording]:
    """An ATR spectrum as JCAMP-DX, in absorbance or transmittance."""
    rng = specimen.draw("ftir", "settings")
    run = ftir(specimen.state, specimen.draw("ftir", "run"))
    jcamp.write(folder / "ftir.jdx", wavenumber_per_cm=run.wavenumber_per_cm, absorbance=run.absorbance,
                title=specimen.state.sample, transmittance=bool(rng.random() < 0.5),
                acquired=STUDY_BEGAN + timedelta(hours=float(rng.uniform(0, 2000))))
    return [Recording("ftir.jdx", "ftir", {}, run.truth, run.nuisance)]


def record_afm(specimen: Specimen, folder: Path) -> list[Recording]:
    """Topography of the electrode, as a Gwyddion or a Nanonis file."""
    rng = specimen.draw("afm", "settings")
    pixel_nm = 8.0
    heights = surface(specimen.state, specimen.draw("afm", "surface"), pixel_nm=pixel_nm)
    run = scan(heights, pixel_nm, specimen.draw("afm", "run"))
    name = str(rng.choice(["afm.gwy", "afm.sxm"]))
    if name.endswith("gwy"):
        gwy.write(folder / name, {"Height": run.height_nm, "Height (backward)": run.backward_nm},
                  pixel_size_nm=run.pixel_size_nm)
    else:
        sxm.write(folder / name, run.height_nm, pixel_size_nm=run.pixel_size_nm, backward_nm=run.backward_nm,
                  line_time_s=run.line_time_s, acquired=STUDY_BEGAN + timedelta(hours=float(rng.uniform(0, 2000))))
    return [Recording(name, "afm", {}, run.truth, run.nuisance)]


def record_sims(specimen: Specimen, folder: Path) -> list[Recording]:
    """A sputter profile as text."""
    run = sims(specimen.state, specimen.draw("tofsims", "run"))
    tofsims.write(folder / "tofsims.txt", run.counts, masses_Da=run.masses_Da, sputter_time_s=run.sputter_time_s,
                  dose_ions=run.dose_ions, area_um2=run.area_um2)
    return [Recording("tofsims.txt", "tof_sims", {}, run.truth, run.nuisance)]


def record_apt(specimen: Specimen, folder: Path) -> list[Recording]:
    """A reconstructed needle as `.pos`, with its ranges."""
    run = apt(specimen.state, specimen.draw("apt", "run"))
    pos.write(folder / "apt.pos", position_nm=run.position_nm, mass_to_charge_Da=run.mass_to_charge_Da)
    pos.write_ranges(folder / "apt-ranges.rrng", run.ranges)
    return [Recording("apt.pos", "apt", {}, run.truth, run.nuisance), Recording("apt-ranges.rrng", "apt_ranges", {}, {}, {})]


def record_txm(specimen: Specimen, folder: Path) -> list[Recording]:
    """A stack of transmission images over the oxygen edge, as Data Exchange HDF5."""
    pixel_nm = 30.0
    view = look_at(field_centre(specimen.deposit, specimen.placement, 0.3), (96, 128), pixel_nm, SPECTRUM_IMAGE,
                   specimen.draw("txm", "geometry"))
    run = txm(specimen.seen_by(view).solids, pixel_nm, "O", specimen.draw("txm", "run"))
    data_exchange.write(folder / "txm.h5", run.counts, white=run.white, dark=run.dark, energy_eV=np.asarray(run.energy_eV),
                        pixel_size_nm=run.pixel_size_nm, sample=specimen.state.sample)
    return [Recording("txm.h5", "txm", {}, run.truth, run.nuisance, frame_entry(view, 1.0, "nm"))]
