"""A training run: plan, execution and record."""
