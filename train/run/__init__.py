"""A training run: planned, run, recorded."""
