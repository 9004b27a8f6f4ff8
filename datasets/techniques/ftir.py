"""Infrared spectra against wavenumber: spectra, series in time, maps.

What was measured stays, and the condition `quantity` names it: absorbance, transmittance, reflectance, single beam, and the
rarer ones of `INSTEAD`. A spectrum of transmittance gets `absorbance` = -log10(transmittance) beside it, NaN where nothing
came through. A reflectance gets none: what it would mean depends on whether it was specular, diffuse or attenuated total.
Wavenumbers stay in the order of the file, rising or falling.
"""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.provenance import with_step
from datasets.technique import Technique
from datasets.terms import ARBITRARY
from datasets.units import compatible, spelled

INSTEAD = ("transmittance", "reflectance", "single_beam", "kubelka_munk", "log_reflectance", "photoacoustic", "phase_spectrum",
           "absorption_coefficient")
"""What an instrument may record in place of absorbance; `log_reflectance` is -log10(reflectance), and an absorption coefficient
is an absorbance for each part per million and metre."""


def recognises(signal: Signal) -> bool:
    """An infrared spectrum of a known quantity on wavenumbers."""
    return (signal.kind == "FTIR" and bool({"absorbance", *INSTEAD} & set(signal.fields))
            and any(compatible(spelled(axis.units), "1/cm") for axis in signal.axes))


def finish(ds: xr.Dataset) -> xr.Dataset:
    """Name the quantity that was recorded, and put absorbance beside a measured transmittance."""
    recorded = str(next(iter(ds.data_vars)))
    ds = ds.assign_attrs(conditions={**ds.attrs.get("conditions", {}), "quantity": recorded})
    if "transmittance" not in ds or "absorbance" in ds:
        return ds
    with np.errstate(invalid="ignore"):  # a damaged number stays one
        through = ds["transmittance"].astype(np.float64)
    absorbance: xr.DataArray = xr.apply_ufunc(lambda t: -np.log10(t), through.where(through > 0))
    absorbance = absorbance.assign_attrs(units="1", derived="-log10(transmittance)")
    return with_step(ds.assign(absorbance=absorbance), "absorbance from measured transmittance")


def example(rng: np.random.Generator) -> xr.Dataset:
    """Bands near 1500, 1440 and 860 1/cm, as of lithium carbonate (positions not checked against a source)."""
    wavenumber = np.arange(700.0, 1800.0, 2.0)
    bands = [(1500.0, 20.0, 0.10), (1440.0, 20.0, 0.12), (865.0, 6.0, 0.06)]
    absorbance = sum(height * np.exp(-((wavenumber - at) / width) ** 2) for at, width, height in bands)
    return finish(xr.Dataset(
        {"absorbance": ("wavenumber", absorbance + rng.normal(0, 5e-4, wavenumber.size), {"units": "1"})},
        {"wavenumber": ("wavenumber", wavenumber, {"units": "1/cm", "long_name": "wavenumber"})},
        {"technique": "ftir", "title": "carbonate", "history": [], "warnings": [], "uncalibrated": [], "incomplete": [],
         "conditions": {}}))


FTIR = Technique(
    name="ftir", title="Infrared spectroscopy", short="FTIR", family="vib",
    dims=("wavenumber",),
    quantities={"absorbance": ("1",)},
    optional={"transmittance": ("1",), "reflectance": ("1",), "single_beam": (ARBITRARY, "V", "1"), "kubelka_munk": ("1",),
              "log_reflectance": ("1",), "photoacoustic": (ARBITRARY, "V"), "phase_spectrum": ("rad",),
              "absorption_coefficient": ("1/ppm/m",)},
    conditions=(), instead=INSTEAD, rename={name: name for name in INSTEAD},
    recognises=recognises, example=example, finish=finish,
)
