"""Gamry text (.DTA): potentiostatic impedance with its ZCURVE table.

Keys and columns as in files of Gamry Framework 7 (read with impedance.py and pyimpspec; no vendor document was opened).
"""

from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from datasets.writers import SYNTHETIC


def write(path: str | Path, *, frequency_Hz: npt.NDArray[np.float64], impedance_ohm: npt.NDArray[np.complex128],
          time_s: npt.NDArray[np.float64], acquired: datetime | None = None, potential_V: float = 0.0,
          electrode_area_cm2: float | None = None, amplitude_mV: float = 10.0, title: str = "Potentiostatic EIS") -> Path:
    """Write an impedance spectrum; all arrays (frequency,), in the order measured; `area None` leaves the line out."""
    when = [] if acquired is None else [f"DATE\tLABEL\t{acquired.month}/{acquired.day}/{acquired.year}\tDate",
                                        f"TIME\tLABEL\t{acquired:%H:%M:%S}\tTime"]
    area = [] if electrode_area_cm2 is None else [f"AREA\tQUANT\t{electrode_area_cm2:.5E}\t&Area (cm^2)"]
    head = ["EXPLAIN", "TAG\tEISPOT", f"TITLE\tLABEL\t{title}\tTest &Identifier", *when, "NOTES\tNOTES\t1\t&Notes...",
            f"\t{SYNTHETIC}", "PSTAT\tPSTAT\tvirtual\tPotentiostat", f"VDC\tPOTEN\t{potential_V:.5E}\tT\tDC &Voltage (V)",
            f"FREQINIT\tQUANT\t{frequency_Hz[0]:.5E}\tInitial Fre&q. (Hz)",
            f"FREQFINAL\tQUANT\t{frequency_Hz[-1]:.5E}\tFinal Fre&q. (Hz)",
            f"VAC\tQUANT\t{amplitude_mV:.5E}\tAC &Voltage (mV rms)", *area, "ZCURVE\tTABLE",
            "\tPt\tTime\tFreq\tZreal\tZimag\tZsig\tZmod\tZphz\tIdc\tVdc\tIERange",
            "\t#\ts\tHz\tohm\tohm\tV\tohm\t°\tA\tV\t#"]
    rows = zip(time_s, frequency_Hz, impedance_ohm, np.abs(impedance_ohm), np.angle(impedance_ohm, deg=True), strict=True)
    table = [f"\t{i}\t{t:.6g}\t{f:.7g}\t{z.real:.7g}\t{z.imag:.7g}\t1\t{size:.7g}\t{phase:.7g}\t0\t{potential_V:.5E}\t10"
             for i, (t, f, z, size, phase) in enumerate(rows)]
    path = Path(path)
    path.write_text("\n".join([*head, *table]) + "\n", encoding="latin-1", newline="\n")
    return path
