"""Kill, fill, flip and lose: does anything published get lost or torn, and is every damage named?

    python benchmarks/torture.py [--kills 60] [--flips 60] [--seed 1]

Prints one line per trial kind and exits with 1 if anything failed. Power cuts are not tried: that needs a device which
forgets what was not flushed.
"""

import argparse
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import xarray as xr

from datasets.errors import DamagedStore, StoreConflict, StoreError
from datasets.store import Store

SIZE = 1100
SPAWN = multiprocessing.get_context("spawn")


def told_by(seed: int) -> xr.Dataset:
    """A Dataset that can be recognised as a whole: an image with a level, a spectrum and text, all from one number."""
    rng = np.random.default_rng(seed)
    axis = 0.5 * np.arange(SIZE)
    return xr.Dataset(
        {"intensity": (("y", "x"), rng.integers(0, 4000, (SIZE, SIZE)).astype("u2"), {"units": "arbitrary"}),
         "spectrum": ("energy_loss", rng.normal(size=300_000)), "note": ("row", [f"seed {seed}"])},
        {"y": ("y", axis, {"units": "nm"}), "x": ("x", axis, {"units": "nm"})}, {"seed": seed})


def is_whole(ds: xr.Dataset) -> bool:
    return bool(ds.load().identical(told_by(int(ds.attrs["seed"]))))


def new_units(root: Path, seed: int, tell: Connection) -> None:
    store, rng = Store(root), np.random.default_rng(seed)
    while True:
        number = int(rng.integers(1 << 40))
        version = store.publish(f"new/{number}", told_by(number), kind="acquisition")
        tell.send((version.unit, version.version, number))


def new_versions(root: Path, seed: int, tell: Connection) -> None:
    store, rng = Store(root), np.random.default_rng(seed)
    while True:
        number = int(rng.integers(1 << 40))
        version = store.publish(f"old/{number % 3}", told_by(number), kind="acquisition")
        tell.send((version.unit, version.version, number))


def catalogue_writes(root: Path, seed: int, tell: Connection) -> None:
    store, rng = Store(root), np.random.default_rng(seed)
    small = xr.Dataset({"v": ("row", [1.0])})
    while True:
        number = int(rng.integers(1 << 40))
        if number % 4 == 0:
            store.rebuild_catalogue()
        version = store.publish(f"small/{number % 5}", small.assign_attrs(number=number), kind="model")
        tell.send((version.unit, version.version, None))


def steps_of_publish(root: Path, seed: int, tell: Connection, step: int) -> None:
    """Die at one given operation on the disk, so that the short moments around the renames are met too."""
    store = Store(root)
    left = [step]

    def count(event: str, _: tuple[object, ...]) -> None:
        if event.startswith(("os.", "open", "sqlite3.")):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    data = told_by(seed)
    sys.addaudithook(count)
    version = store.publish(f"old/{seed % 3}", data, kind="acquisition")
    tell.send((version.unit, version.version, seed))
    tell.send(step - left[0])


def checked(root: Path, promised: dict[tuple[str, str], int | None], fresh: list[tuple[str, str]]) -> list[str]:
    """What is wrong after a kill; everything ever promised must be there, the newest must read as they were."""
    store = Store(root)
    wrong = [f"verify: {d.message}" for d in store.verify() if not d.is_note]
    history = {(v.unit, v.version) for unit in store.units() for v in store.history(unit)}
    wrong += [f"lost: {unit} {version}" for unit, version in promised if (unit, version) not in history]
    current = {unit: store.current(unit) for unit in store.units()}
    frame = store.catalogue()
    if dict(zip(frame["unit"], frame["version"], strict=True)) != {u: v.version for u, v in current.items() if v}:
        wrong.append("the catalogue disagrees with the references")
    latest = [(u, v.version) for u, v in current.items() if v and u.startswith(("old", "new"))]
    newest = sorted(latest, key=lambda uv: (root / "refs" / f"{uv[0]}.json").stat().st_mtime_ns)[-3:]
    wrong += [f"torn: {u} {v}" for u, v in {*newest, *fresh} if not u.startswith("small") and not is_whole(store.open(u, v))]
    return wrong


