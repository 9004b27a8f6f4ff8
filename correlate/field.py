"""The one image (y, x) that stands for an acquisition when it is placed."""

import xarray as xr

from correlate.element_map import registration_image
from correlate.pairs import MAPS
from correlate.steady import steady_image
from correlate.study import Acquisition, Study


def field_image(study: Study, a: Acquisition) -> xr.DataArray:
    """An image fit for registration: a series without its drift, spectra condensed, what is left of other dimensions averaged.

    Raises
    ------
    DatasetError
        If the field is not calibrated in nm.
    """
    steady = steady_image(study, a)
    if steady is not None:
        return steady
    ds = study.open(a.unit)
    if a.technique in MAPS:
        return registration_image(ds)
    return flattened(ds[next(iter(ds.data_vars))])


def flattened(image: xr.DataArray) -> xr.DataArray:
    """The mean over all that is not y or x."""
    leading = [d for d in image.dims if d not in ("y", "x")]
    return image.mean(leading, keep_attrs=True) if leading else image
