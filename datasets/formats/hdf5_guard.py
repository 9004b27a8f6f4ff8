"""Looks at an HDF5 file in another process first, since the HDF5 library waits for ever in some damaged files.

A flipped bit in a heap or an index leads its loops in a circle, where no signal and no exception reaches them. So a helper
process opens every object once, for two seconds at most, and is stopped if it does not come back; it starts with the first
file and then serves all, which takes some milliseconds each. Seconds are those of a processor, where the system can count
them: a busy machine neither lets a damaged file through nor stops at a sound one. It also tells which objects cannot be opened,
which libraries leave out without a word, and which arrays are stored for another shape than they declare: the library fills
what is not there with a constant.
"""

import atexit
import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from threading import Lock

from datasets.errors import UnreadableFile

SECONDS = 6
"""Of a processor; the system then ends the helper."""
WAIT_SECONDS = 60.0 if sys.platform != "win32" else 6.0
"""Of the clock, which is all there is where the system does not count."""
START_SECONDS = 60.0
MOST_NAMED = 5
MOST_CHUNKS = 100_000
"""Of an array with more pieces they are not counted: that takes as long as there are pieces."""

HELPER = r"""
import json, sys, time
import h5py
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
except ImportError:
    resource = None

def allow(seconds):
    if resource is not None:
        most = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + seconds, most))

def misfit(item):
    if item.dtype.kind not in "biufc" or item.is_virtual or item.external or "/_i_" in item.name:  # PyTables' indices
        return ""
    if item.chunks:
        needed = 1
        for size, length in zip(item.shape, item.chunks):
            needed *= -(-size // length)
        if needed > MOST_CHUNKS:
            return ""
        held, what = item.id.get_num_chunks(), "pieces"
    elif item.id.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS:
        needed, held, what = item.size * item.id.get_type().get_size(), item.id.get_storage_size(), "bytes"
    else:
        return ""
    return "" if held == needed else f"{item.name} ({held} of {needed} {what})"

def look(item, lost, misfits, depth, until):
    if time.process_time() > until:
        return
    try:
        for name in item.attrs:
            try:
                item.attrs[name]
            except Exception:
                lost.append(f"{item.name}@{name}")
    except Exception:
        lost.append(f"{item.name}@")
    if isinstance(item, h5py.Dataset):
        try:
            chunk = item.dtype.itemsize
            for length in item.chunks or ():
                chunk *= length
            if item.size and chunk < 4 << 20:
                item[(0,) * item.ndim]
            if item.size and (said := misfit(item)):
                misfits.append(said)
        except Exception:
            lost.append(item.name)
        return
    try:
        names = list(item)
    except Exception:
        lost.append(item.name)
        return
    for name in names:
        try:
            link = item.get(name, getlink=True)
            if link is None or (isinstance(link, h5py.SoftLink) and item.get(name) is None):  # listed, but not found
                raise KeyError(name)
            if isinstance(link, h5py.HardLink) and depth < 32:
                look(item[name], lost, misfits, depth + 1, until)
        except Exception:
            lost.append(f"{item.name.rstrip('/')}/{name}")

print("ready", flush=True)
for line in sys.stdin:
    lost, misfits = [], []
    path, seconds = json.loads(line)
    allow(seconds)
    try:
        with h5py.File(path, "r") as file:
            look(file, lost, misfits, 0, time.process_time() + 2)
    except Exception:
        pass  # the reader itself will say why it cannot be opened
    print(json.dumps([lost, misfits]), flush=True)
""".replace("MOST_CHUNKS", str(MOST_CHUNKS))


def lost_objects(path: Path) -> tuple[str, ...]:
    """Names of objects and attributes (`object@attribute`) that cannot be opened.

    Raises
    ------
    UnreadableFile
        If the library does not come to an end.
    """
    return _seen(path)[0]


def said(path: Path) -> tuple[str, ...]:
    """Warnings about what is lost and what is stored for another shape, if anything is."""
    lost, misfits = _seen(path)
    warnings = [f"the file is damaged: {_named(lost)} cannot be read"] if lost else []
    if misfits:
        warnings.append(f"{_named(misfits)} are stored for the declared shape: missing ones read as a constant")
    return tuple(warnings)


def _named(items: tuple[str, ...]) -> str:
    return ", ".join(items[:MOST_NAMED]) + (f" and {len(items) - MOST_NAMED} more" if len(items) > MOST_NAMED else "")


def _seen(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    state = path.stat()
    return _looked(str(path.resolve()), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)
def _looked(path: str, changed: int, size: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    del changed, size  # a file that changed is another
    with _lock:
        answer = _helper.ask(path)
    if answer is None:
        raise UnreadableFile(path, f"the HDF5 library does not come to an end in it within {SECONDS:g} s",
                             todo="the file is damaged")
    return answer


class _Helper:
    """The other process; started when it is needed, and again after it had to be stopped."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def ask(self, path: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """What is lost and what misfits in a file, None where there is no answer in time or the process dies of it."""
        process = self._running()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps([path, SECONDS]).encode() + b"\n")
            process.stdin.flush()
            lost, misfits = json.loads(self._line(process, WAIT_SECONDS))
            return tuple(lost), tuple(misfits)
        except (OSError, TimeoutError, ValueError):
            self.stop()
            return None

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen([sys.executable, "-c", HELPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.DEVNULL, bufsize=0)
            self._line(self.process, START_SECONDS)
        return self.process

    def _line(self, process: subprocess.Popen[bytes], seconds: float) -> bytes:
        assert process.stdout is not None
        with DefaultSelector() as selector:
            selector.register(process.stdout, EVENT_READ)
            if not selector.select(seconds):
                raise TimeoutError
        line = process.stdout.readline()
        if not line:
            raise OSError("the helper ended")
        return line


_lock = Lock()
_helper = _Helper()
atexit.register(_helper.stop)
