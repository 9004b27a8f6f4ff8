"""What every reader returns: named fields on named axes with units, the vendor's metadata, and nothing decided."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Axis:
    """One array axis as the file states it; `values` are in the vendor's `units`, "" where the file states none.

    also : other quantities known at each step of the axis, name -> (values, units), as the sputter time of each level
    """

    name: str
    values: NDArray[Any]
    units: str = ""
    also: Mapping[str, tuple[NDArray[Any], str]] = field(default_factory=dict)

    @classmethod
    def even(cls, name: str, size: int, scale: float, offset: float = 0.0, units: str = "") -> "Axis":
        """An evenly spaced axis: value of pixel i is offset + i * scale."""
        return cls(name, offset + scale * np.arange(size, dtype=np.float64), units)

    @property
    def size(self) -> int:
        return int(self.values.size)


@dataclass(frozen=True, eq=False)
class Field:
    """One array that spans all axes of its signal; numpy, or anything lazy with shape, dtype and slicing (dask, memmap)."""

    data: Any
    units: str = ""


@dataclass(frozen=True, eq=False)
class Signal:
    """One thing read from a file; knows no technique.

    title : what the file calls it
    axes : in array order
    fields : name -> array on all axes; the first is the main one. Tables (cyclers) have one field per column.
    metadata : the vendor's own, JSON-serialisable
    conditions : what the file states about how it was measured, in the words of `datasets.terms.CONDITION_MEANING`
    kind : the file's own word for what it holds ("EELS", "EDS_TEM", "XPS", "diffraction", "cycling", "EIS", ""), a hint
    warnings : sentences about what did not arrive or looks wrong
    """

    title: str
    axes: tuple[Axis, ...]
    fields: Mapping[str, Field]
    source: Path
    metadata: Mapping[str, Any] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    kind: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def main(self) -> Field:
        return next(iter(self.fields.values()))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(axis.size for axis in self.axes)


def no_companions(path: Path) -> tuple[Path, ...]:
    """For formats whose files stand alone."""
    del path
    return ()


@dataclass(frozen=True)
class Format:
    """A family of files.

    recognises : from the first 4 KiB and the path (companions beside it may be looked at), cheap and never raising;
        content decides, the suffix only hints
    read : all signals of the file, lazily where the format allows; raises UnreadableFile, never returns nothing
    companions : other files that belong to this one and are not read on their own
    example : writes one small valid file into a folder, for the contract tests; None where nobody can write the format
    fallback : reads a container of any content, and yields to every format that recognises its layout
    text : is text from the first byte to the last, with all its companions: other characters in it are signs of damage
    uncounted : does not say how many points it has: cut between two of them it is another valid file, and nobody can know
    """

    name: str
    suffixes: frozenset[str]
    recognises: Callable[[bytes, Path], bool]
    read: Callable[[Path], tuple[Signal, ...]]
    version: str
    companions: Callable[[Path], tuple[Path, ...]] = no_companions
    example: Callable[[Path], Path] | None = None
    fallback: bool = False
    text: bool = False
    uncounted: bool = False