def kills(root: Path, count: int, seed: int) -> tuple[int, list[str]]:
    store = Store(root, create=True)
    rng = np.random.default_rng(seed)
    promised: dict[tuple[str, str], int | None] = {}
    failures: list[str] = []
    tally: Counter[str] = Counter()
    jobs = (new_units, new_versions, catalogue_writes, steps_of_publish)
    steps = steps_in_all(root)
    for trial in range(count):
        job = jobs[trial % len(jobs)]
        here, there = SPAWN.Pipe(duplex=False)
        args: tuple[object, ...] = (root, int(rng.integers(1 << 40)), there)
        if job is steps_of_publish:
            last = steps if trial % 8 < 4 else min(steps, 40)  # every other time among the last steps, the renames
            args = (*args, steps - int(rng.integers(last)))
        child = SPAWN.Process(target=job, args=args)
        child.start()
        there.close()
        fresh = []
        if job is steps_of_publish:
            child.join()
        else:
            here.poll(60)  # the first publication says that the interpreter is up
            time.sleep(float(rng.uniform(0.0, 0.5)))
            os.kill(child.pid or 0, signal.SIGKILL)
            child.join()
        while here.poll():
            try:
                message = here.recv()
            except (EOFError, OSError):
                break
            if isinstance(message, int):
                continue
            unit, version, number = message
            promised[unit, version] = number
            fresh.append((unit, version))
        tally["killed"] += child.exitcode == -signal.SIGKILL
        left = store.gc(keep=10**6, dry_run=True)
        tally["unfinished left"] += len(left.unfinished)
        tally["unpublished left"] += len(left.versions)
        failures += [f"kill {trial} ({job.__name__}): {w}" for w in checked(root, promised, fresh[-2:])]
        if trial % 5 == 4:
            store.gc(keep=10**6)
            failures += [f"after gc: {d.message}" for d in store.verify()]
        print(f"\rkill {trial + 1}/{count}", end="", file=sys.stderr)
    print(file=sys.stderr)
    print(f"kills                {tally['killed']} of {count} writers died at work; {len(promised)} publications were "
          f"promised, {tally['unfinished left']} unfinished and {tally['unpublished left']} unpublished things left for gc")
    return tally["killed"], failures


def steps_in_all(root: Path) -> int:
    """Number of operations on the disk that one publication takes."""
    here, there = SPAWN.Pipe(duplex=False)
    child = SPAWN.Process(target=steps_of_publish, args=(root, 0, there, 10**9))
    child.start()
    here.recv()
    steps = int(here.recv())
    child.join()
    return steps


def full_disk(seed: int) -> list[str]:
    folder = Path(tempfile.mkdtemp())
    fillers = range(4 << 20, 10 << 20, 3 << 16)  # a publication takes 5 MiB: the disk is full at another step each time
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], capture_output=True, text=True)
    if mounted.returncode:
        folder.rmdir()
        print(f"full disk            skipped: cannot mount a small disk ({mounted.stderr.strip()})")
        return []
    try:
        store = Store(folder, create=True)
        first = store.publish("u", told_by(seed), kind="acquisition")
        errors, wrong = 0, []
        for filler in fillers:
            (folder / "filler").write_bytes(b"1" * filler)
            try:
                version = store.publish("u", told_by(seed + 1 + filler), kind="acquisition")
            except StoreError as error:
                errors += 1
                wrong += [] if "nothing was published" in str(error) else [f"full disk: unclear error {error}"]
                version = first
            current = store.current("u")
            if current is None or current.version != version.version or not is_whole(store.open("u")):
                wrong.append(f"full disk with {filler} bytes taken: the current version is not the last published")
            (folder / "filler").unlink()
            wrong += [f"full disk: {d.message}" for d in store.verify()]
            store.gc()
            first = version
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()
    print(f"full disk            {errors} of {len(fillers)} publications refused for want of room; "
          f"the version before stayed whole")
    return wrong + ([] if errors else ["full disk: the disk was never full"])


