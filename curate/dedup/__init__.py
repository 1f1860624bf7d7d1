"""Find duplicate, near-duplicate and contradicting rows, and rows that hold benchmark items."""
