"""Force curves of an atomic force microscope: how far the cantilever bends while its base moves to the surface and back.

Against time from the first point; `segment` is 0 on approach, 1 in a pause, 2 on retract. `deflection` is a length where the
sensitivity is known and volts where not; `force` is there only where the spring constant is known. Several curves lie along
`position`. Neither baseline nor contact point is touched.
"""

import numpy as np
import xarray as xr

from datasets.formats.signal import Signal
from datasets.technique import Technique
from datasets.techniques.afm import finish
from datasets.terms import ARBITRARY


def recognises(signal: Signal) -> bool:
    """A force curve with its deflection."""
    return signal.kind == "AFM force" and "deflection" in signal.fields


def example(rng: np.random.Generator) -> xr.Dataset:
    """Approach to a hard surface and back at 1 µm/s with 0.1 N/m; contact at 200 nm."""
    time = np.arange(400) * 1e-3
    height = np.concatenate([np.linspace(200, 0, 200), np.linspace(0, 200, 200)])
    deflection = np.clip(60.0 - height, 0, None) + rng.normal(0, 0.1, 400)
    columns = {"deflection": (deflection, "nm"), "force": (0.1 * deflection, "nN"), "height": (height, "nm"),
               "segment": (np.repeat([0, 2], 200), "1")}
    return xr.Dataset(
        {name: ("time", values, {"units": unit}) for name, (values, unit) in columns.items()},
        {"time": ("time", time, {"units": "s"})},
        {"technique": "afm_force", "title": "hard surface", "kind": "AFM force", "conditions": {}},
    )


AFM_FORCE = Technique(
    name="afm_force", title="Force curves", short="Force", family="probe",
    dims=("time",), quantities={"deflection": ("nm", "V", ARBITRARY)},
    optional={"force": ("nN",), "height": ("nm", "V", ARBITRARY), "segment": ("1",)}, conditions=(),
    recognises=recognises, example=example, finish=finish,
)
