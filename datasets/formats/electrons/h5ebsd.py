"""EBSD maps and patterns in HDF5: EDAX OIM (.h5, .oh5), Bruker Esprit (.h5), Oxford AZtec (.h5oina), kikuchipy and orix (.h5).

All follow the layout `<scan>/EBSD/{Data,Header}` of Jackson et al., Integr. Mater. Manuf. Innov. 3, 44 (2014),
doi 10.1186/2193-9772-3-4 (not opened here), with one value per point under vendors' own names; the names are those that
kikuchipy 0.13 and the Oxford specification (github.com/oinanoanalysis/h5oina) give. Euler angles are in radians, but Bruker's
in degrees. A Bruker region of interest keeps column and row of each point under `SEM/IX`, `SEM/IY`. orix counts phases from 0.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from datasets.errors import UnreadableFile
from datasets.formats.electrons.ebsd_map import Points, signals_of
from datasets.formats.hdf5_array import StoredArray, is_numeric, number, plain
from datasets.formats.hdf5_layout import told_by_groups
from datasets.formats.signal import Axis, Field, Format, Signal


@dataclass(frozen=True)
class Layout:
    """The names that one vendor uses.

    columns : dataset -> our name and its unit
    x, y : datasets of positions in µm, where they may be believed
    """

    columns: Mapping[str, tuple[str, str]]
    patterns: tuple[str, ...]
    x: str = ""
    y: str = ""


EDAX = Layout({"Phi1": ("euler_1", "rad"), "Phi": ("euler_2", "rad"), "Phi2": ("euler_3", "rad"), "IQ": ("image_quality", "1"),
               "CI": ("confidence_index", "1"), "Fit": ("fit", "deg"), "SEM Signal": ("detector_signal", "1")},
              ("Pattern",), "X Position", "Y Position")
BRUKER = Layout({"phi1": ("euler_1", "deg"), "PHI": ("euler_2", "deg"), "phi2": ("euler_3", "deg"),
                 "MAD": ("mean_angular_deviation", "deg"), "NIndexedBands": ("bands", "1"),
                 "RadonQuality": ("image_quality", "1")}, ("RawPatterns",))
OXFORD = Layout({"Band Contrast": ("band_contrast", "1"), "Band Slope": ("band_slope", "1"), "Bands": ("bands", "1"),
                 "Error": ("error_code", "1"), "Mean Angular Deviation": ("mean_angular_deviation", "rad"),
                 "Pattern Quality": ("image_quality", "1")}, ("Processed Patterns", "Unprocessed Patterns"), "X", "Y")
KIKUCHIPY = Layout({"phi1": ("euler_1", "rad"), "Phi": ("euler_2", "rad"), "phi2": ("euler_3", "rad")}, ("patterns",))
LAYOUTS = {"edax": EDAX, "bruker": BRUKER, "oxford": OXFORD, "kikuchipy": KIKUCHIPY, "orix": KIKUCHIPY}
"""Beginning of the manufacturer's name, lower case -> its names."""
LEFT_OUT = frozenset({"Phase", "X", "Y", "X Position", "Y Position", "X BEAM", "Y BEAM", "phase_id", "x", "y", "z", "id",
                      "is_in_data"})


def recognises(head: bytes, path: Path) -> bool:
    """HDF5 that names one of these manufacturers and has a group of EBSD."""
    def has_maps(file: h5py.File) -> bool:
        return _layout(file) is not None and (any(True for _ in _scans(file)) or "crystal_map" in file)

    return told_by_groups(head, path, has_maps, False)


def read(path: Path) -> tuple[Signal, ...]:
    """Patterns, maps and electron images of every scan of a file.

    Raises
    ------
    UnreadableFile
        If columns of one scan have different lengths, or a dataset cannot be read.
    """
    found: list[Signal] = []
    with h5py.File(path, "r") as file:
        layout = _layout(file)
        assert layout is not None  # as `recognises` saw
        several = sum(1 for _ in _scans(file)) > 1
        for name, scan in _scans(file):
            title = f"{path.stem} {name}" if several else path.stem
            found += signals_of(path, title, _points(path, scan, layout))
            if "CrystalMap/crystal_map" in scan["EBSD"]:
                found += signals_of(path, title, _crystal_map(path, scan["EBSD/CrystalMap/crystal_map"]))
            found += _images(path, scan)
        if "crystal_map" in file:
            found += signals_of(path, path.stem, _crystal_map(path, file["crystal_map"]))
    return tuple(found)


def _layout(file: h5py.File) -> Layout | None:
    # EDAX writes " Manufacturer", with a blank before it
    stated = next((str(plain(file[name])) for name in file if name.strip().lower() == "manufacturer"), "")
    return next((layout for word, layout in LAYOUTS.items() if stated.lower().startswith(word)), None)


