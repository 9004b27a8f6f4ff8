"""Is everything as it was published? Each answer names what, where, and what mends it."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import catalogue
from datasets.durable import is_held
from datasets.errors import DamagedStore
from datasets.manifest import VERSION_NAME, Reference, chunk_counts, is_temporary, read_manifest

BLOCK = 1 << 20


@dataclass(frozen=True)
class Damage:
    """One thing that is not as it was published.

    what : lost file, altered file, lost manifest, altered manifest, lost reference, altered reference, lost version,
        foreign file, catalogue; or a note: unfinished, unpublished
    path : relative to the study
    is_note : nothing published is touched by it; `gc` clears it away
    """

    unit: str
    version: str
    what: str
    path: str
    message: str
    is_note: bool = False


def damages(root: Path, progress: Callable[[float], None] | None = None) -> list[Damage]:
    """Everything in a store that is not as it was published, and notes on what is merely unfinished."""
    return _Check(root, progress).run()


class _Check:
    def __init__(self, root: Path, progress: Callable[[float], None] | None) -> None:
        self.root = root
        self.progress = progress
        self.found: list[Damage] = []
        self.known: set[str] = set()
        self.total = max(1, sum(p.stat().st_size for p in _files(root / "objects")))
        self.done = 0

    def run(self) -> list[Damage]:
        references = dict(self._references())
        for unit, reference in references.items():
            for name, sha256 in reference.versions:
                self._version(unit, name, sha256)
        self._strangers(references)
        self._catalogue(references)
        if self.progress:
            self.progress(1.0)
        return self.found

    def _add(self, what: str, path: Path, message: str, *, unit: str = "", version: str = "", is_note: bool = False) -> None:
        place = path.relative_to(self.root).as_posix()
        self.found.append(Damage(unit, version, what, place, f"{place}: {message}", is_note))

    def _references(self) -> Iterator[tuple[str, Reference]]:
        for unit in sorted(catalogue.stamps(self.root)):
            path = catalogue.reference_path(self.root, unit)
            try:
                reference = Reference.from_bytes(path.read_bytes(), path)
            except DamagedStore as error:
                self._add("altered reference", path, str(error), unit=unit)
                continue
            if reference.unit != unit:
                self._add("altered reference", path, f"names the unit {reference.unit!r}; a backup mends it", unit=unit)
                continue
            yield unit, reference

    def _version(self, unit: str, name: str, sha256: str) -> None:
        folder = self.root / "objects" / unit / f"{name}.zarr"
        path = folder.with_suffix(".json")
        if not folder.is_dir():
            self._add("lost version", folder, "its reference names it, but it is gone; a backup or a new import mends it",
                      unit=unit, version=name)
        try:
            manifest = read_manifest(path, sha256)
        except DamagedStore as error:
            self._add("altered manifest" if path.exists() else "lost manifest", path, str(error), unit=unit, version=name)
            return
        if folder.is_dir():
            self._contents(unit, name, folder, manifest)

    def _contents(self, unit: str, name: str, folder: Path, manifest: Mapping[str, Any]) -> None:
        present = {p.relative_to(folder).as_posix(): p for p in _files(folder)}
        for file, (expected, size) in manifest["files"].items():
            path = present.pop(file, None)
            if path is None:
                kind = "chunk" if chunk_counts([file]) else "metadata"
                self._add("lost file", folder / file, f"this {kind} is gone; a backup or a new import mends it",
                          unit=unit, version=name)
            elif path.stat().st_size != size:
                self._add("altered file", path, f"has {path.stat().st_size} bytes, published were {size}; a backup or a "
                                                f"new import mends it", unit=unit, version=name)
            elif self._digest(path) != expected:
                self._add("altered file", path, "its sha256 is not the published one; a backup or a new import mends it",
                          unit=unit, version=name)
        for path in present.values():
            self._add("foreign file", path, "was not published; look at it and remove it", unit=unit, version=name)

    def _digest(self, path: Path) -> str:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
                self.done += len(block)
                if self.progress:
                    self.progress(min(1.0, self.done / self.total))
        return digest.hexdigest()

    def _strangers(self, references: Mapping[str, Reference]) -> None:
        """What lies in the folders and is named by no reference."""
        altered = {d.unit for d in self.found if d.what == "altered reference"}
        for folder, folders, files in os.walk(self.root / "objects"):
            here = Path(folder)
            unit = here.relative_to(self.root / "objects").as_posix()
            for name in sorted([*folders, *files]):
                path = here / name
                if is_temporary(name):
                    self._unfinished(path, unit)
                elif VERSION_NAME.fullmatch(path.stem) and path.suffix == (".zarr" if path.is_dir() else ".json"):
                    self._unnamed(path, unit, references, altered)
                elif name in files:
                    self._add("foreign file", path, "was not published; look at it and remove it", unit=unit)
            folders[:] = [f for f in folders if not f.endswith(".zarr")]
        for path in _files(self.root / "refs"):
            if is_temporary(path.name):
                self._unfinished(path, "")
            elif path.suffix != ".json":
                self._add("foreign file", path, "is no reference; look at it and remove it")

    def _unfinished(self, path: Path, unit: str) -> None:
        alive = path.with_suffix(".zarr").is_dir() and is_held(path.with_suffix(".zarr"))
        state = "is being written" if alive else "was left by a writer that was interrupted; `correlate gc` removes it"
        self._add("unfinished", path, state, unit=unit, is_note=True)

    def _unnamed(self, path: Path, unit: str, references: Mapping[str, Reference], altered: set[str]) -> None:
        if unit in altered or (unit in references and path.stem in references[unit].names):
            return
        if unit in references:
            self._add("unpublished", path, "its writer was interrupted before it was published; `correlate gc` removes it",
                      unit=unit, version=path.stem, is_note=True)
        elif path.suffix == ".zarr" or not path.with_suffix(".zarr").exists():
            self._add("lost reference", catalogue.reference_path(self.root, unit),
                      f"is gone, though {path.stem} of its unit exists; a backup mends it", unit=unit, version=path.stem)

    def _catalogue(self, references: Mapping[str, Reference]) -> None:
        whole = {u for u in references if not any(d.unit == u and not d.is_note for d in self.found)}

        def read(unit: str) -> list[dict[str, Any]]:
            folder = self.root / "objects" / unit
            return [json.loads((folder / f"{n}.json").read_bytes()) for n in references[unit].names]

        for message in catalogue.disagreements(self.root, read, whole):
            self._add("catalogue", self.root / catalogue.FILE_NAME, f"{message}; rebuild_catalogue mends it")


def _files(folder: Path) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            yield Path(here) / name
