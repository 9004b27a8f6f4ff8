"""Pages: one file each, from a study to what stands on the screen."""