def _scans(file: h5py.File) -> Iterator[tuple[str, Any]]:
    for name in file:
        scan = file.get(name)
        if isinstance(scan, h5py.Group) and isinstance(scan.get("EBSD/Data"), h5py.Group):
            yield name, scan


def _points(path: Path, scan: Any, layout: Layout) -> Points:
    data, header = scan["EBSD/Data"], scan.get("EBSD/Header", {})
    patterns = next((StoredArray(path, data[name]) for name in layout.patterns if name in data and data[name].ndim == 3), None)
    flat = {name: item for name in data if is_numeric(item := data[name]) and item.ndim == 1}
    counts = {item.size for item in flat.values()} | ({patterns.shape[0]} if patterns else set())
    if len(counts) != 1:
        raise UnreadableFile(path, f"columns of {data.name} have different lengths: {', '.join(map(str, sorted(counts)))}",
                             todo="the file may be damaged")
    count = counts.pop()
    cells = (int(number(header, "nRows", "NROWS", "Y Cells", "n_rows")),
             int(number(header, "nColumns", "NCOLS", "X Cells", "n_columns")))
    step = (number(header, "Step Y", "YSTEP", "Y Step", "step_y"), number(header, "Step X", "XSTEP", "X Step", "step_x"))
    x, y = _positions(scan, layout, flat, count, cells, step)
    columns: dict[str, Field] = {}
    if "Phase" in flat:
        columns["phase"] = Field(np.maximum(flat["Phase"][()], 0).astype(np.int16))
        columns |= {ours: Field(flat[name][()], unit) for name, (ours, unit) in layout.columns.items() if name in flat}
        if "Euler" in data and data["Euler"].shape == (count, 3):
            columns |= {f"euler_{i + 1}": Field(angles, "rad") for i, angles in enumerate(data["Euler"][()].T)}
        columns |= {name.lower().replace(" ", "_"): Field(item[()]) for name, item in flat.items()
                    if name not in layout.columns and name not in LEFT_OUT}
    phases = _phases(header)
    if "confidence_index" in columns:
        columns["phase"] = Field(_edax_phases(columns["phase"].data, columns["confidence_index"].data, len(phases)))
    remarks = [f"{name} is kept in the file beside {patterns.name.rpartition('/')[2]} and not read"
               for name in layout.patterns if patterns and name in data and not patterns.name.endswith(name)]
    left = [name for name in data if name not in (*flat, *layout.patterns, *LEFT_OUT, "Euler")]
    remarks += [f"{', '.join(left)} of {data.name} are no columns of numbers and not read"] if left else []
    grid = None if "hex" in str(plain(header["Grid Type"]) if "Grid Type" in header else "").lower() else cells
    return Points(x, y, "um", columns, step, grid if grid and min(grid) > 0 else None, patterns,
                  _conditions(scan, header, phases),
                  {"header": {k: v for k in header if (v := plain(header[k])) is not None}, "phases": phases}, tuple(remarks))


def _positions(scan: Any, layout: Layout, flat: Mapping[str, Any], count: int, cells: tuple[int, int],
               step: tuple[float, float]) -> tuple[Any, Any]:
    """In µm, from what may be believed: indices of a region, the order of a full grid, else the positions."""
    indices = [next((scan[n] for n in (f"EBSD/SEM/I{a}", f"SEM/SEM I{a}", f"SEM/I{a}") if n in scan), None) for a in "XY"]
    if layout is BRUKER and all(i is not None and i.size == count for i in indices):
        column, row = (np.asarray(i[()], np.float64) for i in indices if i is not None)
        return (column - column.min()) * (step[1] or 1.0), (row - row.min()) * (step[0] or 1.0)
    if count == cells[0] * cells[1]:
        row, column = np.divmod(np.arange(count), cells[1])
        return column * (step[1] or 1.0), row * (step[0] or 1.0)
    if layout.x in flat and layout.y in flat:
        return np.asarray(flat[layout.x][()], np.float64), np.asarray(flat[layout.y][()], np.float64)
    return np.full(count, np.nan), np.full(count, np.nan)


def _edax_phases(phase: Any, confidence: Any, known: int) -> Any:
    """0 is the only phase in some files, and nothing in others, as in .ang."""
    number = phase + np.int16(known <= 1 and not (phase > 0).any())
    return np.where(confidence == -1, 0, number).astype(np.int16)


def _phases(header: Any) -> list[dict[str, Any]]:
    group = next((header[name] for name in ("Phase", "Phases") if name in header), None)
    if not isinstance(group, h5py.Group):
        return []
    found: list[dict[str, Any]] = []
    for name in sorted(group, key=lambda n: (len(n), n)):
        about = {key: plain(group[name][key]) for key in group[name]} if isinstance(group[name], h5py.Group) else {}
        title = next((about[key] for key in ("MaterialName", "Phase Name", "Name", "Formula") if about.get(key)), name)
        found.append({"number": int(name) if name.isdigit() else len(found) + 1, "name": str(title),
                      **{k: v for k, v in about.items() if v not in (None, "")}})
    return found


