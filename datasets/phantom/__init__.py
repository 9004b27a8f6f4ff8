"""The virtual specimen: electrodes with known truth, seen by every technique and written as instrument files."""
