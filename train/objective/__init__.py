"""What is minimised: likelihood, divergence from the base, penalties on weights."""
