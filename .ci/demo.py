"""Sets up and runs the main job end to end on the built-in virtual study, then opens the app.

    python3 .ci/demo.py [FOLDER] [--headless]

FOLDER is demo-study unless given; a second run does nothing twice. Without a screen the app's address is printed.
"""

import sys

from environment import ROOT, prepared, run, say


def main() -> None:
    arguments = sys.argv[1:]
    folders = [a for a in arguments if not a.startswith("-")] or [str(ROOT / "demo-study")]
    python = prepared("")
    say(f"running the demo in {folders[0]}")
    run([str(python), "-m", "dashboards", "demo", *folders, *[a for a in arguments if a.startswith("-")]])


if __name__ == "__main__":
    main()
