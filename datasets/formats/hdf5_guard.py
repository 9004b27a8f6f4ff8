"""Looks at an HDF5 file in another process first, since the HDF5 library waits for ever in some damaged files.

A flipped bit in a heap or an index leads its loops in a circle, where no signal and no exception reaches them. So a helper
process opens every object once, for two seconds at most, and is stopped if it does not come back; it starts with the first
file and then serves all, which takes some milliseconds each. Seconds are those of a processor, where the system can count
them: a busy machine neither lets a damaged file through nor stops at a sound one. It also tells which objects cannot be opened:
libraries leave them out without a word.
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

def look(item, lost, depth, until):
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
            if isinstance(item.get(name, getlink=True), h5py.HardLink) and depth < 32:
                look(item[name], lost, depth + 1, until)
        except Exception:
            lost.append(f"{item.name.rstrip('/')}/{name}")

print("ready", flush=True)
for line in sys.stdin:
    lost = []
    path, seconds = json.loads(line)
    allow(seconds)
    try:
        with h5py.File(path, "r") as file:
            look(file, lost, 0, time.process_time() + 2)
        print(json.dumps(lost), flush=True)
    except Exception:
        print(json.dumps(lost), flush=True)  # the reader itself will say why it cannot be opened
"""


def lost_objects(path: Path) -> tuple[str, ...]:
    """Names of objects and attributes (`object@attribute`) that cannot be opened.

    Raises
    ------
    UnreadableFile
        If the library does not come to an end.
    """
    state = path.stat()
    return _looked(str(path.resolve()), state.st_mtime_ns, state.st_size)


def said(lost: tuple[str, ...]) -> tuple[str, ...]:
    """A warning about what is lost, if anything is."""
    if not lost:
        return ()
    named = ", ".join(lost[:MOST_NAMED]) + (f" and {len(lost) - MOST_NAMED} more" if len(lost) > MOST_NAMED else "")
    return (f"the file is damaged: {named} cannot be read",)


@lru_cache(maxsize=256)
def _looked(path: str, changed: int, size: int) -> tuple[str, ...]:
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

    def ask(self, path: str) -> tuple[str, ...] | None:
        """What is lost in a file, None where there is no answer in time or the process dies of it."""
        process = self._running()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps([path, SECONDS]).encode() + b"\n")
            process.stdin.flush()
            return tuple(json.loads(self._line(process, WAIT_SECONDS)))
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
