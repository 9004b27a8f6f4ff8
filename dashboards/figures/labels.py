"""Axis titles: the name of a dimension or quantity as a person writes it, with its unit."""

from typing import Any

NAMES = {
    "energy_loss": "Energy loss",
    "xray_energy": "X-ray energy",
    "binding_energy": "Binding energy",
    "kinetic_energy": "Kinetic energy",
    "wavenumber": "Wavenumber",
    "photon_energy": "Photon energy",
    "mass_to_charge": "Mass to charge",
    "impedance_real": "Z′",
    "impedance_imaginary": "−Z″",
}
UNITS = {"ohm": "Ω", "1/cm": "cm⁻¹", "1/nm": "nm⁻¹", "degC": "°C", "count": "counts", "count/s": "counts s⁻¹"}
FALLING = ("binding_energy", "wavenumber")
"""Axes that the field draws from high to low."""


def title(name: str, unit: str = "") -> dict[str, Any]:
    """Plotly's title of an axis; a string alone would be ignored by plotly.js 4."""
    text = NAMES.get(name, name.replace("_", " ").capitalize())
    return {"text": text if unit in ("", "1") else f"{text} / {UNITS.get(unit, unit)}"}
