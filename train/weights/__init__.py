"""Arithmetic on weights: importance, averages, merges."""
