"""Training folders: read, checked against a model, and put into batches."""
