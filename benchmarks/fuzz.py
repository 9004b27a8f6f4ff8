"""Damaged files: does every reader either read what it read before, say what is missing, or refuse in one line?

    python benchmarks/fuzz.py [--per-format 2000] [--seconds 600] [--formats mrc,tiff] [--seed 1] [--jobs 2] [--keep FOLDER]

For each format of `datasets.formats.FORMATS`, files are made from seeds (its own example, the virtual specimen's files, real
files of ../shared/data where that folder exists), damaged, and read to the last byte in a process of their own. Allowed:

same      the shapes of the undamaged file
warned    other shapes, and other warnings than those of the undamaged file
refused   one FileError of one line that names a file
cut       the points before the cut of a file that does not say how many it has (`Format.uncounted`): nobody can know

Everything else is a failure: another exception (traceback), more than 10 s of a processor or 60 s of waiting (hang), a process
that dies (crash), more memory than 4 times the file and 200 MiB (memory), other shapes without a word (shape). Prints failures
as they are found, then a table, and exits with 1 if anything failed. The same seed makes the same cases; case 0 of a file is
the file itself.
"""

import argparse
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as any_of
from pathlib import Path

import dask
import numpy as np
from mutations import mutated

from datasets.acquisition import read_acquisitions
from datasets.errors import FileError
from datasets.formats import FORMATS, format_of
from datasets.phantom.specimen import make_specimen
from datasets.phantom.study import RECORDERS, state_of