def damages(root: Path, count: int, seed: int) -> list[str]:
    store = Store(root, create=True)
    for number in range(3):
        store.publish(f"u/{number % 2}", told_by(seed + number), kind="acquisition")
    store.catalogue()
    rng = np.random.default_rng(seed)
    files = [p for top in ("objects", "refs") for p in sorted((root / top).rglob("*")) if p.is_file()]
    wrong, tally = [], Counter[str]()
    for _ in range(count):
        path = files[rng.integers(len(files))]
        good = path.read_bytes()
        bad = bytearray(good)
        bad[rng.integers(len(bad))] ^= 1 << int(rng.integers(8))
        path.write_bytes(bad)
        wrong += _named(store, path, "flipped", tally)
        path.write_bytes(good)
    for path in files:
        good = path.read_bytes()
        path.unlink()
        wrong += _named(store, path, "lost", tally)
        path.write_bytes(good)
    print(f"flipped bits         {tally['flipped named']} of {count} named by verify; read: {tally['flipped raised']} raised, "
          f"{tally['flipped whole']} did not touch the flip, {tally['flipped wrong']} wrong")
    print(f"lost files           {tally['lost named']} of {len(files)} named by verify; read: {tally['lost raised']} raised, "
          f"{tally['lost whole']} did not need the file, {tally['lost wrong']} wrong")
    return wrong


def _named(store: Store, path: Path, what: str, tally: Counter[str]) -> list[str]:
    place = path.relative_to(store.root).as_posix()
    named = any(place == d.path for d in store.verify() if not d.is_note)
    tally[f"{what} named"] += named
    wrong = [] if named else [f"{what}: {place} was not named"]
    unit = place.split("/", 1)[1].rsplit("/v", 1)[0] if place.startswith("objects") else place[5:-5]
    version = path.stem if path.suffix == ".json" and "objects" in place and path.name != "zarr.json" else next(
        (p[:-5] for p in place.split("/") if p.endswith(".zarr")), None)
    try:
        ds = store.open(unit, version)
        result = "whole" if is_whole(ds) else "wrong"
    except (DamagedStore, StoreError, ValueError, RuntimeError):  # a failed checksum is a ValueError of zarr
        result = "raised"
    tally[f"{what} {result}"] += 1
    return wrong + ([f"{what}: {place} was read as data"] if result == "wrong" else [])


def two_writers(root: Path) -> list[str]:
    Store(root, create=True)
    queue = SPAWN.Queue()
    writers = [SPAWN.Process(target=_race, args=(root, n, queue)) for n in range(2)]
    for writer in writers:
        writer.start()
    results = [queue.get(timeout=300) for _ in writers]
    for writer in writers:
        writer.join()
    won, lost = sum(r[0] for r in results), sum(r[1] for r in results)
    store = Store(root)
    kept = len(store.history("u"))
    print(f"two writers          {won} publications succeeded, {kept} are in the history; {lost} losers got StoreConflict")
    wrong = [f"two writers: {d.message}" for d in store.verify()]
    return wrong + ([] if won == kept and is_whole(store.open("u")) else [f"two writers: {won} promised, {kept} kept"])


def _race(root: Path, number: int, queue: "multiprocessing.Queue[tuple[int, int]]") -> None:
    store, won, lost = Store(root), 0, 0
    for i in range(20):
        try:
            store.publish("u", told_by(1000 * number + i), kind="acquisition")
            won += 1
        except StoreConflict:
            lost += 1
    queue.put((won, lost))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--flips", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    start = time.time()
    root = Path(tempfile.mkdtemp(prefix="torture-"))
    try:
        _, wrong = kills(root / "kills", given.kills, given.seed)
        wrong += full_disk(given.seed)
        wrong += damages(root / "damages", given.flips, given.seed)
        wrong += two_writers(root / "race")
    finally:
        shutil.rmtree(root, ignore_errors=True)
    for line in wrong:
        print("FAILED", line)
    print(f"{'all held' if not wrong else f'{len(wrong)} failures'}, {time.time() - start:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
