"""`python -m correlate`: the command line where its script is not on the path; the browser's commands are the script's."""

from correlate.cli import app

if __name__ == "__main__":
    app(prog_name="correlate")
