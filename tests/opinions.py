"""What other programs read in a file: run by the Python of their own environment, which has nothing of this project.

    python tests/opinions.py PROGRAM RESULT.npz FILE...

For each file the arrays that the program finds, under the key `file|name`, or one line under `file|failed`. Everything is as
the program gives it, in its own units and order: to compare is the tests' business (`test_foreign_opinions.py`).
"""

import contextlib
import io
import sys
import warnings
from pathlib import Path

import numpy as np


def pynxtools_xps(path):
    """Intensities (cycle, scan, energy) and energies of every region, in the order of the file."""
    from pynxtools_xps import parsers

    kinds = [getattr(parsers, name) for name in parsers.__all__]
    parser = next(kind() for kind in kinds if kind.is_mainfile(path))
    parser.parse(path)
    found = {}
    for name, region in parser.data.items():
        name = name.strip("\0").rpartition("__")[2]
        found[f"{name}/intensity"] = region.data.values
        found[f"{name}/energy"] = region.data["energy"].values
    return found


def pyspm(path):
    """Pixels of each channel, forward and backward, as stored on the specimen."""
    import pySPM

    if path.suffix == ".sxm":
        scan = pySPM.SXM(str(path))
        return {f"{name}/{way}": scan.get_channel(name, direction=way).pixels
                for name in ("Z", "Current") for way in ("forward", "backward") if _has(scan, name)}
    scan = pySPM.Bruker(str(path))
    return {name: scan.get_channel(name).pixels for name in ("Height", "Amplitude Error", "Phase")}


def _has(scan, channel):
    try:
        scan.get_channel(channel)
    except Exception:
        return False
    return True


READ_BY_SPECTROCHEMPY = {".srs": "read_srs", ".spa": "read_spa", ".jdx": "read_jcamp", ".dx": "read_jcamp", ".spc": "read_spc",
                         ".mat": "read_matlab", ".map": "read_omnic"}


def spectrochempy(path):
    """Spectra and their axes."""
    import spectrochempy as scp

    read = getattr(scp, READ_BY_SPECTROCHEMPY.get(path.suffix, "read_opus"))(str(path))
    found = {}
    for number, one in enumerate(read if isinstance(read, list | tuple) else [read]):
        name = str(one.name) if path.suffix == ".mat" else str(number)
        found[f"{name}/data"] = np.asarray(one.data)
        if one.x is not None and one.x.data is not None:
            found[f"{name}/x"] = np.asarray(one.x.data)
        if one.ndim > 1 and one.y is not None and one.y.data is not None and np.asarray(one.y.data).dtype.kind == "f":
            found[f"{name}/y"] = np.asarray(one.y.data)
    return found


def yadg(path):
    """Columns of EC-Lab, or the traces of PHI."""
    from yadg.extractors import extract

    kinds = {".mpr": "eclab.mpr", ".mpt": "eclab.mpt", ".spe": "phi.spe"}
    tree = extract(filetype=kinds[path.suffix], path=path, timezone="UTC")
    found = {}
    for node in tree.subtree:
        for name in (*node.data_vars, *node.coords):
            values = node[name].values
            if values.dtype.kind in "iuf" and not str(name).endswith("_uncertainty"):
                found[f"{node.path.strip('/')}/{name}".lstrip("/")] = values
    return found


def pyimpspec(path):
    """Frequencies and impedances of every spectrum."""
    import pyimpspec as peer

    found = {}
    for number, one in enumerate(peer.parse_data(str(path))):
        found[f"{number}/frequency"] = one.get_frequencies()
        found[f"{number}/impedance"] = one.get_impedances()
    return found


def ifes(path):
    """Ions with their places, or the bounds of ranges."""
    from importlib import import_module

    kind = path.suffix.lower().lstrip(".")
    module = import_module(f"ifes_apt_tc_data_modeling.{kind}.{kind}_reader")
    reader = getattr(module, f"Read{kind.capitalize()}FileFormat")(str(path))
    if kind in ("pos", "epos"):
        return {"place": reader.get_reconstructed_positions().magnitude,
                "mass_to_charge": reader.get_mass_to_charge_state_ratio().magnitude}
    ions = getattr(reader, kind)["molecular_ions"]
    bounds = [np.asarray(getattr(ion.ranges, "magnitude", ion.ranges), float).reshape(-1, 2) for ion in ions]
    return {"bounds": np.concatenate(bounds)}


PROGRAMS = {"pynxtools-xps": pynxtools_xps, "pySPM": pyspm, "spectrochempy": spectrochempy, "yadg": yadg,
            "pyimpspec": pyimpspec, "ifes": ifes}


def main():
    program, result, *files = sys.argv[1:]
    warnings.simplefilter("ignore")
    found = {}
    for file in map(Path, files):
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                arrays = PROGRAMS[program](file)
        except Exception as error:
            arrays = {"failed": np.array(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")}
        found |= {f"{file.name}|{name}": values for name, values in arrays.items()}
    np.savez(result, **found)


if __name__ == "__main__":
    main()
