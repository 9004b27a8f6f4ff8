"""A small study for the tests of the browser app, made from arrays whose answer is known by construction."""

from pathlib import Path

import numpy as np
import xarray as xr

from correlate.describe import describe_study
from correlate.fit import fit_study
from correlate.study import Study
from datasets.sheet import FILE_NAME, Sample, Sheet, write_sheet
from datasets.store import Store
from datasets.techniques import TECHNIQUES
from registration import Transform
from registration.warp import GridField, Warp

HAADF, EDX, SEM, LOST, BARE = "A17/haadf-0", "A17/edx-0", "A17/sem-0", "A17/tem-0", "A17/uncalibrated-0"
EDX_TURN, EDX_SHIFT = np.deg2rad(8.0), (300.0, 420.0)
"""EDX frame -> HAADF frame: a turn about the origin, then a shift (y, x) in nm."""
INTERFACE_NM = 520.0
"""Row of the HAADF image at which the metal ends."""


def make_app_study(root: Path) -> Study:
    """Sample A17 seen by many techniques, B02 by a cycler alone, C03 by nothing; EDX is placed, SEM in doubt, TEM lost."""
    root.mkdir(parents=True, exist_ok=True)
    samples = {
        "A17": Sample("A17", metal="Li", electrolyte="1 M LiFSI in FDMB", group="FDMB", conditions={"cycle": 10}),
        "B02": Sample("B02", metal="Li", electrolyte="1 M LiPF6 in EC:DEC", group="LP40"),
        "C03": Sample("C03", metal="Li", electrolyte="1 M LiPF6 in EC:DEC", group="LP40"),
    }
    write_sheet(Sheet("Interphases for tests <b>&", samples, (), (), synthetic=True), root / FILE_NAME)
    store = Store(root, create=True)
    rng = np.random.default_rng(7)
    for unit, ds in acquisitions(rng).items():
        empty = {"history": [], "warnings": [], "incomplete": [], "uncalibrated": [], "conditions": {}, "title": unit}
        attrs = {"sample": unit.split("/")[0], "synthetic": True, **empty, **ds.attrs}
        store.publish(unit, ds.assign_attrs(attrs), kind="acquisition")
    for moving, status in ((EDX, "accepted"), (SEM, "proposed"), (LOST, "rejected")):
        good = status == "accepted"
        alignment = {
            "moving": moving, "fixed": HAADF, "model": "rigid", "method": "by construction", "coarser_pixel_nm": 12.0,
            "status": status, "verdict": "good" if good else "doubtful", "error_nm": 23.0, "metrics": {},
            "reasons": [] if good else ["little overlap"], "transform": edx_transform(moving).to_dict()}
        ds = xr.Dataset(attrs={"alignment": alignment, "sample": "A17", "title": moving, "technique": "", "synthetic": True})
        name = f"registration/{moving}--haadf-0"
        store.publish(name, ds, kind="transform", parents={u: store.current(u).version for u in (moving, HAADF)})
    study = Study(root)
    describe_study(study, jobs=1)
    fit_study(study)
    return study


def place_bent(study: Study, moving: str, transform: Warp) -> None:
    """Give an acquisition an accepted place in the HAADF frame to which a map leads that bends."""
    name = f"registration/{moving}--haadf-0"
    ds = study.store.open(name)
    bent = {"model": "bspline", "status": "accepted", "verdict": "good", "reasons": [], "transform": transform.to_dict()}
    parents = {u: study.store.current(u).version for u in (moving, HAADF)}
    study.store.publish(name, ds.assign_attrs(alignment={**ds.attrs["alignment"], **bent}), kind="transform", parents=parents)


