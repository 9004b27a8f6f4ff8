"""The study's memory: immutable, versioned units in plain Zarr, published whole or not at all.

::

    objects/<unit>/<version>.zarr   the data, never changed after it was published
    objects/<unit>/<version>.json   its manifest
    refs/<unit>.json                which versions are published; replaced in one step
    catalogue.sqlite                an index of the above

A reader sees the version before or the version after, never a mixture; docs/storage.md says how, and what was measured.
"""

import errno
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

import pandas as pd
import xarray as xr

from datasets import catalogue
from datasets.durable import (
    TEMPORARY,
    canonical_json,
    is_held,
    lock,
    locked,
    make_folder,
    sync_folder,
    write_synced,
    write_whole,
)
from datasets.errors import DamagedStore, StoreConflict, StoreError
from datasets.integrity import Damage, damages
from datasets.manifest import (
    Reference,
    Version,
    checked_unit,
    content_digest,
    digest,
    is_temporary,
    make_manifest,
    new_name,
    read_manifest,
    version_of,
)
from datasets.provenance import RawHash
from datasets.zarr_unit import LEVELS, SUMS, open_unit, plain, write_unit

KINDS = ("acquisition", "drift", "landmarks", "transform", "adjustment", "descriptors", "model")


NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Latest(Enum):
    """The version that is current when a publication begins."""

    LATEST = "latest"


LATEST: Final = Latest.LATEST


@dataclass(frozen=True)
class Removed:
    """What `gc` removed, or would remove: versions as (unit, version), unfinished things as paths, bytes on disk."""

    versions: tuple[tuple[str, str], ...]
    unfinished: tuple[str, ...]
    nbytes: int


