"""`python -m dashboards` is the command `correlate`."""

from dashboards.command import main

if __name__ == "__main__":
    main()
