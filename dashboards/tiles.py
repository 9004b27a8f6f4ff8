"""Grey tiles of images, cut from the stored pyramid, for the browser to colour and to place."""

import hashlib
import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import xarray as xr
from flask import Flask, Response, abort, request
from numpy.typing import NDArray
from PIL import Image

TILE = 512
"""Pixels along each side of a tile; one stored chunk, so that a tile reads a chunk once."""
CACHE_BYTES = 128 << 20
JPEG_QUALITY = 90
PERCENTILES = (0.2, 99.8)
SAMPLE_PIXELS = 1 << 20
"""Limits are taken from the finest level with no more pixels than this."""
ENCODING = "1"
"""Changes when the same data would give other tiles, so that browsers do not keep the old ones."""


@dataclass(frozen=True, eq=False)
class Raster:
    """A grey picture in levels, finest first, each (y, x) with evenly spaced coordinates.

    lossless : whether a tile keeps every grey value (maps of counts), or may be a JPEG (images, four times smaller)
    """

    levels: tuple[xr.DataArray, ...]
    lossless: bool = False
    limits: tuple[float, float] = field(init=False)
    partial = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "limits", grey_limits(self.levels))

    def block(self, level: int, rows: slice, columns: slice) -> NDArray[np.floating]:
        """Values of a part of a level."""
        return np.asarray(self.levels[level].isel(y=rows, x=columns).values)


class Tiled(Protocol):
    """What tiles are cut from; `partial` says that what is not a number is not drawn, and not black."""

    @property
    def levels(self) -> tuple[xr.DataArray, ...]: ...

    @property
    def lossless(self) -> bool: ...

    @property
    def partial(self) -> bool: ...

    @property
    def limits(self) -> tuple[float, float]: ...

    def block(self, level: int, rows: slice, columns: slice) -> NDArray[np.floating]:
        """Values of a part of a level."""


def picture_key(*parts: str) -> str:
    """A name for URLs that tells nothing of where the data lie and changes with their version."""
    return hashlib.sha256("\n".join((ENCODING, *parts)).encode()).hexdigest()[:20]


def grey_limits(levels: tuple[xr.DataArray, ...]) -> tuple[float, float]:
    """Values shown as black and as white: percentiles of a level small enough to read at once."""
    level = next((lv for lv in levels if lv.size <= SAMPLE_PIXELS), levels[-1])
    values = np.asarray(level.values, np.float64)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, PERCENTILES)
    if high <= low:  # sparse counts: most pixels are equal
        low, high = float(finite.min()), float(finite.max())
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(low) + 0.5)


def halved(image: xr.DataArray) -> tuple[xr.DataArray, ...]:
    """A picture and its levels, each the mean of 2 x 2 pixels of the one before, until one tile holds it."""
    levels = [image]
    while max(levels[-1].shape) > TILE:
        levels.append(levels[-1].coarsen(y=2, x=2, boundary="trim").mean())
    return tuple(levels)


def grey(block: NDArray[np.floating], limits: tuple[float, float]) -> NDArray[np.uint8]:
    """Values as 8-bit grey between the limits; what is not a number is black."""
    low, high = limits
    scaled = (block.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    whole: NDArray[np.uint8] = np.nan_to_num(np.clip(scaled + np.float32(0.5), 0, 255), nan=0).astype(np.uint8)
    return whole


def encoded(block: NDArray[np.uint8], *, lossless: bool) -> tuple[bytes, str]:
    """An 8-bit picture, (y, x) or (y, x, grey and opacity), as (bytes, media type)."""
    buffer = io.BytesIO()
    if lossless:
        Image.fromarray(block).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue(), "image/png"
    Image.fromarray(block).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue(), "image/jpeg"


class Tiles:
    """Serves /tiles/<key>/<level>/<row>_<column>; remembers encoded tiles up to a limit of memory.

    Parameters
    ----------
    raster_of
        Key -> what its tiles are cut from; raises KeyError for any key that the study does not offer.
    """

    def __init__(self, raster_of: Callable[[str], Tiled], *, cache_bytes: int = CACHE_BYTES) -> None:
        self._raster_of = raster_of
        self._room = cache_bytes
        self._kept: OrderedDict[tuple[str, int, int, int], tuple[bytes, str]] = OrderedDict()
        self._lock = threading.Lock()

    def tile(self, key: str, level: int, row: int, column: int) -> tuple[bytes, str]:
        """One tile as (bytes, media type); the last row and column may be smaller than TILE.

        Raises
        ------
        KeyError
            If there is no such picture, level or tile.
        """
        name = (key, level, row, column)
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        raster = self._raster_of(key)
        if not 0 <= level < len(raster.levels):
            raise KeyError(f"level {level}")
        image = raster.levels[level]
        rows, columns = image.shape
        if not (0 <= row * TILE < rows and 0 <= column * TILE < columns):
            raise KeyError(f"tile {row}_{column}")
        block = raster.block(level, slice(row * TILE, (row + 1) * TILE), slice(column * TILE, (column + 1) * TILE))
        shown = grey(block, raster.limits)
        if raster.partial:
            shown = np.stack([shown, np.where(np.isfinite(block), 255, 0).astype(np.uint8)], -1)
        found = encoded(shown, lossless=raster.lossless)
        self._keep(name, found)
        return found

    def serve(self, server: Flask) -> None:
        """Add the route to a Flask application."""

        def tile(key: str, level: int, row: int, column: int) -> Response:
            etag = f"{key}-{level}-{row}-{column}"
            try:
                body, kind = self.tile(key, level, row, column)
            except KeyError:
                abort(404)
            response = Response(b"" if etag in request.if_none_match else body, mimetype=kind)
            if etag in request.if_none_match:
                response.status_code = 304
            response.set_etag(etag)
            response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
            return response

        def no_tile(rest: str) -> Response:
            del rest
            abort(404)

        server.add_url_rule("/tiles/<key>/<int:level>/<int:row>_<int:column>", "tile", tile)
        server.add_url_rule("/tiles/<path:rest>", "no_tile", no_tile)

    def _keep(self, name: tuple[str, int, int, int], found: tuple[bytes, str]) -> None:
        with self._lock:
            if name not in self._kept:
                self._kept[name] = found
                self._room -= len(found[0])
            while self._room < 0 and self._kept:
                _, (body, _) = self._kept.popitem(last=False)
                self._room += len(body)