class Store:
    """Units of one study folder.

    Parameters
    ----------
    root
        The study folder.
    create
        Make it a store if it is none yet.

    Raises
    ------
    StoreError
        If there is no store and none is to be made.
    """

    def __init__(self, root: str | Path, *, create: bool = False) -> None:
        self.root = Path(root)
        self._objects = self.root / "objects"
        self._lock = self.root / ".lock"
        if create:
            for folder in (self._objects, self.root / "refs"):
                make_folder(folder)
        elif not (self.root / "refs").is_dir():
            raise StoreError(f"{self.root} holds no published data (it has no folder refs); import something first")

    def publish(self, unit: str, data: xr.Dataset, *, kind: str, parents: Mapping[str, str] | None = None,
                expected: str | Latest | None = LATEST, progress: Callable[[float], None] | None = None,
                raw: Path | None = None) -> Version:
        """Make `data` the current version of a unit, whole or not at all.

        Parameters
        ----------
        unit
            Name like `A17/haadf-0`.
        data
            numpy, memory maps, dask or lazy; read once, block by block, so it may be larger than memory. Numbers, truth
            values, times and text.
        kind : acquisition, drift, landmarks, transform, adjustment, descriptors or model
        parents : unit -> version it was made from
        expected
            The version that must be current for this one to follow it; None if there must be none.
        progress
            Called with the fraction done, 0 to 1.
        raw
            The file the data came from: its sha256 is taken while its pages are still in memory, and becomes
            attrs["source"]["sha256"].

        Returns
        -------
        The new version; the current one where it already holds the same data from the same parents.

        Raises
        ------
        StoreConflict
            If another version than the expected one is current; nothing was changed.
        StoreError
            If the name cannot be one, a parent is not published, or the disk is full.
        DatasetError
            If a variable or an attribute cannot be stored.
        """
        checked_unit(unit)
        if kind not in KINDS:
            raise StoreError(f"{unit}: kind {kind!r} is not one of {', '.join(KINDS)}")
        before = self._reference(unit)
        wanted = before.current if isinstance(expected, Latest) else expected
        self._demand(before, wanted)
        made_from = dict(parents or {})
        for parent, version in made_from.items():
            if not self._folder(parent, version).is_dir():
                raise StoreError(f"{unit}: its parent {parent} has no version {version}")
        name = new_name(1 + max((int(n[1:7]) for n in before.names), default=0))
        hasher = RawHash(raw) if raw is not None else None
        attrs: dict[str, Any] = plain(data.attrs, "attrs")

        def consumed(fraction: float) -> None:
            if hasher:
                hasher.advance(fraction)
            if progress:
                progress(0.9 * fraction)

        def final_attrs() -> Mapping[str, Any]:
            if hasher:
                attrs["source"] = {**attrs.get("source", {}), "sha256": hasher.hexdigest()}
            return attrs

        temporary, held = self._temporary(unit)
        manifest_file = temporary.with_suffix(".json")
        try:
            files = write_unit(data, temporary, consumed, final_attrs)
            current = self._manifest(unit, before, before.current) if before.current else None
            if current and current["content"] == content_digest(kind, made_from, files):
                self._demand(self._reference(unit), wanted)
                return version_of(current)
            manifest = make_manifest(unit=unit, version=name, kind=kind, parents=made_from, previous=before.current,
                                     files=files, data=data, attrs=attrs)
            content = canonical_json(manifest)
            write_synced(manifest_file, content)
            self._commit(unit, name, temporary, manifest_file, wanted, digest(content))
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise StoreError(f"{unit}: {error.strerror} in {self.root}; nothing was published, what was there is untouched: "
                             f"make room and publish again") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            manifest_file.unlink(missing_ok=True)
            os.close(held)
        if progress:
            progress(1.0)
        return version_of(manifest)

    def open(self, unit: str, version: str | None = None) -> xr.Dataset:
        """A published Dataset, lazily and without dask; the current version unless one is named.

        Raises
        ------
        StoreError
            If there is no such unit or version.
        DamagedStore
            If its reference or manifest is lost or altered; a lost or altered chunk raises when it is read.
        """
        manifest, folder = self._found(unit, version)
        ds = open_unit(folder, manifest["files"], coords=manifest["summary"]["coords"])
        ds.encoding = {"source": str(folder), "unit": unit, "version": manifest["version"]}
        return ds

    def levels(self, unit: str, variable: str | None = None, version: str | None = None) -> list[xr.DataArray]:
        """The image and its coarser levels, finest first, lazily; only the image itself where it has no levels.

        Parameters
        ----------
        variable
            The first variable of the Dataset unless named.
        """
        manifest, folder = self._found(unit, version)
        finest = open_unit(folder, manifest["files"])
        name = variable or next(iter(map(str, finest.data_vars)), "")
        if name not in finest.data_vars:
            raise StoreError(f"{unit} has no variable {name!r}; found {', '.join(map(str, finest.data_vars))}")
        count = sum(f"{LEVELS}/{k}/{name}" in manifest["chunks"] for k in range(1, 64))
        return [finest[name]] + [open_unit(folder, manifest["files"], f"{LEVELS}/{k}")[name] for k in range(1, count + 1)]

    def summed(self, unit: str, variable: str | None = None, version: str | None = None) -> xr.DataArray | None:
        """The stored sum over the spectra of a spectrum image, (..., y, x); None for what is no spectrum image."""
        manifest, folder = self._found(unit, version)
        names = [n.removeprefix(f"{SUMS}/") for n in manifest["chunks"] if n.startswith(f"{SUMS}/")]
        name = variable or next(iter(names), None)
        if name is None or name not in names:
            return None
        total = open_unit(folder, manifest["files"], SUMS)[name]
        coords = open_unit(folder, manifest["files"]).coords
        return total.assign_coords({d: coords[d] for d in total.dims if d in coords})

    def current(self, unit: str) -> Version | None:
        """The current version of a unit; None if it has none."""
        reference = self._reference(unit)
        return version_of(self._manifest(unit, reference, reference.current)) if reference.current else None

    def history(self, unit: str) -> list[Version]:
        """All published versions of a unit that are still kept, oldest first."""
        return [version_of(m) for m in self._manifests(unit)]

    def units(self) -> list[str]:
        """Names of all published units."""
        return sorted(u for u in catalogue.stamps(self.root) if self._reference(u).current)

    def catalogue(self, kind: str | None = None) -> pd.DataFrame:
        """One row per current unit: unit, version, kind, sample, technique, title, created, nbytes, summary.

        `summary` is a dictionary: dims, variables (dims, shape, dtype, units), coords (units, n, first, last, step),
        conditions, incomplete, uncalibrated, warnings (their number), source, synthetic, parents.
        """
        return catalogue.table(self.root, self._manifests, kind)

    def rebuild_catalogue(self) -> None:
        """Make the index again from references and manifests."""
        with locked(self._lock):
            catalogue.rebuild(self.root, self._manifests)

    def stale(self) -> dict[str, list[str]]:
        """Derived unit -> its parents that have a newer version or are gone: what must be made again."""
        frame = self.catalogue()
        current = dict(zip(frame["unit"], frame["version"], strict=True))
        behind = {unit: sorted(p for p, v in summary["parents"].items() if current.get(p) != v)
                  for unit, summary in zip(frame["unit"], frame["summary"], strict=True)}
        return {unit: moved for unit, moved in behind.items() if moved}

    def verify(self, progress: Callable[[float], None] | None = None) -> list[Damage]:
        """Everything in the store that is not as it was published; an empty list, or notes only, if all is well."""
        return damages(self.root, progress)

    def gc(self, *, keep: int = 1, dry_run: bool = False) -> Removed:
        """Remove what nobody needs: versions beyond the last `keep` that are parents of no kept one, and unfinished things.

        A version without its reference is only removed where its unit has one: otherwise the reference may be lost.
        Data opened lazily from a removed version raise when they are read.
        """
        if keep < 1:
            raise StoreError(f"gc cannot keep {keep} versions: the current one always stays")
        with locked(self._lock):
            return self._collect(keep, dry_run)

    def _collect(self, keep: int, dry_run: bool) -> Removed:
        references = {u: self._reference(u) for u in catalogue.stamps(self.root)}
        needed = self._needed(references, keep)
        doomed = [(u, n) for u, r in references.items() for n in r.names if (u, n) not in needed]
        unfinished, orphans = self._leftovers(references)
        paths = [p for u, n in [*doomed, *orphans] for p in (self._folder(u, n), self._manifest_path(u, n)) if p.exists()]
        size = sum(_size(p) for p in [*paths, *unfinished])
        if not dry_run:
            for unit in {u for u, _ in doomed}:
                left = tuple(v for v in references[unit].versions if (unit, v[0]) in needed)
                write_whole(catalogue.reference_path(self.root, unit), Reference(unit, left).to_bytes())
            for path in [*paths, *unfinished]:
                _remove(path)
            catalogue.catch_up(self.root, self._manifests)
        return Removed((*doomed, *orphans), tuple(str(p.relative_to(self.root)) for p in unfinished), size)

    def _needed(self, references: Mapping[str, Reference], keep: int) -> set[tuple[str, str]]:
        """Versions to keep: the last ones of each unit, and all that these were made from."""
        needed: set[tuple[str, str]] = set()
        todo = [(u, n) for u, r in references.items() for n in r.names[-keep:]]
        while todo:
            unit, name = todo.pop()
            if (unit, name) in needed or name not in references.get(unit, Reference(unit)).names:
                continue
            needed.add((unit, name))
            todo += list(self._manifest(unit, references[unit], name)["parents"].items())
        return needed

    def _leftovers(self, references: Mapping[str, Reference]) -> tuple[list[Path], list[tuple[str, str]]]:
        """Unfinished things whose writer is dead, and versions that were never published."""
        unfinished, orphans = [], []
        for top in (self._objects, self.root / "refs"):
            for folder, folders, files in os.walk(top):
                here = Path(folder)
                for name in [*folders, *files]:
                    path = here / name
                    if is_temporary(name) and not _is_alive(path):
                        unfinished.append(path)
                    elif top == self._objects and name.endswith((".zarr", ".json")) and not is_temporary(name):
                        unit = here.relative_to(self._objects).as_posix()
                        version = path.stem
                        if unit in references and version not in references[unit].names and not (
                                path.is_dir() and is_held(path)):
                            orphans.append((unit, version))
                folders[:] = [f for f in folders if not f.endswith(".zarr")]
        return unfinished, sorted(set(orphans))

    def _temporary(self, unit: str) -> tuple[Path, int]:
        """A folder beside the versions of a unit, locked as long as this process writes into it."""
        while True:
            make_folder(self._objects / unit)
            folder = self._objects / unit / f"{TEMPORARY}{uuid.uuid4().hex}.zarr"
            try:
                folder.mkdir()
                return folder, lock(folder)
            except FileNotFoundError:  # gc removed it before it was locked
                continue

    def _commit(self, unit: str, name: str, temporary: Path, manifest_file: Path, wanted: str | None, checksum: str) -> None:
        with locked(self._lock):
            now = self._reference(unit)
            self._demand(now, wanted)
            path = catalogue.reference_path(self.root, unit)
            make_folder(path.parent)
            if not path.exists():
                write_whole(path, Reference(unit).to_bytes())
            after = Reference(unit, (*now.versions, (name, checksum)))
            try:
                manifest_file.rename(self._manifest_path(unit, name))
                temporary.rename(self._folder(unit, name))
                sync_folder(self._objects / unit)
                write_whole(path, after.to_bytes())
            except BaseException:
                if name not in self._reference(unit).names:
                    self._manifest_path(unit, name).unlink(missing_ok=True)
                    shutil.rmtree(self._folder(unit, name), ignore_errors=True)
                raise
            catalogue.record(self.root, unit, self._manifests(unit))

    def _demand(self, now: Reference, wanted: str | None) -> None:
        if now.current != wanted:
            raise StoreConflict(f"{now.unit}: {now.current or 'no version'} is current, but {wanted or 'none'} was to be "
                                f"followed: another writer was first; nothing was changed, look at it and publish again")

    def _reference(self, unit: str) -> Reference:
        path = catalogue.reference_path(self.root, checked_unit(unit))
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return Reference(unit)
        found = Reference.from_bytes(content, path)
        if found.unit != unit:
            raise DamagedStore(f"{path} names the unit {found.unit!r}; a backup mends it")
        return found

    def _manifests(self, unit: str) -> list[dict[str, Any]]:
        reference = self._reference(unit)
        return [self._manifest(unit, reference, name) for name in reference.names]

    def _manifest(self, unit: str, reference: Reference, name: str) -> dict[str, Any]:
        return read_manifest(self._manifest_path(unit, name), dict(reference.versions)[name])

    def _found(self, unit: str, version: str | None) -> tuple[dict[str, Any], Path]:
        reference = self._reference(unit)
        name = version or reference.current
        if name is None:
            raise StoreError(f"there is no unit {unit!r} in {self.root}{_similar(unit, self.root)}")
        if name not in reference.names:
            raise StoreError(f"{unit} has no version {name!r}; found {', '.join(reference.names) or 'none'}")
        folder = self._folder(unit, name)
        if not folder.is_dir():
            raise DamagedStore(f"{folder} is lost, though its reference names it; a backup or a new import mends it")
        return self._manifest(unit, reference, name), folder

    def _folder(self, unit: str, version: str) -> Path:
        return self._objects / unit / f"{version}.zarr"

    def _manifest_path(self, unit: str, version: str) -> Path:
        return self._objects / unit / f"{version}.json"


def _similar(unit: str, root: Path) -> str:
    known = sorted(catalogue.stamps(root))
    close = [k for k in known if k.rpartition("/")[2] == unit.rpartition("/")[2] or k.startswith(unit)][:3] or known[:3]
    return f"; there is {', '.join(close)}" if close else "; nothing is published yet"


def _is_alive(path: Path) -> bool:
    """Whether a writer still works on an unfinished thing; a manifest is as alive as the folder beside it."""
    folder = path.with_suffix(".zarr")
    return folder.is_dir() and is_held(folder)


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return path.stat().st_size


def _remove(path: Path) -> None:
    """Remove a version or a leftover; a folder first loses its name, so that a kill leaves no half of a version."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    doomed = path if is_temporary(path.name) else path.with_name(f"{TEMPORARY}{uuid.uuid4().hex}.zarr")
    if doomed != path:
        path.rename(doomed)
    shutil.rmtree(doomed)
