"""Instrument files of the virtual specimen and of tests, one file per format: plain numpy in, the path of the file out.

Each `write(path, ...)` names its physical units in its parameters and writes the unit that the format prescribes.
Calibration can be left out (`pixel_size_nm=None`) or falsified by the caller: a writer states what it is told.
Each file says in a header field that readers keep that it is synthetic.
"""

SYNTHETIC = "synthetic: virtual specimen, not a measurement"
