"""What a measurement is, and where it lives: files in, acquisitions out, one study on disk."""
