"""The vocabulary: every dimension and quantity with its one unit, every condition with its meaning.

A unit is settled on the way in, so no function downstream converts. A name that is not here is not used.
"""

DIMENSION_UNIT: dict[str, str] = {
    "z": "nm", "y": "nm", "x": "nm",
    "energy_loss": "eV",
    "xray_energy": "keV",
    "binding_energy": "eV",
    "kinetic_energy": "eV",
    "wavenumber": "1/cm",
    "optical_path_difference": "mm",
    "raman_shift": "1/cm",
    "harmonic": "1",
    "photon_energy": "eV",
    "scattering_vector_y": "1/nm", "scattering_vector_x": "1/nm",
    "detector_y": "pixel", "detector_x": "pixel",
    "mass_to_charge": "Da",
    "ion": "1",
    "range": "1",
    "tilt": "deg",
    "time": "s",
    "frequency": "Hz",
    "sputter_level": "1",
    "spectrum": "1",
    "position": "1",
    "frame": "1",
    "cycle": "1",
    "channel": "1",
}
"""Dimension name -> canonical unit. Counted dimensions (frame, cycle, ...) carry the unit "1"."""

QUANTITY_UNIT: dict[str, str] = {
    "intensity": "count",
    "counts": "count",
    "count_rate": "count/s",
    "transmission": "1",
    "current": "mA",
    "potential": "V",
    "counter_potential": "V",
    "charge": "mAh",
    "energy": "mWh",
    "temperature": "degC",
    "cycle_number": "1",
    "half_cycle": "1",
    "step_number": "1",
    "impedance_real": "ohm",
    "impedance_imaginary": "ohm",
    "absorbance": "1",
    "absorption_coefficient": "1/ppm/m",
    "transmittance": "1",
    "reflectance": "1",
    "single_beam": "arbitrary",
    "kubelka_munk": "1",
    "log_reflectance": "1",
    "photoacoustic": "arbitrary",
    "phase_spectrum": "rad",
    "ptir_amplitude": "mV",
    "near_field_amplitude": "arbitrary", "near_field_phase": "rad",
    "height": "nm",
    "phase": "1", "euler_1": "deg", "euler_2": "deg", "euler_3": "deg",
    "image_quality": "1", "confidence_index": "1", "fit": "deg", "detector_signal": "1",
    "band_contrast": "1", "band_slope": "1", "bands": "1", "mean_angular_deviation": "deg", "error_code": "1",
    "x": "nm", "y": "nm", "z": "nm",
    "mass_to_charge": "Da",
    "range_start": "Da", "range_end": "Da",
    "volume": "nm^3",
    "colour": "1",
    "time_of_flight": "ns",
    "standing_voltage": "V", "pulse_voltage": "V",
    "hit_x": "mm", "hit_y": "mm",
    "pulses_since_event": "1",
    "ions_per_pulse": "1",
    "absorption": "1",
    "deflection": "nm",
    "force": "nN",
    "segment": "1",
    "area": "arbitrary", "normalised_area": "arbitrary", "line_position": "eV", "line_width": "eV", "atomic_share": "percent",
}
"""Measured quantity -> canonical unit. A detector image whose counts are not calibrated has the unit "arbitrary"."""

SPATIAL = ("z", "y", "x")
PIXEL = "pixel"
"""Unit of a spatial axis that the file does not calibrate: kept as such, never read as 1 px = 1 nm."""

ARBITRARY = "arbitrary"
"""Unit of an intensity of unknown scale (grey values, vendors' scaled maps)."""

CONDITION_MEANING: dict[str, str] = {
    "beam_energy_keV": "energy of the electron beam",
    "magnification": "nominal magnification shown by the microscope",
    "dose_e_per_A2": "electron dose of this acquisition",
    "beam_current_pA": "electron current of the probe or beam",
    "dwell_time_s": "exposure of one pixel or one spectrum",
    "exposure_s": "exposure of one frame",
    "convergence_mrad": "semi-angle of convergence",
    "collection_mrad": "semi-angle of collection",
    "camera_length_mm": "camera length",
    "defocus_nm": "objective defocus, negative under focus",
    "tilt_deg": "tilt of the stage about its first axis",
    "stage_x_nm": "stage position x of the field's centre",
    "stage_y_nm": "stage position y of the field's centre",
    "temperature_K": "temperature of the specimen while measured",
    "cell_temperature_K": "temperature of the cell while cycled",
    "photon_energy_eV": "energy of the exciting photons",
    "pass_energy_eV": "pass energy of the electron analyser",
    "emission_angle_deg": "angle between analyser and surface normal",
    "work_function_eV": "work function of the analyser as the file states it",
    "charge_reference_eV": "binding energy given to the stated reference line",
    "species": "core level, region or ions as the file names them",
    "electrode_area_cm2": "geometric area of the electrode",
    "plating_electrode": "which direction of current plates metal: 'negative' or 'positive'",
    "current_density_mA_cm2": "plating current density",
    "areal_capacity_mAh_cm2": "capacity plated per cycle",
    "cycle": "cycles completed when the specimen was taken",
    "potential_V": "potential at which the cell was stopped",
    "washed": "solvent with which the specimen was rinsed, or 'no'",
    "transfer": "path into the instrument: 'cryo', 'inert', 'vacuum' or 'air'",
    "acquired": "start of the measurement, ISO 8601",
    "order": "rank of this acquisition in the specimen's history of exposures",
    "polarity": "charge of the secondary ions: 'positive' or 'negative'",
    "quantity": "which quantity the instrument recorded: absorbance, transmittance, reflectance, single_beam, ...",
    "detector": "detector or signal as the file names it",
    "elements": "chemical elements that the file lists",
    "phases": "crystal phases that the file lists, in the order of their numbers",
}
"""Condition -> meaning; the unit is part of the name. What is unknown is absent."""

ALIGNMENT_MODELS = ("translation", "rigid", "similarity", "affine", "bspline")
"""What may differ between two images of one place, from the least to the most."""
