"""Train a model on the data that ``curate`` exports, and evaluate it."""