ALLOWED_SECONDS, ALLOWED_WAIT = 10.0, 60.0
"""Of a processor, and of the clock: others on the machine make it wait."""
ALLOWED_BYTES_PER_BYTE, ALLOWED_BYTES = 4, 200 << 20
LARGEST_SEED, SEEDS = 1 << 20, 4
"""Seeds of a format: the smallest files up to this many bytes, this many of them."""
BLOCK_BYTES = 16 << 20
"""Of a large array, this much is read at a time."""
CASES_PER_PROCESS = 400
"""A fresh process then, since memory that was freed still counts as in use."""
REAL_DATA = Path(os.environ.get("CORRELATE_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
GOOD = ("same", "warned", "refused", "cut")
UNCOUNTED = frozenset(fmt.name for fmt in FORMATS if fmt.uncounted)
BAD = ("traceback", "hang", "crash", "memory", "shape")
ALIKE = 60
"""Of failures of a seed file whose messages begin alike only the first is shown."""
SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Case:
    """One damaged file: a seed, and which of the damages that the seed number stands for."""

    format: str
    path: Path
    number: int
    seed: int

    def rng(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(f"{self.format} {self.path.name}".encode()), self.number])


@dataclass(frozen=True)
class Outcome:
    """What became of one case, and how the file was damaged."""

    kind: str
    damage: str = ""
    message: str = ""
    seconds: float = 0.0


@dataclass
class Tally:
    """What became of one format."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    failures: list[tuple[Case, Outcome]] = field(default_factory=list)
    told: set[tuple[Path, str, str]] = field(default_factory=set)

    def add(self, case: Case, outcome: Outcome) -> None:
        self.outcomes[outcome.kind] += 1
        self.slowest = max(self.slowest, outcome.seconds)
        if outcome.kind not in BAD:
            return
        self.failures.append((case, outcome))
        alike = case.path, outcome.kind, outcome.message[:ALIKE]
        if alike not in self.told:
            self.told.add(alike)
            print(f"{case.format}: {outcome.kind}; {case.path.parent.name}/{case.path.name} case {case.number}, "
                  f"{outcome.damage}: {outcome.message[:300]}", flush=True)


def gathered_seeds(folder: Path) -> dict[str, list[Path]]:
    """Format -> files of it, smallest first, each alone with its companions in a folder of its own."""
    made = folder / "specimen"
    made.mkdir()
    specimen = make_specimen(state_of(0, 2, 1))
    for recorder in RECORDERS:
        recorder.record(specimen, made)
    found = [path for root in (made, REAL_DATA) if root.is_dir() for path in sorted(root.rglob("*")) if path.is_file()]
    for fmt in FORMATS:
        if fmt.example is not None:
            (folder / "examples" / fmt.name).mkdir(parents=True)
            found.append(fmt.example(folder / "examples" / fmt.name))
    seeds: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(found, key=lambda p: p.stat().st_size):
        try:
            fmt = format_of(path)
            if len(seeds[fmt.name]) >= (SEEDS if path.stat().st_size <= LARGEST_SEED else 1):
                continue
        except FileError:
            continue
        try:
            read_acquisitions(path)
        except FileError as error:
            print(f"no seed: {error}")
            continue
        home = folder / "seeds" / fmt.name / str(len(seeds[fmt.name]))
        home.mkdir(parents=True)
        if path.is_dir():
            shutil.copytree(path, home / path.name)
        else:
            for file in (path, *fmt.companions(path)):
                shutil.copyfile(file, home / file.name)
        seeds[fmt.name].append(home / path.name)
    return seeds


def cases(seeds: dict[str, list[Path]], per_format: int, seed: int) -> Iterator[Case]:
    """One of each format in turn, so that whatever the time allows is spread evenly."""
    for number in range(per_format):
        for name, paths in seeds.items():
            yield Case(name, paths[number % len(paths)], number // len(paths), seed)


def damage(case: Case, home: Path) -> tuple[str, Path]:
    """Write the damaged file and its companions into an empty folder; now and then it is a companion that is damaged.

    Of a folder that is one measurement, any file is.
    """
    rng, said = case.rng(), "unchanged"
    whole = case.path.is_dir()
    files = sorted((case.path if whole else case.path.parent).iterdir())
    if whole:
        (home / case.path.name).mkdir()
    hit = case.path if not whole and (len(files) == 1 or rng.random() < 0.8) else files[int(rng.integers(len(files)))]
    for file in files:
        raw = file.read_bytes()
        if file == hit and case.number:
            how, raw = mutated(raw, rng)
            said = f"{file.name} {how}"
        (home / case.path.name / file.name if whole else home / file.name).write_bytes(raw)
    return said, home / case.path.name


def figures(path: Path) -> tuple[list[tuple[int, ...]], list[str]]:
    """Shapes of the acquisitions of a file, each read to the end, and what was said about them."""
    found = read_acquisitions(path)
    for ds in found:
        for variable in ds.variables.values():
            rows = max(1, BLOCK_BYTES * len(variable) // max(variable.nbytes, 1)) if variable.ndim else 1
            for start in range(0, len(variable) if variable.ndim else 0, rows):
                np.asarray(variable[start:start + rows].values)
    shapes = [tuple(sorted(v.shape)) for ds in found for v in ds.data_vars.values()]
    return shapes, [w for ds in found for w in ds.attrs["warnings"]]


def tried(case: Case, home: Path, undamaged: tuple[list[tuple[int, ...]], list[str]]) -> Outcome:
    """Read one damaged file within the limit of memory."""
    how, path = damage(case, home)
    files = [file for file in home.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    start = time.process_time()
    try:
        with memory_limit(ALLOWED_BYTES + ALLOWED_BYTES_PER_BYTE * size):
            shapes, said = figures(path)
    except FileError as error:
        text = str(error)
        if isinstance(error.__cause__, MemoryError):
            return Outcome("memory", how, text, time.process_time() - start)
        names = text.partition(": ")[0] in {path.name, *(file.name for file in files)}
        kind = "refused" if names and "\n" not in text else "traceback"
        return Outcome(kind, how, text, time.process_time() - start)
    except MemoryError as error:
        return Outcome("memory", how, f"{type(error).__name__}: {error}", time.process_time() - start)
    except BaseException as error:  # a reader that ends the program is a failure, too
        return Outcome("traceback", how, f"{type(error).__name__}: {error}", time.process_time() - start)
    seconds = time.process_time() - start
    if shapes == undamaged[0]:
        return Outcome("same", how, "", seconds)
    if set(said) != set(undamaged[1]):
        return Outcome("warned", how, "", seconds)
    if case.format in UNCOUNTED and how.endswith("truncated"):
        return Outcome("cut", how, "", seconds)
    before, after = Counter(undamaged[0]), Counter(shapes)
    return Outcome("shape", how, f"lost {[*(before - after).elements()]}, new {[*(after - before).elements()]}"[:300], seconds)


class memory_limit:  # noqa: N801  a context
    """At most so many bytes of private memory beyond what is in use now."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes

    def __enter__(self) -> None:
        status = Path("/proc/self/status").read_text()
        used = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmData"))
        resource.setrlimit(resource.RLIMIT_DATA, (used + self.nbytes, resource.RLIM_INFINITY))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def serve(pipe: Connection, folder: Path) -> None:
    """Read one case after another until there are no more."""
    warnings.simplefilter("ignore")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    undamaged: dict[Path, tuple[list[tuple[int, ...]], list[str]]] = {}
    with dask.config.set(scheduler="synchronous"):
        pipe.send(None)
        while (case := pipe.recv()) is not None:
            if case.path not in undamaged:
                undamaged[case.path] = figures(case.path)
            pipe.send(None)
            home = Path(tempfile.mkdtemp(dir=folder))
            pipe.send(tried(case, home, undamaged[case.path]))
            shutil.rmtree(home, ignore_errors=True)


def cpu_seconds(pid: int | None) -> float:
    """What a process has used of its processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Worker:
    """One process, and the case that it is at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.case: Case | None = None
        self._start()

    def give(self, case: Case) -> None:
        """Start a case; the seconds count from when the undamaged file is known."""
        if self.served >= CASES_PER_PROCESS:
            self.stop()
            self._start()
        self.pipe.send(case)
        self.case, self.served, self.begun = case, self.served + 1, (float("inf"), float("inf"))

    def outcome(self) -> Outcome | None:
        """What became of the case, None while it is running."""
        try:
            while self.pipe.poll():
                said = self.pipe.recv()
                if said is not None:
                    return said
                self.begun = time.monotonic(), cpu_seconds(self.process.pid)
        except (EOFError, ConnectionResetError):
            self.process.join()
            code = self.process.exitcode
            self._start()
            return Outcome("crash", message=f"the process ended with {code}")
        waited = time.monotonic() - self.begun[0]
        used = cpu_seconds(self.process.pid) - self.begun[1] if waited > ALLOWED_SECONDS else 0.0
        if waited > ALLOWED_WAIT or used > ALLOWED_SECONDS:
            self.stop()
            self._start()
            return Outcome("hang", message=f"more than {ALLOWED_SECONDS:g} s", seconds=waited)
        return None

    def stop(self) -> None:
        self.process.kill()
        self.process.join()

    def _start(self) -> None:
        self.pipe, other = SPAWN.Pipe()
        self.process = SPAWN.Process(target=serve, args=(other, self.folder), daemon=True)
        self.process.start()
        other.close()
        self.pipe.recv()
        self.served = 0


def run(todo: Iterator[Case], jobs: int, seconds: float, folder: Path) -> dict[str, Tally]:
    """All cases that the time allows."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    until = time.monotonic() + seconds
    workers = [Worker(folder) for _ in range(jobs)]
    idle = list(workers)
    try:
        while True:
            while idle and time.monotonic() < until and (case := next(todo, None)) is not None:
                idle.pop().give(case)
            busy = [w for w in workers if w not in idle]
            if not busy:
                break
            any_of([w.pipe for w in busy], timeout=0.2)
            for worker in busy:
                outcome = worker.outcome()
                if outcome is None:
                    continue
                idle.append(worker)
                tallies[worker.case.format].add(worker.case, outcome)
    finally:
        for worker in workers:
            worker.stop()
    return tallies


def shown(tallies: dict[str, Tally]) -> None:
    print(f"{'format':22}{'cases':>7}" + "".join(f"{kind:>10}" for kind in (*GOOD, *BAD)) + f"{'slowest':>10}")
    for name, tally in tallies.items():
        counts = "".join(f"{tally.outcomes[kind] or '':>10}" for kind in (*GOOD, *BAD))
        print(f"{name:22}{tally.outcomes.total():7}{counts}{tally.slowest:8.2f} s")


def kept(tallies: dict[str, Tally], folder: Path) -> None:
    for tally in tallies.values():
        for case, outcome in tally.failures:
            home = folder / f"{case.format}-{outcome.kind}-{case.path.parent.name}-{case.number}".replace(" ", "-")
            home.mkdir(parents=True, exist_ok=True)
            damage(case, home)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-format", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop giving cases after this time")
    parser.add_argument("--formats", default="", help="names, separated by commas; all if left out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for the damaged files that failed")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        seeds = gathered_seeds(folder)
        chosen = [name for name in given.formats.split(",") if name] or list(seeds)
        if unknown := [name for name in chosen if not seeds.get(name)]:
            parser.error(f"no format with a file to begin with is called {' or '.join(unknown)}")
        for fmt in FORMATS:
            if fmt.name not in seeds:
                print(f"{fmt.name}: no example and no file to begin with")
        work = folder / "work"
        work.mkdir()
        tallies = run(cases({name: seeds[name] for name in chosen}, given.per_format, given.seed), given.jobs,
                      given.seconds, work)
        shown(dict(sorted(tallies.items())))
        if given.keep:
            kept(tallies, given.keep)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return int(any(tally.failures for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
