"""Training objectives: likelihood, divergence from the base, penalties on weights."""
