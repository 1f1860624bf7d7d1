"""Training and judging a model on the shards that ``curate`` exports."""
