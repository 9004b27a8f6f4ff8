"""The virtual specimen: electrodes with known truth, seen by every technique and written as instrument files."""

from datasets.phantom.study import make_study

__all__ = ["make_study"]
