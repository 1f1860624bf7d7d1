"""``curate dedupe``: write source files again without repeated rows."""
