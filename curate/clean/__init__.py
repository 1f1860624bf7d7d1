"""Cleaning of source rows: what is damaged is repaired, what is unfit is marked with a reason, a score and what was
found. Nothing is deleted."""
