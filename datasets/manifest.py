"""What was published: the manifest of a version, and the reference that says which version is current.

A manifest never changes. A reference lists the versions of its unit, oldest first, each with the sha256 of its manifest, so
that every byte of a study is vouched for by a file that is replaced in one step. A reference exists before the first
version is renamed into place: objects without one have lost it, they were not merely interrupted.
"""

import getpass
import hashlib
import json
import math
import os
import platform
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from datasets.durable import TEMPORARY, canonical_json
from datasets.errors import DamagedStore, StoreError
from datasets.provenance import own_version

LAYOUT = 1
"""Number of this layout on disk."""
VERSION_NAME = re.compile(r"v\d{6}-[0-9a-f]{8}")
UNIT_PART = re.compile(r"[^\x00-\x1f\x7f/\\:*?\"<>|]{1,120}")
NOT_IN_MANIFEST = ("vendor",)
"""Attributes too long to be repeated in the manifest."""


@dataclass(frozen=True)
class Version:
    """One published state of a unit; `attrs` are those of its Dataset, without the vendor's metadata, `summary` is what the
    catalogue tells of it.
    """

    unit: str
    version: str
    kind: str
    created: str
    parents: Mapping[str, str]
    nbytes: int
    attrs: Mapping[str, Any] = field(repr=False)
    summary: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Reference:
    """Published versions of a unit, oldest first: name and sha256 of the manifest; on disk with a checksum of its own."""

    unit: str
    versions: tuple[tuple[str, str], ...] = ()

    @property
    def current(self) -> str | None:
        return self.versions[-1][0] if self.versions else None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.versions)

    def to_bytes(self) -> bytes:
        body = {"unit": self.unit, "versions": [list(v) for v in self.versions]}
        return canonical_json({**body, "sha256": digest(canonical_json(body))})

    @classmethod
    def from_bytes(cls, content: bytes, path: Path) -> "Reference":
        try:
            raw = json.loads(content)
            found = cls(str(raw["unit"]), tuple((str(n), str(d)) for n, d in raw["versions"]))
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedStore(f"{path} is no reference: {error}; a backup mends it, `correlate verify` lists the "
                               f"versions it may have named") from error
        if found.to_bytes() != content:
            raise DamagedStore(f"{path} was altered; a backup mends it")
        return found


def checked_unit(unit: str) -> str:
    """The name of a unit, if it can be one on every disk.

    Raises
    ------
    StoreError
        All that is wrong with it.
    """
    faults = []
    for part in unit.split("/"):
        if part in ("", ".", ".."):
            faults.append(f"has the part {part!r}")
        elif part.startswith(".") or part.endswith((".json", ".zarr", ".", " ")):
            faults.append(f"part {part!r} starts with '.', or ends with '.json', '.zarr', '.' or a space")
        elif not UNIT_PART.fullmatch(part):
            faults.append(f"part {part!r} has a control character, one of \\ : * ? \" < > |, or more than 120 characters")
    if faults:
        raise StoreError(f"{unit!r} cannot be the name of a unit: {'; '.join(faults)}; expected a name like 'A17/haadf-0'")
    return unit


def new_name(number: int) -> str:
    """Name of a version: its rank, and letters that no other attempt at the same rank has."""
    return f"v{number:06d}-{secrets.token_hex(4)}"


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def make_manifest(*, unit: str, version: str, kind: str, parents: Mapping[str, str], previous: str | None,
                  files: Mapping[str, tuple[str, int]], data: xr.Dataset, attrs: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a version when it is published; plain JSON."""
    return {
        "layout": LAYOUT, "unit": unit, "version": version, "kind": kind, "previous": previous,
        "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "writer": {"program": f"correlate-sei {own_version()}", "user": _user(), "host": platform.node()},
        "parents": dict(parents), "nbytes": sum(size for _, size in files.values()),
        "content": content_digest(kind, parents, files), "chunks": chunk_counts(files),
        "files": {name: list(entry) for name, entry in files.items()},
        "attrs": {k: v for k, v in attrs.items() if k not in NOT_IN_MANIFEST},
        "summary": summary(data, attrs),
    }


def version_of(manifest: Mapping[str, Any]) -> Version:
    """The public part of a manifest."""
    return Version(manifest["unit"], manifest["version"], manifest["kind"], manifest["created"], manifest["parents"],
                   manifest["nbytes"], manifest["attrs"], manifest["summary"])


def content_digest(kind: str, parents: Mapping[str, str], files: Mapping[str, tuple[str, int]]) -> str:
    """The same for two publications of the same data from the same parents."""
    return digest(canonical_json({"kind": kind, "parents": dict(parents), "files": {n: list(f) for n, f in files.items()}}))


def chunk_counts(files: Iterable[str]) -> dict[str, int]:
    """Array -> number of its chunk files."""
    counts: dict[str, int] = {}
    for name in files:
        array, found, _ = name.rpartition("/c/") if "/c/" in name else name.rpartition("/c")
        if found:
            counts[array] = counts.get(array, 0) + 1
    return counts


def summary(data: xr.Dataset, attrs: Mapping[str, Any]) -> dict[str, Any]:
    """What the catalogue tells of a Dataset without opening it."""
    return {
        "dims": {str(d): int(n) for d, n in data.sizes.items()},
        "variables": {str(n): {"dims": list(map(str, v.dims)), "shape": list(v.shape), "dtype": str(v.dtype),
                               "units": v.attrs.get("units", "")} for n, v in data.data_vars.items()},
        "coords": {str(n): _extent(c.variable) for n, c in data.coords.items()},
        "conditions": attrs.get("conditions", {}), "incomplete": attrs.get("incomplete", []),
        "uncalibrated": attrs.get("uncalibrated", []), "warnings": len(attrs.get("warnings", [])),
        "source": attrs.get("source", {}), "synthetic": bool(attrs.get("synthetic", False)),
    }


def _extent(coord: xr.Variable) -> dict[str, Any]:
    extent: dict[str, Any] = {"units": coord.attrs.get("units", ""), "n": int(coord.size)}
    if coord.dtype.kind in "iuf" and coord.ndim == 1 and coord.size:
        values = np.asarray(coord.values, dtype=np.float64)
        step = float(values[-1] - values[0]) / (values.size - 1) if values.size > 1 else 0.0
        extent |= {k: v if math.isfinite(v) else None
                   for k, v in (("first", float(values[0])), ("last", float(values[-1])), ("step", step))}
    return extent


def read_manifest(path: Path, expected: str | None = None) -> dict[str, Any]:
    """A manifest from disk.

    Parameters
    ----------
    expected : sha256 that its reference gives

    Raises
    ------
    DamagedStore
        If it is lost, altered or unreadable.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DamagedStore(f"{path} is lost: nothing vouches for this version any more; a backup mends it") from error
    if expected is not None and digest(content) != expected:
        raise DamagedStore(f"{path} was altered: its sha256 is not the one its reference gives; a backup mends it")
    try:
        found: dict[str, Any] = json.loads(content)
    except ValueError as error:
        raise DamagedStore(f"{path} is no JSON: {error}; a backup mends it") from error
    return found


def is_temporary(name: str) -> bool:
    """Whether a file or folder is an unfinished one."""
    return name.startswith(TEMPORARY)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
