"""The answer in the base model's own words, and what of it is knowledge."""
