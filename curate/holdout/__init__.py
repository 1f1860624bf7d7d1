"""What is kept out of training: rows to exclude, and facts that are asked later."""
