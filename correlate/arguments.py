"""Arguments that several commands share, and the exit code of a command that found something to look at."""

from pathlib import Path
from typing import Annotated

import typer

LOOK = 1
"""Exit code of a command that did its work and found something that needs a look."""

StudyFolder = Annotated[Path, typer.Argument(metavar="STUDY", help="folder with a study.toml")]
PairOf = Annotated[str, typer.Argument(metavar="MOVING:FIXED", help="two acquisitions of a sample, as A17/edx-0:haadf-0")]
Why = Annotated[str, typer.Option(help="the reason, kept with the decision")]
Jobs = Annotated[int | None, typer.Option(help="processes; all cores unless given", min=1)]
Again = Annotated[bool, typer.Option("--again", help="redo also what has not changed")]
