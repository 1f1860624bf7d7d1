"""``curate dedupe``: files in, files without repeats out."""
