"""What the virtual cells are measured by beside electron microscopy: cycling, impedance and XPS, into instrument files."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from datasets.phantom.cycling import cycling
from datasets.phantom.impedance import impedance
from datasets.phantom.recording import FAULTY, Recording
from datasets.phantom.specimen import Specimen
from datasets.phantom.xps import xps
from datasets.writers import dta, mpr, vamas

STUDY_BEGAN = datetime(2026, 3, 2, 8, 0, 0)


def record_cycling(specimen: Specimen, folder: Path) -> list[Recording]:
    """Galvanostatic cycling as a BioLogic file."""
    state, rng, fate = specimen.state, specimen.draw("cycling", "settings"), specimen.draw("cycling", "metadata")
    run = cycling(state, specimen.draw("cycling", "run"), cycles=len(state.ce_per_cycle))
    area_stated = fate.random() >= FAULTY / 2
    area_noted = fate.random() < 0.7
    name = "cycling.mpr"
    mpr.write(folder / name, time_s=run.time_s, potential_V=run.potential_V, current_mA=run.current_mA,
              charge_mAh=run.charge_mAh, half_cycle=run.half_cycle, cycle=run.cycle, step=run.step,
              acquired=STUDY_BEGAN + timedelta(hours=float(rng.uniform(0, 2000))),
              electrode_area_cm2=state.protocol.area_cm2 if area_stated else None, electrode=f"{state.metal}||Cu",
              electrolyte=state.electrolyte.text, comment=f"{state.sample} {run.protocol}")
    conditions: dict[str, Any] = {"plating_electrode": run.plating_electrode}
    faults: tuple[dict[str, Any], ...] = ()
    if not area_stated:
        faults = ({"what": "electrode area", "kind": "missing", "true_cm2": state.protocol.area_cm2,
                   "sheet": "corrects" if area_noted else "silent"},)
        conditions |= {"electrode_area_cm2": round(state.protocol.area_cm2, 4)} if area_noted else {}
    return [Recording(name, "cycling", {"conditions": conditions}, run.truth, run.nuisance, faults=faults)]


def record_impedance(specimen: Specimen, folder: Path) -> list[Recording]:
    """An impedance spectrum of the plated electrode, as a Gamry or a BioLogic file."""
    state, rng, fate = specimen.state, specimen.draw("eis", "settings"), specimen.draw("eis", "metadata")
    run = impedance(state, specimen.draw("eis", "run"))
    acquired = STUDY_BEGAN + timedelta(hours=float(rng.uniform(0, 2000)))
    area = state.protocol.area_cm2 if fate.random() >= FAULTY / 2 else None
    name = str(rng.choice(["eis.DTA", "eis.mpr"]))
    if name.endswith("DTA"):
        dta.write(folder / name, frequency_Hz=run.frequency_Hz, impedance_ohm=run.impedance_ohm, time_s=run.time_s,
                  acquired=acquired, electrode_area_cm2=area)
    else:
        mpr.write_impedance(folder / name, frequency_Hz=run.frequency_Hz, impedance_ohm=run.impedance_ohm, time_s=run.time_s,
                            acquired=acquired, electrode_area_cm2=area, electrolyte=state.electrolyte.text)
    faults = () if area else ({"what": "electrode area", "kind": "missing", "true_cm2": state.protocol.area_cm2,
                               "sheet": "silent"},)
    return [Recording(name, "eis", {}, run.truth, run.nuisance, faults=faults)]


def record_xps(specimen: Specimen, folder: Path) -> list[Recording]:
    """A survey and core levels of one spot, as a VAMAS file."""
    state, fate = specimen.state, specimen.draw("xps", "metadata")
    run = xps(state, specimen.draw("xps", "run"))
    stated = fate.random() >= FAULTY / 2
    blocks = [vamas.Block(region.name, region.species, region.transition, float(region.kinetic_energy_eV[0]),
                          float(region.kinetic_energy_eV[1] - region.kinetic_energy_eV[0]), region.counts, region.dwell_s,
                          region.scans, region.pass_energy_eV, region.transmission) for region in run.regions]
    name = "xps.vms"
    vamas.write(folder / name, blocks, sample=state.sample, source_energy_eV=run.source_energy_eV,
                work_function_eV=4.5 if stated else None, emission_deg=run.emission_deg,
                acquired=STUDY_BEGAN + timedelta(hours=float(specimen.draw("xps", "settings").uniform(0, 2000))))
    faults = () if stated else ({"what": "work function", "kind": "missing", "sheet": "silent"},)
    return [Recording(name, "xps", {"conditions": {"temperature_K": 298.0, "transfer": "inert"}}, run.truth, run.nuisance,
                      faults=faults)]
