"""X-ray microscopes."""
