"""The electrolytes of the virtual study, and how its cells are run."""

import numpy as np

from datasets.phantom.state import Electrolyte, Protocol, anchored, hidden_effects
from datasets.phantom.streams import stream

ROOM = Protocol()
ANCHORS: tuple[tuple[Electrolyte, float, Protocol], ...] = (
    (Electrolyte("LP40", "Li", "1 M LiPF6 in EC:DEC 1:1 v/v", layered=-1.5, instability=0.15, limit_offset=0.1), 25.0, ROOM),
    (Electrolyte("NaEC", "Na", "1 M NaPF6 in EC:DMC 1:1 v/v", layered=-0.5, instability=0.9, limit_offset=0.6), 300.0,
     Protocol(cycles=10)),
    (Electrolyte("FEC10", "Li", "1 M LiPF6 in EC:DEC 1:1 v/v + 10 wt% FEC", layered=1.5, instability=0.05, limit_offset=0.1),
     23.0, ROOM),
    (Electrolyte("ether", "Li", "1 M LiTFSI in DOL:DME 1:1 v/v + 2 wt% LiNO3", layered=-1.5, instability=0.02), 20.0, ROOM),
    (Electrolyte("NaFEC", "Na", "1 M NaPF6 in EC:DMC 1:1 v/v + 10 wt% FEC", layered=1.5, instability=0.02), 30.0,
     Protocol(cycles=10)),
    (Electrolyte("HCE", "Li", "4 M LiFSI in DME"), 12.0, ROOM),
    (Electrolyte("NaHCE", "Na", "3.3 M NaFSI in TEP", layered=-2.0, limit_offset=-0.8), 10.0, ROOM),
    (Electrolyte("PC", "Li", "1 M LiPF6 in PC", layered=-1.0, instability=0.25), 30.0, ROOM),
    (Electrolyte("LHCE", "Li", "1.8 M LiFSI in DME:TTE 1:3 v/v", layered=0.5), 14.0, ROOM),
    (Electrolyte("VC2", "Li", "1 M LiPF6 in EC:EMC 3:7 v/v + 2 wt% VC", layered=0.0, instability=0.05), 24.0, ROOM),
    (Electrolyte("DME", "Li", "1 M LiFSI in DME", layered=-0.5, instability=0.05), 18.0, ROOM),
    (Electrolyte("NaG2", "Na", "1 M NaPF6 in diglyme", layered=0.5), 16.0, ROOM),
)
"""Electrolyte, thickness (nm) that calibrates its growth, and the protocol of that thickness.

LP40 and HCE: judgement. FEC10: 23 nm of a related cell. Ether, NaEC, NaFEC and NaHCE: thicknesses reported for such systems,
as the review collects them that this project starts from. The others: judgement.
"""
USUAL = 8
"""Electrolytes of a study of up to 32 samples; more samples take all of them."""


def electrolyte_of(number: int, samples: int, seed: int) -> Electrolyte:
    """The electrolyte of sample `number` (from 0), calibrated, its hidden effects drawn."""
    used = ANCHORS[:USUAL if samples <= 4 * USUAL else len(ANCHORS)]
    electrolyte, thickness, protocol = used[number % len(used)]
    return hidden_effects(anchored(electrolyte, thickness, protocol), seed)


def protocol_of(sample: str, electrolyte: Electrolyte, seed: int) -> Protocol:
    """How this cell was run: mostly at room temperature and 1 mA/cm², a few cycles; unstable films are stopped early."""
    rng = stream(seed, sample, "protocol", "cell")
    temperature = float(rng.choice([273.15, 293.15, 293.15, 293.15, 313.15, 333.15]))
    density = float(rng.choice([0.5, 1.0, 1.0, 2.0]))
    cycles = int(rng.choice([1, 1, 2, 3] if electrolyte.instability > 0.5 else [1, 5, 10]))
    return Protocol(temperature, density, 1.0, cycles, rest_h=1.0, area_cm2=float(np.pi * 0.6 ** 2))
