"""The installed command `correlate`: the command line with the two commands that open the browser app."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from correlate.arguments import Jobs, StudyFolder
from correlate.cli import app
from correlate.console import say
from datasets.errors import StudyError

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

    from correlate.study import Study

USUAL_PORT = 8050
Port = Annotated[int | None, typer.Option(min=0, max=65535, help=f"{USUAL_PORT}, or any free one where that is taken")]


@app.command()
def serve(study: StudyFolder, port: Port = None,
          open_browser: Annotated[bool, typer.Option("--open", help="open it in this machine's browser")] = False) -> int:
    """Browse a study at an address of this machine, until Ctrl-C."""
    from correlate.study import Study

    return _served(Study(study), port, open_browser)


@app.command()
def demo(folder: Annotated[Path, typer.Argument(metavar="DIR", help="folder of the virtual study, made if need be")],
         headless: Annotated[bool, typer.Option("--headless", help="end when all stages are done, serve nothing")] = False,
         samples: Annotated[int, typer.Option(min=1)] = 24, seed: int = 1, jobs: Jobs = None, port: Port = None) -> int:
    """Run the whole path on the built-in virtual study: from instrument files to report and browser."""
    from correlate.demo import run_demo

    study = run_demo(folder, samples=samples, seed=seed, jobs=jobs)
    if headless:
        say(f"browse it with: correlate serve {escape(str(folder))}")
        return 0
    return _served(study, port, _has_screen())


def main() -> None:
    """Run the command line and leave with its exit code."""
    app(prog_name="correlate")


def _served(study: Study, port: int | None, open_browser: bool) -> int:
    server = _server(study, port)
    address = f"http://127.0.0.1:{server.server_port}/"
    say(f"[bold]{escape(study.sheet.title)}[/] is at [bold]{address}[/]; Ctrl-C ends it")
    if open_browser:
        webbrowser.open(address)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        say("ended")
    finally:
        server.server_close()
    return 0


def _server(study: Study, port: int | None) -> BaseWSGIServer:
    """On the port that was asked for; else on the usual one or, where that is taken, on any free one."""
    from dashboards import app as browser

    try:
        return browser.serve(study, port=USUAL_PORT if port is None else port)
    except (OSError, SystemExit) as error:  # werkzeug leaves the program when a port is taken
        if port is None:
            return browser.serve(study, port=0)
        raise StudyError(f"port {port} of 127.0.0.1 cannot be had; leave out --port for any free one") from error


def _has_screen() -> bool:
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