def bent_transform(moving: str, side_nm: float, amplitude_nm: float) -> Warp:
    """A map of a square field into the HAADF frame that waves along both axes, about the map of `edx_transform`."""
    node = side_nm / 8
    at = (np.mgrid[:11, :11] - 1) / 8
    waves = np.stack([np.sin(2 * np.pi * at[1]), np.sin(2 * np.pi * at[0])], -1)
    field = GridField(np.full(2, -node), np.full(2, node), amplitude_nm * waves, 3, np.broadcast_to(np.eye(2), (11, 11, 2, 2)))
    return Warp(Transform.identity(moving, "bent"), field, edx_transform("bent"))


def edx_transform(moving: str = EDX) -> Transform:
    """Known map of the EDX frame into the HAADF frame, with 8 nm of uncertainty along each axis at its centre."""
    c, s = np.cos(EDX_TURN), np.sin(EDX_TURN)
    return Transform.of(moving, HAADF, [[c, s], [-s, c]], EDX_SHIFT, "rigid", covariance=np.diag([64.0, 64.0, 1e-6]))


def acquisitions(rng: np.random.Generator) -> dict[str, xr.Dataset]:
    """Unit -> acquisition."""
    cells = {}
    for name in ("A17", "B02"):
        cells[f"{name}/cycling-0"] = TECHNIQUES["cycling"].example(rng)
    return {
        HAADF: image("stem_image", rng.poisson(scene(1200, 1.0)).astype(np.uint16), 1.0, dose_e_per_A2=20.0),
        SEM: image("sem_image", rng.poisson(scene(300, 8.0)).astype(np.uint16), 8.0),
        LOST: image("tem_image", rng.poisson(40, (256, 256)).astype(np.uint16), 0.5),
        BARE: image("tem_image", rng.poisson(40, (200, 300)).astype(np.uint16), 1.0, units="pixel"),
        EDX: spectrum_image(rng),
        "A17/xps-0": TECHNIQUES["xps"].example(rng), "A17/eis-0": TECHNIQUES["eis"].example(rng), **cells,
    }


def scene(n: int, pixel_nm: float) -> np.ndarray:
    """Expected counts (n, n) of a bright interphase 90 nm thick on metal that ends at a wavy line."""
    y, x = np.meshgrid(np.arange(n) * pixel_nm, np.arange(n) * pixel_nm, indexing="ij")
    depth = y - INTERFACE_NM - 30 * np.sin(x / 130)
    return 30 + 25 / (1 + np.exp(depth / 6)) + 140 * np.exp(-0.5 * ((depth + 45) / 30) ** 2)


def image(technique: str, counts: np.ndarray, pixel_nm: float, units: str = "nm", **conditions: float) -> xr.Dataset:
    """An image acquisition with square pixels."""
    name = TECHNIQUES[technique].quantity
    coords = {d: (d, np.arange(n) * pixel_nm, {"units": units}) for d, n in zip(("y", "x"), counts.shape, strict=True)}
    attrs = {"technique": technique, "conditions": conditions}
    return xr.Dataset({name: (("y", "x"), counts, {"units": "count"})}, coords, attrs)


def spectrum_image(rng: np.random.Generator) -> xr.Dataset:
    """EDX of 40 x 40 pixels of 12 nm: fluorine (0.677 keV) grows along x, oxygen (0.525 keV) is even."""
    energy = np.arange(400) * 0.01
    fluorine = np.linspace(0, 60, 40)[None, :, None] * np.exp(-0.5 * ((energy - 0.677) / 0.04) ** 2)
    oxygen = 20 * np.exp(-0.5 * ((energy - 0.525) / 0.04) ** 2)
    counts = rng.poisson(0.4 * np.exp(-energy) + fluorine + oxygen, (40, 40, 400)).astype(np.uint16)
    coords = {d: (d, np.arange(40) * 12.0, {"units": "nm"}) for d in ("y", "x")}
    coords["xray_energy"] = ("xray_energy", energy, {"units": "keV"})
    quantity = TECHNIQUES["edx"].quantity
    return xr.Dataset({quantity: (("y", "x", "xray_energy"), counts, {"units": "count"})}, coords,
                      {"technique": "edx", "conditions": {"elements": ["O", "F"], "beam_energy_keV": 200.0}})
