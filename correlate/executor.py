"""Work that maps over keys, on one core or many: the one place that starts worker processes."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import Any

from threadpoolctl import threadpool_limits

Report = Callable[[int, int, str], None]
"""Called as (done, total, what) whenever a piece of work ends."""


def mapped(work: Callable[..., Any], keys: Sequence[Any], *arguments: Any, jobs: int | None = None,
           report: Report | None = None, executor: Executor | None = None, unchanged: int = 0) -> Iterator[tuple[Any, Any]]:
    """Call `work(key, *arguments)` for every key and yield (key, result) as each ends.

    Parameters
    ----------
    work
        A module-level function; it returns faults as results, an exception stops the whole run.
    keys
        Small and picklable: names, never arrays.
    jobs
        Processes; the number of cores unless given. One job, or one key, stays in this process.
    executor
        Anything with the interface of `concurrent.futures`, such as `dask.distributed.Client.get_executor()`; it is
        used instead of own processes and not shut down.
    unchanged
        Pieces that were done before: `report` counts them, too.
    """
    if report and unchanged:
        report(unchanged, unchanged + len(keys), "unchanged")
        report = partial(_counted, report, unchanged)
    jobs = min(jobs or os.cpu_count() or 1, len(keys))
    if executor is None and jobs <= 1:
        for done, key in enumerate(keys, 1):
            result = work(key, *arguments)
            if report:
                report(done, len(keys), _named(key))
            yield key, result
        return
    if executor is not None:
        yield from _collected(executor, work, keys, arguments, report)
        return
    # spawn, not fork: a forked child inherits the locks of ITK's threads
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=one_thread_each)
    try:
        yield from _collected(pool, work, keys, arguments, report)
    except BaseException:
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    pool.shutdown()


def _counted(report: Report, before: int, done: int, total: int, what: str) -> None:
    report(before + done, before + total, what)


def _named(key: Any) -> str:
    """A key as a person reads it."""
    return ", ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def one_thread_each() -> None:
    """Keep a worker's numerical libraries to one thread, so that workers do not fight for the cores."""
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    threadpool_limits(1)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Processes started inside ignore Ctrl-C from their first breath.

    It is for the parent alone, which lets each worker end what it has in hand.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def _collected(pool: Executor, work: Callable[..., Any], keys: Sequence[Any], arguments: tuple[Any, ...],
               report: Report | None) -> Iterator[tuple[Any, Any]]:
    with _interrupts_held_back():
        running: dict[Future[Any], Any] = {pool.submit(work, key, *arguments): key for key in keys}
    for done, future in enumerate(as_completed(running), 1):
        key = running[future]
        result = future.result()
        if report:
            report(done, len(keys), _named(key))
        yield key, result
