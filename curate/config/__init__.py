"""Configuration: validated settings, parsers of values that users write, and flags made from settings."""
