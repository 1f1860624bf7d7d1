"""What says the same twice: rows, contradictions, near and semantic duplicates, and what a benchmark asks."""
