"""What it means: descriptors, fusion, models of how the interphase sets coulombic efficiency."""

from correlate.shadow import refuse_foreign_packages

refuse_foreign_packages()
