"""A folder of numbered pictures read as one volume: the slices that a FIB-SEM cuts and images, one after another.

The folder itself is the file: `read_acquisitions("cut_07/")`. It must hold one series of at least three pictures (.tif, .png,
.bmp) whose names differ by one number only, and no other pictures. Pixel size and conditions are those of the first slice.
Nothing in such a folder says how thick a slice is: z counts slices until a person says axes={"z": (10.0, "nm")}; the numbers
of the slices stand beside z, and a lost one is said.
"""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from datasets.errors import UnreadableFile
from datasets.formats.contiguous import lazily
from datasets.formats.electrons import pictures
from datasets.formats.electrons.rosetta import ROSETTA
from datasets.formats.signal import Axis, Field, Format, Signal

SUFFIXES = frozenset({".tif", ".tiff", ".png", ".bmp"})
FEWEST = 3
AT_ONCE_BYTES = 64 << 20
NUMBER = re.compile(r"\d+")
TIFF = next(fmt for fmt in ROSETTA if fmt.name == "tiff")


def recognises(head: bytes, path: Path) -> bool:
    """A folder with one series of numbered pictures and no others."""
    del head
    try:
        return path.is_dir() and len(_series(path)) == 1
    except OSError:
        return False


def read(path: Path) -> tuple[Signal, ...]:
    """The volume, slices read when they are used.

    Raises
    ------
    UnreadableFile
        If a slice has another size or type than the first, or several pages.
    """
    numbered = next(iter(_series(path).values()))
    numbers, files = sorted(numbered), [numbered[n] for n in sorted(numbered)]
    first, = (TIFF if files[0].suffix.lower() in (".tif", ".tiff") else pictures.PICTURES).read(files[0])[:1]
    for file in files[1:]:
        _require_like_first(file, first)
    stack = _Slices(files, first.main.data.shape, first.main.data.dtype)
    data = stack[...] if stack.nbytes <= AT_ONCE_BYTES else lazily(stack, (1, *first.main.data.shape))
    remarks = list(first.warnings)
    steps = np.diff(numbers)
    if (steps != steps.min()).any():
        after = numbers[int(np.argmax(steps != steps.min()))]
        remarks.append(f"the numbers of the slices have gaps, the first after {after}: z counts the slices that are there")
    z = Axis("z", np.arange(len(numbers), dtype=np.float64), also={"slice": (np.array(numbers, np.float64), "1")})
    return (Signal(path.name, (z, *first.axes), {"data": Field(data, first.main.units)}, path,
                   metadata={"first slice": first.metadata, "files": [files[0].name, files[-1].name], "slices": len(files)},
                   conditions={k: v for k, v in first.conditions.items() if k not in ("stage_x_nm", "stage_y_nm")},
                   kind="FIB-SEM", warnings=tuple(remarks)),)


def _series(folder: Path) -> dict[tuple[str, ...], dict[int, Path]]:
    """What the names of a series share -> number -> file; nothing where a picture of the folder is in no series."""
    alike: dict[tuple[str, ...], list[tuple[list[str], Path]]] = defaultdict(list)
    for file in folder.iterdir():
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file():
            alike[*NUMBER.split(file.stem), file.suffix].append((NUMBER.findall(file.stem), file))
    series: dict[tuple[str, ...], dict[int, Path]] = {}
    for shared, found in alike.items():
        differ = [i for i, words in enumerate(zip(*(words for words, _ in found), strict=True)) if len(set(words)) > 1]
        if len(found) < FEWEST or len(differ) != 1:
            return {}
        series[shared] = {int(words[differ[0]]): file for words, file in found}
        if len(series[shared]) < len(found):  # 1.tif beside 01.tif
            return {}
    return series


def _require_like_first(file: Path, first: Signal) -> None:
    expected = first.main.data.shape, first.main.data.dtype
    if file.suffix.lower() in (".tif", ".tiff"):
        try:
            with tifffile.TiffFile(file) as tiff:
                found: tuple[Any, ...] = tiff.pages[0].shape, tiff.pages[0].dtype
                several = len(tiff.pages) > 1 and tiff.series[0].size > tiff.pages[0].size
        except (OSError, ValueError, IndexError, tifffile.TiffFileError) as error:
            raise UnreadableFile(file, f"cannot be read as a slice: {' '.join(str(error).split())[:200]}",
                                 todo="it may be truncated or damaged") from error
        if several:
            raise UnreadableFile(file, "has several pages and is no single slice")
    else:
        found = pictures.shape_of(file), expected[1]
        expected = expected[0][:2], expected[1]
    if tuple(found) != expected:
        raise UnreadableFile(file, f"is a slice of {found[0]} {found[1]}, the first one is of {expected[0]} {expected[1]}",
                             todo="keep one series of slices in a folder")


class _Slices:
    """Pictures as one array; indexing reads the slices that are asked for."""

    def __init__(self, files: list[Path], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.files, self.shape, self.dtype = files, (len(files), *shape), dtype.newbyteorder("=")
        self.ndim = len(self.shape)
        self.nbytes = int(np.prod(self.shape)) * dtype.itemsize

    def __getitem__(self, key: Any) -> NDArray[Any]:
        which, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        chosen = np.arange(len(self.files))[which]
        slices = [self._slice(int(i)) for i in np.atleast_1d(chosen)]
        stack = np.stack(slices) if np.ndim(chosen) else slices[0]
        return stack[(slice(None), *rest)] if np.ndim(chosen) else stack[tuple(rest)]

    def _slice(self, index: int) -> NDArray[Any]:
        file = self.files[index]
        try:
            data = tifffile.imread(file, key=0) if file.suffix.lower() in (".tif", ".tiff") else pictures.pixels(file)
        except (OSError, ValueError, IndexError, RuntimeError, tifffile.TiffFileError) as error:
            raise UnreadableFile(file, f"cannot be read further: {' '.join(str(error).split())[:200]}",
                                 todo="the slice may be truncated or damaged") from error
        if data.shape != self.shape[1:]:
            raise UnreadableFile(file, f"is a slice of {data.shape}, the first one is of {self.shape[1:]}")
        return np.asarray(data, self.dtype)


def example(folder: Path) -> Path:
    """Four slices of a wedge, 6 x 8 pixels each."""
    path = folder / "slices"
    path.mkdir()
    for i in range(4):
        tifffile.imwrite(path / f"slice_{i:03d}.tif", (np.arange(48, dtype=np.uint8) + i).reshape(6, 8))
    return path


SLICES = Format(name="slices", suffixes=frozenset({""}), recognises=recognises, read=read, version="1", example=example)
