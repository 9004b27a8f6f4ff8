"""BioLogic EC-Lab binary (.mpr): galvanostatic cycling (GCPL) and impedance (PEIS).

The format is not published. Layout of modules, column numbers and header fields as reverse engineered by galvani and
yadg (GPL-3.0-or-later), checked against real files; version 3 of the data module, as EC-Lab 11 writes it.
"""

import struct
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.writers import SYNTHETIC

MAGIC = b"BIO-LOGIC MODULAR FILE\x1a".ljust(48) + b"\0\0\0\0"
TECHNIQUE = {"GCPL": 0x04, "PEIS": 0x1D}
FLAGS = (1, 2, 3, 21, 31, 65)
"""Columns packed into one byte: mode (bits 0-1), ox/red (2), error (3), control changes (4), Ns changes (5), counter (7)."""
GCPL = {131: ("Ns", "<u2"), 4: ("time", "<f8"), 7: ("dq", "<f8"), 13: ("q", "<f8"), 5: ("control", "<f4"), 6: ("Ewe", "<f4"),
        76: ("I", "<f4"), 39: ("I Range", "<u2"), 467: ("Q half", "<f8"), 468: ("half cycle", "<u4"), 24: ("cycle", "<f8")}
PEIS = {32: ("freq", "<f4"), 37: ("re", "<f4"), 38: ("-im", "<f4"), 36: ("mod", "<f4"), 35: ("phase", "<f4"),
        4: ("time", "<f8"), 77: ("Ewe", "<f4"), 76: ("I", "<f4"), 24: ("cycle", "<f8"), 39: ("I Range", "<u2")}
OLE_EPOCH = datetime(1899, 12, 30)


def write(path: str | Path, *, time_s: npt.NDArray[np.float64], potential_V: npt.NDArray[np.float64],
          current_mA: npt.NDArray[np.float64], charge_mAh: npt.NDArray[np.float64], half_cycle: npt.NDArray[np.integer[Any]],
          cycle: npt.NDArray[np.integer[Any]], acquired: datetime, step: npt.NDArray[np.integer[Any]] | None = None,
          electrode_area_cm2: float | None = None, electrode: str = "", electrolyte: str = "", comment: str = "") -> Path:
    """Write galvanostatic cycling; all arrays (point,).

    Parameters
    ----------
    current_mA
        Positive oxidises the working electrode, as EC-Lab has it: plating on the working electrode is negative.
    charge_mAh
        Counted since the start, signed (column `(Q-Qo)`); increments and the charge of the half cycle follow from it.
    half_cycle, cycle
        Counted from 0.
    step
        Number of the line of the protocol (`Ns`).
    """
    record = np.zeros(time_s.size, [("flags", "u1"), *GCPL.values()])
    sign = np.sign(current_mA)
    lines = np.zeros(time_s.size, np.int64) if step is None else np.asarray(step, np.int64)
    changed = np.r_[False, np.diff(lines) != 0]
    # mode 1 galvanostatic, 3 rest
    record["flags"] = np.where(sign == 0, 3, 1) | ((sign > 0) << 2) | (changed << 4) | (changed << 5) | (changed << 7)
    record["Ns"], record["time"], record["Ewe"] = lines, time_s, potential_V
    record["I"], record["control"] = current_mA, current_mA
    record["q"], record["dq"] = charge_mAh, np.diff(charge_mAh, prepend=charge_mAh[:1])
    record["half cycle"], record["cycle"], record["I Range"] = half_cycle, cycle, 10
    first = np.r_[0, np.flatnonzero(np.diff(half_cycle)) + 1]
    start = np.repeat(charge_mAh[np.maximum(first - 1, 0)], np.diff(np.r_[first, time_s.size]))
    record["Q half"] = charge_mAh - start
    return _save(Path(path), "GCPL", (*FLAGS, *GCPL), record, acquired, electrode_area_cm2, electrode, electrolyte, comment)


def write_impedance(path: str | Path, *, frequency_Hz: npt.NDArray[np.float64], impedance_ohm: npt.NDArray[np.complex128],
                    time_s: npt.NDArray[np.float64], acquired: datetime, potential_V: float = 0.0,
                    electrode_area_cm2: float | None = None, electrode: str = "", electrolyte: str = "",
                    comment: str = "") -> Path:
    """Write potentiostatic impedance; all arrays (frequency,), in the order measured."""
    record = np.zeros(frequency_Hz.size, [*PEIS.values()])
    record["freq"], record["re"], record["-im"], record["time"] = frequency_Hz, impedance_ohm.real, -impedance_ohm.imag, time_s
    record["mod"], record["phase"] = np.abs(impedance_ohm), np.angle(impedance_ohm, deg=True)
    record["Ewe"], record["cycle"], record["I Range"] = potential_V, 1, 10
    return _save(Path(path), "PEIS", tuple(PEIS), record, acquired, electrode_area_cm2, electrode, electrolyte, comment)


def _save(path: Path, technique: str, columns: tuple[int, ...], record: npt.NDArray[Any], acquired: datetime,
          electrode_area_cm2: float | None, electrode: str, electrolyte: str, comment: str) -> Path:
    settings = bytearray(2102)
    settings[0], settings[3:7] = TECHNIQUE[technique], b"\x0b\x03\x00\x00"
    for offset, text in ((0x07, f"{SYNTHETIC}; {comment}"), (0x11E, electrode), (0x1C0, electrolyte)):
        _pascal(settings, offset, text, 80 if offset > 0x07 else 250)
    if electrode_area_cm2 is not None:
        struct.pack_into("<f", settings, 0x211, electrode_area_cm2)
    data = struct.pack(f"<IB{len(columns)}H", record.size, len(columns), *columns).ljust(405, b"\0") + b"\1" + record.tobytes()
    log = bytearray(1100)
    log[2] = TECHNIQUE[technique]
    struct.pack_into("<d", log, 0x249, (acquired - OLE_EPOCH).total_seconds() / 86400)
    _pascal(log, 0x251, f"virtual\\{path.name}", 250)
    date = f"{acquired:%m/%d/%y}".encode()
    modules = (("VMP Set", "VMP settings", 0, bytes(settings)), ("VMP data", "VMP data", 3, data),
               ("VMP LOG", "VMP LOG", 0, bytes(log)))
    with path.open("wb") as file:
        file.write(MAGIC)
        for short, long, version, body in modules:
            names = short.encode().ljust(10), long.encode().ljust(25)
            file.write(b"MODULE" + struct.pack("<10s25sII8s", *names, len(body), version, date) + body)
    return path


def _pascal(block: bytearray, offset: int, text: str, most: int) -> None:
    raw = text.encode("cp1252", "replace")[:most]
    block[offset] = len(raw)
    block[offset + 1:offset + 1 + len(raw)] = raw
