"""What it means: descriptors, fusion, models of how the interphase sets coulombic efficiency."""
