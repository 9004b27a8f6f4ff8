"""Where things are, and how sure we are."""
