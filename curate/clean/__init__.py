"""Cleaning of source rows: damaged text is repaired; unfit rows are marked with a reason, a score and a detail. No row
is deleted."""
