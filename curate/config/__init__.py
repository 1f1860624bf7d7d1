"""Configuration: settings that are checked, values as one writes them, and flags made from settings."""
