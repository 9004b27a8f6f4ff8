"""Plain pictures (.png, .bmp, .jpg): what a microscope's screen or a report gives. Grey values on pixels, nothing more.

JPEG is lossy: its grey values are not those of the detector, and a warning says so.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from datasets.errors import UnreadableFile
from datasets.formats.electrons import jpeg_fit
from datasets.formats.signal import Axis, Field, Format, Signal

MAGICS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
MOST_PIXELS = 1 << 28
MODES = {"1", "L", "P", "I", "F", "I;16", "I;16B", "LA", "RGB", "RGBA"}
"""Pillow's kinds of pixels that are numbers or colours."""


def recognises(head: bytes, path: Path) -> bool:
    """PNG, JPEG, or a Windows bitmap whose header has one of its usual sizes."""
    del path
    bitmap = head[:2] == b"BM" and head[6:10] == bytes(4) and head[14:18] in (b"\x28\0\0\0", b"\x7c\0\0\0")
    return head.startswith(MAGICS) or bitmap


def read(path: Path) -> tuple[Signal, ...]:
    """One picture; colours are kept along the axis `channel`, unless they are all grey.

    Raises
    ------
    UnreadableFile
        If the picture is damaged, truncated, or of more pixels than its file can hold.
    """
    data = pixels(path)
    axes = [Axis.even(name, size, 1.0) for name, size in zip(("y", "x"), data.shape, strict=False)]
    if data.ndim == 3:
        axes.append(Axis.even("channel", data.shape[2], 1.0))
    with path.open("rb") as file:
        lossy = file.read(3) == MAGICS[1]
    said = ("JPEG is lossy: grey values are not those of the detector", *jpeg_fit.doubts(path.read_bytes())) if lossy else ()
    return (Signal(path.stem, tuple(axes), {"data": Field(data)}, path, warnings=said),)


def shape_of(path: Path) -> tuple[int, ...]:
    """Rows and columns, from the header alone."""
    with _opened(path) as image:
        return image.size[::-1]


def pixels(path: Path) -> NDArray[Any]:
    """The picture as numbers: (y, x), or (y, x, channel) where its colours differ."""
    with _opened(path) as image:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                data = np.asarray(image.convert("RGB") if image.mode == "P" else image)
        except (OSError, ValueError, SyntaxError, MemoryError) as error:
            raise UnreadableFile(path, f"cannot be decoded: {' '.join(str(error).split())[:200]}",
                                 todo="it may be truncated or damaged") from None
    if data.dtype == bool:
        data = data.astype(np.uint8)
    grey = data.ndim == 3 and data.shape[2] >= 3 and all(bool((data[..., 0] == data[..., i]).all()) for i in (1, 2))
    return np.ascontiguousarray(data[..., 0] if grey else data)


def _opened(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(path, formats=("PNG", "JPEG", "BMP"))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise UnreadableFile(path, f"is no picture that can be read: {' '.join(str(error).split())[:200]}",
                             todo="it may be truncated or damaged") from error
    # deflate packs a thousand equal bytes into one
    if image.size[0] * image.size[1] > min(MOST_PIXELS, 1100 * path.stat().st_size) or image.mode not in MODES:
        image.close()
        raise UnreadableFile(path, f"promises {image.size[0]} x {image.size[1]} pixels of kind {image.mode}, which cannot be")
    return image


def example(folder: Path) -> Path:
    """A grey wedge of 6 x 8 pixels."""
    path = folder / "example.png"
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8)).save(path)
    return path


PICTURES = Format(name="picture", suffixes=frozenset({".png", ".bmp", ".jpg", ".jpeg"}), recognises=recognises, read=read,
                  version="1", example=example)
