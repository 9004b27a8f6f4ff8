"""Makes the project's own environment in .venv and keeps it up to date; used by demo.py and test.py beside it."""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv"
BIN = FOLDER / ("Scripts" if os.name == "nt" else "bin")
STAMP = FOLDER / "installed-for"


def say(text: str) -> None:
    print(f"==> {text}", flush=True)


def prepared(extra: str) -> Path:
    """The environment's Python, with the project and its extra `extra` ("" for none) installed."""
    if sys.version_info < (3, 11):  # noqa: UP036  (this file runs before pip can refuse)
        sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
    python = BIN / ("python.exe" if os.name == "nt" else "python")
    if not python.exists():
        say(f"making an environment in {FOLDER}")
        venv.create(FOLDER, with_pip=True)
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamps = set(STAMP.read_text().split()) if STAMP.exists() else set()
    stamp = f"{wanted}:{extra}"
    if stamp not in stamps and f"{wanted}:dev" not in stamps:
        say("installing the project and what it needs (several minutes the first time)")
        target = f"{ROOT}[{extra}]" if extra else str(ROOT)
        run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable", target])
        STAMP.write_text("\n".join(sorted({s for s in stamps if s.startswith(wanted)} | {stamp})))
    return python


def run(command: list[str]) -> None:
    """Run a command in the project's folder; leave with its exit code if it fails."""
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code:
        sys.exit(code)