def _conditions(scan: Any, header: Any, phases: list[dict[str, Any]]) -> dict[str, Any]:
    sem = scan.get("SEM/Header", {})
    stated = {"beam_energy_keV": number(header, "KV", "Beam Voltage") or number(sem, "beam_energy"),
              "magnification": number(header, "Magnification") or number(sem, "magnification"),
              "tilt_deg": (number(header, "Sample Tilt", "SampleTilt", "sample_tilt")
                           or np.rad2deg(number(header, "Tilt Angle")))}
    found: dict[str, Any] = {name: float(value) for name, value in stated.items() if value > 0}
    return found | ({"phases": [one["name"] for one in phases]} if phases else {})


def _crystal_map(path: Path, group: Any) -> Points:
    """The map of orix: phases count from 0, -1 is not indexed."""
    data, header = group["data"], group["header"]
    flat = {name: data[name][()] for name in data if is_numeric(data[name]) and data[name].ndim in (1, 2)}
    count = flat["phase_id"].size if "phase_id" in flat else 0
    # several solutions for each point stand side by side, the best first; a flat map has one z for all
    flat = {name: values[:, 0] if values.ndim == 2 and len(values) == count else values for name, values in flat.items()
            if name not in LEFT_OUT or values.size == count}
    if any(values.size != count for values in flat.values()):
        raise UnreadableFile(path, f"columns of {data.name} have different lengths", todo="the file may be damaged")
    columns = {"phase": Field((flat["phase_id"] + 1).astype(np.int16))}
    columns |= {ours: Field(flat[name], unit) for name, (ours, unit) in KIKUCHIPY.columns.items() if name in flat}
    columns |= {name: Field(values) for name, values in flat.items() if name not in KIKUCHIPY.columns and name not in LEFT_OUT}
    phases = [{"number": int(name) + 1, "name": str(plain(header["phases"][name]["name"]))}
              for name in header.get("phases", ()) if name.isdigit() and "name" in header["phases"][name]]
    place = [np.asarray(flat[a], np.float64) if a in flat else np.zeros(count) for a in "xy"]
    unit = str(plain(header["scan_unit"]) if "scan_unit" in header else "um")
    return Points(place[0], place[1], unit if unit in ("um", "nm") else "um", columns,
                  (number(header, "y_step"), number(header, "x_step")),
                  conditions={"phases": [p["name"] for p in phases]} if phases else {}, metadata={"phases": phases})


def _images(path: Path, scan: Any) -> list[Signal]:
    """Electron images beside the map, in pixels; colours stay along an axis."""
    found = []
    for name in ("SEM-PRIAS Images/Data/SEM Image", "SEM/SEM Image"):
        item = scan.get(name)
        if not is_numeric(item) or item.ndim not in (2, 3):
            continue
        data = np.asarray(StoredArray(path, item)[...])
        axes = [Axis.even(axis, size, 1.0) for axis, size in zip(("y", "x"), data.shape, strict=False)]
        if data.ndim == 3:
            axes.append(Axis.even("channel", data.shape[2], 1.0))
        found.append(Signal("SEM Image", tuple(axes), {"data": Field(data)}, path, kind="SEM"))
    return found


def example(folder: Path) -> Path:
    """The layout of EDAX: 3 x 4 patterns of 8 x 8 pixels and what was found in them."""
    rng, path = np.random.default_rng(0), folder / "example.h5"
    with h5py.File(path, "w") as file:
        file["Manufacturer"], file["Version"] = np.bytes_("EDAX"), np.bytes_("virtual")
        data, header = file.create_group("Scan 1/EBSD/Data"), file.create_group("Scan 1/EBSD/Header")
        data["Pattern"] = rng.integers(0, 255, (12, 8, 8), np.uint8)
        data["Phase"], data["CI"] = np.ones(12, np.int8), np.full(12, 0.5, np.float32)
        for name in ("Phi1", "Phi", "Phi2"):
            data[name] = rng.uniform(0, 1, 12).astype(np.float32)
        for name, value in (("nRows", 3), ("nColumns", 4), ("Step X", 0.5), ("Step Y", 0.5), ("Sample Tilt", 70.0)):
            header[name] = value
        file["Scan 1/EBSD/Header/Phase/1/MaterialName"] = np.bytes_("Nickel")
    return path


H5EBSD = Format(name="h5ebsd", suffixes=frozenset({".h5", ".oh5", ".h5oina", ".hdf5"}), recognises=recognises, read=read,
                version="1", example=example)
