"""Named random streams: what one technique draws never changes what another one draws."""

import hashlib

import numpy as np


def stream(seed: int, *names: object) -> np.random.Generator:
    """A random generator that depends on the seed and the names only, never on what was drawn before.

    Parameters
    ----------
    seed : of the study
    names : usually sample, technique and purpose, as in ``stream(1, "A03", "haadf", "counts")``
        Compared by their text, so 3 and "3" name the same stream.

    Returns
    -------
    A PCG64 generator; the same on every machine and Python version.
    """
    digest = hashlib.sha256("\x1f".join(map(str, (seed, *names))).encode()).digest()
    return np.random.Generator(np.random.PCG64(np.frombuffer(digest, dtype="<u4").tolist()))
