"""Rows kept out of training: those the user excludes, and facts held out for a test suite."""
