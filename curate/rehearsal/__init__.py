"""Rows that keep what the model could do before."""
