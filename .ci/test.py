"""Sets up and runs everything that guards the project: lint, types, tests, and a journey through the app in a browser.

    python3 .ci/test.py [arguments for pytest]
"""

import os
import sys

from environment import prepared, run, say


def main() -> None:
    python = str(prepared("dev"))
    say("lint")
    run([python, "-m", "ruff", "check", "."])
    say("types")
    run([python, "-m", "mypy"])
    say("tests")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    workers = ["-n", str(min(os.cpu_count() or 1, 8)), "--dist", "loadgroup"]
    run([python, "-m", "pytest", *workers, *sys.argv[1:]])


if __name__ == "__main__":
    main()
