"""The frames of samples for other programs: OME-NGFF groups with the accepted transforms and their displacement fields."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from correlate.pairs import reference_of
from correlate.study import Acquisition, Study
from datasets.errors import StudyError
from registration import FrameError
from registration.ngff import displacement_arrays, graph_to_ngff
from registration.transform import AXES


@dataclass(frozen=True)
class Framed:
    """An acquisition in the reference frame of its sample: over which frames, and the standard deviation at its middle (nm).

    `why` says what stands between them where there is no path; then `std_nm` is NaN.
    """

    unit: str
    reference: str
    through: tuple[str, ...]
    std_nm: float
    why: str = ""


def framed(study: Study, sample: str) -> Iterator[Framed]:
    """Every image of a sample, and how it reaches the widest one."""
    graph = study.frames(sample)
    fields = [a for a in study.acquisitions(sample) if a.is_placed_in_space]
    reference = reference_of(fields)
    for a in fields if reference else ():
        assert reference is not None
        graph.add_frame(a.unit)
        graph.add_frame(reference.unit)
        try:
            transform = graph.path(a.unit, reference.unit)
        except FrameError as error:
            yield Framed(a.unit, reference.unit, (), float("nan"), str(error))
            continue
        through = graph.between(a.unit, reference.unit)[1:-1]
        yield Framed(a.unit, reference.unit, through, float(transform.std_at(_middle(a)).max()))


def write_ngff(study: Study, sample: str, folder: Path) -> Path:
    """Write the accepted transforms of a sample as `folder/<sample>.zarr`: RFC-5 metadata, and an array per displacement field.

    Raises
    ------
    StudyError
        If the folder is there already, or the sample has no accepted transform.
    """
    graph = study.frames(sample)
    if not any(e.status == "accepted" for e in graph.edges):
        raise StudyError(f"{study.root}: {sample} has no accepted transform; align it first")
    path = folder / f"{sample}.zarr"
    if path.exists():
        raise StudyError(f"{path} is there already; move it away or choose another folder")
    xr.Dataset(attrs=graph_to_ngff(graph)).to_zarr(path, mode="w-", zarr_format=3, consolidated=False)
    for edge in graph.edges:
        for name, array in displacement_arrays(edge.transform).items() if edge.status == "accepted" else ():
            group, _, last = name.rpartition("/")
            dims = (*AXES[-edge.transform.ndim:], "component")
            attrs = {"units": "nm", "coordinateTransformations": array["coordinateTransformations"]}
            field = xr.Dataset({last: (dims, array["values"], attrs)})
            field.to_zarr(path, group=group, mode="a", zarr_format=3, consolidated=False)
    return path


def _middle(a: Acquisition) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array([[0.5 * (float(a.coords[d]["first"]) + float(a.coords[d]["last"])) for d in ("y", "x")]])
