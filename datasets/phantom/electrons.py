"""Fast electrons: wavelength, interaction and the dose that a scan gives."""

import numpy as np

ELEMENTARY_CHARGE = 1.602176634e-19
BOHR_NM = 0.0529177
RYDBERG_EV = 13.605693
REST_ENERGY_KEV = 510.99895


def wavelength_nm(beam_keV: float) -> float:
    """Relativistic de Broglie wavelength."""
    volts = beam_keV * 1e3
    return float(1.226426 / np.sqrt(volts * (1 + 0.97845e-6 * volts)))


def lorentz_factor(beam_keV: float) -> float:
    """Total over rest energy."""
    return 1 + beam_keV / REST_ENERGY_KEV


def interaction_rad_per_V_nm(beam_keV: float) -> float:
    """Phase per volt and nanometre, σ = 2π m e λ / h²."""
    gamma = lorentz_factor(beam_keV)
    return 2 * np.pi / (wavelength_nm(beam_keV) * beam_keV * 1e3) * gamma / (1 + gamma)


def electrons_per_pixel(current_pA: float, dwell_s: float) -> float:
    """Electrons that a probe of this current brings in this time."""
    return current_pA * 1e-12 * dwell_s / ELEMENTARY_CHARGE


def dose_e_per_A2(electrons: float, pixel_nm: float) -> float:
    """Electrons per Å² when every pixel of the given side receives `electrons`."""
    return electrons / (10 * pixel_nm) ** 2
