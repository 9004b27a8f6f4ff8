"""X-ray photoelectron spectroscopy: spectra, depth profiles and maps against binding energy.

The measured axis is never altered. Where a file gives kinetic energy, that stays as the coordinate `kinetic_energy`, and
`binding_energy` = photon energy - kinetic energy stands beside it. No work function is added: vendors disagree about whether
the stored kinetic energy refers to the Fermi or the vacuum level (Kratos stores -4.5 eV and means none), so it is only kept
as a condition. Surface charge is not corrected either; that is a step of its own, with a reference and an uncertainty.
"""

import numpy as np
import xarray as xr

from datasets.errors import DatasetError
from datasets.formats.signal import Signal
from datasets.provenance import with_step
from datasets.technique import Technique
from datasets.terms import ARBITRARY
from datasets.units import compatible, spelled


def recognises(signal: Signal) -> bool:
    """A photoelectron spectrum whose binding energies are known: given as such, or by the energy of the photons."""
    if signal.kind != "XPS":
        return False
    names = [axis.name.lower() for axis in signal.axes if compatible(spelled(axis.units), "eV")]
    return any("binding" in n or ("kinetic" in n and "photon_energy_eV" in signal.conditions) for n in names)


def finish(ds: xr.Dataset) -> xr.Dataset:
    """Put binding energy on a measured axis of kinetic energy, which is kept as a second coordinate.

    Raises
    ------
    DatasetError
        If the axis is kinetic energy and the photon energy is not known.
    """
    axis = ds["binding_energy"]
    if "kinetic" not in str(axis.attrs.get("long_name", "")).lower():
        return ds
    known = ds.attrs["conditions"]
    if "photon_energy_eV" not in known:
        raise DatasetError("the axis is kinetic energy and the photon energy is not in the file; "
                           "say conditions={'photon_energy_eV': 1486.6}")
    photon_energy = float(known["photon_energy_eV"])
    kinetic = axis.to_numpy()
    stated = f"; the file's {known['work_function_eV']:g} eV is not added" if "work_function_eV" in known else ""
    binding = {"units": "eV", "long_name": "binding energy", "derived": "photon_energy - kinetic_energy",
               "photon_energy_eV": photon_energy, "work_function": f"taken as contained in kinetic_energy{stated}"}
    ds = ds.assign_coords(
        binding_energy=("binding_energy", photon_energy - kinetic, binding),
        kinetic_energy=("binding_energy", kinetic, {"units": "eV", "long_name": "kinetic energy as measured"}))
    return with_step(ds, "binding energy from measured kinetic energy", photon_energy_eV=photon_energy,
                     work_function_added_eV=0.0)


def example(rng: np.random.Generator) -> xr.Dataset:
    """F 1s of an interphase: LiF (685.05 eV, median of NIST SRD 20) and a fluorophosphate (687.0 eV, source not checked)."""
    photon_energy, dwell_s, scans = 1486.6, 0.1, 10
    kinetic = photon_energy - 695.0 + 0.1 * np.arange(151)
    binding = photon_energy - kinetic
    lines = [(685.05, 1.6, 4000.0), (687.0, 1.8, 1500.0)]
    peaks = sum(height * np.exp(-4 * np.log(2) * ((binding - at) / width) ** 2) for at, width, height in lines)
    step = 600.0 / (1 + np.exp(-(binding - 686.0) / 0.7))
    counts = rng.poisson(900.0 + step + peaks).astype(np.float64)
    ds = xr.Dataset(
        {"intensity": ("binding_energy", counts, {"units": "count"}),
         "count_rate": ("binding_energy", counts / (dwell_s * scans), {"units": "count/s"}),
         "transmission": ("binding_energy", np.full(binding.size, 1.0), {"units": "1"})},
        {"binding_energy": ("binding_energy", kinetic, {"units": "eV", "long_name": "kinetic energy"})},
        {"technique": "xps", "title": "F 1s", "history": [], "warnings": [], "uncalibrated": [], "incomplete": [],
         "conditions": {"photon_energy_eV": photon_energy, "pass_energy_eV": 20.0, "emission_angle_deg": 0.0,
                        "work_function_eV": 4.5, "dwell_time_s": dwell_s * scans, "species": "F 1s"}})
    return finish(ds)


XPS = Technique(
    name="xps", title="X-ray photoelectron spectroscopy", short="XPS", family="xray",
    dims=("binding_energy",),
    quantities={"intensity": ("count", "count/s", ARBITRARY)},
    optional={"count_rate": ("count/s",), "transmission": ("1",)},
    conditions=("photon_energy_eV", "pass_energy_eV", "emission_angle_deg"),
    recognises=recognises, example=example, finish=finish,
)
