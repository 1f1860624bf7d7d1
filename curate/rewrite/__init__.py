"""Rewrite each answer in the base model's own words, and find which words of the reference are new knowledge."""
