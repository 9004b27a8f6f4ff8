"""What the command line looks like: progress, tables, one-line errors; results go to stdout, everything else to stderr."""

import logging
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from correlate.executor import Report
from datasets.errors import DatasetError

BAD_INPUT, INTERRUPTED = 2, 130
"""Exit codes beside 0 (all is well) and 1 (done, and there is something to look at)."""
LINE_EVERY_S = 5.0
"""Without a screen, progress is a line this often at most."""

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Commands(TyperGroup):
    """Commands whose returned number is the exit code; a fault is one line on stderr, never a traceback."""

    def invoke(self, ctx: typer.Context) -> NoReturn:  # type: ignore[override]
        """Run the command and leave."""
        _keep_libraries_off_the_terminal()
        raise typer.Exit(self._code(ctx))

    def _code(self, ctx: typer.Context) -> int:
        try:
            return int(super().invoke(ctx) or 0)
        except DatasetError as error:
            return fault(str(error))
        except KeyboardInterrupt:
            err.print("[yellow]interrupted[/]: what was finished is kept; the same command goes on from there")
            return INTERRUPTED
        except BrokenPipeError:  # `correlate ... | head`
            sys.stderr.close()
            return 0


def _keep_libraries_off_the_terminal() -> None:
    """What a library warns of, the readers say among an acquisition's own warnings."""
    warnings.showwarning = lambda *_, **__: None
    logging.getLogger().addHandler(logging.NullHandler())


def fault(message: str) -> int:
    """Print one line that says what is wrong, and return the exit code for it."""
    err.print(f"[bold red]error[/]: {escape(' '.join(message.split()))}")
    return BAD_INPUT


def say(text: str) -> None:
    """A line for the person, in rich's markup."""
    err.print(text)


@contextmanager
def progress(title: str) -> Iterator[Report]:
    """A bar with count and remaining time; without a screen a line now and then. Ends with the time that it took."""
    started = time.perf_counter()
    with (_bar(title) if err.is_terminal else _lines(title)) as report:
        yield report
    err.print(f"{escape(title)}: [dim]{duration(time.perf_counter() - started)}[/]")


@contextmanager
def _bar(title: str) -> Iterator[Report]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TextColumn("left"), TimeRemainingColumn(), _Rate(), TextColumn("[dim]{task.fields[what]}"))
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(escape(title), total=None, what="")

        def report(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, what=escape(what[-40:]))

        yield report


class _Rate(ProgressColumn):
    """Pieces of work per second or per minute."""

    def render(self, task: Task) -> Text:
        if not task.speed:
            return Text("")
        return Text(f"{task.speed:.1f}/s" if task.speed >= 1 else f"{60 * task.speed:.1f}/min", style="dim")


@contextmanager
def _lines(title: str) -> Iterator[Report]:
    started = last = time.perf_counter()

    def report(done: int, total: int, what: str) -> None:
        nonlocal last
        now = time.perf_counter()
        if now - last < LINE_EVERY_S or done >= total:
            return
        last = now
        left = (now - started) / max(done, 1) * (total - done)
        err.print(f"{escape(title)}: {done} of {total}, about {duration(left)} left [dim]({escape(what[-60:])})[/]")

    yield report


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[str] = ()) -> None:
    """Print a table; columns named in `right` are set flush right. Cells are plain text, never markup."""
    shown = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        shown.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(escape(str(cell)) for cell in row))
    out.print(shown, soft_wrap=False)


def duration(seconds: float) -> str:
    """Time as a person says it: "0.4 s", "38 s", "4 min 12 s", "2 h 5 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(nbytes: float) -> str:
    """Bytes as a person says it: "260 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if nbytes < 1000:
            return f"{nbytes:.3g} {unit}" if unit != "B" else f"{nbytes:.0f} B"
        nbytes /= 1000
    return f"{nbytes:.3g} TB"
